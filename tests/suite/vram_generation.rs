//! Memory before, during and after a generation.

use orfeas::vram::Watched;

use crate::vram_sensors::{Behaviour, Script, eventually, gpu, logged, no_driver, start};

fn tell(free_gb: u64) -> Behaviour {
    Behaviour::Tell(vec![gpu(0, "A", 10, free_gb)])
}

#[test]
fn a_generation_reports_before_after_and_peak() {
    let script = Script::new(tell(9));
    let lines = logged(|_| {
        let manager = start(&script);
        let generation = manager.begin_generation();
        assert_eq!(generation.before(), (Watched::Gpu, Some(10.0)));
        script.set(tell(5));
        manager.mark("shape");
        eventually("the peak is sampled", || {
            let gpu = manager.sample().gpu;
            gpu.is_some_and(|gpu| gpu.used_percent == Some(50.0))
        });
        assert!(manager.sample().generating);
        script.set(tell(8));
        let usage = generation.end();
        assert_eq!(usage.after_percent, Some(20.0));
        assert_eq!(usage.peak_percent, Some(50.0));
        let history = manager.statistics().history;
        assert!(history.idle_percent.unwrap() < history.during_generation_percent.unwrap());
        assert_eq!(history.peak_percent, Some(50.0));
    });
    assert!(lines.iter().any(|line| line == "INFO BEFORE - GPU: 10.0%"));
    assert!(lines.iter().any(|line| line == "INFO AFTER - GPU: 20.0%"));
}

#[test]
fn a_generation_that_is_dropped_logs_its_end_too() {
    let script = Script::new(tell(9));
    let lines = logged(|_| {
        let manager = start(&script);
        drop(manager.begin_generation());
        eventually("it is over", || !manager.sample().generating);
    });
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("INFO AFTER - GPU: 10.0%"))
            .count(),
        1
    );
}

#[test]
fn without_a_gpu_the_lines_name_what_is_watched() {
    let script = Script::new(Behaviour::Refuse(no_driver()));
    let lines = logged(|_| {
        let usage = start(&script).begin_generation().end();
        assert_eq!(usage.watched, Watched::Host);
        assert!(usage.peak_percent >= usage.before_percent);
    });
    for moment in ["BEFORE", "AFTER"] {
        assert!(
            lines.iter().any(|line| {
                line.starts_with(&format!("INFO {moment} - host memory: "))
                    && line.ends_with("% (no GPU)")
            }),
            "{lines:#?}"
        );
    }
}

#[test]
fn a_gpu_that_goes_away_meanwhile_is_not_taken_for_the_host() {
    let script = Script::new(tell(9));
    let lines = logged(|_| {
        let manager = start(&script);
        let generation = manager.begin_generation();
        script.set(Behaviour::Refuse(no_driver()));
        eventually("it is gone", || manager.selected().is_none());
        let usage = generation.end();
        assert_eq!(usage.watched, Watched::Gpu);
        assert_eq!(
            (usage.after_percent, usage.peak_percent),
            (None, Some(10.0))
        );
    });
    assert!(
        lines
            .iter()
            .any(|line| line == "INFO AFTER - GPU: unknown (it cannot be read any more)")
    );
}
