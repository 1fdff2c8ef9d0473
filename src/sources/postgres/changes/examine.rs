//! `check --connect`: would changes be captured here, and what happens to those that come while nobody reads?

use super::connection::{connect, within};
use super::{ANSWERS_WITHIN, Halt, Options, setup, slot};
use crate::sources::live::Failure;
use crate::sources::remark::{Alone, Remark};
use sqlx::postgres::PgConnection;

/// Looks at everything that can be looked at without a slot being made.
pub(super) async fn examine(options: &Options) -> Vec<Remark> {
    let mut remarks = Vec::new();
    match look(options, &mut remarks).await {
        Err(Halt::Failed(Failure(why))) => remarks.push(Remark::error(why)),
        Ok(()) | Err(Halt::Stopped) => {}
    }
    remarks
}

async fn look(options: &Options, remarks: &mut Vec<Remark>) -> Result<(), Halt> {
    let mut side = connect(options, &mut Alone).await?;
    let question = sqlx::query_as::<_, (String, String, bool)>(
        "select current_setting('server_version'), current_user::text,
                (select rolreplication or rolsuper from pg_roles where rolname = current_user)",
    );
    let what = "the user's rights cannot be read";
    let (version, user, replicates) = within(&mut Alone, ANSWERS_WITHIN, what, question.fetch_one(&mut side)).await?;
    setup::server(&mut side, &mut Alone).await?;
    remarks.push(Remark::good(format!("PostgreSQL {version} lets {user} in, and logs what change capture needs")));
    if !replicates {
        remarks.push(Remark::error(format!(
            "{user} may not make a replication slot: let an administrator run `ALTER ROLE {} REPLICATION`, or use \
             `capture: poll`",
            super::quoted(&user)
        )));
    }
    for table in setup::tables(options, &mut side, &mut Alone).await? {
        let key = table.key.join(", ");
        remarks.push(Remark::good(format!("{}: published, its rows are told apart by {key}", table.name)));
    }
    remarks.push(match &options.slot {
        Some(name) => slot::examine(name, &mut side, &mut Alone).await?,
        None => free(&mut side).await?,
    });
    remarks.push(Remark::good("progress is proven: the log is read past the place that the server names as its end"));
    Ok(())
}

/// Whether there is room for a temporary slot, and what it is worth.
async fn free(side: &mut PgConnection) -> Result<Remark, Halt> {
    let question = sqlx::query_as::<_, (i64, i64)>(
        "select current_setting('max_replication_slots')::int8, (select count(*) from pg_replication_slots)",
    );
    let what = "the replication slots cannot be looked up";
    let (most, taken) = within(&mut Alone, ANSWERS_WITHIN, what, question.fetch_one(side)).await?;
    Ok(if taken >= most {
        Remark::error(format!(
            "all {most} replication slots are taken: drop one that nobody reads (`SELECT slot_name FROM \
             pg_replication_slots WHERE NOT active`), or raise max_replication_slots and restart the server"
        ))
    } else {
        Remark::warning(
            "what is committed while `run` stands still, or its connection is broken, will be a gap, since a temporary slot \
             ends with its connection; `slot: NAME` makes a permanent one, which loses nothing",
        )
    })
}
