//! What the window's own pictures and letters look like, kept so that a new graphics device can be given
//! all of them.
//!
//! egui hands a texture over once and forgets it, so what is remembered here takes main memory of its own:
//! four bytes for every pixel of the window's pictures and of the letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use eframe::egui::epaint::{ImageData, ImageDelta};
use eframe::egui::{Context, FullOutput, Plugin, TextureId};

use crate::view::DeviceWatch;

/// Remembers textures, and hands them over again when it is asked to.
#[derive(Default)]
pub(super) struct Textures {
    kept: BTreeMap<u64, ImageDelta>,
    again: bool,
    watch: Option<DeviceWatch>,
}

impl Textures {
    /// Hands everything over with the next frame. `watch` is that of the device which gets it.
    pub(super) fn hand_over(&mut self, watch: Option<DeviceWatch>) {
        self.again = !self.kept.is_empty();
        self.watch = watch;
    }

    fn remember(&mut self, number: u64, delta: &ImageDelta) {
        let Some([left, top]) = delta.pos else {
            self.kept.insert(number, delta.clone());
            return;
        };
        let Some(kept) = self.kept.get_mut(&number) else {
            return;
        };
        let (ImageData::Color(whole), ImageData::Color(part)) = (&mut kept.image, &delta.image);
        let whole = Arc::make_mut(whole);
        let width = whole.size[0];
        for (row, pixels) in part.pixels.chunks_exact(part.size[0].max(1)).enumerate() {
            let start = (top + row) * width + left;
            if let Some(place) = whole.pixels.get_mut(start..start + pixels.len()) {
                place.copy_from_slice(pixels);
            }
        }
    }
}

impl Plugin for Textures {
    fn debug_name(&self) -> &'static str {
        "textures for a new graphics device"
    }

    fn output_hook(&mut self, _ctx: &Context, output: &mut FullOutput) {
        let delta = &mut output.textures_delta;
        for (id, changes) in &delta.set {
            if let TextureId::Managed(number) = id {
                changes
                    .iter()
                    .for_each(|change| self.remember(*number, change));
            }
        }
        if std::mem::take(&mut self.again) {
            for (number, whole) in &self.kept {
                let id = TextureId::Managed(*number);
                delta
                    .set
                    .insert(id, std::iter::once(whole.clone()).collect());
            }
        }
        for id in &delta.free {
            if let TextureId::Managed(number) = id {
                self.kept.remove(number);
            }
        }
        // egui's painter ends the process where a lost device refuses it a buffer: it gets nothing to paint.
        if self
            .watch
            .as_ref()
            .is_some_and(|watch| watch.ask().is_some())
        {
            output.shapes.clear();
        }
    }
}
