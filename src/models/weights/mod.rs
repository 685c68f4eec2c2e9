//! Weights on disk: tensors by name, in safetensors or in what `torch.save` writes.
//!
//! A file is data. Nothing in it is ever executed, and none of its numbers is believed before it was
//! checked against the file's length. A tensor is converted to 32-bit floating point on its way into
//! memory, so that no second copy of it exists.

mod error;
mod file;
mod joined;
mod pickle;
mod safetensors;
mod tensor;
mod torch_zip;

use std::collections::BTreeMap;
use std::path::Path;

pub use error::{Mismatch, WeightsError, WrongShape};
pub use joined::Joined;

use file::WeightsFile;
use tensor::Tensor;

/// The tensors of one file.
#[derive(Debug)]
pub struct Weights {
    file: WeightsFile,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// Opens a file and reads what tensors it holds, and none of their numbers. The format is told from
    /// the content. The names of nested dictionaries are joined by points.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] when it cannot be read or is no sound weights file.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let file = WeightsFile::open(path)?;
        let mut magic = [0; 4];
        if file.size_bytes() < magic.len() as u64 {
            return Err(WeightsError::UnknownFormat(path.to_owned()));
        }
        file.read(&mut magic, 0)?;
        let tensors = if magic == torch_zip::MAGIC {
            torch_zip::tensors(&file)?
        } else {
            safetensors::tensors(&file)?
        };
        Ok(Self { file, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The names of the tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, outermost dimension first; `None` where there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(self.tensors.get(name)?.shape())
    }

    /// Compares the tensors with those that a model has, each with its shape. An extra tensor for which
    /// `unused` is true is passed over.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] names everything missing, extra and of another shape.
    pub fn check<'a>(
        &self,
        expected: impl IntoIterator<Item = (&'a str, &'a [usize])>,
        unused: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        let mut mismatch = Mismatch::default();
        let mut extra: BTreeMap<&str, ()> = self.names().map(|name| (name, ())).collect();
        for (name, shape) in expected {
            extra.remove(name);
            mismatch.compare(name, shape, self.shape(name));
        }
        let extra = extra.into_keys().filter(|name| !unused(name));
        mismatch.extra = extra.map(str::to_owned).collect();
        self.none(mismatch)
    }

    /// Reads a tensor of the shape given as 32-bit floating point, row by row whatever its order in the
    /// file. It allocates what the tensor takes, which is at most four times the file's length.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when there is no tensor of this name and shape; another when its numbers
    /// cannot be read.
    pub fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let tensor = self.find(name, shape)?;
        let count = tensor.elements();
        let mut numbers = Vec::new();
        numbers
            .try_reserve_exact(count)
            .map_err(|_too_much| WeightsError::OutOfMemory {
                name: name.to_owned(),
                size_bytes: count as u64 * 4,
            })?;
        numbers.resize(count, 0.0);
        tensor.read_f32(&self.file, name, &mut numbers)?;
        Ok(numbers)
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<&Tensor, WeightsError> {
        match self.tensors.get(name) {
            Some(tensor) if tensor.shape() == shape => Ok(tensor),
            found => {
                let mut mismatch = Mismatch::default();
                mismatch.compare(name, shape, found.map(Tensor::shape));
                Err(self.mismatch(mismatch))
            }
        }
    }

    fn none(&self, mismatch: Mismatch) -> Result<(), WeightsError> {
        if mismatch.is_empty() {
            return Ok(());
        }
        Err(self.mismatch(mismatch))
    }

    fn mismatch(&self, mismatch: Mismatch) -> WeightsError {
        WeightsError::Mismatch {
            mismatch,
            path: self.path().to_owned(),
        }
    }
}

impl Mismatch {
    fn compare(&mut self, name: &str, expected: &[usize], found: Option<&[usize]>) {
        match found {
            None => self.missing.push(name.to_owned()),
            Some(found) if found != expected => self.wrong_shaped.push(WrongShape {
                name: name.to_owned(),
                expected: expected.to_vec(),
                found: found.to_vec(),
            }),
            Some(_) => {}
        }
    }
}
