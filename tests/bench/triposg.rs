//! TripoSG at full size with random weights on the first CUDA device, from a prepared image to a mesh of 512
//! cells a side: encoder, 50 guided steps, the field, a look at the shape on the way, and the samples near the
//! surface. Run by gpu.rs.
//!
//! The queries of a random field would be everywhere: here the higher frequencies of points count less, so that
//! the field is smooth, its values are far from 0 but near the surface, as trained ones are, and they are
//! shifted until a tenth of the box is inside.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use orfeas::compute::ops::isosurface::{Request, Rules, extract_blocks};
use orfeas::compute::{Context, Matrix, Precision};
use orfeas::field::{Hierarchy, Region};
use orfeas::mesh::isosurface;
use orfeas::models::error::ModelError;
use orfeas::models::triposg::{
    Config, Draw, ImageContext, LatentField, Predicted, Sampling, TripoSg, memory_on_device,
};
use orfeas::models::triposr::ReadTensors;
use orfeas::models::vecset::{LatticeSampling, SamplesOnDevice};
use orfeas::models::weights::WeightsError;
use orfeas::vram::Residency;

use crate::gpu::Bench;
use crate::triposr::random_numbers;

const STEPS: u32 = 50;
/// The steps that a look is taken beside: more than it takes itself.
const STEPS_BESIDE: u32 = 12;
const LEVEL: u32 = 512;
/// The level of a look on the way.
const LOOK_LEVEL: u32 = 32;
/// Cells along a side up to which the field is evaluated everywhere, as a job does.
const DENSE_CELLS: usize = 96;
/// The share of the box that is inside.
const INSIDE: f32 = 0.1;
/// Points of the figure that PyTorch has too.
const QUERIES: usize = 1 << 20;
/// Operations of one look of the denoiser, and of the decoder's blocks.
const LOOK_OPERATIONS: f64 = 6.26e12;
const TRUNK_OPERATIONS: f64 = 1.1e12;

/// Weights made up from their names.
struct RandomWeights {
    /// The bias of the field, which counts from the outside.
    shift: f32,
}

impl ReadTensors for RandomWeights {
    fn read_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let count: usize = shape.iter().product();
        let inputs: usize = shape[1..].iter().product();
        let (scale, middle) = match shape.len() {
            1 if name == "vae.decoder.proj_out.bias" => return Ok(vec![self.shift]),
            1 if name.contains("norm") && name.ends_with("weight") => (0.1, 1.0),
            1 if name.contains("lambda1") => (0.1, 0.5),
            1 => (0.1, 0.0),
            // Values of some tens.
            _ if name == "vae.decoder.proj_out.weight" => (3.0, 0.0),
            _ => (1.0 / (inputs as f32).sqrt(), 0.0),
        };
        let mut numbers: Vec<f32> = random_numbers(name)
            .map(|x| x * scale + middle)
            .take(count)
            .collect();
        if name == "vae.decoder.proj_query.weight" {
            // Three coordinates, then the sines and the cosines of eight frequencies of each.
            for (place, weight) in numbers.iter_mut().enumerate() {
                let frequency = (place % inputs).checked_sub(3).map_or(0, |angle| angle % 8);
                *weight *= 6.0 * 0.25_f32.powi(frequency as i32);
            }
        }
        Ok(numbers)
    }
}

/// The samples of a field for a level, as a job takes them.
fn sampled(field: &LatentField, level: u32, context: &Context) -> SamplesOnDevice {
    let extent = Region {
        min: [-Config::RADIUS; 3],
        max: [Config::RADIUS; 3],
    };
    let sampling = LatticeSampling {
        hierarchy: Hierarchy {
            dense_cells: DENSE_CELLS,
            near: Config::NEAR,
        },
        extent,
        lattice: isosurface::samples(&extent, level).expect("a level"),
        from: None,
        threshold: 0.0,
    };
    let gpu = context.gpu.as_ref().expect("a device");
    let samples = field.sample_on_device(gpu, &sampling, context);
    samples.expect("the device works")
}

