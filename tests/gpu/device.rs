//! A device by itself: memory, copies, queues, and what it says when it is asked for what it cannot do.

use std::sync::Arc;

use orfeas::compute::cuda::Buffer;
use orfeas::compute::kernels::{CastParams, UnaryParams};
use orfeas::compute::{Device, Gpu, GpuError, Number};

use crate::emulated::{self, Settings};

pub(crate) const TESTS: &[crate::Test] = &[
    ("device_tells_what_it_is", tells_what_it_is),
    ("device_keeps_numbers_in_every_format", keeps_numbers),
    ("device_runs_a_kernel", runs_a_kernel),
    ("device_has_queues_that_share_it", has_queues),
    ("device_counts_and_returns_its_memory", counts_its_memory),
    ("device_without_pools", without_pools),
    ("device_takes_ptx_where_machine_code_is_refused", takes_ptx),
    ("device_out_of_memory_says_so_and_goes_on", out_of_memory),
    ("device_that_met_an_illegal_address_is_lost", is_lost),
];

/// The first device.
pub(crate) fn gpu() -> Arc<Gpu> {
    Gpu::open(0).unwrap()
}

fn tells_what_it_is() {
    let gpu = gpu();
    assert_eq!(gpu.device(), Device::Cuda(0));
    assert!(gpu.compute_capability() >= (7, 5));
    assert!(gpu.multiprocessors() > 0);
    let (free, total) = gpu.free_and_total_bytes().unwrap();
    assert!(0 < free && free <= total);
    let none = Gpu::open(4096).unwrap_err();
    assert!(matches!(none, GpuError::Unavailable { .. }), "{none}");
}

fn keeps_numbers() {
    let gpu = gpu();
    // More than is converted at once.
    let values: Vec<f32> = (0..600_001).map(|at| (at % 2048) as f32 - 1024.0).collect();
    for number in Number::ALL {
        let buffer = Buffer::of_numbers(&gpu, number, &values, "a test").unwrap();
        let mut rounded = values.clone();
        number.round(&mut rounded);
        assert!(buffer.read_numbers(number, values.len()).unwrap() == rounded);
        let part = Buffer::new(&gpu, 6, "a test").unwrap();
        part.clear().unwrap();
        part.copy_from(2, &buffer, 0, 4).unwrap();
        let mut bytes = [1; 6];
        part.read(0, &mut bytes).unwrap();
        assert_eq!(bytes[..2], [0, 0]);
    }
    assert_eq!(gpu.ledger().used_bytes(), 0);
}

/// Queues `y = 2 x`.
fn double(gpu: &Gpu, [x, y]: [&Buffer; 2]) {
    let params = UnaryParams {
        x: x.at(0),
        y: y.at(0),
        count: (x.size_bytes() / 4) as i64,
        alpha: 2.0,
        beta: 0.0,
        activation: 0,
        padding: 0,
    };
    gpu.launch(&params.launch(Number::F32).unwrap()).unwrap();
}

fn numbers(gpu: &Arc<Gpu>, factor: f32) -> Buffer {
    let values: Vec<f32> = (0..1000).map(|at| factor * at as f32).collect();
    Buffer::of_numbers(gpu, Number::F32, &values, "a test").unwrap()
}

fn read(buffer: &Buffer) -> Vec<f32> {
    buffer.read_numbers(Number::F32, 1000).unwrap()
}

fn runs_a_kernel() {
    let gpu = gpu();
    let (x, y) = (numbers(&gpu, 1.0), numbers(&gpu, 0.0));
    double(&gpu, [&x, &y]);
    assert_eq!(read(&y), read(&numbers(&gpu, 2.0)));
    // The smallest chunks of work, so that it is waited for.
    for _ in 0..20 {
        gpu.pace(1e14).unwrap();
    }
    gpu.wait().unwrap();
}

