//! The sample images on the empty window: small pictures to click, and the images behind them.

/// An image that is shipped with the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// What it is called as a file.
    pub(super) file_name: &'static str,
    /// What it shows, for the button's label.
    pub(super) label: &'static str,
    /// The image file.
    pub(super) image: &'static [u8],
    /// A small PNG of it.
    pub(super) thumbnail: &'static [u8],
}

macro_rules! sample {
    ($file:literal, $thumbnail:literal, $label:literal) => {
        Sample {
            file_name: $file,
            label: $label,
            image: include_bytes!(concat!("../../assets/samples/", $file)),
            thumbnail: include_bytes!(concat!("../../assets/thumbnails/", $thumbnail)),
        }
    };
}

/// The four that show what the embedded source is good at.
pub(super) const SAMPLES: [Sample; 4] = [
    sample!("vase.png", "vase.png", "Vase"),
    sample!("duck.png", "duck.png", "Duck"),
    sample!("teapot.jpg", "teapot.png", "Teapot"),
    sample!("lyre.svg", "lyre.png", "Lyre"),
];
