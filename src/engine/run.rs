//! The story of a job, from the bytes of an image to a checked mesh: every stage, in order.
//!
//! Everything here runs on the worker thread, but for looks at a shape being refined on a device. This file
//! decides what happens next and never how: each stage is a call into the module that knows. A stage that fails
//! ends the job; there is no substitute for its result.

mod latent;
mod latent_samples;
mod neural;
mod previews;
mod sampling;
mod surface;

use std::sync::Arc;
use std::time::Instant;

use super::archive::{Archive, Drawn, Known};
use super::events::{Event, Stage};
use super::failure::{Failure, Stop};
use super::identity::Computed;
use super::job::{Job, LevelMesh};
use super::planning::{self, Machine};
use super::settings::{Settings, Source};
use super::summary::{StageTime, Summary};
use super::workbench::{Subject, Workbench};
use crate::compute::{Context, Device, OutOfMemory};
use crate::inflate::{Back, Controls, Inflate, Mode, Solid};
use crate::mesh::checks::Report;
use crate::mesh::{Mesh, Texture, checks, isosurface, optimise, placement, project, simplify};
use crate::photo::{self, BackColours, Cutout, DecodeError, Matte, MatteKind, Photo};
use crate::vram::{Choice, DeviceWish, Manager, Plan, Shortage};
use neural::{Maker, Neural};

/// The first level shown; each further one has twice its resolution.
pub(super) const FIRST_LEVEL: u32 = 32;
/// A decoded pixel.
const PHOTO_PIXEL_BYTES: u64 = 4;
/// A pixel of the cut-out with its coverage, and its share of the painted front and back.
const CUTOUT_PIXEL_BYTES: u64 = 3 + 4 + 2 * 3;

/// The kind of solid that a neural source makes.
const NEURAL_MODE: &str = "field";

/// What a job made: one of its shapes.
pub(super) struct Made {
    /// The way that it was run.
    pub(super) choice: Choice,
    pub(super) computed: Computed,
    pub(super) summary: Summary,
    pub(super) mesh: Mesh,
    pub(super) matte: Arc<Matte>,
    /// What the shape was read from, where the source makes such a thing.
    pub(super) drawn: Option<Drawn>,
}

/// What is there already when a job is begun anew by a smaller plan.
#[derive(Default)]
struct Progress {
    made: Vec<Made>,
    known: Known,
}

/// Runs one job to its end: plans it, and plans it smaller for as long as memory runs out. Tells what became
/// of each of its shapes, of which there is one at least.
pub(super) fn run(
    job: &Job,
    workbench: &Workbench,
    machine: Machine<'_>,
    archive: Archive<'_>,
) -> Result<Vec<Made>, Stop> {
    let (settings, vram) = (&job.request.settings, machine.vram);
    let mut plan = planning::plan(settings, vram)?;
    tracing::info!(job = job.id.0, device = %plan.choice.device, reasons = ?plan.reasons, "planned");
    let mut told = Vec::new();
    for message in planning::less_than_asked(settings, &plan) {
        warn(job, &mut told, message);
    }
    workbench.ledger().reset_peak();
    let mut progress = Progress::default();
    // Why the plan is not the first one.
    let mut because = None;
    loop {
        check_patience(job, &plan, machine, because.as_deref()).map_err(Stop::Failed)?;
        vram.report_precision(plan.choice.precision);
        let ended = attempt(job, workbench, (vram, archive), &plan, &told, &mut progress);
        let clear = || {
            workbench.clear();
            vram.report_idle(Device::Cpu, 0);
            workbench.devices().settle(vram);
        };
        match ended {
            Err(Stop::Failed(Failure::OutOfMemory(error))) => {
                clear();
                let shortage = match error.device {
                    Device::Cpu => Shortage::of_host(error),
                    Device::Cuda(_) => Shortage::of_device(error),
                };
                let (smaller, given_up) = planning::step_down(&plan, settings, vram, &shortage)?;
                tracing::warn!(job = job.id.0, "{given_up}");
                job.record(Event::SteppedDown {
                    message: given_up.clone(),
                });
                because = Some(given_up.clone());
                told.push(given_up);
                plan = smaller;
            }
            Err(Stop::Failed(Failure::Gpu(error))) => {
                // Its memory goes with the device; the processor goes on where the choice was ours.
                workbench
                    .devices()
                    .give_up(plan.choice.device, &error, vram);
                clear();
                if settings.device != DeviceWish::Auto {
                    return Err(error.into());
                }
                because = Some(error.to_string());
                // Told first: the processor may have no room for it.
                let message = format!("{error}; computed on the processor instead");
                warn(job, &mut told, message);
                plan = planning::plan_on_processor(settings, vram)?;
            }
            Ok(()) => return Ok(progress.made),
            Err(stop) => return Err(stop),
        }
    }
}

