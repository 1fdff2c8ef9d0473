//! Follows the log: asks where it ends, reads up to there, says so.

use super::cursor::{Cursor, Position};
use super::dump::{Came, Dump, From};
use super::hand::Hand;
use super::reader::Reader;
use super::setup::{self, End, Server, Watched, end};
use super::{ASK_EVERY, Halt, Options, existing, failed};
use crate::model::time::Time;
use crate::sources::live::{Intake, Start};
use crate::sources::mysql::session::Session;
use crate::sources::remark::{Alone, Remark, looked};
use std::time::Instant;

/// Follows the tables until the daemon stops or something fails.
pub(super) fn follow(
    options: &Options,
    server_id: u32,
    cursor: Option<&[u8]>,
    intake: &mut dyn Intake,
) -> Result<(), Halt> {
    if let Start::At(_) = options.start {
        return Err(failed("changes cannot be asked for from a moment on: `start` is `latest` or `beginning`"));
    }
    let known = cursor.map(Cursor::decode).transpose()?;
    let mut side = Session::open(&options.url.0, intake)?;
    let server = setup::server(&mut side, intake)?;
    // Where it stands is asked before the tables are looked up, so that no change of a form is missed.
    let began = end(&server, &mut side, intake)?;
    let mut watched = setup::tables(options, &server, &mut side, intake)?;
    let looked_up = end(&server, &mut side, intake)?.position;
    let is_first = known.as_ref().is_none_or(|known| known.beginning);
    let (mut cursor, mut gtids) = begin(known, &server, &began, intake);
    unsure(&mut watched, &cursor, &began.position, &looked_up);
    cursor.shapes = watched.iter().filter_map(|one| one.known(&cursor.from)).collect();
    let mut hand = Hand::new(intake, cursor);
    if options.start == Start::Beginning && is_first {
        existing::read(&watched, began.at, &mut side, &mut hand)?;
    }
    let Hand { intake, mut cursor, .. } = hand;
    loop {
        let from = match &gtids {
            Some(gtids) => From::Gtids(gtids),
            None => From::Place(&cursor.from),
        };
        let dump = Dump::open(&options.url.0, &server, server_id, from, intake)?;
        let reader = Reader::new(&server, watched.clone(), Hand::new(intake, cursor.clone()));
        let why =
            Following { server: &server, side: &mut side, dump, reader, asked: None, at: Instant::now() }.run()?;
        // What it had is gone: it goes on with what comes from now on.
        intake.hole(&why);
        let End { position, .. } = end(&server, &mut side, intake)?;
        cursor = Cursor { done: position.clone(), from: position, created: 0, whole: cursor.given, ..cursor };
        (gtids, watched) = (None, setup::tables(options, &server, &mut side, intake)?);
        let looked_up = end(&server, &mut side, intake)?.position;
        watched.iter_mut().for_each(|one| one.unsure_until = Some(looked_up.clone()));
    }
}

/// From where to go on, and by which transactions where the server is another one.
fn begin(known: Option<Cursor>, server: &Server, began: &End, intake: &mut dyn Intake) -> (Cursor, Option<String>) {
    let here = || began.position.clone();
    match known {
        None => (Cursor { done: here(), from: here(), server: server.id, ..Cursor::default() }, None),
        // What was handed over of a transaction that was not complete comes again, at the same offsets.
        Some(known) if known.server == server.id => (Cursor { given: known.whole, ..known }, None),
        Some(known) if server.is_mariadb && !known.gtids.is_empty() => {
            let gtids = known.gtids.iter().map(|(_, gtid)| gtid.as_str()).collect::<Vec<_>>().join(",");
            if known.from != known.done {
                intake.hole("the server is another one, and what was prepared on the first is not known there");
            }
            let (done, from) = (Position::default(), Position::default());
            (Cursor { done, from, created: 0, server: server.id, given: known.whole, ..known }, Some(gtids))
        }
        Some(known) => {
            intake.hole("the server is another one, and its log has other places");
            let (done, from, whole) = (here(), here(), known.given);
            (Cursor { done, from, created: 0, server: server.id, whole, ..known }, None)
        }
    }
}

/// Up to where the log may be of other forms of the tables than those that were looked up.
fn unsure(watched: &mut [Watched], cursor: &Cursor, began: &Position, looked_up: &Position) {
    for one in watched {
        let hash = one.shape.as_ref().map(|shape| shape.hash());
        let known = cursor.shapes.iter().find(|(name, _)| *name == one.name).map(|(_, hash)| *hash);
        // A form that is the same as before has not changed, or will be met changing.
        let is_now = cursor.from == *began && began == looked_up;
        let is_same = is_now || known.is_some() && known == hash;
        one.unsure_until = (!is_same).then(|| looked_up.clone());
    }
}

struct Following<'a, 'i> {
    server: &'a Server,
    /// The connection for everything else.
    side: &'a mut Session,
    dump: Dump,
    reader: Reader<'i>,
    /// A moment that will be proven when the log has been read up to there.
    asked: Option<(Time, Position)>,
    /// When it was asked last.
    at: Instant,
}

impl Following<'_, '_> {
    /// Until something fails, or what was asked for is gone: why.
    fn run(mut self) -> Result<String, Halt> {
        self.ask()?;
        loop {
            match self.dump.next(self.server, self.reader.hand.intake)? {
                Came::Lost(why) => return Ok(why),
                Came::Events(events) => {
                    for event in &events {
                        self.reader.event(event, self.side)?;
                        if let Some(why) = self.reader.lost.take() {
                            return Ok(why);
                        }
                        self.prove()?;
                    }
                }
            }
            self.prove()?;
            if self.asked.is_none() && self.at.elapsed() >= ASK_EVERY {
                self.ask()?;
                self.prove()?;
            }
        }
    }

    fn ask(&mut self) -> Result<(), Halt> {
        let End { at, position } = end(self.server, self.side, self.reader.hand.intake)?;
        (self.asked, self.at) = (Some((at, position)), Instant::now());
        Ok(())
    }

    /// Says up to when all has been handed over, where the log has been read up to what was asked.
    fn prove(&mut self) -> Result<(), Halt> {
        if self.asked.as_ref().is_none_or(|(_, upto)| self.reader.position < *upto) {
            return Ok(());
        }
        let Some((at, _)) = self.asked.take() else { return Ok(()) };
        let hand = &mut self.reader.hand;
        hand.cursor.floor = hand.cursor.floor.max(at);
        hand.caught_up(at)
    }
}

/// Looks at everything that can be looked at.
pub(super) fn examine(options: &Options, server_id: u32) -> Vec<Remark> {
    looked(|remarks| look(options, server_id, remarks))
}

fn look(options: &Options, server_id: u32, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let mut side = Session::open(&options.url.0, &mut Alone)?;
    let server = setup::server(&mut side, &mut Alone)?;
    remarks.push(Remark::good(format!("{} at {} lets us in, and logs whole rows", side.product(), side.address())));
    let End { position, .. } = end(&server, &mut side, &mut Alone)?;
    let watched = setup::tables(options, &server, &mut side, &mut Alone)?;
    let mut dump = Dump::open(&options.url.0, &server, server_id, From::Place(&position), &mut Alone)?;
    dump.next(&server, &mut Alone)?;
    remarks.push(Remark::good(format!("its binary log can be read, at {position}; progress will be proven")));
    for one in &watched {
        remarks.push(Remark::good(format!("{}: its changes can be read", one.name)));
    }
    Ok(())
}
