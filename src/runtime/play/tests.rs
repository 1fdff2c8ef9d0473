//! Stories of whole recordings, from files to inputs.

use super::*;
use crate::flow::format::{Format, Lateness};
use crate::runtime::fixture::{Fixture, body, lines};

fn second(n: i64) -> Time {
    Time((1_000_000_000 + n) * 1_000_000_000)
}

#[test]
fn a_file_becomes_observations_and_what_they_vouch_for() {
    let fixture = Fixture::new().file("a.jsonl", lines([10, 20, 30])).source("s", "a.jsonl", |_| {});
    let (said, played) = fixture.play().unwrap();
    assert_eq!(said, ["0@10/0:1 0@20/0:2 0@30/0:3", "0 begins 15", "0 ends 25"]);
    let source = &played.sources[0];
    assert_eq!((source.records, source.matched, source.undecodable), (3, 3, 0));
    assert_eq!((source.from, source.to), (Some(second(10)), Some(second(30))));
}

#[test]
fn what_cannot_be_read_is_counted_sampled_and_a_gap() {
    let content = format!("{}not json\n\n{{\"id\":1}}\n{}", lines([10, 20]), lines([30]));
    let fixture = Fixture::new().file("a.jsonl", content).source("s", "a.jsonl", |_| {});
    let (said, played) = fixture.play().unwrap();
    assert_eq!(said, ["0@10/0:1 0@20/0:2 0@30/0:6", "0 begins 15", "0 gap 15..35", "0 ends 25"]);
    let source = &played.sources[0];
    assert_eq!((source.records, source.matched, source.undecodable), (5, 3, 2));
    let shown = |p: &Problem| format!("{} {} {}", p.reason, p.count, p.samples[0].place.rsplit('/').next().unwrap());
    assert_eq!(source.problems.iter().map(shown).collect::<Vec<_>>(), ["syntax 1 a.jsonl:3", "no_time 1 a.jsonl:5"]);
    assert_eq!(source.problems[0].samples[0].text, "not json");
    assert_eq!(source.gaps.len(), 1);
}

#[test]
fn what_is_redacted_is_not_shown_in_samples() {
    let fixture = Fixture::new()
        .file("a.jsonl", "secret\n")
        .source("s", "a.jsonl", |file| file.decoding.redact = vec![body("email")]);
    let (_, played) = fixture.play().unwrap();
    assert_eq!(played.sources[0].problems[0].samples[0].text, "");
}

/// Three files of 4000 records each: two side by side, one that comes after them.
fn three_files() -> Fixture {
    Fixture::new()
        .file("a.jsonl", lines((0..4000).map(|n| n * 2)))
        .file("b.jsonl", lines((0..4000).map(|n| n * 2 + 1)))
        .file("c.jsonl", lines(8000..12_000))
        .source("s", "*.jsonl", |_| {})
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut fixture = three_files();
    let (alone, _) = fixture.play().unwrap();
    for threads in [2, 5] {
        fixture.options.threads = Some(threads);
        let (said, played) = fixture.play().unwrap();
        assert!(said == alone, "{threads} threads");
        assert_eq!(played.counts.step(0, 0).matched, 12_000);
    }
}

#[test]
fn files_are_read_in_step() {
    let (said, played) = three_files().play().unwrap();
    assert_eq!((played.sources[0].matched, played.sources[0].beyond_lateness), (12_000, 0));
    let mut furthest = 0;
    for batch in said.iter().filter(|s| s.contains('@')) {
        let times: Vec<i64> = batch.split(' ').map(|o| o.split(['@', '/']).nth(1).unwrap().parse().unwrap()).collect();
        // One chunk of 64 KiB is about 1100 records, 2200 seconds of a file that holds every other second.
        assert!(times[0] >= furthest - 2 * 13_000, "{} after {furthest}", times[0]);
        furthest = furthest.max(*times.last().unwrap());
    }
    let progress: Vec<i64> = said.iter().filter_map(|s| s.strip_prefix("0 progress ")?.parse().ok()).collect();
    assert!(progress.is_sorted() && *progress.last().unwrap() < 12_000 - 5);
    assert_eq!(said.last().unwrap(), "0 ends 11994");
}