/// The vertices of the mesh of samples.
fn vertices(samples: &SamplesOnDevice, context: &Context) -> usize {
    let request = Request {
        gpu: samples.gpu(),
        cancel: &context.cancel,
        rules: Rules {
            cases: &isosurface::packed_cases(),
            missed: isosurface::missed_places,
        },
        lattice: samples.cells(),
    };
    let extracted = extract_blocks(&request, samples, &context.ledger);
    let (surface, _memory) = extracted.expect("the device works");
    // A look at noise may see nothing.
    surface.positions.len()
}

/// The model with its field so shifted that a tenth of the box is inside.
fn shifted(
    latents: &Matrix,
    (config, precision): (&Config, Precision),
    context: &Context,
) -> LatentField {
    let field = |shift: f32| {
        let (config, weights) = (config.clone(), Arc::new(RandomWeights { shift }));
        // Only the decoder is loaded.
        let model = TripoSg::load(config, weights, precision, Residency::Staged, context);
        let field = model.and_then(|model| model.field(latents, context));
        field.expect("the device has room")
    };
    let at = |place: usize| {
        let radius = Config::RADIUS;
        [place % 24, place / 24 % 24, place / 576].map(|at| radius * (at as f32 / 11.5 - 1.0))
    };
    let points: Vec<_> = (0..24 * 24 * 24).map(at).collect();
    let mut values = vec![0.0; points.len()];
    let evaluated = field(0.0).values(&points, &mut values, context);
    evaluated.expect("the device works");
    values.sort_by(f32::total_cmp);
    // A bias lowers the values, as the inside is where the decoder's numbers are below 0.
    field(values[((1.0 - INSIDE) * values.len() as f32) as usize])
}

impl Bench {
    /// Prints the figures of the whole model.
    pub(crate) fn triposg(&self, precision: Precision) {
        let (config, residency) = (Config::published(), Residency::Resident);
        let draw = Draw {
            sampling: Sampling::new(STEPS, 7.0).expect("steps that can be taken"),
            together: true,
            // Looks are timed by themselves.
            looks: false,
        };
        let load = Instant::now();
        let weights = Arc::new(RandomWeights { shift: 0.0 });
        let model = TripoSg::load(config.clone(), weights, precision, residency, &self.context);
        let model = model.expect("the device has room");
        println!("loaded in {:.1} s", load.elapsed().as_secs_f64());
        let latents = self.triposg_latents(&model, precision, draw);
        let stated = memory_on_device(&config, precision, residency, draw, 1);
        println!(
            "{:.2} GB of the device at most, {:.2} GB stated",
            self.gpu.ledger().peak_bytes() as f64 / 1e9,
            stated.device.peak_bytes as f64 / 1e9
        );
        drop(model);
        self.triposg_decode(&latents, (&config, precision));
    }

    /// The image, the steps, and what a look on the way takes beside one of them.
    fn triposg_latents(&self, model: &TripoSg, precision: Precision, draw: Draw) -> Matrix {
        let side = model.config().image.side;
        let image = crate::conditioned_image(side);
        let context = &self.context;
        let name = |what: &str| format!("triposg {precision} {what}");
        let look_at = || {
            let tokens = model.encode(&image, context)?;
            let seen = model.context(&tokens, context)?;
            self.gpu.wait()?;
            Ok::<_, ModelError>(seen)
        };
        look_at().expect("a run");
        let started = Instant::now();
        let seen = look_at().expect("a run");
        self.print(&name("image"), started.elapsed().as_secs_f64(), 0.16e12);
        let sample = |draw: Draw| {
            let noise = model.noise(0, context)?;
            let mut watch = |_: Predicted<'_>| Ok(ControlFlow::Continue(()));
            let started = Instant::now();
            let latents = model.sample(&seen, noise, draw, &mut watch, context)?;
            Ok::<_, ModelError>((latents, started.elapsed().as_secs_f64()))
        };
        let few = Draw {
            sampling: Sampling::new(2, 7.0).expect("steps that can be taken"),
            ..draw
        };
        sample(few).expect("a run");
        let (latents, seconds) = sample(draw).expect("a run");
        let operations = 2.0 * f64::from(STEPS) * LOOK_OPERATIONS;
        self.print(&name(&format!("{STEPS} steps")), seconds, operations);
        let look = || {
            let started = Instant::now();
            let field = model.field(&latents, context).expect("a field");
            let samples = sampled(&field, LOOK_LEVEL, context);
            let vertices = vertices(&samples, context);
            (started.elapsed().as_secs_f64(), samples.asked(), vertices)
        };
        look();
        let (look_seconds, queries, vertices) = look();
        self.print(&name("look on the way"), look_seconds, TRUNK_OPERATIONS);
        println!(
            "a look of {queries} queries and {vertices} vertices takes {:.2} of a step, {:.1} % of all {STEPS}",
            look_seconds / (seconds / f64::from(STEPS)),
            100.0 * look_seconds / seconds
        );
        let held_up = self.held_up_by_a_look(model, &seen, draw);
        println!(
            "beside the steps, on a queue of its own, it holds them up by {:.2} of a step",
            held_up / (seconds / f64::from(STEPS))
        );
        latents
    }

