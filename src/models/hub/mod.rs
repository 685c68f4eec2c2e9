//! The hub that weights are published on, and its cache on this machine.
//!
//! The cache has the hub's own layout and place, so that what another program downloaded is found, and
//! what is downloaded here is found by others:
//!
//! ```text
//! models--org--name/blobs/<sha256>                 the content
//! models--org--name/snapshots/<commit>/<path>  ->  a link to it
//! ```
//!
//! Nothing is downloaded unless a user asks for it.

mod cache;
mod connection;
mod download;
mod error;
mod transfer;

use std::path::PathBuf;
use std::time::Duration;

pub use download::Progress;
pub use error::DownloadError;

/// Where the hub is, unless the environment says otherwise.
const PUBLIC_ENDPOINT: &str = "https://huggingface.co";

/// The hub and its cache, as the user's environment has them.
#[derive(Debug, Clone)]
pub struct Hub {
    /// The folder of the cache.
    pub cache: PathBuf,
    /// Where downloads come from.
    pub endpoint: String,
    /// Sent to the endpoint, over an encrypted connection or within this machine, and to nobody else.
    pub token: Option<String>,
    /// Whether the user forbids any connection.
    pub offline: bool,
    /// The pause before a broken connection is tried again; each further one is twice as long.
    pub retry_pause: Duration,
}

impl Hub {
    /// As `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` say, or else as the
    /// hub's own programs have it. `None` where this user has no home folder.
    pub fn of_environment() -> Option<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name| Some(set(name)?.to_string_lossy().trim().to_owned());
        let cache = match (set("HF_HUB_CACHE"), set("HF_HOME"), set("XDG_CACHE_HOME")) {
            (Some(cache), _, _) => PathBuf::from(cache),
            (_, Some(home), _) => PathBuf::from(home).join("hub"),
            (_, _, Some(caches)) => PathBuf::from(caches).join("huggingface/hub"),
            _ => {
                let user = directories::BaseDirs::new()?;
                // So on every platform.
                user.home_dir().join(".cache/huggingface/hub")
            }
        };
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| PUBLIC_ENDPOINT.to_owned());
        let offline = text("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
        });
        Some(Self {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: text("HF_TOKEN").filter(|token| !token.is_empty()),
            offline,
            retry_pause: Duration::from_secs(1),
        })
    }
}
