//! The source that is left open: which one it comes to, what it says about it, and that this is the same job
//! as one that names the source.

use std::path::{Path, PathBuf};
use std::time::Duration;

use orfeas::engine::catalogue::{TRIPOSG, TRIPOSR};
use orfeas::engine::{
    Config, Controls, Engine, Flow, Ledger, Library, Origin, Paces, Request, Settings, Source,
    Submission,
};
use orfeas::formats;
use orfeas::store::{Folders, Limits, Store};
use orfeas::vram::{self, CudaProbe, DeviceChoice, Manager};
use serde_json::json;

use crate::workplace::{Workplace, json as object, stderr};
use crate::{pictures, triposg_folder, triposr_folder};

/// What a machine of two threads knows of TripoSG, and of TripoSR.
const TRIPOSG_PACE: &str = "triposg, 2 threads, fp32, resident";
const TRIPOSR_PACE: &str = "triposr, 2 threads, fp32, resident";

/// A machine without a GPU.
struct Machine {
    folder: tempfile::TempDir,
    library: Library,
    memory_bytes: u64,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Library {
            list: Some(folder.path().join("models.json")),
            ..Library::default()
        };
        Self {
            folder,
            library,
            memory_bytes: u64::MAX,
        }
    }

    fn with_triposg() -> Self {
        let machine = Self::new();
        let weights = triposg_folder::folder(machine.folder.path());
        machine.library.choose(&TRIPOSG, &weights).unwrap();
        machine
    }

    fn paces_file(&self) -> PathBuf {
        self.folder.path().join("paces.json")
    }

    /// Has it remember jobs that went at these paces, in operations a second.
    fn remembers(&self, paces: &serde_json::Value) {
        std::fs::write(self.paces_file(), paces.to_string()).unwrap();
    }

    fn engine(&self) -> Engine {
        let ledger = Ledger::with_budget(self.memory_bytes);
        let folders = Folders {
            cache: self.folder.path().join("cache"),
            data: self.folder.path().join("data"),
        };
        let vram = Manager::start(vram::Config {
            device: DeviceChoice::Cpu,
            cuda: Some(CudaProbe::NoLibrary),
            host_ledger: ledger.clone(),
            ..vram::Config::default()
        });
        let engine = Engine::start(Config {
            ledger,
            vram: Some(vram),
            store: Some(Store::open(&folders, Limits::default()).unwrap()),
            library: self.library.clone(),
            paces: Paces::in_file(self.paces_file()),
            threads: Some(2),
            ..Config::default()
        });
        engine.unwrap()
    }

    /// What the choice comes to, and why.
    fn chooses(&self, settings: Settings) -> (Source, String) {
        let mut settings = settings;
        let chosen = self.engine().choose(&mut settings).unwrap();
        assert_eq!(chosen.source, settings.source);
        (chosen.source, chosen.reason)
    }
}

fn of_steps(steps: u32) -> Settings {
    Settings {
        resolution: 32,
        flow: Flow {
            steps,
            preview_share: 0.0,
            ..Flow::default()
        },
        ..Settings::default()
    }
}

fn request(settings: Settings) -> Request {
    Request {
        image: pictures::disc_png(96).into(),
        name: "disc".into(),
        settings,
        keep_every_level: false,
        cache: true,
        history: false,
    }
}

fn wait(submission: &Submission) {
    let mut cursor = Default::default();
    while !submission.events.is_closed() {
        submission
            .events
            .wait(&mut cursor, Duration::from_millis(50));
    }
}

#[test]
fn without_weights_it_is_the_quick_shape_and_one_job_with_it() {
    let engine = Machine::new().engine();
    let settings = Settings {
        resolution: 512,
        ..Settings::default()
    };
    let open = engine.submit(request(settings.clone())).unwrap();
    let reason = &open.chosen.as_ref().unwrap().reason;
    assert!(
        reason.contains("no neural model's weights are on this machine"),
        "{reason}"
    );
    let named = Settings {
        source: Source::Inflate,
        ..settings
    };
    let named = engine.submit(request(named)).unwrap();
    assert_eq!(named.origin, Origin::Joined);
    assert_eq!(named.job.id, open.job.id);
    // Who named the source is told of no choice.
    assert_eq!(named.chosen, None);
    engine.cancel(&open);
    engine.cancel(&named);
}

