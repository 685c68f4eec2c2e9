//! Cutting a mesh into charts.

use std::collections::VecDeque;

use glam::Vec3;
use rayon::prelude::*;

use super::super::Mesh;
use super::{MOST_TEXELS, PARTS, Placed, cover};

/// A face leans towards the direction it is seen along by at least this much (the cosine), where it leans
/// towards any so much.
const LEAST_FACING: f32 = 0.25;
/// As above, for a face of a chart that is too small to be worth its place.
const LEAST_FACING_OF_SPECKS: f32 = 0.1;
/// Charts of fewer faces join their neighbours where they can.
const SPECK: usize = 24;
/// How often specks are given to their neighbours.
const ROUNDS: usize = 3;
/// Passes that straighten the borders between charts.
const SMOOTHINGS: usize = 4;
/// Faces between two looks at the cancel flag.
const CHECK_EVERY: usize = 1 << 14;

/// What the directions are seen as: the axes that run to the right and down, with their signs.
const SEEN: [[(usize, f32); 2]; 6] = [
    [(2, -1.0), (1, -1.0)],
    [(2, 1.0), (1, -1.0)],
    [(0, 1.0), (2, 1.0)],
    [(0, 1.0), (2, -1.0)],
    [(0, 1.0), (1, -1.0)],
    [(0, -1.0), (1, -1.0)],
];

/// How much a normal leans towards a direction: +X, −X, +Y, −Y, +Z, −Z.
fn facing(normal: Vec3, direction: u8) -> f32 {
    let along = normal[usize::from(direction / 2)];
    if direction.is_multiple_of(2) {
        along
    } else {
        -along
    }
}

fn seen([right, down]: [(usize, f32); 2], position: [f32; 3]) -> [f64; 2] {
    [right, down].map(|(axis, sign)| f64::from(sign * position[axis]))
}

/// Faces that hang together and are seen along one direction.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    direction: u8,
    pub(super) faces: Vec<u32>,
    /// The corners of what it covers, in lengths, right and down.
    pub(super) min: [f64; 2],
    pub(super) max: [f64; 2],
}

impl Chart {
    fn new(direction: u8) -> Self {
        Self {
            direction,
            faces: Vec::new(),
            min: [f64::INFINITY; 2],
            max: [f64::NEG_INFINITY; 2],
        }
    }

    /// A position as it is seen, right and down.
    pub(super) fn seen(&self, position: [f32; 3]) -> [f64; 2] {
        seen(SEEN[usize::from(self.direction)], position)
    }

    fn add(&mut self, face: u32, corners: [[f64; 2]; 3]) {
        self.faces.push(face);
        for [right, down] in corners {
            self.min = [self.min[0].min(right), self.min[1].min(down)];
            self.max = [self.max[0].max(right), self.max[1].max(down)];
        }
    }
}

/// All charts of a mesh.
pub(super) struct Charts {
    pub(super) all: Vec<Chart>,
}

impl Charts {
    /// Cuts a mesh. `texels` along a length of 1 are what overlaps are found at.
    pub(super) fn of(
        mesh: &Mesh,
        texels: f64,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let normals: Vec<Vec3> = mesh
            .triangles
            .par_iter()
            .map(|t| normal(mesh, *t))
            .collect();
        let neighbours = neighbours(mesh);
        let mut directions = directions(mesh, &normals);
        for _ in 0..SMOOTHINGS {
            if cancelled() {
                return None;
            }
            directions = smoothed(&directions, &normals, &neighbours);
        }
        let mut grown = Grown::new(mesh, texels);
        for round in 0.. {
            grown.grow(mesh, &directions, &neighbours, cancelled)?;
            if round == ROUNDS || !grown.join_specks(&mut directions, &normals, &neighbours) {
                break;
            }
        }
        Some(Self { all: grown.charts })
    }
}

