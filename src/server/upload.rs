//! A form with an image becomes a request to the engine, or a refusal that names the field.
//!
//! Nothing of it becomes a path: the image's file name is kept as text for logs and lists.

use std::sync::Arc;

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};

use super::app::App;
use super::body::{Fault, Held, Watch};
use super::fields::{self, MatteName};
use super::refusal::Refusal;
use crate::engine::{Back, Controls, Flow, Precision, Settings, Source};
use crate::photo::{self, Limits, MatteRequest, MatteWish, Photo};
use crate::vram::DeviceWish;

/// The most fields of a form: some more than there are names.
const MOST_FIELDS: usize = 32;

/// The fields that are not files.
const TEXT_FIELDS: [&str; 22] = [
    "quality",
    "resolution",
    "source",
    "matte",
    "thickness",
    "detail",
    "back",
    "relief",
    "size",
    "simplify",
    "device",
    "precision",
    "steps",
    "guidance",
    "seed",
    "shapes",
    "threshold",
    "preview_share",
    "cache",
    "history",
    "wait",
    "cancel_on_disconnect",
];

/// The most bytes of a field that is not a file.
const TEXT_BYTES: usize = 256;

/// The most characters of an image's name that are kept.
const NAME_CHARACTERS: usize = 120;

/// The most pixels of a matte, which waits decoded in memory while its job does.
const MATTE_PIXELS: u64 = 25_000_000;

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) image: Arc<[u8]>,
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) size_mm: f64,
    /// Whether the result may come from the cache, and is kept there.
    pub(super) cache: bool,
    /// Whether the result is kept in the user's history.
    pub(super) history: bool,
    /// Whether the answer waits for the job's end.
    pub(super) wait: bool,
    pub(super) cancel_on_disconnect: bool,
    /// The memory that all of it takes.
    pub(super) held: Vec<Held>,
}

/// The fields of a form as they are read.
#[derive(Debug, Default)]
struct Form {
    image: Option<(Vec<u8>, String)>,
    matte_image: Option<Vec<u8>>,
    quality: Option<u8>,
    resolution: Option<u32>,
    source: Option<Source>,
    matte: Option<MatteName>,
    thickness: Option<f32>,
    detail: Option<f32>,
    back: Option<Back>,
    relief: Option<f32>,
    size_mm: Option<f64>,
    simplify: Option<usize>,
    device: Option<DeviceWish>,
    /// The inner one is `None` for the best that fits.
    precision: Option<Option<Precision>>,
    steps: Option<u32>,
    guidance: Option<f32>,
    seed: Option<u64>,
    shapes: Option<u32>,
    threshold: Option<f32>,
    preview_share: Option<f64>,
    cache: Option<bool>,
    history: Option<bool>,
    wait: Option<bool>,
    cancel_on_disconnect: Option<bool>,
}

impl Upload {
    /// Reads a form whole.
    pub(super) async fn read(app: &App, request: Request) -> Result<Self, Refusal> {
        refuse_other_media(request.headers())?;
        let watch = request
            .extensions()
            .get::<Watch>()
            .cloned()
            .unwrap_or_default();
        let multipart = Multipart::from_request(request, &())
            .await
            .map_err(|rejection| malformed(rejection.body_text()))?;
        let form = Form::read(multipart, &watch).await?;
        form.finish(app, watch.take_held()).await
    }
}

/// Refuses, before the body is read, whatever is not a form.
fn refuse_other_media(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |message: &str| {
        Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
        .closing())
    };
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return unsupported("send the image as a form: multipart/form-data with the field image");
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            unsupported("compressed requests are not read; send the form as it is")
        }
        _ => Ok(()),
    }
}

fn malformed(cause: impl std::fmt::Display) -> Refusal {
    Refusal::bad_request(
        "malformed_form",
        format!("the form cannot be read ({cause}); send it as multipart/form-data"),
    )
    .closing()
}

fn unreadable(watch: &Watch, error: &MultipartError) -> Refusal {
    watch
        .fault()
        .map_or_else(|| malformed(error.body_text()), Fault::refusal)
}

/// Sets a field that may be there once.
fn once<T>(slot: &mut Option<T>, field: &str, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad_request(
            "duplicate_field",
            format!("the field {field} is there twice; leave one of them out"),
        )
        .about(field)),
    }
}

