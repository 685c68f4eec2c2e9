//! The worker's life: one job after another, until the queue is closed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use super::events::Event;
use super::failure::{Failure, Stop};
use super::job::{Job, Outcome};
use super::queue::Next;
use super::result_mesh::ResultMesh;
use super::{Shared, export, identity, keep, planning, run};
use crate::compute::Device;

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
    let attempt =
        AssertUnwindSafe(|| pool.install(|| run::run(job, &shared.workbench, &shared.vram)));
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
        Ok(made) => {
            if made.computed.kept_after.is_none() {
                let (settings, stages) = (&job.request.settings, &made.summary.stages);
                planning::learn(
                    &shared.paces,
                    settings,
                    &made.choice,
                    shared.threads,
                    stages,
                );
            }
            let outcome = Outcome {
                key: identity::key(&job.request, made.computed, &shared.build),
                summary: made.summary,
                mesh: ResultMesh::new(made.mesh),
                matte: Some(made.matte),
                usage: Some(usage),
            };
            tracing::info!(faces = outcome.summary.shape.faces, "finished");
            job.finish(Ok(outcome));
            keep::result(shared, job);
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
