//! Values of options: every number is finite and inside its range before any work begins.

use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::ValueEnum;

use crate::engine::{Back, Precision, Settings, Source};
use crate::formats::Format;
use crate::vram::DeviceWish;

fn within<T>(text: &str, range: &RangeInclusive<T>, unit: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let expected = format!(
        "expected a number from {} to {}{unit}",
        range.start(),
        range.end()
    );
    // A NaN is inside no range.
    text.parse()
        .ok()
        .filter(|value| range.contains(value))
        .ok_or(expected)
}

pub(super) fn thickness(text: &str) -> Result<f32, String> {
    within(text, &Settings::THICKNESSES, "")
}

pub(super) fn detail(text: &str) -> Result<f32, String> {
    within(text, &Settings::DETAILS, "")
}

pub(super) fn relief(text: &str) -> Result<f32, String> {
    within(text, &Settings::RELIEFS, " of the longest side")
}

pub(super) fn size_mm(text: &str) -> Result<f64, String> {
    within(text, &Settings::SIZES_MM, " mm")
}

pub(super) fn resolution(text: &str) -> Result<u32, String> {
    within(text, &Settings::RESOLUTIONS, " cells")
}

pub(super) fn quality(text: &str) -> Result<u8, String> {
    within(text, &Settings::QUALITIES, "")
}

pub(super) fn faces(text: &str) -> Result<usize, String> {
    within(text, &Settings::FACES, " faces")
}

pub(super) fn steps(text: &str) -> Result<u32, String> {
    within(text, &Settings::STEPS, " steps")
}

pub(super) fn guidance(text: &str) -> Result<f32, String> {
    within(text, &Settings::GUIDANCES, "")
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    within(text, &Settings::SEEDS, "")
}

pub(super) fn shapes(text: &str) -> Result<u32, String> {
    within(text, &Settings::SHAPES, " shapes")
}

pub(super) fn threshold(text: &str) -> Result<f32, String> {
    within(text, &Settings::THRESHOLDS, "")
}

pub(super) fn preview_share(text: &str) -> Result<f64, String> {
    within(text, &Settings::PREVIEW_SHARES, " of the time")
}

pub(super) fn memory_mb(text: &str) -> Result<u64, String> {
    within(text, &(1..=1_000_000), " MB")
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    within(text, &(1..=256), " threads")
}

pub(super) fn queue(text: &str) -> Result<usize, String> {
    within(text, &(1..=10_000), " jobs")
}

pub(super) fn seconds(text: &str) -> Result<u64, String> {
    within(text, &(0..=86_400), " seconds")
}

pub(super) fn device(text: &str) -> Result<DeviceWish, String> {
    text.parse()
        .map_err(|_unknown| "expected auto, cpu, cuda or cuda:N, with N counted from 0".to_owned())
}

/// A precision; `None` for the best that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionOption {
    /// The best that the device computes fast and that fits
    Auto,
    /// IEEE 754 binary32
    Fp32,
    /// IEEE 754 binary16
    Fp16,
    /// bfloat16
    Bf16,
    /// 8-bit integer weights
    Int8,
}

impl From<PrecisionOption> for Option<Precision> {
    fn from(option: PrecisionOption) -> Self {
        match option {
            PrecisionOption::Auto => None,
            PrecisionOption::Fp32 => Some(Precision::F32),
            PrecisionOption::Fp16 => Some(Precision::F16),
            PrecisionOption::Bf16 => Some(Precision::Bf16),
            PrecisionOption::Int8 => Some(Precision::Int8),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SourceOption {
    /// The best whose weights are here, that fits into memory and takes under 2 min
    Auto,
    /// The embedded source: outline and shading, no weights
    Inflate,
    /// A neural model; `orfeas models get triposr` downloads its weights
    #[value(name = "triposr")]
    TripoSr,
    /// A neural model that refines a shape from noise; see `orfeas models list`
    #[value(name = "triposg")]
    TripoSg,
}

impl From<SourceOption> for Source {
    fn from(option: SourceOption) -> Self {
        match option {
            SourceOption::Auto => Self::Auto,
            SourceOption::Inflate => Self::Inflate,
            SourceOption::TripoSr => Self::TripoSr,
            SourceOption::TripoSg => Self::TripoSg,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MatteOption {
    /// The alpha channel where there is one, else an estimate
    Auto,
    /// The alpha channel
    Alpha,
    /// The whole frame, as a relief
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BackOption {
    /// Mirrored for flat art, plain otherwise
    Auto,
    /// Smooth, in smoothed colours
    Plain,
    /// The front mirrored
    Mirror,
    /// Cut flat
    Flat,
}

impl From<BackOption> for Back {
    fn from(option: BackOption) -> Self {
        match option {
            BackOption::Auto => Self::Auto,
            BackOption::Plain => Self::Plain,
            BackOption::Mirror => Self::Mirror,
            BackOption::Flat => Self::Flat,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatOption {
    Glb,
    Obj,
    Stl,
    Ply,
    #[value(name = "3mf")]
    ThreeMf,
}

impl From<FormatOption> for Format {
    fn from(option: FormatOption) -> Self {
        match option {
            FormatOption::Glb => Self::Glb,
            FormatOption::Obj => Self::Obj,
            FormatOption::Stl => Self::Stl,
            FormatOption::Ply => Self::Ply,
            FormatOption::ThreeMf => Self::ThreeMf,
        }
    }
}
