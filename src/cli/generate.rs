//! `orfeas generate`: images in, meshes out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use super::estimate;
use super::exit::{ExitCode, Failed, code_of};
use super::inputs::{read_input, read_matte, save_matte};
use super::options::{self, BackOption, FormatOption, MatteOption, PrecisionOption, SourceOption};
use super::outputs::{self, Output};
use super::progress::Progress;
use super::report::{self, Timing};
use super::startup::{self, Resources};
use crate::engine::{
    Cancel, Controls, Cursor, Engine, Event, Export, Flow, ImageReference, Job, Outcome, Published,
    Request, Settings, Source, Submission,
};
use crate::formats::{self, Format, WriteOptions};
use crate::photo::{Limits, MatteRequest, MatteWish};
use crate::vram::DeviceWish;

/// Turn images into closed, coloured meshes
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Images to turn into meshes (PNG, JPEG, WebP, BMP, GIF, TIFF, SVG), or - for standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A file (.glb .obj .stl .ply .3mf), a folder for several images, or - for standard output
    #[arg(short, long, value_name = "OUT", required_unless_present = "estimate")]
    output: Option<PathBuf>,
    /// The format, where the output's name does not tell it
    #[arg(long, value_enum)]
    format: Option<FormatOption>,
    /// The shape source
    #[arg(long, value_enum, default_value = "auto")]
    source: SourceOption,
    /// A folder with the source's weights in their published layout [default: where `orfeas models` has them]
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// Steps from noise to the shape (triposg)
    #[arg(long, default_value_t = Flow::default().steps, value_name = "N", value_parser = options::steps)]
    steps: u32,
    /// How far the image is followed (triposg)
    #[arg(long, default_value_t = Flow::default().guidance, value_name = "F", value_parser = options::guidance)]
    guidance: f32,
    /// Which noise: another seed is another shape (triposg)
    #[arg(long, default_value_t = Flow::default().seed, value_name = "N", value_parser = options::seed)]
    seed: u64,
    /// Make so many shapes of each image, of this seed and those that follow; -o a.glb becomes a-0.glb, a-1.glb, …,
    /// by seed. With --cache, a later run with one of these seeds meshes its shape at any --quality or --threshold
    /// without making it again (triposg)
    #[arg(long, default_value_t = Flow::default().shapes, value_name = "1-8", value_parser = options::shapes)]
    shapes: u32,
    /// Where the surface lies in the field; above 0 the shape is thinner, below it thicker (triposg)
    #[arg(long, default_value_t = Flow::default().threshold, value_name = "F", allow_negative_numbers = true, value_parser = options::threshold)]
    threshold: f32,
    /// The share of the time that goes into looks at the shape on the way; 0 for none (triposg)
    #[arg(long, default_value_t = Flow::default().preview_share, value_name = "F", value_parser = options::preview_share)]
    preview_share: f64,
    /// 1-2, 3-4, 5-7 and 8-10 mean 64, 128, 256 and 512 cells along the longest side
    #[arg(long, default_value = "7", value_name = "1-10", value_parser = options::quality)]
    quality: u8,
    /// Cells along the longest side; overrides --quality
    #[arg(long, value_name = "N", value_parser = options::resolution)]
    resolution: Option<u32>,
    /// How to tell the subject from its background
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        conflicts_with = "matte_image"
    )]
    matte: MatteOption,
    /// Your own matte: white, or opaque, is the subject
    #[arg(long, value_name = "PNG")]
    matte_image: Option<PathBuf>,
    /// Scales the depth of the solid
    #[arg(long, default_value_t = Controls::default().thickness, value_name = "F", value_parser = options::thickness)]
    thickness: f32,
    /// How much of the shading becomes relief
    #[arg(long, default_value_t = Controls::default().detail, value_name = "0-1", value_parser = options::detail)]
    detail: f32,
    /// What the side away from the viewer looks like
    #[arg(long, value_enum, default_value = "auto")]
    back: BackOption,
    /// The depth of a full-frame relief, as a share of its longest side
    #[arg(long, default_value_t = Controls::default().relief, value_name = "F", value_parser = options::relief)]
    relief: f32,
    /// The longest side of the object, in millimetres
    #[arg(long, default_value = "100", value_name = "MM", value_parser = options::size_mm)]
    size: f64,
    /// Reduce the mesh to at most this many triangles
    #[arg(long, value_name = "FACES", value_parser = options::faces)]
    simplify: Option<usize>,
    /// Write the mesh of each level here as it is ready: 0032.glb, 0064.glb, …
    #[arg(long, value_name = "DIR")]
    previews: Option<PathBuf>,
    /// Write the matte that was used, as a grey PNG
    #[arg(long, value_name = "PNG")]
    save_matte: Option<PathBuf>,
    /// The most memory for large buffers, in MB (10⁶ bytes)
    #[arg(long, value_name = "MB", value_parser = options::memory_mb)]
    memory: Option<u64>,
    /// Threads that compute [default: one a core]
    #[arg(long, value_name = "N", value_parser = options::threads)]
    threads: Option<usize>,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE", value_parser = options::device)]
    device: DeviceWish,
    /// The number format to compute in, where the source has a choice
    #[arg(long, value_enum, default_value = "auto")]
    precision: PrecisionOption,
    /// Print how the images would be computed and why, and do nothing
    #[arg(long)]
    estimate: bool,
    /// Take results from the cache where they are there, and keep them there
    #[arg(long)]
    cache: bool,
    /// Print one JSON object an image on standard output, or one a shape
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// How often a waiting front end looks whether it was interrupted.
const POLL: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: Arguments, process_start: Instant) -> Result<(), Failed> {
    if arguments.estimate {
        return estimate::run(
            &arguments.settings()?,
            &arguments.resources(),
            arguments.json,
        );
    }
    let generate = Generate::new(arguments)?;
    let mut first_failure = None;
    let outputs = outputs::plan(
        &generate.arguments.images,
        generate
            .arguments
            .output
            .as_deref()
            .unwrap_or(Path::new("")),
        generate.arguments.format.map(Format::from),
    )?;
    for (index, (input, output)) in generate.arguments.images.iter().zip(&outputs).enumerate() {
        let start = if index == 0 {
            process_start
        } else {
            Instant::now()
        };
        let result = generate.one(input, output, start);
        let Err(failed) = result else { continue };
        if failed.code == ExitCode::Interrupted {
            return Err(failed);
        }
        failed.print();
        if generate.arguments.json {
            let object = report::failed(
                &input.to_string_lossy(),
                failed.code as u8,
                &failed.message(),
            );
            print_line(&object.to_string())?;
        }
        first_failure.get_or_insert(failed.code);
    }
    first_failure.map_or(Ok(()), |code| Err(Failed::shown(code)))
}

