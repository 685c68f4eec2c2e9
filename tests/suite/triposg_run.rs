//! TripoSG as its users meet it: from a folder of weights to a mesh, and everything that can be wrong with
//! what they ask for.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::engine::{
    Config, Engine, Event, Failure, Flow, Published, Request, Settings, Source, Stage, State,
    Submission, catalogue,
};

use crate::pictures;
use crate::triposg_folder::folder;
use crate::workplace::{Workplace, json, stderr};

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["generate", "disc.png", "--json", "--source", "triposg"];
    all.extend(["--resolution", "32"]);
    all.extend(more);
    all
}

#[test]
fn a_seed_becomes_a_mesh_on_the_command_line_and_always_the_same() {
    let workplace = Workplace::new();
    let folder = folder(workplace.folder.path());
    workplace.write("disc.png", &pictures::disc_png(96));
    let make = |seed: &str, output: &str| {
        let more = [
            "--weights",
            "TripoSG",
            "--steps",
            "2",
            "--seed",
            seed,
            "-o",
            output,
        ];
        json(&workplace.expect(0, &arguments(&more)))
    };
    let made = make("5", "a.glb");
    assert_eq!(made["source"], "triposg");
    assert_eq!(made["closed"], true);
    assert!(made["faces"].as_u64() > Some(100), "{made}");
    let stages: Vec<_> = made["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    let expected = ["load", "shape", "colour", "surface_32", "finish"];
    assert_eq!(stages[3..], expected);
    make("5", "b.glb");
    make("6", "c.glb");
    let bytes =
        ["a.glb", "b.glb", "c.glb"].map(|name| std::fs::read(workplace.path(name)).unwrap());
    assert!(bytes[0] == bytes[1], "the same seed gave another mesh");
    assert!(bytes[0] != bytes[2], "another seed gave the same mesh");

    // Without a folder it is looked for, and the way to get it is told.
    let error = stderr(&workplace.expect(3, &arguments(&["-o", "d.glb"])));
    assert!(error.contains("orfeas models add"), "{error}");
    workplace.expect(0, &["models", "add", folder.to_str().unwrap()]);
    workplace.expect(0, &arguments(&["-o", "d.glb", "--steps", "1"]));
    // Nothing is downloaded that could not be told from another file.
    let listed = workplace.expect(0, &["models", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("triposg  TripoSG"), "{listed}");
    workplace.expect(0, &["models", "remove", "triposg"]);
    let error = stderr(&workplace.expect(2, &["models", "get", "triposg"]));
    assert!(
        error.contains("no digests") && error.contains("models add"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_words() {
    let workplace = Workplace::new();
    workplace.write("disc.png", &pictures::disc_png(96));
    for (option, value, words) in [
        ("--steps", "0", "from 1 to 1000"),
        ("--steps", "1001", "from 1 to 1000"),
        ("--guidance", "NaN", "from 0 to 100"),
        ("--guidance", "-1", "from 0 to 100"),
        ("--seed", "-1", "from 0 to 9007199254740991"),
        ("--seed", "9007199254740992", "from 0 to 9007199254740991"),
        ("--preview-share", "1", "from 0 to 0.9"),
    ] {
        let option = format!("{option}={value}");
        let error = stderr(&workplace.expect(2, &arguments(&["-o", "a.glb", &option])));
        assert!(error.contains(words), "{option}: {error}");
    }
}

#[test]
fn damaged_folders_are_told_before_any_work() {
    let workplace = Workplace::new();
    workplace.write("disc.png", &pictures::disc_png(96));
    let damage = |change: &dyn Fn(&Path)| {
        let folder = folder(workplace.folder.path());
        change(&folder);
        let more = ["--weights", "TripoSG", "-o", "a.glb"];
        let error = stderr(&workplace.expect(3, &arguments(&more)));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!workplace.path("a.glb").exists());
        error
    };
    let edit = |path: &str, from: &str, to: &str| {
        damage(&|folder| {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from}");
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        })
    };
    let missing = damage(&|folder| std::fs::remove_file(folder.join("vae/config.json")).unwrap());
    assert!(
        missing.contains("does not hold TripoSG: vae/config.json missing"),
        "{missing}"
    );
    let larger = edit(
        "transformer/config.json",
        "\"num_layers\": 5",
        "\"num_layers\": 6",
    );
    assert!(
        larger.contains("not the weights of this model") && larger.contains("missing (blocks."),
        "{larger}"
    );
    let other = edit(
        "vae/config.json",
        "\"latent_channels\": 8",
        "\"latent_channels\": 9",
    );
    assert!(other.contains("latent vector"), "{other}");
    let none = edit("transformer/config.json", "{", "");
    assert!(none.contains("TripoSG's transformer"), "{none}");
    let short = damage(&|folder| {
        let path = folder.join("transformer/diffusion_pytorch_model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(
        short.contains("diffusion_pytorch_model.safetensors"),
        "{short}"
    );
}

pub(crate) fn request(weights: &Arc<Published>, resolution: u32, flow: Flow) -> Request {
    Request {
        image: pictures::disc_png(96).into(),
        name: "disc".into(),
        settings: Settings {
            source: Source::TripoSg,
            resolution,
            flow,
            weights: Some(Arc::clone(weights)),
            ..Settings::default()
        },
        keep_every_level: true,
        cache: true,
        history: false,
    }
}

/// Waits for an event of the job, or its end; whether it came.
pub(crate) fn wait_for(submission: &Submission, is_it: impl Fn(&Event) -> bool) -> bool {
    let mut cursor = Default::default();
    let started = Instant::now();
    loop {
        let events = submission
            .job
            .events
            .wait(&mut cursor, Duration::from_millis(20));
        if events.iter().any(|stamped| is_it(&stamped.event)) {
            return true;
        }
        if events.iter().any(|stamped| stamped.event.is_terminal()) {
            return false;
        }
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "nothing happens"
        );
    }
}

fn engine_and_weights(place: &Path) -> (Engine, Arc<Published>) {
    let weights = Published::open(&catalogue::TRIPOSG, &folder(place)).unwrap();
    (Engine::start(Config::default()).unwrap(), Arc::new(weights))
}

#[test]
fn a_shape_is_seen_on_the_way_and_can_be_kept_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let (engine, weights) = engine_and_weights(place.path());
    let flow = Flow {
        steps: 1000,
        preview_share: 0.9,
        ..Flow::default()
    };
    let submission = engine.submit(request(&weights, 64, flow)).unwrap();
    assert!(wait_for(&submission, |event| matches!(
        event,
        Event::Level { .. }
    )));
    // It still refines: that was a look at what is predicted.
    assert_eq!(submission.state(), State::Running);
    let look = submission.job.mesh.newer_than(&mut Default::default());
    assert!(!look.unwrap().mesh.triangles.is_empty());
    engine.keep_prediction(&submission);
    assert!(wait_for(&submission, |event| matches!(
        event,
        Event::Finished
    )));
    let Some(Ok(outcome)) = submission.result() else {
        panic!("nothing was kept");
    };
    let warnings = outcome.summary.warnings.join("\n");
    assert!(warnings.contains("of 1000 steps"), "{warnings}");
    assert!(outcome.summary.shape.closed);
    // Each level once, whatever was seen on the way.
    let levels: Vec<_> = submission
        .job
        .levels()
        .iter()
        .map(|level| level.resolution)
        .collect();
    assert_eq!(levels, [32, 64]);
    // Whoever asks for the whole way does not get what was kept on it.
    let again = engine.submit(request(&weights, 64, flow)).unwrap();
    assert!(again.job.id != submission.job.id);
    engine.cancel(&again);
}

#[test]
fn a_shape_that_is_given_up_ends_at_once_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (engine, weights) = engine_and_weights(place.path());
    for (steps, stage) in [(1000, Stage::Shape), (1, Stage::Surface(128))] {
        let flow = Flow {
            steps,
            ..Flow::default()
        };
        let submission = engine.submit(request(&weights, 128, flow)).unwrap();
        let is_it = |event: &Event| matches!(event, Event::Stage { stage: at } if *at == stage);
        assert!(wait_for(&submission, is_it), "{stage:?}");
        let asked = Instant::now();
        engine.cancel(&submission);
        wait_for(&submission, |event| matches!(event, Event::Cancelled));
        let waited = asked.elapsed();
        println!("{stage:?}: {waited:?}");
        assert!(waited < Duration::from_secs(4), "{stage:?}: {waited:?}");
        assert!(submission.result().is_none(), "{stage:?}");
        engine.free_memory();
        assert_eq!(engine.ledger().used_bytes(), 0, "{stage:?}");
    }
}

#[test]
fn a_job_asks_for_no_steps_and_fails_in_words() {
    let place = tempfile::tempdir().unwrap();
    let (engine, weights) = engine_and_weights(place.path());
    for (steps, guidance) in [(0, 7.0), (5, f32::NAN)] {
        let flow = Flow {
            steps,
            guidance,
            ..Flow::default()
        };
        let submission = engine.submit(request(&weights, 32, flow)).unwrap();
        assert!(!wait_for(&submission, |event| matches!(
            event,
            Event::Finished
        )));
        assert!(matches!(submission.result(), Some(Err(Failure::Flow(_)))));
    }
    engine.free_memory();
    assert_eq!(engine.ledger().used_bytes(), 0);
}
