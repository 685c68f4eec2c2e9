//! The settings of the window: each takes effect at once and is kept.

use std::borrow::Cow;

use eframe::egui::{self, Align, Layout, Role, WidgetInfo};

use super::super::app::App;
use super::super::desk::{LaneOf, Message, Problem};
use super::super::preferences::{LogLevel, MotionChoice, ThemeChoice};
use super::super::{facts, results, serving, widgets};
use crate::store::{self, Store};

const THEMES: [(ThemeChoice, &str, &str); 3] = [
    (ThemeChoice::System, "System", "As the system is set"),
    (ThemeChoice::Dark, "Dark", "Always dark"),
    (ThemeChoice::Light, "Light", "Always light"),
];

const MOTIONS: [(MotionChoice, &str, &str); 3] = [
    (MotionChoice::System, "System", "As the system is set"),
    (
        MotionChoice::Reduced,
        "On",
        "The camera jumps, and meshes replace each other at once",
    ),
    (
        MotionChoice::Full,
        "Off",
        "The camera glides, and meshes fade into each other",
    ),
];

const LOG_LEVELS: [(LogLevel, &str, &str); 4] = [
    (LogLevel::Error, "Errors", "Only what went wrong"),
    (LogLevel::Warn, "Warnings", "And what may go wrong"),
    (LogLevel::Info, "Events", "And what happened"),
    (
        LogLevel::Debug,
        "All",
        "And how it happened: for a report to the makers",
    ),
];

/// What a store may be limited to, in bytes.
const DISK_LIMITS: [u64; 7] = [
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    50_000_000_000,
];

/// What jobs may be limited to, in bytes.
const MEMORY_LIMITS: [u64; 6] = [
    1_000_000_000,
    2_000_000_000,
    4_000_000_000,
    8_000_000_000,
    16_000_000_000,
    32_000_000_000,
];

pub(super) fn show(app: &mut App, ctx: &egui::Context) {
    if !app.settings_open {
        return;
    }
    let open = widgets::dialog(ctx, "Settings of the window", "Settings", 336.0, |ui| {
        all(app, ui);
    });
    app.settings_open &= open;
}

fn all(app: &mut App, ui: &mut egui::Ui) {
    app.ask_for_facts();
    appearance(app, ui);
    limits(app, ui);
    kept_results(app, ui);
    serving::show(app, ui);
    folders(app, ui);
    log(app, ui);
    widgets::heading(ui, "About");
    widgets::note(
        ui,
        format!(
            "Orfeas {}. Everything stays on this machine. Typeface: Inter, SIL Open Font License.",
            env!("CARGO_PKG_VERSION")
        ),
    );
}

fn appearance(app: &mut App, ui: &mut egui::Ui) {
    ui.label("Theme");
    if widgets::segments(ui, "Theme", &THEMES, &mut app.preferences.theme) {
        app.apply_theme();
        app.save_preferences();
    }
    ui.label("Reduce motion");
    if widgets::segments(ui, "Reduce motion", &MOTIONS, &mut app.preferences.motion) {
        app.apply_motion();
        app.save_preferences();
    }
    ui.add_space(8.0);
}

/// What may be taken of the disk and of memory.
fn limits(app: &mut App, ui: &mut egui::Ui) {
    widgets::heading(ui, "Limits");
    let before = (app.preferences.limits(), app.preferences.memory_bytes);
    let wished = &mut app.preferences;
    let disk = DISK_LIMITS.map(Some);
    let limit = "beyond it, what was not used for longest goes";
    let mut cache = Some(wished.cache_bytes);
    choice(
        ui,
        "Cache",
        &format!("Results that can be made again; {limit}"),
        &disk,
        &mut cache,
    );
    wished.cache_bytes = cache.unwrap_or(wished.cache_bytes);
    let mut history = Some(wished.history_bytes);
    let tooltip = "What you made, with images and meshes; beyond it, the oldest goes at once";
    choice(ui, "History", tooltip, &disk, &mut history);
    wished.history_bytes = history.unwrap_or(wished.history_bytes);
    let memory: Vec<_> = std::iter::once(None)
        .chain(MEMORY_LIMITS.map(Some))
        .collect();
    let tooltip = "Main memory that jobs may take (budget); with less, meshes become coarser";
    choice(ui, "Memory", tooltip, &memory, &mut wished.memory_bytes);
    ui.add_space(8.0);
    let (limits, memory) = (wished.limits(), wished.memory_bytes);
    if (limits, memory) == before {
        return;
    }
    if let Some(engine) = &app.engine {
        engine.ledger().set_budget(memory.unwrap_or(u64::MAX));
    }
    if limits != before.0
        && let Some(store) = app.store()
    {
        app.desk.run(LaneOf::Files, move |inbox| {
            limit_store(&store, limits, inbox)
        });
    }
    app.planned_for = None;
    app.save_preferences();
}

