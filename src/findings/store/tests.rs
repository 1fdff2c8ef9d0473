//! The store: exact after any end, newest word first, and readable beside its writer.

use super::*;
use crate::findings::record::Record;
use crate::findings::sample;
use crate::model::finding::Finding;
use crate::model::time::{Span, Time};
use crate::model::verdict::{Class, Severity, Status};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Store {
        Store::open(&self.folder.path().join(FILE)).unwrap()
    }

    fn archive(&self) -> Archive {
        Archive::open(self.folder.path()).unwrap()
    }

    /// Keys with their states, the newest word first.
    fn listed(&self, filter: &Filter) -> String {
        let found = self.archive().list(filter).unwrap();
        found.iter().map(|kept| format!("{} {}", kept.key, kept.status)).collect::<Vec<_>>().join(", ")
    }
}

fn finding(key: &str) -> Finding {
    Finding { key: key.into(), ..sample::finding() }
}

/// Keeps findings as the entries of the lane's journal from `entry` on.
fn keep(store: &mut Store, entry: u64, findings: &[Finding]) {
    let plan = sample::plan();
    let lines: Vec<_> = findings
        .iter()
        .map(|finding| {
            let record = Record::of(finding, sample::names(&plan));
            (serde_json::to_string(&record).unwrap(), record.to_string())
        })
        .collect();
    let told: Vec<_> = lines
        .iter()
        .zip(entry..)
        .map(|((document, explanation), entry)| Told { entry, document, explanation })
        .collect();
    store.keep("0", &told).unwrap();
}

#[test]
fn a_later_word_replaces_and_the_history_remembers() {
    let place = Place::new();
    let mut store = place.open();
    keep(&mut store, 7, &[finding("o-1"), finding("o-2")]);
    let healed = Finding { status: Status::Healed, healed_after: Some(Span::seconds(90)), ..finding("o-1") };
    keep(&mut store, 9, &[healed]);
    assert_eq!(place.listed(&Filter::default()), "o-1 healed, o-2 open");
    let mut archive = place.archive();
    let id = archive.list(&Filter::default()).unwrap()[0].id.clone();
    let words = archive.words(&id).unwrap();
    assert_eq!(words.iter().map(|word| word.status.as_str()).collect::<Vec<_>>(), ["open", "healed"]);
    let shown = archive.show(&id[..10]).unwrap();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].explanation.starts_with("critical  lost_message, healed"), "without colours: {shown:?}");
    assert_eq!(shown[0].time.as_deref(), Some("2026-01-02T10:00:00.000000000Z"));
}

#[test]
fn what_is_told_again_is_kept_once() {
    let place = Place::new();
    let mut store = place.open();
    assert_eq!(store.taken_over("0", 0).unwrap(), 0);
    keep(&mut store, 7, &[finding("o-1"), finding("o-2")]);
    drop(store);
    let mut store = place.open();
    assert_eq!(store.taken_over("0", 20).unwrap(), 9);
    // The crash came after the first of them was told, and before that was noted.
    keep(&mut store, 8, &[finding("o-2"), finding("o-3")]);
    assert_eq!(place.listed(&Filter::default()), "o-3 open, o-2 open, o-1 open");
    let mut archive = place.archive();
    for kept in archive.list(&Filter::default()).unwrap() {
        assert_eq!(archive.words(&kept.id).unwrap().len(), 1, "{kept:?}");
    }
    assert_eq!(store.taken_over("1", 20).unwrap(), 0, "another lane");
}

#[test]
fn a_journal_that_was_begun_anew_is_taken_over_from_its_beginning() {
    let place = Place::new();
    let mut store = place.open();
    keep(&mut store, 700, &[finding("o-1")]);
    assert_eq!(store.taken_over("0", 5).unwrap(), 0);
    keep(&mut store, 3, &[Finding { status: Status::Resolved, ..finding("o-1") }]);
    assert_eq!(place.listed(&Filter::default()), "o-1 resolved");
    assert_eq!(store.taken_over("0", 5).unwrap(), 4);
}

#[test]
fn each_filter_narrows() {
    let place = Place::new();
    let mut store = place.open();
    let late = Finding { class: Class::Late, severity: Severity::Warning, ..finding("late") };
    let healed = Finding { status: Status::Healed, ..finding("healed") };
    let early = Finding { judged_at: sample::TEN - Span::seconds(60), ..finding("early") };
    let other = Finding { check: 1, by: Some("p-1".into()), ..finding("other") };
    // No source had come anywhere: the moment of the finding itself counts.
    let unproven = Finding { judged_at: Time::MIN, time: sample::TEN, ..finding("unproven") };
    keep(&mut store, 0, &[late, healed, early, other, unproven]);
    let all = Filter::default;
    let listed = |filter: Filter| place.listed(&filter);
    assert_eq!(listed(all()), "unproven open, other open, early open, healed healed, late open");
    assert_eq!(listed(Filter { class: Some(Class::Late), ..all() }), "late open");
    assert_eq!(
        listed(Filter { severity: Some(Severity::Critical), ..all() }),
        "unproven open, other open, early open, healed healed"
    );
    assert_eq!(listed(Filter { severity: Some(Severity::Info), limit: Some(2), ..all() }), "unproven open, other open");
    assert_eq!(listed(Filter { status: Some(Status::Healed), ..all() }), "healed healed");
    let other = sample::plan().flows[0].checks[1].name.clone();
    assert_eq!(listed(Filter { check: Some(other), ..all() }), "other open");
    assert_eq!(listed(Filter { key: Some("early".into()), ..all() }), "early open");
    assert_eq!(listed(Filter { flow: Some("'; DROP TABLE findings; --".into()), ..all() }), "");
    assert_eq!(
        listed(Filter { since: Some(sample::TEN), ..all() }),
        "unproven open, other open, healed healed, late open"
    );
    let counted: Vec<_> = place.archive().counts().unwrap().iter().map(|c| (c.class.clone(), c.count)).collect();
    assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), 5, "{counted:?}");
}

