//! Bounds what an SVG takes before it is converted and drawn.
//!
//! A drawing of a few hundred bytes can expand without end: elements that use elements that use
//! elements, layers within layers, patterns the size of a country. The converter recurses into what it
//! expands, and the renderer allocates a layer for each group with an effect; neither knows a limit that
//! protects the stack and the memory. This module follows every reference first, and only counts.

use super::budget::Budget;
use super::svg_references::{MAX_STEPS, References, TOO_MANY_RULES};
use super::{DecodeError, Format};
use resvg::tiny_skia::{PathSegment, Point, Rect, Transform};
use resvg::usvg::filter::Kind;
use resvg::usvg::{Group, Node, Paint, Path, Tree, roxmltree};
use std::collections::HashMap;

/// The greatest number of elements, texts and comments in a file.
pub(super) const MAX_NODES: u32 = 500_000;

/// The greatest number of elements with every reference followed.
const MAX_EXPANDED: u64 = 200_000;

/// The greatest depth with every reference followed; the converter's stack grows with it.
const MAX_DEPTH: usize = 96;

const TOO_DEEP: DecodeError = DecodeError::TooComplex {
    reason: "its elements are nested too deeply",
};
const TOO_MANY: DecodeError = DecodeError::TooComplex {
    reason: "its references expand to too many elements",
};

const CIRCLE: DecodeError = DecodeError::TooComplex {
    reason: "an element is made of itself: its references go round in a circle",
};

/// The greatest number a drawing may state. The converter cuts arcs into ever more curves the larger they
/// are, millions at the limit of its numbers.
const MAX_NUMBER: f64 = 1e7;

/// What a converted element takes besides its attributes, an outline of some arcs included.
const BYTES_OF_ELEMENT: u64 = 1500;

/// What a byte of an attribute may become: outlines, styles.
const BYTES_OF_ATTRIBUTE_BYTE: u64 = 16;

/// What a byte of text may become: the outline of its glyph.
const BYTES_OF_TEXT_BYTE: u64 = 2000;

/// What a subtree of the document expands to.
#[derive(Debug, Clone, Copy, Default)]
struct Expanse {
    depth: usize,
    count: u64,
    bytes: u64,
}

/// Bounds the depth and the number of elements of a document, every reference followed, and takes from
/// `budget` what they are converted to. Circles are refused: the converter breaks some, and follows those
/// through elements of different kinds until its stack is full.
pub(super) fn check_document(
    document: &roxmltree::Document<'_>,
    references: &References<'_, '_>,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    check_numbers(document)?;
    let mut walk = Walk {
        references,
        known: HashMap::new(),
    };
    let whole = walk.expanse(document.root_element(), 0)?;
    if whole.depth > MAX_DEPTH {
        return Err(TOO_DEEP);
    }
    if whole.count > MAX_EXPANDED {
        return Err(TOO_MANY);
    }
    if whole.count.saturating_mul(references.steps_of_rules) > MAX_STEPS {
        return Err(TOO_MANY_RULES);
    }
    budget.take(whole.bytes, Format::Svg)
}

/// Bounds every number that a shape or style states.
fn check_numbers(document: &roxmltree::Document<'_>) -> Result<(), DecodeError> {
    const SHAPES: [&str; 21] = [
        "d",
        "points",
        "r",
        "rx",
        "ry",
        "cx",
        "cy",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "width",
        "height",
        "dx",
        "dy",
        "transform",
        "viewBox",
        "font-size",
        "style",
    ];
    for node in document.descendants() {
        let shapes = node
            .attributes()
            .filter(|attribute| SHAPES.contains(&attribute.name()));
        let sheet = node.text().filter(|_| node.tag_name().name() == "style");
        for text in shapes.map(|attribute| attribute.value()).chain(sheet) {
            if numbers_in(text).any(|number| number > MAX_NUMBER) {
                return Err(DecodeError::TooComplex {
                    reason: "it states numbers beyond ten million",
                });
            }
        }
    }
    Ok(())
}

