//! Pictures drawn without a window, with every graphics adapter there is.
//!
//! Without one these tests say that they were skipped; where `CI` is set they fail instead.
//! `ORFEAS_BLESS=1` writes the reference pictures anew.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glam::Vec3;
use orfeas::mesh::{Mesh, Texture};
use orfeas::view::offscreen::{PictureError, PictureOptions, RgbaPicture, Studio};
use orfeas::view::{
    Camera, DrawError, Frame, GpuLines, GpuMesh, Meshes, Overlays, Prepared, Preset,
    RendererOptions, SHADERS, Shading, Target, Theme, Upload,
};

use super::skip;
use super::view_mesh::{cuboid, sphere};

const BARE: Overlays = Overlays {
    wireframe: false,
    grid: false,
    axes: false,
    shadow: false,
};

/// A studio on the adapter that the system prefers.
fn studio() -> Option<Studio> {
    match Studio::new() {
        Ok(studio) => Some(studio),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

/// A studio on one adapter of each kind of driver.
fn studios() -> Vec<(wgpu::Backend, Studio)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut studios: Vec<(wgpu::Backend, Studio)> = Vec::new();
    for adapter in adapters {
        let backend = adapter.get_info().backend;
        if studios.iter().all(|(known, _)| *known != backend)
            && let Ok(studio) = Studio::on_adapter(&adapter, &RendererOptions::default())
        {
            println!("drawing with {backend}");
            studios.push((backend, studio));
        }
    }
    if studios.is_empty() {
        skip("no graphics adapter was found");
    }
    studios
}

fn upload(studio: &Studio, mesh: &Mesh) -> GpuMesh {
    GpuMesh::new(studio.renderer(), Arc::new(Prepared::new(mesh).unwrap()))
}

/// A ball on a block, in two colours.
fn ball_on_block() -> Mesh {
    let mut mesh = cuboid(Vec3::new(-0.5, -0.5, -0.3), Vec3::new(0.5, -0.2, 0.3));
    mesh.colours = vec![[200, 120, 40, 255]; mesh.positions.len()];
    let ball = sphere(24, 48, Vec3::new(0.05, 0.15, 0.0), 0.35);
    let first = mesh.positions.len() as u32;
    mesh.colours.resize(
        mesh.positions.len() + ball.positions.len(),
        [70, 110, 200, 255],
    );
    mesh.positions.extend(ball.positions);
    mesh.normals.extend(ball.normals);
    mesh.triangles.extend(
        ball.triangles
            .iter()
            .map(|triangle| triangle.map(|vertex| vertex + first)),
    );
    mesh
}

/// The root of the mean square difference, in steps of an 8-bit channel.
fn difference(one: &RgbaPicture, other: &RgbaPicture) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let (one, other) = (one.pixels.as_flattened(), other.pixels.as_flattened());
    let sum: f64 = one
        .iter()
        .zip(other)
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    (sum / one.len() as f64).sqrt()
}

fn pixel(picture: &RgbaPicture, x: u32, y: u32) -> [u8; 4] {
    picture.pixels[(y * picture.width + x) as usize]
}

#[test]
fn every_shader_is_valid_and_known() {
    use wgpu::naga::{front::wgsl, valid};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wgsl") {
            continue;
        }
        files += 1;
        let name = path.file_stem().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&path).unwrap();
        // What comes before the others stands alone.
        let before = if name == "frame" {
            ""
        } else {
            let (_, before, embedded) = SHADERS
                .iter()
                .find(|(known, ..)| *known == name)
                .unwrap_or_else(|| panic!("nothing uses {name}.wgsl"));
            assert_eq!(*embedded, source);
            before
        };
        let whole = format!("{before}\n{source}");
        let module = wgsl::parse_str(&whole)
            .unwrap_or_else(|error| panic!("{name}.wgsl: {}", error.emit_to_string(&whole)));
        valid::Validator::new(valid::ValidationFlags::all(), valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|error| panic!("{name}.wgsl: {error:?}"));
    }
    assert_eq!(files, SHADERS.len() + 1);
}

