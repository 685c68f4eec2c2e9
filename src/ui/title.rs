//! The window's title: what is open and how it stands, for whoever looks at another window meanwhile.

use eframe::egui::{self, ViewportCommand};

use super::app::App;
use super::project::{Phase, Project};

/// The title of a window with nothing in it.
pub(super) const PROGRAM: &str = "Orfeas";

impl App {
    /// Tells the system the title, where it changed.
    pub(super) fn tell_title(&mut self, ctx: &egui::Context) {
        let title = self
            .active_project()
            .map_or_else(|| PROGRAM.to_owned(), of_project);
        if title != self.title {
            ctx.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }
}

fn of_project(project: &Project) -> String {
    let name = &project.name;
    let state = match project.phase_in_a_word() {
        Phase::Opening => " (opening)",
        Phase::Waiting => " (waiting)",
        Phase::Working => " (working)",
        Phase::Done => "",
        Phase::Stopped if project.sheet_to_pick_from().is_some() => " (pick a shape)",
        Phase::Stopped => " (stopped)",
        Phase::Failed => " (failed)",
    };
    format!("{name}{state} – {PROGRAM}")
}
