//! The chunks around a GLB's JSON and its binary data, and the numbers glTF has for things.

pub(super) const MAGIC: &[u8; 4] = b"glTF";
pub(super) const VERSION: u32 = 2;
pub(super) const CHUNK_JSON: u32 = 0x4E4F_534A;
pub(super) const CHUNK_BIN: u32 = 0x004E_4942;

pub(super) const ARRAY_BUFFER: u32 = 34962;
pub(super) const ELEMENT_ARRAY_BUFFER: u32 = 34963;
pub(super) const CLAMP_TO_EDGE: u32 = 33071;
pub(super) const LINEAR: u32 = 9729;
pub(super) const LINEAR_MIPMAP_LINEAR: u32 = 9987;

pub(super) const BYTE: u32 = 5120;
pub(super) const UNSIGNED_BYTE: u32 = 5121;
pub(super) const SHORT: u32 = 5122;
pub(super) const UNSIGNED_SHORT: u32 = 5123;
pub(super) const UNSIGNED_INT: u32 = 5125;
pub(super) const FLOAT: u32 = 5126;
