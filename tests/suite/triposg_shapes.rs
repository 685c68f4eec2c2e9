//! Several shapes of one image, and shapes that are meshed again without being made again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::engine::{
    self, Config, Engine, Event, Flow, Ledger, Library, Origin, Outcome, Published, Request,
    Settings, Source, Submission, catalogue,
};
use orfeas::mesh::Mesh;
use orfeas::server::Limits;
use orfeas::store::{Key, Latents, Store};
use serde_json::Value;

use crate::pictures;
use crate::server_client::{Form, Wish, id_of, open_store};
use crate::triposg_folder::folder;
use crate::triposg_run::{request, wait_for};
use crate::workplace::{Workplace, json, stderr};

/// A place with the reference model, and what to ask for.
struct Place {
    folder: tempfile::TempDir,
    weights: Arc<Published>,
}

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let weights = Published::open(&catalogue::TRIPOSG, &folder(place.path())).unwrap();
        Self {
            folder: place,
            weights: Arc::new(weights),
        }
    }

    fn store(&self) -> Store {
        open_store(&self.folder.path().join("store"))
    }

    /// An engine that keeps nothing, or one that keeps its results.
    fn engine(&self, store: Option<Store>) -> Engine {
        Engine::start(Config {
            store,
            ..Config::default()
        })
        .unwrap()
    }

    fn ask(&self, resolution: u32, flow: Flow) -> Request {
        Request {
            keep_every_level: false,
            ..request(&self.weights, resolution, flow)
        }
    }
}

/// Two steps from seed 4 on.
fn flow(shapes: u32) -> Flow {
    Flow {
        steps: 2,
        seed: 4,
        shapes,
        preview_share: 0.0,
        ..Flow::default()
    }
}

fn seed(seed: u64) -> Flow {
    Flow { seed, ..flow(1) }
}

fn run(engine: &Engine, request: Request) -> Submission {
    let submission = engine.submit(request).unwrap();
    assert!(
        wait_for(&submission, |event| *event == Event::Finished),
        "{:?}",
        submission.result()
    );
    submission
}

fn outcome(submission: &Submission) -> &Outcome {
    submission.result().unwrap().as_ref().unwrap()
}

fn stages(outcome: &Outcome) -> Vec<&str> {
    let stages = outcome.summary.stages.iter();
    stages.map(|stage| stage.name.as_str()).collect()
}

fn meshes(outcome: &Outcome) -> Vec<Arc<Mesh>> {
    let shapes = outcome.shapes();
    shapes.map(|shape| shape.mesh.load().unwrap()).collect()
}

