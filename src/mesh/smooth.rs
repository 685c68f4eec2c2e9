//! A calmer surface for the same solid: Taubin's λ|μ filter ("A Signal Processing Approach to Fair Surface
//! Design", 1995) with Fujiwara's weights.
//!
//! A step towards the mean of the neighbours takes out ripples and shrinks; a slightly greater step away
//! from it gives back what is broad. Neighbours count by the inverse of their distance, so that triangles
//! of unequal size do not drift. What volume the filter still costs is given back at the end.
//!
//! Vertices are moved, never chosen or joined: faces, texture coordinates and colours stay as they were,
//! and vertices at one position stay at one, so what was closed is.

use glam::DVec3;
use rayon::prelude::*;

use super::Mesh;
use super::checks::{Components, Edges, components, volumes};
use super::measure::to_f64;
use super::normals::smooth_normals;
use super::weld::{NONE, Welded, weld, weld_positions};

/// A step towards the mean of the neighbours.
const TOWARDS: f64 = 0.5;
/// The share of the mesh's frequencies that passes unchanged: 1/λ + 1/μ.
const PASS_BAND: f64 = 0.08;
/// Pairs of steps at full strength.
const MOST_PASSES: f32 = 60.0;
/// Vertices that one thread moves between two looks at the cancel flag.
const CHUNK: usize = 1 << 14;
/// A component that would have to be scaled by more to keep its volume has lost its shape.
const GREATEST_SCALE: f64 = 1.5;

/// A mesh cannot be smoothed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SmoothError {
    /// The strength is not a share.
    #[error("a mesh cannot be smoothed with a strength of {0}; use 0 to 1")]
    Strength(f32),
    /// A face names a vertex that does not exist, or a coordinate is not finite.
    #[error(
        "the mesh has an index out of range or a coordinate that is not finite; inspect it first"
    )]
    Invalid,
    /// A part became flat, or two vertices met.
    #[error("smoothing would make a part of the mesh collapse; use less strength")]
    Collapsed,
    /// Smoothing was asked to stop, and did.
    #[error("cancelled")]
    Cancelled,
}

/// Smooths a mesh with a strength from 0, which changes nothing, to 1.
///
/// Every closed component keeps its volume; vertices at open edges, and at edges of more than two faces,
/// stay where they are. Normals are made anew where the mesh has them. The result depends neither on the
/// number of threads nor on the order of vertices within a seam. It may be a little shorter than the
/// mesh: normalise it where its longest side has to be 1. Cancelling is noticed within a step.
///
/// # Errors
///
/// [`SmoothError`] when the strength is not in `0..=1`, the mesh is invalid, a part of it would collapse,
/// or it was cancelled.
pub fn smooth(
    mesh: &Mesh,
    strength: f32,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, SmoothError> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(SmoothError::Strength(strength));
    }
    validate(mesh)?;
    // The first passes are seen most.
    let passes = (MOST_PASSES * strength * strength).ceil() as usize;
    if passes == 0 || mesh.triangles.is_empty() {
        return Ok(mesh.clone());
    }
    let welded = weld(mesh);
    let edges = Edges::of(&welded);
    let components = components(&welded, &edges);
    let neighbours = Neighbours::of(&welded, &edges);
    let away = 1.0 / (PASS_BAND - 1.0 / TOWARDS);

    let mut here: Vec<DVec3> = welded.positions.iter().map(|p| to_f64(*p)).collect();
    let mut next = here.clone();
    for step in [TOWARDS, away].into_iter().cycle().take(2 * passes) {
        neighbours.step(&here, &mut next, step, cancelled)?;
        std::mem::swap(&mut here, &mut next);
    }
    let smoothed = keep_volumes(&welded, &edges, &components, here)?;
    if weld_positions(&smoothed.positions).first_of.len() < smoothed.positions.len() {
        return Err(SmoothError::Collapsed);
    }

    let at = |values: &[[f32; 3]]| -> Vec<[f32; 3]> {
        let vertices = smoothed.vertex_of.iter();
        vertices.map(|vertex| values[*vertex as usize]).collect()
    };
    let normals = if mesh.normals.is_empty() {
        Vec::new()
    } else {
        at(&smooth_normals(&smoothed.positions, &smoothed.triangles))
    };
    Ok(Mesh {
        positions: at(&smoothed.positions),
        normals,
        uvs: mesh.uvs.clone(),
        colours: mesh.colours.clone(),
        triangles: mesh.triangles.clone(),
        texture: mesh.texture.clone(),
    })
}

fn validate(mesh: &Mesh) -> Result<(), SmoothError> {
    let vertices = mesh.positions.len();
    let in_range = mesh
        .triangles
        .iter()
        .flatten()
        .all(|vertex| (*vertex as usize) < vertices);
    if in_range && mesh.positions.iter().flatten().all(|c| c.is_finite()) {
        Ok(())
    } else {
        Err(SmoothError::Invalid)
    }
}

