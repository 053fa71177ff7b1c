//! `cargo xtask differential`: random objects, random edits by others, and what the API server makes of them, against what we
//! predict.
//!
//! Each case applies a base under our name, lets other managers edit the object in every way that the API has, and asks the
//! server for a forced dry run of a target. Held to the server's answers are our declared channel (does the apply change
//! anything, and where), and the managed fields after every single write. A case depends on the seed and its number alone.
//! Known exceptions stand in `exceptions.txt`, each with its reason. No controller runs meanwhile: what they write is
//! another proof's business.

pub mod edits;
mod exceptions;
pub mod generate;
mod judge;
pub mod kinds;
pub mod mutate;
pub mod play;
mod shrink;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures::{StreamExt, stream};
use trueup_merge::SchemaSet;
use trueup_object::Value;
use trueup_testkit::controlplane::{self, ControlPlane};
use trueup_testkit::http::{BodyKind, Client, Method};

use exceptions::Exceptions;
use generate::{Maker, Site};
use judge::{Mismatch, What, without_exceptions};
use kinds::Kind;
use play::{Case, Ground};
use trueup_dice::Dice;

/// So many that 2,000 are judged although the server refuses some targets.
const CASES: usize = 2400;

pub const DEFINITIONS: &str = include_str!("differential/definitions.yaml");
pub const NAMESPACES: [&str; 2] = ["differential", "differential-limits"];

/// Long enough for a new kind to be served and published on a busy machine.
const SERVED_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a foreign edit that the server refuses is replaced by another.
const EDIT_TRIES: usize = 4;

/// Enough to know what goes wrong.
const FAILURES_SHOWN: usize = 200;

