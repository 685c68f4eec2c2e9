//! The safetensors format: a JSON table of tensors, then their numbers.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::WeightsError;
use super::file::WeightsFile;
use super::tensor::{Element, Tensor};

/// The length of the table comes first.
const LENGTH_BYTES: u64 = 8;
/// The longest table that is read. Those of the largest known models take some 200 KB.
const MAX_TABLE_BYTES: u64 = 16 << 20;

/// Reads the table.
pub(super) fn tensors(file: &WeightsFile) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let unknown = || WeightsError::UnknownFormat(file.path().to_owned());
    let after_length = file
        .size_bytes()
        .checked_sub(LENGTH_BYTES)
        .ok_or_else(unknown)?;
    let mut length = [0; LENGTH_BYTES as usize];
    file.read(&mut length, 0)?;
    let table_bytes = u64::from_le_bytes(length);
    if table_bytes > MAX_TABLE_BYTES {
        return Err(unknown());
    }
    let mut brace = [0];
    if after_length > 0 {
        file.read(&mut brace, LENGTH_BYTES)?;
    }
    if brace != *b"{" {
        return Err(unknown());
    }
    let data_bytes = after_length
        .checked_sub(table_bytes)
        .ok_or_else(|| file.malformed("it is cut short within its table of tensors"))?;
    let mut table = vec![0; table_bytes as usize];
    file.read(&mut table, LENGTH_BYTES)?;
    // This also makes sure that the ranges of the tensors neither overlap nor leave gaps, and that each
    // is as long as its shape says.
    let metadata: Metadata = serde_json::from_slice(&table)
        .map_err(|error| file.malformed(format!("its table of tensors is wrong ({error})")))?;
    let named_bytes = metadata.data_len() as u64;
    if named_bytes != data_bytes {
        let how = if named_bytes > data_bytes {
            "is cut short"
        } else {
            "has bytes of no tensor"
        };
        return Err(file.malformed(format!(
            "it {how}: {named_bytes} bytes of tensors, {data_bytes} in the file"
        )));
    }
    let data_start = LENGTH_BYTES + table_bytes;
    metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let element = element(info.dtype);
            let elements = info.shape.iter().product::<usize>() as u64;
            let storage = (data_start + start as u64, elements);
            let strides = row_by_row(&info.shape);
            let tensor = Tensor::view(element, info.shape.clone(), strides, 0, storage, file)
                .filter(|_| end >= start)
                .ok_or_else(|| file.malformed(format!("the tensor {name} does not fit in it")))?;
            Ok((name, tensor))
        })
        .collect()
}

/// The strides of elements that follow one another. The product of the shape is known to fit.
fn row_by_row(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for place in (1..shape.len()).rev() {
        // Of an empty tensor, the other sizes may be anything.
        strides[place - 1] = usize::saturating_mul(strides[place], shape[place]);
    }
    strides
}

fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        Dtype::BOOL | Dtype::U8 | Dtype::I8 => Element::Other("8-bit", 1),
        Dtype::U16 | Dtype::I16 => Element::Other("16-bit integer", 2),
        Dtype::U32 | Dtype::I32 => Element::Other("32-bit integer", 4),
        Dtype::U64 | Dtype::I64 => Element::Other("64-bit integer", 8),
        // Listed and never read, so that their size is of no consequence.
        _ => Element::Other("special", 0),
    }
}
