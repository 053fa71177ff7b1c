//! Tests on real files, and of what holds in memory too: reopening, atomic and concurrent writes, crashes, damage, versions.
#![expect(clippy::unwrap_used, reason = "tests")]

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use trueup_engine::app::{AppKey, FirstSeen};
use trueup_engine::difference::{
    Attribution, Change, Channel, Class, Confidence, Difference, DifferenceId, Origin,
};
use trueup_engine::evidence::{Evidence, evidence};
use trueup_engine::live::Live;
use trueup_engine::memory::{Memory, SchemaSet, UnownedTable};
use trueup_object::{FieldPath, GroupKind, ResourceKey, Timestamp, Value};

use crate::schema::migrate;
use crate::{
    Circumstances, Corrected, Entry, Fact, IntendedAction, Ledger, LedgerError, MemoryDisk, NewEntry, Seq,
    Write,
};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn app() -> AppKey {
    AppKey::new("argocd", "shop")
}

fn deployment() -> ResourceKey {
    ResourceKey::new("apps", "Deployment", "web", "shop")
}

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap()
}

fn intent(second: i64, evidence: Option<Evidence>) -> NewEntry {
    NewEntry {
        time: time(second),
        app: app(),
        object: Some(deployment()),
        fact: Fact::Intended {
            action: IntendedAction::Apply,
            reason: "self-heal".to_owned(),
            by_policy: true,
            corrects: vec![
                Corrected { path: Some(".spec.replicas".to_owned()), opponent: Some("kubectl-edit".into()) },
                Corrected { path: None, opponent: None },
            ],
            revision: Some("0123456".into()),
            uid: Some("u-1".into()),
            resource_version: Some("41".into()),
        },
        evidence,
    }
}

fn entry(second: i64, fact: Fact) -> NewEntry {
    NewEntry { time: time(second), app: app(), object: Some(deployment()), fact, evidence: None }
}

fn observed(message: &str) -> Fact {
    Fact::Observed { differences: vec!["a1b2".into()], message: message.to_owned() }
}

fn memory(unowned: u8, inherited: &str) -> Memory {
    Memory {
        base: Some(json(r#"{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":3}}"#)),
        unowned: Some(UnownedTable::from_bytes(&[unowned; 16]).unwrap()),
        inherited: BTreeMap::from([(".metadata.labels.team".to_owned(), inherited.to_owned())]),
        synced_at: Some(time(0)),
    }
}

fn remember(object: ResourceKey, memory: Memory) -> Write {
    let circumstances = Circumstances { revision: Some("0123456".into()), context: "v1.36.3".into() };
    Write::Memory { app: app(), object, memory, circumstances }
}

/// Evidence of a Deployment that somebody scaled.
fn scaled(replicas: i64) -> Evidence {
    let mut object = json(
        r#"{"apiVersion":"apps/v1","kind":"Deployment",
        "metadata":{"name":"shop","namespace":"web","uid":"u-1","resourceVersion":"41"}}"#,
    );
    object.set_at(&["spec", "replicas"], replicas.into());
    let live = Live::of(object).unwrap();
    let schemas = SchemaSet::new();
    let masked = evidence(&live, &[], schemas.over(&schemas), &[7; 32]).live;
    let difference = Difference {
        id: DifferenceId::from_text("a1b2"),
        key: deployment(),
        gvk: live.gvk,
        channel: Channel::Declared,
        path: Some(FieldPath::fields(&["spec", "replicas"])),
        pointer: Some("/spec/replicas".to_owned()),
        change: Change::Changed,
        origin: Origin::Cluster,
        target: None,
        live: None,
        base: None,
        predicted: None,
        unconfirmed: None,
        attribution: Attribution {
            class: Class::Manual,
            confidence: Confidence::Strong,
            manager: Some("kubectl-edit".into()),
            operation: None,
            subresource: None,
            time: Some(time(0)),
        },
        first_seen: None,
        inherited: false,
        sensitive: false,
        ignored_by: None,
        message: None,
    };
    Evidence { live: masked, differences: vec![difference] }
}

async fn all(ledger: &Ledger) -> Vec<Entry> {
    ledger.after(None, 1000).await.unwrap()
}

async fn raw(directory: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(directory.join("ledger.db")).connect().await.unwrap()
}

/// Where a ledger is kept while it is closed.
enum Kept {
    Folder(TempDir),
    Disk(MemoryDisk),
}

impl Kept {
    fn folder() -> Self {
        Self::Folder(TempDir::new().unwrap())
    }

    fn disk() -> Self {
        Self::Disk(MemoryDisk::new([7; 32]))
    }

    async fn open(&self) -> Ledger {
        match self {
            Self::Folder(state) => Ledger::open(state.path()).await.unwrap(),
            Self::Disk(disk) => Ledger::in_memory(disk),
        }
    }
}

/// What holds for both storages.
macro_rules! on_both {
    ($($law:ident,)*) => {
        mod file {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $law() {
                    super::$law(super::Kept::folder()).await;
                }
            )*
        }
        mod memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $law() {
                    super::$law(super::Kept::disk()).await;
                }
            )*
        }
    };
}

