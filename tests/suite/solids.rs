//! Known solids and pictures of them: what a reconstruction can be compared with.
//!
//! The eight shapes are signed distances in `[-1.1, 1.1]³`, negative inside, y up, z towards the viewer.

use std::f32::consts::PI;

use glam::{Mat3, Vec2, Vec3, vec2, vec3};
use rayon::prelude::*;

use crate::pictures;

/// A solid as a bound on the distance from its surface, never more than the true one.
pub(crate) type Distance = fn(Vec3) -> f32;

/// The share of the picture's side that the solid's longest side takes.
const FILL: f32 = 0.84;

/// A solid and how it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) distance: Distance,
    /// Turns about y, then about x, in degrees.
    pub(crate) yaw_pitch: [f32; 2],
}

/// The solids from where they are usually seen.
pub(crate) fn canonical() -> [View; 8] {
    let view = |name, distance, yaw_pitch| View {
        name,
        distance,
        yaw_pitch,
    };
    [
        view("sphere", sphere as Distance, [0.0, 0.0]),
        view("torus", torus, [0.0, 0.0]),
        view("character", character, [0.0, 0.0]),
        view("mug", mug, [0.0, 15.0]),
        view("vase", vase, [0.0, 10.0]),
        view("bottle", bottle, [0.0, 0.0]),
        view("star", star, [0.0, 0.0]),
        view("box", rounded_box, [30.0, 20.0]),
    ]
}

/// The solids seen from above on one side.
pub(crate) fn three_quarter() -> [View; 8] {
    canonical().map(|view| View {
        yaw_pitch: [35.0, 15.0],
        ..view
    })
}

fn sphere(p: Vec3) -> f32 {
    p.length() - 0.9
}

fn torus(p: Vec3) -> f32 {
    vec2(p.truncate().length() - 0.65, p.z).length() - 0.25
}

fn character(p: Vec3) -> f32 {
    let mut d = (p - vec3(0.0, 0.55, 0.0)).length() - 0.38;
    let belly = vec3(p.x, (p.y + 0.15) / 1.25, p.z / 0.85).length() * 0.85 - 0.33;
    d = smooth_min(d, belly, 0.1);
    let p = vec3(p.x.abs(), p.y, p.z);
    let arm = capsule(p, vec3(0.28, 0.05, 0.0), vec3(0.75, -0.2, 0.12), 0.11);
    let leg = capsule(p, vec3(0.18, -0.45, 0.0), vec3(0.25, -0.9, 0.0), 0.14);
    let ear = capsule(p, vec3(0.25, 0.8, 0.0), vec3(0.35, 1.0, 0.0), 0.09);
    d = smooth_min(smooth_min(d, arm, 0.06), leg, 0.06);
    d = smooth_min(d, ear, 0.05);
    smooth_min(d, (p - vec3(0.0, 0.5, 0.4)).length() - 0.08, 0.03)
}

fn mug(p: Vec3) -> f32 {
    let r = vec2(p.x, p.z).length();
    let hollow = (r - 0.52).max(-(p.y + 0.65));
    let body = (r - 0.6).max(p.y.abs() - 0.75).max(-hollow);
    let ring = vec2(p.x - 0.62, p.y / 1.15).length() - 0.33;
    let handle = (vec2(ring, p.z).length() - 0.085).max(0.55 - r);
    body.min(handle)
}

fn vase(p: Vec3) -> f32 {
    let t = (p.y + 0.95) / 1.9;
    let belly = 0.25 * (PI * (t * 1.25).clamp(0.0, 1.0)).sin() * (1.0 - 0.3 * t);
    let neck = 0.12 * (-((t - 0.82) / 0.1).powi(2)).exp();
    let lip = if t > 0.93 { 0.05 } else { 0.0 };
    turned(p, 0.32 + belly - neck + lip, 0.8)
}

fn bottle(p: Vec3) -> f32 {
    let u = ((p.y - 0.2) / 0.3).clamp(0.0, 1.0);
    let shoulder = 0.36 - 0.24 * (3.0 - 2.0 * u) * u * u;
    turned(p, if p.y > 0.8 { 0.15 } else { shoulder }, 0.7)
}

fn turned(p: Vec3, radius: f32, share: f32) -> f32 {
    ((vec2(p.x, p.z).length() - radius) * share).max(p.y.abs() - 0.95)
}

fn star(p: Vec3) -> f32 {
    let corner = |k: usize| {
        let radius = if k.is_multiple_of(2) { 1.0 } else { 0.45 };
        Vec2::from_angle(PI / 2.0 + k as f32 * PI / 5.0) * radius
    };
    let at = p.truncate();
    let (mut distance, mut inside) = (f32::MAX, false);
    for k in 0..10 {
        let (a, b) = (corner(k), corner((k + 1) % 10));
        let (edge, from) = (b - a, at - a);
        let along = (from.dot(edge) / edge.length_squared()).clamp(0.0, 1.0);
        distance = distance.min((from - edge * along).length());
        inside ^= (a.y > at.y) != (b.y > at.y) && from.x < edge.x * from.y / edge.y;
    }
    let outline = if inside { -distance } else { distance };
    let wall = vec2(outline, p.z.abs() - 0.14) + Vec2::splat(0.02);
    wall.max_element().min(0.0) + wall.max(Vec2::ZERO).length() - 0.02
}