#[test]
fn a_receiver_gets_each_finding_as_of_its_newest_word_until_it_took_it() {
    let place = Place::new();
    let mut store = place.open();
    keep(&mut store, 0, &[finding("before")]);
    store.begin_sending("webhook").unwrap();
    let keys = |store: &mut Store| {
        let unsent = store.unsent("webhook", Severity::Warning, 100).unwrap();
        let key =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["key"].as_str().unwrap().to_owned();
        unsent.iter().map(|(number, text)| (*number, key(text))).collect::<Vec<_>>()
    };
    assert_eq!(keys(&mut store), [], "what was told before it was configured");
    keep(&mut store, 1, &[finding("a"), finding("b")]);
    keep(&mut store, 3, &[Finding { status: Status::Healed, ..finding("a") }]);
    assert_eq!(keys(&mut store), [(3, "b".to_owned()), (4, "a".to_owned())]);
    store.sent("webhook", 3).unwrap();
    drop(store);
    let mut store = place.open();
    store.begin_sending("webhook").unwrap();
    assert_eq!(keys(&mut store), [(4, "a".to_owned())]);
}

#[test]
fn a_receiver_gets_what_is_bad_enough_or_was() {
    let place = Place::new();
    let mut store = place.open();
    let mild = |key: &str| Finding { severity: Severity::Warning, class: Class::Late, ..finding(key) };
    keep(&mut store, 0, &[mild("mild"), finding("bad"), mild("bad")]);
    let numbers = |store: &mut Store, on, limit| {
        store.unsent("webhook", on, limit).unwrap().iter().map(|(number, _)| *number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&mut store, Severity::Critical, 9), [3], "it was told of it, and is told what became of it");
    assert_eq!(numbers(&mut store, Severity::Info, 9), [1, 3]);
    assert_eq!(numbers(&mut store, Severity::Info, 1), [1]);
}

#[test]
fn beyond_the_limit_the_oldest_are_forgotten_with_their_words() {
    let place = Place::new();
    let mut store = place.open();
    keep(&mut store, 0, &[finding("a"), finding("b"), finding("c"), finding("a")]);
    store.limit(2).unwrap();
    assert_eq!(place.listed(&Filter::default()), "a open, c open");
    let mut archive = place.archive();
    let id = archive.list(&Filter { key: Some("a".into()), ..Filter::default() }).unwrap()[0].id.clone();
    assert_eq!(archive.words(&id).unwrap().len(), 2);
    assert_eq!(store.taken_over("0", 9).unwrap(), 4, "forgotten is not untold");
    keep(&mut store, 4, &[finding("d")]);
    assert_eq!(place.listed(&Filter::default()), "d open, a open, c open");
}

#[test]
fn a_finding_that_changes_all_the_time_has_a_history_with_an_end() {
    let place = Place::new();
    let mut store = place.open();
    keep(&mut store, 0, &[finding("other")]);
    let states = [Status::Open, Status::Resolved];
    let changes: Vec<_> = (0..201).map(|n| Finding { status: states[n % 2], ..finding("a") }).collect();
    keep(&mut store, 1, &changes);
    let mut archive = place.archive();
    let found = archive.list(&Filter::default()).unwrap();
    let words = found.iter().map(|kept| archive.words(&kept.id).unwrap()).collect::<Vec<_>>();
    assert_eq!((words[0].len(), words[1].len()), (row::WORDS_KEPT_MAX as usize, 1));
    assert_eq!(words[0].last().unwrap().status, "open", "the newest are kept");
}

#[test]
fn a_store_is_read_while_it_is_written_and_when_its_writer_has_gone() {
    let place = Place::new();
    let mut store = place.open();
    keep(&mut store, 0, &[finding("a")]);
    let mut archive = place.archive();
    keep(&mut store, 1, &[finding("b")]);
    assert_eq!(archive.list(&Filter::default()).unwrap().len(), 2);
    drop((store, archive));
    assert_eq!(place.listed(&Filter::default()), "b open, a open");
}

#[test]
fn what_cannot_be_used_is_said_to_be_so() {
    let place = Place::new();
    let missing = Archive::open(place.folder.path()).err().unwrap().to_string();
    assert!(missing.contains("no daemon has run there") && missing.contains("--data FOLDER"), "{missing}");
    // A daemon has made the file, and not its tables.
    std::fs::write(place.folder.path().join(FILE), "").unwrap();
    let begun = Archive::open(place.folder.path()).err().unwrap().to_string();
    assert!(begun.contains("one has only just begun"), "{begun}");
    let mut store = place.open();
    store
        .transaction("written", async |transaction| {
            sqlx::query("UPDATE version SET version = 9").execute(&mut **transaction).await.map(drop)
        })
        .unwrap();
    drop(store);
    let newer = Store::open(&place.folder.path().join(FILE)).err().unwrap().to_string();
    assert!(newer.contains("version 9") && newer.contains("reads 1"), "{newer}");
    std::fs::write(
        place.folder.path().join(FILE),
        "no database at all, but a text that is long enough for one\n".repeat(40),
    )
    .unwrap();
    let broken = Archive::open(place.folder.path()).err().unwrap().to_string();
    assert!(broken.contains("findings.sqlite cannot be"), "{broken}");
}
