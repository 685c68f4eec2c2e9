//! The program as its users meet it: arguments in, files and exit codes out.

use std::path::Path;

use serde_json::Value;

use crate::pictures;
use crate::workplace::{Workplace, json, stderr};

#[test]
fn an_image_becomes_a_mesh_in_every_format() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(96));
    for extension in ["glb", "obj", "stl", "ply", "3mf"] {
        let out = format!("out.{extension}");
        place.expect(
            0,
            &["generate", "disc.png", "-o", &out, "--resolution", "32"],
        );
        assert!(
            std::fs::metadata(place.path(&out)).unwrap().len() > 1000,
            "{out}"
        );
    }
    for extension in ["glb", "obj", "stl", "ply"] {
        let report = json(&place.expect(0, &["inspect", &format!("out.{extension}"), "--json"]));
        assert_eq!(report["closed"], true, "{extension}");
        assert_eq!(report["manifold"], true, "{extension}");
        assert_eq!(report["outward"], true, "{extension}");
        assert_eq!(report["euler"], 2, "{extension}");
        let size = report["bounds_mm"]["size"].as_array().unwrap();
        let longest = size
            .iter()
            .map(|side| side.as_f64().unwrap())
            .fold(0.0, f64::max);
        assert!((longest - 100.0).abs() < 0.01, "{extension}: {longest} mm");
    }
}

#[test]
fn json_tells_everything_the_manual_names() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(96));
    let arguments = [
        "generate",
        "disc.png",
        "-o",
        "a.glb",
        "--resolution",
        "64",
        "--size",
        "50",
        "--json",
    ];
    let object = json(&place.expect(0, &arguments));
    let names = [
        "input",
        "output",
        "source",
        "resolution",
        "vertices",
        "faces",
        "closed",
        "manifold",
        "components",
        "euler",
        "volume_mm3",
        "area_mm2",
        "bounds_mm",
        "matte",
        "mode",
        "stages",
        "first_mesh_seconds",
        "seconds",
        "peak_memory_bytes",
        "warnings",
    ];
    for name in names {
        assert!(!object[name].is_null(), "{name} is missing from {object}");
    }
    assert_eq!(object["matte"]["kind"], "alpha");
    assert_eq!(object["resolution"], 64);
    // A disc becomes a ball or a lens: between a thin slab and the full ball of 50 mm.
    let ball = std::f64::consts::PI / 6.0 * 50f64.powi(3);
    let volume = object["volume_mm3"].as_f64().unwrap();
    assert!(volume > 0.05 * ball && volume < 1.05 * ball, "{volume} mm³");
    assert!(object["first_mesh_seconds"].as_f64() <= object["seconds"].as_f64());
}

#[test]
fn previews_show_every_level() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(96));
    let arguments = [
        "generate",
        "disc.png",
        "-o",
        "a.glb",
        "--resolution",
        "128",
        "--previews",
        "steps",
    ];
    place.expect(0, &arguments);
    for name in ["0032.glb", "0064.glb", "0128.glb"] {
        let report = json(&place.expect(0, &["inspect", &format!("steps/{name}"), "--json"]));
        assert_eq!(report["closed"], true, "{name}");
    }
}

#[test]
fn several_images_go_to_a_folder_and_one_bad_image_does_not_stop_the_others() {
    let place = Workplace::new();
    place.write("a.png", &pictures::disc_png(64));
    place.write("b.png", b"no image at all");
    place.write("c.png", &pictures::disc_png(80));
    let arguments = [
        "generate",
        "a.png",
        "b.png",
        "missing.png",
        "c.png",
        "-o",
        "out",
        "--resolution",
        "32",
        "--json",
    ];
    let output = place.expect(3, &arguments);
    assert!(place.path("out/a.glb").is_file() && place.path("out/c.glb").is_file());
    assert!(!place.path("out/b.glb").exists());
    let lines = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 4, "one object an image: {lines}");
    assert_eq!(objects[1]["error"]["exit_code"], 3);
}

#[test]
fn images_of_the_same_name_do_not_overwrite_each_other() {
    let place = Workplace::new();
    place.write("a.png", &pictures::disc_png(64));
    std::fs::create_dir(place.path("other")).unwrap();
    place.write("other/a.png", &pictures::disc_png(64));
    place.expect(
        0,
        &[
            "generate",
            "a.png",
            "other/a.png",
            "-o",
            "out",
            "--resolution",
            "32",
        ],
    );
    assert!(place.path("out/a.glb").is_file() && place.path("out/a-2.glb").is_file());
}

