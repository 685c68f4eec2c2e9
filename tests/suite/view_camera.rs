//! The camera's arithmetic: what stays where while it moves.

use std::f32::consts::PI;
use std::time::Duration;

use glam::{Vec2, Vec3};
use orfeas::view::{
    Axis, Bounds, Camera, CameraRig, Frame, MOVE, Preset, Projection, gizmo_hit, gizmo_middle,
};
use proptest::prelude::*;

const ASPECT: f32 = 1.5;

fn any_camera() -> impl Strategy<Value = Camera> {
    (
        (-1.0_f32..1.0, -1.0_f32..1.0, -1.0_f32..1.0),
        -3.0_f32..3.0,
        -1.4_f32..1.4,
        0.3_f32..20.0,
        any::<bool>(),
        0.0_f32..0.95,
    )
        .prop_map(
            |((x, y, z), yaw, pitch, distance, perspective, flatness)| Camera {
                focus: Vec3::new(x, y, z),
                yaw,
                pitch,
                distance,
                projection: if perspective {
                    Projection::Perspective
                } else {
                    Projection::Orthographic
                },
                // On its way between the two projections, too.
                flatness: if perspective { flatness } else { 0.0 },
            },
        )
}

/// A point that a camera sees, within its depth of focus.
fn seen(camera: &Camera, ndc: Vec2, nearer: f32) -> Vec3 {
    let ray = camera.ray(ndc, ASPECT);
    let back = camera.world_from_view_axes().z_axis;
    let at_focus = (camera.focus - ray.origin).dot(back) / ray.direction.dot(back);
    ray.origin + ray.direction * (at_focus - camera.distance * nearer)
}

proptest! {
    #[test]
    fn a_ray_leads_to_the_points_that_project_to_its_pixel(
        camera in any_camera(), x in -0.9_f32..0.9, y in -0.9_f32..0.9, nearer in -0.5_f32..0.5
    ) {
        let ndc = Vec2::new(x, y);
        let projected = camera.project(seen(&camera, ndc, nearer), ASPECT).unwrap();
        prop_assert!(projected.distance(ndc) < 2e-3, "{projected} instead of {ndc}");
    }

    #[test]
    fn zooming_keeps_the_point_under_the_cursor(
        camera in any_camera(), x in -0.9_f32..0.9, y in -0.9_f32..0.9, nearer in -0.5_f32..0.5,
        factor in 0.5_f32..2.0
    ) {
        let ndc = Vec2::new(x, y);
        let anchor = seen(&camera, ndc, nearer);
        let mut zoomed = camera;
        zoomed.zoom_to(anchor, factor, 1.0);
        prop_assert!((zoomed.distance / camera.distance - factor).abs() < 1e-3);
        let after = zoomed.project(anchor, ASPECT).unwrap();
        prop_assert!(after.distance(ndc) < 4e-3, "{after} instead of {ndc}");
    }

    #[test]
    fn orbiting_keeps_the_pivots_distance_and_place(
        camera in any_camera(), x in -0.9_f32..0.9, y in -0.9_f32..0.9, nearer in -0.5_f32..0.5,
        turn in -2.0_f32..2.0, tilt in -0.5_f32..0.5
    ) {
        let ndc = Vec2::new(x, y);
        let pivot = seen(&camera, ndc, nearer);
        let mut turned = camera;
        turned.orbit_about(pivot, Vec2::new(turn, tilt));
        let (before, after) = (camera.eye().distance(pivot), turned.eye().distance(pivot));
        prop_assert!((before - after).abs() < 1e-3 * before.max(1.0), "{before} became {after}");
        let place = turned.project(pivot, ASPECT).unwrap();
        prop_assert!(place.distance(ndc) < 4e-3, "{place} instead of {ndc}");
        // The horizon stays level.
        prop_assert!(turned.world_from_view_axes().x_axis.y.abs() < 1e-6);
    }

    #[test]
    fn panning_takes_the_point_along_with_the_cursor(
        camera in any_camera(), x in -0.5_f32..0.5, y in -0.5_f32..0.5, nearer in -0.5_f32..0.5
    ) {
        let from = Vec2::new(x, y);
        let anchor = seen(&camera, from, nearer);
        let moved = Vec2::new(0.3, -0.2);
        let mut panned = camera;
        panned.pan(anchor, moved, ASPECT);
        let after = panned.project(anchor, ASPECT).unwrap();
        prop_assert!(after.distance(from + moved) < 4e-3, "{after} instead of {}", from + moved);
    }

    #[test]
    fn a_framed_box_is_in_the_picture_from_all_sides(
        width in 0.01_f32..2.0, height in 0.01_f32..2.0, depth in 0.01_f32..2.0,
        yaw in -3.0_f32..3.0, pitch in -1.5_f32..1.5, aspect in 0.3_f32..3.0, parallel in any::<bool>()
    ) {
        let half = Vec3::new(width, height, depth) * 0.5;
        let middle = Vec3::new(3.0, -2.0, 1.0);
        let bounds = Bounds { min: middle - half, max: middle + half };
        let mut camera = Camera { pitch, ..Camera::framing(&bounds, Preset::Front, aspect) };
        if parallel {
            camera = camera.other_projection();
        }
        camera = camera.framed(&bounds, aspect);
        camera.orbit_about(bounds.centre(), Vec2::new(yaw, 0.0));
        let mut furthest = 0.0_f32;
        for corner in 0..8 {
            let pick = Vec3::new((corner & 1) as f32, (corner >> 1 & 1) as f32, (corner >> 2) as f32);
            let point = bounds.min + (bounds.max - bounds.min) * pick;
            let place = camera.project(point, aspect).unwrap();
            furthest = furthest.max(place.abs().max_element());
        }
        prop_assert!(furthest <= 1.0, "a corner is at {furthest}");
        prop_assert!(furthest >= 0.05, "the box is lost in the picture: {furthest}");
    }
}

