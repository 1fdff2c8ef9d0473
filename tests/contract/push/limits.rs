//! An engine that is behind, slow senders, restarts, stopping.

use super::{Inlet, holes, records};
use crate::watch::Said;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use throughline::sources::push::{Options, Senders};

/// What is refused is refused at once: long before an answer that is waited for, which may take eight seconds.
const AT_ONCE: Duration = Duration::from_secs(3);

#[test]
fn nothing_is_answered_before_it_is_delivered_and_what_does_not_fit_is_refused_at_once() {
    for senders in [Senders::Forget, Senders::Retry] {
        let inlet = Inlet::new(Options { body_max: 10_000, waiting_max: 40_000, senders, ..Options::default() });
        let watch = inlet.listen();
        watch.hold(true);
        let body = format!("\"{}\"", "x".repeat(9_000));
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| inlet.event(&body))).collect();
            thread::sleep(Duration::from_secs(2));
            assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "answered without a delivery");
            let refused = inlet.event(&body);
            assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("1")), "{}", refused.text());
            assert!(refused.took < AT_ONCE, "it took {:?} to refuse", refused.took);
            // A delivery that hangs is enough, however little waits.
            thread::sleep(Duration::from_millis(1_500));
            let refused = inlet.event("1");
            assert!(refused.status == 429 && refused.took < AT_ONCE, "{refused:?}");
            watch.hold(false);
            for waiting in waiting {
                assert_eq!(waiting.join().unwrap().status, 202);
            }
        });
        assert_eq!(inlet.event("2").status, 202);
        // Which is told with the next proof.
        watch.until("what was refused", |said| {
            said.iter().any(|said| match said {
                Said::Hole(why) => senders == Senders::Forget && why.contains("refused"),
                Said::Trouble(why) => senders == Senders::Retry && why.contains("refused"),
                _ => false,
            })
        });
        let (said, _) = watch.stop();
        assert_eq!(records(&said).len(), 5);
        assert_eq!(holes(&said) > 0, senders == Senders::Forget, "{said:?}");
    }
}

#[test]
fn who_waits_too_long_is_asked_to_come_again_and_what_it_brought_is_kept() {
    let inlet = Inlet::new(Options::default());
    let watch = inlet.listen();
    watch.hold(true);
    let answer = inlet.event("{\"n\":1}");
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{}", answer.text());
    assert!(answer.took < Duration::from_secs(10), "exporters give up after ten seconds");
    watch.hold(false);
    watch.until("the event", |said| records(said).len() == 1);
}

#[test]
fn after_a_restart_there_is_a_hole_unless_senders_send_again_and_no_number_comes_twice() {
    for senders in [Senders::Forget, Senders::Retry] {
        let inlet = Inlet::new(Options { senders, ..Options::default() });
        let watch = inlet.listen();
        watch.until_caught_up();
        assert_eq!((1..=3).map(|n| inlet.event(&n.to_string()).status).sum::<u16>(), 3 * 202);
        let (mut said, place) = watch.stop();
        assert_eq!(inlet.event("4").status, 0, "nobody listens");
        let watch = inlet.listen_from(place);
        assert_eq!(inlet.event("4").status, 202);
        match senders {
            Senders::Forget => _ = watch.until_caught_up(),
            Senders::Retry => thread::sleep(Duration::from_millis(2_500)),
        }
        let (after, _) = watch.stop();
        assert_eq!(holes(&after), usize::from(senders == Senders::Forget), "{after:?}");
        let claimed = after.iter().any(|said| matches!(said, Said::CaughtUp(_)));
        assert_eq!(claimed, senders == Senders::Forget, "what is sent again has not had the time to come: {after:?}");
        said.extend(after);
        let numbers: BTreeSet<u64> = records(&said).iter().map(|record| record.offset).collect();
        assert_eq!(numbers.len(), 4);
    }
}

#[test]
fn it_stops_soon_whatever_its_senders_do_and_answers_who_waits() {
    let inlet = Inlet::new(Options::default());
    let watch = inlet.listen();
    let connect = |text: &str| {
        let mut stream = TcpStream::connect(&inlet.listen).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let head = "POST /ingest/shop HTTP/1.1\r\nhost: x\r\n";
    let _silent = connect("");
    let _in_its_head = connect(head);
    let _in_its_body = connect(&format!("{head}content-length: 10\r\n\r\n{{"));
    watch.hold(true);
    thread::scope(|scope| {
        let waits = scope.spawn(|| inlet.event("{\"n\":1}"));
        thread::sleep(Duration::from_millis(500));
        let (said, _) = watch.stop();
        let answer = waits.join().unwrap();
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{answer:?}");
        assert!(answer.text().contains("stopping"), "{}", answer.text());
        assert_eq!(records(&said), []);
    });
    assert!(TcpStream::connect(&inlet.listen).is_err());
}

#[test]
fn connections_have_a_limit_and_who_says_nothing_loses_its_own() {
    let inlet = Inlet::new(Options { connections_max: 3, ..Options::default() });
    // The watch has tried the port, and let it go.
    let watch = inlet.listen();
    thread::sleep(Duration::from_millis(200));
    let mut slow: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&inlet.listen).unwrap()).collect();
    thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    let sent_away = inlet.event("1");
    assert!(sent_away.status == 0 && sent_away.took < AT_ONCE, "{sent_away:?}");
    // A byte of its head a second, for as long as it is let.
    let head = "POST /ingest/shop HTTP/1.1\r\nx: ".bytes().chain(std::iter::repeat(b'x'));
    for byte in head {
        slow.iter_mut().for_each(|stream| _ = stream.write_all(&[byte]));
        if inlet.event("2").status == 202 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(45), "slow senders keep all connections");
        thread::sleep(Duration::from_millis(500));
    }
    let mut ended = slow.remove(0);
    ended.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let end = ended.read(&mut [0; 1024]);
    assert!(!matches!(&end, Err(error) if error.kind() == ErrorKind::WouldBlock), "it is still open: {end:?}");
    assert!(holes(&watch.stop().0) > 0, "who was sent away may have had something to say");
}
