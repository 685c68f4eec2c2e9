//! Messages: one line each in a corner, with what is behind it on demand. They never stop anyone.

use std::time::{Duration, Instant};

use eframe::egui::{self, Align, Align2, Frame, Layout, Margin, Rect, RichText, Stroke, Ui, vec2};

use super::super::app::App;
use super::super::desk::Problem;
use super::super::exporting;
use super::super::theme::{GRID, PADDING};
use super::super::{fonts, theme, widgets};
use super::view;

/// The most that are shown; older ones go.
const MOST: usize = 4;
/// How long good news stays.
const GOOD_NEWS: Duration = Duration::from_secs(10);

/// How many files that failed are named in one message.
const NAMED: usize = 20;

/// A message.
struct Notice {
    problem: Problem,
    /// How many files it is about, where it gathers those that failed.
    files: usize,
    open: bool,
    /// Set for good news, with the file that it is about.
    file: Option<std::path::PathBuf>,
    is_error: bool,
    since: Instant,
    /// It has not been shown yet.
    is_new: bool,
}

impl Notice {
    fn error(problem: Problem) -> Self {
        Self {
            problem,
            files: 0,
            open: false,
            file: None,
            is_error: true,
            since: Instant::now(),
            is_new: true,
        }
    }
}

/// The messages that are shown.
#[derive(Default)]
pub(in super::super) struct Notices(Vec<Notice>);

impl Notices {
    /// Shows a problem, once.
    pub(in super::super) fn add(&mut self, problem: Problem) {
        tracing::warn!(details = problem.details, "{}", problem.headline);
        if let Some(same) = self.0.iter_mut().find(|old| old.problem == problem) {
            same.open = true;
            same.is_new = true;
            return;
        }
        self.push(Notice::error(problem));
    }

    /// Tells that a file which is not on screen could not be used. However many they are, they are one
    /// message.
    pub(in super::super) fn failed(&mut self, name: &str, reason: &str) {
        tracing::warn!(file = name, "not usable: {reason}");
        let line = format!("{name}: {reason}");
        let Some(gathered) = self.0.iter_mut().find(|notice| notice.files > 0) else {
            self.push(Notice {
                files: 1,
                ..Notice::error(Problem::new(format!("{name} cannot be used"), reason))
            });
            return;
        };
        gathered.files += 1;
        gathered.is_new = true;
        let files = gathered.files;
        if files == 2 {
            // The first one's name was in the headline alone.
            let first = gathered.problem.headline.replace(" cannot be used", "");
            gathered.problem.details = format!("{first}: {}", gathered.problem.details);
        }
        gathered.problem.headline = format!("{files} files cannot be used");
        if files <= NAMED {
            gathered.problem.details = format!("{}\n{line}", gathered.problem.details);
        } else if files == NAMED + 1 {
            gathered
                .problem
                .details
                .push_str("\nThe others are named in the strip and the log");
        }
    }

    pub(in super::super) fn extend(&mut self, problem: Option<Problem>) {
        if let Some(problem) = problem {
            self.add(problem);
        }
    }

    /// Tells that a file was written.
    pub(in super::super) fn saved(&mut self, headline: String, file: &std::path::Path) {
        self.push(Notice {
            file: Some(file.to_owned()),
            is_error: false,
            ..Notice::error(Problem::new(headline, file.display()))
        });
    }

    /// Tells something that is neither.
    pub(in super::super) fn told(&mut self, news: Problem) {
        self.push(Notice {
            is_error: false,
            ..Notice::error(news)
        });
    }

    fn push(&mut self, notice: Notice) {
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(notice);
    }
}

