//! The first CUDA device over the shapes of TripoSR and TripoSG: products and attention, then both at full
//! size with random weights, from an image to a mesh of 256³ and of 512³ cells (triposg.rs). Run with
//! `ORFEAS_BENCH_GPU=1`, as `tests/gpu.sh` does.
//!
//! With `ORFEAS_BENCH_GPU_PARTS` set, too, it stops before the models.
//!
//! Products are timed by our own kernel and, where it is found, by cuBLASLt; the models with what they choose.
//!
//! A line is `figure`, a name, milliseconds and the least that the operations can take there, in ms, parted
//! by tabs; `tests/bench/reference.py` prints the same names.

use std::sync::Arc;
use std::time::Instant;

use orfeas::compute::ops::{Epilogue, Heads, Linear, Multiplier, OpError, View};
use orfeas::compute::{Cancel, Context, Gpu, Ledger, Number, Ops, Precision};
use orfeas::field::Field;
use orfeas::mesh::isosurface;
use orfeas::models::triposr::{Config, TripoSr, memory_on_device};
use orfeas::vram::Residency;

use crate::triposr::{RandomWeights, scene};

/// Rows, outputs and inputs.
const PRODUCTS: [(&str, [usize; 3]); 14] = [
    ("triposr encoder qkv", [1025, 2304, 768]),
    ("triposr encoder out", [1025, 768, 768]),
    ("triposr encoder widen", [1025, 3072, 768]),
    ("triposr encoder narrow", [1025, 768, 3072]),
    ("triposr qkv", [3072, 3072, 1024]),
    ("triposr out", [3072, 1024, 1024]),
    ("triposr image kv", [1025, 2048, 768]),
    ("triposr widen", [3072, 8192, 1024]),
    ("triposr narrow", [3072, 1024, 4096]),
    ("triposg qkv", [2049, 6144, 2048]),
    ("triposg out", [2049, 2048, 2048]),
    ("triposg widen", [2049, 8192, 2048]),
    ("triposg narrow", [2049, 2048, 8192]),
    ("triposg skip", [2049, 2048, 4096]),
];

/// Heads, numbers a head, queries and keys.
const ATTENTIONS: [(&str, [usize; 4]); 5] = [
    ("triposr encoder", [12, 64, 1025, 1025]),
    ("triposr self", [16, 64, 3072, 3072]),
    ("triposr cross", [16, 64, 3072, 1025]),
    ("triposg self", [16, 128, 2049, 2049]),
    ("triposg cross", [16, 128, 2049, 257]),
];

/// How long something is repeated.
const SECONDS: f64 = 0.3;

/// Operations a second at most: 16-bit products that are summed in 32 bits, by the compute capability; 0
/// where it is not known. `ORFEAS_GPU_TFLOPS` is taken instead where it is set.
fn peak(gpu: &Gpu) -> f64 {
    let given = std::env::var("ORFEAS_GPU_TFLOPS");
    if let Some(tera) = given.ok().and_then(|text| text.parse::<f64>().ok()) {
        return tera * 1e12;
    }
    let each_clock = match gpu.compute_capability() {
        (7, 5) => 512.0,
        (8, 0) => 2048.0,
        (9, 0) => 4096.0,
        (8 | 12, _) => 512.0,
        (10, _) => 8192.0,
        _ => 0.0,
    };
    each_clock * f64::from(gpu.multiprocessors()) * f64::from(gpu.clock_kilohertz()) * 1e3
}

/// The device that is timed.
pub(crate) struct Bench {
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) context: Context,
    peak: f64,
}

impl Bench {
    /// Prints the time of `work`, which is repeated and takes so many operations.
    fn figure(&self, name: &str, operations: f64, mut work: impl FnMut() -> Result<(), OpError>) {
        let mut run = |times: u32| {
            let started = Instant::now();
            for _ in 0..times {
                work().expect("the device works");
            }
            self.gpu.wait().expect("the device works");
            started.elapsed().as_secs_f64()
        };
        // The kernels are loaded, and it is known how often it can be repeated.
        run(1);
        let times = (SECONDS / run(3) * 3.0).clamp(1.0, 10_000.0) as u32;
        self.print(name, run(times) / f64::from(times), operations);
    }

    /// Prints a figure that takes so many operations; 0 where they are not known.
    pub(crate) fn print(&self, name: &str, seconds: f64, operations: f64) {
        let floor = if self.peak > 0.0 {
            operations / self.peak
        } else {
            0.0
        };
        println!("figure\t{name}\t{:.4}\t{:.4}", 1e3 * seconds, 1e3 * floor);
    }

    /// A product by our own kernel and, where it is found and multiplies these weights, by cuBLASLt.
    fn product(&self, name: &str, shape: [usize; 3], precision: Precision) {
        let ours = format!("gemm {precision} {name}");
        self.product_by(Multiplier::Ours, &ours, shape, precision);
        if precision != Precision::Int8 && self.gpu.found_library().is_some() {
            let theirs = format!("gemm {precision} by cuBLASLt {name}");
            let before = self.gpu.products_by_library();
            self.product_by(Multiplier::Checked, &theirs, shape, precision);
            if self.gpu.products_by_library() == before {
                println!("not by cuBLASLt: {theirs}");
            }
        }
    }

