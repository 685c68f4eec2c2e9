//! Writing GLB.

use std::io::Write;

use serde_json::{Value, json};

use super::container::{
    ARRAY_BUFFER, CHUNK_BIN, CHUNK_JSON, CLAMP_TO_EDGE, ELEMENT_ARRAY_BUFFER, FLOAT, LINEAR,
    LINEAR_MIPMAP_LINEAR, MAGIC, UNSIGNED_INT, UNSIGNED_SHORT, VERSION,
};
use crate::formats::placement::Placement;
use crate::formats::{GENERATOR, SaveError, Unwritable, WriteOptions, image_file};
use crate::mesh::Mesh;

/// Writes a checked mesh.
pub(in crate::formats) fn write(
    mesh: &Mesh,
    placement: &Placement,
    options: &WriteOptions,
    out: &mut impl Write,
) -> Result<(), SaveError> {
    let (document, binary) = build(mesh, placement, options)?;
    let mut json = document.to_string().into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    let length = 12 + 8 + json.len() + 8 + binary.len();
    let length = u32::try_from(length).map_err(|_error| Unwritable::TooLarge)?;
    let mut head = Vec::with_capacity(20);
    head.extend_from_slice(MAGIC);
    for word in [VERSION, length, json.len() as u32, CHUNK_JSON] {
        head.extend_from_slice(&word.to_le_bytes());
    }
    let between = [binary.len() as u32, CHUNK_BIN].map(u32::to_le_bytes);
    for bytes in [&head[..], &json, between.as_flattened(), &binary] {
        out.write_all(bytes).map_err(SaveError::Stream)?;
    }
    Ok(())
}

/// The binary chunk, and what the JSON says about it.
#[derive(Default)]
struct Builder {
    binary: Vec<u8>,
    views: Vec<Value>,
    accessors: Vec<Value>,
}

impl Builder {
    /// Appends the bytes as a buffer view, and pads to four bytes as accessors need.
    fn view(&mut self, bytes: impl FnOnce(&mut Vec<u8>), target: Option<u32>) -> usize {
        let offset = self.binary.len();
        bytes(&mut self.binary);
        let mut view = json!({
            "buffer": 0, "byteOffset": offset, "byteLength": self.binary.len() - offset,
        });
        if let Some(target) = target {
            view["target"] = target.into();
        }
        self.binary.resize(self.binary.len().next_multiple_of(4), 0);
        self.views.push(view);
        self.views.len() - 1
    }

    /// Appends an accessor over a view of its own.
    fn accessor(
        &mut self,
        bytes: impl FnOnce(&mut Vec<u8>),
        target: u32,
        (component, kind, count): (u32, &str, usize),
    ) -> usize {
        let view = self.view(bytes, Some(target));
        self.accessors.push(json!({
            "bufferView": view, "componentType": component, "type": kind, "count": count,
        }));
        self.accessors.len() - 1
    }

    fn floats<const N: usize>(&mut self, kind: &str, vectors: &[[f32; N]]) -> usize {
        self.accessor(
            |binary| binary.extend(vectors.as_flattened().iter().flat_map(|c| c.to_le_bytes())),
            ARRAY_BUFFER,
            (FLOAT, kind, vectors.len()),
        )
    }
}

