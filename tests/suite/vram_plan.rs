//! The planner: what it chooses, how it explains itself, and that it never takes more than there is.

use std::fmt::Write;

use orfeas::vram::{
    Account, Choice, Cost, Device, DeviceKind, DeviceShare, DeviceWish, HostShare, Memory, Need,
    NoPlan, OutOfMemory, Plan, Pool, Precision, Residency, Shortage, Suggestion, Wishes, plan,
};

pub(crate) const GB: u64 = 1_000_000_000;
const MB: u64 = 1_000_000;

/// A source with weights, of a size like those of the models.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) parameters: u64,
    pub(crate) chunks: Vec<u32>,
    pub(crate) residencies: Vec<Residency>,
    pub(crate) on_device: Vec<Precision>,
    pub(crate) on_processor: Vec<Precision>,
    /// Bytes a voxel of the finest level and bytes an item of a chunk.
    pub(crate) level_bytes: u64,
    pub(crate) chunk_bytes: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            parameters: 2_000_000_000,
            chunks: vec![16384, 4096],
            residencies: vec![Residency::Resident, Residency::Staged, Residency::Streamed],
            on_device: vec![
                Precision::F32,
                Precision::F16,
                Precision::Bf16,
                Precision::Int8,
            ],
            on_processor: vec![Precision::F32],
            level_bytes: 8,
            chunk_bytes: 50_000,
        }
    }
}

impl Cost for Model {
    fn source(&self) -> &str {
        "model"
    }

    fn has_weights(&self) -> bool {
        true
    }

    fn precisions(&self, device: &DeviceKind) -> Vec<Precision> {
        match device {
            DeviceKind::Cpu => self.on_processor.clone(),
            DeviceKind::Cuda { .. } => self.on_device.clone(),
        }
    }

    fn chunks(&self) -> Vec<u32> {
        self.chunks.clone()
    }

    fn residencies(&self) -> Vec<Residency> {
        self.residencies.clone()
    }

    fn need(&self, choice: &Choice) -> Need {
        let weights = self.parameters * choice.precision.weight_bytes();
        let work = u64::from(choice.chunk) * self.chunk_bytes;
        let level = u64::from(choice.level).pow(3) * self.level_bytes;
        let (here, there) = match choice.residency {
            Residency::Resident => (weights, 0),
            Residency::Staged => (weights / 3, weights),
            Residency::Streamed => (weights / 20, weights),
        };
        match choice.device {
            Device::Cpu => Need {
                host_bytes: weights + work + level,
                device_bytes: 0,
            },
            Device::Cuda(_) => Need {
                host_bytes: there + level,
                device_bytes: here + work,
            },
        }
    }
}

/// A source without weights that runs on the processor in one precision, as the embedded one does.
struct Embedded;

impl Cost for Embedded {
    fn source(&self) -> &str {
        "inflate"
    }

    fn precisions(&self, device: &DeviceKind) -> Vec<Precision> {
        match device {
            DeviceKind::Cpu => vec![Precision::F32],
            DeviceKind::Cuda { .. } => Vec::new(),
        }
    }

    fn need(&self, choice: &Choice) -> Need {
        Need {
            host_bytes: u64::from(choice.level).pow(2) * 2000,
            device_bytes: 0,
        }
    }
}

fn host(free_bytes: u64) -> HostShare {
    HostShare {
        total_bytes: Some(32 * GB),
        available_bytes: Some(free_bytes),
        account: Account::UNLIMITED,
    }
}

pub(crate) fn device(ordinal: u32, name: &str, free_bytes: u64) -> DeviceShare {
    DeviceShare {
        ordinal,
        name: name.into(),
        compute_capability: (8, 6),
        total_bytes: 24 * GB,
        free_bytes: Some(free_bytes),
        cuda_free_bytes: None,
        reserve_bytes: GB / 2,
        account: Account::UNLIMITED,
    }
}

pub(crate) fn memory(host_bytes: u64, devices: Vec<DeviceShare>) -> Memory {
    let no_device = devices
        .is_empty()
        .then(|| "there is no CUDA driver".to_owned());
    Memory {
        host: host(host_bytes),
        devices,
        no_device,
    }
}

