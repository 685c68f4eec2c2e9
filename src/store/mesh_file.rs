//! Meshes as they are kept: GLB, with every position as it is in memory to the bit.

use super::StoreError;
use crate::formats::{self, Format, ReadError, WriteOptions};
use crate::mesh::Mesh;

/// Writes a mesh so that [`decode`] gives it back.
pub(super) fn encode(mesh: &Mesh) -> Result<Vec<u8>, StoreError> {
    // One unit in memory becomes one metre. A finished mesh measures 1, but one that was simplified may
    // have lost the vertex that was its end, and scaling it again would move all others.
    let longest_side = (0..3)
        .map(|axis| {
            let along = mesh.positions.iter().map(|p| f64::from(p[axis]));
            let (low, high) = along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), c| {
                (low.min(c), high.max(c))
            });
            high - low
        })
        .fold(0.0, f64::max);
    let options = WriteOptions {
        // Whatever is wrong with a mesh without a size, the writer knows to say.
        longest_side_mm: if longest_side > 0.0 {
            longest_side * 1000.0
        } else {
            1000.0
        },
        ..WriteOptions::default()
    };
    let mut bytes = Vec::new();
    formats::write(mesh, Format::Glb, &options, &mut bytes).map_err(StoreError::Mesh)?;
    Ok(bytes)
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<Mesh, ReadError> {
    let loaded = formats::read(bytes, Format::Glb, &|_| None)?;
    for warning in loaded.warnings {
        tracing::warn!("a kept mesh: {warning}");
    }
    Ok(loaded.mesh)
}
