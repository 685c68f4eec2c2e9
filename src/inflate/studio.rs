//! The steps in order, each kept until what it depends on changes.

use std::sync::Arc;

use super::cuboid::Cuboid;
use super::detail::shading_detail;
use super::filter::halve;
use super::solid::{Assembly, Profile, Raising, SolidMaps};
use super::spline::Spline;
use super::{Back, Controls, InflateError, Map, Mode, REFERENCE_SIDE, Solid, WorkMaps};
use super::{balls, cuboid, decrease, distance, flat, jitter, lathe, relief, resample, rim};
use crate::compute::{Context, Reservation};
use crate::photo::Cutout;

/// Below this the back of a flat-backed solid is cut off, in frame sides: nothing but its rim's edge.
const FLAT_BACK: f32 = -0.002;
/// The bevel at which the outline cuts a box, as a share of the longest side: none that shows.
const CUBOID_BEVEL: f32 = 0.01;
/// The finest maps, whatever the level.
const FINEST_SIDE: usize = 1024;

/// The memory that the source takes for a solid of this level, in bytes, stated before it starts.
pub fn cost_bytes(level: u32) -> u64 {
    let kept = |side: usize| (side as u64).pow(2) * 4 * 3 + 3 * Spline::bytes(side);
    let side = side_of(level);
    let reference = kept(REFERENCE_SIDE) + resample::bytes(REFERENCE_SIDE);
    let finer = if side == REFERENCE_SIDE {
        0
    } else {
        kept(side)
    };
    reference + finer + outline_bytes(side) + base_bytes(side)
}

/// What a solid's maps of this level take on a device that evaluates it, in bytes.
pub fn device_bytes(level: u32) -> u64 {
    3 * Spline::device_bytes(side_of(level))
}

/// The side of the maps for a level.
fn side_of(level: u32) -> usize {
    (level as usize).clamp(REFERENCE_SIDE, FINEST_SIDE)
}

fn outline_bytes(side: usize) -> u64 {
    resample::bytes(side) + distance::bytes(side)
}

fn base_bytes(side: usize) -> u64 {
    let inflating = balls::bytes(side) + decrease::bytes(side).max(rim::bytes(side));
    inflating.max(jitter::bytes(side))
}

/// A value and the memory it holds.
#[derive(Debug)]
struct Kept<T> {
    value: T,
    _reservation: Reservation,
}

/// What was decided about the shape, and the maps it was decided on.
#[derive(Debug)]
struct Study {
    mode: Mode,
    /// The colours, for what reads the front from them.
    work: WorkMaps,
    /// The distance to the outline at the reference side.
    distance: Arc<Map>,
    /// The longest side of the outline, in frame sides.
    longest: f32,
    /// The box, in its mode.
    cuboid: Option<Cuboid>,
}

/// The outline inflated at one side: squared heights in px².
#[derive(Debug)]
struct Base {
    squared_height: Map,
}

/// How far the front is raised, at the reference side in its pixels, and the depth that goes with it.
#[derive(Debug)]
struct Front {
    raised: Map,
    /// Scales the height.
    height_scale: f32,
}

/// Makes solids from one cut-out, and remembers every step that a changed control leaves as it was.
#[derive(Debug)]
pub struct Inflate {
    cutout: Arc<Cutout>,
    study: Option<Arc<Kept<Study>>>,
    bases: Vec<(usize, Arc<Kept<Base>>)>,
    front: Option<Arc<Kept<Front>>>,
    maps: Vec<(MapsKey, Arc<SolidMaps>)>,
}

/// What a solid's maps depend on, apart from the cut-out.
#[derive(Debug, Clone, Copy, PartialEq)]
struct MapsKey {
    side: usize,
    /// The scale of the raised front; `None` without one.
    raise: Option<f32>,
    raising: Raising,
}

impl Inflate {
    /// A source for this cut-out; nothing is computed yet.
    pub fn new(cutout: Arc<Cutout>) -> Self {
        Self {
            cutout,
            study: None,
            bases: Vec::new(),
            front: None,
            maps: Vec::new(),
        }
    }

