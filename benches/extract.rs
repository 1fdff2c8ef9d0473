//! From a line's bytes to an observation: nanoseconds a record, beside serde_json on the same lines.
//!
//! `cargo bench --bench extract -- FLOW.yaml EVENTS.jsonl [needed|strict|serde_json]`; the flow reads a source called `events`,
//! whose event time stands at `body.ts`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use throughline::extract::{Attributes, Extractor, Record};
use throughline::flow::diagnostic::Document;
use throughline::flow::format::{Decoding, Format};
use throughline::flow::plan::{Carries, Clock, Plan, Root, Segment};
use throughline::flow::{SourceInfo, compile};
use throughline::model::observation::{Batch, Position};
use throughline::model::time::{Span, Time};

/// So much of the file is read.
const BYTES_MAX: usize = 64 << 20;
/// Timed together.
const CHUNK: usize = 1024;
/// Each chunk is timed so often.
const ROUNDS: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(flow), Some(events)) = (arguments.next(), arguments.next()) else {
        return println!("usage: cargo bench --bench extract -- FLOW.yaml EVENTS.jsonl");
    };
    let plan = plan(Path::new(&flow));
    let events = read(Path::new(&events));
    let lines: Vec<&[u8]> = events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    println!("{} records of {} bytes", lines.len(), events.len() / lines.len().max(1));
    let only = arguments.next().unwrap_or_default();
    let measure = |name: &str, each: &mut dyn FnMut(&[u8], bool) -> bool| {
        if name.starts_with(&only) {
            measure(name, &lines, each);
        }
    };
    for (name, strict) in [("needed", false), ("strict", true)] {
        let mut extractor = Extractor::new(std::slice::from_ref(&plan), "events", &decoding(strict));
        let mut batch = Batch::default();
        measure(name, &mut |payload, first| {
            if first {
                batch.clear();
            }
            let position = Position::default();
            let record =
                Record { payload, position, ingest: Time::MIN, part: "events", attributes: Attributes::default() };
            extractor
                .record(&record, Time::MAX, std::slice::from_mut(&mut batch))
                .is_ok_and(|extracted| extracted.matched > 0)
        });
    }
    measure("serde_json, validation alone", &mut |payload, _| {
        serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok()
    });
}

/// Prints the time that one line takes: the best chunk's, and those of a quarter and of half of them.
fn measure(name: &str, lines: &[&[u8]], each: &mut dyn FnMut(&[u8], bool) -> bool) {
    let mut times = Vec::new();
    let mut fine = 0;
    for chunk in (0..ROUNDS).flat_map(|_| lines.chunks_exact(CHUNK)) {
        let start = Instant::now();
        for (index, line) in chunk.iter().enumerate() {
            fine += usize::from(each(line, index == 0));
        }
        times.push(start.elapsed().as_nanos() as f64 / CHUNK as f64);
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len() / part.max(1)).or(times.first()).copied().unwrap_or_default();
    let (best, quarter, half) = (times.first().copied().unwrap_or_default(), at(4), at(2));
    println!(
        "{name}: best {best:.0} ns, quarter {quarter:.0} ns, half {half:.0} ns ({} of {} counted)",
        fine,
        times.len() * CHUNK
    );
}

fn read(path: &Path) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).expect("the events can be read");
    file.take(BYTES_MAX as u64).read_to_end(&mut bytes).expect("the events can be read");
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(end);
    bytes
}

fn plan(path: &Path) -> Arc<Plan> {
    let text = std::fs::read_to_string(path).expect("the flow can be read");
    let source = SourceInfo {
        name: "events".to_owned(),
        carries: Carries::Lines,
        clock: Clock::One,
        resolution: Span::ZERO,
        lateness: Span::seconds(120),
        lateness_end: false,
        skips_versions: false,
        tells_operations: false,
        captures_changes: false,
        has_time: true,
        default_dedupe_is_position: true,
        retention: None,
    };
    let (plan, found) = compile(&[Document { path: path.to_owned(), text }], &[source], Span::seconds(5));
    Arc::new(plan.unwrap_or_else(|| panic!("{found:?}")))
}

fn decoding(strict: bool) -> Decoding {
    let time = throughline::flow::plan::Path { root: Root::Body, segments: vec![Segment::Field("ts".to_owned())] };
    Decoding {
        format: Format::Json,
        time: Some(time),
        time_format: None,
        zone: chrono_tz::UTC,
        key: None,
        op: None,
        parse: Vec::new(),
        strict,
        redact: Vec::new(),
        stamped: false,
        key_is_identity: false,
    }
}
