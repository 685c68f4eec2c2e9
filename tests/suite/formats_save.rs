//! Saving meshes: whole or not at all, and what is said when it fails.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use orfeas::formats::{
    Format, ReadError, SaveError, WriteOptions, load, save, save_grey_png, write,
};

use crate::formats::{READABLE, read_alone, textured_box, welded, written};

#[test]
fn obj_is_saved_with_material_and_texture_and_read_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = textured_box();
    // The image the mesh was made from must not be overwritten by its texture.
    fs::write(folder.path().join("my robot.png"), b"source").unwrap();
    let path = folder.path().join("my robot.obj");
    let saved = save(&mesh, &path, Format::Obj, &WriteOptions::default()).unwrap();
    let names: Vec<_> = saved
        .files
        .iter()
        .map(|f| f.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        ["my_robot_texture.png", "my_robot.mtl", "my robot.obj"]
    );
    assert_eq!(
        fs::read(folder.path().join("my robot.png")).unwrap(),
        b"source"
    );
    let total: u64 = saved
        .files
        .iter()
        .map(|f| fs::metadata(f).unwrap().len())
        .sum();
    assert_eq!(saved.bytes, total);

    let back = load(&path).unwrap();
    assert_eq!(back.mesh.texture, mesh.texture);
    assert_eq!(back.mesh.uvs.len(), 24);
    assert!(back.mesh.colours.is_empty() && back.warnings.is_empty());
    assert_eq!(welded(&back.mesh), (8, true));

    let (models, materials) = tobj::load_obj(&path, &tobj::LoadOptions::default()).unwrap();
    assert_eq!(
        models[0].mesh.positions.len(),
        24,
        "seam vertices share their position"
    );
    assert_eq!(models[0].mesh.texcoords.len(), 48);
    let texture = materials.unwrap()[0].diffuse_texture.clone().unwrap();
    assert_eq!(texture, "my_robot_texture.png");

    fs::remove_file(folder.path().join("my_robot_texture.png")).unwrap();
    let back = load(&path).unwrap();
    assert!(back.mesh.texture.is_none());
    assert!(
        back.warnings[0].contains("my_robot_texture.png"),
        "{:?}",
        back.warnings
    );
}

#[test]
fn every_failing_write_is_an_error() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in Format::ALL {
        let length = written(&textured_box(), format, &WriteOptions::default()).len();
        for room in [0, 1, length / 2, length - 1] {
            let result = write(
                &textured_box(),
                format,
                &WriteOptions::default(),
                &mut Full(room),
            );
            assert!(
                matches!(result, Err(SaveError::Stream(_))),
                "{format}, room for {room}"
            );
        }
        write(
            &textured_box(),
            format,
            &WriteOptions::default(),
            &mut Full(length),
        )
        .unwrap();
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn failed_saves_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.stl");
    fs::write(&path, b"before").unwrap();
    let mut bad = textured_box();
    bad.triangles[0][0] = 99;
    save(&bad, &path, Format::Stl, &WriteOptions::default()).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"before");
    assert_eq!(names_in(folder.path()), ["a.stl"]);

    let missing = folder.path().join("no/where/a.glb");
    let error = save(
        &textured_box(),
        &missing,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap_err();
    assert!(
        matches!(&error, SaveError::MissingFolder(p) if p.ends_with("no/where")),
        "{error}"
    );

    let directory = folder.path().join("b.glb");
    fs::create_dir(&directory).unwrap();
    let error = save(
        &textured_box(),
        &directory,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap_err();
    assert!(matches!(error, SaveError::IsFolder(_)), "{error}");

    // The material cannot be written, so neither is the mesh nor the texture.
    fs::create_dir(folder.path().join("c.mtl")).unwrap();
    let path = folder.path().join("c.obj");
    save(
        &textured_box(),
        &path,
        Format::Obj,
        &WriteOptions::default(),
    )
    .unwrap_err();
    assert_eq!(names_in(folder.path()), ["a.stl", "b.glb", "c.mtl"]);
}

#[cfg(unix)]
#[test]
fn permissions_are_those_of_an_ordinary_file_or_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = folder.path().join("a.glb");
    let ordinary = folder.path().join("ordinary");
    fs::write(&ordinary, b"").unwrap();
    save(
        &textured_box(),
        &path,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap();
    assert_eq!(mode(&path), mode(&ordinary));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    save(
        &textured_box(),
        &path,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap();
    assert_eq!(mode(&path), 0o640);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    let error = save(
        &textured_box(),
        &path,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap_err();
    assert!(
        matches!(error, SaveError::PermissionDenied { .. }),
        "{error}"
    );

    let link = folder.path().join("link.glb");
    let real = folder.path().join("real.glb");
    fs::write(&real, b"old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    save(
        &textured_box(),
        &link,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&real).unwrap().starts_with(b"glTF"));
}

#[cfg(unix)]
#[test]
fn devices_are_not_replaced_and_locked_folders_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("null.glb");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    let error = save(
        &textured_box(),
        &device,
        Format::Glb,
        &WriteOptions::default(),
    )
    .unwrap_err();
    assert!(matches!(error, SaveError::NotAFile(_)), "{error}");

    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write anywhere.
    if fs::write(locked.join("probe"), b"").is_err() {
        let path = locked.join("a.glb");
        let error = save(
            &textured_box(),
            &path,
            Format::Glb,
            &WriteOptions::default(),
        )
        .unwrap_err();
        assert!(
            matches!(error, SaveError::PermissionDenied { .. }),
            "{error}"
        );
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn load_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        load(&folder.path().join("a.glb")),
        Err(ReadError::Missing(_))
    ));
    assert!(matches!(
        load(&folder.path().join("a.fbx")),
        Err(ReadError::Format { .. })
    ));
    assert!(matches!(
        load(&folder.path().join("a.3mf")),
        Err(ReadError::Contents { .. })
    ));
    fs::create_dir(folder.path().join("b.ply")).unwrap();
    assert!(matches!(
        load(&folder.path().join("b.ply")),
        Err(ReadError::IsFolder(_))
    ));
    fs::write(folder.path().join("c.glb"), "a text").unwrap();
    for name in ["a.glb", "a.fbx", "a.3mf", "b.ply", "c.glb"] {
        let message = load(&folder.path().join(name)).unwrap_err().to_string();
        assert!(message.ends_with(name), "paths last: {message}");
    }
    for format in READABLE {
        let error = read_alone(b"", format).unwrap_err();
        assert!(
            matches!(error, ReadError::Damaged { .. }),
            "{format}: {error}"
        );
    }
}

#[test]
fn grey_images_are_saved_like_meshes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("matte.png");
    save_grey_png(&path, 3, 2, &[0, 50, 100, 150, 200, 255]).unwrap();
    let image = image::open(&path).unwrap().into_luma8();
    assert_eq!(
        (image.dimensions(), image.into_raw()),
        ((3, 2), vec![0, 50, 100, 150, 200, 255])
    );
    assert!(matches!(
        save_grey_png(&path, 3, 3, &[0]),
        Err(SaveError::Unwritable(_))
    ));
    assert_eq!(names_in(folder.path()), ["matte.png"]);
}
