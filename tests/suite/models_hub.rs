//! Downloading from a server of the test's own: one that drops, redirects, lies and falls silent.

use std::path::Path;
use std::time::{Duration, Instant};

use orfeas::compute::host::free_disk_bytes;
use orfeas::engine::catalogue::{Licence, Model, RemoteFile};
use orfeas::engine::{Cancel, DownloadError, Hub, Library, Located};
use sha2::{Digest, Sha256};

use crate::hub_server::{Answer, Server};
use crate::workplace::{Workplace, json, stderr};

fn content() -> Vec<u8> {
    (0..300_000_u32)
        .map(|place| (place * 7 % 251) as u8)
        .collect()
}

/// A model of one file, with what it should be.
fn model(content: &[u8]) -> Model {
    let digest = Sha256::digest(content);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Model {
        name: "test",
        title: "Test",
        repository: "organisation/test",
        revision: "0123456789abcdef0123456789abcdef01234567",
        files: vec![RemoteFile {
            path: "sub/model.bin",
            size_bytes: content.len() as u64,
            sha256: digest.leak(),
        }]
        .leak(),
        licence: Licence {
            name: "MIT",
            url: "https://example.org/licence",
            excludes: None,
        },
    }
}

fn hub(cache: &Path, endpoint: &str) -> Hub {
    Hub {
        cache: cache.to_owned(),
        endpoint: endpoint.to_owned(),
        token: Some("secret".into()),
        offline: false,
        retry_pause: Duration::from_millis(1),
    }
}

/// Downloads the test's model by the server's script, and tells what came of it.
struct Tried {
    folder: tempfile::TempDir,
    server: Server,
    hub: Hub,
    model: Model,
    result: Result<std::path::PathBuf, DownloadError>,
}

impl Tried {
    fn by(script: impl IntoIterator<Item = Answer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&content(), script);
        let hub = hub(folder.path(), &server.url);
        let model = model(&content());
        let result = hub.download(&model, false, &Cancel::default(), &mut |_| {});
        Self {
            folder,
            server,
            hub,
            model,
            result,
        }
    }

    fn again(&mut self) {
        self.result = self
            .hub
            .download(&self.model, false, &Cancel::default(), &mut |_| {});
    }

    fn expect_content(&self) {
        let folder = self.result.as_ref().unwrap();
        assert_eq!(
            std::fs::read(folder.join("sub/model.bin")).unwrap(),
            content()
        );
        assert_eq!(self.hub.locate(&self.model).as_ref(), Some(folder));
        assert!(partials(self.folder.path()).is_empty());
    }

    fn failure(&self) -> String {
        assert_eq!(self.hub.locate(&self.model), None);
        self.result.as_ref().unwrap_err().to_string()
    }
}

fn partials(cache: &Path) -> Vec<u64> {
    let blobs = std::fs::read_dir(cache.join("models--organisation--test/blobs"));
    let blobs = blobs.into_iter().flatten().map(Result::unwrap);
    blobs
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|end| end == "incomplete")
        })
        .map(|entry| entry.metadata().unwrap().len())
        .collect()
}

#[test]
fn a_download_lies_in_the_layout_of_the_hub() {
    let tried = Tried::by([]);
    tried.expect_content();
    let repository = tried.folder.path().join("models--organisation--test");
    let place = repository
        .join("snapshots")
        .join(tried.model.revision)
        .join("sub/model.bin");
    let blob = repository.join("blobs").join(tried.model.files[0].sha256);
    assert_eq!(place.canonicalize().unwrap(), blob.canonicalize().unwrap());
    let asked = tried.server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].path,
        format!(
            "/organisation/test/resolve/{}/sub/model.bin",
            tried.model.revision
        )
    );
    assert_eq!(asked[0].token.as_deref(), Some("Bearer secret"));
}

#[test]
fn what_is_there_is_not_downloaded_again() {
    let mut tried = Tried::by([]);
    tried.again();
    tried.expect_content();
    assert_eq!(tried.server.asked().len(), 1);
}

