//! Opening the window, and telling why it cannot be opened.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::{egui, egui_wgpu};

use super::app::{App, Setup};
use super::place;
use super::preferences::{Preferences, WindowPlace};
use crate::engine::{panic_message, release_own_console};

/// The window could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// There is no display to open a window on.
    #[error(
        "no window can be opened: {reason}. On Linux this needs a running desktop (X11 or Wayland) and the \
         packages libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 (Debian, Ubuntu). Without a \
         display use the command line: orfeas generate IMAGE -o OUT.glb"
    )]
    NoDisplay {
        /// What the system says.
        reason: String,
    },
    /// There is no graphics adapter to draw with.
    #[error(
        "the window cannot be drawn: {reason}. Install the driver of the graphics card, or for software \
         rendering the packages libvulkan1 and mesa-vulkan-drivers (Debian, Ubuntu). The command line needs \
         neither: orfeas generate IMAGE -o OUT.glb"
    )]
    NoAdapter {
        /// What the graphics library says.
        reason: String,
    },
    /// The graphics driver fails again and again, or in a way that the window does not survive.
    #[error(
        "the graphics device was lost and no other draws the window: {reason}. Start Orfeas again; where it \
         happens again, update the driver of the graphics card. What was finished is kept in the history. The command line needs no graphics: orfeas generate \
         IMAGE -o OUT.glb"
    )]
    Lost {
        /// What the driver says.
        reason: String,
    },
    /// The system gives no more threads.
    #[error("the window could not be set up: {reason}")]
    Setup {
        /// What the system says.
        reason: String,
    },
}

/// How often a window is opened again for lost graphics devices, within [`SOON`]: a driver that fails for
/// ever is told rather than fought.
const MOST_LOSSES: usize = 4;
const SOON: Duration = Duration::from_secs(60);
/// How long a driver gets to come back, by how often it is asked and the time between.
const ATTEMPTS: u32 = 8;
const BETWEEN: Duration = Duration::from_millis(500);

/// Opens the window and returns when it is closed.
///
/// # Errors
///
/// [`WindowError`], in words that name what to install.
pub fn open(setup: Setup) -> Result<(), WindowError> {
    open_watched(setup, &|_| {})
}

/// As [`open`], and tells of each graphics device that the window is drawn with: the first one, and those
/// that took the place of a lost one.
///
/// # Errors
///
/// [`WindowError`].
pub fn open_watched(setup: Setup, drawn_with: &dyn Fn(&wgpu::Device)) -> Result<(), WindowError> {
    let kept = Kept::default();
    let ctx = context();
    let mut setup = Some(setup);
    let mut losses: Vec<Instant> = Vec::new();
    let mut failures = 0;
    let mut panicked = false;
    loop {
        let attempt = open_once(&kept, &ctx, &mut setup, drawn_with);
        let lost = kept.0.borrow().as_ref().and_then(App::lost_device);
        let panicked_before = std::mem::replace(&mut panicked, attempt.is_err());
        let Some(reason) = lost else {
            return attempt;
        };
        match attempt {
            // Closed by hand, or by the loss itself.
            Ok(()) if !kept.closed_for_loss() && !panicked_before => return Ok(()),
            // After a panic the system's event loop may open nothing any more.
            Ok(()) if !kept.closed_for_loss() => return Err(WindowError::Lost { reason }),
            // A window that was open: egui's painter may panic on the way out.
            Ok(()) | Err(WindowError::Setup { .. }) => {
                failures = 0;
                losses.retain(|loss| loss.elapsed() < SOON);
                losses.push(Instant::now());
                if losses.len() > MOST_LOSSES {
                    return Err(WindowError::Lost { reason });
                }
            }
            Err(error) => {
                failures += 1;
                if failures == ATTEMPTS {
                    return Err(error);
                }
                // There is no window that this could hold up.
                std::thread::sleep(BETWEEN);
            }
        }
    }
}

/// The memory of what is drawn, which outlives the windows too; set up as the framework sets up its own.
fn context() -> egui::Context {
    let ctx = egui::Context::default();
    ctx.set_embed_viewports(false);
    ctx.options_mut(|options| options.max_passes = std::num::NonZeroUsize::MIN.saturating_add(1));
    ctx
}

/// The window's state, which outlives the windows that it is seen in.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Option<App>>>);

impl Kept {
    fn closed_for_loss(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(App::closes_for_loss)
    }

    fn with<R>(&self, act: impl FnOnce(&mut App) -> R) -> Option<R> {
        self.0.borrow_mut().as_mut().map(act)
    }
}

