//! Whether a device computes what the processor does: asked of every kernel before its first use there, at
//! small and uneven sizes.

use super::gemm::library_check;
use super::triplane::Layer;
use super::{
    Epilogue, FlowStep, HeadNorm, Heads, Linear, Multiplier, Norm, OpError, Ops, Place, Seed,
    Triplane, Velocity, View,
};
use crate::compute::{Activations, Cancel, Context, Gpu, GpuError, Ledger, Matrix, Precision};

/// The distance from the processor's result, relative to its length, that a rounding to the format and
/// another order of sums explain.
fn tolerance(activations: Activations) -> f64 {
    match activations {
        Activations::F32 => 1e-5,
        Activations::F16 => 4e-3,
        Activations::Bf16 => 3e-2,
    }
}

impl Ops<'_> {
    /// Checks the kernels that a model with weights of this precision is run with, once a device: each
    /// is given a small problem whose answer the processor knows. Nothing is checked on the processor.
    ///
    /// cuBLASLt, where it is found, is checked likewise before it multiplies anything. Where it fails that,
    /// our own kernels go on to be used.
    ///
    /// # Errors
    ///
    /// [`GpuError::WrongAnswer`] where a kernel gave another answer; [`OpError`] when cancelled, out of
    /// memory, or when the device failed.
    pub fn check_kernels(&self, precision: Precision) -> Result<(), OpError> {
        let ours = self.multiplying_by(Multiplier::Ours);
        ours.check_once(precision.name(), precision, |check| check.everything())?;
        // With weights of 8 bits the library multiplies nothing.
        if precision == Precision::Int8 {
            return Ok(());
        }
        self.check_library(precision)
    }

    fn check_library(&self, precision: Precision) -> Result<(), OpError> {
        let Place::Gpu(gpu) = self.place else {
            return Ok(());
        };
        let Some(found) = gpu.found_library() else {
            return Ok(());
        };
        let unchecked = self.multiplying_by(Multiplier::Unchecked);
        let name = library_check(self.activations);
        let checked = unchecked.check_once(name, precision, |check| {
            let answer = check.products_by_library();
            if let Err(OpError::Gpu(error)) = &answer {
                let why = match error {
                    GpuError::WrongAnswer { kernel, .. } => format!("{kernel} is wrong"),
                    error => error.to_string(),
                };
                let path = found.path.display();
                tracing::warn!("our own kernels multiply, as {why}: {path}");
            }
            answer
        });
        match checked {
            // Our own kernels do not need it.
            Err(OpError::Gpu(GpuError::WrongAnswer { .. } | GpuError::Refused { .. })) => Ok(()),
            other => other,
        }
    }

    /// Checks the kernels that shapes of latent vectors take besides, likewise.
    ///
    /// # Errors
    ///
    /// As [`Ops::check_kernels`].
    pub fn check_latent_kernels(&self, precision: Precision) -> Result<(), OpError> {
        let name = match precision {
            Precision::F32 => "latents in fp32",
            Precision::F16 => "latents in fp16",
            Precision::Bf16 => "latents in bf16",
            Precision::Int8 => "latents in int8",
        };
        self.check_once(name, precision, |check| check.latents())
    }

    /// Runs a check on a device unless it was run there before.
    fn check_once(
        &self,
        name: &'static str,
        precision: Precision,
        run: impl FnOnce(&Check<'_>) -> Result<(), OpError>,
    ) -> Result<(), OpError> {
        let Place::Gpu(gpu) = self.place else {
            return Ok(());
        };
        let check = || {
            // Not to be cancelled: it takes no time, and its answer is kept.
            let on_device = Context {
                gpu: Some(gpu.clone()),
                ledger: self.context.ledger.clone(),
                cancel: Cancel::default(),
            };
            let on_processor = Context {
                gpu: None,
                ledger: Ledger::unlimited(),
                cancel: Cancel::default(),
            };
            let check = Check {
                gpu,
                precision,
                device: Ops::new(&on_device, self.activations).multiplying_by(self.multiplier),
                processor: Ops::new(&on_processor, self.activations),
            };
            run(&check).map_err(OpError::of_check)?;
            tracing::info!("{} gives the known answers: {name}", gpu.device());
            Ok(())
        };
        Ok(gpu.checked(name, check)?)
    }
}

/// The same operators in two places.
struct Check<'a> {
    gpu: &'a Gpu,
    precision: Precision,
    device: Ops<'a>,
    processor: Ops<'a>,
}

/// Numbers between -1 and 1, the same every time.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    let mut state = seed as u64 + 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A matrix of such numbers.
fn filled(ops: &Ops<'_>, seed: usize, rows: usize, columns: usize) -> Result<Matrix, OpError> {
    ops.filled(rows, columns, "a check", || {
        Ok(numbers(seed, rows * columns))
    })
}

