//! What is worked out of a mesh for the viewport, on a lane: the form that the graphics card takes, what a
//! pointer touches, and the edges where the surface ends.

use std::sync::Arc;

use glam::Vec3;

use super::desk::{Inbox, Message, Problem};
use super::project::Shown;
use super::viewport::{MeshKey, ViewMessage};
use crate::mesh::{Mesh, checks, weld};
use crate::view::{Bounds, GpuLines, Picking, Prepared, Renderer};

/// A mesh that can be handed to the graphics card.
pub(super) struct Ready {
    pub(super) key: MeshKey,
    pub(super) prepared: Arc<Prepared>,
}

/// What is known of a finished mesh besides its picture.
pub(super) struct Details {
    pub(super) key: MeshKey,
    pub(super) picking: Picking,
    pub(super) open_edges: Option<OpenEdges>,
}

/// Where a surface ends.
pub(super) struct OpenEdges {
    pub(super) count: usize,
    pub(super) bounds: Bounds,
    pub(super) middle: Vec3,
    /// Taken by the stage.
    pub(super) lines: Option<GpuLines>,
}

/// Packs a mesh for the graphics card.
pub(super) fn prepare(inbox: &Inbox, key: MeshKey, shown: &Shown) {
    match Prepared::new(shown.mesh()) {
        Ok(prepared) => inbox.send(Message::View(ViewMessage::Mesh(Ready {
            key,
            prepared: Arc::new(prepared),
        }))),
        Err(error) => inbox.send(Message::Notice(Problem::new(
            "The mesh cannot be shown",
            error,
        ))),
    }
}

/// Makes a finished mesh touchable, and looks for open edges where it has some.
pub(super) fn explore(
    inbox: &Inbox,
    key: MeshKey,
    mesh: Arc<Mesh>,
    open: bool,
    renderer: &Renderer,
) {
    let open_edges = open.then(|| open_edges(&mesh, renderer)).flatten();
    inbox.send(Message::View(ViewMessage::Details(Details {
        key,
        picking: Picking::new(mesh),
        open_edges,
    })));
}

fn open_edges(mesh: &Mesh, renderer: &Renderer) -> Option<OpenEdges> {
    let welded = weld(mesh);
    let edges = checks::Edges::of(&welded);
    let segments: Vec<[[f32; 3]; 2]> = checks::open_edges(&edges)
        .iter()
        .map(|open| open.edge.map(|vertex| welded.positions[vertex as usize]))
        .collect();
    let ends = segments.as_flattened().iter().copied().map(Vec3::from);
    let bounds = ends
        .map(|end| Bounds { min: end, max: end })
        .reduce(|one, other| one.union(&other))?;
    let sum: Vec3 = segments
        .as_flattened()
        .iter()
        .copied()
        .map(Vec3::from)
        .sum();
    Some(OpenEdges {
        count: segments.len(),
        bounds,
        middle: sum / (segments.len() * 2) as f32,
        lines: GpuLines::new(renderer, &segments),
    })
}