on_both! {
    what_was_written_is_there_after_reopening,
    intents_without_an_outcome_are_found,
    intents_that_were_carried_out_are_found,
    memory_is_replaced_and_forgotten,
    an_object_without_a_base_is_remembered_so,
    a_request_is_written_whole_or_not_at_all,
    what_was_handed_over_comes_first_and_is_written_without_being_waited_for,
    concurrent_writers_are_all_acknowledged_and_spoil_none,
    equal_evidence_is_kept_once,
    values_of_secrets_never_reach_the_disk,
    what_is_too_large_is_refused,
}

async fn what_was_written_is_there_after_reopening(kept: Kept) {
    let ledger = kept.open().await;
    let intended = ledger.append(intent(1, Some(scaled(9)))).await.unwrap();
    let done = Fact::Done { intent: intended, uid: Some("u-1".into()), resource_version: Some("42".into()) };
    ledger.append(entry(2, done.clone())).await.unwrap();
    let confirmed = Fact::Confirmed { intent: intended, resource_version: Some("42".into()) };
    ledger.append(entry(3, confirmed.clone())).await.unwrap();
    let key = *ledger.key().as_bytes();
    ledger.close().await;

    let ledger = kept.open().await;
    assert_eq!(*ledger.key().as_bytes(), key);
    let entries = all(&ledger).await;
    let facts: Vec<&Fact> = entries.iter().map(|entry| &entry.fact).collect();
    assert_eq!(facts, [&intent(1, None).fact, &done, &confirmed]);
    assert_eq!((entries[0].seq, entries[0].time), (intended, time(1)));
    assert_eq!((&entries[0].app, entries[0].object.as_ref()), (&app(), Some(&deployment())));
    assert_eq!(entries.iter().map(|entry| entry.has_evidence).collect::<Vec<_>>(), [true, false, false]);
    let kept = ledger.evidence(intended).await.unwrap().unwrap();
    assert_eq!(&kept.live, scaled(9).live.as_value());
    let found = &kept.differences.as_list().unwrap()[0];
    for (field, want) in
        [("id", "a1b2"), ("path", ".spec.replicas"), ("origin", "cluster"), ("manager", "kubectl-edit")]
    {
        assert_eq!(found.str_at(&[field]), Some(want));
    }
    assert_eq!(ledger.evidence(entries[1].seq).await.unwrap(), None);
    let newest = ledger.history(&app(), Some(&deployment()), None, 1).await.unwrap();
    assert_eq!(newest, entries[2..]);
    let older = ledger.history(&app(), None, Some(newest[0].seq), 10).await.unwrap();
    assert_eq!(older.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [entries[1].seq, entries[0].seq]);
    assert!(ledger.history(&AppKey::new("argocd", "other"), None, None, 10).await.unwrap().is_empty());
}

async fn intents_without_an_outcome_are_found(kept: Kept) {
    let ledger = kept.open().await;
    let mut seqs = Vec::new();
    for second in 0..3 {
        seqs.push(ledger.append(intent(second, None)).await.unwrap());
    }
    let refused = Fact::Refused { intent: seqs[1], reason: "the object changed meanwhile".to_owned() };
    ledger.append(entry(4, refused)).await.unwrap();
    let unfinished = ledger.unfinished().await.unwrap();
    assert_eq!(unfinished.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [seqs[0], seqs[2]]);
}

