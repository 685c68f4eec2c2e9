//! Reading STL, binary and text.

use super::{HEADER_BYTES, TRIANGLE_BYTES};
use crate::formats::read::y_up;
use crate::formats::{Damage, Loaded};
use crate::mesh::Mesh;

/// Reads either form. Each triangle gets three vertices of its own, as the file has them.
pub(in crate::formats) fn read(bytes: &[u8]) -> Result<Loaded, Damage> {
    let corners = if is_text(bytes) {
        read_text(bytes)?
    } else {
        read_binary(bytes)?
    };
    let triangles = (0..corners.len() as u32 / 3)
        .map(|t| [3 * t, 3 * t + 1, 3 * t + 2])
        .collect();
    let mesh = Mesh {
        positions: corners,
        triangles,
        ..Mesh::default()
    };
    Ok(Loaded::in_millimetres(mesh, Vec::new()))
}

/// Many binary files begin with "solid" too, so the size that the count predicts decides first.
fn is_text(bytes: &[u8]) -> bool {
    let fits = count(bytes).is_some_and(|count| expected_bytes(count) == Some(bytes.len()));
    !fits && bytes.trim_ascii_start().starts_with(b"solid")
}

fn count(bytes: &[u8]) -> Option<usize> {
    let count = bytes.get(HEADER_BYTES..HEADER_BYTES + 4)?;
    let count = u32::from_le_bytes(count.try_into().ok()?);
    usize::try_from(count).ok()
}

fn expected_bytes(count: usize) -> Option<usize> {
    count
        .checked_mul(TRIANGLE_BYTES)?
        .checked_add(HEADER_BYTES + 4)
}

fn read_binary(bytes: &[u8]) -> Result<Vec<[f32; 3]>, Damage> {
    let count = count(bytes).ok_or(Damage::Truncated("triangle count"))?;
    let end = expected_bytes(count).ok_or(Damage::Invalid("triangle count"))?;
    let records = bytes
        .get(HEADER_BYTES + 4..end)
        .ok_or(Damage::Truncated("last triangle"))?;
    if count > u32::MAX as usize / 3 {
        return Err(Damage::Invalid("triangle count"));
    }
    let mut corners = Vec::with_capacity(count * 3);
    for record in records.chunks_exact(TRIANGLE_BYTES) {
        // The file's normal is skipped: the corners' order says as much.
        let (numbers, _) = record[12..48].as_chunks::<4>();
        let (points, _) = numbers.as_chunks::<3>();
        corners.extend(
            points
                .iter()
                .map(|point| y_up(point.map(f32::from_le_bytes))),
        );
    }
    Ok(corners)
}

fn read_text(bytes: &[u8]) -> Result<Vec<[f32; 3]>, Damage> {
    let mut corners: Vec<[f32; 3]> = Vec::new();
    let mut closed = true;
    for (number, line) in bytes
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .enumerate()
    {
        // Names of solids may be in any encoding; all else is ASCII.
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let broken = |what| Damage::Line {
            line: number + 1,
            what,
        };
        match words.next().map(str::to_ascii_lowercase).as_deref() {
            Some("vertex") => {
                let mut point = [0.0; 3];
                for coordinate in &mut point {
                    *coordinate = words
                        .next()
                        .and_then(|word| word.parse().ok())
                        .ok_or_else(|| broken("a vertex"))?;
                }
                corners.push(y_up(point));
            }
            Some("endfacet") if !corners.len().is_multiple_of(3) => return Err(broken("a facet")),
            Some("solid") => closed = false,
            Some("endsolid") => closed = true,
            _ => {}
        }
    }
    if !closed || !corners.len().is_multiple_of(3) {
        return Err(Damage::Truncated("last facet"));
    }
    if corners.len() > u32::MAX as usize {
        return Err(Damage::Invalid("triangle count"));
    }
    Ok(corners)
}
