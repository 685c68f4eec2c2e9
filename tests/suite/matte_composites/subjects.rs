//! Subjects of several kinds, drawn in the square `[-1, 1]²` with y down.

use super::canvas::{Colour, mix, scaled, value_noise};
use crate::random::Random;

/// What a subject is drawn with.
pub(super) struct Palette {
    pub(super) main: Colour,
    pub(super) second: Colour,
    pub(super) third: Colour,
    pub(super) seed: u64,
}

impl Palette {
    pub(super) fn new(random: &mut Random, main: Colour) -> Self {
        Self {
            main,
            second: random.colour(20.0, 235.0),
            third: random.colour(20.0, 235.0),
            seed: random.below(1 << 30) as u64,
        }
    }
}

type Paint = fn(f32, f32, &Palette) -> Option<Colour>;

/// Every kind, with its name.
pub(super) const SUBJECTS: [(&str, Paint); 14] = [
    ("shaded ball", ball),
    ("product in one colour", kettle),
    ("cartoon character", cartoon),
    ("bottle", bottle),
    ("letter", letter),
    ("animal", animal),
    ("striped ball", striped_ball),
    ("patched blob", patched_blob),
    ("coloured blocks", blocks),
    ("lamp with thin parts", lamp),
    ("mug with a hole", mug),
    ("star with a hole", star),
    ("car", car),
    ("mushroom", mushroom),
];

fn ellipse(x: f32, y: f32, [cx, cy]: [f32; 2], [rx, ry]: [f32; 2]) -> bool {
    ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0
}

fn segment(x: f32, y: f32, [ax, ay]: [f32; 2], [bx, by]: [f32; 2], radius: f32) -> bool {
    let (dx, dy) = (bx - ax, by - ay);
    let t = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    (x - ax - t * dx).hypot(y - ay - t * dy) < radius
}

/// Lambertian shade of a ball of radius 1 with a highlight, lit from the upper left.
fn shade(colour: Colour, x: f32, y: f32) -> Colour {
    let z = (1.0 - x * x - y * y).max(0.0).sqrt();
    let light = (-0.48 * x - 0.6 * y + 0.64 * z).max(0.0);
    let gloss = light.powi(24);
    mix(scaled(colour, 0.35 + 0.65 * light), [255.0; 3], 0.6 * gloss)
}

fn ball(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let inside = x.hypot(y) < 0.8;
    inside.then(|| shade(palette.main, x / 0.8, y / 0.8))
}

fn kettle(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let half = 0.42 + 0.22 * ((y + 0.5) * 1.6).clamp(0.0, 1.0);
    let body = (-0.45..0.75).contains(&y) && x.abs() < half;
    let lid = ellipse(x, y, [0.0, -0.45], [0.42, 0.16]);
    let knob = ellipse(x, y, [0.0, -0.64], [0.09, 0.09]);
    let spout = segment(x, y, [-0.5, 0.1], [-0.85, -0.35], 0.09);
    let handle = x > 0.4 && ((x - 0.55).hypot(y - 0.15) - 0.32).abs() < 0.07;
    (body || lid || knob || spout || handle).then(|| {
        let across = (x / half).clamp(-1.0, 1.0);
        scaled(
            palette.main,
            0.55 + 0.4 * (1.0 - (across + 0.35).powi(2) * 0.6),
        )
    })
}

fn cartoon(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    const OUTLINE: Colour = [30.0, 26.0, 30.0];
    let head = ellipse(x, y, [0.0, -0.35], [0.46, 0.42]);
    let ears = ellipse(x.abs(), y, [0.36, -0.72], [0.17, 0.2]);
    let body = ellipse(x, y, [0.0, 0.35], [0.36, 0.42]);
    let arms = segment(x.abs(), y, [0.3, 0.2], [0.62, 0.45], 0.09);
    let legs = segment(x.abs(), y, [0.16, 0.65], [0.2, 0.88], 0.1);
    if ellipse(x.abs(), y, [0.17, -0.4], [0.09, 0.12]) {
        let pupil = ellipse(x.abs(), y, [0.17, -0.37], [0.045, 0.06]);
        return Some(if pupil { OUTLINE } else { [250.0; 3] });
    }
    if ellipse(x, y, [0.0, -0.14], [0.14, 0.05]) {
        return Some(OUTLINE);
    }
    if head || ears {
        let rim = !ellipse(x, y, [0.0, -0.35], [0.43, 0.39])
            && !ellipse(x.abs(), y, [0.36, -0.72], [0.14, 0.17]);
        return Some(if rim { OUTLINE } else { palette.main });
    }
    if body {
        let belly = ellipse(x, y, [0.0, 0.4], [0.22, 0.28]);
        return Some(if belly { palette.third } else { palette.second });
    }
    (arms || legs).then_some(palette.main)
}

