//! Watching memory through every state that a driver can be in.

use std::time::Duration;

use orfeas::vram::{
    Config, CudaProbe, DeviceChoice, DeviceReading, GpuState, Ledger, Manager, Partition,
    Precision, SensorError, Watched,
};

use crate::vram_sensors::{
    Behaviour, GB, Script, config, cuda, eventually, gpu, logged, no_driver, start,
};

#[test]
fn whatever_this_machine_has_is_a_normal_state() {
    let manager = Manager::start(Config::default());
    let statistics = manager.statistics();
    assert!(manager.is_monitoring());
    assert_eq!(statistics.gpu_present, manager.selected().is_some());
    assert!(!statistics.state.is_empty());
    assert!(statistics.host.total_bytes.unwrap() > statistics.host.available_bytes.unwrap());
    assert!(statistics.host.process_bytes.unwrap() > 1_000_000);
    if !statistics.gpu_present {
        eprintln!("no GPU here ({}): host memory alone", statistics.state);
        assert_eq!(statistics.history_of, Watched::Host);
        assert!(manager.memory().no_device.is_some());
    }
}

#[test]
fn a_start_without_a_driver_is_logged_in_order_and_watches_the_host() {
    let script = Script::new(Behaviour::Refuse(no_driver()));
    let lines = logged(|_| {
        let manager = start(&script);
        let statistics = manager.statistics();
        assert!(!statistics.gpu_present);
        assert_eq!(statistics.total_vram_bytes, Some(0));
        assert_eq!(statistics.usage_percent, None);
        assert_eq!(statistics.precision_mode, Precision::F32);
        assert!(statistics.history.idle_percent.unwrap() > 0.0);
        assert!(manager.devices().is_empty() && manager.selected().is_none());
    });
    let place = |part: &str| {
        lines
            .iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("{part:?} in {lines:#?}"))
    };
    let story = [
        "INFO memory manager initialised",
        "INFO GPU: no NVIDIA driver runs here: its management library is not installed",
        "INFO CUDA: there is no CUDA driver",
        "INFO statistics: no NVIDIA driver runs here",
        "INFO monitoring started (5s interval)",
    ];
    assert!(story.map(place).is_sorted(), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("WARN")));
}

#[test]
fn the_statistics_have_the_promised_fields() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "RTX A", 12, 9)]));
    let ledger = Ledger::with_budget(8 * GB);
    let manager = Manager::start(Config {
        cuda: Some(one_cuda_device()),
        ..config(&script)
    });
    manager.attach_device(0, ledger.clone());
    let _weights = ledger.reserve(2 * GB, "weights").unwrap();
    let _work = ledger.reserve(GB, "work").unwrap();
    manager.report_idle(orfeas::vram::Device::Cuda(0), 2 * GB);
    let json = serde_json::to_value(manager.statistics()).unwrap();
    let promised = serde_json::json!({
        "gpu_present": true,
        "total_vram_gb": 12.0,
        "allocated_gb": 1.0,
        "reserved_gb": 3.0,
        "available_gb": 9.0,
        "usage_percent": 25.0,
        "allocated_bytes": GB,
        "precision_mode": "fp16",
        "mixed_precision_enabled": true,
        "quantization_enabled": false,
        "gradient_checkpointing": false,
        "device_name": "RTX A",
        "driver_version": "550.1",
        "temperature_celsius": 45,
        "load_percent": 10,
        "power_watts": 30.5,
        "history_of": "gpu",
    });
    for (field, value) in promised.as_object().unwrap() {
        assert_eq!(&json[field], value, "{field}");
    }
    assert_eq!(json["history"]["peak_percent"], 25.0);
}

fn one_cuda_device() -> CudaProbe {
    probe(vec![cuda(0, 0, "RTX A", 12)])
}

fn probe(devices: Vec<orfeas::vram::CudaDevice>) -> CudaProbe {
    let version = orfeas::compute::probe::DriverVersion {
        major: 12,
        minor: 4,
    };
    CudaProbe::Devices { version, devices }
}

