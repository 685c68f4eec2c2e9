//! The pickle that a torch checkpoint names its tensors in, read by a machine that executes nothing.
//!
//! A pickle is a program, and loading one as Python does runs whatever it asks for. This machine knows
//! the few instructions and the few functions that rebuild tensors, and refuses everything else. All it
//! makes is data in flat tables: nothing nests, so neither depth nor cycles cost anything, and there
//! is a limit to how many values it keeps.

use std::collections::{HashMap, HashSet};

use super::tensor::Element;

/// The longest pickle that is read. Those of the largest known models take some 400 KB.
pub(super) const MAX_BYTES: u64 = 4 << 20;
/// The most values it may keep. The largest known models need some 50 000.
const MAX_VALUES: usize = 1 << 18;
/// The most tensors, counted by name.
const MAX_TENSORS: usize = 1 << 16;
/// What the names may take together.
const MAX_NAMES_BYTES: usize = 8 << 20;
/// How deep dictionaries may nest around a tensor. Known checkpoints nest two deep.
const MAX_DEPTH: usize = 16;
/// The longest name of a tensor.
const MAX_NAME_BYTES: usize = 1024;

/// Why a pickle is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum PickleError {
    #[error("{0}")]
    Code(String),
    #[error("its pickle has the instruction 0x{0:02x}, which no weights need")]
    Instruction(u8),
    #[error("its pickle is cut short")]
    CutShort,
    #[error("its pickle is wrong: {0}")]
    Wrong(&'static str),
}

/// A run of numbers kept in an entry of the archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) element: Element,
    /// The entry's name.
    pub(super) key: &'a str,
    /// The length in elements.
    pub(super) elements: u64,
}

/// A tensor, as a view into a storage.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) first_element: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What the machine computes with. Tables hold what is large.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    /// What no tensor is made of: nothing, a truth value, a float, a list.
    Other,
    Integer(i64),
    Text(&'a str),
    Global(Global),
    Tuple(usize),
    Dictionary(usize),
    Storage(usize),
    Tensor(usize),
}

/// The only things a pickle may name.
#[derive(Debug, Clone, Copy)]
enum Global {
    OrderedDictionary,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self, PickleError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDictionary,
            ("torch", "Size") => Self::Size,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "HalfStorage") => Self::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Element::Bf16),
            ("torch", "FloatStorage") => Self::Storage(Element::F32),
            ("torch", "DoubleStorage") => Self::Storage(Element::F64),
            ("torch", "BoolStorage" | "ByteStorage" | "CharStorage") => {
                Self::Storage(Element::Other("8-bit", 1))
            }
            ("torch", "ShortStorage") => Self::Storage(Element::Other("16-bit integer", 2)),
            ("torch", "IntStorage") => Self::Storage(Element::Other("32-bit integer", 4)),
            ("torch", "LongStorage") => Self::Storage(Element::Other("64-bit integer", 8)),
            _ => {
                // A name from a file is shown as it is only where it is short and plain.
                let shown: String = format!("{module}.{name}")
                    .chars()
                    .filter(|letter| letter.is_ascii_graphic())
                    .take(80)
                    .collect();
                return Err(PickleError::Code(shown));
            }
        })
    }
}

/// Reads a pickle and returns its tensors by name. The names of nested dictionaries are joined by points.
pub(super) fn tensors(pickle: &[u8]) -> Result<Vec<(String, View<'_>)>, PickleError> {
    let mut machine = Machine {
        rest: pickle,
        ..Machine::default()
    };
    let root = machine.run()?;
    machine.named(root)
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value<'a>>,
    /// The heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    tuples: Vec<Vec<Value<'a>>>,
    dictionaries: Vec<Vec<(Value<'a>, Value<'a>)>>,
    storages: Vec<Storage<'a>>,
    tensors: Vec<View<'a>>,
}

impl<'a> Machine<'a> {
    /// Runs to the end and returns the result.
    fn run(&mut self) -> Result<Value<'a>, PickleError> {
        loop {
            if self.values() > MAX_VALUES {
                return Err(PickleError::Wrong("it holds more values than any weights"));
            }
            let instruction = self.byte()?;
            match instruction {
                b'.' => return self.pop(),
                // The protocol's number, and the length of what follows.
                0x80 => drop(self.bytes(1)?),
                0x95 => drop(self.bytes(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'}' => self.new_dictionary(),
                b']' | b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
                b'G' => {
                    self.bytes(8)?;
                    self.stack.push(Value::Other);
                }
                b'K' | b'M' | b'J' | 0x8a => self.integer(instruction)?,
                b'X' | 0x8c | 0x8d => self.text(instruction)?,
                b'q' | b'r' | 0x94 => self.memorise(instruction)?,
                b'h' | b'j' => self.recall(instruction)?,
                b')' | 0x85 | 0x86 | 0x87 | b't' => self.tuple(instruction)?,
                b's' | b'u' => self.set_items(instruction)?,
                b'a' | b'e' => self.append(instruction)?,
                b'c' | 0x93 => self.global(instruction)?,
                b'Q' => self.persistent()?,
                b'R' => self.call()?,
                // An attribute of a dictionary, such as torch's table of versions.
                b'b' => {
                    self.pop()?;
                    let Some(Value::Dictionary(_)) = self.stack.last() else {
                        return Err(PickleError::Wrong("attributes of no dictionary"));
                    };
                }
                other => return Err(PickleError::Instruction(other)),
            }
        }
    }

    fn values(&self) -> usize {
        let working = self.stack.len() + self.marks.len() + self.memo.len();
        let nested = self.tuples.len() + self.dictionaries.len();
        working + nested + self.storages.len() + self.tensors.len()
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(PickleError::CutShort)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.bytes(1)?[0])
    }