#[test]
fn with_weights_it_is_the_better_source_and_learns_how_long_that_takes() {
    let machine = Machine::with_triposg();
    let engine = machine.engine();
    let open = engine.submit(request(of_steps(1))).unwrap();
    let chosen = open.chosen.clone().unwrap();
    assert_eq!(chosen.source, Source::TripoSg);
    assert!(
        chosen
            .reason
            .starts_with("TripoSG was chosen: it takes about")
            && chosen.reason.contains("by its arithmetic"),
        "{}",
        chosen.reason
    );
    wait(&open);
    let Some(Ok(outcome)) = open.result() else {
        panic!("{:?}", open.result());
    };
    assert_eq!(outcome.summary.source, Source::TripoSg);
    // The result is the one of whoever names the source, without a word on a choice.
    let named = Settings {
        source: Source::TripoSg,
        ..of_steps(1)
    };
    let named = engine.submit(request(named)).unwrap();
    assert_eq!(named.origin, Origin::Cached);
    assert_eq!(named.chosen, None);
    let Some(Ok(outcome)) = named.result() else {
        panic!("{:?}", named.result());
    };
    assert!(
        !outcome.summary.warnings.join(" ").contains("chosen"),
        "{:?}",
        outcome.summary.warnings
    );
    let known = std::fs::read(machine.paces_file()).unwrap();
    let known: serde_json::Value = serde_json::from_slice(&known).unwrap();
    assert!(known[TRIPOSG_PACE].as_f64() > Some(1e6), "{known}");
    let (source, reason) = machine.chooses(of_steps(1));
    assert_eq!(source, Source::TripoSg);
    assert!(reason.contains("as measured on this machine"), "{reason}");
}

#[test]
fn what_was_measured_counts_more_than_what_is_thought() {
    let machine = Machine::with_triposg();
    let (source, reason) = machine.chooses(of_steps(1000));
    assert_eq!(source, Source::Inflate, "{reason}");
    assert!(
        reason.contains("TripoSG takes about") && reason.contains("more than 2 min"),
        "{reason}"
    );
    machine.remembers(&json!({ TRIPOSG_PACE: 1e15 }));
    let (source, reason) = machine.chooses(of_steps(1000));
    assert_eq!(source, Source::TripoSg, "{reason}");
    machine.remembers(&json!({ TRIPOSG_PACE: 1e3 }));
    let (source, reason) = machine.chooses(of_steps(1));
    assert_eq!(source, Source::Inflate);
    assert!(reason.contains("as measured on this machine"), "{reason}");
    // Numbers that make no sense, and what is no file of paces, are as if nothing was measured.
    for damaged in [
        json!({ TRIPOSG_PACE: -1 }),
        json!({ TRIPOSG_PACE: 0 }),
        json!(["fast"]),
    ] {
        machine.remembers(&damaged);
        let (source, reason) = machine.chooses(of_steps(1));
        assert_eq!(source, Source::TripoSg, "{damaged}: {reason}");
        assert!(reason.contains("by its arithmetic"), "{damaged}: {reason}");
    }
}

#[test]
fn the_second_best_is_taken_where_the_best_takes_too_long() {
    let machine = Machine::with_triposg();
    let weights = triposr_folder::folder(machine.folder.path());
    machine.library.choose(&TRIPOSR, &weights).unwrap();
    machine.remembers(&json!({ TRIPOSG_PACE: 1e15, TRIPOSR_PACE: 1e15 }));
    assert_eq!(machine.chooses(of_steps(1)).0, Source::TripoSg);
    machine.remembers(&json!({ TRIPOSG_PACE: 1e3, TRIPOSR_PACE: 1e15 }));
    let (source, reason) = machine.chooses(of_steps(1));
    assert_eq!(source, Source::TripoSr);
    assert!(
        reason.starts_with("TripoSR was chosen") && reason.contains("TripoSG takes about"),
        "{reason}"
    );
    machine.remembers(&json!({ TRIPOSG_PACE: 1e3, TRIPOSR_PACE: 1e3 }));
    let (source, reason) = machine.chooses(of_steps(1));
    assert_eq!(source, Source::Inflate);
    assert!(
        reason.contains("TripoSG takes about") && reason.contains("TripoSR takes about"),
        "{reason}"
    );
}