#[test]
fn a_driver_without_a_device_is_no_gpu() {
    let script = Script::new(Behaviour::Tell(Vec::new()));
    let manager = start(&script);
    assert_eq!(
        manager.gpu_state().to_string(),
        "NVIDIA driver 550.1 has no GPU"
    );
    assert_eq!(manager.statistics().available_bytes, Some(0));
}

#[test]
fn of_several_gpus_the_one_that_was_chosen_is_watched() {
    let readings = vec![
        gpu(0, "NVIDIA T400", 4, 3),
        gpu(1, "NVIDIA RTX 4090", 24, 20),
        gpu(2, "NVIDIA RTX 3060", 12, 11),
    ];
    let watched = |device: DeviceChoice| {
        let script = Script::new(Behaviour::Tell(readings.clone()));
        let manager = Manager::start(Config {
            device,
            ..config(&script)
        });
        (
            manager.selected().map(|reading| reading.index),
            manager.gpu_state().to_string(),
        )
    };
    assert_eq!(watched(DeviceChoice::Auto).0, Some(1));
    assert_eq!(watched(DeviceChoice::Index(2)).0, Some(2));
    assert_eq!(watched(DeviceChoice::Name("t400".into())).0, Some(0));
    assert_eq!(
        watched(DeviceChoice::Name(readings[2].uuid.clone().unwrap())).0,
        Some(2)
    );
    assert_eq!(watched(DeviceChoice::Cpu).0, None);
    let (none, words) = watched(DeviceChoice::Name("GTX".into()));
    assert_eq!(none, None);
    assert_eq!(
        words,
        "NVIDIA driver 550.1: NVIDIA T400, NVIDIA RTX 4090, NVIDIA RTX 3060; watching none: a GPU named \"GTX\" was \
         asked for"
    );
}

#[test]
fn the_choice_stays_while_the_gpu_does() {
    let (a, b) = (gpu(0, "A", 12, 10), gpu(1, "B", 12, 8));
    let script = Script::new(Behaviour::Tell(vec![a, b.clone()]));
    let manager = start(&script);
    assert_eq!(manager.selected().unwrap().index, 0);
    script.set(Behaviour::Tell(vec![gpu(0, "A", 12, 1), b.clone()]));
    eventually("the new reading of A", || {
        manager
            .selected()
            .is_some_and(|reading| reading.free_bytes == Some(GB))
    });
    assert!(manager.statistics().history.peak_percent.unwrap() > 90.0);
    script.set(Behaviour::Tell(vec![b]));
    eventually("B is watched", || {
        manager.selected().is_some_and(|reading| reading.index == 1)
    });
    assert!(manager.statistics().history.peak_percent.unwrap() < 50.0);
}

#[test]
fn a_gpu_set_to_be_divided_without_instances_is_never_chosen() {
    let undivided = DeviceReading {
        partition: Partition::Undivided,
        problem: Some("it is set to be divided (MIG) and has no instances".into()),
        ..gpu(0, "A100", 80, 80)
    };
    let instance = DeviceReading {
        partition: Partition::Instance,
        load_percent: None,
        power_watts: None,
        ..gpu(1, "A100 MIG 1g.10gb", 10, 9)
    };
    let script = Script::new(Behaviour::Tell(vec![undivided.clone(), instance]));
    let manager = start(&script);
    assert_eq!(manager.selected().unwrap().index, 1);
    script.set(Behaviour::Tell(vec![undivided]));
    eventually("none is watched", || manager.selected().is_none());
    assert!(manager.gpu_state().to_string().contains("no instances"));
}

#[test]
fn a_gpu_that_tells_nothing_is_no_failure() {
    let script = Script::new(Behaviour::Tell(vec![DeviceReading::default()]));
    let manager = start(&script);
    let statistics = manager.statistics();
    assert!(statistics.gpu_present);
    assert_eq!(statistics.device_name.as_deref(), Some("GPU 0"));
    assert_eq!(statistics.total_vram_gb, None);
    assert_eq!(statistics.available_bytes, None);
    assert_eq!(statistics.usage_percent, None);
    assert_eq!(statistics.precision_mode, Precision::Int8);
    assert_eq!(statistics.history.peak_percent, None);
}

