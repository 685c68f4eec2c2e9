//! The emulated driver: compiled here, put in the driver's place in a process of its own, and told what to
//! do through a file of settings.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use orfeas::compute::kernels::File;

/// Set in the process that has the emulated driver: the file that the driver reads its settings from.
const SETTINGS: &str = "ORFEAS_CUDA_SETTINGS";
/// Set there, too: the folder of the emulated driver.
const FOLDER: &str = "ORFEAS_CUDA_FOLDER";
/// Set there, too, for every kind of device but the first.
const FURTHER: &str = "ORFEAS_CUDA_FURTHER";
/// The stand-in of cuBLASLt below that folder, and one that lacks a function.
const STAND_INS: [&str; 2] = ["cublaslt", "lacking"];
/// A file of it.
pub(crate) const LIBRARY: &str = "libcublasLt.so.12";

/// Whether this process has the emulated driver.
pub(crate) fn is_here() -> bool {
    std::env::var_os(SETTINGS).is_some()
}

/// Whether all tests ran before on an emulated device of another kind.
pub(crate) fn is_further_kind() -> bool {
    std::env::var_os(FURTHER).is_some()
}

/// Settings of the emulated driver for the contexts made while this lives.
pub(crate) struct Settings(());

impl Settings {
    /// Sets them; `None` where the driver is a real one.
    pub(crate) fn set(settings: &[(&str, i64)]) -> Option<Self> {
        let path = std::env::var_os(SETTINGS)?;
        let lines = settings
            .iter()
            .map(|(name, value)| format!("ORFEAS_CUDA_{name} {value}\n"));
        fs::write(path, lines.collect::<String>()).unwrap();
        Some(Self(()))
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        if let Some(path) = std::env::var_os(SETTINGS) {
            fs::write(path, "").unwrap();
        }
    }
}

/// Runs this program again with the emulated driver, for each kind of device.
pub(crate) fn run_again(arguments: &[String]) -> ExitCode {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if Command::new(&compiler).arg("--version").output().is_err() {
        println!("skipped: the emulated driver needs a C++ compiler, as `c++` or in CXX");
        let is_needed = std::env::var_os("CI").is_some();
        return if is_needed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        };
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_driver");
    for (place, (architecture, title)) in [(800, "8.6"), (750, "7.5")].into_iter().enumerate() {
        let library = compile(&compiler, &folder, architecture);
        println!("an emulated device of compute capability {title}:");
        let settings = tempfile::NamedTempFile::new().unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .env("LD_LIBRARY_PATH", &library)
            .env(FOLDER, &library)
            .env(SETTINGS, settings.path())
            .envs((place > 0).then_some((FURTHER, "1")))
            // A real one could do nothing with the emulated driver, and tests that want the stand-in say so.
            .env(orfeas::compute::cuda::cublaslt::search::VARIABLE, "off")
            .status()
            .unwrap();
        if !status.success() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs one test of this program in a process of its own, as one that ends a device must.
pub(crate) fn run_alone(test: &str) {
    run_alone_with(test, &[]);
}

/// The same with other values of environment variables.
pub(crate) fn run_alone_with(test: &str, variables: &[(&str, &Path)]) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("ORFEAS_GPU_ALONE", "1")
        .envs(variables.iter().copied())
        .status()
        .unwrap();
    assert!(status.success(), "{test} alone");
}

/// The stand-ins of cuBLASLt: one that is whole, and one that lacks a function.
pub(crate) fn stand_ins() -> [PathBuf; 2] {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    STAND_INS.map(|name| folder.join(name).join(LIBRARY))
}

/// Whether this process was started by [`run_alone`].
pub(crate) fn is_alone() -> bool {
    std::env::var_os("ORFEAS_GPU_ALONE").is_some()
}

/// The folder that holds the driver for devices of this architecture, compiled unless it was compiled from
/// the same sources before.
fn compile(compiler: &OsString, folder: &Path, architecture: u32) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (kernels, emulator) = (root.join("shaders/cuda"), root.join("tests/cuda_emulator"));
    let mut hasher = DefaultHasher::new();
    (compiler, architecture).hash(&mut hasher);
    for folder in [&kernels, &emulator] {
        let mut files: Vec<_> = (fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        files
            .iter()
            .for_each(|file| fs::read(file).unwrap().hash(&mut hasher));
    }
    let made = folder.join(format!("{architecture}_{:016x}", hasher.finish()));
    fs::create_dir_all(folder).unwrap();
    // One process compiles, and others that need the same wait for it.
    let lock = fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    if made.exists() {
        return made;
    }
    let temporary = tempfile::tempdir_in(folder).unwrap();
    let object = |name: &str| temporary.path().join(format!("{name}.o"));
    let command = || {
        let mut command = Command::new(compiler);
        command
            .args([
                "-std=c++17",
                "-O2",
                "-fPIC",
                "-Wall",
                "-Werror",
                "-Wno-unused-function",
            ])
            .args([
                "-Wno-unknown-pragmas",
                "-fvisibility=hidden",
                "-ftls-model=initial-exec",
            ])
            .arg(format!("-DKIT_ARCH={architecture}"))
            .arg(format!("-I{}", kernels.display()))
            .arg("-include")
            .arg(emulator.join("emulator.h"));
        command
    };
    let mut compilers: Vec<_> = (File::ALL.iter())
        .map(|file| {
            command()
                .arg(format!("-DKIT_SOURCE=\"{}.cu\"", file.name()))
                .arg("-c")
                .arg(emulator.join("kernels.cpp"))
                .arg("-o")
                .arg(object(file.name()))
                .spawn()
                .unwrap()
        })
        .collect();
    for compiler in &mut compilers {
        assert!(compiler.wait().unwrap().success(), "the kernels compile");
    }
    let library = temporary.path().join("libcuda.so.1");
    let mut link = command();
    link.args(["-shared", "-pthread", "-Wl,-soname,libcuda.so.1"])
        .arg(emulator.join("driver.cpp"))
        .args(File::ALL.iter().map(|file| object(file.name())))
        .arg("-o")
        .arg(&library);
    assert!(link.status().unwrap().success(), "{link:?}");
    for name in STAND_INS {
        let mut link = command();
        fs::create_dir(temporary.path().join(name)).unwrap();
        link.args(["-shared", "-pthread"])
            .args((name == "lacking").then_some("-DWITHOUT_PROPOSALS"))
            .arg(emulator.join("cublaslt.cpp"))
            .arg(&library)
            .arg("-o")
            .arg(temporary.path().join(name).join(LIBRARY));
        assert!(link.status().unwrap().success(), "{link:?}");
    }
    fs::rename(temporary.keep(), &made).unwrap();
    made
}
