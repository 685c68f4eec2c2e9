//! From samples as they lie in a file to 8-bit sRGB: colour profiles, inks, bit depth.

use super::{Samples, Warning};
use moxcms::{
    ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, Transform16BitExecutor,
    TransformExecutor, TransformOptions,
};
use rayon::prelude::*;
use std::sync::Arc;

/// Pixels converted at a time: small enough for the second-level cache.
const CHUNK: usize = 1 << 13;

/// Converts to 8-bit sRGB through `profile`, the bytes of an ICC profile. Without one, colours are taken
/// for sRGB and inks converted by the usual estimate (1 - ink)(1 - black). A profile that cannot be used is
/// ignored, and the warning says so.
pub(super) fn to_srgb(
    mut samples: Samples,
    grey: bool,
    profile: Option<&[u8]>,
) -> (Vec<[u8; 4]>, Option<Warning>) {
    let warning = match (profile, &samples) {
        (Some(profile), _) => match apply(profile, &mut samples, grey) {
            Ok(Applied::Whole(pixels)) => return (pixels, None),
            Ok(Applied::InPlace) => None,
            Err(warning) => Some(warning),
        },
        (None, Samples::Cmyk8(_)) => Some(Warning::InksWithoutProfile),
        (None, _) => None,
    };
    let pixels = match samples {
        Samples::Rgba8(pixels) => pixels,
        Samples::Rgba16(pixels) => pixels
            .par_iter()
            .map(|pixel| pixel.map(to_8_bits))
            .collect(),
        Samples::Cmyk8(mut inks) => {
            inks.par_iter_mut()
                .for_each(|pixel| *pixel = ink_estimate(*pixel));
            inks
        }
    };
    (pixels, warning)
}

/// Rounds a 16-bit sample to 8 bits.
pub(super) fn to_8_bits(sample: u16) -> u8 {
    // 65535 is 255 · 257, so this is the exact nearest value.
    ((u32::from(sample) + 128) / 257) as u8
}

fn ink_estimate([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 4] {
    let paper = u16::from(255 - black);
    let reflected = |ink: u8| ((u16::from(255 - ink) * paper + 127) / 255) as u8;
    [reflected(cyan), reflected(magenta), reflected(yellow), 255]
}

enum Applied {
    /// The samples were converted where they lie.
    InPlace,
    /// The samples were converted into these pixels.
    Whole(Vec<[u8; 4]>),
}

fn apply(profile: &[u8], samples: &mut Samples, grey: bool) -> Result<Applied, Warning> {
    let profile = ColorProfile::new_from_slice(profile).map_err(broken)?;
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    match (profile.color_space, &mut *samples) {
        (DataColorSpace::Rgb, Samples::Rgba8(pixels)) => {
            let transform = profile
                .create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, options)
                .map_err(broken)?;
            if !is_identity(&transform)? {
                convert_in_place(pixels, &transform)?;
            }
            Ok(Applied::InPlace)
        }
        (DataColorSpace::Rgb, Samples::Rgba16(pixels)) => {
            let transform: Arc<Transform16BitExecutor> = profile
                .create_transform_16bit(Layout::Rgba, &srgb, Layout::Rgba, options)
                .map_err(broken)?;
            convert_in_place(pixels, &transform)?;
            Ok(Applied::InPlace)
        }
        (DataColorSpace::Gray, Samples::Rgba8(pixels)) if grey => {
            let transform = profile
                .create_transform_8bit(Layout::Gray, &srgb, Layout::Rgb, options)
                .map_err(broken)?;
            let levels: Vec<u8> = (0..=u8::MAX).collect();
            let table = grey_table(&levels, &transform)?;
            pixels.par_iter_mut().for_each(|[red, green, blue, _]| {
                [*red, *green, *blue] = table[usize::from(*red)];
            });
            Ok(Applied::InPlace)
        }
        (DataColorSpace::Gray, Samples::Rgba16(pixels)) if grey => {
            let transform = profile
                .create_transform_16bit(Layout::Gray, &srgb, Layout::Rgb, options)
                .map_err(broken)?;
            let levels: Vec<u16> = (0..=u16::MAX).collect();
            let table = grey_table(&levels, &transform)?;
            pixels.par_iter_mut().for_each(|[red, green, blue, _]| {
                [*red, *green, *blue] = table[usize::from(*red)];
            });
            Ok(Applied::InPlace)
        }
        (DataColorSpace::Cmyk, Samples::Cmyk8(inks)) => {
            let transform = profile
                .create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, options)
                .map_err(broken)?;
            convert_in_place(inks, &transform)?;
            inks.par_iter_mut().for_each(|pixel| pixel[3] = u8::MAX);
            Ok(Applied::Whole(std::mem::take(inks)))
        }
        _ => Err(Warning::MismatchedProfile),
    }
}

// Which of its many rules a profile breaks helps nobody: the remedy is the same.
fn broken(_: moxcms::CmsError) -> Warning {
    Warning::BrokenProfile
}

/// Whether a transform changes no colour by more than one level, as that of an embedded sRGB profile.
fn is_identity(transform: &Arc<Transform8BitExecutor>) -> Result<bool, Warning> {
    let steps = [0_u8, 51, 102, 153, 204, 255];
    let mut probe: Vec<[u8; 4]> = (0..=u8::MAX)
        .map(|level| [level, level, level, 255])
        .collect();
    for red in steps {
        for green in steps {
            probe.extend(steps.map(|blue| [red, green, blue, 255]));
        }
    }
    let mut converted = vec![[0; 4]; probe.len()];
    transform
        .transform(probe.as_flattened(), converted.as_flattened_mut())
        .map_err(broken)?;
    let pairs = probe.as_flattened().iter().zip(converted.as_flattened());
    Ok(pairs
        .into_iter()
        .all(|(before, after)| before.abs_diff(*after) <= 1))
}

fn convert_in_place<T>(
    pixels: &mut [[T; 4]],
    transform: &Arc<dyn TransformExecutor<T> + Send + Sync>,
) -> Result<(), Warning>
where
    T: Copy + Default + Send + Sync,
{
    pixels.par_chunks_mut(CHUNK).try_for_each(|chunk| {
        let mut converted = vec![[T::default(); 4]; chunk.len()];
        transform
            .transform(chunk.as_flattened(), converted.as_flattened_mut())
            .map_err(broken)?;
        chunk.copy_from_slice(&converted);
        Ok(())
    })
}

fn grey_table<T>(
    levels: &[T],
    transform: &Arc<dyn TransformExecutor<T> + Send + Sync>,
) -> Result<Vec<[T; 3]>, Warning>
where
    T: Copy + Default,
{
    let mut table = vec![[T::default(); 3]; levels.len()];
    transform
        .transform(levels, table.as_flattened_mut())
        .map_err(broken)?;
    Ok(table)
}
