//! TripoSR as its users meet it: from a folder of weights to a mesh, and everything that can be wrong with
//! such a folder.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::engine::{
    Config, Engine, Event, Failure, FailureKind, Ledger, Library, Published, Request, Settings,
    Source, Stage, Stamped, State, Submission,
};
use orfeas::formats;

use crate::pictures;
use crate::triposr_folder::folder;
use crate::weights::reference;
use crate::workplace::{Workplace, json, stderr};

#[test]
fn an_image_becomes_a_mesh_on_the_command_line() {
    let workplace = Workplace::new();
    let folder = folder(workplace.folder.path());
    workplace.write("disc.png", &pictures::disc_png(96));
    let arguments = |more: &[&'static str]| {
        let mut all = vec![
            "generate",
            "disc.png",
            "-o",
            "disc.glb",
            "--json",
            "--source",
            "triposr",
            "--resolution",
            "32",
        ];
        all.extend(more);
        all
    };
    let made = json(&workplace.expect(0, &arguments(&["--weights", "TripoSR"])));
    assert_eq!(made["source"], "triposr");
    assert_eq!(made["closed"], true);
    assert!(made["faces"].as_u64() > Some(100), "{made}");
    let stages: Vec<_> = made["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        stages,
        [
            "decode",
            "matte",
            "cut_out",
            "load",
            "shape",
            "surface_32",
            "colour",
            "finish"
        ]
    );

    // Without a folder it is looked for, and the way to get it is told.
    let error = stderr(&workplace.expect(3, &arguments(&[])));
    assert!(error.contains("orfeas models get triposr"), "{error}");
    workplace.expect(0, &["models", "add", folder.to_str().unwrap()]);
    workplace.expect(0, &arguments(&[]));
    let error = stderr(&workplace.expect(
        2,
        &[
            "generate",
            "disc.png",
            "-o",
            "a.glb",
            "--weights",
            "TripoSR",
        ],
    ));
    assert!(error.contains("--source triposr"), "{error}");
}

#[test]
fn what_is_wrong_with_a_folder_is_named_before_any_work() {
    let workplace = Workplace::new();
    workplace.write("disc.png", &pictures::disc_png(96));
    let damage = |what: &dyn Fn(&Path)| {
        let folder = folder(workplace.folder.path());
        what(&folder);
        let arguments = [
            "generate",
            "disc.png",
            "-o",
            "disc.glb",
            "--source",
            "triposr",
            "--weights",
            "TripoSR",
        ];
        let error = stderr(&workplace.expect(3, &arguments));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!workplace.path("disc.glb").exists());
        error
    };
    let edit = |folder: &Path, from: &str, to: &str| {
        let path = folder.join("config.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    let missing = damage(&|folder| std::fs::remove_file(folder.join("model.ckpt")).unwrap());
    assert!(
        missing.contains("does not hold TripoSR: model.ckpt missing"),
        "{missing}"
    );
    let short = damage(&|folder| {
        let bytes = std::fs::read(folder.join("model.ckpt")).unwrap();
        std::fs::write(folder.join("model.ckpt"), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(short.contains("cut short"), "{short}");
    let larger = damage(&|folder| edit(folder, "num_layers: 2", "num_layers: 3"));
    assert!(
        larger.contains("not the weights of this model") && larger.contains("missing (backbone."),
        "{larger}"
    );
    let unknown = damage(&|folder| edit(folder, "silu", "relu"));
    assert!(
        unknown.contains("decoder.activation") && unknown.contains("config.yaml"),
        "{unknown}"
    );
    // The published encoder, which the reference does not have.
    let encoder =
        damage(&|folder| std::fs::remove_file(folder.join("image_tokenizer.json")).unwrap());
    assert!(encoder.contains("cross_attention_dim"), "{encoder}");
    // Sizes that the tensors do not tell, and that do not go together.
    let sizes = |name: &'static str, value: u64| {
        damage(&move |folder| {
            let path = folder.join("image_tokenizer.json");
            let mut json: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            json[name] = value.into();
            std::fs::write(&path, json.to_string()).unwrap();
        })
    };
    for error in [sizes("num_attention_heads", 7), sizes("image_size", 1)] {
        assert!(error.contains("sizes do not go together"), "{error}");
    }
    let other = damage(&|folder| {
        std::fs::copy(
            reference().join("triposr/cases.safetensors"),
            folder.join("model.ckpt"),
        )
        .unwrap();
    });
    assert!(other.contains("not the weights of this model"), "{other}");
}

#[test]
fn weights_are_opened_once_until_they_change() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(place.path());
    let library = Library::default();
    let first = library.open_triposr(Some(&folder)).unwrap();
    let again = library.clone().open_triposr(Some(&folder)).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "opened twice");
    // The same length, another time.
    let file = std::fs::File::options()
        .write(true)
        .open(folder.join("config.yaml"))
        .unwrap();
    let later = file.metadata().unwrap().modified().unwrap() + std::time::Duration::from_secs(7);
    file.set_modified(later).unwrap();
    let changed = library.open_triposr(Some(&folder)).unwrap();
    assert!(!Arc::ptr_eq(&first, &changed), "the old file was used");
    std::fs::remove_file(folder.join("model.ckpt")).unwrap();
    assert!(library.open_triposr(Some(&folder)).is_err());
}

#[test]
fn a_job_without_usable_weights_fails_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(place.path());
    let settings = |weights| Settings {
        source: Source::TripoSr,
        resolution: 32,
        weights,
        ..Settings::default()
    };
    let engine = Engine::start(Config {
        library: Library::default(),
        ..Config::default()
    })
    .unwrap();
    let run = |settings| {
        let request = Request {
            image: pictures::disc_png(96).into(),
            name: "disc".into(),
            settings,
            keep_every_level: false,
            cache: false,
            history: false,
        };
        let submission = engine.submit(request).unwrap();
        let mut cursor = Default::default();
        while matches!(submission.state(), State::Queued | State::Running) {
            submission
                .events
                .wait(&mut cursor, std::time::Duration::from_millis(50));
        }
        submission
    };
    let submission = run(settings(None));
    assert!(matches!(
        submission.result(),
        Some(Err(Failure::Weights(_)))
    ));
    engine.free_memory();
    assert_eq!(engine.ledger().used_bytes(), 0);

    // A file that shrinks after it was opened.
    let weights = Arc::new(Published::open(&orfeas::engine::catalogue::TRIPOSR, &folder).unwrap());
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(folder.join("model.ckpt"))
        .unwrap();
    file.set_len(1000).unwrap();
    let submission = run(settings(Some(weights)));
    let Some(Err(failure)) = submission.result() else {
        panic!("a shrunk file was used");
    };
    assert!(failure.to_string().contains("became shorter"), "{failure}");
    engine.free_memory();
    assert_eq!(engine.ledger().used_bytes(), 0);
}

