//! The part of the story that a neural source has to itself: weights, one pass, and a surface that is
//! coloured at its vertices.

use std::sync::Arc;

use super::super::events::Stage;
use super::super::failure::Stop;
use super::super::settings::Source;
use super::super::workbench::{Subject, Workbench};
use super::Run;
use crate::field::Field;
use crate::mesh::{Mesh, isosurface, placement};
use crate::models::triposr::{Scene, TripoSr};
use crate::vram::Choice;

impl Run<'_> {
    /// The field that a neural model makes of the subject; `None` where the job asks for the embedded
    /// source.
    pub(super) fn scene(
        &mut self,
        subject: &Subject,
        workbench: &Workbench,
        choice: &Choice,
    ) -> Result<Option<Scene>, Stop> {
        let settings = &self.job.request.settings;
        if settings.source != Source::TripoSr {
            return Ok(None);
        }
        let weights = match &settings.weights {
            Some(weights) => Arc::clone(weights),
            // They could not be opened when the job was queued; by now they can, or it is told why not.
            None => Arc::new(workbench.library().open_triposr(None)?),
        };
        let model = match workbench.model(&weights, choice) {
            Some(model) => model,
            None => self.stage(Stage::Load, |run| {
                let config = weights.config().clone();
                let (precision, residency) = (choice.precision, choice.residency);
                let tensors = weights.weights();
                let model = TripoSr::load(config, tensors, precision, residency, &run.context)?;
                Ok(Arc::new(model.with_chunk(choice.chunk)))
            })?,
        };
        let scene = self.stage(Stage::Shape, |run| {
            Ok(model.scene(&subject.cutout, &run.context)?)
        })?;
        workbench.keep_model(&weights, choice, &model);
        Ok(Some(scene))
    }

    /// Meshes a scene at one level, colours its vertices and places it in the unit box.
    pub(super) fn scene_surface(&mut self, scene: &Scene, level: u32) -> Result<Mesh, Stop> {
        let mut mesh = self.stage(Stage::Surface(level), |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            let field: &dyn Field = scene;
            let survey = isosurface::survey(field, level, &cancelled)?;
            let _memory = run.context.ledger.reserve(survey.bytes(), "the surface")?;
            let surface = isosurface::extract(field, &survey, &cancelled);
            // What the device could not evaluate is no surface.
            scene.failure()?;
            Ok(surface?)
        })?;
        mesh.colours = self.stage(Stage::Colour, |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            let colours = scene.colours(&mesh.positions, &cancelled);
            scene.failure()?;
            let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
            let colours = colours.ok_or(Stop::Cancelled)?.into_iter();
            Ok(colours
                .map(|[red, green, blue]| [byte(red), byte(green), byte(blue), u8::MAX])
                .collect())
        })?;
        placement::normalise(&mut mesh)?;
        Ok(mesh)
    }
}
