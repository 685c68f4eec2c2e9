//! Masks and their neighbourhoods: crumbs are taken away and small holes are filled.

/// A component smaller than this share of the largest is taken away.
const LEAST_COMPONENT: f64 = 0.15;
/// A hole smaller than this share of the subject is filled.
const LEAST_HOLE: f64 = 0.01;

/// Takes small components from `mask` and fills small holes.
///
/// A component with a pixel of `kept`, and a hole with a pixel of `left_out`, stays whatever its size.
pub(super) fn clean(
    mask: &mut [bool],
    width: usize,
    kept: impl Fn(usize) -> bool,
    left_out: impl Fn(usize) -> bool,
) {
    let subject = components(mask, width, true, &kept);
    let largest = subject
        .iter()
        .map(|part| part.pixels.len())
        .max()
        .unwrap_or(0);
    for part in &subject {
        if (part.pixels.len() as f64) < LEAST_COMPONENT * largest as f64 && !part.marked {
            part.pixels.iter().for_each(|&i| mask[i as usize] = false);
        }
    }
    let area = mask.iter().filter(|inside| **inside).count();
    for hole in components(mask, width, false, &left_out) {
        if (hole.pixels.len() as f64) < LEAST_HOLE * area as f64 && !hole.marked && !hole.at_frame {
            hole.pixels.iter().for_each(|&i| mask[i as usize] = true);
        }
    }
}

/// Pixels of one value that are joined side by side.
struct Component {
    pixels: Vec<u32>,
    /// Whether one of them is marked.
    marked: bool,
    /// Whether one of them lies in the outermost row or column.
    at_frame: bool,
}

/// The components of the pixels of `mask` that are `value`, in the order of their first pixels.
fn components(
    mask: &[bool],
    width: usize,
    value: bool,
    marked: &impl Fn(usize) -> bool,
) -> Vec<Component> {
    let height = mask.len() / width;
    let mut seen = vec![false; mask.len()];
    let mut found = Vec::new();
    for start in 0..mask.len() {
        if seen[start] || mask[start] != value {
            continue;
        }
        seen[start] = true;
        let mut part = Component {
            pixels: vec![start as u32],
            marked: false,
            at_frame: false,
        };
        let mut next = 0;
        while let Some(&pixel) = part.pixels.get(next) {
            next += 1;
            let i = pixel as usize;
            let (x, y) = (i % width, i / width);
            part.marked |= marked(i);
            part.at_frame |= x == 0 || y == 0 || x + 1 == width || y + 1 == height;
            for j in neighbours(i, width, height) {
                if !seen[j] && mask[j] == value {
                    seen[j] = true;
                    part.pixels.push(j as u32);
                }
            }
        }
        found.push(part);
    }
    found
}

/// The pixels beside pixel `i`.
pub(super) fn neighbours(i: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (i % width, i / width);
    [
        (y > 0).then(|| i - width),
        (x > 0).then(|| i - 1),
        (x + 1 < width).then(|| i + 1),
        (y + 1 < height).then(|| i + width),
    ]
    .into_iter()
    .flatten()
}

/// `mask` and what lies within `steps` steps of it.
pub(super) fn grow(mask: &[bool], width: usize, height: usize, steps: usize) -> Vec<bool> {
    let mut grown = mask.to_vec();
    let mut rim: Vec<usize> = (0..mask.len()).filter(|&i| mask[i]).collect();
    for _ in 0..steps {
        let mut next = Vec::new();
        for i in rim {
            for j in neighbours(i, width, height) {
                if !grown[j] {
                    grown[j] = true;
                    next.push(j);
                }
            }
        }
        rim = next;
    }
    grown
}
