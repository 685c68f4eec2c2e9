//! The solid of `inflate` as kernels: values and surfaces the same as the processor's, to the last bit.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use orfeas::compute::Context;
use orfeas::compute::kernels::{
    IsosurfaceStep as Step, SolidFillParams, SolidMaps, SolidVerticesParams,
};
use orfeas::compute::ledger::Ledger;
use orfeas::field::{Brick, DenseGrid, Field};
use orfeas::inflate::{Back, Controls, Inflate, Mode, Solid};
use orfeas::mesh::Mesh;
use orfeas::mesh::isosurface;
use orfeas::photo::{self, Limits, MatteRequest};

use crate::kernels_emulator::{Build, Memory};
use crate::kernels_isosurface::{Extraction, assert_same, int3, never};
use crate::solids::canonical;

fn context() -> Context {
    Context {
        gpu: None,
        ledger: Ledger::with_budget(1 << 30),
        cancel: orfeas::compute::Cancel::default(),
    }
}

fn solid(image: &[u8], controls: &Controls, level: u32) -> Solid {
    let photo = photo::decode(image, &Limits::default()).unwrap();
    let matte = photo::matte(&photo, &MatteRequest::default(), &never).unwrap();
    let cutout = photo::cut_out(&photo, &matte).unwrap();
    let mut source = Inflate::new(Arc::new(cutout));
    source.solid(controls, level, &context()).unwrap()
}

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples");
    fs::read(folder.join(name)).unwrap()
}

/// A solid of every kind, and what the controls change of it.
fn solids() -> Vec<(&'static str, Solid)> {
    let plain = Controls::default();
    let flat = Controls {
        back: Back::Flat,
        thickness: 1.7,
        ..plain
    };
    let mirrored = Controls {
        back: Back::Mirror,
        thickness: 0.6,
        detail: 1.0,
        ..plain
    };
    let views = canonical();
    let picture = |name: &str| {
        let view = views.iter().find(|view| view.name == name).unwrap();
        view.picture(160)
    };
    [
        ("character", picture("character"), plain),
        ("star, flat back", picture("star"), flat),
        ("vase, mirrored", picture("vase"), mirrored),
        ("box", picture("box"), plain),
        ("box, flat back", picture("box"), flat),
        ("ampersand", sample("ampersand.png"), plain),
        ("pebbles", sample("pebbles.jpg"), plain),
    ]
    .map(|(name, image, controls)| (name, solid(&image, &controls, 32)))
    .into()
}

/// Puts a solid's maps into a device's memory.
fn put_maps(memory: &mut Memory, solid: &Solid) -> SolidMaps {
    let description = solid.description();
    let mut put = |map: &[f32]| memory.put(bytemuck::cast_slice(map));
    SolidMaps {
        squared_height: put(description.squared_height),
        inverse_diameter: put(description.inverse_diameter),
        raised: description.raised.map_or(0, put),
    }
}

/// The surface of a solid, by the kernels from its maps on.
fn extract(solid: &Solid, level: u32, build: Build) -> Mesh {
    let survey = isosurface::survey(solid, level, &never).unwrap();
    let lattice = survey.lattice();
    let mut device = Extraction::new(lattice, build);
    let maps = put_maps(&mut device.memory, solid);
    let places: Vec<u16> = (survey.places().iter())
        .flat_map(|place| [place[0], place[1], place[2], 0])
        .collect();
    let filled = survey.places().len();
    device.params.places = device.memory.put(bytemuck::cast_slice::<u16, u8>(&places));
    device.params.values = device.room(filled * 729 * 4);
    let fill = SolidFillParams {
        values: device.params.values,
        places: device.params.places,
        maps,
        solid: solid.description().shape,
        origin: lattice.origin,
        step: lattice.step,
        samples: [9; 3],
        padding: 0,
    };
    device.run(&fill.launch(filled as u32).unwrap());
    let kept = device.keep(filled, Step::FindMixed);
    let [vertices, faces, open, missed] = device.count(kept);
    assert_eq!((open, missed), (0, 0));
    device.room_for_mesh(vertices, faces);
    let place = SolidVerticesParams {
        maps,
        surface: device.params,
        solid: solid.description().shape,
    };
    device.run(&place.launch().unwrap());
    device.step(Step::Faces);
    device.mesh(open).unwrap()
}

#[test]
fn the_surface_of_every_kind_of_solid_is_the_processors() {
    let solids = solids();
    let modes: Vec<Mode> = solids.iter().map(|(_, solid)| solid.mode()).collect();
    for mode in [
        Mode::Puffy,
        Mode::Lathe,
        Mode::Slab,
        Mode::Cuboid,
        Mode::Relief,
    ] {
        assert!(modes.contains(&mode), "{mode} among {modes:?}");
    }
    for (name, solid) in solids {
        let survey = isosurface::survey(&solid, 32, &never).unwrap();
        let expected = isosurface::extract(&solid, &survey, &never).unwrap();
        let found = extract(&solid, 32, Build::Ampere);
        assert_same(name, &found, &expected);
    }
}

#[test]
fn a_surface_stays_within_its_memory() {
    let (name, solid) = &solids()[4];
    let survey = isosurface::survey(solid, 16, &never).unwrap();
    let expected = isosurface::extract(solid, &survey, &never).unwrap();
    assert_same(name, &extract(solid, 16, Build::Sanitized), &expected);
}

#[test]
fn a_block_of_points_has_the_processors_values() {
    for (name, solid) in solids() {
        let extent = solid.extent();
        // Ragged, and beyond the maps on every side.
        let brick = Brick {
            origin: extent.min.map(|least| least - 0.3),
            step: 0.07,
            samples: [23, 19, 11],
        };
        let expected = DenseGrid::sample(&solid, brick).unwrap();
        for build in [Build::Ampere, Build::Sanitized] {
            let mut memory = Memory::default();
            let params = SolidFillParams {
                values: memory.put(&vec![0xee; brick.len() * 4]),
                places: 0,
                maps: put_maps(&mut memory, &solid),
                solid: solid.description().shape,
                origin: brick.origin,
                step: brick.step,
                samples: int3(brick.samples),
                padding: 0,
            };
            memory.advance(&params.launch(1).unwrap(), build);
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(
                bits(&memory.get::<f32>(params.values)) == bits(expected.values()),
                "{name} {build:?}"
            );
        }
    }
}