impl Check<'_> {
    fn everything(&self) -> Result<(), OpError> {
        self.products()?;
        self.norms()?;
        // One of each size that there is a kernel for.
        self.attention(40)?;
        self.attention(72)?;
        self.moving()?;
        self.planes()
    }

    /// Compares what both gave.
    fn compare(&self, kernel: &str, device: &[f32], processor: &[f32]) -> Result<(), OpError> {
        let pairs = device.iter().zip(processor);
        let apart: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let length: f64 = processor.iter().map(|x| f64::from(*x).powi(2)).sum();
        let distance = (apart / length).sqrt();
        // A NaN is not near.
        if distance <= tolerance(self.processor.activations) {
            return Ok(());
        }
        let kernel = format!("{kernel} in {} ({distance:.1e} off)", self.precision);
        Err(OpError::Gpu(GpuError::WrongAnswer {
            device: self.gpu.device(),
            kernel,
        }))
    }

    /// Runs the same in both places and compares the matrices.
    fn both(
        &self,
        kernel: &str,
        run: impl Fn(&Ops<'_>) -> Result<Matrix, OpError>,
    ) -> Result<(), OpError> {
        let (device, processor) = (run(&self.device)?, run(&self.processor)?);
        let device = device.to_host().map_err(OpError::from)?;
        self.compare(kernel, &device, processor.values())
    }

    /// A product whose every part counts: weights, bias, and what is added to.
    fn product(
        &self,
        kernel: &str,
        [rows, outputs, inputs]: [usize; 3],
        epilogue: Epilogue,
    ) -> Result<(), OpError> {
        self.both(kernel, |ops| {
            let layer = Linear::load(ops, [outputs, inputs], true, self.precision, || {
                let weights = numbers(2, outputs * inputs);
                Ok::<_, OpError>((weights, Some(numbers(3, outputs))))
            })?;
            let mut out = filled(ops, 4, rows, epilogue.columns(outputs))?;
            let inputs = filled(ops, 1, rows, inputs)?;
            ops.linear(&inputs, &layer, epilogue, &mut out)?;
            Ok(out)
        })
    }

    fn products(&self) -> Result<(), OpError> {
        for epilogue in Epilogue::ALL {
            self.product("gemm", [70, 74, 41], epilogue)?;
        }
        // So many tiles that the large ones are taken.
        let rows = 128 * (2 * self.gpu.multiprocessors() as usize).div_ceil(4) - 3;
        self.product("gemm", [rows, 507, 40], Epilogue::Store)
    }

    /// Shapes like those of models, for which it has algorithms, and uneven ones, for which it may have none.
    fn products_by_library(&self) -> Result<(), OpError> {
        let kernel = "cuBLASLt's product";
        let before = self.gpu.products_by_library();
        for epilogue in Epilogue::ALL {
            self.product(kernel, [257, 512, 256], epilogue)?;
        }
        if self.gpu.products_by_library() - before < Epilogue::ALL.len() as u64 {
            return Err(OpError::Gpu(GpuError::Refused {
                device: self.gpu.device(),
                doing: "products by cuBLASLt",
                message: "it has no algorithms for the usual shapes".into(),
            }));
        }
        for epilogue in Epilogue::ALL {
            self.product(kernel, [70, 74, 41], epilogue)?;
        }
        // A single row, as of the token that tells the time, and so many that most are computed together.
        self.product(kernel, [1, 512, 256], Epilogue::Store)?;
        self.product(kernel, [1031, 768, 64], Epilogue::Store)
    }

    fn norms(&self) -> Result<(), OpError> {
        let (rows, columns) = (19, 72);
        let run = |ops: &Ops<'_>, groups: Option<usize>| {
            let inputs = filled(ops, 5, rows, columns)?;
            let norm = Norm::new(ops, columns, numbers(6, columns), numbers(7, columns), 1e-5)?;
            let mut out = ops.matrix(rows, columns, "a check")?;
            match groups {
                None => ops.layer_norm(&inputs, &norm, &mut out)?,
                Some(groups) => ops.group_norm(&inputs, groups, &norm, &mut out)?,
            }
            Ok(out)
        };
        self.both("layer_norm", |ops| run(ops, None))?;
        self.both("group_norm", |ops| run(ops, Some(8)))
    }

    fn attention(&self, width: usize) -> Result<(), OpError> {
        let heads = Heads { count: 2, width };
        self.both("attention", |ops| {
            let columns = heads.columns();
            let queries = filled(ops, 8, 67, columns)?;
            let seen = filled(ops, 9, 83, 2 * columns)?;
            let view = |matrix, first| View { matrix, first };
            let mut out = ops.matrix(67, columns, "a check")?;
            let (keys, values) = (view(&seen, 0), view(&seen, columns));
            ops.attention(view(&queries, 0), keys, values, heads, &mut out)?;
            Ok(out)
        })
    }

    fn moving(&self) -> Result<(), OpError> {
        self.both("copy_strided", |ops| {
            let tokens = filled(ops, 10, 12, 20)?;
            let mut planes = ops.matrix(48, 5, "a check")?;
            ops.spread_texels(&tokens, 2, &mut planes)?;
            Ok(planes)
        })
    }

    fn planes(&self) -> Result<(), OpError> {
        let (side, channels, width) = (5, 6, 16);
        let layer = |seed, inputs: usize, outputs: usize| Layer {
            weights: numbers(seed, inputs * outputs),
            bias: numbers(seed + 1, outputs),
        };
        let layers = [
            layer(11, 3 * channels, width),
            layer(13, width, width),
            layer(15, width, 4),
        ];
        let points: Vec<[f32; 3]> = numbers(17, 3 * 101).as_chunks().0.to_vec();
        let run = |ops: &Ops<'_>| {
            let rows = 3 * side * side;
            let features = filled(ops, 18, rows, channels)?;
            let triplane = Triplane::new(ops, &features, 0.9, width, layers.to_vec(), 64)?;
            let mut decoded = vec![[0.0; 4]; points.len()];
            triplane.decode(&points, &mut decoded)?;
            Ok::<_, OpError>(decoded)
        };
        let (device, processor) = (run(&self.device)?, run(&self.processor)?);
        let [device, processor] = [&device, &processor].map(|decoded| decoded.as_flattened());
        self.compare("sample_planes", device, processor)
    }

    fn latents(&self) -> Result<(), OpError> {
        self.heads()?;
        self.rows()?;
        self.points()?;
        self.flow()
    }

    fn heads(&self) -> Result<(), OpError> {
        let heads = Heads {
            count: 3,
            width: 40,
        };
        self.both("rms_norm", |ops| {
            let mut rows = filled(ops, 19, 21, 8 + heads.columns())?;
            let norm = HeadNorm::new(ops, heads.width, numbers(20, heads.width), 1e-6)?;
            ops.head_norm(&mut rows, 8, heads, &norm)?;
            Ok(rows)
        })
    }

    fn rows(&self) -> Result<(), OpError> {
        let (rows, columns) = (70, 74);
        self.both("gemm without inputs", |ops| {
            let layer = Linear::load(ops, [columns, 8], true, self.precision, || {
                Ok::<_, OpError>((numbers(21, 8 * columns), Some(numbers(22, columns))))
            })?;
            let mut out = filled(ops, 23, rows, columns)?;
            ops.add_bias(&layer, &mut out)?;
            Ok(out)
        })?;
        self.both("binary", |ops| {
            let mut out = filled(ops, 24, rows, columns)?;
            ops.multiply_by(&filled(ops, 25, rows, columns)?, &mut out)?;
            Ok(out)
        })
    }

    fn points(&self) -> Result<(), OpError> {
        let points: Vec<[f32; 3]> = numbers(26, 3 * 101).as_chunks().0.to_vec();
        self.both("fourier", |ops| ops.fourier(&points, 8))
    }

    /// Noise, its conversion, and a step with either kind of velocity: what becomes of both matrices.
    fn flow(&self) -> Result<(), OpError> {
        let (rows, columns) = (70, 9);
        let seed = Seed { seed: 1, stream: 2 };
        let step = FlowStep {
            noise: 0.75,
            next_noise: 0.25,
        };
        let run = |ops: &Ops<'_>, is_guided: bool, is_clean: bool| {
            let wide = ops.in_format(Activations::F32);
            let mut latents = wide.noise(rows, columns, seed, "a check")?;
            let mut clean = wide.matrix(rows, columns, "a check")?;
            let conditional = ops.converted(&latents, "a check")?;
            let unconditional = filled(ops, 27, rows, columns)?;
            let velocity = Velocity {
                conditional: &conditional,
                unconditional: is_guided.then_some(&unconditional),
                guidance: 3.0,
            };
            ops.flow_step(velocity, step, &mut latents, &mut clean)?;
            Ok(if is_clean { clean } else { latents })
        };
        for is_guided in [true, false] {
            for is_clean in [true, false] {
                self.both("flow_step", |ops| run(ops, is_guided, is_clean))?;
            }
        }
        Ok(())
    }
}
