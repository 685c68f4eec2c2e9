//! Opening the window, and telling why it cannot be opened.

use std::sync::Arc;

use eframe::egui::{self, vec2};
use eframe::egui_wgpu;

use super::app::{App, Setup};

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
    /// The system gives no more threads.
    #[error("the window could not be set up: {reason}")]
    Setup {
        /// What the system says.
        reason: String,
    },
}

/// Opens the window and returns when it is closed.
///
/// # Errors
///
/// [`WindowError`], in words that name what to install.
pub fn open(setup: Setup) -> Result<(), WindowError> {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title(super::title::PROGRAM)
            .with_app_id("orfeas")
            .with_inner_size(vec2(1280.0, 800.0))
            .with_min_inner_size(vec2(880.0, 600.0))
            .with_drag_and_drop(true),
        // Text and images are read from the clipboard on a thread of their own.
        clipboard_shortcuts: false,
        event_loop_builder: event_loop(),
        wgpu_options: graphics(),
        ..eframe::NativeOptions::default()
    };
    // A driver that is missing makes the graphics libraries panic in places; that is the same news.
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eframe::run_native(
            "orfeas",
            options,
            Box::new(|cc| Ok(Box::new(App::new(cc, setup)?))),
        )
    }));
    match attempt {
        Ok(result) => result.map_err(explain),
        Err(payload) => {
            let reason = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned());
            Err(WindowError::Setup {
                reason: reason.unwrap_or_else(|| "an internal error".to_owned()),
            })
        }
    }
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
                builder.with_x11();
            });
            hook
        })
}

#[cfg(not(target_os = "linux"))]
fn event_loop() -> Option<eframe::EventLoopBuilderHook> {
    None
}
