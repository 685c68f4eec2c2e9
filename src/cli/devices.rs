//! `orfeas devices`: what there is to compute on.

use clap::Args;
use serde_json::json;

use super::exit::Failed;
use super::generate::print_line;
use super::report::bytes;
use super::startup::Resources;
use crate::vram::{CudaProbe, DeviceReading, Manager};

/// List what there is to compute on, with its memory
#[derive(Debug, Args)]
#[command(
    after_help = "Of several GPUs the one with the most free memory is watched; the environment variable ORFEAS_GPU names \
    another, by its number here or a part of its name.\nA CUDA device multiplies matrices by NVIDIA's cuBLASLt where \
    that is found; ORFEAS_CUBLASLT names the library's file, or is off."
)]
pub(super) struct Arguments {
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let manager = Resources::default().start().manager;
    // Asks the driver anew, and waits for its first answer.
    let memory = manager.memory();
    if arguments.json {
        let cuda = manager.cuda();
        let object = json!({
            "host": memory.host,
            "gpus": manager.devices(),
            "gpu_state": manager.gpu_state().to_string(),
            "cuda": cuda.as_ref().map(ToString::to_string),
            "cuda_devices": memory.devices,
            "recommended_precision": manager.recommended_precision(),
        });
        return print_line(&object.to_string());
    }
    print_line(&host_line(&manager))?;
    for device in manager.devices() {
        print_line(&gpu_line(&device))?;
    }
    print_line(&format!("gpu   {}", manager.gpu_state()))?;
    match manager.cuda() {
        Some(cuda) => print_line(&cuda_line(&cuda)),
        None => print_line("cuda  the driver does not answer"),
    }
}

fn host_line(manager: &Manager) -> String {
    let host = manager.statistics().host;
    let amount = |amount: Option<u64>| amount.map_or_else(|| "unknown".into(), bytes);
    format!(
        "cpu   {} of {} available",
        amount(host.available_bytes),
        amount(host.total_bytes)
    )
}

fn gpu_line(device: &DeviceReading) -> String {
    let mut line = format!("gpu {} {}", device.index, device.title());
    if let (Some(free), Some(total)) = (device.free_bytes, device.total_bytes) {
        line += &format!(", {} of {} free", bytes(free), bytes(total));
    }
    if let Some(temperature) = device.temperature_celsius {
        line += &format!(", {temperature} °C");
    }
    if let Some(load) = device.load_percent {
        line += &format!(", {load} % busy");
    }
    if let Some(problem) = &device.problem {
        line += &format!(" ({problem})");
    }
    line
}

fn cuda_line(cuda: &CudaProbe) -> String {
    match cuda.remedy() {
        Some(remedy) => format!("cuda  {cuda}; {remedy}"),
        None => format!("cuda  {cuda}"),
    }
}
