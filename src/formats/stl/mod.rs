//! Binary STL: written in millimetres, Z up, on the ground; read in both forms.

mod read;

use std::io::Write;

pub(super) use read::read;

use super::{GENERATOR, SaveError, placement::Placement};
use crate::mesh::Mesh;

/// The free text before the count.
const HEADER_BYTES: usize = 80;
/// One triangle: normal, three corners, attribute.
const TRIANGLE_BYTES: usize = 50;

/// Writes a checked mesh.
pub(super) fn write(
    mesh: &Mesh,
    placement: &Placement,
    out: &mut impl Write,
) -> Result<(), SaveError> {
    write_triangles(mesh, placement, out).map_err(SaveError::Stream)
}

fn write_triangles(
    mesh: &Mesh,
    placement: &Placement,
    out: &mut impl Write,
) -> std::io::Result<()> {
    // A header that begins with "solid" would make readers take the file for text.
    let mut header = [b' '; HEADER_BYTES];
    let text = format!(
        "{GENERATOR}: binary STL, millimetres, {} up",
        placement.up()
    );
    for (slot, byte) in header.iter_mut().zip(text.bytes()) {
        *slot = byte;
    }
    out.write_all(&header)?;
    out.write_all(&(mesh.triangles.len() as u32).to_le_bytes())?;
    for triangle in &mesh.triangles {
        let corners = triangle.map(|index| placement.position(mesh.positions[index as usize]));
        let mut record = [0; TRIANGLE_BYTES];
        let numbers = face_normal(corners)
            .into_iter()
            .chain(corners.into_iter().flatten());
        for (slot, number) in record.chunks_exact_mut(4).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        out.write_all(&record)?;
    }
    Ok(())
}

/// The unit normal of a triangle as written; zero when it has no area, as the format has it.
fn face_normal(corners: [[f32; 3]; 3]) -> [f32; 3] {
    let [a, b, c] = corners.map(|corner| glam::DVec3::from(corner.map(f64::from)));
    (b - a)
        .cross(c - a)
        .normalize_or_zero()
        .to_array()
        .map(|n| n as f32 + 0.0)
}
