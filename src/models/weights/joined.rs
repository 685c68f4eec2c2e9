//! Several files as one set of tensors, each file's under a prefix.

use std::path::Path;

use super::{Weights, WeightsError};

/// The tensors of several files.
#[derive(Debug)]
pub struct Joined {
    parts: Vec<(&'static str, Weights)>,
}

impl Joined {
    /// Opens files of a folder: what the names of each one's tensors begin with, and its path.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] when one cannot be read or is no sound weights file.
    pub fn open(folder: &Path, files: &[(&'static str, &str)]) -> Result<Self, WeightsError> {
        let open = |&(prefix, path): &(&'static str, &str)| {
            Ok((prefix, Weights::open(&folder.join(path))?))
        };
        let parts = files.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// Compares the tensors of every file with those that a model has, as [`Weights::check`] does.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] for the first file that differs.
    pub fn check(
        &self,
        expected: &[(String, Vec<usize>)],
        unused: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        for (prefix, weights) in &self.parts {
            let expected = expected
                .iter()
                .filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, shape.as_slice())));
            weights.check(expected, |name| unused(&format!("{prefix}{name}")))?;
        }
        Ok(())
    }

    /// Reads a tensor, as [`Weights::read_f32`] does.
    ///
    /// # Errors
    ///
    /// As [`Weights::read_f32`].
    ///
    /// # Panics
    ///
    /// When no file's prefix begins the name.
    pub fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let found = self
            .parts
            .iter()
            .find_map(|(prefix, weights)| Some((weights, name.strip_prefix(prefix)?)));
        let Some((weights, name)) = found else {
            unreachable!("a model reads tensors of its own files, not {name}");
        };
        weights.read_f32(name, shape)
    }
}
