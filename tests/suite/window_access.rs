//! The window for those who do not see it, or use no mouse: every control has a name and a tooltip, and
//! Tab reaches all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use eframe::egui::accesskit::{Action, Role};
use eframe::egui::{Key, Modifiers, Order, Rect};
use egui_kittest::kittest::{AccessKitNode, NodeT};
use orfeas::ui::{LogRecord, LogSource};

use crate::pictures;
use crate::window::{Place, Window};

fn name(node: &AccessKitNode<'_>) -> String {
    let name = node.label().or_else(|| node.value());
    name.unwrap_or_default().trim().to_owned()
}

/// Everything that can be pressed, turned or typed into, with its place.
fn controls(window: &Window) -> Vec<(Role, String, Rect, bool)> {
    let mut controls = Vec::new();
    for node in window.harness.root().children_recursive() {
        let Some(rect) = node.accesskit_node().raw_bounds().map(|_| node.rect()) else {
            continue;
        };
        let node = node.accesskit_node();
        let acts = [Action::Click, Action::Focus, Action::SetValue]
            .into_iter()
            .any(|action| node.data().supports_action(action));
        // Scroll bars say nothing that the wheel and the keys do not do.
        let is_bare = matches!(node.role(), Role::Window | Role::ScrollBar);
        if acts && !node.is_hidden() && !is_bare {
            controls.push((node.role(), name(&node), rect, node.is_disabled()));
        }
    }
    controls
}

/// Scrolls to a control, for what is scrolled away cannot be pointed at; tells where it is then.
fn bring_into_sight(window: &mut Window, role: Role, label: &str) -> Option<Rect> {
    let find = |window: &Window, act: &dyn Fn(&egui_kittest::Node<'_>)| {
        let nodes = window.harness.root().children_recursive();
        let mut same = nodes.filter(|node| {
            let node = node.accesskit_node();
            node.role() == role && name(&node) == label
        });
        let node = same.next()?;
        act(&node);
        same.next().is_none().then(|| node.rect())
    };
    find(window, &|node| node.scroll_to_me());
    window.harness.run_steps(3);
    find(window, &|_| {})
}

fn assert_named_in(window: &mut Window, state: &str) {
    let controls = controls(window);
    assert!(controls.len() > 5, "{state}: only {controls:?}");
    for (role, name, rect, _) in controls {
        assert!(
            !name.is_empty(),
            "{state}: a {role:?} at {rect:?} has no name"
        );
    }
}

fn log() -> LogSource {
    LogSource {
        after: Arc::new(|number| {
            let record = |number| LogRecord {
                number,
                at: "2026-01-02T03:04:05Z".parse().unwrap(),
                level: tracing::Level::INFO,
                origin: "orfeas".into(),
                text: format!("record {number}"),
            };
            (number + 1..=40).map(record).collect()
        }),
        set_level: Arc::new(|_| {}),
        is_fixed: false,
        folder: Some("/".into()),
    }
}

/// The window in each of its main states.
fn in_every_state(mut look: impl FnMut(&mut Window, &str)) {
    let place = Place::new();
    place.settings(512);
    let images = (0..2).map(|number| {
        let image = pictures::disc_png(400 + number);
        place.write(&format!("{number}.png"), &image)
    });
    let images: Vec<_> = images.collect();
    let mut setup = place.setup(Vec::new());
    setup.log = Some(log());
    let mut window = Place::open(setup);
    window.wait_for("Ready");
    look(&mut window, "empty");
    for (state, key) in [("keys", Key::H), ("log", Key::L)] {
        window.press(Modifiers::NONE, key);
        look(&mut window, state);
        window.press(Modifiers::NONE, key);
    }
    window.click("Settings");
    window.harness.step();
    look(&mut window, "settings");
    window.press(Modifiers::NONE, Key::Escape);
    window.drop_file(&images[0]);
    window.drop_file(&images[1]);
    window.wait_for("0.png, working");
    window.wait_for("1.png, waiting");
    window.press(Modifiers::NONE, Key::J);
    look(&mut window, "working");
    window.press(Modifiers::NONE, Key::Escape);
    window.press(Modifiers::NONE, Key::Delete);
    window.click("0.png, working");
    window.click("Quality: Draft");
    window.wait_for("Finished");
    look(&mut window, "done");
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    window.harness.step();
    look(&mut window, "export");
    window.press(Modifiers::NONE, Key::Escape);
    let text = place.write("notes.png", b"not a picture");
    window.drop_file(&text);
    window.wait_for("notes.png, failed");
    window.click("Details");
    window.click("More");
    look(&mut window, "failed");
}

