//! `cargo xtask sandbox-differential`: random sequences of requests to the sandbox and to a real control plane, which must
//! answer alike, hold the same objects with the same managed fields after every request, and tell the same to a watch.
//!
//! A sequence is about one object: several people and programs create, apply, patch, scale, write its status, hold, migrate and
//! delete it, and about a third of what they send has something wrong with it that has a name (`flaws.rs`). What chance
//! alone makes invalid is counted and mended, not judged. Controllers stand still in both worlds. A sequence depends on the
//! seed and its number alone. One that fails is made small, and kept in `cases.jsonl` once it is mended.

mod cases;
mod exceptions;
mod flaws;
mod play;
mod report;
mod request;
mod same;
mod shrink;
mod world;
mod writer;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;
use futures::{StreamExt, stream};
use trueup_dice::Dice;
use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads};
use trueup_testkit::http::{BodyKind, Client, Method};

use crate::differential::kinds::{Kind, weighted};
use crate::differential::{DEFINITIONS, NAMESPACES, await_found, on_plane, published, signal};
use cases::Case;
use exceptions::Exceptions;
use play::{Ground, Outcome, Source, play};
use report::Report;
use world::World;

/// So many that every kind meets every flaw a few times.
const SEQUENCES: usize = 3000;

#[derive(Args)]
pub struct Options {
    /// How many random sequences
    #[arg(long, default_value_t = SEQUENCES)]
    sequences: usize,
    /// What the sequences are made from: the same seed makes the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play this sequence alone
    #[arg(long, value_name = "NUMBER")]
    only: Option<usize>,
    /// Play sequences of this kind alone
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Sequences at once
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    jobs: usize,
    /// How many failures are made small
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    shrink: usize,
    /// Use the running control plane of this kubeconfig (its controllers should stand still)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Write each failure that was made small as a line of JSON
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write the kept cases with prints of what the control plane says to this file
    #[arg(long, value_name = "FILE")]
    print: Option<PathBuf>,
    /// Say what chance made invalid, and what each world said of it
    #[arg(long)]
    chances: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    on_plane(options.kubeconfig.as_deref(), async |kubeconfig, controllers| {
        for process in controllers {
            signal(*process, "-STOP")?;
        }
        play_all(options, kubeconfig).await
    })
}

/// A sandbox in which no controller does anything, like the control plane beside it.
async fn sandbox() -> Result<Sandbox> {
    let options = SandboxOptions { workloads: Workloads::Unattended, ..SandboxOptions::default() };
    Sandbox::start(options).await.context("start the sandbox")
}

/// Namespaces, custom kinds and service accounts, the same in both worlds.
async fn prepare(client: &Client, kinds: &[Kind]) -> Result<()> {
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
        let namespace = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
        apply(format!("/api/v1/namespaces/{name}"), &Value::from_json(namespace.as_bytes())?).await?;
        let account = r#"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#;
        let path = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        apply(path, &Value::from_json(account.as_bytes())?).await?;
    }
    for kind in kinds.iter().filter(|kind| kind.is_custom()) {
        await_found(client, &kind.collection).await?;
    }
    Ok(())
}

async fn play_all(options: &Options, kubeconfig: &Path) -> Result<ExitCode> {
    let kinds = Kind::all()?;
    let sandbox = sandbox().await?;
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("kubeconfig");
    std::fs::write(&own, sandbox.kubeconfig("admin"))?;
    let (real, ours) = (World::open("control plane", kubeconfig)?, World::open("sandbox", &own)?);
    prepare(real.admin()?, &kinds).await?;
    prepare(ours.admin()?, &kinds).await?;
    let schemas = published(real.admin()?, &kinds).await?;
    let ground = Ground { real, ours, schemas };
    let began = Instant::now();
    let mut report = Report::new(options.seed)?;
    for (number, case) in Case::all()?.iter().enumerate() {
        let kind = case.kind(&kinds)?;
        let name = format!("k{number}x");
        let requests = case.named(&name);
        let outcome = play(&ground, kind, &name, Source::Given(&requests), Exceptions::read()?).await?;
        report.add_case(number, case, outcome);
    }
    if let Some(path) = &options.print {
        report.print_cases(path)?;
    }
    for (number, kind, outcome) in play_random(options, &ground, &kinds).await? {
        report.add(number, kind, outcome);
    }
    report.shrink(&ground, options.shrink).await?;
    if let Some(path) = &options.record {
        report.record(path)?;
    }
    sandbox.shutdown().await;
    // Of parts, not all exceptions are met.
    Ok(report.conclude(began.elapsed(), options.chances))
}

async fn play_random<'k>(
    options: &Options,
    ground: &Ground,
    kinds: &'k [Kind],
) -> Result<Vec<(usize, &'k Kind, Outcome)>> {
    let wanted = |kind: &&Kind| options.kind.as_ref().is_none_or(|name| kind.gvk.kind == name.as_str());
    let weighted: Vec<&Kind> = weighted(kinds).into_iter().filter(wanted).collect();
    let exceptions = Exceptions::read()?;
    let numbers: Vec<usize> = match options.only {
        Some(number) => vec![number],
        None => (0..options.sequences).collect(),
    };
    let seed = options.seed;
    let sequences = numbers.into_iter().map(|number| {
        // Every kind comes up equally often, by its weight, whatever the number of sequences.
        let kind = weighted[number % weighted.len()];
        let exceptions = exceptions.clone();
        async move {
            let mut dice = Dice::of(seed, number);
            let source = Source::Dice { dice: &mut dice, ty: ground.ty(kind) };
            let outcome = play(ground, kind, &format!("q{number}x"), source, exceptions).await;
            let outcome = outcome.with_context(|| format!("sequence {number} of seed {seed}"))?;
            Ok::<_, anyhow::Error>((number, kind, outcome))
        }
    });
    let played: Vec<Result<_>> =
        stream::iter(sequences).buffer_unordered(options.jobs.max(1)).collect().await;
    let mut played = played.into_iter().collect::<Result<Vec<_>>>()?;
    played.sort_by_key(|(number, _, _)| *number);
    Ok(played)
}

/// A sandbox alone, for what is kept.
#[cfg(test)]
mod tests;