#[test]
fn pictures_look_as_they_did() {
    for (backend, studio) in studios() {
        let mesh = upload(&studio, &ball_on_block());
        let camera = Camera::framing(&mesh.bounds(), Preset::ThreeQuarter, 1.0);
        let line = [[[-0.5, -0.2, 0.3], [0.5, -0.2, 0.3]]];
        let lines = GpuLines::new(studio.renderer(), &line);
        let base = Frame {
            meshes: Meshes::One(&mesh),
            overlays: Overlays {
                axes: false,
                ..Overlays::default()
            },
            ..Frame::new([96, 96], camera)
        };
        let everything = Overlays {
            wireframe: true,
            grid: true,
            axes: true,
            shadow: true,
        };
        let frames = [
            ("painted", base),
            (
                "clay_light",
                Frame {
                    shading: Shading::Clay,
                    theme: Theme::Light,
                    ..base
                },
            ),
            (
                "matcap",
                Frame {
                    shading: Shading::Matcap,
                    ..base
                },
            ),
            (
                "overlays",
                Frame {
                    shading: Shading::Normals,
                    camera: camera.other_projection(),
                    overlays: everything,
                    highlight: lines.as_ref(),
                    ..base
                },
            ),
        ];
        let mut pictures = Vec::new();
        for (name, frame) in frames {
            let picture = studio.frame(&frame).unwrap();
            let reference = reference(name, &picture);
            let off = difference(&picture, &reference);
            assert!(
                off < 3.0,
                "{name} with {backend}: {off:.2} steps from its reference"
            );
            // The control: a mode that were not drawn at all would be found out.
            for (other_name, other) in &pictures {
                let apart = difference(other, &reference);
                assert!(
                    apart > 12.0,
                    "{name} and {other_name} differ by {apart:.2} only"
                );
            }
            pictures.push((name, picture));
        }
    }
}

/// The reference picture of that name, written first where that is asked for.
fn reference(name: &str, picture: &RgbaPicture) -> RgbaPicture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/view");
    let path: PathBuf = folder.join(format!("{name}.png"));
    if env::var_os("ORFEAS_BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        let bytes = picture.pixels.as_flattened();
        let (width, height) = (picture.width, picture.height);
        image::save_buffer(&path, bytes, width, height, image::ColorType::Rgba8).unwrap();
    }
    let image = image::open(&path)
        .unwrap_or_else(|error| panic!("{error}: {}", path.display()))
        .into_rgba8();
    RgbaPicture {
        width: image.width(),
        height: image.height(),
        pixels: image.pixels().map(|pixel| pixel.0).collect(),
    }
}

#[test]
fn slices_make_the_same_mesh_as_one_upload() {
    let Some(studio) = studio() else { return };
    let mut mesh = sphere(200, 400, Vec3::ZERO, 0.5);
    mesh.uvs = mesh
        .positions
        .iter()
        .map(|p| [p[0] + 0.5, 0.5 - p[1]])
        .collect();
    mesh.texture = Some(Arc::new(stripes(700, 500)));
    let prepared = Arc::new(Prepared::new(&mesh).unwrap());
    let whole = GpuMesh::new(studio.renderer(), Arc::clone(&prepared));
    let mut upload = Upload::new(Arc::clone(&prepared));
    let mut steps = 1;
    let mut progress = upload.progress();
    let sliced = loop {
        if let Some(mesh) = upload.step(studio.renderer(), 1) {
            break mesh;
        }
        assert!(upload.progress() >= progress);
        progress = upload.progress();
        steps += 1;
    };
    assert!(steps > prepared.chunks().len(), "{steps} steps");
    assert_eq!(sliced.triangle_count(), mesh.triangles.len());
    assert_eq!(sliced.size_bytes(), prepared.size_bytes());
    let options = PictureOptions::default();
    let [one, other] = [&whole, &sliced].map(|mesh| studio.picture_of(mesh, &options).unwrap());
    assert!(
        one == other,
        "the pictures differ by {}",
        difference(&one, &other)
    );
}

/// Red above, blue below, with fine lines.
fn stripes(width: usize, height: usize) -> Texture {
    let pixels = (0..width * height)
        .map(|index| {
            let (x, y) = (index % width, index / width);
            let fine = if x % 16 == 0 { 40 } else { 0 };
            if y < height / 2 {
                [200, 20 + fine, 20]
            } else {
                [20, 20 + fine, 200]
            }
        })
        .collect();
    Texture {
        width,
        height,
        pixels,
    }
}

#[test]
fn a_texture_is_the_right_way_up() {
    let Some(studio) = studio() else { return };
    let mut mesh = sphere(40, 80, Vec3::ZERO, 0.5);
    mesh.uvs = mesh
        .positions
        .iter()
        .map(|p| [p[0] + 0.5, 0.5 - p[1]])
        .collect();
    mesh.texture = Some(Arc::new(stripes(64, 64)));
    let options = PictureOptions {
        camera: Some(Camera::default().looking_from(Preset::Front)),
        ..PictureOptions::default()
    };
    let picture = studio.picture(&mesh, &options).unwrap();
    let [red, _, blue, _] = pixel(&picture, 128, 100);
    assert!(red > 2 * blue, "above: red {red}, blue {blue}");
    let [red, _, blue, _] = pixel(&picture, 128, 156);
    assert!(blue > 2 * red, "below: red {red}, blue {blue}");
}

