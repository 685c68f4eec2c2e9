//! The worker's life: one job after another, until the queue is closed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use super::archive::{Archive, Drawn};
use super::events::{Event, Stage};
use super::failure::{Failure, Stop};
use super::job::{Job, Outcome};
use super::queue::Next;
use super::result_mesh::ResultMesh;
use super::run::Made;
use super::{Shared, export, identity, keep, planning, run};
use crate::compute::Device;
use crate::photo::Matte;
use crate::vram::Usage;

/// What no job used for this long is given up.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// Runs jobs until the queue is closed.
pub(super) fn work(shared: &Arc<Shared>, pool: &rayon::ThreadPool) {
    loop {
        match shared.queue.next(IDLE) {
            Next::Job(job) => one(shared, pool, &job),
            Next::Idle => {
                let freed_bytes = shared.free_memory();
                if freed_bytes > 0 {
                    tracing::info!(freed_bytes, "gave up what was not used for a while");
                }
            }
            Next::Closed => return,
        }
    }
}

/// Runs one job to its end, whatever that is.
fn one(shared: &Arc<Shared>, pool: &rayon::ThreadPool, job: &Arc<Job>) {
    let _span = tracing::info_span!("job", id = job.id.0, image = job.request.name).entered();
    let generation = shared.vram.begin_generation();
    let archive = Archive {
        store: shared.store.as_ref(),
        build: &shared.build,
    };
    let attempt = AssertUnwindSafe(|| {
        pool.install(|| run::run(job, &shared.workbench, shared.machine(), archive))
    });
    let result = std::panic::catch_unwind(attempt).unwrap_or_else(|payload| {
        // What the panicking job had in its hands may be half made.
        shared.workbench.clear();
        let message = export::panic_message(payload.as_ref());
        Err(Stop::Failed(Failure::Panicked { message }))
    });
    let freed_bytes = shared.workbench.clear_caches();
    let kept_bytes = shared.workbench.ledger().used_bytes();
    shared.vram.report_idle(Device::Cpu, kept_bytes);
    shared.workbench.devices().settle(&shared.vram);
    tracing::info!(freed_bytes, kept_bytes, "caches cleared");
    let usage = generation.end();
    match result {
        Ok(mut made) => {
            learn(shared, job, &made);
            let made = (made.remove(0), made);
            let (outcome, drawn) = gathered(shared, job, made, usage);
            let shape = &outcome.summary.shape;
            let shapes = 1 + outcome.further.len();
            tracing::info!(shapes, faces = shape.faces, "finished");
            job.finish(Ok(outcome));
            keep::result(shared, job, drawn);
        }
        Err(Stop::Cancelled) => {
            tracing::info!("cancelled");
            job.record(Event::Cancelled);
        }
        Err(Stop::Failed(failure)) => {
            tracing::error!(%failure, "failed");
            job.finish(Err(failure));
        }
    }
}

/// Learns this machine's pace from a job that made one shape to its end.
fn learn(shared: &Shared, job: &Job, made: &[Made]) {
    let [made] = made else {
        return;
    };
    let settings = &job.request.settings;
    // Latents that were known cost no steps, and would tell of a pace that there is not.
    let is_whole = made.computed.kept_after.is_none()
        && (made.summary.stages.iter()).any(|stage| stage.name == Stage::Shape.name());
    if is_whole {
        planning::learn(
            &shared.paces,
            settings,
            &made.choice,
            shared.threads,
            &made.summary.stages,
        );
    }
}

/// The shapes of a job as one outcome, and the latents that are to be kept beside it.
fn gathered(
    shared: &Shared,
    job: &Job,
    (first, further): (Made, Vec<Made>),
    usage: Usage,
) -> (Outcome, Vec<Drawn>) {
    let matte = Matte::clone(&first.matte);
    // Others hold memory that nobody needs when the job is over.
    let is_kept = shared.store.is_some() && job.request.cache;
    let is_to_be_stored = |drawn: &Drawn| is_kept && drawn.is_to_be_stored();
    let mut drawn = Vec::new();
    let mut outcome = |place: usize, made: Made| {
        drawn.extend(made.drawn.filter(is_to_be_stored));
        Outcome {
            key: identity::key_of_shape(&job.request, place, made.computed, &shared.build),
            summary: made.summary,
            mesh: ResultMesh::new(made.mesh),
            matte: None,
            usage: None,
            further: Vec::new(),
        }
    };
    let first = outcome(0, first);
    let further = (1..).zip(further);
    let further = further.map(|(place, made)| outcome(place, made)).collect();
    let outcome = Outcome {
        matte: Some(matte),
        usage: Some(usage),
        further,
        ..first
    };
    (outcome, drawn)
}
