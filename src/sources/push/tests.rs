//! Who is let in, and how much.

use super::counter::Counter;
use super::room::{Full, Room};
use crate::sources::secret::Secret;
use crossbeam_channel::unbounded;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use std::sync::Arc;

#[test]
fn the_room_is_bounded_in_bytes_and_gives_back_what_is_dropped() {
    let room = Arc::new(Room::new(100));
    let first = room.admit().unwrap();
    let second = room.admit().unwrap();
    assert_eq!((first.grow(60), second.grow(60)), (Ok(()), Err(Full)));
    assert_eq!(second.grow(40), Ok(()));
    assert!(room.admit().is_err(), "nothing more fits");
    assert_eq!(room.take_refused().map(|refused| refused.count), Some(2));
    assert_eq!(room.take_refused(), None);
    // What it was read as may be larger than what was read.
    first.becomes(500);
    drop(second);
    assert!(room.admit().is_err());
    drop(first);
    assert!(room.admit().is_ok());
}

#[test]
fn the_oldest_request_that_was_not_handed_over_is_known() {
    let room = Arc::new(Room::new(100));
    assert_eq!(room.oldest(), None);
    let first = room.admit().unwrap();
    let begun = room.oldest().unwrap();
    let second = room.admit().unwrap();
    assert_eq!(room.oldest(), Some(begun));
    first.handed_over();
    assert!(room.oldest().unwrap() >= begun);
    drop(second);
    assert_eq!(room.oldest(), None);
    drop(first);
}

#[test]
fn one_of_the_tokens_lets_in_and_nothing_else_does() {
    let counter = |tokens: &[&str]| {
        let tokens = tokens.iter().map(|token| Secret((*token).to_owned())).collect();
        Counter::new(Arc::new(Room::new(1)), unbounded().0, tokens, 1)
    };
    let shows = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
        headers
    };
    let two = counter(&["first-token", "second-token"]);
    for right in ["Bearer first-token", "bearer second-token"] {
        assert!(two.knows(&shows(right)), "{right}");
    }
    for wrong in
        ["", "Bearer", "Bearer ", "Bearer first-toke", "Bearer first-tokens", "Basic first-token", "first-token"]
    {
        assert!(!two.knows(&shows(wrong)), "{wrong:?}");
    }
    assert!(!two.knows(&HeaderMap::new()));
    assert!(counter(&[]).knows(&HeaderMap::new()), "without tokens everybody may send");
}
