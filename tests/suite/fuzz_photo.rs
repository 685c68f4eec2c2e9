//! The image reader on mutated files: no panic, and no allocation beyond its limit.
//!
//! Deterministic. `ORFEAS_FUZZ_ITERATIONS` sets the number of iterations of each reader, and
//! `ORFEAS_FUZZ_FROM` the first; a failure prints the `ORFEAS_FUZZ_SEED` that runs its one iteration again.
//! What ends the whole process prints nothing: `ORFEAS_FUZZ_TRACE=FILE` holds the seed that is being run.
//!
//! The changes are made beneath what would only be refused at the door: within the chunks of a PNG or WebP,
//! beneath their compression, in the text of a drawing. The renderer of drawings may panic within its
//! containment, for its assertions are beyond reach; every other decoder may not at all.

use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use orfeas::photo::decode::Format;
use orfeas::photo::{DecodeError, Limits, decode};

use crate::decode::seeds;
use crate::random::Random;

const DEFAULT_ITERATIONS: u64 = 250;
const LIMIT_BYTES: u64 = 64 << 20;

const INTERESTING: [u32; 16] = [
    0,
    1,
    2,
    15,
    16,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x3fff,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
];

/// Pieces of drawings that mean something to the renderer.
const PIECES: [&str; 32] = [
    "<style>*{fill:url(#p);marker:url(#k)}</style>",
    "<style>g,svg{stroke:url(#p);mask:url(#m);filter:url(#f)}</style>",
    "<pattern id='p' width='9' height='9'><use href='#u'/><rect width='9' height='9'/></pattern>",
    "<marker id='k'><use href='#s'/><path d='M0 0h9v9h9'/></marker>",
    "<mask id='m'><use href='#u'/></mask><clipPath id='c'><use href='#s'/></clipPath>",
    "<symbol id='s'><use href='#u'/></symbol><filter id='f'><feImage href='#u'/></filter>",
    " style='fill:url(#p);marker-mid:url(#k)'",
    " marker-end='url(#k)' id='u'",
    "<g opacity='.5'>",
    "</g>",
    "<use href='#s'/>",
    "<use href='#u' id='u'/>",
    "<g id='s'><use href='#s'/></g>",
    " filter='url(#f)'",
    " mask='url(#m)'",
    " clip-path='url(#c)'",
    " fill='url(#p)'",
    " stroke-dasharray='.0001'",
    " stroke='red' stroke-width='1e9'",
    " transform='scale(1e6)'",
    " transform='matrix(0 0 0 0 0 0)'",
    " transform='rotate(45) skewX(89.99)'",
    " width='1e30'",
    " height='0'",
    " viewBox='0 0 1e-9 1e9'",
    "<feMorphology radius='1e5'/>",
    "<feTurbulence baseFrequency='.1' numOctaves='1000000'/>",
    "<feConvolveMatrix order='3' kernelMatrix='1 1 1 1 1 1 1 1 1'/>",
    "<feGaussianBlur stdDeviation='1e6'/>",
    "<feTile/><feImage href='#s'/>",
    "<path d='M0 0A1e9 1 0 1 1 9 9C1e30 0 0 1e30 1 1z'/>",
    "<image href='data:image/png;base64,iVBORw0KGgo=' width='9' height='9'/>",
];

