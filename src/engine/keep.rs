//! Keeping finished results on disk: in the cache for whoever asks for the same, in the history for the
//! user. Runs on the export thread; a store that refuses costs a warning and never a result.

use std::sync::Arc;

use super::Shared;
use super::archive::Drawn;
use super::job::{Job, Outcome};
use crate::photo::MatteWish;
use crate::store::{NewRecord, Store, StoreError};

/// Puts a finished job's result where its request wants it kept, behind the exports that wait: every shape,
/// and the latents that are to be kept beside it.
pub(super) fn result(shared: &Arc<Shared>, job: &Arc<Job>, drawn: Vec<Drawn>) {
    let Some(store) = shared.store.clone() else {
        return;
    };
    if !job.request.cache && !job.request.history {
        return;
    }
    let task = {
        let job = Arc::clone(job);
        move || {
            drawn.iter().for_each(|drawn| drawn.store(&store));
            if let Some(Ok(outcome)) = job.result() {
                for (place, shape) in outcome.shapes().enumerate() {
                    keep(&store, &job, place, shape);
                }
            }
        }
    };
    if let Err(error) = shared.exporter.run(task) {
        tracing::warn!(job = job.id.0, %error, "the result is not kept on disk");
    }
}

fn keep(store: &Store, job: &Job, place: usize, outcome: &Outcome) {
    let Some(mesh) = outcome.mesh.in_memory() else {
        return;
    };
    let summary = match serde_json::to_value(&outcome.summary) {
        Ok(summary) => summary,
        Err(error) => {
            tracing::error!(%error, "a summary has no form as JSON");
            return;
        }
    };
    let warn = |place: &str, error: StoreError| {
        tracing::warn!(
            job = job.id.0,
            place,
            "the result is not kept on disk: {error}"
        );
    };
    if job.request.cache {
        match store.cache().put(&outcome.key, &summary, &mesh) {
            Ok(entry) => outcome.mesh.kept_as(entry),
            Err(error) => warn("cache", error),
        }
    }
    if job.request.history {
        let matte_image = matte_image(&job.request.settings.matte.wish);
        let record = NewRecord {
            image: &job.request.image,
            image_name: &job.request.name,
            matte_image: matte_image.as_deref(),
            settings: &job.request.settings.of_shape(place).to_json(),
            summary: &summary,
            mesh: &mesh,
        };
        if let Err(error) = store.history().add(&record) {
            warn("history", error);
        }
    }
}

/// The image that was the matte, as a file: a request holds its pixels only.
fn matte_image(wish: &MatteWish) -> Option<Vec<u8>> {
    let MatteWish::User(photo) = wish else {
        return None;
    };
    photo
        .to_png()
        .map_err(|error| tracing::warn!("the matte is not kept in the history: {error}"))
        .ok()
}