#[test]
fn several_sources_each_have_their_own_progress() {
    let fixture = Fixture::new()
        .file("a.jsonl", lines([10, 20]))
        .file("b.jsonl", lines([15, 40]))
        .source("a", "a.jsonl", |_| {})
        .source("b", "b.jsonl", |_| {});
    let (said, _) = fixture.play().unwrap();
    assert_eq!(
        said,
        ["0@10/0:1 0@20/0:2", "0 begins 15", "0 ends 15", "1@15/0:1 1@40/0:2", "1 begins 20", "1 ends 35"]
    );
}

#[test]
fn what_is_in_no_order_of_time_is_read_first() {
    let fixture = Fixture::new()
        .file("a.jsonl", lines([10, 20]))
        .file("b.jsonl", lines([90, 15]))
        .source("a", "a.jsonl", |_| {})
        .source("b", "b.jsonl", |file| file.pacing.lateness = Lateness::End);
    let (said, _) = fixture.play().unwrap();
    assert_eq!(said[..3], ["1@90/0:1 1@15/0:2", "1 begins 15", "1 ends 90"]);
}

#[test]
fn csv_columns_are_named_by_the_first_line_of_each_file() {
    let fixture = Fixture::new()
        .file("a.csv", "id,t\nx,1000000010\n\"y\n\",1000000020\n")
        .file("b.csv", "t,id\n1000000030,z\n")
        .source("s", "*.csv", |file| file.decoding.format = Format::Csv { delimiter: b',' });
    let (said, _) = fixture.play().unwrap();
    let observed: Vec<_> = said.iter().filter(|s| s.contains('@')).collect();
    assert_eq!(observed, ["0@10/0:2 0@20/0:3", "0@30/1:2"]);
}

#[test]
fn a_window_passes_over_what_is_outside() {
    let mut fixture = Fixture::new().file("a.jsonl", lines([10, 20, 30, 40])).source("s", "a.jsonl", |_| {});
    fixture.options.window = Window { since: second(20), until: second(35) };
    let (said, played) = fixture.play().unwrap();
    assert_eq!(said, ["0@20/0:2 0@30/0:3", "0 begins 20", "0 ends 35"]);
    assert_eq!((played.sources[0].matched, played.sources[0].outside), (2, 2));
}

#[test]
fn a_complete_recording_begins_and_ends_with_time() {
    let mut fixture = Fixture::new().file("a.jsonl", "").source("s", "a.jsonl", |_| {});
    fixture.options.complete = true;
    assert_eq!(fixture.play().unwrap().0, ["0 begins min", "0 ends max"]);
}

#[test]
fn a_step_with_its_own_time_follows_the_source_or_itself() {
    let line = |t: i64, own: i64| format!("{{\"id\":1,\"t\":{},\"own\":{}}}\n", 1_000_000_000 + t, 1_000_000_000 + own);
    let content = line(10, 7) + &line(60, 55) + &line(70, 20);
    let timed = Fixture::new().file("a.jsonl", &content).source("s", "a.jsonl", |_| {}).own_clock("own");
    let (said, played) = timed.play().unwrap();
    assert_eq!(said[1..], ["0 begins 15", "1 begins 15", "0 ends 65", "1 ends 65"]);
    assert_eq!(played.sources[0].beyond_lateness, 1);
    let source = |file: &mut crate::config::SourceConfig| file.decoding.time = None;
    let mut untimed = Fixture::new().file("a.jsonl", &content).source("s", "a.jsonl", source).own_clock("own");
    untimed.plan.flows[0].steps.remove(0);
    let (said, played) = untimed.play().unwrap();
    assert_eq!(said[1..], ["0 ends min", "1 begins 12", "1 ends 50"]);
    assert_eq!(played.sources[0].beyond_lateness, 1);
}

