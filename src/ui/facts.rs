//! What the settings tell of the disk: where things are kept, and what the cache holds. Read on a lane,
//! never while a frame is drawn.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::app::App;
use super::desk::{Inbox, LaneOf, Message};
use super::preferences::{CONFIG_FOLDER_VARIABLE, Preferences};
use crate::store::{self, CacheStatistics, Store};

/// How old what is told becomes: results come and go meanwhile.
const AGE: Duration = Duration::from_secs(2);

/// A folder that things are kept in.
#[derive(Debug, Clone)]
pub(super) struct FolderFact {
    pub(super) name: &'static str,
    pub(super) path: Option<PathBuf>,
    pub(super) is_there: bool,
    /// What sets another one.
    pub(super) variable: &'static str,
}

/// What was read of the disk.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) folders: Vec<FolderFact>,
    pub(super) cache: Option<CacheStatistics>,
}

impl FolderFact {
    /// Those that are told, before they were looked for: in the same order, so that no row moves when they were.
    pub(super) fn all_unread() -> Vec<Self> {
        let fact = |name, variable| Self {
            name,
            path: None,
            is_there: false,
            variable,
        };
        vec![
            fact("Settings", CONFIG_FOLDER_VARIABLE),
            fact("History", store::DATA_FOLDER_VARIABLE),
            fact("Cache", store::CACHE_FOLDER_VARIABLE),
        ]
    }
}

/// What was read last, and when it was asked for.
#[derive(Default)]
pub(super) struct KnownFacts {
    pub(super) facts: Option<Facts>,
    asked: Option<Instant>,
}

impl App {
    /// Has the facts read again where they are old. Whoever shows them asks in every frame.
    pub(super) fn ask_for_facts(&mut self) {
        let now = Instant::now();
        let fresh = |asked: Instant| now.saturating_duration_since(asked) < AGE;
        if self.facts.asked.is_some_and(fresh) {
            return;
        }
        self.facts.asked = Some(now);
        let store = self.store();
        self.desk
            .run(LaneOf::Files, move |inbox| send(inbox, store.as_ref()));
    }
}

/// Reads the facts.
pub(super) fn send(inbox: &Inbox, store: Option<&Store>) {
    let folders = store::Folders::of_platform();
    let (data, cache) = folders.map_or((None, None), |folders| {
        (Some(folders.data), Some(folders.cache))
    });
    let mut folders = FolderFact::all_unread();
    for (fact, path) in folders.iter_mut().zip([Preferences::folder(), data, cache]) {
        fact.is_there = path.as_ref().is_some_and(|path| path.is_dir());
        fact.path = path;
    }
    inbox.send(Message::Facts(Facts {
        folders,
        cache: store.map(|store| store.cache().statistics()),
    }));
}
