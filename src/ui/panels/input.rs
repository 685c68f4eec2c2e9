//! The left panel: the image with its matte, what can be turned, and the one thing to do next.

use eframe::egui::{
    self, Align, CornerRadius, Layout, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::project::{MatteChoice, Phase, Project};
use super::super::{fonts, theme, widgets};
use super::{controls, rule};
use crate::engine::MatteSummary;

/// The tallest that the picture of the input becomes.
const PICTURE_HEIGHT: f32 = 200.0;
/// The height of what stays at the bottom.
const FOOTER: f32 = 68.0;

pub(in super::super) fn show(app: &mut App, ui: &mut Ui) {
    let room = ui.available_rect_before_wrap();
    let upper = Rect::from_min_max(room.min, room.max - vec2(0.0, FOOTER));
    widgets::inside(ui, upper, |ui| {
        header(app, ui);
        egui::ScrollArea::vertical()
            .auto_shrink(false)
            .show(ui, |ui| {
                picture(app, ui);
                rule(ui);
                controls::show(app, ui);
            });
    });
    let lower = Rect::from_min_max(room.max - vec2(room.width(), FOOTER), room.max);
    widgets::inside(ui, lower, |ui| {
        ui.with_layout(Layout::bottom_up(Align::Min), |ui| actions(app, ui));
    });
}

fn header(app: &mut App, ui: &mut Ui) {
    ui.horizontal(|ui| {
        widgets::heading(ui, "Input");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            if widgets::small(ui, "Paste", "Paste an image from the clipboard (Ctrl+V)").clicked() {
                app.paste();
            }
            if widgets::small(ui, "Open…", "Open images or a mesh (Ctrl+O)").clicked() {
                app.ask_for_files();
            }
        });
    });
}

fn picture(app: &mut App, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let width = ui.available_width();
    let height = (width * 0.8).min(PICTURE_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
    let rounding = CornerRadius::same(theme::RADIUS);
    ui.painter().rect_filled(rect, rounding, palette.well);
    let project = app.active_project();
    let label = match project {
        Some(project) => format!("Input image: {}", project.name),
        None => "Open an image".to_owned(),
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, label.clone()));
    let texture = project.and_then(|project| project.picture.as_ref());
    if let Some(texture) = texture {
        let inner = widgets::contain(texture.size_vec2(), rect.shrink(6.0));
        widgets::chequer(ui.painter(), inner, ui.visuals().dark_mode);
        let uv = Rect::from_min_max(egui::Pos2::ZERO, egui::pos2(1.0, 1.0));
        let paint = |texture: &egui::TextureHandle| {
            ui.painter()
                .image(texture.id(), inner, uv, egui::Color32::WHITE);
        };
        paint(texture);
        if let Some(overlay) = project
            .and_then(|project| project.matte.as_ref())
            .and_then(|matte| matte.overlay.as_ref())
        {
            paint(overlay);
        }
    } else {
        let text = match project {
            Some(project) if project.missing.is_some() => "The image of this mesh is not here",
            Some(project) if project.is_mesh_file => "A mesh from a file, without an image",
            Some(project) if project.problem.is_some() => "This image cannot be shown",
            Some(_) => "Reading…",
            None => "No image yet",
        };
        ui.painter().text(
            rect.center(),
            egui::Align2::CENTER_CENTER,
            text,
            fonts::regular(fonts::SMALL),
            palette.secondary,
        );
    }
    ui.painter().rect_stroke(
        rect,
        rounding,
        Stroke::new(1.0, palette.line),
        StrokeKind::Inside,
    );
    if response
        .on_hover_text("Click to open another image; the line is the estimated outline (matte)")
        .clicked()
    {
        app.ask_for_files();
    }
    caption(app, ui);
}