fn build(
    mesh: &Mesh,
    placement: &Placement,
    options: &WriteOptions,
) -> Result<(Value, Vec<u8>), SaveError> {
    let mut builder = Builder::default();
    let indices = write_indices(mesh, &mut builder);
    let positions: Vec<_> = mesh
        .positions
        .iter()
        .map(|&p| placement.position(p))
        .collect();
    let position = builder.floats("VEC3", &positions);
    let extreme = |pick: fn(f32, f32) -> f32, start: f32| -> [f32; 3] {
        std::array::from_fn(|axis| positions.iter().map(|p| p[axis]).fold(start, pick))
    };
    builder.accessors[position]["min"] = json!(extreme(f32::min, f32::INFINITY));
    builder.accessors[position]["max"] = json!(extreme(f32::max, f32::NEG_INFINITY));
    let mut attributes = json!({ "POSITION": position });
    if !mesh.normals.is_empty() {
        let normals: Vec<_> = mesh.normals.iter().map(|&n| placement.normal(n)).collect();
        attributes["NORMAL"] = builder.floats("VEC3", &normals).into();
    }
    let mut material = json!({
        "name": options.name,
        "doubleSided": false,
        "pbrMetallicRoughness": { "metallicFactor": 0.0, "roughnessFactor": 0.8 },
    });
    let texture = mesh.texture.as_ref().filter(|_| !mesh.uvs.is_empty());
    if !mesh.uvs.is_empty() {
        attributes["TEXCOORD_0"] = builder.floats("VEC2", &mesh.uvs).into();
    }
    let mut image_view = None;
    if let Some(texture) = texture {
        let png = image_file::encode_png(texture, options.texture_side_px)?;
        image_view = Some(builder.view(|binary| binary.extend_from_slice(&png), None));
        material["pbrMetallicRoughness"]["baseColorTexture"] = json!({ "index": 0 });
    } else if !mesh.colours.is_empty() {
        // A viewer multiplies vertex colours with the texture, so a mesh gets one or the other.
        attributes["COLOR_0"] = write_colours(mesh, &mut builder).into();
        if mesh.colours.iter().any(|colour| colour[3] != 255) {
            material["alphaMode"] = "BLEND".into();
        }
    }
    let mut document = json!({
        "asset": { "version": "2.0", "generator": GENERATOR },
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "mesh": 0, "name": options.name }],
        "meshes": [{
            "name": options.name,
            "primitives": [{ "attributes": attributes, "indices": indices, "material": 0, "mode": 4 }],
        }],
        "materials": [material],
        "accessors": builder.accessors,
        "bufferViews": builder.views,
        "buffers": [{ "byteLength": builder.binary.len() }],
    });
    if !options.settings.is_null() {
        document["asset"]["extras"] = json!({ "orfeas": options.settings });
    }
    if let Some(view) = image_view {
        document["images"] = json!([{ "bufferView": view, "mimeType": "image/png" }]);
        document["textures"] = json!([{ "source": 0, "sampler": 0 }]);
        document["samplers"] = json!([{
            "magFilter": LINEAR, "minFilter": LINEAR_MIPMAP_LINEAR,
            "wrapS": CLAMP_TO_EDGE, "wrapT": CLAMP_TO_EDGE,
        }]);
    }
    Ok((document, builder.binary))
}

fn write_indices(mesh: &Mesh, builder: &mut Builder) -> usize {
    let indices = mesh.triangles.as_flattened();
    // The largest value of a type is reserved for restarting a primitive.
    if mesh.positions.len() <= usize::from(u16::MAX) {
        builder.accessor(
            |binary| binary.extend(indices.iter().flat_map(|&i| (i as u16).to_le_bytes())),
            ELEMENT_ARRAY_BUFFER,
            (UNSIGNED_SHORT, "SCALAR", indices.len()),
        )
    } else {
        builder.accessor(
            |binary| binary.extend(indices.iter().flat_map(|i| i.to_le_bytes())),
            ELEMENT_ARRAY_BUFFER,
            (UNSIGNED_INT, "SCALAR", indices.len()),
        )
    }
}

/// Vertex colours are linear in glTF; 16 bits keep every 8-bit sRGB value apart.
fn write_colours(mesh: &Mesh, builder: &mut Builder) -> usize {
    let linear: [u16; 256] = std::array::from_fn(|level| {
        (linear_from_srgb(level as f64 / 255.0) * 65535.0).round() as u16
    });
    let accessor = builder.accessor(
        |binary| {
            for &[red, green, blue, alpha] in &mesh.colours {
                let [red, green, blue] = [red, green, blue].map(|c| linear[usize::from(c)]);
                for channel in [red, green, blue, u16::from(alpha) * 257] {
                    binary.extend_from_slice(&channel.to_le_bytes());
                }
            }
        },
        ARRAY_BUFFER,
        (UNSIGNED_SHORT, "VEC4", mesh.colours.len()),
    );
    builder.accessors[accessor]["normalized"] = true.into();
    accessor
}

pub(super) fn linear_from_srgb(level: f64) -> f64 {
    if level <= 0.04045 {
        level / 12.92
    } else {
        ((level + 0.055) / 1.055).powf(2.4)
    }
}
