//! `trueup sandbox pods` and `trueup sandbox metrics`: what becomes of a running sandbox's pods, and what they use.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use trueup_object::{Map, Value};
use trueup_sandbox::fates::FateRule;
use trueup_sandbox::metrics::Usage;

use super::fault::{Change, carry_out, pair, read};
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};

#[derive(Debug, Subcommand)]
pub enum PodsCommand {
    /// Say what becomes of pods: the last rule that fits a pod counts
    #[command(after_help = SET_PODS_HELP)]
    Set(SetPods),
    /// Print the rules in force, one JSON document on each line, in the form in which set --file takes them
    #[command(after_help = "Example:\n  trueup sandbox pods list --kubeconfig /tmp/sandbox.yaml")]
    List,
    /// Remove all rules; the pods that they met recover
    #[command(after_help = "Example:\n  trueup sandbox pods clear --kubeconfig /tmp/sandbox.yaml")]
    Clear,
}

const SET_PODS_HELP: &str = "\
Fates:
  image-pull        the images cannot be pulled
  crash-loop        the containers end with an error and are started again, ever more slowly
  not-ready         the pod runs and never says that it is ready
  slow-ready[=N]    the pod runs and is ready N seconds later, 30 where none are given
  unschedulable     no node takes the pod
  fail[=N]          the pod ends with this exit code, 1 where none is given
  run               the pod runs on, where it would have done its work and ended

Examples:
  trueup sandbox pods set crash-loop web -n shop
  trueup sandbox pods set image-pull --image shop/web:2
  trueup sandbox pods set slow-ready=60 -l app=web,tier=front
  trueup sandbox pods set --file rules.yaml";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["fate", "file"]))]
pub struct SetPods {
    /// What becomes of the pods
    fate: Option<String>,
    /// The pod's name, or that of the workload that it begins with. Without it pods of any name
    name: Option<String>,
    /// Namespace of the pods. Without it pods of any namespace
    #[arg(long, short, conflicts_with = "file")]
    namespace: Option<String>,
    /// Labels that the pods have
    #[arg(
        long = "labels",
        short = 'l',
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        conflicts_with = "file"
    )]
    labels: Vec<String>,
    /// A part of the name of one of the pods' images
    #[arg(long, conflicts_with = "file")]
    image: Option<String>,
    /// Rules as JSON or YAML, one or a list of them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fate", "name"])]
    file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// Say what pods or a node use, in place of what was said of them before
    #[command(after_help = SET_METRICS_HELP)]
    Set(SetMetrics),
    /// Print what was set, one JSON document on each line, in the form in which set --file takes it
    #[command(after_help = "Example:\n  trueup sandbox metrics list --kubeconfig /tmp/sandbox.yaml")]
    List,
    /// Forget all usages: metrics.k8s.io is not served any more
    #[command(after_help = "Example:\n  trueup sandbox metrics clear --kubeconfig /tmp/sandbox.yaml")]
    Clear,
}

const SET_METRICS_HELP: &str = "\
Each of the pods that run uses as much. A node uses what its pods use, unless it is set too.

Examples:
  trueup sandbox metrics set web -n shop --cpu 400m --memory 64Mi
  trueup sandbox metrics set --node sandbox-0 --cpu 2 --memory 4Gi
  trueup sandbox metrics set --file usages.yaml";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("amount").required(true).multiple(true).args(["cpu", "memory", "file"]))]
pub struct SetMetrics {
    /// The pod's name, or that of the workload that it begins with. Without it all pods of the namespace
    #[arg(conflicts_with_all = ["node", "file"])]
    name: Option<String>,
    /// Namespace of the pods
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// The node that uses as much, in place of pods
    #[arg(long, conflicts_with = "file")]
    node: Option<String>,
    /// Processors, such as 400m or 2
    #[arg(long, value_name = "QUANTITY", conflicts_with = "file", allow_hyphen_values = true)]
    cpu: Option<String>,
    /// Memory, such as 64Mi
    #[arg(long, value_name = "QUANTITY", conflicts_with = "file", allow_hyphen_values = true)]
    memory: Option<String>,
    /// Usages as JSON or YAML, one or a list of them
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub async fn pods(command: &PodsCommand, globals: &Globals) -> Result<Ending, Failure> {
    let change = match command {
        PodsCommand::Set(set) => {
            let rules = set.rules()?;
            // Said here already, where the words of the command line are.
            FateRule::parse_all(&rules).map_err(|error| {
                Failure::user(format!("failed to read the rule: {error}"))
                    .hint("`trueup sandbox pods set --help` lists the fates")
            })?;
            Change::Add(rules)
        }
        PodsCommand::List => Change::Nothing,
        PodsCommand::Clear => Change::Clear,
    };
    carry_out("/sandbox/pods", &change, globals).await
}

pub async fn metrics(command: &MetricsCommand, globals: &Globals) -> Result<Ending, Failure> {
    let change = match command {
        MetricsCommand::Set(set) => {
            let usages = set.usages()?;
            Usage::parse_all(&usages).map_err(|error| {
                Failure::user(format!("failed to read the usage: {error}"))
                    .hint("amounts are quantities: --cpu 400m --memory 64Mi")
            })?;
            Change::Add(usages)
        }
        MetricsCommand::List => Change::Nothing,
        MetricsCommand::Clear => Change::Clear,
    };
    carry_out("/sandbox/metrics", &change, globals).await
}

fn insert(map: &mut Map, key: &str, text: Option<&String>) {
    if let Some(text) = text {
        map.insert(key, text.as_str().into());
    }
}

impl SetPods {
    fn rules(&self) -> Result<Value, Failure> {
        let Self { fate, name, namespace, labels, image, file } = self;
        if let Some(file) = file {
            return read(file);
        }
        let mut rule = Map::new();
        for (key, text) in [("fate", fate), ("name", name), ("namespace", namespace), ("image", image)] {
            insert(&mut rule, key, text.as_ref());
        }
        let mut listed = Map::new();
        for label in labels {
            let (key, value) = pair(label, "a label", "trueup sandbox pods set crash-loop -l app=web")?;
            listed.insert(key, value.into());
        }
        if !listed.is_empty() {
            rule.insert("labels", Value::Map(listed));
        }
        Ok(Value::Map(rule))
    }
}

impl SetMetrics {
    fn usages(&self) -> Result<Value, Failure> {
        let Self { name, namespace, node, cpu, memory, file } = self;
        if let Some(file) = file {
            return read(file);
        }
        let mut usage = Map::new();
        match node {
            Some(node) => {
                usage.insert("node", node.as_str().into());
            }
            None => {
                usage.insert("namespace", namespace.as_str().into());
                insert(&mut usage, "name", name.as_ref());
            }
        }
        insert(&mut usage, "cpu", cpu.as_ref());
        insert(&mut usage, "memory", memory.as_ref());
        Ok(Value::Map(usage))
    }
}