#[test]
fn a_broken_connection_is_resumed_where_it_ended() {
    let cut = |at_most| Answer::Content { at_most };
    let tried = Tried::by([
        cut(100_000),
        Answer::Nothing,
        cut(50_000),
        Answer::Status(503, "Retry-After: 1".into()),
    ]);
    tried.expect_content();
    let ranges: Vec<_> = tried
        .server
        .asked()
        .into_iter()
        .map(|asked| asked.range)
        .collect();
    let from = |bytes: usize| Some(format!("bytes={bytes}-"));
    assert_eq!(
        ranges,
        [
            None,
            from(100_000),
            from(100_000),
            from(150_000),
            from(150_000)
        ]
    );
}

#[test]
fn a_download_that_was_given_up_goes_on_the_next_time() {
    let nothing = || std::iter::repeat_n(Answer::Nothing, 5);
    let first = [Answer::Content { at_most: 120_000 }];
    let mut tried = Tried::by(first.into_iter().chain(nothing()));
    assert!(
        tried.failure().contains("cannot be reached"),
        "{}",
        tried.failure()
    );
    assert_eq!(partials(tried.folder.path()), [120_000]);
    tried.again();
    tried.expect_content();
    let last = tried.server.asked().pop().unwrap();
    assert_eq!(last.range.as_deref(), Some("bytes=120000-"));
}

#[test]
fn a_server_that_cannot_resume_starts_over() {
    let tried = Tried::by([Answer::Content { at_most: 1000 }, Answer::Whole]);
    tried.expect_content();
    let tried = Tried::by([
        Answer::Content { at_most: 1000 },
        Answer::Status(416, "Content-Range: bytes */7".into()),
    ]);
    tried.expect_content();
}

/// Stops as soon as so much has arrived that the server falls silent.
#[test]
fn stopping_does_not_wait_for_a_silent_server() {
    for after in [0, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&content(), [Answer::Silence { after }]);
        let hub = hub(folder.path(), &server.url);
        let cancel = Cancel::default();
        let (raised, asked_at) = (cancel.clone(), Instant::now());
        let stopper = std::thread::Builder::new()
            .name("stopper".into())
            .spawn(move || {
                // Long after everything that comes has come.
                while server.asked().is_empty() {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(300));
                raised.cancel();
                (server, Instant::now())
            })
            .unwrap();
        let result = hub.download(&model(&content()), false, &cancel, &mut |_| {});
        let ended = Instant::now();
        let (server, cancelled) = stopper.join().unwrap();
        assert!(matches!(result, Err(DownloadError::Cancelled)));
        // Far below the patience with the network, which is half a minute.
        let waited = ended.duration_since(cancelled);
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        assert!(ended.duration_since(asked_at) < Duration::from_secs(20));
        assert_eq!(partials(folder.path()), [after as u64]);
        hub.download(&model(&content()), false, &Cancel::default(), &mut |_| {})
            .unwrap();
        let last = server.asked().pop().unwrap();
        let resumed = (after > 0).then(|| format!("bytes={after}-"));
        assert_eq!(last.range, resumed);
    }
}

#[test]
fn what_is_not_the_published_file_is_discarded() {
    for (lie, why) in [
        (Answer::Lie(300_000), "its SHA-256 differs"),
        (Answer::TooLong, "it is longer"),
        (Answer::Lie(299_999), "its length differs"),
    ] {
        let mut tried = Tried::by([lie]);
        let failure = tried.failure();
        assert!(
            failure.contains(why) && failure.contains("discarded"),
            "{failure}"
        );
        assert!(
            partials(tried.folder.path())
                .iter()
                .all(|&bytes| bytes == 0)
        );
        // The next try is not spoilt by it.
        tried.again();
        tried.expect_content();
    }
    // Right bytes at first, others at the end.
    let folder = tempfile::tempdir().unwrap();
    let mut other = content();
    other[250_000] ^= 1;
    let server = Server::start(&other, [Answer::Content { at_most: 200_000 }]);
    let hub = hub(folder.path(), &server.url);
    let result = hub.download(&model(&content()), false, &Cancel::default(), &mut |_| {});
    assert!(matches!(result, Err(DownloadError::OtherFile { .. })));
}