/// The command with everything that its images share.
struct Generate {
    arguments: Arguments,
    settings: Settings,
    engine: Engine,
    interrupt: Cancel,
}

impl Generate {
    fn new(arguments: Arguments) -> Result<Self, Failed> {
        arguments.refuse_contradictions()?;
        let settings = arguments.settings()?;
        let resources = arguments.resources();
        let memory = resources.start();
        let store = arguments.cache.then(startup::store).flatten();
        let engine = resources.engine(&memory, store)?;
        let interrupt = Cancel::default();
        let raised = interrupt.clone();
        ctrlc::set_handler(move || raised.cancel())
            .map_err(|error| Failed::new(ExitCode::Other, error))?;
        Ok(Self {
            arguments,
            settings,
            engine,
            interrupt,
        })
    }

    /// From one image to its file and its line of output.
    fn one(&self, input: &Path, output: &Output, start: Instant) -> Result<(), Failed> {
        let name = input.file_name().map_or_else(
            || "image".into(),
            |name| name.to_string_lossy().into_owned(),
        );
        let image = read_input(input, &Limits::default())?;
        let made_from = ImageReference::of(&name, &image);
        let request = Request {
            image: image.into(),
            name: name.clone(),
            settings: self.settings.clone(),
            keep_every_level: self.arguments.previews.is_some(),
            cache: self.arguments.cache,
            history: false,
        };
        let submission = self
            .engine
            .submit(request)
            .map_err(|error| Failed::new(ExitCode::Other, error))?;
        let progress = Progress::new(&name, self.settings.resolution, self.arguments.quiet);
        if let Some(chosen) = &submission.chosen
            && !self.arguments.quiet
        {
            progress.say(&chosen.reason);
        }
        let first_mesh = self.follow(&submission, &progress);
        progress.end();
        let outcome = match submission.result() {
            Some(Ok(outcome)) => Arc::clone(outcome),
            Some(Err(failure)) => {
                let error = anyhow::anyhow!("{failure}: {}", input.display());
                return Err(Failed::new(code_of(failure), error));
            }
            // Cancelled: by the user, or because a preview could not be written.
            None => return Err(first_mesh.err().unwrap_or_else(Failed::interrupted)),
        };
        let first_mesh = first_mesh?;
        if let Some(path) = &self.arguments.save_matte {
            let matte = outcome.matte.as_ref().ok_or_else(|| {
                Failed::new(
                    ExitCode::Other,
                    anyhow::anyhow!("the result has no matte to save"),
                )
            })?;
            save_matte(matte, path)?;
        }
        let seeds = self.settings.seeds();
        let outputs = match &seeds {
            Some(seeds) if seeds.len() > 1 => outputs::of_shapes(output, seeds),
            _ => vec![output.clone()],
        };
        for (place, (shape, output)) in outcome.shapes().zip(&outputs).enumerate() {
            let written = self.write(&submission.job, (shape, place), output, &made_from)?;
            let timing = Timing {
                start,
                first_mesh,
                end: Instant::now(),
            };
            let seed = seeds.as_ref().map(|seeds| seeds[place]);
            let of = (written.as_str(), seed);
            let input = input.to_string_lossy();
            self.tell(&input, of, &submission, shape, &timing)?;
        }
        Ok(())
    }

