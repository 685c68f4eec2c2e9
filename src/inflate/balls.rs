//! Step 3: the union of all inscribed balls.
//!
//! A pixel at distance `d` from the outline is the centre of a ball of radius `d`; the height of the
//! union of all of them, squared, is `max_m (d(m)² − |x − m|²)`: exact for spheres and tubes, and no
//! skeleton is needed. One lower envelope of parabolas a column and one a row (Felzenszwalb &
//! Huttenlocher 2012, "Distance transforms of sampled functions"; Coeurjolly & Montanvert 2007).

use rayon::prelude::*;

use super::{InflateError, Map};
use crate::compute::Cancel;

/// No ball reaches here.
const NOWHERE: f32 = f32::NEG_INFINITY;

/// The bytes that [`ball_union`] takes while it works, beyond its result.
pub(super) fn bytes(side: usize) -> u64 {
    (side as u64).pow(2) * 4
}

/// The squared height of the union of balls, in px²; negative outside the outline.
pub(super) fn ball_union(distance: &Map, cancel: &Cancel) -> Result<Map, InflateError> {
    envelope(
        distance,
        |distance| {
            if distance > 0.0 {
                distance * distance
            } else {
                NOWHERE
            }
        },
        cancel,
    )
}

/// The distance in pixels to the nearest pixel that `marked` marks; infinite where none is.
pub(super) fn distance_to_marked(marked: &Map, cancel: &Cancel) -> Result<Map, InflateError> {
    let mut map = envelope(
        marked,
        |mark| if mark > 0.0 { 0.0 } else { NOWHERE },
        cancel,
    )?;
    map.values
        .iter_mut()
        .for_each(|value| *value = (-*value).max(0.0).sqrt());
    Ok(map)
}

/// `max_m (f(m) − |x − m|²)` over all pixels `m`.
fn envelope(
    map: &Map,
    f: impl Fn(f32) -> f32 + Sync,
    cancel: &Cancel,
) -> Result<Map, InflateError> {
    let mut columns = transposed(map);
    columns
        .values
        .par_iter_mut()
        .for_each(|value| *value = f(*value));
    envelope_of_rows(&mut columns, cancel)?;
    let mut rows = transposed(&columns);
    envelope_of_rows(&mut rows, cancel)?;
    Ok(rows)
}

fn transposed(map: &Map) -> Map {
    let side = map.side;
    let mut out = Map::filled(side, 0.0);
    out.values
        .par_chunks_mut(side)
        .enumerate()
        .for_each(|(column, out)| {
            for (row, value) in out.iter_mut().enumerate() {
                *value = map.values[row * side + column];
            }
        });
    out
}

/// Replaces each row's `f` by `max_m (f(m) − (x − m)²)`.
fn envelope_of_rows(map: &mut Map, cancel: &Cancel) -> Result<(), InflateError> {
    let side = map.side;
    map.values
        .par_chunks_mut(side)
        .try_for_each_init(Envelope::default, |envelope, row| {
            cancel.checkpoint()?;
            envelope.apply(row);
            Ok(())
        })
}

/// The upper envelope of parabolas `f(m) − (x − m)²` along one row.
#[derive(Default)]
struct Envelope {
    /// The parabolas on the envelope, from left to right: apex position and height.
    apexes: Vec<(f64, f64)>,
    /// Where each of them takes over from the one before.
    starts: Vec<f64>,
}

impl Envelope {
    fn apply(&mut self, row: &mut [f32]) {
        self.apexes.clear();
        self.starts.clear();
        for (position, height) in row.iter().enumerate() {
            if *height > NOWHERE {
                self.add(position as f64, f64::from(*height));
            }
        }
        if self.apexes.is_empty() {
            return;
        }
        let mut current = 0;
        for (position, value) in row.iter_mut().enumerate() {
            let position = position as f64;
            while current + 1 < self.apexes.len() && self.starts[current + 1] < position {
                current += 1;
            }
            let (apex, height) = self.apexes[current];
            *value = (height - (position - apex).powi(2)) as f32;
        }
    }

    fn add(&mut self, apex: f64, height: f64) {
        let mut start = f64::NEG_INFINITY;
        while let Some(&(last_apex, last_height)) = self.apexes.last() {
            let lift = (apex * apex - height) - (last_apex * last_apex - last_height);
            start = lift / (2.0 * (apex - last_apex));
            if self
                .starts
                .last()
                .is_some_and(|&last_start| start <= last_start)
            {
                self.apexes.pop();
                self.starts.pop();
                start = f64::NEG_INFINITY;
            } else {
                break;
            }
        }
        self.apexes.push((apex, height));
        self.starts.push(start);
    }
}
