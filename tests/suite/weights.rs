//! Weights on disk: what is read from sound files, and what is said about others.

use std::path::{Path, PathBuf};

use orfeas::models::weights::{Weights, WeightsError};
use zip::CompressionMethod;

use crate::torch_file::{
    PROTOCOL, TensorView, archive, archive_with, checkpoint, dictionary, integer, text,
};

/// The folder of the reference tensors, or another of the same format.
pub(crate) fn reference() -> PathBuf {
    std::env::var_os("ORFEAS_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"),
        PathBuf::from,
    )
}

/// Opens bytes as a file. The folder has to outlive the weights.
fn open(bytes: &[u8]) -> (tempfile::TempDir, Result<Weights, WeightsError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.ckpt");
    std::fs::write(&path, bytes).unwrap();
    let weights = Weights::open(&path);
    (folder, weights)
}

fn refusal(bytes: &[u8]) -> String {
    open(bytes).1.unwrap_err().to_string()
}

pub(crate) fn safetensors(table: &str, data: &[u8]) -> Vec<u8> {
    let length = (table.len() as u64).to_le_bytes();
    [length.as_slice(), table.as_bytes(), data].concat()
}

fn bytes_of(numbers: &[f32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// The numbers 0, 1, 2, …
fn counting(count: usize) -> Vec<f32> {
    (0..count).map(|number| number as f32).collect()
}

const WHOLE: TensorView<'_> = TensorView {
    storage_type: "FloatStorage",
    entry: "0",
    elements: 24,
    first: 0,
    shape: &[2, 3, 4],
    strides: &[12, 4, 1],
};

#[test]
fn reference_triposr_weights_hold_what_torch_saved() {
    let folder = reference().join("triposr");
    let weights = Weights::open(&folder.join("repo/model.ckpt")).unwrap();
    let cases = Weights::open(&folder.join("cases.safetensors")).unwrap();
    let &[planes, channels, height, width] = weights.shape("tokenizer.embeddings").unwrap() else {
        panic!("the learned tokens have four dimensions");
    };
    let learned = weights
        .read_f32("tokenizer.embeddings", &[planes, channels, height, width])
        .unwrap();
    let area = height * width;
    let tokens = cases
        .read_f32("triplane_tokens", &[channels, planes * area])
        .unwrap();
    for (place, token) in tokens.iter().enumerate() {
        let (channel, plane, pixel) =
            (place / (planes * area), place / area % planes, place % area);
        assert_eq!(*token, learned[(plane * channels + channel) * area + pixel]);
    }
}

/// Both forms of the same weights, where the folder has them: too large to be kept with the suite.
#[test]
fn a_checkpoint_and_safetensors_of_the_same_weights_agree() {
    let folder = reference().join("hunyuan3d-2.1/repo/hunyuan3d-dit-v2-1");
    if !folder.exists() {
        println!("skipped: set ORFEAS_REFERENCE to a folder that has hunyuan3d-2.1");
        return;
    }
    let torch = Weights::open(&folder.join("model.fp16.ckpt")).unwrap();
    let other = Weights::open(&folder.join("model.fp16.safetensors")).unwrap();
    let names: Vec<_> = torch.names().collect();
    assert!(names.len() > 100);
    assert_eq!(names, other.names().collect::<Vec<_>>());
    for name in names {
        let shape = torch.shape(name).unwrap();
        let numbers = torch.read_f32(name, shape).unwrap();
        assert_eq!(numbers, other.read_f32(name, shape).unwrap(), "{name}");
    }
}

#[test]
fn every_floating_point_format_is_converted() {
    let halves: Vec<u8> = [0x3C00_u16, 0xC000, 0x0001]
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    let doubles: Vec<u8> = [1.0_f64, -2.0, 0.1]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let view = |storage_type, entry| TensorView {
        storage_type,
        entry,
        elements: 3,
        shape: &[3],
        strides: &[1],
        ..WHOLE
    };
    let (_folder, weights) = open(&checkpoint(
        &[
            ("half", view("HalfStorage", "0").pickled()),
            ("brain", view("BFloat16Storage", "0").pickled()),
            ("double", view("DoubleStorage", "1").pickled()),
            ("steps", view("LongStorage", "1").pickled()),
        ],
        &[("0", &halves), ("1", &doubles)],
    ));
    let weights = weights.unwrap();
    let read = |name| weights.read_f32(name, &[3]);
    assert_eq!(read("half").unwrap(), [1.0, -2.0, 5.960_464_5e-8]);
    let brain = [0x3C00_u32, 0xC000, 1].map(|bits| f32::from_bits(bits << 16));
    assert_eq!(read("brain").unwrap(), brain);
    assert_eq!(read("double").unwrap(), [1.0, -2.0, 0.1]);
    let error = read("steps").unwrap_err().to_string();
    assert!(
        error.contains("steps holds 64-bit integer numbers"),
        "{error}"
    );
}

#[test]
fn views_are_read_row_by_row_whatever_their_strides() {
    let storage = counting(24);
    let transposed = TensorView {
        shape: &[4, 3],
        strides: &[1, 4],
        first: 12,
        ..WHOLE
    };
    let every_other = TensorView {
        shape: &[2, 2],
        strides: &[12, 2],
        first: 1,
        ..WHOLE
    };
    let repeated = TensorView {
        shape: &[3, 2],
        strides: &[0, 1],
        first: 5,
        ..WHOLE
    };
    let nothing = TensorView {
        shape: &[0, 7],
        strides: &[7, 1],
        ..WHOLE
    };
    let one = TensorView {
        shape: &[],
        strides: &[],
        first: 23,
        ..WHOLE
    };
    // PyTorch keeps whatever stride a dimension of size 1 happens to have.
    let single = TensorView {
        shape: &[1, 4],
        strides: &[1 << 40, 1],
        ..WHOLE
    };
    let parameter = [
        b"ctorch._utils\n_rebuild_parameter\n(".to_vec(),
        WHOLE.pickled(),
        b"\x88ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat();
    let nested = dictionary(&[("b", transposed.pickled())]);
    let (_folder, weights) = open(&checkpoint(
        &[
            ("whole", WHOLE.pickled()),
            ("parameter", parameter),
            ("a", nested),
            ("every_other", every_other.pickled()),
            ("repeated", repeated.pickled()),
            ("nothing", nothing.pickled()),
            ("one", one.pickled()),
            ("single", single.pickled()),
            ("epoch", integer(7)),
            ("note", text("not a tensor")),
        ],
        &[("0", &bytes_of(&storage))],
    ));
    let weights = weights.unwrap();
    let read = |name| {
        let shape = weights.shape(name).unwrap();
        weights.read_f32(name, shape).unwrap()
    };
    assert_eq!(weights.names().count(), 8);
    assert_eq!(read("whole"), storage);
    assert_eq!(read("parameter"), storage);
    let columns = [
        12.0, 16.0, 20.0, 13.0, 17.0, 21.0, 14.0, 18.0, 22.0, 15.0, 19.0, 23.0,
    ];
    assert_eq!(read("a.b"), columns);
    assert_eq!(read("every_other"), [1.0, 3.0, 13.0, 15.0]);
    assert_eq!(read("repeated"), [5.0, 6.0, 5.0, 6.0, 5.0, 6.0]);
    assert!(read("nothing").is_empty());
    assert_eq!(read("one"), [23.0]);
    assert_eq!(read("single"), [0.0, 1.0, 2.0, 3.0]);
}

/// Larger than what is read at once, in both orders.
#[test]
fn large_tensors_are_read_in_parts() {
    let (rows, columns) = (700, 900);
    let storage = counting(rows * columns);
    let transposed = TensorView {
        elements: storage.len() as i64,
        shape: &[columns as i64, rows as i64],
        strides: &[1, columns as i64],
        ..WHOLE
    };
    let halves: Vec<u8> = (0..storage.len())
        .flat_map(|place| half::f16::from_f32((place % 2048) as f32).to_le_bytes())
        .collect();
    let half = TensorView {
        storage_type: "HalfStorage",
        entry: "1",
        elements: storage.len() as i64,
        shape: &[storage.len() as i64],
        strides: &[1],
        ..WHOLE
    };
    let (_folder, weights) = open(&checkpoint(
        &[
            ("transposed", transposed.pickled()),
            ("half", half.pickled()),
        ],
        &[("0", &bytes_of(&storage)), ("1", &halves)],
    ));
    let weights = weights.unwrap();
    let numbers = weights.read_f32("transposed", &[columns, rows]).unwrap();
    for (place, number) in numbers.iter().enumerate() {
        let (column, row) = (place / rows, place % rows);
        assert_eq!(*number, storage[row * columns + column]);
    }
    let numbers = weights.read_f32("half", &[storage.len()]).unwrap();
    let right = |(place, number): (usize, &f32)| *number == (place % 2048) as f32;
    assert!(numbers.iter().enumerate().all(right));
}

/// The memory that reading takes is the tensor's own and a little beside it.
#[test]
fn a_tensor_is_never_held_twice() {
    let table = r#"{"a":{"dtype":"F16","shape":[4000000],"data_offsets":[0,8000000]},"b":{"dtype":"F32","shape":[4000000],"data_offsets":[8000000,24000000]}}"#;
    let (_folder, weights) = open(&safetensors(table, &vec![0; 24_000_000]));
    let weights = weights.unwrap();
    for name in ["a", "b"] {
        let allocated = allocation_counter::measure(|| {
            drop(weights.read_f32(name, &[4_000_000]).unwrap());
        });
        assert!(allocated.bytes_max < 16_000_000 + (2 << 20), "{name}");
    }
}

#[test]
fn nothing_of_a_pickle_is_run() {
    let call =
        |function: &str| [b"c".to_vec(), function.into(), b"(X\x02\0\0\0idtR".to_vec()].concat();
    for (function, named) in [
        ("os\nsystem\n", "os.system"),
        ("builtins\neval\n", "builtins.eval"),
        ("torch\nload\n", "torch.load"),
    ] {
        let bytes = checkpoint(&[("a", call(function))], &[]);
        let error = open(&bytes).1.unwrap_err();
        assert!(matches!(&error, WeightsError::Code { function, .. } if function == named));
        assert!(
            error.to_string().contains("nothing of it was run"),
            "{error}"
        );
    }
    // By the way of newer protocols.
    let stacked = [text("os"), text("system"), b"\x93(X\x02\0\0\0idtR".to_vec()].concat();
    assert!(refusal(&checkpoint(&[("a", stacked)], &[])).contains("os.system"));
    // An instance of a class, and a function of the reader's own.
    for instruction in [b'i', b'o', 0x81, 0x92, b'P', 0x82] {
        let bytes = checkpoint(&[("a", vec![b'(', instruction])], &[]);
        assert!(refusal(&bytes).contains("instruction 0x"), "{instruction}");
    }
}

#[test]
fn hostile_checkpoints_are_refused_with_a_reason() {
    let storage = bytes_of(&counting(24));
    let with = |view: TensorView<'_>| checkpoint(&[("a", view.pickled())], &[("0", &storage)]);
    let beyond = [
        TensorView { first: 1, ..WHOLE },
        TensorView {
            elements: 25,
            ..WHOLE
        },
        TensorView {
            elements: i64::MAX,
            ..WHOLE
        },
        TensorView {
            first: i64::MAX,
            ..WHOLE
        },
        TensorView {
            strides: &[12, 4, 2],
            ..WHOLE
        },
        TensorView {
            strides: &[i64::MAX, i64::MAX, i64::MAX],
            ..WHOLE
        },
        TensorView {
            shape: &[i64::MAX, i64::MAX, i64::MAX],
            ..WHOLE
        },
        TensorView {
            strides: &[1, 1],
            ..WHOLE
        },
        // One number repeated until it fills the memory.
        TensorView {
            shape: &[1 << 20, 1 << 20, 1],
            strides: &[0, 0, 0],
            ..WHOLE
        },
        TensorView {
            entry: "9",
            ..WHOLE
        },
        TensorView {
            entry: "../data.pkl",
            ..WHOLE
        },
    ];
    for view in beyond {
        let error = refusal(&with(view));
        assert!(error.contains("the tensor a does not fit in it"), "{error}");
    }
    let negative = refusal(&with(TensorView { first: -1, ..WHOLE }));
    assert!(negative.contains("a negative size"), "{negative}");

    let pickled = |pickle: &[u8]| refusal(&archive(pickle, &[]));
    let deep = [
        &PROTOCOL,
        "}X\x01\0\0\0a".repeat(100_000).as_bytes(),
        &b"s".repeat(100_000),
        b".",
    ]
    .concat();
    assert!(pickled(&deep).contains("more values"), "{}", pickled(&deep));
    let nested = [
        &PROTOCOL,
        "}X\x01\0\0\0a".repeat(20).as_bytes(),
        b"}",
        &b"s".repeat(20),
        b".",
    ]
    .concat();
    assert!(pickled(&nested).contains("nested more than 16 deep"));
    // A dictionary that holds itself.
    assert!(pickled(b"\x80\x02}q\0X\x01\0\0\0ah\0s.").contains("occurs twice"));
    // Each tuple holds the last one twice: 2^1000 items to whoever unfolds them.
    let bomb = [&b"\x80\x02)q\0"[..], &b"h\0h\0\x86q\0".repeat(1000), b"."].concat();
    assert!(pickled(&bomb).contains("no dictionary"));
    assert!(
        pickled(&[&b"\x80\x02"[..], &b")".repeat(1_000_000), b"."].concat())
            .contains("more values")
    );
    assert!(pickled(b"\x80\x02X\xFF\xFF\xFF\xFF").contains("cut short"));
    assert!(pickled(b"\x80\x04\x8d\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF").contains("cut short"));
    assert!(pickled(b"\x80\x02h\x05.").contains("never kept"));
    assert!(pickled(b"\x80\x02u.").contains("mark is missing"));
    assert!(pickled(&vec![b'('; 5 << 20]).contains("no weights need more"));
}

#[test]
fn archives_of_other_kinds_are_refused() {
    let pickle = [&PROTOCOL, dictionary(&[]).as_slice(), b"."].concat();
    assert!(open(&archive(&pickle, &[])).1.is_ok());
    let big = archive_with(&pickle, &[], b"big", CompressionMethod::Stored);
    assert!(refusal(&big).contains("little-endian"));
    let packed = archive_with(
        &pickle,
        &[("0", &[0; 4000])],
        b"little",
        CompressionMethod::Deflated,
    );
    assert!(refusal(&packed).contains("compressed"));
    let whole = checkpoint(
        &[("a", WHOLE.pickled())],
        &[("0", &bytes_of(&counting(24)))],
    );
    for length in [5, 100, whole.len() / 2, whole.len() - 1] {
        let error = refusal(&whole[..length]);
        assert!(error.contains("cut short"), "{length}: {error}");
    }
    for bytes in [
        &b""[..],
        b"PK",
        b"{}",
        b"version https://git-lfs.github.com/spec/v1\n",
        &[0x80, 2, 0x8a, 10, 0x6c],
    ] {
        assert!(refusal(bytes).contains("this is no weights file"));
    }
    let folder = tempfile::tempdir().unwrap();
    let error = Weights::open(folder.path()).unwrap_err();
    assert!(matches!(error, WeightsError::NotAFile(_)));
    let error = Weights::open(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error, WeightsError::Read { .. }));
}

#[test]
fn hostile_safetensors_are_refused_with_a_reason() {
    let one = |dtype: &str, shape: &str, from: u64, to: u64| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    let wrong = |table: &str, data: &[u8]| refusal(&safetensors(table, data));
    assert!(wrong(&one("F32", "[2]", 0, 8), &[0; 7]).contains("cut short"));
    assert!(wrong(&one("F32", "[2]", 0, 8), &[0; 9]).contains("bytes of no tensor"));
    for table in [
        one("F32", "[3]", 0, 8),
        one("F32", "[2]", 8, 0),
        one("F32", "[2]", 1, 9),
        one("F32", "[18446744073709551615,18446744073709551615]", 0, 8),
        one("F32", "[-1]", 0, 8),
        one("F3", "[2]", 0, 8),
        // Two tensors over the same bytes.
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#.into(),
        "{".repeat(100_000),
        format!("{{\"a\":{}", "[".repeat(100_000)),
    ] {
        assert!(wrong(&table, &[0; 8]).contains("its table of tensors is wrong"), "{table:.80}");
    }
    let mut long = safetensors("{}", &[]);
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(&long).contains("no weights file"));
    long[..8].copy_from_slice(&1000_u64.to_le_bytes());
    assert!(refusal(&long).contains("cut short"));
}

