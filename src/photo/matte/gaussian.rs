//! Gaussian clusters of colours: how they are found, measured and compared.

use super::colour::squared_distance;

/// A symmetric 3 × 3 matrix: xx, xy, xz, yy, yz, zz.
pub(super) type Symmetric = [f64; 6];

/// The weighted count, sum and sum of products of some colours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    pub(super) weight: f64,
    sum: [f64; 3],
    products: Symmetric,
}

impl Moments {
    pub(super) fn add(&mut self, colour: [f32; 3], weight: f64) {
        let [x, y, z] = colour.map(f64::from);
        self.weight += weight;
        for (sum, value) in self.sum.iter_mut().zip([x, y, z]) {
            *sum += weight * value;
        }
        for (sum, value) in self
            .products
            .iter_mut()
            .zip([x * x, x * y, x * z, y * y, y * z, z * z])
        {
            *sum += weight * value;
        }
    }

    pub(super) fn mean(&self) -> [f64; 3] {
        self.sum.map(|sum| sum / self.weight.max(1e-9))
    }

    pub(super) fn covariance(&self) -> Symmetric {
        let [x, y, z] = self.mean();
        let shift = [x * x, x * y, x * z, y * y, y * z, z * z];
        let mut covariance = self.products.map(|sum| sum / self.weight.max(1e-9));
        (0..6).for_each(|i| covariance[i] -= shift[i]);
        for diagonal in [0, 3, 5] {
            covariance[diagonal] = covariance[diagonal].max(0.0);
        }
        covariance
    }
}

/// A Gaussian over colours, ready to be evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gaussian {
    mean: [f32; 3],
    inverse: [f32; 6],
    /// `-½ log det Σ`, without the constant that all Gaussians share.
    log_scale: f32,
}

impl Gaussian {
    /// The Gaussian of `moments`, its variances widened by `floor` (a diagonal).
    pub(super) fn new(moments: &Moments, floor: [f64; 3]) -> Self {
        let mut s = moments.covariance();
        s[0] += floor[0];
        s[3] += floor[1];
        s[5] += floor[2];
        let [a, b, c, d, e, f] = s;
        let minors = [
            d * f - e * e,
            c * e - b * f,
            b * e - c * d,
            a * f - c * c,
            b * c - a * e,
            a * d - b * b,
        ];
        let determinant = (a * minors[0] + b * minors[1] + c * minors[2]).max(1e-9);
        Self {
            mean: moments.mean().map(|value| value as f32),
            inverse: minors.map(|minor| (minor / determinant) as f32),
            log_scale: (-0.5 * determinant.ln()) as f32,
        }
    }

    /// The squared Mahalanobis distance of `colour` from the mean.
    pub(super) fn squared_distance(&self, colour: [f32; 3]) -> f32 {
        let x = colour[0] - self.mean[0];
        let y = colour[1] - self.mean[1];
        let z = colour[2] - self.mean[2];
        let [a, b, c, d, e, f] = self.inverse;
        (x * (a * x + 2.0 * (b * y + c * z)) + y * (d * y + 2.0 * e * z) + f * z * z).max(0.0)
    }

    /// The logarithm of the density, up to the constant that all Gaussians share.
    pub(super) fn log_density(&self, colour: [f32; 3]) -> f32 {
        self.log_scale - 0.5 * self.squared_distance(colour)
    }
}

/// Cuts weighted colours into at most `count` clusters and gives their moments, heaviest first.
///
/// Starts from binary splits across the principal axis of the widest cluster (Orchard and Bouman 1991),
/// so that nothing is random, then moves the means a few times (Lloyd 1982).
pub(super) fn clusters(samples: &[([f32; 3], f32)], count: usize) -> Vec<Moments> {
    let mut groups = vec![gather(samples.iter())];
    let mut assignment = vec![0_usize; samples.len()];
    while groups.len() < count {
        let Some((widest, axis)) = widest_axis(&groups) else {
            break;
        };
        let mean = groups[widest].mean();
        let next = groups.len();
        for (group, (colour, _)) in assignment.iter_mut().zip(samples) {
            let along: f64 = (0..3)
                .map(|i| (f64::from(colour[i]) - mean[i]) * axis[i])
                .sum();
            if *group == widest && along > 0.0 {
                *group = next;
            }
        }
        groups = regroup(samples, &assignment, next + 1);
        if groups[next].weight <= 0.0 || groups[widest].weight <= 0.0 {
            break;
        }
    }
    for _ in 0..LLOYD_ROUNDS {
        let means: Vec<[f32; 3]> = groups
            .iter()
            .map(|group| group.mean().map(|value| value as f32))
            .collect();
        for (group, (colour, _)) in assignment.iter_mut().zip(samples) {
            *group = nearest(&means, *colour);
        }
        groups = regroup(samples, &assignment, means.len());
    }
    groups.retain(|group| group.weight > 0.0);
    groups.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    groups
}

const LLOYD_ROUNDS: usize = 6;

fn gather<'a>(samples: impl Iterator<Item = &'a ([f32; 3], f32)>) -> Moments {
    let mut moments = Moments::default();
    for &(colour, weight) in samples {
        moments.add(colour, f64::from(weight));
    }
    moments
}

fn regroup(samples: &[([f32; 3], f32)], assignment: &[usize], count: usize) -> Vec<Moments> {
    let mut groups = vec![Moments::default(); count];
    for (&group, &(colour, weight)) in assignment.iter().zip(samples) {
        groups[group].add(colour, f64::from(weight));
    }
    groups
}

fn nearest(means: &[[f32; 3]], colour: [f32; 3]) -> usize {
    let mut best = (0, f32::INFINITY);
    for (i, &mean) in means.iter().enumerate() {
        let distance = squared_distance(mean, colour);
        if distance < best.1 {
            best = (i, distance);
        }
    }
    best.0
}

/// The cluster that varies most along one axis, all its weight counted, and that axis.
fn widest_axis(groups: &[Moments]) -> Option<(usize, [f64; 3])> {
    let mut widest: Option<(f64, usize, [f64; 3])> = None;
    for (i, group) in groups.iter().enumerate() {
        let (variance, axis) = principal_axis(&group.covariance());
        let spread = variance * group.weight;
        if variance > 1e-3 && widest.is_none_or(|(most, ..)| spread > most) {
            widest = Some((spread, i, axis));
        }
    }
    widest.map(|(_, i, axis)| (i, axis))
}

/// The largest eigenvalue and its eigenvector, by the power method.
fn principal_axis(s: &Symmetric) -> (f64, [f64; 3]) {
    let mut axis = [0.8, 0.5, 0.33];
    let mut value = 0.0;
    for _ in 0..24 {
        let [x, y, z] = axis;
        let next = [
            s[0] * x + s[1] * y + s[2] * z,
            s[1] * x + s[3] * y + s[4] * z,
            s[2] * x + s[4] * y + s[5] * z,
        ];
        value = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        if value < 1e-12 {
            return (0.0, axis);
        }
        axis = next.map(|v| v / value);
    }
    (value, axis)
}
