//! One tensor of a weights file: where its numbers are, and how they become 32-bit floating point.

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use super::WeightsError;
use super::file::WeightsFile;

/// Numbers in files are little-endian, and so is every machine this runs on.
const _: () = assert!(cfg!(target_endian = "little"));

/// What is read at once where numbers are converted, in bytes.
const CHUNK_BYTES: usize = 1 << 20;
/// What is read at once where a tensor's numbers are scattered, in bytes.
const WINDOW_BYTES: usize = 1 << 16;

/// How a number is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    /// Anything else, with its name and its bytes. It can be listed and not read.
    Other(&'static str, u64),
}

impl Element {
    pub(super) const fn size_bytes(self) -> u64 {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Other(_, size_bytes) => size_bytes,
        }
    }
}

/// Where the numbers of a tensor are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    element: Element,
    shape: Vec<usize>,
    /// The distance from one element to the next along each dimension, in elements.
    strides: Vec<usize>,
    /// The place of the first element in the file, in bytes.
    start: u64,
    /// The number of elements.
    elements: usize,
}

impl Tensor {
    /// A view into storage that begins at `storage_start` in the file and holds `storage_elements`. `None`
    /// where it would reach beyond the storage, or has more elements than the file has bytes.
    pub(super) fn view(
        element: Element,
        shape: Vec<usize>,
        strides: Vec<usize>,
        first_element: u64,
        (storage_start, storage_elements): (u64, u64),
        file: &WeightsFile,
    ) -> Option<Self> {
        if shape.len() != strides.len() {
            return None;
        }
        let elements = shape
            .iter()
            .try_fold(1_usize, |product, &size| product.checked_mul(size))?;
        // A view may repeat its storage, and a few bytes could so claim any amount of memory.
        if elements as u64 > file.size_bytes() {
            return None;
        }
        if elements > 0 {
            let mut last = first_element;
            for (&size, &stride) in shape.iter().zip(&strides) {
                last = last.checked_add((size as u64 - 1).checked_mul(stride as u64)?)?;
            }
            if last >= storage_elements {
                return None;
            }
        }
        let start = first_element
            .checked_mul(element.size_bytes())?
            .checked_add(storage_start)?;
        Some(Self {
            element,
            shape,
            strides,
            start,
            elements,
        })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn elements(&self) -> usize {
        self.elements
    }

    /// Fills `numbers`, which holds as many as the tensor has.
    pub(super) fn read_f32(
        &self,
        file: &WeightsFile,
        name: &str,
        numbers: &mut [f32],
    ) -> Result<(), WeightsError> {
        if let Element::Other(element, _) = self.element {
            return Err(WeightsError::NotFloatingPoint {
                name: name.to_owned(),
                element,
                path: file.path().to_owned(),
            });
        }
        if self.elements == 0 {
            return Ok(());
        }
        match self.element {
            _ if !self.is_contiguous() => self.gather(file, numbers),
            Element::F32 => file.read(bytemuck::cast_slice_mut(numbers), self.start),
            element => convert(file, element, self.start, numbers),
        }
    }

    /// Whether the elements follow one another in the file as in memory.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size > 1 && stride != expected {
                return false;
            }
            expected *= size;
        }
        true
    }

    /// Walks over the elements in the order of the file and puts each into its place.
    fn gather(&self, file: &WeightsFile, numbers: &mut [f32]) -> Result<(), WeightsError> {
        let mut place_stride = 1;
        let mut dimensions = Vec::with_capacity(self.shape.len());
        for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if size > 1 {
                dimensions.push(Dimension {
                    size,
                    stride,
                    place_stride,
                    index: 0,
                });
            }
            place_stride *= size;
        }
        dimensions.sort_by_key(|dimension| dimension.stride);
        let mut window = Window::new(file, self);
        let (mut element, mut place) = (0, 0);
        for _ in 0..self.elements {
            numbers[place] = window.get(element)?;
            for dimension in &mut dimensions {
                dimension.index += 1;
                element += dimension.stride;
                place += dimension.place_stride;
                if dimension.index < dimension.size {
                    break;
                }
                element -= dimension.size * dimension.stride;
                place -= dimension.size * dimension.place_stride;
                dimension.index = 0;
            }
        }
        Ok(())
    }

    /// The elements from the first to the last of the file, those in between included.
    fn span(&self) -> usize {
        let steps = self.shape.iter().zip(&self.strides);
        1 + steps
            .map(|(&size, &stride)| (size - 1) * stride)
            .sum::<usize>()
    }
}

/// One dimension of a walk: its steps in the file and in memory, in elements.
struct Dimension {
    size: usize,
    stride: usize,
    place_stride: usize,
    index: usize,
}

/// A run of converted elements that moves over the file.
struct Window<'a> {
    file: &'a WeightsFile,
    tensor: &'a Tensor,
    span: usize,
    /// The element that the run begins with.
    first: usize,
    numbers: Vec<f32>,
}

impl<'a> Window<'a> {
    fn new(file: &'a WeightsFile, tensor: &'a Tensor) -> Self {
        Self {
            file,
            tensor,
            span: tensor.span(),
            first: 0,
            numbers: Vec::new(),
        }
    }

    fn get(&mut self, element: usize) -> Result<f32, WeightsError> {
        let within = element.checked_sub(self.first);
        if let Some(number) = within.and_then(|within| self.numbers.get(within)) {
            return Ok(*number);
        }
        let count = (WINDOW_BYTES / 4).min(self.span - element);
        self.first = element;
        self.numbers.resize(count, 0.0);
        let size_bytes = self.tensor.element.size_bytes();
        let start = self.tensor.start + element as u64 * size_bytes;
        convert(self.file, self.tensor.element, start, &mut self.numbers)?;
        Ok(self.numbers[0])
    }
}

/// Reads numbers that follow one another from `start` on.
fn convert(
    file: &WeightsFile,
    element: Element,
    start: u64,
    numbers: &mut [f32],
) -> Result<(), WeightsError> {
    let size_bytes = element.size_bytes() as usize;
    // Aligned for the widest element.
    let mut words = vec![0_u64; (numbers.len() * size_bytes).min(CHUNK_BYTES).div_ceil(8)];
    let mut offset = start;
    for chunk in numbers.chunks_mut(CHUNK_BYTES / size_bytes) {
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..chunk.len() * size_bytes];
        file.read(bytes, offset)?;
        offset += bytes.len() as u64;
        match element {
            Element::F16 => {
                let bits: &[u16] = bytemuck::cast_slice(bytes);
                bits.reinterpret_cast::<f16>().convert_to_f32_slice(chunk);
            }
            Element::Bf16 => {
                let bits: &[u16] = bytemuck::cast_slice(bytes);
                bits.reinterpret_cast::<bf16>().convert_to_f32_slice(chunk);
            }
            Element::F32 => chunk.copy_from_slice(bytemuck::cast_slice(bytes)),
            Element::F64 => {
                let wide: &[f64] = bytemuck::cast_slice(bytes);
                for (number, &wide) in chunk.iter_mut().zip(wide) {
                    *number = wide as f32;
                }
            }
            Element::Other(..) => chunk.fill(f32::NAN),
        }
    }
    Ok(())
}
