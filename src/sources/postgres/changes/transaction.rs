//! A transaction of the log, and its tables as they were described when it changed them. What became of each row is
//! [`RowChanges`]'s to tell.

use super::Halt;
use super::pgoutput::{Datum, Old, Tuple};
use super::relation::Relation;
use crate::model::time::Time;
use crate::sources::row_changes::{self, Image, RowChanges, Table};
use std::rc::Rc;

/// A change as it is handed over.
pub(super) struct Change<'a> {
    pub relation: &'a Relation,
    pub op: &'static str,
    /// `None` where the table as a whole is meant, or the key is null.
    pub key: Option<&'a str>,
    pub row: Tuple<'a>,
}

/// A transaction that is being received.
pub(super) struct Transaction {
    pub xid: u32,
    pub committed: Time,
    changes: RowChanges,
    /// The tables as they were described, in the order of their first changes.
    relations: Vec<Rc<Relation>>,
}

impl Transaction {
    pub fn new(xid: u32, committed: Time) -> Transaction {
        Transaction { xid, committed, changes: RowChanges::default(), relations: Vec::new() }
    }

    /// Its rows are too many to be kept apart any longer: what there is has to be handed over.
    pub fn is_full(&self) -> bool {
        self.changes.is_full()
    }

    pub fn insert(&mut self, relation: &Rc<Relation>, new: Tuple<'_>) -> Result<(), Halt> {
        let (table, key) = (self.table(relation), relation.key(new));
        self.changes.insert(table, Image { key: key.as_deref(), row: new.bytes() })
    }

    pub fn update(&mut self, relation: &Rc<Relation>, old: Option<Old<'_>>, new: Tuple<'_>) -> Result<(), Halt> {
        let (table, key) = (self.table(relation), relation.key(new));
        let before = old.map(|old| relation.known(old));
        let old_key = before.as_deref().and_then(|before| relation.key(Tuple::of(before)));
        // An old row that does not say its key tells nothing of another one.
        let old_key = old_key.filter(|old| Some(old) != key.as_ref());
        let row = self.filled(table, before.as_deref(), new, old_key.as_deref().or(key.as_deref()))?;
        let moved = before.as_deref().zip(old_key.as_deref());
        let moved = moved.map(|(row, key)| Image { key: Some(key), row });
        self.changes.update(table, moved, Image { key: key.as_deref(), row: &row })
    }

    pub fn delete(&mut self, relation: &Rc<Relation>, old: Old<'_>) -> Result<(), Halt> {
        let before = relation.known(old);
        let (table, key) = (self.table(relation), relation.key(Tuple::of(&before)));
        self.changes.delete(table, Image { key: key.as_deref(), row: &before })
    }

    pub fn truncate(&mut self, relation: &Rc<Relation>) -> Result<(), Halt> {
        let table = self.table(relation);
        self.changes.truncate(table)
    }

    /// The table in its present form.
    fn table(&mut self, relation: &Rc<Relation>) -> Table {
        let form = self.relations.iter().rposition(|known| Rc::ptr_eq(known, relation)).unwrap_or_else(|| {
            self.relations.push(relation.clone());
            self.relations.len() - 1
        });
        Table { id: relation.id, form: form as u32 }
    }

    /// The new row, in which large values that the update left alone are taken from the old row, where it is known
    /// whole, or from what this transaction wrote before.
    fn filled(
        &mut self,
        table: Table,
        before: Option<&[u8]>,
        new: Tuple<'_>,
        key: Option<&str>,
    ) -> Result<Vec<u8>, Halt> {
        if !new.columns().any(|value| value == Datum::Unchanged) {
            return Ok(new.bytes().to_vec());
        }
        let earlier = key.map(|key| self.changes.newest(table, key)).transpose()?.flatten().unwrap_or_default();
        let mut old = Tuple::of(before.unwrap_or_default()).columns();
        let mut earlier = Tuple::of(&earlier).columns();
        let mut filled = Vec::new();
        for value in new.columns() {
            let others = [old.next(), earlier.next()].into_iter().flatten();
            let known = [value].into_iter().chain(others).find(|value| *value != Datum::Unchanged);
            Tuple::push(&mut filled, known.unwrap_or(Datum::Unchanged));
        }
        Ok(filled)
    }

    /// Hands over what has come of it, in the order of each row's last change, and forgets it.
    pub fn hand_over(&mut self, mut take: impl FnMut(Change<'_>) -> Result<(), Halt>) -> Result<(), Halt> {
        let relations = &self.relations;
        self.changes.hand_over(|row_changes::Change { table, op, key, row }| {
            take(Change { relation: &relations[table.form as usize], op, key, row: Tuple::of(row) })
        })?;
        self.relations.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::postgres::changes::pgoutput::Column;
    use crate::sources::postgres::changes::setup::Watched;
    use crate::sources::postgres::types::Types;

    fn relation(id: u32, name: &str) -> Rc<Relation> {
        let watched =
            Watched { id, schema: "public".into(), relation: name.into(), name: name.into(), key: vec!["id".into()] };
        let column = |name: &str| Column { name: name.into(), kind: 25, identity: name == "id" };
        Rc::new(Relation::new(&watched, 0, &[column("id"), column("a"), column("b")], &Types::default()).unwrap())
    }

    /// A row: `-` is null, `~` unchanged.
    fn row(values: [&str; 3]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in values {
            let datum = match value {
                "-" => Datum::Null,
                "~" => Datum::Unchanged,
                text => Datum::Text(text.as_bytes()),
            };
            Tuple::push(&mut bytes, datum);
        }
        bytes
    }

    fn old(whole: bool, bytes: &[u8]) -> Old<'_> {
        Old { whole, tuple: Tuple::of(bytes) }
    }

    fn told(transaction: &mut Transaction) -> Vec<String> {
        let mut told = Vec::new();
        let take = |change: Change<'_>| {
            let mut payload = Vec::new();
            change.relation.payload(change.row, &mut payload);
            let payload = String::from_utf8(payload).unwrap();
            told.push(format!("{} {} {payload}", change.op, change.key.unwrap_or("-")));
            Ok(())
        };
        transaction.hand_over(take).unwrap();
        told
    }

