//! What a subject is put in front of, and pictures that have no subject.

use super::canvas::{Colour, Picture, blurred, mix, scaled, seeded, value_noise};
use crate::random::Random;

/// Every kind of background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Background {
    White,
    Light,
    Coloured,
    Gradient,
    Vignette,
    DropShadow,
    ContactShadow,
    Table,
    Dark,
    DarkVignette,
    PixelNoise,
    Wood,
    Brick,
    Grass,
    OutOfFocus,
}

pub(super) const BACKGROUNDS: [Background; 15] = [
    Background::White,
    Background::Light,
    Background::Coloured,
    Background::Gradient,
    Background::Vignette,
    Background::DropShadow,
    Background::ContactShadow,
    Background::Table,
    Background::Dark,
    Background::DarkVignette,
    Background::PixelNoise,
    Background::Wood,
    Background::Brick,
    Background::Grass,
    Background::OutOfFocus,
];

impl Background {
    /// The colour that most of it has.
    pub(super) fn tone(self, random: &mut Random) -> Colour {
        match self {
            Self::White => [254.0; 3],
            Self::Light | Self::DropShadow | Self::ContactShadow | Self::Table => {
                let grey = random.uniform(185.0, 235.0);
                random.colour(-18.0, 18.0).map(|tint| grey + tint)
            }
            Self::Dark => random.colour(12.0, 55.0),
            Self::DarkVignette => random.colour(40.0, 90.0),
            Self::Wood => [random.uniform(130.0, 185.0), 115.0, 72.0],
            Self::Brick => [random.uniform(140.0, 175.0), 90.0, 70.0],
            Self::Grass => [80.0, random.uniform(110.0, 145.0), 55.0],
            _ => random.colour(60.0, 225.0),
        }
    }

    /// Paints it in `tone`; `coverage` is the subject's, whose shadow falls on some of them.
    pub(super) fn paint(
        self,
        tone: Colour,
        coverage: &[f32],
        side: usize,
        random: &mut Random,
    ) -> Picture {
        let seed = random.below(1 << 30) as u64;
        match self {
            Self::White | Self::Light | Self::Coloured | Self::Dark => {
                Picture::paint(side, |_, _| tone)
            }
            Self::Gradient => {
                let other = random.colour(-70.0, 70.0);
                let angle = random.uniform(0.0, 6.3);
                Picture::paint(side, |x, y| {
                    let t = (x - 0.5) * angle.cos() + (y - 0.5) * angle.sin();
                    [0, 1, 2].map(|c| tone[c] + t * other[c])
                })
            }
            Self::Vignette | Self::DarkVignette => {
                let depth = random.uniform(0.7, 1.5);
                Picture::paint(side, |x, y| {
                    let distance = (x - 0.5).powi(2) + (y - 0.5).powi(2);
                    scaled(tone, 1.0 - depth * distance)
                })
            }
            Self::DropShadow => drop_shadow(tone, coverage, side, random),
            Self::ContactShadow => {
                contact_shadow(&Picture::paint(side, |_, _| tone), coverage, random)
            }
            Self::Table => {
                let (wall, edge) = (scaled(tone, 0.8), random.uniform(0.3, 0.6));
                let plane = Picture::paint(side, |_, y| {
                    let t = 1.0 / (1.0 + (-(y - edge) / 0.03).exp());
                    mix(wall, scaled(tone, 1.0 - 0.15 * (y - edge)), t)
                });
                contact_shadow(&plane, coverage, random)
            }
            Self::PixelNoise => {
                Picture::paint(side, |_, _| tone.map(|c| c + 11.0 * random.normal()))
            }
            Self::Wood => Picture::paint(side, |x, y| {
                let bend = 0.25 * value_noise(seed, 3.0 * x, 6.0 * y);
                let grain =
                    (44.0 * (y + 0.04 * bend)).sin() + value_noise(seed ^ 1, 5.0 * x, 90.0 * y);
                scaled(tone, 1.0 + 0.06 * grain)
            }),
            Self::Brick => Picture::paint(side, |x, y| brick(tone, seed, x, y)),
            Self::Grass => Picture::paint(side, |x, y| {
                let blades = value_noise(seed, 55.0 * x + 8.0 * y, 22.0 * y)
                    + 0.6 * value_noise(seed ^ 1, 14.0 * x, 12.0 * y);
                scaled(tone, 1.0 + 0.14 * blades)
            }),
            Self::OutOfFocus => Picture::paint(side, |x, y| {
                let tint = |k: u64| 20.0 * value_noise(seed ^ k, 2.6 * x, 2.6 * y);
                [tone[0] + tint(1), tone[1] + tint(2), tone[2] + tint(3)]
            }),
        }
    }
}

fn brick(tone: Colour, seed: u64, x: f32, y: f32) -> Colour {
    let row = (y * 12.0).floor();
    let shifted = x * 6.0 + 0.5 * (row % 2.0);
    let joint = (y * 12.0).fract() < 0.12 || shifted.fract() < 0.06;
    let rough = 0.05 * value_noise(seed, 60.0 * x, 60.0 * y);
    let each = 0.07 * value_noise(seed ^ 5, shifted.floor() + 0.5, row + 0.5);
    let base = if joint {
        [175.0, 168.0, 158.0]
    } else {
        scaled(tone, 1.0 + each)
    };
    scaled(base, 1.0 + rough)
}

