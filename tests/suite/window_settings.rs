//! The window's settings, its log, and its sheet of keys.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use orfeas::ui::{LogRecord, LogSource};

use crate::pictures;
use crate::window::{Place, Window};

/// A log whose records a test makes up, and how often it was read.
#[derive(Default)]
struct Log {
    records: Mutex<Vec<LogRecord>>,
    reads: AtomicU64,
    levels: Mutex<Vec<tracing::Level>>,
}

impl Log {
    fn add(&self, level: tracing::Level, text: &str) {
        let mut records = self.records.lock().unwrap();
        let number = records.len() as u64 + 1;
        records.push(LogRecord {
            number,
            at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            level,
            origin: "orfeas::engine".into(),
            text: text.into(),
        });
    }

    fn source(self: &Arc<Self>) -> LogSource {
        let (log, levels) = (Arc::clone(self), Arc::clone(self));
        LogSource {
            after: Arc::new(move |number| {
                log.reads.fetch_add(1, Ordering::Relaxed);
                let records = log.records.lock().unwrap();
                let newer = records.iter().filter(|record| record.number > number);
                newer.cloned().collect()
            }),
            set_level: Arc::new(move |level| levels.levels.lock().unwrap().push(level)),
            is_fixed: false,
            folder: None,
        }
    }
}

fn with_log(place: &Place) -> (Window, Arc<Log>) {
    let log = Arc::<Log>::default();
    log.add(tracing::Level::INFO, "a job was submitted");
    log.add(tracing::Level::WARN, "memory is short");
    log.add(tracing::Level::ERROR, "a file was damaged");
    log.add(tracing::Level::DEBUG, "a stage was done");
    let mut setup = place.setup(Vec::new());
    setup.log = Some(log.source());
    (Place::open(setup), log)
}

/// What was copied by the last frame.
fn copied(window: &Window) -> Option<String> {
    let output = &window.harness.output().platform_output;
    output.commands.iter().find_map(|command| match command {
        eframe::egui::OutputCommand::CopyText(text) => Some(text.clone()),
        _ => None,
    })
}

fn click_and_copy(window: &mut Window, label: &str) -> String {
    window.harness.get_by_label(label).click();
    for _ in 0..4 {
        window.harness.step();
        if let Some(text) = copied(window) {
            return text;
        }
    }
    panic!("{label} copied nothing");
}

#[test]
fn the_log_is_read_while_it_is_open_filtered_and_copied() {
    let place = Place::new();
    let (mut window, log) = with_log(&place);
    window.wait_for("Ready");
    assert_eq!(log.reads.load(Ordering::Relaxed), 0, "read while closed");
    window.press(Modifiers::NONE, Key::L);
    window.wait_for("a job was submitted");
    assert!(window.sees("memory is short") && window.sees("a file was damaged"));
    assert!(!window.sees("a stage was done"));
    log.add(tracing::Level::WARN, "and shorter");
    window.wait_for("and shorter");
    window.click("Shown: Errors");
    assert!(!window.sees("memory is short"));
    window.click("Shown: All");
    assert!(window.sees("a stage was done"));
    window.click("Shown: Warnings");
    let all = click_and_copy(&mut window, "Copy all");
    assert_eq!(
        all,
        "2026-01-02T03:04:05.678Z WARN orfeas::engine: memory is short\n\
         2026-01-02T03:04:05.678Z ERROR orfeas::engine: a file was damaged\n\
         2026-01-02T03:04:05.678Z WARN orfeas::engine: and shorter"
    );
    window.click("03:04:05.678 ERROR a file was damaged");
    let chosen = click_and_copy(&mut window, "Copy chosen");
    assert_eq!(
        chosen,
        "2026-01-02T03:04:05.678Z ERROR orfeas::engine: a file was damaged"
    );
    // By keys: one up, with the one before it.
    window.click("03:04:05.678 ERROR a file was damaged");
    window.press(Modifiers::SHIFT, Key::ArrowUp);
    let chosen = click_and_copy(&mut window, "Copy chosen");
    assert_eq!(chosen.lines().count(), 2, "{chosen}");
    window.press(Modifiers::NONE, Key::L);
    assert!(!window.sees("memory is short"));
    let reads = log.reads.load(Ordering::Relaxed);
    window.press(Modifiers::NONE, Key::M);
    // Settles, or panics where it asks for ever more frames.
    window.harness.run();
    assert_eq!(log.reads.load(Ordering::Relaxed), reads);
}

#[test]
fn the_log_is_opened_from_a_message_and_from_the_settings() {
    let place = Place::new();
    place.write("config/window.json", b"{");
    let (mut window, _) = with_log(&place);
    window.wait_for("Settings were damaged");
    window.click("More");
    window.click("Log");
    window.wait_for("a file was damaged");
    window.click("Close Log");
    assert!(!window.sees("a file was damaged"));
    window.click("Settings");
    window.click("Show the log");
    window.wait_for("a file was damaged");
}

#[test]
fn what_is_logged_is_chosen_in_the_settings_and_kept() {
    let place = Place::new();
    let (mut window, log) = with_log(&place);
    window.click("Settings");
    window.click("Logged: All");
    let levels = log.levels.lock().unwrap().clone();
    assert_eq!(levels, [tracing::Level::INFO, tracing::Level::DEBUG]);
    drop(window);
    let (_window, log) = with_log(&place);
    assert_eq!(*log.levels.lock().unwrap(), [tracing::Level::DEBUG]);
}

