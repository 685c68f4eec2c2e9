//! The card under the sources that offers a model's weights, and tells how far their download is.

use std::time::{Duration, Instant};

use eframe::egui::{Frame, Margin, ProgressBar, Stroke, Ui};

use super::super::app::App;
use super::super::download::{Getting, GettingState, Meter};
use super::super::{theme, widgets};
use crate::engine::catalogue::Model;

/// How often the rate is shown anew where nothing arrives.
const REFRESH: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pressed {
    Nothing,
    Begin,
    Dismiss,
}

pub(super) fn show(app: &mut App, ui: &mut Ui) {
    let Some(getting) = &mut app.sources.getting else {
        return;
    };
    let palette = theme::palette(ui);
    let frame = Frame::new()
        .fill(palette.well)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin::same(8));
    ui.add_space(4.0);
    let pressed = frame
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            card(getting, ui)
        })
        .inner;
    match pressed {
        Pressed::Nothing => {}
        Pressed::Begin => app.begin_download(),
        Pressed::Dismiss => app.sources.getting = None,
    }
}

fn card(getting: &mut Getting, ui: &mut Ui) -> Pressed {
    let model = &getting.model;
    match &mut getting.state {
        GettingState::Offered { is_accepted } => offer(model, is_accepted, ui),
        GettingState::Running(download) => {
            widgets::heading(ui, &format!("Downloading {}", model.title));
            progress(model, &download.meter(), ui);
            if download.is_stopping() {
                widgets::note(ui, "Stopping…");
            } else if widgets::small(
                ui,
                "Stop the download",
                "What has arrived is kept, and the next try goes on from there",
            )
            .clicked()
            {
                download.cancel();
            }
            Pressed::Nothing
        }
        GettingState::Ended { reason, is_stopped } => {
            let (what, again) = if *is_stopped {
                ("was stopped", "Go on")
            } else {
                ("was not downloaded", "Try again")
            };
            widgets::heading(ui, &format!("{} {what}", model.title));
            widgets::note(ui, widgets::sentence(reason));
            choice(
                ui,
                (again, "Go on from what has arrived", true),
                ("Dismiss", "Close this; what has arrived is kept"),
            )
        }
    }
}

/// What a model's weights take and on what terms they are.
fn offer(model: &Model, is_accepted: &mut bool, ui: &mut Ui) -> Pressed {
    let licence = &model.licence;
    widgets::heading(ui, &format!("Download {}?", model.title));
    widgets::note(
        ui,
        format!(
            "{} from {}, kept for other programs, too. Licence: {}.",
            widgets::bytes(model.size_bytes()),
            model.repository,
            licence.name
        ),
    );
    ui.hyperlink_to("Read the licence", licence.url)
        .on_hover_text(licence.url);
    let may_begin = match licence.excludes {
        None => true,
        Some(places) => {
            widgets::note(ui, format!("It does not cover {places}."));
            ui.checkbox(is_accepted, "It covers me, and I accept it");
            *is_accepted
        }
    };
    choice(
        ui,
        (
            "Download",
            "It can be stopped, and goes on from there later",
            may_begin,
        ),
        ("Not now", "Download nothing"),
    )
}

fn choice(
    ui: &mut Ui,
    (begin, tooltip, may_begin): (&str, &str, bool),
    (dismiss, other_tooltip): (&str, &str),
) -> Pressed {
    let mut pressed = Pressed::Nothing;
    ui.horizontal(|ui| {
        ui.add_enabled_ui(may_begin, |ui| {
            if widgets::small(ui, begin, tooltip)
                .on_disabled_hover_text("Possible once the licence is accepted")
                .clicked()
            {
                pressed = Pressed::Begin;
            }
        });
        if widgets::quiet(ui, dismiss, other_tooltip).clicked() {
            pressed = Pressed::Dismiss;
        }
    });
    pressed
}

fn progress(model: &Model, meter: &Meter, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let now = Instant::now();
    let total_bytes = model.size_bytes();
    let done_bytes = meter.progress.map_or(0, |progress| progress.done_bytes);
    let share = done_bytes as f32 / total_bytes.max(1) as f32;
    ui.add(
        ProgressBar::new(share)
            .desired_height(4.0)
            .fill(palette.accent),
    );
    let words = match meter.progress {
        None => "Connecting…".to_owned(),
        Some(_) => {
            let (done, total) = (widgets::bytes(done_bytes), widgets::bytes(total_bytes));
            let rate = meter.bytes_per_second(now);
            let pace = rate.map_or_else(String::new, |rate| {
                format!(", {}", pace(rate, total_bytes.saturating_sub(done_bytes)))
            });
            format!("{done} of {total}{pace}")
        }
    };
    let told = widgets::note(ui, words);
    if let Some(progress) = meter.progress {
        told.on_hover_text(progress.file);
    }
    ui.ctx().request_repaint_after(REFRESH);
}

/// A rate, and the time that the rest takes at it.
fn pace(bytes_per_second: f64, left_bytes: u64) -> String {
    if bytes_per_second < 1.0 {
        return "nothing arrives".to_owned();
    }
    let rate = match bytes_per_second {
        rate if rate < 1e6 => format!("{:.0} kB/s", rate / 1e3),
        rate => format!("{:.1} MB/s", rate / 1e6),
    };
    let left = match left_bytes as f64 / bytes_per_second {
        seconds if seconds < 90.0 => format!("{seconds:.0} s"),
        seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.0} h", seconds / 3600.0),
    };
    format!("{rate}, {left} left")
}