#[test]
fn missing_extra_and_wrong_shaped_tensors_are_named() {
    let table = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}"#;
    let (_folder, weights) = open(&safetensors(table, &[0; 16]));
    let weights = weights.unwrap();
    let all = |_: &str| true;
    let none = |_: &str| false;
    let ab: [(&str, &[usize]); 2] = [("a", &[2]), ("b", &[1, 2])];
    weights.check(ab, none).unwrap();
    weights.check([ab[0]], all).unwrap();
    let other: [(&str, &[usize]); 2] = [("a", &[3]), ("c", &[1])];
    let error = weights.check(other, none).unwrap_err().to_string();
    assert!(
        error.contains("not the weights of this model: 1 missing (c); 1 of another shape (a [2] for [3]); 1 unknown (b): "),
        "{error}"
    );
    assert!(weights.read_f32("a", &[1, 2]).is_err());
    assert!(weights.read_f32("c", &[2]).is_err());
}

#[test]
fn a_file_that_shrinks_or_vanishes_under_the_reader_is_an_error() {
    let table = r#"{"a":{"dtype":"F32","shape":[4000000],"data_offsets":[0,16000000]}}"#;
    let (folder, weights) = open(&safetensors(table, &vec![1; 16_000_000]));
    let weights = weights.unwrap();
    let path = folder.path().join("model.ckpt");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let error = weights.read_f32("a", &[4_000_000]).unwrap_err();
    assert!(matches!(error, WeightsError::Shrunk { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("became shorter while it was read")
    );
    if cfg!(unix) {
        let (folder, weights) = open(&safetensors(table, &vec![0; 16_000_000]));
        let weights = weights.unwrap();
        drop(folder);
        // What is open lives on.
        assert_eq!(weights.read_f32("a", &[4_000_000]).unwrap()[3_999_999], 0.0);
    }
}
