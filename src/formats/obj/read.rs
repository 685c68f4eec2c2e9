//! Reading OBJ: polygons, texture coordinates, normals, vertex colours, and one texture.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::SplitAsciiWhitespace;
use std::sync::Arc;

use super::materials;
use crate::formats::read::fan;
use crate::formats::{Damage, Loaded, image_file};
use crate::mesh::{Mesh, Texture};

/// The most material libraries and textures of one file that are looked at.
const MAX_COMPANIONS: usize = 16;

/// Reads a mesh. Corners with the same position, texture coordinate and normal share a vertex; vertices
/// are in order of first use.
pub(in crate::formats) fn read(
    bytes: &[u8],
    companions: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Loaded, Damage> {
    let mut reader = Reader::default();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        // Names may be in any encoding; all else is ASCII.
        let line = String::from_utf8_lossy(line);
        reader.line(line.trim(), number + 1)?;
    }
    reader.finish(companions)
}

/// Position, texture coordinate and normal of a corner, from 0; the latter two may be absent.
type Corner = (u32, Option<u32>, Option<u32>);

#[derive(Default)]
struct Reader {
    positions: Vec<[f32; 3]>,
    /// One for each position, once a position has had one.
    colours: Vec<[u8; 4]>,
    uvs: Vec<[f32; 2]>,
    normals: Vec<[f32; 3]>,
    vertices: Vec<Corner>,
    vertex_of_corner: HashMap<Corner, u32>,
    triangles: Vec<[u32; 3]>,
    libraries: BTreeSet<String>,
    materials: BTreeSet<String>,
    polygon: Vec<u32>,
}

