//! Pictures to look at, on request: `ORFEAS_LOOK=<folder of meshes> cargo test --test suite -- view_look`
//! draws every mesh of the folder in every mode into a folder `look` inside it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glam::Vec3;
use orfeas::formats;
use orfeas::view::offscreen::{PictureOptions, RgbaPicture, Studio};
use orfeas::view::{Camera, Frame, GpuLines, GpuMesh, Meshes, Prepared, Preset, Shading, Theme};

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
    for (mode, frame) in modes(&base, lines.as_ref()) {
        let picture = studio.frame(&frame).expect("a picture");
        save(&output.join(format!("{name}_{mode}.png")), &picture);
    }
    let thumbnail = studio.picture_of(&mesh, &PictureOptions::default());
    save(
        &output.join(format!("{name}_thumb.png")),
        &thumbnail.expect("a picture"),
    );
}

/// The base frame in every mode.
fn modes<'a>(base: &Frame<'a>, lines: Option<&'a GpuLines>) -> Vec<(&'static str, Frame<'a>)> {
    let with = |change: &dyn Fn(&mut Frame<'a>)| {
        let mut frame = *base;
        change(&mut frame);
        frame
    };
    let clay = with(&|frame| frame.shading = Shading::Clay);
    let mut modes = vec![
        ("textured", *base),
        ("clay", clay),
        ("normals", with(&|frame| frame.shading = Shading::Normals)),
        ("matcap", with(&|frame| frame.shading = Shading::Matcap)),
        ("light_textured", with(&|frame| frame.theme = Theme::Light)),
        ("transparent", with(&|frame| frame.transparent = true)),
    ];
    let with = |change: &dyn Fn(&mut Frame<'a>)| {
        let mut frame = clay;
        frame.overlays.grid = true;
        change(&mut frame);
        frame
    };
    modes.extend([
        ("grid", with(&|_| {})),
        ("wire", with(&|frame| frame.overlays.wireframe = true)),
        ("light", with(&|frame| frame.theme = Theme::Light)),
        ("lines", with(&|frame| frame.highlight = lines)),
        ("large", with(&|frame| frame.pixels_per_point = 2.0)),
    ]);
    modes.extend(
        cameras(base)
            .into_iter()
            .map(|(name, camera)| (name, with(&|frame| frame.camera = camera))),
    );
    modes
}

/// Other places to look from.
fn cameras(base: &Frame<'_>) -> [(&'static str, Camera); 5] {
    let quarter = &base.camera;
    let mut close = *quarter;
    let above_the_middle = quarter.focus + Vec3::new(0.1, 0.2, 0.0) * quarter.half_height();
    close.zoom_to(above_the_middle, 0.3, quarter.distance);
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
