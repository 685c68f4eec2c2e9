//! What the user says about the outline: how it is found, an image of their own, and strokes over it.

use std::path::Path;
use std::sync::Arc;

use super::desk::{Problem, read_image};
use super::names::file_name;
use super::project::MatteChoice;
use crate::engine::Settings;
use crate::photo::{self, Limits, MatteRequest, MatteWish, Photo, Stroke};

/// Everything that decides the matte beside the image itself. Cheap to clone and to compare.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    pub(super) choice: MatteChoice,
    /// In the order in which they were drawn, in pixels of the image.
    pub(super) strokes: Arc<Vec<Stroke>>,
    /// The user's own matte, whether it is chosen or not.
    pub(super) own: Option<Arc<OwnMatte>>,
}

impl Default for Outline {
    fn default() -> Self {
        Self {
            choice: MatteChoice::Auto,
            strokes: Arc::default(),
            own: None,
        }
    }
}

impl PartialEq for Outline {
    fn eq(&self, other: &Self) -> bool {
        let same_strokes =
            Arc::ptr_eq(&self.strokes, &other.strokes) || self.strokes == other.strokes;
        self.choice == other.choice && self.own == other.own && same_strokes
    }
}

impl Outline {
    /// The outline that settings ask for, with the matte that was kept beside them.
    pub(super) fn from_json(settings: &serde_json::Value, own: Option<Arc<OwnMatte>>) -> Self {
        Self {
            choice: match settings["matte"].as_str() {
                Some("alpha") => MatteChoice::Alpha,
                Some("full") => MatteChoice::Full,
                Some("user") if own.is_some() => MatteChoice::Own,
                _ => MatteChoice::Auto,
            },
            strokes: Arc::new(Settings::strokes_from_json(settings)),
            own,
        }
    }

    /// What the engine is asked for.
    pub(super) fn request(&self) -> MatteRequest {
        let wish = match (self.choice, &self.own) {
            (MatteChoice::Own, Some(own)) => MatteWish::User(Arc::clone(&own.photo)),
            (MatteChoice::Auto | MatteChoice::Own, _) => MatteWish::Auto,
            (MatteChoice::Alpha, _) => MatteWish::Alpha,
            (MatteChoice::Full, _) => MatteWish::Full,
        };
        MatteRequest {
            wish,
            strokes: self.strokes.to_vec(),
        }
    }

    /// The file of the matte that is in use, where it is the user's own.
    pub(super) fn matte_file(&self) -> Option<Arc<[u8]>> {
        let own = self.own.as_ref();
        own.filter(|_| self.choice == MatteChoice::Own)
            .map(|own| Arc::clone(&own.file))
    }

    /// With one more stroke; `None` where there are as many as a record of the history holds.
    pub(super) fn with_stroke(&self, stroke: Stroke) -> Option<Self> {
        let points: usize = self.strokes.iter().map(|stroke| stroke.points.len()).sum();
        if self.strokes.len() >= Settings::MAX_STROKES
            || points + stroke.points.len() > Settings::MAX_STROKE_POINTS
        {
            return None;
        }
        let mut strokes = self.strokes.to_vec();
        strokes.push(stroke);
        Some(Self {
            strokes: Arc::new(strokes),
            ..self.clone()
        })
    }

    /// What going from this outline to another and back holds in memory. A matte that both have counts for
    /// nothing.
    pub(super) fn bytes_to(&self, other: &Self) -> u64 {
        let strokes = |outline: &Self| {
            let points = outline.strokes.iter().map(|stroke| stroke.points.len());
            points.sum::<usize>() as u64 * 8
        };
        let own = |outline: &Self| outline.own.as_ref().map_or(0, |own| own.bytes());
        let mattes = if self.own == other.own {
            0
        } else {
            own(self) + own(other)
        };
        strokes(self) + strokes(other) + mattes
    }

    /// Without any stroke.
    pub(super) fn without_strokes(&self) -> Self {
        Self {
            strokes: Arc::default(),
            ..self.clone()
        }
    }
}

/// An image that is taken for the matte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OwnMatte {
    pub(super) name: String,
    /// The file as it was given, for the history.
    file: Arc<[u8]>,
    photo: Arc<Photo>,
}

impl OwnMatte {
    /// What it holds in memory.
    pub(super) fn bytes(&self) -> u64 {
        (self.file.len() + self.photo.pixels.len() * 4) as u64
    }

    /// Reads and decodes a file. Takes long.
    pub(super) fn read(path: &Path) -> Result<Arc<Self>, Problem> {
        Self::decode(file_name(path), read_image(path)?)
    }

    /// Decodes a matte. Takes long.
    pub(super) fn decode(name: String, file: Arc<[u8]>) -> Result<Arc<Self>, Problem> {
        match photo::decode(&file, &Limits::default()) {
            Ok(photo) => Ok(Arc::new(Self {
                name,
                file,
                photo: Arc::new(photo),
            })),
            Err(error) => Err(Problem::new(
                format!("{name} cannot be used as an outline"),
                error,
            )),
        }
    }
}
