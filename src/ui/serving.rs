//! The switch that lets other programs of this machine use the engine of the window.
//!
//! The window knows no server: whoever opens it hands in what starts one. Starting and stopping go on
//! elsewhere, since both wait for a thread.

use std::net::SocketAddr;
use std::sync::Arc;

use eframe::egui;

use super::app::App;
use super::desk::{LaneOf, Message};
use super::widgets;
use crate::engine::Engine;

/// A server that runs over the window's engine.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    /// Stops it, and returns when it is gone; dropping it stops it too.
    pub stop: Box<dyn FnOnce() + Send>,
}

/// Starts a server over an engine, for this machine alone.
pub type StartServer = Arc<dyn Fn(Arc<Engine>) -> anyhow::Result<Served> + Send + Sync>;

/// What the switch shows.
#[derive(Default)]
pub(super) enum Serving {
    #[default]
    Off,
    /// It is starting or stopping.
    Changing,
    On(Served),
    /// It did not start, and why.
    Failed(String),
}

/// The switch, and where the server listens; nothing where none can be started.
pub(super) fn show(app: &mut App, ui: &mut egui::Ui) {
    if app.start_server.is_none() {
        return;
    }
    widgets::heading(ui, "Other programs");
    let is_changing = matches!(app.serving, Serving::Changing);
    let mut on = matches!(app.serving, Serving::On(_));
    let switch = ui
        .add_enabled_ui(!is_changing && app.engine.is_some(), |ui| {
            ui.checkbox(&mut on, "Serve other programs on this machine")
        })
        .inner
        .on_hover_text(
            "The HTTP interface of `orfeas serve`, over the same queue, history and cache",
        );
    if switch.changed() {
        app.switch_server(on);
    }
    let told = match &app.serving {
        Serving::Off => "No other program can reach Orfeas.".to_owned(),
        Serving::Changing => "One moment…".to_owned(),
        Serving::On(served) => format!("At http://{}, for this machine alone.", served.address),
        Serving::Failed(reason) => reason.clone(),
    };
    widgets::note(ui, told);
    ui.add_space(8.0);
}

impl App {
    fn switch_server(&mut self, on: bool) {
        match (on, std::mem::replace(&mut self.serving, Serving::Changing)) {
            (true, _) => {
                let (Some(start), Some(engine)) = (self.start_server.clone(), self.engine.clone())
                else {
                    self.serving = Serving::Off;
                    return;
                };
                self.desk.run(LaneOf::Files, move |inbox| {
                    let served = start(engine).map_err(|error| format!("{error:#}"));
                    inbox.send(Message::Served(served.map(Some)));
                });
            }
            (false, Serving::On(served)) => self.desk.run(LaneOf::Files, move |inbox| {
                (served.stop)();
                inbox.send(Message::Served(Ok(None)));
            }),
            (false, _) => self.serving = Serving::Off,
        }
    }

    pub(super) fn served(&mut self, served: Result<Option<Served>, String>) {
        self.serving = match served {
            Ok(Some(served)) => Serving::On(served),
            Ok(None) => Serving::Off,
            Err(reason) => Serving::Failed(reason),
        };
    }
}
