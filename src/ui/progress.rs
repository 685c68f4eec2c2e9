//! How far a job is and how long it still takes, from what the same stages took on this machine before.
//!
//! Without such a memory no time is promised: only a bar moves.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::engine::{Event, Stage, StageTime, Stamped};

/// How much of an old time stays when a new one is learned.
const MEMORY: f64 = 0.6;

/// Where a running job is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Jobs that run before this one.
    pub(super) ahead: Option<usize>,
    /// The stage that runs, and since when.
    pub(super) stage: Option<(Stage, Instant)>,
    /// The key of that stage.
    key: String,
    /// How often the shading was read.
    details: u32,
    /// When the first stage began.
    pub(super) started: Option<Instant>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

impl Progress {
    /// Takes note of what happened.
    pub(super) fn note(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::Queued { ahead } => self.ahead = Some(*ahead),
            Event::Stage { stage } => {
                self.stage = Some((*stage, stamped.at));
                self.key = key(&stage.name(), &mut self.details);
                self.ahead = None;
                self.started.get_or_insert(stamped.at);
            }
            Event::SteppedDown { message } => {
                self.stage = None;
                self.details = 0;
                self.warnings.push(message.clone());
            }
            Event::Warning { message } if !self.warnings.contains(message) => {
                self.warnings.push(message.clone());
            }
            _ => {}
        }
    }

    /// What happens now, in plain words.
    pub(super) fn words(&self) -> String {
        match (&self.stage, self.ahead) {
            (Some((stage, _)), _) => stage.to_string(),
            (None, Some(0) | None) => "Starting".to_owned(),
            (None, Some(1)) => "Waiting for one other image".to_owned(),
            (None, Some(ahead)) => format!("Waiting for {ahead} other images"),
        }
    }

    /// The done share in `0..1`, and the seconds left where this machine's speed is known.
    pub(super) fn estimate(
        &self,
        resolution: u32,
        known: &BTreeMap<String, f64>,
        now: Instant,
    ) -> (f32, Option<f64>) {
        let plan = stages(resolution);
        let Some(place) = plan.iter().position(|(key, _)| *key == self.key) else {
            return (0.0, None);
        };
        let measured = plan[place..].iter().all(|(key, _)| known.contains_key(key));
        let seconds = |(key, guess): &(String, f64)| known.get(key).copied().unwrap_or(*guess);
        let before: f64 = plan[..place].iter().map(seconds).sum();
        let now_takes = seconds(&plan[place]);
        let after: f64 = plan[place + 1..].iter().map(seconds).sum();
        let elapsed = self.stage.map_or(0.0, |(_, since)| {
            now.saturating_duration_since(since).as_secs_f64()
        });
        let done = before + elapsed.min(now_takes * 0.95);
        let total = (before + now_takes + after).max(1e-3);
        let share = (done / total).clamp(0.0, 0.99) as f32;
        (share, measured.then_some(total - done))
    }
}

/// Tells the readings of the shading apart, one a level; every other stage runs once.
fn key(name: &str, details: &mut u32) -> String {
    if name != Stage::Detail.name() {
        return name.to_owned();
    }
    *details += 1;
    format!("{name}_{details}")
}

/// The stages of a job in order, and what each is worth where nothing was measured.
fn stages(resolution: u32) -> Vec<(String, f64)> {
    let levels: Vec<u32> = std::iter::successors(Some(32_u32), |level| Some(level * 2))
        .take_while(|&level| level < resolution)
        .chain([resolution])
        .collect();
    let mut details = 0;
    let mut stages = vec![
        (Stage::Decode, 0.04),
        (Stage::Matte, 0.06),
        (Stage::CutOut, 0.03),
        (Stage::Shape, 0.03),
    ];
    for (place, &level) in levels.iter().enumerate() {
        let worth = 4e-6 * f64::from(level) * f64::from(level) + 0.005;
        if place > 0 || levels.len() == 1 {
            stages.push((Stage::Detail, worth));
        }
        if place == 1 {
            stages.push((Stage::Colour, 0.1));
        }
        stages.push((Stage::Surface(level), worth));
    }
    stages.push((Stage::Finish, 0.2));
    stages
        .into_iter()
        .map(|(stage, guess)| (key(&stage.name(), &mut details), guess))
        .collect()
}

/// Learns what the stages of a finished job took.
pub(super) fn learn(known: &mut BTreeMap<String, f64>, stages: &[StageTime]) {
    let mut details = 0;
    for stage in stages {
        let key = key(&stage.name, &mut details);
        let learned = known.entry(key).or_insert(stage.seconds);
        *learned = *learned * MEMORY + stage.seconds * (1.0 - MEMORY);
    }
}

/// A time for a person: never more exact than it is.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{s:.0} s"),
        s => format!("{} min {:02} s", (s / 60.0) as u64, s as u64 % 60),
    }
}