impl Form {
    async fn read(mut multipart: Multipart, watch: &Watch) -> Result<Self, Refusal> {
        let mut form = Self::default();
        let mut count = 0;
        let unreadable = |error: MultipartError| unreadable(watch, &error);
        while let Some(mut field) = multipart.next_field().await.map_err(unreadable)? {
            count += 1;
            if count > MOST_FIELDS {
                return Err(malformed(format_args!("more than {MOST_FIELDS} fields")));
            }
            let name = field.name().unwrap_or_default().to_owned();
            match name.as_str() {
                "image" => {
                    let bytes = read_file(&mut field, watch, &name).await?;
                    let file_name = plain_name(field.file_name().unwrap_or_default());
                    once(&mut form.image, &name, (bytes, file_name))?;
                }
                "matte_image" => {
                    let bytes = read_file(&mut field, watch, &name).await?;
                    once(&mut form.matte_image, &name, bytes)?;
                }
                _ if !TEXT_FIELDS.contains(&name.as_str()) => return Err(unknown(&name)),
                _ => {
                    let text = read_text(&mut field, watch, &name).await?;
                    form.set(&name, text.trim())?;
                }
            }
        }
        Ok(form)
    }

    /// Sets a field that is not a file.
    fn set(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        use fields::{choice, flag, number};
        match name {
            "quality" => once(
                &mut self.quality,
                name,
                number(name, text, &Settings::QUALITIES)?,
            ),
            "resolution" => once(
                &mut self.resolution,
                name,
                number(name, text, &Settings::RESOLUTIONS)?,
            ),
            "source" => once(
                &mut self.source,
                name,
                choice(name, text, &fields::SOURCES)?,
            ),
            "matte" => once(&mut self.matte, name, choice(name, text, &fields::MATTES)?),
            "thickness" => once(
                &mut self.thickness,
                name,
                number(name, text, &Settings::THICKNESSES)?,
            ),
            "detail" => once(
                &mut self.detail,
                name,
                number(name, text, &Settings::DETAILS)?,
            ),
            "back" => once(&mut self.back, name, choice(name, text, &fields::BACKS)?),
            "relief" => once(
                &mut self.relief,
                name,
                number(name, text, &Settings::RELIEFS)?,
            ),
            "size" => once(
                &mut self.size_mm,
                name,
                number(name, text, &Settings::SIZES_MM)?,
            ),
            "simplify" => once(
                &mut self.simplify,
                name,
                number(name, text, &Settings::FACES)?,
            ),
            "device" => once(&mut self.device, name, fields::device(name, text)?),
            "precision" => once(
                &mut self.precision,
                name,
                choice(name, text, &fields::PRECISIONS)?,
            ),
            "steps" | "guidance" | "seed" | "shapes" | "threshold" | "preview_share" => {
                self.set_flow(name, text)
            }
            "cache" => once(&mut self.cache, name, flag(name, text)?),
            "history" => once(&mut self.history, name, flag(name, text)?),
            "wait" => once(&mut self.wait, name, flag(name, text)?),
            "cancel_on_disconnect" => once(&mut self.cancel_on_disconnect, name, flag(name, text)?),
            _ => Err(unknown(name)),
        }
    }

    /// Sets a field of a source that refines a shape from noise.
    fn set_flow(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        use fields::number;
        match name {
            "steps" => once(&mut self.steps, name, number(name, text, &Settings::STEPS)?),
            "guidance" => once(
                &mut self.guidance,
                name,
                number(name, text, &Settings::GUIDANCES)?,
            ),
            "seed" => once(&mut self.seed, name, number(name, text, &Settings::SEEDS)?),
            "shapes" => once(
                &mut self.shapes,
                name,
                number(name, text, &Settings::SHAPES)?,
            ),
            "threshold" => once(
                &mut self.threshold,
                name,
                number(name, text, &Settings::THRESHOLDS)?,
            ),
            _ => once(
                &mut self.preview_share,
                name,
                number(name, text, &Settings::PREVIEW_SHARES)?,
            ),
        }
    }

    fn flow(&self) -> Flow {
        let defaults = Flow::default();
        Flow {
            steps: self.steps.unwrap_or(defaults.steps),
            guidance: self.guidance.unwrap_or(defaults.guidance),
            seed: self.seed.unwrap_or(defaults.seed),
            shapes: self.shapes.unwrap_or(defaults.shapes),
            threshold: self.threshold.unwrap_or(defaults.threshold),
            preview_share: self.preview_share.unwrap_or(defaults.preview_share),
        }
    }

    fn controls(&self) -> Controls {
        let defaults = Controls::default();
        Controls {
            thickness: self.thickness.unwrap_or(defaults.thickness),
            detail: self.detail.unwrap_or(defaults.detail),
            back: self.back.unwrap_or(defaults.back),
            relief: self.relief.unwrap_or(defaults.relief),
        }
    }

