//! 3MF: written in millimetres, Z up, on the ground, with colours at the corners of triangles.
//!
//! Follows the 3MF core specification and its materials extension (colour groups).

use std::collections::HashMap;
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{GENERATOR, SaveError, WriteOptions, image_file, placement::Placement};
use crate::mesh::{Mesh, Welded};

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>
"#;
const RELATIONSHIPS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Target="/3D/3dmodel.model" Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>
"#;

/// The most colours in a group; a finer palette is coarsened, since slicers read it slowly.
const MAX_COLOURS: usize = 1 << 15;

/// Writes a checked mesh, welded: the format demands that a closed object shares its vertices.
pub(super) fn write(
    mesh: &Mesh,
    placement: &Placement,
    options: &WriteOptions,
    out: &mut impl Write,
) -> Result<(), SaveError> {
    let stream = |error: zip::result::ZipError| SaveError::Stream(error.into());
    // Every part bears the format's default date: the same mesh gives the same bytes.
    let part = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .last_modified_time(zip::DateTime::default());
    let mut package = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("[Content_Types].xml", CONTENT_TYPES),
        ("_rels/.rels", RELATIONSHIPS),
    ] {
        package.start_file(name, part).map_err(stream)?;
        package
            .write_all(text.as_bytes())
            .map_err(SaveError::Stream)?;
    }
    package
        .start_file("3D/3dmodel.model", part)
        .map_err(stream)?;
    let mut model = std::io::BufWriter::with_capacity(1 << 16, &mut package);
    write_model(mesh, placement, options, &mut model)
        .and_then(|()| model.flush())
        .map_err(SaveError::Stream)?;
    drop(model);
    let bytes = package.finish().map_err(stream)?.into_inner();
    out.write_all(&bytes).map_err(SaveError::Stream)
}

fn write_model(
    mesh: &Mesh,
    placement: &Placement,
    options: &WriteOptions,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let Welded {
        positions,
        vertex_of: welded,
        ..
    } = placement.welded(mesh);
    let palette = image_file::vertex_colours(mesh).map(|colours| Palette::new(&colours));
    let name = escaped(&options.name);
    write!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <model unit=\"millimeter\" xml:lang=\"en-US\" \
         xmlns=\"http://schemas.microsoft.com/3dmanufacturing/core/2015/02\" \
         xmlns:m=\"http://schemas.microsoft.com/3dmanufacturing/material/2015/02\">\n\
         <metadata name=\"Title\">{name}</metadata>\n\
         <metadata name=\"Application\">{GENERATOR}</metadata>\n<resources>\n"
    )?;
    if let Some(palette) = &palette {
        out.write_all(b"<m:colorgroup id=\"1\">\n")?;
        for [red, green, blue, alpha] in &palette.colours {
            writeln!(
                out,
                "<m:color color=\"#{red:02X}{green:02X}{blue:02X}{alpha:02X}\"/>"
            )?;
        }
        out.write_all(b"</m:colorgroup>\n")?;
    }
    let material = if palette.is_some() {
        " pid=\"1\" pindex=\"0\""
    } else {
        ""
    };
    writeln!(
        out,
        "<object id=\"2\" type=\"model\" name=\"{name}\"{material}><mesh><vertices>"
    )?;
    for [x, y, z] in positions {
        writeln!(out, "<vertex x=\"{x}\" y=\"{y}\" z=\"{z}\"/>")?;
    }
    out.write_all(b"</vertices><triangles>\n")?;
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|index| welded[index as usize]);
        // A triangle must name three distinct vertices; one that lost an edge to welding has no area.
        if a == b || b == c || c == a {
            continue;
        }
        write!(out, "<triangle v1=\"{a}\" v2=\"{b}\" v3=\"{c}\"")?;
        if let Some(palette) = &palette {
            let [p, q, r] = triangle.map(|index| palette.of_vertex[index as usize]);
            if p == q && q == r {
                write!(out, " pid=\"1\" p1=\"{p}\"")?;
            } else {
                write!(out, " pid=\"1\" p1=\"{p}\" p2=\"{q}\" p3=\"{r}\"")?;
            }
        }
        out.write_all(b"/>\n")?;
    }
    out.write_all(
        b"</triangles></mesh></object>\n</resources>\n<build><item objectid=\"2\"/></build>\n</model>\n",
    )
}

/// Distinct colours in order of first use.
struct Palette {
    colours: Vec<[u8; 4]>,
    of_vertex: Vec<u32>,
}

impl Palette {
    fn new(colours: &[[u8; 4]]) -> Self {
        let mut levels = 255.0;
        loop {
            if let Some(palette) = Self::with_levels(colours, levels) {
                return palette;
            }
            levels = f32::floor(levels * 0.75);
        }
    }

    /// The palette with each channel rounded to `levels` steps; none when it has too many colours.
    fn with_levels(colours: &[[u8; 4]], levels: f32) -> Option<Self> {
        let coarse = |channel: u8| {
            ((f32::from(channel) * levels / 255.0).round() * 255.0 / levels).round() as u8
        };
        let mut palette = Self {
            colours: Vec::new(),
            of_vertex: Vec::with_capacity(colours.len()),
        };
        let mut seen = HashMap::new();
        for colour in colours {
            let colour = colour.map(coarse);
            let next = palette.colours.len() as u32;
            let index = *seen.entry(colour).or_insert_with(|| {
                palette.colours.push(colour);
                next
            });
            // One step a channel leaves at most 16 colours, so some number of steps always fits.
            if palette.colours.len() > MAX_COLOURS {
                return None;
            }
            palette.of_vertex.push(index);
        }
        Some(palette)
    }
}

/// Text for an XML attribute or element. Characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            character if character.is_control() => {}
            character => escaped.push(character),
        }
    }
    escaped
}
