//! Step 4: boxes seen from a corner.
//!
//! Three faces of a box, seen from afar, fill a hexagon that half a turn maps onto itself, and meet in
//! three creases inside it. The hexagon's sides are the box's edges in projection; that they are
//! perpendicular in space fixes their depths (Perkins 1968, "Cubic corners"; Mackworth 1973). Of the two
//! corners that may be the near one, brightness tells: it changes across the creases that are there.
//!
//! An inscribed ball knows nothing of faces, and makes a pillow of a box.

use glam::{DVec2, Mat3, Vec2, Vec3};

use super::filter::gaussian_blur;
use super::{Map, WorkMaps};
use crate::compute::kernels::SolidShape;

/// The least share of the hull that a box's outline fills.
const LEAST_CONVEXITY: f64 = 0.98;
/// Half the range of angles that count as one direction of sides.
const DIRECTION_REACH: f64 = 6.0 * std::f64::consts::PI / 180.0;
/// The least share of the outline that runs along the three directions.
const LEAST_STRAIGHT: f64 = 0.8;
/// The least share of the outline that runs along each of them.
const LEAST_SIDE: f64 = 0.06;
/// The least overlap of the outline and the hexagon.
const LEAST_OVERLAP: f64 = 0.965;
/// The least cosine between edges in projection from which depths can be told.
const LEAST_COSINE: f64 = 0.02;
/// The least step of log brightness across a crease.
const LEAST_STEP: f32 = 0.08;
/// The least share of a crease's length across which brightness steps the same way.
const LEAST_STEADY: f32 = 0.75;
/// How much clearer the creases must be than those of the opposite corner.
const CLEARER: f32 = 1.5;
/// The edges are rounded by this share of the shortest.
const ROUNDING: f32 = 0.03;

/// A box with rounded edges in the field frame, its centre at depth 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cuboid {
    centre: Vec2,
    /// To the box's own axes.
    local_from_frame: Mat3,
    half: Vec3,
    rounding: f32,
}

impl Cuboid {
    /// The distance into the box, negative outside, and its gradient.
    pub(super) fn value_and_gradient(&self, point: [f32; 3]) -> (f32, Vec3) {
        let local = self.local(point);
        let beyond = local.abs() - self.half + self.rounding;
        let outside = beyond.max(Vec3::ZERO);
        let length = outside.length();
        let away = if length > 0.0 {
            outside / length
        } else {
            // The nearest face; the first of equals.
            let axis = beyond.max_position();
            Vec3::from_array(std::array::from_fn(|index| {
                f32::from(u8::from(index == axis))
            }))
        };
        let gradient = self.local_from_frame.transpose() * (-away * local.signum());
        (
            self.rounding - length - beyond.max_element().min(0.0),
            gradient,
        )
    }

    /// The distance into the box, negative outside.
    pub(super) fn value(&self, point: [f32; 3]) -> f32 {
        let beyond = self.local(point).abs() - self.half + self.rounding;
        self.rounding - beyond.max(Vec3::ZERO).length() - beyond.max_element().min(0.0)
    }

    /// Enters the box among the numbers of a solid that a device evaluates.
    pub(super) fn describe(&self, shape: &mut SolidShape) {
        shape.has_cuboid = 1;
        shape.centre = self.centre.to_array();
        shape.axes = self.local_from_frame.to_cols_array();
        shape.half = self.half.to_array();
        shape.rounding = self.rounding;
    }

    fn local(&self, point: [f32; 3]) -> Vec3 {
        self.local_from_frame * (Vec3::from_array(point) - self.centre.extend(0.0))
    }

    /// The greatest depth in front of the centre.
    pub(super) fn half_depth(&self) -> f32 {
        self.local_from_frame.z_axis.abs().dot(self.half)
    }
}

