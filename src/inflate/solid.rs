//! Step 6: the solid as a field, read from maps over the cut-out.
//!
//! With `h²` the squared height, `m` the middle, `t` half a wall's thickness and `r` the radius of the
//! ball that touches the surface, all functions of `(x, y)`, and `a = |z / depth − m|`, the value is
//! `(h² − max(a − t, 0)²) / 2r`: 0 on the surface, with slope 1 there when the depth is 1. A change of
//! depth touches no map.

use std::fmt;
use std::sync::Arc;

use bytemuck::Zeroable;
use rayon::prelude::*;

use super::cuboid::Cuboid;
use super::filter::gradient;
use super::spline::{Spline, Tap};
use super::{InflateError, Map};
use crate::compute::kernels::SolidShape;
use crate::compute::{Context, Reservation};
use crate::field::{Bounds, Brick, Field, Region};

/// Room around the surface, in frame sides.
const ROOM: f32 = 0.01;

/// How a solid was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Inscribed balls, with relief from shading.
    Puffy,
    /// Flat art, swollen, with grooves where colours meet.
    Grooved,
    /// A turned object.
    Lathe,
    /// Flat art as a bevelled slab.
    Slab,
    /// A box seen from a corner.
    Cuboid,
    /// A relief of the whole frame.
    Relief,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Puffy => "puffy",
            Self::Grooved => "grooved",
            Self::Lathe => "lathe",
            Self::Slab => "slab",
            Self::Cuboid => "cuboid",
            Self::Relief => "relief",
        })
    }
}

/// What a solid's maps are made of; lengths in pixels of the maps.
#[derive(Debug)]
pub(super) struct Profile<'a> {
    /// The squared height over the wall; negative outside the outline.
    pub(super) squared_height: &'a Map,
    /// Scales the height.
    pub(super) height_scale: f32,
    /// How far the front is raised, and its scale.
    pub(super) raised: Option<(&'a Map, f32)>,
    /// What moves where the front is raised.
    pub(super) raising: Raising,
}

/// What moves where the front of a solid is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Raising {
    /// The front alone: half of it as height, half as a shift of the middle.
    Front,
    /// The front, and the back by as much.
    Both,
    /// The wall: nothing changes near the rim but the place of the front.
    Wall,
}

/// The maps of a solid, in frame units.
#[derive(Debug)]
pub(super) struct SolidMaps {
    squared_height: Spline,
    /// One over twice the radius of the touching ball.
    inverse_diameter: Spline,
    raised: Option<Spline>,
    /// The corners of the outline's bounding box.
    box_min: [f32; 2],
    box_max: [f32; 2],
    greatest_height: f32,
    _reservation: Reservation,
}

impl SolidMaps {
    /// Makes the maps from a profile: a few passes over its pixels.
    pub(super) fn new(profile: &Profile<'_>, context: &Context) -> Result<Self, InflateError> {
        let side = profile.squared_height.side;
        let maps = 2 + u64::from(profile.raised.is_some());
        let reservation = context
            .ledger
            .reserve(maps * Spline::bytes(side), "the solid's maps")?;
        let squared_height = profile.squared_height_in_frame();
        let raised = profile.raised.map(|(raised, scale)| {
            let mut raised = raised.clone();
            raised
                .values
                .iter_mut()
                .for_each(|value| *value *= scale / side as f32);
            raised
        });
        context.cancel.checkpoint()?;
        let (box_min, box_max) =
            bounding_box(&squared_height).ok_or(InflateError::NothingInside)?;
        let greatest = squared_height.values.iter().copied().fold(0.0, f32::max);
        let inverse_diameter = inverse_diameter(&squared_height, raised.as_ref(), profile.raising);
        Ok(Self {
            squared_height: Spline::through(squared_height),
            inverse_diameter: Spline::near(&inverse_diameter),
            raised: raised.map(Spline::through),
            box_min,
            box_max,
            greatest_height: greatest.sqrt(),
            _reservation: reservation,
        })
    }
}

impl Profile<'_> {
    fn squared_height_in_frame(&self) -> Map {
        let side = self.squared_height.side;
        let scale = self.height_scale / side as f32;
        let mut out = self.squared_height.clone();
        out.values
            .iter_mut()
            .for_each(|value| *value *= scale * scale);
        let share = match self.raising {
            Raising::Front => 0.5,
            Raising::Both => 1.0,
            Raising::Wall => return out,
        };
        let Some((raised, raised_scale)) = self.raised else {
            return out;
        };
        let raised_scale = share * raised_scale / side as f32;
        for (value, raised) in out.values.iter_mut().zip(&raised.values) {
            if *value > 0.0 {
                let height = value.sqrt();
                // However deep the relief, some thickness stays.
                *value = (height + (raised_scale * raised).max(-0.4 * height)).powi(2);
            }
        }
        out
    }
}

