//! The one task that writes. Requests that wait at the same time share a transaction, and so a flush to the disk.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row as _};
use tokio::sync::{mpsc, oneshot};

use crate::error::LedgerError;
use crate::fact::Seq;
use crate::rows::{EntryRow, MemoryRow, RowWrite};
use crate::wire::BODY_VERSION;

/// Requests in one transaction: past some hundreds the flush is no longer what takes the time.
const BATCH_MAX: usize = 256;

/// Writes that are made together or not at all.
#[derive(Debug)]
pub struct Request {
    pub rows: Vec<RowWrite>,
    /// Gets the places of the entries among the rows, when they are on the disk.
    pub reply: oneshot::Sender<Result<Vec<Seq>, LedgerError>>,
}

/// Writes until every sender is gone.
pub async fn run(mut connection: SqliteConnection, mut requests: mpsc::Receiver<Request>) {
    while let Some(first) = requests.recv().await {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(next) = requests.try_recv()
        {
            batch.push(next);
        }
        write_batch(&mut connection, batch).await;
    }
    // Nobody is left to be told; what was acknowledged is on the disk.
    let _closed = connection.close().await;
}

async fn write_batch(connection: &mut SqliteConnection, batch: Vec<Request>) {
    let together = write_together(connection, &batch).await;
    match together {
        Ok(answers) => {
            for (request, answer) in batch.into_iter().zip(answers) {
                // Who stopped waiting has no use for the answer.
                let _unheard = request.reply.send(Ok(answer));
            }
        }
        Err(error) if batch.len() == 1 => {
            for request in batch {
                let _unheard = request.reply.send(Err(error.clone()));
            }
        }
        // One request must not spoil the others: each gets a transaction of its own.
        Err(_) => {
            for request in batch {
                let alone = write_together(connection, std::slice::from_ref(&request)).await;
                let answer = alone.map(|answers| answers.into_iter().flatten().collect());
                let _unheard = request.reply.send(answer);
            }
        }
    }
}

async fn write_together(
    connection: &mut SqliteConnection,
    batch: &[Request],
) -> Result<Vec<Vec<Seq>>, LedgerError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut answers = Vec::with_capacity(batch.len());
    for request in batch {
        let mut seqs = Vec::new();
        for row in &request.rows {
            seqs.extend(write_row(&mut transaction, row).await?);
        }
        answers.push(seqs);
    }
    transaction.commit().await?;
    Ok(answers)
}

async fn write_row(connection: &mut SqliteConnection, row: &RowWrite) -> Result<Option<Seq>, LedgerError> {
    match row {
        RowWrite::Entry(entry) => return Ok(Some(write_entry(connection, entry).await?)),
        RowWrite::Memory(memory) => write_memory(connection, memory).await?,
        RowWrite::Inventory { app, group, kind } => {
            let sql = "INSERT OR IGNORE INTO inventory (app, api_group, kind) VALUES (?, ?, ?)";
            sqlx::query(sql).bind(app).bind(group).bind(kind).execute(connection).await?;
        }
        RowWrite::FirstSeen { app, seen } => {
            sqlx::query("DELETE FROM first_seen WHERE app = ?").bind(app).execute(&mut *connection).await?;
            for (difference, time) in seen {
                let sql = "INSERT OR REPLACE INTO first_seen (app, difference, time) VALUES (?, ?, ?)";
                sqlx::query(sql).bind(app).bind(difference).bind(time).execute(&mut *connection).await?;
            }
        }
        RowWrite::ForgetObject { app, object } => {
            let sql = "DELETE FROM memory WHERE app = ? AND object = ?";
            sqlx::query(sql).bind(app).bind(object).execute(connection).await?;
        }
        RowWrite::ForgetApp { app } => {
            for sql in [
                "DELETE FROM memory WHERE app = ?",
                "DELETE FROM inventory WHERE app = ?",
                "DELETE FROM first_seen WHERE app = ?",
            ] {
                sqlx::query(sql).bind(app).execute(&mut *connection).await?;
            }
        }
    }
    Ok(None)
}

async fn write_memory(connection: &mut SqliteConnection, memory: &MemoryRow) -> Result<(), LedgerError> {
    let MemoryRow { app, object, time, revision, context, base, unowned, inherited } = memory;
    let sql = "INSERT OR REPLACE INTO memory (app, object, time, revision, context, base, unowned, inherited) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(app).bind(object).bind(time).bind(revision).bind(context);
    query.bind(base).bind(unowned).bind(inherited).execute(connection).await?;
    Ok(())
}

async fn write_entry(connection: &mut SqliteConnection, entry: &EntryRow) -> Result<Seq, LedgerError> {
    let EntryRow { time, app, object, kind, intent, body, evidence } = entry;
    let evidence = match evidence {
        None => None,
        Some((digest, body)) => {
            let sql = "INSERT OR IGNORE INTO evidence (digest, body) VALUES (?, ?)";
            sqlx::query(sql).bind(digest).bind(body).execute(&mut *connection).await?;
            let found = sqlx::query("SELECT id FROM evidence WHERE digest = ?").bind(digest);
            Some(found.fetch_one(&mut *connection).await?.try_get::<i64, _>(0)?)
        }
    };
    let sql = "INSERT INTO entries (version, time, app, object, kind, intent, evidence, body) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq";
    let query = sqlx::query(sql).bind(BODY_VERSION).bind(time).bind(app).bind(object).bind(*kind);
    let query = query.bind(intent).bind(evidence).bind(body);
    Ok(Seq::new(query.fetch_one(connection).await?.try_get(0)?))
}
