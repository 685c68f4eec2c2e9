//! How far a job is and how long it still takes, from what the same stages took on this machine before.
//!
//! A time is promised only where every stage to come was measured before, at this resolution and for an
//! image of about this size; until then a bar moves and nothing is said. What is promised never grows.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::engine::{Event, Flow, Source, Stage, StageTime, Stamped, StepsTaken};

/// How much of an old time stays when a new one is learned.
const MEMORY: f64 = 0.6;
/// How soon what is shown follows where a job turns out to be quicker, in seconds.
const SETTLING: f64 = 0.4;
/// How much of a stage's usual time counts at most before it has ended.
const MOST_OF_A_STAGE: f64 = 0.95;

/// What a job's stages follow from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// The shape source.
    pub source: Source,
    /// Cells along the longest side.
    pub resolution: u32,
    /// How a shape is refined from noise; of no account to other sources.
    pub flow: Flow,
}

impl Work {
    /// The work of a source at a resolution.
    pub fn new(source: Source, resolution: u32) -> Self {
        Self {
            source,
            resolution,
            flow: Flow::default(),
        }
    }
}

/// A stage of a job, as the job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which one.
    pub stage: Stage,
    /// How it stands.
    pub standing: Standing,
    /// Names what was measured of such stages.
    key: Key,
    /// How often what was measured is done.
    times: f64,
    /// What it is worth beside the others where nothing was measured, in seconds.
    guess: f64,
}

/// How a stage of a job stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// It is to come.
    ToCome,
    /// It runs since then.
    Runs(Instant),
    /// It took so many seconds.
    Done(f64),
    /// It was not needed: what it makes was there.
    Spared,
}

/// What the time of a stage depends on.
#[derive(Debug, Clone, PartialEq)]
enum Key {
    /// The size of the image.
    Image(String),
    /// The cells, which are in the name.
    Cells(String),
}

impl Key {
    /// As measured times are kept; `None` while the image's size is not known.
    fn name(&self, pixels: Option<u64>) -> Option<String> {
        match self {
            // Twice as many pixels are another kind of image.
            Self::Image(name) => Some(format!("{name} of 2^{} pixels", pixels?.max(1).ilog2())),
            Self::Cells(name) => Some(name.clone()),
        }
    }
}

/// Where a job is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Jobs that run before this one.
    pub ahead: Option<usize>,
    /// When the first stage began.
    pub started: Option<Instant>,
    /// When it ended.
    pub ended: Option<Instant>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Every stage, in order.
    pub steps: Vec<Step>,
    /// The done share in `0..1`, as of the last [`update`](Self::update).
    pub share: f32,
    /// Seconds left, as of the last [`update`](Self::update); `None` while nobody knows.
    pub left: Option<f64>,
    /// How far a shape is that is refined from noise, and since when.
    steps_taken: Option<(StepsTaken, Instant)>,
    updated: Option<Instant>,
    /// Whether it does not go as planned, so that no time is promised.
    other_than_planned: bool,
}

impl Progress {
    /// A job with this work, before anything happened.
    pub fn of(work: &Work) -> Self {
        Self {
            steps: steps(work),
            ..Self::default()
        }
    }

    /// Takes note of how far a shape is that is refined from noise.
    pub fn note_step(&mut self, taken: StepsTaken, now: Instant) {
        self.steps_taken = Some((taken, now));
    }

    /// How far a shape is that is refined from noise, while it is refined.
    pub fn steps_taken(&self) -> Option<StepsTaken> {
        let (taken, _) = self.steps_taken?;
        (self.stage() == Some(Stage::Shape)).then_some(taken)
    }