#[test]
fn a_driver_that_hangs_blocks_nobody() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    let manager = Manager::start(Config {
        answer_limit: Duration::from_millis(20),
        ..config(&script)
    });
    script.set(Behaviour::Hang);
    eventually("the driver counts as silent", || {
        manager.gpu_state() == GpuState::Silent
    });
    let statistics = manager.statistics();
    assert!(!statistics.gpu_present);
    assert_eq!(statistics.total_vram_bytes, None, "unknown, not nothing");
    let before = manager.sample().number;
    eventually("the host is still sampled", || {
        manager.sample().number > before + 10
    });
    assert_eq!(manager.begin_generation().end().watched, Watched::Host);

    script.set(Behaviour::Tell(vec![gpu(0, "A", 12, 8)]));
    eventually("the GPU is back", || manager.statistics().gpu_present);

    script.set(Behaviour::Hang);
    eventually("the driver is silent again", || {
        manager.gpu_state() == GpuState::Silent
    });
    // Must come back although the driver does not.
    drop(manager);
    script.set(Behaviour::Tell(Vec::new()));
    eventually("the thread left behind ends", || script.is_dropped());
}

#[test]
fn a_driver_that_hangs_from_the_start_does_not_stop_the_start() {
    let script = Script::new(Behaviour::Hang);
    let manager = Manager::start(Config {
        answer_limit: Duration::from_millis(20),
        ..config(&script)
    });
    assert_eq!(manager.gpu_state(), GpuState::Waiting);
    assert!(manager.statistics().host.total_bytes.is_some());
    script.set(Behaviour::Tell(vec![gpu(0, "A", 12, 8)]));
    eventually("the late answer counts", || {
        manager.statistics().gpu_present
    });
}

#[test]
fn a_sensor_that_panics_is_asked_again() {
    let script = Script::new(Behaviour::Panic);
    let manager = start(&script);
    // A panic that is told with a backtrace may take longer than a first answer is waited for.
    let told = "reading the GPU failed: the sensor of a test panics";
    eventually("it is told", || manager.gpu_state().to_string() == told);
    eventually("it is asked again", || script.reads() >= 3);
    script.set(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    eventually("the GPU is read", || manager.statistics().gpu_present);
}

#[test]
fn a_driver_that_goes_and_comes_back_is_logged_once_each_way() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    logged(|log| {
        let manager = start(&script);
        let lost = || SensorError::Failed {
            reason: "GPU lost".into(),
        };
        let line = "WARN GPU: the NVIDIA driver failed: GPU lost";
        for round in 1..=2 {
            script.set(Behaviour::Refuse(lost()));
            let reads = script.reads();
            eventually("the loss is seen again and again", || {
                script.reads() > reads + 4
            });
            assert_eq!(log.count(line), round, "{:#?}", log.lines());
            assert!(manager.devices().is_empty());
            script.set(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
            eventually("the GPU is back", || manager.statistics().gpu_present);
            assert_eq!(log.count("INFO GPU: NVIDIA driver 550.1: A"), round + 1);
        }
    });
}

#[test]
fn a_driver_that_fails_is_asked_ever_less_often() {
    let script = Script::new(Behaviour::Refuse(no_driver()));
    let manager = start(&script);
    eventually("many samples", || manager.sample().number > 100);
    assert!(script.reads() < 25, "{} of 100", script.reads());
}

#[test]
fn monitoring_stops_and_starts_again_and_both_can_be_said_twice() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    logged(|log| {
        let manager = start(&script);
        manager.start_monitoring();
        let more_samples = || {
            let before = manager.sample().number;
            eventually("more samples", || manager.sample().number > before + 3);
        };
        more_samples();
        manager.stop_monitoring();
        manager.stop_monitoring();
        assert!(!manager.is_monitoring());
        // The sample that may have been under way is over when one that was asked for is.
        let usage = manager.begin_generation().end();
        let last = manager.sample().number;
        assert_eq!(usage.before_percent, Some(25.0), "asked for, so taken");
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(manager.sample().number, last, "20 intervals, no sample");
        manager.start_monitoring();
        assert!(manager.is_monitoring());
        more_samples();
        assert_eq!(log.count("monitoring started (5s interval)"), 2);
        assert_eq!(log.count("monitoring stopped"), 1);
    });
}

