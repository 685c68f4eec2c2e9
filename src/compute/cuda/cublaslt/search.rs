//! Where NVIDIA's cuBLASLt may lie on a machine, in the order in which it is looked for: beside the program,
//! in the toolkit that a variable names, in the toolkits' usual folders, among Python's packages, and in the
//! system's own folders.
//!
//! Every path is absolute: nothing is named without its folder, and nothing comes from the working directory.
//! It lists files and loads none.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The environment variable that names the library to use, or is `off`.
pub const VARIABLE: &str = "ORFEAS_CUBLASLT";

/// The library's names, the newest first.
#[cfg(windows)]
const NAMES: [&str; 2] = ["cublasLt64_13.dll", "cublasLt64_12.dll"];
/// The library's names, the newest first.
#[cfg(not(windows))]
const NAMES: [&str; 2] = ["libcublasLt.so.13", "libcublasLt.so.12"];

/// Where a toolkit has its libraries. In these patterns a `*` that ends a part stands for any ending.
#[cfg(windows)]
const IN_TOOLKIT: [&str; 2] = ["bin/x64", "bin"];
/// Where a toolkit has its libraries. In these patterns a `*` that ends a part stands for any ending.
#[cfg(not(windows))]
const IN_TOOLKIT: [&str; 3] = ["lib64", "targets/*/lib", "lib"];

/// Where the packages of a Python environment lie.
#[cfg(windows)]
const IN_PYTHON: [&str; 1] = ["Lib/site-packages"];
/// Where the packages of a Python environment lie.
#[cfg(not(windows))]
const IN_PYTHON: [&str; 4] = [
    "lib/python3*/site-packages",
    "lib64/python3*/site-packages",
    "lib/python3*/dist-packages",
    "lib/python3/dist-packages",
];

/// The packages that bring the library along.
#[cfg(windows)]
const IN_PACKAGES: [&str; 3] = ["nvidia/cu13/bin/x86_64", "nvidia/cublas/bin", "torch/lib"];
/// The packages that bring the library along.
#[cfg(not(windows))]
const IN_PACKAGES: [&str; 3] = ["nvidia/cu13/lib", "nvidia/cublas/lib", "torch/lib"];

/// Where Conda puts an environment's libraries.
#[cfg(windows)]
const IN_CONDA: [&str; 1] = ["Library/bin"];
/// Where Conda puts an environment's libraries.
#[cfg(not(windows))]
const IN_CONDA: [&str; 2] = ["lib", "targets/*/lib"];

/// Folders that are looked into at most.
const MOST_FOLDERS: usize = 400;
/// Entries of a folder that are read at most where a pattern is to be met.
const MOST_ENTRIES: usize = 2000;

/// What the user says about the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: it is looked for.
    Search,
    /// None is to be used.
    Off,
    /// This file and no other.
    File(PathBuf),
}

/// Where a machine is looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// What the user says.
    pub wish: Wish,
    /// Folders and the patterns below them, in order.
    folders: Vec<(PathBuf, String)>,
    /// Values of variables that are not followed, and why.
    pub refused: Vec<String>,
}

impl Places {
    /// Those of this machine.
    pub fn of_machine() -> Self {
        let program = std::env::current_exe().ok();
        let folder = program.and_then(|program| Some(program.parent()?.to_path_buf()));
        Self::of(|name| std::env::var_os(name), folder, Path::new("/"))
    }

    /// Those that follow from environment variables, the program's own folder and, where the system is no
    /// Windows, the root of the files.
    pub fn of(
        variable: impl Fn(&str) -> Option<OsString>,
        program: Option<PathBuf>,
        root: &Path,
    ) -> Self {
        let mut refused = Vec::new();
        let mut folder = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            let path = PathBuf::from(&value);
            if path.is_absolute() {
                return Some(path);
            }
            refused.push(format!(
                "{name} is not followed, as it is no absolute path: {}",
                path.display()
            ));
            None
        };
        let is_off = variable(VARIABLE).is_some_and(|value| value == "off");
        let is_set = variable(VARIABLE).is_some_and(|value| !value.is_empty());
        let wish = match is_off {
            true => Wish::Off,
            // Another library than the one that was named would be a surprise.
            false if is_set => folder(VARIABLE).map_or(Wish::Off, Wish::File),
            false => Wish::Search,
        };
        let mut folders: Vec<(PathBuf, String)> = Vec::new();
        folders.extend(program.map(|program| (program, String::new())));
        for toolkit in ["CUDA_PATH", "CUDA_HOME"]
            .into_iter()
            .filter_map(&mut folder)
        {
            below(&mut folders, &toolkit, &[""], &IN_TOOLKIT);
        }
        add_toolkits(&mut folders, &mut folder, root);
        if let Some(environment) = folder("VIRTUAL_ENV") {
            below(&mut folders, &environment, &IN_PYTHON, &IN_PACKAGES);
        }
        if let Some(environment) = folder("CONDA_PREFIX") {
            below(&mut folders, &environment, &[""], &IN_CONDA);
            below(&mut folders, &environment, &IN_PYTHON, &IN_PACKAGES);
        }
        add_pythons(&mut folders, &mut folder, root);
        add_system(&mut folders, &mut folder, root);
        Self {
            wish,
            folders,
            refused,
        }
    }

    /// The library's files that are there, in order, each once.
    pub fn candidates(&self) -> Vec<PathBuf> {
        match &self.wish {
            Wish::Off => return Vec::new(),
            Wish::File(path) => return vec![path.clone()],
            Wish::Search => {}
        }
        let mut left = MOST_FOLDERS;
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (folder, pattern) in &self.folders {
            for folder in expanded(folder, pattern, &mut left) {
                let files = NAMES.map(|name| folder.join(name));
                for path in files.into_iter().filter(|path| path.is_file()) {
                    let file = fs::canonicalize(&path).unwrap_or_else(|_unreadable| path.clone());
                    if seen.insert(file) {
                        found.push(path);
                    }
                }
            }
        }
        found
    }
}