/// Tells the user something about a job, at once and with its result.
fn warn(job: &Job, told: &mut Vec<String>, message: String) {
    tracing::warn!(job = job.id.0, "{message}");
    job.record(Event::Warning {
        message: message.clone(),
    });
    told.push(message);
}

/// Does not let the processor take hours for a source that nobody asked for: `auto` chose it for a device that
/// cannot run it after all.
fn check_patience(
    job: &Job,
    plan: &Plan,
    machine: Machine<'_>,
    because: Option<&str>,
) -> Result<(), Failure> {
    let settings = &job.request.settings;
    let (Some(device @ Device::Cuda(_)), Device::Cpu, Some(model)) = (
        job.chosen_for(),
        plan.choice.device,
        settings.source.model(),
    ) else {
        return Ok(());
    };
    match planning::too_long(settings, &plan.choice, machine) {
        Some(foretold) => Err(Failure::TooLongWithout {
            because: because.map_or_else(|| format!("{device} cannot be used now"), Into::into),
            device,
            source_title: model.title,
            foretold,
        }),
        None => Ok(()),
    }
}

/// One way through the whole story, by one plan. `told` is what the user was told before.
fn attempt(
    job: &Job,
    workbench: &Workbench,
    (vram, archive): (&Manager, Archive<'_>),
    plan: &Plan,
    told: &[String],
    progress: &mut Progress,
) -> Result<(), Stop> {
    let gpu = workbench.devices().take(plan.choice.device, vram)?;
    let Progress { made, known } = progress;
    let mut run = Run {
        job,
        vram,
        archive,
        known,
        context: workbench.context_for(job, gpu),
        about: None,
        stages: Vec::new(),
        warnings: told.to_vec(),
    };
    let mut subject = match workbench.take_subject(job) {
        Some(mut subject) => {
            let known = std::mem::take(&mut subject.known);
            if job.request.cache {
                *run.known = known;
            }
            subject
        }
        None => run.subject(workbench.limits())?,
    };
    // What was kept is in use again, or gone.
    vram.report_idle(Device::Cpu, 0);
    run.warn_about(&subject);
    job.matte.publish(Arc::clone(&subject.matte));

    let maker = run.maker(&subject, workbench, &plan.choice, made.len())?;
    // What was done for all shapes is told of each, and what was done for one of none of the others.
    let (stages, warnings) = (run.stages.len(), run.warnings.len());
    for place in made.len()..job.request.settings.shapes() {
        run.stages.truncate(stages);
        run.warnings.truncate(warnings);
        made.push(run.shape(maker.as_ref(), &mut subject, &plan.choice, place)?);
    }
    drop(run);
    subject.known = std::mem::take(known).for_next_job();
    workbench.keep_subject(job, subject);
    Ok(())
}

/// The levels before the last one, coarsest first, and the last.
fn levels(resolution: u32) -> (Vec<u32>, u32) {
    let coarse = std::iter::successors(Some(FIRST_LEVEL), |level| Some(level * 2));
    (
        coarse.take_while(|&level| level < resolution).collect(),
        resolution,
    )
}

/// What a running job carries from stage to stage.
struct Run<'a> {
    job: &'a Job,
    vram: &'a Manager,
    archive: Archive<'a>,
    /// The latents of shapes that are known.
    known: &'a mut Known,
    context: Context,
    /// The shape that readers were told of last.
    about: Option<usize>,
    stages: Vec<StageTime>,
    warnings: Vec<String>,
}

