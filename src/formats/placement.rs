//! Where a mesh stands in a file: unit, size, up axis, ground.

use super::{Format, SaveError, Unwritable, WriteOptions};
use crate::mesh::{Mesh, Welded, weld_positions};

/// The axis that points up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// +Y, with the front towards +Z.
    Y,
    /// +Z, with the front towards −Y.
    Z,
}

impl std::fmt::Display for Up {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Y => "Y",
            Self::Z => "Z",
        })
    }
}

/// Takes positions and directions of a checked mesh into a file's frame.
pub(super) struct Placement {
    scale: f64,
    /// Added after scaling and turning, in the file's unit.
    offset: [f64; 3],
    up: Up,
}

impl Placement {
    /// Checks the mesh and the size, and finds the scale and offset for a format.
    pub(super) fn new(
        mesh: &Mesh,
        format: Format,
        options: &WriteOptions,
    ) -> Result<Self, SaveError> {
        if !WriteOptions::SIZES_MM.contains(&options.longest_side_mm) {
            return Err(SaveError::Size(options.longest_side_mm));
        }
        check(mesh)?;
        let (low, high) = bounds(&mesh.positions);
        let longest_side = (0..3)
            .map(|axis| high[axis] - low[axis])
            .fold(0.0, f64::max);
        if longest_side <= 0.0 {
            return Err(Unwritable::NoExtent.into());
        }
        let units_per_mm = if format == Format::Glb { 1e-3 } else { 1.0 };
        let scale = options.longest_side_mm * units_per_mm / longest_side;
        let up = match options.up {
            Some(up) if format.leaves_up_open() => up,
            _ => format.up(),
        };
        let stands = matches!(format, Format::Stl | Format::Ply | Format::ThreeMf);
        let lift = if stands { -(low[1] * scale) } else { 0.0 };
        let offset = match up {
            Up::Y => [0.0, lift, 0.0],
            Up::Z => [0.0, 0.0, lift],
        };
        let placement = Self { scale, offset, up };
        let representable = [low, high]
            .iter()
            .flatten()
            .all(|&c| ((c * scale) as f32).is_finite());
        if !representable {
            return Err(Unwritable::OutOfRange.into());
        }
        Ok(placement)
    }

    /// Which way is up in the file.
    pub(super) fn up(&self) -> Up {
        self.up
    }

    /// A position in the file's frame, rounded once.
    pub(super) fn position(&self, position: [f32; 3]) -> [f32; 3] {
        let turned = self.turn(position.map(f64::from));
        // Adding zero turns -0 into +0, so that equal positions are bit-identical.
        std::array::from_fn(|axis| (turned[axis] * self.scale + self.offset[axis]) as f32 + 0.0)
    }

    /// The positions in the file's frame, each once, for formats that index them apart from other
    /// attributes.
    pub(super) fn welded(&self, mesh: &Mesh) -> Welded {
        let positions = mesh.positions.iter();
        weld_positions(&positions.map(|&p| self.position(p)).collect::<Vec<_>>())
    }

    /// A unit normal in the file's frame. One of no length becomes the up direction, for glTF and its
    /// kin demand unit vectors.
    pub(super) fn normal(&self, normal: [f32; 3]) -> [f32; 3] {
        let n = normal.map(f64::from);
        let length_squared = n[0] * n[0] + n[1] * n[1] + n[2] * n[2];
        let unit = if (length_squared - 1.0).abs() < 1e-5 {
            n
        } else if length_squared > 0.0 {
            n.map(|c| c / length_squared.sqrt())
        } else {
            [0.0, 1.0, 0.0]
        };
        self.turn(unit).map(|c| c as f32 + 0.0)
    }

    /// Y up with the front at +Z becomes Z up with the front at −Y.
    fn turn(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        match self.up {
            Up::Y => [x, y, z],
            Up::Z => [x, -z, y],
        }
    }
}

fn bounds(positions: &[[f32; 3]]) -> ([f64; 3], [f64; 3]) {
    let mut low = [f64::INFINITY; 3];
    let mut high = [f64::NEG_INFINITY; 3];
    for position in positions {
        for axis in 0..3 {
            low[axis] = low[axis].min(f64::from(position[axis]));
            high[axis] = high[axis].max(f64::from(position[axis]));
        }
    }
    (low, high)
}

fn check(mesh: &Mesh) -> Result<(), Unwritable> {
    let vertices = mesh.positions.len();
    if mesh.triangles.is_empty() {
        return Err(Unwritable::Empty);
    }
    // Several formats count in signed 32 bits.
    if vertices > i32::MAX as usize || mesh.triangles.len() > i32::MAX as usize / 3 {
        return Err(Unwritable::TooLarge);
    }
    for (attribute, length) in [
        ("normals", mesh.normals.len()),
        ("texture coordinates", mesh.uvs.len()),
        ("colours", mesh.colours.len()),
    ] {
        if length != 0 && length != vertices {
            return Err(Unwritable::Attribute {
                attribute,
                length,
                vertices,
            });
        }
    }
    if let Some(&index) = mesh
        .triangles
        .iter()
        .flatten()
        .find(|&&i| i as usize >= vertices)
    {
        return Err(Unwritable::Index { index, vertices });
    }
    let finite = mesh
        .positions
        .iter()
        .chain(&mesh.normals)
        .flatten()
        .all(|c| c.is_finite())
        && mesh.uvs.iter().flatten().all(|c| c.is_finite());
    if !finite {
        return Err(Unwritable::NotFinite);
    }
    if let Some(texture) = &mesh.texture {
        let pixels = texture.width.checked_mul(texture.height);
        if pixels != Some(texture.pixels.len()) || texture.pixels.is_empty() {
            return Err(Unwritable::Texture);
        }
    }
    Ok(())
}
