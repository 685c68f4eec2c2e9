//! An independent check that a mesh is closed and manifold once welded by position.

use std::collections::HashMap;

/// What a mesh is after vertices with bit-identical positions are welded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) vertices: usize,
    pub(crate) euler: i64,
    pub(crate) components: usize,
}

/// Welds by position, then checks that the mesh is closed, manifold and consistently oriented.
pub(crate) fn closed_manifold(
    positions: &[[f32; 3]],
    triangles: &[[u32; 3]],
) -> Result<Topology, String> {
    let mut ids = HashMap::new();
    let welded: Vec<usize> = positions
        .iter()
        .map(|p| {
            let next = ids.len();
            // Minus zero is the same place as zero.
            *ids.entry(p.map(|x| (x + 0.0).to_bits())).or_insert(next)
        })
        .collect();
    let triangles: Vec<[usize; 3]> = triangles
        .iter()
        .map(|t| t.map(|v| welded[v as usize]))
        .collect();
    let mut edges = HashMap::new();
    let mut fans: Vec<Vec<(usize, usize)>> = vec![Vec::new(); ids.len()];
    for t in &triangles {
        for i in 0..3 {
            let (a, b, c) = (t[i], t[(i + 1) % 3], t[(i + 2) % 3]);
            if a == b {
                return Err(format!("triangle {t:?} has a vertex twice"));
            }
            if edges.insert((a, b), ()).is_some() {
                return Err(format!("edge {a} → {b} occurs twice"));
            }
            fans[a].push((b, c));
        }
    }
    for &(a, b) in edges.keys() {
        if !edges.contains_key(&(b, a)) {
            return Err(format!("edge {a} → {b} is open"));
        }
    }
    for (vertex, fan) in fans.iter().enumerate() {
        let next: HashMap<usize, usize> = fan.iter().copied().collect();
        let Some(&(first, _)) = fan.first() else {
            return Err(format!("vertex {vertex} has no face"));
        };
        let (mut at, mut turned) = (first, 0);
        loop {
            at = next[&at];
            turned += 1;
            if at == first {
                break;
            }
        }
        if turned != fan.len() {
            return Err(format!("vertex {vertex} has more than one fan"));
        }
    }
    let mut parent: Vec<usize> = (0..ids.len()).collect();
    fn root(parent: &mut [usize], mut v: usize) -> usize {
        while parent[v] != v {
            parent[v] = parent[parent[v]];
            v = parent[v];
        }
        v
    }
    for t in &triangles {
        for &v in &t[1..] {
            let (a, b) = (root(&mut parent, t[0]), root(&mut parent, v));
            parent[a] = b;
        }
    }
    Ok(Topology {
        vertices: ids.len(),
        euler: ids.len() as i64 - edges.len() as i64 / 2 + triangles.len() as i64,
        components: (0..ids.len()).filter(|&v| parent[v] == v).count(),
    })
}
