//! What a shape source states before it starts: what it can be asked for, and what each choice takes.

use std::fmt;

use serde::Serialize;

use crate::compute::{Device, Precision};

/// What matters of a device to a source that says whether and how it runs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// The host's processor.
    Cpu,
    /// A CUDA device.
    Cuda {
        /// Its compute capability, major and minor.
        compute_capability: (u32, u32),
    },
}

impl DeviceKind {
    /// Whether it multiplies matrices of 16-bit numbers in hardware.
    pub fn has_tensor_cores(self) -> bool {
        matches!(self, Self::Cuda { compute_capability } if compute_capability >= (7, 0))
    }

    /// Whether it computes in bfloat16 at the speed of binary16.
    pub fn has_bf16(self) -> bool {
        matches!(self, Self::Cuda { compute_capability } if compute_capability >= (8, 0))
    }
}

/// Where the weights of a source are while it runs on a device; the later, the less of its memory they
/// take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// All of them on the device.
    Resident,
    /// The part that a stage needs, one stage after another.
    Staged,
    /// A few layers at a time, from host memory.
    Streamed,
}

impl fmt::Display for Residency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resident => "resident",
            Self::Staged => "staged",
            Self::Streamed => "streamed",
        })
    }
}

/// One way to run a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Choice {
    /// Where.
    pub device: Device,
    /// In what number format.
    pub precision: Precision,
    /// How much at once, in the source's own unit; see [`Cost::chunks`].
    pub chunk: u32,
    /// Where the weights are.
    pub residency: Residency,
    /// The resolution of the finest level.
    pub level: u32,
}

/// The most memory that a choice takes at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Need {
    /// Of the host, in bytes.
    pub host_bytes: u64,
    /// Of the device, in bytes; 0 on the processor.
    pub device_bytes: u64,
}

/// The cost of a source, stated before it starts.
///
/// Stating a cost takes no time, allocates nothing of size, and gives the same answer every time.
pub trait Cost {
    /// The source's name for users.
    fn source(&self) -> &str;

    /// Whether it has weights, hence a precision to choose by what the device computes fast.
    fn has_weights(&self) -> bool {
        false
    }

    /// The precisions it has on a device; none where it does not run there. Wider ones are tried first,
    /// and of one width the first of these.
    fn precisions(&self, device: &DeviceKind) -> Vec<Precision>;

    /// The sizes of a chunk of work, largest first, in whatever the source counts. A smaller chunk takes
    /// less memory and more time, and gives the same mesh. One size where there is no choice.
    fn chunks(&self) -> Vec<u32> {
        vec![1]
    }

    /// Where its weights can be, preferred first.
    fn residencies(&self) -> Vec<Residency> {
        vec![Residency::Resident]
    }

    /// The levels that can be stepped down to, in any order.
    fn levels(&self) -> Vec<u32> {
        vec![512, 256, 128, 64, 32]
    }

    /// What a choice takes.
    fn need(&self, choice: &Choice) -> Need;
}