fn limit_store(store: &Store, limits: store::Limits, inbox: &super::super::desk::Inbox) {
    if let Err(error) = store.set_limits(limits) {
        inbox.send(Message::Notice(Problem::new(
            "The limits hold from the next start on",
            error,
        )));
    }
    results::send_history(inbox, store);
    facts::send(inbox, Some(store));
}

/// One of several sizes, in a list that opens; `None` stands for what there is.
fn choice(
    ui: &mut egui::Ui,
    name: &str,
    tooltip: &str,
    choices: &[Option<u64>],
    chosen: &mut Option<u64>,
) {
    let text = |bytes: Option<u64>| bytes.map_or_else(|| "As there is".to_owned(), widgets::bytes);
    ui.horizontal(|ui| {
        ui.label(name);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let combo = egui::ComboBox::from_id_salt(("limit", name))
                .width(128.0)
                .icon(widgets::chevron)
                .selected_text(text(*chosen))
                .show_ui(ui, |ui| {
                    for choice in choices {
                        ui.selectable_value(chosen, *choice, text(*choice));
                    }
                });
            let said = format!("{name}, at most {}", text(*chosen));
            combo
                .response
                .widget_info(|| WidgetInfo::labeled(Role::ComboBox, true, said.clone()));
            combo.response.on_hover_text(tooltip);
        });
    });
}

fn folders(app: &App, ui: &mut egui::Ui) {
    widgets::heading(ui, "Folders");
    let unread = facts::FolderFact::all_unread;
    let (folders, otherwise) = match &app.facts.facts {
        Some(facts) => (Cow::Borrowed(&facts.folders), "none on this system"),
        None => (Cow::Owned(unread()), "reading…"),
    };
    let mut opened = None;
    for fact in folders.iter() {
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add_enabled_ui(fact.is_there, |ui| {
                    let button = widgets::small(ui, "Open", "Open this folder");
                    let said = format!("Open the folder: {}", fact.name);
                    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, said.clone()));
                    if button.clicked() {
                        opened.clone_from(&fact.path);
                    }
                });
                let text = fact.path.as_ref().map_or_else(
                    || otherwise.to_owned(),
                    |folder| folder.display().to_string(),
                );
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    widgets::short_note(ui, format!("{}: {text}", fact.name)).on_hover_text(
                        format!(
                            "{text}\nSet {} before the start to use another folder",
                            fact.variable
                        ),
                    );
                });
            });
        });
    }
    if let Some(folder) = opened {
        app.show_folder(folder);
    }
    ui.add_space(8.0);
}

fn log(app: &mut App, ui: &mut egui::Ui) {
    let Some(is_fixed) = app.log_source.as_ref().map(|source| source.is_fixed) else {
        return;
    };
    ui.horizontal(|ui| {
        widgets::heading(ui, "Log");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if widgets::small(ui, "Show the log", "What happened lately (L)").clicked() {
                app.log.open = true;
            }
        });
    });
    if is_fixed {
        widgets::note(ui, "What is logged is set by the environment (ORFEAS_LOG).");
    } else if widgets::segments(ui, "Logged", &LOG_LEVELS, &mut app.preferences.log_level) {
        app.apply_log_level();
        app.save_preferences();
    }
    ui.add_space(8.0);
}

/// What the cache holds, and a way to give it up.
fn kept_results(app: &App, ui: &mut egui::Ui) {
    let Some(store) = app.store() else {
        return;
    };
    // There is a row before it is known what it says: what is below it does not move under the pointer.
    let cache = app.facts.facts.as_ref().and_then(|facts| facts.cache);
    let told = cache.map_or_else(
        || "Reading…".to_owned(),
        |cache| {
            format!(
                "{} results kept, {:.0} of {:.0} MB; they can be made again.",
                cache.entries,
                cache.bytes as f64 / 1e6,
                cache.limit_bytes as f64 / 1e6
            )
        },
    );
    widgets::note(ui, told);
    let holds_any = cache.is_some_and(|cache| cache.entries > 0);
    let clear = ui
        .add_enabled(holds_any, egui::Button::new("Clear the cache"))
        .on_hover_text("Deletes kept results from the disk; the history stays");
    if clear.clicked() {
        app.desk.run(LaneOf::Files, move |inbox| {
            if let Err(error) = store.cache().clear() {
                inbox.send(Message::Notice(Problem::new(
                    "The cache could not be cleared",
                    error,
                )));
            }
            facts::send(inbox, Some(&store));
        });
    }
    ui.add_space(8.0);
}
