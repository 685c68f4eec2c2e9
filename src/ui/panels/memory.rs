//! The right panel: memory over time with stage marks, the device, and the precision.
//!
//! Everything comes from what the memory manager saw last; the panel asks no driver.

use std::time::{Duration, Instant};

use eframe::egui::{self, Color32, RichText, Role, Stroke, Ui, WidgetInfo};
use egui_plot::{HLine, Line, Plot, PlotPoints, VLine};

use super::super::app::App;
use super::super::desk::{LaneOf, Message, PrecisionPlan};
use super::super::project::Wishes;
use super::super::{fonts, theme, widgets};
use super::rule;
use crate::engine::{self, Engine, Precision, Settings, Source};
use crate::vram::{Mark, Plan, Sample, Watched};

/// How far back the plot reaches, in seconds.
const SPAN: f64 = 120.0;
/// How often the panel is drawn while nothing else is.
const REFRESH: Duration = Duration::from_secs(1);
/// How long a plan of the precisions stands.
const PLAN_AGE: Duration = Duration::from_secs(10);
const PLOT_HEIGHT: f32 = 96.0;

/// What was read of the manager, kept until it has a newer sample.
#[derive(Default)]
pub(in super::super) struct MemoryView {
    samples: Vec<Sample>,
    marks: Vec<Mark>,
    device: Device,
}

/// The watched device in words.
#[derive(Default, Clone, PartialEq)]
struct Device {
    name: String,
    details: String,
    explanation: String,
}

impl MemoryView {
    fn update(&mut self, engine: &Engine) {
        let manager = engine.vram();
        let newest = manager.sample();
        let old = self.samples.last().map(|sample| sample.number);
        if old == Some(newest.number) {
            return;
        }
        let from = newest.seconds - SPAN;
        self.samples = manager.history();
        self.samples.retain(|sample| sample.seconds >= from);
        self.marks = manager.marks();
        self.marks.retain(|mark| mark.seconds >= from);
        self.device = device(engine, &newest);
    }
}

fn device(engine: &Engine, newest: &Sample) -> Device {
    let statistics = engine.vram().statistics();
    match (&statistics.device_name, newest.gpu) {
        (Some(name), Some(gpu)) => {
            let temperature = gpu
                .temperature_celsius
                .map(|celsius| format!("{celsius} °C"));
            let load = gpu.load_percent.map(|percent| format!("load {percent} %"));
            let details: Vec<_> = [temperature, load].into_iter().flatten().collect();
            Device {
                name: name.clone(),
                details: details.join(" · "),
                explanation: statistics.state,
            }
        }
        _ => Device {
            name: "CPU in use".to_owned(),
            details: match engine.vram().gpu_state().absence() {
                Some("no GPU") => "There is no NVIDIA GPU".to_owned(),
                Some("the GPU cannot be read") => "The GPU cannot be read".to_owned(),
                _ => "No GPU is watched".to_owned(),
            },
            explanation: format!("Everything runs on the processor: {}", statistics.state),
        },
    }
}

pub(in super::super) fn show(app: &mut App, ui: &mut Ui) {
    let Some(engine) = app.engine.clone() else {
        header(ui);
        let text = match &app.engine_problem {
            Some(problem) => problem.clone(),
            None => "Looking at this machine…".to_owned(),
        };
        widgets::note(ui, text);
        return;
    };
    app.memory.update(&engine);
    let focused = ui.input(|input| input.viewport().focused.unwrap_or(true));
    if focused {
        ui.ctx().request_repaint_after(REFRESH);
    }
    egui::ScrollArea::vertical()
        .auto_shrink(false)
        .show(ui, |ui| {
            usage(&app.memory, ui);
            rule(ui);
            let free = device_line(&app.memory, ui);
            if free {
                app.desk.run(LaneOf::Jobs, move |_| {
                    engine.free_memory();
                });
            }
            rule(ui);
            precision(app, ui);
        });
}

/// As tall as the one of the input, so that both begin on one line.
fn header(ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        widgets::heading(ui, "Memory");
    });
}

