//! Mesh files: what is written, read back by us and by foreign readers; saving whole or not at all.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use orfeas::formats::{
    Format, FormatError, Loaded, ReadError, SaveError, Unwritable, WriteOptions, read, write,
};
use orfeas::mesh::{Mesh, Texture};
use proptest::prelude::*;

pub(crate) const READABLE: [Format; 4] = [Format::Glb, Format::Obj, Format::Stl, Format::Ply];

/// A box with a seam: every side has vertices of its own, so each corner occurs three times.
pub(crate) fn textured_box() -> Mesh {
    let mut mesh = Mesh::default();
    let half = [0.5_f32, 0.25, 0.125];
    for axis in 0..3 {
        for sign in [-1.0_f32, 1.0] {
            let first = mesh.positions.len() as u32;
            for (u, v) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)] {
                let mut corner = [0.0; 3];
                let mut normal = [0.0; 3];
                corner[axis] = sign * half[axis];
                corner[(axis + 1) % 3] = (2.0 * u - 1.0) * half[(axis + 1) % 3];
                corner[(axis + 2) % 3] = (2.0 * v - 1.0) * half[(axis + 2) % 3];
                normal[axis] = sign;
                mesh.positions.push(corner);
                mesh.normals.push(normal);
                mesh.uvs.push([u, v]);
            }
            let quad = if sign > 0.0 {
                [[0, 1, 2], [0, 2, 3]]
            } else {
                [[0, 2, 1], [0, 3, 2]]
            };
            mesh.triangles.extend(quad.map(|t| t.map(|i| i + first)));
        }
    }
    let pixels = (0..64_u8)
        .map(|i| [i * 4, 255 - i * 4, i % 8 * 30])
        .collect();
    mesh.texture = Some(Arc::new(Texture {
        width: 8,
        height: 8,
        pixels,
    }));
    mesh
}

fn coloured_box() -> Mesh {
    let mut mesh = textured_box();
    mesh.texture = None;
    mesh.uvs.clear();
    mesh.colours = mesh
        .positions
        .iter()
        .map(|p| p.map(|c| if c > 0.0 { 200 } else { 3 }))
        .map(|[r, g, b]| [r, g, b, 255])
        .collect();
    mesh
}

pub(crate) fn sized(longest_side_mm: f64) -> WriteOptions {
    WriteOptions {
        longest_side_mm,
        ..WriteOptions::default()
    }
}

pub(crate) fn written(mesh: &Mesh, format: Format, options: &WriteOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(mesh, format, options, &mut bytes).unwrap();
    bytes
}

pub(crate) fn read_alone(bytes: &[u8], format: Format) -> Result<Loaded, ReadError> {
    read(bytes, format, &|_| None)
}

/// Number of distinct positions, and whether every edge has two faces in opposite directions.
pub(crate) fn welded(mesh: &Mesh) -> (usize, bool) {
    let mut index = BTreeMap::new();
    let of: Vec<usize> = mesh
        .positions
        .iter()
        .map(|p| {
            let next = index.len();
            *index.entry(p.map(|c| (c + 0.0).to_bits())).or_insert(next)
        })
        .collect();
    let mut edges = BTreeMap::<(usize, usize), i32>::new();
    let mut directed = BTreeSet::new();
    let mut consistent = true;
    for t in &mesh.triangles {
        let [a, b, c] = t.map(|i| of[i as usize]);
        for (from, to) in [(a, b), (b, c), (c, a)] {
            consistent &= directed.insert((from, to));
            *edges.entry((from.min(to), from.max(to))).or_default() += 1;
        }
    }
    (
        index.len(),
        consistent && edges.values().all(|&faces| faces == 2),
    )
}

fn extent(positions: &[[f32; 3]]) -> [[f32; 2]; 3] {
    std::array::from_fn(|axis| {
        let along = || positions.iter().map(|p| p[axis]);
        [
            along().fold(f32::INFINITY, f32::min),
            along().fold(f32::NEG_INFINITY, f32::max),
        ]
    })
}

