//! What is told about a result: everything but its mesh, in a form that outlives the job.

use serde::{Deserialize, Serialize};

use super::settings::Source;
use crate::mesh::checks::Report;
use crate::photo::{Matte, MatteKind};

/// What a job made, in numbers and words. Lengths are in units of the mesh, whose longest side is 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The shape source that ran.
    pub source: Source,
    /// The kind of solid that it made.
    pub mode: String,
    /// Cells along the longest side.
    pub resolution: u32,
    /// Where it was computed, as in `cpu` or `cuda:0`.
    pub device: String,
    /// The number format it was computed in.
    pub precision: String,
    /// What the checks found.
    #[serde(flatten)]
    pub shape: Shape,
    /// The matte that was used.
    pub matte: MatteSummary,
    /// Every stage in order, with its time.
    pub stages: Vec<StageTime>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// The most memory the job held in its ledger.
    pub peak_ledger_bytes: u64,
}

/// What a mesh is like, as far as it can be told in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Vertices, seams counted as often as they occur.
    pub vertices: usize,
    /// Triangles.
    pub faces: usize,
    /// Whether the surface ends nowhere.
    pub closed: bool,
    /// Whether no edge has more than two faces and the faces at every vertex form one fan.
    pub manifold: bool,
    /// The parts that hang together by edges.
    pub components: usize,
    /// Vertices less edges plus faces, after welding.
    pub euler: i64,
    /// The signed volume.
    pub volume: f64,
    /// The area of all faces.
    pub area: f64,
    /// The least corner of the box around all faces.
    pub min: [f32; 3],
    /// The greatest corner of the box around all faces.
    pub max: [f32; 3],
}

impl From<&Report> for Shape {
    fn from(report: &Report) -> Self {
        Self {
            vertices: report.vertices,
            faces: report.faces,
            closed: report.closed,
            manifold: report.manifold,
            components: report.components,
            euler: report.euler,
            volume: report.volume,
            area: report.area,
            min: report.bounds.min,
            max: report.bounds.max,
        }
    }
}

/// What a mesh measures, in millimetres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measures {
    /// The signed volume in mm³.
    pub volume_mm3: f64,
    /// The area of all faces in mm².
    pub area_mm2: f64,
    /// The box around all faces.
    pub bounds_mm: Bounds,
}

/// The box around a mesh in millimetres, in the mesh's own frame: +Y up, +Z to the front.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// The least corner.
    pub min: [f64; 3],
    /// The greatest corner.
    pub max: [f64; 3],
    /// From one to the other.
    pub size: [f64; 3],
}

impl Shape {
    /// Scales what is told in units of the mesh.
    pub fn in_mm(&self, mm_per_unit: f64) -> Measures {
        let [min, max] =
            [self.min, self.max].map(|corner| corner.map(|value| f64::from(value) * mm_per_unit));
        Measures {
            volume_mm3: self.volume * mm_per_unit.powi(3),
            area_mm2: self.area * mm_per_unit.powi(2),
            bounds_mm: Bounds {
                min,
                max,
                size: std::array::from_fn(|axis| max[axis] - min[axis]),
            },
        }
    }
}

/// The matte that was used, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MatteSummary {
    /// Where it comes from: `alpha`, `estimated`, `full` or `user`.
    pub kind: String,
    /// How far it can be trusted, in `0..=1`.
    pub confidence: f32,
}

impl From<&Matte> for MatteSummary {
    fn from(matte: &Matte) -> Self {
        let kind = match matte.kind {
            MatteKind::Alpha => "alpha",
            MatteKind::Estimated => "estimated",
            MatteKind::Full => "full",
            MatteKind::User => "user",
        };
        Self {
            kind: kind.to_owned(),
            confidence: matte.confidence,
        }
    }
}

/// How long a stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// The stage's name in reports.
    pub name: String,
    /// Its wall-clock time.
    pub seconds: f64,
}