#[test]
fn packed_files_that_break_off_are_a_failure_of_the_source() {
    let whole = zstd::encode_all(lines(0..20_000).as_bytes(), 1).unwrap();
    let fixture = Fixture::new().file("a.zst", &whole[..whole.len() / 2]).source("s", "a.zst", |_| {});
    let (said, played) = fixture.play().unwrap();
    assert!(played.sources[0].failures[0].contains("a.zst: line "), "{:?}", played.sources[0].failures);
    assert!(said.iter().any(|s| s.starts_with("0 gap ") && s.ends_with("..?")));
    assert!(played.sources[0].matched > 1000);
}

#[test]
fn a_pipe_is_read_once_beside_a_file() {
    let fixture = Fixture::new().file("a.jsonl", lines([10, 20]));
    let pipe = fixture.folder.path().join("b.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, lines([5, 30])).unwrap());
    let mut fixture = fixture.source("s", "*.jsonl", |_| {});
    fixture.options.threads = Some(2);
    let (said, played) = fixture.play().unwrap();
    writer.join().unwrap();
    assert_eq!(said[0], "0@5/1:1 0@30/1:2");
    assert_eq!((said.last().unwrap().as_str(), played.sources[0].matched), ("0 ends 25", 4));
}

#[test]
fn sources_that_cannot_be_read_are_told_all_at_once() {
    let fixture = Fixture::new().source("a", "a.jsonl", |_| {}).source("b", "", |_| {});
    let Err(error) = fixture.play() else { panic!("there is nothing to read") };
    let text = error.to_string();
    assert!(text.contains("source `a`: `") && text.contains("does not exist"), "{text}");
    assert!(text.contains("\nsource `b`: `") && text.contains("is a folder"), "{text}");
}

#[test]
fn an_interrupt_ends_it_in_good_order() {
    let fixture = three_files();
    let plan = std::sync::Arc::new(fixture.plan.clone());
    let recording = Recording::open(&fixture.config, &plan).unwrap();
    let interrupted = std::sync::Arc::new(AtomicBool::new(false));
    let mut seen = 0;
    let played = play(&recording, &fixture.options, &interrupted, &mut |_| {}, &mut |_| {
        interrupted.store(true, Ordering::Relaxed);
        seen += 1;
        Ok::<_, std::convert::Infallible>(None)
    });
    let Ok(played) = played;
    assert!(played.interrupted && seen < 5);
}

#[test]
fn progress_comes_to_the_whole() {
    let fixture = three_files();
    let plan = std::sync::Arc::new(fixture.plan.clone());
    let recording = Recording::open(&fixture.config, &plan).unwrap();
    let mut last = None;
    let _ = play(&recording, &fixture.options, &Arc::default(), &mut |p| last = Some(p), &mut |_| {
        Ok::<_, std::convert::Infallible>(None)
    });
    let last = last.unwrap();
    assert_eq!((Some(last.bytes), last.records), (last.bytes_total, 12_000));
}

#[test]
fn of_many_files_that_fail_the_first_are_told_and_the_rest_is_counted() {
    let mut fixture = Fixture::new().file("good.jsonl", lines([1, 2]));
    for n in 0..FAILURES_SHOWN_MAX + 5 {
        fixture = fixture.file(&format!("torn{n:03}.jsonl"), b"\x1f\x8b this is no gzip");
    }
    let (_, played) = fixture.source("log", "*.jsonl", |_| {}).play().unwrap();
    let source = &played.sources[0];
    assert_eq!((source.matched, source.failures.len(), source.failures_more), (2, FAILURES_SHOWN_MAX, 5));
    assert!(source.failures[0].contains("torn000.jsonl: line 1: "), "{}", source.failures[0]);
}
