//! Number formats of weights and activations.

use std::fmt;
use std::str::FromStr;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use serde::{Serialize, Serializer};

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
    /// Every precision, the widest first.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Bf16, Self::Int8];

    /// Its name for users.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "fp32",
            Self::F16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// The bytes that one weight takes.
    pub const fn weight_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int8 => 1,
        }
    }
}

/// The format of numbers that operators and kernels read and write; they compute in 32 bits whichever it
/// is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Number {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16.
    Bf16,
}

/// The number format that operators keep their results in.
pub type Activations = Number;

impl Number {
    /// Every format, the widest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// Its name at the end of a kernel's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// The bytes of a number.
    pub const fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Writes numbers in this format, rounded to the nearest.
    ///
    /// # Panics
    ///
    /// When `bytes` has another length.
    pub fn encode(self, values: &[f32], bytes: &mut [u8]) {
        assert_eq!(
            bytes.len(),
            values.len() * self.size_bytes(),
            "bytes of numbers"
        );
        let mut narrow = [0_u16; 256];
        for (values, bytes) in values
            .chunks(narrow.len())
            .zip(bytes.chunks_mut(narrow.len() * self.size_bytes()))
        {
            let narrow = &mut narrow[..values.len()];
            match self {
                Self::F32 => {
                    bytes.copy_from_slice(bytemuck::cast_slice(values));
                    continue;
                }
                Self::F16 => narrow
                    .reinterpret_cast_mut::<f16>()
                    .convert_from_f32_slice(values),
                Self::Bf16 => narrow
                    .reinterpret_cast_mut::<bf16>()
                    .convert_from_f32_slice(values),
            }
            bytes.copy_from_slice(bytemuck::cast_slice(narrow));
        }
    }

    /// Reads numbers of this format.
    ///
    /// # Panics
    ///
    /// When `bytes` has another length.
    pub fn decode(self, bytes: &[u8], values: &mut [f32]) {
        assert_eq!(
            bytes.len(),
            values.len() * self.size_bytes(),
            "bytes of numbers"
        );
        let mut narrow = [0_u16; 256];
        for (values, bytes) in values
            .chunks_mut(narrow.len())
            .zip(bytes.chunks(narrow.len() * self.size_bytes()))
        {
            let narrow = &mut narrow[..values.len()];
            if self == Self::F32 {
                bytemuck::cast_slice_mut::<f32, u8>(values).copy_from_slice(bytes);
                continue;
            }
            bytemuck::cast_slice_mut::<u16, u8>(narrow).copy_from_slice(bytes);
            match self {
                Self::Bf16 => narrow
                    .reinterpret_cast::<bf16>()
                    .convert_to_f32_slice(values),
                _ => narrow
                    .reinterpret_cast::<f16>()
                    .convert_to_f32_slice(values),
            }
        }
    }

    /// Rounds numbers to this format. The processor keeps them in 32 bits, so that what a device computes
    /// in 16 can be told without one.
    pub fn round(self, values: &mut [f32]) {
        let mut narrow = [0_u16; 256];
        for values in values.chunks_mut(narrow.len()) {
            let narrow = &mut narrow[..values.len()];
            match self {
                Self::F32 => return,
                Self::F16 => {
                    let narrow = narrow.reinterpret_cast_mut::<f16>();
                    narrow.convert_from_f32_slice(values);
                    narrow.convert_to_f32_slice(values);
                }
                Self::Bf16 => {
                    let narrow = narrow.reinterpret_cast_mut::<bf16>();
                    narrow.convert_from_f32_slice(values);
                    narrow.convert_to_f32_slice(values);
                }
            }
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no precision {name:?}; write fp32, fp16, bf16 or int8")]
pub struct UnknownPrecision {
    /// The text.
    pub name: String,
}

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| UnknownPrecision { name: text.into() })
    }
}

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