fn bottle(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let half = match y {
        y if y < -0.95 => 0.0,
        y if y < -0.8 => 0.13,
        y if y < -0.5 => 0.1,
        y if y < -0.25 => 0.1 + 0.2 * ((y + 0.5) / 0.25).powi(2),
        y if y < 0.95 => 0.3,
        _ => 0.0,
    };
    (x.abs() < half).then(|| {
        let base = match y {
            y if y < -0.8 => palette.third,
            y if (0.0..0.5).contains(&y) => palette.second,
            _ => palette.main,
        };
        let across = x / half;
        let streak = (1.0 - ((across + 0.5) / 0.12).powi(2)).max(0.0);
        mix(
            scaled(base, 1.0 - 0.5 * across * across),
            [255.0; 3],
            0.5 * streak,
        )
    })
}

fn letter(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let stem = (-0.55..-0.27).contains(&x) && y.abs() < 0.8;
    let ring = (x + 0.1).hypot((y + 0.36) * 1.05);
    let bowl = x > -0.3 && (0.2..0.47).contains(&ring);
    let leg = segment(x, y, [-0.1, 0.05], [0.42, 0.68], 0.14);
    (stem || bowl || leg).then_some(palette.main)
}

fn animal(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let body = ellipse(x, y, [0.05, 0.05], [0.6, 0.32]);
    let head = ellipse(x, y, [-0.6, -0.28], [0.27, 0.24]);
    let ears = segment(x, y, [-0.72, -0.45], [-0.78, -0.65], 0.07)
        || segment(x, y, [-0.5, -0.45], [-0.45, -0.65], 0.07);
    let legs = [-0.4, -0.2, 0.3, 0.5]
        .iter()
        .any(|&leg| segment(x, y, [leg, 0.25], [leg + 0.03, 0.72], 0.075));
    let tail = segment(x, y, [0.6, -0.05], [0.85, -0.4], 0.055);
    if ellipse(x, y, [-0.68, -0.32], [0.04, 0.05]) {
        return Some([15.0; 3]);
    }
    (body || head || ears || legs || tail).then(|| {
        let fur = 0.12 * value_noise(palette.seed, 18.0 * x, 40.0 * y);
        let belly = (0.9 - 0.5 * (y - 0.05)).clamp(0.5, 1.0);
        scaled(palette.main, belly * (1.0 + fur))
    })
}

fn striped_ball(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let stripe = (9.0 * (x + 0.4 * y * y + 0.3 * y)).sin() > 0.0;
    let base = if stripe { palette.main } else { palette.second };
    (x.hypot(y) < 0.78).then(|| shade(base, x / 0.8, y / 0.8))
}

fn patched_blob(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let angle = y.atan2(x);
    let rim = 0.62 + 0.12 * (3.0 * angle + 1.0).sin() + 0.06 * (5.0 * angle).cos();
    (x.hypot(y) < rim).then(|| {
        let patch = value_noise(palette.seed, 5.0 * x, 5.0 * y);
        let base = if patch > 0.5 {
            palette.second
        } else if patch < -0.9 {
            palette.third
        } else {
            palette.main
        };
        shade(base, x / 0.9, y / 0.9)
    })
}

