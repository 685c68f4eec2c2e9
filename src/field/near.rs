//! Filling a brick from coarse to fine, for fields whose every value is dear.

use super::{Bounds, Brick};

/// Writes values at every sample of a brick. Every second one along each axis is evaluated, and where these tell
/// that the surface may pass the brick, all others are; else they have the mean of their evaluated neighbours,
/// whose sign is all that is asked of it.
///
/// The surface may pass a cell of twice the brick's step where the values at its corners, widened by as much as
/// they differ, reach 0: a speck between samples that are all far from 0 for their differences is missed.
///
/// `evaluate` is given points and writes a value for each.
pub fn fill_coarse_first(
    brick: &Brick,
    values: &mut [f32],
    mut evaluate: impl FnMut(&[[f32; 3]], &mut [f32]),
) {
    let sides = brick.samples;
    let mut points = Vec::new();
    let mut found = Vec::new();
    let mut fill = |places: &[usize], values: &mut [f32]| {
        points.clear();
        points.extend(places.iter().map(|&place| brick.point(place)));
        found.resize(places.len(), 0.0);
        evaluate(&points, &mut found);
        for (&place, &value) in places.iter().zip(&found) {
            values[place] = value;
        }
    };
    let has_coarse_cells = sides.iter().all(|side| side % 2 == 1 && *side > 1);
    let is_coarse =
        |place: usize| has_coarse_cells && brick.index(place).iter().all(|at| at % 2 == 0);
    let (coarse, others): (Vec<_>, Vec<_>) = (0..brick.len()).partition(|&place| is_coarse(place));
    fill(&coarse, values);
    if !has_coarse_cells || may_hold_surface(sides, values) {
        return fill(&others, values);
    }
    for place in others {
        values[place] = mean_of_neighbours(sides, brick.index(place), values);
    }
}

fn place_of([x, y, z]: [usize; 3], [columns, rows, _]: [usize; 3]) -> usize {
    (z * rows + y) * columns + x
}

/// Whether the surface may pass one of the cells of twice the step.
fn may_hold_surface(sides: [usize; 3], values: &[f32]) -> bool {
    let firsts = sides.map(|side| (0..side - 1).step_by(2));
    firsts[2].clone().any(|z| {
        firsts[1].clone().any(|y| {
            firsts[0].clone().any(|x| {
                let corners: [f32; 8] = std::array::from_fn(|corner| {
                    let offset = [0, 1, 2].map(|axis| 2 * (corner >> axis & 1));
                    values[place_of([x + offset[0], y + offset[1], z + offset[2]], sides)]
                });
                Bounds::of(&corners).widened().straddles_surface()
            })
        })
    })
}

/// The mean of the samples at even indices that are nearest to one.
fn mean_of_neighbours(sides: [usize; 3], at: [usize; 3], values: &[f32]) -> f32 {
    let sum: f32 = (0..8)
        .map(|corner| {
            let neighbour = |axis: usize| {
                // An even index is its own neighbour on either side.
                let odd = at[axis] % 2;
                at[axis] - odd + (corner >> axis & 1) * 2 * odd
            };
            values[place_of([0, 1, 2].map(neighbour), sides)]
        })
        .sum();
    sum / 8.0
}