#[test]
fn format_is_told_by_the_extension_in_either_case() {
    assert_eq!(
        Format::from_path(Path::new("a/b.GLB")).unwrap(),
        Format::Glb
    );
    for format in Format::ALL {
        assert_eq!(Format::from_extension(format.extension()).unwrap(), format);
    }
    let error = Format::from_path(Path::new("robot.fbx")).unwrap_err();
    assert_eq!(
        error,
        FormatError::Unknown {
            extension: "fbx".to_owned()
        }
    );
    for format in Format::ALL {
        assert!(
            error
                .to_string()
                .contains(&format!(".{}", format.extension()))
        );
    }
    assert_eq!(
        Format::from_path(Path::new("robot")),
        Err(FormatError::Missing)
    );
}

#[test]
fn seams_and_closedness_survive_every_round_trip() {
    for mesh in [textured_box(), coloured_box()] {
        for format in READABLE {
            let back = read_alone(&written(&mesh, format, &sized(73.0)), format).unwrap();
            assert_eq!(welded(&back.mesh), (8, true), "{format}");
            assert_eq!(back.mesh.triangles.len(), 12, "{format}");
        }
    }
}

#[test]
fn units_axes_and_ground_are_those_of_each_format() {
    // Half sizes of the box: 0.5 along x, 0.25 up, 0.125 to the front; its longest side is 1.
    let mesh = textured_box();
    let glb = read_alone(&written(&mesh, Format::Glb, &sized(200.0)), Format::Glb).unwrap();
    assert_eq!(glb.mm_per_unit, 1000.0);
    assert_eq!(
        extent(&glb.mesh.positions),
        [[-0.1, 0.1], [-0.05, 0.05], [-0.025, 0.025]]
    );
    let obj = read_alone(&written(&mesh, Format::Obj, &sized(200.0)), Format::Obj).unwrap();
    assert_eq!(obj.mm_per_unit, 1.0);
    assert_eq!(
        extent(&obj.mesh.positions),
        [[-100.0, 100.0], [-50.0, 50.0], [-25.0, 25.0]]
    );
    for format in [Format::Stl, Format::Ply] {
        let back = read_alone(&written(&mesh, format, &sized(200.0)), format).unwrap();
        assert_eq!(back.mm_per_unit, 1.0);
        let expected = [[-100.0, 100.0], [0.0, 100.0], [-25.0, 25.0]];
        assert_eq!(extent(&back.mesh.positions), expected, "{format}");
    }
}

#[test]
fn size_is_that_of_the_file_whatever_the_mesh_measures() {
    let mut mesh = textured_box();
    mesh.positions
        .iter_mut()
        .flatten()
        .for_each(|c| *c *= 640.0);
    let back = read_alone(&written(&mesh, Format::Stl, &sized(50.0)), Format::Stl).unwrap();
    assert_eq!(extent(&back.mesh.positions)[0], [-25.0, 25.0]);
}

#[test]
fn z_up_turn_points_the_front_to_minus_y() {
    let mut mesh = textured_box();
    mesh.positions
        .iter_mut()
        .for_each(|p| p[2] += if p[2] > 0.0 { 0.25 } else { 0.0 });
    let stl =
        stl_io::read_stl(&mut Cursor::new(written(&mesh, Format::Stl, &sized(100.0)))).unwrap();
    let y: Vec<f32> = stl.vertices.iter().map(|v| v[1]).collect();
    assert_eq!(y.iter().copied().fold(f32::INFINITY, f32::min), -37.5);
    assert_eq!(y.iter().copied().fold(f32::NEG_INFINITY, f32::max), 12.5);
}