/// Used, total and our own share, in bytes.
fn amounts(sample: &Sample) -> (Option<u64>, Option<u64>, u64) {
    match (sample.watched(), sample.gpu) {
        (Watched::Gpu, Some(gpu)) => (gpu.used_bytes, gpu.total_bytes, gpu.reserved_bytes),
        _ => {
            let host = &sample.host;
            let used = host
                .total_bytes
                .zip(host.available_bytes)
                .map(|(total, available)| total.saturating_sub(available));
            // Without a GPU our share is what the process holds, images and pictures included.
            let own = host.resident_bytes.unwrap_or(sample.host_reserved_bytes);
            (used, host.total_bytes, own)
        }
    }
}

fn usage(view: &MemoryView, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let newest = view.samples.last().copied().unwrap_or_default();
    let (used, total, own) = amounts(&newest);
    header(ui);
    let tell = |bytes: Option<u64>| bytes.map_or_else(|| "not told".to_owned(), widgets::bytes);
    let line = |ui: &mut Ui, colour: Color32, name: &str, value: String, tooltip: &str| {
        ui.horizontal(|ui| {
            let (dot, _) = ui.allocate_exact_size(egui::vec2(8.0, 18.0), egui::Sense::hover());
            ui.painter().circle_filled(dot.center(), 4.0, colour);
            ui.label(RichText::new(name).size(fonts::SMALL));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.label(RichText::new(value).size(fonts::SMALL));
            });
        })
        .response
        .on_hover_text(tooltip);
    };
    let (where_words, own_words) = match newest.watched() {
        Watched::Gpu => ("Used on the GPU", "What Orfeas has reserved on the GPU"),
        Watched::Host => ("Used on this machine", "What the Orfeas process holds"),
    };
    ui.spacing_mut().item_spacing.y = 2.0;
    line(
        ui,
        palette.secondary,
        "Used",
        format!("{} of {}", tell(used), tell(total)),
        &format!("{where_words}, by all programs"),
    );
    line(ui, palette.accent, "Orfeas", widgets::bytes(own), own_words);
    ui.spacing_mut().item_spacing.y = 8.0;
    plot(view, total, ui);
}

fn plot(view: &MemoryView, total: Option<u64>, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let now = view.samples.last().map_or(0.0, |sample| sample.seconds);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let points = |value: fn(&Sample) -> Option<u64>| -> PlotPoints<'static> {
        view.samples
            .iter()
            .filter_map(|sample| Some([sample.seconds - now, gigabytes(value(sample)?)]))
            .collect()
    };
    let used = points(|sample| amounts(sample).0);
    let own = points(|sample| Some(amounts(sample).2));
    let top = total.map_or_else(
        || {
            let most = view.samples.iter().filter_map(|sample| amounts(sample).0);
            gigabytes(most.max().unwrap_or(1_000_000_000))
        },
        gigabytes,
    ) * 1.08;
    let mut marks: Vec<f64> = view.marks.iter().map(|mark| mark.seconds - now).collect();
    // Stages shorter than a pixel or two would run together into a band.
    marks.dedup_by(|next, kept| *next - *kept < SPAN / 60.0);
    let faint = palette.line;
    let response = Plot::new("memory over time")
        .height(PLOT_HEIGHT)
        .show_axes(false)
        .show_grid(false)
        .show_background(false)
        .show_x(false)
        .show_y(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .allow_axis_zoom_drag(false)
        .show_crosshair(false)
        .set_margin_fraction(egui::Vec2::ZERO)
        .show(ui, |plot| {
            plot.set_plot_bounds_x(-SPAN..=0.0);
            plot.set_plot_bounds_y(0.0..=top);
            for mark in marks {
                plot.vline(
                    VLine::new("stage", mark)
                        .color(faint)
                        .width(1.0)
                        .allow_hover(false),
                );
            }
            if let Some(total) = total {
                let total = gigabytes(total);
                plot.hline(
                    HLine::new("total", total)
                        .color(faint)
                        .width(1.0)
                        .allow_hover(false),
                );
            }
            plot.line(
                Line::new("used", used)
                    .color(palette.secondary)
                    .width(1.5)
                    .fill(0.0)
                    .fill_alpha(0.12)
                    .allow_hover(false),
            );
            plot.line(
                Line::new("Orfeas", own)
                    .color(palette.accent)
                    .width(1.5)
                    .fill(0.0)
                    .fill_alpha(0.25)
                    .allow_hover(false),
            );
        })
        .response;
    ui.painter().rect_stroke(
        response.rect,
        egui::CornerRadius::same(4),
        Stroke::new(1.0, palette.line),
        egui::StrokeKind::Inside,
    );
    response
        .widget_info(|| WidgetInfo::labeled(Role::Image, true, "Memory over the last two minutes"));
    response.on_hover_text(
        "Memory over the last two minutes: all programs, and Orfeas. Thin lines mark where a stage of a \
         job began",
    );
    ui.horizontal(|ui| {
        widgets::note(ui, "2 min ago");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            widgets::note(ui, "now");
        });
    });
}