    /// Takes note of what happened.
    pub fn note(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::Queued { ahead } => self.ahead = Some(*ahead),
            Event::Stage { stage } => {
                self.ahead = None;
                self.started.get_or_insert(stamped.at);
                self.end_current(stamped.at);
                self.begin(*stage, stamped.at);
            }
            Event::SteppedDown { message } => {
                self.end_current(stamped.at);
                self.other_than_planned = true;
                self.warnings.push(message.clone());
            }
            Event::Warning { message } if !self.warnings.contains(message) => {
                self.warnings.push(message.clone());
            }
            event if event.is_terminal() => {
                self.end_current(stamped.at);
                self.ended = Some(stamped.at);
            }
            _ => {}
        }
    }

    fn end_current(&mut self, now: Instant) {
        for step in &mut self.steps {
            if let Standing::Runs(since) = step.standing {
                step.standing = Standing::Done(now.saturating_duration_since(since).as_secs_f64());
            }
        }
    }

    fn begin(&mut self, stage: Stage, now: Instant) {
        let next = self.next();
        let found = self.steps[next..]
            .iter()
            .position(|step| step.stage == stage);
        let place = match found {
            Some(ahead) if !self.other_than_planned => next + ahead,
            _ => {
                // Not in the plan, as when memory ran out: from here on it is told as it comes.
                self.other_than_planned = true;
                self.steps.truncate(next);
                self.steps.push(Step {
                    stage,
                    standing: Standing::ToCome,
                    key: Key::Cells(stage.name()),
                    times: 1.0,
                    guess: 0.1,
                });
                next
            }
        };
        for spared in &mut self.steps[next..place] {
            spared.standing = Standing::Spared;
        }
        self.steps[place].standing = Standing::Runs(now);
        // It may begin anew, where memory ran out.
        self.steps_taken = None;
    }

    /// The place of the first stage that is to come.
    fn next(&self) -> usize {
        let begun = self
            .steps
            .iter()
            .rposition(|step| step.standing != Standing::ToCome);
        begun.map_or(0, |place| place + 1)
    }

    /// The stage that runs.
    pub fn stage(&self) -> Option<Stage> {
        self.steps
            .iter()
            .find(|step| matches!(step.standing, Standing::Runs(_)))
            .map(|step| step.stage)
    }

    /// What happens now, in plain words.
    pub fn words(&self) -> String {
        if let Some(StepsTaken { step, steps }) = self.steps_taken() {
            return format!("Refining, step {step} of {steps}");
        }
        match (self.stage(), self.ahead) {
            (Some(stage), _) => stage.to_string(),
            (None, Some(0) | None) => "Starting".to_owned(),
            (None, Some(1)) => "Waiting for one other image".to_owned(),
            (None, Some(ahead)) => format!("Waiting for {ahead} other images"),
        }
    }

    /// Seconds since the first stage began, or that it took in all.
    pub fn elapsed(&self, now: Instant) -> Option<f64> {
        let until = self.ended.unwrap_or(now);
        let since = self.started?;
        Some(until.saturating_duration_since(since).as_secs_f64())
    }

    /// What a stage usually takes here, in seconds, where it was measured.
    pub fn usual(step: &Step, pixels: Option<u64>, known: &BTreeMap<String, f64>) -> Option<f64> {
        let once = known.get(&step.key.name(pixels)?)?;
        Some(once * step.times)
    }

    /// The seconds that a stage which runs since then is worth by now, and those that it still takes, where
    /// that is known. `takes` is what it is worth in all, `usual` what it usually takes.
    fn of_running(
        &self,
        step: &Step,
        since: Instant,
        (takes, usual): (f64, Option<f64>),
        now: Instant,
    ) -> (f64, Option<f64>) {
        let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
        let taken = self
            .steps_taken
            .filter(|(taken, _)| step.stage == Stage::Shape && taken.step > 0);
        if let Some((StepsTaken { step, steps }, at)) = taken {
            // One step takes as long as another: this very job tells best how long.
            let each = seconds(since, at) / f64::from(step);
            let next = seconds(at, now).min(each);
            let to_come = f64::from(steps.saturating_sub(step));
            let share = (f64::from(step) + next / each.max(1e-6)) / f64::from(steps.max(1));
            let remains = (each * to_come - next).max(0.0);
            return (takes * share.min(MOST_OF_A_STAGE), Some(remains));
        }
        let runs = seconds(since, now);
        let gone = runs.min(takes * MOST_OF_A_STAGE);
        (gone, usual.map(|usual| (usual - runs).max(0.0)))
    }

    /// Tells anew how far the job is. `pixels` are the image's, where they are known; `known` is what
    /// stages took before.
    pub fn update(&mut self, pixels: Option<u64>, known: &BTreeMap<String, f64>, now: Instant) {
        let mut done = 0.0;
        let mut total = 0.0;
        let mut left = Some(0.0);
        for step in &self.steps {
            let usual = Self::usual(step, pixels, known);
            let takes = usual.unwrap_or(step.guess);
            let (gone, remains) = match step.standing {
                Standing::Done(_) => (takes, Some(0.0)),
                Standing::Spared => continue,
                Standing::ToCome => (0.0, usual),
                Standing::Runs(since) => self.of_running(step, since, (takes, usual), now),
            };
            done += gone;
            total += takes;
            left = left.zip(remains).map(|(left, remains)| left + remains);
        }
        let share = (done / total.max(1e-3)).clamp(0.0, 0.99) as f32;
        self.share = self.share.max(share);
        let left = left.filter(|_| self.started.is_some() && !self.other_than_planned);
        let passed = self.updated.replace(now).map_or(0.0, |last| {
            now.saturating_duration_since(last).as_secs_f64()
        });
        self.left = match (self.left, left) {
            (Some(shown), Some(left)) => Some(settled(shown, left, passed)),
            (None, left) => left,
            (Some(_), None) => None,
        };
    }
}

/// What is shown next where `left` seconds are left: never more than before, and never at a jump.
fn settled(shown: f64, left: f64, passed: f64) -> f64 {
    if left >= shown {
        return shown;
    }
    let glided = shown - (shown - left) * (1.0 - (-passed / SETTLING).exp());
    glided.min((shown - passed).max(left))
}

