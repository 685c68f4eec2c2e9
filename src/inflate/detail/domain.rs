//! The pixels of the subject as a domain for difference operators.
//!
//! Fields over the domain are flat slices on a cropped grid with one row or column of padding on every
//! side. A pixel is linked to a neighbour where both are inside; every operator is written over links, so
//! that nothing ever flows across the outline and loops need no branches.

use crate::inflate::Map;

/// The subject's pixels, cropped to their bounding box and padded by one pixel.
pub(super) struct Domain {
    /// The side of the maps this domain was cut from.
    side: usize,
    /// Column and row of the map at the first pixel behind the padding.
    corner: [usize; 2],
    /// Padded width: the distance between vertical neighbours in a field.
    pub(super) stride: usize,
    /// Padded height.
    pub(super) rows: usize,
    /// 1 inside, 0 elsewhere.
    pub(super) mask: Vec<f32>,
    /// 1 where a pixel and its right neighbour are both inside.
    pub(super) east: Vec<f32>,
    /// 1 where a pixel and the neighbour below are both inside.
    pub(super) south: Vec<f32>,
    /// One over the number of horizontal links of a pixel: makes a central difference of two links and a
    /// one-sided one of a single link.
    pub(super) across: Vec<f32>,
    /// One over the number of vertical links of a pixel.
    pub(super) down: Vec<f32>,
}

/// A field and its four shifted copies over the rows between the padding, all of one length.
pub(super) struct Stencil<'a> {
    pub(super) centre: &'a [f32],
    pub(super) west: &'a [f32],
    pub(super) east: &'a [f32],
    pub(super) north: &'a [f32],
    pub(super) south: &'a [f32],
}

impl<'a> Stencil<'a> {
    /// The views of a field of the given stride; the first and last row are padding.
    pub(super) fn new(field: &'a [f32], stride: usize) -> Self {
        let count = field.len() - 2 * stride;
        let from = |start: usize| &field[start..start + count];
        Self {
            centre: from(stride),
            west: from(stride - 1),
            east: from(stride + 1),
            north: from(0),
            south: from(2 * stride),
        }
    }
}

impl Domain {
    /// The pixels where `inside` holds; `None` where it holds for none.
    pub(super) fn new(side: usize, inside: impl Fn(usize) -> bool) -> Option<Self> {
        let mut least = [usize::MAX; 2];
        let mut greatest = [0; 2];
        for pixel in (0..side * side).filter(|&pixel| inside(pixel)) {
            for (axis, place) in [pixel % side, pixel / side].into_iter().enumerate() {
                least[axis] = least[axis].min(place);
                greatest[axis] = greatest[axis].max(place);
            }
        }
        if least[0] == usize::MAX {
            return None;
        }
        let stride = greatest[0] - least[0] + 3;
        let rows = greatest[1] - least[1] + 3;
        let mut domain = Self {
            side,
            corner: least,
            stride,
            rows,
            mask: Vec::new(),
            east: Vec::new(),
            south: Vec::new(),
            across: Vec::new(),
            down: Vec::new(),
        };
        domain.mask = domain.gather(|pixel| if inside(pixel) { 1.0 } else { 0.0 });
        domain.link();
        Some(domain)
    }

    /// Derives the links from the mask.
    fn link(&mut self) {
        let (stride, count) = (self.stride, self.mask.len());
        self.east = vec![0.0; count];
        self.south = vec![0.0; count];
        self.across = vec![0.0; count];
        self.down = vec![0.0; count];
        for place in stride..count - stride {
            self.east[place] = self.mask[place] * self.mask[place + 1];
            self.south[place] = self.mask[place] * self.mask[place + stride];
            let horizontal = self.east[place] + self.east[place - 1];
            let vertical = self.south[place] + self.south[place - stride];
            self.across[place] = 1.0 / horizontal.max(1.0);
            self.down[place] = 1.0 / vertical.max(1.0);
        }
    }

    /// The number of values in a field.
    pub(super) fn len(&self) -> usize {
        self.mask.len()
    }

    /// A field of zeros.
    pub(super) fn zeros(&self) -> Vec<f32> {
        vec![0.0; self.len()]
    }

    /// A field from values by pixel of the map; the padding is 0.
    pub(super) fn gather(&self, value: impl Fn(usize) -> f32) -> Vec<f32> {
        let mut field = vec![0.0; self.stride * self.rows];
        for row in 1..self.rows - 1 {
            for column in 1..self.stride - 1 {
                field[row * self.stride + column] = value(self.pixel(column, row));
            }
        }
        field
    }

