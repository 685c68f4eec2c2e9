//! Reading meshes that others wrote, or broke.
use orfeas::formats::{Damage, Format, ReadError, WriteOptions, read};

use crate::formats::{glb, read_alone, textured_box, written};

#[test]
fn glb_reads_transforms_strips_and_mirrored_nodes() {
    let mut binary = Vec::new();
    for position in [
        [0.0_f32, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [1.0, 1.0, 0.0],
    ] {
        binary.extend(position.iter().flat_map(|c| c.to_le_bytes()));
    }
    let json = serde_json::json!({
        "asset": { "version": "2.0" }, "scene": 0, "scenes": [{ "nodes": [0] }],
        "nodes": [
            { "children": [1, 2], "translation": [0.0, 0.0, 5.0] },
            { "mesh": 0, "scale": [2.0, 2.0, 2.0] },
            { "mesh": 0, "scale": [-1.0, 1.0, 1.0] },
        ],
        "meshes": [{ "primitives": [{ "attributes": { "POSITION": 0 }, "mode": 5 }] }],
        "accessors": [{ "bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 4 }],
        "bufferViews": [{ "buffer": 0, "byteLength": 48 }],
        "buffers": [{ "byteLength": 48 }],
    });
    let back = read_alone(&glb(&json, &binary), Format::Glb).unwrap();
    let mesh = back.mesh;
    assert_eq!(mesh.positions[3], [2.0, 2.0, 5.0]);
    assert_eq!(mesh.positions[7], [-1.0, 1.0, 5.0]);
    for t in &mesh.triangles {
        let [a, b, c] = t.map(|i| mesh.positions[i as usize]);
        let z = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        assert!(z > 0.0, "every triangle faces the front: {t:?}");
    }
}

#[test]
fn glb_refuses_what_it_cannot_read_by_name() {
    let base = serde_json::json!({ "asset": { "version": "2.0" } });
    let mut draco = base.clone();
    draco["extensionsRequired"] = serde_json::json!(["KHR_draco_mesh_compression"]);
    let error = read_alone(&glb(&draco, &[]), Format::Glb).unwrap_err();
    assert!(
        error.to_string().contains("KHR_draco_mesh_compression"),
        "{error}"
    );
    let mut cycle = base.clone();
    cycle["nodes"] = serde_json::json!([{ "children": [1] }, { "children": [0] }]);
    cycle["scenes"] = serde_json::json!([{ "nodes": [0] }]);
    let error = read_alone(&glb(&cycle, &[]), Format::Glb).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                damage: Damage::NodeReachedTwice(0),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn shared_meshes_may_not_unfold_without_bound() {
    let nodes: Vec<_> = (0..20_000)
        .map(|_| serde_json::json!({ "mesh": 0 }))
        .collect();
    let json = serde_json::json!({
        "asset": { "version": "2.0" }, "nodes": nodes,
        "meshes": [{ "primitives": [{ "attributes": { "POSITION": 0 } }] }],
        "accessors": [{ "bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 30_000 }],
        "bufferViews": [{ "buffer": 0, "byteLength": 360_000 }],
        "buffers": [{ "byteLength": 360_000 }],
    });
    let error = read_alone(&glb(&json, &vec![0; 360_000]), Format::Glb).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                damage: Damage::TooMuchGeometry,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn stl_text_and_binary_that_begins_with_solid_are_told_apart() {
    let text =
        b"solid a\n facet normal 0 0 1\n  outer loop\n   vertex 0 0 0\n   vertex 1 0 0\r\n   \
        vertex 0 1 0.5\n  endloop\n endfacet\nendsolid a\n";
    let back = read_alone(text, Format::Stl).unwrap();
    assert_eq!(
        back.mesh.positions,
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, -1.0]]
    );
    let mut binary = written(&textured_box(), Format::Stl, &WriteOptions::default());
    binary[..5].copy_from_slice(b"solid");
    assert_eq!(
        read_alone(&binary, Format::Stl)
            .unwrap()
            .mesh
            .triangles
            .len(),
        12
    );
    let cut = &text[..text.len() - 30];
    assert!(read_alone(cut, Format::Stl).is_err());
    assert!(read_alone(&binary[..binary.len() - 1], Format::Stl).is_err());
}

#[test]
fn counts_beyond_the_file_are_refused() {
    let ply =
        b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\nproperty float x\n\
        property float y\nproperty float z\nend_header\n";
    let error = read_alone(ply, Format::Ply).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                damage: Damage::Truncated(_),
                ..
            }
        ),
        "{error}"
    );
    let mut stl = vec![0; 84];
    stl[80..].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read_alone(&stl, Format::Stl).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                damage: Damage::Truncated(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn obj_has_polygons_negative_indices_and_colours() {
    let text =
        "v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\nv 0 1 0 1 1 1\n# quad\nf -4 -3 -2 -1\n";
    let mesh = read_alone(text.as_bytes(), Format::Obj).unwrap().mesh;
    assert_eq!(mesh.triangles, [[0, 1, 2], [0, 2, 3]]);
    assert_eq!(mesh.colours[1], [0, 255, 0, 255]);
    for (face, index) in [("f 1 2 5", 5), ("f 0 1 2", 0), ("f 1 2 -5", -5)] {
        let text = format!("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 1\n{face}\n");
        match read_alone(text.as_bytes(), Format::Obj).unwrap_err() {
            ReadError::Damaged {
                damage:
                    Damage::Index {
                        index: found,
                        vertices: 4,
                    },
                ..
            } => {
                assert_eq!(found, index);
            }
            other => panic!("{other}"),
        }
    }
    let infinite = b"v inf 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n";
    let error = read_alone(infinite, Format::Obj).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                damage: Damage::NotFinite,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn companions_are_asked_for_by_plain_names_only() {
    for name in [
        "../a.mtl",
        "/etc/a.mtl",
        "a/b.mtl",
        "..\\a.mtl",
        "C:a.mtl",
        "http://x/a.mtl",
        "..",
    ] {
        let text = format!("mtllib {name}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n");
        let refuse = |name: &str| -> Option<Vec<u8>> { panic!("asked for {name}") };
        let back = read(text.as_bytes(), Format::Obj, &refuse).unwrap();
        assert_eq!(back.warnings.len(), 1, "{name}");
    }
}

/// A small PNG that claims a huge size must cost a warning, not memory.
#[test]
fn texture_bombs_are_left_out() {
    let mut png = written(&textured_box(), Format::Glb, &WriteOptions::default());
    let start = png.windows(4).position(|w| w == b"IHDR").unwrap();
    for side in [start + 4, start + 8] {
        png[side..side + 4].copy_from_slice(&60_000_u32.to_be_bytes());
    }
    // The chunk's checksum: CRC-32 over its type and data.
    let mut crc = u32::MAX;
    for &byte in &png[start..start + 17] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    png[start + 17..start + 21].copy_from_slice(&(!crc).to_be_bytes());
    let mut loaded = None;
    let allocated =
        allocation_counter::measure(|| loaded = Some(read_alone(&png, Format::Glb).unwrap()));
    let loaded = loaded.unwrap();
    assert!(loaded.mesh.texture.is_none() && loaded.mesh.triangles.len() == 12);
    assert!(
        loaded.warnings[0].contains("texture"),
        "{:?}",
        loaded.warnings
    );
    assert!(allocated.bytes_max < 1 << 20, "{allocated:?}");
}
