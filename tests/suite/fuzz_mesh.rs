//! Mesh readers on mutated files: no panic, no allocation beyond the limit, no inconsistent mesh.
//!
//! Deterministic. `ORFEAS_FUZZ_ITERATIONS` sets the iterations of each reader; a failure prints the
//! `ORFEAS_FUZZ_SEED` that runs its one iteration again.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use orfeas::formats::{Format, Loaded, ReadError, WriteOptions, read, write};
use orfeas::mesh::Mesh;

use crate::formats::{glb, textured_box};
use crate::random::Random;

const DEFAULT_ITERATIONS: u64 = 1500;
/// Bytes for each byte of a PNG or JPEG: it may expand 1032 times, and decoding holds a few copies.
const BYTES_EACH_TEXTURE_BYTE: u64 = 4 * 1032;

/// Bytes a reader may hold at once: for any file, and more for each byte of it.
fn allowance(format: Format) -> (u64, u64) {
    match format {
        Format::Stl => (4 << 10, 8),
        Format::Ply => (8 << 10, 64),
        // The smallest thing an OBJ can say is "f 1 2 3", and a GLB an element "{}" of an array; shared
        // meshes may unfold to 1 MiB in any GLB.
        Format::Obj => (64 << 10, 256),
        Format::Glb | Format::ThreeMf => (3 << 20, 256),
    }
}

const NUMBERS: [&str; 18] = [
    "0",
    "1",
    "2",
    "3",
    "4",
    "-1",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "99999999999999999999999",
    "1e38",
    "1e400",
    "-0.0",
    "nan",
    "5126",
];
const WORDS: [u32; 10] = [
    0,
    1,
    2,
    3,
    0x7F,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    u32::MAX,
    0x7F80_0000,
];
const TOKENS: [&str; 20] = [
    "f 1 2 3\n",
    "f -1 -1 -1\n",
    "v 0 0 0\n",
    "usemtl surface\n",
    "mtllib box.mtl\n",
    "vertex ",
    "endfacet\n",
    "facet\n",
    "solid ",
    "element face 9\n",
    "property list uchar int vertex_indices\n",
    "property float x\n",
    "list ",
    "double ",
    "end_header\n",
    "//",
    "[",
    "{}",
    ",",
    "null",
];

/// Changes one to eight things in a file.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                let end = (at + random.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + random.below(200)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => {
                let token = random.pick(&TOKENS);
                bytes.splice(at..at, token.bytes());
            }
            6 => {
                let word = WORDS[random.below(WORDS.len())].to_le_bytes();
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
            _ => replace_number(bytes, at, random),
        }
    }
}

/// Replaces the next run of digits: a count, an index, an offset or a coordinate.
fn replace_number(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = from + start;
    let length = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let number = random.pick(&NUMBERS);
    bytes.splice(start..start + length, number.bytes());
}

/// Changes the JSON of a GLB and mends the lengths around it, so that the change is looked at.
fn mutate_json(bytes: &mut Vec<u8>, random: &mut Random) {
    let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut json = bytes[20..20 + length].to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(json.len());
        if random.below(8) == 0 {
            json[at] ^= 1 << random.below(8);
        } else {
            replace_number(&mut json, at, random);
        }
    }
    let binary = bytes.split_off(20 + length);
    bytes.truncate(20);
    json.resize(json.len().next_multiple_of(4), b' ');
    bytes[12..16].copy_from_slice(&(json.len() as u32).to_le_bytes());
    bytes.extend(json);
    bytes.extend(binary);
    let total = bytes.len() as u32;
    bytes[8..12].copy_from_slice(&total.to_le_bytes());
}

fn written(mesh: &Mesh, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(mesh, format, &WriteOptions::default(), &mut bytes).unwrap();
    bytes
}

fn coloured() -> Mesh {
    let mut mesh = textured_box();
    mesh.texture = None;
    mesh.colours = (0..24).map(|i| [i * 10, 255 - i, 7, 255 - i]).collect();
    mesh
}

fn plain() -> Mesh {
    let Mesh {
        positions,
        triangles,
        ..
    } = textured_box();
    Mesh {
        positions,
        triangles,
        ..Mesh::default()
    }
}

fn image_bytes(format: image::ImageFormat) -> Vec<u8> {
    let image = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 99]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Every accessor type, primitive mode, transform, a tree of nodes, and a texture on one part.