#[test]
fn the_token_goes_to_the_endpoint_alone() {
    let other = Server::start(&content(), []);
    // A host that only looks like the endpoint, and another port.
    let elsewhere = Answer::Status(302, format!("Location: {}/blob?signature=1", other.url));
    let near = Answer::Status(307, "Location: /api/resolve-cache/model.bin".into());
    let tried = Tried::by([near, elsewhere]);
    tried.expect_content();
    let asked = tried.server.asked();
    let tokens: Vec<_> = asked.iter().map(|asked| asked.token.as_deref()).collect();
    assert_eq!(tokens, [Some("Bearer secret"), Some("Bearer secret")]);
    assert_eq!(asked[1].path, "/api/resolve-cache/model.bin");
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].token, None);
    assert_eq!(asked[0].path, "/blob?signature=1");
}

#[test]
fn redirections_in_circles_or_to_nowhere_end() {
    let circle = std::iter::repeat_n(Answer::Status(302, "Location: /again".into()), 20);
    assert!(Tried::by(circle).failure().contains("leads in circles"));
    for location in [
        "Location: file:///etc/passwd",
        "Location: //elsewhere/x",
        "Location: relative",
        "X: y",
    ] {
        let tried = Tried::by([Answer::Status(302, location.into())]);
        assert!(tried.failure().contains("leads nowhere"), "{location}");
    }
}

#[test]
fn refusals_of_the_hub_say_what_to_do() {
    for status in [401, 403] {
        let failure = Tried::by([Answer::Status(status, "X: y".into())]).failure();
        assert!(failure.contains("HF_TOKEN"), "{failure}");
    }
    let failure = Tried::by([Answer::Status(404, "X: y".into())]).failure();
    assert!(failure.contains("HF_ENDPOINT"), "{failure}");
}

#[test]
fn nothing_is_asked_of_the_hub_without_leave_or_room() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&content(), []);
    let plain = model(&content());
    let try_it = |hub: &Hub, model: &Model, accepted| {
        let result = hub.download(model, accepted, &Cancel::default(), &mut |_| {});
        result.map(drop)
    };
    let offline = Hub {
        offline: true,
        ..hub(folder.path(), &server.url)
    };
    assert!(matches!(
        try_it(&offline, &plain, true),
        Err(DownloadError::Offline { .. })
    ));

    let vast = RemoteFile {
        size_bytes: 1 << 60,
        ..plain.files[0]
    };
    let vast = Model {
        files: vec![vast].leak(),
        ..plain
    };
    let online = hub(folder.path(), &server.url);
    assert!(matches!(
        try_it(&online, &vast, true),
        Err(DownloadError::NoRoom { .. })
    ));

    let licence = Licence {
        excludes: Some("the Moon"),
        ..plain.licence
    };
    let limited = Model { licence, ..plain };
    let error = try_it(&online, &limited, false).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not cover the Moon; read it at https://example.org/licence"),
        "{error}"
    );
    let cancelled = Cancel::default();
    cancelled.cancel();
    let result = online.download(&plain, true, &cancelled, &mut |_| {});
    assert!(matches!(result, Err(DownloadError::Cancelled)));
    let nowhere = hub(folder.path(), "ftp://127.0.0.1");
    assert!(matches!(
        try_it(&nowhere, &plain, true),
        Err(DownloadError::BadAddress { .. })
    ));

    assert!(server.asked().is_empty());
    try_it(&online, &limited, true).unwrap();
}

