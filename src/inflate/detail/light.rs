//! Where the light comes from: a directional light fitted to the shading of a known surface.

use super::domain::Domain;

/// Smoothing of shading and normals before their gradients are compared, in pixels.
const SMOOTHING_PX: f32 = 1.0;
/// Layers of pixels left out along the outline, where the base's normals are least sure.
const RIM_LAYERS: usize = 4;
/// With fewer pixels than this left, the rim is used after all.
const FEWEST_PIXELS: usize = 50;
/// Rounds of reweighting.
const ROUNDS: usize = 8;
/// Ridge on the light for each gradient, against directions that the shading says nothing about.
const RIDGE: f64 = 1e-6;
/// Added to the robust scale, so that a perfect fit does not divide by zero.
const LEAST_SCALE: f32 = 1e-5;

/// Log shading as a linear function of the normal: `direction · n + ambient`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Light {
    /// x right, y up, z to the viewer; the length is the contrast of the shading.
    pub(super) direction: [f32; 3],
    pub(super) ambient: f32,
}

impl Light {
    /// The contrast of the shading.
    pub(super) fn strength(&self) -> f32 {
        self.direction.iter().map(|c| c * c).sum::<f32>().sqrt()
    }
}

/// Fits the gradients of the normals to those of the log shading, robustly: Cauchy-like weights against
/// the 1.48-fold median residual, squared, so that paint that Retinex left behind is ignored.
///
/// `normals` are three fields: x, y and z.
pub(super) fn fit_light(domain: &Domain, shading: &[f32], normals: &[Vec<f32>; 3]) -> Light {
    let equations = gradient_equations(domain, shading, normals);
    let mut weights = vec![1.0; equations.len()];
    let mut direction = [0.0; 3];
    for _ in 0..ROUNDS {
        direction = weighted_fit(&equations, &weights);
        let residuals: Vec<f32> = equations
            .iter()
            .map(|equation| equation.shading - dot(direction, equation.normal))
            .collect();
        let scale = 1.4826 * median(residuals.iter().map(|r| r.abs()).collect()) + LEAST_SCALE;
        for (weight, residual) in weights.iter_mut().zip(&residuals) {
            *weight = (1.0 + (residual / (2.0 * scale)).powi(2)).powi(-2);
        }
    }
    let unexplained = domain
        .places()
        .map(|place| shading[place] - dot(direction, [0, 1, 2].map(|axis| normals[axis][place])))
        .collect();
    Light {
        direction,
        ambient: median(unexplained),
    }
}

/// One gradient of the shading and of the three components of the normal.
struct Equation {
    shading: f32,
    normal: [f32; 3],
}

fn gradient_equations(domain: &Domain, shading: &[f32], normals: &[Vec<f32>; 3]) -> Vec<Equation> {
    let slopes = |field: &[f32]| domain.gradient(&domain.smooth(field, SMOOTHING_PX));
    let of_shading = slopes(shading);
    let of_normals = [0, 1, 2].map(|axis| slopes(&normals[axis]));
    let core = domain.eroded(RIM_LAYERS);
    let enough = core.iter().filter(|&&kept| kept).count() >= FEWEST_PIXELS;
    let places: Vec<usize> = domain.places().filter(|&p| core[p] || !enough).collect();
    [0, 1]
        .into_iter()
        .flat_map(|axis| places.iter().map(move |&place| (axis, place)))
        .map(|(axis, place)| Equation {
            shading: of_shading[axis][place],
            normal: [0, 1, 2].map(|component| of_normals[component][axis][place]),
        })
        .collect()
}

/// The weighted least-squares solution of all equations, by the normal equations in double precision.
fn weighted_fit(equations: &[Equation], weights: &[f32]) -> [f32; 3] {
    let mut matrix = [[0.0f64; 3]; 3];
    let mut right_side = [0.0f64; 3];
    for (equation, &weight) in equations.iter().zip(weights) {
        let normal = equation.normal.map(f64::from);
        for row in 0..3 {
            let weighted = f64::from(weight) * normal[row];
            right_side[row] += weighted * f64::from(equation.shading);
            for column in 0..3 {
                matrix[row][column] += weighted * normal[column];
            }
        }
    }
    let ridge = RIDGE * equations.len().max(1) as f64;
    for (axis, row) in matrix.iter_mut().enumerate() {
        row[axis] += ridge;
    }
    solve_symmetric(matrix, right_side).map(|value| value as f32)
}

/// Solves a symmetric positive definite system of three unknowns (by cofactors).
fn solve_symmetric(m: [[f64; 3]; 3], b: [f64; 3]) -> [f64; 3] {
    let columns = m.map(glam::DVec3::from_array);
    let inverse = glam::DMat3::from_cols(columns[0], columns[1], columns[2]).inverse();
    (inverse * glam::DVec3::from_array(b)).to_array()
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The upper median; 0 of nothing.
fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
