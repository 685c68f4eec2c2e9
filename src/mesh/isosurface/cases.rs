//! The 256 sign configurations of a cell, and how the surface runs through each of them.
//!
//! Made from first principles at compile time: the crossed edges of a cell are linked across its faces,
//! and every closed chain of edges is one *patch*, which gets one vertex (Nielson 2004, "Dual marching
//! cubes"). Where a face has its inside corners on a diagonal, the inside is joined across the face, so
//! that thin diagonal strokes hold together.
//!
//! One thing can go wrong with that: both chains that cross such a face may belong to the same patch on
//! either side of it, and the two cells would then be linked by two coinciding edges. Wenger
//! ("Isosurfaces", 2013, chapter 5) names the two configurations where a patch meets a face twice, and
//! resolves the face the other way when both its cells are of that kind. Each such cell has no second
//! ambiguous face, so no other cell notices. After that, an edge of the surface has exactly two faces and
//! a vertex exactly one fan.

/// No face of the cell is met twice by one patch.
pub(super) const NO_FACE: u8 = 6;

/// How the surface runs through a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    /// The number of patches, at most 4.
    pub(super) patches: u8,
    /// The face that one patch meets twice, or [`NO_FACE`].
    pub(super) doubled_face: u8,
    /// The patch that crosses each edge (0 where none does).
    pub(super) patch_of_edge: [u8; 12],
    /// The crossed edges of each patch, one bit an edge.
    pub(super) edges: [u16; 4],
    /// For each patch and axis, how many of its crossed edges lie on the far side of the cell.
    pub(super) far_edges: [[f32; 3]; 4],
    /// One over the number of crossed edges of each patch.
    pub(super) weight: [f32; 4],
}

/// The cases by configuration: bit `x + 2 y + 4 z` is set where that corner is inside. The second half
/// holds the other resolution of the doubled face.
pub(super) static CASES: [Case; 512] = all_cases();

/// The offset in [`CASES`] of the cases with the doubled face resolved the other way.
pub(super) const RESOLVED: usize = 256;

/// The two corners of an edge, the lower one first. Edge `4 axis + b + 2 c` runs along `axis` at the
/// coordinates `b` and `c` of the next two axes.
pub(super) const EDGE_CORNERS: [[u8; 2]; 12] = edge_corners();

const fn edge_corners() -> [[u8; 2]; 12] {
    let mut corners = [[0; 2]; 12];
    let mut edge = 0;
    while edge < 12 {
        let axis = edge / 4;
        let low = ((edge & 1) << ((axis + 1) % 3)) | (((edge >> 1) & 1) << ((axis + 2) % 3));
        corners[edge] = [low as u8, (low | (1 << axis)) as u8];
        edge += 1;
    }
    corners
}

const fn edge_between(a: usize, b: usize) -> usize {
    let axis = (a ^ b).trailing_zeros() as usize;
    let low = a & b;
    4 * axis + ((low >> ((axis + 1) % 3)) & 1) + 2 * ((low >> ((axis + 2) % 3)) & 1)
}

/// The corners around face `2 axis + side`.
const fn face_corners(face: usize) -> [usize; 4] {
    let axis = face / 2;
    let base = (face & 1) << axis;
    let u = 1 << ((axis + 1) % 3);
    let v = 1 << ((axis + 2) % 3);
    [base, base | u, base | u | v, base | v]
}

const fn inside(configuration: usize, corner: usize) -> bool {
    (configuration >> corner) & 1 == 1
}

/// Gives all edges of one chain the label of the least of them.
const fn link(labels: &mut [u8; 12], a: usize, b: usize) {
    let (from, to) = if labels[a] > labels[b] {
        (labels[a], labels[b])
    } else {
        (labels[b], labels[a])
    };
    let mut edge = 0;
    while edge < 12 {
        if labels[edge] == from {
            labels[edge] = to;
        }
        edge += 1;
    }
}

