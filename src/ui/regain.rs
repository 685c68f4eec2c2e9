//! A lost graphics device: noticed here, and made up for by a new one, with the window's state as it was.
//!
//! The device belongs to the window's framework, which never makes another. So [`super::window`] closes
//! the window and opens one in its place, in the same process and with the same [`App`]: jobs run on,
//! meshes are in memory, and only what was on the graphics card is handed over anew.

use eframe::egui::{Context, ViewportCommand};
use eframe::egui_wgpu::RenderState;

use super::app::App;
use super::textures::Textures;

impl App {
    /// Asks for the window to be closed once nothing can be drawn in it any more.
    pub(super) fn look_at_device(&mut self, ctx: &Context) {
        if self.closes_for_loss {
            return;
        }
        if let Some(reason) = self.viewport.lost() {
            self.closes_for_loss = true;
            tracing::warn!(reason, "the graphics device was lost; another is opened");
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
    }

    /// Why the graphics device is gone, once it is: open another and call [`Self::draw_with`].
    pub fn lost_device(&self) -> Option<String> {
        // There may be no frame any more that would have noticed.
        self.viewport.ask_device()
    }

    /// Whether the window was asked to close for another device.
    pub(super) fn closes_for_loss(&self) -> bool {
        self.closes_for_loss
    }

    /// Draws with another graphics device from now on, in the place of a lost one. Meshes, camera and jobs
    /// are as they were.
    pub fn draw_with(&mut self, render: Option<&RenderState>) {
        self.closes_for_loss = false;
        self.viewport.draw_with(render, &self.desk);
        self.watch_textures();
    }

    /// Has all textures handed over to the device that is drawn with.
    pub(super) fn watch_textures(&self) {
        let watch = self.viewport.watch();
        self.ctx
            .with_plugin(|textures: &mut Textures| textures.hand_over(watch));
    }

    /// Whether an object, not the empty studio alone, is on the graphics card.
    pub fn shows_an_object(&self) -> bool {
        self.viewport.shows_an_object()
    }

    /// How many pictures of the object were drawn on the present device.
    pub fn pictures_drawn(&self) -> u64 {
        self.viewport.pictures()
    }
}