impl Run<'_> {
    /// Runs one stage under its name: an event, a log span and a time.
    fn stage<T>(
        &mut self,
        stage: Stage,
        work: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.context.cancel.checkpoint()?;
        let _span =
            tracing::info_span!("stage", job = self.job.id.0, name = stage.name()).entered();
        self.job.record(Event::Stage { stage });
        self.vram.mark(stage.name());
        let started = Instant::now();
        let result = work(self)?;
        let seconds = started.elapsed().as_secs_f64();
        tracing::debug!(seconds, "stage done");
        self.stages.push(StageTime {
            name: stage.name(),
            seconds,
        });
        Ok(result)
    }

    fn warn(&mut self, message: String) {
        warn(self.job, &mut self.warnings, message);
    }

    /// Tells readers which of several shapes follows.
    fn turn_to(&mut self, place: usize) {
        let settings = &self.job.request.settings;
        let of = settings.shapes();
        if of > 1 && self.about.replace(place) != Some(place) {
            self.job.record(Event::Shape {
                seed: settings.seed_of(place),
                place,
                of,
            });
        }
    }

    /// One of the job's shapes, level by level, to its finished mesh.
    fn shape(
        &mut self,
        maker: Option<&Maker>,
        subject: &mut Subject,
        choice: &Choice,
        place: usize,
    ) -> Result<Made, Stop> {
        self.turn_to(place);
        let neural = maker.map(|maker| self.neural(maker, place, choice));
        let mut neural = neural.transpose()?;
        let (coarse, finest) = levels(choice.level);
        for (order, &level) in coarse.iter().enumerate() {
            let mesh = match (&mut neural, order) {
                (Some(neural), _) => self.neural_surface(neural, subject, level)?,
                (None, 0) => self.rough(subject, level)?,
                (None, _) => self.solid_surface(subject, level)?.0,
            };
            self.job.publish(LevelMesh {
                resolution: level,
                mesh,
                shape: place,
            });
        }
        let (mesh, report, mode) = match &mut neural {
            Some(neural) => {
                let mesh = self.finest_neural_surface(neural, subject, finest)?;
                let (mesh, report) = self.finish(mesh, None)?;
                (mesh, report, NEURAL_MODE.to_owned())
            }
            None => {
                let (mesh, mode) = self.solid_surface(subject, finest)?;
                let target_faces = self.job.request.settings.simplify_to_faces;
                let (mesh, report) = self.finish(mesh, target_faces)?;
                (mesh, report, mode.to_string())
            }
        };
        self.job.publish(LevelMesh {
            resolution: finest,
            mesh: mesh.clone(),
            shape: place,
        });
        let drawn = neural.as_ref().and_then(Neural::drawn).cloned();
        Ok(Made {
            choice: *choice,
            computed: Computed {
                kept_after: drawn.as_ref().and_then(|drawn| drawn.kept_after),
                ..Computed::from(choice)
            },
            summary: Summary {
                source: neural.as_ref().map_or(Source::Inflate, Neural::source),
                mode,
                resolution: finest,
                device: choice.device.to_string(),
                precision: choice.precision.to_string(),
                shape: (&report).into(),
                matte: (&*subject.matte).into(),
                stages: self.stages.clone(),
                warnings: self.warnings.clone(),
                peak_ledger_bytes: self.context.ledger.peak_bytes()
                    + (self.context.gpu.as_ref()).map_or(0, |gpu| gpu.ledger().peak_bytes()),
            },
            mesh,
            matte: Arc::clone(&subject.matte),
            drawn,
        })
    }

    /// From the image file to the cut-out subject and its shape source.
    fn subject(&mut self, limits: &photo::Limits) -> Result<Subject, Stop> {
        let request = &self.job.request;
        let (photo, left_out) =
            self.stage(Stage::Decode, |run| run.decode(&request.image, limits))?;
        let pixels = photo.pixels.len() as u64;
        let _photo_memory = self
            .context
            .ledger
            .reserve(pixels * PHOTO_PIXEL_BYTES, "the image")?;
        let matte = self.stage(Stage::Matte, |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            Ok(photo::matte(&photo, &request.settings.matte, &cancelled)?)
        })?;
        let matte_memory = self
            .context
            .ledger
            .reserve(matte.alpha.len() as u64 * 4, "the matte")?;
        let cutout = self.stage(Stage::CutOut, |_| Ok(photo::cut_out(&photo, &matte)?))?;
        let cutout_memory = self.context.ledger.reserve(
            cutout.pixels.len() as u64 * CUTOUT_PIXEL_BYTES,
            "the cut-out",
        )?;
        let mut warnings: Vec<_> = left_out.iter().map(ToString::to_string).collect();
        warnings.extend(matte_warning(&matte, &request.settings));
        let memory = vec![matte_memory, cutout_memory];
        Ok(Subject::new(matte, cutout, warnings, memory))
    }

    /// Decodes within what the ledger has left.
    fn decode(
        &self,
        image: &[u8],
        limits: &photo::Limits,
    ) -> Result<(Photo, Vec<photo::decode::Warning>), Stop> {
        let ledger = &self.context.ledger;
        let free_bytes = ledger.free_bytes();
        let within = photo::Limits {
            max_decoder_bytes: limits.max_decoder_bytes.min(free_bytes),
            ..*limits
        };
        photo::decode_with_warnings(image, &within).map_err(|error| match error {
            DecodeError::NotEnoughMemory { required_bytes, .. }
                if free_bytes < limits.max_decoder_bytes =>
            {
                OutOfMemory {
                    device: Device::Cpu,
                    what: "decoding the image",
                    required_bytes,
                    free_bytes,
                    budget_bytes: ledger.budget_bytes(),
                }
                .into()
            }
            error => error.into(),
        })
    }

    /// Says again what was found out about the subject, also when it was kept from an earlier job.
    fn warn_about(&mut self, subject: &Subject) {
        for warning in &subject.warnings {
            self.warn(warning.clone());
        }
    }

    /// The first look at a subject: its rough solid, in colours that take no time.
    fn rough(&mut self, subject: &mut Subject, level: u32) -> Result<Mesh, Stop> {
        let controls = self.job.request.settings.controls;
        let solid = self.stage(Stage::Shape, |run| {
            Ok(subject.source.rough(&controls, level, &run.context)?)
        })?;
        let colours = Arc::clone(&subject.quick_colours);
        self.surface(&solid, level, &colours)
    }

    /// The embedded source's mesh at a level, and what kind of solid it is.
    fn solid_surface(&mut self, subject: &mut Subject, level: u32) -> Result<(Mesh, Mode), Stop> {
        let solid = self.solid(&mut subject.source, level)?;
        let cutout = Arc::clone(&subject.cutout);
        let back = back_colours(&self.job.request.settings.controls, solid.mode());
        let colours = self.colours(subject, &cutout, back)?;
        Ok((self.surface(&solid, level, &colours)?, solid.mode()))
    }

    /// The full solid for a level.
    fn solid(&mut self, source: &mut Inflate, level: u32) -> Result<Solid, Stop> {
        let controls = self.job.request.settings.controls;
        self.stage(Stage::Detail, |run| {
            Ok(source.solid(&controls, level, &run.context)?)
        })
    }

    /// The colours of front and back, painted once a subject.
    fn colours(
        &mut self,
        subject: &mut Subject,
        cutout: &Cutout,
        back: BackColours,
    ) -> Result<Arc<Texture>, Stop> {
        if let Some((painted, colours)) = &subject.colours
            && *painted == back
        {
            return Ok(Arc::clone(colours));
        }
        let colours = self.stage(Stage::Colour, |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            let atlas = photo::atlas(cutout, back, &cancelled).ok_or(Stop::Cancelled)?;
            Ok(super::workbench::texture(atlas))
        })?;
        subject.colours = Some((back, Arc::clone(&colours)));
        Ok(colours)
    }

    /// Meshes the solid at one level, colours it and places it in the unit box.
    fn surface(&mut self, solid: &Solid, level: u32, colours: &Arc<Texture>) -> Result<Mesh, Stop> {
        self.stage(Stage::Surface(level), |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            let survey = isosurface::survey(solid, level, &cancelled)?;
            let _memory = run.context.ledger.reserve(survey.bytes(), "the surface")?;
            let surface = run.extract(solid, &survey)?;
            let mut mesh = project::project_front_back(&surface, Arc::clone(colours));
            placement::normalise(&mut mesh)?;
            Ok(mesh)
        })
    }

    /// Reduces the mesh to as few faces as asked for, or as it can.
    fn reduce(&mut self, mesh: Mesh, target_faces: Option<usize>) -> Result<Mesh, Stop> {
        let cancelled = || self.context.cancel.is_cancelled();
        let Some(target) = target_faces.filter(|&target| target < mesh.triangles.len()) else {
            return Ok(mesh);
        };
        let reduced = simplify::simplify(&mesh, target, &cancelled)?;
        if reduced.triangles.len() > target {
            self.warn(format!(
                "{} faces are the fewest that keep this mesh closed; {target} were asked for",
                reduced.triangles.len()
            ));
        }
        Ok(reduced)
    }

    /// Reduces the mesh where asked, orders it for the GPU and checks that it is solid.
    fn finish(&mut self, mesh: Mesh, target_faces: Option<usize>) -> Result<(Mesh, Report), Stop> {
        self.stage(Stage::Finish, |run| {
            let mut mesh = run.reduce(mesh, target_faces)?;
            optimise::optimise(&mut mesh);
            let report = checks::quick(&mesh)?;
            if report.closed && report.manifold {
                Ok((mesh, report))
            } else {
                Err(Stop::Failed(Failure::NotSolid {
                    open_edges: report.open_edges.len(),
                    non_manifold_edges: report.non_manifold_edges.len(),
                    non_manifold_vertices: report.non_manifold_vertices.len(),
                }))
            }
        })
    }
}

/// What the user should know about a matte that was not simply taken from the image.
fn matte_warning(matte: &Matte, settings: &Settings) -> Option<String> {
    let fell_back = matte.kind == MatteKind::Full && matte.confidence < 1.0;
    (fell_back && settings.matte.wish == photo::MatteWish::Auto).then(|| {
        format!(
            "no subject could be told from the background with confidence ({:.0} %), so the whole frame became a \
             relief; give a matte with --matte-image, or an image with a transparent background",
            matte.confidence * 100.0
        )
    })
}

/// What the back is painted with.
fn back_colours(controls: &Controls, mode: Mode) -> BackColours {
    match (controls.back, mode) {
        (Back::Mirror, _) | (Back::Auto, Mode::Slab | Mode::Grooved) => BackColours::Mirrored,
        _ => BackColours::Smoothed,
    }
}
