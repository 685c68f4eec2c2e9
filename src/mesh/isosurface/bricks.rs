//! The samples of the bricks that hold surface.
//!
//! A sample on the side of a brick belongs to up to eight bricks. Whatever the field does, all of them
//! must see one value there: a sign that differs would tear the surface. And whatever bounds the field
//! gives, a surface that runs into a brick left out is followed there.

use rayon::prelude::*;

use super::lattice::{BRICK_SAMPLES, Directory, Lattice, MISSING, SAMPLES, SIDE};
use super::{IsosurfaceError, Survey};
use crate::field::{Brick, Field};

/// A brick of 8³ cells and the values at its 9³ samples, x fastest.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) coordinates: [u16; 3],
    pub(super) values: Box<[f32; BRICK_SAMPLES]>,
}

/// Whether there are samples on either side of the surface.
fn mixed<'a>(values: impl Iterator<Item = &'a f32>) -> bool {
    let (mut inside, mut outside) = (false, false);
    for value in values {
        inside |= *value > 0.0;
        outside |= *value <= 0.0;
    }
    inside && outside
}

/// Turns the sign of samples where the lattice ends, so that they are outside.
fn close_border(lattice: &Lattice, coordinates: [u16; 3], values: &mut [f32; BRICK_SAMPLES]) {
    let first = coordinates.map(|c| usize::from(c) * SIDE);
    if !lattice.ends_within(coordinates.map(usize::from), 1) {
        return;
    }
    for (index, value) in values.iter_mut().enumerate() {
        let [x, y, z] = sample_at(index);
        if *value > 0.0 && lattice.is_border_sample([first[0] + x, first[1] + y, first[2] + z]) {
            *value = -*value;
        }
    }
}

/// The coordinates of a sample within its brick.
pub(super) fn sample_at(index: usize) -> [usize; 3] {
    [
        index % SAMPLES,
        index / SAMPLES % SAMPLES,
        index / (SAMPLES * SAMPLES),
    ]
}

