//! How much of its surroundings each point of an object sees, and the soft shadow that the object throws
//! on the ground.
//!
//! Worked out once for a mesh, on a coarse grid of what is solid, by following a few widening cones from
//! each point (after Crassin et al. 2011). It costs nothing while drawing, does not change with the view
//! and has none of the halos and the noise of screen-space methods. Pure work, without a device.

use std::collections::VecDeque;

use glam::{IVec3, UVec3, Vec2, Vec3};
use rayon::prelude::*;

use super::Bounds;
use crate::mesh::Mesh;

/// Cells along the longest side of the object.
const RESOLUTION: f32 = 72.0;
/// The same for a mesh of few triangles: a preview has no details to lose, and must be there at once.
const PREVIEW_RESOLUTION: f32 = 52.0;
/// From how many triangles on a mesh is more than a preview.
const PREVIEW_TRIANGLES: usize = 40_000;
/// Empty cells around the object.
const PADDING: u32 = 3;
/// Grids, each half as fine as the one before.
const LEVELS: usize = 5;
/// How solid a cell is that the surface passes through.
const SURFACE_SOLIDITY: f32 = 0.75;
/// From a point of the surface to the tips of its cones, in cells.
const LIFT: f32 = 0.9;
/// Texels along each side of the ground shadow.
pub(super) const SHADOW_SIZE: u32 = 96;
/// How far the shadow reaches beyond the object, in radii.
const SHADOW_REACH: f32 = 0.75;

/// The shadow on the ground below an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GroundShadow {
    /// Least x and z.
    pub(super) min: Vec2,
    /// Extent along x and z.
    pub(super) size: Vec2,
    /// Darkness, [`SHADOW_SIZE`] rows of as many texels, along +Z and +X.
    pub(super) texels: Vec<u8>,
}

/// What of the space around an object is solid.
pub(super) struct Surroundings {
    levels: Vec<Grid>,
    /// The middle of cell 0.
    origin: Vec3,
    cell: f32,
    bounds: Bounds,
    cones: Vec<Vec3>,
    /// What a point on a flat surface sees: the walls of its own surface.
    flat: f32,
}

/// Solidity on a grid, 0 … 1.
struct Grid {
    size: UVec3,
    values: Vec<f32>,
}

impl Surroundings {
    /// Finds what is solid: cells that the surface passes through, and those it shuts off from outside.
    pub(super) fn of(mesh: &Mesh, bounds: &Bounds) -> Self {
        let extent = bounds.max - bounds.min;
        let resolution = if mesh.triangles.len() < PREVIEW_TRIANGLES {
            PREVIEW_RESOLUTION
        } else {
            RESOLUTION
        };
        let cell = (extent.max_element() / resolution).max(f32::MIN_POSITIVE.sqrt());
        let size = (extent / cell).ceil().as_uvec3() + UVec3::splat(2 * PADDING + 1);
        let origin = bounds.min - Vec3::splat(PADDING as f32 * cell);
        let mut grid = Grid::new(size);
        splat(mesh, origin, cell, &mut grid);
        fill_inside(&mut grid);
        let mut levels = vec![grid.blurred()];
        while levels.len() < LEVELS
            && let Some(next) = levels.last().and_then(Grid::halved)
        {
            levels.push(next);
        }
        let mut surroundings = Self {
            levels,
            origin,
            cell,
            bounds: *bounds,
            cones: cones(),
            flat: 1.0,
        };
        surroundings.flat = flat_openness(&surroundings.cones);
        surroundings
    }

    /// The part of the half space over a surface that is open, 0 … 1. The ground counts as a wall.
    pub(super) fn openness(&self, point: Vec3, normal: Vec3) -> f32 {
        let (tangent, bitangent) = normal.any_orthonormal_pair();
        let mut open = 0.0;
        let mut weights = 0.0;
        for cone in &self.cones {
            let direction = tangent * cone.x + bitangent * cone.y + normal * cone.z;
            let weight = cone.z;
            open += weight * self.along_cone(point + normal * (self.cell * LIFT), direction, true);
            weights += weight;
        }
        (open / weights / self.flat).clamp(0.0, 1.0)
    }

    /// How much light comes along a cone, 0 … 1.
    fn along_cone(&self, from: Vec3, direction: Vec3, ground: bool) -> f32 {
        let mut light = 1.0_f32;
        for (distance, level, weight) in STEPS {
            let at = from + direction * (distance * self.cell);
            let mut solid = self.solidity(at, level);
            if ground {
                // The floor takes away less than the object: it is lit itself.
                let below = (self.bounds.min.y - at.y) / (self.cell * (1 << level) as f32) + 0.5;
                solid = solid.max(0.45 * below.clamp(0.0, 1.0));
            }
            light *= 1.0 - (solid * weight).min(1.0);
            if light < 0.02 {
                return 0.0;
            }
        }
        light
    }

    fn solidity(&self, at: Vec3, level: usize) -> f32 {
        let level = level.min(self.levels.len() - 1);
        let scale = 1.0 / (1 << level) as f32;
        // The middle of a coarse cell lies between the middles of the fine cells it is made of.
        let place = ((at - self.origin) / self.cell + 0.5) * scale - 0.5;
        self.levels[level].sample(place)
    }

