//! From a field to a closed, manifold triangle mesh.
//!
//! Surface nets with one vertex for each patch of surface in a cell, so that every edge has two faces and
//! every vertex one fan, and with the vertices moved onto the field's surface. Only bricks of 8³ cells
//! that may hold surface are evaluated; the work and the memory grow with the surface, not the volume.
//!
//! The mesh is the same, byte for byte, whatever the number of threads. This module sees nothing of a
//! source but [`Field`], and never changes scale or frame.

mod bricks;
mod cases;
mod cells;
mod dense;
mod device;
mod faces;
mod lattice;
mod survey;
mod vertices;

use std::ops::RangeInclusive;

use rayon::prelude::*;

use super::{Mesh, normals};
use crate::field::{DenseGrid, Field, Region};
use bricks::Sampled;
use cells::BrickCells;
pub use device::{Parts, assemble, grid_lattice, missed_places, packed_cases};
use faces::{Faces, VertexSet};
use lattice::Directory;
pub use lattice::Lattice;
pub use survey::{
    Survey, samples, survey, typical_bytes, typical_device_bytes, typical_device_bytes_of_points,
};
use vertices::{OnField, OnSamples, Refine};

/// The levels that can be asked for: cells along the longest side of the field's extent.
pub const LEVELS: RangeInclusive<u32> = 8..=1024;

/// Why there is no mesh.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum IsosurfaceError {
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// Nowhere do an inside and an outside sample meet.
    #[error(
        "the field has no surface at this resolution: every sample lies on one side; choose a higher resolution if the shape is thin"
    )]
    Empty,
    /// The level is not one that can be asked for.
    #[error(
        "a level of {level} cells is out of range; choose one from {} to {}",
        LEVELS.start(),
        LEVELS.end()
    )]
    LevelOutOfRange {
        /// What was asked for.
        level: u32,
    },
    /// The extent is empty, or not a box of finite numbers.
    #[error("the field's extent is not a box that cells can be laid over: {0:?}")]
    BadExtent(Region),
    /// The extent lies so far from the origin that cells would be of uneven size in f32.
    #[error(
        "the field's extent lies too far from the origin for its size; centre the shape: {0:?}"
    )]
    TooFarOut(Region),
    /// The grid lies so far from the origin that positions within a cell would coincide in f32.
    #[error("the grid's step is too small for its distance from the origin; centre the shape")]
    NotResolved,
    /// The grid has too many samples along one axis.
    #[error(
        "a grid of {samples:?} samples is too large; at most 16384 along an axis can be meshed"
    )]
    TooManySamples {
        /// The samples along x, y and z.
        samples: [usize; 3],
    },
    /// The mesh would have more vertices than an index can name.
    #[error(
        "the surface is too large: its {vertices} vertices are more than a mesh can name; choose a lower resolution"
    )]
    TooManyVertices {
        /// The vertices it would take.
        vertices: u64,
    },
}

