//! A folder of TripoSR's weights in the published layout, made of the reference model.

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::triposr_reference;

/// The decoder's last bias, density first: the last storage of the reference checkpoint.
const LAST_BIAS: &str = "model/data/96";

/// The reference model in a folder of its own. Its random weights make a field that is too thin to have a
/// surface, so its densities are raised.
pub(crate) fn folder(at: &Path) -> PathBuf {
    let source = triposr_reference::folder();
    let folder = at.join("TripoSR");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(source.join("repo/config.yaml"), folder.join("config.yaml")).unwrap();
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(source.join("config.json")).unwrap()).unwrap();
    std::fs::write(
        folder.join("image_tokenizer.json"),
        config["vit"].to_string(),
    )
    .unwrap();
    let bytes = std::fs::read(source.join("repo/model.ckpt")).unwrap();
    std::fs::write(folder.join("model.ckpt"), denser(&bytes)).unwrap();
    folder
}

/// A checkpoint whose densities are 25 times as large.
fn denser(checkpoint: &[u8]) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(checkpoint)).unwrap();
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for place in 0..archive.len() {
        let mut entry = archive.by_index(place).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name == LAST_BIAS {
            assert_eq!(bytes.len(), 16, "four biases");
            let density = f32::from_le_bytes(bytes[..4].try_into().unwrap()) + 25_f32.ln();
            bytes[..4].copy_from_slice(&density.to_le_bytes());
        }
        out.start_file(name, options).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}