fn with_gpu(free_bytes: u64) -> Memory {
    memory(16 * GB, vec![device(0, "RTX A", free_bytes)])
}

fn wishes() -> Wishes {
    Wishes {
        device: DeviceWish::Auto,
        precision: None,
        finest_level: 512,
        coarsest_level: 32,
    }
}

fn only(device: Device) -> Wishes {
    Wishes {
        device: DeviceWish::Only(device),
        ..wishes()
    }
}

fn describe(result: &Result<Plan, NoPlan>) -> String {
    match result {
        Ok(plan) => {
            let mut text = choice_words(&plan.choice);
            for reason in &plan.reasons {
                text.push_str("\n  ");
                text.push_str(reason);
            }
            text
        }
        Err(error) => format!("no plan\n  {error}"),
    }
}

fn choice_words(choice: &Choice) -> String {
    format!(
        "{} {} chunk {} {} level {}",
        choice.device, choice.precision, choice.chunk, choice.residency, choice.level
    )
}

/// The plans for a table of memories and wishes, with their reasons.
fn tell(cost: &dyn Cost, cases: &[(&str, Memory, Wishes)]) -> String {
    let mut text = String::new();
    for (name, memory, wishes) in cases {
        let result = plan(cost, memory, wishes);
        writeln!(text, "{name}: {}\n", describe(&result)).unwrap();
    }
    text
}

fn in_precision(precision: Precision) -> Wishes {
    Wishes {
        precision: Some(precision),
        ..wishes()
    }
}

fn at_level_512(wishes: Wishes) -> Wishes {
    Wishes {
        coarsest_level: 512,
        ..wishes
    }
}

fn no_gpu(host_bytes: u64) -> Memory {
    memory(host_bytes, Vec::new())
}

#[test]
fn the_precision_is_explained() {
    let of_generation = |compute_capability| {
        let gpu = DeviceShare {
            compute_capability,
            ..device(0, "RTX B", 24 * GB)
        };
        memory(16 * GB, vec![gpu])
    };
    let plenty = with_gpu(24 * GB);
    let fp32_only = Model {
        on_device: vec![Precision::F32],
        ..Model::default()
    };
    let mut text = tell(
        &Model::default(),
        &[
            ("plenty", plenty.clone(), wishes()),
            (
                "no bf16",
                of_generation((7, 5)),
                in_precision(Precision::Bf16),
            ),
            ("no tensor cores", of_generation((6, 1)), wishes()),
            ("on request", plenty.clone(), in_precision(Precision::F32)),
        ],
    );
    text += &tell(
        &fp32_only,
        &[
            ("all there is", plenty.clone(), wishes()),
            ("none of it", plenty, in_precision(Precision::Bf16)),
        ],
    );
    insta::assert_snapshot!("plan_precision", text);
}

#[test]
fn what_is_given_up_is_explained() {
    let small = |host_bytes, free_bytes| memory(host_bytes, vec![device(0, "RTX A", free_bytes)]);
    let text = tell(
        &Model::default(),
        &[
            ("smaller chunks", with_gpu(5 * GB), wishes()),
            ("staged", with_gpu(3 * GB), wishes()),
            ("streamed, small chunks", with_gpu(GB), wishes()),
            ("int8", small(5 * GB, 3 * GB), at_level_512(wishes())),
            ("lower level", small(3 * GB, GB), wishes()),
            ("the processor", with_gpu(GB / 2), wishes()),
            ("nothing fits", no_gpu(GB), wishes()),
        ],
    );
    insta::assert_snapshot!("plan_given_up", text);
}

#[test]
fn the_device_is_explained() {
    let two = memory(
        16 * GB,
        vec![device(0, "small", 3 * GB), device(1, "large", 20 * GB)],
    );
    let (first, third) = (only(Device::Cuda(0)), only(Device::Cuda(2)));
    let text = tell(
        &Model::default(),
        &[
            ("the larger of two", two.clone(), wishes()),
            ("the smaller, as asked for", two.clone(), first),
            ("one that is not there", two, third),
            ("none at all", no_gpu(16 * GB), first),
            ("too little there", with_gpu(GB / 2), first),
        ],
    );
    insta::assert_snapshot!("plan_device", text);
}