/// Extracts the surface of `field` in the bricks that `survey` found.
///
/// The mesh has positions in the field frame, outward unit normals and counter-clockwise triangles, and
/// is closed and manifold: a surface that leaves the field's extent is cut off flat there. Where samples
/// are NaN the mesh is left open. Distinct vertices differ in f32, also after scaling and moving.
///
/// # Errors
///
/// [`IsosurfaceError::Cancelled`], [`IsosurfaceError::Empty`], [`IsosurfaceError::TooManyVertices`].
pub fn extract(
    field: &dyn Field,
    survey: &Survey,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, IsosurfaceError> {
    let (bricks, directory) = bricks::fill(field, survey, cancelled)?;
    let lattice = survey.lattice;
    mesh(&lattice, bricks, &directory, &OnField(field), cancelled)
}

/// Extracts the surface that trilinear interpolation of `grid` has, closed where it leaves the grid.
///
/// The mesh is as [`extract`] makes it; its frame is the grid's.
///
/// # Errors
///
/// [`IsosurfaceError::TooManySamples`] and [`IsosurfaceError::NotResolved`] for grids that f32 positions
/// cannot hold; else as [`extract`].
pub fn extract_dense(
    grid: &DenseGrid,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, IsosurfaceError> {
    let lattice = dense::padded_lattice(grid)?;
    let (bricks, directory) = dense::bricks_of(grid, &lattice, cancelled)?;
    mesh(&lattice, bricks, &directory, &OnSamples, cancelled)
}

/// Cuts a slice into consecutive parts of the given lengths.
fn split_by<T>(mut slice: &mut [T], lengths: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    lengths
        .map(|length| {
            let (part, rest) = std::mem::take(&mut slice).split_at_mut(length);
            slice = rest;
            part
        })
        .collect()
}

/// Numbers the vertices of all bricks in a row and returns how many there are.
fn number_vertices(cells: &mut [BrickCells]) -> Result<usize, IsosurfaceError> {
    let vertices = cells.iter().map(|brick| u64::from(brick.vertices)).sum();
    if vertices >= u64::from(u32::MAX) {
        return Err(IsosurfaceError::TooManyVertices { vertices });
    }
    let mut next = 0;
    for brick in cells {
        brick.first_vertex = next;
        next += brick.vertices;
    }
    Ok(next as usize)
}

fn mesh(
    lattice: &Lattice,
    bricks: Vec<Sampled>,
    directory: &Directory,
    refine: &impl Refine,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, IsosurfaceError> {
    let checkpoint = || {
        if cancelled() {
            Err(IsosurfaceError::Cancelled)
        } else {
            Ok(())
        }
    };
    let mut cells = cells::classify_all(&bricks, directory, &checkpoint)?;
    let vertices = number_vertices(&mut cells)?;
    let mut mesh = Mesh {
        positions: vec![[0.0; 3]; vertices],
        normals: vec![[0.0; 3]; vertices],
        ..Mesh::default()
    };
    let lengths = || cells.iter().map(|brick| brick.vertices as usize);
    split_by(&mut mesh.positions, lengths())
        .into_par_iter()
        .zip(split_by(&mut mesh.normals, lengths()))
        .zip(bricks.par_iter().zip(&cells))
        .try_for_each(|((positions, normals), (brick, cells))| {
            checkpoint()?;
            vertices::place_all(lattice, brick, cells, refine, positions, normals);
            Ok(())
        })?;
    drop(bricks);

    let triangles = 2 * cells.iter().map(BrickCells::quads).sum::<usize>();
    mesh.triangles = vec![[0; 3]; triangles];
    let disagreeing = VertexSet::for_vertices(vertices);
    let faces = Faces {
        cells: &cells,
        directory,
        positions: &mesh.positions,
        normals: &mesh.normals,
        disagreeing: &disagreeing,
    };
    let parts = split_by(
        &mut mesh.triangles,
        cells.iter().map(|brick| 2 * brick.quads()),
    );
    let written = parts
        .into_par_iter()
        .zip(&cells)
        .map(|(triangles, brick)| {
            checkpoint()?;
            Ok(faces.write(brick, triangles))
        })
        .try_reduce(|| 0, |a, b| Ok(a + b))?;
    drop(cells);
    if written < triangles {
        mesh.triangles.retain(|[a, b, _]| a != b);
    }
    finish(
        mesh,
        &disagreeing.into_sorted(),
        written < triangles,
        cancelled,
    )
}

/// Gives the vertices whose normal does not agree with their faces a smooth one, and drops those that only
/// faces left open had.
fn finish(
    mut mesh: Mesh,
    disagreeing: &[u32],
    is_open: bool,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Mesh, IsosurfaceError> {
    if mesh.triangles.is_empty() {
        return Err(IsosurfaceError::Empty);
    }
    let finished = normals::replace(
        &mesh.positions,
        &mesh.triangles,
        disagreeing,
        &mut mesh.normals,
        cancelled,
    );
    if !finished {
        return Err(IsosurfaceError::Cancelled);
    }
    if is_open {
        drop_unused_vertices(&mut mesh);
    }
    Ok(mesh)
}

/// Drops the vertices that no triangle has: those of cells whose neighbours were not evaluated.
fn drop_unused_vertices(mesh: &mut Mesh) {
    let mut used = vec![false; mesh.positions.len()];
    for vertex in mesh.triangles.as_flattened() {
        used[*vertex as usize] = true;
    }
    let mut renumbered = vec![0; used.len()];
    let mut next = 0;
    for (vertex, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        mesh.positions[next as usize] = mesh.positions[vertex];
        mesh.normals[next as usize] = mesh.normals[vertex];
        renumbered[vertex] = next;
        next += 1;
    }
    mesh.positions.truncate(next as usize);
    mesh.normals.truncate(next as usize);
    for vertex in mesh.triangles.as_flattened_mut() {
        *vertex = renumbered[*vertex as usize];
    }
}
