//! The window's queue, its list of stages, and what becomes of results when other jobs start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, Key, Modifiers};
use egui_kittest::kittest::{NodeT, Queryable};
use orfeas::engine::{Engine, Event, Request, Settings, Submission};
use orfeas::ui::{Backend, Setup};

use crate::pictures;
use crate::triposg_run::wait_for;
use crate::window::{PATIENCE, Place, Window};

/// A window over an engine that works for somebody else, as long as that is not cancelled, and three images that wait.
struct Busy {
    window: Window,
    engine: Arc<Engine>,
    other: Submission,
}

fn busy(place: &Place) -> Busy {
    let engine = place.slow_engine();
    // What takes far longer than any test, with one thread.
    let request = Request {
        image: pictures::disc_png(900).into(),
        name: "somebody else's".into(),
        settings: Settings {
            resolution: 1024,
            ..Settings::default()
        },
        keep_every_level: false,
        cache: false,
        history: false,
    };
    let other = engine.submit(request).unwrap();
    place.settings(64);
    let images = ["a", "b", "c"].into_iter().enumerate();
    let images = images.map(|(number, name)| {
        let image = pictures::disc_png(60 + number as u32);
        place.write(&format!("{name}.png"), &image)
    });
    let mut window = Place::open(Setup {
        backend: Backend::Running(Arc::clone(&engine)),
        ..place.setup(images.collect())
    });
    wait_for_order(&mut window, ["a", "b", "c"]);
    // What the engine has not got yet cannot be moved; the window hears that it has just after.
    window.wait_until("three jobs in the queue", || engine.queue_depth() == 3);
    std::thread::sleep(Duration::from_millis(100));
    window.harness.run_steps(2);
    Busy {
        window,
        engine,
        other,
    }
}

/// Waits until the strip shows images waiting in an order, from left to right.
fn wait_for_order<const N: usize>(window: &mut Window, names: [&str; N]) {
    let labels: Vec<_> = (1..)
        .zip(names)
        .map(|(number, name)| format!("{name}.png, waiting, {number} of {N}"))
        .collect();
    for label in &labels {
        window.wait_for(label);
    }
    let lefts: Vec<_> = labels
        .iter()
        .map(|label| window.harness.get_by_label(label).rect().left())
        .collect();
    assert!(lefts.is_sorted(), "{labels:?} stand at {lefts:?}");
}

fn focus(window: &mut Window, label: &str) {
    window.harness.get_by_label(label).focus();
    window.harness.step();
    window.harness.step();
}

