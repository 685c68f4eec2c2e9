//! Whether two triangles intersect, decided exactly.
//!
//! The plane-side tests of Möller, "A fast triangle-triangle intersection test" (1997), and of Devillers
//! and Guigue (2002), on Shewchuk's adaptive predicates: no tolerance, no wrong answers.

use robust::{Coord, Coord3D, orient2d, orient3d};

/// A corner in 64 bits, which hold every 32-bit coordinate.
pub(super) type Point = Coord3D<f64>;

/// A position as a point.
pub(super) fn point(position: [f32; 3]) -> Point {
    let [x, y, z] = position.map(f64::from);
    Point { x, y, z }
}

/// Whether two triangles without a common corner have a common point; touching counts.
pub(super) fn intersect_apart(one: [Point; 3], other: [Point; 3]) -> bool {
    let of_other = sides(one, other);
    if all_on_one_side(of_other) {
        return false;
    }
    let of_one = sides(other, one);
    if all_on_one_side(of_one) {
        return false;
    }
    if of_other == [0; 3] {
        return (0..3).any(|k| segment_meets_in_plane(other[k], other[(k + 1) % 3], one))
            || inside_in_plane(one[0], other);
    }
    // Where two triangles that are not in one plane intersect, an edge of one meets the other.
    let meets = |from: [Point; 3], sides: [i8; 3], triangle| {
        (0..3).any(|k| {
            let l = (k + 1) % 3;
            segment_meets(from[k], from[l], sides[k], sides[l], triangle)
        })
    };
    meets(other, of_other, one) || meets(one, of_one, other)
}

/// Whether two triangles that share their first corner have another common point.
///
/// The common points are convex and contain the corner, so they reach the opposite edge of either.
pub(super) fn intersect_at_corner(one: [Point; 3], other: [Point; 3]) -> bool {
    let of_other = sides(one, other);
    if of_other[1] * of_other[2] > 0 {
        return false;
    }
    let of_one = sides(other, one);
    if of_one[1] * of_one[2] > 0 {
        return false;
    }
    segment_meets(other[1], other[2], of_other[1], of_other[2], one)
        || segment_meets(one[1], one[2], of_one[1], of_one[2], other)
}

/// Whether two triangles that share their first two corners lie on one another: in one plane, on the same
/// side of the common edge.
pub(super) fn intersect_at_edge(one: [Point; 3], other: [Point; 3]) -> bool {
    if side(one, other[2]) != 0 {
        return false;
    }
    let plane = Projection::of(one);
    let [from, to, apex] = one.map(|p| plane.flatten(p));
    sign(orient2d(from, to, apex)) * sign(orient2d(from, to, plane.flatten(other[2]))) > 0
}

fn sign(value: f64) -> i8 {
    i8::from(value > 0.0) - i8::from(value < 0.0)
}

/// The side of the triangle's plane that a point is on; 0 in the plane.
fn side([a, b, c]: [Point; 3], p: Point) -> i8 {
    sign(orient3d(a, b, c, p))
}

fn sides(triangle: [Point; 3], points: [Point; 3]) -> [i8; 3] {
    points.map(|p| side(triangle, p))
}

fn all_on_one_side(sides: [i8; 3]) -> bool {
    sides == [1; 3] || sides == [-1; 3]
}

/// Whether a segment, its ends on the given sides of the triangle's plane, meets the triangle.
fn segment_meets(p: Point, q: Point, of_p: i8, of_q: i8, triangle: [Point; 3]) -> bool {
    if of_p * of_q > 0 {
        return false;
    }
    if of_p == 0 && of_q == 0 {
        return segment_meets_in_plane(p, q, triangle);
    }
    let [a, b, c] = triangle;
    let turns = [(a, b), (b, c), (c, a)].map(|(from, to)| sign(orient3d(p, q, from, to)));
    turns.iter().all(|turn| *turn >= 0) || turns.iter().all(|turn| *turn <= 0)
}

/// Whether a segment in the triangle's plane meets the triangle.
fn segment_meets_in_plane(p: Point, q: Point, triangle: [Point; 3]) -> bool {
    let plane = Projection::of(triangle);
    let (from, to) = (plane.flatten(p), plane.flatten(q));
    let corners = triangle.map(|corner| plane.flatten(corner));
    (0..3).any(|k| segments_meet(from, to, corners[k], corners[(k + 1) % 3]))
        || inside_in_plane(p, triangle)
}

/// Whether a point in the triangle's plane lies in the triangle or on its border.
fn inside_in_plane(p: Point, triangle: [Point; 3]) -> bool {
    let plane = Projection::of(triangle);
    let p = plane.flatten(p);
    let [a, b, c] = triangle.map(|corner| plane.flatten(corner));
    let turns = [(a, b), (b, c), (c, a)].map(|(from, to)| sign(orient2d(from, to, p)));
    turns.iter().all(|turn| *turn >= 0) || turns.iter().all(|turn| *turn <= 0)
}

fn segments_meet(a: Coord<f64>, b: Coord<f64>, c: Coord<f64>, d: Coord<f64>) -> bool {
    let [of_c, of_d] = [c, d].map(|p| sign(orient2d(a, b, p)));
    let [of_a, of_b] = [a, b].map(|p| sign(orient2d(c, d, p)));
    if of_c == 0 && of_d == 0 {
        // On one line: they meet where their extents along both axes do.
        let overlap = |a: f64, b: f64, c: f64, d: f64| a.min(b) <= c.max(d) && c.min(d) <= a.max(b);
        return overlap(a.x, b.x, c.x, d.x) && overlap(a.y, b.y, c.y, d.y);
    }
    of_c * of_d <= 0 && of_a * of_b <= 0
}

/// The coordinate plane onto which a triangle is projected without collapsing.
#[derive(Clone, Copy)]
enum Projection {
    Xy,
    Yz,
    Zx,
}

impl Projection {
    /// A triangle that has an area keeps one in at least one of the three.
    fn of(triangle: [Point; 3]) -> Self {
        for plane in [Self::Xy, Self::Yz] {
            let [a, b, c] = triangle.map(|p| plane.flatten(p));
            if orient2d(a, b, c) != 0.0 {
                return plane;
            }
        }
        Self::Zx
    }

    fn flatten(self, p: Point) -> Coord<f64> {
        let (x, y) = match self {
            Self::Xy => (p.x, p.y),
            Self::Yz => (p.y, p.z),
            Self::Zx => (p.z, p.x),
        };
        Coord { x, y }
    }
}