impl Reader {
    fn line(&mut self, line: &str, number: usize) -> Result<(), Damage> {
        let broken = |what| Damage::Line { line: number, what };
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("v") => self.position(words).ok_or(broken("a vertex")),
            Some("vt") => {
                let [u, v] = numbers(&mut words).ok_or(broken("a texture coordinate"))?;
                self.uvs.push([u as f32, (1.0 - v) as f32]);
                Ok(())
            }
            Some("vn") => {
                let normal: [f64; 3] = numbers(&mut words).ok_or(broken("a normal"))?;
                self.normals.push(normal.map(|c| c as f32));
                Ok(())
            }
            Some("f") => self.face(words, number),
            // A line continued on the next would be misread; nothing in use writes them for faces.
            _ if line.ends_with('\\') => Err(broken("a continued line")),
            Some("mtllib") => {
                Self::note(&mut self.libraries, line);
                Ok(())
            }
            Some("usemtl") => {
                Self::note(&mut self.materials, line);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note(names: &mut BTreeSet<String>, line: &str) {
        let name = line
            .split_once(char::is_whitespace)
            .map_or("", |(_, name)| name.trim());
        names.insert(name.to_owned());
    }

    fn position(&mut self, mut words: SplitAsciiWhitespace<'_>) -> Option<()> {
        // Parsed as 32 bits at once: by way of 64 bits, a number would be rounded twice.
        let mut position = [0.0_f32; 3];
        for coordinate in &mut position {
            *coordinate = words.next()?.parse().ok()?;
        }
        self.positions.push(position);
        let mut rest = [0.0_f32; 3];
        let mut count = 0;
        for word in words.take(3) {
            rest[count] = word.parse().ok()?;
            count += 1;
        }
        // One more number is a weight, three are a colour.
        if count == 3 {
            self.colours.resize(self.positions.len() - 1, [255; 4]);
            let [red, green, blue] = rest.map(|channel| (channel * 255.0).round() as u8);
            self.colours.push([red, green, blue, 255]);
        }
        Some(())
    }

    fn face(&mut self, words: SplitAsciiWhitespace<'_>, line: usize) -> Result<(), Damage> {
        self.polygon.clear();
        for word in words {
            let corner = self.corner(word, line)?;
            let next = self.vertices.len() as u32;
            let vertices = &mut self.vertices;
            let vertex = *self.vertex_of_corner.entry(corner).or_insert_with(|| {
                vertices.push(corner);
                next
            });
            self.polygon.push(vertex);
        }
        if self.polygon.len() < 3 {
            return Err(Damage::Line {
                line,
                what: "a face of fewer than three corners",
            });
        }
        self.triangles.extend(fan(&self.polygon));
        Ok(())
    }

    fn corner(&self, word: &str, line: usize) -> Result<Corner, Damage> {
        let broken = || Damage::Line {
            line,
            what: "a face's corner",
        };
        let mut parts = word.split('/');
        let mut index = |length: usize| -> Result<Option<u32>, Damage> {
            match parts.next() {
                None | Some("") => Ok(None),
                Some(text) => {
                    let written = text.parse::<i64>().map_err(|_error| broken())?;
                    resolve(written, length).map(Some)
                }
            }
        };
        let position = index(self.positions.len())?.ok_or_else(broken)?;
        Ok((position, index(self.uvs.len())?, index(self.normals.len())?))
    }

    fn finish(self, companions: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Loaded, Damage> {
        let mut warnings = Vec::new();
        let texture = self.texture(companions, &mut warnings);
        let Self {
            positions,
            mut colours,
            uvs,
            normals,
            vertices,
            triangles,
            ..
        } = self;
        let mut mesh = Mesh {
            triangles,
            ..Mesh::default()
        };
        mesh.positions = vertices
            .iter()
            .map(|corner| positions[corner.0 as usize])
            .collect();
        if !colours.is_empty() {
            colours.resize(positions.len(), [255; 4]);
            mesh.colours = vertices
                .iter()
                .map(|corner| colours[corner.0 as usize])
                .collect();
        }
        // An attribute that some corner lacks is of no use to a mesh.
        let of_uv = |corner: &Corner| corner.1.map(|index| uvs[index as usize]);
        mesh.uvs = vertices
            .iter()
            .map(of_uv)
            .collect::<Option<_>>()
            .unwrap_or_default();
        let of_normal = |corner: &Corner| corner.2.map(|index| normals[index as usize]);
        mesh.normals = vertices
            .iter()
            .map(of_normal)
            .collect::<Option<_>>()
            .unwrap_or_default();
        mesh.texture = texture.filter(|_| !mesh.uvs.is_empty());
        Ok(Loaded::in_millimetres(mesh, warnings))
    }

    /// The texture that the materials in use name, when it is one and is there.
    fn texture(
        &self,
        companions: &dyn Fn(&str) -> Option<Vec<u8>>,
        warnings: &mut Vec<String>,
    ) -> Option<Arc<Texture>> {
        let mut files = BTreeMap::new();
        for library in self.libraries.iter().take(MAX_COMPANIONS) {
            match companions(library) {
                Some(bytes) => files.extend(materials::texture_files(&bytes)),
                None => warnings.push(format!(
                    "the material file is not beside the mesh: {library}"
                )),
            }
        }
        let used: BTreeSet<&String> = self
            .materials
            .iter()
            .filter_map(|material| files.get(material))
            .collect();
        let file = used.first()?;
        if used.len() > 1 {
            warnings.push(format!(
                "the mesh has {} textures; none is used",
                used.len()
            ));
            return None;
        }
        let Some(bytes) = companions(file) else {
            warnings.push(format!("the texture is not beside the mesh: {file}"));
            return None;
        };
        match image_file::decode(&bytes) {
            Ok(texture) => Some(Arc::new(texture)),
            Err(damage) => {
                warnings.push(format!("{damage}: {file}"));
                None
            }
        }
    }
}

/// An index from 0: written ones count from 1, negative ones back from the last so far.
fn resolve(written: i64, length: usize) -> Result<u32, Damage> {
    let index = match written {
        1.. => Some(written - 1),
        0 => None,
        _ => i64::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(written)),
    };
    index
        .and_then(|index| u32::try_from(index).ok())
        .filter(|&index| (index as usize) < length)
        .ok_or(Damage::Index {
            index: written,
            vertices: length,
        })
}

fn numbers<const N: usize>(words: &mut SplitAsciiWhitespace<'_>) -> Option<[f64; N]> {
    let mut numbers = [0.0; N];
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    Some(numbers)
}
