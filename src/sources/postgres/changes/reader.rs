//! Makes transactions of messages, and records of transactions.

use super::hand::{Hand, Version};
use super::pgoutput::{self, Described, Message};
use super::relation::Relation;
use super::setup::{self, Watched};
use super::transaction::{Change, Transaction};
use super::{Halt, Lsn, failed};
use crate::sources::postgres::types::Types;
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use std::rc::Rc;

/// What is known while messages come.
pub(super) struct Reader<'a> {
    pub hand: Hand<'a>,
    tables: Vec<Watched>,
    types: Types,
    /// The tables as they were last described; `None` for those that are not followed.
    relations: HashMap<u32, Option<Rc<Relation>>>,
    /// The transaction that has begun; `None` also where it was handed over before.
    transaction: Option<Transaction>,
    /// Where its commit stands.
    at: Lsn,
}

impl<'a> Reader<'a> {
    pub fn new(tables: Vec<Watched>, types: Types, hand: Hand<'a>) -> Reader<'a> {
        Reader { hand, tables, types, relations: HashMap::new(), transaction: None, at: Lsn(0) }
    }

    /// Takes the next message.
    pub async fn message(&mut self, bytes: &[u8], side: &mut PgConnection) -> Result<(), Halt> {
        let message = pgoutput::read(bytes).map_err(|bad| failed(bad.to_string()))?;
        match message {
            Message::Begin { at, committed, xid } => {
                self.at = at;
                // A permanent slot repeats what the journal may have already.
                self.transaction = (at >= self.hand.cursor.lsn).then(|| Transaction::new(xid, committed));
            }
            Message::Commit { end } => return self.commit(end),
            Message::Relation(described) => return self.describe(described, side).await,
            change => return self.change(change),
        }
        Ok(())
    }

    fn change(&mut self, change: Message<'_>) -> Result<(), Halt> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let relation = |id: u32| match self.relations.get(&id) {
            Some(known) => Ok(known.clone()),
            None => Err(failed("the log has a change of a table that it has not described")),
        };
        match change {
            Message::Insert { relation: id, new } => {
                relation(id)?.map_or(Ok(()), |relation| transaction.insert(&relation, new))?;
            }
            Message::Update { relation: id, old, new } => {
                relation(id)?.map_or(Ok(()), |relation| transaction.update(&relation, old, new))?;
            }
            Message::Delete { relation: id, old } => {
                relation(id)?.map_or(Ok(()), |relation| transaction.delete(&relation, old))?;
            }
            Message::Truncate { relations } => {
                for id in relations {
                    relation(id)?.map_or(Ok(()), |relation| transaction.truncate(&relation))?;
                }
            }
            _ => {}
        }
        if transaction.is_full() { self.hand_over() } else { Ok(()) }
    }

    fn commit(&mut self, end: Lsn) -> Result<(), Halt> {
        if self.transaction.is_none() {
            return Ok(());
        }
        self.hand_over()?;
        self.transaction = None;
        let cursor = &mut self.hand.cursor;
        (cursor.lsn, cursor.whole) = (end, cursor.given);
        Ok(())
    }

    /// Hands over what the transaction has done so far.
    fn hand_over(&mut self) -> Result<(), Halt> {
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let (time, lsn, xid) = (transaction.committed, self.at.to_string(), transaction.xid.to_string());
        let headers = [("lsn", lsn.as_str()), ("xid", xid.as_str())];
        let hand = &mut self.hand;
        transaction.hand_over(|Change { relation, op, key, row }| {
            if op == "truncate" {
                hand.intake.hole(&format!("`{}` was truncated: which rows were deleted is not told", relation.name));
            }
            hand.record(Version { relation, op: Some(op), key, row, time, headers: &headers })
        })
    }

    /// A table is described, before its first change and when it has been altered.
    async fn describe(&mut self, described: Described, side: &mut PgConnection) -> Result<(), Halt> {
        let watched = self.tables.iter().find(|table| {
            // A table may have been dropped and made anew under its name.
            table.schema == described.schema && table.relation == described.name
        });
        let Some(watched) = watched else {
            self.relations.insert(described.id, None);
            return Ok(());
        };
        if described.columns.iter().any(|column| !self.types.0.contains_key(&column.kind)) {
            self.types = setup::types(side, self.hand.intake).await?;
        }
        let watched = Watched { id: described.id, ..watched.clone() };
        let part = self.hand.intake.part(&watched.name);
        let relation = Relation::new(&watched, part, &described.columns, &self.types);
        let relation = relation.map_err(|column| watched.lacks(&column))?;
        let known = self.relations.entry(described.id).or_default();
        // As long as it is the same, it is one, so that a transaction's entries share it.
        if known.as_deref() != Some(&relation) {
            *known = Some(Rc::new(relation));
        }
        Ok(())
    }
}
