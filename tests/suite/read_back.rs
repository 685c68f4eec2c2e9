//! Whatever the image, the mesh as a reader of its file sees it is closed, manifold and faces outward, or
//! the job has an error with a name.
//!
//! Deterministic. `ORFEAS_READ_BACK=full` meshes the samples and solids at the default resolution and 500
//! random pictures; a failure prints the `ORFEAS_READ_BACK_SEED` that runs its one picture again.
//! `ORFEAS_READ_BACK_FOLDER` names a folder whose pictures are meshed instead.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::{ExtendedColorType, ImageEncoder};
use orfeas::engine::{Back, Config, Controls, Cursor, Engine, FailureKind, Request, Settings};
use orfeas::formats::{Format, WriteOptions, read, write};
use orfeas::mesh::Mesh;
use orfeas::photo::MatteWish;

use crate::random::Random;
use crate::{solids, topology};

/// A picture in the making.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
}

impl Canvas {
    fn fill(&mut self, mut pixel: impl FnMut(usize, usize) -> Option<[u8; 4]>) {
        for at in 0..self.pixels.len() {
            if let Some(colour) = pixel(at % self.width, at / self.width) {
                self.pixels[at] = colour;
            }
        }
    }

    fn png(&self) -> Vec<u8> {
        let mut png = Vec::new();
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(
                self.pixels.as_flattened(),
                self.width as u32,
                self.height as u32,
                ExtendedColorType::Rgba8,
            )
            .unwrap();
        png
    }
}

/// A picture of things that are hard to mesh: strokes of a pixel, touching corners, islands, holes, noise,
/// soft alpha, and opaque ones among them.
fn random_picture(random: &mut Random) -> Vec<u8> {
    let mut canvas = Canvas {
        width: 16 + random.below(160),
        height: 16 + random.below(160),
        pixels: Vec::new(),
    };
    let ground = match random.below(4) {
        0 => [random.next() as u8, random.next() as u8, 99, 255],
        _ => [0; 4],
    };
    canvas.pixels = vec![ground; canvas.width * canvas.height];
    for _ in 0..=random.below(6) {
        draw(&mut canvas, random);
    }
    canvas.png()
}

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let paint = random.next().to_le_bytes();
    let alpha = random.pick(&[255, 255, 255, 255, 128, 127, paint[3], 0]);
    let colour = [paint[0], paint[1], paint[2], alpha];
    let centre = [
        random.uniform(0.0, 1.0) * width,
        random.uniform(0.0, 1.0) * height,
    ];
    let size = random.uniform(0.0, 1.0).powi(2) * width.min(height) * 0.6 + 0.5;
    let from_centre = move |x: usize, y: usize| [x as f32 - centre[0], y as f32 - centre[1]];
    match random.below(9) {
        // A disc, its edge from hard to very soft.
        0 => {
            let softness: f32 = random.pick(&[0.0, 1.0, 1.0, 20.0]);
            canvas.fill(|x, y| {
                let [dx, dy] = from_centre(x, y);
                let cover = ((size - dx.hypot(dy)) / softness.max(1e-3) + 0.5).clamp(0.0, 1.0);
                let alpha = (f32::from(alpha) * cover) as u8;
                (cover > 0.0).then_some([paint[0], paint[1], paint[2], alpha])
            });
        }
        1 => canvas.fill(|x, y| {
            let [dx, dy] = from_centre(x, y);
            (dx.abs() < size && dy.abs() < 0.5 * size).then_some(colour)
        }),
        // A ring, down to one pixel thick.
        2 => {
            let thick = random.pick(&[0.5, 1.0, 3.0]);
            canvas.fill(|x, y| {
                let [dx, dy] = from_centre(x, y);
                ((dx.hypot(dy) - size).abs() < thick).then_some(colour)
            });
        }
        // A stroke in some direction.
        3 => {
            let (sin, cos) = (random.uniform(0.0, 1.0) * 6.3).sin_cos();
            let thick = random.pick(&[0.5, 0.7, 2.0]);
            canvas.fill(|x, y| {
                let [dx, dy] = from_centre(x, y);
                ((dx * sin - dy * cos).abs() < thick && (dx * cos + dy * sin).abs() < 2.0 * size)
                    .then_some(colour)
            });
        }
        // Squares that touch at their corners.
        4 => {
            let cell = 1 + random.below(9);
            canvas.fill(|x, y| {
                let [dx, dy] = from_centre(x, y);
                let on = (x / cell + y / cell).is_multiple_of(2);
                (on && dx.abs() < size && dy.abs() < size).then_some(colour)
            });
        }
        // Holes.
        5 => canvas.fill(|x, y| {
            let [dx, dy] = from_centre(x, y);
            (dx.hypot(dy) < 0.5 * size).then_some([0; 4])
        }),
        // Lone pixels.
        6 => {
            let one_in = random.pick(&[3, 20, 200]);
            canvas.fill(|_, _| (random.below(one_in) == 0).then_some(colour));
        }
        // Noise in everything.
        7 => {
            let strength = random.pick(&[2, 30, 255]);
            for channel in canvas.pixels.as_flattened_mut() {
                *channel = channel.saturating_add(random.below(strength) as u8);
            }
        }
        // A spiral: one long band, close to itself.
        _ => {
            let turns = 1.0 + 4.0 * random.uniform(0.0, 1.0);
            canvas.fill(|x, y| {
                let [dx, dy] = from_centre(x, y);
                let phase = dy.atan2(dx) + turns * dx.hypot(dy) * 6.3 / size.max(4.0);
                (phase.sin() > 0.3 && dx.hypot(dy) < 1.5 * size).then_some(colour)
            });
        }
    }
}