    /// The solid without what is read from its shading: what the first coarse mesh shows.
    ///
    /// # Errors
    ///
    /// Every kind of [`InflateError`].
    pub fn rough(
        &mut self,
        controls: &Controls,
        level: u32,
        context: &Context,
    ) -> Result<Solid, InflateError> {
        self.make(controls, level, false, context)
    }

    /// The solid with everything.
    ///
    /// # Errors
    ///
    /// Every kind of [`InflateError`].
    pub fn solid(
        &mut self,
        controls: &Controls,
        level: u32,
        context: &Context,
    ) -> Result<Solid, InflateError> {
        self.make(controls, level, true, context)
    }

    /// Gives up what only levels finer than the reference side need, so that a kept source is small and a
    /// coarse level is still quick.
    pub fn trim(&mut self) {
        self.bases.retain(|(side, _)| *side == REFERENCE_SIDE);
        self.maps.retain(|(key, _)| key.side == REFERENCE_SIDE);
    }

    fn make(
        &mut self,
        controls: &Controls,
        level: u32,
        detailed: bool,
        context: &Context,
    ) -> Result<Solid, InflateError> {
        controls.check()?;
        check(&self.cutout)?;
        let side = side_of(level);
        let study = self.study(context)?;
        let study = &study.value;
        let base = self.base(study, side, context)?;
        let front = if detailed {
            Some(self.front(study, context)?)
        } else {
            None
        };
        let raising = match (study.mode, controls.back) {
            (Mode::Relief, _) => Raising::Wall,
            (_, Back::Mirror | Back::Flat) => Raising::Both,
            (_, Back::Auto | Back::Plain) => Raising::Front,
        };
        let raise = match study.mode {
            Mode::Slab | Mode::Cuboid => 0.0,
            Mode::Relief => 1.0,
            // Grooves have a depth of their own, which the default leaves as it is.
            Mode::Grooved => (controls.detail / Controls::default().detail).min(1.0),
            Mode::Puffy | Mode::Lathe => controls.detail,
        };
        let key = MapsKey {
            side,
            raise: (detailed && raise > 0.0).then_some(raise),
            raising,
        };
        let maps = self.maps(
            key,
            &base.value,
            front.as_deref().map(|front| &front.value),
            context,
        )?;
        Ok(Solid::new(maps, assembly(study, controls, raising)))
    }

    /// Steps 1, 2 and 4 at the reference side: the outline, and what kind of thing it is.
    fn study(&mut self, context: &Context) -> Result<Arc<Kept<Study>>, InflateError> {
        if let Some(study) = &self.study {
            return Ok(study.clone());
        }
        let side = REFERENCE_SIDE;
        let kept = resample::bytes(side) + map_bytes(side);
        let reservation = context.ledger.reserve(kept, "the outline")?;
        let _scratch = context
            .ledger
            .reserve(distance::bytes(side), "the outline's distance")?;
        let work = resample::work_maps(&self.cutout, side, &context.cancel)?;
        let distance = distance::signed_distance(&work.alpha, &context.cancel)?;
        context.cancel.checkpoint()?;
        let cuboid = if self.cutout.full_frame {
            None
        } else {
            cuboid::seen_from_corner(&work, &distance)
        };
        let mode = if self.cutout.full_frame {
            Mode::Relief
        } else if cuboid.is_some() {
            Mode::Cuboid
        } else if flat::is_flat(&work, &distance) {
            if flat::is_slab(&work, &distance) {
                Mode::Slab
            } else {
                Mode::Grooved
            }
        } else if lathe::turned(&distance).is_some() {
            Mode::Lathe
        } else {
            Mode::Puffy
        };
        let study = Arc::new(Kept {
            value: Study {
                mode,
                cuboid,
                longest: longest_px(&distance) / side as f32,
                work,
                distance: Arc::new(distance),
            },
            _reservation: reservation,
        });
        self.study = Some(study.clone());
        Ok(study)
    }

