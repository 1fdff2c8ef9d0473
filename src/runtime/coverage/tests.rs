//! Stories of recordings. Each word is a part's letter and what stands there: a time in seconds, `?` for something
//! undecodable, `!` for an unreadable rest, `.` for the end, `<` and a time for a first look. `|` asks what is new.

use super::*;

#[derive(Clone)]
struct Setting {
    lateness: Lateness,
    silence: Option<i64>,
    skip: bool,
    complete: bool,
    window: Window,
    own: Option<i64>,
    declared: Vec<(Time, Time)>,
}

const LATENESS_5: Lateness = Lateness::Span(Span::seconds(5));

fn setting() -> Setting {
    Setting {
        lateness: LATENESS_5,
        silence: None,
        skip: false,
        complete: false,
        window: Window::ALL,
        own: None,
        declared: Vec::new(),
    }
}

fn seconds(n: i64) -> Time {
    Time(n * 1_000_000_000)
}

fn tell(setting: &Setting, story: &str) -> (String, Coverage) {
    let span = |own| (1, Span::seconds(own));
    let clocks: Vec<_> = [(0, Span::seconds(5))].into_iter().chain(setting.own.map(span)).collect();
    let pacing = Pacing {
        lateness: setting.lateness,
        jump_max: Span::seconds(1000),
        silence: setting.silence.map(Span::seconds),
        undecodable_is_gap: !setting.skip,
    };
    let parts = story.split_whitespace().map(|w| w.as_bytes()[0]).filter(u8::is_ascii_lowercase).max().unwrap();
    let count = usize::from(parts - b'a') + 1;
    let mut coverage = Coverage::new(&clocks, &pacing, count, setting.window, setting.complete);
    let (mut out, mut said) = (Vec::new(), String::new());
    coverage.start(&setting.declared, &mut out);
    said += &show(&mut out);
    let mut part = 0;
    for word in story.split_whitespace() {
        if word == "|" {
            coverage.report(part, &mut out);
            said += &show(&mut out);
            said += " |";
            continue;
        }
        part = usize::from(word.as_bytes()[0] - b'a');
        match &word[1..] {
            "?" => coverage.undecodable(part),
            "!" => coverage.unreadable(part),
            "." => coverage.finish(part),
            look if look.starts_with('<') => coverage.expect(part, seconds(look[1..].parse().unwrap())),
            time => coverage.record(part, seconds(time.parse().unwrap())),
        }
    }
    coverage.report(part, &mut out);
    said += &show(&mut out);
    (said.trim().to_owned(), coverage)
}

