//! Where the window is, remembered from one run to the next.

use eframe::egui::{Context, ViewportBuilder, ViewportCommand, pos2, vec2};

use super::app::App;
use super::preferences::WindowPlace;

/// The smallest that the window becomes, in points.
const LEAST: [f32; 2] = [880.0, 600.0];
/// As it opens for the first time.
const FIRST: [f32; 2] = [1280.0, 800.0];
/// Where it goes when it would be on no screen.
const VISIBLE: [f32; 2] = [48.0, 48.0];

/// A window where it was.
pub(super) fn restored(place: Option<WindowPlace>) -> ViewportBuilder {
    let [width, height] = place.map_or(FIRST, |place| place.size);
    let builder = ViewportBuilder::default()
        .with_inner_size(vec2(width.max(LEAST[0]), height.max(LEAST[1])))
        .with_min_inner_size(vec2(LEAST[0], LEAST[1]))
        .with_maximized(place.is_some_and(|place| place.maximized));
    match place.and_then(|place| place.position) {
        Some([x, y]) => builder.with_position(pos2(x, y)),
        None => builder,
    }
}

impl App {
    /// Takes note of where the window is. It is written with the other settings, and at the end.
    pub(super) fn note_place(&mut self, ctx: &Context) {
        let now = ctx.input(|input| {
            let viewport = input.viewport();
            // A window that is away has no place, and one on the full screen has not chosen it.
            let is_away =
                viewport.minimized.unwrap_or(false) || viewport.fullscreen.unwrap_or(false);
            let inner = viewport.inner_rect.filter(|_| !is_away)?;
            Some(WindowPlace {
                position: viewport.outer_rect.map(|rect| [rect.min.x, rect.min.y]),
                size: [inner.width(), inner.height()],
                maximized: viewport.maximized.unwrap_or(false),
            })
        });
        let Some(now) = now else {
            return;
        };
        self.preferences.window = Some(match self.preferences.window {
            // What it goes back to when it is maximised no more.
            Some(before) if now.maximized => WindowPlace {
                maximized: true,
                ..before
            },
            _ => now,
        });
    }

    /// Brings a window back that was left on a screen which is gone.
    pub(super) fn come_into_sight(&self, ctx: &Context) {
        let was_placed = self
            .preferences
            .window
            .is_some_and(|place| place.position.is_some());
        let on_no_screen = ctx.input(|input| {
            let viewport = input.viewport();
            viewport.inner_rect.is_some() && viewport.monitor_size.is_none()
        });
        if was_placed && on_no_screen {
            tracing::info!("the window was on no screen");
            let [x, y] = VISIBLE;
            ctx.send_viewport_cmd(ViewportCommand::OuterPosition(pos2(x, y)));
        }
    }
}