/// Adds the patterns that begin with one of `first` and end with one of `last`.
fn below(folders: &mut Vec<(PathBuf, String)>, folder: &Path, first: &[&str], last: &[&str]) {
    for first in first {
        for last in last {
            folders.push((folder.to_path_buf(), format!("{first}/{last}")));
        }
    }
}

/// The toolkits' usual folders.
#[cfg(windows)]
fn add_toolkits(
    folders: &mut Vec<(PathBuf, String)>,
    variable: &mut dyn FnMut(&str) -> Option<PathBuf>,
    _root: &Path,
) {
    if let Some(programs) = variable("ProgramFiles") {
        let installed = ["NVIDIA GPU Computing Toolkit/CUDA/v*"];
        below(folders, &programs, &installed, &IN_TOOLKIT);
    }
}

/// The toolkits' usual folders.
#[cfg(not(windows))]
fn add_toolkits(
    folders: &mut Vec<(PathBuf, String)>,
    _variable: &mut dyn FnMut(&str) -> Option<PathBuf>,
    root: &Path,
) {
    let installed = ["usr/local/cuda", "usr/local/cuda-*", "opt/cuda"];
    below(folders, root, &installed, &IN_TOOLKIT);
}

/// The packages of the user's and of the system's Python.
#[cfg(windows)]
fn add_pythons(
    folders: &mut Vec<(PathBuf, String)>,
    variable: &mut dyn FnMut(&str) -> Option<PathBuf>,
    _root: &Path,
) {
    if let Some(own) = variable("APPDATA") {
        let packages = ["Python/Python3*/site-packages"];
        below(folders, &own, &packages, &IN_PACKAGES);
    }
    for (parent, installed) in [
        ("LOCALAPPDATA", "Programs/Python/Python3*/Lib/site-packages"),
        ("ProgramFiles", "Python3*/Lib/site-packages"),
    ] {
        if let Some(parent) = variable(parent) {
            below(folders, &parent, &[installed], &IN_PACKAGES);
        }
    }
}

/// The packages of the user's and of the system's Python.
#[cfg(not(windows))]
fn add_pythons(
    folders: &mut Vec<(PathBuf, String)>,
    variable: &mut dyn FnMut(&str) -> Option<PathBuf>,
    root: &Path,
) {
    let own = variable("HOME").map(|home| home.join(".local"));
    let of_system = ["usr/local", "usr"].map(|folder| root.join(folder));
    for python in own.into_iter().chain(of_system) {
        below(folders, &python, &IN_PYTHON, &IN_PACKAGES);
    }
}

/// The system's own folders.
#[cfg(windows)]
fn add_system(
    folders: &mut Vec<(PathBuf, String)>,
    variable: &mut dyn FnMut(&str) -> Option<PathBuf>,
    _root: &Path,
) {
    folders.extend(variable("SystemRoot").map(|windows| (windows, "System32".into())));
}

/// The system's own folders.
#[cfg(not(windows))]
fn add_system(
    folders: &mut Vec<(PathBuf, String)>,
    _variable: &mut dyn FnMut(&str) -> Option<PathBuf>,
    root: &Path,
) {
    let by_architecture = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    for folder in [by_architecture.as_str(), "usr/lib64", "usr/lib"] {
        folders.push((root.to_path_buf(), folder.into()));
    }
}

/// The folders below one that meet a pattern, those with greater numbers in their names first, as long as
/// so many are left to be looked into.
fn expanded(folder: &Path, pattern: &str, left: &mut usize) -> Vec<PathBuf> {
    let mut reached = vec![folder.to_path_buf()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let Some(beginning) = part.strip_suffix('*') else {
            reached.iter_mut().for_each(|folder| folder.push(part));
            continue;
        };
        reached = reached
            .iter()
            .take_while(|_| take_one(left))
            .flat_map(|folder| beginning_with(folder, beginning))
            .collect();
    }
    reached.retain(|folder| take_one(left) && folder.is_dir());
    reached
}

fn take_one(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

/// What lies in a folder with names of this beginning; a folder that cannot be read is empty.
fn beginning_with(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .take(MOST_ENTRIES)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(beginning))
        .collect();
    names.sort_by(|a, b| numbers(b).cmp(&numbers(a)).then_with(|| a.cmp(b)));
    names.iter().map(|name| folder.join(name)).collect()
}

/// The numbers in a name, so that 12.10 is greater than 12.9.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|character: char| !character.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}