#[test]
fn fading_and_wiping_show_both_meshes() {
    let Some(studio) = studio() else { return };
    let [ball, block] = [
        sphere(24, 48, Vec3::ZERO, 0.5),
        cuboid(Vec3::splat(-0.5), Vec3::splat(0.5)),
    ]
    .map(|mesh| upload(&studio, &mesh));
    let camera = Camera::framing(&ball.bounds(), Preset::ThreeQuarter, 1.0);
    let base = Frame {
        overlays: BARE,
        ..Frame::new([64, 64], camera)
    };
    let draw = |meshes| studio.frame(&Frame { meshes, ..base }).unwrap();
    let [of_ball, of_block] = [&ball, &block].map(|mesh| draw(Meshes::One(mesh)));
    assert!(difference(&of_ball, &of_block) > 10.0);

    let fade = |weight| {
        draw(Meshes::Fade {
            from: &ball,
            to: &block,
            weight,
        })
    };
    assert!(fade(0.0) == of_ball && fade(f32::NAN) == of_ball && fade(1.0) == of_block);
    let half = fade(0.5);
    for ((half, one), other) in half
        .pixels
        .iter()
        .zip(&of_ball.pixels)
        .zip(&of_block.pixels)
    {
        for channel in 0..3 {
            let mean = (u16::from(one[channel]) + u16::from(other[channel])) / 2;
            assert!(
                mean.abs_diff(u16::from(half[channel])) <= 1,
                "{half:?}: {one:?} {other:?}"
            );
        }
    }

    let wiped = draw(Meshes::Wipe {
        left: &ball,
        right: &block,
        position: 0.25,
    });
    for y in 0..64 {
        for x in 0..64 {
            // With several samples, software drivers let a mesh reach one column across the line.
            if (15..=16).contains(&x) {
                continue;
            }
            let whole = if x < 16 { &of_ball } else { &of_block };
            assert_eq!(pixel(&wiped, x, y), pixel(whole, x, y), "at {x}, {y}");
        }
    }
    let all = draw(Meshes::Wipe {
        left: &ball,
        right: &block,
        position: 7.0,
    });
    assert!(all == of_ball);
}

#[test]
fn a_transparent_picture_keeps_object_and_shadow() {
    let Some(studio) = studio() else { return };
    let options = PictureOptions {
        transparent: true,
        size_px: [128, 128],
        ..PictureOptions::default()
    };
    let mesh = sphere(40, 80, Vec3::ZERO, 0.5);
    let picture = studio.picture(&mesh, &options).unwrap();
    assert_eq!(pixel(&picture, 0, 0), [0; 4]);
    assert_eq!(pixel(&picture, 64, 60)[3], 255);
    // Below the ball there is shadow alone: dark, and partly there.
    let shaded = (64..128)
        .map(|y| pixel(&picture, 64, y))
        .filter(|[red, .., alpha]| (20..250).contains(alpha) && *red < 30)
        .count();
    assert!(shaded >= 3, "{shaded} pixels of shadow");
    let without = PictureOptions {
        overlays: BARE,
        ..options
    };
    let bare = studio.picture(&mesh, &without).unwrap();
    let partly = |picture: &RgbaPicture| {
        let between = |pixel: &&[u8; 4]| (1..255).contains(&pixel[3]);
        picture.pixels.iter().filter(between).count()
    };
    // Smooth edges around the ball, and nothing else that is half there.
    assert!(
        (60..600).contains(&partly(&bare)),
        "{} pixels on the edge",
        partly(&bare)
    );
    let single = RendererOptions {
        samples: 1,
        ..RendererOptions::default()
    };
    let rough = Studio::with_options(&single).unwrap();
    let picture = rough.picture(&mesh, &without).unwrap();
    assert_eq!(partly(&picture), 0, "one sample knows no half pixels");
}

#[test]
fn sizes_that_cannot_be_drawn_are_errors_and_leave_the_picture() {
    let Some(studio) = studio() else { return };
    let renderer = studio.renderer();
    let limit = renderer.device().limits().max_texture_dimension_2d;
    let mut target = Target::new(renderer);
    let mut encoder = renderer
        .device()
        .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut draw = |size_px| {
        renderer.draw(
            &mut encoder,
            &mut target,
            &Frame::new(size_px, Camera::default()),
        )
    };
    assert_eq!(draw([32, 16]), Ok(()));
    assert_eq!(
        draw([0, 16]),
        Err(DrawError::Empty {
            width: 0,
            height: 16
        })
    );
    assert_eq!(
        draw([limit + 1, 16]),
        Err(DrawError::TooLarge {
            width: limit + 1,
            height: 16,
            limit
        })
    );
    assert_eq!(target.size_px(), Some([32, 16]));
    // 4 samples of colour and depth, and the picture they resolve to.
    assert_eq!(target.size_bytes(renderer), 32 * 16 * 4 * 9);
}

