//! Attention on the processor.

use rayon::prelude::*;

use super::super::Matrix;
use super::super::gemm::{Strided, StridedMut, multiply};
use super::super::math::{self, vectorised};
use super::{Heads, View};
use crate::compute::{Activations, Cancel, Cancelled};

/// Queries that look at keys together, for which keys and values are brought into order.
const BLOCK_ROWS: usize = 192;
/// Keys that are looked at together. The scores of a block stay near the processor.
const BLOCK_KEYS: usize = 512;

/// A thread's own numbers for a block of queries and one head.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    sums: Vec<f32>,
    /// The greatest score of each query so far.
    greatest: Vec<f32>,
    /// The sum of each query's weights so far, relative to its greatest score.
    totals: Vec<f32>,
}

pub(super) fn attention(
    queries: View<'_>,
    keys: View<'_>,
    values: View<'_>,
    heads: Heads,
    out: &mut Matrix,
    activations: Activations,
    cancel: &Cancel,
) -> Result<(), Cancelled> {
    let turned = turned_keys(keys, heads);
    let columns = heads.columns();
    let attention = Attention {
        keys: &turned,
        key_count: keys.matrix.rows(),
        values,
        heads,
    };
    let stride = queries.matrix.columns();
    out.values_mut()
        .par_chunks_mut((BLOCK_ROWS * columns).max(1))
        .zip(
            queries
                .matrix
                .values()
                .par_chunks((BLOCK_ROWS * stride).max(1)),
        )
        .try_for_each_init(Scratch::default, |scratch, (out, queries_rows)| {
            for head in 0..heads.count {
                cancel.checkpoint()?;
                let queries = Strided {
                    values: &queries_rows[queries.first + head * heads.width..],
                    rows: out.len() / columns,
                    columns: heads.width,
                    stride,
                };
                attention.head(head, queries, scratch);
                let rows = out.chunks_exact_mut(columns);
                let sums = scratch.sums.chunks_exact(heads.width);
                for ((row, sums), total) in rows.zip(sums).zip(&scratch.totals) {
                    let row = &mut row[head * heads.width..][..heads.width];
                    for (value, sum) in row.iter_mut().zip(sums) {
                        *value = sum / total;
                    }
                }
            }
            activations.round(out);
            Ok(())
        })
}

/// The keys of each head, scaled, with all keys' first numbers first.
fn turned_keys(keys: View<'_>, heads: Heads) -> Vec<f32> {
    let scale = 1.0 / (heads.width as f32).sqrt();
    let count = keys.matrix.rows();
    let mut turned = vec![0.0; heads.columns() * count];
    turned
        .par_chunks_mut((heads.width * count).max(1))
        .enumerate()
        .for_each(|(head, turned)| {
            let first = keys.first + head * heads.width;
            for key in 0..count {
                let numbers = &keys.matrix.row(key)[first..][..heads.width];
                for (place, number) in numbers.iter().enumerate() {
                    turned[place * count + key] = scale * number;
                }
            }
        });
    turned
}

struct Attention<'a> {
    keys: &'a [f32],
    key_count: usize,
    values: View<'a>,
    heads: Heads,
}

impl Attention<'_> {
    /// The weighted sums of the values for a block of queries, and the sums of the weights.
    fn head(&self, head: usize, queries: Strided<'_>, scratch: &mut Scratch) {
        let width = self.heads.width;
        let rows = queries.rows;
        scratch.sums.clear();
        scratch.sums.resize(rows * width, 0.0);
        scratch.greatest.clear();
        scratch.greatest.resize(rows, f32::MIN);
        scratch.totals.clear();
        scratch.totals.resize(rows, 0.0);
        scratch.scores.resize(rows * BLOCK_KEYS, 0.0);
        let keys = &self.keys[head * width * self.key_count..];
        let stride = self.values.matrix.columns();
        for first in (0..self.key_count).step_by(BLOCK_KEYS) {
            let count = BLOCK_KEYS.min(self.key_count - first);
            let block = Strided {
                values: &keys[first..],
                rows: width,
                columns: count,
                stride: self.key_count,
            };
            let scores = StridedMut {
                values: &mut scratch.scores,
                rows,
                columns: count,
                stride: count,
            };
            multiply(queries, block, scores, false);
            vectorised(
                #[inline(always)]
                || weigh(count, scratch, width),
            );
            let weights = Strided {
                values: &scratch.scores,
                rows,
                columns: count,
                stride: count,
            };
            let from = first * stride + self.values.first + head * width;
            let values = Strided {
                values: &self.values.matrix.values()[from..],
                rows: count,
                columns: width,
                stride,
            };
            let sums = StridedMut {
                values: &mut scratch.sums,
                rows,
                columns: width,
                stride: width,
            };
            multiply(weights, values, sums, true);
        }
    }
}

/// Turns scores into weights relative to the greatest score so far, and scales what was summed before.
#[inline(always)]
fn weigh(count: usize, scratch: &mut Scratch, width: usize) {
    let rows = scratch.scores.chunks_exact_mut(count);
    for (row, scores) in rows.take(scratch.totals.len()).enumerate() {
        let before = scratch.greatest[row];
        let greatest = math::greatest(scores, before);
        let faded = math::exp(before - greatest);
        let total = math::exponentials(scores, greatest);
        scratch.greatest[row] = greatest;
        scratch.totals[row] = scratch.totals[row] * faded + total;
        for sum in &mut scratch.sums[row * width..][..width] {
            *sum *= faded;
        }
    }
}
