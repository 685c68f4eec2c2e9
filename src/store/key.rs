//! The names of cached results: a hash of everything that a result depends on.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// Names a result by what it is made from. Its text form is 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; blake3::OUT_LEN]);

/// Everything that a result depends on. Two results with equal parts are the same to the bit.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// The image file's bytes.
    pub image: &'a [u8],
    /// Every setting that changes the result; the order of an object's members is of no account.
    pub settings: &'a Value,
    /// The bytes of the image that is the matte, where the user gave one.
    pub matte_image: Option<&'a [u8]>,
    /// The digest of the weights, for a source that has any.
    pub weights_digest: Option<&'a str>,
    /// The precision that was computed in, after any step-down.
    pub precision: &'a str,
    /// The class of the device that computed, after any step-down: results of two devices of one class
    /// are the same.
    pub device_class: &'a str,
    /// The program's version.
    pub version: &'a str,
}

/// Sets these hashes apart from all others, and each way of making them from the next.
const CONTEXT: &str = "orfeas result cache key, 2026-11, version 1";

impl Key {
    /// The key of a result.
    pub fn new(parts: &KeyParts<'_>) -> Self {
        // Taken apart, so that a new part cannot be forgotten here.
        let KeyParts {
            image,
            settings,
            matte_image,
            weights_digest,
            precision,
            device_class,
            version,
        } = *parts;
        let mut framed = Framed(blake3::Hasher::new_derive_key(CONTEXT));
        framed.bytes(image);
        framed.value(settings);
        framed.optional(matte_image);
        framed.optional(weights_digest.map(str::as_bytes));
        framed.bytes(precision.as_bytes());
        framed.bytes(device_class.as_bytes());
        framed.bytes(version.as_bytes());
        Self(*framed.0.finalize().as_bytes())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl FromStr for Key {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

/// Hashes values so that no two different sequences of values feed the same bytes: each says its kind,
/// and its length where that varies.
struct Framed(blake3::Hasher);

impl Framed {
    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.update(bytes);
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => {
                self.0.update(b"-");
            }
            Some(bytes) => {
                self.0.update(b"+");
                self.bytes(bytes);
            }
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => {
                self.0.update(b"n");
            }
            Value::Bool(truth) => {
                self.0.update(if *truth { b"t" } else { b"f" });
            }
            Value::Number(number) => {
                // The shortest text that reads back as the number.
                self.0.update(b"#");
                self.bytes(number.to_string().as_bytes());
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.bytes(text.as_bytes());
            }
            Value::Array(values) => {
                self.0.update(b"[");
                self.length(values.len());
                for value in values {
                    self.value(value);
                }
            }
            Value::Object(members) => {
                self.0.update(b"{");
                self.length(members.len());
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| name.as_str());
                for (name, value) in members {
                    self.bytes(name.as_bytes());
                    self.value(value);
                }
            }
        }
    }
}
