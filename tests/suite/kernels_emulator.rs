//! The CUDA kernels run on the CPU: the unmodified `.cu` files compiled as C++ with a fiber for each CUDA
//! thread (`tests/cuda_emulator`), in a process of its own that is given the buffers and gives them back.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orfeas::compute::kernels::{File, Launch, Number};

use crate::random::Random;

/// How the emulator is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Build {
    /// As for compute capability 8.0 and later.
    Ampere,
    /// As for 7.5: without asynchronous copies, with fewer stages.
    Turing,
    /// As for 8.0, with AddressSanitizer.
    Sanitized,
}

/// The two readings of an asynchronous copy with three orders of warps each.
const RUNS: [(u32, u32); 6] = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (7, 1)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The emulator of a file of kernels, compiled unless it was compiled from the same sources before.
fn emulator(file: File, build: Build) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_emulator");
    fs::create_dir_all(&folder).unwrap();
    let source = format!("{}.cu", file.name());
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut arguments: Vec<OsString> = [
        "-std=c++17",
        "-O2",
        // A product and a sum are rounded one by one, as where a kernel is compiled to give the processor's
        // results.
        "-ffp-contract=off",
        "-Wall",
        "-Werror",
        "-Wno-unknown-pragmas",
    ]
    .map(OsString::from)
    .into();
    arguments.push(format!("-DKIT_SOURCE=\"{source}\"").into());
    arguments.push(format!("-I{}", root().join("shaders/cuda").display()).into());
    arguments.push("-include".into());
    arguments.push(root().join("tests/cuda_emulator/emulator.h").into());
    arguments.push(root().join("tests/cuda_emulator/main.cpp").into());
    match build {
        Build::Ampere => {}
        Build::Turing => arguments.push("-DKIT_ARCH=750".into()),
        Build::Sanitized => arguments.extend(["-fsanitize=address", "-g1"].map(OsString::from)),
    }
    let mut hasher = DefaultHasher::new();
    (&compiler, &arguments).hash(&mut hasher);
    for (place, name) in [
        ("shaders/cuda", "activations.cuh"),
        ("shaders/cuda", "isosurface.cuh"),
        ("shaders/cuda", source.as_str()),
        ("tests/cuda_emulator", "emulator.h"),
        ("tests/cuda_emulator", "main.cpp"),
        ("tests/cuda_emulator", "switch.h"),
    ] {
        fs::read(root().join(place).join(name))
            .unwrap()
            .hash(&mut hasher);
    }
    let program = folder.join(format!(
        "{}_{build:?}_{:016x}",
        file.name(),
        hasher.finish()
    ));
    // One test compiles, and the others that need the same wait for it.
    let lock = fs::File::create(folder.join(format!("{}_{build:?}.lock", file.name()))).unwrap();
    lock.lock().unwrap();
    if program.exists() {
        return program;
    }
    // Under a name of its own, then renamed: what was cut off is no program.
    let made = tempfile::Builder::new().tempfile_in(&folder).unwrap();
    let mut command = Command::new(compiler);
    command.args(arguments).arg("-o").arg(made.path());
    let ran = command
        .output()
        .expect("a C++ compiler, as `c++` or in CXX, which the build needs too");
    assert!(
        ran.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    made.into_temp_path().persist(&program).unwrap();
    program
}

/// The device memory of a launch.
#[derive(Default)]
pub(crate) struct Memory(Vec<Vec<u8>>);

