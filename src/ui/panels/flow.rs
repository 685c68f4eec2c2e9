//! What can be turned of a source that refines a shape from noise.

use eframe::egui::{Align, DragValue, Layout, Response, Role, Ui, WidgetInfo};

use super::super::{flow, widgets};
use crate::engine::{Flow, Settings};

/// Shows the controls; tells whether one of them is held.
pub(super) fn show(ui: &mut Ui, flow: &mut Flow) -> bool {
    widgets::note(
        ui,
        "On the processor a shape takes from minutes to hours; Keep finishes what is predicted so far.",
    );
    let steps = number(
        ui,
        "Steps",
        "Steps from noise to the shape: more of them take longer and are cleaner; drag, or click and type \
         (num_inference_steps)",
        DragValue::new(&mut flow.steps)
            .range(Settings::STEPS)
            .speed(0.2),
    );
    let guidance = number(
        ui,
        "Guidance",
        "How far the image is followed; up to 1 each step takes half the time. Drag, or click and type \
         (guidance_scale)",
        DragValue::new(&mut flow.guidance)
            .range(Settings::GUIDANCES)
            .speed(0.05)
            .max_decimals(2),
    );
    let seed = number(
        ui,
        "Seed",
        "Which noise: another seed is another shape, and the same seed the same. Drag, or click and type",
        DragValue::new(&mut flow.seed)
            .range(Settings::SEEDS)
            .speed(0.2),
    );
    let tooltip = "Another shape of the same image: takes a seed by chance";
    if widgets::secondary(ui, "New seed", 24.0, true)
        .on_hover_text(tooltip)
        .clicked()
    {
        flow.seed = flow::new_seed(flow.seed);
    }
    let shapes = widgets::slider(
        ui,
        "Shapes",
        "How many shapes to choose from: Generate makes so many coarse ones, of this seed and those that follow it, \
         and the one that is picked is refined (num_shapes)",
        &mut flow.shapes,
        Settings::SHAPES,
        |shapes| shapes.to_string(),
    );
    // The last of them needs a seed too.
    let last = Settings::SEEDS.end() - u64::from(flow.shapes - 1);
    flow.seed = flow.seed.min(last);
    let previews = widgets::slider(
        ui,
        "Looks on the way",
        "The share of the time that goes into looks at the shape on the way; 0 for none (preview share)",
        &mut flow.preview_share,
        Settings::PREVIEW_SHARES,
        |share| format!("{:.0} %", share * 100.0),
    );
    let held = |response: &Response| response.dragged() || response.is_pointer_button_down_on();
    steps | guidance | seed | held(&shapes) | held(&previews)
}

/// A number that is dragged or typed, beside its name; tells whether it is held.
fn number(ui: &mut Ui, label: &str, tooltip: &str, value: DragValue<'_>) -> bool {
    let response = ui
        .horizontal(|ui| {
            ui.label(label);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                // What is half typed asks for nothing yet.
                ui.add(value.update_while_editing(false))
            })
            .inner
        })
        .inner;
    response.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, label));
    let held = response.dragged() || response.is_pointer_button_down_on();
    response.on_hover_text(tooltip);
    held
}
