//! The other side of a drop: a program that hands files to a window by the X11 protocol for drag and drop
//! (XDND, version 5), as a file manager does, and one that asks a window to close, as a window manager
//! does. `tests/window.sh` calls them; without a window to work on they say that they were skipped.

use std::path::Path;
use std::time::{Duration, Instant};

use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt, CreateWindowAux, EventMask, PropMode,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// The window to work on, by its number.
const WINDOW: &str = "ORFEAS_TEST_WINDOW";
/// The files to drop, one a line.
const FILES: &str = "ORFEAS_TEST_FILES";

/// How long the window may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

x11rb::atom_manager! {
    Atoms: AtomsCookie {
        TARGETS,
        WM_DELETE_WINDOW,
        WM_PROTOCOLS,
        XdndActionCopy,
        XdndAware,
        XdndDrop,
        XdndEnter,
        XdndFinished,
        XdndPosition,
        XdndSelection,
        XdndStatus,
        URI_LIST: b"text/uri-list",
    }
}

#[test]
#[ignore = "tests/window.sh calls it with a window"]
fn drops_files_on_a_window() {
    let (Some(target), Ok(files)) = (window(), std::env::var(FILES)) else {
        eprintln!("skipped: {WINDOW} and {FILES} name no window and files");
        return;
    };
    let uris: String = files
        .lines()
        .map(|file| uri(Path::new(file)) + "\r\n")
        .collect();
    Source::new(target).drop_on_middle(uris.as_bytes());
}

#[test]
#[ignore = "tests/window.sh calls it with a window"]
fn asks_a_window_to_close() {
    let Some(target) = window() else {
        eprintln!("skipped: {WINDOW} names no window");
        return;
    };
    let source = Source::new(target);
    let delete = [source.atoms.WM_DELETE_WINDOW, x11rb::CURRENT_TIME, 0, 0, 0];
    source.send(source.atoms.WM_PROTOCOLS, delete);
    source.connection.sync().unwrap();
}

fn window() -> Option<Window> {
    std::env::var(WINDOW).ok()?.parse().ok()
}

/// A path as RFC 8089 writes it, every byte that is not plain in hexadecimal.
fn uri(path: &Path) -> String {
    let encoded = path.to_str().unwrap().bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'.' {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    format!("file://{}", encoded.collect::<String>())
}

/// A window of its own that owns what is dragged.
struct Source {
    connection: RustConnection,
    atoms: Atoms,
    root: Window,
    own: Window,
    target: Window,
}

impl Source {
    fn new(target: Window) -> Self {
        let (connection, screen) = x11rb::connect(None).unwrap();
        let atoms = Atoms::new(&connection).unwrap().reply().unwrap();
        let root = connection.setup().roots[screen].root;
        let own = connection.generate_id().unwrap();
        connection
            .create_window(
                COPY_DEPTH_FROM_PARENT,
                own,
                root,
                0,
                0,
                1,
                1,
                0,
                WindowClass::INPUT_OUTPUT,
                x11rb::COPY_FROM_PARENT,
                &CreateWindowAux::new(),
            )
            .unwrap();
        Self {
            connection,
            atoms,
            root,
            own,
            target,
        }
    }

    /// Enters, hovers over the middle until the window accepts and has read the list, and drops.
    fn drop_on_middle(&self, uris: &[u8]) {
        let (atoms, connection) = (&self.atoms, &self.connection);
        let aware = connection
            .get_property(false, self.target, atoms.XdndAware, AtomEnum::ATOM, 0, 1)
            .unwrap()
            .reply()
            .unwrap();
        assert!(
            aware.value_len > 0,
            "the window takes no drops: it has no XdndAware"
        );
        connection
            .set_selection_owner(self.own, atoms.XdndSelection, x11rb::CURRENT_TIME)
            .unwrap();
        let version = 5 << 24;
        self.send(atoms.XdndEnter, [self.own, version, atoms.URI_LIST, 0, 0]);
        let size = connection.get_geometry(self.target).unwrap();
        let size = size.reply().unwrap();
        let (x, y) = (size.width as i16 / 2, size.height as i16 / 2);
        let there = connection.translate_coordinates(self.target, self.root, x, y);
        let there = there.unwrap().reply().unwrap();
        let at = (there.dst_x as u32) << 16 | there.dst_y as u32;
        let copy = atoms.XdndActionCopy;
        self.send(
            atoms.XdndPosition,
            [self.own, 0, at, x11rb::CURRENT_TIME, copy],
        );
        let (mut accepted, mut handed_out) = (false, false);
        while !(accepted && handed_out) {
            match self.next("an answer to the hovering files") {
                Event::SelectionRequest(request) => {
                    self.hand_out(&request, uris);
                    handed_out = true;
                }
                Event::ClientMessage(message) if message.type_ == atoms.XdndStatus => {
                    accepted = message.data.as_data32()[1] & 1 == 1;
                    assert!(accepted, "the window refuses the files");
                }
                _ => {}
            }
        }
        self.send(atoms.XdndDrop, [self.own, 0, x11rb::CURRENT_TIME, 0, 0]);
        loop {
            match self.next("the end of the drop") {
                Event::SelectionRequest(request) => self.hand_out(&request, uris),
                Event::ClientMessage(message) if message.type_ == atoms.XdndFinished => {
                    assert_eq!(message.data.as_data32()[1] & 1, 1, "the drop was refused");
                    return;
                }
                _ => {}
            }
        }
    }

    fn hand_out(&self, request: &SelectionRequestEvent, uris: &[u8]) {
        let (atoms, connection) = (&self.atoms, &self.connection);
        let property = if request.target == atoms.URI_LIST {
            connection
                .change_property8(
                    PropMode::REPLACE,
                    request.requestor,
                    request.property,
                    atoms.URI_LIST,
                    uris,
                )
                .unwrap();
            request.property
        } else {
            x11rb::NONE
        };
        let notice = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property,
        };
        connection
            .send_event(false, request.requestor, EventMask::NO_EVENT, notice)
            .unwrap();
        connection.flush().unwrap();
    }

    fn send(&self, kind: u32, data: [u32; 5]) {
        let message = ClientMessageEvent::new(32, self.target, kind, data);
        self.connection
            .send_event(false, self.target, EventMask::NO_EVENT, message)
            .unwrap();
        self.connection.flush().unwrap();
    }

    fn next(&self, what: &str) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.connection.poll_for_event().unwrap() {
                return event;
            }
            assert!(Instant::now() < deadline, "{what} never came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
