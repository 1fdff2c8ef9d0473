//! The rows that were there before the watch, for `start: beginning`.

use super::hand::Hand;
use super::setup::Watched;
use super::{Halt, failed};
use crate::model::time::{Span, Time};
use crate::sources::live::{Failure, Record};
use crate::sources::mysql::catalog;
use crate::sources::mysql::row;
use crate::sources::mysql::session::{Session, bytes};
use crate::sources::mysql::sql::{self, PAGE_ROWS, UNORDERED_ROWS_MAX};

/// What is committed after the log's end was asked for has this or a later time: so much earlier are the rows that are
/// read, and a change that comes once more as such counts as the later version.
const BEFORE: Span = Span(1_000_000);

/// Hands over the rows of all tables, which are read after `began`, from where on the log is read as well.
pub(super) fn read(tables: &[Watched], began: Time, side: &mut Session, hand: &mut Hand<'_>) -> Result<(), Halt> {
    hand.cursor.beginning = true;
    for watched in tables {
        rows(watched, began - BEFORE, side, hand)?;
    }
    (hand.cursor.beginning, hand.cursor.whole) = (false, hand.cursor.given);
    hand.deliver()
}

fn rows(watched: &Watched, time: Time, side: &mut Session, hand: &mut Hand<'_>) -> Result<(), Halt> {
    let relation = catalog::look_up(side, &watched.table, hand.intake)?;
    let mut last: Option<Vec<Vec<u8>>> = None;
    loop {
        let rows = side.rows(&sql::page(&relation, last.as_deref()), hand.intake)?;
        if relation.order.is_none() && rows.len() > UNORDERED_ROWS_MAX {
            return Err(failed(format!(
                "{} has more than {UNORDERED_ROWS_MAX} rows and no key in whose order they could be read: use `start: \
                 latest`",
                watched.described()
            )));
        }
        for row in &rows {
            let taken = row::take(row, &relation, &watched.table)?;
            let (payload, key) = (taken.json.as_bytes(), taken.key.as_deref());
            let (stream, time) = (Some(watched.name.as_str()), Some(time));
            hand.record(Record { stream, key, time, ..Record::plain(watched.part, 0, payload) })?;
        }
        let Some((order, end)) = relation.order.as_ref().zip(rows.last()).filter(|_| rows.len() == PAGE_ROWS) else {
            return Ok(());
        };
        let value = |at: &usize| Ok(bytes(end, *at)?.unwrap_or_default().to_vec());
        last = Some(order.iter().map(value).collect::<Result<_, Failure>>()?);
    }
}