/// The stages of a job in order.
fn steps(work: &Work) -> Vec<Step> {
    let resolution = work.resolution;
    let levels: Vec<u32> = std::iter::successors(Some(32_u32), |level| Some(level * 2))
        .take_while(|&level| level < resolution)
        .chain([resolution])
        .collect();
    let mut plan = vec![
        of_image(Stage::Decode, 0.04),
        of_image(Stage::Matte, 0.06),
        of_image(Stage::CutOut, 0.03),
    ];
    match work.source {
        Source::TripoSr => neural(&mut plan, &levels),
        Source::TripoSg => refined(&mut plan, &levels, work.flow),
        Source::Auto | Source::Inflate => embedded(&mut plan, &levels),
    }
    plan.push(of_cells(Stage::Finish, resolution));
    plan
}

/// The stages of the embedded source: each level looks closer before its surface is made.
fn embedded(plan: &mut Vec<Step>, levels: &[u32]) {
    let is_only = levels.len() == 1;
    for (place, &level) in levels.iter().enumerate() {
        plan.push(match place {
            0 if !is_only => of_cells(Stage::Shape, level),
            _ => of_cells(Stage::Detail, level),
        });
        if place == 1 || is_only {
            plan.push(of_image(Stage::Colour, 0.1));
        }
        plan.push(of_cells(Stage::Surface(level), level));
    }
}

/// The stages of a neural source: one long pass, then a surface and its colours a level.
fn neural(plan: &mut Vec<Step>, levels: &[u32]) {
    for (stage, guess) in [(Stage::Load, 3.0), (Stage::Shape, 20.0)] {
        plan.push(measured_alone(
            stage,
            format!("neural_{}", stage.name()),
            guess,
        ));
    }
    for &level in levels {
        for stage in [Stage::Surface(level), Stage::Colour] {
            let guess = 4e-7 * f64::from(level).powi(3) + 0.02;
            let name = format!("neural_{}_{level}", stage.name());
            plan.push(measured_alone(stage, name, guess));
        }
    }
}

/// The stages of a source that refines a shape from noise: its steps, colours painted once, and a surface a
/// level.
fn refined(plan: &mut Vec<Step>, levels: &[u32], flow: Flow) {
    plan.push(measured_alone(Stage::Load, "refined_load".into(), 10.0));
    // A guided step looks twice, and looks on the way take their share of the time.
    let looks = if flow.guidance > 1.0 { 2.0 } else { 1.0 };
    let times = f64::from(flow.steps * flow.shapes) * looks / (1.0 - flow.preview_share).max(0.1);
    plan.push(Step {
        times,
        ..measured_alone(Stage::Shape, "refined_look".into(), 10.0 * times)
    });
    plan.push(of_image(Stage::Colour, 0.1));
    for shape in 0..flow.shapes {
        if shape > 0 {
            plan.push(of_cells(Stage::Finish, levels.last().copied().unwrap_or(0)));
        }
        for &level in levels {
            let stage = Stage::Surface(level);
            let guess = 8e-4 * f64::from(level) * f64::from(level);
            plan.push(measured_alone(
                stage,
                format!("refined_{}", stage.name()),
                guess,
            ));
        }
    }
}

/// A stage whose time does not depend on the image, and is told apart from what another source takes for it.
fn measured_alone(stage: Stage, name: String, guess: f64) -> Step {
    Step {
        stage,
        standing: Standing::ToCome,
        key: Key::Cells(name),
        times: 1.0,
        guess,
    }
}

/// A stage whose time depends on the size of the image.
fn of_image(stage: Stage, guess: f64) -> Step {
    Step {
        stage,
        standing: Standing::ToCome,
        key: Key::Image(stage.name()),
        times: 1.0,
        guess,
    }
}

/// A stage whose time depends on the cells.
fn of_cells(stage: Stage, level: u32) -> Step {
    let name = match stage {
        // The name of a surface tells its cells already.
        Stage::Surface(_) => stage.name(),
        stage => format!("{}_{level}", stage.name()),
    };
    Step {
        stage,
        standing: Standing::ToCome,
        key: Key::Cells(name),
        times: 1.0,
        guess: 4e-6 * f64::from(level) * f64::from(level) + 0.005,
    }
}

/// Learns what the stages of a job took that was computed here from the image on.
///
/// A job that found its subject cut out already tells less than it takes, and one that ran out of memory
/// more: neither is learned from. One that found its model loaded tells as much as any other.
pub fn learn(
    known: &mut BTreeMap<String, f64>,
    work: &Work,
    pixels: Option<u64>,
    measured: &[StageTime],
) {
    let mut steps = steps(work);
    let loaded = measured
        .iter()
        .any(|stage| stage.name == Stage::Load.name());
    steps.retain(|step| loaded || step.stage != Stage::Load);
    let is_whole = steps.len() == measured.len()
        && steps
            .iter()
            .zip(measured)
            .all(|(step, measured)| step.stage.name() == measured.name);
    if !is_whole {
        return;
    }
    for (step, measured) in steps.iter().zip(measured) {
        let Some(name) = step.key.name(pixels) else {
            continue;
        };
        let once = measured.seconds / step.times;
        let learned = known.entry(name).or_insert(once);
        *learned = *learned * MEMORY + once * (1.0 - MEMORY);
    }
}

/// A time for a person: never more exact than it is.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{s:.0} s"),
        s => {
            let whole = s.round() as u64;
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
    }
}
