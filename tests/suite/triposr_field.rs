//! TripoSR's field between its samples: what culling leaves out, and how sparse fine levels are.

use std::sync::Arc;

use orfeas::compute::{Cancel, Context, Ledger, Precision};
use orfeas::field::{Bounds, Brick, Field, Region};
use orfeas::mesh::isosurface;
use orfeas::models::triposr::{Config, EncoderConfig, Scene, TripoSr};
use orfeas::models::weights::Weights;
use orfeas::photo::{self, Limits};
use orfeas::vram::Residency;

use crate::pictures;
use crate::weights::reference;

/// The field that the reference model makes of a disc, its densities raised until it has a surface.
fn scene() -> Scene {
    let folder = reference().join("triposr");
    let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let size = |name: &str| json["vit"][name].as_u64().unwrap() as usize;
    let encoder = EncoderConfig {
        width: size("hidden_size"),
        heads: size("num_attention_heads"),
        layers: size("num_hidden_layers"),
        hidden: size("intermediate_size"),
        patch: size("patch_size"),
        trained_side: size("image_size"),
    };
    let yaml = std::fs::read_to_string(folder.join("repo/config.yaml")).unwrap();
    let mut config = Config::from_yaml(&yaml, encoder).unwrap();
    config.density_bias += 25.0_f32.ln();
    let weights = Arc::new(Weights::open(&folder.join("repo/model.ckpt")).unwrap());
    let context = Context {
        gpu: None,
        ledger: Ledger::unlimited(),
        cancel: Cancel::default(),
    };
    let resident = Residency::Resident;
    let model = TripoSr::load(config, weights, Precision::F32, resident, &context).unwrap();
    let photo = photo::decode(&pictures::disc_png(96), &Limits::default()).unwrap();
    let matte = photo::matte(&photo, &Default::default(), &|| false).unwrap();
    let cutout = photo::cut_out(&photo, &matte).unwrap();
    model.scene(&cutout, &context).unwrap()
}

/// The same field without any knowledge of where its surface is.
struct Everywhere<'a>(&'a Scene);

impl Field for Everywhere<'_> {
    fn extent(&self) -> Region {
        self.0.extent()
    }

    fn fill(&self, brick: &Brick, values: &mut [f32]) {
        self.0.fill(brick, values);
    }

    fn bounds(&self, _: &Region) -> Bounds {
        Bounds {
            min: f32::NEG_INFINITY,
            max: f32::INFINITY,
        }
    }

    fn value_and_gradient(&self, point: [f32; 3]) -> Option<(f32, [f32; 3])> {
        self.0.value_and_gradient(point)
    }
}

/// The dense grid is the judge: where bricks are left out, no surface is.
#[test]
fn culling_leaves_no_surface_out() {
    let scene = scene();
    let never = || false;
    for level in [64, 128] {
        let dense = isosurface::survey(&Everywhere(&scene), level, &never).unwrap();
        assert_eq!(dense.share(), 1.0);
        let expected = isosurface::extract(&Everywhere(&scene), &dense, &never).unwrap();
        let culled = isosurface::survey(&scene, level, &never).unwrap();
        let mesh = isosurface::extract(&scene, &culled, &never).unwrap();
        println!(
            "level {level}: {:.0} % of bricks, {} faces",
            100.0 * culled.share(),
            mesh.triangles.len()
        );
        assert!(mesh.triangles.len() > 1000, "there is next to no surface");
        assert_eq!(mesh.triangles.len(), expected.triangles.len(), "{level}");
        assert!(mesh == expected, "other numbers at level {level}");
        assert!(culled.share() < 0.9, "nothing is left out");
    }
}

/// Bricks near a surface are four times as many at twice the level; all bricks would be eight times.
#[test]
fn fine_levels_are_sparse() {
    let scene = scene();
    let bricks = |level| {
        let survey = isosurface::survey(&scene, level, &|| false).unwrap();
        survey.bricks() as f64
    };
    let counts = [128, 256, 512].map(bricks);
    println!("{counts:?} bricks");
    assert!(counts[2] < 6.0 * counts[1], "{counts:?}");
}
