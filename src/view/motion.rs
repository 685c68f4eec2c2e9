//! Eased moves of the camera. Time is passed in; nothing here reads a clock.

use std::time::Duration;

use super::Camera;

/// How long a move takes.
pub const MOVE: Duration = Duration::from_millis(150);

/// A camera that glides from view to view.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CameraRig {
    camera: Camera,
    /// Where the move began, and when.
    departure: Option<(Camera, Duration)>,
    /// Moves take no time, for those whose system asks for reduced motion.
    pub reduced_motion: bool,
}

impl CameraRig {
    /// A rig that stands still.
    pub fn new(camera: Camera, reduced_motion: bool) -> Self {
        Self {
            camera,
            departure: None,
            reduced_motion,
        }
    }

    /// The camera at `now`, a time since any fixed moment.
    pub fn at(&self, now: Duration) -> Camera {
        match &self.departure {
            Some((from, start)) if !self.reduced_motion => {
                let part = now.saturating_sub(*start).as_secs_f32() / MOVE.as_secs_f32();
                from.between(&self.camera, ease(part))
            }
            _ => self.camera,
        }
    }

    /// Whether the camera at `now` is still on its way: draw again.
    pub fn moving(&self, now: Duration) -> bool {
        !self.reduced_motion
            && self
                .departure
                .is_some_and(|(_, start)| now.saturating_sub(start) < MOVE)
    }

    /// Glides to another view.
    pub fn go_to(&mut self, camera: Camera, now: Duration) {
        self.departure = Some((self.at(now), now));
        self.camera = camera;
    }

    /// Where the camera is going, or stands.
    pub fn destination(&self) -> Camera {
        self.camera
    }

    /// Moves the camera by hand, from where it is now: a move under way ends.
    pub fn grab(&mut self, now: Duration) -> &mut Camera {
        let destination = self.camera;
        // A hand takes hold of the lens that was chosen, not of one half way there.
        self.camera = Camera {
            projection: destination.projection,
            flatness: destination.flatness,
            ..self.at(now)
        };
        self.departure = None;
        &mut self.camera
    }
}

/// Fast at first, then coming to rest: 0 → 0, 1 → 1.
pub fn ease(part: f32) -> f32 {
    let left = 1.0 - part.clamp(0.0, 1.0);
    1.0 - left * left * left
}