fn drop_shadow(tone: Colour, coverage: &[f32], side: usize, random: &mut Random) -> Picture {
    let scale = side as f32 / 240.0;
    let right = (random.uniform(4.0, 12.0) * scale) as usize;
    let down = (random.uniform(4.0, 14.0) * scale) as usize;
    let mut shifted = vec![0.0; coverage.len()];
    for y in down..side {
        for x in right..side {
            shifted[y * side + x] = coverage[(y - down) * side + x - right];
        }
    }
    let shadow = blurred(&shifted, side, random.uniform(4.0, 8.0) * scale);
    let depth = random.uniform(0.25, 0.5);
    Picture {
        side,
        pixels: shadow
            .iter()
            .map(|s| scaled(tone, 1.0 - depth * s))
            .collect(),
    }
}

/// A soft ellipse below the subject, as a lamp above throws it on a plane.
fn contact_shadow(plane: &Picture, coverage: &[f32], random: &mut Random) -> Picture {
    let side = plane.side;
    let covered: Vec<(usize, usize)> = (0..coverage.len())
        .filter(|&i| coverage[i] > 0.5)
        .map(|i| (i % side, i / side))
        .collect();
    let bottom = covered
        .iter()
        .map(|pixel| pixel.1)
        .max()
        .unwrap_or(side / 2);
    let top = covered.iter().map(|pixel| pixel.1).min().unwrap_or(0);
    let low = bottom - (bottom - top) / 6;
    let left = covered
        .iter()
        .filter(|p| p.1 >= low)
        .map(|p| p.0)
        .min()
        .unwrap_or(0);
    let right = covered
        .iter()
        .filter(|p| p.1 >= low)
        .map(|p| p.0)
        .max()
        .unwrap_or(side);
    let centre = 0.5 * (left + right) as f32;
    let half = 0.5 * (right - left) as f32 * random.uniform(1.0, 1.3) + 6.0;
    let (depth, softness) = (random.uniform(0.25, 0.55), random.uniform(3.0, 7.0));
    let mut shaded = plane.clone();
    for (i, colour) in shaded.pixels.iter_mut().enumerate() {
        let across = ((i % side) as f32 - centre) / half;
        let along = ((i / side) as f32 - bottom as f32 + 3.0) / (0.25 * half).max(6.0);
        let shadow = 1.0 / (1.0 + ((across.hypot(along) - 1.0) * softness).exp());
        *colour = scaled(*colour, 1.0 - depth * shadow);
    }
    shaded
}

/// Pictures in which nothing stands out, with their names.
pub(super) fn without_subject(side: usize) -> Vec<(String, Picture)> {
    let mut pictures = Vec::new();
    for round in 0..3 {
        let mut random = seeded(900 + round);
        let random = &mut random;
        let seed = random.below(1 << 30) as u64;
        let mut add =
            |name: &str, picture: Picture| pictures.push((format!("{name} {round}"), picture));
        add("mosaic", mosaic(side, 30 + 60 * round as usize, random));
        let greens = [random.colour(20.0, 120.0), random.colour(60.0, 180.0)];
        add(
            "foliage",
            Picture::paint(side, |x, y| {
                let leaves = value_noise(seed, 16.0 * x, 16.0 * y)
                    + value_noise(seed ^ 1, 40.0 * x, 40.0 * y);
                mix(greens[0], greens[1], 0.5 + 0.3 * leaves)
            }),
        );
        add("landscape", landscape(side, random));
        let ends = [random.colour(30.0, 240.0), random.colour(30.0, 240.0)];
        add(
            "gradient only",
            Picture::paint(side, |x, y| mix(ends[0], ends[1], 0.7 * x + 0.3 * y)),
        );
        let flat = random.colour(10.0, 245.0);
        add(
            "flat colour",
            Picture::paint(side, |_, _| flat.map(f32::round)),
        );
        let frequency = random.uniform(15.0, 60.0);
        let two = [random.colour(20.0, 230.0), random.colour(20.0, 230.0)];
        add(
            "stripes",
            Picture::paint(side, |x, y| {
                two[usize::from((frequency * (x + 0.3 * y)).sin() > 0.0)]
            }),
        );
        add(
            "checks",
            Picture::paint(side, |x, y| {
                two[((x * 9.0).floor() as usize + (y * 9.0).floor() as usize) % 2]
            }),
        );
        add(
            "film grain",
            Picture::paint(side, |_, _| flat.map(|c| c + 20.0 * random.normal())),
        );
    }
    pictures
}

fn mosaic(side: usize, tiles: usize, random: &mut Random) -> Picture {
    let tiles: Vec<([f32; 2], Colour)> = (0..tiles)
        .map(|_| {
            let at = [random.uniform(0.0, 1.0), random.uniform(0.0, 1.0)];
            (at, random.colour(20.0, 240.0))
        })
        .collect();
    Picture::paint(side, |x, y| {
        let mut nearest = (f32::INFINITY, [0.0; 3]);
        for &([u, v], colour) in &tiles {
            let distance = (x - u).powi(2) + (y - v).powi(2);
            if distance < nearest.0 {
                nearest = (distance, colour);
            }
        }
        nearest.1
    })
}

fn landscape(side: usize, random: &mut Random) -> Picture {
    let sky = random.colour(130.0, 240.0);
    let layers: Vec<(u64, f32, Colour)> = (0..4)
        .map(|i| {
            let seed = random.below(1 << 30) as u64;
            (seed, 0.35 + 0.14 * i as f32, random.colour(30.0, 170.0))
        })
        .collect();
    Picture::paint(side, |x, y| {
        let mut colour = scaled(sky, 1.0 - 0.3 * y);
        for &(seed, level, tone) in &layers {
            if y > level + 0.05 * value_noise(seed, 4.0 * x, 0.5) {
                colour = scaled(tone, 1.0 + 0.1 * value_noise(seed ^ 1, 50.0 * x, 50.0 * y));
            }
        }
        colour
    })
}
