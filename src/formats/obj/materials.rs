//! The part of an OBJ's material library that a mesh can hold: the colour texture.

use std::collections::BTreeMap;

/// The texture file of each material that names one.
///
/// Material libraries are read leniently: a line that makes no sense is skipped.
pub(super) fn texture_files(library: &[u8]) -> BTreeMap<String, String> {
    let library = String::from_utf8_lossy(library);
    let mut files = BTreeMap::new();
    let mut material = None;
    for line in library.lines() {
        let line = line.trim();
        let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match keyword {
            "newmtl" => material = Some(rest.trim().to_owned()),
            "map_Kd" => {
                if let Some(material) = &material {
                    files.insert(material.clone(), file_name(rest.trim()).to_owned());
                }
            }
            _ => {}
        }
    }
    files
}

/// The file name after any options. A name may hold blanks, an option's arguments may not be told from
/// it without knowing every option, so with options the last word counts.
fn file_name(words: &str) -> &str {
    if words.starts_with('-') {
        words.rsplit(char::is_whitespace).next().unwrap_or(words)
    } else {
        words
    }
}