/// The box around the pixels inside and their next neighbours, in frame units.
fn bounding_box(squared_height: &Map) -> Option<([f32; 2], [f32; 2])> {
    let side = squared_height.side;
    let mut low = [side, side];
    let mut high = [0, 0];
    for (row, values) in squared_height.values.chunks_exact(side).enumerate() {
        if let Some(first) = values.iter().position(|value| *value > 0.0) {
            let last = values
                .iter()
                .rposition(|value| *value > 0.0)
                .unwrap_or(first);
            low = [low[0].min(first), low[1].min(row)];
            high = [high[0].max(last), high[1].max(row)];
        }
    }
    let at = |pixel: usize, offset: f32| (pixel as f32 + offset) / side as f32 - 0.5;
    (low[0] < side).then(|| {
        let [left, top] = low.map(|pixel| at(pixel, -0.5));
        let [right, bottom] = high.map(|pixel| at(pixel, 1.5));
        ([left, -bottom], [right, -top])
    })
}

/// One over twice the radius of the ball that touches the surface: the slope of `h² − z²` there.
fn inverse_diameter(squared_height: &Map, raised: Option<&Map>, raising: Raising) -> Map {
    let side = squared_height.side;
    let mut out = Map::filled(side, 0.0);
    out.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(row, out)| {
            for (column, value) in out.iter_mut().enumerate() {
                let [across, down] =
                    gradient(squared_height, column, row).map(|slope| slope * side as f32);
                let height = squared_height.at(column, row).max(0.0);
                let mut squared_radius = height + 0.25 * (across * across + down * down);
                if let (Some(raised), Raising::Wall) = (raised, raising) {
                    let [across, down] =
                        gradient(raised, column, row).map(|slope| slope * side as f32);
                    squared_radius *= 1.0 + across * across + down * down;
                }
                let least = 0.75 / side as f32;
                *value = 0.5 / squared_radius.sqrt().max(least);
            }
        });
    out
}

/// A closed solid in the field frame. Clones share the maps.
#[derive(Debug, Clone)]
pub struct Solid {
    maps: Arc<SolidMaps>,
    mode: Mode,
    /// Scales everything along z.
    depth: f32,
    /// The middle, in the raised map and as a constant.
    middle_share: f32,
    middle: f32,
    /// Half the wall, in the raised map and as a constant.
    wall_share: f32,
    wall: f32,
    /// What lies behind is cut off.
    cut_behind: Option<f32>,
    /// What lies outside is cut off.
    within: Option<Cuboid>,
}

/// A solid as a device evaluates it: the same values as [`Field::fill`]'s, to the last bit.
#[derive(Debug, Clone, Copy)]
pub struct SolidDescription<'a> {
    /// Its numbers.
    pub shape: SolidShape,
    /// The squared height over the wall: spline coefficients, `stride` rows and columns.
    pub squared_height: &'a [f32],
    /// One over the diameter of the touching ball, likewise.
    pub inverse_diameter: &'a [f32],
    /// How far the front is raised, likewise.
    pub raised: Option<&'a [f32]>,
}

/// How maps become a solid; lengths in frame units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Assembly {
    pub(super) mode: Mode,
    /// Scales everything along z.
    pub(super) depth: f32,
    /// Scales the raised map where it moves the wall.
    pub(super) raise: f32,
    /// What moves with the raised map.
    pub(super) raising: Raising,
    /// Whether the back stays where it is when the wall is raised.
    pub(super) still_back: bool,
    /// Half the wall without raising.
    pub(super) wall: f32,
    /// Where the back is cut flat.
    pub(super) cut_behind: Option<f32>,
    /// What the solid is cut down to.
    pub(super) within: Option<Cuboid>,
}

impl Solid {
    pub(super) fn new(maps: Arc<SolidMaps>, assembly: Assembly) -> Self {
        let (middle_share, wall_share) = match (assembly.raising, assembly.still_back) {
            (Raising::Front, _) => (0.5, 0.0),
            (Raising::Both, _) => (0.0, 0.0),
            (Raising::Wall, true) => (0.5 * assembly.raise, 0.5 * assembly.raise),
            (Raising::Wall, false) => (0.0, assembly.raise),
        };
        Self {
            maps,
            mode: assembly.mode,
            depth: assembly.depth,
            middle_share,
            middle: 0.0,
            wall_share,
            wall: assembly.wall,
            cut_behind: assembly.cut_behind,
            within: assembly.within,
        }
    }