impl Memory {
    /// A buffer with this content; its address.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        self.0.push(bytes.to_vec());
        (self.0.len() as u64) << 40
    }

    /// The same for numbers, rounded to the format.
    pub(crate) fn put_numbers(&mut self, number: Number, numbers: &[f32]) -> u64 {
        self.put(&encode(number, numbers))
    }

    /// Runs the launch in both readings of asynchronous copies and three orders of warps, all of which
    /// must give the same bits; the bytes of the buffer at `address` afterwards.
    pub(crate) fn run(&self, launch: &Launch, build: Build, address: u64) -> Vec<u8> {
        let ran = self.start(launch, build, &RUNS);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{build:?} {launch:?}: {said}");
        let wanted = (address >> 40) as usize - 1;
        let start: usize = self.0[..wanted].iter().map(Vec::len).sum();
        let all: usize = self.0.iter().map(Vec::len).sum();
        assert_eq!(ran.stdout.len(), all * RUNS.len());
        let after = |run: usize| &ran.stdout[run * all..][..all];
        for (run, (order, late)) in RUNS.iter().enumerate() {
            assert!(
                after(run) == after(0),
                "{build:?} {}: warp order {order}, late copies {late} give something else",
                launch.kernel
            );
        }
        // What is not written stays as it was.
        let mut at = 0;
        for (place, buffer) in self.0.iter().enumerate() {
            if place != wanted {
                assert!(
                    after(0)[at..][..buffer.len()] == buffer[..],
                    "{launch:?} wrote buffer {place}"
                );
            }
            at += buffer.len();
        }
        after(0)[start..][..self.0[wanted].len()].to_vec()
    }

    /// Runs the launch as [`run`](Self::run) does and keeps what it leaves in every buffer.
    pub(crate) fn advance(&mut self, launch: &Launch, build: Build) {
        let ran = self.start(launch, build, &RUNS);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{build:?} {}: {said}", launch.kernel);
        let all: usize = self.0.iter().map(Vec::len).sum();
        assert_eq!(ran.stdout.len(), all * RUNS.len());
        for (run, after) in ran.stdout.chunks_exact(all).enumerate() {
            assert!(
                after == &ran.stdout[..all],
                "{build:?} {}: run {:?} gives something else",
                launch.kernel,
                RUNS[run]
            );
        }
        let mut at = 0;
        for buffer in &mut self.0 {
            let size = buffer.len();
            buffer.copy_from_slice(&ran.stdout[at..][..size]);
            at += size;
        }
    }

    /// What the buffer at this address holds.
    pub(crate) fn get<T: bytemuck::AnyBitPattern>(&self, address: u64) -> Vec<T> {
        self.0[(address >> 40) as usize - 1]
            .chunks_exact(size_of::<T>())
            .map(bytemuck::pod_read_unaligned)
            .collect()
    }

    /// The same as numbers.
    pub(crate) fn run_numbers(
        &self,
        launch: &Launch,
        build: Build,
        address: u64,
        number: Number,
    ) -> Vec<f32> {
        decode(number, &self.run(launch, build, address))
    }

    /// Runs the launch once for each order and reading.
    pub(crate) fn start(
        &self,
        launch: &Launch,
        build: Build,
        runs: &[(u32, u32)],
    ) -> std::process::Output {
        let mut request = Vec::new();
        let mut word = |value: usize| request.extend((value as u32).to_le_bytes());
        word(launch.kernel.len());
        request.extend(launch.kernel.as_bytes());
        for value in [launch.grid[0], launch.grid[1], 1, launch.threads, 1, 1] {
            request.extend(value.to_le_bytes());
        }
        request.extend((self.0.len() as u32).to_le_bytes());
        for buffer in &self.0 {
            request.extend((buffer.len() as u64).to_le_bytes());
            request.extend(buffer);
        }
        request.extend((launch.params.len() as u32).to_le_bytes());
        request.extend(&launch.params);
        request.extend(launch.pointers.to_le_bytes());
        request.extend((runs.len() as u32).to_le_bytes());
        for (order, late) in runs {
            request.extend(order.to_le_bytes());
            request.extend(late.to_le_bytes());
        }
        let mut child = Command::new(emulator(launch.file, build))
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It reads all before it writes. A request it refuses is told by its status.
        let mut input = child.stdin.take().unwrap();
        if let Err(error) = input.write_all(&request) {
            eprintln!("the request was not taken: {error}");
        }
        drop(input);
        child.wait_with_output().unwrap()
    }
}

/// Numbers in a format, rounded to the nearest.
pub(crate) fn encode(number: Number, numbers: &[f32]) -> Vec<u8> {
    match number {
        Number::F32 => bytemuck::cast_slice(numbers).to_vec(),
        Number::F16 => numbers
            .iter()
            .flat_map(|x| half_bits(*x).to_le_bytes())
            .collect(),
        Number::Bf16 => numbers
            .iter()
            .flat_map(|x| brain_bits(*x).to_le_bytes())
            .collect(),
    }
}

/// Numbers from a format.
pub(crate) fn decode(number: Number, bytes: &[u8]) -> Vec<f32> {
    let pairs = || {
        bytes
            .chunks_exact(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]))
    };
    match number {
        Number::F32 => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        Number::F16 => pairs().map(half_value).collect(),
        Number::Bf16 => pairs()
            .map(|b| f32::from_bits(u32::from(b) << 16))
            .collect(),
    }
}

/// Random numbers as the format holds them.
pub(crate) fn numbers(random: &mut Random, number: Number, count: usize) -> Vec<f32> {
    let exact: Vec<f32> = (0..count).map(|_| random.uniform(-1.0, 1.0)).collect();
    decode(number, &encode(number, &exact))
}

/// The value of binary16 bits, by its definition.
fn half_value(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The nearest binary16, ties to even.
fn half_bits(value: f32) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let size = f64::from(value.abs());
    if size.is_nan() {
        return 0x7fff;
    }
    if size.is_infinite() {
        return sign | 0x7c00;
    }
    // The distance of neighbours there: the last of 11 bits, or of the subnormals.
    let exponent = (f64::from(value.abs().max(f32::MIN_POSITIVE)).log2().floor() as i32).max(-14);
    let unit = 2f64.powi(exponent - 10);
    let steps = (size / unit).round_ties_even();
    let bits = steps + f64::from(exponent + 14) * 1024.0;
    sign | (bits.min(f64::from(0x7c00)) as u16)
}

/// The nearest bfloat16, ties to even.
fn brain_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    ((u64::from(bits) + 0x7fff + u64::from(bits >> 16 & 1)) >> 16) as u16
}

/// Fails unless every number is near: within `tolerance` of the larger of 1 and the expected size.
#[track_caller]
pub(crate) fn assert_near(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
        // A NaN is not near.
        assert!(
            error <= tolerance,
            "{what}: number {place} is {found}, expected {expected}, error {error:.2e}"
        );
    }
}

/// How far a result may be from the exact one: a rounding to the format, and sums in 32 bits.
pub(crate) fn tolerance(number: Number) -> f64 {
    match number {
        Number::F32 => 2e-6,
        Number::F16 => 6e-4,
        Number::Bf16 => 5e-3,
    }
}