/// The device; tells whether memory is to be freed.
fn device_line(view: &MemoryView, ui: &mut Ui) -> bool {
    widgets::heading(ui, "Device");
    let device = &view.device;
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.add(egui::Label::new(device.name.as_str()).truncate())
        .on_hover_text(&device.explanation);
    if !device.details.is_empty() {
        widgets::note(ui, device.details.as_str()).on_hover_text(&device.explanation);
    }
    ui.spacing_mut().item_spacing.y = 8.0;
    ui.add_space(4.0);
    widgets::small(
        ui,
        "Free memory",
        "Give up everything that no job uses: the last image and, on a GPU, loaded weights",
    )
    .clicked()
}

fn precision(app: &mut App, ui: &mut Ui) {
    widgets::heading(ui, "Precision");
    let palette = theme::palette(ui);
    let chosen = app
        .active_project()
        .and_then(|project| project.wishes.precision);
    let mut wish = chosen;
    ui.spacing_mut().item_spacing.y = 0.0;
    for (value, name, tooltip) in CHOICES {
        let plan = app.plans.iter().find(|plan| plan.wish == value);
        let (text, enabled, why) = match plan {
            None => ("…".to_owned(), false, "Not planned yet".to_owned()),
            Some(plan) => words(plan),
        };
        ui.horizontal(|ui| {
            let response = widgets::radio(ui, name, wish == value, enabled)
                .on_hover_text(format!("{tooltip}. {why}"));
            if response.clicked() {
                wish = value;
            }
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let colour = if enabled {
                    palette.text
                } else {
                    palette.secondary
                };
                let label = RichText::new(text).size(fonts::SMALL).color(colour);
                ui.add(egui::Label::new(label).truncate())
                    .on_hover_text(why);
            });
        });
    }
    ui.spacing_mut().item_spacing.y = 8.0;
    let lacking = app.plans.iter().find_map(|plan| plan.lacking.clone());
    if let Some(reason) = lacking {
        widgets::note(ui, reason);
    }
    reduced(app, ui);
    if wish != chosen
        && let Some(project) = app.active_project()
    {
        let wishes = Wishes {
            precision: wish,
            ..project.wishes.clone()
        };
        super::input::change(app, wishes);
    }
}

/// What was reduced to fit, or why nothing fits, in one line.
fn reduced(app: &App, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let wished = app
        .active_project()
        .map_or(app.preferences.resolution, |project| {
            project.wishes.resolution
        });
    let text = match app.plans.first().map(|plan| (&plan.plan, plan.level)) {
        Some((Err(reason), _)) => reason.clone(),
        Some((Ok(_), Some(level))) if level < wished => {
            format!("Only {level}³ fits into the memory that is free")
        }
        _ => return,
    };
    let label = RichText::new(text)
        .size(fonts::SMALL)
        .color(palette.accent_text);
    ui.add(egui::Label::new(label).wrap());
}