#[test]
fn what_does_not_fit_or_cannot_be_opened_is_not_taken() {
    let mut machine = Machine::with_triposg();
    machine.memory_bytes = 2_000_000;
    let (source, reason) = machine.chooses(of_steps(1));
    assert_eq!(source, Source::Inflate);
    assert!(
        reason.contains("TripoSG does not fit into memory"),
        "{reason}"
    );
    machine.memory_bytes = u64::MAX;
    let config = machine.folder.path().join("TripoSG/vae/config.json");
    std::fs::write(config, "{").unwrap();
    let (source, reason) = machine.chooses(of_steps(1));
    assert_eq!(source, Source::Inflate);
    assert!(reason.contains("weights that cannot be used"), "{reason}");
}

#[test]
fn controls_of_the_quick_shape_ask_for_it() {
    let machine = Machine::with_triposg();
    let settings = Settings {
        controls: Controls {
            thickness: 2.0,
            ..Controls::default()
        },
        ..of_steps(1)
    };
    let (source, reason) = machine.chooses(settings);
    assert_eq!(source, Source::Inflate);
    assert!(reason.contains("thickness"), "{reason}");
    // A source that is named is never changed.
    let mut named = Settings {
        source: Source::TripoSr,
        ..of_steps(1)
    };
    assert_eq!(machine.engine().choose(&mut named), None);
    assert_eq!(named.source, Source::TripoSr);
}

fn source_in(file: &Path) -> serde_json::Value {
    formats::load(file).unwrap().settings.unwrap()["source"].clone()
}

#[test]
fn the_command_line_tells_what_was_chosen_and_why() {
    let workplace = Workplace::new();
    workplace.write("disc.png", &pictures::disc_png(96));
    let arguments = ["generate", "disc.png", "--resolution", "32", "--steps", "1"];
    let with = |more: &[&'static str]| [&arguments, more].concat();
    let output = workplace.expect(0, &with(&["-o", "a.glb", "--json"]));
    let made = object(&output);
    assert_eq!(made["source"], "inflate");
    let reason = made["source_reason"].as_str().unwrap();
    assert!(reason.contains("no neural model's weights"), "{reason}");
    assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    assert_eq!(source_in(&workplace.path("a.glb")), "inflate");

    let folder = triposg_folder::folder(workplace.folder.path());
    workplace.expect(0, &["models", "add", folder.to_str().unwrap()]);
    let output = workplace.expect(0, &with(&["--estimate"]));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("TripoSG was chosen"), "{told}");
    let output = workplace.expect(0, &with(&["-o", "b.glb", "--json"]));
    let made = object(&output);
    assert_eq!(made["source"], "triposg");
    assert!(stderr(&output).contains("TripoSG was chosen: it takes"));
    assert_eq!(source_in(&workplace.path("b.glb")), "triposg");
    // The program that ran before has measured it.
    let output = workplace.expect(0, &with(&["--estimate", "--json"]));
    let plan = object(&output);
    assert_eq!(plan["source"], "triposg");
    let reason = plan["source_reason"].as_str().unwrap();
    assert!(reason.contains("as measured on this machine"), "{reason}");
    let quiet = workplace.expect(0, &with(&["-o", "c.glb", "--quiet"]));
    assert_eq!(stderr(&quiet), "");
    let named =
        object(&workplace.expect(0, &with(&["-o", "d.glb", "--json", "--source", "inflate"])));
    assert_eq!(named["source_reason"], json!(null));
}
