//! What the program says of the machine it runs on, and what it keeps there.

use crate::pictures;
use crate::workplace::{Workplace, json};

/// The lines of the log that the runs in a workplace wrote.
fn log(place: &Workplace) -> String {
    let folder = place.path("state/orfeas/logs");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn a_generation_logs_its_start_its_memory_before_and_after_and_what_was_cleared() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(96));
    let arguments = [
        "generate",
        "disc.png",
        "-o",
        "a.glb",
        "--quality",
        "1",
        "--json",
    ];
    let report = json(&place.expect(0, &arguments));
    let log = log(&place);
    let mut rest = log.as_str();
    for line in [
        "memory manager initialised",
        "statistics: ",
        "monitoring started (5s interval)",
        "BEFORE - ",
        "caches cleared",
        "AFTER - ",
        "finished",
    ] {
        let Some((_, after)) = rest.split_once(line) else {
            panic!("{line:?} is missing, or too early, in\n{log}");
        };
        rest = after;
    }
    let usage = &report["memory_usage"];
    for moment in ["before_percent", "after_percent", "peak_percent"] {
        let percent = usage[moment].as_f64().unwrap();
        assert!((0.0..=100.0).contains(&percent), "{moment}: {percent}");
    }
    assert_eq!(report["cached"], false);
}

#[test]
fn an_estimate_says_how_and_why_and_does_nothing() {
    let place = Workplace::new();
    let arguments = [
        "generate",
        "missing.png",
        "--estimate",
        "--resolution",
        "512",
    ];
    let told = String::from_utf8(place.expect(0, &arguments).stdout).unwrap();
    assert!(told.contains("cpu · fp32 · 512³"), "{told}");
    assert!(place.files().is_empty());
    let plan = |more: &[&str]| {
        let arguments = [&["generate", "missing.png", "--estimate", "--json"], more].concat();
        json(&place.expect(0, &arguments))
    };
    let [all, little] = [plan(&[]), plan(&["--memory", "30"])];
    assert_eq!(all["choice"]["level"], 256);
    let level = little["choice"]["level"].as_u64().unwrap();
    assert!((32..256).contains(&level), "{little}");
    assert!(little["need"]["host_bytes"].as_u64().unwrap() <= 30_000_000);
    // What a source has not, is not promised.
    let precise = plan(&["--precision", "int8"]);
    assert_eq!(precise["choice"]["precision"], "fp32");
    assert!(
        precise["reasons"]
            .to_string()
            .contains("int8 was asked for"),
        "{precise}"
    );
    place.expect(
        4,
        &["generate", "missing.png", "--estimate", "--memory", "1"],
    );
    place.expect(
        2,
        &["generate", "missing.png", "--estimate", "--device", "gpu"],
    );
    place.expect(
        2,
        &[
            "generate",
            "missing.png",
            "--estimate",
            "--precision",
            "fp64",
        ],
    );
}

#[test]
fn too_small_a_budget_for_the_quality_is_a_coarser_mesh_with_a_warning() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(200));
    let arguments = [
        "generate",
        "disc.png",
        "-o",
        "a.glb",
        "--quality",
        "9",
        "--memory",
        "40",
        "--json",
    ];
    let report = json(&place.expect(0, &arguments));
    assert!(report["resolution"].as_u64().unwrap() < 512, "{report}");
    assert!(report["warnings"].to_string().contains("512"), "{report}");
    assert!(report["peak_reserved_bytes"].as_u64().unwrap() <= 40_000_000);
}

#[test]
fn the_cache_is_asked_only_on_request_and_can_be_shown_and_cleared() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(96));
    let generate = |out: &str, more: &[&str]| {
        let arguments = [
            "generate",
            "disc.png",
            "-o",
            out,
            "--quality",
            "1",
            "--json",
        ];
        json(&place.expect(0, &[&arguments, more].concat()))
    };
    let entries = || json(&place.expect(0, &["cache", "--json"]))["cache"]["entries"].clone();
    generate("a.glb", &[]);
    assert_eq!(entries(), 0);
    assert_eq!(generate("b.glb", &["--cache"])["cached"], false);
    assert_eq!(entries(), 1);
    let found = generate("c.glb", &["--cache"]);
    assert_eq!(found["cached"], true);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    let mesh_of = |name: &str| orfeas::formats::load(&place.path(name)).unwrap().mesh;
    assert_eq!(mesh_of("b.glb"), mesh_of("c.glb"));
    assert!(!read("a.glb").is_empty());
    let cleared = json(&place.expect(0, &["cache", "clear", "--json"]));
    assert_eq!(cleared["freed"]["entries"], 1);
    assert_eq!(entries(), 0);
    let contradiction = [
        "generate",
        "disc.png",
        "-o",
        "d.glb",
        "--cache",
        "--save-matte",
        "m.png",
    ];
    place.expect(2, &contradiction);
}

#[test]
fn the_devices_are_listed_also_where_there_is_no_gpu() {
    let place = Workplace::new();
    let devices = json(&place.expect(0, &["devices", "--json"]));
    assert!(
        devices["host"]["total_bytes"].as_u64().unwrap() > 0,
        "{devices}"
    );
    assert!(devices["gpu_state"].is_string() && devices["gpus"].is_array());
    let told = String::from_utf8(place.expect(0, &["devices"]).stdout).unwrap();
    assert!(told.starts_with("cpu ") && told.contains("cuda "), "{told}");
}

#[test]
fn the_doctor_finds_a_sound_machine_and_writes_its_baseline() {
    let place = Workplace::new();
    let told = json(&place.expect(0, &["doctor", "--json", "--report", "report.json"]));
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path("report.json")).unwrap()).unwrap();
    assert_eq!(told, written);
    assert_eq!(told["healthy"], true, "{told:#}");
    let baseline = &told["baseline"];
    for field in [
        "total_memory_bytes",
        "available_at_start_bytes",
        "idle_percent",
        "during_generation_percent",
        "statistics_response_ms",
    ] {
        assert!(
            baseline[field].as_f64().unwrap() > 0.0,
            "{field}: {baseline}"
        );
    }
}

#[test]
#[cfg(unix)]
fn the_doctor_names_what_is_broken_and_a_remedy() {
    let place = Workplace::new();
    // A file where the cache folder should be, for root and everyone.
    place.write("cache", b"no folder");
    let output = place.expect(1, &["doctor", "--json"]);
    let told = json(&output);
    assert_eq!(told["healthy"], false);
    let broken: Vec<_> = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["verdict"] == "failed")
        .collect();
    assert!(!broken.is_empty());
    for check in broken {
        assert!(
            check["remedy"].as_str().unwrap().contains("folder"),
            "{check}"
        );
    }
}

#[test]
#[cfg(unix)]
fn a_file_size_limit_is_a_full_disk_and_leaves_nothing() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(200));
    let program = assert_cmd::cargo::cargo_bin("orfeas");
    for more in ["", "--previews previews"] {
        let script = format!(
            "ulimit -f 64; exec {} generate disc.png -o a.stl --quality 3 {more}",
            program.display()
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.folder.path())
            .env("XDG_STATE_HOME", place.path("state"))
            .env("HOME", place.folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{told}");
        assert!(told.contains("full"), "{told}");
    }
    let left: Vec<_> = std::fs::read_dir(place.path("previews")).unwrap().collect();
    assert!(left.len() <= 1, "{left:?}");
    assert_eq!(place.files(), ["disc.png", "previews"]);
}