const CHOICES: [(Option<Precision>, &str, &str); 5] = [
    (
        None,
        "Auto",
        "The best that the device computes fast and that fits",
    ),
    (Some(Precision::F32), "FP32", "32-bit floating point"),
    (
        Some(Precision::F16),
        "FP16",
        "16-bit floating point (IEEE 754 binary16)",
    ),
    (
        Some(Precision::Bf16),
        "BF16",
        "16-bit floating point (bfloat16)",
    ),
    (Some(Precision::Int8), "INT8", "8-bit integer weights"),
];

/// How a precision stands: a few words, whether it can be chosen, and why.
fn words(plan: &PrecisionPlan) -> (String, bool, String) {
    if let Some(lacking) = &plan.lacking {
        return ("not used".to_owned(), false, lacking.clone());
    }
    match &plan.plan {
        Ok((bytes, precision)) => {
            let need = widgets::bytes(*bytes);
            let text = match plan.wish {
                None => format!("{} · {need}", name_of(*precision)),
                Some(_) => need,
            };
            (text, true, plan.reasons.join(". "))
        }
        Err(reason) => ("does not fit".to_owned(), false, reason.clone()),
    }
}

fn name_of(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "FP32",
        Precision::F16 => "FP16",
        Precision::Bf16 => "BF16",
        Precision::Int8 => "INT8",
    }
}

impl App {
    /// Has the precisions planned for the present wishes, elsewhere: planning asks for a fresh sample.
    pub(in super::super) fn plan_precisions(&mut self) {
        let Some(engine) = self.engine.clone() else {
            return;
        };
        let wishes = self
            .active_project()
            .map_or_else(|| self.first_wishes(), |project| project.wishes.clone());
        // Why a source was chosen is told beside the list of sources.
        if !self.preferences.memory_open && wishes.source != Source::Auto {
            return;
        }
        let now = Instant::now();
        let stands = self.planned_for.as_ref().is_some_and(|(planned, at)| {
            planned.resolution == wishes.resolution
                && planned.source == wishes.source
                && planned.flow == wishes.flow
                && now.duration_since(*at) < PLAN_AGE
        });
        if stands {
            return;
        }
        self.planned_for = Some((wishes.clone(), now));
        self.desk.run(LaneOf::Jobs, move |inbox| {
            let mut settings = wishes.settings(wishes.resolution);
            let chosen = engine.choose(&mut settings).map(|chosen| chosen.reason);
            let plans = plans(&engine, &settings);
            inbox.send(Message::Planned { plans, chosen });
        });
    }
}

/// What each precision would need, by the engine's own planning.
fn plans(engine: &Engine, settings: &Settings) -> Vec<PrecisionPlan> {
    let planned = CHOICES.map(|(wish, ..)| {
        let settings = Settings {
            precision: wish,
            ..settings.clone()
        };
        (wish, engine::plan(&settings, engine.vram()))
    });
    let computed = |plan: &Result<Plan, _>| plan.as_ref().ok().map(|plan| plan.choice.precision);
    // A plan keeps to what the source has, whatever was asked for.
    let offered: Vec<_> = planned
        .iter()
        .filter_map(|(wish, plan)| wish.filter(|&wish| computed(plan) == Some(wish)))
        .map(name_of)
        .collect();
    let offered = offered.join(" and ");
    planned
        .into_iter()
        .map(|(wish, plan)| {
            let lacking = match (wish, computed(&plan)) {
                (Some(wish), Some(computed)) if wish != computed => {
                    Some(format!("This source computes in {offered} only"))
                }
                _ => None,
            };
            PrecisionPlan {
                wish,
                lacking,
                level: plan.as_ref().ok().map(|plan| plan.choice.level),
                reasons: plan
                    .as_ref()
                    .map_or_else(|_| Vec::new(), |plan| plan.reasons.clone()),
                plan: plan
                    .map(|plan| {
                        (
                            plan.need.host_bytes + plan.need.device_bytes,
                            plan.choice.precision,
                        )
                    })
                    .map_err(|no_plan| no_plan.to_string()),
            }
        })
        .collect()
}