#[test]
fn presets_look_along_the_axes() {
    let camera = Camera::default();
    for (preset, from) in [
        (Preset::Front, Vec3::Z),
        (Preset::Back, Vec3::NEG_Z),
        (Preset::Right, Vec3::X),
        (Preset::Left, Vec3::NEG_X),
        (Preset::Top, Vec3::Y),
        (Preset::Bottom, Vec3::NEG_Y),
    ] {
        let looking = camera.looking_from(preset);
        let direction = (looking.eye() - looking.focus).normalize();
        assert!(direction.dot(from) > 0.999_99, "{preset:?}: {direction}");
        assert!(looking.world_from_view_axes().determinant() > 0.999);
    }
    let front = camera.looking_from(Preset::Front);
    let right = front.project(front.focus + Vec3::X * 0.1, 1.0).unwrap();
    assert!(
        right.x > 0.01 && right.y.abs() < 1e-4,
        "+X is not to the right: {right}"
    );
}

#[test]
fn nearer_points_have_the_greater_depth() {
    for camera in [Camera::default(), Camera::default().other_projection()] {
        let clip_from_world = camera.clip_from_view(1.0, 5.0) * camera.view_from_world();
        let back = camera.world_from_view_axes().z_axis;
        let depth = |nearer: f32| {
            let clip = clip_from_world * (camera.focus + back * nearer).extend(1.0);
            clip.z / clip.w
        };
        let depths = [-4.0, -0.5, 0.0, 0.5].map(depth);
        assert!(depths.is_sorted(), "{depths:?}");
        assert!(depths[0] > 0.0 && depths[3] < 1.0, "{depths:?}");
    }
}

#[test]
fn both_projections_show_the_focus_equally_large() {
    let camera = Camera::default().looking_from(Preset::Front);
    let beside = camera.focus + Vec3::X * 0.2;
    let perspective = camera.project(beside, 1.0).unwrap();
    let parallel = camera.other_projection().project(beside, 1.0).unwrap();
    assert!(perspective.distance(parallel) < 1e-4);
    assert_eq!(camera.other_projection().other_projection(), camera);
}

#[test]
fn a_zoom_that_means_nothing_changes_nothing() {
    let camera = Camera::default();
    for factor in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let mut zoomed = camera;
        zoomed.zoom_to(Vec3::ZERO, factor, 1.0);
        assert_eq!(zoomed, camera, "{factor}");
    }
    let mut near = camera;
    for _ in 0..1000 {
        near.zoom_to(Vec3::ZERO, 0.5, 1.0);
    }
    assert!(near.distance >= 1e-3 * 0.999 && near.eye().is_finite());
}