    /// The soft shadow of the object on the ground it rests on.
    pub(super) fn ground_shadow(&self) -> GroundShadow {
        let reach = self.bounds.radius() * SHADOW_REACH;
        let min = Vec2::new(self.bounds.min.x, self.bounds.min.z) - reach;
        let size = Vec2::new(self.bounds.max.x, self.bounds.max.z) + reach - min;
        let directions = shadow_directions();
        let texels = (0..SHADOW_SIZE * SHADOW_SIZE)
            .into_par_iter()
            .map(|texel| {
                let part = Vec2::new(
                    (texel % SHADOW_SIZE) as f32 + 0.5,
                    (texel / SHADOW_SIZE) as f32 + 0.5,
                ) / SHADOW_SIZE as f32;
                let place = min + size * part;
                let from = Vec3::new(place.x, self.bounds.min.y + self.cell * 0.25, place.y);
                let light: f32 = directions
                    .iter()
                    .map(|direction| self.along_cone(from, *direction, false))
                    .sum::<f32>()
                    / directions.len() as f32;
                // Nothing at the border, where the texture ends.
                let inside = (part * (1.0 - part) * 4.0).min(Vec2::ONE);
                let border = smoothstep(inside.x.min(inside.y) / 0.5);
                ((1.0 - light) * border * 255.0 + 0.5) as u8
            })
            .collect();
        GroundShadow { min, size, texels }
    }
}

/// Along a cone: distance in cells, level of the grid, weight of what is found there.
const STEPS: [(f32, usize, f32); 7] = [
    (0.8, 0, 0.55),
    (1.7, 0, 0.7),
    (3.0, 1, 0.8),
    (5.2, 2, 0.9),
    (8.8, 2, 0.9),
    (14.5, 3, 0.9),
    (23.0, 4, 0.9),
];

/// Directions over a surface whose normal is +Z: one along it and a ring around.
fn cones() -> Vec<Vec3> {
    let mut cones = vec![Vec3::Z];
    for index in 0..6 {
        let angle = index as f32 * std::f32::consts::TAU / 6.0 + 0.3;
        let tilt = 0.98_f32;
        cones.push(Vec3::new(
            angle.cos() * tilt.sin(),
            angle.sin() * tilt.sin(),
            tilt.cos(),
        ));
    }
    cones
}

/// Directions from the ground, evenly over the cosine of their angle with +Y.
fn shadow_directions() -> Vec<Vec3> {
    const COUNT: usize = 32;
    (0..COUNT)
        .map(|index| {
            let part = (index as f32 + 0.5) / COUNT as f32;
            let up = (1.0 - part).sqrt();
            let aside = part.sqrt();
            // The golden angle spreads them around.
            let angle = index as f32 * 2.399_963_2;
            Vec3::new(angle.cos() * aside, up, angle.sin() * aside)
        })
        .collect()
}

/// What the cones see from a flat wall, which is what "open" means: the same grid along one axis.
fn flat_openness(cones: &[Vec3]) -> f32 {
    const CELLS: usize = 128;
    const SURFACE: usize = 63;
    let mut profile = [0.0_f32; CELLS];
    profile[..SURFACE].fill(1.0);
    profile[SURFACE] = SURFACE_SOLIDITY;
    let mut levels = vec![profile.to_vec()];
    let blurred = |index: usize| {
        let beside = profile[index.saturating_sub(1)] + profile[(index + 1).min(CELLS - 1)];
        profile[index] * 0.5 + beside * 0.25
    };
    levels[0] = (0..CELLS).map(blurred).collect();
    while levels.len() < LEVELS {
        let finer = &levels[levels.len() - 1];
        levels.push(
            finer
                .chunks(2)
                .map(|pair| (pair[0] + pair[1]) / 2.0)
                .collect(),
        );
    }
    let mut open = 0.0;
    let mut weights = 0.0;
    for cone in cones {
        let mut light = 1.0;
        for (distance, level, weight) in STEPS {
            let height = SURFACE as f32 + LIFT + distance * cone.z;
            let place = (height + 0.5) / (1 << level) as f32 - 0.5;
            let (low, part) = (place.floor() as usize, place.fract());
            let values = &levels[level];
            let solid = values[low] * (1.0 - part) + values[low + 1] * part;
            light *= 1.0 - solid * weight;
        }
        open += light * cone.z;
        weights += cone.z;
    }
    open / weights
}

/// Marks the cells that the surface passes through.
fn splat(mesh: &Mesh, origin: Vec3, cell: f32, grid: &mut Grid) {
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|index| Vec3::from(mesh.positions[index as usize]));
        let longest = (b - a)
            .length_squared()
            .max((c - b).length_squared())
            .max((a - c).length_squared())
            .sqrt();
        // Points close enough together that none of the cells between them is missed.
        let steps = ((longest / cell * 1.7).ceil() as u32).clamp(1, 256);
        for i in 0..=steps {
            for j in 0..=steps - i {
                let (u, v) = (i as f32 / steps as f32, j as f32 / steps as f32);
                let at = (a + (b - a) * u + (c - a) * v - origin) / cell;
                grid.set(at.round().as_ivec3(), SURFACE_SOLIDITY);
            }
        }
    }
}

