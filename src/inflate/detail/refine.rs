//! Relief from shading: Gauss-Newton on heights whose shading under a known light matches the image's
//! (Horn & Brooks 1989; the smoothness priors after Barron & Malik 2015, "Shape, illumination and
//! reflectance from shading").

use super::domain::{Domain, Stencil};
use super::light::Light;
use super::solver::{Accuracy, System, conjugate_gradients};

/// Residuals of log shading are trusted up to about this.
const SHADING_SCALE: f32 = 0.4;
/// Weight of the shading; with the priors below it sets how much shading becomes relief.
const SHADING_WEIGHT: f32 = 0.01 / (SHADING_SCALE * SHADING_SCALE);
/// Prior against bending of the relief.
const BENDING: f32 = 0.01;
/// Prior against relief as such.
const HEIGHT: f32 = 0.001;
/// The same at the outline, where the base's slope is unbounded and shading tells nothing.
const HEIGHT_AT_RIM: f32 = 10.0;
/// Share of each Gauss-Newton step that is taken.
const STEP: f32 = 0.8;
/// A step need not be exact: the next one corrects it.
const ACCURACY: Accuracy = Accuracy {
    residual: 0.02,
    iterations: 200,
};

/// What the relief is fitted to; fields over one domain.
pub(super) struct Target<'a> {
    pub(super) domain: &'a Domain,
    /// Height of the base, in pixels.
    pub(super) base: &'a [f32],
    /// Log shading.
    pub(super) shading: &'a [f32],
    /// 0 on the outline to 1 inside: how far shading is trusted.
    pub(super) trust: &'a [f32],
}

/// Improves `relief` so that base plus relief is shaded as the target; `None` once cancelled.
pub(super) fn refine(
    target: &Target<'_>,
    light: Light,
    relief: &mut [f32],
    steps: usize,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Option<()> {
    let mut system = Linearised::new(target.domain, target.trust);
    for _ in 0..steps {
        let right_side = system.linearise(target, light, relief);
        let step = conjugate_gradients(&mut system, &right_side, ACCURACY, cancelled)?;
        for (height, step) in relief.iter_mut().zip(&step) {
            *height += STEP * step;
        }
    }
    Some(())
}

/// Unit normals of a height field: three fields, x right, y up, z to the viewer.
pub(super) fn normals(domain: &Domain, height: &[f32]) -> [Vec<f32>; 3] {
    let [across, down] = domain.gradient(height);
    let mut normals = [domain.zeros(), domain.zeros(), domain.zeros()];
    for place in domain.places() {
        let (p, q) = (across[place], down[place]);
        let z = 1.0 / (1.0 + p * p + q * q).sqrt();
        normals[0][place] = -p * z;
        normals[1][place] = q * z;
        normals[2][place] = z;
    }
    normals
}

/// The normal equations of one Gauss-Newton step:
/// `Jᵀ W J + BENDING Lᵀ L + diagonal`, with `J = shade_x Dx + shade_y Dy`.
struct Linearised<'a> {
    domain: &'a Domain,
    /// Prior against relief.
    height_prior: Vec<f32>,
    /// Change of the shading with the slopes, times the difference weights and the root of the
    /// residual's weight.
    shade_x: Vec<f32>,
    shade_y: Vec<f32>,
    inverse_diagonal: Vec<f32>,
    bending: Vec<f32>,
    along_x: Vec<f32>,
    along_y: Vec<f32>,
}

impl<'a> Linearised<'a> {
    fn new(domain: &'a Domain, trust: &[f32]) -> Self {
        let height_prior = (trust.iter().zip(&domain.mask))
            .map(|(trust, mask)| mask * (HEIGHT + HEIGHT_AT_RIM * (1.0 - trust).powi(2)))
            .collect();
        Self {
            domain,
            height_prior,
            shade_x: domain.zeros(),
            shade_y: domain.zeros(),
            inverse_diagonal: domain.zeros(),
            bending: domain.zeros(),
            along_x: domain.zeros(),
            along_y: domain.zeros(),
        }
    }

    /// Linearises at a relief and returns the right side: minus the gradient of the energy.
    fn linearise(&mut self, target: &Target<'_>, light: Light, relief: &[f32]) -> Vec<f32> {
        let domain = self.domain;
        let height: Vec<f32> = target.base.iter().zip(relief).map(|(b, r)| b + r).collect();
        let [across, down] = domain.gradient(&height);
        let [a, b, c] = light.direction;
        let mut pull = domain.zeros();
        for place in domain.places() {
            let (p, q) = (across[place], down[place]);
            let k = 1.0 / (1.0 + p * p + q * q).sqrt();
            let shade = (b * q - a * p + c) * k;
            let residual = target.shading[place] - shade - light.ambient;
            let robust = 1.0 / (1.0 + (residual / (2.0 * SHADING_SCALE)).powi(2));
            let weight = (SHADING_WEIGHT * robust * target.trust[place]).sqrt();
            // d(shade)/dp and d(shade)/dq
            let by_p = -a * k - shade * p * k * k;
            let by_q = b * k - shade * q * k * k;
            self.shade_x[place] = weight * by_p * domain.across[place];
            self.shade_y[place] = weight * by_q * domain.down[place];
            pull[place] = weight * residual;
        }
        self.find_diagonal();
        self.right_side(relief, &pull)
    }

