//! The part of the story that a neural source has to itself: weights, one pass, and a surface that has its
//! colours from the same field.

use std::sync::Arc;

use super::super::archive::Drawn;
use super::super::events::Stage;
use super::super::failure::Stop;
use super::super::settings::Source;
use super::super::workbench::{Model, Subject, Workbench};
use super::Run;
use super::latent::LatentShape;
use crate::compute::Context;
use crate::field::Field;
use crate::mesh::{Mesh, bake, isosurface, placement, unwrap};
use crate::models::published::{Published, Sizes};
use crate::models::triposg::TripoSg;
use crate::models::triposr::{Scene, TripoSr};
use crate::vram::{Choice, Residency};

/// Texels of the texture along a cell of the finest level, where there is room.
const TEXELS_A_CELL: f64 = 4.0;

/// What a neural model made of the subject.
pub(super) enum Maker {
    /// A scene, whose mesh is the one shape there is.
    Scene(Box<Scene>),
    /// Latents, which are known, of every shape.
    Latents(Arc<TripoSg>),
}

/// One shape of it.
pub(super) enum Neural<'a> {
    Scene(&'a Scene),
    Latent(Box<LatentShape>),
}

impl Neural<'_> {
    /// Which source made it.
    pub(super) fn source(&self) -> Source {
        match self {
            Self::Scene(_) => Source::TripoSr,
            Self::Latent(_) => Source::TripoSg,
        }
    }

    /// Its latents, where it has any.
    pub(super) fn drawn(&self) -> Option<&Drawn> {
        match self {
            Self::Scene(_) => None,
            Self::Latent(shape) => Some(shape.drawn()),
        }
    }
}

impl Run<'_> {
    /// What a neural model makes of the subject, for the shapes from the one at `first` on; `None` where the
    /// job asks for the embedded source.
    pub(super) fn maker(
        &mut self,
        subject: &Subject,
        workbench: &Workbench,
        choice: &Choice,
        first: usize,
    ) -> Result<Option<Maker>, Stop> {
        let settings = &self.job.request.settings;
        let Some(wanted) = settings.source.model() else {
            return Ok(None);
        };
        let weights = match &settings.weights {
            Some(weights) => Arc::clone(weights),
            // They could not be opened when the job was queued; by now they can, or it is told why not.
            None => workbench.library().open(wanted, None)?,
        };
        let missing = match weights.sizes() {
            Sizes::TripoSr(_) => Vec::new(),
            Sizes::TripoSg(config) => self.missing_shapes(config, choice, first)?,
        };
        let only_meshes = matches!(weights.sizes(), Sizes::TripoSg(_)) && missing.is_empty();
        let model = match workbench.model(&weights, choice) {
            Some(model) => model,
            None if only_meshes => {
                // The decoder is read when its turn comes, and nothing else.
                let staged = Choice {
                    residency: choice.residency.max(Residency::Staged),
                    ..*choice
                };
                self.stage(Stage::Load, |run| load(&weights, &staged, &run.context))?
            }
            None => self.stage(Stage::Load, |run| load(&weights, choice, &run.context))?,
        };
        let maker = match &model {
            Model::TripoSr(model) => self.stage(Stage::Shape, |run| {
                let scene = model.scene(&subject.cutout, &run.context)?;
                Ok(Maker::Scene(Box::new(scene)))
            })?,
            Model::TripoSg(model) => {
                self.refine(model, subject, choice, &missing)?;
                Maker::Latents(Arc::clone(model))
            }
        };
        if !only_meshes {
            workbench.keep_model(&weights, choice, &model);
        }
        Ok(Some(maker))
    }

    /// One of the shapes, counted from 0.
    pub(super) fn neural<'a>(
        &mut self,
        maker: &'a Maker,
        place: usize,
        choice: &Choice,
    ) -> Result<Neural<'a>, Stop> {
        Ok(match maker {
            Maker::Scene(scene) => Neural::Scene(scene),
            Maker::Latents(model) => {
                Neural::Latent(Box::new(self.latent_shape(model, place, choice)?))
            }
        })
    }

    /// The shape's mesh at one of the coarser levels, in the unit box.
    pub(super) fn neural_surface(
        &mut self,
        neural: &mut Neural<'_>,
        subject: &mut Subject,
        level: u32,
    ) -> Result<Mesh, Stop> {
        match neural {
            Neural::Scene(scene) => self.scene_surface(scene, level),
            Neural::Latent(shape) => self.latent_surface(shape, subject, level),
        }
    }

    /// The shape's mesh at the finest level, in the unit box, reduced where asked.
    pub(super) fn finest_neural_surface(
        &mut self,
        neural: &mut Neural<'_>,
        subject: &mut Subject,
        level: u32,
    ) -> Result<Mesh, Stop> {
        let target_faces = self.job.request.settings.simplify_to_faces;
        match neural {
            Neural::Scene(scene) => self.painted_surface(scene, level, target_faces),
            Neural::Latent(shape) => {
                self.finest_latent_surface(shape, subject, level, target_faces)
            }
        }
    }

    /// Meshes a scene at one of the coarser levels, colours its vertices and places it in the unit box.
    fn scene_surface(&mut self, scene: &Scene, level: u32) -> Result<Mesh, Stop> {
        let mut mesh = self.stage(Stage::Surface(level), |run| run.extract_scene(scene, level))?;
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
    fn painted_surface(
        &mut self,
        scene: &Scene,
        level: u32,
        target_faces: Option<usize>,
    ) -> Result<Mesh, Stop> {
        let (mesh, placement) = self.stage(Stage::Surface(level), |run| {
            let mut mesh = run.extract_scene(scene, level)?;
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
    fn extract_scene(&self, scene: &Scene, level: u32) -> Result<Mesh, Stop> {
        let cancelled = || self.context.cancel.is_cancelled();
        let survey = isosurface::survey(scene, level, &cancelled)?;
        let _memory = self.context.ledger.reserve(survey.bytes(), "the surface")?;
        let surface = self.extract(scene, &survey);
        // What the device could not evaluate is no surface.
        scene.failure()?;
        surface
    }
}

fn bytes(colour: [f32; 3]) -> [u8; 3] {
    colour.map(|channel| (channel.clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// Reads a model's weights into memory, or as many of them as are to stay there.
fn load(weights: &Published, choice: &Choice, context: &Context) -> Result<Model, Stop> {
    let (precision, residency) = (choice.precision, choice.residency);
    let tensors = weights.weights();
    Ok(match weights.sizes().clone() {
        Sizes::TripoSr(config) => {
            let model = TripoSr::load(config, tensors, precision, residency, context)?;
            Model::TripoSr(Arc::new(model.with_chunk(choice.chunk)))
        }
        Sizes::TripoSg(config) => {
            // Before minutes of steps rather than after them.
            if let Some(gpu) = &context.gpu {
                super::latent_samples::check(gpu)?;
            }
            Model::TripoSg(Arc::new(TripoSg::load(
                config, tensors, precision, residency, context,
            )?))
        }
    })
}
