//! What TripoSG takes at its published size, as its plans state it: nothing is computed.

use orfeas::compute::probe::DriverVersion;
use orfeas::engine::{Settings, Source, plan};
use orfeas::vram::{
    CudaProbe, Device, DeviceReading, DeviceWish, Manager, Plan, Precision, Residency,
};

use crate::vram_sensors::{Behaviour, GB, Script, config, cuda, gpu};

/// The plan for 512³ cells on a GPU with so much free memory, of which it leaves the viewport some.
fn planned(free_bytes: u64, precision: Option<Precision>) -> Plan {
    let reading = DeviceReading {
        used_bytes: Some(24 * GB - free_bytes),
        free_bytes: Some(free_bytes),
        ..gpu(0, "A", 24, 0)
    };
    let script = Script::new(Behaviour::Tell(vec![reading]));
    let mut config = config(&script);
    config.cuda = Some(CudaProbe::Devices {
        version: DriverVersion {
            major: 12,
            minor: 4,
        },
        devices: vec![cuda(0, 0, "A", 24)],
    });
    let manager = Manager::start(config);
    let settings = Settings {
        source: Source::TripoSg,
        resolution: 512,
        device: DeviceWish::Only(Device::Cuda(0)),
        precision,
        ..Settings::default()
    };
    let plan = plan(&settings, &manager).unwrap();
    let (choice, need) = (plan.choice, plan.need);
    println!("{free_bytes} bytes free: {choice:?} takes {need:?}");
    assert_eq!(choice.level, 512);
    assert!(need.device_bytes <= free_bytes);
    plan
}

#[test]
fn half_precision_staged_takes_at_most_4_5_gb() {
    let choice = planned(4_500_000_000, Some(Precision::F16)).choice;
    assert_eq!(choice.precision, Precision::F16);
    assert_ne!(choice.residency, Residency::Streamed);
}

#[test]
fn the_smallest_plan_takes_at_most_2_5_gb() {
    planned(2_500_000_000, None);
}

#[test]
fn where_there_is_room_the_weights_stay() {
    let choice = planned(23 * GB, None).choice;
    assert_eq!(choice.residency, Residency::Resident);
}
