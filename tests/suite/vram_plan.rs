//! The planner: what it chooses, how it explains itself, and that it never takes more than there is.

use std::fmt::Write;

use orfeas::vram::{
    Account, Choice, Cost, Device, DeviceKind, DeviceShare, DeviceWish, HostShare, Memory, Need,
    NoPlan, OutOfMemory, Plan, Pool, Precision, Residency, Shortage, Suggestion, Wishes, plan,
};
use proptest::prelude::*;

const GB: u64 = 1_000_000_000;
const MB: u64 = 1_000_000;

/// A source with weights, of a size like those of the models.
#[derive(Debug, Clone)]
struct Model {
    parameters: u64,
    chunks: Vec<u32>,
    residencies: Vec<Residency>,
    on_device: Vec<Precision>,
    on_processor: Vec<Precision>,
    /// Bytes a voxel of the finest level and bytes an item of a chunk.
    level_bytes: u64,
    chunk_bytes: u64,
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

fn device(ordinal: u32, name: &str, free_bytes: u64) -> DeviceShare {
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

fn memory(host_bytes: u64, devices: Vec<DeviceShare>) -> Memory {
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

#[test]
fn plans_explain_themselves() {
    let model = Model::default();
    let old_gpu = DeviceShare {
        compute_capability: (6, 1),
        ..device(0, "GTX 1080", 24 * GB)
    };
    let turing = DeviceShare {
        compute_capability: (7, 5),
        ..device(0, "RTX 2060", 24 * GB)
    };
    let precision = |precision| Wishes {
        precision: Some(precision),
        ..wishes()
    };
    let level_512_only = |wishes| Wishes {
        coarsest_level: 512,
        ..wishes
    };
    let two = memory(
        16 * GB,
        vec![device(0, "small", 3 * GB), device(1, "large", 20 * GB)],
    );
    let fp32_only = Model {
        on_device: vec![Precision::F32],
        ..Model::default()
    };
    let table: [(&str, &dyn Cost, Memory, Wishes); 22] = [
        ("plenty", &model, with_gpu(24 * GB), wishes()),
        (
            "bf16 needs Ampere",
            &model,
            memory(16 * GB, vec![turing]),
            wishes(),
        ),
        (
            "no tensor cores",
            &model,
            memory(16 * GB, vec![old_gpu]),
            wishes(),
        ),
        (
            "fp32 on request",
            &model,
            with_gpu(24 * GB),
            precision(Precision::F32),
        ),
        (
            "fp32 is all there is",
            &fp32_only,
            with_gpu(24 * GB),
            wishes(),
        ),
        (
            "bf16 where there is none",
            &fp32_only,
            with_gpu(24 * GB),
            precision(Precision::Bf16),
        ),
        ("smaller chunks", &model, with_gpu(5 * GB), wishes()),
        ("staged", &model, with_gpu(3 * GB), wishes()),
        ("streamed, small chunks", &model, with_gpu(GB), wishes()),
        (
            "int8 since the host is small too",
            &model,
            memory(5 * GB, vec![device(0, "RTX A", 3 * GB)]),
            level_512_only(wishes()),
        ),
        (
            "lower level",
            &model,
            memory(3 * GB, vec![device(0, "RTX A", GB)]),
            wishes(),
        ),
        (
            "the processor",
            &model,
            memory(16 * GB, vec![device(0, "RTX A", GB / 2)]),
            wishes(),
        ),
        ("the larger of two", &model, two.clone(), wishes()),
        (
            "the smaller of two, as asked for",
            &model,
            two.clone(),
            only(Device::Cuda(0)),
        ),
        ("one that is not there", &model, two, only(Device::Cuda(2))),
        (
            "none at all",
            &model,
            memory(16 * GB, Vec::new()),
            only(Device::Cuda(0)),
        ),
        (
            "too little on the device that was asked for",
            &model,
            with_gpu(GB / 2),
            only(Device::Cuda(0)),
        ),
        (
            "too little everywhere",
            &model,
            memory(GB, Vec::new()),
            wishes(),
        ),
        ("embedded", &Embedded, memory(16 * GB, Vec::new()), wishes()),
        (
            "embedded beside a GPU",
            &Embedded,
            with_gpu(24 * GB),
            precision(Precision::F16),
        ),
        (
            "embedded, little memory",
            &Embedded,
            memory(200 * MB, Vec::new()),
            only(Device::Cpu),
        ),
        (
            "embedded, too little for the level",
            &Embedded,
            memory(200 * MB, Vec::new()),
            level_512_only(wishes()),
        ),
    ];
    let mut text = String::new();
    for (name, cost, memory, wishes) in &table {
        let result = plan(*cost, memory, wishes);
        writeln!(text, "{name}: {}\n", describe(&result)).unwrap();
    }
    let not_there = plan(&Embedded, &with_gpu(24 * GB), &only(Device::Cuda(0)));
    writeln!(text, "embedded on a GPU: {}", describe(&not_there)).unwrap();
    insta::assert_snapshot!("plan_reasons", text);
}

fn shortage(pool: Pool) -> Shortage {
    Shortage {
        pool,
        error: OutOfMemory {
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

fn precision_sets() -> impl Strategy<Value = Vec<Precision>> {
    proptest::sample::subsequence(Precision::ALL.to_vec(), 0..=4).prop_shuffle()
}

prop_compose! {
    fn models()(
        parameters in 0..4 * GB,
        chunks in proptest::collection::vec(1_u32..40_000, 1..4),
        residencies in proptest::sample::subsequence(
            vec![Residency::Resident, Residency::Staged, Residency::Streamed], 1..=3),
        on_device in precision_sets(),
        on_processor in precision_sets(),
        level_bytes in 0_u64..200,
        chunk_bytes in 0_u64..500_000,
    ) -> Model {
        Model { parameters, chunks, residencies, on_device, on_processor, level_bytes, chunk_bytes }
    }
}

prop_compose! {
    fn devices()(
        free_bytes in proptest::option::of(0..30 * GB),
        cuda_free_bytes in proptest::option::of(0..30 * GB),
        budget_bytes in prop_oneof![Just(u64::MAX), 0..30 * GB],
        used_bytes in 0..4 * GB,
        compute_capability in prop_oneof![Just((6, 1)), Just((7, 5)), Just((8, 6))],
    ) -> DeviceShare {
        DeviceShare {
            free_bytes,
            cuda_free_bytes,
            account: Account { budget_bytes, used_bytes },
            compute_capability,
            ..device(0, "a GPU", 0)
        }
    }
}

prop_compose! {
    fn memories()(
        available_bytes in proptest::option::of(0..40 * GB),
        budget_bytes in prop_oneof![Just(u64::MAX), 0..40 * GB],
        used_bytes in 0..4 * GB,
        mut devices in proptest::collection::vec(devices(), 0..3),
    ) -> Memory {
        for (ordinal, device) in (0..).zip(&mut devices) {
            device.ordinal = ordinal;
        }
        Memory {
            host: HostShare {
                total_bytes: None,
                available_bytes,
                account: Account { budget_bytes, used_bytes },
            },
            ..memory(0, devices)
        }
    }
}

prop_compose! {
    fn any_wishes()(
        device in prop_oneof![
            4 => Just(DeviceWish::Auto),
            1 => Just(DeviceWish::Only(Device::Cpu)),
            2 => (0_u32..3).prop_map(|ordinal| DeviceWish::Only(Device::Cuda(ordinal))),
        ],
        precision in proptest::option::of(proptest::sample::select(Precision::ALL.to_vec())),
        finest_level in 1_u32..1024,
        coarsest_level in 0_u32..1024,
    ) -> Wishes {
        Wishes { device, precision, finest_level, coarsest_level }
    }
}

/// What a plan may take of the host and of its device, worked out anew.
fn budgets(memory: &Memory, device: Device) -> (u64, u64) {
    let rest = |account: Account| match account.budget_bytes {
        u64::MAX => u64::MAX,
        budget => budget.saturating_sub(account.used_bytes),
    };
    let host = memory.host.available_bytes.unwrap_or(u64::MAX);
    let host = host.min(rest(memory.host.account));
    let share = memory
        .devices
        .iter()
        .find(|share| Device::Cuda(share.ordinal) == device);
    let on_device = share.map_or(0, |share| {
        let told = share.free_bytes.into_iter().chain(share.cuda_free_bytes);
        let free = told
            .min()
            .unwrap_or(share.total_bytes.saturating_sub(share.account.used_bytes));
        free.saturating_sub(share.reserve_bytes)
            .min(rest(share.account))
    });
    (host, on_device)
}

fn assert_fits(plan: &Plan, model: &Model, memory: &Memory, wishes: &Wishes) {
    let (host, device) = budgets(memory, plan.choice.device);
    assert!(plan.need.host_bytes <= host && plan.need.device_bytes <= device);
    assert_eq!(plan.need, model.need(&plan.choice));
    assert!(!plan.reasons.is_empty());
    let choice = &plan.choice;
    let least = wishes.coarsest_level.min(wishes.finest_level);
    assert!((least..=wishes.finest_level).contains(&choice.level));
    match wishes.device {
        DeviceWish::Auto => {}
        DeviceWish::Only(device) => assert_eq!(choice.device, device),
    }
    let (offered, capability) = match memory.of(choice.device) {
        None => (&model.on_processor, None),
        Some(share) => (&model.on_device, Some(share.compute_capability)),
    };
    assert!(offered.contains(&choice.precision));
    let has_other = offered.iter().any(|&precision| match precision {
        Precision::F32 => false,
        Precision::Bf16 => capability >= Some((8, 0)),
        Precision::F16 | Precision::Int8 => true,
    });
    if capability >= Some((7, 0)) && has_other && choice.precision == Precision::F32 {
        assert_eq!(wishes.precision, Some(Precision::F32), "only on request");
    }
}

/// How much a plan gives up on its device; the greater, the more.
fn given_up(choice: &Choice) -> impl Ord + use<> {
    (
        choice.device == Device::Cpu,
        std::cmp::Reverse(choice.level),
        std::cmp::Reverse(choice.precision.weight_bytes()),
        choice.residency,
        std::cmp::Reverse(choice.chunk),
    )
}

proptest! {
    #[test]
    fn a_plan_is_never_over_the_budget(
        model in models(), memory in memories(), wishes in any_wishes(),
    ) {
        match plan(&model, &memory, &wishes) {
            Ok(plan) => assert_fits(&plan, &model, &memory, &wishes),
            Err(NoPlan::TooLittle { required_bytes, free_bytes, .. }) => {
                prop_assert!(required_bytes > free_bytes);
            }
            Err(NoPlan::NoSuchDevice { device, .. }) => prop_assert!(memory.of(device).is_none()),
            Err(NoPlan::NotThere { .. }) => {
                prop_assert!(model.on_device.is_empty() || model.on_processor.is_empty()
                    || model.on_device == [Precision::Bf16]);
            }
            Err(error @ NoPlan::NothingSmaller { .. }) => panic!("{error:?}"),
        }
    }

    #[test]
    fn more_memory_never_makes_a_plan_worse(
        model in models(), less in memories(), wishes in any_wishes(),
        more_on_host in 0..20 * GB, more_on_device in 0..20 * GB,
    ) {
        let mut less = less;
        // One device: of several the one with the most memory may be another one then.
        less.devices.truncate(1);
        let mut more = less.clone();
        more.host.available_bytes = more.host.available_bytes.map(|bytes| bytes + more_on_host);
        for device in &mut more.devices {
            device.free_bytes = device.free_bytes.map(|bytes| bytes + more_on_device);
        }
        if let Ok(with_less) = plan(&model, &less, &wishes) {
            let with_more = plan(&model, &more, &wishes).unwrap();
            prop_assert!(given_up(&with_more.choice) <= given_up(&with_less.choice));
        }
    }

    /// Whatever runs out, and whatever becomes of the memory meanwhile, stepping down ends.
    #[test]
    fn stepping_down_ends_and_every_step_takes_less_of_what_ran_out(
        model in models(),
        memories in proptest::collection::vec(memories(), 1..4),
        wishes in any_wishes(),
        pools in proptest::collection::vec(prop_oneof![Just(Pool::Host), Just(Pool::Device)], 1..4),
    ) {
        let Ok(mut current) = plan(&model, &memories[0], &wishes) else {
            return Ok(());
        };
        for step in 0.. {
            prop_assert!(step < 1000, "it does not end");
            let memory = &memories[step % memories.len()];
            let pool = pools[step % pools.len()];
            match current.step_down(&model, memory, &wishes, &shortage(pool)) {
                Ok((next, words)) => {
                    assert_fits(&next, &model, memory, &wishes);
                    prop_assert!(given_up(&next.choice) > given_up(&current.choice));
                    let leaves = next.choice.device == Device::Cpu
                        && current.choice.device != Device::Cpu;
                    match pool {
                        Pool::Host => {
                            prop_assert!(next.need.host_bytes < current.need.host_bytes);
                        }
                        Pool::Device => prop_assert!(
                            leaves || next.need.device_bytes < current.need.device_bytes
                        ),
                    }
                    prop_assert!(!words.is_empty());
                    current = next;
                }
                Err(NoPlan::NothingSmaller { .. }) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}
