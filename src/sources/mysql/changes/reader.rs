//! Makes transactions of events, and records of transactions.

use super::cursor::{Cursor, Position};
use super::event::{ARTIFICIAL, PREPARED_XA, kind, seconds, without_checksum};
use super::hand::Hand;
use super::setup::{End, Server, Watched, end};
use super::shape::{Logged, Shape};
use super::statement::{Statement, mentions, prepared_name};
use super::{Halt, PREPARED_MAX, failed};
use crate::model::time::Time;
use crate::sources::live::Record;
use crate::sources::mysql::session::Session;
use crate::sources::row_changes::{Change, RowChanges, Table};
use mysql_async::binlog::events::{
    Event, EventData, GtidEvent, QueryEvent, RowsEventData, TableMapEvent, TransactionPayloadEvent,
};
use mysql_async::binlog::row::BinlogRow;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

/// A table as the log's next rows have it.
struct Mapped {
    /// Its number among those that are followed.
    watched: usize,
    map: TableMapEvent<'static>,
    /// How its rows are read; else, why they cannot be.
    shape: Result<Rc<Shape>, String>,
}

/// A transaction that has begun.
#[derive(Default)]
struct Group {
    begin: Position,
    /// When it was committed, where its first event says so.
    committed: Option<Time>,
    gtid: Option<String>,
    /// It will be prepared, and committed or not later.
    is_prepared: bool,
    transaction: RowChanges,
}

/// What is known while events come.
pub(super) struct Reader<'a> {
    pub hand: Hand<'a>,
    /// Up to where the log has been read.
    pub position: Position,
    /// The log is another one than that of the cursor, and why.
    pub lost: Option<String>,
    server: &'a Server,
    watched: Vec<Watched>,
    tables: HashMap<u64, Mapped>,
    group: Option<Group>,
    /// How the transaction that is being read is counted: its domain and itself.
    gtid: Option<(u32, String)>,
    prepared: HashMap<String, Group>,
    /// What was committed up to here has been handed over before.
    skip: Position,
    /// When each file was begun that may have to be read again.
    begun: Vec<(String, u32)>,
    /// The events that come are parts of one, and their places mean nothing.
    in_payload: bool,
}

impl<'a> Reader<'a> {
    pub fn new(server: &'a Server, watched: Vec<Watched>, hand: Hand<'a>) -> Reader<'a> {
        let (position, skip) = (hand.cursor.from.clone(), hand.cursor.done.clone());
        let (tables, prepared) = (HashMap::new(), HashMap::new());
        Reader {
            hand,
            position,
            lost: None,
            server,
            watched,
            tables,
            group: None,
            gtid: None,
            prepared,
            skip,
            begun: Vec::new(),
            in_payload: false,
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event, side: &mut Session) -> Result<(), Halt> {
        let header = event.header();
        let (low, raw) = (header.log_pos(), header.event_type_raw());
        if low != 0 && header.flags_raw() & ARTIFICIAL == 0 && !self.in_payload && raw != kind::ROTATE {
            self.position = self.position.moved(low);
        }
        match raw {
            kind::ROTATE => self.rotate(event)?,
            kind::FORMAT => self.format(header.timestamp()),
            kind::GTID | kind::ANONYMOUS_GTID | kind::TAGGED_GTID => match event.read_data().map_err(unreadable)? {
                Some(EventData::GtidEvent(gtid)) => self.begin_mysql(&gtid),
                Some(EventData::AnonymousGtidEvent(gtid)) => self.begin_mysql(&gtid.0),
                _ => self.begin(Group::default()),
            },
            kind::MARIADB_GTID => self.begin_mariadb(header.server_id(), event.data())?,
            kind::QUERY => {
                let query = event.read_event::<QueryEvent<'_>>().map_err(unreadable)?;
                return self.query(&query.query(), &query.schema(), seconds(header.timestamp()), side);
            }
            kind::XID => return self.commit(seconds(header.timestamp())),
            kind::XA_PREPARE => return self.prepare(event.data(), seconds(header.timestamp())),
            kind::TABLE_MAP => {
                let map = event.read_event::<TableMapEvent<'_>>().map_err(unreadable)?;
                return self.map(map.into_owned(), side);
            }
            raw if kind::ROWS_V1.contains(&raw) || kind::ROWS.contains(&raw) || raw == kind::PARTIAL_ROWS => {
                if let Some(EventData::RowsEvent(rows)) = event.read_data().map_err(unreadable)? {
                    return self.rows(&rows);
                }
            }
            kind::INCIDENT => self.hole("the server has lost something that it should have logged"),
            kind::PAYLOAD => {
                self.in_payload = event.read_event::<TransactionPayloadEvent<'_>>().is_ok();
                if !self.in_payload {
                    self.hole("a compressed transaction in the binary log cannot be read");
                }
            }
            raw if kind::COMPRESSED.contains(&raw) => {
                self.hole("the log is compressed in part: run `SET GLOBAL log_bin_compress = OFF`");
            }
            _ => {}
        }
        Ok(())
    }

