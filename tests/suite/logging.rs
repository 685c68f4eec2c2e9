//! The latest records of the log: complete, in order, bounded.

use orfeas::logging::Recent;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;

/// What is logged by some work.
fn logged(work: impl FnOnce()) -> Recent {
    let recent = Recent::default();
    let subscriber = tracing_subscriber::registry().with(recent.layer());
    tracing::subscriber::with_default(subscriber, work);
    recent
}

#[test]
fn records_tell_level_origin_message_and_fields_in_one_line() {
    let recent = logged(|| {
        tracing::warn!(faces = 12, name = "猫\nx", "two\nlines");
        tracing::info!("second");
    });
    let records = recent.after(0);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].level, Level::WARN);
    assert!(records[0].origin.contains("logging"));
    assert_eq!(records[0].text, "two lines  faces=12  name=猫 x");
    assert_eq!(recent.after(records[0].number), records[1..]);
    assert!(recent.after(records[1].number).is_empty());
}

#[test]
fn a_record_names_the_spans_that_it_is_in_innermost_first() {
    let recent = logged(|| {
        let job = tracing::info_span!("job", image = "cat.png", faces = tracing::field::Empty);
        let _job = job.enter();
        tracing::info!("begun");
        job.record("faces", 12);
        tracing::info_span!("stage").in_scope(|| tracing::info!("inside"));
    });
    let records = recent.after(0);
    let texts: Vec<_> = records.iter().map(|record| record.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "begun  [job  image=cat.png]",
            "inside  [stage]  [job  image=cat.png  faces=12]"
        ]
    );
}

#[test]
fn only_the_latest_records_stay_and_none_grows_long() {
    let long = "語".repeat(3000);
    let recent = logged(|| {
        for number in 0..5000 {
            tracing::info!(number, "{long}");
        }
    });
    let records = recent.after(0);
    assert_eq!(records.len(), 2000);
    assert_eq!(records.last().unwrap().number, 5000);
    assert_eq!(records[0].number, 3001);
    assert!(records.iter().all(|record| record.text.len() <= 2048));
    assert!(records[0].text.ends_with('…'));
}