fn rounded_box(p: Vec3) -> f32 {
    let wall = p.abs() - vec3(0.64, 0.44, 0.34);
    wall.max(Vec3::ZERO).length() + wall.max_element().min(0.0) - 0.06
}

fn smooth_min(a: f32, b: f32, k: f32) -> f32 {
    let h = (0.5 + 0.5 * (b - a) / k).clamp(0.0, 1.0);
    b * (1.0 - h) + a * h - k * h * (1.0 - h)
}

fn capsule(p: Vec3, a: Vec3, b: Vec3, radius: f32) -> f32 {
    let (along, from) = (b - a, p - a);
    let t = (from.dot(along) / along.length_squared()).clamp(0.0, 1.0);
    (from - along * t).length() - radius
}

impl View {
    /// The solid turned, centred and scaled as the picture shows it: the picture spans `[-0.5, 0.5]²`.
    pub(crate) fn posed(&self) -> impl Fn(Vec3) -> f32 + Sync + use<> {
        let [yaw, pitch] = self.yaw_pitch.map(f32::to_radians);
        let turn = Mat3::from_rotation_x(pitch) * Mat3::from_rotation_y(yaw);
        let (distance, back) = (self.distance, turn.transpose());
        let (low, high) = extent(&|p| distance(back * p));
        let centre = 0.5 * (low + high);
        let scale = FILL / (high - low).truncate().max_element();
        move |p| scale * distance(back * (p / scale + centre))
    }

    /// A shaded picture of the solid on a transparent ground, and its outline anti-aliased.
    pub(crate) fn picture(&self, side: u32) -> Vec<u8> {
        const PER_SIDE: u32 = 3;
        let solid = self.posed();
        let light = vec3(-0.4, 0.6, 0.7).normalize();
        let shade = |column: u32, row: u32| {
            let pixels = (side * PER_SIDE) as f32;
            let [x, y] = [column, row].map(|at| (at as f32 + 0.5) / pixels - 0.5);
            let hit = trace(&solid, vec3(x, -y, 0.9))?;
            let normal = slope(&solid, hit).normalize_or_zero();
            Some(0.35 * (0.75 + 0.25 * normal.y) + 0.65 * normal.dot(light).max(0.0))
        };
        let pixels: Vec<[u8; 4]> = (0..side * side)
            .into_par_iter()
            .map(|pixel| {
                let (column, row) = (pixel % side * PER_SIDE, pixel / side * PER_SIDE);
                let samples = (0..PER_SIDE * PER_SIDE)
                    .filter_map(|k| shade(column + k % PER_SIDE, row + k / PER_SIDE));
                let (count, light) = samples.fold((0, 0.0), |(n, sum), light| (n + 1, sum + light));
                let light = (light / count.max(1) as f32).clamp(0.0, 1.0);
                let grey = |albedo: f32| (255.0 * (albedo * light).powf(1.0 / 2.2)) as u8;
                let alpha = (255 * count / (PER_SIDE * PER_SIDE)) as u8;
                [grey(0.75), grey(0.6), grey(0.45), alpha]
            })
            .collect();
        pictures::rgba_png(side, side, |x, y| pixels[(y * side + x) as usize])
    }
}

/// The box around a solid, to a hair: found by walking in from every side.
fn extent(solid: &(dyn Fn(Vec3) -> f32 + Sync)) -> (Vec3, Vec3) {
    const STEPS: usize = 96;
    let at = |k: usize| 3.0 * (k as f32 / STEPS as f32 - 0.5);
    let reach = |axis: usize, sign: f32| {
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        let rays = (0..=STEPS).flat_map(|i| (0..=STEPS).map(move |j| (i, j)));
        let depth = rays.filter_map(|(i, j)| {
            let mut from = Vec3::ZERO;
            (from[axis], from[u], from[v]) = (1.5 * sign, at(i), at(j));
            let mut towards = Vec3::ZERO;
            towards[axis] = -sign;
            march(solid, from, towards).map(|hit| sign * hit[axis])
        });
        sign * depth.fold(f32::MIN, f32::max)
    };
    let [low, high] =
        [-1.0, 1.0].map(|sign| Vec3::from_array([0, 1, 2].map(|axis| reach(axis, sign))));
    (low, high)
}

fn trace(solid: &(impl Fn(Vec3) -> f32 + Sync), from: Vec3) -> Option<Vec3> {
    march(solid, from, Vec3::NEG_Z)
}

/// Where a ray meets the solid, by sphere tracing.
fn march(solid: &(dyn Fn(Vec3) -> f32 + Sync), from: Vec3, towards: Vec3) -> Option<Vec3> {
    let mut along = 0.0;
    for _ in 0..120 {
        let distance = solid(from + along * towards);
        if distance < 1e-4 {
            return Some(from + along * towards);
        }
        along += distance;
        if along > 3.0 {
            return None;
        }
    }
    None
}

fn slope(solid: &impl Fn(Vec3) -> f32, at: Vec3) -> Vec3 {
    let step = 1e-3;
    let along = |axis: Vec3| solid(at + step * axis) - solid(at - step * axis);
    vec3(along(Vec3::X), along(Vec3::Y), along(Vec3::Z))
}
