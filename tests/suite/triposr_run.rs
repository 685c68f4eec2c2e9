//! TripoSR as its users meet it: from a folder of weights to a mesh, and everything that can be wrong with
//! such a folder.

use std::path::Path;
use std::sync::Arc;

use crate::pictures;
use crate::triposr_folder::folder;
use crate::weights::reference;
use crate::workplace::{Workplace, json, stderr};
use orfeas::engine::{
    Config, Engine, Failure, Library, Published, Request, Settings, Source, State,
};

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
    let weights = Arc::new(Published::open(&folder).unwrap());
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