fn show(out: &mut Vec<Input>) -> String {
    let time = |t: Time| match t {
        Time::MIN => "min".to_owned(),
        Time::MAX => "max".to_owned(),
        Time(n) if n % 1_000_000_000 == 0 => (n / 1_000_000_000).to_string(),
        Time(n) => format!("{}+{}ns", n.div_euclid(1_000_000_000), n.rem_euclid(1_000_000_000)),
    };
    let own = |source: SourceId| if source == 1 { "own-" } else { "" };
    out.drain(..)
        .map(|input| match input {
            Input::Begins { source, at } => format!(" {}begins {}", own(source), time(at)),
            Input::Progress { source, to } => format!(" {}progress {}", own(source), time(to)),
            Input::Ends { source, at } => format!(" {}ends {}", own(source), time(at)),
            Input::Gap { source, from, to } => {
                format!(" {}gap {}..{}", own(source), time(from), to.map_or("?".to_owned(), time))
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn check(setting: &Setting, story: &str, expect: &str) {
    assert_eq!(tell(setting, story).0, expect, "{story}");
}

#[test]
fn a_recording_vouches_for_its_inside() {
    check(&setting(), "a10 a20 | a30 | a30 | a40 a.", "begins 15 progress 15 | progress 25 | | ends 35");
    check(&setting(), "a.", "ends min");
    check(&setting(), "a10 a20 a.", "begins 15 ends 15");
}

#[test]
fn records_within_lateness_move_the_beginning_and_later_ones_are_counted() {
    check(&setting(), "a20 a23 | a19 | a40 a30 | a.", "begins 25 progress 18 | begins 24 | progress 35 | ends 35");
    let (said, coverage) = tell(&setting(), "a20 a40 a34 a35 a1 a.");
    assert_eq!((said.as_str(), coverage.beyond_lateness()), ("begins 25 ends 35", 2));
}

#[test]
fn what_cannot_be_decoded_leaves_a_gap_as_wide_as_what_could_have_stood_there() {
    check(&setting(), "a10 a20 a? a30 | a40 a.", "begins 15 gap 15..35 progress 25 | ends 35");
    check(&setting(), "a10 a20 a? | a? a30 a.", "begins 15 progress 15 | gap 15..35 ends 25");
    check(&setting(), "a10 a20 a? a.", "begins 15 gap 15..? ends 15");
    check(&setting(), "a? a10 a20 | a.", "begins 15 gap min..25 progress 15 | ends 15");
    check(&Setting { skip: true, ..setting() }, "a10 a? a20 a.", "begins 15 ends 15");
}

#[test]
fn gaps_never_overlap() {
    check(&setting(), "a10 a11 a? a12 a? a13 a30 a? a31 a.", "begins 15 gap 6..18 gap 25..36 ends 26");
    check(&setting(), "a10 a20 a? a21 | a? a22 a.", "begins 15 gap 15..26 progress 16 | gap 26+1ns..27 ends 17");
}

#[test]
fn files_in_step_move_as_the_one_that_is_furthest_behind() {
    check(
        &setting(),
        "a10 b12 a50 | b30 | b40 b. | a60 a.",
        "begins 15 progress 7 | progress 25 | progress 45 | ends 55",
    );
    check(
        &setting(),
        "a<10 b<40 a10 a20 | a39 a. | b40 b50 | b.",
        "begins 15 progress 15 | progress 34 | progress 45 | ends 45",
    );
}

#[test]
fn a_torn_end_of_one_file_is_bounded_by_what_comes_next() {
    check(
        &setting(),
        "a<10 b<40 a10 a20 a? a. | b40 b50 | b.",
        "begins 15 progress 15 | gap 15..45 progress 45 | ends 45",
    );
    check(&setting(), "a10 a20 a! a.", "begins 15 gap 15..? ends 15");
}

#[test]
fn a_lone_time_far_away_moves_nothing_until_another_confirms_it() {
    check(&setting(), "a10 a20 a9000 a30 | a.", "begins 15 progress 25 | ends 25");
    check(&setting(), "a10 a20 a9000 | a9001 | a.", "begins 15 progress 15 | progress 8996 | ends 8996");
    check(&setting(), "a1 a5000 a5001 a.", "begins 5005 ends 4996");
    let (said, coverage) = tell(&setting(), "a1 a5000 a.");
    assert_eq!((said.as_str(), coverage.lone()), ("ends min", 2));
    check(&setting(), "a7 a.", "begins 12 ends 2");
}

#[test]
fn a_later_time_confirms_the_one_before_a_long_silence() {
    check(&setting(), "a10 a20 a3000 | a6000 | a9000 a.", "begins 15 progress 15 | progress 2995 | ends 5995");
    check(&setting(), "a1 a5000 a9000 a.", "begins 5005 ends 4995");
    let (said, coverage) = tell(&setting(), "a1 a5000 a9000 a.");
    assert_eq!((said.as_str(), coverage.lone()), ("begins 5005 ends 4995", 2));
}

#[test]
fn documents_confirm_each_other() {
    check(&setting(), "a<10 b<20 c<30 a10 a. | b20 b. | c30 c.", "| begins 15 progress 15 | ends 25");
}

#[test]
fn in_no_order_of_time_all_is_said_at_the_end() {
    let end = Setting { lateness: Lateness::End, ..setting() };
    check(&end, "a30 a10 | a20 a.", "| begins 10 ends 30+1ns");
    check(&end, "a30 a? a10 a.", "begins 10 gap min..? ends 30+1ns");
    let (_, coverage) = tell(&end, "a30 a10 a20 a.");
    assert_eq!(coverage.beyond_lateness(), 0);
}

#[test]
fn a_complete_recording_vouches_for_everything() {
    let complete = Setting { complete: true, ..setting() };
    check(&complete, "a10 a? a20 | a.", "begins min progress 15 | ends max");
    check(&complete, "a10 a20 a! a.", "begins min gap 15..? ends max");
    check(&complete, "a.", "begins min ends max");
}

#[test]
fn silence_is_a_gap() {
    let silence = Setting { silence: Some(60), ..setting() };
    check(&silence, "a10 a60 a130 | a140 a.", "begins 15 progress 55 | gap 55..135 ends 135");
    check(&silence, "a10 a60 a130 | a136 | a.", "begins 15 progress 55 | gap 55..135 progress 131 | ends 131");
    check(&silence, "a10 a60 b10 b60 a130 b80 b130 a. b.", "begins 15 ends 125");
}

#[test]
fn declared_holes_are_told_at_once() {
    let declared = Setting { declared: vec![(seconds(20), seconds(30))], own: Some(60), ..setting() };
    check(&declared, "a10 a100 a.", "gap 20..30 own-gap -40..35 begins 15 own-begins 15 ends 95 own-ends 40");
}

#[test]
fn a_step_with_its_own_clock_lags_by_its_own_lateness() {
    let own = Setting { own: Some(60), ..setting() };
    check(
        &own,
        "a10 a100 a? a110 | a120 a.",
        "begins 15 own-begins 15 gap 95..115 own-gap 40..115 progress 105 own-progress 50 | ends 115 own-ends 60",
    );
}

#[test]
fn a_window_narrows_what_is_vouched_for() {
    let window = Setting { window: Window { since: seconds(50), until: seconds(80) }, ..setting() };
    check(&window, "a10 a60 a70 | a100 a.", "begins 50 progress 65 | ends 80");
    check(&Setting { complete: true, ..window }, "a10 a100 a.", "begins 50 ends 80");
}
