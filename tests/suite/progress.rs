//! What is told of a running job: nothing before it is known, and never more time than before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orfeas::engine::{Event, Flow, Source, Stage, StageTime, Stamped, StepsTaken};
use orfeas::ui::{Progress, Standing, Work, learn};

const PIXELS: Option<u64> = Some(1 << 20);

/// The stages of a job of 128³, and how long each takes, in tenths of a second.
const JOB: [(Stage, u64); 11] = [
    (Stage::Decode, 2),
    (Stage::Matte, 4),
    (Stage::CutOut, 1),
    (Stage::Shape, 1),
    (Stage::Surface(32), 1),
    (Stage::Detail, 2),
    (Stage::Colour, 3),
    (Stage::Surface(64), 2),
    (Stage::Detail, 4),
    (Stage::Surface(128), 6),
    (Stage::Finish, 5),
];

fn measured(of: &[(Stage, u64)]) -> Vec<StageTime> {
    of.iter()
        .map(|(stage, tenths)| StageTime {
            name: stage.name(),
            seconds: *tenths as f64 / 10.0,
        })
        .collect()
}

fn known() -> BTreeMap<String, f64> {
    let mut known = BTreeMap::new();
    learn(
        &mut known,
        &Work::new(Source::Inflate, 128),
        PIXELS,
        &measured(&JOB),
    );
    known
}

/// Runs a job in steps of 50 ms, each stage `pace` times as long as usual, and tells what was promised.
fn promises(job: &[(Stage, u64)], pace: f64, known: &BTreeMap<String, f64>) -> Vec<Option<f64>> {
    let mut progress = Progress::of(&Work::new(Source::Inflate, 128));
    let mut now = Instant::now();
    let mut promises = Vec::new();
    for (stage, tenths) in job {
        let event = Event::Stage { stage: *stage };
        progress.note(&Stamped { at: now, event });
        let until = now + Duration::from_secs_f64(*tenths as f64 / 10.0 * pace);
        while now < until {
            progress.update(PIXELS, known, now);
            promises.push(progress.left);
            now += Duration::from_millis(50);
        }
    }
    promises
}

#[test]
fn no_time_is_promised_before_every_stage_was_measured() {
    assert!(
        promises(&JOB, 1.0, &BTreeMap::new())
            .iter()
            .all(Option::is_none)
    );
    // Measured at another resolution, or on an image of another size: the same.
    let mut other = BTreeMap::new();
    learn(
        &mut other,
        &Work::new(Source::Inflate, 128),
        Some(1 << 24),
        &measured(&JOB),
    );
    assert!(promises(&JOB[..5], 1.0, &other).iter().all(Option::is_none));
    assert!(
        Progress::of(&Work::new(Source::Inflate, 256))
            .steps
            .iter()
            .any(|step| Progress::usual(step, PIXELS, &known()).is_none())
    );
    // From the first stage on once it is known.
    let first = promises(&JOB, 1.0, &known())[0].unwrap();
    assert!((first - 3.1).abs() < 0.01, "{first}");
}

#[test]
fn what_is_left_never_grows_and_never_falls_at_a_jump() {
    for pace in [0.3, 0.8, 1.0, 1.5, 4.0] {
        let promises = promises(&JOB, pace, &known());
        for pair in promises.windows(2) {
            let [Some(before), Some(after)] = pair else {
                panic!("known from the first stage on: {pair:?}");
            };
            assert!(after <= before, "pace {pace}: {before} then {after}");
            let fell = before - after;
            assert!(fell < 0.4, "pace {pace}: fell by {fell} s in 0.05 s");
        }
        if pace >= 1.0 {
            let last = promises.last().unwrap().unwrap();
            assert!(last < 0.2, "pace {pace}: {last} s left at the end");
        }
    }
}

#[test]
fn a_job_that_spares_stages_is_told_without_them_and_not_learned_from() {
    // The subject is cut out already, and painted.
    let spared: Vec<_> = JOB[3..]
        .iter()
        .copied()
        .filter(|(stage, _)| *stage != Stage::Colour)
        .collect();
    assert!(promises(&spared, 1.0, &known()).iter().all(Option::is_some));
    let mut progress = Progress::of(&Work::new(Source::Inflate, 128));
    let at = Instant::now();
    for (stage, _) in &spared {
        let event = Event::Stage { stage: *stage };
        progress.note(&Stamped { at, event });
    }
    let sparings = |progress: &Progress| {
        progress
            .steps
            .iter()
            .filter(|step| step.standing == Standing::Spared)
            .count()
    };
    assert_eq!(sparings(&progress), 4);
    let before = known();
    let mut after = before.clone();
    learn(
        &mut after,
        &Work::new(Source::Inflate, 128),
        PIXELS,
        &measured(&spared),
    );
    assert_eq!(before, after);
}

#[test]
fn a_job_that_is_planned_smaller_promises_nothing_and_lists_what_it_did() {
    let known = known();
    let mut progress = Progress::of(&Work::new(Source::Inflate, 128));
    let at = Instant::now();
    let mut note = |event| progress.note(&Stamped { at, event });
    note(Event::Stage {
        stage: Stage::Decode,
    });
    note(Event::SteppedDown {
        message: "64³ instead".into(),
    });
    for stage in [Stage::Decode, Stage::Shape, Stage::Surface(32)] {
        note(Event::Stage { stage });
    }
    progress.update(PIXELS, &known, at);
    assert_eq!(progress.left, None);
    let listed: Vec<_> = progress.steps.iter().map(|step| step.stage).collect();
    assert_eq!(
        listed,
        [
            Stage::Decode,
            Stage::Decode,
            Stage::Shape,
            Stage::Surface(32)
        ]
    );
    assert_eq!(progress.warnings, ["64³ instead"]);
}

