//! `trueup sandbox fault` and `trueup sandbox restart`: what goes wrong in a running sandbox.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use trueup_cluster::{Connection, wire::BodyKind};
use trueup_object::yaml::read_documents;
use trueup_object::{Map, Value};
use trueup_sandbox::faults::Rule;

use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::output;
use crate::version::VERSION;

#[derive(Debug, Subcommand)]
pub enum FaultCommand {
    /// Add a rule to those in force
    #[command(after_help = ADD_HELP)]
    Add(Add),
    /// Print the rules in force, one JSON document on each line, in the form in which add --file takes them
    #[command(after_help = "Example:\n  trueup sandbox fault list --kubeconfig /tmp/sandbox.yaml")]
    List,
    /// Remove all rules
    #[command(after_help = "Example:\n  trueup sandbox fault clear --kubeconfig /tmp/sandbox.yaml")]
    Clear,
}

const ADD_HELP: &str = "\
Faults and their settings:
  latency ms=N               requests are served so much later
  status code=N [retryAfter=N] [share=0..1]
                             requests are answered with the code, or a share of them
  drop-watch [after=N|TIME]  watches end after so many events, or a time such as 500ms
  late-watch ms=N            events come so much later
  duplicate-events           events come twice
  partial-list keep=N        the page after so many objects fails
  stale-read versions=N      reads show the state of so many resource versions ago
  gone [times=N]             who goes on from a resource version is answered with 410
  conflict [times=N]         so many changes fail as if somebody had been faster
  cut                        the effect happens, the answer is lost
  kill-controller-at step=intent|applied|recorded [nth=N]
                             the request hangs at that moment, for you to kill who made it, until the rules change

Examples:
  trueup sandbox fault add status code=503 share=0.2 --match verb=list --match kind=Deployment
  trueup sandbox fault add conflict times=3 --match kind=ConfigMap,Secret --match namespace=web
  trueup sandbox fault add drop-watch after=2s --match userAgent=trueup
  trueup sandbox fault add --file rules.yaml";

#[derive(Debug, Args)]
pub struct Add {
    /// The fault, by name
    #[arg(required_unless_present = "file")]
    fault: Option<String>,
    /// Its settings
    #[arg(value_name = "SETTING=VALUE", conflicts_with = "file")]
    settings: Vec<String>,
    /// Which requests it meets: verb, group, version, kind, namespace, name or userAgent (its beginning); several values with commas.
    /// Without it every request
    #[arg(long = "match", value_name = "KEY=VALUE", conflicts_with = "file")]
    on: Vec<String>,
    /// Rules as JSON or YAML, one or a list of them
    #[arg(long, value_name = "FILE", conflicts_with = "fault")]
    file: Option<PathBuf>,
}

const PATH: &str = "/sandbox/faults";

pub async fn run(command: &FaultCommand, globals: &Globals) -> Result<Ending, Failure> {
    let change = match command {
        FaultCommand::Add(add) => {
            let rules = add.rules()?;
            // Said here already, where the words of the command line are.
            Rule::parse_all(&rules).map_err(|error| {
                Failure::user(format!("failed to read the rule: {error}"))
                    .hint("`trueup sandbox fault add --help` lists the faults with their settings")
            })?;
            Change::Add(rules)
        }
        FaultCommand::List => Change::Nothing,
        FaultCommand::Clear => Change::Clear,
    };
    carry_out(PATH, &change, globals).await
}

/// What is to become of one of the sandbox's lists.
pub(super) enum Change {
    Add(Value),
    Nothing,
    Clear,
}

/// Changes one of the sandbox's lists, and prints what is in force then.
pub(super) async fn carry_out(path: &str, change: &Change, globals: &Globals) -> Result<Ending, Failure> {
    let (method, body) = match change {
        Change::Add(rules) => (Method::POST, rules),
        Change::Nothing => (Method::GET, &Value::Null),
        Change::Clear => (Method::DELETE, &Value::Null),
    };
    print(&ask(globals, method, path, body).await?);
    Ok(Ending::Done)
}

/// What is in force, one document on each line.
fn print(rules: &Value) {
    for rule in rules.as_list().unwrap_or_default() {
        output::line(&rule.to_json());
    }
}

/// What a restart of the API server does to its clients.
pub async fn restart(globals: &Globals) -> Result<Ending, Failure> {
    ask(globals, Method::POST, "/sandbox/restart", &Value::Null).await?;
    Ok(Ending::Done)
}

impl Add {
    fn rules(&self) -> Result<Value, Failure> {
        if let Some(file) = &self.file {
            return read(file);
        }
        let mut rule = Map::new();
        for setting in &self.settings {
            let (key, value) = pair(setting, "a setting", EXAMPLE)?;
            refuse_twice(&rule, key, "a setting")?;
            rule.insert(key, scalar(value));
        }
        let mut on = Map::new();
        for one in &self.on {
            let (key, values) = pair(one, "--match", EXAMPLE)?;
            refuse_twice(&on, key, "--match")?;
            on.insert(key, Value::List(values.split(',').map(Value::from).collect()));
        }
        rule.insert("kind", self.fault.as_deref().unwrap_or_default().into());
        rule.insert("match", Value::Map(on));
        Ok(Value::Map(rule))
    }
}

/// Of two values one would be lost.
fn refuse_twice(given: &Map, key: &str, what: &str) -> Result<(), Failure> {
    if !given.contains(key) {
        return Ok(());
    }
    let hint = "several values of --match go into one, with commas: --match kind=ConfigMap,Secret";
    Err(Failure::user(format!("{what} {key} is given twice")).hint(hint))
}

const EXAMPLE: &str = "trueup sandbox fault add status code=503 --match verb=list";

pub(super) fn pair<'a>(text: &'a str, what: &str, example: &str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
        Failure::user(format!("{what} is KEY=VALUE, not {text:?}")).hint(format!("for example: {example}"))
    })
}

/// Numbers are numbers, everything else is text.
fn scalar(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return Value::Int(number);
    }
    text.parse::<f64>().map_or_else(|_| Value::from(text), Value::Float)
}

pub(super) fn read(file: &Path) -> Result<Value, Failure> {
    let failed = |why: String| Failure::user(format!("failed to read {}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    match read_documents(&bytes).into_iter().next() {
        Some(Ok(document)) => Ok(document.value),
        Some(Err(error)) => Err(failed(error.to_string())),
        None => Err(failed("there is nothing in it".to_owned())),
    }
}

/// A sandbox on the same machine answers at once; nobody answers later than this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

async fn ask(globals: &Globals, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
    let access = crate::home::access(globals);
    let doing = if method == Method::GET { "read from the sandbox" } else { "change the sandbox" };
    let body = if body.is_null() { Vec::new() } else { body.to_json().into_bytes() };
    let asked = async {
        let connection = Connection::open(&access, VERSION).await?;
        let answer = connection.wire.write(method, path, BodyKind::Json, body).await;
        Ok::<_, Failure>((connection, answer))
    };
    let (connection, answer) = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(|_| {
        Failure::world(format!("failed to {doing}: no answer for {} s", ANSWER_TIMEOUT.as_secs()))
            .hint("check that the sandbox runs and that --kubeconfig names it")
    })??;
    let answer = answer.map_err(|error| {
        let failure = Failure::of_wire(doing, &error);
        if error.is_not_found() {
            failure.hint(format!("{} is no sandbox: --kubeconfig names the one that runs", connection.server))
        } else {
            failure
        }
    })?;
    Value::from_json(&answer.body)
        .map_err(|error| Failure::world(format!("failed to read the sandbox's answer: {error}")))
}