fn request(weights: &Arc<Published>, resolution: u32) -> Request {
    Request {
        image: pictures::disc_png(96).into(),
        name: "disc".into(),
        settings: Settings {
            source: Source::TripoSr,
            resolution,
            weights: Some(Arc::clone(weights)),
            ..Settings::default()
        },
        keep_every_level: true,
        cache: false,
        history: false,
    }
}

fn wait_for_end(submission: &Submission) {
    let mut cursor = Default::default();
    while matches!(submission.state(), State::Queued | State::Running) {
        submission
            .events
            .wait(&mut cursor, Duration::from_millis(50));
    }
}

/// Wherever a job is, it ends soon after it was given up, and leaves nothing.
#[test]
fn a_job_that_is_given_up_ends_at_once_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let weights = Arc::new(
        Published::open(&orfeas::engine::catalogue::TRIPOSR, &folder(place.path())).unwrap(),
    );
    let engine = Engine::start(Config::default()).unwrap();
    let stages = [
        Stage::Load,
        Stage::Shape,
        Stage::Surface(64),
        Stage::Surface(512),
    ];
    for stage in stages {
        let submission = engine.submit(request(&weights, 512)).unwrap();
        let mut cursor = Default::default();
        let is_there =
            |stamped: &Stamped| matches!(stamped.event, Event::Stage { stage: at } if at == stage);
        while !submission
            .events
            .wait(&mut cursor, Duration::from_millis(10))
            .iter()
            .any(is_there)
        {
            assert!(matches!(submission.state(), State::Queued | State::Running));
        }
        let asked = Instant::now();
        engine.cancel(&submission);
        let mut cursor = Default::default();
        let is_end = |stamped: &Stamped| stamped.event.is_terminal();
        while !submission
            .job
            .events
            .wait(&mut cursor, Duration::from_millis(10))
            .iter()
            .any(is_end)
        {
            assert!(asked.elapsed() < Duration::from_secs(60), "{stage:?}");
        }
        let waited = asked.elapsed();
        println!("{stage:?}: {waited:?}");
        // The finest surface alone takes many times as long.
        assert!(waited < Duration::from_secs(4), "{stage:?}: {waited:?}");
        assert!(submission.job.result().is_none(), "{stage:?}");
        engine.free_memory();
        assert_eq!(engine.ledger().used_bytes(), 0, "{stage:?}");
    }
}