async fn intents_that_were_carried_out_are_found(kept: Kept) {
    let ledger = kept.open().await;
    let mut seqs = Vec::new();
    for second in 0..4 {
        seqs.push(ledger.append(intent(second, None)).await.unwrap());
    }
    let (uid, resource_version) = (None, None);
    let outcomes = [
        Fact::Done { intent: seqs[0], uid, resource_version },
        Fact::Refused { intent: seqs[1], reason: "the object changed meanwhile".to_owned() },
        // One that was interrupted and then seen to have come about.
        Fact::Confirmed { intent: seqs[3], resource_version: None },
    ];
    for outcome in outcomes {
        ledger.append(entry(5, outcome)).await.unwrap();
    }
    let numbers = |found: Vec<Entry>| found.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(numbers(ledger.carried_out(None).await.unwrap()), [seqs[3], seqs[0]]);
    assert_eq!(numbers(ledger.carried_out(Some(seqs[3])).await.unwrap()), [seqs[0]]);
}

async fn memory_is_replaced_and_forgotten(kept: Kept) {
    let ledger = kept.open().await;
    let (app, object) = (app(), deployment());
    let seen = |second| FirstSeen::from([(DifferenceId::from_text(&format!("d{second}")), time(second))]);
    for round in 1..=2_u8 {
        let writes = vec![
            remember(object.clone(), memory(round, &round.to_string())),
            Write::Inventory { app: app.clone(), kinds: vec![GroupKind::new("apps", "Deployment")] },
            Write::Inventory { app: app.clone(), kinds: vec![GroupKind::new("", "ConfigMap")] },
            Write::FirstSeen { app: app.clone(), seen: seen(i64::from(round)) },
        ];
        assert!(ledger.write(writes).await.unwrap().is_empty());
    }
    ledger.close().await;
    let ledger = kept.open().await;
    let remembered = ledger.memory(&app).await.unwrap();
    assert_eq!(remembered.objects, BTreeMap::from([(object.clone(), memory(2, "2"))]));
    assert_eq!(remembered.circumstances[&object].revision.as_deref(), Some("0123456"));
    assert_eq!(remembered.first_seen, seen(2));
    let kinds = BTreeSet::from([GroupKind::new("apps", "Deployment"), GroupKind::new("", "ConfigMap")]);
    assert_eq!(ledger.inventory().await.unwrap(), BTreeMap::from([(app.clone(), kinds.clone())]));

    ledger.write(vec![Write::ForgetObject { app: app.clone(), object }]).await.unwrap();
    assert!(ledger.memory(&app).await.unwrap().objects.is_empty());
    assert_eq!(ledger.inventory().await.unwrap()[&app], kinds);
    ledger.write(vec![Write::ForgetApp { app: app.clone() }]).await.unwrap();
    assert_eq!(ledger.memory(&app).await.unwrap(), crate::AppMemory::default());
    assert!(ledger.inventory().await.unwrap().is_empty());
}

async fn an_object_without_a_base_is_remembered_so(kept: Kept) {
    let ledger = kept.open().await;
    ledger.write(vec![remember(deployment(), Memory::default())]).await.unwrap();
    assert_eq!(ledger.memory(&app()).await.unwrap().objects[&deployment()], Memory::default());
}

async fn a_request_is_written_whole_or_not_at_all(kept: Kept) {
    let ledger = kept.open().await;
    // The second refers to an intent that is not there.
    let broken = Fact::Done { intent: Seq::new(999), uid: None, resource_version: None };
    let writes = vec![
        Write::Entry(Box::new(entry(1, observed("first")))),
        Write::Entry(Box::new(entry(2, broken))),
        remember(deployment(), Memory::default()),
    ];
    assert!(matches!(ledger.write(writes).await, Err(LedgerError::Storage { .. })));
    assert!(all(&ledger).await.is_empty());
    assert!(ledger.memory(&app()).await.unwrap().objects.is_empty());
    assert!(ledger.append(entry(3, observed("later"))).await.is_ok());
}

/// The writer keeps the order, also for those who do not wait.
async fn what_was_handed_over_comes_first_and_is_written_without_being_waited_for(kept: Kept) {
    let ledger = kept.open().await;
    drop(ledger.hand_over(vec![Write::Entry(Box::new(intent(1, None)))]).await.unwrap());
    let waited = ledger.hand_over(vec![Write::Entry(Box::new(intent(2, None)))]).await.unwrap();
    let last = ledger.append(intent(3, None)).await.unwrap();
    assert!(waited.written().await.unwrap() < vec![last]);
    ledger.close().await;
    let ledger = kept.open().await;
    let times: Vec<Timestamp> = all(&ledger).await.into_iter().map(|entry| entry.time).collect();
    assert_eq!(times, [time(1), time(2), time(3)]);
    assert_eq!(ledger.hand_over(Vec::new()).await.unwrap().written().await, Ok(Vec::new()));
}

