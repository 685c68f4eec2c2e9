//! Wavefront OBJ with its material and texture: Y up, millimetres.

mod materials;
mod read;

use std::io::{self, Write};

pub(super) use read::read;

use super::{GENERATOR, SaveError, WriteOptions, image_file, placement::Placement};
use crate::mesh::{Mesh, Welded};

const MATERIAL: &str = "surface";

/// Writes a checked mesh. Seam vertices share one `v` line, so that other programs see a closed mesh.
///
/// With `material_file`, the mesh refers to it; without, the texture becomes vertex colours.
pub(super) fn write(
    mesh: &Mesh,
    placement: &Placement,
    options: &WriteOptions,
    material_file: Option<&str>,
    out: &mut impl Write,
) -> Result<(), SaveError> {
    write_lines(mesh, placement, options, material_file, out).map_err(SaveError::Stream)
}

fn write_lines(
    mesh: &Mesh,
    placement: &Placement,
    options: &WriteOptions,
    material_file: Option<&str>,
    out: &mut impl Write,
) -> io::Result<()> {
    let name: String = options
        .name
        .chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect();
    writeln!(out, "# {GENERATOR}: millimetres, {} up", placement.up())?;
    if let Some(file) = material_file {
        writeln!(out, "mtllib {file}")?;
    }
    writeln!(out, "o {name}")?;
    let Welded {
        positions,
        vertex_of: welded,
        ..
    } = placement.welded(mesh);
    let colours = if material_file.is_none() {
        image_file::vertex_colours(mesh)
    } else {
        None
    };
    let colours = colours.map(|colours| {
        let mut of_position = vec![[0; 4]; positions.len()];
        for (vertex, colour) in colours.into_iter().enumerate().rev() {
            of_position[welded[vertex] as usize] = colour;
        }
        of_position
    });
    for (index, [x, y, z]) in positions.iter().enumerate() {
        write!(out, "v {x} {y} {z}")?;
        if let Some(colours) = &colours {
            let [red, green, blue, _] = colours[index].map(|channel| f32::from(channel) / 255.0);
            write!(out, " {red} {green} {blue}")?;
        }
        out.write_all(b"\n")?;
    }
    for [u, v] in &mesh.uvs {
        // In f64 the turn to a bottom-left origin loses nothing.
        writeln!(out, "vt {u} {}", 1.0 - f64::from(*v))?;
    }
    for &normal in &mesh.normals {
        let [x, y, z] = placement.normal(normal);
        writeln!(out, "vn {x} {y} {z}")?;
    }
    if material_file.is_some() {
        writeln!(out, "usemtl {MATERIAL}")?;
    }
    for triangle in &mesh.triangles {
        out.write_all(b"f")?;
        for &index in triangle {
            let (position, own) = (welded[index as usize] + 1, index + 1);
            match (mesh.uvs.is_empty(), mesh.normals.is_empty()) {
                (true, true) => write!(out, " {position}")?,
                (false, true) => write!(out, " {position}/{own}")?,
                (true, false) => write!(out, " {position}//{own}")?,
                (false, false) => write!(out, " {position}/{own}/{own}")?,
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// The material file: one matt material with the texture.
pub(super) fn material(texture_file: &str) -> String {
    format!(
        "# {GENERATOR}\nnewmtl {MATERIAL}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture_file}\n"
    )
}