fn normal(mesh: &Mesh, triangle: [u32; 3]) -> Vec3 {
    let [a, b, c] = triangle.map(|vertex| Vec3::from(mesh.positions[vertex as usize]));
    (b - a).cross(c - a).normalize_or_zero()
}

/// The face across each edge of each face; `u32::MAX` where there is none, or more than one.
fn neighbours(mesh: &Mesh) -> Vec<[u32; 3]> {
    let mut edges: Vec<([u32; 2], u32)> = mesh
        .triangles
        .par_iter()
        .enumerate()
        .flat_map_iter(|(face, triangle)| {
            (0..3).map(move |corner| {
                let (a, b) = (triangle[corner], triangle[(corner + 1) % 3]);
                ([a.min(b), a.max(b)], (3 * face + corner) as u32)
            })
        })
        .collect();
    edges.par_sort_unstable();
    let mut neighbours = vec![[u32::MAX; 3]; mesh.triangles.len()];
    for shared in edges.chunk_by(|(a, _), (b, _)| a == b) {
        if let &[(_, one), (_, other)] = shared {
            neighbours[one as usize / 3][one as usize % 3] = other / 3;
            neighbours[other as usize / 3][other as usize % 3] = one / 3;
        }
    }
    neighbours
}

/// The direction that each face is seen along: the one that the surface around it faces.
fn directions(mesh: &Mesh, normals: &[Vec3]) -> Vec<u8> {
    let towards = |normal: Vec3, faces: Vec3| {
        let allowed = |&direction: &u8| facing(faces, direction) >= LEAST_FACING;
        let directions = (0..6).filter(allowed);
        directions.max_by(|&a, &b| facing(normal, a).total_cmp(&facing(normal, b)))
    };
    let around = |triangle: [u32; 3], face: Vec3| {
        let smooth = triangle.map(|vertex| mesh.normals.get(vertex as usize));
        match smooth {
            [Some(a), Some(b), Some(c)] => Vec3::from(*a) + Vec3::from(*b) + Vec3::from(*c),
            _ => face,
        }
    };
    (mesh.triangles.par_iter().zip(normals))
        // A face without an area has no normal and covers nothing: any direction will do.
        .map(|(&triangle, &face)| towards(around(triangle, face), face).unwrap_or(0))
        .collect()
}

/// Each face goes with two of its neighbours, where it leans far enough their way.
fn smoothed(directions: &[u8], normals: &[Vec3], neighbours: &[[u32; 3]]) -> Vec<u8> {
    (directions.par_iter().enumerate())
        .map(|(face, &own)| {
            let across = neighbours[face].map(|face| directions.get(face as usize).copied());
            let [a, b, c] = across;
            let most = if a == b || a == c {
                a
            } else if b == c {
                b
            } else {
                None
            };
            most.filter(|&most| facing(normals[face], most) >= LEAST_FACING)
                .unwrap_or(own)
        })
        .collect()
}

/// The charts as far as they were grown.
struct Grown {
    charts: Vec<Chart>,
    chart_of: Vec<u32>,
    /// The chart that covers each texel of a square that the mesh fits into, whichever way it is seen.
    covered: Vec<u32>,
    side: usize,
    texels: f64,
    middle: Vec3,
}

impl Grown {
    fn new(mesh: &Mesh, texels: f64) -> Self {
        let corner = |pick: fn(Vec3, Vec3) -> Vec3, start: f32| {
            let positions = mesh.positions.iter().copied().map(Vec3::from);
            positions.fold(Vec3::splat(start), pick)
        };
        let (min, max) = (
            corner(Vec3::min, f32::INFINITY),
            corner(Vec3::max, f32::NEG_INFINITY),
        );
        let longest = f64::from((max - min).max_element()).max(f64::MIN_POSITIVE);
        let texels = texels.min(MOST_TEXELS / longest);
        let side = (longest * texels).ceil() as usize + 2;
        Self {
            charts: Vec::new(),
            chart_of: vec![u32::MAX; mesh.triangles.len()],
            covered: vec![u32::MAX; side * side],
            side,
            texels,
            middle: 0.5 * (min + max),
        }
    }

