//! The queue's promises: it runs in the order that it tells, and whoever waits is told the truth.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orfeas::engine::{
    Config, Cursor, Engine, Event, NotMoved, Origin, Request, Settings, Stamped, Submission,
};

use crate::pictures;

fn request(side: u32, resolution: u32) -> Request {
    Request {
        image: pictures::disc_png(side).into(),
        name: format!("{side}"),
        settings: Settings {
            resolution,
            ..Settings::default()
        },
        keep_every_level: false,
        cache: false,
        history: false,
    }
}

/// An engine that is busy for as long as its first job is not cancelled, and three jobs that wait.
fn busy() -> (Engine, Submission, [Submission; 3]) {
    let engine = Engine::start(Config::default()).unwrap();
    let busy = engine.submit(request(900, 1024)).unwrap();
    wait_for(&busy, |event| matches!(event, Event::Stage { .. }));
    let waiting = [60, 61, 62].map(|side| engine.submit(request(side, 32)).unwrap());
    (engine, busy, waiting)
}

/// Everything that happened until an event came.
fn wait_for(submission: &Submission, wanted: impl Fn(&Event) -> bool) -> Vec<Stamped> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut cursor = Cursor::default();
    let mut story = Vec::new();
    loop {
        story.extend(
            submission
                .events
                .wait(&mut cursor, Duration::from_millis(100)),
        );
        if story.iter().any(|stamped: &Stamped| wanted(&stamped.event)) {
            return story;
        }
        assert!(Instant::now() < deadline, "never came after {story:?}");
    }
}

/// The positions that a job announced, oldest first.
fn positions(submission: &Submission) -> Vec<usize> {
    let position = |stamped: Stamped| match stamped.event {
        Event::Queued { ahead } => Some(ahead),
        _ => None,
    };
    let story = submission.events.read(&mut Cursor::default());
    story.into_iter().filter_map(position).collect()
}

/// When a job's first stage began.
fn began(submission: &Submission) -> Instant {
    let story = wait_for(submission, |event| *event == Event::Finished);
    let first = story
        .iter()
        .find(|stamped| matches!(stamped.event, Event::Stage { .. }));
    first.unwrap().at
}

fn ids(submissions: [&Submission; 3]) -> Vec<orfeas::engine::JobId> {
    submissions.map(|submission| submission.job.id).to_vec()
}

#[test]
fn waiting_jobs_run_in_the_order_they_are_moved_to_and_announce_it() {
    let (engine, busy, [a, b, c]) = busy();
    assert_eq!(engine.queue_order(), ids([&a, &b, &c]));
    engine.move_before(&c, Some(a.job.id)).unwrap();
    assert_eq!(engine.queue_order(), ids([&c, &a, &b]));
    engine.move_before(&a, None).unwrap();
    assert_eq!(engine.queue_order(), ids([&c, &b, &a]));
    // Where it stands already: nothing to tell.
    engine.move_before(&b, Some(a.job.id)).unwrap();
    engine.move_before(&b, Some(b.job.id)).unwrap();
    assert_eq!(engine.queue_order(), ids([&c, &b, &a]));
    assert_eq!(positions(&a), [1, 2, 3]);
    assert_eq!(positions(&b), [2, 3, 2]);
    assert_eq!(positions(&c), [3, 1]);
    engine.cancel(&busy);
    let starts = [&c, &b, &a].map(began);
    assert!(starts.is_sorted(), "{starts:?}");
    // Each one's begin moved up those behind it.
    assert_eq!(positions(&b), [2, 3, 2, 1]);
    assert_eq!(positions(&a), [1, 2, 3, 2, 1]);
}

#[test]
fn what_is_taken_out_of_the_queue_moves_up_those_behind_it() {
    let (engine, busy, [a, b, c]) = busy();
    engine.cancel(&a);
    assert_eq!(engine.queue_order(), [b.job.id, c.job.id]);
    assert_eq!(positions(&b), [2, 1]);
    assert_eq!(positions(&c), [3, 2]);
    assert_eq!(engine.move_before(&a, None), Err(NotMoved::Gone));
    engine.cancel(&busy);
    assert_eq!(
        engine.move_before(&busy, Some(b.job.id)),
        Err(NotMoved::Gone)
    );
    wait_for(&c, |event| *event == Event::Finished);
}

#[test]
fn a_job_that_is_shared_is_moved_forward_and_never_back() {
    let (engine, busy, [a, b, c]) = busy();
    let joined = engine.submit(request(61, 32)).unwrap();
    assert_eq!(joined.origin, Origin::Joined);
    assert!(Arc::ptr_eq(&joined.job, &b.job));
    assert_eq!(engine.move_before(&b, None), Err(NotMoved::Shared));
    assert_eq!(engine.queue_order(), ids([&a, &b, &c]));
    engine.move_before(&joined, Some(a.job.id)).unwrap();
    assert_eq!(engine.queue_order(), ids([&b, &a, &c]));
    // Both callers are told, the one that joined from where it joined.
    assert_eq!(positions(&b), [2, 1]);
    assert_eq!(positions(&joined), [2, 1]);
    // Whoever let go moves nothing any more, and the one who is left moves it as it likes.
    engine.cancel(&joined);
    assert_eq!(engine.move_before(&joined, None), Err(NotMoved::Gone));
    engine.move_before(&b, None).unwrap();
    assert_eq!(engine.queue_order(), ids([&a, &c, &b]));
    engine.cancel(&busy);
    wait_for(&b, |event| *event == Event::Finished);
}

#[test]
fn a_job_moved_before_one_that_began_runs_next_and_a_replacement_keeps_the_place() {
    let (engine, busy, [a, b, c]) = busy();
    engine.move_before(&c, Some(busy.job.id)).unwrap();
    assert_eq!(engine.queue_order(), ids([&c, &a, &b]));
    let newer = engine.replace(&c, request(63, 32)).unwrap();
    assert_eq!(engine.queue_order(), ids([&newer, &a, &b]));
    assert_eq!(positions(&newer), [1]);
    engine.cancel(&busy);
    wait_for(&b, |event| *event == Event::Finished);
}
