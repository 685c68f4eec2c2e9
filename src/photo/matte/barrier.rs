//! The minimum barrier distance from the frame (Zhang et al. 2015, "Minimum barrier salient object
//! detection at 80 FPS").
//!
//! A path's barrier is the range of colours that it passes; a subject is what no path reaches from the
//! frame without a high barrier, however a background may drift.

const PASSES: usize = 4;

/// The least barrier between each pixel and any seed, in units of Lab, the greatest over the channels.
///
/// `seeds` are at distance 0. Approximate, as in the paper: four raster passes in turn.
pub(super) fn minimum_barrier(
    lab: &[[f32; 3]],
    width: usize,
    height: usize,
    seeds: impl Fn(usize) -> bool,
) -> Vec<f32> {
    let mut distance: Vec<f32> = (0..lab.len())
        .map(|i| if seeds(i) { 0.0 } else { f32::INFINITY })
        .collect();
    let mut highest = lab.to_vec();
    let mut lowest = lab.to_vec();
    for pass in 0..PASSES {
        let forward = pass % 2 == 0;
        for step_y in 0..height {
            let y = if forward { step_y } else { height - 1 - step_y };
            for step_x in 0..width {
                let x = if forward { step_x } else { width - 1 - step_x };
                let here = y * width + x;
                if distance[here] == 0.0 {
                    continue;
                }
                let vertical =
                    (step_y > 0).then(|| if forward { here - width } else { here + width });
                let horizontal = (step_x > 0).then(|| if forward { here - 1 } else { here + 1 });
                for from in [vertical, horizontal].into_iter().flatten() {
                    let mut barrier = 0.0_f32;
                    let (mut high, mut low) = ([0.0; 3], [0.0; 3]);
                    for c in 0..3 {
                        high[c] = highest[from][c].max(lab[here][c]);
                        low[c] = lowest[from][c].min(lab[here][c]);
                        barrier = barrier.max(high[c] - low[c]);
                    }
                    if distance[from].is_finite() && barrier < distance[here] {
                        distance[here] = barrier;
                        highest[here] = high;
                        lowest[here] = low;
                    }
                }
            }
        }
    }
    distance
}