    /// Grows charts over all faces. A face that would lie over another of its chart begins one of its own.
    fn grow(
        &mut self,
        mesh: &Mesh,
        directions: &[u8],
        neighbours: &[[u32; 3]],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<()> {
        self.charts.clear();
        self.chart_of.fill(u32::MAX);
        self.covered.fill(u32::MAX);
        let mut queue = VecDeque::new();
        let mut looked_at = 0_usize;
        for seed in 0..mesh.triangles.len() as u32 {
            if self.chart_of[seed as usize] != u32::MAX {
                continue;
            }
            let direction = directions[seed as usize];
            self.charts.push(Chart::new(direction));
            queue.push_back(seed);
            while let Some(face) = queue.pop_front() {
                looked_at += 1;
                if looked_at.is_multiple_of(CHECK_EVERY) && cancelled() {
                    return None;
                }
                if self.chart_of[face as usize] != u32::MAX || !self.take(mesh, face) {
                    continue;
                }
                let next = neighbours[face as usize].into_iter();
                queue.extend(next.filter(|&next| {
                    directions.get(next as usize) == Some(&direction)
                        && self.chart_of[next as usize] == u32::MAX
                }));
            }
        }
        Some(())
    }

    /// Adds a face to the last chart, unless it lies over another face of it.
    fn take(&mut self, mesh: &Mesh, face: u32) -> bool {
        let number = self.charts.len() as u32 - 1;
        let Some(chart) = self.charts.last_mut() else {
            return false;
        };
        let seen_as = SEEN[usize::from(chart.direction)];
        let corners = mesh.triangles[face as usize]
            .map(|vertex| seen(seen_as, mesh.positions[vertex as usize]));
        let middle = seen(seen_as, self.middle.into());
        let half = 0.5 * self.side as f64;
        let placed: Placed = corners.map(|corner| {
            [0, 1].map(|axis| {
                let at = (corner[axis] - middle[axis]) * self.texels + half;
                (at * PARTS).round() as i64
            })
        });
        let (covered, side) = (&mut self.covered, self.side);
        let mut lies_over = false;
        cover(placed, |column, row, _| {
            lies_over |= covered[row.min(side - 1) * side + column.min(side - 1)] == number;
        });
        if lies_over {
            return false;
        }
        cover(placed, |column, row, _| {
            covered[row.min(side - 1) * side + column.min(side - 1)] = number;
        });
        chart.add(face, corners);
        self.chart_of[face as usize] = number;
        true
    }

    /// Has the faces of small charts seen as those around them, where they lean that way; whether any is.
    fn join_specks(
        &self,
        directions: &mut [u8],
        normals: &[Vec3],
        neighbours: &[[u32; 3]],
    ) -> bool {
        let mut changed = false;
        for (number, chart) in self.charts.iter().enumerate() {
            if chart.faces.len() >= SPECK {
                continue;
            }
            let mut around = [0_usize; 6];
            for &face in &chart.faces {
                for &next in &neighbours[face as usize] {
                    if let Some(&other) = self.chart_of.get(next as usize)
                        && other != number as u32
                        && self.charts[other as usize].direction != chart.direction
                    {
                        around[usize::from(self.charts[other as usize].direction)] += 1;
                    }
                }
            }
            let can = |direction: &u8| {
                around[usize::from(*direction)] > 0
                    && chart.faces.iter().all(|&face| {
                        facing(normals[face as usize], *direction) >= LEAST_FACING_OF_SPECKS
                    })
            };
            let most = (0..6_u8).filter(can);
            if let Some(most) = most.max_by_key(|&direction| around[usize::from(direction)]) {
                for &face in &chart.faces {
                    directions[face as usize] = most;
                }
                changed = true;
            }
        }
        changed
    }
}