/// Changes bytes at random; `spared` bytes at the beginning mostly stay as they are.
fn mutate_bytes(
    file: &mut Vec<u8>,
    others: &[(&'static str, Vec<u8>)],
    spared: usize,
    random: &mut Random,
) {
    for _ in 0..=random.below(4) {
        let spared = if random.chance(97) { spared } else { 0 };
        let Some(open) = file.len().checked_sub(spared + 1) else {
            return;
        };
        // Headers decide most.
        let reach = if random.chance(50) {
            open.min(80)
        } else {
            open
        };
        let at = spared + random.below(reach + 1);
        match random.below(100) {
            0..25 => file[at] ^= 1 << random.below(8),
            25..45 => file[at] = random.next() as u8,
            45..75 => {
                let value = INTERESTING[random.below(INTERESTING.len())];
                let (size, big) = ([1, 2, 4][random.below(3)], random.chance(50));
                let bytes = if big {
                    value.to_be_bytes()
                } else {
                    value.to_le_bytes()
                };
                for (offset, byte) in (at..file.len()).zip(0..size) {
                    file[offset] = bytes[if big { 4 - size + byte } else { byte }];
                }
            }
            75..78 => file.truncate(at),
            78..82 => {
                let end = (at + random.below(32)).min(file.len());
                file.drain(at..end);
            }
            82..88 => {
                let end = (at + random.below(64)).min(file.len());
                let copy = file[at..end].to_vec();
                let to = spared + random.below(file.len() - spared);
                file.splice(to..to, copy);
            }
            // A stretch of another file, laid over or put between.
            _ => {
                let other = &others[random.below(others.len())].1;
                let from = random.below(other.len());
                let end = (from + random.below(128)).min(other.len());
                let until = if random.chance(30) {
                    at
                } else {
                    (at + end - from).min(file.len())
                };
                file.splice(at..until, other[from..end].iter().copied());
            }
        }
    }
}

/// Changes a drawing as text: values, repeated stretches, pieces with a meaning.
fn mutate_drawing(file: &mut Vec<u8>, random: &mut Random) {
    const VALUES: [&str; 12] = [
        "0", "-1", "1e9", "1e-9", "1e38", "100%", "none", "url(#p)", "#s", "#u", "NaN", "inherit",
    ];
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            return;
        }
        let start = random.below(file.len());
        let after = |from: usize, mark: u8| {
            let found = file[from..].iter().position(|byte| *byte == mark);
            found.map_or(file.len(), |found| from + found + 1)
        };
        match random.below(10) {
            // After an element.
            0..3 => {
                let at = after(start, b'>');
                file.splice(at..at, PIECES[random.below(PIECES.len())].bytes());
            }
            // Among the attributes.
            3..5 => {
                let at = after(start, b'"');
                file.splice(at..at, PIECES[random.below(PIECES.len())].bytes());
            }
            // In place of an attribute's value.
            5..8 => {
                let at = after(after(start, b'='), b'"').min(file.len());
                let end = after(at, b'"').saturating_sub(1).max(at);
                file.splice(at..end, VALUES[random.below(VALUES.len())].bytes());
            }
            8 => {
                let (from, end) = (after(start, b'>'), after(after(start, b'>'), b'>'));
                let (copy, to) = (
                    file[from..end].to_vec(),
                    after(random.below(file.len()), b'>'),
                );
                file.splice(to..to, copy);
            }
            _ => file[start] = random.next() as u8,
        }
    }
}

/// The chunks of a PNG or WebP: kind and content.
type Chunks = Vec<([u8; 4], Vec<u8>)>;

fn png_chunks(file: &[u8]) -> Chunks {
    let mut chunks = Vec::new();
    let mut rest = &file[8..];
    while let [a, b, c, d, kind @ ..] = rest
        && kind.len() >= 8
    {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (kind, body) = kind.split_at(4);
        chunks.push((
            kind.try_into().expect("four bytes"),
            body[..length].to_vec(),
        ));
        rest = &body[length + 4..];
    }
    chunks
}

