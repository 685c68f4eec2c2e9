//! `orfeas cache`: what is kept of finished results on disk, and giving it up.

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{ExitCode, Failed};
use super::generate::print_line;
use super::report::{bytes, count};
use crate::store::{Folders, Limits, Store};

/// Show or clear the results and the history that are kept on disk
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is kept, and where
    Show,
    /// Delete the cached results; they can be made again
    Clear {
        /// Delete the history too: images, settings and meshes of finished jobs
        #[arg(long)]
        history: bool,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let folders = Folders::of_platform().ok_or_else(|| {
        Failed::new(
            ExitCode::Other,
            anyhow::anyhow!(
                "this system names no folder for caches; set ORFEAS_CACHE_DIR and ORFEAS_DATA_DIR"
            ),
        )
    })?;
    let failed = |error| Failed::new(ExitCode::Output, error);
    let store = Store::open(&folders, Limits::default()).map_err(failed)?;
    match arguments.action {
        None | Some(Action::Show) => show(&store, &folders, arguments.json),
        Some(Action::Clear { history }) => {
            let mut freed = store.cache().clear().map_err(failed)?;
            if history {
                let more = store.history().clear().map_err(failed)?;
                freed.entries += more.entries;
                freed.bytes += more.bytes;
            }
            if arguments.json {
                return print_line(&json!({ "freed": freed }).to_string());
            }
            print_line(&format!(
                "{} results deleted, {} freed",
                count(freed.entries as usize),
                bytes(freed.bytes)
            ))
        }
    }
}

fn show(store: &Store, folders: &Folders, as_json: bool) -> Result<(), Failed> {
    let cache = store.cache().statistics();
    let records = store
        .history()
        .list()
        .map_err(|error| Failed::new(ExitCode::Other, error))?
        .len();
    let (history_bytes, history_limit) = (store.history().bytes(), store.history().limit_bytes());
    if as_json {
        let object = json!({
            "cache": {
                "folder": folders.cache,
                "entries": cache.entries,
                "bytes": cache.bytes,
                "limit_bytes": cache.limit_bytes,
            },
            "history": {
                "folder": folders.data,
                "entries": records,
                "bytes": history_bytes,
                "limit_bytes": history_limit,
            },
        });
        return print_line(&object.to_string());
    }
    print_line(&format!(
        "cache    {} results, {} of {}: {}",
        count(cache.entries as usize),
        bytes(cache.bytes),
        bytes(cache.limit_bytes),
        folders.cache.display()
    ))?;
    print_line(&format!(
        "history  {} results, {} of {}: {}",
        count(records),
        bytes(history_bytes),
        bytes(history_limit),
        folders.data.display()
    ))
}
