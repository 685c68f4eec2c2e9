//! Where cuBLASLt is looked for: in which order, by absolute paths only, and not where the user says so.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use orfeas::compute::cuda::cublaslt::search::{Places, VARIABLE, Wish};

/// A machine in a folder of its own.
struct Machine {
    folder: tempfile::TempDir,
    variables: HashMap<&'static str, OsString>,
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: HashMap::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&mut self, name: &'static str, value: impl AsRef<Path>) {
        self.variables
            .insert(name, value.as_ref().as_os_str().to_owned());
    }

    /// Puts files there, which need not be libraries to be found.
    fn put(&self, names: &[&str]) {
        for name in names {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, *name).unwrap();
        }
    }

    fn places(&self) -> Places {
        let variable = |name: &str| self.variables.get(name).cloned();
        Places::of(variable, Some(self.path("program")), self.folder.path())
    }

    /// What is found, below the machine's folder.
    fn found(&self) -> Vec<String> {
        let candidates = self.places().candidates();
        let name = |path: &PathBuf| {
            assert!(path.is_absolute(), "{}", path.display());
            let below = path.strip_prefix(self.folder.path()).unwrap();
            below.to_str().unwrap().replace('\\', "/")
        };
        candidates.iter().map(name).collect()
    }
}

#[test]
#[cfg(not(windows))]
fn cublaslt_is_looked_for_in_the_promised_order() {
    let mut machine = Machine::new();
    let by_architecture = format!(
        "usr/lib/{}-linux-gnu/libcublasLt.so.12",
        std::env::consts::ARCH
    );
    let in_order = [
        "program/libcublasLt.so.12",
        "toolkit/lib64/libcublasLt.so.13",
        "toolkit/lib64/libcublasLt.so.12",
        "home of toolkit/targets/x86_64-linux/lib/libcublasLt.so.12",
        "usr/local/cuda-12.10/lib64/libcublasLt.so.12",
        "usr/local/cuda-12.9/targets/sbsa-linux/lib/libcublasLt.so.12",
        "environment/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
        "environment/lib/python3.12/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
        "conda/lib/libcublasLt.so.12",
        "conda/lib/python3.11/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
        "home/.local/lib/python3.13/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
        "usr/local/lib/python3.12/dist-packages/torch/lib/libcublasLt.so.12",
        "usr/lib/python3/dist-packages/nvidia/cublas/lib/libcublasLt.so.12",
        &by_architecture,
        "usr/lib64/libcublasLt.so.12",
    ];
    machine.put(&in_order);
    machine.put(&[
        "toolkit/lib64/libcublasLt.so.11",
        "libcublasLt.so.12",
        "usr/local/cudart/lib64/libcublasLt.so.12",
    ]);
    for (name, folder) in [
        ("CUDA_PATH", "toolkit"),
        ("CUDA_HOME", "home of toolkit"),
        ("VIRTUAL_ENV", "environment"),
        ("CONDA_PREFIX", "conda"),
        ("HOME", "home"),
    ] {
        machine.set(name, machine.path(folder));
    }
    assert_eq!(machine.found(), in_order);
    assert!(machine.places().refused.is_empty());
    assert_eq!(machine.places().wish, Wish::Search);

    // A name that leads to a file that was there before is not tried again.
    let toolkit = machine.path("usr/local/cuda-12.10");
    std::os::unix::fs::symlink(&toolkit, machine.path("usr/local/cuda")).unwrap();
    let found = machine.found();
    assert_eq!(found.len(), in_order.len());
    assert_eq!(found[4], "usr/local/cuda/lib64/libcublasLt.so.12");
}

#[test]
fn cublaslt_is_never_looked_for_from_the_working_directory() {
    let mut machine = Machine::new();
    for name in ["CUDA_PATH", "CUDA_HOME", "VIRTUAL_ENV", "CONDA_PREFIX"] {
        machine.set(name, "toolkit");
    }
    let places = machine.places();
    assert_eq!(places.refused.len(), 4, "{:?}", places.refused);
    for refused in &places.refused {
        assert!(refused.contains("no absolute path"), "{refused}");
    }
    assert!(places.candidates().is_empty());

    // Nor is a library that is named without its folder; no other is used in its stead.
    machine.variables.clear();
    machine.put(&["program/libcublasLt.so.12", "program/cublasLt64_12.dll"]);
    assert_eq!(machine.found().len(), 1);
    for name in ["libcublasLt.so.12", "./libcublasLt.so.12"] {
        machine.set(VARIABLE, name);
        let places = machine.places();
        assert_eq!((places.wish.clone(), places.refused.len()), (Wish::Off, 1));
        assert!(places.candidates().is_empty());
    }
}

#[test]
fn cublaslt_is_the_one_that_is_named_or_off() {
    let mut machine = Machine::new();
    machine.put(&["program/libcublasLt.so.12", "program/cublasLt64_12.dll"]);
    let named = machine.path("elsewhere/a library.so");
    machine.set(VARIABLE, &named);
    assert_eq!(machine.places().candidates(), std::slice::from_ref(&named));
    assert_eq!(machine.places().wish, Wish::File(named));
    machine.set(VARIABLE, "off");
    assert_eq!(machine.places().wish, Wish::Off);
    assert!(machine.places().candidates().is_empty());
    // An empty value is as good as none.
    machine.set(VARIABLE, "");
    assert_eq!(machine.found().len(), 1);
}

#[test]
#[cfg(not(windows))]
fn cublaslt_is_looked_for_in_a_bounded_number_of_folders() {
    let machine = Machine::new();
    for number in 0..1500 {
        let folder = machine.path(&format!("usr/local/cuda-{number}"));
        fs::create_dir_all(folder.join("lib64")).unwrap();
    }
    machine.put(&[
        "program/libcublasLt.so.12",
        "usr/local/cuda-1499/lib64/libcublasLt.so.12",
        "usr/local/cuda-3/lib64/libcublasLt.so.12",
    ]);
    let found = machine.found();
    assert_eq!(
        found,
        [
            "program/libcublasLt.so.12",
            "usr/local/cuda-1499/lib64/libcublasLt.so.12"
        ]
    );
}
