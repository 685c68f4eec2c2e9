//! Products by cuBLASLt: on a real device by the one that is found there, with the emulated driver by the
//! stand-in beside it, in a process that is told where that is.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use orfeas::compute::cuda::cublaslt::search::VARIABLE;
use orfeas::compute::cuda::{LibrarySearch, find_library};
use orfeas::compute::ops::Epilogue;
use orfeas::compute::{Gpu, GpuError, Matrix, Number, OpError, Ops, Precision};

use crate::device::gpu;
use crate::emulated::{self, LIBRARY, Settings};
use crate::operators::{self, compare, contexts, formats, precisions};

pub(crate) const TESTS: &[crate::Test] = &[
    ("cublaslt_products", products),
    (
        "cublaslt_leaves_what_it_cannot_to_our_kernel",
        leaves_what_it_cannot,
    ),
    ("cublaslt_with_wrong_answers_is_not_used", wrong_answers),
    ("cublaslt_that_fails_is_an_error_in_words", fails),
    ("cublaslt_that_loses_the_device", loses_the_device),
    ("cublaslt_that_cannot_be_used_is_passed_over", passed_over),
    ("cublaslt_of_the_wrong_version_is_not_used", wrong_version),
    ("cublaslt_is_not_used_unless_it_is_checked", unchecked),
    ("cublaslt_in_models", models),
];

/// The environment variable that names the file where the stand-in notes its products.
const PRODUCTS: &str = "ORFEAS_CUDA_BLAS_PRODUCTS";

/// Runs a test where the library is found: with the emulated driver in a process of its own.
fn with_library(name: &str, test: fn()) {
    if !emulated::is_here() || emulated::is_alone() {
        return test();
    }
    let [whole, _] = emulated::stand_ins();
    emulated::run_alone_with(name, &[(VARIABLE, &whole)]);
}

/// Checks the device's kernels in every format.
fn check(gpu: &Arc<Gpu>) {
    let [context, _] = contexts(gpu);
    for (number, _) in formats(gpu) {
        let ops = Ops::new(&context, number);
        ops.check_kernels(precisions(number)[0]).unwrap();
    }
}

/// A product with weights of the activations' own format.
fn product(
    ops: &Ops<'_>,
    shape: [usize; 3],
    biased: bool,
    epilogue: Epilogue,
) -> Result<Matrix, OpError> {
    let precision = precisions(ops.activations())[0];
    operators::product(ops, shape, biased, precision, epilogue)
}

/// Compares products with the processor's; how many of them the library computed, and how many there were.
fn compare_products(gpu: &Arc<Gpu>, shape: [usize; 3]) -> (u64, u64) {
    let before = gpu.products_by_library();
    let mut all = 0;
    for epilogue in Epilogue::ALL {
        for biased in [true, false] {
            compare(&format!("{shape:?}, {epilogue:?}"), gpu, |ops| {
                product(ops, shape, biased, epilogue).unwrap()
            });
            let parts = match epilogue {
                Epilogue::Geglu => shape[0].div_ceil(1024),
                _ => 1,
            };
            all += parts as u64 * formats(gpu).len() as u64;
        }
    }
    (gpu.products_by_library() - before, all)
}

fn products() {
    with_library("cublaslt_products", || {
        let gpu = gpu();
        let Some(found) = gpu.found_library() else {
            assert!(!emulated::is_here(), "the stand-in is found");
            println!("skipped: there is no cuBLASLt");
            return;
        };
        println!("{found}");
        assert_eq!(find_library(), LibrarySearch::Found(found.clone()));
        check(&gpu);
        for shape in [
            [1, 2, 1],
            [7, 130, 33],
            [65, 66, 8],
            [130, 64, 100],
            [1030, 48, 24],
        ] {
            let (by_library, all) = compare_products(&gpu, shape);
            println!("{shape:?}: {by_library} of {all} products by cuBLASLt");
            // A real one may have no algorithm for uneven sizes.
            if emulated::is_here() {
                assert_eq!(by_library, all);
            }
        }
        assert_eq!(gpu.ledger().used_bytes(), 0);
    });
}

fn leaves_what_it_cannot() {
    with_library("cublaslt_leaves_what_it_cannot_to_our_kernel", || {
        let Some(_settings) = Settings::set(&[("BLAS_EVEN_ONLY", 1)]) else {
            return;
        };
        let gpu = gpu();
        check(&gpu);
        // The weights of models are even, and so it is checked by those that it has algorithms for.
        let (by_library, all) = compare_products(&gpu, [17, 64, 24]);
        assert_eq!(by_library, all);
        assert_eq!(compare_products(&gpu, [7, 130, 33]).0, 0);
    });
}

fn wrong_answers() {
    with_library("cublaslt_with_wrong_answers_is_not_used", || {
        let Some(_settings) = Settings::set(&[("BLAS_WRONG", 1)]) else {
            return;
        };
        let gpu = gpu();
        check(&gpu);
        assert!(gpu.products_by_library() > 0, "it was tried");
        assert_eq!(compare_products(&gpu, [65, 66, 8]).0, 0);
    });
}

fn unchecked() {
    with_library("cublaslt_is_not_used_unless_it_is_checked", || {
        let gpu = gpu();
        assert_eq!(compare_products(&gpu, [65, 66, 8]).0, 0);
        // Weights of 8 bits have no need of it.
        let [context, _] = contexts(&gpu);
        let ops = Ops::new(&context, Number::F16);
        ops.check_kernels(Precision::Int8).unwrap();
        assert_eq!(gpu.products_by_library(), 0);
    });
}

