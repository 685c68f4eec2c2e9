//! The part of the story that a neural source has to itself: weights, one pass, and a surface that has its
//! colours from the same field.

use std::sync::Arc;

use super::super::events::Stage;
use super::super::failure::Stop;
use super::super::settings::Source;
use super::super::workbench::{Subject, Workbench};
use super::Run;
use crate::field::Field;
use crate::mesh::{Mesh, bake, isosurface, placement, unwrap};
use crate::models::triposr::{Scene, TripoSr};
use crate::vram::Choice;

/// Texels of the texture along a cell of the finest level, where there is room.
const TEXELS_A_CELL: f64 = 4.0;

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
            None => workbench.library().open_triposr(None)?,
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

    /// Meshes a scene at one of the coarser levels, colours its vertices and places it in the unit box.
    pub(super) fn scene_surface(&mut self, scene: &Scene, level: u32) -> Result<Mesh, Stop> {
        let mut mesh = self.stage(Stage::Surface(level), |run| run.extract(scene, level))?;
        mesh.colours = self.stage(Stage::Colour, |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            let colours = scene.colours(&mesh.positions, &cancelled);
            scene.failure()?;
            let colours = colours.ok_or(Stop::Cancelled)?.into_iter();
            Ok(colours
                .map(|colour| {
                    let [red, green, blue] = bytes(colour);
                    [red, green, blue, u8::MAX]
                })
                .collect())
        })?;
        placement::normalise(&mut mesh)?;
        Ok(mesh)
    }

    /// Meshes a scene at its finest level, places it in the unit box, reduces it where asked, and paints a
    /// texture for what is left with the colours of the scene.
    pub(super) fn painted_surface(
        &mut self,
        scene: &Scene,
        level: u32,
        target_faces: Option<usize>,
    ) -> Result<Mesh, Stop> {
        let (mesh, placement) = self.stage(Stage::Surface(level), |run| {
            let mut mesh = run.extract(scene, level)?;
            let placement = placement::normalise(&mut mesh)?;
            Ok((run.reduce(mesh, target_faces)?, placement))
        })?;
        let extent = scene.extent();
        let cell = f64::from(extent.max[0] - extent.min[0]) / f64::from(level) * placement.scale;
        let texels = TEXELS_A_CELL / cell;
        self.stage(Stage::Colour, |run| {
            let cancelled = || run.context.cancel.is_cancelled();
            let ledger = &run.context.ledger;
            let memory =
                ledger.reserve(unwrap::bytes(&mesh, texels), "the charts of the surface")?;
            let unwrapped = unwrap::unwrap(&mesh, texels, &cancelled);
            let unwrapped = unwrapped.ok_or(Stop::Cancelled)?;
            drop((mesh, memory));
            let _memory = ledger.reserve(bake::bytes(unwrapped.side), "the texture")?;
            let painted = bake::bake(unwrapped, &mut |points| {
                let points: Vec<_> = points.iter().map(|&p| placement.invert(p)).collect();
                let colours = scene.colours(&points, &cancelled)?;
                Some(colours.into_iter().map(bytes).collect())
            });
            scene.failure()?;
            painted.ok_or(Stop::Cancelled)
        })
    }

    /// The surface of a scene, in the field's frame.
    fn extract(&self, scene: &Scene, level: u32) -> Result<Mesh, Stop> {
        let cancelled = || self.context.cancel.is_cancelled();
        let field: &dyn Field = scene;
        let survey = isosurface::survey(field, level, &cancelled)?;
        let _memory = self.context.ledger.reserve(survey.bytes(), "the surface")?;
        let surface = isosurface::extract(field, &survey, &cancelled);
        // What the device could not evaluate is no surface.
        scene.failure()?;
        Ok(surface?)
    }
}

fn bytes(colour: [f32; 3]) -> [u8; 3] {
    colour.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8)
}