#[derive(Args)]
pub struct Options {
    /// How many random cases
    #[arg(long, default_value_t = CASES)]
    cases: usize,
    /// What the cases are made from: the same seed makes the same cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play this case alone
    #[arg(long, value_name = "NUMBER")]
    only: Option<usize>,
    /// Cases at once
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    jobs: usize,
    /// Use the running control plane of this kubeconfig (its controllers should stand still)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Write each failing case, made small, as a line of JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What became of one case.
struct Outcome {
    number: usize,
    kind: String,
    result: Played,
}

enum Played {
    /// The server takes the base in no form.
    NotMade,
    /// The server refuses the target, and so says nothing about it.
    Refused,
    Judged {
        differs: bool,
        edits: usize,
        exceptions: Exceptions,
        failure: Option<Box<Failure>>,
    },
}

struct Failure {
    mismatches: Vec<Mismatch>,
    case: Case,
    live: Value,
    dry: Option<Value>,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let played = on_plane(options.kubeconfig.as_deref(), async |kubeconfig, controllers| {
        let ground = prepare(kubeconfig, controllers).await?;
        play_all(options, &ground).await
    })?;
    conclude(options, &played)
}

/// Plays on the control plane of a kubeconfig, or on one that is started and ended here. The play is told which processes write
/// by themselves; those that it stops go on at the end.
pub fn on_plane<T>(given: Option<&Path>, play: impl AsyncFnOnce(&Path, &[i32]) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (plane, kubeconfig) = match given {
        Some(path) => (None, path.to_path_buf()),
        None => {
            let started =
                ControlPlane::start(&controlplane::Options::default(), &mut |line| println!("{line}"))?;
            let path = started.kubeconfig().to_path_buf();
            (Some(started), path)
        }
    };
    let controllers: Vec<i32> = plane.iter().flat_map(controllers).collect();
    let played = runtime.block_on(play(&kubeconfig, &controllers));
    // A stopped process does not hear that it is to end.
    for process in controllers {
        signal(process, "-CONT")?;
    }
    drop(plane);
    played
}

/// The processes that write by themselves.
fn controllers(plane: &ControlPlane) -> Vec<i32> {
    let names = ["kube-controller-manager", "kube-scheduler"];
    names.iter().filter_map(|name| plane.ready().components.get(*name).copied()).collect()
}

pub fn signal(process: i32, signal: &str) -> Result<()> {
    let status = Command::new("kill").args([signal, &process.to_string()]).status().context("run kill")?;
    ensure!(status.success(), "could not signal process {process}");
    Ok(())
}

/// Namespaces, custom kinds, and what the server publishes about all kinds. Then the controllers are stopped.
async fn prepare(kubeconfig: &Path, controllers: &[i32]) -> Result<Ground> {
    let client = Client::open(kubeconfig, "admin", "differential")?;
    let apply = async |path: String, body: &Value| {
        let path = format!("{path}?fieldManager=setup&force=true");
        client.write(Method::PATCH, &path, BodyKind::Apply, body).await
    };
    for document in trueup_object::yaml::read_documents(DEFINITIONS.as_bytes()) {
        let definition = document?.value;
        let name = definition.str_at(&["metadata", "name"]).unwrap_or_default();
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        apply(path, &definition).await?;
    }
    for name in NAMESPACES {
        let mut namespace = Value::default();
        namespace.set_at(&["apiVersion"], "v1".into());
        namespace.set_at(&["kind"], "Namespace".into());
        namespace.set_at(&["metadata", "name"], name.into());
        apply(format!("/api/v1/namespaces/{name}"), &namespace).await?;
        await_found(&client, &format!("/api/v1/namespaces/{name}/serviceaccounts/default")).await?;
    }
    let kinds = Kind::all()?;
    for kind in kinds.iter().filter(|kind| kind.is_custom()) {
        await_found(&client, &kind.collection).await?;
    }
    let schemas = published(&client, &kinds).await?;
    for process in controllers {
        signal(*process, "-STOP")?;
    }
    Ok(Ground { client, schemas })
}

pub async fn await_found(client: &Client, path: &str) -> Result<Value> {
    let deadline = Instant::now() + SERVED_TIMEOUT;
    loop {
        // A new kind's storage answers 429 until it is ready.
        let reply = client.get(path).await?;
        if reply.code == 200 {
            return reply.value();
        }
        if Instant::now() > deadline {
            bail!("{path} is not served after {} seconds: {}", SERVED_TIMEOUT.as_secs(), reply.complaint());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The schemas as the server publishes them, once the custom kinds are among them.
pub async fn published(client: &Client, kinds: &[Kind]) -> Result<SchemaSet> {
    let deadline = Instant::now() + SERVED_TIMEOUT;
    let paths: std::collections::BTreeSet<String> = kinds.iter().map(Kind::document).collect();
    loop {
        let mut documents = Vec::new();
        for path in &paths {
            documents.extend(client.find(path).await?);
        }
        let (schemas, _) = SchemaSet::from_openapi_v3(&documents);
        let missing: Vec<_> = kinds.iter().filter(|kind| schemas.lookup(&kind.gvk).is_none()).collect();
        if missing.is_empty() {
            return Ok(schemas);
        }
        if Instant::now() > deadline {
            bail!(
                "the server does not publish {:?}",
                missing.iter().map(|kind| &kind.gvk).collect::<Vec<_>>()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn play_all(options: &Options, ground: &Ground) -> Result<Vec<Outcome>> {
    let kinds = Kind::all()?;
    let weighted = kinds::weighted(&kinds);
    let exceptions = Exceptions::read()?;
    let numbers: Vec<usize> = match options.only {
        Some(number) => vec![number],
        None => (0..options.cases).collect(),
    };
    let cases = numbers.into_iter().map(|number| {
        // Every kind comes up equally often, by its weight, whatever the number of cases.
        let kind = weighted[number % weighted.len()];
        let (seed, exceptions) = (options.seed, exceptions.clone());
        async move {
            let result = play_case(ground, kind, seed, number, exceptions).await;
            let result = result.with_context(|| format!("case {number} of seed {seed}"))?;
            Ok(Outcome { number, kind: kind.gvk.kind.to_string(), result })
        }
    });
    let outcomes: Vec<Result<Outcome>> =
        stream::iter(cases).buffer_unordered(options.jobs.max(1)).collect().await;
    let mut outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    outcomes.sort_by_key(|outcome| outcome.number);
    Ok(outcomes)
}

async fn play_case(
    ground: &Ground,
    kind: &Kind,
    seed: u64,
    number: usize,
    mut exceptions: Exceptions,
) -> Result<Played> {
    let ty = ground.ty(kind)?;
    let mut dice = Dice::of(seed, number);
    let name = format!("c{number}");
    let least = kind.least(&name)?;
    let mut base = least.clone();
    let odd = !kind.is_custom();
    Maker { dice: &mut dice, kind, odd }.fill(&mut base, ty, &Site::default());
    let mut created = ground.create(kind, &mut base).await?;
    if created.is_none() {
        base = least;
        created = ground.create(kind, &mut base).await?;
    }
    let Some(created) = created else { return Ok(Played::NotMade) };
    let mut maker = Maker { dice: &mut dice, kind, odd };
    let mut target = base.clone();
    if maker.dice.percent(60) {
        for _ in 0..=maker.dice.below(3) {
            let _ = maker.change(&mut target, ty);
        }
    }
    for _ in 0..maker.dice.below(4) {
        maker.respell(&mut target, ty);
    }
    let (live, edits, mut mismatches) = foreign_edits(ground, &mut maker, created).await?;
    let judged = ground.conclude(kind, &base, &live, &mut target, true).await?;
    ground.forget(kind, &live).await?;
    mismatches.extend(judged.mismatches);
    if let Some(message) = judged.refused.as_ref().filter(|_| !judged.differs) {
        let place = "target".to_owned();
        mismatches.push(Mismatch { what: What::Refusal, place, detail: message.clone() });
    }
    let mismatches = without_exceptions(kind, mismatches, &mut exceptions);
    if mismatches.is_empty() && judged.refused.is_some() {
        return Ok(Played::Refused);
    }
    let n_edits = edits.len();
    let failure: Option<Box<Failure>> = if mismatches.is_empty() {
        None
    } else {
        let case = Case { base, edits, target };
        let failure = Failure { mismatches, case, live: judged.live, dry: judged.dry };
        Some(Box::new(shrink::shrink(ground, kind, &name, failure, &mut exceptions).await?))
    };
    Ok(Played::Judged { differs: judged.differs, edits: n_edits, exceptions, failure })
}

/// Lets others edit an object, and judges what each write leaves.
async fn foreign_edits(
    ground: &Ground,
    maker: &mut Maker<'_>,
    mut live: Value,
) -> Result<(Value, Vec<edits::Edit>, Vec<Mismatch>)> {
    let kind = maker.kind;
    let ty = ground.ty(kind)?;
    let wanted = if maker.dice.percent(2) { 12 } else { maker.dice.below(4) };
    let (mut done, mut mismatches) = (Vec::new(), Vec::new());
    for round in 0..wanted {
        for _ in 0..EDIT_TRIES {
            let Some(mut edit) = edits::edit(maker, &live, ty) else { continue };
            // Ten managers may update an object before the oldest are put together.
            if wanted > 4 {
                edit.manager = format!("manager-{round}");
            }
            let (reply, after) = ground.write(kind, &live, &edit).await?;
            mismatches.extend(ground.judge_edit(kind, &live, &edit, &reply, after.as_ref())?);
            let Some(after) = after else { continue };
            done.push(edit);
            live = after;
            break;
        }
    }
    Ok((live, done, mismatches))
}

fn conclude(options: &Options, outcomes: &[Outcome]) -> Result<ExitCode> {
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut judged, mut differing, mut edits, mut refused, mut not_made) = (0, 0, 0, 0, 0);
    let mut failures = Vec::new();
    let mut exceptions = Exceptions::read()?;
    for outcome in outcomes {
        match &outcome.result {
            Played::NotMade => not_made += 1,
            Played::Refused => refused += 1,
            Played::Judged { differs, edits: n_edits, exceptions: met, failure } => {
                judged += 1;
                differing += usize::from(*differs);
                edits += n_edits;
                *by_kind.entry(&outcome.kind).or_default() += 1;
                for (rule, times) in &met.met {
                    *exceptions.met.entry(*rule).or_default() += times;
                }
                failures.extend(failure.as_ref().map(|failure| (outcome, failure)));
            }
        }
    }
    for (outcome, failure) in failures.iter().take(FAILURES_SHOWN) {
        shrink::print(outcome.number, &outcome.kind, failure);
    }
    if let Some(path) = &options.record {
        let lines: Vec<String> =
            failures.iter().map(|(outcome, failure)| shrink::record(outcome.number, failure)).collect();
        std::fs::write(path, lines.join("\n") + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    for line in exceptions.report() {
        println!("known exception: {line}");
    }
    println!(
        "seed {}: {judged} cases of {} kinds judged ({differing} with a difference, {edits} foreign edits), {refused} targets \
         and {not_made} bases refused by the server",
        options.seed,
        by_kind.len()
    );
    let failed = failures.len();
    println!("{} passed; {failed} failed", judged - failures.len());
    // Most cases must be judged, or the proof proves little.
    let enough = judged * 10 >= outcomes.len() * 8;
    if !enough {
        println!("only {judged} of {} cases were judged", outcomes.len());
    }
    Ok(if failed == 0 && enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
