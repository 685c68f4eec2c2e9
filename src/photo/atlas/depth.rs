//! How deep inside the subject a pixel lies, as far as it matters near the outline.

use rayon::prelude::*;

/// The distance in pixels of every pixel's centre to the outline, up to `reach`; 0 outside.
///
/// The outline runs half a pixel before the first pixel outside; beyond the image everything is outside.
pub(super) fn depth(side: usize, reach: usize, inside: impl Fn(usize) -> bool + Sync) -> Vec<f32> {
    let mut along_rows = vec![0.0f32; side * side];
    along_rows
        .par_chunks_mut(side.max(1))
        .enumerate()
        .for_each(|(row, line)| {
            let mut run = 0;
            for (column, steps) in line.iter_mut().enumerate() {
                run = if inside(row * side + column) {
                    run + 1
                } else {
                    0
                };
                *steps = run.min(reach + 1) as f32;
            }
            let mut run = 0.0;
            for steps in line.iter_mut().rev() {
                run = if *steps > 0.0 { run + 1.0 } else { 0.0 };
                *steps = steps.min(run).powi(2);
            }
        });
    let mut depth = vec![0.0; side * side];
    depth
        .par_chunks_mut(side.max(1))
        .enumerate()
        .for_each(|(row, line)| {
            let middle = &along_rows[row * side..][..side];
            let farthest = ((reach + 1) * (reach + 1)) as f32;
            if middle.iter().all(|&squared| squared == 0.0) {
                return;
            }
            line.copy_from_slice(middle);
            for offset in 1..=reach {
                let across = (offset * offset) as f32;
                for other in [row.checked_sub(offset), Some(row + offset)] {
                    let other = other.filter(|&other| other < side);
                    match other.map(|other| &along_rows[other * side..][..side]) {
                        Some(beside) => {
                            for (squared, beside) in line.iter_mut().zip(beside) {
                                *squared = squared.min(beside + across);
                            }
                        }
                        None => {
                            for squared in line.iter_mut() {
                                *squared = squared.min(across);
                            }
                        }
                    }
                }
            }
            for squared in line.iter_mut() {
                *squared = (squared.min(farthest).sqrt() - 0.5).clamp(0.0, reach as f32);
            }
        });
    depth
}