fn random_settings(random: &mut Random) -> Settings {
    let mut settings = plain_settings(random.pick(&[16, 24, 31, 32, 48, 64]));
    if random.chance(20) {
        settings.matte.wish = MatteWish::Full;
    }
    settings.controls = Controls {
        thickness: random.pick(&[1.0, 1.0, 0.05, 0.4, 3.0, 10.0]),
        detail: random.pick(&[0.6, 0.0, 1.0]),
        back: random.pick(&[Back::Auto, Back::Plain, Back::Mirror, Back::Flat]),
        relief: random.pick(&[0.12, 0.001, 0.5, 2.0]),
    };
    settings.simplify_to_faces = random.pick(&[None, None, Some(500), Some(4)]);
    settings
}

pub(crate) fn plain_settings(resolution: u32) -> Settings {
    Settings {
        resolution,
        ..Settings::default()
    }
}

/// Runs one job; `Err` for a failure that no image may cause, `None` for an error with a name.
pub(crate) fn generate(
    engine: &Engine,
    image: Vec<u8>,
    settings: Settings,
) -> Result<Option<Arc<Mesh>>, String> {
    let request = Request {
        image: image.into(),
        name: "read back".into(),
        settings,
        keep_every_level: false,
        cache: false,
        history: false,
    };
    let job = engine.submit(request).map_err(|full| full.to_string())?;
    let mut cursor = Cursor::default();
    let deadline = Instant::now() + Duration::from_secs(120);
    while job.result().is_none() {
        if Instant::now() > deadline {
            return Err("no end in 120 s".into());
        }
        job.events.wait(&mut cursor, Duration::from_millis(100));
    }
    match job.result().unwrap() {
        Ok(outcome) => outcome
            .mesh
            .load()
            .map(Some)
            .map_err(|gone| gone.to_string()),
        Err(failure) if failure.kind() == FailureKind::BadInput => Ok(None),
        Err(failure) => Err(failure.to_string()),
    }
}

