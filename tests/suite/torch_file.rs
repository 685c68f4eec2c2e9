//! Writes checkpoints as `torch.save` does, sound ones and others.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The start of a pickle, protocol 2.
pub(crate) const PROTOCOL: [u8; 2] = [0x80, 2];

/// A text as a pickle says it.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [b"X", length.as_slice(), text.as_bytes()].concat()
}

/// An integer of any size as a pickle says it.
pub(crate) fn integer(number: i64) -> Vec<u8> {
    [&[0x8a, 8], number.to_le_bytes().as_slice()].concat()
}

fn tuple(numbers: &[i64]) -> Vec<u8> {
    let items: Vec<u8> = numbers.iter().flat_map(|&number| integer(number)).collect();
    [b"(", items.as_slice(), b"t"].concat()
}

/// A view into the storage of an entry.
pub(crate) struct TensorView<'a> {
    pub(crate) storage_type: &'a str,
    pub(crate) entry: &'a str,
    pub(crate) elements: i64,
    pub(crate) first: i64,
    pub(crate) shape: &'a [i64],
    pub(crate) strides: &'a [i64],
}

impl TensorView<'_> {
    /// The call that rebuilds it.
    pub(crate) fn pickled(&self) -> Vec<u8> {
        [
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            format!("ctorch\n{}\n", self.storage_type).into_bytes(),
            text(self.entry),
            text("cpu"),
            integer(self.elements),
            b"tQ".to_vec(),
            integer(self.first),
            tuple(self.shape),
            tuple(self.strides),
            b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
        ]
        .concat()
    }
}

/// A dictionary of values that are pickled already.
pub(crate) fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"}(", entries.as_slice(), b"u"].concat()
}

/// An archive with this pickle and these storages.
pub(crate) fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    archive_with(pickle, storages, b"little", CompressionMethod::Stored)
}

pub(crate) fn archive_with(
    pickle: &[u8],
    storages: &[(&str, &[u8])],
    byte_order: &[u8],
    compression: CompressionMethod,
) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(compression);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("model/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    add("data.pkl", pickle);
    add("byteorder", byte_order);
    for (entry, bytes) in storages {
        add(&format!("data/{entry}"), bytes);
    }
    add("version", b"3\n");
    zip.finish().unwrap().into_inner()
}

/// A checkpoint of one dictionary.
pub(crate) fn checkpoint(entries: &[(&str, Vec<u8>)], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let pickle = [&PROTOCOL, dictionary(entries).as_slice(), b"."].concat();
    archive(&pickle, storages)
}
