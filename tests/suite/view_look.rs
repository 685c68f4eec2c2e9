//! Pictures to look at, on request: `ORFEAS_LOOK=<folder of meshes> cargo test --test suite -- view_look`
//! draws every mesh of the folder in every mode into a folder `look` inside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orfeas::formats;
use orfeas::view::offscreen::{RgbaPicture, Studio};
use orfeas::view::{
    Bounds, Camera, Frame, GpuLines, GpuMesh, Meshes, Overlays, Prepared, Preset, Shading, Theme,
};

#[test]
fn every_mesh_of_a_folder_in_every_mode() {
    let Some(folder) = env::var_os("ORFEAS_LOOK").map(PathBuf::from) else {
        println!("skipped: ORFEAS_LOOK names no folder of meshes");
        return;
    };
    let only = env::var("ORFEAS_LOOK_ONLY").unwrap_or_default();
    let output = folder.join("look");
    fs::create_dir_all(&output).expect("a folder for the pictures");
    let studio = Studio::new().expect("an adapter to look with");
    for entry in fs::read_dir(&folder).expect("the folder of meshes") {
        let path = entry.expect("an entry").path();
        if path.is_file() && path.to_string_lossy().contains(&only) {
            draw_all(&studio, &path, &output);
        }
    }
}

fn draw_all(studio: &Studio, path: &Path, output: &Path) {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let loaded = formats::load(path).expect("a mesh");
    let prepared = Prepared::new(&loaded.mesh).expect("a mesh that can be drawn");
    let bounds: Bounds = prepared.bounds();
    let mesh = GpuMesh::new(studio.renderer(), Arc::new(prepared));
    let size_px = [900, 640];
    let aspect = 900.0 / 640.0;
    let quarter = Camera::framing(&bounds, Preset::ThreeQuarter, aspect);
    let mut back = quarter;
    back.yaw += 2.6;
    let mut below = quarter;
    below.pitch = -0.35;
    let mut close = quarter;
    close.zoom_to(bounds.max * 0.5, 0.3, 1.0);
    let box_edges = [
        [
            bounds.min.to_array(),
            [bounds.max.x, bounds.min.y, bounds.min.z],
        ],
        [
            [bounds.min.x, bounds.min.y, bounds.max.z],
            [bounds.max.x, bounds.min.y, bounds.max.z],
        ],
        [
            [bounds.min.x, bounds.max.y, bounds.max.z],
            bounds.max.to_array(),
        ],
    ];
    let lines = GpuLines::new(studio.renderer(), &box_edges);
    let base = Frame {
        meshes: Meshes::One(&mesh),
        mm_per_unit: 1000.0,
        ..Frame::new(size_px, quarter)
    };
    let all = Overlays {
        wireframe: true,
        grid: true,
        ..Overlays::default()
    };
    let grid = Overlays {
        grid: true,
        ..Overlays::default()
    };
    let frames = [
        ("textured", base),
        (
            "clay",
            Frame {
                shading: Shading::Clay,
                ..base
            },
        ),
        (
            "clay_grid",
            Frame {
                shading: Shading::Clay,
                overlays: grid,
                ..base
            },
        ),
        (
            "normals",
            Frame {
                shading: Shading::Normals,
                ..base
            },
        ),
        (
            "matcap",
            Frame {
                shading: Shading::Matcap,
                ..base
            },
        ),
        (
            "wire",
            Frame {
                shading: Shading::Clay,
                overlays: all,
                ..base
            },
        ),
        (
            "light",
            Frame {
                shading: Shading::Clay,
                theme: Theme::Light,
                overlays: grid,
                ..base
            },
        ),
        (
            "light_textured",
            Frame {
                theme: Theme::Light,
                ..base
            },
        ),
        (
            "front",
            Frame {
                camera: quarter.looking_from(Preset::Front),
                ..base
            },
        ),
        (
            "front_clay",
            Frame {
                shading: Shading::Clay,
                camera: quarter.looking_from(Preset::Front),
                ..base
            },
        ),
        (
            "back_clay",
            Frame {
                shading: Shading::Clay,
                camera: back,
                ..base
            },
        ),
        (
            "ortho_top",
            Frame {
                shading: Shading::Clay,
                camera: quarter.looking_from(Preset::Top).other_projection(),
                overlays: grid,
                ..base
            },
        ),
        (
            "close",
            Frame {
                camera: close,
                ..base
            },
        ),
        (
            "close_wire",
            Frame {
                camera: close,
                shading: Shading::Clay,
                overlays: all,
                ..base
            },
        ),
        (
            "below",
            Frame {
                camera: below,
                shading: Shading::Clay,
                overlays: grid,
                ..base
            },
        ),
        (
            "lines",
            Frame {
                shading: Shading::Clay,
                highlight: lines.as_ref(),
                pixels_per_point: 1.5,
                ..base
            },
        ),
        (
            "thumb",
            Frame {
                size_px: [160, 160],
                camera: quarter.framed(&bounds, 1.0),
                ..base
            },
        ),
        (
            "transparent",
            Frame {
                transparent: true,
                ..base
            },
        ),
    ];
    for (mode, frame) in frames {
        let picture = studio.frame(&frame).expect("a picture");
        save(&output.join(format!("{name}_{mode}.png")), &picture);
    }
}

fn save(path: &Path, picture: &RgbaPicture) {
    let bytes = picture.pixels.as_flattened();
    image::save_buffer(
        path,
        bytes,
        picture.width,
        picture.height,
        image::ColorType::Rgba8,
    )
    .expect("the picture is written");
}