#[test]
fn glb_keeps_every_attribute_and_the_settings() {
    let mesh = textured_box();
    let options = WriteOptions {
        settings: serde_json::json!({ "quality": 7, "back": "mirror" }),
        name: "a \"box\"".to_owned(),
        ..WriteOptions::default()
    };
    let back = read_alone(&written(&mesh, Format::Glb, &options), Format::Glb).unwrap();
    assert_eq!(back.settings, Some(options.settings));
    assert_eq!(back.mesh.normals, mesh.normals);
    assert_eq!(back.mesh.uvs, mesh.uvs);
    assert_eq!(back.mesh.triangles, mesh.triangles);
    assert_eq!(back.mesh.texture, mesh.texture);
    assert!(back.warnings.is_empty());
}

#[test]
fn glb_vertex_colours_keep_all_srgb_levels() {
    let mut mesh = textured_box();
    mesh.texture = None;
    mesh.uvs.clear();
    for base in 0..32_u8 {
        let colour = |i: u8| [base * 8 + i % 8, i, 255 - i, base];
        mesh.colours = (0..24).map(colour).collect();
        let back = read_alone(&written(&mesh, Format::Glb, &sized(1.0)), Format::Glb).unwrap();
        assert_eq!(back.mesh.colours, mesh.colours);
    }
}

#[test]
fn glb_satisfies_a_foreign_reader() {
    let mesh = textured_box();
    let bytes = written(&mesh, Format::Glb, &WriteOptions::default());
    assert_eq!(bytes.len() % 4, 0);
    assert_eq!(
        u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize,
        bytes.len()
    );
    // `import_slice` validates the document and decodes nothing of ours.
    let (document, buffers, _) = gltf::import_slice(&bytes).unwrap();
    assert!(
        document
            .as_json()
            .asset
            .generator
            .as_deref()
            .unwrap()
            .starts_with("Orfeas ")
    );
    let primitive = document
        .meshes()
        .next()
        .unwrap()
        .primitives()
        .next()
        .unwrap();
    let material = primitive.material();
    assert!(!material.double_sided());
    assert_eq!(material.pbr_metallic_roughness().metallic_factor(), 0.0);
    let reader = primitive.reader(|buffer| Some(&buffers[buffer.index()]));
    let positions: Vec<_> = reader.read_positions().unwrap().collect();
    let bounds = primitive.bounding_box();
    let extent = extent(&positions);
    assert_eq!(bounds.min, extent.map(|[low, _]| low));
    assert_eq!(bounds.max, extent.map(|[_, high]| high));
    let indices: Vec<_> = reader.read_indices().unwrap().into_u32().collect();
    assert_eq!(indices, mesh.triangles.as_flattened());
    for view in document.views() {
        assert_eq!(view.offset() % 4, 0);
    }
}

#[test]
fn glb_uses_wide_indices_only_when_it_must() {
    for (vertices, bytes_each) in [(65_535_usize, 2), (65_536, 4)] {
        let mut mesh = Mesh::default();
        let last = vertices as u32 - 1;
        mesh.positions = (0..vertices)
            .map(|i| [i as f32, (i % 7) as f32, (i % 3) as f32])
            .collect();
        mesh.triangles = vec![[0, 1, last]];
        let bytes = written(&mesh, Format::Glb, &WriteOptions::default());
        let (document, ..) = gltf::import_slice(&bytes).unwrap();
        let primitive = document
            .meshes()
            .next()
            .unwrap()
            .primitives()
            .next()
            .unwrap();
        assert_eq!(primitive.indices().unwrap().size(), bytes_each);
        let back = read_alone(&bytes, Format::Glb).unwrap();
        assert_eq!(back.mesh.triangles, mesh.triangles);
    }
}

pub(crate) fn glb(json: &serde_json::Value, binary: &[u8]) -> Vec<u8> {
    let mut json = json.to_string().into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    let mut bytes = b"glTF".to_vec();
    let length = 28 + json.len() + binary.len();
    for word in [2, length as u32, json.len() as u32, 0x4E4F_534A] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(json);
    for word in [binary.len() as u32, 0x004E_4942] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(binary);
    bytes
}

