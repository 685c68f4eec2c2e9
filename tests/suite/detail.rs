//! Relief from shading: what it must find, and what it must leave alone.

use glam::Vec3;
use orfeas::inflate::{Map, ShadingDetail, shading_detail};

const SIDE: usize = 128;
const RADIUS: f32 = 52.0;

/// A subject at the shading's size, with a light that every test shares.
struct Scene {
    height: Map,
    inside: Map,
    linear_rgb: Vec<[f32; 3]>,
}

/// Direction and strength of the light: log brightness is its product with the normal.
const LIGHT: Vec3 = Vec3::new(-0.4, 0.5, 0.7);

impl Scene {
    /// A sphere whose front is raised by `bump`, shaded so, and painted.
    fn sphere(bump: impl Fn(f32, f32) -> f32, paint: impl Fn(f32, f32) -> [f32; 3]) -> Self {
        let mut scene = Self {
            height: Map::filled(SIDE, 0.0),
            inside: Map::filled(SIDE, 0.0),
            linear_rgb: vec![[0.0; 3]; SIDE * SIDE],
        };
        let ball = |x: f32, y: f32| (RADIUS * RADIUS - x * x - y * y).max(0.05).sqrt();
        for pixel in 0..SIDE * SIDE {
            let (x, y) = place(pixel);
            scene.inside.values[pixel] = RADIUS - x.hypot(y);
            scene.height.values[pixel] = ball(x, y);
            let slope = |dx: f32, dy: f32| {
                let raised = |sign: f32| bump(x + sign * dx, y + sign * dy);
                (raised(0.5) - raised(-0.5)) - (x * dx + y * dy) / ball(x, y)
            };
            let normal = Vec3::new(-slope(1.0, 0.0), -slope(0.0, 1.0), 1.0).normalize();
            let shading = LIGHT.dot(normal).exp() * 0.4;
            scene.linear_rgb[pixel] = paint(x, y).map(|channel| channel * shading);
        }
        scene
    }

    fn detail(&self) -> ShadingDetail {
        shading_detail(&self.height, &self.inside, &self.linear_rgb, &|| false)
            .expect("never cancelled")
    }
}

/// A pixel's place from the centre, x right, y up.
fn place(pixel: usize) -> (f32, f32) {
    let centre = SIDE as f32 / 2.0 - 0.5;
    (
        (pixel % SIDE) as f32 - centre,
        centre - (pixel / SIDE) as f32,
    )
}

fn largest(map: &Map) -> f32 {
    map.values
        .iter()
        .fold(0.0, |most, value| value.abs().max(most))
}

fn root_mean_square(map: &Map) -> f32 {
    (map.values.iter().map(|v| v * v).sum::<f32>() / map.values.len() as f32).sqrt()
}

fn plain(_: f32, _: f32) -> [f32; 3] {
    [0.8, 0.6, 0.5]
}

fn bump(x: f32, y: f32) -> f32 {
    4.0 * (-((x - 8.0).powi(2) + (y - 5.0).powi(2)) / (2.0 * 8.0f32.powi(2))).exp()
}

#[test]
fn a_true_base_gets_no_relief_and_its_light_is_found() {
    let detail = Scene::sphere(|_, _| 0.0, plain).detail();
    assert!(
        largest(&detail.relief) < 0.015 * RADIUS,
        "{}",
        largest(&detail.relief)
    );
    let found = Vec3::from(detail.light);
    assert!(found.distance(LIGHT) < 0.05, "{found}");
    assert!((detail.light_strength - found.length()).abs() < 1e-5);
}

#[test]
fn a_bump_is_raised_and_a_dent_is_lowered() {
    for sign in [1.0, -1.0] {
        let detail = Scene::sphere(|x, y| sign * bump(x, y), plain).detail();
        let at = |x: f32, y: f32| {
            let centre = SIDE as f32 / 2.0;
            detail
                .relief
                .at((centre + x) as usize, (centre - y) as usize)
        };
        let rise = sign * (at(8.0, 5.0) - 0.5 * (at(-16.0, 5.0) + at(32.0, 5.0)));
        assert!((0.5..4.0).contains(&rise), "{rise} of 4");
    }
}

#[test]
fn painted_stripes_hardly_become_relief() {
    let stripes = |x: f32, _: f32| {
        if (x / 9.0).floor() as i32 % 2 == 0 {
            [0.9, 0.85, 0.8]
        } else {
            [0.15, 0.1, 0.3]
        }
    };
    let detail = Scene::sphere(|_, _| 0.0, stripes).detail();
    assert!(root_mean_square(&detail.relief) < 0.02 * RADIUS);
    let bumped = Scene::sphere(bump, stripes).detail();
    assert!(largest(&bumped.relief) < 0.25 * RADIUS);
}

#[test]
fn flat_light_tells_nothing() {
    let mut scene = Scene::sphere(|_, _| 0.0, plain);
    scene.linear_rgb.fill([0.5, 0.4, 0.3]);
    let detail = scene.detail();
    assert_eq!(largest(&detail.relief), 0.0);
    assert!(detail.light_strength < 0.15);
}

#[test]
fn relief_never_reaches_the_outline_nor_leaves_its_range() {
    let scene = Scene::sphere(|x, y| 6.0 * (x * 0.5).sin() * (y * 0.4).cos(), plain);
    let relief = scene.detail().relief;
    assert!(largest(&relief) > 1.0);
    for (pixel, &value) in relief.values.iter().enumerate() {
        let base = scene.height.values[pixel];
        assert!((-0.6001 * base..=1.2001 * base).contains(&value));
        if scene.inside.values[pixel] <= 1.0 {
            assert_eq!(value, 0.0);
        }
    }
}

#[test]
fn any_colours_give_finite_relief() {
    let mut scene = Scene::sphere(|_, _| 0.0, plain);
    let odd = [0.0, 1.0, f32::NAN, f32::INFINITY, -3.0, 1e-30];
    for (pixel, colour) in scene.linear_rgb.iter_mut().enumerate() {
        *colour = [0, 1, 2].map(|channel| odd[(pixel * 7 + pixel / 5 + channel) % odd.len()]);
    }
    let detail = scene.detail();
    assert!(detail.relief.values.iter().all(|value| value.is_finite()));
    assert!(detail.light_strength.is_finite());
}

#[test]
fn nothing_inside_gives_no_relief() {
    let outside = Map::filled(16, -1.0);
    let detail = shading_detail(&Map::filled(16, 0.0), &outside, &[[0.5; 3]; 256], &|| false)
        .expect("never cancelled");
    assert_eq!(detail.relief, Map::filled(16, 0.0));
    assert_eq!(detail.light_strength, 0.0);
}

#[test]
fn a_subject_that_fills_the_frame_is_served() {
    let full = Map::filled(32, 16.0);
    let colours: Vec<[f32; 3]> = (0..1024)
        .map(|p| [0.3 + (p % 32) as f32 / 64.0; 3])
        .collect();
    let detail = shading_detail(&full, &full, &colours, &|| false).expect("never cancelled");
    assert!(detail.relief.values.iter().all(|value| value.is_finite()));
}

#[test]
fn cancelling_ends_it() {
    let scene = Scene::sphere(bump, plain);
    assert_eq!(
        shading_detail(&scene.height, &scene.inside, &scene.linear_rgb, &|| true),
        None
    );
}

#[test]
fn relief_does_not_depend_on_threads() {
    let scene = Scene::sphere(bump, plain);
    let [one, three] = crate::with_threads([1, 3], || scene.detail());
    assert_eq!(one, three);
}
