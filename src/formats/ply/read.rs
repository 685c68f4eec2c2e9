//! Reading PLY: text, binary little endian, binary big endian.

use super::header::{self, Element, Encoding, Property, Scalar};
use crate::formats::read::{fan, y_up};
use crate::formats::{Damage, Loaded};
use crate::mesh::Mesh;

/// Reads positions, normals and colours of `vertex`, and the polygons of `face`.
pub(in crate::formats) fn read(bytes: &[u8]) -> Result<Loaded, Damage> {
    let header = header::parse(bytes)?;
    let mut values = Values {
        rest: &bytes[header.bytes..],
        encoding: header.encoding,
        line: header.lines + 1,
    };
    let mut mesh = Mesh::default();
    for element in &header.elements {
        let least = element.least_row_bytes(header.encoding);
        // The last row of a text needs no line end, hence the one byte of grace.
        let needed = element
            .count
            .checked_mul(least)
            .ok_or(Damage::Invalid("element count"))?;
        if needed > values.rest.len().saturating_add(1) || element.count > u32::MAX as usize {
            return Err(Damage::Truncated("last row"));
        }
        match element.name.as_str() {
            "vertex" => read_vertices(element, &mut values, &mut mesh)?,
            "face" => read_faces(element, &mut values, &mut mesh)?,
            // Rows of nothing take no bytes, however many are claimed.
            _ if least == 0 => {}
            _ => {
                for _ in 0..element.count {
                    for property in &element.properties {
                        values.property(property, |_| Ok(()))?;
                    }
                }
            }
        }
    }
    Ok(Loaded::in_millimetres(mesh, Vec::new()))
}

/// What a vertex property means to a mesh.
#[derive(Clone, Copy)]
enum Role {
    Position(usize),
    Normal(usize),
    Colour(usize),
    None,
}

fn role(property: &Property) -> Role {
    if property.length.is_some() {
        return Role::None;
    }
    match property.name.as_str() {
        "x" => Role::Position(0),
        "y" => Role::Position(1),
        "z" => Role::Position(2),
        "nx" => Role::Normal(0),
        "ny" => Role::Normal(1),
        "nz" => Role::Normal(2),
        "red" | "r" | "diffuse_red" => Role::Colour(0),
        "green" | "g" | "diffuse_green" => Role::Colour(1),
        "blue" | "b" | "diffuse_blue" => Role::Colour(2),
        "alpha" | "a" | "diffuse_alpha" => Role::Colour(3),
        _ => Role::None,
    }
}

/// A colour channel as 8 bits.
fn level(value: f64, scalar: Scalar) -> u8 {
    match scalar {
        Scalar::F32 | Scalar::F64 => (value * 255.0).round() as u8,
        Scalar::U16 => (value / 257.0).round() as u8,
        _ => value as u8,
    }
}

fn read_vertices(element: &Element, values: &mut Values, mesh: &mut Mesh) -> Result<(), Damage> {
    if !mesh.positions.is_empty() {
        return Err(Damage::Invalid("second vertex element"));
    }
    let roles: Vec<Role> = element.properties.iter().map(role).collect();
    let has = |wanted: fn(Role) -> Option<usize>, axes: usize| {
        (0..axes).all(|axis| roles.iter().any(|&role| wanted(role) == Some(axis)))
    };
    let position = |role| {
        if let Role::Position(axis) = role {
            Some(axis)
        } else {
            None
        }
    };
    let normal = |role| {
        if let Role::Normal(axis) = role {
            Some(axis)
        } else {
            None
        }
    };
    let colour = |role| {
        if let Role::Colour(axis) = role {
            Some(axis)
        } else {
            None
        }
    };
    if !has(position, 3) {
        return Err(Damage::Missing("vertex positions"));
    }
    let (normals, colours) = (has(normal, 3), has(colour, 3));
    mesh.positions.reserve_exact(element.count);
    mesh.normals
        .reserve_exact(if normals { element.count } else { 0 });
    mesh.colours
        .reserve_exact(if colours { element.count } else { 0 });
    for _ in 0..element.count {
        let (mut position, mut normal, mut colour) = ([0.0; 3], [0.0; 3], [255; 4]);
        for (property, role) in element.properties.iter().zip(&roles) {
            values.property(property, |value| {
                match *role {
                    Role::Position(axis) => position[axis] = value as f32,
                    Role::Normal(axis) => normal[axis] = value as f32,
                    Role::Colour(channel) => colour[channel] = level(value, property.value),
                    Role::None => {}
                }
                Ok(())
            })?;
        }
        mesh.positions.push(y_up(position));
        if normals {
            mesh.normals.push(y_up(normal));
        }
        if colours {
            mesh.colours.push(colour);
        }
    }
    Ok(())
}