/// Waits until everything of a job is on disk: the meshes are written after the latents.
fn wait_until_kept(outcome: &Outcome) {
    let started = Instant::now();
    while !outcome.shapes().all(|shape| shape.mesh.entry().is_some()) {
        assert!(started.elapsed() < Duration::from_secs(60), "not kept");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The names of the latents that are kept.
fn kept_latents(place: &Place) -> Vec<PathBuf> {
    fn look(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "latents")
            {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    look(&place.folder.path().join("store"), &mut found);
    found.sort();
    found
}

#[test]
fn several_shapes_are_what_each_seed_makes_alone_and_are_found_by_it() {
    let place = Place::new();
    let apart = place.engine(None);
    let alone: Vec<_> = (4..7)
        .map(|number| {
            let made = run(&apart, place.ask(16, seed(number)));
            meshes(outcome(&made)).remove(0)
        })
        .collect();
    assert!(alone[0] != alone[1] && alone[1] != alone[2]);

    let engine = place.engine(Some(place.store()));
    let together = run(&engine, place.ask(16, flow(3)));
    let made = outcome(&together);
    assert!(meshes(made) == alone, "shapes made together are others");
    // Each is told apart, and the steps were taken once for all.
    let mut cursor = Default::default();
    let events = together.job.events.read(&mut cursor).into_iter();
    let told: Vec<_> = events
        .filter_map(|stamped| match stamped.event {
            Event::Shape { seed, place, of } => Some(format!("{seed}: {place} of {of}")),
            Event::Stage { stage } if stage.name() == "shape" => Some("steps".into()),
            Event::Level { resolution, .. } => Some(format!("level {resolution}")),
            _ => None,
        })
        .collect();
    let expected = [
        "steps",
        "4: 0 of 3",
        "level 16",
        "5: 1 of 3",
        "level 16",
        "6: 2 of 3",
        "level 16",
    ];
    assert_eq!(told, expected);
    let levels = together.job.levels();
    let levels: Vec<_> = levels
        .iter()
        .map(|level| (level.shape, level.resolution))
        .collect();
    assert_eq!(levels, [(0, 16), (1, 16), (2, 16)]);

    wait_until_kept(made);
    for (number, alone) in (4..7).zip(&alone) {
        let found = run(&engine, place.ask(16, seed(number)));
        assert_eq!(found.origin, Origin::Cached, "seed {number}");
        assert!(meshes(outcome(&found))[0] == *alone, "seed {number}");
    }
    // The same shapes again, and some of them: from the cache, also after a restart.
    for shapes in [3, 2] {
        let again = run(
            &place.engine(Some(place.store())),
            place.ask(16, flow(shapes)),
        );
        assert_eq!(again.origin, Origin::Cached);
        assert!(meshes(outcome(&again)) == alone[..shapes as usize]);
    }
    // One more than is known: only that one takes steps, and all are there.
    let more = run(&engine, place.ask(16, flow(4)));
    assert_eq!(more.origin, Origin::Computed);
    assert!(meshes(outcome(&more))[..3] == alone[..]);
    wait_until_kept(outcome(&more));
    assert_eq!(kept_latents(&place).len(), 4);
}

#[test]
fn identical_requests_for_several_shapes_share_a_job() {
    let place = Place::new();
    let engine = place.engine(None);
    let first = engine.submit(place.ask(24, flow(2))).unwrap();
    let second = engine.submit(place.ask(24, flow(2))).unwrap();
    assert_eq!(second.origin, Origin::Joined);
    assert_eq!(second.job.id, first.job.id);
    // A single shape is not two of them, nor the other way round.
    let single = engine.submit(place.ask(24, flow(1))).unwrap();
    assert!(single.job.id != first.job.id);
    engine.cancel(&first);
    engine.cancel(&second);
    engine.cancel(&single);
    wait_for(&single, Event::is_terminal);
    wait_for(&first, Event::is_terminal);
    engine.free_memory();
    assert_eq!(engine.ledger().used_bytes(), 0);
}

#[test]
fn the_shapes_that_are_sampled_at_once_follow_the_memory() {
    let place = Place::new();
    let plan = |budget_bytes: Option<u64>| {
        let ledger = budget_bytes.map_or_else(Ledger::unlimited, Ledger::with_budget);
        let engine = Engine::start(Config {
            ledger,
            ..Config::default()
        });
        let engine = engine.unwrap();
        let settings = Settings {
            device: "cpu".parse().unwrap(),
            ..place.ask(16, flow(5)).settings
        };
        let plan = engine::plan(&settings, engine.vram());
        (engine, plan)
    };
    let (_, plenty) = plan(None);
    let mut need = plenty.unwrap();
    let mut looks = vec![need.choice.chunk];
    // Whatever takes a byte less than there is, down to the least.
    loop {
        let (_, smaller) = plan(Some(need.need.host_bytes - 1));
        match smaller {
            Ok(smaller) if smaller.choice.precision == need.choice.precision => {
                looks.push(smaller.choice.chunk);
                need = smaller;
            }
            _ => break,
        }
    }
    assert_eq!(looks, [10, 6, 4, 2, 1]);
    // With the least memory the shapes are the same, one after another.
    let with_plenty = run(&place.engine(None), place.ask(16, flow(5)));
    // The cut-out lies beside what the model needs.
    let budget_bytes = need.need.host_bytes + 200_000;
    let (engine, _) = plan(Some(budget_bytes));
    let with_little = run(&engine, place.ask(16, flow(5)));
    let [plenty, little] = [&with_plenty, &with_little].map(outcome);
    let told = little.summary.warnings.join("\n");
    assert!(!told.contains("instead of"), "{told}");
    assert!(meshes(plenty) == meshes(little));
    assert!(plenty.summary.peak_ledger_bytes > little.summary.peak_ledger_bytes);
    assert!(little.summary.peak_ledger_bytes <= budget_bytes);
}

#[test]
fn a_shape_is_meshed_again_without_steps_also_after_a_restart() {
    let place = Place::new();
    let apart = place.engine(None);
    let fresh = |resolution, flow| {
        let made = run(&apart, place.ask(resolution, flow));
        meshes(outcome(&made)).remove(0)
    };
    let thinner = Flow {
        threshold: 0.02,
        ..seed(5)
    };
    let expected = [fresh(24, seed(5)), fresh(16, thinner)];

    let engine = place.engine(Some(place.store()));
    let sheet = run(&engine, place.ask(16, flow(3)));
    assert!(stages(outcome(&sheet)).contains(&"shape"));
    let again = |engine: &Engine| {
        for (request, expected) in [
            (place.ask(24, seed(5)), &expected[0]),
            (place.ask(16, thinner), &expected[1]),
        ] {
            let remeshed = run(engine, request);
            assert_eq!(remeshed.origin, Origin::Computed);
            let stages = stages(outcome(&remeshed));
            assert!(!stages.contains(&"shape"), "steps were taken: {stages:?}");
            assert!(meshes(outcome(&remeshed))[0] == *expected, "another mesh");
        }
    };
    // At once, whether or not they are on disk yet.
    again(&engine);
    wait_until_kept(outcome(&sheet));
    drop(engine);
    for kept in std::fs::read_dir(place.folder.path().join("store/results-1")).unwrap() {
        // The meshes themselves are gone: the latents are all there is.
        let path = kept.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "glb") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let restarted = place.engine(Some(place.store()));
    again(&restarted);
    // Other steps, another guidance, and whoever wants nothing from the cache: made anew.
    let others = [
        place.ask(
            24,
            Flow {
                steps: 3,
                ..seed(5)
            },
        ),
        place.ask(
            24,
            Flow {
                guidance: 3.0,
                ..seed(5)
            },
        ),
        Request {
            cache: false,
            ..place.ask(24, seed(5))
        },
    ];
    for other in others {
        let made = run(&restarted, other);
        assert!(stages(outcome(&made)).contains(&"shape"));
    }
}

#[test]
fn latents_that_are_damaged_or_foreign_are_made_again() {
    let place = Place::new();
    let damage = |change: &dyn Fn(&Path, &Store)| {
        let engine = place.engine(Some(place.store()));
        let made = run(&engine, place.ask(16, seed(4)));
        wait_until_kept(outcome(&made));
        drop(engine);
        let kept = kept_latents(&place);
        assert_eq!(kept.len(), 1, "{kept:?}");
        change(&kept[0], &place.store());
        let engine = place.engine(Some(place.store()));
        let made = run(&engine, place.ask(24, seed(4)));
        let steps = stages(outcome(&made)).contains(&"shape");
        wait_until_kept(outcome(&made));
        // What was wrong is put right.
        assert_eq!(kept_latents(&place).len(), 1);
        drop(engine);
        place.store().cache().clear().unwrap();
        steps
    };
    assert!(!damage(&|_, _| {}), "whole latents were not used");
    let edit = |change: &dyn Fn(&mut Vec<u8>)| {
        damage(&|path, _| {
            let mut bytes = std::fs::read(path).unwrap();
            change(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        })
    };
    assert!(edit(&|bytes| bytes[5] ^= 1), "a changed byte");
    assert!(edit(&|bytes| bytes.truncate(100)), "a short file");
    assert!(
        damage(&|path, _| std::fs::remove_file(path).unwrap()),
        "no file"
    );
    let replace = |rows: usize, columns: usize, numbers: Vec<f32>| {
        damage(&|path, store| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let key: Key = name[..64].parse().unwrap();
            let latents = Latents {
                rows,
                columns,
                numbers: numbers.clone(),
            };
            store.cache().put_latents(&key, &latents).unwrap();
        })
    };
    let [rows, columns] = [2048, 8];
    assert!(
        !replace(rows, columns, vec![0.5; rows * columns]),
        "the right size"
    );
    assert!(
        replace(columns, rows, vec![0.5; rows * columns]),
        "turned about"
    );
    assert!(replace(rows, columns, vec![0.5; 7]), "too few numbers");
    assert!(
        replace(rows, columns, vec![f32::NAN; rows * columns]),
        "no numbers"
    );
}

#[test]
fn a_sheet_of_shapes_is_written_by_seed_and_one_is_refined_on_the_command_line() {
    let workplace = Workplace::new();
    folder(workplace.folder.path());
    workplace.write("disc.png", &pictures::disc_png(96));
    let start = [
        "generate",
        "disc.png",
        "--source",
        "triposg",
        "--weights",
        "TripoSG",
    ];
    let make = |more: &[&str]| {
        let mut all = start.to_vec();
        all.extend(["--steps", "2", "--json"]);
        all.extend(more);
        workplace.expect(0, &all)
    };
    let sheet = [
        "--cache",
        "--resolution",
        "16",
        "--shapes",
        "3",
        "--seed",
        "6",
        "-o",
        "disc.glb",
    ];
    let printed = make(&sheet);
    let lines = String::from_utf8(printed.stdout).unwrap();
    let objects: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let outputs: Vec<_> = objects.iter().map(|object| &object["output"]).collect();
    assert_eq!(outputs, ["disc-6.glb", "disc-7.glb", "disc-8.glb"]);
    let seeds: Vec<_> = objects.iter().map(|object| &object["seed"]).collect();
    assert_eq!(seeds, [6, 7, 8]);
    // The file is the one that the seed alone gives.
    make(&["--resolution", "16", "--seed", "7", "-o", "alone.glb"]);
    let [of_sheet, alone] =
        ["disc-7.glb", "alone.glb"].map(|name| std::fs::read(workplace.path(name)).unwrap());
    assert!(of_sheet == alone, "another file");
    // The one that was picked is refined by another process, without steps.
    let refined = json(&make(&[
        "--cache",
        "--resolution",
        "24",
        "--seed",
        "7",
        "-o",
        "refined.glb",
    ]));
    assert_eq!(refined["resolution"], 24);
    let stages = refined["stages"].to_string();
    assert!(!stages.contains("\"shape\""), "{stages}");
    let names = workplace.files();
    assert!(!names.contains(&"disc.glb".to_owned()), "{names:?}");
}

#[test]
fn shapes_that_cannot_be_asked_for_are_refused_in_words() {
    let workplace = Workplace::new();
    workplace.write("disc.png", &pictures::disc_png(96));
    let refused = |more: &[&str]| {
        let mut all = vec!["generate", "disc.png"];
        all.extend(more);
        stderr(&workplace.expect(2, &all))
    };
    let triposg = ["--source", "triposg"];
    let with = |more: &[&str]| refused(&[&triposg, more].concat());
    let other = refused(&["--shapes", "2", "-o", "a.glb"]);
    assert!(other.contains("the source triposg alone"), "{other}");
    let none = with(&["--shapes", "0", "-o", "a.glb"]);
    assert!(none.contains("from 1 to 8"), "{none}");
    let beyond = with(&["--shapes", "2", "--seed", "9007199254740991", "-o", "a.glb"]);
    assert!(beyond.contains("beyond the last seed"), "{beyond}");
    let piped = with(&["--shapes", "2", "-o", "-", "--format", "glb"]);
    assert!(piped.contains("takes one shape"), "{piped}");
    let previews = with(&["--shapes", "2", "--previews", "levels", "-o", "a.glb"]);
    assert!(
        previews.contains("--previews takes one shape"),
        "{previews}"
    );
    let far = with(&["--threshold", "-1", "-o", "a.glb"]);
    assert!(far.contains("from -0.9 to 0.9"), "{far}");
}

#[test]
fn the_server_lists_the_shapes_of_a_job_and_refines_one() {
    let place = tempfile::tempdir().unwrap();
    let models = place.path().join("models");
    std::fs::create_dir_all(models.join("VAST-AI")).unwrap();
    std::fs::rename(folder(place.path()), models.join("VAST-AI/TripoSG")).unwrap();
    let server = Wish {
        store: Some(place.path().join("store")),
        library: Library {
            models_folder: Some(models),
            ..Library::default()
        },
        // The meshes of the newest job stay in memory, and no others.
        limits: Limits {
            kept_mesh_bytes: 1,
            ..Limits::default()
        },
        ..Wish::default()
    }
    .start();
    let form = |more: &[(&str, &str)]| {
        let form = Form::default().file("image", "disc.png", &pictures::disc_png(96));
        let form = form.text("source", "triposg").text("steps", "2");
        more.iter()
            .fold(form, |form, (name, value)| form.text(name, value))
    };
    let sheet = form(&[("shapes", "3"), ("seed", "4"), ("resolution", "16")]);
    let answer = server.post("/api/v1/generate", &sheet);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let job = answer.json();
    assert_eq!(job["settings"]["shapes"], 3);
    let shapes = job["result"]["shapes"].as_array().unwrap();
    let seeds: Vec<_> = shapes.iter().map(|shape| &shape["seed"]).collect();
    assert_eq!(seeds, [4, 5, 6]);
    assert_eq!(shapes[0]["faces"], job["result"]["faces"]);
    let fetch = |url: &str| {
        let mesh = server.get(url);
        assert_eq!(mesh.status, 200, "{url}: {}", mesh.text());
        mesh.body
    };
    let files: Vec<_> = shapes
        .iter()
        .map(|shape| {
            assert_eq!(shape["closed"], true);
            fetch(shape["mesh_url"].as_str().unwrap())
        })
        .collect();
    assert!(files[0] != files[1] && files[1] != files[2]);
    // Without a seed it is the first one, and a level is a shape's own.
    assert!(fetch(job["mesh_url"].as_str().unwrap()) == files[0]);
    let id = id_of(&job);
    let url = format!("/api/v1/jobs/{id}/mesh");
    assert!(fetch(&format!("{url}?level=16&seed=6")) == files[2]);
    let refused = server.get(&format!("{url}?seed=7")).refusal();
    assert_eq!(refused, (404, "no_such_shape".to_owned()));

    // Three meshes and as many latents.
    let started = Instant::now();
    while server.get("/api/v1/cache/stats").json()["entries"] != 6 {
        assert!(started.elapsed() < Duration::from_secs(60), "not kept");
        std::thread::sleep(Duration::from_millis(5));
    }

    // The one that is picked is the one that its seed makes, found and refined without steps.
    let single = server.post(
        "/api/v1/generate",
        &form(&[("seed", "5"), ("resolution", "16")]),
    );
    let single = single.json();
    assert!(single["result"]["shapes"].is_null());
    assert!(fetch(single["mesh_url"].as_str().unwrap()) == files[1]);
    let refined = server.post(
        "/api/v1/generate",
        &form(&[("seed", "5"), ("resolution", "24")]),
    );
    let refined = refined.json();
    let stages = refined["result"]["stages"].to_string();
    assert!(
        stages.contains("surface_24") && !stages.contains("\"shape\""),
        "{stages}"
    );

    // Once the meshes left memory they come from the disk, each of its own.
    for (seed, file) in (4..7).zip(&files) {
        assert!(fetch(&format!("{url}?seed={seed}")) == *file, "seed {seed}");
    }
    for (field, value, source, status, code) in [
        ("shapes", "9", "triposg", 422, "invalid_value"),
        ("shapes", "2", "inflate", 400, "fields_disagree"),
        ("threshold", "NaN", "triposg", 422, "invalid_value"),
    ] {
        let form = Form::small().text("source", source).text(field, value);
        let answer = server.post("/api/v1/generate", &form);
        assert_eq!(
            answer.refusal(),
            (status, code.to_owned()),
            "{field}={value}"
        );
        assert_eq!(answer.json()["error"]["field"], field);
    }
    let told = server.progress(&form(&[
        ("shapes", "2"),
        ("seed", "8"),
        ("resolution", "16"),
    ]));
    let of_shapes: Vec<_> = (told.iter())
        .filter(|event| event["event"] == "level")
        .map(|event| event["mesh_url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(of_shapes.len(), 2, "{told:?}");
    assert!(of_shapes[0].ends_with("&level=16&seed=8"), "{of_shapes:?}");
    assert!(of_shapes[1].ends_with("&level=16&seed=9"), "{of_shapes:?}");
    let progress: Vec<_> = told
        .iter()
        .map(|event| event["progress"].as_f64().unwrap())
        .collect();
    assert!(
        progress.is_sorted() && progress.last() == Some(&1.0),
        "{progress:?}"
    );
}

#[test]
fn settings_tell_the_seeds_of_their_shapes() {
    let settings = |source, seed, shapes| Settings {
        source,
        flow: Flow {
            seed,
            shapes,
            ..Flow::default()
        },
        ..Settings::default()
    };
    let last = *Settings::SEEDS.end();
    for (source, seed, shapes, seeds) in [
        (Source::TripoSg, 3, 2, Some(vec![3, 4])),
        (Source::TripoSg, 3, 1, Some(vec![3])),
        (Source::TripoSg, last - 1, 2, Some(vec![last - 1, last])),
        (Source::Inflate, 3, 1, None),
    ] {
        let settings = settings(source, seed, shapes);
        assert_eq!(settings.refused_shapes(), None);
        assert_eq!(settings.seeds(), seeds);
    }
    assert!(settings(Source::TripoSr, 0, 2).refused_shapes().is_some());
    assert!(settings(Source::TripoSg, 0, 9).refused_shapes().is_some());
    assert!(
        settings(Source::TripoSg, last, 2)
            .refused_shapes()
            .is_some()
    );
    let second = settings(Source::TripoSg, 3, 2).of_shape(1);
    assert_eq!(second.to_json(), settings(Source::TripoSg, 4, 1).to_json());
}