#[test]
fn what_waits_is_moved_by_keys_and_keeps_the_focus() {
    let place = Place::new();
    let Busy { mut window, .. } = busy(&place);
    focus(&mut window, "c.png, waiting, 3 of 3");
    window.press(Modifiers::COMMAND, Key::ArrowLeft);
    wait_for_order(&mut window, ["a", "c", "b"]);
    window.press(Modifiers::COMMAND, Key::ArrowLeft);
    wait_for_order(&mut window, ["c", "a", "b"]);
    window.press(Modifiers::COMMAND, Key::ArrowRight);
    wait_for_order(&mut window, ["a", "c", "b"]);
    window.press(Modifiers::NONE, Key::Delete);
    wait_for_order(&mut window, ["a", "b"]);
    // Nothing but the undo button speaks of it.
    let mut told = window.texts();
    told.retain(|text| text.contains("c.png") && !text.starts_with("Undo"));
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn what_waits_is_moved_and_removed_by_a_menu_and_a_cross() {
    let place = Place::new();
    let Busy { mut window, .. } = busy(&place);
    let menu = |window: &mut Window, tile: &str, item: &str| {
        window.harness.get_by_label(tile).click_secondary();
        window.harness.step();
        window.wait_for(item);
        window.click(item);
    };
    menu(&mut window, "c.png, waiting, 3 of 3", "Run next");
    wait_for_order(&mut window, ["c", "a", "b"]);
    menu(&mut window, "c.png, waiting, 1 of 3", "Run last");
    wait_for_order(&mut window, ["a", "b", "c"]);
    menu(&mut window, "a.png, waiting, 1 of 3", "Run later");
    wait_for_order(&mut window, ["b", "a", "c"]);
    menu(
        &mut window,
        "a.png, waiting, 2 of 3",
        "Remove from the queue",
    );
    wait_for_order(&mut window, ["b", "c"]);
    window.click("Remove b.png");
    wait_for_order(&mut window, ["c"]);
}

#[test]
fn what_waits_is_moved_by_dragging() {
    let place = Place::new();
    let Busy { mut window, .. } = busy(&place);
    let centre = |window: &Window, label: &str| window.harness.get_by_label(label).rect().center();
    let from = centre(&window, "c.png, waiting, 3 of 3");
    let to = centre(&window, "a.png, waiting, 1 of 3") - egui::vec2(12.0, 0.0);
    window.harness.drag_at(from);
    window.harness.step();
    window.harness.hover_at((from + to.to_vec2()) / 2.0);
    window.harness.step();
    window.harness.hover_at(to);
    window.harness.step();
    window.harness.drop_at(to);
    window.harness.step();
    wait_for_order(&mut window, ["c", "a", "b"]);
}

#[test]
fn images_run_in_the_order_that_is_shown() {
    let place = Place::new();
    let Busy {
        mut window,
        engine,
        other,
    } = busy(&place);
    focus(&mut window, "c.png, waiting, 3 of 3");
    window.press(Modifiers::COMMAND, Key::ArrowLeft);
    wait_for_order(&mut window, ["a", "c", "b"]);
    window.press(Modifiers::COMMAND, Key::ArrowLeft);
    wait_for_order(&mut window, ["c", "a", "b"]);
    engine.cancel(&other);
    for name in ["a", "b", "c"] {
        window.wait_for(&format!("{name}.png, finished"));
    }
    let history = engine.store().unwrap().history();
    let deadline = Instant::now() + PATIENCE;
    let records = loop {
        let records = history.list().unwrap();
        if records.len() == 3 {
            break records;
        }
        assert!(Instant::now() < deadline, "{records:#?}");
        window.harness.step();
    };
    let mut made: Vec<_> = records
        .iter()
        .map(|record| (record.created, record.image_name.as_str()))
        .collect();
    made.sort();
    let names = made.iter().map(|(_, name)| *name);
    assert!(names.eq(["c.png", "a.png", "b.png"]), "{made:?}");
}

#[test]
fn a_finished_mesh_is_shown_again_when_the_job_after_it_is_cancelled() {
    let place = Place::new();
    place.settings(128);
    let image = place.write("disc.png", &pictures::disc_png(256));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.wait_for("128³  ·");
    // Another shape, finer: a draft of it takes the finished one's place on screen.
    window.click("Back: Flat");
    window.click("Quality: Finest");
    window.wait_for("64³  ·");
    window.press(Modifiers::NONE, Key::Escape);
    window.wait_for("disc.png, stopped");
    window.wait_for("128³  ·");
    assert!(window.sees("closed"));
    // It can be exported, and it is what the history keeps.
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.press(Modifiers::NONE, Key::Escape);
    drop(window);
    let mut window = place.window();
    window.wait_for("disc.png, 2");
    let records = window.texts();
    let records: Vec<_> = records
        .iter()
        .filter(|text| text.starts_with("disc.png, 2"))
        .collect();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records[0].clone();
    window.click(&record);
    window.wait_for("128³  ·");
}

#[test]
fn a_finished_mesh_stays_while_other_images_are_made() {
    let place = Place::new();
    place.settings(64);
    let first = place.write("first.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![first]);
    window.wait_for("Finished");
    let second = place.write("second.png", &pictures::disc_png(97));
    window.drop_file(&second);
    window.wait_for("second.png, ");
    window.click("first.png, finished");
    assert!(window.sees("closed"), "{:#?}", window.texts());
    window.wait_for("second.png, finished");
    assert!(window.sees("first.png, finished"));
}

#[test]
fn what_is_kept_early_takes_the_place_of_nothing_that_was_finished() {
    let place = Place::new();
    place.settings(128);
    let image = place.write("disc.png", &pictures::disc_png(256));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.click("Back: Flat");
    window.click("Quality: Finest");
    window.wait_for("64³  ·");
    // A draft is not kept; the full job's mesh is.
    let deadline = Instant::now() + PATIENCE;
    let keep = |window: &Window| {
        window
            .harness
            .query_by_label("Keep")
            .is_some_and(|keep| !NodeT::accesskit_node(&keep).is_disabled())
    };
    while !keep(&window) {
        assert!(Instant::now() < deadline, "{:#?}", window.texts());
        window.harness.step();
    }
    window.click("Keep");
    window.wait_for("disc.png, finished");
    // The one that was kept is open; the one before it is beside it.
    window.wait_for("disc.png, 2");
}

#[test]
fn the_stages_of_a_job_are_listed_with_their_times() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![image.clone()]);
    window.press(Modifiers::NONE, Key::J);
    window.wait_for("Finished");
    for stage in [
        "Reading the image, done",
        "Finding the outline, done",
        "Refining 64³, done",
        "Checking the mesh, done",
    ] {
        assert!(window.sees(stage), "{stage}: {:#?}", window.texts());
    }
    assert!(window.sees("in all"));
    assert!(!window.sees("to come"), "{:#?}", window.texts());
    // The same image again comes from the cache: no stage ran for it, and nothing is learned.
    window.drop_file(&image);
    // The strip's own words, which stand there once the mesh has been read.
    let deadline = Instant::now() + PATIENCE;
    while window.harness.query_by_label("from the cache").is_none() {
        assert!(Instant::now() < deadline, "{:#?}", window.texts());
        window.harness.step();
    }
    assert!(window.sees("no stage ran"), "{:#?}", window.texts());
    let button = window
        .harness
        .get_by_role_and_label(egui::accesskit::Role::Button, "Stages");
    button.click();
    window.harness.run_steps(3);
    assert!(!window.sees("no stage ran"), "{:#?}", window.texts());
}

