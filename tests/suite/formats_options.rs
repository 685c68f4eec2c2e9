//! What a writer may be asked for beside the size: which way is up, how large the texture, and to stop.

use std::path::Path;
use std::sync::Arc;

use orfeas::formats::{Format, SaveError, Up, Watch, WriteOptions, load, save, save_watched};
use orfeas::mesh::{Mesh, Texture, measure};

use crate::formats::{read_alone, written};

/// A box of 1 × 0.5 × 0.25, and a texture of 64 × 32 pixels, black and white in columns.
fn textured_box() -> Mesh {
    let mut mesh = crate::formats::textured_box();
    mesh.texture = Some(Arc::new(Texture {
        width: 64,
        height: 32,
        pixels: (0..64 * 32)
            .map(|place| if place % 2 == 0 { [0; 3] } else { [255; 3] })
            .collect(),
    }));
    mesh
}

fn extent(mesh: &Mesh) -> [f32; 3] {
    let bounds = measure::bounds(mesh).unwrap();
    std::array::from_fn(|axis| bounds.max[axis] - bounds.min[axis])
}

fn with_up(up: Up) -> WriteOptions {
    WriteOptions {
        up: Some(up),
        ..WriteOptions::default()
    }
}

#[test]
fn a_format_that_leaves_it_open_is_written_with_the_axis_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = textured_box();
    let saved = |format: Format, up| {
        let path = folder.path().join(format!("box.{}", format.extension()));
        save(&mesh, &path, format, &with_up(up)).unwrap();
        let bounds = measure::bounds(&load(&path).unwrap().mesh).unwrap();
        (bounds.min, bounds.max)
    };
    for format in Format::ALL {
        if format == Format::ThreeMf {
            continue;
        }
        let usual = saved(format, format.up());
        let other = match format.up() {
            Up::Y => saved(format, Up::Z),
            Up::Z => saved(format, Up::Y),
        };
        if !format.leaves_up_open() {
            assert_eq!(usual, other, "{format}");
            continue;
        }
        // What is read is taken to stand as usual: what was written otherwise lies on its face or back.
        let height = |(min, max): ([f32; 3], [f32; 3]), axis: usize| max[axis] - min[axis];
        assert!(
            (height(usual, 1) - height(other, 2)).abs() < 1e-3,
            "{format}"
        );
        assert!(
            (height(usual, 2) - height(other, 1)).abs() < 1e-3,
            "{format}"
        );
        assert!(
            (height(usual, 0) - height(other, 0)).abs() < 1e-3,
            "{format}"
        );
    }
}

#[test]
fn a_print_with_y_up_rests_on_the_ground_and_keeps_its_outside() {
    let mesh = textured_box();
    let bytes = written(&mesh, Format::Stl, &with_up(Up::Y));
    let stl = stl_io::read_stl(&mut std::io::Cursor::new(&bytes)).unwrap();
    let lowest = stl
        .vertices
        .iter()
        .map(|v| v[1])
        .fold(f32::INFINITY, f32::min);
    assert_eq!(lowest, 0.0);
    // The signed volume by the divergence theorem: positive where triangles turn outwards.
    let volume: f64 = stl
        .faces
        .iter()
        .map(|face| {
            let [a, b, c] = face.vertices.map(|index| {
                let v = stl.vertices[index];
                [v[0], v[1], v[2]].map(f64::from)
            });
            (a[0] * (b[1] * c[2] - b[2] * c[1])
                + a[1] * (b[2] * c[0] - b[0] * c[2])
                + a[2] * (b[0] * c[1] - b[1] * c[0]))
                / 6.0
        })
        .sum();
    assert!(volume > 0.0, "{volume}");
    let header = String::from_utf8_lossy(&bytes[..80]);
    assert!(header.contains("Y up"), "{header}");
}

#[test]
fn a_texture_is_reduced_by_averaging_and_never_enlarged() {
    let mesh = textured_box();
    let read = |side| {
        let options = WriteOptions {
            texture_side_px: side,
            ..WriteOptions::default()
        };
        let bytes = written(&mesh, Format::Glb, &options);
        let loaded = read_alone(&bytes, Format::Glb).unwrap();
        assert_eq!(extent(&loaded.mesh), extent(&mesh).map(|side| side * 0.1));
        loaded.mesh.texture.unwrap()
    };
    assert_eq!(read(None), *mesh.texture.as_ref().unwrap());
    assert_eq!(read(Some(4096)), read(None));
    let small = read(Some(16));
    assert_eq!((small.width, small.height), (16, 8));
    // Columns of black and white become grey, not one or the other.
    let middle = small.pixels[3 * 16 + 7];
    assert!(
        middle.iter().all(|&c| (100..156).contains(&c)),
        "{middle:?}"
    );
}

#[test]
fn a_save_that_is_stopped_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box.obj");
    std::fs::write(&path, b"what was there").unwrap();
    let watch = Watch::default();
    watch.cancel();
    let stopped = save_watched(
        &textured_box(),
        &path,
        Format::Obj,
        &WriteOptions::default(),
        &watch,
    );
    assert!(matches!(stopped, Err(SaveError::Cancelled)), "{stopped:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
    assert_eq!(names(folder.path()), ["box.obj"]);
}

#[test]
fn whoever_watches_sees_every_byte_of_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box.obj");
    let watch = Watch::default();
    let mesh = textured_box();
    let options = WriteOptions::default();
    let saved = save_watched(&mesh, &path, Format::Obj, &options, &watch).unwrap();
    assert_eq!(saved.files.len(), 3);
    assert_eq!(watch.written_bytes(), saved.bytes);
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}
