//! What was just drawn, as a picture over the image: at once, and until the outline has followed.
//!
//! Every dab touches only the pixels that it covers, so drawing costs the same however much was drawn.

use eframe::egui::{self, Color32, ColorImage, Rect, TextureHandle, TextureOptions, Vec2, pos2};

/// The longest side, in pixels.
const SIDE: f32 = 1024.0;
/// How much of the image is covered.
const OPACITY: f32 = 0.5;

/// A picture of strokes in the proportions of an image.
pub(super) struct Veil {
    image: ColorImage,
    texture: TextureHandle,
    /// Pixels of the veil to one of the image.
    scale: f32,
    is_clear: bool,
}

impl Veil {
    /// An empty veil over an image of this size.
    pub(super) fn new(ctx: &egui::Context, size_px: Vec2) -> Self {
        let scale = (SIDE / size_px.max_elem().max(1.0)).min(1.0);
        let side = |length: f32| ((length * scale).round() as usize).max(1);
        let size = [side(size_px.x), side(size_px.y)];
        let image = ColorImage::filled(size, Color32::TRANSPARENT);
        Self {
            texture: ctx.load_texture("strokes", image.clone(), TextureOptions::LINEAR),
            image,
            scale,
            is_clear: true,
        }
    }

    /// The texture, where anything is on it.
    pub(super) fn texture(&self) -> Option<&TextureHandle> {
        (!self.is_clear).then_some(&self.texture)
    }

    /// Takes everything off.
    pub(super) fn clear(&mut self) {
        if !self.is_clear {
            self.image.pixels.fill(Color32::TRANSPARENT);
            self.texture.set(self.image.clone(), TextureOptions::LINEAR);
            self.is_clear = true;
        }
    }

    /// Draws a straight piece of a stroke, in pixels of the image.
    pub(super) fn dab(&mut self, colour: Color32, from: [f32; 2], to: [f32; 2], radius_px: f32) {
        let [from, to] = [from, to].map(|at| pos2(at[0], at[1]) * self.scale);
        let radius = (radius_px * self.scale).max(0.5);
        let around = Rect::from_two_pos(from, to).expand(radius + 1.0);
        let along = to - from;
        let length_sq = along.length_sq();
        self.paint(colour, around, |at| {
            let part = if length_sq > 0.0 {
                ((at - from).dot(along) / length_sq).clamp(0.0, 1.0)
            } else {
                0.0
            };
            (radius + 0.5 - at.distance(from + part * along)).clamp(0.0, 1.0)
        });
    }

    /// Draws a filled rectangle, in pixels of the image.
    pub(super) fn fill(&mut self, colour: Color32, rect: Rect) {
        let rect = Rect::from_two_pos(rect.min * self.scale, rect.max * self.scale);
        self.paint(colour, rect, |at| f32::from(rect.contains(at)));
    }

    /// Lays a colour over the pixels of a rectangle, as far as each is covered.
    fn paint(&mut self, colour: Color32, around: Rect, coverage: impl Fn(egui::Pos2) -> f32) {
        let [width, height] = self.image.size;
        let place = |at: f32, limit: usize| at.clamp(0.0, limit as f32) as usize;
        let (left, right) = (
            place(around.left().floor(), width),
            place(around.right().ceil(), width),
        );
        let (top, bottom) = (
            place(around.top().floor(), height),
            place(around.bottom().ceil(), height),
        );
        if left >= right || top >= bottom {
            return;
        }
        let colour = colour.gamma_multiply(OPACITY);
        for y in top..bottom {
            for x in left..right {
                let covered = coverage(pos2(x as f32 + 0.5, y as f32 + 0.5));
                let pixel = &mut self.image.pixels[y * width + x];
                *pixel = pixel.lerp_to_gamma(colour, covered);
            }
        }
        let changed = self
            .image
            .region_by_pixels([left, top], [right - left, bottom - top]);
        self.texture
            .set_partial([left, top], changed, TextureOptions::LINEAR);
        self.is_clear = false;
    }
}
