//! What a statement in the log is: an end of a transaction, a change of a table's form, or a change of rows that the log
//! does not tell.

/// A statement, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Begin,
    Commit,
    Rollback,
    /// To a savepoint.
    RollbackTo,
    /// `XA COMMIT`, `XA ROLLBACK` of what was prepared, by its name as the log writes it.
    CommitPrepared(String),
    RollbackPrepared(String),
    /// Within a transaction, and of no interest.
    Nothing,
    /// Rows were changed, and which is not told.
    Rows,
    Truncate,
    /// The form of a table, or whatever else.
    Other,
}

impl Statement {
    pub fn of(sql: &str) -> Statement {
        let sql = sql.trim_start();
        let mut words = sql.split(|c: char| c.is_whitespace() || c == '(' || c == ';').filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default().to_ascii_uppercase();
        let second = words.next().unwrap_or_default().to_ascii_uppercase();
        let rest = || words.clone().collect::<Vec<_>>().join(" ");
        match (first.as_str(), second.as_str()) {
            ("BEGIN", _) | ("START", "TRANSACTION") | ("XA", "START") => Statement::Begin,
            ("COMMIT", _) => Statement::Commit,
            ("ROLLBACK", "TO") => Statement::RollbackTo,
            ("ROLLBACK", _) => Statement::Rollback,
            ("XA", "COMMIT") => Statement::CommitPrepared(rest()),
            ("XA", "ROLLBACK") => Statement::RollbackPrepared(rest()),
            ("XA" | "SAVEPOINT" | "RELEASE", _) => Statement::Nothing,
            ("INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "WITH" | "CALL", _) => Statement::Rows,
            ("TRUNCATE", _) => Statement::Truncate,
            _ => Statement::Other,
        }
    }
}

/// Whether a statement has a name as a word of its own.
pub(super) fn mentions(sql: &str, name: &str) -> bool {
    let (sql, name) = (sql.to_lowercase(), name.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    sql.match_indices(&name).any(|(at, _)| {
        let before = sql[..at].chars().next_back().is_some_and(is_part);
        let behind = sql[at + name.len()..].chars().next().is_some_and(is_part);
        !before && !behind
    })
}

/// The name of a prepared transaction, as `XA COMMIT` has it in the log.
pub(super) fn prepared_name(event: &[u8]) -> Option<(bool, String)> {
    let number = |at: usize| Some(u32::from_le_bytes(event.get(at..at + 4)?.try_into().ok()?));
    let (one_phase, format) = (*event.first()? != 0, number(1)?);
    let (global, branch) = (number(5)? as usize, number(9)? as usize);
    let bytes = event.get(13..13 + global + branch)?;
    let hex = crate::sources::mysql::types::hex;
    Some((one_phase, format!("X'{}',X'{}',{format}", hex(&bytes[..global]), hex(&bytes[global..]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_by_their_first_words() {
        for (sql, is) in [
            ("BEGIN", Statement::Begin),
            ("COMMIT /* done */", Statement::Commit),
            ("ROLLBACK TO `a`", Statement::RollbackTo),
            ("XA COMMIT X'71',X'',1", Statement::CommitPrepared("X'71',X'',1".into())),
            ("XA END X'71',X'',1", Statement::Nothing),
            ("insert into t values (1)", Statement::Rows),
            ("truncate t", Statement::Truncate),
            ("ALTER TABLE t ADD a int", Statement::Other),
        ] {
            assert_eq!(Statement::of(sql), is, "{sql}");
        }
    }

    #[test]
    fn a_table_is_mentioned_by_its_whole_name() {
        assert!(mentions("ALTER TABLE `shop`.`Orders` ADD x int", "orders"));
        assert!(mentions("truncate orders", "orders") && mentions("rename table a to orders, b to a", "orders"));
        assert!(!mentions("ALTER TABLE orders_old ADD x int", "orders") && !mentions("drop table reorders", "orders"));
    }

    #[test]
    fn what_is_prepared_is_named_as_it_is_committed() {
        let event = [&[0u8][..], &1u32.to_le_bytes(), &2u32.to_le_bytes(), &1u32.to_le_bytes(), b"q1b"].concat();
        assert_eq!(prepared_name(&event), Some((false, "X'7131',X'62',1".into())));
        assert_eq!(prepared_name(&event[..14]), None);
    }
}