/// Finds the box whose picture this is, if it is one.
pub(super) fn seen_from_corner(work: &WorkMaps, distance: &Map) -> Option<Cuboid> {
    let hexagon = Hexagon::fit(distance)?;
    let brightness = log_brightness(work);
    let corners = [1.0, -1.0].map(|sign| hexagon.near_edges(sign));
    let clarity = corners.map(|(corner, edges)| {
        let mut steps = edges.map(|edge| crease_step(&brightness, corner, edge));
        steps.sort_by(f32::total_cmp);
        // Light from between two faces leaves them alike: one crease may not show.
        steps[1]
    });
    let near = usize::from(clarity[1] > clarity[0]);
    if clarity[near] < LEAST_STEP || clarity[near] < CLEARER * clarity[1 - near] {
        return None;
    }
    raised(hexagon.centre, corners[near].1, distance.side)
}

/// A hexagon that half a turn maps onto itself, in pixels, rows upwards.
#[derive(Debug)]
struct Hexagon {
    centre: DVec2,
    /// Its sides, in the order of their angles from 0 to a half turn.
    sides: [DVec2; 3],
}

impl Hexagon {
    fn fit(distance: &Map) -> Option<Self> {
        let hull = convex_hull(outline_points(distance));
        let area = distance
            .values
            .iter()
            .filter(|distance| **distance > 0.0)
            .count() as f64;
        if hull.len() < 6 || area < LEAST_CONVEXITY * polygon_area(&hull) {
            return None;
        }
        let angles = side_directions(&hull)?;
        // The strip between the two sides of each direction.
        let strips = angles.map(|angle| {
            let normal = DVec2::from_angle(angle).perp();
            let reach = hull.iter().map(|point| point.dot(normal));
            let (low, high) = reach.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| {
                (low.min(at), high.max(at))
            });
            Strip {
                normal,
                middle: 0.5 * (low + high),
                width: high - low,
            }
        });
        let centre = crossing(&strips)?;
        let [a, b, c] = strips.each_ref().map(|strip| strip.width);
        let sine = |a: usize, b: usize| strips[a].normal.perp_dot(strips[b].normal).abs();
        let (ab, ac, bc) = (sine(0, 1), sine(0, 2), sine(1, 2));
        // Each strip is as wide as the other two sides reach across it.
        let lengths = [
            (b * ac + c * ab - a * bc) / (2.0 * ab * ac),
            (a * bc + c * ab - b * ac) / (2.0 * ab * bc),
            (a * bc + b * ac - c * ab) / (2.0 * ac * bc),
        ];
        let shortest = lengths.iter().copied().fold(f64::INFINITY, f64::min);
        let fits = shortest > 4.0 && overlap(distance, &strips, centre) >= LEAST_OVERLAP;
        fits.then(|| Self {
            centre,
            sides: std::array::from_fn(|side| DVec2::from_angle(angles[side]) * lengths[side]),
        })
    }

    /// One of the two corners inside, and the edges that lead away from it.
    fn near_edges(&self, sign: f64) -> (DVec2, [DVec2; 3]) {
        let [a, b, c] = self.sides.map(|side| side * sign);
        (self.centre + 0.5 * (a - b + c), [-a, b, -c])
    }
}

/// The points between two parallel lines.
#[derive(Debug, Clone, Copy)]
struct Strip {
    normal: DVec2,
    /// Where the middle line lies along the normal.
    middle: f64,
    width: f64,
}

/// The point nearest to the middle lines of all strips.
fn crossing(strips: &[Strip; 3]) -> Option<DVec2> {
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    let mut right = DVec2::ZERO;
    for Strip { normal, middle, .. } in strips {
        xx += normal.x * normal.x;
        xy += normal.x * normal.y;
        yy += normal.y * normal.y;
        right += *normal * *middle;
    }
    let determinant = xx * yy - xy * xy;
    (determinant > 1e-6)
        .then(|| DVec2::new(yy * right.x - xy * right.y, xx * right.y - xy * right.x) / determinant)
}

