//! Reading GLB: every triangle of the default scene, as one mesh.

use std::sync::Arc;

use glam::{DMat3, DMat4, DQuat, DVec3};

use super::buffers::{self, Buffers};
use super::container::{CHUNK_BIN, CHUNK_JSON, MAGIC, VERSION};
use super::document::{Document, Node, Primitive};
use super::write::linear_from_srgb;
use crate::formats::{Damage, Format, Loaded, ReadError, image_file};
use crate::mesh::{Mesh, Texture};

/// Extensions that change nothing a mesh here holds, or that are read.
const HARMLESS: [&str; 3] = [
    "KHR_mesh_quantization",
    "KHR_materials_",
    "KHR_lights_punctual",
];
/// Bytes of geometry that each byte of the file may unfold to, since nodes may share meshes …
const MAX_UNFOLDING: usize = 64;
/// … and what any file may.
const FREE_UNFOLDING_BYTES: usize = 1 << 20;
const TRIANGLES: u32 = 4;
const TRIANGLE_STRIP: u32 = 5;
const TRIANGLE_FAN: u32 = 6;

/// Reads the default scene, or the first, or all nodes when there is no scene.
pub(in crate::formats) fn read(
    bytes: &[u8],
    companions: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Loaded, ReadError> {
    let damaged = |damage| ReadError::Damaged {
        format: Format::Glb,
        damage,
    };
    let (json, binary) = chunks(bytes).map_err(damaged)?;
    let document: Document = serde_json::from_slice(json).map_err(|e| damaged(Damage::Json(e)))?;
    let harmless = |name: &&String| !HARMLESS.iter().any(|known| name.starts_with(known));
    if let Some(extension) = document.extensions_required.iter().find(harmless) {
        return Err(ReadError::Unsupported {
            format: Format::Glb,
            feature: format!("the extension {extension}"),
        });
    }
    if document
        .accessors
        .iter()
        .any(|accessor| accessor.sparse.is_some())
    {
        return Err(ReadError::Unsupported {
            format: Format::Glb,
            feature: "sparse accessors".to_owned(),
        });
    }
    if !document.asset.version.starts_with("2.") {
        return Err(damaged(Damage::Invalid("glTF version")));
    }
    read_document(&document, bytes.len(), binary, companions).map_err(damaged)
}

fn read_document(
    document: &Document,
    file_bytes: usize,
    binary: Option<&[u8]>,
    companions: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Loaded, Damage> {
    let buffers = Buffers::new(document, binary, companions)?;
    let mut unfolding = Unfolding {
        document,
        buffers: &buffers,
        mesh: Mesh::default(),
        parts: Vec::new(),
        warnings: Vec::new(),
        budget: file_bytes
            .saturating_mul(MAX_UNFOLDING)
            .saturating_add(FREE_UNFOLDING_BYTES),
    };
    for (node, world_from_node) in nodes(document)? {
        if let Some(mesh) = node.mesh {
            let mesh = document
                .meshes
                .get(mesh)
                .ok_or(Damage::Missing("mesh of a node"))?;
            for primitive in &mesh.primitives {
                unfolding.primitive(primitive, world_from_node)?;
            }
        }
    }
    let (mesh, warnings) = unfolding.finish(companions);
    let extras = document.asset.extras.as_ref();
    Ok(Loaded {
        mesh,
        mm_per_unit: 1000.0,
        settings: extras.and_then(|extras| extras.get("orfeas")).cloned(),
        warnings,
    })
}

/// The JSON chunk and the binary chunk.
fn chunks(bytes: &[u8]) -> Result<(&[u8], Option<&[u8]>), Damage> {
    let word = |offset: usize| {
        let word = bytes.get(offset..offset.checked_add(4)?)?;
        Some(u32::from_le_bytes(word.try_into().ok()?))
    };
    if !bytes.starts_with(MAGIC) {
        return Err(Damage::Missing("glTF signature"));
    }
    if word(4) != Some(VERSION) {
        return Err(Damage::Invalid("glTF version"));
    }
    let length = word(8).ok_or(Damage::Truncated("header"))? as usize;
    if length > bytes.len() {
        return Err(Damage::Truncated("last chunk"));
    }
    let (mut json, mut binary) = (None, None);
    let mut offset = 12;
    while let (Some(size), Some(kind)) = (word(offset), word(offset + 4)) {
        let start = offset + 8;
        let end = start
            .checked_add(size as usize)
            .filter(|&end| end <= length);
        let chunk = &bytes[start..end.ok_or(Damage::Truncated("last chunk"))?];
        match kind {
            CHUNK_JSON if json.is_none() => json = Some(chunk),
            CHUNK_BIN if binary.is_none() => binary = Some(chunk),
            _ => {}
        }
        offset = start + chunk.len();
        if offset >= length {
            break;
        }
    }
    Ok((json.ok_or(Damage::Missing("JSON chunk"))?, binary))
}

/// The nodes of the scene with their transforms, parents first. glTF demands that they form trees, so
/// a node reached twice is an error, and the walk ends.
fn nodes(document: &Document) -> Result<Vec<(&Node, DMat4)>, Damage> {
    let mut pending: Vec<(usize, DMat4)> = match document.scenes.get(document.scene.unwrap_or(0)) {
        Some(scene) => scene
            .nodes
            .iter()
            .rev()
            .map(|&node| (node, DMat4::IDENTITY))
            .collect(),
        None if document.scenes.is_empty() => {
            let mut child = vec![false; document.nodes.len()];
            for &index in document.nodes.iter().flat_map(|node| &node.children) {
                *child.get_mut(index).ok_or(Damage::Missing("child node"))? = true;
            }
            let roots = (0..child.len()).rev().filter(|&node| !child[node]);
            roots.map(|node| (node, DMat4::IDENTITY)).collect()
        }
        None => return Err(Damage::Missing("default scene")),
    };
    let mut reached = vec![false; document.nodes.len()];
    let mut found = Vec::new();
    while let Some((index, world_from_parent)) = pending.pop() {
        let node = document.nodes.get(index).ok_or(Damage::Missing("node"))?;
        if std::mem::replace(&mut reached[index], true) {
            return Err(Damage::NodeReachedTwice(index));
        }
        let world_from_node = world_from_parent * transform(node);
        pending.extend(
            node.children
                .iter()
                .rev()
                .map(|&child| (child, world_from_node)),
        );
        found.push((node, world_from_node));
    }
    Ok(found)
}

fn transform(node: &Node) -> DMat4 {
    if let Some(matrix) = &node.matrix {
        return DMat4::from_cols_array(matrix);
    }
    let [x, y, z, w] = node.rotation.unwrap_or([0.0, 0.0, 0.0, 1.0]);
    DMat4::from_scale_rotation_translation(
        DVec3::from(node.scale.unwrap_or([1.0; 3])),
        DQuat::from_xyzw(x, y, z, w),
        DVec3::from(node.translation.unwrap_or([0.0; 3])),
    )
}

/// What one primitive has added to the mesh.
struct Part {
    first_vertex: usize,
    vertices: usize,
    image: Option<usize>,
    has_normals: bool,
    has_uvs: bool,
    has_colours: bool,
}

/// The scene on its way to becoming one mesh. Attributes that a primitive lacks are filled in, and
/// dropped at the end where no primitive had them.
struct Unfolding<'a> {
    document: &'a Document,
    buffers: &'a Buffers<'a>,
    mesh: Mesh,
    parts: Vec<Part>,
    warnings: Vec<String>,
    /// Bytes of geometry that may still be added.
    budget: usize,
}

impl Unfolding<'_> {
    fn primitive(&mut self, primitive: &Primitive, world_from_mesh: DMat4) -> Result<(), Damage> {
        if !(TRIANGLES..=TRIANGLE_FAN).contains(&primitive.mode) {
            self.warn("points and lines were left out");
            return Ok(());
        }
        let attributes = &primitive.attributes;
        let Some(position) = attributes.position else {
            self.warn("a part without positions was left out");
            return Ok(());
        };
        let positions = self
            .buffers
            .accessor(position)?
            .expect(3, "POSITION accessor")?;
        let vertices = positions.count();
        let first_vertex = self.mesh.positions.len();
        // Positions, normals, texture coordinates, colours.
        self.spend(vertices, 12 + 12 + 8 + 4)?;
        if first_vertex + vertices > u32::MAX as usize {
            return Err(Damage::TooMuchGeometry);
        }
        let identity = world_from_mesh == DMat4::IDENTITY;
        self.mesh
            .positions
            .extend(positions.vectors(0.0).map(|position: [f64; 3]| {
                let world = if identity {
                    position
                } else {
                    world_from_mesh
                        .transform_point3(DVec3::from(position))
                        .to_array()
                };
                world.map(|c| c as f32)
            }));
        self.triangles(
            primitive,
            first_vertex,
            vertices,
            world_from_mesh.determinant() < 0.0,
        )?;
        self.normals(attributes.normal, vertices, world_from_mesh)?;
        self.uvs(attributes.uv, vertices)?;
        self.colours(attributes.colour, vertices)?;
        self.parts.push(Part {
            first_vertex,
            vertices,
            image: self.image(primitive),
            has_normals: attributes.normal.is_some(),
            has_uvs: attributes.uv.is_some(),
            has_colours: attributes.colour.is_some(),
        });
        Ok(())
    }

    fn spend(&mut self, count: usize, bytes_each: usize) -> Result<(), Damage> {
        let bytes = count.checked_mul(bytes_each);
        let left = bytes.and_then(|bytes| self.budget.checked_sub(bytes));
        self.budget = left.ok_or(Damage::TooMuchGeometry)?;
        Ok(())
    }

    fn warn(&mut self, warning: &str) {
        if !self.warnings.iter().any(|known| known == warning) {
            self.warnings.push(warning.to_owned());
        }
    }

    fn triangles(
        &mut self,
        primitive: &Primitive,
        first_vertex: usize,
        vertices: usize,
        mirrored: bool,
    ) -> Result<(), Damage> {
        let indices: Vec<u32> = match primitive.indices {
            Some(index) => {
                let elements = self.buffers.accessor(index)?;
                self.spend(elements.count(), 4)?;
                let indices = elements
                    .indices()
                    .ok_or(Damage::Invalid("indices accessor"))?;
                indices.collect()
            }
            None => {
                self.spend(vertices, 4)?;
                (0..vertices as u32).collect()
            }
        };
        if let Some(&index) = indices.iter().find(|&&index| index as usize >= vertices) {
            return Err(Damage::Index {
                index: index.into(),
                vertices,
            });
        }
        self.spend(indices.len(), 12)?;
        let first = first_vertex as u32;
        let mut add = |[a, b, c]: [u32; 3]| {
            let (b, c) = if mirrored { (c, b) } else { (b, c) };
            self.mesh.triangles.push([a + first, b + first, c + first]);
        };
        match primitive.mode {
            TRIANGLE_STRIP => {
                for (number, strip) in indices.windows(3).enumerate() {
                    let odd = number % 2;
                    add([strip[0], strip[1 + odd], strip[2 - odd]]);
                }
            }
            TRIANGLE_FAN => crate::formats::read::fan(&indices).for_each(add),
            _ if !indices.len().is_multiple_of(3) => {
                return Err(Damage::Invalid("number of indices"));
            }
            _ => indices.as_chunks::<3>().0.iter().copied().for_each(add),
        }
        Ok(())
    }

    fn normals(
        &mut self,
        accessor: Option<usize>,
        vertices: usize,
        world_from_mesh: DMat4,
    ) -> Result<(), Damage> {
        let Some(accessor) = accessor else {
            self.mesh
                .normals
                .resize(self.mesh.positions.len(), [0.0; 3]);
            return Ok(());
        };
        let normals = self
            .buffers
            .accessor(accessor)?
            .expect(3, "NORMAL accessor")?;
        if normals.count() != vertices {
            return Err(Damage::Invalid("NORMAL accessor"));
        }
        let linear = DMat3::from_mat4(world_from_mesh);
        let identity = linear == DMat3::IDENTITY;
        // The cofactors are the inverse transpose up to a factor, and exist for flattened parts too.
        let [x, y, z] = [linear.x_axis, linear.y_axis, linear.z_axis];
        let sign = if linear.determinant() < 0.0 {
            -1.0
        } else {
            1.0
        };
        let cofactors = DMat3::from_cols(y.cross(z), z.cross(x), x.cross(y)) * sign;
        self.mesh
            .normals
            .extend(normals.vectors(0.0).map(|normal: [f64; 3]| {
                let world = if identity {
                    normal
                } else {
                    (cofactors * DVec3::from(normal))
                        .normalize_or_zero()
                        .to_array()
                };
                world.map(|c| c as f32)
            }));
        Ok(())
    }

    fn uvs(&mut self, accessor: Option<usize>, vertices: usize) -> Result<(), Damage> {
        if let Some(accessor) = accessor {
            let uvs = self
                .buffers
                .accessor(accessor)?
                .expect(2, "TEXCOORD_0 accessor")?;
            if uvs.count() != vertices {
                return Err(Damage::Invalid("TEXCOORD_0 accessor"));
            }
            self.mesh
                .uvs
                .extend(uvs.vectors(0.0).map(|uv: [f64; 2]| uv.map(|c| c as f32)));
        }
        self.mesh.uvs.resize(self.mesh.positions.len(), [0.0; 2]);
        Ok(())
    }

    fn colours(&mut self, accessor: Option<usize>, vertices: usize) -> Result<(), Damage> {
        if let Some(accessor) = accessor {
            let colours = self.buffers.accessor(accessor)?;
            if colours.count() != vertices || !(3..=4).contains(&colours.components()) {
                return Err(Damage::Invalid("COLOR_0 accessor"));
            }
            let encoder = SrgbEncoder::new();
            self.mesh
                .colours
                .extend(colours.vectors(1.0).map(|[red, green, blue, alpha]| {
                    let [red, green, blue] = [red, green, blue].map(|c| encoder.level(c));
                    [red, green, blue, (alpha * 255.0).round() as u8]
                }));
        }
        self.mesh
            .colours
            .resize(self.mesh.positions.len(), [255; 4]);
        Ok(())
    }

    /// The image of a primitive's base colour.
    fn image(&self, primitive: &Primitive) -> Option<usize> {
        let material = self.document.materials.get(primitive.material?)?;
        let reference = material
            .pbr_metallic_roughness
            .base_color_texture
            .as_ref()?;
        let texture = self.document.textures.get(reference.index)?;
        texture
            .source
            .filter(|_| reference.tex_coord == 0 && primitive.attributes.uv.is_some())
    }

    fn finish(mut self, companions: &dyn Fn(&str) -> Option<Vec<u8>>) -> (Mesh, Vec<String>) {
        let mut images: Vec<usize> = self.parts.iter().filter_map(|part| part.image).collect();
        images.sort_unstable();
        images.dedup();
        let covers_all = self.parts.iter().all(|part| part.image.is_some());
        let texture = match images[..] {
            [image] => self.decode(image, companions),
            [] => None,
            _ => {
                self.warn("the mesh has several textures; none is used");
                None
            }
        };
        let mut baked = false;
        match texture {
            Some(texture) if covers_all => self.mesh.texture = Some(Arc::new(texture)),
            Some(texture) => {
                self.bake(&texture);
                baked = true;
            }
            None => {}
        }
        let Self {
            mut mesh,
            parts,
            warnings,
            ..
        } = self;
        // Normals made up for a part would be wrong; colours and coordinates are neutral.
        if !parts.iter().all(|part| part.has_normals) {
            mesh.normals.clear();
        }
        if !parts.iter().any(|part| part.has_uvs) {
            mesh.uvs.clear();
        }
        let coloured = baked || parts.iter().any(|part| part.has_colours);
        if !coloured {
            mesh.colours.clear();
        }
        (mesh, warnings)
    }

    fn decode(
        &mut self,
        image: usize,
        companions: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Option<Texture> {
        let decoded = match self.document.images.get(image) {
            None => Err(Damage::Missing("image of a texture")),
            Some(image) => match (image.buffer_view, &image.uri) {
                (Some(view), _) => self
                    .buffers
                    .view(view)
                    .and_then(|(bytes, _)| image_file::decode(bytes)),
                (None, Some(uri)) => {
                    buffers::resolve(uri, companions).and_then(|bytes| image_file::decode(&bytes))
                }
                (None, None) => Err(Damage::Missing("image of a texture")),
            },
        };
        // The shape is whole without its texture.
        decoded
            .map_err(|damage| self.warn(&format!("the texture was left out: {damage}")))
            .ok()
    }

    /// Moves a texture that covers only parts of the mesh into vertex colours.
    fn bake(&mut self, texture: &Texture) {
        for part in self.parts.iter().filter(|part| part.image.is_some()) {
            for vertex in part.first_vertex..part.first_vertex + part.vertices {
                let uv = self.mesh.uvs[vertex].map(|c| if c.is_finite() { c } else { 0.0 });
                let [red, green, blue] = texture.sample(uv);
                self.mesh.colours[vertex] = [red, green, blue, 255];
            }
        }
    }
}

/// Linear light to the nearest 8-bit sRGB level.
struct SrgbEncoder {
    /// The linear value halfway, in sRGB, between a level and the next.
    thresholds: [f64; 255],
}

impl SrgbEncoder {
    fn new() -> Self {
        let halfway = |level: usize| linear_from_srgb((level as f64 + 0.5) / 255.0);
        Self {
            thresholds: std::array::from_fn(halfway),
        }
    }

    fn level(&self, linear: f64) -> u8 {
        self.thresholds
            .partition_point(|&threshold| threshold < linear) as u8
    }
}