#[test]
fn obj_on_standard_output_carries_vertex_colours() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(64));
    let arguments = [
        "generate",
        "disc.png",
        "-o",
        "-",
        "--format",
        "obj",
        "--resolution",
        "32",
    ];
    let output = place.expect(0, &arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let vertex = text.lines().find(|line| line.starts_with("v ")).unwrap();
    assert_eq!(
        vertex.split_whitespace().count(),
        7,
        "x y z r g b: {vertex}"
    );
    assert!(!text.contains("mtllib"));
    assert_eq!(place.files(), ["disc.png"]);
}

#[test]
fn wrong_usage_is_refused_before_any_work() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(64));
    let wrong: &[&[&str]] = &[
        &["generate", "disc.png", "-o", "a.xyz"],
        &["generate", "disc.png", "-o", "a"],
        &["generate", "disc.png"],
        &["generate", "disc.png", "-o", "-"],
        &[
            "generate", "disc.png", "-o", "-", "--format", "glb", "--json",
        ],
        &["generate", "disc.png", "-o", "a.glb", "--format", "stl"],
        &["generate", "disc.png", "-o", "a.glb", "--resolution", "0"],
        &[
            "generate",
            "disc.png",
            "-o",
            "a.glb",
            "--resolution",
            "5000",
        ],
        &["generate", "disc.png", "-o", "a.glb", "--quality", "11"],
        &["generate", "disc.png", "-o", "a.glb", "--thickness", "NaN"],
        &["generate", "disc.png", "-o", "a.glb", "--detail", "inf"],
        &["generate", "disc.png", "-o", "a.glb", "--size", "NaN"],
        &["generate", "disc.png", "-o", "a.glb", "--size", "-1"],
        &["generate", "disc.png", "-o", "a.glb", "--relief", "nan"],
        &["generate", "disc.png", "disc.png", "-o", "a.glb"],
        &["convert", "disc.png", "b.xyz"],
        &["frobnicate"],
    ];
    for arguments in wrong {
        let output = place.expect(2, arguments);
        assert!(!stderr(&output).is_empty(), "{arguments:?} must say why");
        assert_eq!(place.files(), ["disc.png"], "{arguments:?}");
    }
}

#[test]
fn bad_images_are_named_with_a_remedy_and_leave_nothing() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("folder.png")).unwrap();
    place.write("empty.png", b"");
    place.write("text.png", b"dear diary");
    let whole = pictures::disc_png(64);
    place.write("cut.png", &whole[..whole.len() / 2]);
    place.write(
        "one.png",
        &pictures::rgba_png(1, 1, |_, _| [255, 0, 0, 255]),
    );
    place.write(
        "clear.png",
        &pictures::rgba_png(64, 64, |_, _| [9, 9, 9, 0]),
    );
    place.write("bomb.png", &pictures::bomb_png());
    place.write("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    let before = place.files();
    let bad = [
        "missing.png",
        "folder.png",
        "empty.png",
        "text.png",
        "cut.png",
        "one.png",
        "clear.png",
        "bomb.png",
        "photo.heic",
    ];
    for name in bad {
        let output = place.expect(3, &["generate", name, "-o", "a.glb"]);
        let message = stderr(&output);
        assert!(message.contains("error: "), "{name}: {message}");
        assert!(message.trim_end().ends_with(name), "paths last: {message}");
        assert!(!message.contains("panic"), "{name}: {message}");
        assert_eq!(place.files(), before, "{name}");
    }
}

#[test]
fn outputs_that_cannot_be_written_have_their_own_code() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(64));
    let output = place.expect(5, &["generate", "disc.png", "-o", "nowhere/a.glb"]);
    assert!(stderr(&output).contains("nowhere"));
    place.expect(
        5,
        &[
            "generate",
            "disc.png",
            "-o",
            "a.glb",
            "--save-matte",
            "nowhere/m.png",
        ],
    );
    assert_eq!(place.files(), ["disc.png"]);
    if cfg!(target_os = "linux") && Path::new("/dev/full").exists() {
        // A disk that is full: the mesh goes to standard output, which takes nothing.
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("orfeas"));
        let status = command
            .current_dir(place.folder.path())
            .env("XDG_STATE_HOME", place.path("state"))
            .args([
                "generate",
                "disc.png",
                "-o",
                "-",
                "--format",
                "stl",
                "--resolution",
                "32",
                "--quiet",
            ])
            .stdout(full)
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(5));
    }
}

