//! The planner under arbitrary costs, memories and wishes.

use orfeas::vram::{
    Account, Choice, Cost, Device, DeviceShare, DeviceWish, HostShare, Memory, NoPlan, Plan, Pool,
    Precision, Residency, Wishes, plan,
};
use proptest::prelude::*;

use crate::vram_plan::{GB, Model, device, memory, shortage};

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