    /// By how many seconds a look that is begun after the first of some steps holds the others up.
    fn held_up_by_a_look(&self, model: &TripoSg, seen: &ImageContext, draw: Draw) -> f64 {
        let few = Draw {
            sampling: Sampling::new(STEPS_BESIDE, 7.0).expect("steps that can be taken"),
            ..draw
        };
        let queue = self.gpu.urgent_queue().expect("room for a queue");
        let beside = Context {
            gpu: Some(queue.clone()),
            ..self.context.clone()
        };
        let look = |numbers: &[f32]| {
            let latents = model.latents(numbers, &beside).expect("latents");
            let field = model.field(&latents, &beside).expect("a field");
            let samples = sampled(&field, LOOK_LEVEL, &beside);
            vertices(&samples, &beside);
            drop((samples, field, latents));
            queue.wait().expect("the device works");
        };
        let look = &look;
        let timed = |looks: bool| {
            std::thread::scope(|scope| {
                let noise = model.noise(0, &self.context)?;
                let mut watch = |predicted: Predicted<'_>| {
                    if looks && predicted.step == 1 {
                        let numbers = predicted.clean[0].to_host()?.into_owned();
                        scope.spawn(move || look(&numbers));
                    }
                    Ok(ControlFlow::Continue(()))
                };
                let started = Instant::now();
                model.sample(seen, noise, few, &mut watch, &self.context)?;
                Ok::<_, ModelError>(started.elapsed().as_secs_f64())
            })
            .expect("a run")
        };
        timed(true);
        timed(true) - timed(false)
    }

    fn triposg_decode(&self, latents: &Matrix, (config, precision): (&Config, Precision)) {
        let context = &self.context;
        let field = shifted(latents, (config, precision), context);
        let (width, seen) = (config.decoder.width() as f64, config.latents as f64);
        let query = 20.0 * width * width + 4.0 * seen * width;
        let at = |place: usize| [place % 128, place / 128 % 128, place / 16384].map(|at| at as f32);
        let points: Vec<_> = (0..QUERIES)
            .map(|place| at(place).map(|at| at / 64.0 - 1.0))
            .collect();
        let mut values = vec![0.0; QUERIES];
        let mut evaluated = |count: usize| {
            let started = Instant::now();
            let values = field.values(&points[..count], &mut values[..count], context);
            values.expect("the device works");
            started.elapsed().as_secs_f64()
        };
        evaluated(QUERIES / 16);
        let seconds = evaluated(QUERIES);
        let operations = query * QUERIES as f64;
        self.print(
            &format!("triposg {precision} 2²⁰ queries"),
            seconds,
            operations,
        );
        let started = Instant::now();
        let samples = sampled(&field, LEVEL, context);
        self.gpu.wait().expect("the device works");
        let sampled = started.elapsed().as_secs_f64();
        let (queries, vertices) = (samples.asked(), vertices(&samples, context));
        let seconds = started.elapsed().as_secs_f64();
        let name = format!("triposg {precision} mesh of {LEVEL}³");
        self.print(&name, seconds, query * queries as f64);
        println!(
            "{:.2} million queries in {sampled:.2} s, {vertices} vertices",
            queries as f64 / 1e6
        );
    }
}