#[test]
fn an_existing_output_is_replaced_whole_or_not_at_all() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(64));
    place.write("bad.png", b"nothing");
    place.write("a.glb", b"precious");
    place.expect(3, &["generate", "bad.png", "-o", "a.glb"]);
    assert_eq!(std::fs::read(place.path("a.glb")).unwrap(), b"precious");
    place.expect(
        0,
        &["generate", "disc.png", "-o", "a.glb", "--resolution", "32"],
    );
    assert_eq!(&std::fs::read(place.path("a.glb")).unwrap()[..4], b"glTF");
}

#[test]
fn too_little_memory_is_told_with_the_bytes_and_a_remedy() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(64));
    let output = place.expect(4, &["generate", "disc.png", "-o", "a.glb", "--memory", "1"]);
    let message = stderr(&output);
    assert!(
        message.contains("are free") && message.contains("--memory"),
        "{message}"
    );
    assert_eq!(place.files(), ["disc.png"]);
}

#[test]
fn a_matte_image_decides_what_the_subject_is() {
    let place = Workplace::new();
    place.write(
        "photo.png",
        &pictures::rgba_png(96, 96, |x, y| [(x * 2) as u8, (y * 2) as u8, 90, 255]),
    );
    place.write("matte.png", &pictures::disc_png(96));
    let arguments = [
        "generate",
        "photo.png",
        "-o",
        "a.glb",
        "--matte-image",
        "matte.png",
        "--resolution",
        "32",
        "--save-matte",
        "used.png",
        "--json",
    ];
    let object = json(&place.expect(0, &arguments));
    assert_eq!(object["matte"]["kind"], "user");
    let used = image::open(place.path("used.png")).unwrap().into_luma8();
    assert_eq!(used.get_pixel(48, 48).0, [255]);
    assert_eq!(used.get_pixel(1, 1).0, [0]);
}

#[test]
fn convert_keeps_the_solid_and_changes_what_is_asked() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(96));
    place.expect(
        0,
        &["generate", "disc.png", "-o", "a.glb", "--resolution", "64"],
    );
    place.expect(
        0,
        &[
            "convert",
            "a.glb",
            "b.stl",
            "--size",
            "30",
            "--simplify",
            "500",
        ],
    );
    let report = json(&place.expect(0, &["inspect", "b.stl", "--json"]));
    assert_eq!(report["closed"], true);
    assert_eq!(report["manifold"], true);
    assert!(report["faces"].as_u64().unwrap() <= 500);
    let size = report["bounds_mm"]["size"].as_array().unwrap();
    let longest = size
        .iter()
        .map(|side| side.as_f64().unwrap())
        .fold(0.0, f64::max);
    assert!((longest - 30.0).abs() < 0.5, "{longest} mm");
    place.expect(3, &["inspect", "disc.png"]);
    place.expect(3, &["convert", "missing.glb", "c.stl"]);
    place.expect(5, &["convert", "a.glb", "nowhere/c.stl"]);
}

#[test]
fn the_same_image_gives_the_same_file_whatever_the_threads() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(200));
    for (threads, out) in [("1", "one.ply"), ("3", "three.ply")] {
        place.expect(
            0,
            &[
                "generate",
                "disc.png",
                "-o",
                out,
                "--resolution",
                "64",
                "--threads",
                threads,
            ],
        );
    }
    let [one, three] =
        ["one.ply", "three.ply"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert!(one == three, "the two files differ");
}

#[test]
#[cfg(unix)]
fn an_interrupt_leaves_no_partial_file() {
    let place = Workplace::new();
    place.write("disc.png", &pictures::disc_png(1000));
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("orfeas"))
        .current_dir(place.folder.path())
        .env("XDG_STATE_HOME", place.path("state"))
        .args([
            "generate",
            "disc.png",
            "-o",
            "a.glb",
            "--resolution",
            "512",
            "--threads",
            "1",
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Long enough for the handler to be there, short of the end of a 512³ mesh.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    let finished_first = status.code() == Some(0);
    assert!(finished_first || status.code() == Some(130), "{status:?}");
    let expected: &[&str] = if finished_first {
        &["a.glb", "disc.png"]
    } else {
        &["disc.png"]
    };
    assert_eq!(place.files(), expected);
}

#[test]
fn help_is_what_the_manual_says() {
    let place = Workplace::new();
    for (name, arguments) in [
        ("help", vec!["--help"]),
        ("help_generate", vec!["generate", "--help"]),
    ] {
        let output = place.expect(0, &arguments);
        insta::assert_snapshot!(name, String::from_utf8(output.stdout).unwrap());
    }
}