    /// Shows a job's events until it ends, writes its previews, and tells when the first mesh was there.
    fn follow(
        &self,
        submission: &Submission,
        progress: &Progress,
    ) -> Result<Option<Instant>, Failed> {
        let mut cursor = Cursor::default();
        let mut first_mesh = None;
        let mut previews_written = Ok(());
        loop {
            for stamped in submission.events.wait(&mut cursor, POLL) {
                progress.show(&stamped.event);
                match &stamped.event {
                    Event::Level { resolution, .. } => {
                        first_mesh.get_or_insert(stamped.at);
                        if previews_written.is_ok() {
                            previews_written = self.write_preview(&submission.job, *resolution);
                        }
                    }
                    Event::Warning { message } | Event::SteppedDown { message }
                        if !self.arguments.quiet =>
                    {
                        progress.say(&format!("warning: {message}"));
                    }
                    event if event.is_terminal() => {
                        return previews_written.map(|()| first_mesh);
                    }
                    _ => {}
                }
            }
            if self.interrupt.is_cancelled() || previews_written.is_err() {
                self.engine.cancel(submission);
            }
        }
    }

    fn write_preview(&self, job: &Job, resolution: u32) -> Result<(), Failed> {
        let Some(folder) = &self.arguments.previews else {
            return Ok(());
        };
        let levels = job.levels();
        let Some(level) = levels.iter().find(|level| level.resolution == resolution) else {
            return Ok(());
        };
        let path = folder.join(format!("{resolution:04}.glb"));
        formats::save(
            &level.mesh,
            &path,
            Format::Glb,
            &self.write_options(job, &path.to_string_lossy(), 0),
        )?;
        Ok(())
    }

    fn write_options(&self, job: &Job, name: &str, place: usize) -> WriteOptions {
        // What was left open was chosen for the job.
        let settings = Settings {
            source: job.request.settings.source,
            ..self.settings.clone()
        };
        WriteOptions {
            longest_side_mm: self.arguments.size,
            settings: report::settings(&settings.of_shape(place), self.arguments.size),
            name: name.to_owned(),
            ..WriteOptions::default()
        }
    }

    /// Writes the finished mesh of one of the shapes and tells where it went.
    fn write(
        &self,
        job: &Job,
        (outcome, place): (&Outcome, usize),
        output: &Output,
        made_from: &ImageReference,
    ) -> Result<String, Failed> {
        let mesh = outcome
            .mesh
            .load()
            .map_err(|error| Failed::new(ExitCode::Other, error))?;
        let name = &made_from.name;
        let stem = Path::new(name)
            .file_stem()
            .map_or_else(|| name.into(), |stem| stem.to_string_lossy());
        let mut options = self.write_options(job, &stem, place);
        made_from.add_to(&mut options.settings);
        match output {
            Output::StandardOutput(format) => {
                let mut out = std::io::stdout().lock();
                formats::write(&mesh, *format, &options, &mut out)?;
                out.flush()
                    .map_err(|error| Failed::new(ExitCode::Output, error))?;
                Ok("-".to_owned())
            }
            Output::File(path, format) => {
                let export = Export {
                    mesh,
                    path: path.clone(),
                    format: *format,
                    options,
                };
                self.engine.export(export)?.wait()?;
                Ok(path.to_string_lossy().into_owned())
            }
        }
    }

