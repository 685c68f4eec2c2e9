//! A progress bar on standard error, when that is a terminal.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::engine::{Event, ShareDone};

/// Shows what a job is doing.
pub(super) struct Progress {
    bar: ProgressBar,
    done: Cell<ShareDone>,
}

impl Progress {
    pub(super) fn new(name: &str, finest: u32, quiet: bool) -> Self {
        let target = if quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(1000), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix}  {bar:24}  {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            bar,
            done: Cell::new(ShareDone::new(finest)),
        }
    }

    pub(super) fn show(&self, event: &Event) {
        let mut done = self.done.get();
        // Lossless: between 0 and 1000.
        self.bar.set_position((done.after(event) * 1000.0) as u64);
        self.done.set(done);
        match event {
            Event::Queued { ahead } if *ahead > 0 => {
                self.bar.set_message(format!("Waiting behind {ahead}"))
            }
            Event::Stage { stage } => self.bar.set_message(stage.to_string()),
            _ => {}
        }
    }

    /// Says something without tearing the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