    #[test]
    fn what_became_of_each_row_is_told() {
        let (table, other) = (relation(1, "t"), relation(2, "o"));
        let mut all = Transaction::new(7, Time(1));
        let version = |a: &str, id: &str| row([id, a, "x"]);
        all.insert(&table, Tuple::of(&version("1", "new"))).unwrap();
        all.insert(&other, Tuple::of(&version("1", "new"))).unwrap();
        all.update(&table, None, Tuple::of(&version("2", "new"))).unwrap();
        all.update(&table, None, Tuple::of(&version("1", "old"))).unwrap();
        all.delete(&table, old(false, &row(["old", "-", "-"]))).unwrap();
        all.insert(&table, Tuple::of(&version("1", "brief"))).unwrap();
        all.delete(&table, old(false, &row(["brief", "-", "-"]))).unwrap();
        all.delete(&table, old(true, &row(["again", "1", "-"]))).unwrap();
        all.insert(&table, Tuple::of(&version("5", "again"))).unwrap();
        all.insert(&table, Tuple::of(&row(["-", "9", "-"]))).unwrap();
        assert_eq!(
            told(&mut all),
            [
                r#"insert new {"id":"new","a":"1","b":"x"}"#,
                r#"insert new {"id":"new","a":"2","b":"x"}"#,
                r#"delete old {"id":"old"}"#,
                r#"insert brief {"id":"brief","a":"1","b":"x"}"#,
                r#"delete brief {"id":"brief"}"#,
                r#"update again {"id":"again","a":"5","b":"x"}"#,
                r#"insert - {"id":null,"a":"9","b":null}"#,
            ]
        );
        assert_eq!(told(&mut all), [""; 0], "it was forgotten");
    }

    #[test]
    fn what_is_not_sent_is_taken_from_where_it_is_known() {
        let table = relation(1, "t");
        let mut all = Transaction::new(7, Time(1));
        all.update(&table, None, Tuple::of(&row(["1", "~", "2"]))).unwrap();
        all.update(&table, Some(old(true, &row(["2", "was", "-"]))), Tuple::of(&row(["2", "~", "3"]))).unwrap();
        all.insert(&table, Tuple::of(&row(["3", "first", "-"]))).unwrap();
        all.update(&table, None, Tuple::of(&row(["3", "~", "4"]))).unwrap();
        all.update(&table, Some(old(false, &row(["3", "-", "-"]))), Tuple::of(&row(["4", "~", "5"]))).unwrap();
        assert_eq!(
            told(&mut all),
            [
                r#"update 1 {"id":"1","b":"2"}"#,
                r#"update 2 {"id":"2","a":"was","b":"3"}"#,
                r#"insert 3 {"id":"3","a":"first","b":"4"}"#,
                r#"delete 3 {"id":"3"}"#,
                r#"insert 4 {"id":"4","a":"first","b":"5"}"#,
            ]
        );
    }

    #[test]
    fn a_truncated_table_has_no_rows_of_before() {
        let (table, other) = (relation(1, "t"), relation(2, "o"));
        let mut all = Transaction::new(7, Time(1));
        all.insert(&table, Tuple::of(&row(["1", "-", "-"]))).unwrap();
        all.delete(&table, old(false, &row(["2", "-", "-"]))).unwrap();
        all.insert(&other, Tuple::of(&row(["1", "-", "-"]))).unwrap();
        all.truncate(&table).unwrap();
        all.insert(&table, Tuple::of(&row(["1", "x", "-"]))).unwrap();
        assert_eq!(
            told(&mut all),
            [r#"insert 1 {"id":"1","a":null,"b":null}"#, "truncate - {}", r#"insert 1 {"id":"1","a":"x","b":null}"#,]
        );
    }

    #[test]
    fn a_large_transaction_is_put_into_a_file_and_one_of_too_many_rows_is_cut() {
        let table = relation(1, "t");
        let mut all = Transaction::new(7, Time(1));
        let large = "x".repeat(10_000);
        for id in 0..4_000 {
            all.insert(&table, Tuple::of(&row([&id.to_string(), "first", &large]))).unwrap();
        }
        for id in 0..4_000 {
            all.update(&table, None, Tuple::of(&row([&id.to_string(), "last", "~"]))).unwrap();
        }
        assert!(all.changes.is_rolled() && !all.is_full());
        let told = told(&mut all);
        assert_eq!(told.len(), 4_000);
        assert!(told.iter().all(|told| told.contains("\"last\"") && told.len() > 10_000));
        all.changes.fill();
        all.insert(&table, Tuple::of(&row(["1", "-", "-"]))).unwrap();
        assert!(all.is_full());
    }
}
