//! TripoSR as its users meet it: from a folder of weights to a mesh, and everything that can be wrong with
//! such a folder.

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orfeas::engine::{
    Config, Engine, Failure, Library, Published, Request, Settings, Source, State,
};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::pictures;
use crate::weights::reference;
use crate::workplace::{Workplace, json, stderr};

/// The decoder's last bias, density first: the last storage of the reference checkpoint.
const LAST_BIAS: &str = "model/data/96";

/// The reference model in a folder of its own. Its random weights make a field that is too thin to have a
/// surface, so its densities are raised.
fn folder(at: &Path) -> PathBuf {
    let source = reference().join("triposr");
    let folder = at.join("TripoSR");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(source.join("repo/config.yaml"), folder.join("config.yaml")).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(source.join("config.json")).unwrap()).unwrap();
    std::fs::write(
        folder.join("image_tokenizer.json"),
        config["vit"].to_string(),
    )
    .unwrap();
    let bytes = std::fs::read(source.join("repo/model.ckpt")).unwrap();
    std::fs::write(folder.join("model.ckpt"), denser(&bytes)).unwrap();
    folder
}

/// A checkpoint whose densities are 25 times as large.
fn denser(checkpoint: &[u8]) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(checkpoint)).unwrap();
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name == LAST_BIAS {
            assert_eq!(bytes.len(), 16, "four biases");
            let density = f32::from_le_bytes(bytes[..4].try_into().unwrap()) + 25_f32.ln();
            bytes[..4].copy_from_slice(&density.to_le_bytes());
        }
        out.start_file(name, options).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

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
