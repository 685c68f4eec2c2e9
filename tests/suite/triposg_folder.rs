//! A folder of TripoSG's weights in the published layout: the reference model.

use std::path::{Path, PathBuf};

use orfeas::engine::catalogue;

use crate::triposg_reference;

/// The reference model in a folder of its own.
pub(crate) fn folder(at: &Path) -> PathBuf {
    let (from, to) = (triposg_reference::folder().join("repo"), at.join("TripoSG"));
    for file in catalogue::TRIPOSG.files {
        let path = to.join(file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(from.join(file.path), path).unwrap();
    }
    to
}