pub(super) fn show(app: &mut App, ctx: &egui::Context, viewport: Rect) {
    app.notices
        .0
        .retain(|notice| notice.is_error || notice.since.elapsed() < GOOD_NEWS);
    if let Some(good) = app.notices.0.iter().find(|notice| !notice.is_error) {
        ctx.request_repaint_after(GOOD_NEWS.saturating_sub(good.since.elapsed()));
    }
    let exporting = exporting::is_worth_telling(app, ctx);
    if app.notices.0.is_empty() && !exporting {
        return;
    }
    let palette = theme::palette_of(ctx);
    let window = ctx.content_rect();
    let beside = window.right() - viewport.right();
    // Above the measures and the ruler, which are read while a message is there.
    let below = window.bottom() - viewport.bottom() + view::FOOT;
    let mut closed = None;
    let mut revealed = None;
    let mut copied = None;
    let mut log = false;
    let has_log = app.log_source.is_some();
    let is_new = |notice: &mut Notice| std::mem::take(&mut notice.is_new);
    let comes = app.notices.0.iter_mut().map(is_new).max() == Some(true);
    // Above what is open when it comes, and below what is opened or pressed afterwards.
    let area = egui::Area::new(egui::Id::unique("notices"))
        .anchor(
            Align2::RIGHT_BOTTOM,
            -vec2(beside + PADDING, below + GRID * 2.0),
        )
        .order(egui::Order::Middle)
        .show(ctx, |ui| {
            ui.spacing_mut().item_spacing.y = 8.0;
            let frame = Frame::new()
                .fill(palette.panel)
                .stroke(Stroke::new(1.0, palette.line))
                .corner_radius(8)
                .shadow(ui.visuals().popup_shadow)
                .inner_margin(Margin::same(12));
            if let Some(running) = app.exporting.as_ref().filter(|_| exporting) {
                frame.show(ui, |ui| {
                    ui.set_width(336.0);
                    exporting::card(running, ui);
                });
            }
            for (place, notice) in app.notices.0.iter_mut().enumerate() {
                frame.show(ui, |ui| {
                    ui.set_width(336.0);
                    match one(ui, notice, has_log) {
                        Pressed::Close => closed = Some(place),
                        Pressed::Reveal => revealed.clone_from(&notice.file),
                        Pressed::Copy => copied.clone_from(&notice.file),
                        Pressed::Log => log = true,
                        Pressed::Nothing => {}
                    }
                });
            }
        });
    if comes {
        ctx.move_to_top(area.response.layer_id);
    }
    if let Some(place) = closed {
        app.notices.0.remove(place);
    }
    if log {
        app.log.open = true;
    }
    if let Some(file) = revealed {
        app.reveal(file);
    }
    if let Some(file) = copied {
        app.copy_file(file);
    }
}

enum Pressed {
    Nothing,
    Close,
    Reveal,
    Copy,
    Log,
}

fn one(ui: &mut Ui, notice: &mut Notice, has_log: bool) -> Pressed {
    let palette = theme::palette(ui);
    let mut pressed = Pressed::Nothing;
    let colour = if notice.is_error {
        palette.error
    } else {
        palette.text
    };
    let headline = RichText::new(&notice.problem.headline)
        .font(fonts::strong(fonts::BODY))
        .color(colour);
    ui.add(egui::Label::new(headline).wrap());
    if notice.open || !notice.is_error {
        let text = if notice.is_error {
            widgets::sentence(&notice.problem.details)
        } else {
            notice.problem.details.clone()
        };
        let details = RichText::new(text)
            .size(fonts::SMALL)
            .color(palette.secondary);
        ui.add(egui::Label::new(details).wrap().selectable(true));
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if widgets::quiet(ui, "Dismiss", "Close this message").clicked() {
            pressed = Pressed::Close;
        }
        if notice.is_error {
            let text = if notice.open { "Less" } else { "More" };
            if widgets::quiet(ui, text, "What is behind this").clicked() {
                notice.open = !notice.open;
            }
            if notice.open
                && has_log
                && widgets::quiet(ui, "Log", "What happened before and after (L)").clicked()
            {
                pressed = Pressed::Log;
            }
            if widgets::quiet(ui, "Copy", "Copy this message").clicked() {
                let problem = &notice.problem;
                ui.ctx()
                    .copy_text(format!("{}: {}", problem.headline, problem.details));
            }
        } else if notice.file.is_some() {
            let reveal = "Show the file in the system's file manager";
            if widgets::quiet(ui, "Show in folder", reveal).clicked() {
                pressed = Pressed::Reveal;
            }
            let copy = "Copy the file, to paste it into a folder, a message or another program";
            if widgets::quiet(ui, "Copy file", copy).clicked() {
                pressed = Pressed::Copy;
            }
        }
    });
    pressed
}