#[test]
fn a_move_eases_and_ends() {
    let from = Camera::default();
    let to = from.looking_from(Preset::Back);
    let start = Duration::from_secs(7);
    let mut rig = CameraRig::new(from, false);
    assert!(!rig.moving(start));
    rig.go_to(to, start);
    assert_eq!(rig.at(start), from);
    assert!(rig.moving(start + MOVE / 2));
    let halfway = rig.at(start + MOVE / 2).yaw;
    assert!(halfway > from.yaw && halfway < PI, "{halfway}");
    assert!(
        halfway - from.yaw > PI - halfway,
        "a move begins fast and comes to rest"
    );
    assert_eq!(rig.at(start + MOVE), to);
    assert!(!rig.moving(start + MOVE));
    // A hand on the camera ends the move where it is.
    rig.go_to(from, start + MOVE);
    let grabbed = *rig.grab(start + MOVE + MOVE / 2);
    assert_eq!(rig.at(start + MOVE * 9), grabbed);
    assert!(!rig.moving(start + MOVE + MOVE / 2));
}

#[test]
fn reduced_motion_jumps() {
    let mut rig = CameraRig::new(Camera::default(), true);
    let to = Camera::default().looking_from(Preset::Top);
    rig.go_to(to, Duration::ZERO);
    assert_eq!(rig.at(Duration::ZERO), to);
    assert!(!rig.moving(Duration::ZERO));
}

#[test]
fn perspective_flattens_without_a_jump() {
    let perspective = Camera::default();
    let parallel = perspective.other_projection();
    let point = perspective.focus + Vec3::new(0.3, -0.2, 0.25);
    let on_screen = |part| {
        let camera = perspective.between(&parallel, part);
        let focus = camera.project(camera.focus + Vec3::Y * 0.1, ASPECT);
        (camera.project(point, ASPECT).unwrap(), focus.unwrap())
    };
    let mut before = on_screen(0.0);
    assert_eq!(before.0, perspective.project(point, ASPECT).unwrap());
    for step in 1..=64 {
        let now = on_screen(step as f32 / 64.0);
        // A part of a 64th of what changes in all would be 0.0005; a jump is far more.
        assert!(now.0.distance(before.0) < 0.003, "{step}");
        assert!(now.1.distance(before.1) < 0.003, "{step}");
        before = now;
    }
    assert_eq!(before.0, parallel.project(point, ASPECT).unwrap());
    let mut rig = CameraRig::new(perspective, false);
    rig.go_to(parallel, Duration::ZERO);
    assert_eq!(rig.grab(MOVE / 3).projection, Projection::Orthographic);
}

#[test]
fn a_turn_takes_the_shorter_way() {
    let near_pi = Camera {
        yaw: 3.0,
        ..Camera::default()
    };
    let beyond = Camera {
        yaw: -3.0,
        ..near_pi
    };
    let halfway = near_pi.between(&beyond, 0.5).yaw.abs();
    assert!(halfway > 3.1, "{halfway}");
}

#[test]
fn the_axes_are_hit_where_they_are_drawn() {
    let size = Vec2::new(640.0, 480.0);
    let front = Camera::default().looking_from(Preset::Front);
    let middle = gizmo_middle(size);
    assert_eq!(gizmo_hit(&front, size, middle), Some(Axis::PlusZ));
    let right = middle + Vec2::new(31.0, 0.0);
    assert_eq!(gizmo_hit(&front, size, right), Some(Axis::PlusX));
    let above = middle - Vec2::new(0.0, 31.0);
    assert_eq!(gizmo_hit(&front, size, above), Some(Axis::PlusY));
    assert_eq!(gizmo_hit(&front, size, Vec2::ZERO), None);
    assert_eq!(
        gizmo_hit(&front, size, middle + Vec2::new(20.0, 20.0)),
        None
    );
    for axis in Axis::ALL {
        let looking = front.looking_from(axis.preset());
        assert_eq!(gizmo_hit(&looking, size, middle), Some(axis));
    }
}

#[test]
fn grid_lines_stay_apart() {
    for distance in [0.01, 0.1, 1.0, 10.0, 333.0] {
        let camera = Camera {
            distance,
            ..Camera::default()
        };
        let frame = Frame::new([800, 600], camera);
        let step = frame.grid_step_mm();
        let points = step / (2.0 * camera.half_height() * frame.mm_per_unit / 600.0);
        assert!(
            (7.9..=80.1).contains(&points),
            "{distance}: {step} mm are {points} points"
        );
        let power = step.log10();
        assert!(
            (power - power.round()).abs() < 1e-4,
            "{step} mm is no power of ten"
        );
    }
}