#[test]
fn the_embedded_source_explains_itself() {
    let (small, on_processor) = (no_gpu(200 * MB), only(Device::Cpu));
    let text = tell(
        &Embedded,
        &[
            ("no GPU", no_gpu(16 * GB), wishes()),
            ("a GPU", with_gpu(24 * GB), in_precision(Precision::F16)),
            ("little memory", small.clone(), on_processor),
            ("too little for the level", small, at_level_512(wishes())),
            ("on a GPU", with_gpu(24 * GB), only(Device::Cuda(0))),
        ],
    );
    insta::assert_snapshot!("plan_embedded", text);
}

pub(crate) fn shortage(pool: Pool) -> Shortage {
    Shortage {
        pool,
        error: OutOfMemory {
            device: match pool {
                Pool::Host => Device::Cpu,
                Pool::Device => Device::Cuda(0),
            },
            what: "a test",
            required_bytes: 3 * GB,
            free_bytes: 2 * GB,
            budget_bytes: 4 * GB,
        },
    }
}

/// Steps down until there is nothing left, and tells every step.
fn descend(cost: &dyn Cost, memory: &Memory, wishes: &Wishes, pool: Pool) -> String {
    let mut plan = plan(cost, memory, wishes).unwrap();
    let mut text = choice_words(&plan.choice);
    loop {
        match plan.step_down(cost, memory, wishes, &shortage(pool)) {
            Ok((next, given_up)) => {
                plan = next;
                write!(text, "\n{}: {given_up}", choice_words(&plan.choice)).unwrap();
            }
            Err(error) => {
                write!(text, "\n{error}\n").unwrap();
                return text;
            }
        }
    }
}

#[test]
fn steps_go_down_in_the_promised_order() {
    let model = Model::default();
    let gpu = with_gpu(24 * GB);
    let mut text = String::new();
    for (name, cost, memory, wishes, pool) in [
        (
            "device memory runs out",
            &model as &dyn Cost,
            &gpu,
            wishes(),
            Pool::Device,
        ),
        ("host memory runs out", &model, &gpu, wishes(), Pool::Host),
        (
            "the device was asked for",
            &model,
            &gpu,
            only(Device::Cuda(0)),
            Pool::Device,
        ),
        ("embedded", &Embedded, &gpu, wishes(), Pool::Host),
    ] {
        writeln!(text, "{name}\n{}", descend(cost, memory, &wishes, pool)).unwrap();
    }
    insta::assert_snapshot!("plan_steps", text);
}

#[test]
fn a_step_keeps_the_reasons_and_renews_the_total() {
    let (memory, wishes) = (memory(16 * GB, Vec::new()), wishes());
    let first = plan(&Embedded, &memory, &wishes).unwrap();
    let after = Shortage::of_host(shortage(Pool::Host).error);
    let (second, given_up) = first
        .step_down(&Embedded, &memory, &wishes, &after)
        .unwrap();
    assert_eq!(second.choice.level, 256);
    assert_eq!(
        given_up,
        "level 256 instead of 512: host memory ran out for a test, 3.0 GB required and 2.0 GB free"
    );
    let kept = first.reasons.len() - 1;
    assert_eq!(second.reasons[..kept], first.reasons[..kept]);
    assert_eq!(second.reasons[kept], given_up);
    assert_eq!(
        second.reasons[kept + 1],
        "takes 131 MB of host memory, 16.0 GB free"
    );
}

#[test]
fn a_failure_names_what_is_required_what_is_free_and_what_would_do() {
    let wishes = Wishes {
        coarsest_level: 512,
        ..only(Device::Cuda(0))
    };
    let error = plan(&Model::default(), &with_gpu(GB / 2), &wishes).unwrap_err();
    assert_eq!(error.required_and_free_bytes(), Some((304_800_000, 0)));
    let NoPlan::TooLittle { suggestion, .. } = &error else {
        panic!("{error:?}");
    };
    let on_processor = Suggestion {
        level: None,
        device: Some(Device::Cpu),
    };
    assert_eq!(*suggestion, on_processor);
}