fn has_queues() {
    let gpu = gpu();
    let x = numbers(&gpu, 1.0);
    let urgent = gpu.urgent_queue().unwrap();
    assert_eq!(urgent.device(), gpu.device());
    // Both work on what the first one wrote, each from a thread of its own.
    let [mine, its] = std::thread::scope(|scope| {
        [&gpu, &urgent]
            .map(|queue| {
                let x = &x;
                scope.spawn(move || {
                    let (y, z) = (numbers(queue, 0.0), numbers(queue, 0.0));
                    for _ in 0..10 {
                        double(queue, [x, &y]);
                        double(queue, [&y, &z]);
                    }
                    read(&z)
                })
            })
            .map(|thread| thread.join().unwrap())
    });
    assert_eq!(mine, read(&numbers(&gpu, 4.0)));
    assert_eq!(its, mine);
    // The device is open for as long as one of them is, and its account is one.
    drop(x);
    drop(gpu);
    let last = numbers(&urgent, 1.0);
    assert_eq!(urgent.ledger().used_bytes(), 4096);
    urgent.wait().unwrap();
    drop(last);
    assert_eq!(urgent.ledger().used_bytes(), 0);
}

fn counts_its_memory() {
    let gpu = gpu();
    gpu.wait().unwrap();
    gpu.trim().unwrap();
    let (before, _) = gpu.free_and_total_bytes().unwrap();
    let size_bytes = 64 << 20;
    let buffer = Buffer::new(&gpu, size_bytes, "a test").unwrap();
    assert_eq!(gpu.ledger().used_bytes(), size_bytes);
    let (during, _) = gpu.free_and_total_bytes().unwrap();
    assert!(during + size_bytes <= before, "{before} {during}");
    drop(buffer);
    assert_eq!(gpu.ledger().used_bytes(), 0);
    gpu.wait().unwrap();
    gpu.trim().unwrap();
    let (after, _) = gpu.free_and_total_bytes().unwrap();
    assert!(after >= during + size_bytes, "{during} {after}");
    // The ledger refuses before the driver is asked.
    gpu.ledger().set_budget(1000);
    let refused = Buffer::new(&gpu, 1001, "a test").unwrap_err();
    assert!(matches!(refused, GpuError::OutOfMemory(error) if error.budget_bytes == 1000));
}

fn without_pools() {
    let Some(_settings) = Settings::set(&[("POOLS", 0)]) else {
        return;
    };
    counts_its_memory();
    runs_a_kernel();
}

fn takes_ptx() {
    let Some(_settings) = Settings::set(&[("REFUSE_CUBIN", 1)]) else {
        return;
    };
    runs_a_kernel();
}

fn out_of_memory() {
    let gpu = gpu();
    let (_, total) = gpu.free_and_total_bytes().unwrap();
    let error = Buffer::new(&gpu, 2 * total, "a test").unwrap_err();
    let GpuError::OutOfMemory(error) = error else {
        panic!("{error}");
    };
    assert_eq!(
        (error.device, error.required_bytes),
        (Device::Cuda(0), 2 * total)
    );
    assert_eq!(gpu.ledger().used_bytes(), 0);
    assert!(gpu.lost().is_none());
    runs_a_kernel();
}

fn is_lost() {
    if !emulated::is_alone() {
        return emulated::run_alone("device_that_met_an_illegal_address_is_lost");
    }
    let gpu = gpu();
    let buffer = Buffer::new(&gpu, 1 << 20, "a test").unwrap();
    let params = CastParams {
        x: 0,
        y: buffer.at(0),
        count: 1000,
    };
    let launch = params.launch(Number::F16, Number::F32).unwrap();
    let ended = gpu.launch(&launch).and_then(|()| gpu.wait());
    let error = ended.unwrap_err();
    assert!(matches!(error, GpuError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("illegal"), "{error}");
    assert_eq!(gpu.lost(), Some(&error));
    // Every call is the same error, and memory is returned to the account all the same.
    assert_eq!(Buffer::new(&gpu, 16, "a test").unwrap_err(), error);
    assert_eq!(buffer.read_numbers(Number::F32, 1).unwrap_err(), error);
    drop(buffer);
    assert_eq!(gpu.ledger().used_bytes(), 0);
}
