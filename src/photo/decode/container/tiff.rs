//! The first directory of a TIFF or BigTIFF file, each of its lists within the file.

use super::super::{DecodeError, Format};

/// The tags this program or the decoder reads (TIFF 6.0; Adobe's supplements; ICC.1, annex B).
pub(in super::super) mod tag {
    pub(in super::super::super) const NEW_SUBFILE_TYPE: u16 = 254;
    pub(in super::super::super) const IMAGE_WIDTH: u16 = 256;
    pub(in super::super::super) const IMAGE_LENGTH: u16 = 257;
    pub(in super::super::super) const COMPRESSION: u16 = 259;
    pub(in super::super::super) const PHOTOMETRIC: u16 = 262;
    pub(in super::super::super) const STRIP_OFFSETS: u16 = 273;
    pub(in super::super::super) const ORIENTATION: u16 = 274;
    pub(in super::super::super) const ROWS_PER_STRIP: u16 = 278;
    pub(in super::super::super) const STRIP_BYTE_COUNTS: u16 = 279;
    pub(in super::super::super) const COLOUR_MAP: u16 = 320;
    pub(in super::super::super) const TILE_WIDTH: u16 = 322;
    pub(in super::super::super) const TILE_LENGTH: u16 = 323;
    pub(in super::super::super) const TILE_OFFSETS: u16 = 324;
    pub(in super::super::super) const TILE_BYTE_COUNTS: u16 = 325;
    pub(in super::super::super) const EXTRA_SAMPLES: u16 = 338;
    pub(in super::super::super) const JPEG_TABLES: u16 = 347;
    pub(in super::super::super) const ICC_PROFILE: u16 = 34675;
    pub(in super::super::super) const DNG_VERSION: u16 = 50706;
    /// Every tag whose values the decoder reads.
    pub(super) const READ_BY_DECODER: [u16; 20] = [
        256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339,
        347, 530,
    ];
}

const TRUNCATED: DecodeError = DecodeError::Truncated {
    format: Format::Tiff,
};

/// One directory: where each tag's values lie.
pub(in super::super) struct Directory<'a> {
    bytes: &'a [u8],
    little_endian: bool,
    entries: Vec<Entry>,
    /// Whether another directory follows.
    pub(in super::super) has_next: bool,
}

struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where the values begin.
    at: usize,
}

impl<'a> Directory<'a> {
    /// Reads the first directory.
    pub(in super::super) fn first(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut directory = Self {
            bytes,
            little_endian: bytes.starts_with(b"II"),
            entries: Vec::new(),
            has_next: false,
        };
        let big = directory.integer(2, 2)? == 43;
        let (word, count_bytes) = if big { (8, 8) } else { (4, 2) };
        let start = directory.offset(if big { 8 } else { 4 }, word)?;
        let count = directory.integer(start, count_bytes)?;
        let entry_bytes = 4 + 2 * word;
        let mut at = start + count_bytes;
        for _ in 0..count {
            let (tag, kind) = (directory.integer(at, 2)?, directory.integer(at + 2, 2)?);
            let count = directory.integer(at + 4, word)?;
            let value_at = at + 4 + word;
            let inline = count
                .checked_mul(size_of_kind(kind as u16))
                .is_some_and(|size| size <= word as u64);
            directory.entries.push(Entry {
                tag: tag as u16,
                kind: kind as u16,
                count,
                at: if inline {
                    value_at
                } else {
                    directory.offset(value_at, word)?
                },
            });
            at += entry_bytes;
        }
        directory.has_next = directory.integer(at, word).is_ok_and(|next| next != 0);
        Ok(directory)
    }

    /// What the decoder allocates for the lists it reads; an error when one reaches out of the file.
    pub(in super::super) fn decoder_bytes(&self) -> Result<u64, DecodeError> {
        // An enumeration of 32 bytes for each value, and the number taken out of it.
        const BYTES_OF_VALUE: u64 = 32 + 8;
        let mut bytes = 0_u64;
        for entry in &self.entries {
            if tag::READ_BY_DECODER.contains(&entry.tag) {
                self.values(entry).ok_or(TRUNCATED)?;
                bytes = bytes.saturating_add(entry.count.saturating_mul(BYTES_OF_VALUE));
            }
        }
        Ok(bytes)
    }

    /// Whether a tag is there.
    pub(in super::super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// A tag's first value.
    pub(in super::super) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag).next()
    }

    /// A tag's values, where they are whole numbers and lie within the file.
    pub(in super::super) fn numbers(&self, tag: u16) -> impl Iterator<Item = u64> {
        let entry = self
            .entry(tag)
            .filter(|entry| matches!(entry.kind, 1 | 3 | 4 | 13 | 16));
        let size = entry.map_or(1, |entry| size_of_kind(entry.kind) as usize);
        let values = entry
            .and_then(|entry| self.values(entry))
            .unwrap_or_default();
        values.chunks_exact(size).map(|value| self.assemble(value))
    }

    /// A tag's values as bytes.
    pub(in super::super) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.values(self.entry(tag)?)
    }

    /// The palette: red, green, blue of each index; the file holds all reds first.
    pub(in super::super) fn colour_map(&self) -> Result<Vec<[u16; 3]>, DecodeError> {
        let values: Vec<u16> = self
            .numbers(tag::COLOUR_MAP)
            .map(|value| value as u16)
            .collect();
        let count = values.len() / 3;
        if count == 0 {
            return Err(DecodeError::Damaged {
                format: Format::Tiff,
                reason: "it has no palette".to_owned(),
            });
        }
        let colour = |index| {
            [
                values[index],
                values[count + index],
                values[2 * count + index],
            ]
        };
        Ok((0..count).map(colour).collect())
    }

    /// A copy of the file that declares another photometric interpretation.
    pub(in super::super) fn with_photometric(&self, bytes: &[u8], value: u16) -> Vec<u8> {
        let mut copy = bytes.to_vec();
        let place = self.entry(tag::PHOTOMETRIC).filter(|entry| entry.kind == 3);
        if let Some(field) = place.and_then(|entry| copy.get_mut(entry.at..entry.at + 2)) {
            field.copy_from_slice(&if self.little_endian {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            });
        }
        copy
    }

    fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    fn values(&self, entry: &Entry) -> Option<&'a [u8]> {
        let size = usize::try_from(entry.count.checked_mul(size_of_kind(entry.kind))?).ok()?;
        self.bytes.get(entry.at..entry.at.checked_add(size)?)
    }

    fn offset(&self, at: usize, size: usize) -> Result<usize, DecodeError> {
        usize::try_from(self.integer(at, size)?)
            .ok()
            .filter(|offset| *offset < usize::MAX / 2)
            .ok_or(TRUNCATED)
    }

    fn integer(&self, at: usize, size: usize) -> Result<u64, DecodeError> {
        self.bytes
            .get(at..at + size)
            .map(|field| self.assemble(field))
            .ok_or(TRUNCATED)
    }

    fn assemble(&self, field: &[u8]) -> u64 {
        let append = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        if self.little_endian {
            field.iter().rev().fold(0, append)
        } else {
            field.iter().fold(0, append)
        }
    }
}

/// The bytes of one value; kinds that do not exist have none.
fn size_of_kind(kind: u16) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}
