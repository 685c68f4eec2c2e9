//! What `torch.save` writes: an archive of a pickle, which names the tensors, and one uncompressed entry
//! for each run of numbers they are views into.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::WeightsError;
use super::file::WeightsFile;
use super::pickle::{self, PickleError};
use super::tensor::Tensor;

/// What a zip archive begins with.
pub(super) const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// The pickle, in the archive's one folder.
const PICKLE: &str = "/data.pkl";

/// Where the content of an entry is.
struct Entry {
    start: u64,
    size_bytes: u64,
}

/// Reads the pickle and where its storages are.
pub(super) fn tensors(file: &WeightsFile) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let wrong = |error: ZipError| match error {
        ZipError::Io(cause) if cause.kind() != std::io::ErrorKind::UnexpectedEof => {
            WeightsError::Read {
                path: file.path().to_owned(),
                cause,
            }
        }
        error => file.malformed(format!("it is cut short or no sound archive ({error})")),
    };
    let mut archive = ZipArchive::new(BufReader::new(file.sequential())).map_err(wrong)?;
    if archive.has_duplicate_names() || archive.has_overlapping_entries().map_err(wrong)? {
        return Err(file.malformed("entries of the archive overlap or have the same name"));
    }
    let mut entries = HashMap::new();
    for place in 0..archive.len() {
        let entry = archive.by_index_raw(place).map_err(wrong)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(file.malformed("entries of the archive are compressed or encrypted"));
        }
        let (start, size_bytes) = (entry.data_start(), entry.compressed_size());
        let end = start.and_then(|start| start.checked_add(size_bytes));
        let (Some(start), Some(end)) = (start, end) else {
            return Err(file.malformed("an entry of the archive has no place"));
        };
        if end > file.size_bytes() {
            return Err(file.malformed("it is cut short within its tensors"));
        }
        let name = entry.name().map_err(wrong)?.into_owned();
        entries.insert(name, Entry { start, size_bytes });
    }
    let folder = folder(file, &entries)?;
    check_byte_order(file, &entries, &folder)?;
    let pickle = read(file, &entries[&format!("{folder}{PICKLE}")])?;
    let views = pickle::tensors(&pickle).map_err(|error| match error {
        PickleError::Code(function) => WeightsError::Code {
            function,
            path: file.path().to_owned(),
        },
        error => file.malformed(error.to_string()),
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        let tensor = place(file, &entries, &folder, view)
            .ok_or_else(|| file.malformed(format!("the tensor {name} does not fit in it")))?;
        if tensors.insert(name, tensor).is_some() {
            return Err(file.malformed("two tensors have the same name"));
        }
    }
    Ok(tensors)
}

/// The archive's folder: that of its one pickle.
fn folder(file: &WeightsFile, entries: &HashMap<String, Entry>) -> Result<String, WeightsError> {
    let mut folders = entries.keys().filter_map(|name| name.strip_suffix(PICKLE));
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder.to_owned()),
        _ => Err(file.malformed("the archive has no data.pkl, so torch.save did not write it")),
    }
}

/// Old checkpoints do not tell; they were written where the order is this machine's.
fn check_byte_order(
    file: &WeightsFile,
    entries: &HashMap<String, Entry>,
    folder: &str,
) -> Result<(), WeightsError> {
    match entries.get(&format!("{folder}/byteorder")) {
        Some(entry) if read(file, entry)? != b"little" => {
            Err(file.malformed("its numbers are not in little-endian order"))
        }
        _ => Ok(()),
    }
}

/// Reads a small entry whole.
fn read(file: &WeightsFile, entry: &Entry) -> Result<Vec<u8>, WeightsError> {
    if entry.size_bytes > pickle::MAX_BYTES {
        return Err(file.malformed(format!(
            "its pickle takes {} bytes, and no weights need more than {}",
            entry.size_bytes,
            pickle::MAX_BYTES
        )));
    }
    let mut bytes = vec![0; entry.size_bytes as usize];
    file.read(&mut bytes, entry.start)?;
    Ok(bytes)
}

fn place(
    file: &WeightsFile,
    entries: &HashMap<String, Entry>,
    folder: &str,
    view: pickle::View<'_>,
) -> Option<Tensor> {
    let storage = view.storage;
    let entry = entries.get(&format!("{folder}/data/{}", storage.key))?;
    let element = storage.element;
    if storage.elements.checked_mul(element.size_bytes())? > entry.size_bytes {
        return None;
    }
    let extent = (entry.start, storage.elements);
    let (first, shape, strides) = (view.first_element, view.shape, view.strides);
    Tensor::view(element, shape, strides, first, extent, file)
}