fn read_faces(element: &Element, values: &mut Values, mesh: &mut Mesh) -> Result<(), Damage> {
    let is_indices = |property: &Property| {
        property.length.is_some()
            && matches!(property.name.as_str(), "vertex_indices" | "vertex_index")
    };
    if !element.properties.iter().any(is_indices) {
        return Err(Damage::Missing("vertex indices of faces"));
    }
    mesh.triangles.reserve(element.count);
    let mut corners = Vec::new();
    for _ in 0..element.count {
        for property in &element.properties {
            if !is_indices(property) {
                values.property(property, |_| Ok(()))?;
                continue;
            }
            corners.clear();
            values.property(property, |value| {
                let index = value as u32;
                if f64::from(index) != value {
                    return Err(Damage::Invalid("vertex index"));
                }
                corners.push(index);
                Ok(())
            })?;
            mesh.triangles.extend(fan(&corners));
        }
    }
    Ok(())
}

/// The numbers of the body, one after another.
struct Values<'a> {
    rest: &'a [u8],
    encoding: Encoding,
    /// The line in a text.
    line: usize,
}

impl Values<'_> {
    /// Gives the property's number, or each number of its list.
    fn property(
        &mut self,
        property: &Property,
        mut take: impl FnMut(f64) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let Some(length) = property.length else {
            return take(self.next(property.value)?);
        };
        let length = self.next(length)?;
        if length < 0.0 || length.fract() != 0.0 || length > self.rest.len() as f64 {
            return Err(Damage::Invalid("list length"));
        }
        for _ in 0..length as usize {
            take(self.next(property.value)?)?;
        }
        Ok(())
    }

    fn next(&mut self, scalar: Scalar) -> Result<f64, Damage> {
        match self.encoding {
            Encoding::Ascii => self.word(scalar),
            Encoding::LittleEndian => self.binary(scalar, false),
            Encoding::BigEndian => self.binary(scalar, true),
        }
    }

    fn word(&mut self, scalar: Scalar) -> Result<f64, Damage> {
        let blanks = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.line += self.rest[..blanks]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        let rest = &self.rest[blanks..];
        let length = rest
            .iter()
            .take_while(|byte| !byte.is_ascii_whitespace())
            .count();
        let (word, rest) = rest.split_at(length);
        self.rest = rest;
        if word.is_empty() {
            return Err(Damage::Truncated("last row"));
        }
        let text = std::str::from_utf8(word).ok();
        // A 32-bit number parsed as a 64-bit one would be rounded twice.
        let number = match scalar {
            Scalar::F32 => text
                .and_then(|text| text.parse::<f32>().ok())
                .map(f64::from),
            _ => text.and_then(|text| text.parse().ok()),
        };
        number.ok_or(Damage::Line {
            line: self.line,
            what: "a number",
        })
    }

    fn binary(&mut self, scalar: Scalar, big_endian: bool) -> Result<f64, Damage> {
        let size = scalar.bytes();
        let (number, rest) = self
            .rest
            .split_at_checked(size)
            .ok_or(Damage::Truncated("last row"))?;
        self.rest = rest;
        let mut word = [0; 8];
        word[..size].copy_from_slice(number);
        if big_endian {
            word[..size].reverse();
        }
        let bits = u64::from_le_bytes(word);
        Ok(match scalar {
            Scalar::I8 => f64::from(bits as i8),
            Scalar::U8 => f64::from(bits as u8),
            Scalar::I16 => f64::from(bits as i16),
            Scalar::U16 => f64::from(bits as u16),
            Scalar::I32 => f64::from(bits as i32),
            Scalar::U32 => f64::from(bits as u32),
            Scalar::F32 => f64::from(f32::from_bits(bits as u32)),
            Scalar::F64 => f64::from_bits(bits),
        })
    }
}
