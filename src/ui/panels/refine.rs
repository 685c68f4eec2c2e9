//! The tools for a finished mesh: fewer faces, a calmer surface.

use eframe::egui::{
    self, Align, Align2, Context, DragValue, Layout, Pos2, Role, Ui, WidgetInfo, vec2,
};

use super::super::app::App;
use super::super::refine::Refinement;
use super::super::{theme, widgets};

const WIDTH: f32 = 236.0;

/// Shows the tools under a corner of the viewport, where they are open.
pub(super) fn show(app: &mut App, ctx: &Context, corner: Pos2) {
    let Some(faces) = app
        .active_project()
        .and_then(|project| project.result.as_ref())
        .map(|result| result.shown.mesh().triangles.len())
        .filter(|_| app.refine.open)
    else {
        return;
    };
    let mut open = true;
    let mut wish = None;
    let mut stop = false;
    egui::Window::new("Edit mesh")
        .fixed_pos(corner)
        .pivot(Align2::LEFT_TOP)
        .title_bar(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.set_width(WIDTH);
            ui.spacing_mut().item_spacing.y = 8.0;
            open = !widgets::window_header(ui, "Edit mesh");
            wish = tools(app, ui, faces);
            stop = state(app, ui);
        });
    app.refine.open = open;
    if let Some(wish) = wish {
        app.refine(wish);
    }
    if stop {
        app.stop_refining();
    }
}

fn tools(app: &mut App, ui: &mut Ui, faces: usize) -> Option<Refinement> {
    let ready = app.refine.running.is_none()
        && app
            .active_project()
            .is_some_and(super::super::project::Project::is_finished);
    let refine = &mut app.refine;
    let mut wish = None;
    let most = faces.saturating_sub(1).max(4);
    let mut target = refine
        .exactly
        .unwrap_or((faces as f64 * f64::from(refine.share)) as usize)
        .clamp(4, most);
    ui.horizontal(|ui| {
        ui.label("Faces");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let number = DragValue::new(&mut target)
                .range(4..=most)
                .speed((faces as f64 / 400.0).max(1.0))
                .custom_formatter(|faces, _| widgets::grouped(faces as usize))
                .custom_parser(|text| text.replace([',', ' '], "").parse().ok());
            let response = ui.add(number);
            response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "Faces that stay"));
            if response.changed() {
                refine.exactly = Some(target);
                refine.share = (target as f64 / faces as f64) as f32;
            }
            response.on_hover_text("How many triangles stay; drag, or click and type (simplify)");
        });
    });
    let tooltip = "How many triangles stay, as a share of those there are";
    let mut share = refine.share.clamp(0.01, 0.95);
    if widgets::rail(ui, "Share of faces", tooltip, &mut share, 0.01..=0.95).changed() {
        refine.share = share;
        refine.exactly = None;
    }
    ui.add_space(4.0);
    let waiting = "Possible once the mesh is finished";
    if widgets::secondary(ui, "Simplify", theme::CONTROL_HEIGHT, ready)
        .on_hover_text("Fewer triangles, the same shape; closed stays closed")
        .on_disabled_hover_text(waiting)
        .clicked()
    {
        wish = Some(Refinement::Simplify { faces: target });
    }
    ui.add_space(4.0);
    widgets::slider(
        ui,
        "Strength",
        "How much is smoothed: ripples first, then broader forms (Taubin's filter)",
        &mut refine.strength,
        0.05..=1.0,
        |strength| format!("{:.0} %", strength * 100.0),
    );
    ui.add_space(4.0);
    if widgets::secondary(ui, "Smooth", theme::CONTROL_HEIGHT, ready)
        .on_hover_text("A calmer surface of the same volume; closed stays closed")
        .on_disabled_hover_text(waiting)
        .clicked()
    {
        wish = Some(Refinement::Smooth {
            strength: refine.strength,
        });
    }
    wish
}

/// What runs, with a way to stop it; whether that was pressed. Nothing moves when it changes.
fn state(app: &mut App, ui: &mut Ui) -> bool {
    let mut stop = false;
    ui.horizontal(|ui| {
        super::edits::buttons(app, ui);
        match &app.refine.running {
            Some(running) => {
                widgets::note(ui, running.refinement.under_way());
                stop = widgets::quiet(ui, "Stop", "Leave the mesh as it is").clicked();
            }
            None => {
                widgets::note(ui, "Each can be undone");
            }
        }
    });
    stop
}

/// Where the tools open.
pub(super) fn corner(rect: egui::Rect) -> Pos2 {
    rect.min + vec2(12.0, 48.0)
}
