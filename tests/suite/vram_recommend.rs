//! Precision and batch from free memory alone, and the names that users write.

use orfeas::vram::{
    BatchRequest, CudaProbe, Device, DeviceWish, Precision, optimal_batch_size, probe,
    recommended_precision,
};
use proptest::prelude::*;

use crate::vram_sensors::{Behaviour, GB, Script, cuda, gpu, start};

#[test]
fn the_precision_follows_the_free_memory() {
    for (free_bytes, expected) in [
        (0, Precision::Int8),
        (6 * GB, Precision::Int8),
        (6 * GB + 1, Precision::F16),
        (10 * GB, Precision::F16),
        (10 * GB + 1, Precision::F32),
        (u64::MAX, Precision::F32),
    ] {
        assert_eq!(recommended_precision(free_bytes), expected, "{free_bytes}");
    }
}

fn request(model_size_gb: f64, sample_size_mb: f64, queue_depth: usize) -> BatchRequest {
    BatchRequest {
        model_size_gb,
        model_resident: false,
        queue_depth,
        sample_size_mb,
    }
}

#[test]
fn the_batch_fills_the_room_within_its_limits() {
    for (free_gb, model_gb, sample_mb, queue, expected) in [
        // (12 − 6 − 1) GB / 500 MB
        (12, 6.0, 500.0, 0, 10),
        (12, 6.0, 500.0, 5, 10),
        (12, 6.0, 500.0, 6, 5),
        (12, 6.0, 500.0, 10, 5),
        (12, 6.0, 500.0, 11, 2),
        // 100 would fit
        (12, 6.0, 50.0, 0, 32),
        (12, 6.0, 50.0, 7, 16),
        (12, 6.0, 50.0, usize::MAX, 8),
        // No room, or none at all
        (7, 6.0, 50.0, 0, 1),
        (2, 6.0, 50.0, 20, 1),
        (0, 0.0, 1.0, 0, 1),
        // Nothing to divide by, and what is no size
        (12, 6.0, 0.0, 0, 32),
        (2, 6.0, 0.0, 0, 1),
        (12, 6.0, -50.0, 0, 1),
        (12, -6.0, 50.0, 0, 1),
        (12, f64::NAN, 50.0, 0, 1),
        (12, 6.0, f64::NAN, 0, 1),
        (12, f64::INFINITY, 50.0, 0, 1),
        (12, 6.0, f64::INFINITY, 0, 1),
    ] {
        let request = request(model_gb, sample_mb, queue);
        assert_eq!(
            optimal_batch_size(free_gb * GB, &request),
            expected,
            "{free_gb} GB free, {request:?}"
        );
    }
}

#[test]
fn a_resident_model_takes_no_more_room() {
    let resident = BatchRequest {
        model_resident: true,
        ..request(6.0, 500.0, 0)
    };
    assert_eq!(optimal_batch_size(6 * GB, &resident), 10);
}

proptest! {
    #[test]
    fn any_batch_is_within_its_limits(
        free_bytes: u64, model: f64, resident: bool, queue: usize, sample: f64,
    ) {
        let request = BatchRequest { model_resident: resident, ..request(model, sample, queue) };
        let batch = optimal_batch_size(free_bytes, &request);
        prop_assert!((1..=32).contains(&batch));
        let deeper = BatchRequest { queue_depth: queue.saturating_add(6), ..request };
        prop_assert!(optimal_batch_size(free_bytes, &deeper) <= batch);
    }
}

#[test]
fn the_manager_recommends_from_what_it_sees() {
    let script = Script::new(Behaviour::Tell(vec![gpu(0, "A", 12, 8)]));
    let manager = start(&script);
    assert_eq!(manager.recommended_precision(), Precision::F16);
    assert_eq!(manager.optimal_batch_size(&request(6.0, 500.0, 0)), 2);
    assert_eq!(manager.statistics().precision_mode, Precision::F16);
    manager.report_precision(Precision::Int8);
    let statistics = manager.statistics();
    assert!(statistics.quantization_enabled && !statistics.mixed_precision_enabled);
}

#[test]
fn devices_and_precisions_are_read_as_they_are_written() {
    for precision in Precision::ALL {
        assert_eq!(precision.to_string().parse(), Ok(precision));
    }
    for (text, wish) in [
        ("auto", DeviceWish::Auto),
        ("cpu", DeviceWish::Only(Device::Cpu)),
        ("cuda", DeviceWish::Only(Device::Cuda(0))),
        ("cuda:3", DeviceWish::Only(Device::Cuda(3))),
    ] {
        assert_eq!(text.parse(), Ok(wish));
    }
    for text in [
        "",
        "CPU",
        "gpu",
        "cuda:",
        "cuda:+1",
        "cuda:-1",
        "cuda:9999999999",
    ] {
        let error = text.parse::<DeviceWish>().unwrap_err().to_string();
        assert!(error.contains("cpu, cuda or cuda:N"), "{error}");
    }
    let error = "half".parse::<Precision>().unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no precision \"half\"; write fp32, fp16, bf16 or int8"
    );
}

#[test]
fn the_probe_of_cuda_says_what_there_is_and_what_to_do() {
    let here = probe();
    assert_eq!(here.remedy().is_none(), !here.devices().is_empty());
    assert!(!here.to_string().is_empty());
    if here.devices().is_empty() {
        eprintln!("no CUDA device here: {here}");
    }
    let version = |major, minor| orfeas::compute::probe::DriverVersion { major, minor };
    let old = CudaProbe::DriverTooOld {
        found: version(11, 8),
    };
    assert_eq!(
        old.to_string(),
        "the driver offers CUDA 11.8, and 12.0 is needed"
    );
    let devices = vec![cuda(0, 0, "RTX A", 12)];
    assert!(devices[0].has_tensor_cores() && devices[0].has_bf16());
    let found = CudaProbe::Devices {
        version: version(12, 4),
        devices,
    };
    assert_eq!(
        found.to_string(),
        "CUDA 12.4: cuda:0 RTX A (compute capability 8.6, 12.0 GB)"
    );
}
