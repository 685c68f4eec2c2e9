//! The header of a PLY file.

use crate::formats::Damage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Ascii,
    LittleEndian,
    BigEndian,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
}

impl Scalar {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "char" | "int8" => Self::I8,
            "uchar" | "uint8" => Self::U8,
            "short" | "int16" => Self::I16,
            "ushort" | "uint16" => Self::U16,
            "int" | "int32" => Self::I32,
            "uint" | "uint32" => Self::U32,
            "float" | "float32" => Self::F32,
            "double" | "float64" => Self::F64,
            _ => return None,
        })
    }

    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    /// The type of a list's length; none for a single value.
    pub(super) length: Option<Scalar>,
    pub(super) value: Scalar,
}

#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) count: usize,
    pub(super) properties: Vec<Property>,
}

impl Element {
    /// The fewest bytes one row can take.
    pub(super) fn least_row_bytes(&self, encoding: Encoding) -> usize {
        let least = |property: &Property| match encoding {
            // A digit and what parts it from the next.
            Encoding::Ascii => 2,
            _ => property.length.unwrap_or(property.value).bytes(),
        };
        self.properties.iter().map(least).sum()
    }
}

#[derive(Debug)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    pub(super) elements: Vec<Element>,
    /// Bytes up to the first row.
    pub(super) bytes: usize,
    /// Lines up to the first row.
    pub(super) lines: usize,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Header, Damage> {
    if !bytes.starts_with(b"ply") {
        return Err(Damage::Missing("PLY signature"));
    }
    let mut encoding = None;
    let mut elements: Vec<Element> = Vec::new();
    let mut offset = 0;
    let mut lines = 0;
    loop {
        let rest = &bytes[offset..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(Damage::Truncated("end of header"))?;
        offset += length + 1;
        lines += 1;
        let line = String::from_utf8_lossy(&rest[..length]);
        let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
        let broken = |what| Damage::Line { line: lines, what };
        match words[..] {
            ["format", name, ..] => {
                encoding = Some(match name {
                    "ascii" => Encoding::Ascii,
                    "binary_little_endian" => Encoding::LittleEndian,
                    "binary_big_endian" => Encoding::BigEndian,
                    _ => return Err(broken("the format")),
                });
            }
            ["element", name, count] => elements.push(Element {
                name: name.to_owned(),
                count: count
                    .parse()
                    .map_err(|_error| broken("the element's count"))?,
                properties: Vec::new(),
            }),
            ["property", ref property @ ..] => {
                let property = parse_property(property).ok_or_else(|| broken("the property"))?;
                elements
                    .last_mut()
                    .ok_or_else(|| broken("the property's element"))?
                    .properties
                    .push(property);
            }
            ["end_header"] => break,
            ["element", ..] => return Err(broken("the element")),
            _ => {}
        }
    }
    let encoding = encoding.ok_or(Damage::Missing("format line"))?;
    Ok(Header {
        encoding,
        elements,
        bytes: offset,
        lines,
    })
}

fn parse_property(words: &[&str]) -> Option<Property> {
    let (length, value, name) = match *words {
        ["list", length, value, name] => (Some(Scalar::from_name(length)?), value, name),
        [value, name] => (None, value, name),
        _ => return None,
    };
    Some(Property {
        name: name.to_owned(),
        length,
        value: Scalar::from_name(value)?,
    })
}
