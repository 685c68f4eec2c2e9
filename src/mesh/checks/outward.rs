//! Rule: solids face out, cavities face in.

use robust::{Coord, Coord3D, orient2d, orient3d};

use super::components::Components;
use crate::mesh::measure::to_f64;
use crate::mesh::weld::{NONE, Welded};

/// A component that is inside out.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "component {component} has volume {volume} where {around} other solids surround it; a solid in the open needs a positive volume, a cavity in one solid a negative one"
)]
pub struct InsideOut {
    /// The component, as [`Components::of_face`] numbers it.
    pub component: u32,
    /// Its signed volume.
    pub volume: f64,
    /// How often the other components wind around its first vertex.
    pub around: i64,
}

/// The components of a closed, consistently oriented mesh that are inside out, in order.
///
/// A component must have a positive volume in the open and a negative one in a solid.
pub fn inside_out(welded: &Welded, components: &Components) -> Vec<InsideOut> {
    let volumes = volumes(welded, components);
    let around = windings(welded, components);
    (0..)
        .zip(volumes.into_iter().zip(around))
        .filter(|(_, (volume, around))| match around {
            0 => *volume <= 0.0,
            1 => *volume >= 0.0,
            _ => true,
        })
        .map(|(component, (volume, around))| InsideOut {
            component,
            volume,
            around,
        })
        .collect()
}

/// The signed volume of each component of a mesh.
pub(in crate::mesh) fn volumes(welded: &Welded, components: &Components) -> Vec<f64> {
    let mut apexes = vec![None; components.count];
    let mut volumes = vec![0.0; components.count];
    for (triangle, component) in welded.triangles.iter().zip(&components.of_face) {
        if *component != NONE {
            let [a, b, c] = triangle.map(|v| to_f64(welded.positions[v as usize]));
            let apex = *apexes[*component as usize].get_or_insert(a);
            volumes[*component as usize] += (a - apex).dot((b - apex).cross(c - apex)) / 6.0;
        }
    }
    volumes
}

/// For each component, how often the others wind around its first vertex: the signed crossings of a ray
/// along +x. Exact predicates and half-open edges make a ray through an edge or a vertex cross once.
fn windings(welded: &Welded, components: &Components) -> Vec<i64> {
    let mut windings = vec![0; components.count];
    if components.count < 2 {
        return windings;
    }
    let mut samples: Vec<Sample> = Vec::with_capacity(components.count);
    for (triangle, component) in welded.triangles.iter().zip(&components.of_face) {
        if *component as usize == samples.len() {
            samples.push(Sample {
                component: *component,
                point: welded.positions[triangle[0] as usize],
            });
        }
    }
    samples.sort_by(|one, other| one.point[1].total_cmp(&other.point[1]));

    for (triangle, component) in welded.triangles.iter().zip(&components.of_face) {
        if *component == NONE {
            continue;
        }
        let corners = triangle.map(|v| welded.positions[v as usize]);
        let low = corners.iter().fold(f32::INFINITY, |y, c| y.min(c[1]));
        let high = corners.iter().fold(f32::NEG_INFINITY, |y, c| y.max(c[1]));
        let first = samples.partition_point(|sample| sample.point[1] < low);
        for sample in samples[first..]
            .iter()
            .take_while(|sample| sample.point[1] <= high)
            .filter(|sample| sample.component != *component)
        {
            windings[sample.component as usize] += crossing(corners, sample.point);
        }
    }
    windings
}

struct Sample {
    component: u32,
    point: [f32; 3],
}

/// How a ray from `point` along +x crosses a triangle: 1 out through its front, −1 in through its back,
/// 0 past it.
fn crossing(corners: [[f32; 3]; 3], point: [f32; 3]) -> i64 {
    let flat = |p: [f32; 3]| Coord {
        x: f64::from(p[1]),
        y: f64::from(p[2]),
    };
    let target = flat(point);
    let mut turns = 0;
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let (from, to) = (flat(corners[from]), flat(corners[to]));
        let rises = from.x <= target.x && to.x > target.x;
        let falls = to.x <= target.x && from.x > target.x;
        if rises && orient2d(from, to, target) > 0.0 {
            turns += 1;
        } else if falls && orient2d(to, from, target) > 0.0 {
            turns -= 1;
        }
    }
    if turns == 0 {
        return 0;
    }
    let [a, b, c] = corners.map(space);
    let ahead = orient3d(a, b, c, space(point)) * f64::from(turns) > 0.0;
    if ahead { i64::from(turns) } else { 0 }
}

fn space(p: [f32; 3]) -> Coord3D<f64> {
    let [x, y, z] = p.map(f64::from);
    Coord3D { x, y, z }
}