#[test]
fn a_line_is_logged_at_its_own_interval() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    logged(|log| {
        let manager = Manager::start(Config {
            log_interval: Duration::from_millis(30),
            ..config(&script)
        });
        let line = "INFO GPU: 25.0% of 12.0 GB used, 0 bytes ours, load 10%, 45 °C";
        eventually("two lines", || log.count(line) >= 2);
        assert!(manager.sample().number as usize > log.count(line));
    });
}

#[test]
fn history_and_marks_are_bounded_and_in_order() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    let manager = Manager::start(Config {
        history_limit: 16,
        ..config(&script)
    });
    for stage in 0..40 {
        manager.mark(format!("stage {stage}"));
    }
    eventually("more samples than are kept", || {
        manager.sample().number > 40
    });
    let (history, marks) = (manager.history(), manager.marks());
    assert_eq!((history.len(), marks.len()), (16, 16));
    assert!(history.windows(2).all(|pair| {
        pair[1].number == pair[0].number + 1 && pair[1].seconds >= pair[0].seconds
    }));
    assert_eq!(marks[15].label, "stage 39");
    assert!(marks.is_sorted_by_key(|mark| mark.seconds));
}

#[test]
fn the_last_manager_ends_the_threads() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    let manager = start(&script);
    let other = manager.clone();
    drop(manager);
    let before = other.sample().number;
    eventually("it still samples", || other.sample().number > before);
    assert!(!script.is_dropped());
    drop(other);
    assert!(script.is_dropped(), "joined, so over by now");
}

#[test]
fn cuda_devices_and_readings_are_matched_by_identifier() {
    let script = Script::new(Behaviour::Tell(vec![
        gpu(0, "small", 4, 3),
        gpu(1, "large", 24, 20),
    ]));
    let host_ledger = Ledger::with_budget(10 * GB);
    let manager = Manager::start(Config {
        host_ledger: host_ledger.clone(),
        // CUDA's order is the fastest first, the driver's is that of the slots.
        cuda: Some(probe(vec![cuda(0, 1, "large", 24), cuda(1, 0, "small", 4)])),
        ..config(&script)
    });
    let memory = manager.memory();
    assert_eq!(memory.no_device, None);
    assert_eq!(memory.devices[0].free_bytes, Some(20 * GB));
    assert_eq!(memory.devices[1].free_bytes, Some(3 * GB));
    assert_eq!(memory.devices[0].free_bytes(), 20 * GB - GB / 2);

    manager.report_context(0, Some(18 * GB));
    let ledger = Ledger::with_budget(5 * GB);
    manager.attach_device(1, ledger.clone());
    let _held = ledger.reserve(4 * GB, "weights").unwrap();
    let _host = host_ledger.reserve(9 * GB, "maps").unwrap();
    let memory = manager.memory();
    assert_eq!(
        memory.devices[0].free_bytes(),
        18 * GB - GB / 2,
        "CUDA's own"
    );
    assert_eq!(memory.devices[1].free_bytes(), GB, "the account's rest");
    assert_eq!(
        memory.host.free_bytes(),
        GB.min(memory.host.available_bytes.unwrap())
    );

    // What is idle makes way.
    manager.report_idle(orfeas::vram::Device::Cuda(1), 3 * GB);
    assert_eq!(manager.memory().devices[1].free_bytes(), 4 * GB);
    // A device that failed is not planned with any more, and the last one that did says why.
    manager.report_unusable(1, "cuda:1 stopped working".into());
    let memory = manager.memory();
    assert_eq!(memory.devices.len(), 1);
    assert_eq!((memory.devices[0].ordinal, memory.no_device), (0, None));
    manager.report_unusable(0, "cuda:0 stopped working".into());
    let memory = manager.memory();
    assert!(memory.devices.is_empty());
    assert!(memory.no_device.unwrap().contains("stopped working"));
}

#[test]
fn without_cuda_there_is_no_device_to_plan_with_and_a_reason() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 9)]));
    let memory = start(&script).memory();
    assert!(memory.devices.is_empty());
    assert_eq!(memory.no_device.as_deref(), Some("there is no CUDA driver"));
}