#[test]
fn limits_hold_at_once_and_after_a_restart() {
    let place = Place::new();
    place.settings(64);
    let engine = place.engine();
    let mut setup = place.setup(Vec::new());
    setup.backend = orfeas::ui::Backend::Running(Arc::clone(&engine));
    let mut window = Place::open(setup);
    window.wait_for("Ready");
    window.click("Settings");
    window.click("Memory, at most As there is");
    window.click("4.0 GB");
    window.wait_for("Memory, at most 4.0 GB");
    assert_eq!(engine.ledger().budget_bytes(), 4_000_000_000);
    window.click("Cache, at most 2.0 GB");
    window.click("500 MB");
    let store = engine.store().unwrap().clone();
    window.wait_until("the limit of the cache", move || {
        store.cache().statistics().limit_bytes == 500_000_000
    });
    drop(window);
    let text = std::fs::read_to_string(place.path("config/window.json")).unwrap();
    assert!(text.contains("\"memory_bytes\": 4000000000"), "{text}");
    let mut window = place.window();
    window.click("Settings");
    assert!(window.sees("Cache, at most 500 MB"));
}

#[test]
fn a_limit_makes_room_at_once() {
    use orfeas::store::{Folders, Limits, NewRecord, Store};
    let place = Place::new();
    let folders = Folders {
        cache: place.path("cache"),
        data: place.path("data"),
    };
    let store = Store::open(&folders, Limits::default()).unwrap();
    let mesh = crate::shapes::cube();
    let (settings, summary) = (serde_json::json!({}), serde_json::json!({}));
    for image in [[1; 1000], [2; 1000], [3; 1000]] {
        let record = NewRecord {
            image: &image,
            image_name: "x.png",
            matte_image: None,
            settings: &settings,
            summary: &summary,
            mesh: &mesh,
        };
        store.history().add(&record).unwrap();
    }
    let before = store.history().list().unwrap();
    assert_eq!(before.len(), 3);
    store
        .set_limits(Limits {
            history_bytes: store.history().bytes() - 1,
            ..Limits::default()
        })
        .unwrap();
    let after = store.history().list().unwrap();
    assert_eq!(after.len(), 2);
    assert_eq!(after[0].id, before[0].id, "the oldest goes");
}

#[test]
fn reduced_motion_is_the_users_choice_before_it_is_the_systems() {
    let place = Place::new();
    let mut window = place.window();
    window.click("Settings");
    window.click("Reduce motion: On");
    assert!(window.harness.state().reduced_motion());
    let animation = window.harness.ctx.global_style().animation_time;
    assert_eq!(animation, 0.0);
    drop(window);
    let mut window = place.window();
    assert!(window.harness.state().reduced_motion());
    window.click("Settings");
    window.click("Reduce motion: Off");
    assert!(!window.harness.state().reduced_motion());
}

#[test]
fn the_sheet_lists_every_key_that_the_window_listens_to() {
    // Not told: what every program's clipboard, lists and fields listen to.
    let usual = ["Copy", "Cut", "Paste", "C", "A", "ArrowUp", "ArrowDown"];
    let mut keys = BTreeSet::new();
    collect_keys(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui"),
        &mut keys,
    );
    assert!(keys.len() > 15, "{keys:?}");
    let place = Place::new();
    let mut window = place.window();
    window.press(Modifiers::NONE, Key::H);
    window.wait_for("This sheet");
    let texts = window.everything_told();
    let words: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.split([',', ' ', '+', '⌘']))
        .collect();
    for key in keys {
        let shown = match key.as_str() {
            "Escape" => "Esc",
            "ArrowLeft" => "Left",
            "ArrowRight" => "Right",
            // The same key as Plus, without Shift.
            "Equals" => "Plus",
            "OpenBracket" => "[",
            "CloseBracket" => "]",
            key => key.strip_prefix("Num").unwrap_or(key),
        };
        assert!(
            usual.contains(&key.as_str()) || words.contains(shown),
            "{key} is not on the sheet: {words:?}"
        );
    }
}

/// The names after `Key::` in the sources.
fn collect_keys(folder: &Path, keys: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_keys(&path, keys);
            continue;
        }
        // Its keys are those of a table.
        if path.ends_with("progress.rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for (place, _) in source.match_indices("Key::") {
            let is_name = |c: char| c.is_ascii_alphanumeric();
            let before = source[..place].chars().next_back();
            if before.is_some_and(is_name) {
                continue;
            }
            let name: String = source[place + 5..]
                .chars()
                .take_while(|c| is_name(*c))
                .collect();
            if !name.is_empty() {
                keys.insert(name);
            }
        }
    }
}

#[test]
fn damaged_settings_of_every_kind_are_kept_aside() {
    for damaged in [
        "",
        "null",
        "[1, 2]",
        "{\"resolution\": \"many\"}",
        "{\"window\": {\"size\": [1]}}",
        "{\"motion\": \"sideways\"}",
    ] {
        let place = Place::new();
        place.write("config/window.json", damaged.as_bytes());
        let mut window = place.window();
        window.wait_for("Settings were damaged");
        let kept = std::fs::read_to_string(place.path("config/window.damaged-1.json")).unwrap();
        assert_eq!(kept, damaged);
    }
}

#[test]
fn numbers_that_make_no_sense_are_brought_into_their_range() {
    let place = Place::new();
    place.write(
        "config/window.json",
        br#"{"resolution": 4000000, "cache_bytes": 1, "memory_bytes": 1,
            "window": {"position": [1e30, 0], "size": [-5, 1e9], "maximized": false},
            "stage_seconds": {"decode": -1}}"#,
    );
    let image = place.write("disc.png", &pictures::disc_png(32));
    let mut window = place.window_on(vec![image]);
    window.wait_for("disc.png, ");
    window.click("Settings");
    window.wait_for("Cache, at most 100 MB");
    assert!(window.sees("Memory, at most 500 MB"));
    assert!(!window.sees("damaged"));
}
