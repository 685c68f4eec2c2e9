//! Keys: what each does, for the window that listens and the sheet that explains.

use eframe::egui::{Context, Event, Key, KeyboardShortcut, Modifiers, RawInput, ViewportCommand};

use super::app::App;
use super::panels;
use super::queue::MoveTo;

/// Keys of one kind, and what each does.
pub(super) type Keys = (&'static str, &'static [(&'static str, &'static str)]);

/// All keys, in the order in which the sheet lists them: the first half of the groups beside the others.
pub(super) const SHEET: [Keys; 4] = [
    (
        "Images and meshes",
        &[
            ("Ctrl+O", "Open images or a mesh"),
            ("Ctrl+V", "Paste an image"),
            ("Ctrl+G", "Generate again"),
            ("Esc", "Cancel what runs"),
            ("R", "Simplify or smooth the mesh"),
            ("Ctrl+S", "Export"),
            ("F12", "Save a picture without a background"),
            ("Ctrl+Left, Ctrl+Right", "Run a waiting image sooner, later"),
            ("Delete", "Remove the image, or the tile in focus"),
            ("Ctrl+Z", "Undo"),
            ("Ctrl+Y, Ctrl+Shift+Z", "Redo"),
        ],
    ),
    (
        "Window",
        &[
            ("M", "Show or hide memory and precision"),
            ("J", "Show or hide the stages of the job"),
            ("L", "Show or hide the log"),
            ("Tab, Space", "Go to the next control, press it"),
            ("H", "This sheet"),
            ("Ctrl+Q", "Quit"),
        ],
    ),
    (
        "View",
        &[
            ("Drag", "Turn the object"),
            ("Wheel", "Zoom to the pointer"),
            ("Shift+drag", "Move the view"),
            ("Home or Enter", "Frame the object"),
            ("1, 3, 7", "Look from the front, right, top"),
            ("Ctrl+1, 3, 7", "Look from the back, left, bottom"),
            ("5", "Perspective or parallel"),
            ("V", "Next look: colour, clay, glossy, direction"),
            ("E", "Edges"),
            ("G", "Grid"),
            ("X", "Axes"),
            ("T", "Turntable"),
            ("C", "Compare with the latest other result"),
        ],
    ),
    (
        "Outline",
        &[
            ("O", "Correct the outline"),
            ("K, R", "Keep, remove"),
            ("B, X", "Brush, box"),
            ("[ and ]", "Brush size"),
            ("Plus, Minus, 0", "Closer, farther, all of it"),
            ("Arrows, Space", "Move the box, set it"),
        ],
    ),
];

/// A key as it is called on this system.
pub(super) fn on_this_system(keys: &str) -> String {
    if cfg!(target_os = "macos") {
        keys.replace("Ctrl+", "⌘")
    } else {
        keys.to_owned()
    }
}

const fn command(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

impl App {
    /// Turns the clipboard's keys into what fields listen for. Reading the clipboard may wait for the
    /// program that owns it, hence it never happens here.
    pub(super) fn clipboard_keys(&mut self, ctx: &Context, input: &mut RawInput) {
        if let Some(text) = self.pasted_text.take() {
            input.events.push(Event::Paste(text));
        }
        let typing = ctx.text_edit_focused();
        let mut paste = false;
        input.events.retain_mut(|event| {
            let Event::Key {
                key,
                pressed: true,
                modifiers,
                ..
            } = event
            else {
                return true;
            };
            let by_command = modifiers.command && !modifiers.alt && !modifiers.shift;
            match key {
                Key::Copy => *event = Event::Copy,
                Key::Cut => *event = Event::Cut,
                Key::C if by_command => *event = Event::Copy,
                Key::X if by_command => *event = Event::Cut,
                Key::Paste => paste = true,
                Key::V if by_command => paste = true,
                _ => return true,
            }
            !matches!(event, Event::Key { .. })
        });
        if paste && typing {
            self.paste_text();
        } else if paste {
            self.paste();
        }
    }

    /// Does what was asked for by keys.
    pub(super) fn take_keys(&mut self, ctx: &Context) {
        let pressed = |shortcut| ctx.input_mut(|input| input.consume_shortcut(&shortcut));
        if pressed(command(Key::O)) {
            self.ask_for_files();
        }
        if pressed(command(Key::S)) {
            self.begin_export();
        }
        // With Shift first: what asks for less takes more, too.
        let again = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
        if !ctx.text_edit_focused() {
            if pressed(again) || pressed(command(Key::Y)) {
                self.redo();
            }
            if pressed(command(Key::Z)) {
                self.undo();
            }
        }
        self.outline_keys(ctx);
        // What lies on top of the editor is closed before it.
        let covered = self.export.is_some() || self.help_open || self.settings_open;
        if !covered
            && self.editor().is_some()
            && ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape))
        {
            self.leave_editor();
        }
        if pressed(command(Key::G))
            && let Some(id) = self.active
        {
            self.generate(id);
        }
        if pressed(command(Key::Q)) {
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
        if ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::F12)) {
            self.screenshot();
        }
        // A button that has the focus takes Enter and Space, and no letter.
        if ctx.text_edit_focused() {
            return;
        }
        let plain = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if plain(Key::H) {
            self.help_open = !self.help_open;
        }
        if plain(Key::J) {
            self.stages_open = !self.stages_open;
        }
        if plain(Key::L) {
            self.toggle_log();
        }
        self.take_strip_keys(ctx);
        if plain(Key::M) {
            self.toggle_memory();
        }
        if plain(Key::O) {
            self.toggle_editor();
        }
        if plain(Key::R) {
            self.refine.open = !self.refine.open;
        }
        if plain(Key::C) {
            self.toggle_comparison();
        }
        if plain(Key::Escape) {
            self.escape();
        }
    }

    /// Moves or removes what has the focus in the strip, or else the image that is shown.
    fn take_strip_keys(&mut self, ctx: &Context) {
        let pressed = |key| ctx.input_mut(|input| input.consume_shortcut(&command(key)));
        let (sooner, later) = (pressed(Key::ArrowLeft), pressed(Key::ArrowRight));
        let delete = ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Delete));
        if !(sooner || later || delete) {
            return;
        }
        let focused = ctx.memory(|memory| memory.focused());
        let project = match focused {
            None => self.active,
            Some(id) => self
                .projects
                .iter()
                .map(|project| project.id)
                .find(|project| panels::open::tile(*project) == id),
        };
        let record = self
            .history
            .iter()
            .map(|record| record.id)
            .find(|record| focused == Some(panels::history::record_tile(*record)));
        match (project, record) {
            (Some(id), _) if delete => self.close_project(id),
            (Some(id), _) if sooner => self.move_in_queue(id, MoveTo::Sooner),
            (Some(id), _) => self.move_in_queue(id, MoveTo::Later),
            (None, Some(record)) if delete => self.delete_record(record),
            (None, _) => {}
        }
    }

    /// Closes what lies on top, or else cancels what runs.
    fn escape(&mut self) {
        if self.export.is_some() {
            self.export = None;
        } else if self.help_open {
            self.help_open = false;
        } else if self.settings_open {
            self.settings_open = false;
        } else if self.refine.running.is_some() {
            self.stop_refining();
        } else if self.refine.open {
            self.refine.open = false;
        } else if self.viewport.comparison.is_some() {
            self.viewport.stop_comparing();
        } else if self.log.open {
            self.log.close();
        } else if self.stages_open {
            self.stages_open = false;
        } else if let Some(project) = self.active_project()
            && project.is_working()
        {
            let id = project.id;
            self.cancel(id);
        }
    }
}