#[test]
fn no_stage_is_listed_for_a_result_that_somebody_elses_job_still_holds() {
    let place = Place::new();
    place.settings(64);
    let engine = place.engine();
    let picture = pictures::disc_png(96);
    let held = engine
        .submit(Request {
            image: picture.clone().into(),
            name: "somebody else's".into(),
            settings: Settings {
                resolution: 64,
                ..Settings::default()
            },
            keep_every_level: false,
            cache: true,
            history: false,
        })
        .unwrap();
    assert!(wait_for(&held, |event| matches!(event, Event::Finished)));
    let image = place.write("disc.png", &picture);
    let mut window = Place::open(Setup {
        backend: Backend::Running(engine),
        ..place.setup(vec![image])
    });
    window.press(Modifiers::NONE, Key::J);
    window.wait_for("came from the cache: no stage ran");
    // The strip tells that the mesh is being checked, for a moment; the list is of what is done.
    assert!(!window.sees(", done"), "{:#?}", window.texts());
}

#[test]
fn many_files_that_fail_are_one_message() {
    let place = Place::new();
    place.settings(64);
    let files: Vec<PathBuf> = (0..30)
        .map(|number| place.write(&format!("{number}.png"), b"not a picture"))
        .collect();
    let mut window = place.window_on(files);
    window.wait_for("29 files cannot be used");
    assert_eq!(
        window.harness.query_all_by_label("Dismiss").count(),
        1,
        "{:#?}",
        window.texts()
    );
    window.click("More");
    assert!(window.sees("7.png: "));
    window.click("Dismiss");
    assert!(!window.sees("cannot be used"));
    // The first one is on screen, and tells its reason there.
    assert!(window.sees("0.png, failed"));
}
