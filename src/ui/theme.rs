//! Colours, sizes and shapes: a quiet studio, dark or light, in which the object is the only bright thing.

use eframe::egui::style::{HandleShape, ScrollStyle, WidgetVisuals, Widgets};
use eframe::egui::{
    self, Color32, CornerRadius, Margin, Shadow, Stroke, Style, TextStyle, Theme, Visuals, vec2,
};

use super::fonts;

/// The grid that everything stands on, in points.
pub(super) const GRID: f32 = 4.0;
/// Between a panel's edge and what it holds.
pub(super) const PADDING: f32 = 12.0;
/// The height of everything that can be clicked or typed into.
pub(super) const CONTROL_HEIGHT: f32 = 28.0;
/// How corners of controls are rounded.
pub(super) const RADIUS: u8 = 6;

/// The colours of a theme, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Palette {
    /// Behind everything.
    pub(super) window: Color32,
    /// Panels.
    pub(super) panel: Color32,
    /// Controls at rest.
    pub(super) control: Color32,
    /// Controls under the pointer.
    pub(super) hover: Color32,
    /// The handles of sliders.
    pub(super) handle: Color32,
    /// What text is typed into, and wells.
    pub(super) well: Color32,
    /// The viewport's ground, from top to bottom.
    pub(super) viewport: [Color32; 2],
    /// Between panels, and around controls.
    pub(super) line: Color32,
    /// What is read.
    pub(super) text: Color32,
    /// What stands beside it.
    pub(super) secondary: Color32,
    /// The primary action, the current stage, the selection.
    pub(super) accent: Color32,
    /// The accent where it is text on a panel.
    pub(super) accent_text: Color32,
    /// Text on the accent.
    pub(super) on_accent: Color32,
    /// A closed mesh, and nothing else.
    pub(super) closed: Color32,
    /// An error, and nothing else.
    pub(super) error: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// The dark theme.
pub(super) const DARK: Palette = Palette {
    window: rgb(0x16_181c),
    panel: rgb(0x1c_1f24),
    control: rgb(0x28_2c33),
    hover: rgb(0x32_3740),
    handle: rgb(0xc4_cad1),
    well: rgb(0x14_161a),
    viewport: [rgb(0x0f_1114), rgb(0x23_272e)],
    line: rgb(0x2b_3038),
    text: rgb(0xe6_e8eb),
    secondary: rgb(0x9a_a3ad),
    accent: rgb(0xe8_a04a),
    accent_text: rgb(0xe8_a04a),
    on_accent: rgb(0x1a_1408),
    closed: rgb(0x6c_c08a),
    error: rgb(0xf0_7f76),
};

/// The light theme: the same relations.
pub(super) const LIGHT: Palette = Palette {
    window: rgb(0xe9_ebee),
    panel: rgb(0xf6_f7f8),
    control: rgb(0xe4_e7ea),
    hover: rgb(0xd8_dce1),
    handle: rgb(0x6a_737d),
    well: rgb(0xff_ffff),
    viewport: [rgb(0xd3_d7dc), rgb(0xee_f0f2)],
    line: rgb(0xd5_d9de),
    text: rgb(0x1d_2126),
    secondary: rgb(0x50_5963),
    accent: rgb(0xe0_963c),
    accent_text: rgb(0x8a_5209),
    on_accent: rgb(0x22_1803),
    closed: rgb(0x17_6437),
    error: rgb(0xb3_2d24),
};

/// The palette in use.
pub(super) fn palette(ui: &egui::Ui) -> &'static Palette {
    of(ui.visuals().dark_mode)
}

/// The palette in use, for what is drawn over everything.
pub(super) fn palette_of(ctx: &egui::Context) -> &'static Palette {
    of(ctx.theme() == Theme::Dark)
}

fn of(dark: bool) -> &'static Palette {
    if dark { &DARK } else { &LIGHT }
}

/// Sets both themes up.
pub(super) fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts::definitions());
    for (theme, palette) in [(Theme::Dark, &DARK), (Theme::Light, &LIGHT)] {
        ctx.set_style_of(theme, style(theme, palette));
    }
}

fn style(theme: Theme, palette: &Palette) -> Style {
    let mut style = Style {
        text_styles: [
            (TextStyle::Small, fonts::regular(fonts::SMALL)),
            (TextStyle::Body, fonts::regular(fonts::BODY)),
            (TextStyle::Button, fonts::regular(fonts::BODY)),
            (TextStyle::Monospace, fonts::regular(fonts::SMALL)),
            (TextStyle::Heading, fonts::strong(fonts::HEADLINE)),
        ]
        .into(),
        visuals: visuals(theme, palette),
        animation_time: 0.12,
        ..Style::default()
    };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(GRID * 2.0, GRID * 2.0);
    spacing.button_padding = vec2(GRID * 3.0, GRID);
    spacing.interact_size = vec2(CONTROL_HEIGHT, CONTROL_HEIGHT);
    spacing.window_margin = Margin::same(16);
    spacing.menu_margin = Margin::same(6);
    spacing.slider_rail_height = 4.0;
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 8.0;
    spacing.icon_spacing = 8.0;
    spacing.tooltip_width = 280.0;
    spacing.scroll = ScrollStyle::thin();
    style.interaction.tooltip_delay = 0.4;
    style.interaction.selectable_labels = false;
    style
}

fn visuals(theme: Theme, palette: &Palette) -> Visuals {
    let base = match theme {
        Theme::Dark => Visuals::dark(),
        Theme::Light => Visuals::light(),
    };
    let shadow = Shadow {
        offset: [0, 8],
        blur: 24,
        spread: 0,
        color: Color32::from_black_alpha(if theme == Theme::Dark { 110 } else { 50 }),
    };
    let mut visuals = Visuals {
        widgets: widgets(palette),
        hyperlink_color: palette.accent_text,
        faint_bg_color: palette.control,
        extreme_bg_color: palette.well,
        text_edit_bg_color: Some(palette.well),
        code_bg_color: palette.well,
        warn_fg_color: palette.accent_text,
        error_fg_color: palette.error,
        weak_text_color: Some(palette.secondary),
        window_corner_radius: CornerRadius::same(10),
        window_shadow: shadow,
        window_fill: palette.panel,
        window_stroke: Stroke::new(1.0, palette.line),
        menu_corner_radius: CornerRadius::same(RADIUS + 2),
        panel_fill: palette.panel,
        popup_shadow: shadow,
        slider_trailing_fill: true,
        handle_shape: HandleShape::Circle,
        ..base
    };
    visuals.selection.bg_fill = palette.accent;
    visuals.selection.stroke = Stroke::new(1.0, palette.on_accent);
    visuals
}

fn widgets(palette: &Palette) -> Widgets {
    let state = |fill, stroke: Color32, text| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, stroke),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    Widgets {
        noninteractive: state(palette.panel, palette.line, palette.text),
        inactive: state(palette.control, palette.control, palette.text),
        hovered: state(palette.hover, palette.hover, palette.text),
        active: state(palette.hover, palette.accent, palette.text),
        open: state(palette.hover, palette.line, palette.text),
    }
}