fn blocks(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let block = |cx: f32, cy: f32, rx: f32, ry: f32| (x - cx).abs() < rx && (y - cy).abs() < ry;
    if block(-0.32, 0.55, 0.3, 0.3) {
        Some(palette.main)
    } else if block(0.32, 0.55, 0.3, 0.3) {
        Some(palette.second)
    } else if block(0.0, 0.0, 0.34, 0.25) {
        Some(palette.third)
    } else if y < -0.25 && y > -0.8 && x.abs() < 0.5 * (y + 0.8) {
        Some(scaled(palette.main, 0.6))
    } else {
        None
    }
}

fn lamp(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let foot = ellipse(x, y, [0.1, 0.82], [0.45, 0.1]);
    let lower = segment(x, y, [0.1, 0.8], [0.45, 0.1], 0.035);
    let upper = segment(x, y, [0.45, 0.1], [-0.2, -0.5], 0.035);
    let (u, v) = (x + 0.35, y + 0.45);
    let along = 0.7 * u - 0.7 * v;
    let shade_half = 0.34 - 0.5 * (along + 0.15);
    let head = (-0.25..0.2).contains(&along) && (0.7 * u + 0.7 * v).abs() < shade_half;
    if head {
        return Some(scaled(palette.main, 0.75 + 0.25 * (along + 0.25)));
    }
    (foot || lower || upper).then(|| scaled(palette.second, 0.7))
}

fn mug(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let body = x > -0.62 && x < 0.3 && y.abs() < 0.6;
    let handle = x > 0.2 && ((x - 0.28).hypot(y) - 0.34).abs() < 0.085;
    if body && (y - 0.05).abs() < 0.12 {
        return Some(scaled(palette.second, 0.9 - 0.6 * (x + 0.25).powi(2)));
    }
    (body || handle).then(|| {
        let across = ((x + 0.16) / 0.46).clamp(-1.0, 1.0);
        scaled(palette.main, 1.0 - 0.45 * (across - 0.2).powi(2))
    })
}

fn star(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let angle = x.atan2(-y);
    let fold = std::f32::consts::TAU / 5.0;
    let within = (angle.rem_euclid(fold) - 0.5 * fold).abs();
    // The outline is straight between a tip at half a fold from `within = 0` and a notch at 0.
    let (tip, notch) = (0.9, 0.42);
    let (dx, dy) = (tip * (0.5 * fold).cos() - notch, tip * (0.5 * fold).sin());
    let (px, py) = (x.hypot(y) * within.cos() - notch, x.hypot(y) * within.sin());
    let inside = px * dy - py * dx < 0.0;
    (inside && x.hypot(y) > 0.2).then_some(palette.main)
}

fn car(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    for wheel in [-0.5, 0.5] {
        if (x - wheel).hypot(y - 0.38) < 0.2 {
            let hub = (x - wheel).hypot(y - 0.38) < 0.09;
            return Some(if hub { [190.0; 3] } else { [28.0; 3] });
        }
    }
    let cabin = y > -0.4 && y < 0.0 && x.abs() < 0.3 + 0.55 * (y + 0.4);
    if cabin && y > -0.3 && y < -0.03 && x.abs() > 0.04 && x.abs() < 0.2 + 0.5 * (y + 0.4) {
        return Some([120.0, 150.0, 170.0]);
    }
    let chassis = ellipse(x, y * 1.2, [0.0, 0.26], [0.92, 0.3]) && y < 0.42;
    (cabin || chassis).then(|| scaled(palette.main, 0.95 - 0.5 * (y - 0.0).max(0.0)))
}

fn mushroom(x: f32, y: f32, palette: &Palette) -> Option<Colour> {
    let stem_half = 0.17 + 0.08 * (y - 0.2).max(0.0);
    if (-0.05..0.8).contains(&y) && x.abs() < stem_half {
        return Some(scaled([232.0, 222.0, 200.0], 0.95 - 0.5 * (x + 0.05).abs()));
    }
    let cap = y < 0.05 && ellipse(x, y, [0.0, 0.05], [0.78, 0.75]);
    let spots = [[-0.35, -0.25], [0.1, -0.42], [0.42, -0.15], [-0.05, -0.1]];
    if cap && spots.iter().any(|&spot| ellipse(x, y, spot, [0.12, 0.09])) {
        return Some(palette.second);
    }
    cap.then(|| shade(palette.main, x, y))
}