/// The numbers of a text, without their signs; those within names, colours and embedded data aside.
fn numbers_in(text: &str) -> impl Iterator<Item = f64> {
    let data = |part: &str| part.starts_with("data:");
    let parts = text
        .split(['(', ')', '"', '\''])
        .filter(move |part| !data(part));
    parts.flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            loop {
                let start = rest.find(|letter: char| letter.is_ascii_digit() || letter == '#')?;
                let from = &rest[start..];
                let is_colour = from.starts_with('#');
                let length = if is_colour {
                    from.find([' ', ';', ',']).unwrap_or(from.len())
                } else {
                    number_length(from)
                };
                rest = &from[length..];
                if !is_colour {
                    // What is too long to be a number is no small one.
                    return Some(from[..length].parse().unwrap_or(f64::INFINITY));
                }
            }
        })
    })
}

/// The length of the number that a text begins with: digits, a fraction, an exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        from + bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

/// The depth of the document itself, bounded without recursion, so that what follows may recurse.
pub(super) fn depth_of(document: &roxmltree::Document<'_>) -> Result<usize, DecodeError> {
    let mut depths = HashMap::new();
    let mut deepest = 0;
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let parent = node
            .parent()
            .and_then(|parent| depths.get(&parent.id()).copied());
        let depth = parent.unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        deepest = deepest.max(depth);
        depths.insert(node.id(), depth);
    }
    Ok(deepest)
}

struct Walk<'r, 'a, 'input> {
    references: &'r References<'a, 'input>,
    /// Subtrees already measured; `None` while one is being measured.
    known: HashMap<roxmltree::NodeId, Option<Expanse>>,
}

impl<'a, 'input> Walk<'_, 'a, 'input> {
    fn expanse(
        &mut self,
        node: roxmltree::Node<'a, 'input>,
        depth: usize,
    ) -> Result<Expanse, DecodeError> {
        match self.known.get(&node.id()) {
            Some(Some(expanse)) => return Ok(*expanse),
            Some(None) => return Err(CIRCLE),
            None => {}
        }
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        self.known.insert(node.id(), None);
        let mut below = Expanse::default();
        let children = node.children().filter(roxmltree::Node::is_element);
        let targets = self.references.of_element(node).iter().copied();
        for next in children.chain(targets) {
            let expanse = self.expanse(next, depth + 1)?;
            below.depth = below.depth.max(expanse.depth);
            below.count = below.count.saturating_add(expanse.count);
            below.bytes = below.bytes.saturating_add(expanse.bytes);
        }
        let expanse = Expanse {
            depth: below.depth + 1,
            count: below.count.saturating_add(1),
            bytes: below.bytes.saturating_add(own_bytes(&node)),
        };
        self.known.insert(node.id(), Some(expanse));
        Ok(expanse)
    }
}

/// What an element itself, with its text, is converted to.
fn own_bytes(node: &roxmltree::Node<'_, '_>) -> u64 {
    let attributes = node
        .attributes()
        .filter(|attribute| attribute.name() != "href");
    let attribute_bytes: usize = attributes.map(|attribute| attribute.value().len()).sum();
    let texts = node.children().filter_map(|child| child.text());
    let text_bytes: usize = match node.tag_name().name() {
        "text" | "tspan" | "textPath" | "tref" | "a" => texts.map(str::len).sum(),
        _ => 0,
    };
    BYTES_OF_ELEMENT
        + attribute_bytes as u64 * BYTES_OF_ATTRIBUTE_BYTE
        + text_bytes as u64 * BYTES_OF_TEXT_BYTE
}

/// Takes from `budget` what the renderer holds at once at most (the layers of nested groups, what their
/// effects add, patterns, images), and bounds how long it draws.
pub(super) fn check_drawing(
    tree: &Tree,
    transform: Transform,
    (width, height): (u32, u32),
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    let canvas = f64::from(width) * f64::from(height);
    let mut drawing = Drawing {
        canvas,
        // The renderer clips layers to five times the canvas in either direction.
        greatest_layer: 25.0 * canvas,
        elements: 0,
        work: 0.0,
    };
    let peak = drawing.of_children(tree.root(), transform)?;
    // A conversion from floating point saturates.
    budget.take((peak * BYTES_OF_PIXEL) as u64, Format::Svg)
}

const BYTES_OF_PIXEL: f64 = 4.0;