#[test]
fn every_control_has_a_name_in_every_state() {
    in_every_state(assert_named_in);
}

#[test]
fn every_control_has_a_tooltip() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut setup = place.setup(vec![image]);
    setup.log = Some(log());
    let mut window = Place::open(setup);
    window.wait_for("Finished");
    let (mut without, mut hovered) = (BTreeSet::new(), BTreeSet::new());
    let mut hover_all = |window: &mut Window| {
        for (role, name, rect, disabled) in controls(window) {
            // Fields and lists tell by their labels what they are.
            if disabled
                || matches!(
                    role,
                    Role::TextInput | Role::ScrollView | Role::GenericContainer
                )
            {
                continue;
            }
            // What is where it was, and may be under a dialog that has opened since.
            if !hovered.insert((format!("{role:?} {rect:?}"), name.clone())) {
                continue;
            }
            let rect = bring_into_sight(window, role, &name).unwrap_or(rect);
            window.harness.hover_at(rect.center());
            window.harness.run_steps(6);
            let shown = window.harness.ctx.memory(|memory| {
                let mut layers = memory.areas().visible_layer_ids().into_iter();
                layers.any(|layer| layer.order == Order::Tooltip)
            });
            if !shown {
                without.insert(format!("{role:?} {name}"));
            }
            window.harness.remove_cursor();
            window.harness.run_steps(2);
        }
    };
    hover_all(&mut window);
    window.click("Settings");
    hover_all(&mut window);
    window.press(Modifiers::NONE, Key::Escape);
    window.press(Modifiers::COMMAND, Key::S);
    window.wait_for("File to write");
    hover_all(&mut window);
    // The picture itself tells what it is.
    without.remove("Image Viewport");
    assert!(without.is_empty(), "without a tooltip: {without:#?}");
}

#[test]
fn tab_reaches_every_control_once_a_round() {
    let place = Place::new();
    place.settings(64);
    let image = place.write("disc.png", &pictures::disc_png(96));
    let mut window = place.window_on(vec![image]);
    window.wait_for("Finished");
    window.harness.run_steps(4);
    let focusable: BTreeSet<String> = window
        .harness
        .root()
        .children_recursive()
        .map(|node| node.accesskit_node())
        .filter(|node| node.data().supports_action(Action::Focus) && !node.is_disabled())
        .filter(|node| node.role() != Role::Window)
        .map(|node| name(&node))
        .collect();
    let mut round = Vec::new();
    for _ in 0..focusable.len() * 3 {
        window.press(Modifiers::NONE, Key::Tab);
        let focused = window
            .harness
            .root()
            .children_recursive()
            .find(|node| node.is_focused())
            .map(|node| name(&node.accesskit_node()));
        if let Some(focused) = focused {
            if round.first() == Some(&focused) {
                break;
            }
            round.push(focused);
        }
    }
    let reached: BTreeSet<String> = round.iter().cloned().collect();
    let missed: Vec<_> = focusable.difference(&reached).collect();
    assert!(missed.is_empty(), "never reached: {missed:#?}");
    assert_eq!(reached.len(), round.len(), "twice in a round: {round:#?}");
    // From the image through what can be turned to what comes of it.
    let place = |wanted: &str| {
        let found = round.iter().position(|name| name.starts_with(wanted));
        found.unwrap_or_else(|| panic!("{wanted} is not in {round:#?}"))
    };
    let order = [
        "Open…",
        "Quality: Draft",
        "Back: Auto",
        "Export…",
        "disc.png, ",
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{order:?} at {places:?} in {round:#?}");
}