#[test]
fn a_texture_beyond_the_devices_limit_is_drawn_smaller() {
    let Some(roomy) = studio() else { return };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter =
        pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
            .unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits {
            max_texture_dimension_2d: 256,
            max_texture_dimension_1d: 256,
            ..wgpu::Limits::downlevel_defaults()
        },
        ..wgpu::DeviceDescriptor::default()
    }))
    .unwrap();
    let watch = orfeas::view::DeviceWatch::on(&device);
    let renderer = orfeas::view::Renderer::new(&device, &queue, &RendererOptions::default());
    let narrow = Studio::sharing(Arc::new(renderer), watch.clone());
    let mut mesh = sphere(40, 80, Vec3::ZERO, 0.5);
    mesh.uvs = mesh
        .positions
        .iter()
        .map(|p| [p[0] + 0.5, 0.5 - p[1]])
        .collect();
    mesh.texture = Some(Arc::new(stripes(600, 300)));
    let options = PictureOptions {
        size_px: [96, 96],
        ..PictureOptions::default()
    };
    let [small, full] = [&narrow, &roomy].map(|studio| studio.picture(&mesh, &options).unwrap());
    assert_eq!(watch.take_errors(), [""; 0]);
    assert!(
        difference(&small, &full) < 4.0,
        "{}",
        difference(&small, &full)
    );
}

#[test]
fn a_device_that_is_gone_is_an_error() {
    let Some(studio) = studio() else { return };
    let mesh = cuboid(Vec3::splat(-0.5), Vec3::splat(0.5));
    let options = PictureOptions {
        size_px: [32, 32],
        ..PictureOptions::default()
    };
    assert!(studio.picture(&mesh, &options).is_ok());
    studio.renderer().device().destroy();
    let error = studio.picture(&mesh, &options).unwrap_err();
    assert!(matches!(error, PictureError::Device(_)), "{error:?}");
}

#[test]
fn a_window_that_encodes_by_itself_shows_the_same() {
    let Some(studio) = studio() else { return };
    let output = wgpu::TextureFormat::Rgba8UnormSrgb;
    let (device, queue) = (studio.renderer().device(), studio.renderer().queue());
    let options = RendererOptions {
        output,
        ..RendererOptions::default()
    };
    let renderer = orfeas::view::Renderer::new(device, queue, &options);
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("window"),
        // 64 pixels are the 256 bytes that a row has to have to be read back.
        size: wgpu::Extent3d {
            width: 64,
            height: 64,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: output,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let frame = Frame::new([64, 64], Camera::default());
    let mut target = Target::new(&renderer);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    renderer.draw(&mut encoder, &mut target, &frame).unwrap();
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
            view: &view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations::default(),
        })],
        ..wgpu::RenderPassDescriptor::default()
    });
    renderer.composite(&mut pass, &target);
    drop(pass);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 64 * 64 * 4,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(256),
                rows_per_image: None,
            },
        },
        texture.size(),
    );
    queue.submit([encoder.finish()]);
    buffer
        .slice(..)
        .map_async(wgpu::MapMode::Read, |result| result.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let shown = buffer.slice(..).get_mapped_range().unwrap();
    let expected = studio.frame(&frame).unwrap();
    let worst = shown
        .iter()
        .zip(expected.pixels.as_flattened())
        .map(|(shown, expected)| shown.abs_diff(*expected))
        .max();
    assert!(worst <= Some(1), "{worst:?} steps apart");
}

#[test]
fn an_empty_studio_can_be_drawn() {
    for (backend, studio) in studios() {
        let mut frame = Frame::new([64, 48], Camera::default());
        frame.overlays.grid = true;
        let picture = studio.frame(&frame).unwrap();
        let [top, bottom] = [pixel(&picture, 2, 0), pixel(&picture, 2, 47)];
        assert!(
            bottom[0] > top[0],
            "{backend}: the backdrop is brighter below"
        );
        assert!(
            picture.pixels.iter().all(|pixel| pixel[3] == 255),
            "{backend}"
        );
        assert!(GpuLines::new(studio.renderer(), &[]).is_none());
    }
}
