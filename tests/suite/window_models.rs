//! Getting a model's weights in the window, from a hub of the tests' own.

use std::sync::Arc;

use orfeas::engine::catalogue::{Licence, Model, RemoteFile, TRIPOSR};
use orfeas::engine::{Config, Engine, Hub, Library};
use orfeas::ui::Backend;
use orfeas::vram::{self, CudaProbe, DeviceChoice, Manager};
use sha2::{Digest, Sha256};

use crate::hub_server::{Answer, Server};
use crate::window::{Place, Window};

fn content() -> Vec<u8> {
    (0..400_000_u32)
        .map(|place| (place * 7 % 251) as u8)
        .collect()
}

/// TripoSR as if it had been published with this content.
fn model(excludes: Option<&'static str>) -> Model {
    let digest = Sha256::digest(content());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = |path| RemoteFile {
        path,
        size_bytes: content().len() as u64,
        sha256: digest.clone().leak(),
    };
    Model {
        files: vec![file("config.yaml"), file("model.ckpt")].leak(),
        licence: Licence {
            excludes,
            ..TRIPOSR.licence
        },
        ..TRIPOSR
    }
}

/// A window over a library of this model and hub.
fn window(place: &Place, model: Model, endpoint: &str, offline: bool) -> Window {
    let vram = Manager::start(vram::Config {
        device: DeviceChoice::Cpu,
        cuda: Some(CudaProbe::NoLibrary),
        ..vram::Config::default()
    });
    let hub = Hub {
        cache: place.path("hub"),
        endpoint: endpoint.to_owned(),
        token: None,
        offline,
        retry_pause: std::time::Duration::from_millis(1),
    };
    let engine = Engine::start(Config {
        vram: Some(vram),
        library: Library {
            hub: Some(hub),
            models: vec![model],
            ..Library::default()
        },
        ..Config::default()
    });
    let mut setup = place.setup(Vec::new());
    setup.backend = Backend::Running(Arc::new(engine.unwrap()));
    Place::open(setup)
}

/// Opens the list of sources and asks for the model.
fn offered(place: &Place, model: Model, endpoint: &str) -> Window {
    let mut window = window(place, model, endpoint, false);
    window.click("Shape source");
    window.wait_for("not on this machine");
    window.click("Download…");
    window.wait_for("Download TripoSR?");
    window
}

#[test]
fn a_model_is_downloaded_once_its_size_and_terms_were_shown() {
    let place = Place::new();
    let server = Server::start(&content(), []);
    let mut window = offered(&place, model(None), &server.url);
    assert!(window.sees("800 kB from stabilityai/TripoSR"));
    assert!(window.sees("Licence: MIT"));
    assert!(window.sees("Read the licence"));
    assert!(
        server.asked().is_empty(),
        "something was asked for unbidden"
    );
    window.click("Not now");
    assert!(!window.sees("Download TripoSR?"));
    window.click("Shape source");
    window.click("Download…");
    window.click("Download");
    window.wait_for("TripoSR is ready");
    assert!(!window.sees("Downloading TripoSR"));
    window.click("Shape source");
    window.wait_for(", on this machine");
    assert!(!window.sees("Download…"));
    assert_eq!(server.asked().len(), 2, "one request a file");
}

#[test]
fn a_licence_that_excludes_places_is_accepted_first() {
    let place = Place::new();
    let server = Server::start(&content(), []);
    let mut window = offered(&place, model(Some("the Moon")), &server.url);
    assert!(window.sees("It does not cover the Moon"));
    window.click("Download");
    assert!(window.sees("Download TripoSR?"));
    assert!(server.asked().is_empty());
    window.click("It covers me, and I accept it");
    window.click("Download");
    window.wait_for("TripoSR is ready");
}

#[test]
fn a_download_that_is_stopped_goes_on_where_it_was() {
    let place = Place::new();
    let server = Server::start(&content(), [Answer::Silence { after: 300_000 }]);
    let mut window = offered(&place, model(None), &server.url);
    window.click("Download");
    window.wait_for("Downloading TripoSR");
    window.wait_for("300 kB of 800 kB");
    // With the rate, which may be nothing by now.
    window.wait_for("left");
    window.click("Stop the download");
    window.wait_for("TripoSR was stopped");
    assert!(window.sees("What has arrived is kept") || window.sees("what has arrived is kept"));
    window.click("Go on");
    window.wait_for("TripoSR is ready");
    let ranges: Vec<_> = server
        .asked()
        .into_iter()
        .map(|asked| asked.range)
        .collect();
    assert_eq!(ranges, [None, Some("bytes=300000-".to_owned()), None]);
}

#[test]
fn what_is_wrong_with_a_download_is_told_in_words() {
    let place = Place::new();
    let server = Server::start(&content(), [Answer::Lie(400_000)]);
    let mut window = offered(&place, model(None), &server.url);
    window.click("Download");
    window.wait_for("TripoSR was not downloaded");
    assert!(
        window.sees("another file than the published one"),
        "{:#?}",
        window.texts()
    );
    window.click("Try again");
    window.wait_for("TripoSR is ready");
}

#[test]
fn connections_that_are_forbidden_are_not_made() {
    let place = Place::new();
    let server = Server::start(&content(), []);
    let mut window = window(&place, model(None), &server.url, true);
    window.click("Shape source");
    window.click("Download…");
    window.click("Download");
    window.wait_for("HF_HUB_OFFLINE forbids connections");
    window.click("Dismiss");
    assert!(!window.sees("HF_HUB_OFFLINE"));
    assert!(server.asked().is_empty());
}

#[test]
fn closing_the_window_ends_a_download() {
    let place = Place::new();
    let server = Server::start(&content(), [Answer::Silence { after: 300_000 }]);
    let mut window = offered(&place, model(None), &server.url);
    window.click("Download");
    window.wait_for("300 kB of 800 kB");
    let closed = std::time::Instant::now();
    drop(window);
    // Not the half minute that the network is given.
    assert!(closed.elapsed() < std::time::Duration::from_secs(15));
}