    /// The matte of the user's own, decoded, and the memory that it takes.
    async fn matte_wish(&mut self, app: &App) -> Result<(MatteWish, Option<Held>), Refusal> {
        match (self.matte_image.take(), self.matte.unwrap_or_default()) {
            (Some(bytes), MatteName::Auto) => {
                let photo = decode_matte(app, bytes).await?;
                let held = app
                    .uploads
                    .take(photo.pixels.as_flattened().len() as u64)
                    .ok_or_else(|| Fault::NoMemory.refusal())?;
                Ok((MatteWish::User(Arc::new(photo)), Some(held)))
            }
            (Some(_), _) => Err(Refusal::bad_request(
                "contradiction",
                "matte and matte_image exclude each other; leave one of them out",
            )
            .about("matte")),
            (None, MatteName::Auto) => Ok((MatteWish::Auto, None)),
            (None, MatteName::Alpha) => Ok((MatteWish::Alpha, None)),
            (None, MatteName::Full) => Ok((MatteWish::Full, None)),
        }
    }

    /// Fills in what was not said, and decodes the matte.
    async fn finish(mut self, app: &App, held: Option<Held>) -> Result<Upload, Refusal> {
        let (image, name) = self
            .image
            .take()
            .filter(|(bytes, _)| !bytes.is_empty())
            .ok_or_else(|| {
                Refusal::bad_request(
                    "missing_image",
                    "the form has no image; put its bytes into the field image",
                )
                .about("image")
            })?;
        let (wish, of_matte) = self.matte_wish(app).await?;
        let of_quality = || self.quality.map(Settings::resolution_of_quality);
        let settings = Settings {
            source: self.source.unwrap_or_default(),
            resolution: self
                .resolution
                .or_else(of_quality)
                .unwrap_or(Settings::DEFAULT_RESOLUTION),
            matte: MatteRequest {
                wish,
                strokes: Vec::new(),
            },
            controls: self.controls(),
            simplify_to_faces: self.simplify,
            device: self.device.unwrap_or_default(),
            precision: self.precision.unwrap_or_default(),
            flow: self.flow(),
            weights: None,
        };
        if let Some(refused) = settings.refused_shapes() {
            // Each field is what it may be; together they are not.
            return Err(Refusal::bad_request("fields_disagree", refused).about("shapes"));
        }
        Ok(Upload {
            image: image.into(),
            name,
            settings,
            size_mm: self.size_mm.unwrap_or(100.0),
            cache: self.cache.unwrap_or(true),
            history: self.history.unwrap_or(true),
            wait: self.wait.unwrap_or(true),
            cancel_on_disconnect: self.cancel_on_disconnect.unwrap_or(false),
            held: [held, of_matte].into_iter().flatten().collect(),
        })
    }
}

fn unknown(name: &str) -> Refusal {
    let shown: String = name.chars().take(40).collect();
    Refusal::bad_request(
        "unknown_field",
        format!("there is no field {shown:?}; /api/v1/openapi.json lists those that there are"),
    )
    .about(&shown)
    .closing()
}

async fn read_file(field: &mut Field<'_>, watch: &Watch, name: &str) -> Result<Vec<u8>, Refusal> {
    let most = Limits::default().max_file_bytes;
    let mut bytes = Vec::new();
    while let Some(chunk) = field
        .chunk()
        .await
        .map_err(|error| unreadable(watch, &error))?
    {
        if bytes.len() as u64 + chunk.len() as u64 > most {
            let message = format!("{name} has more than {most} bytes; send a smaller one");
            return Err(
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
                    .about(name)
                    .closing(),
            );
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn read_text(field: &mut Field<'_>, watch: &Watch, name: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field
        .chunk()
        .await
        .map_err(|error| unreadable(watch, &error))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT_BYTES {
            let shown: String = name.chars().take(40).collect();
            let message = format!("the field has more than {TEXT_BYTES} bytes");
            return Err(Refusal::invalid(&shown, message).closing());
        }
    }
    String::from_utf8(bytes).map_err(|_invalid| {
        let shown: String = name.chars().take(40).collect();
        Refusal::invalid(&shown, "the field is not UTF-8 text")
    })
}

/// A file name as text that can be shown: the last part of a path, without control characters.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARACTERS)
        .collect();
    if plain.trim().is_empty() {
        "image".to_owned()
    } else {
        plain
    }
}

/// Decodes a matte on a blocking thread, one at a time: decoders may take much memory.
async fn decode_matte(app: &App, bytes: Vec<u8>) -> Result<Photo, Refusal> {
    let turn = Arc::clone(&app.decoding)
        .acquire_owned()
        .await
        .map_err(|_closed| Refusal::shutting_down())?;
    let decoded = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let limits = Limits {
            max_pixels: MATTE_PIXELS,
            ..Limits::default()
        };
        photo::decode(&bytes, &limits)
    });
    let decoded = decoded.await.map_err(|_panicked| Refusal::internal())?;
    decoded.map_err(|error| {
        Refusal::bad_request("bad_matte", format!("the matte cannot be used: {error}"))
            .about("matte_image")
    })
}