    /// One line about a finished image, or one of its shapes.
    fn tell(
        &self,
        input: &str,
        of: (&str, Option<u64>),
        submission: &Submission,
        outcome: &Outcome,
        timing: &Timing,
    ) -> Result<(), Failed> {
        if self.arguments.json {
            let (size, origin) = (self.arguments.size, submission.origin);
            let mut object = report::generated(input, of, origin, outcome, size, timing);
            let reason = submission.chosen.as_ref().map(|chosen| &chosen.reason);
            object["source_reason"] = serde_json::json!(reason);
            return print_line(&object.to_string());
        }
        if !self.arguments.quiet {
            let shape = &outcome.summary.shape;
            let size = shape.in_mm(self.arguments.size).bounds_mm.size;
            eprintln!(
                "{}³ · {} faces · {:.0} × {:.0} × {:.0} mm · closed · {:.2} s: {}",
                outcome.summary.resolution,
                report::count(shape.faces),
                size[0],
                size[1],
                size[2],
                timing
                    .end
                    .saturating_duration_since(timing.start)
                    .as_secs_f64(),
                of.0,
            );
        }
        Ok(())
    }
}

impl Arguments {
    /// Refuses, before any work, what cannot end well.
    fn refuse_contradictions(&self) -> Result<(), Failed> {
        if self.output.as_deref() == Some(Path::new("-")) && self.json {
            return Err(Failed::usage(
                "-o - and --json would both write to standard output; leave one of them out",
            ));
        }
        if self.shapes > 1 && self.output.as_deref() == Some(Path::new("-")) {
            return Err(Failed::usage(
                "-o - takes one shape; name a file, or a folder, for --shapes",
            ));
        }
        if self.shapes > 1 && self.previews.is_some() {
            return Err(Failed::usage(
                "--previews takes one shape, since the levels of each would overwrite the last; leave --shapes or \
                 --previews out",
            ));
        }
        if self.cache && self.save_matte.is_some() {
            return Err(Failed::usage(
                "a result from the cache has no matte to save; leave --cache or --save-matte out",
            ));
        }
        if self.images.len() > 1 && (self.previews.is_some() || self.save_matte.is_some()) {
            return Err(Failed::usage(
                "--previews and --save-matte take one image, since each would overwrite the last",
            ));
        }
        if let Some(path) = &self.save_matte {
            if !path
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
            {
                return Err(Failed::usage(format_args!(
                    "a matte is saved as .png, not: {}",
                    path.display()
                )));
            }
            outputs::require_folder(outputs::parent(path))?;
        }
        self.previews
            .as_deref()
            .map_or(Ok(()), outputs::create_folder)
    }

    fn resources(&self) -> Resources {
        Resources {
            memory_bytes: self.memory.map(|mb| mb * 1_000_000),
            threads: self.threads,
            queue_limit: None,
        }
    }

    fn settings(&self) -> Result<Settings, Failed> {
        let wish = match (&self.matte_image, self.matte) {
            (Some(path), _) => MatteWish::User(Arc::new(read_matte(path)?)),
            (None, MatteOption::Auto) => MatteWish::Auto,
            (None, MatteOption::Alpha) => MatteWish::Alpha,
            (None, MatteOption::Full) => MatteWish::Full,
        };
        let settings = Settings {
            source: self.source.into(),
            resolution: self
                .resolution
                .unwrap_or_else(|| Settings::resolution_of_quality(self.quality)),
            matte: MatteRequest {
                wish,
                strokes: Vec::new(),
            },
            controls: Controls {
                thickness: self.thickness,
                detail: self.detail,
                back: self.back.into(),
                relief: self.relief,
            },
            simplify_to_faces: self.simplify,
            device: self.device,
            precision: self.precision.into(),
            flow: Flow {
                steps: self.steps,
                guidance: self.guidance,
                seed: self.seed,
                shapes: self.shapes,
                threshold: self.threshold,
                preview_share: self.preview_share,
            },
            weights: None,
        };
        if let Some(refused) = settings.refused_shapes() {
            return Err(Failed::usage(format_args!(
                "{refused}; see --source, --seed and --shapes"
            )));
        }
        Ok(Settings {
            weights: self.weights()?,
            ..settings
        })
    }

    /// The weights of a source that has any, opened and checked before any work.
    fn weights(&self) -> Result<Option<Arc<Published>>, Failed> {
        let Some(model) = Source::from(self.source).model() else {
            return match self.weights {
                None => Ok(None),
                Some(_) => Err(Failed::usage(
                    "--weights is for a source that has weights; add --source triposr or --source triposg",
                )),
            };
        };
        let weights = startup::library().open(model, self.weights.as_deref());
        let weights = weights.map_err(|error| Failed::new(ExitCode::BadInput, error))?;
        Ok(Some(weights))
    }
}

/// Prints a line on standard output; a reader that went away is an output error, not a panic.
pub(super) fn print_line(line: &str) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|error| Failed::new(ExitCode::Output, error))
}