    fn product_by(
        &self,
        multiplier: Multiplier,
        name: &str,
        [rows, outputs, inputs]: [usize; 3],
        precision: Precision,
    ) {
        let ops = Ops::new(&self.context, Number::F16).multiplying_by(multiplier);
        let layer = Linear::load(&ops, [outputs, inputs], true, precision, || {
            let weights = vec![0.01; outputs * inputs];
            Ok::<_, OpError>((weights, Some(vec![0.0; outputs])))
        });
        let layer = layer.expect("the device has room");
        let matrix = |columns| ops.matrix(rows, columns, "a figure").expect("room");
        let (inputs_matrix, mut out) = (matrix(inputs), matrix(outputs));
        let operations = 2.0 * (rows * outputs) as f64 * inputs as f64;
        self.figure(name, operations, || {
            ops.linear(&inputs_matrix, &layer, Epilogue::Store, &mut out)
        });
    }

    fn attention(&self, name: &str, [count, width, queries, keys]: [usize; 4]) {
        let ops = Ops::new(&self.context, Number::F16);
        let heads = Heads { count, width };
        let matrix = |rows| {
            let made = ops.matrix(rows, heads.columns(), "a figure");
            made.expect("the device has room")
        };
        let (asked, seen, values, mut out) =
            (matrix(queries), matrix(keys), matrix(keys), matrix(queries));
        let view = |matrix| View { matrix, first: 0 };
        let operations = 4.0 * (queries * keys) as f64 * heads.columns() as f64;
        self.figure(&format!("attention fp16 {name}"), operations, || {
            let [queries, keys, values] = [view(&asked), view(&seen), view(&values)];
            ops.attention(queries, keys, values, heads, &mut out)
        });
    }

    /// TripoSR from the conditioned image to the planes, then the field and its mesh.
    fn triposr(&self, precision: Precision) {
        let config = Config::published();
        let (weights, residency) = (Arc::new(RandomWeights), Residency::Resident);
        let side = config.image_side;
        let image = crate::conditioned_image(side);
        let load = Instant::now();
        let model = TripoSr::load(config.clone(), weights, precision, residency, &self.context);
        let model = model.expect("the device has room");
        println!("loaded in {:.1} s", load.elapsed().as_secs_f64());
        let forward = || {
            let tokens = model.encode(&image, &self.context)?;
            let planes = model.planes(&tokens, &self.context)?;
            let planes = model.upsample(&planes, &self.context)?;
            self.gpu.wait()?;
            Ok::<_, orfeas::models::triposr::TripoSrError>(planes)
        };
        forward().expect("a run");
        let started = Instant::now();
        let planes = forward().expect("a run");
        let seconds = started.elapsed().as_secs_f64();
        self.print(&format!("triposr {precision} forward"), seconds, 2.96e12);
        let (scene, _) = scene(&planes, &self.context);
        let started = Instant::now();
        let (field, never): (&dyn Field, _) = (&scene, || false);
        let survey = isosurface::survey(field, 256, &never).expect("a field");
        let mesh = isosurface::extract(field, &survey, &never).expect("a surface");
        scene.colours(&mesh.positions, &never).expect("colours");
        let seconds = started.elapsed().as_secs_f64();
        self.print(
            &format!("triposr {precision} mesh of 256³ with colours"),
            seconds,
            0.0,
        );
        let stated = memory_on_device(&config, precision, residency, 1 << 16);
        println!(
            "{} vertices; {:.2} GB of the device at most, {:.2} GB stated",
            mesh.positions.len(),
            self.gpu.ledger().peak_bytes() as f64 / 1e9,
            stated.device.peak_bytes as f64 / 1e9
        );
    }
}

/// Prints the figures of one run.
pub(crate) fn print_figures() {
    let started = Instant::now();
    let gpu = match Gpu::open(0) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    println!("opened in {:.2} s", started.elapsed().as_secs_f64());
    let context = Context {
        gpu: Some(Arc::clone(&gpu)),
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    };
    let checked = Instant::now();
    let ops = Ops::new(&context, Number::F16);
    if let Err(error) = ops.check_kernels(Precision::F16) {
        println!("failed: {error}");
        return;
    }
    println!("checked in {:.2} s", checked.elapsed().as_secs_f64());
    match gpu.found_library() {
        Some(found) => println!("{found}"),
        None => println!("there is no cuBLASLt"),
    }
    let bench = Bench {
        peak: peak(&gpu),
        context: context.clone(),
        gpu,
    };
    println!("at most {:.1} TFLOP/s in 16 bits", bench.peak / 1e12);
    for (name, shape) in PRODUCTS {
        bench.product(name, shape, Precision::F16);
        bench.product(name, shape, Precision::Int8);
    }
    for (name, shape) in ATTENTIONS {
        bench.attention(name, shape);
    }
    if std::env::var_os("ORFEAS_BENCH_GPU_PARTS").is_none() {
        for precision in [Precision::F16, Precision::Int8] {
            bench.gpu.ledger().reset_peak();
            bench.triposr(precision);
        }
        bench.gpu.ledger().reset_peak();
        bench.triposg(Precision::F16);
    }
}