    /// `Jᵀ pull - (BENDING Lᵀ L + height prior) relief`.
    fn right_side(&mut self, relief: &[f32], pull: &[f32]) -> Vec<f32> {
        let domain = self.domain;
        for place in domain.stride..domain.len() - domain.stride {
            let above = place - domain.stride;
            let laplacian = domain.east[place] * (relief[place] - relief[place + 1])
                + domain.east[place - 1] * (relief[place] - relief[place - 1])
                + domain.south[place] * (relief[place] - relief[place + domain.stride])
                + domain.south[above] * (relief[place] - relief[above]);
            self.bending[place] = -BENDING * laplacian;
            self.along_x[place] = self.shade_x[place] * pull[place];
            self.along_y[place] = self.shade_y[place] * pull[place];
        }
        let mut right_side = domain.zeros();
        self.gather_transposed(&mut right_side);
        for (place, value) in right_side.iter_mut().enumerate() {
            *value -= self.height_prior[place] * relief[place];
        }
        right_side
    }

    /// The inverse diagonal of the matrix.
    fn find_diagonal(&mut self) {
        let domain = self.domain;
        for place in domain.places() {
            let (above, below) = (place - domain.stride, place + domain.stride);
            let [e, w] = [domain.east[place], domain.east[place - 1]];
            let [s, n] = [domain.south[place], domain.south[above]];
            let links = e + w + s + n;
            let own = self.shade_x[place] * (w - e) + self.shade_y[place] * (n - s);
            let shading = own * own
                + e * self.shade_x[place + 1].powi(2)
                + w * self.shade_x[place - 1].powi(2)
                + s * self.shade_y[below].powi(2)
                + n * self.shade_y[above].powi(2);
            let bending = BENDING * links * (links + 1.0);
            self.inverse_diagonal[place] = 1.0 / (shading + bending + self.height_prior[place]);
        }
    }

    /// Writes `L bending + Dxᵀ along_x + Dyᵀ along_y`, the transposes over bare links.
    fn gather_transposed(&self, out: &mut [f32]) {
        let stride = self.domain.stride;
        let east = Stencil::new(&self.domain.east, stride);
        let south = Stencil::new(&self.domain.south, stride);
        let bend = Stencil::new(&self.bending, stride);
        let x = Stencil::new(&self.along_x, stride);
        let y = Stencil::new(&self.along_y, stride);
        let out = &mut out[stride..][..bend.centre.len()];
        for (place, out) in out.iter_mut().enumerate() {
            let (b, x0, y0) = (bend.centre[place], x.centre[place], y.centre[place]);
            *out = east.west[place] * (b - bend.west[place] + x.west[place] + x0)
                + east.centre[place] * (b - bend.east[place] - x0 - x.east[place])
                + south.north[place] * (b - bend.north[place] + y.north[place] + y0)
                + south.centre[place] * (b - bend.south[place] - y0 - y.south[place]);
        }
    }
}

impl System for Linearised<'_> {
    fn apply(&mut self, vector: &[f32], product: &mut [f32]) {
        let stride = self.domain.stride;
        let east = Stencil::new(&self.domain.east, stride);
        let south = Stencil::new(&self.domain.south, stride);
        let h = Stencil::new(vector, stride);
        let count = h.centre.len();
        let shade_x = &self.shade_x[stride..][..count];
        let shade_y = &self.shade_y[stride..][..count];
        let bending = &mut self.bending[stride..][..count];
        let along_x = &mut self.along_x[stride..][..count];
        let along_y = &mut self.along_y[stride..][..count];
        for place in 0..count {
            let centre = h.centre[place];
            let to_east = east.centre[place] * (h.east[place] - centre);
            let from_west = east.west[place] * (centre - h.west[place]);
            let to_south = south.centre[place] * (h.south[place] - centre);
            let from_north = south.north[place] * (centre - h.north[place]);
            bending[place] = BENDING * (from_west - to_east + from_north - to_south);
            let change =
                shade_x[place] * (to_east + from_west) + shade_y[place] * (to_south + from_north);
            along_x[place] = shade_x[place] * change;
            along_y[place] = shade_y[place] * change;
        }
        self.gather_transposed(product);
        for ((out, prior), value) in product.iter_mut().zip(&self.height_prior).zip(vector) {
            *out += prior * value;
        }
    }

    fn precondition(&mut self, residual: &[f32], correction: &mut [f32]) {
        for ((out, inverse), value) in
            (correction.iter_mut().zip(&self.inverse_diagonal)).zip(residual)
        {
            *out = inverse * value;
        }
    }
}
