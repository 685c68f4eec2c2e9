//! Bytes and numbers of a glTF document: buffers, views, accessors. Every offset and count is checked
//! against the bytes there are before anything is allocated.

use std::borrow::Cow;

use super::container::{BYTE, FLOAT, SHORT, UNSIGNED_BYTE, UNSIGNED_INT, UNSIGNED_SHORT};
use super::document::{Accessor, BufferView, Document};
use crate::formats::Damage;

/// The document's buffers, in order.
pub(super) struct Buffers<'a> {
    buffers: Vec<Cow<'a, [u8]>>,
    document: &'a Document,
}

impl<'a> Buffers<'a> {
    /// Finds every buffer: the binary chunk, a data URI, or a file beside the mesh.
    pub(super) fn new(
        document: &'a Document,
        binary: Option<&'a [u8]>,
        companions: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, Damage> {
        let mut buffers = Vec::new();
        for (index, buffer) in document.buffers.iter().enumerate() {
            let bytes = match &buffer.uri {
                None if index == 0 => Cow::Borrowed(binary.ok_or(Damage::Missing("binary chunk"))?),
                None => return Err(Damage::Missing("second buffer")),
                // Each companion is read once, and a document has few: bounded as files beside are.
                Some(_) if index >= 16 => return Err(Damage::Invalid("number of buffers")),
                Some(uri) => Cow::Owned(resolve(uri, companions)?),
            };
            if bytes.len() < buffer.byte_length {
                return Err(Damage::Truncated("buffer"));
            }
            buffers.push(bytes);
        }
        Ok(Self { buffers, document })
    }

    /// The bytes of a buffer view.
    pub(super) fn view(&self, index: usize) -> Result<(&[u8], &BufferView), Damage> {
        let view = self
            .document
            .buffer_views
            .get(index)
            .ok_or(Damage::Missing("buffer view"))?;
        let buffer = self
            .buffers
            .get(view.buffer)
            .ok_or(Damage::Missing("buffer"))?;
        let end = view.byte_offset.checked_add(view.byte_length);
        let bytes = end.and_then(|end| buffer.get(view.byte_offset..end));
        Ok((bytes.ok_or(Damage::Truncated("buffer view"))?, view))
    }

    /// An accessor, checked.
    pub(super) fn accessor(&self, index: usize) -> Result<Elements<'_>, Damage> {
        let accessor = self
            .document
            .accessors
            .get(index)
            .ok_or(Damage::Missing("accessor"))?;
        let components = match accessor.kind.as_str() {
            "SCALAR" => 1,
            "VEC2" => 2,
            "VEC3" => 3,
            "VEC4" => 4,
            _ => return Err(Damage::Invalid("accessor type")),
        };
        let component_bytes = match accessor.component_type {
            BYTE | UNSIGNED_BYTE => 1,
            SHORT | UNSIGNED_SHORT => 2,
            UNSIGNED_INT | FLOAT => 4,
            _ => return Err(Damage::Invalid("accessor component type")),
        };
        let (bytes, view) =
            self.view(accessor.buffer_view.ok_or(Damage::Missing("buffer view"))?)?;
        let element_bytes = components * component_bytes;
        let stride = view.byte_stride.unwrap_or(element_bytes);
        // A smaller stride would let a small file stand for a large mesh.
        if stride < element_bytes {
            return Err(Damage::Invalid("stride"));
        }
        let end = match accessor.count.checked_sub(1) {
            None => Some(accessor.byte_offset),
            Some(last) => last
                .checked_mul(stride)
                .and_then(|bytes| bytes.checked_add(element_bytes))
                .and_then(|bytes| bytes.checked_add(accessor.byte_offset)),
        };
        let bytes = end.and_then(|end| bytes.get(accessor.byte_offset..end));
        Ok(Elements {
            bytes: bytes.ok_or(Damage::Truncated("accessor"))?,
            accessor,
            components,
            component_bytes,
            stride,
        })
    }
}

/// The elements of a checked accessor.
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    accessor: &'a Accessor,
    components: usize,
    component_bytes: usize,
    stride: usize,
}

impl Elements<'_> {
    pub(super) fn count(&self) -> usize {
        self.accessor.count
    }

    /// Whether the elements are vectors of `components`.
    pub(super) fn expect(self, components: usize, what: &'static str) -> Result<Self, Damage> {
        if self.components == components {
            Ok(self)
        } else {
            Err(Damage::Invalid(what))
        }
    }

    pub(super) fn components(&self) -> usize {
        self.components
    }

    /// Vectors of `N` numbers; those the accessor lacks are `fill`.
    pub(super) fn vectors<const N: usize>(&self, fill: f64) -> impl Iterator<Item = [f64; N]> + '_ {
        (0..self.count()).map(move |element| {
            std::array::from_fn(|component| {
                if component < self.components {
                    self.number(element, component)
                } else {
                    fill
                }
            })
        })
    }

    /// Whole numbers, for indices; none when the component type is not unsigned.
    pub(super) fn indices(&self) -> Option<impl Iterator<Item = u32> + '_> {
        let kind = self.accessor.component_type;
        let unsigned = matches!(kind, UNSIGNED_BYTE | UNSIGNED_SHORT | UNSIGNED_INT);
        (unsigned && self.components == 1)
            .then(|| (0..self.count()).map(|element| self.bits(element, 0)))
    }

    fn bits(&self, element: usize, component: usize) -> u32 {
        let start = element * self.stride + component * self.component_bytes;
        let mut word = [0; 4];
        word[..self.component_bytes]
            .copy_from_slice(&self.bytes[start..start + self.component_bytes]);
        u32::from_le_bytes(word)
    }

    fn number(&self, element: usize, component: usize) -> f64 {
        let bits = self.bits(element, component);
        let (value, largest) = match self.accessor.component_type {
            BYTE => (f64::from(bits as i8), 127.0),
            UNSIGNED_BYTE => (f64::from(bits), 255.0),
            SHORT => (f64::from(bits as i16), 32767.0),
            UNSIGNED_SHORT => (f64::from(bits), 65535.0),
            UNSIGNED_INT => (f64::from(bits), f64::from(u32::MAX)),
            _ => return f64::from(f32::from_bits(bits)),
        };
        if self.accessor.normalized {
            (value / largest).max(-1.0)
        } else {
            value
        }
    }
}

/// The bytes that a URI stands for: inline data, or a file beside the mesh.
pub(super) fn resolve(
    uri: &str,
    companions: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, Damage> {
    match uri.strip_prefix("data:") {
        Some(data) => {
            let (_, base64) = data
                .split_once(";base64,")
                .ok_or(Damage::Invalid("data URI"))?;
            decode_base64(base64).ok_or(Damage::Invalid("data URI"))
        }
        None => companions(uri).ok_or(Damage::Missing("buffer or texture file beside it")),
    }
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for &character in group {
            let value = match character {
                b'A'..=b'Z' => character - b'A',
                b'a'..=b'z' => character - b'a' + 26,
                b'0'..=b'9' => character - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let whole = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}
