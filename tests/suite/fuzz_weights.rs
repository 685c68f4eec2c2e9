//! The readers of weights on mutated files: no panic, no allocation beyond the limit.
//!
//! Deterministic. `ORFEAS_FUZZ_ITERATIONS` sets the iterations of each reader; a failure prints the
//! `ORFEAS_FUZZ_SEED` that runs its one iteration again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use orfeas::models::weights::Weights;

use crate::random::Random;
use crate::torch_file::{PROTOCOL, TensorView, archive, checkpoint, dictionary};
use crate::weights::safetensors;

const DEFAULT_ITERATIONS: u64 = 1500;
/// Bytes a reader may hold at once: for any file, and more for each byte of it. Opening an archive takes a
/// buffer; a value of a pickle takes some 50 bytes and may be said in one.
const ALLOWANCE: (usize, usize) = (256 << 10, 128);

const WORDS: [u64; 8] = [
    0,
    1,
    0x7F,
    0xFFFF,
    0x7FFF_FFFF,
    u32::MAX as u64,
    i64::MAX as u64,
    u64::MAX,
];
/// Instructions of pickles and pieces of tables.
const TOKENS: [&[u8]; 24] = [
    b"(",
    b")",
    b"t",
    b"u",
    b"s",
    b"}",
    b"]",
    b"e",
    b"R",
    b"Q",
    b"b",
    b".",
    b"\x85",
    b"\x86",
    b"\x94",
    b"h\x01",
    b"q\x01",
    b"\x8a\x08",
    b"X\xff\xff\xff\xff",
    b"ctorch\nSize\n",
    b"[",
    b"{",
    b"18446744073709551615",
    b"\"F16\"",
];

/// Changes at most as many things in a file.
fn mutate(bytes: &mut Vec<u8>, at_most: usize, random: &mut Random) {
    for _ in 0..=random.below(at_most) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
            4 => {
                let copy = bytes[at..(at + random.below(100)).min(bytes.len())].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => drop(bytes.splice(at..at, random.pick(&TOKENS).iter().copied())),
            _ => {
                let word = random.pick(&WORDS).to_le_bytes();
                let end = (at + 1 + random.below(8)).min(bytes.len());
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
        }
    }
}

/// Opens a file and reads every tensor of it. What it held at once is within the limit.
fn read_all(bytes: &[u8]) -> Result<bool, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    std::fs::write(&path, bytes).unwrap();
    let mut sound = Ok(false);
    let allocated = allocation_counter::measure(|| {
        sound = catch_unwind(AssertUnwindSafe(|| {
            let Ok(weights) = Weights::open(&path) else {
                return false;
            };
            for name in weights.names() {
                // Integers cannot be read, which is fine.
                weights.read_f32(name, weights.shape(name).unwrap()).ok();
            }
            true
        }))
        .map_err(|_panic| "panic".to_owned());
    });
    let (base, each) = ALLOWANCE;
    let limit = base + each * bytes.len();
    if allocated.bytes_max > limit as u64 {
        return Err(format!(
            "{} bytes held, {limit} allowed",
            allocated.bytes_max
        ));
    }
    sound
}

fn fuzz(name: &str, seed: impl Fn(&mut Random) -> Vec<u8>) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap())
    };
    let (first, iterations) = match number("ORFEAS_FUZZ_SEED") {
        Some(seed) => (seed, 1),
        None => (
            0,
            number("ORFEAS_FUZZ_ITERATIONS").unwrap_or(DEFAULT_ITERATIONS),
        ),
    };
    let (mut read_well, mut refused) = (0_u64, 0_u64);
    for iteration in first..first + iterations {
        match read_all(&seed(&mut Random(iteration))) {
            Ok(true) => read_well += 1,
            Ok(false) => refused += 1,
            Err(failure) => panic!("{name}: {failure}; again with ORFEAS_FUZZ_SEED={iteration}"),
        }
    }
    println!("{name}: {iterations} files, {read_well} read, {refused} refused");
    // A fuzzer that never gets past the signature, or never breaks anything, tests nothing.
    if iterations >= DEFAULT_ITERATIONS {
        assert!(read_well > iterations / 100 && refused > iterations / 100);
    }
}

fn entries() -> Vec<(&'static str, Vec<u8>)> {
    let view = TensorView {
        storage_type: "FloatStorage",
        entry: "0",
        elements: 24,
        first: 0,
        shape: &[4, 6],
        strides: &[1, 4],
    };
    let half = TensorView {
        storage_type: "HalfStorage",
        shape: &[2, 3, 4],
        strides: &[12, 4, 1],
        ..view
    };
    let inner = dictionary(&[("weight", half.pickled()), ("bias", view.pickled())]);
    vec![("inner", inner), ("outer", view.pickled())]
}

#[test]
fn checkpoint_reader_withstands_mutated_files() {
    let whole = checkpoint(&entries(), &[("0", &[1; 96])]);
    fuzz("archive", |random| {
        let mut bytes = whole.clone();
        mutate(&mut bytes, 6, random);
        bytes
    });
}

#[test]
fn checkpoint_reader_withstands_mutated_pickles() {
    let pickle = [&PROTOCOL, dictionary(&entries()).as_slice(), b"."].concat();
    fuzz("pickle", |random| {
        let mut pickle = pickle.clone();
        mutate(&mut pickle, 2, random);
        archive(&pickle, &[("0", &[1; 96])])
    });
}

#[test]
fn safetensors_reader_withstands_mutations() {
    let table = r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}"#;
    fuzz("safetensors", |random| {
        let mut table = table.as_bytes().to_vec();
        let mut data = vec![1; 32];
        if random.chance(70) {
            mutate(&mut table, 6, random);
        } else {
            mutate(&mut data, 6, random);
        }
        match String::from_utf8(table) {
            Ok(table) => safetensors(&table, &data),
            Err(error) => {
                let length = (error.as_bytes().len() as u64).to_le_bytes();
                [length.as_slice(), error.as_bytes(), &data].concat()
            }
        }
    });
}
