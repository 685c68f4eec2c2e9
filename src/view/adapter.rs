//! Which graphics adapters there are to draw with.

use std::fmt;

use serde::Serialize;

/// A graphics adapter as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// The interface it is reached through: `vulkan`, `gl`, `dx12` or `metal`.
    pub backend: String,
    /// Its driver, with its version where that is told.
    pub driver: String,
    /// Whether it is the processor that draws.
    pub software: bool,
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.backend)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        f.write_str(if self.software {
            ", software rendering)"
        } else {
            ")"
        })
    }
}

/// Every adapter that can be reached, graphics cards before software. Loads the system's graphics
/// libraries and takes some tenths of a second; empty where there are none.
pub fn adapters() -> Vec<Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut adapters: Vec<_> = found
        .iter()
        .map(|found| describe(&found.get_info()))
        .collect();
    adapters.sort_by_key(|adapter| adapter.software);
    adapters
}

fn describe(info: &wgpu::AdapterInfo) -> Adapter {
    let driver = [info.driver.as_str(), info.driver_info.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Adapter {
        name: info.name.clone(),
        backend: info.backend.to_string(),
        driver,
        software: info.device_type == wgpu::DeviceType::Cpu,
    }
}