/// Evaluates the field in the surveyed bricks and returns those that hold surface.
pub(super) fn fill(
    field: &dyn Field,
    survey: &Survey,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(Vec<Sampled>, Directory), IsosurfaceError> {
    let lattice = &survey.lattice;
    let samples_of = |coordinates: [u16; 3]| Brick {
        origin: lattice.position(coordinates.map(|c| usize::from(c) * SIDE)),
        step: lattice.step,
        samples: [SAMPLES; 3],
    };
    let evaluate = |coordinates: &[[u16; 3]], fill: &dyn Fn(&[Brick], &mut [f32])| {
        if cancelled() {
            return Err(IsosurfaceError::Cancelled);
        }
        let bricks: Vec<_> = coordinates.iter().copied().map(samples_of).collect();
        let mut values = vec![[f32::NAN; BRICK_SAMPLES]; bricks.len()];
        fill(&bricks, values.as_flattened_mut());
        for (coordinates, values) in coordinates.iter().zip(&mut values) {
            close_border(lattice, *coordinates, values);
        }
        Ok(values)
    };
    let together = (field.batch() / BRICK_SAMPLES).max(1);
    let stored = |coordinates, values: &_| Sampled {
        coordinates,
        values: Box::new(*values),
    };
    let surface_of = |coordinates: &[[u16; 3]]| {
        let fill = |bricks: &_, values: &mut _| field.fill_near_surface(bricks, values);
        let values = evaluate(coordinates, &fill)?;
        let bricks = coordinates.iter().zip(&values);
        // Only what is kept is worth a place in memory.
        let mixed = bricks.filter(|(_, values)| mixed(values.iter()));
        Ok(mixed.map(|(at, values)| stored(*at, values)).collect())
    };
    let bricks: Vec<Vec<Sampled>> = survey
        .bricks
        .par_chunks(together)
        .map(surface_of)
        .collect::<Result<_, _>>()?;
    let mut bricks: Vec<Sampled> = bricks.into_iter().flatten().collect();
    let mut directory = Directory::new(lattice, bricks.iter().map(|brick| brick.coordinates));
    loop {
        reconcile(&mut bricks, &directory, cancelled)?;
        let missed = missed_neighbours(&bricks, &directory, cancelled)?;
        if missed.is_empty() {
            return Ok((bricks, directory));
        }
        for missed in missed.chunks(together) {
            // Here the surface is known to pass.
            let fill = |bricks: &_, values: &mut _| field.fill_all(bricks, values);
            for (&coordinates, values) in missed.iter().zip(&evaluate(missed, &fill)?) {
                directory.insert(coordinates, bricks.len() as u32);
                bricks.push(stored(coordinates, values));
            }
        }
    }
}

/// Whether the samples that a brick shares with the one at `offset` are on either side of the surface.
fn is_mixed_towards(brick: &Sampled, offset: [i32; 3]) -> bool {
    let [x, y, z] = offset.map(shared_range);
    let (mut inside, mut outside) = (false, false);
    for plane in z {
        for line in y.clone() {
            let row = sample_index([0, line, plane]);
            for value in &brick.values[row..row + SAMPLES][x.clone()] {
                inside |= *value > 0.0;
                outside |= *value <= 0.0;
            }
        }
    }
    inside && outside
}

/// The part of a brick's samples that it shares with the neighbour at `offset`.
fn shared_range(offset: i32) -> std::ops::RangeInclusive<usize> {
    match offset {
        -1 => 0..=0,
        0 => 0..=SIDE,
        _ => SIDE..=SIDE,
    }
}

fn offsets() -> impl Iterator<Item = [i32; 3]> {
    (0..27).map(|code| [code % 3 - 1, code / 3 % 3 - 1, code / 9 - 1])
}

/// Samples in a brick that lie at `offset`: on its low side, strictly within, or on its high side.
fn rim(offset: [i32; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [x, y, z] = offset.map(|part| match part {
        -1 => 0..1,
        0 => 1..SIDE,
        _ => SIDE..SAMPLES,
    });
    z.flat_map(move |z| {
        let x = x.clone();
        y.clone()
            .flat_map(move |y| x.clone().map(move |x| [x, y, z]))
    })
}

fn sample_index([x, y, z]: [usize; 3]) -> usize {
    (z * SAMPLES + y) * SAMPLES + x
}

/// Gives every shared sample the value it has in the greatest (by z, y, x) of the bricks that share it.
fn reconcile(
    bricks: &mut [Sampled],
    directory: &Directory,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<(), IsosurfaceError> {
    let differing = |brick: &Sampled| {
        if cancelled() {
            return Err(IsosurfaceError::Cancelled);
        }
        let mut found = Vec::new();
        if agrees_with_all(brick, bricks, directory) {
            return Ok(found);
        }
        for offset in offsets().filter(|offset| offset.contains(&1)) {
            let Some((source, at)) = greatest_sharer(brick.coordinates, offset, directory) else {
                continue;
            };
            let theirs = &bricks[source as usize].values;
            for sample in rim(offset) {
                let there: [usize; 3] = std::array::from_fn(|axis| {
                    sample[axis].wrapping_sub((at[axis] * SIDE as i32) as usize)
                });
                let (here, value) = (sample_index(sample), theirs[sample_index(there)]);
                if brick.values[here].to_bits() != value.to_bits() {
                    found.push((here, value));
                }
            }
        }
        Ok(found)
    };
    let corrections = bricks
        .par_iter()
        .map(differing)
        .collect::<Result<Vec<Vec<(usize, f32)>>, _>>()?;
    for (brick, corrections) in bricks.iter_mut().zip(corrections) {
        for (index, value) in corrections {
            brick.values[index] = value;
        }
    }
    Ok(())
}

/// Whether a brick has the same values as every greater brick in the samples it shares with it. A brick that
/// is greater by z, y, x may lie on the low side along x or y.
fn agrees_with_all(brick: &Sampled, bricks: &[Sampled], directory: &Directory) -> bool {
    // Behind the brick's own offset, the fourteenth.
    offsets()
        .skip(14)
        .all(|offset| match directory.number(brick.coordinates, offset) {
            MISSING => true,
            number => agrees(&brick.values, &bricks[number as usize].values, offset),
        })
}

/// Whether the samples of `ours` that it shares with `theirs`, which lies at `offset`, are the same there.
fn agrees(ours: &[f32; BRICK_SAMPLES], theirs: &[f32; BRICK_SAMPLES], offset: [i32; 3]) -> bool {
    let [x, y, z] = offset.map(shared_range);
    // From a sample's place in ours to its place in theirs.
    let moved = |at: usize, part: i32| (at as i32 - part * SIDE as i32) as usize;
    z.into_iter().all(|plane| {
        y.clone().all(|line| {
            let here = sample_index([*x.start(), line, plane]);
            let there = [
                moved(*x.start(), offset[0]),
                moved(line, offset[1]),
                moved(plane, offset[2]),
            ];
            let (count, there) = (x.end() - x.start() + 1, sample_index(there));
            let pairs = ours[here..here + count].iter().zip(&theirs[there..]);
            pairs.fold(true, |all, (a, b)| all & (a.to_bits() == b.to_bits()))
        })
    })
}

/// The greatest brick that shares the samples at `offset`, and where it lies, unless it is the brick
/// itself.
fn greatest_sharer(
    coordinates: [u16; 3],
    offset: [i32; 3],
    directory: &Directory,
) -> Option<(u32, [i32; 3])> {
    // From the greatest down: per axis the neighbour on the side of the sample, or the brick's own.
    let choices = offset.map(|part| if part > 0 { [1, 0] } else { [0, part] });
    for code in 0..8 {
        let at = [
            choices[0][code & 1],
            choices[1][code >> 1 & 1],
            choices[2][code >> 2],
        ];
        if at == [0; 3] {
            return None;
        }
        let number = directory.number(coordinates, at);
        if number != MISSING {
            return Some((number, at));
        }
    }
    None
}

/// Bricks that are not stored although the surface runs into them, in order.
fn missed_neighbours(
    bricks: &[Sampled],
    directory: &Directory,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<[u16; 3]>, IsosurfaceError> {
    let mut missed: Vec<[u16; 3]> = bricks
        .par_iter()
        // Once cancelled, what is found does not matter.
        .filter(|_| !cancelled())
        .flat_map_iter(|brick| {
            offsets().filter_map(move |offset| {
                let neighbour = directory.neighbour(brick.coordinates, offset)?;
                let missing = directory.number(brick.coordinates, offset) == MISSING;
                (missing && is_mixed_towards(brick, offset)).then_some(neighbour)
            })
        })
        .collect();
    missed.sort_unstable_by_key(|&[x, y, z]| (z, y, x));
    missed.dedup();
    if cancelled() {
        Err(IsosurfaceError::Cancelled)
    } else {
        Ok(missed)
    }
}