#[test]
fn memory_that_is_too_small_for_the_model_is_told_before_anything_is_loaded() {
    let place = tempfile::tempdir().unwrap();
    let weights = Arc::new(
        Published::open(&orfeas::engine::catalogue::TRIPOSR, &folder(place.path())).unwrap(),
    );
    let engine = Engine::start(Config {
        ledger: Ledger::with_budget(200_000),
        ..Config::default()
    })
    .unwrap();
    let submission = engine.submit(request(&weights, 32)).unwrap();
    let mut cursor = Default::default();
    let mut stages = Vec::new();
    while matches!(submission.state(), State::Queued | State::Running) {
        let events = submission
            .events
            .wait(&mut cursor, Duration::from_millis(50));
        stages.extend(events.into_iter().map(|stamped| stamped.event));
    }
    let Some(Err(failure)) = submission.result() else {
        panic!("{stages:?}");
    };
    assert_eq!(failure.kind(), FailureKind::OutOfMemory);
    assert!(
        !stages
            .iter()
            .any(|event| matches!(event, Event::Stage { .. })),
        "{stages:?}"
    );
    assert_eq!(engine.ledger().used_bytes(), 0);
}

/// The texture, painted after the mesh was turned and scaled, against the vertex colours of a coarser level.
#[test]
fn the_texture_shows_the_colours_of_the_field() {
    let place = tempfile::tempdir().unwrap();
    let weights = Arc::new(
        Published::open(&orfeas::engine::catalogue::TRIPOSR, &folder(place.path())).unwrap(),
    );
    let engine = Engine::start(Config::default()).unwrap();
    let submission = engine.submit(request(&weights, 64)).unwrap();
    wait_for_end(&submission);
    let outcome = submission.result().unwrap().as_ref().unwrap();
    let mesh = outcome.mesh.load().unwrap();
    let levels = submission.job.levels();
    let level = levels.iter().find(|level| level.resolution == 32).unwrap();
    assert!(!level.mesh.colours.is_empty());
    let texture = mesh.texture.as_ref().unwrap();
    let apart = |mirrored: f32| {
        let vertices = mesh.positions.iter().zip(&mesh.uvs).step_by(7);
        let mut sum = 0.0;
        let mut count = 0.0;
        for (&[x, y, z], &uv) in vertices {
            let position = [mirrored * x, y, mirrored * z];
            let distance = |other: &[f32; 3]| -> f32 {
                (0..3)
                    .map(|axis| (other[axis] - position[axis]).powi(2))
                    .sum()
            };
            let nearest = (0..level.mesh.positions.len())
                .min_by(|&a, &b| {
                    let [a, b] = [a, b].map(|vertex| distance(&level.mesh.positions[vertex]));
                    a.total_cmp(&b)
                })
                .unwrap();
            let colours = texture
                .sample(uv)
                .into_iter()
                .zip(level.mesh.colours[nearest]);
            sum += colours.map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>();
            count += 3.0;
        }
        sum / count
    };
    let (right, wrong) = (apart(1.0), apart(-1.0));
    println!("{right:.1} levels apart; {wrong:.1} where the mesh is turned around");
    // The nearest vertex is up to a cell away, and random weights vary within that.
    assert!(right < 12.0 && 1.6 * right < wrong, "{right} {wrong}");

    // Formats without a texture have the same colours at their vertices.
    let ply = place.path().join("disc.ply");
    formats::save(&mesh, &ply, formats::Format::Ply, &Default::default()).unwrap();
    let loaded = formats::load(&ply).unwrap().mesh;
    assert_eq!(loaded.colours.len(), loaded.positions.len());
    let glb = place.path().join("disc.glb");
    formats::save(&mesh, &glb, formats::Format::Glb, &Default::default()).unwrap();
    let loaded = formats::load(&glb).unwrap().mesh;
    assert_eq!(loaded.texture.as_ref(), Some(texture));
}

/// The texture is painted for what is left, so that seams do not hold a mesh above the number asked for.
#[test]
fn a_reduced_mesh_is_painted_after_it_was_reduced() {
    let place = tempfile::tempdir().unwrap();
    let weights = Arc::new(
        Published::open(&orfeas::engine::catalogue::TRIPOSR, &folder(place.path())).unwrap(),
    );
    let engine = Engine::start(Config::default()).unwrap();
    let mut request = request(&weights, 64);
    request.settings.simplify_to_faces = Some(600);
    let submission = engine.submit(request).unwrap();
    wait_for_end(&submission);
    let outcome = submission.result().unwrap().as_ref().unwrap();
    let mesh = outcome.mesh.load().unwrap();
    // Of some 18 000; this shape's many holes and pieces take more than were asked for.
    assert!(
        mesh.triangles.len() < 2000,
        "{} faces",
        mesh.triangles.len()
    );
    assert!(mesh.texture.is_some() && outcome.summary.shape.closed);
}