fn rich_glb() -> Vec<u8> {
    let mut binary = Vec::new();
    for number in [
        0.0_f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.5,
    ] {
        binary.extend(number.to_le_bytes());
    }
    binary.extend([0, 1, 2, 3]);
    binary.extend([0_u8, 0, 255, 0, 0, 255, 255, 255]);
    binary.extend((0..16).map(|i| i * 16));
    let jpeg = image_bytes(image::ImageFormat::Jpeg);
    let image_length = jpeg.len();
    binary.extend(jpeg);
    binary.resize(binary.len().next_multiple_of(4), 0);
    let json = serde_json::json!({
        "asset": { "version": "2.0", "extras": { "orfeas": { "quality": 3 } } },
        "scene": 0, "scenes": [{ "nodes": [0] }],
        "nodes": [
            { "children": [1, 2], "rotation": [0.0, 0.6, 0.0, 0.8] },
            { "mesh": 0, "scale": [1.0, -2.0, 1.0], "children": [3] },
            { "mesh": 0, "matrix": [1.0,0.0,0.0,0.0, 0.0,1.0,0.0,0.0, 0.0,0.0,1.0,0.0, 4.0,0.0,0.0,1.0] },
            { "mesh": 1, "translation": [0.0, 0.0, 3.0] },
        ],
        "meshes": [
            { "primitives": [
                { "attributes": { "POSITION": 0, "TEXCOORD_0": 2 }, "indices": 1, "mode": 5, "material": 0 },
                { "attributes": { "POSITION": 0, "COLOR_0": 3, "NORMAL": 0 }, "indices": 1, "mode": 6 },
            ] },
            { "primitives": [{ "attributes": { "POSITION": 4 } }] },
        ],
        "materials": [{ "pbrMetallicRoughness": { "baseColorTexture": { "index": 0 } } }],
        "textures": [{ "source": 0 }],
        "images": [{ "bufferView": 4, "mimeType": "image/jpeg" }],
        "accessors": [
            { "bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 4 },
            { "bufferView": 1, "componentType": 5121, "type": "SCALAR", "count": 4 },
            { "bufferView": 2, "componentType": 5121, "normalized": true, "type": "VEC2", "count": 4 },
            { "bufferView": 3, "componentType": 5121, "normalized": true, "type": "VEC4", "count": 4 },
            { "bufferView": 5, "componentType": 5126, "type": "VEC3", "count": 3 },
        ],
        "bufferViews": [
            { "buffer": 0, "byteLength": 48, "byteStride": 12 },
            { "buffer": 0, "byteOffset": 48, "byteLength": 4 },
            { "buffer": 0, "byteOffset": 52, "byteLength": 8 },
            { "buffer": 0, "byteOffset": 60, "byteLength": 16 },
            { "buffer": 0, "byteOffset": 76, "byteLength": image_length },
            { "buffer": 1, "byteLength": 36 },
        ],
        "buffers": [
            { "byteLength": binary.len() },
            { "byteLength": 36, "uri": "data:application/octet-stream;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA" },
        ],
    });
    glb(&json, &binary)
}

const STL_TEXT: &[u8] = b"solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\n\
    vertex 0 1 1e-3\nendloop\nendfacet\nendsolid a\n";
const PLY_TEXT: &[u8] = b"ply\nformat ascii 1.0\ncomment a\nelement vertex 4\nproperty double x\n\
    property float y\nproperty float z\nproperty uchar red\nproperty uchar green\n\
    property uchar blue\nelement other 2\nproperty list uchar short a\nproperty int b\n\
    element face 2\nproperty list uchar uint vertex_index\nproperty float q\nend_header\n\
    0 0 0 1 2 3\n1 0 0 4 5 6\n1 1 0 7 8 9\n0 1 2 10 11 12\n2 7 7 1\n0 2\n4 0 1 2 3 0.5\n3 0 1 2 1\n";
const OBJ_TEXT: &[u8] = b"mtllib box.mtl\no a\nv 0 0 0 1 0 0.5\nv 1 0 0 0 1 0\nv 1 1 0\nv 0 1 0 1\n\
    vt 0 0\nvt 1 1\nvn 0 0 1\nusemtl surface\nf 1/1/1 2/2/1 3/1/1 4/2/1\nf -4 -3 -2\nf 1//1 2//1 4//1\n";
const MTL_TEXT: &[u8] = b"newmtl surface\nKd 1 1 1\nmap_Kd -s 1 1 1 box.png\n";

fn ply_big_endian() -> Vec<u8> {
    let mut bytes = b"ply\nformat binary_big_endian 1.0\nelement vertex 3\nproperty float x\n\
        property double y\nproperty short z\nelement face 1\n\
        property list ushort uint vertex_indices\nend_header\n"
        .to_vec();
    for (x, y, z) in [(0.0_f32, 0.0_f64, 0_i16), (1.0, 0.0, 1), (0.0, 1.0, 2)] {
        bytes.extend(x.to_be_bytes());
        bytes.extend(y.to_be_bytes());
        bytes.extend(z.to_be_bytes());
    }
    bytes.extend([0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
    bytes
}

fn seeds(format: Format) -> Vec<Vec<u8>> {
    let ours = || [textured_box(), coloured(), plain()].map(|mesh| written(&mesh, format));
    let mut seeds = ours().to_vec();
    match format {
        Format::Glb => seeds.push(rich_glb()),
        Format::Obj => seeds.push(OBJ_TEXT.to_vec()),
        Format::Stl => seeds.push(STL_TEXT.to_vec()),
        Format::Ply => seeds.extend([PLY_TEXT.to_vec(), ply_big_endian()]),
        Format::ThreeMf => {}
    }
    seeds
}

/// The files beside an OBJ.
struct Beside {
    material: Vec<u8>,
    texture: Vec<u8>,
}

fn read_checked(
    bytes: &[u8],
    format: Format,
    beside: &Beside,
) -> Result<Result<Loaded, ReadError>, String> {
    let companions = |name: &str| match name {
        "box.mtl" => Some(beside.material.clone()),
        "box.png" => Some(beside.texture.clone()),
        _ => None,
    };
    let mut outcome = None;
    let allocated = allocation_counter::measure(|| {
        outcome = Some(catch_unwind(AssertUnwindSafe(|| {
            read(bytes, format, &companions)
        })));
    });
    let result = outcome.unwrap().map_err(|_panic| "panic".to_owned())?;
    let texture_bytes = match format {
        Format::Glb => bytes.len(),
        Format::Obj => beside.texture.len(),
        _ => 0,
    };
    let (base, each) = allowance(format);
    let limit = base
        + each * (bytes.len() + beside.material.len()) as u64
        + BYTES_EACH_TEXTURE_BYTE * texture_bytes as u64;
    if allocated.bytes_max > limit {
        return Err(format!(
            "{} bytes allocated, limit {limit}",
            allocated.bytes_max
        ));
    }
    if let Ok(loaded) = &result {
        let mesh = &loaded.mesh;
        let vertices = mesh.positions.len();
        let consistent = [mesh.normals.len(), mesh.uvs.len(), mesh.colours.len()]
            .iter()
            .all(|&length| length == 0 || length == vertices)
            && mesh
                .triangles
                .iter()
                .flatten()
                .all(|&index| (index as usize) < vertices)
            && mesh.positions.iter().flatten().all(|c| c.is_finite());
        if !consistent {
            return Err("the mesh is inconsistent".to_owned());
        }
        let rewrite = || {
            write(
                mesh,
                Format::Ply,
                &WriteOptions::default(),
                &mut std::io::sink(),
            )
        };
        if catch_unwind(AssertUnwindSafe(rewrite)).is_err() {
            return Err("panic when written again".to_owned());
        }
    }
    Ok(result)
}

fn fuzz(format: Format) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let (first, iterations) = match number("ORFEAS_FUZZ_SEED") {
        Some(seed) => (seed, 1),
        None => (
            0,
            number("ORFEAS_FUZZ_ITERATIONS").unwrap_or(DEFAULT_ITERATIONS),
        ),
    };
    let seeds = seeds(format);
    let beside = || Beside {
        material: MTL_TEXT.to_vec(),
        texture: image_bytes(image::ImageFormat::Png),
    };
    for seed in &seeds {
        read_checked(seed, format, &beside()).unwrap().unwrap();
    }
    let (mut read_well, mut refused) = (0_u64, 0_u64);
    for iteration in first..first + iterations {
        let mut random = Random(iteration);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let mut beside = beside();
        match (format, random.below(4)) {
            (Format::Glb, 0..3) => mutate_json(&mut bytes, &mut random),
            (Format::Obj, 0) => {
                mutate(&mut beside.material, &mut random);
                mutate(&mut beside.texture, &mut random);
            }
            _ => mutate(&mut bytes, &mut random),
        }
        match read_checked(&bytes, format, &beside) {
            Ok(Ok(_)) => read_well += 1,
            Ok(Err(_)) => refused += 1,
            Err(failure) => panic!("{format}: {failure}; again with ORFEAS_FUZZ_SEED={iteration}"),
        }
    }
    println!("{format}: {iterations} files, {read_well} read, {refused} refused");
    // A fuzzer that never gets past the signature, or never breaks anything, tests nothing.
    if iterations >= DEFAULT_ITERATIONS {
        assert!(read_well > iterations / 100 && refused > iterations / 100);
    }
}

#[test]
fn glb_reader_withstands_mutations() {
    fuzz(Format::Glb);
}

#[test]
fn obj_reader_withstands_mutations() {
    fuzz(Format::Obj);
}

#[test]
fn stl_reader_withstands_mutations() {
    fuzz(Format::Stl);
}

#[test]
fn ply_reader_withstands_mutations() {
    fuzz(Format::Ply);
}
