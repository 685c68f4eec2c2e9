//! What makes two requests the same.

use super::job::Request;
use crate::photo::MatteWish;

/// A digest of the image's bytes and of everything that changes what is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity(blake3::Hash);

impl Identity {
    pub(super) fn of(request: &Request) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Each part is preceded by its length, so that no two lists of parts read the same.
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(&request.image);
        part(request.settings.to_json().to_string().as_bytes());
        if let MatteWish::User(photo) = &request.settings.matte.wish {
            part(&(photo.width as u64).to_le_bytes());
            part(photo.pixels.as_flattened());
        }
        for stroke in &request.settings.matte.strokes {
            part(format!("{stroke:?}").as_bytes());
        }
        Self(hasher.finalize())
    }
}
