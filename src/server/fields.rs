//! Texts from forms and queries become values: every number is finite and inside its range, every name
//! is one of those that are listed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::refusal::Refusal;
use crate::engine::{Back, Precision, Source};
use crate::formats::Format;
use crate::vram::DeviceWish;

/// A number from a range.
pub(super) fn number<T>(field: &str, text: &str, range: &RangeInclusive<T>) -> Result<T, Refusal>
where
    T: FromStr + PartialOrd + Display,
{
    // A NaN is inside no range.
    let value = text.parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| {
        let message = format!(
            "{field} takes a number from {} to {}",
            range.start(),
            range.end()
        );
        Refusal::invalid(field, message)
    })
}

/// One of the named values.
pub(super) fn choice<T: Copy>(
    field: &str,
    text: &str,
    choices: &[(&str, T)],
) -> Result<T, Refusal> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        Refusal::invalid(field, format!("{field} takes one of {}", names.join(", ")))
    })
}

pub(super) fn flag(field: &str, text: &str) -> Result<bool, Refusal> {
    choice(field, text, &[("true", true), ("false", false)])
}

/// A matte that needs no image of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MatteName {
    #[default]
    Auto,
    Alpha,
    Full,
}

pub(super) const SOURCES: [(&str, Source); 4] = [
    ("auto", Source::Auto),
    ("inflate", Source::Inflate),
    ("triposr", Source::TripoSr),
    ("triposg", Source::TripoSg),
];

pub(super) const MATTES: [(&str, MatteName); 3] = [
    ("auto", MatteName::Auto),
    ("alpha", MatteName::Alpha),
    ("full", MatteName::Full),
];

pub(super) const BACKS: [(&str, Back); 4] = [
    ("auto", Back::Auto),
    ("plain", Back::Plain),
    ("mirror", Back::Mirror),
    ("flat", Back::Flat),
];

pub(super) const PRECISIONS: [(&str, Option<Precision>); 5] = [
    ("auto", None),
    ("fp32", Some(Precision::F32)),
    ("fp16", Some(Precision::F16)),
    ("bf16", Some(Precision::Bf16)),
    ("int8", Some(Precision::Int8)),
];

pub(super) fn device(field: &str, text: &str) -> Result<DeviceWish, Refusal> {
    text.parse().map_err(|_unknown| {
        let message =
            format!("{field} takes one of auto, cpu, cuda and cuda:N, with N counted from 0");
        Refusal::invalid(field, message)
    })
}

pub(super) fn format(field: &str, text: &str) -> Result<Format, Refusal> {
    choice(
        field,
        text,
        &Format::ALL.map(|format| (format.extension(), format)),
    )
}