async fn concurrent_writers_are_all_acknowledged_and_spoil_none(kept: Kept) {
    let one = Arc::new(kept.open().await);
    let other = Arc::new(kept.open().await);
    assert_eq!(one.key().as_bytes(), other.key().as_bytes());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let ledger = Arc::clone(if number % 2 == 0 { &one } else { &other });
        tasks.spawn(async move {
            let fact = if number % 10 == 0 {
                Fact::Done { intent: Seq::new(1_000_000), uid: None, resource_version: None }
            } else {
                observed(&number.to_string())
            };
            ledger.append(entry(number, fact)).await
        });
    }
    let outcomes = tasks.join_all().await;
    let acknowledged: BTreeSet<Seq> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert_eq!(acknowledged.len(), 180);
    let written: BTreeSet<Seq> = all(&one).await.into_iter().map(|entry| entry.seq).collect();
    assert_eq!(written, acknowledged);
}

async fn equal_evidence_is_kept_once(kept: Kept) {
    let ledger = kept.open().await;
    for (second, replicas) in [(1, 9), (2, 9), (3, 8)] {
        ledger.append(intent(second, Some(scaled(replicas)))).await.unwrap();
    }
    let entries = all(&ledger).await;
    for (entry, replicas) in entries.iter().zip([9, 9, 8]) {
        let kept = ledger.evidence(entry.seq).await.unwrap().unwrap();
        assert_eq!(kept.live.int_at(&["spec", "replicas"]), Some(replicas));
    }
    if let Kept::Folder(state) = kept {
        let mut connection = raw(state.path()).await;
        let n: i64 =
            sqlx::query_scalar("SELECT count(*) FROM evidence").fetch_one(&mut connection).await.unwrap();
        assert_eq!(n, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_cannot_be_changed_or_removed() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::open(state.path()).await.unwrap();
    ledger.append(intent(1, Some(scaled(9)))).await.unwrap();
    ledger.close().await;
    let mut connection = raw(state.path()).await;
    for sql in [
        "UPDATE entries SET body = '{}'",
        "DELETE FROM entries",
        "UPDATE evidence SET body = x''",
        "DELETE FROM evidence",
    ] {
        let error = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("never"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_what_was_acknowledged() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::open(state.path()).await.unwrap();
    for second in 0..5 {
        ledger.append(entry(second, observed("acknowledged"))).await.unwrap();
    }
    // The files as a killed process leaves them, with a torn page at the end of the log.
    let crashed = TempDir::new().unwrap();
    for name in ["ledger.db", "ledger.db-wal", "ledger.key"] {
        fs::copy(state.path().join(name), crashed.path().join(name)).unwrap();
    }
    let log = crashed.path().join("ledger.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    bytes.extend_from_slice(&[7; 1000]);
    fs::write(&log, &bytes).unwrap();
    let recovered = Ledger::open(crashed.path()).await.unwrap();
    assert_eq!(all(&recovered).await, all(&ledger).await);
    assert!(recovered.append(entry(9, observed("after the crash"))).await.is_ok());

    // A transaction that was open when the process died.
    let mut connection = raw(state.path()).await;
    sqlx::raw_sql("BEGIN; INSERT INTO inventory VALUES ('argocd/shop', '', 'Pod')")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close_hard().await.unwrap();
    assert!(ledger.inventory().await.unwrap().is_empty());
    assert!(ledger.append(entry(10, observed("and on"))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_base_spoils_one_object() {
    let state = TempDir::new().unwrap();
    let ledger = Ledger::open(state.path()).await.unwrap();
    let other = ResourceKey::new("", "ConfigMap", "web", "settings");
    for object in [deployment(), other.clone()] {
        ledger.write(vec![remember(object, memory(1, "x"))]).await.unwrap();
    }
    let mut connection = raw(state.path()).await;
    let sql = "UPDATE memory SET base = x'00112233' WHERE object = '/ConfigMap/web/settings'";
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    let memory = ledger.memory(&app()).await.unwrap();
    assert_eq!(memory.objects.keys().collect::<Vec<_>>(), [&deployment()]);
    assert_eq!(memory.unreadable[0].0, other.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_and_other_databases_are_refused() {
    let state = TempDir::new().unwrap();
    Ledger::open(state.path()).await.unwrap().close().await;
    let mut connection = raw(state.path()).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let error = Ledger::open(state.path()).await.unwrap_err();
    assert!(matches!(error, LedgerError::NewerSchema { found: 99, .. }), "{error}");

    let state = TempDir::new().unwrap();
    let mut connection = SqliteConnectOptions::new()
        .filename(state.path().join("ledger.db"))
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql("CREATE TABLE songs (title TEXT)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(matches!(Ledger::open(state.path()).await.unwrap_err(), LedgerError::NotALedger { .. }));

    let state = TempDir::new().unwrap();
    fs::write(
        state.path().join("ledger.db"),
        "a text file of some length, which is no database at all".repeat(99),
    )
    .unwrap();
    assert!(matches!(Ledger::open(state.path()).await.unwrap_err(), LedgerError::NotALedger { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_once_and_in_order() {
    const FIRST: &[&str] = &["CREATE TABLE a (x INTEGER)"];
    const BOTH: &[&str] = &["CREATE TABLE a (x INTEGER)", "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7"];
    const BROKEN: &[&str] = &[
        "CREATE TABLE a (x INTEGER)",
        "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7",
        "CREATE TABLE b (z INTEGER); nonsense",
    ];
    let path = Path::new("ledger.db");
    let mut connection = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
    migrate(&mut connection, path, FIRST).await.unwrap();
    sqlx::raw_sql("INSERT INTO a (x) VALUES (1)").execute(&mut connection).await.unwrap();
    for _ in 0..2 {
        migrate(&mut connection, path, BOTH).await.unwrap();
        let y: i64 = sqlx::query_scalar("SELECT y FROM a").fetch_one(&mut connection).await.unwrap();
        assert_eq!(y, 7);
    }
    assert!(migrate(&mut connection, path, BROKEN).await.is_err());
    let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'b'";
    let n: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!(n, 0);
    migrate(&mut connection, path, BOTH).await.unwrap();
    assert!(matches!(migrate(&mut connection, path, FIRST).await, Err(LedgerError::NewerSchema { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_private_and_belongs_to_the_file() {
    let state = TempDir::new().unwrap();
    let key_path = state.path().join("ledger.key");
    let ledger = Ledger::open(state.path()).await.unwrap();
    assert_eq!(format!("{:?}", ledger.key()), "***");
    assert_eq!(fs::metadata(&key_path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_ne!(*ledger.key().as_bytes(), [0; 32]);
    ledger.close().await;

    fs::set_permissions(&key_path, fs::Permissions::from_mode(0o644)).unwrap();
    Ledger::open(state.path()).await.unwrap().close().await;
    assert_eq!(fs::metadata(&key_path).unwrap().permissions().mode() & 0o777, 0o600);

    fs::remove_file(&key_path).unwrap();
    let error = Ledger::open(state.path()).await.unwrap_err();
    assert!(matches!(error, LedgerError::OtherKey { .. }), "{error}");
    fs::write(&key_path, "short").unwrap();
    assert!(matches!(Ledger::open(state.path()).await.unwrap_err(), LedgerError::Key { .. }));
}

async fn values_of_secrets_never_reach_the_disk(kept: Kept) {
    let ledger = kept.open().await;
    let secret = json(r#"{"apiVersion":"v1","kind":"Secret","data":{"password":"aHVudGVyMg=="}}"#);
    let object = ResourceKey::new("", "Secret", "web", "db");
    let unsealed = Memory { base: Some(secret), ..Memory::default() };
    assert!(matches!(
        ledger.write(vec![remember(object, unsealed)]).await,
        Err(LedgerError::Unmasked { .. })
    ));
    assert!(ledger.memory(&app()).await.unwrap().objects.is_empty());
    assert!(all(&ledger).await.is_empty());
}

async fn what_is_too_large_is_refused(kept: Kept) {
    let ledger = kept.open().await;
    let outcome = ledger.append(entry(1, observed(&"x".repeat(300 << 10)))).await;
    assert!(matches!(outcome, Err(LedgerError::TooLarge { what: "an entry", .. })));
}
