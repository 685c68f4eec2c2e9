//! What the worker keeps between jobs: its context, the last subject, so that moving a control does not
//! cut the subject out again, and the last model, so that its weights are not read again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::archive::Known;
use super::devices::Devices;
use super::job::Job;
use crate::compute::{Context, Gpu, Ledger, Reservation};
use crate::inflate::Inflate;
use crate::mesh::Texture;
use crate::models::library::Library;
use crate::models::published::Published;
use crate::models::triposg::TripoSg;
use crate::models::triposr::TripoSr;
use crate::photo::{self, Atlas, BackColours, Cutout, Limits, Matte, MatteRequest};
use crate::vram::Choice;

/// A cut-out subject and everything made of it that other controls can use again.
pub(super) struct Subject {
    pub(super) matte: Arc<Matte>,
    pub(super) cutout: Arc<Cutout>,
    pub(super) source: Inflate,
    pub(super) quick_colours: Arc<Texture>,
    pub(super) colours: Option<(BackColours, Arc<Texture>)>,
    pub(super) warnings: Vec<String>,
    /// The latents of its shapes, for a job that meshes them otherwise.
    pub(super) known: Known,
    _memory: Vec<Reservation>,
}

impl Subject {
    pub(super) fn new(
        matte: Matte,
        cutout: Cutout,
        warnings: Vec<String>,
        memory: Vec<Reservation>,
    ) -> Self {
        let quick_colours = texture(photo::quick_atlas(&cutout));
        let cutout = Arc::new(cutout);
        let source = Inflate::new(Arc::clone(&cutout));
        Self {
            matte: Arc::new(matte),
            cutout,
            source,
            quick_colours,
            colours: None,
            warnings,
            known: Known::default(),
            _memory: memory,
        }
    }
}

/// An atlas as the texture of a mesh.
pub(super) fn texture(atlas: Atlas) -> Arc<Texture> {
    Arc::new(Texture {
        width: atlas.width,
        height: atlas.height,
        pixels: atlas.pixels,
    })
}

struct Kept {
    image: Arc<[u8]>,
    matte: MatteRequest,
    subject: Subject,
}

/// A model whose weights are in memory.
#[derive(Clone)]
pub(super) enum Model {
    TripoSr(Arc<TripoSr>),
    TripoSg(Arc<TripoSg>),
}

/// A model, and how its weights are held.
struct KeptModel {
    digest: String,
    /// How it is held; the level is of no account.
    choice: Choice,
    model: Model,
}

impl KeptModel {
    fn is_held_as(&self, choice: &Choice) -> bool {
        let chunk = match self.model {
            Model::TripoSr(_) => self.choice.chunk,
            // How much at once is told to it with each run.
            Model::TripoSg(_) => choice.chunk,
        };
        let kept = Choice {
            level: choice.level,
            chunk,
            ..self.choice
        };
        kept == *choice
    }
}

/// Shared by the worker, which fills it, and whoever asks for its memory back.
pub(super) struct Workbench {
    ledger: Ledger,
    limits: Limits,
    library: Library,
    devices: Devices,
    kept: Mutex<Option<Kept>>,
    model: Mutex<Option<KeptModel>>,
}

impl Workbench {
    pub(super) fn new(ledger: Ledger, limits: Limits, library: Library) -> Self {
        Self {
            ledger,
            limits,
            library,
            devices: Devices::default(),
            kept: Mutex::default(),
            model: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn context_for(&self, job: &Job, gpu: Option<Arc<Gpu>>) -> Context {
        Context {
            gpu,
            ledger: self.ledger.clone(),
            cancel: job.cancel.clone(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn library(&self) -> &Library {
        &self.library
    }

    pub(super) fn devices(&self) -> &Devices {
        &self.devices
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The last subject, if this job asks for the same one. Whatever was kept is given up otherwise, so
    /// that its memory is free for the new one.
    pub(super) fn take_subject(&self, job: &Job) -> Option<Subject> {
        let kept = self.kept().take()?;
        let same_image =
            Arc::ptr_eq(&kept.image, &job.request.image) || kept.image == job.request.image;
        (same_image && kept.matte == job.request.settings.matte).then_some(kept.subject)
    }

    /// Keeps a subject for the next job.
    pub(super) fn keep_subject(&self, job: &Job, subject: Subject) {
        *self.kept() = Some(Kept {
            image: Arc::clone(&job.request.image),
            matte: job.request.settings.matte.clone(),
            subject,
        });
    }

    fn kept_model(&self) -> MutexGuard<'_, Option<KeptModel>> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model that the last job loaded, if it is the one wanted now. Another one is given up, so that
    /// two are never in memory.
    pub(super) fn model(&self, weights: &Published, choice: &Choice) -> Option<Model> {
        let mut kept = self.kept_model();
        let wanted = kept
            .as_ref()
            .filter(|kept| kept.digest == weights.digest() && kept.is_held_as(choice));
        let wanted = wanted.map(|kept| kept.model.clone());
        if wanted.is_none() {
            *kept = None;
        }
        wanted
    }

    /// Keeps a model for the next job.
    pub(super) fn keep_model(&self, weights: &Published, choice: &Choice, model: &Model) {
        *self.kept_model() = Some(KeptModel {
            digest: weights.digest().to_owned(),
            choice: *choice,
            model: model.clone(),
        });
    }

    /// Gives up what only the finest levels of the last job needed, and tells how many bytes that freed.
    pub(super) fn clear_caches(&self) -> u64 {
        let before = self.ledger.used_bytes();
        if let Some(kept) = &mut *self.kept() {
            kept.subject.source.trim();
        }
        before.saturating_sub(self.ledger.used_bytes())
    }

    /// Gives up everything that no job uses, and tells how many bytes of the ledgers that freed.
    pub(super) fn clear(&self) -> u64 {
        let used = || self.ledger.used_bytes() + self.devices.used_bytes();
        let before = used();
        drop(self.kept().take());
        drop(self.kept_model().take());
        before.saturating_sub(used())
    }
}
