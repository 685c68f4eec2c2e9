//! Moving on the processor.

use super::super::Matrix;

pub(super) fn copy_rows(from: &Matrix, to: &mut Matrix, first_row: usize) {
    let first = first_row * to.columns();
    to.values_mut()[first..][..from.values().len()].copy_from_slice(from.values());
}

pub(super) fn spread_texels(tokens: &Matrix, side: usize, planes: &mut Matrix) {
    let channels = planes.columns();
    let texels = tokens.values().chunks_exact(channels.max(1));
    let planes = planes.values_mut();
    for (texel, numbers) in texels.enumerate() {
        let (token, down, across) = (texel / 4, texel / 2 % 2, texel % 2);
        // Rows of all planes, one under the other.
        let (row, column) = (token / side, token % side);
        let place = (2 * row + down) * 2 * side + 2 * column + across;
        planes[place * channels..][..channels].copy_from_slice(numbers);
    }
}
