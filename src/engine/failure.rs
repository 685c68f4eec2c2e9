//! Why a job stopped before its end.

use crate::compute::{Cancelled, Device, GpuError, OpError, OutOfMemory};
use crate::inflate::InflateError;
use crate::mesh::checks::CheckError;
use crate::mesh::isosurface::IsosurfaceError;
use crate::mesh::placement::PlacementError;
use crate::mesh::simplify::SimplifyError;
use crate::models::error::ModelError;
use crate::models::published::PublishedError;
use crate::models::vecset::SamplingError;
use crate::photo::{CutoutError, DecodeError, MatteError};
use crate::vram::NoPlan;

/// How a job ended without a result. Being cancelled is not an error.
#[derive(Debug)]
pub(super) enum Stop {
    Cancelled,
    Failed(Failure),
}

/// What went wrong with a job.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The bytes are not an image that can be used.
    #[error(transparent)]
    Decode(DecodeError),
    /// No subject could be told from its background.
    #[error(transparent)]
    Matte(MatteError),
    /// The subject could not be cut out.
    #[error(transparent)]
    CutOut(CutoutError),
    /// The shape source found no solid in the image.
    #[error(transparent)]
    Shape(InflateError),
    /// The weights are not there, or cannot be used.
    #[error(transparent)]
    Weights(PublishedError),
    /// The neural model found no shape.
    #[error(transparent)]
    Model(ModelError),
    /// A shape cannot be refined from noise in this way.
    #[error(transparent)]
    Flow(SamplingError),
    /// The device that it ran on failed.
    #[error(transparent)]
    Gpu(GpuError),
    /// The device that `auto` chose the source for cannot run it, and the processor would take too long.
    #[error(
        "{because}: {source_title} was chosen for {device}, and {foretold}, so it was not begun there. Generate again: \
         the best source for what is left will be chosen"
    )]
    TooLongWithout {
        /// What happened, in words for the user.
        because: String,
        /// The device.
        device: Device,
        /// The source.
        source_title: &'static str,
        /// What it takes on the processor.
        foretold: String,
    },
    /// The budget of memory does not suffice.
    #[error("{0}; choose a lower quality, or allow more with --memory")]
    OutOfMemory(OutOfMemory),
    /// No way to run the source is there or fits.
    #[error(transparent)]
    NoPlan(NoPlan),
    /// The field has no surface that can be meshed.
    #[error(transparent)]
    Surface(IsosurfaceError),
    /// The mesh could not be reduced as asked.
    #[error(transparent)]
    Simplify(SimplifyError),
    /// The mesh cannot be placed in a unit box.
    #[error(transparent)]
    Placement(PlacementError),
    /// The mesh is not fit to be inspected.
    #[error(transparent)]
    Check(CheckError),
    /// The mesh came out with holes or pinches. Always a defect of this program, never of the image.
    #[error(
        "the mesh has {open_edges} open edges, {non_manifold_edges} non-manifold edges and {non_manifold_vertices} \
         non-manifold vertices, so it was not kept; this is a defect of Orfeas, please report it with the image"
    )]
    NotSolid {
        /// Edges with one face.
        open_edges: usize,
        /// Edges with more than two faces.
        non_manifold_edges: usize,
        /// Vertices where several fans of faces meet.
        non_manifold_vertices: usize,
    },
    /// The worker panicked. Always a defect of this program.
    #[error(
        "an internal error stopped the job ({message}); this is a defect of Orfeas, please report it with the image"
    )]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

/// What kind of remedy a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Another image, another matte, or other weights.
    BadInput,
    /// More memory, or a smaller wish.
    OutOfMemory,
    /// Another device.
    Unavailable,
    /// A report to the developers.
    Internal,
}

impl Failure {
    /// The bytes required and the bytes free, where memory is what lacked.
    pub fn required_and_free_bytes(&self) -> Option<(u64, u64)> {
        match self {
            Self::OutOfMemory(error) => Some((error.required_bytes, error.free_bytes)),
            Self::NoPlan(no_plan) => no_plan.required_and_free_bytes(),
            _ => None,
        }
    }