#[test]
fn removing_a_model_leaves_what_others_keep() {
    let tried = Tried::by([]);
    let snapshot = tried.result.as_ref().unwrap();
    let other = snapshot.join("other.bin");
    std::fs::write(&other, b"another program's").unwrap();
    let freed = tried.hub.remove(&tried.model).unwrap();
    assert_eq!(freed, content().len() as u64);
    assert_eq!(tried.hub.locate(&tried.model), None);
    assert!(other.exists());
    std::fs::remove_file(&other).unwrap();
    assert_eq!(tried.hub.remove(&tried.model).unwrap(), 0);
    assert!(
        !tried
            .folder
            .path()
            .join("models--organisation--test")
            .exists()
    );
}

/// As another program leaves it: content by a name of its own, and a branch that is followed.
#[test]
fn what_another_program_downloaded_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("models--organisation--test");
    let snapshot = repository.join("snapshots/feedbeef/sub");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), "feedbeef").unwrap();
    let hub = hub(folder.path(), "http://127.0.0.1:1");
    let model = model(&content());
    assert_eq!(hub.locate(&model), None);
    std::fs::write(snapshot.join("model.bin"), content()).unwrap();
    assert_eq!(hub.locate(&model), snapshot.parent().map(Path::to_owned));
    // A branch that leads out of the cache is not followed.
    std::fs::write(repository.join("refs/main"), "../../../..").unwrap();
    assert_eq!(hub.locate(&model), snapshot.parent().map(Path::to_owned));
}

#[test]
fn a_chosen_folder_is_remembered_and_goes_before_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library {
        hub: Some(hub(folder.path(), "http://127.0.0.1:1")),
        list: Some(folder.path().join("data/models.json")),
        ..Library::default()
    };
    let model = model(&content());
    let chosen = folder.path().join("chosen");
    std::fs::create_dir_all(chosen.join("sub")).unwrap();
    let error = library.choose(&model, &chosen).unwrap_err().to_string();
    assert!(
        error.contains("does not hold Test: sub/model.bin missing"),
        "{error}"
    );
    std::fs::write(chosen.join("sub/model.bin"), b"weights").unwrap();
    library.choose(&model, &chosen).unwrap();
    assert_eq!(
        library.locate(&model),
        Some(Located::Chosen(chosen.clone()))
    );
    // A list that was damaged is made anew.
    std::fs::write(library.list.as_ref().unwrap(), b"{").unwrap();
    assert_eq!(library.locate(&model), None);
    library.choose(&model, &chosen).unwrap();
    assert_eq!(library.forget(&model).unwrap(), Some(chosen.clone()));
    assert_eq!(library.forget(&model).unwrap(), None);
    assert!(chosen.join("sub/model.bin").exists());
}

/// As the Hunyuan3D programs keep them: by repository, in a folder that a variable names.
#[test]
fn a_folder_of_models_is_looked_into_before_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&content(), []);
    let library = Library {
        hub: Some(hub(&folder.path().join("hub"), &server.url)),
        models_folder: Some(folder.path().join("models")),
        ..Library::default()
    };
    let model = model(&content());
    let download = library.hub.as_ref().unwrap();
    let in_hub = download
        .download(&model, false, &Cancel::default(), &mut |_| {})
        .unwrap();
    assert_eq!(library.locate(&model), Some(Located::InHub(in_hub)));
    let here = folder.path().join("models/organisation/test");
    std::fs::create_dir_all(here.join("sub")).unwrap();
    std::fs::write(here.join("sub/model.bin"), b"weights").unwrap();
    assert_eq!(library.locate(&model), Some(Located::InModels(here)));
}