impl eframe::App for Kept {
    fn raw_input_hook(&mut self, ctx: &egui::Context, input: &mut egui::RawInput) {
        self.with(|app| app.raw_input_hook(ctx, input));
    }

    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.with(|app| app.logic(ctx, frame));
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.with(|app| app.ui(ui, frame));
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        self.with(|app| app.clear_color(visuals))
            .unwrap_or_default()
    }

    fn on_exit(&mut self) {
        self.with(eframe::App::on_exit);
    }
}

/// Opens a window on the state that there is, or on a new one, until it is closed.
fn open_once(
    kept: &Kept,
    ctx: &egui::Context,
    setup: &mut Option<Setup>,
    drawn_with: &dyn Fn(&wgpu::Device),
) -> Result<(), WindowError> {
    let folder = setup
        .as_ref()
        .and_then(|setup| setup.config_folder.as_deref());
    let options = eframe::NativeOptions {
        viewport: place_of(kept, ctx, folder.and_then(Preferences::window_place)),
        // Text and images are read from the clipboard on a thread of their own.
        clipboard_shortcuts: false,
        event_loop_builder: event_loop(),
        wgpu_options: graphics(),
        ..eframe::NativeOptions::default()
    };
    let create: eframe::AppCreator<'_> = Box::new(|cc| {
        if let Some(render) = &cc.wgpu_render_state {
            drawn_with(&render.device);
        }
        if let Some(setup) = setup.take() {
            *kept.0.borrow_mut() = Some(App::new(cc, setup)?);
            // Not before: what keeps a window from opening is told there.
            release_own_console();
        } else {
            kept.with(|app| app.draw_with(cc.wgpu_render_state.as_ref()));
        }
        Ok(Box::new(kept.clone()))
    });
    // A driver that is missing makes the graphics libraries panic in places, and one that fails egui's
    // painter; that is the same news.
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eframe::run_native_ext("orfeas", options, Some(ctx.clone()), create)
    }));
    match attempt {
        Ok(result) => result.map_err(explain),
        Err(payload) => Err(WindowError::Setup {
            reason: panic_message(payload.as_ref()),
        }),
    }
}

/// The size and place of the window: those of the one before it, where there was one.
fn place_of(
    kept: &Kept,
    ctx: &egui::Context,
    remembered: Option<WindowPlace>,
) -> egui::ViewportBuilder {
    let builder = place::restored(remembered)
        .with_title(super::title::PROGRAM)
        .with_app_id("orfeas")
        .with_drag_and_drop(true);
    let Some(title) = kept.with(|app| app.title.clone()) else {
        return builder;
    };
    let builder = builder.with_title(title);
    let before = ctx.input(|input| input.viewport().clone());
    let builder = match before.inner_rect {
        Some(inner) => builder.with_inner_size(inner.size()),
        None => builder,
    };
    let builder = match before.outer_rect {
        Some(outer) => builder.with_position(outer.min),
        None => builder,
    };
    builder
        .with_maximized(before.maximized.unwrap_or(false))
        .with_fullscreen(before.fullscreen.unwrap_or(false))
}

/// Asks a graphics adapter for what the viewport needs and no more, so that OpenGL will do.
fn graphics() -> egui_wgpu::WgpuConfiguration {
    let mut options = egui_wgpu::WgpuConfiguration::default();
    if let egui_wgpu::WgpuSetup::CreateNew(setup) = &mut options.wgpu_setup {
        setup.device_descriptor = Arc::new(|adapter| wgpu::DeviceDescriptor {
            label: Some("window"),
            required_limits: crate::view::required_limits(adapter),
            ..wgpu::DeviceDescriptor::default()
        });
    }
    options
}

fn explain(error: eframe::Error) -> WindowError {
    let reason = error.to_string();
    tracing::error!(reason, "the window could not be opened");
    match error {
        eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => WindowError::NoDisplay {
            reason: if cfg!(target_os = "linux") && !has_display() {
                "neither DISPLAY nor WAYLAND_DISPLAY is set".to_owned()
            } else {
                reason
            },
        },
        eframe::Error::Wgpu(_) => WindowError::NoAdapter { reason },
        _ => WindowError::Setup { reason },
    }
}

fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Files can be dropped on an X11 window and not yet on a Wayland one, so that X11 is preferred where
/// both are there.
#[cfg(target_os = "linux")]
fn event_loop() -> Option<eframe::EventLoopBuilderHook> {
    use winit::platform::x11::EventLoopBuilderExtX11;
    std::env::var_os("DISPLAY")
        .filter(|display| !display.is_empty())
        .map(|_| {
            let hook: eframe::EventLoopBuilderHook = Box::new(|builder| {
                // Another thread than the first will do on X11; tests have no other.
                builder.with_x11().with_any_thread(true);
            });
            hook
        })
}

#[cfg(not(target_os = "linux"))]
fn event_loop() -> Option<eframe::EventLoopBuilderHook> {
    None
}