    fn rotate(&mut self, event: &Event) -> Result<(), Halt> {
        let body = without_checksum(event);
        let Some((offset, file)) = body.split_first_chunk() else {
            return Err(failed("the binary log goes on in a file whose name cannot be read"));
        };
        let file = String::from_utf8_lossy(file).into_owned();
        let next = Position { file, offset: u64::from_le_bytes(*offset) };
        if next.file != self.position.file {
            self.tables.clear();
        }
        self.position = next;
        Ok(())
    }

    /// The head of a file, also where the log is read from its middle on.
    fn format(&mut self, created: u32) {
        let cursor = &mut self.hand.cursor;
        let file = &self.position.file;
        if *file == cursor.from.file && cursor.created != 0 && cursor.created != created {
            self.lost = Some("the server has begun its binary log anew (RESET MASTER)".into());
            return;
        }
        if *file == cursor.from.file {
            cursor.created = created;
        }
        if self.begun.last().is_none_or(|(known, _)| known != file) {
            self.begun.push((file.clone(), created));
        }
    }

    fn begin(&mut self, group: Group) {
        let begin = self.hand.cursor.done.clone().max(self.skip.clone());
        // A transaction that is repeated stands before what is done; where exactly, matters for none that is prepared.
        let begin = if self.position <= self.skip { self.hand.cursor.from.clone() } else { begin };
        self.group = Some(Group { begin, ..group });
    }

    /// MySQL's GTID, of which only the time is of use here.
    fn begin_mysql(&mut self, gtid: &GtidEvent) {
        let micros = gtid.immediate_commit_timestamp();
        let committed = (micros > 0).then(|| Time(i64::try_from(micros).unwrap_or_default().saturating_mul(1_000)));
        self.begin(Group { committed, ..Group::default() });
    }

