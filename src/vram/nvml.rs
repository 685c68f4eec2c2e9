//! NVIDIA's management library as a sensor. It is loaded when it is first asked, and again after it
//! failed; this never changes a setting of a device.

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};

use super::sensor::{DeviceReading, Partition, ProcessReading, Sensor, SensorError};

/// The longest name of a process that is told.
const PROCESS_NAME_BYTES: usize = 256;

/// Reads NVIDIA's devices.
#[derive(Debug, Default)]
pub struct NvmlSensor {
    library: Option<Nvml>,
    driver_version: Option<String>,
}

impl Sensor for NvmlSensor {
    fn read(&mut self) -> Result<Vec<DeviceReading>, SensorError> {
        // Taken, so that a failure or a panic leaves none behind and the next call starts afresh.
        let library = match self.library.take() {
            Some(library) => library,
            None => {
                let library = Nvml::init().map_err(at_start)?;
                self.driver_version = library.sys_driver_version().ok();
                library
            }
        };
        let readings = devices(&library)?;
        self.library = Some(library);
        Ok(readings)
    }

    fn driver_version(&self) -> Option<String> {
        self.driver_version.clone()
    }
}

fn at_start(error: NvmlError) -> SensorError {
    match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => SensorError::NoDriver {
            reason: "its management library is not installed".into(),
        },
        NvmlError::DriverNotLoaded => SensorError::NoDriver {
            reason: "it is installed and not loaded".into(),
        },
        error => failed(error),
    }
}

fn failed(error: NvmlError) -> SensorError {
    let remedy = match error {
        NvmlError::LibRmVersionMismatch => "; restart the machine to finish its update",
        NvmlError::NoPermission => "; this user or container may not use it",
        _ => "",
    };
    SensorError::Failed {
        reason: format!("{error}{remedy}"),
    }
}

fn devices(library: &Nvml) -> Result<Vec<DeviceReading>, SensorError> {
    let count = library.device_count().map_err(failed)?;
    let mut readings = Vec::new();
    let mut lost = 0;
    for index in 0..count {
        match library.device_by_index(index) {
            Ok(device) => read_device(library, &device, &mut readings),
            Err(error) => {
                lost += u32::from(is_loss(&error));
                readings.push(unreadable(&error));
            }
        }
    }
    if count > 0 && lost == count {
        // Handles from before a reset or a resume stay invalid: start afresh.
        return Err(failed(NvmlError::GpuLost));
    }
    for (index, reading) in readings.iter_mut().enumerate() {
        reading.index = index as u32;
    }
    Ok(readings)
}

fn is_loss(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::GpuLost | NvmlError::ResetRequired | NvmlError::Uninitialized
    )
}

fn unreadable(error: &NvmlError) -> DeviceReading {
    DeviceReading {
        problem: Some(error.to_string()),
        ..DeviceReading::default()
    }
}

/// One reading of a whole device, or one for each of its instances.
fn read_device(library: &Nvml, device: &Device<'_>, readings: &mut Vec<DeviceReading>) {
    let is_divided = device.mig_mode().is_ok_and(|mode| mode.current == 1);
    if !is_divided {
        readings.push(read_part(library, device, Partition::Whole));
        return;
    }
    let places = device.mig_device_count().unwrap_or(0);
    let instances: Vec<_> = (0..places)
        .filter_map(|place| device.mig_device_by_index(place).ok())
        .map(|instance| DeviceReading {
            // An instance tells neither; its device does.
            temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok(),
            compute_capability: compute_capability(device),
            ..read_part(library, &instance, Partition::Instance)
        })
        .collect();
    if instances.is_empty() {
        readings.push(DeviceReading {
            problem: Some("it is set to be divided (MIG) and has no instances".into()),
            ..read_part(library, device, Partition::Undivided)
        });
    }
    readings.extend(instances);
}

fn read_part(library: &Nvml, device: &Device<'_>, partition: Partition) -> DeviceReading {
    let memory = device.memory_info();
    let problem = memory
        .as_ref()
        .err()
        .map(|error| format!("its memory cannot be read: {error}"));
    let memory = memory.ok();
    DeviceReading {
        index: 0,
        name: device.name().ok(),
        uuid: device.uuid().ok(),
        partition,
        total_bytes: memory.as_ref().map(|memory| memory.total),
        // What the driver keeps for itself is no more to be had than what is used.
        used_bytes: memory
            .as_ref()
            .map(|memory| memory.used.saturating_add(memory.reserved)),
        free_bytes: memory.as_ref().map(|memory| memory.free),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        load_percent: device.utilization_rates().ok().map(|load| load.gpu),
        power_watts: device
            .power_usage()
            .ok()
            .map(|milliwatts| f64::from(milliwatts) / 1000.0),
        compute_capability: compute_capability(device),
        processes: processes(library, device),
        problem,
    }
}

fn compute_capability(device: &Device<'_>) -> Option<(u32, u32)> {
    let capability = device.cuda_compute_capability().ok()?;
    Some((
        u32::try_from(capability.major).ok()?,
        u32::try_from(capability.minor).ok()?,
    ))
}

fn processes(library: &Nvml, device: &Device<'_>) -> Option<Vec<ProcessReading>> {
    let computing = device.running_compute_processes().ok();
    let drawing = device.running_graphics_processes().ok();
    if computing.is_none() && drawing.is_none() {
        return None;
    }
    let mut processes: Vec<ProcessReading> = Vec::new();
    let all = computing.unwrap_or_default().into_iter();
    for process in all.chain(drawing.unwrap_or_default()) {
        // One that computes and draws is told twice, each time with all that it holds.
        if processes.iter().all(|known| known.pid != process.pid) {
            processes.push(read_process(library, &process));
        }
    }
    Some(processes)
}

fn read_process(library: &Nvml, process: &ProcessInfo) -> ProcessReading {
    ProcessReading {
        pid: process.pid,
        name: library
            .sys_process_name(process.pid, PROCESS_NAME_BYTES)
            .ok()
            .filter(|name| !name.is_empty()),
        used_bytes: match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        },
        is_ours: process.pid == std::process::id(),
    }
}
