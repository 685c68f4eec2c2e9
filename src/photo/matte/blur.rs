//! Gaussian smoothing of several channels at once.

use rayon::prelude::*;

/// Smooths `values` (rows of `width`) by a Gaussian of standard deviation `sigma` pixels; the outermost
/// values continue beyond the frame.
pub(super) fn gaussian_blur<const N: usize>(
    values: &[[f32; N]],
    width: usize,
    height: usize,
    sigma: f32,
) -> Vec<[f32; N]> {
    let kernel = kernel(sigma);
    let reach = kernel.len() / 2;
    let mut across = vec![[0.0; N]; values.len()];
    across
        .par_chunks_mut(width)
        .zip(values.par_chunks(width))
        .for_each(|(out, line)| {
            for (x, out) in out.iter_mut().enumerate() {
                for (tap, weight) in kernel.iter().enumerate() {
                    let source = (x + tap).saturating_sub(reach).min(width - 1);
                    for c in 0..N {
                        out[c] += weight * line[source][c];
                    }
                }
            }
        });
    let mut down = vec![[0.0; N]; values.len()];
    down.par_chunks_mut(width).enumerate().for_each(|(y, out)| {
        for (tap, weight) in kernel.iter().enumerate() {
            let source = (y + tap).saturating_sub(reach).min(height - 1) * width;
            for (out, line) in out.iter_mut().zip(&across[source..source + width]) {
                for c in 0..N {
                    out[c] += weight * line[c];
                }
            }
        }
    });
    down
}

fn kernel(sigma: f32) -> Vec<f32> {
    let reach = (3.0 * sigma).ceil().max(1.0) as usize;
    let falloff = 0.5 / (sigma * sigma).max(1e-6);
    let mut kernel: Vec<f32> = (0..=2 * reach)
        .map(|i| {
            let offset = i as f32 - reach as f32;
            (-falloff * offset * offset).exp()
        })
        .collect();
    let sum: f32 = kernel.iter().sum();
    for weight in &mut kernel {
        *weight /= sum;
    }
    kernel
}
