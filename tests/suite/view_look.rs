//! Pictures to look at, on request: `ORFEAS_LOOK=<folder of meshes> cargo test --test suite -- view_look`
//! draws every mesh of the folder in every mode into a folder `look` inside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orfeas::formats;
use orfeas::view::offscreen::{PictureOptions, RgbaPicture, Studio};
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
    let bounds = prepared.bounds();
    let mesh = GpuMesh::new(studio.renderer(), Arc::new(prepared));
    let [min, max] = [bounds.min, bounds.max].map(|corner| corner.to_array());
    let edges = [
        [min, [max[0], min[1], min[2]]],
        [[min[0], max[1], max[2]], max],
    ];
    let lines = GpuLines::new(studio.renderer(), &edges);
    let base = Frame {
        meshes: Meshes::One(&mesh),
        mm_per_unit: 1000.0,
        ..Frame::new(
            [900, 640],
            Camera::framing(&bounds, Preset::ThreeQuarter, 900.0 / 640.0),
        )
    };
    let grid = Overlays {
        grid: true,
        ..Overlays::default()
    };
    let all = Overlays {
        wireframe: true,
        ..grid
    };
    let clay = Frame {
        shading: Shading::Clay,
        ..base
    };
    let light = Theme::Light;
    let mut modes = vec![
        ("textured", base),
        ("clay", clay),
        (
            "clay_grid",
            Frame {
                overlays: grid,
                ..clay
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
                overlays: all,
                ..clay
            },
        ),
        (
            "light",
            Frame {
                theme: light,
                overlays: grid,
                ..clay
            },
        ),
        (
            "light_textured",
            Frame {
                theme: light,
                ..base
            },
        ),
        (
            "lines",
            Frame {
                highlight: lines.as_ref(),
                pixels_per_point: 1.5,
                ..clay
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
    for (name, camera) in cameras(&base.camera, &bounds) {
        modes.push((
            name,
            Frame {
                camera,
                overlays: grid,
                ..clay
            },
        ));
    }
    for (mode, frame) in modes {
        let picture = studio.frame(&frame).expect("a picture");
        save(&output.join(format!("{name}_{mode}.png")), &picture);
    }
    let thumbnail = studio.picture_of(&mesh, &PictureOptions::default());
    save(
        &output.join(format!("{name}_thumb.png")),
        &thumbnail.expect("a picture"),
    );
}

/// Other places to look from.
fn cameras(quarter: &Camera, bounds: &Bounds) -> [(&'static str, Camera); 5] {
    let mut close = *quarter;
    close.zoom_to(bounds.max * 0.5, 0.3, bounds.radius());
    [
        ("front", quarter.looking_from(Preset::Front)),
        (
            "back",
            Camera {
                yaw: quarter.yaw + 2.6,
                ..*quarter
            },
        ),
        ("top", quarter.looking_from(Preset::Top).other_projection()),
        (
            "below",
            Camera {
                pitch: -0.35,
                ..*quarter
            },
        ),
        ("close", close),
    ]
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