    /// Step 3 at any side, or the profile of a slab.
    fn base(
        &mut self,
        study: &Study,
        side: usize,
        context: &Context,
    ) -> Result<Arc<Kept<Base>>, InflateError> {
        if let Some((_, base)) = self.bases.iter().find(|(known, _)| *known == side) {
            return Ok(base.clone());
        }
        let reservation = context
            .ledger
            .reserve(map_bytes(side), "the inflated outline")?;
        let scratch = outline_bytes(side) + base_bytes(side);
        let _scratch = context.ledger.reserve(scratch, "inflating the outline")?;
        let distance = if side == study.distance.side {
            jitter::without_jitter(&study.distance)
        } else {
            let work = resample::work_maps(&self.cutout, side, &context.cancel)?;
            jitter::without_jitter(&distance::signed_distance(&work.alpha, &context.cancel)?)
        };
        context.cancel.checkpoint()?;
        let bevel = match study.mode {
            Mode::Slab => Some(flat::SLAB_BEVEL),
            Mode::Relief => Some(relief::PLATE_BEVEL),
            Mode::Cuboid => Some(CUBOID_BEVEL),
            Mode::Puffy | Mode::Grooved | Mode::Lathe => None,
        };
        let squared_height = match bevel {
            Some(bevel) => flat::bevel(&distance, bevel * study.longest * side as f32),
            None => inflated(&distance, context)?,
        };
        let base = Arc::new(Kept {
            value: Base { squared_height },
            _reservation: reservation,
        });
        self.bases.push((side, base.clone()));
        Ok(base)
    }

    /// Steps 4 and 5: what raises the front.
    fn front(
        &mut self,
        study: &Study,
        context: &Context,
    ) -> Result<Arc<Kept<Front>>, InflateError> {
        if let Some(front) = &self.front {
            return Ok(front.clone());
        }
        let side = REFERENCE_SIDE;
        let reservation = context
            .ledger
            .reserve(map_bytes(side), "the front's relief")?;
        let _scratch = context
            .ledger
            .reserve(6 * map_bytes(side), "reading the front's relief")?;
        let longest_px = study.longest * side as f32;
        let (raised, height_scale) = match study.mode {
            Mode::Relief => {
                let mut heights = relief::heights(&study.work, &study.distance, longest_px);
                heights
                    .values
                    .iter_mut()
                    .for_each(|height| *height *= longest_px);
                (heights, 1.0)
            }
            Mode::Grooved => {
                let grooves =
                    flat::grooves(&study.work, &study.distance, longest_px, &context.cancel)?;
                (grooves, flat::PUFFY_SCALE)
            }
            Mode::Puffy | Mode::Lathe => {
                let base = self.base(study, side, context)?;
                from_shading(study, &base.value, context)?
            }
            Mode::Slab | Mode::Cuboid => (Map::filled(side, 0.0), 1.0),
        };
        let front = Arc::new(Kept {
            value: Front {
                raised,
                height_scale,
            },
            _reservation: reservation,
        });
        self.front = Some(front.clone());
        Ok(front)
    }

    /// The maps of the solid, the only step that the detail and the back change.
    fn maps(
        &mut self,
        key: MapsKey,
        base: &Base,
        front: Option<&Front>,
        context: &Context,
    ) -> Result<Arc<SolidMaps>, InflateError> {
        if let Some((_, maps)) = self.maps.iter().find(|(known, _)| *known == key) {
            return Ok(maps.clone());
        }
        let side = key.side;
        let _scratch = context
            .ledger
            .reserve(4 * map_bytes(side), "making the solid's maps")?;
        let raised = match (front, key.raise) {
            (Some(front), Some(raise)) => Some((enlarged(&front.raised, side), raise)),
            _ => None,
        };
        let profile = Profile {
            squared_height: &base.squared_height,
            height_scale: front.map_or(1.0, |front| front.height_scale),
            raised: raised.as_ref().map(|(map, raise)| (map, *raise)),
            raising: key.raising,
        };
        let maps = Arc::new(SolidMaps::new(&profile, context)?);
        // Of each side only the newest is kept: a slider drawn along would fill the memory.
        self.maps.retain(|(known, _)| known.side != side);
        self.maps.push((key, maps.clone()));
        Ok(maps)
    }
}

fn map_bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 4
}

fn check(cutout: &Cutout) -> Result<(), InflateError> {
    let pixels = cutout.side.checked_mul(cutout.side);
    if cutout.side > 0 && pixels == Some(cutout.pixels.len()) && pixels == Some(cutout.alpha.len())
    {
        return Ok(());
    }
    Err(InflateError::BadCutout {
        side: cutout.side,
        colours: cutout.pixels.len(),
        coverages: cutout.alpha.len(),
    })
}