fn write_png(chunks: &Chunks) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in chunks {
        let mut checksum = flate2::Crc::new();
        checksum.update(kind);
        checksum.update(content);
        file.extend((content.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(content);
        file.extend(checksum.sum().to_be_bytes());
    }
    file
}

fn webp_chunks(file: &[u8]) -> Chunks {
    let mut chunks = Vec::new();
    let mut rest = &file[12..];
    while let Some((header, body)) = rest.split_at_checked(8) {
        let size = u32::from_le_bytes(header[4..].try_into().expect("four bytes")) as usize;
        chunks.push((
            header[..4].try_into().expect("four bytes"),
            body[..size].to_vec(),
        ));
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    chunks
}

fn write_webp(chunks: &Chunks) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    for (kind, content) in chunks {
        file.extend(kind);
        file.extend((content.len() as u32).to_le_bytes());
        file.extend(content);
        file.resize(file.len() + content.len() % 2, 0);
    }
    let size = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

fn mutate_chunks(chunks: &mut Chunks, others: &[(&'static str, Vec<u8>)], random: &mut Random) {
    for _ in 0..=random.below(2) {
        let at = random.below(chunks.len());
        match random.below(20) {
            0 => drop(chunks.remove(at)),
            1 => chunks.insert(random.below(chunks.len()), chunks[at].clone()),
            2 => chunks.swap(at, 0),
            _ => mutate_content(&mut chunks[at], others, random),
        }
        if chunks.is_empty() {
            return;
        }
    }
}

fn mutate_content(
    (kind, content): &mut ([u8; 4], Vec<u8>),
    others: &[(&'static str, Vec<u8>)],
    random: &mut Random,
) {
    // What is compressed is also changed beneath the compression.
    let packed = match &*kind {
        b"IDAT" => Some(0),
        b"iCCP" => content
            .iter()
            .position(|byte| *byte == 0)
            .map(|name| name + 2),
        _ => None,
    };
    let unpacked = packed.filter(|_| random.chance(60)).and_then(|from| {
        let mut unpacked = Vec::new();
        let stream = content.get(from..)?;
        flate2::read::ZlibDecoder::new(stream)
            .read_to_end(&mut unpacked)
            .ok()?;
        Some((from, unpacked))
    });
    let Some((from, mut unpacked)) = unpacked else {
        return mutate_bytes(content, others, 0, random);
    };
    mutate_bytes(&mut unpacked, others, 0, random);
    content.truncate(from);
    let mut encoder = flate2::write::ZlibEncoder::new(content, Compression::fast());
    encoder.write_all(&unpacked).expect("a vector takes all");
    encoder.finish().expect("a vector takes all");
}

/// Changes a file so that the change gets past the outermost checks of its format, mostly.
fn mutate(file: &[u8], others: &[(&'static str, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut file = file.to_vec();
    let raw = random.chance(10);
    match file.first_chunk::<4>() {
        Some(b"\x89PNG") if !raw => {
            let mut chunks = png_chunks(&file);
            mutate_chunks(&mut chunks, others, random);
            return write_png(&chunks);
        }
        Some(b"RIFF") if !raw => {
            let mut chunks = webp_chunks(&file);
            mutate_chunks(&mut chunks, others, random);
            return write_webp(&chunks);
        }
        Some([0x1f, 0x8b, ..]) if !raw => {
            let mut text = Vec::new();
            GzDecoder::new(file.as_slice())
                .read_to_end(&mut text)
                .expect("a seed");
            mutate_drawing(&mut text, random);
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&text).expect("a vector takes all");
            return encoder.finish().expect("a vector takes all");
        }
        Some([b'<', ..]) if !raw => {
            mutate_drawing(&mut file, random);
            return file;
        }
        _ => {}
    }
    let is_jpeg = file.starts_with(b"\xff\xd8");
    let is_gif = file.starts_with(b"GIF");
    // Marks of a format, which decide whether it is read at all.
    mutate_bytes(&mut file, others, if is_jpeg { 4 } else { 6 }, random);
    if is_jpeg && random.chance(90) {
        file.extend(b"\xff\xd9");
    }
    if is_gif && random.chance(90) {
        file.extend(b"\0\x3b");
    }
    file
}

/// Mutates one of the reader's files, with pieces of any other, and reads it.
fn iteration(
    seed: u64,
    files: &[&(&'static str, Vec<u8>)],
    seeds: &[(&'static str, Vec<u8>)],
) -> Result<(), String> {
    let mut random = Random(seed);
    let (name, file) = random.pick(files);
    let file = mutate(file, seeds, &mut random);
    let limits = Limits {
        // Small sides are as interesting as others here.
        min_side_px: 1,
        max_decoder_bytes: LIMIT_BYTES,
        ..Limits::default()
    };
    let mut outcome = Ok(Ok(()));
    let allocated = allocation_counter::measure(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| check(&file, &limits)));
    });
    match outcome {
        Err(_) => return Err(format!("{name}: panicked")),
        Ok(Err(error)) => return Err(format!("{name}: {error}")),
        Ok(Ok(())) => {}
    }
    if allocated.bytes_max > LIMIT_BYTES {
        return Err(format!(
            "{name}: {} bytes allocated at once",
            allocated.bytes_max
        ));
    }
    Ok(())
}

fn check(file: &[u8], limits: &Limits) -> Result<(), String> {
    match decode(file, limits) {
        Ok(photo) if photo.pixels.len() == photo.width * photo.height && photo.width > 0 => Ok(()),
        Ok(photo) => Err(format!(
            "{} pixels of {} × {}",
            photo.pixels.len(),
            photo.width,
            photo.height
        )),
        // The renderer of drawings asserts what extreme coordinates break; no other decoder may.
        Err(DecodeError::DecoderFailed { format }) if format != Format::Svg => {
            Err("a contained panic".to_owned())
        }
        Err(DecodeError::Empty) if !file.is_empty() => Err("taken for empty".to_owned()),
        Err(_) => Ok(()),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
    )
}

/// Whether a seed is for the reader of `format`, by how its name ends: `cmyk tiff` is for that of TIFF.
fn is_for(format: Format, name: &str) -> bool {
    let kind = name.split(" with ").next().unwrap_or(name);
    let kind = kind.split(" of ").next().unwrap_or(kind);
    let kind = kind.rsplit(' ').next().unwrap_or(kind);
    match format {
        Format::Svg => kind == "svg" || kind == "svgz",
        format => kind == format.to_string().to_lowercase(),
    }
}

fn fuzz(format: Format) {
    let seeds = seeds();
    let files: Vec<_> = seeds
        .iter()
        .filter(|(name, _)| is_for(format, name))
        .collect();
    assert!(!files.is_empty(), "no seeds for {format}");
    if let Some(seed) = number("ORFEAS_FUZZ_SEED") {
        iteration(seed, &files, &seeds).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let iterations = number("ORFEAS_FUZZ_ITERATIONS").unwrap_or(DEFAULT_ITERATIONS);
    let mut failures = Vec::new();
    let mut trace = std::env::var_os("ORFEAS_FUZZ_TRACE")
        .map(|path| std::fs::File::create(path).expect("a writable file for the trace"));
    for seed in number("ORFEAS_FUZZ_FROM").unwrap_or(0)..iterations {
        if let Some(trace) = &mut trace {
            trace.rewind().expect("a regular file");
            write!(trace, "{seed:8}").expect("a writable file");
        }
        if seed > 0 && seed % 50_000 == 0 {
            eprintln!(
                "{format}: {seed} of {iterations}, {} failures",
                failures.len()
            );
        }
        if let Err(failure) = iteration(seed, &files, &seeds) {
            failures.push(format!("ORFEAS_FUZZ_SEED={seed}: {failure}"));
            if failures.len() == 20 {
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn png_reader_withstands_mutations() {
    fuzz(Format::Png);
}

#[test]
fn jpeg_reader_withstands_mutations() {
    fuzz(Format::Jpeg);
}

#[test]
fn webp_reader_withstands_mutations() {
    fuzz(Format::WebP);
}

#[test]
fn bmp_reader_withstands_mutations() {
    fuzz(Format::Bmp);
}

#[test]
fn gif_reader_withstands_mutations() {
    fuzz(Format::Gif);
}

#[test]
fn tiff_reader_withstands_mutations() {
    fuzz(Format::Tiff);
}

#[test]
fn svg_reader_withstands_mutations() {
    fuzz(Format::Svg);
}

/// Its decoder unpacks the indices into a buffer of their own.
#[test]
fn a_gif_counts_its_indices_towards_its_memory() {
    const SIDE: u32 = 2000;
    let mut file = Vec::new();
    image::codecs::gif::GifEncoder::new(&mut file)
        .encode(
            &vec![200; (3 * SIDE * SIDE) as usize],
            SIDE,
            SIDE,
            image::ExtendedColorType::Rgb8,
        )
        .expect("a picture of one colour");
    let mut read = 0;
    for limit in (16_000_000..24_000_000).step_by(1_000_000) {
        let limits = Limits {
            max_decoder_bytes: limit,
            ..Limits::default()
        };
        let mut outcome = false;
        let allocated = allocation_counter::measure(|| outcome = decode(&file, &limits).is_ok());
        assert!(
            allocated.bytes_max <= limit,
            "{} bytes of {limit}",
            allocated.bytes_max
        );
        read += usize::from(outcome);
    }
    assert!((1..8).contains(&read), "{read} limits sufficed");
}

/// Runs of the fuzzer that found a frame larger than its canvas, decoded whole before it was refused.
#[test]
fn a_webp_frame_beyond_its_canvas_counts_towards_its_memory() {
    let seeds = seeds();
    let files: Vec<_> = seeds
        .iter()
        .filter(|(name, _)| is_for(Format::WebP, name))
        .collect();
    for seed in [529, 8204, 42187, 76132] {
        iteration(seed, &files, &seeds).unwrap_or_else(|failure| panic!("{seed}: {failure}"));
    }
}

/// The renderer outlines every dash before it draws the first; found by run 543,375.
#[test]
fn dashes_count_towards_the_memory_of_a_drawing() {
    for cap in ["butt", "round", "square"] {
        for drawing in [
            "<rect width='30' height='30' stroke-dasharray='.0001'/>",
            "<path d='M0 0L9 9 0 1 9 0Q5 5 9 9C1 2 3 9 0 9z' stroke-dasharray='.0001 .0003 .0001'/>",
        ] {
            let drawing = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 100' stroke='#123' \
                 stroke-linecap='{cap}'>{drawing}</svg>"
            );
            let limits = Limits {
                max_decoder_bytes: LIMIT_BYTES,
                ..Limits::default()
            };
            let allocated = allocation_counter::measure(|| {
                // Drawn or refused: either will do.
                drop(decode(drawing.as_bytes(), &limits));
            });
            assert!(
                allocated.bytes_max <= LIMIT_BYTES,
                "{drawing}: {}",
                allocated.bytes_max
            );
        }
    }
}

/// The renderer panics on it, and again in a destructor while it unwinds, which nothing can contain.
#[test]
fn a_stroke_beyond_all_bounds_is_refused_before_it_is_drawn() {
    let drawing = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 100'>\
         <rect width='60' height='60' fill='#888' stroke='red' stroke-width='1e9'/></svg>";
    let refused = decode(drawing.as_bytes(), &Limits::default());
    assert!(
        matches!(refused, Err(DecodeError::TooComplex { .. })),
        "{refused:?}"
    );
}

/// The converter follows them until the stack is full.
#[test]
fn what_is_made_of_itself_is_refused() {
    let filter = "<filter id='f'><feImage href='#u'/></filter>";
    for drawing in [
        "<g id='u'>FILTER<ellipse rx='9' ry='5' filter='url(#f)'/></g>",
        // Attached by a style sheet, quoted in whatever way.
        "FILTER<style>ellipse{filter:url( '#f' )}</style><g id='u'><ellipse rx='9' ry='5'/></g>",
        // Through a mask and a pattern.
        "<mask id='m'><rect width='9' height='9' fill='url(#p)'/></mask><pattern id='p' width='1' \
         height='1'><rect width='9' height='9' mask='url(#m)'/></pattern><rect width='60' \
         height='60' fill='url(#p)'/>",
        // Through a mask and a pattern that a style sheet attaches.
        "<style>rect{fill:url(#p)}</style><mask id='m'><rect width='9' height='9'/></mask>\
         <pattern id='p' width='1' height='1'><circle r='9' mask='url(#m)'/></pattern>\
         <rect width='60' height='60'/>",
        // Attached by what is around it.
        "<g filter='url(#f)'>FILTER<g id='u' filter='inherit'><ellipse rx='9' ry='5'/></g></g>",
    ] {
        let drawing = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 100'>{}</svg>",
            drawing.replace("FILTER", filter)
        );
        let refused = decode(drawing.as_bytes(), &Limits::default());
        assert!(
            matches!(refused, Err(DecodeError::TooComplex { .. })),
            "{drawing}: {refused:?}"
        );
    }
}

/// A few hundred kilobytes of equal ids and references to them, and a rule that fits in more ways than
/// there are atoms.
#[test]
fn references_and_rules_take_bounded_memory_and_time() {
    let many = |element: &str| element.repeat(20_000);
    let equal_ids = many("<g id='a'/>") + &many("<g fill='url(#a)'/>");
    let deep = "<g>".repeat(80) + "<rect width='9' height='9'/>" + &"</g>".repeat(80);
    let backtracking = format!("<style>x{}{{fill:red}}</style>{deep}", " *".repeat(12));
    for drawing in [equal_ids, backtracking] {
        let drawing = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 100'>{drawing}</svg>"
        );
        let limits = Limits {
            max_decoder_bytes: LIMIT_BYTES,
            ..Limits::default()
        };
        let allocated = allocation_counter::measure(|| {
            // Drawn or refused: either will do.
            drop(decode(drawing.as_bytes(), &limits));
        });
        assert!(
            allocated.bytes_max <= LIMIT_BYTES,
            "{}",
            allocated.bytes_max
        );
    }
}

/// As drawing programs write it: classes that attach clip paths and patterns, links to the top.
#[test]
fn references_from_style_sheets_are_drawn() {
    let drawing = "<svg xmlns='http://www.w3.org/2000/svg' id='top' viewBox='0 0 200 100'>\
         <style>.a{clip-path:url(#c)}.b{fill:none}.d{fill:url(#p)}</style>\
         <clipPath id='c'><rect class='b' width='50' height='50'/></clipPath>\
         <pattern id='p' width='9' height='9'><path class='b' d='M0 0h9v9z'/></pattern>\
         <a href='#top'><g class='a'><rect class='d' width='60' height='60'/></g></a></svg>";
    decode(drawing.as_bytes(), &Limits::default()).expect("a drawing without circles");
}

#[test]
fn a_filter_that_shows_another_part_of_the_drawing_is_drawn() {
    let drawing = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 200 100'>\
         <filter id='f'><feImage href='#u'/></filter><g id='u'><ellipse rx='9' ry='5'/></g>\
         <rect width='60' height='60' filter='url(#f)'/></svg>";
    decode(drawing.as_bytes(), &Limits::default()).expect("a drawing without circles");
}
