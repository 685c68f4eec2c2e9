//! `orfeas models`: the models' weights on this machine; getting, adding and removing them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::exit::{ExitCode, Failed};
use super::generate::print_line;
use super::report::bytes;
use super::startup;
use crate::engine::catalogue::{self, MODELS, Model};
use crate::engine::{Cancel, DownloadError, Hub, Library, LibraryError, Located};

/// How often progress is told where no bar can be drawn.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// List, download, add or remove the weights of neural models
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
    /// List the models, and where their weights are
    List,
    /// Download a model into the hub's cache; an interrupted download goes on from where it ended
    Get {
        /// The model, as `list` names it
        #[arg(value_name = "NAME")]
        name: String,
        /// Accept a licence that excludes some places
        #[arg(long)]
        accept_licence: bool,
    },
    /// Use a folder that holds a model in its published layout; nothing is copied
    Add {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Forget the folder that was added, or else delete the model from the hub's cache
    Remove {
        /// The model, as `list` names it
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let library = startup::library();
    match &arguments.action {
        None | Some(Action::List) => list(&library, arguments.json),
        Some(Action::Get {
            name,
            accept_licence,
        }) => get(&library, find(name)?, *accept_licence, arguments.json),
        Some(Action::Add { folder }) => add(&library, folder, arguments.json),
        Some(Action::Remove { name }) => remove(&library, find(name)?, arguments.json),
    }
}

fn find(name: &str) -> Result<&'static Model, Failed> {
    catalogue::find(name).map_err(|error| Failed::new(ExitCode::Usage, error))
}

fn list(library: &Library, as_json: bool) -> Result<(), Failed> {
    if as_json {
        let models: Vec<Value> = MODELS.iter().map(|model| object(library, model)).collect();
        return print_line(&json!({ "models": models }).to_string());
    }
    for model in &MODELS {
        let (title, size, licence) = (model.title, bytes(model.size_bytes()), licence(model));
        print_line(&match library.locate(model) {
            Some(located) => format!(
                "{}  {title}, {licence}: {}",
                model.name,
                located.folder().display()
            ),
            None if model.can_be_downloaded() => format!(
                "{}  {title}, {licence}: not on this machine; `orfeas models get {}` downloads {size}",
                model.name, model.name
            ),
            None => format!(
                "{}  {title}, {licence}: not on this machine; get https://huggingface.co/{} ({size}), then \
                 `orfeas models add DIR`",
                model.name, model.repository
            ),
        })?;
    }
    Ok(())
}

/// What is known of a model and where it is.
fn object(library: &Library, model: &Model) -> Value {
    let located = library.locate(model);
    let mut object = json!(model);
    object["size_bytes"] = model.size_bytes().into();
    object["folder"] = json!(located.as_ref().map(Located::folder));
    object["is_chosen"] = matches!(located, Some(Located::Chosen(_))).into();
    object
}

/// The licence in words, with what it excludes.
fn licence(model: &Model) -> String {
    let licence = &model.licence;
    match licence.excludes {
        None => format!("licence {}", licence.name),
        Some(places) => format!("licence {}, not for {places}", licence.name),
    }
}

fn get(
    library: &Library,
    model: &Model,
    is_licence_accepted: bool,
    as_json: bool,
) -> Result<(), Failed> {
    if let Some(located @ Located::InModels(_)) = library.locate(model) {
        return ready(library, model, located.folder(), as_json);
    }
    let hub = hub(library)?;
    eprintln!("{}, {}: {}", model.title, licence(model), model.licence.url);
    let cancel = Cancel::default();
    let raised = cancel.clone();
    ctrlc::set_handler(move || raised.cancel())
        .map_err(|error| Failed::new(ExitCode::Other, error))?;
    let bar = bar(model.size_bytes());
    let mut last_told = Instant::now();
    let downloaded = hub.download(model, is_licence_accepted, &cancel, &mut |progress| {
        bar.set_position(progress.done_bytes);
        bar.set_message(progress.file);
        if bar.is_hidden() && last_told.elapsed() >= TELL_EVERY {
            last_told = Instant::now();
            eprintln!(
                "{}: {} of {}",
                progress.file,
                bytes(progress.done_bytes),
                bytes(progress.total_bytes)
            );
        }
    });
    bar.finish_and_clear();
    let folder = downloaded.map_err(|error| Failed::new(code_of(&error), error))?;
    ready(library, model, &folder, as_json)
}

fn ready(library: &Library, model: &Model, folder: &Path, as_json: bool) -> Result<(), Failed> {
    if as_json {
        return print_line(&object(library, model).to_string());
    }
    print_line(&format!("{} is ready: {}", model.title, folder.display()))
}

fn bar(total_bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total_bytes);
    let template = "{msg}  {bar:24}  {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn code_of(error: &DownloadError) -> ExitCode {
    match error {
        DownloadError::Cancelled => ExitCode::Interrupted,
        DownloadError::Licence { .. }
        | DownloadError::Offline { .. }
        | DownloadError::Unchecked { .. }
        | DownloadError::BadAddress { .. } => ExitCode::Usage,
        DownloadError::NoRoom { .. } | DownloadError::Disk { .. } | DownloadError::Busy(_) => {
            ExitCode::Output
        }
        _ => ExitCode::Other,
    }
}

fn add(library: &Library, folder: &Path, as_json: bool) -> Result<(), Failed> {
    // The one that the folder comes closest to is told, where it holds none.
    let nearest = MODELS
        .iter()
        .min_by_key(|model| model.missing_from(folder).len());
    let Some(model) = nearest else {
        return Err(Failed::usage("this version runs no models"));
    };
    let told = |error: LibraryError| {
        let code = match error {
            LibraryError::NotKept { .. } => ExitCode::Output,
            _ => ExitCode::BadInput,
        };
        Failed::new(code, error)
    };
    library.choose(model, folder).map_err(told)?;
    if as_json {
        return print_line(&object(library, model).to_string());
    }
    print_line(&format!(
        "{} is used from: {}",
        model.title,
        folder.display()
    ))
}

fn remove(library: &Library, model: &Model, as_json: bool) -> Result<(), Failed> {
    let output = |error: anyhow::Error| Failed::new(ExitCode::Output, error);
    let forgotten = library
        .forget(model)
        .map_err(|error| output(error.into()))?;
    if let Some(folder) = forgotten {
        if as_json {
            return print_line(&json!({ "forgotten": folder, "freed_bytes": 0 }).to_string());
        }
        return print_line(&format!(
            "{} is no longer used from this folder, whose files stay: {}",
            model.title,
            folder.display()
        ));
    }
    if let Some(Located::InModels(folder)) = library.locate(model) {
        return Err(Failed::usage(format!(
            "{} is in the folder that HY3DGEN_MODELS names, where nothing is deleted; delete it yourself: {}",
            model.title,
            folder.display()
        )));
    }
    let freed_bytes = hub(library)?
        .remove(model)
        .map_err(|error| output(error.into()))?;
    if as_json {
        return print_line(&json!({ "forgotten": null, "freed_bytes": freed_bytes }).to_string());
    }
    print_line(&format!("{} freed in the hub's cache", bytes(freed_bytes)))
}

fn hub(library: &Library) -> Result<&Hub, Failed> {
    library.hub.as_ref().ok_or_else(|| {
        Failed::usage("this user has no home folder; set HF_HUB_CACHE to a folder for models")
    })
}