/// Intersection over union of the outline's inside and the strips' common part around a centre.
fn overlap(distance: &Map, strips: &[Strip; 3], centre: DVec2) -> f64 {
    let (mut shared, mut united) = (0u32, 0u32);
    for row in 0..distance.side {
        for column in 0..distance.side {
            let from_centre = point(column as f64, row as f64) - centre;
            let within = strips
                .iter()
                .all(|strip| from_centre.dot(strip.normal).abs() < 0.5 * strip.width);
            let inside = distance.at(column, row) > 0.0;
            shared += u32::from(within && inside);
            united += u32::from(within || inside);
        }
    }
    f64::from(shared) / f64::from(united.max(1))
}

/// A column and a row as a point with y upwards.
fn point(column: f64, row: f64) -> DVec2 {
    DVec2::new(column, -row)
}

/// Where the outline crosses the lines between neighbouring pixels.
fn outline_points(distance: &Map) -> Vec<DVec2> {
    let mut points = Vec::new();
    let side = distance.side;
    for row in 0..side {
        for column in 0..side {
            let here = distance.at(column, row);
            let mut cross = |there: f32, right: f64, down: f64| {
                if (here > 0.0) != (there > 0.0) {
                    let t = f64::from(here / (here - there));
                    points.push(point(column as f64 + t * right, row as f64 + t * down));
                }
            };
            if column + 1 < side {
                cross(distance.at(column + 1, row), 1.0, 0.0);
            }
            if row + 1 < side {
                cross(distance.at(column, row + 1), 0.0, 1.0);
            }
        }
    }
    points
}