/// The file's name and how far the outline can be trusted.
fn caption(app: &mut App, ui: &mut Ui) {
    let Some(project) = app.active_project() else {
        widgets::note(ui, "PNG, JPEG, WebP, SVG, TIFF, BMP, GIF");
        return;
    };
    let name = project.name.clone();
    ui.add(egui::Label::new(RichText::new(&name).size(fonts::SMALL)).truncate())
        .on_hover_text(&name);
    if project.is_mesh_file {
        return;
    }
    let words = project.matte.as_ref().map_or_else(
        || "No outline yet".to_owned(),
        |matte| words(&matte.summary),
    );
    let before = &project.wishes.outline;
    let (id, own) = (project.id, before.own.as_ref().map(|own| own.name.clone()));
    let correctable = project.image.is_some();
    let is_open = app
        .editor
        .as_ref()
        .is_some_and(|editor| editor.project == id);
    let mut outline = before.clone();
    let mut from_file = false;
    ui.horizontal(|ui| {
        let menu = (ui.available_width() * 0.54).min(116.0);
        ui.scope(|ui| {
            ui.set_max_width(ui.available_width() - menu - 8.0);
            widgets::short_note(ui, words.clone()).on_hover_text(format!(
                "{words}. The outline tells the subject from its background (matte)."
            ));
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let combo = egui::ComboBox::from_id_salt("matte")
                .width(menu)
                .icon(widgets::chevron)
                .selected_text(RichText::new(outline.choice.label()).size(fonts::SMALL))
                .show_ui(ui, |ui| {
                    for choice in MatteChoice::ALL {
                        ui.selectable_value(&mut outline.choice, choice, choice.label());
                    }
                    if let Some(own) = own {
                        let choice = MatteChoice::Own;
                        ui.selectable_value(&mut outline.choice, choice, choice.label())
                            .on_hover_text(own);
                    }
                    from_file = ui
                        .selectable_label(false, "From a file…")
                        .on_hover_text("An image in which the subject is white, or opaque (matte)")
                        .clicked();
                });
            combo.response.widget_info(|| {
                WidgetInfo::labeled(Role::ComboBox, true, "How the outline is found")
            });
            combo.response.on_hover_text(
                "How the subject is told from its background: automatically, by the image's \
                 transparency, not at all, or by an image of your own",
            );
        });
    });
    app.set_outline(id, "the choice of the outline", outline);
    if from_file {
        app.ask_for_matte();
    }
    let tooltip = "Draw over what the outline misses or takes in by mistake (O)";
    let text = if is_open {
        "Back to the object"
    } else {
        "Correct outline"
    };
    if widgets::secondary(ui, text, 24.0, correctable)
        .on_hover_text(tooltip)
        .on_disabled_hover_text("Possible once the image was read")
        .clicked()
    {
        app.toggle_editor();
    }
}

fn words(matte: &MatteSummary) -> String {
    match matte.kind.as_str() {
        "alpha" => "Transparency".to_owned(),
        "estimated" => format!("Cut-out {:.0} %", matte.confidence * 100.0),
        "full" => "Whole frame".to_owned(),
        "user" => "Your own matte".to_owned(),
        other => other.to_owned(),
    }
}

/// Gives the active project other wishes, where they are other.
pub(super) fn change(app: &mut App, wishes: super::super::project::Wishes) {
    if let Some(id) = app.active
        && let Some(project) = app.project_mut(id)
    {
        project.change(wishes, std::time::Instant::now());
    }
}

/// From the bottom up: settings and help, then the one thing to do next.
fn actions(app: &mut App, ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        if widgets::quiet(ui, "Settings", "Theme, limits, folders, log").clicked() {
            app.settings_open = !app.settings_open;
        }
        if widgets::quiet(ui, "Keys", "All keys (H)").clicked() {
            app.help_open = !app.help_open;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let tooltip = if app.preferences.memory_open {
                "Hide memory and precision (M)"
            } else {
                "Show memory and precision (M)"
            };
            if widgets::quiet(ui, "Memory", tooltip).clicked() {
                app.toggle_memory();
            }
        });
    });
    let (text, tooltip, act) = next_action(app.active_project());
    let response = match act {
        // Stopping is never what is to be done next.
        Act::Cancel => widgets::secondary(ui, text, theme::CONTROL_HEIGHT + theme::GRID, true),
        act => widgets::primary(ui, text, act != Act::Nothing),
    };
    let response = response
        .on_hover_text(tooltip)
        .on_disabled_hover_text(tooltip);
    if !response.clicked() {
        return;
    }
    let id = app.active;
    match (act, id) {
        (Act::Open, _) => app.ask_for_files(),
        (Act::Cancel, Some(id)) => app.cancel(id),
        (Act::Generate, Some(id)) => app.generate(id),
        (Act::Export, _) => app.begin_export(),
        _ => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Open,
    Cancel,
    Generate,
    Export,
    Nothing,
}

/// The one thing to do next: its name, its tooltip, and what it does.
fn next_action(project: Option<&Project>) -> (&'static str, &'static str, Act) {
    let Some(project) = project else {
        return (
            "Open an image…",
            "Open images or a mesh (Ctrl+O)",
            Act::Open,
        );
    };
    match project.phase() {
        Phase::Opening => ("Generate", "The image is being read", Act::Nothing),
        Phase::Waiting | Phase::Working => (
            "Cancel",
            "Stop; the mesh on screen stays (Esc)",
            Act::Cancel,
        ),
        Phase::Done => ("Export…", "Write the mesh to a file (Ctrl+S)", Act::Export),
        Phase::Stopped => (
            "Generate",
            "Make the mesh with the settings above (Ctrl+G)",
            Act::Generate,
        ),
        Phase::Failed if project.image.is_some() && !project.bad_image => (
            "Try again",
            "Make the mesh with the settings above (Ctrl+G)",
            Act::Generate,
        ),
        Phase::Failed => (
            "Open another image…",
            "Open images or a mesh (Ctrl+O)",
            Act::Open,
        ),
    }
}