    fn begin_mariadb(&mut self, server: u32, event: &[u8]) -> Result<(), Halt> {
        let number = event.get(..8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let domain = event.get(8..12).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        let (Some(number), Some(domain), Some(flags)) = (number, domain, event.get(12)) else {
            return Err(failed("the binary log has the beginning of a transaction that cannot be read"));
        };
        let gtid = format!("{domain}-{server}-{number}");
        self.gtid = Some((domain, gtid.clone()));
        self.begin(Group { gtid: Some(gtid), is_prepared: flags & PREPARED_XA != 0, ..Group::default() });
        Ok(())
    }

    fn query(&mut self, sql: &str, database: &str, at: Time, side: &mut Session) -> Result<(), Halt> {
        match Statement::of(sql) {
            // A GTID has begun it already.
            Statement::Begin => {
                let is_prepared = sql.trim_start().get(..2).is_some_and(|word| word.eq_ignore_ascii_case("XA"));
                match &mut self.group {
                    Some(group) => group.is_prepared |= is_prepared,
                    None => self.begin(Group { is_prepared, ..Group::default() }),
                }
                Ok(())
            }
            Statement::Commit => self.commit(at),
            Statement::Rollback | Statement::RollbackTo => {
                let wrote = self.group.as_ref().is_some_and(|group| !group.transaction.is_empty());
                if wrote {
                    self.hole("a transaction was rolled back in part, and the log does not tell which part");
                }
                if let Some(group) = &mut self.group {
                    group.transaction = RowChanges::default();
                }
                if Statement::of(sql) == Statement::Rollback { self.end_group() } else { Ok(()) }
            }
            Statement::CommitPrepared(name) => match self.prepared.remove(&name) {
                Some(group) => {
                    // What the commit's own GTID says.
                    let commit = self.group.take().unwrap_or_default();
                    self.group = Some(Group { committed: commit.committed, gtid: commit.gtid, ..group });
                    self.commit(at)
                }
                None => {
                    self.hole("a transaction was committed that had been prepared before the log was read");
                    self.end_group()
                }
            },
            Statement::RollbackPrepared(name) => {
                self.prepared.remove(&name);
                self.end_group()
            }
            Statement::Nothing => Ok(()),
            what => {
                self.statement(&what, sql, database, at, side)?;
                // One that stands alone is a transaction of its own; within another there are none but of rows.
                if what == Statement::Rows { Ok(()) } else { self.end_group() }
            }
        }
    }

    /// What a statement does to the tables that it mentions.
    fn statement(
        &mut self,
        what: &Statement,
        sql: &str,
        database: &str,
        at: Time,
        side: &mut Session,
    ) -> Result<(), Halt> {
        for index in 0..self.watched.len() {
            let watched = &self.watched[index];
            let of_table = mentions(sql, &watched.relation_name)
                && (watched.database == database || mentions(sql, &watched.database));
            let of_database =
                *what == Statement::Other && mentions(sql, "database") && mentions(sql, &watched.database);
            if !of_table && !of_database {
                continue;
            }
            let name = watched.described();
            match what {
                Statement::Rows => {
                    self.hole(&format!(
                        "rows of {name} were changed by a statement that was logged as such (binlog_format)"
                    ));
                }
                Statement::Truncate => {
                    self.hole(&format!("{name} was truncated: which rows were deleted is not told"));
                    self.truncated(index, at)?;
                }
                _ => self.altered(index, side)?,
            }
        }
        Ok(())
    }

    fn truncated(&mut self, index: usize, at: Time) -> Result<(), Halt> {
        if self.position <= self.skip {
            return Ok(());
        }
        let place = self.position.to_string();
        let headers = [("position", place.as_str())];
        let (watched, time) = (&self.watched[index], Some(at.max(self.hand.cursor.floor)));
        self.hand.record(Record {
            part: watched.part,
            offset: 0,
            payload: b"{}",
            stream: Some(&watched.name),
            key: None,
            time,
            op: Some("truncate"),
            headers: &headers,
            read: None,
        })
    }

    /// A table may have another form from here on.
    fn altered(&mut self, index: usize, side: &mut Session) -> Result<(), Halt> {
        let intake = &mut *self.hand.intake;
        self.watched[index].look_up(side, intake)?;
        let End { position: now, .. } = end(self.server, side, intake)?;
        // Where the log has gone on since, the form may have changed again.
        self.watched[index].unsure_until = Some(now).filter(|now| *now > self.position);
        self.tables.retain(|_, mapped| mapped.watched != index);
        Ok(())
    }

    fn map(&mut self, map: TableMapEvent<'static>, side: &mut Session) -> Result<(), Halt> {
        let (database, name) = (map.database_name().into_owned(), map.table_name().into_owned());
        let Some(index) = self.watched.iter().position(|watched| watched.is(&database, &name)) else {
            self.tables.remove(&map.table_id());
            return Ok(());
        };
        let fits = |watched: &Watched| watched.shape.clone().filter(|shape| shape.fits(&map));
        let mut shape = fits(&self.watched[index]);
        // What is not of the form that was looked up is expected for a while after a change.
        if shape.is_none() && self.position > self.skip && self.watched[index].unsure_until.is_none() {
            self.altered(index, side)?;
            shape = fits(&self.watched[index]);
        }
        let why = "it was written when the table had another form than now";
        let shape = shape.ok_or_else(|| why.to_owned());
        self.tables.insert(map.table_id(), Mapped { watched: index, map, shape });
        Ok(())
    }

    fn rows(&mut self, rows: &RowsEventData<'_>) -> Result<(), Halt> {
        let Some(mapped) = self.tables.get(&rows.table_id()) else { return Ok(()) };
        let watched = &mut self.watched[mapped.watched];
        if watched.unsure_until.as_ref().is_some_and(|until| self.position > *until) {
            watched.unsure_until = None;
        }
        let is_sure = watched.unsure_until.is_none();
        let (table, name) = (mapped.watched, watched.described());
        let shape = match &mapped.shape {
            Ok(shape) if is_sure => shape.clone(),
            Ok(_) => {
                let why = "it was written before the form of the table was looked up, which had changed";
                self.hole(&format!("a change of {name} cannot be read: {why}"));
                return Ok(());
            }
            Err(why) => {
                let why = format!("a change of {name} cannot be read: {why}");
                self.hole(&why);
                return Ok(());
            }
        };
        let group = self.group.get_or_insert_default();
        let image = |row: &BinlogRow| shape.image(row);
        let mut broken = None;
        for row in rows.rows(&mapped.map) {
            let images = row.map_err(|error| error.to_string()).and_then(|(before, after)| {
                Ok((before.as_ref().map(image).transpose()?, after.as_ref().map(image).transpose()?))
            });
            match images {
                Ok(images) => change(&mut group.transaction, table, images)?,
                Err(why) => {
                    broken = Some(why);
                    break;
                }
            }
        }
        if let Some(why) = broken {
            self.hole(&format!("a change of {name} cannot be read: {why}"));
        }
        self.make_room()
    }

    /// Hands over what there is of a transaction of too many rows.
    fn make_room(&mut self) -> Result<(), Halt> {
        let Some(group) = self.group.as_mut().filter(|group| group.transaction.is_full()) else { return Ok(()) };
        if group.is_prepared {
            group.transaction = RowChanges::default();
            self.hole("a prepared transaction has changed more rows than can be held until it is committed");
            return Ok(());
        }
        if self.position <= self.skip {
            group.transaction = RowChanges::default();
            return Ok(());
        }
        let Some(mut group) = self.group.take() else { return Ok(()) };
        let committed = group.committed.unwrap_or(self.hand.cursor.floor);
        self.hand_over(&mut group, committed)?;
        self.group = Some(group);
        Ok(())
    }

    fn commit(&mut self, at: Time) -> Result<(), Halt> {
        if let Some(mut group) = self.group.take() {
            let committed = group.committed.unwrap_or(at);
            self.hand_over(&mut group, committed)?;
        }
        self.end_group()
    }

    /// Hands over what a transaction has done, unless that was done before.
    fn hand_over(&mut self, group: &mut Group, committed: Time) -> Result<(), Halt> {
        if self.position <= self.skip {
            return Ok(());
        }
        // The log stamps a commit with the beginning of its statement, which may be long ago.
        let (time, place) = (Some(committed.max(self.hand.cursor.floor)), self.position.to_string());
        let gtid = group.gtid.clone();
        let headers = [("position", place.as_str()), ("gtid", gtid.as_deref().unwrap_or_default())];
        let headers = if gtid.is_none() { &headers[..1] } else { &headers[..] };
        let (watched, hand) = (&self.watched, &mut self.hand);
        group.transaction.hand_over(|Change { table, op, key, row }| {
            let Watched { part, name, .. } = &watched[table.form as usize];
            let (stream, op) = (Some(name.as_str()), Some(op));
            hand.record(Record { stream, key, time, op, headers, ..Record::plain(*part, 0, row) })
        })
    }

    /// Puts a transaction aside until it is committed or rolled back.
    fn prepare(&mut self, event: &[u8], at: Time) -> Result<(), Halt> {
        match prepared_name(event) {
            Some((true, _)) => self.commit(at),
            Some((false, name)) => {
                if let Some(group) = self.group.take() {
                    self.prepared.insert(name, group);
                }
                if self.prepared.len() > PREPARED_MAX {
                    return Err(failed(format!(
                        "more than {PREPARED_MAX} transactions are prepared and neither committed nor rolled back: see `XA \
                         RECOVER`"
                    )));
                }
                self.end_group()
            }
            None => Err(failed("the binary log has a prepared transaction whose name cannot be read")),
        }
    }

    /// What has been read so far is whole.
    fn end_group(&mut self) -> Result<(), Halt> {
        (self.group, self.in_payload) = (None, false);
        if let Some((domain, gtid)) = self.gtid.take() {
            let gtids = &mut self.hand.cursor.gtids;
            gtids.retain(|(known, _)| *known != domain);
            gtids.push((domain, gtid));
        }
        if self.position <= self.skip {
            return Ok(());
        }
        let Cursor { done, from, created, whole, given, shapes, .. } = &mut self.hand.cursor;
        (*done, *whole) = (self.position.clone(), *given);
        *from = self.prepared.values().map(|group| &group.begin).min().unwrap_or(done).clone();
        let file = from.file.clone();
        self.begun.drain(..self.begun.iter().position(|(known, _)| *known == file).unwrap_or(0));
        if let Some((_, begun)) = self.begun.first() {
            *created = *begun;
        }
        let here = &self.position;
        *shapes = self.watched.iter().filter_map(|watched| watched.known(here)).collect();
        Ok(())
    }

    /// Changes may be missing; what was read before has admitted it already.
    fn hole(&mut self, why: &str) {
        if self.position > self.skip {
            self.hand.intake.hole(why);
        }
    }
}

/// What became of a row: how it was, how it is.
fn change(changes: &mut RowChanges, table: usize, images: (Option<Logged>, Option<Logged>)) -> Result<(), Halt> {
    let table = Table { id: table as u32, form: table as u32 };
    match images {
        (None, Some(new)) => changes.insert(table, new.image()),
        (Some(old), Some(new)) => changes.update(table, Some(old.image()), new.image()),
        (Some(old), None) => changes.delete(table, old.image()),
        (None, None) => Ok(()),
    }
}

fn unreadable(error: io::Error) -> Halt {
    failed(format!("the binary log has something that cannot be read: {error}"))
}
