//! Tables of the ledger, and the way from an older version to this one.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use crate::error::LedgerError;

/// `TRUE` in ASCII: marks the file as a ledger of trueup for tools such as file(1).
const APPLICATION_ID: i64 = 0x5452_5545;

/// One script for each version, in order; a script that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("schema/0001.sql")];

/// Brings the tables to this build's version, each step in a transaction.
pub async fn prepare(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    migrate(connection, path, MIGRATIONS).await
}

pub async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    migrations: &'static [&'static str],
) -> Result<(), LedgerError> {
    // Taken at once: of two processes that start together, the second finds the work done.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let application_id = pragma(&mut transaction, "PRAGMA application_id").await?;
    let found = pragma(&mut transaction, "PRAGMA user_version").await?;
    let is_empty = pragma(&mut transaction, "SELECT count(*) FROM sqlite_master").await? == 0;
    if application_id != APPLICATION_ID && !(is_empty && application_id == 0 && found == 0) {
        return Err(LedgerError::NotALedger { path: path.to_owned() });
    }
    let known = migrations.len() as i64;
    if found > known {
        return Err(LedgerError::NewerSchema { path: path.to_owned(), found, known });
    }
    let n_done = usize::try_from(found).map_err(|_| LedgerError::NotALedger { path: path.to_owned() })?;
    for (script, version) in migrations.iter().zip(1..).skip(n_done) {
        sqlx::raw_sql(*script).execute(&mut *transaction).await?;
        // A pragma takes no parameters; the number is our own.
        let set = format!("PRAGMA user_version = {version}; PRAGMA application_id = {APPLICATION_ID}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, LedgerError> {
    Ok(sqlx::query(sql).fetch_one(connection).await?.try_get(0)?)
}
