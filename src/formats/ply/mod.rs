//! PLY: written as binary little endian in millimetres, Z up, on the ground; read in all three forms.

mod header;
mod read;

use std::io::Write;

pub(super) use read::read;

use super::{GENERATOR, SaveError, image_file, placement::Placement};
use crate::mesh::Mesh;

/// Writes a checked mesh, with normals and colours where it has them.
pub(super) fn write(
    mesh: &Mesh,
    placement: &Placement,
    out: &mut impl Write,
) -> Result<(), SaveError> {
    let colours = image_file::vertex_colours(mesh).unwrap_or_default();
    let alpha = colours.iter().any(|colour| colour[3] != 255);
    write_header(mesh, placement, !colours.is_empty(), alpha, out)
        .and_then(|()| write_body(mesh, placement, &colours, alpha, out))
        .map_err(SaveError::Stream)
}

fn write_header(
    mesh: &Mesh,
    placement: &Placement,
    coloured: bool,
    alpha: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    write!(
        out,
        "ply\nformat binary_little_endian 1.0\ncomment {GENERATOR}: millimetres, {} up\n\
         element vertex {}\nproperty float x\nproperty float y\nproperty float z\n",
        placement.up(),
        mesh.positions.len()
    )?;
    if !mesh.normals.is_empty() {
        out.write_all(b"property float nx\nproperty float ny\nproperty float nz\n")?;
    }
    if coloured {
        out.write_all(b"property uchar red\nproperty uchar green\nproperty uchar blue\n")?;
    }
    if alpha {
        out.write_all(b"property uchar alpha\n")?;
    }
    write!(
        out,
        "element face {}\nproperty list uchar int vertex_indices\nend_header\n",
        mesh.triangles.len()
    )
}

fn write_body(
    mesh: &Mesh,
    placement: &Placement,
    colours: &[[u8; 4]],
    alpha: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for (vertex, &position) in mesh.positions.iter().enumerate() {
        for number in placement.position(position) {
            out.write_all(&number.to_le_bytes())?;
        }
        if let Some(&normal) = mesh.normals.get(vertex) {
            for number in placement.normal(normal) {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        if let Some(colour) = colours.get(vertex) {
            out.write_all(&colour[..if alpha { 4 } else { 3 }])?;
        }
    }
    for triangle in &mesh.triangles {
        out.write_all(&[3])?;
        for index in triangle {
            out.write_all(&index.to_le_bytes())?;
        }
    }
    Ok(())
}