/// Writes the mesh in the two formats, reads both and looks at them afresh.
fn check_files(mesh: &Mesh) -> Result<(), String> {
    for format in [Format::Glb, Format::Stl] {
        let mut file = Vec::new();
        write(mesh, format, &WriteOptions::default(), &mut file)
            .map_err(|error| format!("{format}: {error}"))?;
        let loaded =
            read(&file, format, &|_| None).map_err(|error| format!("{format}: {error}"))?;
        let read = &loaded.mesh;
        topology::closed_manifold(&read.positions, &read.triangles)
            .map_err(|defect| format!("{format} of {} faces: {defect}", read.triangles.len()))?;
        if read.triangles.len() != mesh.triangles.len() {
            return Err(format!("{format}: faces were lost"));
        }
        if volume(read) <= 0.0 {
            return Err(format!(
                "{format}: inside out: {} of {} faces",
                volume(read),
                read.triangles.len()
            ));
        }
    }
    Ok(())
}

/// Six times the volume.
fn volume(mesh: &Mesh) -> f64 {
    let corner = |vertex: u32| glam::DVec3::from(mesh.positions[vertex as usize].map(f64::from));
    let triangles = mesh.triangles.iter();
    triangles
        .map(|triangle| triangle.map(corner))
        .map(|[a, b, c]| a.dot(b.cross(c)))
        .sum()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|e| ["png", "jpg", "webp", "svg"].contains(&e))
    });
    paths.sort();
    paths
}

fn is_full() -> bool {
    std::env::var("ORFEAS_READ_BACK").is_ok_and(|how| how == "full")
}

fn resolution() -> u32 {
    if is_full() {
        Settings::DEFAULT_RESOLUTION
    } else {
        64
    }
}

pub(crate) fn engine() -> Engine {
    Engine::start(Config::default()).unwrap()
}

#[test]
fn every_sample_is_solid_as_its_readers_see_it() {
    let folder = std::env::var_os("ORFEAS_READ_BACK_FOLDER").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples"),
        PathBuf::from,
    );
    let engine = engine();
    let paths = files_in(&folder);
    assert!(!paths.is_empty(), "no picture in {}", folder.display());
    for path in paths {
        let image = std::fs::read(&path).unwrap();
        let checked = generate(&engine, image, plain_settings(resolution()))
            .and_then(|mesh| check_files(&*mesh.ok_or("it gave no mesh")?));
        checked.unwrap_or_else(|defect| panic!("{defect}: {}", path.display()));
    }
}

#[test]
fn every_solid_is_solid_as_its_readers_see_it() {
    let engine = engine();
    let side = if is_full() { 512 } else { 128 };
    for view in solids::canonical()
        .into_iter()
        .chain(solids::three_quarter())
    {
        let settings = plain_settings(resolution());
        let checked = generate(&engine, view.picture(side), settings)
            .and_then(|mesh| check_files(&*mesh.ok_or("it gave no mesh")?));
        checked.unwrap_or_else(|defect| {
            panic!("{defect}: the {} from {:?}", view.name, view.yaw_pitch)
        });
    }
}

#[test]
fn random_pictures_give_solids_as_their_readers_see_them_or_a_named_error() {
    let seed = std::env::var("ORFEAS_READ_BACK_SEED").ok();
    let seeds = match seed.map(|seed| seed.parse::<u64>().unwrap()) {
        Some(seed) => seed..seed + 1,
        None => 0..if is_full() { 500 } else { 40 },
    };
    let engine = engine();
    let count = seeds.end - seeds.start;
    let (mut meshes, mut defects) = (0, Vec::new());
    for seed in seeds {
        let mut random = Random(seed);
        let picture = random_picture(&mut random);
        let settings = random_settings(&mut random);
        let checked = generate(&engine, picture, settings).and_then(|mesh| {
            meshes += u64::from(mesh.is_some());
            mesh.map_or(Ok(()), |mesh| check_files(&mesh))
        });
        if let Err(defect) = checked {
            defects.push(format!("ORFEAS_READ_BACK_SEED={seed}: {defect}"));
        }
    }
    println!("{count} random pictures: {meshes} meshes, the others named errors");
    assert!(defects.is_empty(), "{}", defects.join("\n"));
    // Pictures that are all refused test nothing.
    assert!(count == 1 || meshes > count / 2, "{meshes} of {count}");
}