/// The most operations on pixels that a drawing may take: a few seconds' worth.
const MAX_WORK: f64 = 3e9;

/// Operations that an element takes, however small it is.
const WORK_OF_ELEMENT: f64 = 1000.0;

/// The most dashes of a path; the renderer gives up on more.
const MAX_DASHES: f64 = 1e6;

/// What a dash is drawn from: its ends, and the outline around it with round caps.
const BYTES_OF_DASH: f64 = 400.0;

/// How far a shape may reach from the page's corner, in pixels. Far beyond it, the renderer's fixed-point
/// edges miss their clip, it writes past its rows and panics, and again while it unwinds, which ends the
/// process.
const MAX_REACH_PX: f32 = 1e6;

const TOO_FAR: DecodeError = DecodeError::TooComplex {
    reason: "a shape or its outline reaches a million pixels beyond the page",
};

fn within_reach(drawn: &Rect) -> bool {
    let ends = [drawn.left(), drawn.top(), drawn.right(), drawn.bottom()];
    ends.iter().all(|end| end.abs() <= MAX_REACH_PX)
}

/// A dry run of the renderer. Its functions return the greatest number of pixels held at once.
struct Drawing {
    /// Areas in pixels.
    canvas: f64,
    greatest_layer: f64,
    elements: u64,
    work: f64,
}

impl Drawing {
    fn spend(&mut self, operations: f64) -> Result<(), DecodeError> {
        self.work += operations;
        if self.work <= MAX_WORK {
            return Ok(());
        }
        Err(DecodeError::TooComplex {
            reason: "its effects or shapes take too long to draw",
        })
    }

    fn of_children(&mut self, group: &Group, transform: Transform) -> Result<f64, DecodeError> {
        let mut peak = 0.0;
        for node in group.children() {
            peak = self.of_node(node, transform)?.max(peak);
        }
        Ok(peak)
    }

    fn of_node(&mut self, node: &Node, transform: Transform) -> Result<f64, DecodeError> {
        // Masks, patterns and filters are drawn again wherever they are used.
        self.elements += 1;
        if self.elements > MAX_EXPANDED {
            return Err(TOO_MANY);
        }
        self.spend(WORK_OF_ELEMENT)?;
        match node {
            Node::Group(group) => self.of_group(group, transform),
            Node::Text(text) => self.of_group(text.flattened(), transform),
            Node::Image(image) => {
                let size = area(image.size().width(), image.size().height());
                self.spend(20.0 * (size + self.canvas))?;
                // Its pixels as decoded, and as the renderer makes them.
                Ok(2.0 * size)
            }
            Node::Path(path) => self.of_path(path, transform),
        }
    }

    fn of_path(&mut self, path: &Path, transform: Transform) -> Result<f64, DecodeError> {
        let bounds = path.stroke_bounding_box();
        let drawn = bounds.transform(transform).filter(within_reach);
        let drawn = drawn.ok_or(TOO_FAR)?;
        let drawn = area(drawn.width(), drawn.height()).min(self.greatest_layer);
        self.spend(2.0 * drawn + 50.0 * path.data().len() as f64)?;
        let stroke = path.stroke();
        let mut outlines = 0.0;
        if let Some(dashes) = stroke.and_then(|stroke| stroke.dasharray()) {
            // One gap for each dash.
            let count = length_at_most(path) / f64::from(dashes.iter().sum::<f32>())
                * (dashes.len() as f64 / 2.0);
            let count = count.clamp(0.0, MAX_DASHES);
            self.spend(1000.0 * count)?;
            outlines = count * BYTES_OF_DASH / BYTES_OF_PIXEL;
        }
        let fill = path.fill().map(|fill| fill.paint());
        let mut peak = outlines;
        for paint in fill.into_iter().chain(stroke.map(|stroke| stroke.paint())) {
            peak = (outlines + self.of_paint(paint, transform)?).max(peak);
        }
        Ok(peak)
    }

    fn of_paint(&mut self, paint: &Paint, transform: Transform) -> Result<f64, DecodeError> {
        let Paint::Pattern(pattern) = paint else {
            return Ok(0.0);
        };
        let (scale_x, scale_y) = transform.pre_concat(pattern.transform()).get_scale();
        let rect = pattern.rect();
        let tile = area(rect.width() * scale_x, rect.height() * scale_y);
        let inner = self.of_children(pattern.root(), Transform::from_scale(scale_x, scale_y))?;
        Ok(tile + inner)
    }