/// The products of a check in 16 bits.
fn products_of_a_check() -> i64 {
    let gpu = gpu();
    let [context, _] = contexts(&gpu);
    let ops = Ops::new(&context, Number::F16);
    ops.check_kernels(Precision::F16).unwrap();
    i64::try_from(gpu.products_by_library()).unwrap()
}

fn fails() {
    with_library("cublaslt_that_fails_is_an_error_in_words", || {
        if !emulated::is_here() {
            return;
        }
        let checked = products_of_a_check();
        assert!(checked > 10, "{checked}");
        let _settings = Settings::set(&[("BLAS_FAIL", checked)]);
        let gpu = gpu();
        let [context, _] = contexts(&gpu);
        let ops = Ops::new(&context, Number::F16);
        ops.check_kernels(Precision::F16).unwrap();
        let run = || product(&ops, [65, 66, 8], true, Epilogue::Gelu);
        let error = run().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cuda:0 refused to multiply matrices by cuBLASLt: CUBLAS_STATUS_EXECUTION_FAILED (code 13)"
        );
        assert!(gpu.lost().is_none());
        assert_eq!(gpu.ledger().used_bytes(), 0);
        // The device is as good as before.
        run().unwrap();
        drop((context, gpu));

        // One that fails its check is not used.
        let _settings = Settings::set(&[("BLAS_FAIL", 3)]);
        let gpu = crate::device::gpu();
        check(&gpu);
        let by_library = gpu.products_by_library();
        let [context, _] = contexts(&gpu);
        product(
            &Ops::new(&context, Number::F32),
            [65, 66, 8],
            true,
            Epilogue::Add,
        )
        .unwrap();
        assert_eq!(gpu.products_by_library(), by_library);
    });
}

fn loses_the_device() {
    with_library("cublaslt_that_loses_the_device", || {
        if !emulated::is_here() {
            return;
        }
        let _settings = Settings::set(&[("BLAS_LOSE", products_of_a_check())]);
        let gpu = gpu();
        let [context, _] = contexts(&gpu);
        let ops = Ops::new(&context, Number::F16);
        ops.check_kernels(Precision::F16).unwrap();
        let error = product(&ops, [65, 66, 8], true, Epilogue::Store).unwrap_err();
        let OpError::Gpu(GpuError::Lost { .. }) = &error else {
            panic!("{error}");
        };
        assert!(
            error.to_string().contains("illegal memory access"),
            "{error}"
        );
        assert!(gpu.lost().is_some());
        assert_eq!(gpu.ledger().used_bytes(), 0);
    });
}

fn passed_over() {
    const NAME: &str = "cublaslt_that_cannot_be_used_is_passed_over";
    if !emulated::is_here() {
        return;
    }
    if !emulated::is_alone() {
        let [whole, lacking] = emulated::stand_ins();
        let toolkits = tempfile::tempdir().unwrap();
        let [broken, good] = ["broken", "good"].map(|name| toolkits.path().join(name));
        for toolkit in [&broken, &good] {
            fs::create_dir_all(toolkit.join("lib64")).unwrap();
        }
        // One that is none, and one that lacks a function.
        fs::write(broken.join("lib64/libcublasLt.so.13"), "no library").unwrap();
        fs::copy(lacking, broken.join("lib64").join(LIBRARY)).unwrap();
        fs::copy(whole, good.join("lib64").join(LIBRARY)).unwrap();
        let nothing = Path::new("");
        return emulated::run_alone_with(
            NAME,
            &[
                (VARIABLE, nothing),
                ("CUDA_PATH", &broken),
                ("CUDA_HOME", &good),
            ],
        );
    }
    let gpu = gpu();
    let found = gpu.found_library().unwrap();
    let good = Path::new(&std::env::var_os("CUDA_HOME").unwrap()).join("lib64");
    assert_eq!(found.path, good.join(LIBRARY));
    assert_eq!(found.version.to_string(), "12.4.5");
    check(&gpu);
    let (by_library, all) = compare_products(&gpu, [65, 66, 8]);
    assert_eq!(by_library, all);
}

fn wrong_version() {
    with_library("cublaslt_of_the_wrong_version_is_not_used", || {
        for setting in [
            ("BLAS_VERSION", 119_999),
            ("BLAS_CUDART", 13_000),
            ("BLAS_REFUSE", 1),
        ] {
            let Some(_settings) = Settings::set(&[setting]) else {
                return;
            };
            let gpu = gpu();
            assert_eq!(gpu.found_library(), None, "{setting:?}");
            check(&gpu);
            assert_eq!(compare_products(&gpu, [65, 66, 8]).0, 0);
        }
    });
}

/// What else is tested of models, where the library is found: that memory is what is stated, too.
fn models() {
    // With a real device they were run with what is there; the emulated ones differ by a format that the older
    // lacks.
    if !emulated::is_here() || gpu().compute_capability() < (8, 0) {
        return;
    }
    let [whole, _] = emulated::stand_ins();
    for test in [
        "operators_are_checked_before_their_first_use",
        "reference_triposr_stages_on_the_device",
        "reference_triposr_in_every_precision",
        "reference_triposg_encoder_and_one_evaluation_on_the_device",
        "reference_triposg_in_every_precision",
        "triposg_takes_the_memory_that_is_stated",
    ] {
        let noted = tempfile::NamedTempFile::new().unwrap();
        emulated::run_alone_with(test, &[(VARIABLE, &whole), (PRODUCTS, noted.path())]);
        let products = fs::read_to_string(noted.path()).unwrap().lines().count();
        assert!(products > 20, "{test}: {products} products by the stand-in");
    }
}