#[test]
fn stl_has_the_header_and_count_of_a_binary_file() {
    let bytes = written(&textured_box(), Format::Stl, &WriteOptions::default());
    assert_eq!(bytes.len(), 84 + 12 * 50);
    assert!(bytes.starts_with(b"Orfeas "));
    assert_eq!(bytes[80..84], 12_u32.to_le_bytes());
    let foreign = stl_io::read_stl(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!((foreign.vertices.len(), foreign.faces.len()), (8, 12));
    foreign.validate().unwrap();
}

#[test]
fn ply_header_is_stable_and_other_forms_are_read() {
    let bytes = written(&coloured_box(), Format::Ply, &WriteOptions::default());
    let header = format!(
        "ply\nformat binary_little_endian 1.0\ncomment Orfeas {}: millimetres, Z up\n\
         element vertex 24\nproperty float x\nproperty float y\nproperty float z\n\
         property float nx\nproperty float ny\nproperty float nz\n\
         property uchar red\nproperty uchar green\nproperty uchar blue\n\
         element face 12\nproperty list uchar int vertex_indices\nend_header\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(bytes.starts_with(header.as_bytes()));
    assert_eq!(bytes.len(), header.len() + 24 * 27 + 12 * 13);
    let back = read_alone(&bytes, Format::Ply).unwrap().mesh;
    assert_eq!(
        (back.normals, back.colours),
        (coloured_box().normals, coloured_box().colours)
    );

    let text = "ply\nformat ascii 1.0\nelement vertex 4\nproperty double x\nproperty float y\n\
        property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\n\
        element face 1\nproperty list uchar uint vertex_index\nproperty float quality\nend_header\n\
        0 0 0 1 2 3\n1 0 0 4 5 6\n1 1 0 7 8 9\n0 1 2 10 11 12\n4 0 1 2 3 0.5";
    let back = read_alone(text.as_bytes(), Format::Ply).unwrap().mesh;
    assert_eq!(back.triangles, [[0, 1, 2], [0, 2, 3]]);
    assert_eq!(back.positions[3], [0.0, 2.0, -1.0]);
    assert_eq!(back.colours[3], [10, 11, 12, 255]);

    let mut big = b"ply\nformat binary_big_endian 1.0\nelement vertex 3\nproperty float x\n\
        property float y\nproperty float z\nelement face 1\n\
        property list uchar ushort vertex_indices\nend_header\n"
        .to_vec();
    for number in [0.0_f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0] {
        big.extend(number.to_be_bytes());
    }
    big.extend([3, 0, 0, 0, 1, 0, 2]);
    let back = read_alone(&big, Format::Ply).unwrap().mesh;
    assert_eq!(back.triangles, [[0, 1, 2]]);
    assert_eq!(back.positions[1], [1.0, 0.0, 0.0]);
}

#[test]
fn obj_as_one_stream_carries_the_texture_as_colours() {
    let bytes = written(&textured_box(), Format::Obj, &WriteOptions::default());
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(!text.contains("mtllib") && !text.contains("usemtl"));
    assert_eq!(
        read_alone(&bytes, Format::Obj).unwrap().mesh.colours.len(),
        24
    );
}

#[test]
fn three_mf_is_a_package_with_a_welded_coloured_model() {
    let options = WriteOptions {
        name: "<a & b>".to_owned(),
        ..WriteOptions::default()
    };
    let bytes = written(&textured_box(), Format::ThreeMf, &options);
    assert_eq!(
        bytes,
        written(&textured_box(), Format::ThreeMf, &options),
        "no clock in the package"
    );
    let mut package = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let names: Vec<String> = package
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert_eq!(
        names,
        ["[Content_Types].xml", "_rels/.rels", "3D/3dmodel.model"]
    );
    let mut model = String::new();
    package
        .by_name("3D/3dmodel.model")
        .unwrap()
        .read_to_string(&mut model)
        .unwrap();
    assert!(model.contains("unit=\"millimeter\""));
    assert!(model.contains("&lt;a &amp; b&gt;"));
    assert_eq!(model.matches("<vertex ").count(), 8);
    assert_eq!(model.matches("<triangle ").count(), 12);
    assert!(model.contains("<m:colorgroup id=\"1\">"));
    assert!(model.contains("z=\"0\"") && model.contains("z=\"50\"") && !model.contains("z=\"-"));
    assert!(matches!(
        read_alone(b"PK", Format::ThreeMf),
        Err(ReadError::WriteOnly(Format::ThreeMf))
    ));
}

#[test]
fn meshes_that_no_file_can_hold_are_refused() {
    let refused = |change: fn(&mut Mesh)| {
        let mut mesh = textured_box();
        change(&mut mesh);
        let mut bytes = Vec::new();
        let error = write(&mesh, Format::Stl, &WriteOptions::default(), &mut bytes).unwrap_err();
        assert!(bytes.is_empty());
        match error {
            SaveError::Unwritable(why) => why,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(|m| m.triangles.clear()), Unwritable::Empty);
    assert_eq!(
        refused(|m| m.positions[3][1] = f32::NAN),
        Unwritable::NotFinite
    );
    assert_eq!(
        refused(|m| m.positions.fill([1.0; 3])),
        Unwritable::NoExtent
    );
    assert_eq!(
        refused(|m| m.triangles[0][0] = 24),
        Unwritable::Index {
            index: 24,
            vertices: 24
        }
    );
    assert!(matches!(
        refused(|m| m.uvs.truncate(1)),
        Unwritable::Attribute { length: 1, .. }
    ));
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut bytes = Vec::new();
        let error = write(&textured_box(), Format::Stl, &sized(size), &mut bytes);
        assert!(matches!(error, Err(SaveError::Size(_))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Points on a lattice of 1e-4 of the longest side, some of them duplicated.
    #[test]
    fn distinct_positions_stay_distinct_and_equal_ones_equal(
        lattice in prop::collection::vec([0_u16..10_001, 0_u16..10_001, 0_u16..10_001], 4..60),
        size_mm in prop::sample::select(vec![1e-3, 0.37, 1.0, 73.19, 100.0, 999.9, 1e6]),
        offset in -0.5_f32..0.5,
    ) {
        let position = |p: &[u16; 3]| p.map(|c| f32::from(c) / 10_000.0 - 0.5 + offset);
        let mut mesh = Mesh {
            positions: vec![position(&[0, 0, 0]), position(&[10_000, 0, 0])],
            ..Mesh::default()
        };
        for point in &lattice {
            mesh.positions.extend([position(point); 2]);
        }
        let count = mesh.positions.len() as u32;
        mesh.triangles = (0..count).map(|i| [i, (i + 1) % count, (i + 2) % count]).collect();
        let distinct = welded(&mesh).0;
        for format in READABLE {
            let back = read_alone(&written(&mesh, format, &sized(size_mm)), format).unwrap();
            prop_assert_eq!(welded(&back.mesh).0, distinct, "{}", format);
            prop_assert_eq!(back.mesh.triangles.len(), mesh.triangles.len());
            let scale = size_mm / back.mm_per_unit / {
                let [low, high] = extent(&mesh.positions)[0];
                let side = |[low, high]: [f32; 2]| f64::from(high) - f64::from(low);
                extent(&mesh.positions).map(side).into_iter().fold(side([low, high]), f64::max)
            };
            let ground = if matches!(format, Format::Stl | Format::Ply) {
                f64::from(extent(&mesh.positions)[1][0])
            } else {
                0.0
            };
            for (written, read) in mesh.triangles.iter().flatten().zip(back.mesh.triangles.iter().flatten()) {
                let (p, q) = (mesh.positions[*written as usize], back.mesh.positions[*read as usize]);
                for axis in 0..3 {
                    let origin = if axis == 1 { ground } else { 0.0 };
                    let expected = (f64::from(p[axis]) - origin) * scale;
                    let error = (f64::from(q[axis]) - expected).abs();
                    prop_assert!(error <= expected.abs() * 6e-8 + 1e-9 * scale, "{} {} {}", format, expected, q[axis]);
                }
            }
        }
    }
}