/// The convex hull, counter-clockwise (Andrew 1979).
fn convex_hull(mut points: Vec<DVec2>) -> Vec<DVec2> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let half = |points: &mut dyn Iterator<Item = DVec2>| {
        let mut chain: Vec<DVec2> = Vec::new();
        for point in points {
            while let [.., a, b] = chain.as_slice() {
                if (*b - *a).perp_dot(point - *a) > 0.0 {
                    break;
                }
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

fn edges(polygon: &[DVec2]) -> impl Iterator<Item = (DVec2, DVec2)> + '_ {
    let next = polygon.iter().cycle().skip(1);
    polygon.iter().zip(next).map(|(a, b)| (*a, *b))
}

fn polygon_area(polygon: &[DVec2]) -> f64 {
    0.5 * edges(polygon).map(|(a, b)| a.perp_dot(b)).sum::<f64>()
}

/// The three directions along which nearly all of the hull runs, as angles rising from 0 to a half turn.
fn side_directions(hull: &[DVec2]) -> Option<[f64; 3]> {
    use std::f64::consts::PI;
    let sides: Vec<(f64, f64)> = edges(hull)
        .map(|(a, b)| ((b - a).to_angle().rem_euclid(PI), (b - a).length()))
        .collect();
    let perimeter: f64 = sides.iter().map(|(_, length)| length).sum();
    // Angles differ modulo a half turn.
    let difference = |a: f64, b: f64| (a - b + 0.5 * PI).rem_euclid(PI) - 0.5 * PI;
    let near = |angle: f64, reach: f64| {
        sides
            .iter()
            .map(move |(other, length)| (difference(*other, angle), *length))
            .filter(move |(difference, _)| difference.abs() < reach)
    };
    let mut found: Vec<f64> = Vec::new();
    let mut straight = 0.0;
    for _ in 0..3 {
        let weight = |angle: f64| {
            near(angle, DIRECTION_REACH)
                .map(|(difference, length)| length * (1.0 - (difference / DIRECTION_REACH).powi(2)))
                .sum::<f64>()
        };
        let free = |angle: &f64| {
            found
                .iter()
                .all(|other| difference(*angle, *other).abs() > 2.0 * DIRECTION_REACH)
        };
        let (mut angle, _) = (0..360)
            .map(|step| f64::from(step) * PI / 360.0)
            .filter(free)
            .map(|angle| (angle, weight(angle)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        for reach in [DIRECTION_REACH, 0.5 * DIRECTION_REACH] {
            let length: f64 = near(angle, reach).map(|(_, length)| length).sum();
            let moment: f64 = near(angle, reach).map(|(off, length)| off * length).sum();
            if length > 0.0 {
                angle += moment / length;
            }
        }
        let length: f64 = near(angle, DIRECTION_REACH).map(|(_, length)| length).sum();
        if length < LEAST_SIDE * perimeter {
            return None;
        }
        straight += length;
        found.push(angle.rem_euclid(PI));
    }
    found.sort_by(f64::total_cmp);
    if straight < LEAST_STRAIGHT * perimeter {
        return None;
    }
    found.try_into().ok()
}

fn log_brightness(work: &WorkMaps) -> Map {
    let mut brightness = Map::filled(work.alpha.side, 0.0);
    for (value, rgb) in brightness.values.iter_mut().zip(&work.linear_rgb) {
        *value = (rgb.iter().sum::<f32>() / 3.0).max(3e-3).ln();
    }
    gaussian_blur(&brightness, 1.0)
}

/// By how much brightness steps across an edge; 0 where it does not step the same way along most of it.
fn crease_step(brightness: &Map, corner: DVec2, edge: DVec2) -> f32 {
    /// From where to where along the edge, and how far to its sides, in pixels.
    const PART: (f64, f64) = (0.15, 0.85);
    const ASIDE: f64 = 4.0;
    const SAMPLES: usize = 48;
    let aside = edge.normalize_or_zero().perp() * ASIDE;
    let read = |at: DVec2| {
        let last = (brightness.side - 1) as f64;
        let pixel = |value: f64| value.round().clamp(0.0, last) as usize;
        brightness.at(pixel(at.x), pixel(-at.y))
    };
    let mut steps: Vec<f32> = (0..SAMPLES)
        .map(|sample| {
            let share = (sample as f64 + 0.5) / SAMPLES as f64;
            let on = corner + edge * (PART.0 + (PART.1 - PART.0) * share);
            read(on + aside) - read(on - aside)
        })
        .collect();
    let middle = SAMPLES / 2;
    let median = *steps.select_nth_unstable_by(middle, f32::total_cmp).1;
    let steady = steps
        .iter()
        .filter(|step| **step * median.signum() > 0.2 * LEAST_STEP)
        .count();
    if steady as f32 >= LEAST_STEADY * SAMPLES as f32 {
        median.abs()
    } else {
        0.0
    }
}

/// The box whose near corner has these edges in projection; `None` when no box has.
fn raised(centre: DVec2, edges: [DVec2; 3], side: usize) -> Option<Cuboid> {
    // Perpendicular in space: the depths of two edges multiply to minus their product in projection.
    let product = |a: usize, b: usize| {
        let product = -edges[a].dot(edges[b]);
        let least = LEAST_COSINE * edges[a].length() * edges[b].length();
        (product > least).then_some(product)
    };
    let (ab, ac, bc) = (product(0, 1)?, product(0, 2)?, product(1, 2)?);
    let depths = [
        (ab * ac / bc).sqrt(),
        (ab * bc / ac).sqrt(),
        (ac * bc / ab).sqrt(),
    ];
    let scale = 1.0 / side as f64;
    let edges: [Vec3; 3] = std::array::from_fn(|edge| {
        let spatial = edges[edge].extend(-depths[edge]) * scale;
        spatial.as_vec3()
    });
    let half = Vec3::from_array(edges.map(|edge| 0.5 * edge.length()));
    let axes = edges.map(Vec3::normalize_or_zero);
    let centre = DVec2::new(centre.x + 0.5, centre.y - 0.5) * scale + DVec2::new(-0.5, 0.5);
    Some(Cuboid {
        centre: centre.as_vec2(),
        local_from_frame: Mat3::from_cols_array_2d(&axes.map(|axis| axis.to_array())).transpose(),
        half,
        rounding: ROUNDING * 2.0 * half.min_element(),
    })
}