/// The neighbours of each welded vertex, with their weights, which add up to 1.
struct Neighbours {
    /// Where a vertex's neighbours begin; one more at the end. A vertex that stays has none.
    starts: Vec<u32>,
    neighbours: Vec<u32>,
    weights: Vec<f32>,
}

impl Neighbours {
    fn of(welded: &Welded, edges: &Edges) -> Self {
        let count = welded.positions.len();
        let mut stays = vec![false; count];
        let mut starts = vec![0_u32; count + 1];
        for edge in edges.iter() {
            for vertex in edge.vertices {
                stays[vertex as usize] |= edge.faces() != 2;
                starts[vertex as usize + 1] += 1;
            }
        }
        for vertex in 0..count {
            let own = if stays[vertex] { 0 } else { starts[vertex + 1] };
            starts[vertex + 1] = starts[vertex] + own;
        }
        let total = starts[count] as usize;
        let mut neighbours = vec![0; total];
        let mut filled = starts.clone();
        // In the order of edges, so that sums come out the same every time.
        for edge in edges.iter() {
            let [low, high] = edge.vertices;
            for (vertex, other) in [(low, high), (high, low)] {
                if !stays[vertex as usize] {
                    let place = &mut filled[vertex as usize];
                    neighbours[*place as usize] = other;
                    *place += 1;
                }
            }
        }
        let mut of = Self {
            starts,
            weights: vec![0.0; total],
            neighbours,
        };
        of.weigh(welded);
        of
    }

    fn weigh(&mut self, welded: &Welded) {
        let at = |vertex: u32| to_f64(welded.positions[vertex as usize]);
        for (vertex, bounds) in (0..).zip(self.starts.windows(2)) {
            let own = bounds[0] as usize..bounds[1] as usize;
            let inverse = |other: &u32| at(*other).distance(at(vertex)).max(1e-30).recip();
            let sum: f64 = self.neighbours[own.clone()].iter().map(inverse).sum();
            for place in own {
                self.weights[place] = (inverse(&self.neighbours[place]) / sum) as f32;
            }
        }
    }

    /// Moves every vertex by a share of the way to the mean of its neighbours.
    fn step(
        &self,
        here: &[DVec3],
        next: &mut [DVec3],
        share: f64,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), SmoothError> {
        next.par_chunks_mut(CHUNK)
            .enumerate()
            .try_for_each(|(chunk, next)| {
                if cancelled() {
                    return Err(SmoothError::Cancelled);
                }
                for (vertex, next) in (chunk * CHUNK..).zip(next) {
                    let own = self.starts[vertex] as usize..self.starts[vertex + 1] as usize;
                    let from = here[vertex];
                    let mut way = DVec3::ZERO;
                    for place in own {
                        let to = here[self.neighbours[place] as usize];
                        way += f64::from(self.weights[place]) * (to - from);
                    }
                    *next = from + share * way;
                }
                Ok(())
            })
    }
}

/// Scales each closed component about its middle to the volume that it had.
fn keep_volumes(
    welded: &Welded,
    edges: &Edges,
    components: &Components,
    mut positions: Vec<DVec3>,
) -> Result<Welded, SmoothError> {
    let mut of_vertex = vec![NONE; positions.len()];
    for (triangle, component) in welded.triangles.iter().zip(&components.of_face) {
        for vertex in triangle {
            of_vertex[*vertex as usize] = *component;
        }
    }
    let mut closed = vec![true; components.count];
    for edge in edges.iter().filter(|edge| edge.faces() != 2) {
        for component in edge.vertices.map(|vertex| of_vertex[vertex as usize]) {
            if component != NONE {
                closed[component as usize] = false;
            }
        }
    }
    let mut sums = vec![(DVec3::ZERO, 0_u32); components.count];
    for (position, component) in positions.iter().zip(&of_vertex) {
        if *component != NONE {
            let (sum, count) = &mut sums[*component as usize];
            *sum += *position;
            *count += 1;
        }
    }
    let mut smoothed = welded.clone();
    smoothed.positions = positions.iter().map(|p| p.as_vec3().to_array()).collect();
    let (before, after) = (volumes(welded, components), volumes(&smoothed, components));
    let mut scales = vec![1.0; components.count];
    for component in (0..components.count).filter(|component| closed[*component]) {
        let ratio = before[component] / after[component];
        // A component without a volume, flat before, has none to keep.
        if before[component] != 0.0 {
            let scale = ratio.cbrt();
            if !(GREATEST_SCALE.recip()..=GREATEST_SCALE).contains(&scale) {
                return Err(SmoothError::Collapsed);
            }
            scales[component] = scale;
        }
    }
    for (position, component) in positions.iter_mut().zip(&of_vertex) {
        if *component != NONE {
            let (sum, count) = sums[*component as usize];
            let middle = sum / f64::from(count.max(1));
            *position = middle + scales[*component as usize] * (*position - middle);
        }
    }
    smoothed.positions = positions.iter().map(|p| p.as_vec3().to_array()).collect();
    Ok(smoothed)
}
