//! Number formats of weights and activations.

use std::fmt;

/// The number format a source computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16 with 32-bit accumulation.
    F16,
    /// bfloat16 with 32-bit accumulation.
    Bf16,
    /// 8-bit integer weights with a scale for each output channel, computed in 16 bits.
    Int8,
}

impl Precision {
    /// The bytes that one weight takes.
    pub const fn weight_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 => 1,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "fp32",
            Self::F16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}