#[test]
fn a_folder_of_models_is_named_by_a_variable_and_never_deleted_from() {
    let workplace = Workplace::new();
    let here = workplace.path("models/stabilityai/TripoSR");
    std::fs::create_dir_all(&here).unwrap();
    for file in ["config.yaml", "model.ckpt"] {
        std::fs::write(here.join(file), b"").unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = workplace.command(arguments);
        command.env("HY3DGEN_MODELS", workplace.path("models"));
        command.output().unwrap()
    };
    let listed = json(&run(&["models", "list", "--json"]));
    let folder = listed["models"][0]["folder"].as_str().unwrap();
    assert_eq!(std::path::Path::new(folder), here);
    // It is there already: nothing is asked of anyone.
    let got = run(&["models", "get", "triposr"]);
    assert_eq!(got.status.code(), Some(0), "{}", stderr(&got));
    let removed = run(&["models", "remove", "triposr"]);
    assert_eq!(removed.status.code(), Some(2));
    assert!(stderr(&removed).contains("HY3DGEN_MODELS"));
    assert!(here.join("model.ckpt").exists());
}

/// Also of a disk in memory, which lists of disks leave out.
#[cfg(target_os = "linux")]
#[test]
fn the_free_room_of_a_disk_is_what_the_system_says() {
    let gap = |folder: &Path| {
        let output = std::process::Command::new("df")
            .args(["--output=avail", "-B1"])
            .arg(folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
        let ours = free_disk_bytes(&folder.join("not/there/yet")).unwrap();
        said.abs_diff(ours)
    };
    let folder = tempfile::tempdir().unwrap();
    for folder in [folder.path(), Path::new("/dev/shm")] {
        if folder.is_dir() {
            // Others write meanwhile.
            assert!(gap(folder) < 2 << 30, "{}", folder.display());
        }
    }
}

#[test]
fn the_models_command_lists_adds_and_removes() {
    let workplace = Workplace::new();
    let listed = json(&workplace.expect(0, &["models", "list", "--json"]));
    let triposr = &listed["models"][0];
    assert_eq!(triposr["name"], "triposr");
    assert_eq!(triposr["folder"], serde_json::Value::Null);
    assert_eq!(triposr["size_bytes"], 1_677_247_729_u64);
    assert_eq!(triposr["licence"]["name"], "MIT");

    let error = stderr(&workplace.expect(2, &["models", "get", "nothing"]));
    assert!(
        error.contains("this version runs no model \"nothing\"; it runs triposr, triposg"),
        "{error}"
    );
    let error = stderr(&workplace.expect(2, &["models", "get", "triposg"]));
    assert!(error.contains("TripoSG, licence MIT"), "{error}");
    assert!(error.contains("`orfeas models add DIR`"), "{error}");
    let error = stderr(&workplace.expect(3, &["models", "add", "."]));
    assert!(error.contains("config.yaml, model.ckpt missing"), "{error}");

    let folder = workplace.path("TripoSR");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.yaml", "model.ckpt"] {
        std::fs::write(folder.join(file), b"").unwrap();
    }
    workplace.expect(0, &["models", "add", "TripoSR"]);
    let listed = json(&workplace.expect(0, &["models", "--json"]));
    assert_eq!(listed["models"][0]["is_chosen"], true);
    workplace.expect(0, &["models", "remove", "triposr"]);
    let listed = json(&workplace.expect(0, &["models", "--json"]));
    assert_eq!(listed["models"][0]["folder"], serde_json::Value::Null);

    let offline = workplace
        .command(&["models", "get", "triposr"])
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert_eq!(offline.status.code(), Some(2));
    assert!(stderr(&offline).contains("TripoSR, licence MIT"));
    assert!(stderr(&offline).contains("HF_HUB_OFFLINE forbids connections"));

    // A hub that lies about the first file.
    let server = Server::start(&[b'?'; 987], []);
    let lied_to = workplace
        .command(&["models", "get", "triposr"])
        .env("HF_ENDPOINT", &server.url)
        .env("HF_HUB_CACHE", workplace.path("hub"))
        .output()
        .unwrap();
    assert_eq!(lied_to.status.code(), Some(1));
    assert!(
        stderr(&lied_to).contains("its SHA-256 differs"),
        "{}",
        stderr(&lied_to)
    );
    assert!(
        server.asked()[0]
            .path
            .starts_with("/stabilityai/TripoSR/resolve/5b521936")
    );
}