    /// How the solid was made.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What a device evaluates the solid from.
    pub fn description(&self) -> SolidDescription<'_> {
        let height = &self.maps.squared_height;
        let mut shape = SolidShape {
            side: height.side() as i32,
            stride: height.stride() as i32,
            depth: self.depth,
            middle_share: self.middle_share,
            middle: self.middle,
            wall_share: self.wall_share,
            wall: self.wall,
            cut_behind: self.cut_behind.unwrap_or(0.0),
            has_cut: self.cut_behind.is_some().into(),
            ..SolidShape::zeroed()
        };
        if let Some(cuboid) = &self.within {
            cuboid.describe(&mut shape);
        }
        SolidDescription {
            shape,
            squared_height: height.coefficients(),
            inverse_diameter: self.maps.inverse_diameter.coefficients(),
            raised: self.maps.raised.as_ref().map(Spline::coefficients),
        }
    }

    /// The column and the row of a point, in pixels.
    fn pixel(&self, x: f32, y: f32) -> [f32; 2] {
        let side = self.maps.squared_height.side() as f32;
        [(x + 0.5) * side - 0.5, (0.5 - y) * side - 0.5]
    }

    fn value_in_column(&self, column: Column, z: f32) -> f32 {
        let from_middle = (z / self.depth - column.middle).abs();
        let over_wall = (from_middle - column.wall).max(0.0);
        let value = (column.squared_height - over_wall * over_wall) * column.inverse_diameter;
        self.cut_behind
            .map_or(value, |behind| value.min(z - behind))
    }

    /// The point in the frame of what the solid is cut down to, whose depth is 1.
    fn undeepened(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        [x, y, z / self.depth]
    }

    fn column(&self, squared_height: f32, inverse_diameter: f32, raised: f32) -> Column {
        Column {
            squared_height,
            inverse_diameter,
            middle: self.middle + self.middle_share * raised,
            wall: (self.wall + self.wall_share * raised).max(0.0),
        }
    }

    /// The least and the greatest of the raised map over a rectangle of pixels.
    fn raised_range(&self, low: [f32; 2], high: [f32; 2]) -> [f32; 2] {
        self.maps
            .raised
            .as_ref()
            .map_or([0.0; 2], |raised| raised.range(low, high))
    }
}

/// The maps read at one `(x, y)`.
#[derive(Debug, Clone, Copy)]
struct Column {
    squared_height: f32,
    inverse_diameter: f32,
    middle: f32,
    wall: f32,
}

