//! TripoSR at full size with random weights, from an image to a mesh of 256³ cells: the seconds of each
//! stage and the memory. Run with `ORFEAS_BENCH_TRIPOSR=1 cargo bench`; `tests/bench/triposr.sh` runs it beside
//! a plain PyTorch model of the same size.
//!
//! The planes are dominated by smooth waves, and the density is shifted until a tenth of the box is inside,
//! so that the surface is about as large as that of a real object. The time of everything before the
//! field does not depend on the numbers.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Instant;

use orfeas::compute::host::peak_memory_bytes;
use orfeas::compute::{Cancel, Context, Ledger, Matrix, Precision};
use orfeas::field::Field;
use orfeas::mesh::isosurface;
use orfeas::models::triposr::{Config, ReadTensors, Scene, TripoSr, memory};
use orfeas::models::weights::WeightsError;
use orfeas::vram::Residency;

const LEVEL: u32 = 256;
/// The share of the box that is inside.
const INSIDE: f32 = 0.1;

/// Weights made up from their names.
pub(crate) struct RandomWeights;

impl ReadTensors for RandomWeights {
    fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        if name == "tokenizer.embeddings" {
            return Ok(waves(shape));
        }
        let count: usize = shape.iter().product();
        let inputs: usize = shape[1..].iter().product();
        let gain = match name {
            _ if name.contains("proj_out") => 0.02,
            _ if name.starts_with("decoder") => 3.0,
            _ => 1.5,
        };
        let (scale, middle) = match shape.len() {
            1 if name.contains("norm") && name.ends_with("weight") => (0.1, 1.0),
            1 => (0.1, 0.0),
            _ => (gain / (inputs as f32).sqrt(), 0.0),
        };
        let random = random_numbers(name).map(|x| x * scale + middle);
        if name == "post_processor.upsample.weight" {
            // The four texels of a token alike, as trained ones nearly are: else the planes are noise.
            return Ok(random.take(count / 4).flat_map(|x| [x; 4]).collect());
        }
        Ok(random.take(count).collect())
    }
}

/// Numbers between -1 and 1 that follow from a name.
pub(crate) fn random_numbers(name: &str) -> impl Iterator<Item = f32> {
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    })
}

/// A wave of its own direction and phase in each channel, less than one over a plane.
fn waves(shape: &[usize]) -> Vec<f32> {
    let (channels, side) = (shape[1], shape[2]);
    let texel = |place: usize| {
        let channel = (place / (side * side)) as f32;
        let (row, column) = (place / side % side, place % side);
        let (x, y) = (column as f32 / side as f32, row as f32 / side as f32);
        let (along_x, along_y) = (
            (channel * 0.618).fract() - 0.5,
            (channel * 0.414).fract() - 0.5,
        );
        (TAU * (along_x * x + along_y * y + (channel * 0.732).fract())).sin()
    };
    (0..3 * channels * side * side).map(texel).collect()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let made = work();
    let seconds = started.elapsed().as_secs_f64();
    let peak_bytes = peak_memory_bytes().unwrap_or(0);
    println!(
        "{what:<28} {seconds:8.2} s   (peak so far {:.2} GB)",
        peak_bytes as f64 / 1e9
    );
    (made, seconds)
}

/// The field of these planes with a density so shifted that a tenth of the box is inside, and the seconds
/// that it took.
pub(crate) fn scene(planes: &Matrix, context: &Context) -> (Scene, f64) {
    let mut config = Config::published();
    (config.encoder.layers, config.backbone.layers) = (0, 0);
    let loaded = |config: &Config| {
        let weights = Arc::new(RandomWeights);
        let keep = Residency::Resident;
        TripoSr::load(config.clone(), weights, Precision::F32, keep, context)
            .expect("the ledger has no limit")
    };
    let field = |model: &TripoSr| model.field(planes, context).expect("nothing was cancelled");
    let radius = config.radius;
    let at = |place: usize| {
        [place % 24, place / 24 % 24, place / 576].map(|at| radius * (at as f32 / 11.5 - 1.0))
    };
    let points: Vec<_> = (0..24 * 24 * 24).map(at).collect();
    let mut densities = field(&loaded(&config)).log_densities(&points);
    densities.sort_by(f32::total_cmp);
    let border = densities[((1.0 - INSIDE) * densities.len() as f32) as usize];
    config.density_bias += 25.0_f32.ln() - border;
    let shifted = loaded(&config);
    timed("field and its bounds", || field(&shifted))
}

/// Prints the figures of one run.
pub(crate) fn print_figures() {
    let context = Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    };
    let residency = match std::env::var("ORFEAS_BENCH_RESIDENCY").as_deref() {
        Ok("streamed") => Residency::Streamed,
        _ => Residency::Resident,
    };
    let config = Config::published();
    let (stated, _) = timed("stating the memory", || {
        memory(&config, Precision::F32, residency)
    });
    println!(
        "TripoSR, fp32, {residency}, {} threads: {:.2} GB stated",
        rayon::current_num_threads(),
        stated.peak_bytes as f64 / 1e9
    );
    let (model, _) = timed("making weights", || {
        TripoSr::load(
            config.clone(),
            Arc::new(RandomWeights),
            Precision::F32,
            residency,
            &context,
        )
        .expect("the ledger has no limit")
    });
    let side = config.image_side;
    let image = crate::conditioned_image(side);
    let (tokens, encoded) = timed("encoder", || model.encode(&image, &context).expect("a run"));
    let (planes, thought) = timed("transformer", || {
        model.planes(&tokens, &context).expect("a run")
    });
    let (planes, upsampled) = timed("upsampling", || {
        model.upsample(&planes, &context).expect("a run")
    });
    let forward = encoded + thought + upsampled;
    println!("forward                      {forward:8.2} s");
    let (scene, fielded) = scene(&planes, &context);
    let mut finest = 0.0;
    for level in [32, 64, 128, LEVEL] {
        let started = Instant::now();
        let never = || false;
        let field: &dyn Field = &scene;
        let survey = isosurface::survey(field, level, &never).expect("a field");
        let surveyed = started.elapsed().as_secs_f64();
        let mesh = isosurface::extract(field, &survey, &never).expect("a surface");
        let meshed = started.elapsed().as_secs_f64();
        finest = meshed;
        scene.colours(&mesh.positions, &never).expect("colours");
        println!(
            "level {level:<4}: survey {surveyed:.2} s ({:.0} % of bricks), surface {:.2} s, colours {:.2} s, {} vertices, peak {:.2} GB",
            100.0 * survey.share(),
            meshed - surveyed,
            started.elapsed().as_secs_f64() - meshed,
            mesh.positions.len(),
            peak_memory_bytes().unwrap_or(0) as f64 / 1e9
        );
    }
    // From the image to the finest mesh, as nobody waits for the coarser ones; read by triposr.sh.
    println!(
        "total: {:.2} s, {:.2} GB",
        forward + fielded + finest,
        peak_memory_bytes().unwrap_or(0) as f64 / 1e9
    );
}