    /// An unsigned integer of `count` bytes, at most eight.
    fn unsigned(&mut self, count: usize) -> Result<u64, PickleError> {
        let bytes = self.bytes(count)?.iter().rev();
        Ok(bytes.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Takes the top of the stack, not reaching below the last open mark.
    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(PickleError::Wrong("a value is missing"));
        }
        self.stack
            .pop()
            .ok_or(PickleError::Wrong("a value is missing"))
    }

    /// Takes everything above the last open mark, and the mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        let height = self
            .marks
            .pop()
            .ok_or(PickleError::Wrong("a mark is missing"))?;
        Ok(self.stack.split_off(height))
    }

    fn new_dictionary(&mut self) {
        self.stack.push(Value::Dictionary(self.dictionaries.len()));
        self.dictionaries.push(Vec::new());
    }

    fn integer(&mut self, instruction: u8) -> Result<(), PickleError> {
        let number = match instruction {
            b'K' => self.unsigned(1)? as i64,
            b'M' => self.unsigned(2)? as i64,
            b'J' => i64::from(self.unsigned(4)? as u32 as i32),
            _ => {
                let count = usize::from(self.byte()?);
                if count > 8 {
                    return Err(PickleError::Wrong("an integer of more than 64 bits"));
                }
                let number = self.unsigned(count)?;
                // Sign-extended from its own length.
                let unused = 64 - 8 * count as u32;
                (number.checked_shl(unused).unwrap_or(0) as i64)
                    .checked_shr(unused)
                    .unwrap_or(0)
            }
        };
        self.stack.push(Value::Integer(number));
        Ok(())
    }

    fn text(&mut self, instruction: u8) -> Result<(), PickleError> {
        let length = match instruction {
            0x8c => self.unsigned(1)?,
            b'X' => self.unsigned(4)?,
            _ => self.unsigned(8)?,
        };
        let length = usize::try_from(length).map_err(|_too_long| PickleError::CutShort)?;
        let text = std::str::from_utf8(self.bytes(length)?)
            .map_err(|_not_utf8| PickleError::Wrong("a text that is no UTF-8"))?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn memorise(&mut self, instruction: u8) -> Result<(), PickleError> {
        let place = match instruction {
            b'q' => self.unsigned(1)? as u32,
            b'r' => self.unsigned(4)? as u32,
            // There are fewer entries than the pickle has bytes.
            _ => self.memo.len() as u32,
        };
        let value = self.pop()?;
        self.stack.push(value);
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, instruction: u8) -> Result<(), PickleError> {
        let place = self.unsigned(if instruction == b'h' { 1 } else { 4 })? as u32;
        let value = self.memo.get(&place);
        self.stack
            .push(*value.ok_or(PickleError::Wrong("it recalls what it never kept"))?);
        Ok(())
    }

    fn tuple(&mut self, instruction: u8) -> Result<(), PickleError> {
        let items = match instruction {
            b')' => Vec::new(),
            b't' => self.pop_to_mark()?,
            _ => {
                let mut items = Vec::new();
                for _ in 0..=instruction - 0x85 {
                    items.push(self.pop()?);
                }
                items.reverse();
                items
            }
        };
        self.stack.push(Value::Tuple(self.tuples.len()));
        self.tuples.push(items);
        Ok(())
    }

    fn set_items(&mut self, instruction: u8) -> Result<(), PickleError> {
        let items = if instruction == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_to_mark()?
        };
        let Some(&Value::Dictionary(place)) = self.stack.last() else {
            return Err(PickleError::Wrong("entries of no dictionary"));
        };
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(PickleError::Wrong("a key without a value"));
        };
        self.dictionaries[place].extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    /// Lists hold no tensors in any known checkpoint; what is put in one is dropped.
    fn append(&mut self, instruction: u8) -> Result<(), PickleError> {
        if instruction == b'a' {
            self.pop()?;
        } else {
            self.pop_to_mark()?;
        }
        match self.stack.last() {
            Some(Value::Other) => Ok(()),
            _ => Err(PickleError::Wrong("items of no list")),
        }
    }

    fn global(&mut self, instruction: u8) -> Result<(), PickleError> {
        let (module, name) = if instruction == b'c' {
            (self.line()?, self.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Value::Text(module), Value::Text(name)) = (module, name) else {
                return Err(PickleError::Wrong("a name that is no text"));
            };
            (module, name)
        };
        self.stack.push(Value::Global(Global::named(module, name)?));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, PickleError> {
        let length = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.bytes(length.ok_or(PickleError::CutShort)?)?;
        self.byte()?;
        std::str::from_utf8(line).map_err(|_not_utf8| PickleError::Wrong("a name that is no UTF-8"))
    }

    /// A storage, as `("storage", type, entry, device, elements)`.
    fn persistent(&mut self) -> Result<(), PickleError> {
        let wrong = PickleError::Wrong("something outside of it that is no storage");
        let Value::Tuple(place) = self.pop()? else {
            return Err(wrong);
        };
        let &[
            Value::Text("storage"),
            Value::Global(Global::Storage(element)),
            Value::Text(key),
            Value::Text(_),
            Value::Integer(elements),
        ] = self.tuples[place].as_slice()
        else {
            return Err(wrong);
        };
        self.stack.push(Value::Storage(self.storages.len()));
        self.storages.push(Storage {
            element,
            key,
            elements: size(elements)?,
        });
        Ok(())
    }

    fn call(&mut self) -> Result<(), PickleError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Global(function), Value::Tuple(place)) = (function, arguments) else {
            return Err(PickleError::Wrong("a call of no function"));
        };
        match (function, self.tuples[place].as_slice()) {
            (Global::OrderedDictionary, []) => self.new_dictionary(),
            (Global::Size, &[Value::Tuple(sizes)]) => self.stack.push(Value::Tuple(sizes)),
            (Global::RebuildParameter, &[Value::Tensor(tensor), ..]) => {
                self.stack.push(Value::Tensor(tensor));
            }
            (
                Global::RebuildTensor,
                &[
                    Value::Storage(storage),
                    Value::Integer(first_element),
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    ..,
                ],
            ) => {
                let view = View {
                    storage: self.storages[storage],
                    first_element: size(first_element)?,
                    shape: self.sizes(shape)?,
                    strides: self.sizes(strides)?,
                };
                self.stack.push(Value::Tensor(self.tensors.len()));
                self.tensors.push(view);
            }
            _ => return Err(PickleError::Wrong("a call with other arguments")),
        }
        Ok(())
    }

    fn sizes(&self, tuple: usize) -> Result<Vec<usize>, PickleError> {
        /// More than any tensor has.
        const MAX_DIMENSIONS: usize = 8;
        let items = &self.tuples[tuple];
        // A tuple may be used again and again; each use costs a copy.
        if items.len() > MAX_DIMENSIONS {
            return Err(PickleError::Wrong("a tensor of more than 8 dimensions"));
        }
        let sizes = items.iter().map(|item| match item {
            &Value::Integer(number) => usize::try_from(size(number)?)
                .map_err(|_too_large| PickleError::Wrong("a size beyond this machine's")),
            _ => Err(PickleError::Wrong("a size that is no integer")),
        });
        sizes.collect()
    }

    /// The tensors below `root`, by name.
    fn named(&self, root: Value<'a>) -> Result<Vec<(String, View<'a>)>, PickleError> {
        let Value::Dictionary(root) = root else {
            return Err(PickleError::Wrong("it is no dictionary of tensors"));
        };
        let mut named = Vec::new();
        let mut names_bytes = 0;
        let mut seen = HashSet::from([root]);
        let mut open = vec![(root, String::new(), 1)];
        while let Some((place, prefix, depth)) = open.pop() {
            for &(key, value) in &self.dictionaries[place] {
                // Only names lead to tensors; an optimiser's state has numbers for keys.
                let (Value::Text(key), Value::Tensor(_) | Value::Dictionary(_)) = (key, value)
                else {
                    continue;
                };
                let name = format!("{prefix}{key}");
                if named.len() == MAX_TENSORS {
                    return Err(PickleError::Wrong("it names more than 65536 tensors"));
                }
                names_bytes += name.len();
                if name.len() > MAX_NAME_BYTES || names_bytes > MAX_NAMES_BYTES {
                    return Err(PickleError::Wrong("names longer than those of any weights"));
                }
                match value {
                    Value::Tensor(tensor) => named.push((name, self.tensors[tensor].clone())),
                    Value::Dictionary(inner) => {
                        if !seen.insert(inner) {
                            return Err(PickleError::Wrong("a dictionary that occurs twice"));
                        }
                        if depth == MAX_DEPTH {
                            return Err(PickleError::Wrong(
                                "dictionaries nested more than 16 deep",
                            ));
                        }
                        open.push((inner, format!("{name}."), depth + 1));
                    }
                    _ => {}
                }
            }
        }
        Ok(named)
    }
}

fn size(number: i64) -> Result<u64, PickleError> {
    u64::try_from(number).map_err(|_negative| PickleError::Wrong("a negative size"))
}