    /// A map of a field's values inside the domain, 0 elsewhere.
    pub(super) fn scatter(&self, field: &[f32]) -> Map {
        let mut map = Map::filled(self.side, 0.0);
        for row in 1..self.rows - 1 {
            for column in 1..self.stride - 1 {
                let place = row * self.stride + column;
                if self.mask[place] > 0.0 {
                    map.values[self.pixel(column, row)] = field[place];
                }
            }
        }
        map
    }

    /// The map's pixel at a padded column and row.
    fn pixel(&self, column: usize, row: usize) -> usize {
        (row - 1 + self.corner[1]) * self.side + column - 1 + self.corner[0]
    }

    /// The places of a field that are inside, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&place| self.mask[place] > 0.0)
    }

    /// Differences of a field along the columns and along the rows: central where both neighbours are
    /// inside, one-sided where one is, else 0.
    pub(super) fn gradient(&self, field: &[f32]) -> [Vec<f32>; 2] {
        let mut gradient = [self.zeros(), self.zeros()];
        for place in self.stride..self.len() - self.stride {
            let (value, above) = (field[place], place - self.stride);
            let right = self.east[place] * (field[place + 1] - value);
            let left = self.east[place - 1] * (value - field[place - 1]);
            let below = self.south[place] * (field[place + self.stride] - value);
            let over = self.south[above] * (value - field[above]);
            gradient[0][place] = self.across[place] * (left + right);
            gradient[1][place] = self.down[place] * (over + below);
        }
        gradient
    }

    /// A Gaussian average over the pixels inside, in pixels; places outside get a value only as far as
    /// the kernel reaches, which nothing reads.
    pub(super) fn smooth(&self, field: &[f32], sigma: f32) -> Vec<f32> {
        let kernel = gaussian_kernel(sigma);
        let masked: Vec<f32> = field.iter().zip(&self.mask).map(|(f, m)| f * m).collect();
        let mut smooth = self.convolve(&masked, &kernel);
        let weight = self.convolve(&self.mask, &kernel);
        for (value, weight) in smooth.iter_mut().zip(&weight) {
            *value /= weight.max(1e-6);
        }
        smooth
    }

    /// A separable convolution with a symmetric kernel given from its centre outwards.
    fn convolve(&self, field: &[f32], kernel: &[f32]) -> Vec<f32> {
        let along_rows = convolve_lines(field, kernel, 1, self.stride);
        convolve_lines(&along_rows, kernel, self.stride, self.len())
    }

    /// What is left of the domain after `layers` of pixels were taken off its outline.
    pub(super) fn eroded(&self, layers: usize) -> Vec<bool> {
        let mut kept: Vec<bool> = self.mask.iter().map(|&m| m > 0.0).collect();
        for _ in 0..layers {
            let last = kept.clone();
            for place in self.stride..self.len() - self.stride {
                kept[place] = last[place]
                    && last[place - 1]
                    && last[place + 1]
                    && last[place - self.stride]
                    && last[place + self.stride];
            }
        }
        kept
    }
}

/// Half of a Gaussian kernel with sum 1 over both halves, from the centre outwards, cut at 4 sigma.
fn gaussian_kernel(sigma: f32) -> Vec<f32> {
    let radius = (4.0 * sigma + 0.5) as usize;
    let half: Vec<f32> = (0..=radius)
        .map(|offset| (-0.5 * (offset as f32 / sigma).powi(2)).exp())
        .collect();
    let sum = 2.0 * half.iter().sum::<f32>() - half[0];
    half.iter().map(|value| value / sum).collect()
}

/// Convolves along `step`; a value does not reach into another run of `run` places. Beyond is 0.
fn convolve_lines(field: &[f32], kernel: &[f32], step: usize, run: usize) -> Vec<f32> {
    let mut result = Vec::with_capacity(field.len());
    for (lines, values) in field.chunks(run).enumerate() {
        debug_assert!(step < run || lines == 0);
        let start = result.len();
        result.extend(values.iter().map(|value| value * kernel[0]));
        let target = &mut result[start..];
        for (offset, weight) in kernel.iter().enumerate().skip(1) {
            let shift = offset * step;
            if shift >= values.len() {
                break;
            }
            let reach = values.len() - shift;
            for (sum, value) in target[..reach].iter_mut().zip(&values[shift..]) {
                *sum += weight * value;
            }
            for (sum, value) in target[shift..].iter_mut().zip(&values[..reach]) {
                *sum += weight * value;
            }
        }
    }
    result
}
