//! Why a download did not come about.

use std::io;
use std::path::PathBuf;

/// A model was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The user forbids connections.
    #[error("HF_HUB_OFFLINE forbids connections; unset it to download {title}")]
    Offline {
        /// The model.
        title: &'static str,
    },
    /// This version could not tell its files from others.
    #[error(
        "this version knows no digests of the files of {title}, so it downloads none of them; get \
         https://huggingface.co/{repository} yourself, then name its folder: `orfeas models add DIR`"
    )]
    Unchecked {
        /// The model.
        title: &'static str,
        /// Where it is published.
        repository: &'static str,
    },
    /// The licence excludes places and was not accepted.
    #[error(
        "the licence of {title} ({licence}) does not cover {excludes}; read it at {url}, and accept it with \
         --accept-licence where it covers you"
    )]
    Licence {
        /// The model.
        title: &'static str,
        /// The licence.
        licence: &'static str,
        /// The places, in words.
        excludes: &'static str,
        /// Where to read it.
        url: &'static str,
    },
    /// There is too little room on the disk.
    #[error(
        "there is too little room: {required_bytes} bytes are needed and {free_bytes} free; make room, or name another \
         folder in HF_HUB_CACHE: {folder}",
        folder = folder.display()
    )]
    NoRoom {
        /// What is left to download, with something to spare.
        required_bytes: u64,
        /// What is free.
        free_bytes: u64,
        /// The cache.
        folder: PathBuf,
    },
    /// The cache cannot be written.
    #[error("the download cannot be kept: {cause}: {path}", path = path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another program downloads the same file.
    #[error("another program is downloading this file; let it finish: {path}", path = .0.display())]
    Busy(PathBuf),
    /// The address is none of the web.
    #[error("{url:?} is no address on the web; check HF_ENDPOINT")]
    BadAddress {
        /// The address.
        url: String,
    },
    /// There is no connection, or it broke again and again.
    #[error("{host} cannot be reached: {cause}; what has arrived is kept, so try again later")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        cause: String,
    },
    /// The hub wants to know who asks.
    #[error(
        "{host} does not give {title} to everyone (status {status}); accept its terms on the hub and set HF_TOKEN to a \
         token of yours"
    )]
    NotAllowed {
        /// The host.
        host: String,
        /// The model.
        title: &'static str,
        /// The status.
        status: u16,
    },
    /// The hub has no such file, or answers in an unexpected way.
    #[error("{host} does not have the file (status {status}); check HF_ENDPOINT: {file}")]
    Refused {
        /// The host.
        host: String,
        /// The status.
        status: u16,
        /// The file.
        file: &'static str,
    },
    /// A redirection that leads in circles or to an unencrypted connection.
    #[error("{host} sends the download elsewhere in a way that is not safe to follow ({why})")]
    Redirection {
        /// The host.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file is not the published one.
    #[error("{host} sent another file than the published one ({what}); it was discarded: {file}")]
    OtherFile {
        /// The host.
        host: String,
        /// How it differs.
        what: &'static str,
        /// The file.
        file: &'static str,
    },
    /// The user asked to stop.
    #[error("interrupted; what has arrived is kept, and the next try goes on from there")]
    Cancelled,
}