/// Makes solid what cannot be reached from outside without crossing the surface.
fn fill_inside(grid: &mut Grid) {
    let mut outside = vec![false; grid.values.len()];
    let mut queue = VecDeque::from([IVec3::ZERO]);
    outside[0] = true;
    while let Some(cell) = queue.pop_front() {
        for step in [
            IVec3::X,
            IVec3::NEG_X,
            IVec3::Y,
            IVec3::NEG_Y,
            IVec3::Z,
            IVec3::NEG_Z,
        ] {
            if let Some(index) = grid.index(cell + step)
                && !outside[index]
                && grid.values[index] == 0.0
            {
                outside[index] = true;
                queue.push_back(cell + step);
            }
        }
    }
    for (value, outside) in grid.values.iter_mut().zip(outside) {
        if !outside && *value == 0.0 {
            *value = 1.0;
        }
    }
}

impl Grid {
    fn new(size: UVec3) -> Self {
        Self {
            size,
            values: vec![0.0; size.element_product() as usize],
        }
    }

    fn index(&self, cell: IVec3) -> Option<usize> {
        let size = self.size.as_ivec3();
        (cell.cmpge(IVec3::ZERO).all() && cell.cmplt(size).all())
            .then(|| (cell.x + size.x * (cell.y + size.y * cell.z)) as usize)
    }

    fn get(&self, cell: IVec3) -> f32 {
        self.index(cell).map_or(0.0, |index| self.values[index])
    }

    fn set(&mut self, cell: IVec3, value: f32) {
        if let Some(index) = self.index(cell) {
            self.values[index] = value;
        }
    }

    /// Each cell a mean of itself and its neighbours, so that steps of the grid do not show.
    fn blurred(&self) -> Self {
        let mut blurred = Self::new(self.size);
        for (axis, weights) in [IVec3::X, IVec3::Y, IVec3::Z].into_iter().zip([0.25; 3]) {
            let source = if axis == IVec3::X { self } else { &blurred };
            let values = (0..source.values.len())
                .into_par_iter()
                .with_min_len(4096)
                .map(|index| {
                    let cell = source.cell(index);
                    source.values[index] * (1.0 - 2.0 * weights)
                        + (source.get(cell - axis) + source.get(cell + axis)) * weights
                })
                .collect();
            blurred = Self {
                size: self.size,
                values,
            };
        }
        blurred
    }

    fn cell(&self, index: usize) -> IVec3 {
        let (width, height) = (self.size.x as usize, self.size.y as usize);
        IVec3::new(
            (index % width) as i32,
            (index / width % height) as i32,
            (index / width / height) as i32,
        )
    }

    /// Half the resolution; `None` once it is a few cells.
    fn halved(&self) -> Option<Self> {
        if self.size.max_element() < 4 {
            return None;
        }
        let mut half = Self::new((self.size + 1) / 2);
        for index in 0..half.values.len() {
            let cell = half.cell(index) * 2;
            let sum: f32 = (0..8)
                .map(|corner| self.get(cell + IVec3::new(corner & 1, corner >> 1 & 1, corner >> 2)))
                .sum();
            half.values[index] = sum / 8.0;
        }
        Some(half)
    }

    /// Between the middles of eight cells; nothing is solid outside.
    fn sample(&self, place: Vec3) -> f32 {
        if !(place.cmpgt(Vec3::splat(-1.0)).all() && place.cmplt(self.size.as_vec3()).all()) {
            return 0.0;
        }
        let low = place.floor();
        let f = place - low;
        let low = low.as_ivec3();
        let last = self.size.as_ivec3() - 1;
        if low.cmpge(IVec3::ZERO).all() && low.cmplt(last).all() {
            return self.sample_inside(low.as_uvec3(), f);
        }
        let mut sum = 0.0;
        for corner in 0..8 {
            let step = IVec3::new(corner & 1, corner >> 1 & 1, corner >> 2);
            let weight = (if step.x == 1 { f.x } else { 1.0 - f.x })
                * (if step.y == 1 { f.y } else { 1.0 - f.y })
                * (if step.z == 1 { f.z } else { 1.0 - f.z });
            sum += weight * self.get(low + step);
        }
        sum
    }

    /// Between eight cells that are all there: nearly every sample is one of these.
    fn sample_inside(&self, low: UVec3, f: Vec3) -> f32 {
        let row = self.size.x as usize;
        let slice = row * self.size.y as usize;
        let first = low.x as usize + row * low.y as usize + slice * low.z as usize;
        let along = |start: usize| {
            let pair = &self.values[start..start + 2];
            pair[0] + (pair[1] - pair[0]) * f.x
        };
        let near = along(first) + (along(first + row) - along(first)) * f.y;
        let far = along(first + slice) + (along(first + slice + row) - along(first + slice)) * f.y;
        near + (far - near) * f.z
    }
}

fn smoothstep(part: f32) -> f32 {
    let part = part.clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}
