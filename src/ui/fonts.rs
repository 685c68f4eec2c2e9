//! The typeface of the window: Inter in two weights, shipped with the program. What it lacks, such as
//! Japanese file names, comes from the system's own fonts.

use std::sync::Arc;

use eframe::egui::{FontData, FontDefinitions, FontFamily, FontId};

const REGULAR: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.ttf");
const SEMI_BOLD: &[u8] = include_bytes!("../../assets/fonts/Inter-SemiBold.ttf");

/// The family of headings and of the one primary action.
const STRONG: &str = "strong";

/// Text that stands beside something larger.
pub(super) const SMALL: f32 = 12.0;
/// Everything else.
pub(super) const BODY: f32 = 13.0;
/// Headlines.
pub(super) const HEADLINE: f32 = 16.0;

/// The semi-bold weight.
pub(super) fn strong(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(STRONG.into()))
}

/// The regular weight.
pub(super) fn regular(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

/// Both weights under the families that widgets ask for.
pub(super) fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let data = [("Inter", REGULAR), ("Inter SemiBold", SEMI_BOLD)];
    for (name, bytes) in data {
        fonts
            .font_data
            .insert(name.into(), Arc::new(FontData::from_static(bytes)));
    }
    let regular = vec!["Inter".to_owned()];
    // Figures are tabular in both weights, so that nothing here needs a monospaced face.
    fonts
        .families
        .insert(FontFamily::Proportional, regular.clone());
    fonts.families.insert(FontFamily::Monospace, regular);
    fonts.families.insert(
        FontFamily::Name(STRONG.into()),
        vec!["Inter SemiBold".to_owned(), "Inter".to_owned()],
    );
    fonts
}
