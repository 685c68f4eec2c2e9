//! Colours in which distances are about as large as they look.

/// CIE L*a*b* (D65, 2°) of an sRGB colour given in `0.0..=255.0`.
pub(super) fn lab_from_srgb(rgb: [f32; 3]) -> [f32; 3] {
    let [r, g, b] = rgb.map(linear_from_srgb);
    let x = (0.412_456 * r + 0.357_576 * g + 0.180_438 * b) / 0.950_47;
    let y = 0.212_673 * r + 0.715_152 * g + 0.072_175 * b;
    let z = (0.019_334 * r + 0.119_192 * g + 0.950_304 * b) / 1.088_83;
    let [x, y, z] = [x, y, z].map(lightness);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn linear_from_srgb(value: f32) -> f32 {
    let value = value / 255.0;
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn lightness(t: f32) -> f32 {
    if t > 0.008_856 {
        t.cbrt()
    } else {
        7.787 * t + 16.0 / 116.0
    }
}

/// The squared Euclidean distance of two colours.
pub(super) fn squared_distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    let [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    x * x + y * y + z * z
}

/// The length of the colour gradient at each pixel, in units of Lab a pixel.
pub(super) fn gradient(lab: &[[f32; 3]], width: usize, height: usize) -> Vec<f32> {
    (0..lab.len())
        .map(|i| {
            let (x, y) = (i % width, i / width);
            let left = lab[if x > 0 { i - 1 } else { i }];
            let right = lab[if x + 1 < width { i + 1 } else { i }];
            let up = lab[if y > 0 { i - width } else { i }];
            let down = lab[if y + 1 < height { i + width } else { i }];
            0.5 * (squared_distance(left, right) + squared_distance(up, down)).sqrt()
        })
        .collect()
}