    fn of_group(&mut self, group: &Group, transform: Transform) -> Result<f64, DecodeError> {
        let transform = transform.pre_concat(group.transform());
        let mut inner = self.of_children(group, transform)?;
        if !group.should_isolate() {
            return Ok(inner);
        }
        let bounds = group.layer_bounding_box().transform(transform);
        let layer = bounds.map_or(self.greatest_layer, |bounds| {
            // Filters turn their layer upright, which may make it half as large again.
            let turned = if group.filters().is_empty() { 1.0 } else { 1.5 };
            let (width, height) = (
                turned * bounds.width() + 4.0,
                turned * bounds.height() + 4.0,
            );
            area(width, height).min(self.greatest_layer)
        });
        self.spend(6.0 * layer)?;
        for filter in group.filters() {
            // Every step keeps its result; some need copies in floating point beside it.
            let steps = filter.primitives().len() as f64 + 12.0;
            inner = inner.max(layer * steps);
            for step in filter.primitives() {
                self.spend(layer * work_of_filter(step.kind(), transform, layer))?;
                if let Kind::Image(image) = step.kind() {
                    inner = inner.max(layer * steps + self.of_children(image.root(), transform)?);
                }
            }
        }
        let (mut clip, mut depth) = (group.clip_path(), 0.0);
        while let Some(path) = clip {
            depth += 1.0;
            self.spend(4.0 * layer)?;
            let root = self.of_children(path.root(), transform.pre_concat(path.transform()))?;
            inner = inner.max(root + layer * depth);
            clip = path.clip_path();
        }
        let (mut mask, mut depth) = (group.mask(), 0.0);
        while let Some(current) = mask {
            depth += 1.0;
            self.spend(8.0 * layer)?;
            let root = self.of_children(current.root(), transform)?;
            inner = inner.max(root + 2.0 * layer * depth);
            mask = current.mask();
        }
        Ok(layer + inner)
    }
}

/// The operations that one step of a filter takes for each pixel of its layer.
fn work_of_filter(kind: &Kind, transform: Transform, layer: f64) -> f64 {
    let (scale_x, scale_y) = transform.get_scale();
    let reach = |radius: f32, scale: f32| 2.0 * f64::from(radius) * f64::from(scale) + 1.0;
    match kind {
        Kind::Turbulence(noise) => 100.0 * f64::from(noise.num_octaves()),
        Kind::Morphology(shape) => {
            let window =
                reach(shape.radius_x().get(), scale_x) * reach(shape.radius_y().get(), scale_y);
            4.0 * window.min(layer)
        }
        Kind::ConvolveMatrix(matrix) => {
            8.0 * f64::from(matrix.matrix().columns()) * f64::from(matrix.matrix().rows())
        }
        Kind::GaussianBlur(_) | Kind::DropShadow(_) => 100.0,
        Kind::DiffuseLighting(_) | Kind::SpecularLighting(_) => 60.0,
        _ => 20.0,
    }
}

/// The length of the polygon through a path's control points, which no curve is longer than.
fn length_at_most(path: &Path) -> f64 {
    let (mut start, mut last, mut length) = (Point::zero(), Point::zero(), 0.0);
    let mut go = |last: &mut Point, to: Point| {
        length += f64::from(last.distance(to));
        *last = to;
    };
    for segment in path.data().segments() {
        match segment {
            PathSegment::MoveTo(to) => (start, last) = (to, to),
            PathSegment::LineTo(to) => go(&mut last, to),
            PathSegment::QuadTo(control, to) => {
                for to in [control, to] {
                    go(&mut last, to);
                }
            }
            PathSegment::CubicTo(first, second, to) => {
                for to in [first, second, to] {
                    go(&mut last, to);
                }
            }
            PathSegment::Close => go(&mut last, start),
        }
    }
    length
}

/// The pixels of a picture, its sides rounded up.
fn area(width: f32, height: f32) -> f64 {
    f64::from(width.ceil()) * f64::from(height.ceil())
}