/// Whether the inside corners of a face are exactly one of its diagonals.
const fn is_ambiguous(configuration: usize, face: usize) -> bool {
    let corners = face_corners(face);
    inside(configuration, corners[0]) == inside(configuration, corners[2])
        && inside(configuration, corners[1]) == inside(configuration, corners[3])
        && inside(configuration, corners[0]) != inside(configuration, corners[1])
}

/// Labels the crossed edges by chain.
const fn chains(configuration: usize, join_inside: bool) -> [u8; 12] {
    let mut labels = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let mut face = 0;
    while face < 6 {
        let corners = face_corners(face);
        let ambiguous = is_ambiguous(configuration, face);
        let mut first = 12;
        let mut i = 0;
        while i < 4 {
            let corner = corners[i];
            let next = corners[(i + 1) % 4];
            let edge = edge_between(corner, next);
            if ambiguous {
                // The chain goes around each corner of the kind that is kept apart.
                if inside(configuration, corner) != join_inside {
                    link(
                        &mut labels,
                        edge_between(corners[(i + 3) % 4], corner),
                        edge,
                    );
                }
            } else if inside(configuration, corner) != inside(configuration, next) {
                if first == 12 {
                    first = edge;
                } else {
                    link(&mut labels, first, edge);
                }
            }
            i += 1;
        }
        face += 1;
    }
    labels
}

/// The face that one chain crosses twice.
const fn doubled_face(configuration: usize, labels: &[u8; 12]) -> u8 {
    let mut doubled = NO_FACE;
    let mut ambiguous = 0;
    let mut face = 0;
    while face < 6 {
        if is_ambiguous(configuration, face) {
            ambiguous += 1;
            let c = face_corners(face);
            // All four edges of an ambiguous face are crossed, by one chain or by two.
            let label = labels[edge_between(c[0], c[1])];
            if label == labels[edge_between(c[1], c[2])]
                && label == labels[edge_between(c[2], c[3])]
                && label == labels[edge_between(c[3], c[0])]
            {
                doubled = face as u8;
            }
        }
        face += 1;
    }
    assert!(
        doubled == NO_FACE || ambiguous == 1,
        "resolving a doubled face must not disturb another cell"
    );
    doubled
}

const fn case(configuration: usize, resolved: bool) -> Case {
    let joined = chains(configuration, true);
    let doubled = doubled_face(configuration, &joined);
    let labels = if resolved && doubled != NO_FACE {
        chains(configuration, false)
    } else {
        joined
    };
    let mut case = Case {
        patches: 0,
        doubled_face: doubled,
        patch_of_edge: [0; 12],
        edges: [0; 4],
        far_edges: [[0.0; 3]; 4],
        weight: [0.0; 4],
    };
    let mut patch_of_label = [u8::MAX; 12];
    let mut edge = 0;
    while edge < 12 {
        let low = EDGE_CORNERS[edge][0] as usize;
        if inside(configuration, low) != inside(configuration, EDGE_CORNERS[edge][1] as usize) {
            let label = labels[edge] as usize;
            if patch_of_label[label] == u8::MAX {
                patch_of_label[label] = case.patches;
                case.patches += 1;
            }
            let patch = patch_of_label[label];
            case.patch_of_edge[edge] = patch;
            let patch = patch as usize;
            case.edges[patch] |= 1 << edge;
            let mut axis = 0;
            while axis < 3 {
                case.far_edges[patch][axis] += ((low >> axis) & 1) as f32;
                axis += 1;
            }
        }
        edge += 1;
    }
    let mut patch = 0;
    while patch < case.patches as usize {
        case.weight[patch] = 1.0 / case.edges[patch].count_ones() as f32;
        patch += 1;
    }
    case
}

pub(super) const fn all_cases() -> [Case; 512] {
    let mut cases = [case(0, false); 512];
    let mut configuration = 0;
    while configuration < 256 {
        cases[configuration] = case(configuration, false);
        cases[configuration + RESOLVED] = case(configuration, true);
        configuration += 1;
    }
    cases
}