    /// What kind of remedy it calls for.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Decode(_)
            | Self::Matte(_)
            | Self::CutOut(_)
            | Self::Shape(_)
            | Self::Weights(_)
            | Self::Model(_)
            | Self::Flow(_)
            | Self::Surface(_) => FailureKind::BadInput,
            Self::OutOfMemory(_)
            | Self::NoPlan(NoPlan::TooLittle { .. } | NoPlan::NothingSmaller { .. }) => {
                FailureKind::OutOfMemory
            }
            Self::Gpu(_)
            | Self::TooLongWithout { .. }
            | Self::NoPlan(NoPlan::NoSuchDevice { .. } | NoPlan::NotThere { .. }) => {
                FailureKind::Unavailable
            }
            Self::Simplify(_)
            | Self::Placement(_)
            | Self::Check(_)
            | Self::NotSolid { .. }
            | Self::Panicked { .. } => FailureKind::Internal,
        }
    }
}

impl From<Cancelled> for Stop {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<OutOfMemory> for Stop {
    fn from(error: OutOfMemory) -> Self {
        Self::Failed(Failure::OutOfMemory(error))
    }
}

impl From<GpuError> for Stop {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::OutOfMemory(error) => error.into(),
            error => Self::Failed(Failure::Gpu(error)),
        }
    }
}

impl From<OpError> for Stop {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Cancelled => Self::Cancelled,
            OpError::OutOfMemory(error) => error.into(),
            OpError::Gpu(error) => error.into(),
        }
    }
}

impl From<NoPlan> for Stop {
    fn from(error: NoPlan) -> Self {
        Self::Failed(Failure::NoPlan(error))
    }
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Failed(Failure::Decode(error))
    }
}

impl From<MatteError> for Stop {
    fn from(error: MatteError) -> Self {
        match error {
            MatteError::Cancelled => Self::Cancelled,
            error => Self::Failed(Failure::Matte(error)),
        }
    }
}

impl From<CutoutError> for Stop {
    fn from(error: CutoutError) -> Self {
        Self::Failed(Failure::CutOut(error))
    }
}

impl From<InflateError> for Stop {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Cancelled => Self::Cancelled,
            InflateError::OutOfMemory(error) => error.into(),
            error => Self::Failed(Failure::Shape(error)),
        }
    }
}

impl From<PublishedError> for Stop {
    fn from(error: PublishedError) -> Self {
        Self::Failed(Failure::Weights(error))
    }
}

impl From<SamplingError> for Stop {
    fn from(error: SamplingError) -> Self {
        Self::Failed(Failure::Flow(error))
    }
}

impl From<ModelError> for Stop {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Cancelled => Self::Cancelled,
            ModelError::OutOfMemory(error) => error.into(),
            ModelError::Gpu(error) => error.into(),
            ModelError::Weights(error) => PublishedError::Weights(error).into(),
            error => Self::Failed(Failure::Model(error)),
        }
    }
}

impl From<IsosurfaceError> for Stop {
    fn from(error: IsosurfaceError) -> Self {
        match error {
            IsosurfaceError::Cancelled => Self::Cancelled,
            error => Self::Failed(Failure::Surface(error)),
        }
    }
}

impl From<SimplifyError> for Stop {
    fn from(error: SimplifyError) -> Self {
        match error {
            SimplifyError::Cancelled => Self::Cancelled,
            error => Self::Failed(Failure::Simplify(error)),
        }
    }
}

impl From<PlacementError> for Stop {
    fn from(error: PlacementError) -> Self {
        Self::Failed(Failure::Placement(error))
    }
}

impl From<CheckError> for Stop {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Cancelled => Self::Cancelled,
            error => Self::Failed(Failure::Check(error)),
        }
    }
}