/// Step 3: the union of balls, its creases smoothed, its rim on the outline, turned where it may be.
fn inflated(distance: &Map, context: &Context) -> Result<Map, InflateError> {
    let balls = balls::ball_union(distance, &context.cancel)?;
    let smooth = decrease::smooth_creases(&balls, distance, &context.cancel)?;
    let mut squared_height = rim::fix_rim(&smooth, distance);
    if let Some(turned) = lathe::turned(distance) {
        lathe::raise(&mut squared_height, &turned);
        squared_height = rim::fix_rim(&squared_height, distance);
    }
    Ok(squared_height)
}

/// Step 5: the relief that explains the shading, and the height scale that goes with its contrast.
fn from_shading(study: &Study, base: &Base, context: &Context) -> Result<(Map, f32), InflateError> {
    let half = |map: &Map, scale: f32| {
        let mut half = halve(map);
        half.values.iter_mut().for_each(|value| *value *= scale);
        half
    };
    let distance = half(&study.distance, 0.5);
    let mut height = half(&base.squared_height, 0.25);
    height
        .values
        .iter_mut()
        .for_each(|value| *value = value.max(0.0).sqrt());
    let colours = study.work.halved_colours();
    let cancelled = || context.cancel.is_cancelled();
    let detail =
        shading_detail(&height, &distance, &colours, &cancelled).ok_or(InflateError::Cancelled)?;
    let mut relief = enlarged(&detail.relief, study.distance.side);
    for (relief, distance) in relief.values.iter_mut().zip(&study.distance.values) {
        *relief *= (distance - 1.0).clamp(0.0, 1.0);
    }
    Ok((relief, height_scale(detail.light_strength)))
}

/// Weak shading tells of a flat object: the less contrast, the thinner.
fn height_scale(light_strength: f32) -> f32 {
    const THINNEST: f32 = 0.6;
    THINNEST + (1.0 - THINNEST) * ((light_strength - 0.15) / 0.3).clamp(0.0, 1.0)
}

fn longest_px(distance: &Map) -> f32 {
    let side = distance.side;
    let (mut columns, mut rows) = ((side, 0), (side, 0));
    for (pixel, distance) in distance.values.iter().enumerate() {
        if *distance > 0.0 {
            let (column, row) = (pixel % side, pixel / side);
            columns = (columns.0.min(column), columns.1.max(column));
            rows = (rows.0.min(row), rows.1.max(row));
        }
    }
    let length = |(low, high): (usize, usize)| (high + 1).saturating_sub(low);
    length(columns).max(length(rows)).max(1) as f32
}

/// The map at another side, lengths in its pixels.
fn enlarged(map: &Map, side: usize) -> Map {
    let scale = side as f32 / map.side as f32;
    if side == map.side {
        return map.clone();
    }
    let spline = Spline::through(map.clone());
    let taps: Vec<_> = (0..side)
        .map(|pixel| spline.tap((pixel as f32 + 0.5) / scale - 0.5))
        .collect();
    let mut out = Map::filled(side, 0.0);
    spline.read_grid(&taps, &taps, &mut out.values);
    out.values.iter_mut().for_each(|value| *value *= scale);
    out
}

fn assembly(study: &Study, controls: &Controls, raising: Raising) -> Assembly {
    let wall = match study.mode {
        Mode::Slab => (flat::SLAB_HALF_THICKNESS - flat::SLAB_BEVEL) * study.longest,
        Mode::Relief => (relief::PLATE_HALF_THICKNESS - relief::PLATE_BEVEL) * study.longest,
        // As deep as the box that cuts it down.
        Mode::Cuboid => 2.0,
        Mode::Puffy | Mode::Grooved | Mode::Lathe => 0.0,
    };
    // A plate's back is flat already.
    let cut = controls.back == Back::Flat && study.mode != Mode::Relief;
    Assembly {
        mode: study.mode,
        depth: controls.thickness,
        raise: controls.relief,
        raising,
        still_back: controls.back != Back::Mirror,
        wall,
        cut_behind: cut.then_some(FLAT_BACK),
        within: study.cuboid,
    }
}
