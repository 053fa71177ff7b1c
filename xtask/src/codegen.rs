//! `cargo xtask codegen`: writes the compiled-in table of facts about built-in kinds from the test control plane.
//!
//! What the API server publishes (types, list types, discovery) is read from it; what it does not publish (real defaults, the fate of
//! declared zero values) is learnt by probing its own code in-process, since validation would refuse most probes sent to the server.
//! The field numbers that clients of built-in kinds use in protobuf come from the published `.proto` files of the same version.
//! `crates/trueup-merge/data/README.md` describes the result, `docs/design/0002-learning-defaults.md` the reasons.

mod discovery;
mod facts;
mod first_objects;
mod openapi;
mod probe;
mod protobuf;
mod table;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use trueup_testkit::controlplane::{ControlPlane, Options};

const TABLE: &str = "crates/trueup-merge/data/builtin.json";
const MESSAGES: &str = "crates/trueup-sandbox/data/protobuf.txt";
const FIRST_OBJECTS: &str = "crates/trueup-sandbox/data/first-objects.jsonl";

#[derive(Args)]
pub struct Codegen {
    /// Write nothing; fail when the file would change
    #[arg(long)]
    check: bool,
    /// Only the field numbers of protobuf, which need no control plane
    #[arg(long)]
    protobuf: bool,
}

pub fn run(root: &Path, options: &Codegen) -> Result<()> {
    if options.protobuf {
        return write_messages(root, options.check);
    }
    let mut progress = |line: &str| eprintln!("{line}");
    let plane = ControlPlane::start(&Options::default(), &mut progress)?;
    progress("reading what the API server publishes (a few seconds)");
    let discovered = discovery::read(&plane)?;
    let documents: Vec<Value> = discovered
        .group_versions()
        .map(|path| get(&plane, &format!("/openapi/v3/{path}")))
        .collect::<Result<_>>()?;
    write_or_compare(root, FIRST_OBJECTS, &first_objects::read(&plane)?, options.check)?;
    let published = openapi::reduce(&documents, &discovered)?;
    progress("probing defaults and zero values of every field (about a minute)");
    let facts = facts::learn(&published, &plane.programs().controlplane)?;
    let text = table::write(&plane.ready().kubernetes, &published, &facts, &discovered)?;
    write_or_compare(root, TABLE, &text, options.check)?;
    write_messages(root, options.check)
}

fn write_messages(root: &Path, check: bool) -> Result<()> {
    let table = fs::read(root.join(TABLE)).context("read the table")?;
    let table: Value = serde_json::from_slice(&table).context("parse the table")?;
    let text = protobuf::reduce(&root.join("tools/controlplane"), &table)?;
    write_or_compare(root, MESSAGES, &text, check)
}

/// Reads a path of the API server as JSON.
fn get(plane: &ControlPlane, path: &str) -> Result<Value> {
    let output = plane.kubectl().args(["get", "--raw", path]).output().context("run kubectl")?;
    if !output.status.success() {
        bail!("read {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("parse {path}"))
}

fn write_or_compare(root: &Path, file: &str, text: &str, check: bool) -> Result<()> {
    let path = root.join(file);
    let before = fs::read_to_string(&path).unwrap_or_default();
    if before == text {
        println!("{file} is fresh ({} bytes)", text.len());
        return Ok(());
    }
    if check {
        bail!("{file} is not what the control plane says; run: cargo xtask codegen, and commit the result");
    }
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("{file} written ({} bytes)", text.len());
    Ok(())
}