impl Field for Solid {
    fn extent(&self) -> Region {
        let last = self.maps.squared_height.side() as f32;
        let [low, high] = self.raised_range([0.0; 2], [last; 2]);
        let greatest = self.maps.greatest_height + self.wall + (self.wall_share * high).max(0.0);
        let middle = [self.middle_share * low, self.middle_share * high];
        let greatest = self
            .within
            .map_or(greatest, |cuboid| greatest.min(cuboid.half_depth()));
        let front = self.depth * (greatest + self.middle + middle[0].max(middle[1]));
        let behind = self.depth * (self.middle + middle[0].min(middle[1]) - greatest);
        let behind = self.cut_behind.map_or(behind, |cut| behind.max(cut));
        let [left, bottom] = self.maps.box_min;
        let [right, top] = self.maps.box_max;
        Region {
            min: [left - ROOM, bottom - ROOM, behind - ROOM],
            max: [right + ROOM, top + ROOM, front + ROOM],
        }
    }

    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        let [columns, rows, _] = brick.samples;
        if columns * rows == 0 {
            return;
        }
        let maps = &*self.maps;
        let point = |axis: usize, index: usize| brick.origin[axis] + brick.step * index as f32;
        let across: Vec<Tap> = (0..columns)
            .map(|index| maps.squared_height.tap(self.pixel(point(0, index), 0.0)[0]))
            .collect();
        let down: Vec<Tap> = (0..rows)
            .map(|index| maps.squared_height.tap(self.pixel(0.0, point(1, index))[1]))
            .collect();
        let mut read = vec![0.0; 3 * columns * rows];
        let (squared_height, rest) = read.split_at_mut(columns * rows);
        let (inverse_diameter, raised) = rest.split_at_mut(columns * rows);
        maps.squared_height
            .read_grid(&across, &down, squared_height);
        maps.inverse_diameter
            .read_grid(&across, &down, inverse_diameter);
        if let Some(map) = &maps.raised {
            map.read_grid(&across, &down, raised);
        }
        for (layer, values) in values.chunks_exact_mut(columns * rows).enumerate() {
            let z = point(2, layer);
            let read = squared_height.iter().zip(&*inverse_diameter).zip(&*raised);
            for (value, ((height, diameter), raised)) in values.iter_mut().zip(read) {
                *value = self.value_in_column(self.column(*height, *diameter, *raised), z);
            }
        }
        if let Some(cuboid) = &self.within {
            let mut values = values.iter_mut();
            for layer in 0..brick.samples[2] {
                for row in 0..rows {
                    for (column, value) in values.by_ref().take(columns).enumerate() {
                        let at = [point(0, column), point(1, row), point(2, layer)];
                        *value = value.min(cuboid.value(self.undeepened(at)));
                    }
                }
            }
        }
    }

    fn bounds(&self, region: &Region) -> Bounds {
        let [left, top] = self.pixel(region.min[0], region.max[1]);
        let [right, bottom] = self.pixel(region.max[0], region.min[1]);
        // A hair wider: a sample on the region's face may be rounded beyond it.
        let (low, high) = ([left - 1e-3, top - 1e-3], [right + 1e-3, bottom + 1e-3]);
        let height = self.maps.squared_height.range(low, high);
        let weight = self.maps.inverse_diameter.range(low, high);
        let raised = self.raised_range(low, high);
        let middle = raised.map(|raised| self.middle + self.middle_share * raised);
        let wall = raised.map(|raised| (self.wall + self.wall_share * raised).max(0.0));
        // From the middle, signed: the nearest and the farthest.
        let behind = region.min[2] / self.depth - middle[0].max(middle[1]);
        let before = region.max[2] / self.depth - middle[0].min(middle[1]);
        let nearest = before.min(-behind).min(0.0).abs();
        let farthest = before.abs().max(behind.abs());
        let least = (nearest - wall[0].max(wall[1])).max(0.0);
        let greatest = (farthest - wall[0].min(wall[1])).max(0.0);
        let weigh = |value: f32, when_positive: f32, when_negative: f32| {
            value
                * if value > 0.0 {
                    when_positive
                } else {
                    when_negative
                }
        };
        let mut min = weigh(height[0] - greatest * greatest, weight[0], weight[1]);
        let mut max = weigh(height[1] - least * least, weight[1], weight[0]);
        if let Some(behind) = self.cut_behind {
            min = min.min(region.min[2] - behind);
            max = max.min(region.max[2] - behind);
        }
        if let Some(cuboid) = &self.within {
            let low = self.undeepened(region.min);
            let high = self.undeepened(region.max);
            let middle = [0, 1, 2].map(|axis| 0.5 * (low[axis] + high[axis]));
            let half = [0, 1, 2].map(|axis| 0.5 * (high[axis] - low[axis]));
            // A distance changes by no more than the way to the region's corners.
            let reach = half.iter().map(|half| half * half).sum::<f32>().sqrt();
            let value = cuboid.value(middle);
            min = min.min(value - reach);
            max = max.min(value + reach);
        }
        // Sums of rounded products: a few units in the last place either way.
        let slack = 1e-6 + 1e-5 * min.abs().max(max.abs());
        Bounds {
            min: min - slack,
            max: max + slack,
        }
    }

    fn value_and_gradient(&self, [x, y, z]: [f32; 3]) -> Option<(f32, [f32; 3])> {
        let maps = &*self.maps;
        let [across, down] = self.pixel(x, y);
        let (across, down) = (
            maps.squared_height.tap(across),
            maps.squared_height.tap(down),
        );
        let (height, height_slope) = maps.squared_height.value_and_slope(&across, &down);
        let (weight, weight_slope) = maps.inverse_diameter.value_and_slope(&across, &down);
        let raised = maps.raised.as_ref();
        let (raised, raised_slope) =
            raised.map_or((0.0, [0.0; 2]), |map| map.value_and_slope(&across, &down));
        let column = self.column(height, weight, raised);
        let value = self.value_in_column(column, z);
        if let Some(cuboid) = &self.within {
            let (inside, gradient) = cuboid.value_and_gradient(self.undeepened([x, y, z]));
            if inside <= value {
                let [x, y, z] = gradient.to_array();
                return Some((inside, [x, y, z / self.depth]));
            }
        }
        if self.cut_behind.is_some_and(|behind| value >= z - behind) {
            return Some((value, [0.0, 0.0, 1.0]));
        }
        let from_middle = z / self.depth - column.middle;
        let over_wall = (from_middle.abs() - column.wall).max(0.0);
        let sign = 1.0f32.copysign(from_middle);
        let unweighted = height - over_wall * over_wall;
        let slope = |axis: usize| {
            let over_wall_slope =
                -(sign * self.middle_share + self.wall_share) * raised_slope[axis];
            weight * (height_slope[axis] - 2.0 * over_wall * over_wall_slope)
                + unweighted * weight_slope[axis]
        };
        let side = maps.squared_height.side() as f32;
        let gradient = [
            side * slope(0),
            -side * slope(1),
            -2.0 * weight * over_wall * sign / self.depth,
        ];
        Some((value, gradient))
    }
}