#[test]
fn learning_follows_the_machine_slowly() {
    let mut known = known();
    let slower: Vec<_> = JOB.iter().map(|(stage, t)| (*stage, t * 2)).collect();
    learn(
        &mut known,
        &Work::new(Source::Inflate, 128),
        PIXELS,
        &measured(&slower),
    );
    let left = promises(&JOB, 1.0, &known)[0].unwrap();
    assert!((left - 3.1 * 1.4).abs() < 0.01, "{left}");
}

/// A neural source takes seconds where the embedded one takes milliseconds.
#[test]
fn each_source_is_promised_its_own_times() {
    const NEURAL: [(Stage, u64); 10] = [
        (Stage::Decode, 2),
        (Stage::Matte, 4),
        (Stage::CutOut, 1),
        (Stage::Load, 30),
        (Stage::Shape, 200),
        (Stage::Surface(32), 2),
        (Stage::Colour, 1),
        (Stage::Surface(64), 8),
        (Stage::Colour, 2),
        (Stage::Finish, 5),
    ];
    let mut known = known();
    let begun = |known: &BTreeMap<String, f64>, stages: &[Stage]| {
        let mut progress = Progress::of(&Work::new(Source::TripoSr, 64));
        let now = Instant::now();
        for &stage in stages {
            let event = Event::Stage { stage };
            progress.note(&Stamped { at: now, event });
        }
        progress.update(PIXELS, known, now);
        (progress.left, progress.share)
    };
    let to_shape = [Stage::Decode, Stage::Matte, Stage::CutOut, Stage::Shape];
    // What the embedded source took says nothing of this one, nor is the bar nearly full before it began.
    let (left, share) = begun(&known, &to_shape);
    assert_eq!(left, None);
    assert!(share < 0.2, "{share}");
    learn(
        &mut known,
        &Work::new(Source::TripoSr, 64),
        PIXELS,
        &measured(&NEURAL),
    );
    let (left, _) = begun(&known, &to_shape);
    assert!((21.0..23.0).contains(&left.expect("a time")), "{left:?}");
    // A job whose model was in memory is learned from, too.
    let mut without_load = measured(&NEURAL);
    without_load.retain(|stage| stage.name != Stage::Load.name());
    without_load
        .iter_mut()
        .filter(|stage| stage.name == Stage::Shape.name())
        .for_each(|stage| stage.seconds = 10.0);
    learn(
        &mut known,
        &Work::new(Source::TripoSr, 64),
        PIXELS,
        &without_load,
    );
    let (left, _) = begun(&known, &to_shape);
    assert!((16.0..20.0).contains(&left.expect("a time")), "{left:?}");
}

/// What a source that refines a shape from noise takes depends on its steps, and on nothing of another's.
#[test]
fn a_refined_shape_is_promised_by_its_steps() {
    const REFINED: [(Stage, u64); 9] = [
        (Stage::Decode, 2),
        (Stage::Matte, 4),
        (Stage::CutOut, 1),
        (Stage::Load, 30),
        (Stage::Shape, 400),
        (Stage::Colour, 3),
        (Stage::Surface(32), 10),
        (Stage::Surface(64), 20),
        (Stage::Finish, 5),
    ];
    let work = |steps, guidance| Work {
        flow: Flow {
            steps,
            guidance,
            preview_share: 0.0,
            ..Flow::default()
        },
        ..Work::new(Source::TripoSg, 64)
    };
    let mut known = BTreeMap::new();
    learn(&mut known, &work(20, 7.0), PIXELS, &measured(&REFINED));
    let start = Instant::now();
    // The next job found its subject and its model in memory, and begins with the shape.
    let begun = |work: &Work| {
        let mut progress = Progress::of(work);
        let event = Event::Stage {
            stage: Stage::Shape,
        };
        progress.note(&Stamped { at: start, event });
        progress.update(PIXELS, &known, start);
        progress
    };
    let rest = 0.3 + 1.0 + 2.0 + 0.5;
    for (steps, guidance, seconds) in [(20, 7.0, 40.0), (50, 7.0, 100.0), (50, 1.0, 50.0)] {
        let left = begun(&work(steps, guidance)).left.expect("a time");
        assert!(
            (left - seconds - rest).abs() < 0.01,
            "{steps} steps, {guidance}: {left}"
        );
    }
    assert_eq!(begun(&Work::new(Source::TripoSr, 64)).left, None);

    // Its own steps tell better how long it takes than those of the job before.
    let mut progress = begun(&work(50, 7.0));
    assert_eq!(progress.words(), "Shaping the solid");
    let after = start + Duration::from_secs(10);
    let taken = StepsTaken {
        step: 10,
        steps: 50,
    };
    progress.note_step(taken, after);
    assert_eq!(progress.words(), "Refining, step 10 of 50");
    for later in 0..20 {
        let now = after + Duration::from_millis(500 * later);
        progress.update(PIXELS, &known, now);
    }
    // A second a step, and no more than one is thought to be done since it was told.
    let left = progress.left.expect("a time");
    assert!((left - 39.0 - rest).abs() < 0.1, "{left}");
    assert!((0.15..0.3).contains(&progress.share), "{}", progress.share);
    let event = Event::Stage {
        stage: Stage::Colour,
    };
    progress.note(&Stamped { at: after, event });
    assert_eq!(progress.steps_taken(), None);
    assert_eq!(progress.words(), "Painting the surface");
}
