//! Expressions mean in the sandbox what they mean to a real API server: `expressions.txt`, `rules.txt` and `costs.txt` have tables of
//! them, and both worlds must accept or refuse each and say the same.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads};

use crate::world::plane;

const EXPRESSIONS: &str = include_str!("expressions.txt");
const RULES: &str = include_str!("rules.txt");
const COSTS: &str = include_str!("costs.txt");

/// An API server notices new policies and kinds within seconds.
const DEADLINE: Duration = Duration::from_secs(90);

/// A sandbox with a thread of its own, and a kubeconfig for it.
pub(crate) struct Other {
    kubeconfig: tempfile::NamedTempFile,
    _runtime: tokio::runtime::Runtime,
    _sandbox: Sandbox,
}

pub(crate) fn sandbox() -> Other {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = SandboxOptions { workloads: Workloads::Untouched, ..SandboxOptions::default() };
    let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kubeconfig.path(), sandbox.kubeconfig("admin")).unwrap();
    Other { kubeconfig, _runtime: runtime, _sandbox: sandbox }
}

impl Other {
    pub(crate) fn kubectl(&self) -> Command {
        let mut command = Command::new(&plane().programs().kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig.path());
        command
    }
}

/// What kubectl says of each object in a file, by the object's name; nothing where all is well.
fn said(mut kubectl: Command, args: &[&str], objects: &[Value]) -> BTreeMap<String, String> {
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    std::fs::write(file.path(), list.to_string()).unwrap();
    let output = kubectl.args(args).arg("-f").arg(file.path()).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let path = file.path().display().to_string();
    let mut parts: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("Error from server") || line.starts_with("The ") || parts.is_empty() {
            parts.push(String::new());
        }
        let part = parts.last_mut().unwrap();
        part.push_str(&line.replace(&path, "FILE"));
        part.push('\n');
    }
    let named = parts.into_iter().map(|part| {
        let from = part.find("\"x-").unwrap_or_else(|| panic!("nobody's: {part}"));
        let name = part[from + 1..].split('"').next().unwrap().to_owned();
        (name, part)
    });
    named.collect()
}

fn lines(table: &str) -> Vec<(String, &str)> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.enumerate().map(|(index, line)| (format!("x-{index}"), line)).collect()
}

fn policies(table: &[(String, &str)]) -> (Vec<Value>, Vec<Value>, Vec<Value>) {
    let (mut policies, mut bindings, mut objects) = (Vec::new(), Vec::new(), Vec::new());
    for (name, expression) in table {
        let shown = format!("'%s'.format([dyn({expression})])");
        policies.push(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "matchConstraints": {
                    "objectSelector": {"matchLabels": {"expression": name}},
                    "resourceRules": [{
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                        "resources": ["configmaps"],
                    }],
                },
                "validations": [{
                    "expression": format!("[dyn({expression})].size() == 0"),
                    "messageExpression": if expression.contains("authorizer") { "'yes'".to_owned() } else { shown },
                }],
            },
        }));
        bindings.push(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }));
        objects.push(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default", "labels": {"expression": name, "app": "web"}},
            "data": {"text": "some text", "size": "3"},
        }));
    }
    (policies, bindings, objects)
}

/// Only those that were accepted.
fn without(objects: &[Value], refused: &BTreeMap<String, String>) -> Vec<Value> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    objects.iter().filter(|object| !refused.contains_key(&name(object))).cloned().collect()
}

/// Tells every difference, with the expression.
fn same(table: &[(String, &str)], real: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) {
    let mut told = Vec::new();
    for (name, expression) in table {
        let (real, ours) = (real.get(name), ours.get(name));
        if real != ours {
            told.push(format!("{name} {expression}\n  control plane: {real:?}\n  sandbox:       {ours:?}"));
        }
    }
    assert!(told.is_empty(), "{} of {} differ:\n{}", told.len(), table.len(), told.join("\n"));
}

#[test]
fn expressions_of_policies_mean_the_same() {
    let table = lines(EXPRESSIONS);
    let other = sandbox();
    let (policies, bindings, objects) = policies(&table);
    let refused = said(plane().kubectl(), &["create"], &policies);
    let also = said(other.kubectl(), &["create"], &policies);
    said(plane().kubectl(), &["create"], &without(&bindings, &refused));
    said(other.kubectl(), &["create"], &without(&bindings, &also));
    let create = ["create", "--dry-run=server"];
    let ours = said(other.kubectl(), &create, &without(&objects, &also));
    let asked = without(&objects, &refused);
    let deadline = Instant::now() + DEADLINE;
    let real = loop {
        let real = said(plane().kubectl(), &create, &asked);
        if real.len() >= asked.len() || Instant::now() > deadline {
            break real;
        }
    };
    let both = |mut refused: BTreeMap<String, String>, denied: BTreeMap<String, String>| {
        refused.extend(denied);
        refused
    };
    // The policies of this test are about its own objects only.
    said(plane().kubectl(), &["delete", "--wait=false"], &without(&policies, &refused));
    said(plane().kubectl(), &["delete", "--wait=false"], &without(&bindings, &refused));
    same(&table, &both(refused, real), &both(also, ours));
}

/// The fields of a spec: one of each sort.
fn fields() -> Value {
    json!({
        "text": {"type": "string", "maxLength": 20},
        "when": {"type": "string", "format": "date-time"},
        "span": {"type": "string", "format": "duration"},
        "raw": {"type": "string", "format": "byte", "maxLength": 20},
        "number": {"type": "number"},
        "whole": {"type": "integer"},
        "flag": {"type": "boolean"},
        "either": {"x-kubernetes-int-or-string": true},
        "a-b": {"type": "string", "maxLength": 10},
        "namespace": {"type": "string", "maxLength": 10},
        "list": {"type": "array", "maxItems": 5, "items": {"type": "integer"}},
        "set": {
            "type": "array", "maxItems": 5, "x-kubernetes-list-type": "set",
            "items": {"type": "string", "maxLength": 5},
        },
        "items": {
            "type": "array", "maxItems": 5, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object", "required": ["name"],
                "properties": {"name": {"type": "string", "maxLength": 5}, "size": {"type": "integer"}},
            },
        },
        "values": {
            "type": "object", "maxProperties": 5,
            "additionalProperties": {"type": "string", "maxLength": 5},
        },
    })
}

fn definition(name: &str, rule: &Value) -> Value {
    let spec = json!({"type": "object", "x-kubernetes-validations": [rule], "properties": fields()});
    defined(name, &spec)
}

fn defined(name: &str, spec: &Value) -> Value {
    let number = name.replace('-', "");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{name}.rules.example.com")},
        "spec": {
            "group": "rules.example.com", "scope": "Namespaced",
            "names": {"kind": format!("Rule{number}"), "plural": name, "singular": format!("{name}-one")},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
            }],
        },
    })
}

#[test]
fn rules_of_custom_kinds_mean_the_same() {
    let table = lines(RULES);
    let other = sandbox();
    let (mut definitions, mut objects) = (Vec::new(), Vec::new());
    for (name, line) in &table {
        let (rule, spec) = line.split_once(" ;; ").unwrap();
        let rule: Value = if rule.starts_with('{') && rule.contains("\"rule\"") {
            serde_json::from_str(rule).unwrap()
        } else {
            json!({"rule": rule})
        };
        definitions.push(definition(name, &rule));
        objects.push(json!({
            "apiVersion": "rules.example.com/v1", "kind": format!("Rule{}", name.replace('-', "")),
            "metadata": {"name": name, "namespace": "default"},
            "spec": serde_json::from_str::<Value>(spec).unwrap(),
        }));
    }
    let refused = short(said(plane().kubectl(), &["create"], &definitions));
    let also = short(said(other.kubectl(), &["create"], &definitions));
    let create = ["create", "--dry-run=server", "--validate=false"];
    let ours = said(other.kubectl(), &create, &without(&objects, &also));
    let asked = without(&objects, &refused);
    let deadline = Instant::now() + DEADLINE;
    let real = loop {
        let real = said(plane().kubectl(), &create, &asked);
        let is_served =
            !real.values().any(|words| words.contains("no matches for kind") || words.contains("(NotFound)"));
        if is_served || Instant::now() > deadline {
            break real;
        }
    };
    let both = |mut refused: BTreeMap<String, String>, denied: BTreeMap<String, String>| {
        refused.extend(denied);
        refused
    };
    same(&table, &both(refused, real), &both(also, ours));
}

/// The names of definitions without their group.
fn short(told: BTreeMap<String, String>) -> BTreeMap<String, String> {
    told.into_iter().map(|(name, words)| (name.split('.').next().unwrap().to_owned(), words)).collect()
}

/// A rule about the items of a list without a limit is refused for what it costs a million times, and the refusal says how much
/// that is: to one unit of cost, since one more makes a tenth in the factor.
#[test]
fn rules_cost_the_same() {
    let both: Vec<&str> =
        COSTS.lines().chain(RULES.lines().filter_map(|line| line.split(" ;; ").next())).collect();
    let table = both.join("\n");
    let mut table = lines(&table);
    let mut fields = fields();
    fields["free"] = json!({"type": "string"});
    fields["frees"] = json!({"type": "array", "items": {"type": "string"}});
    let mut definitions: Vec<Value> = table
        .iter()
        .map(|(name, line)| {
            let mut rule = serde_json::from_str(line).unwrap_or_else(|_| json!({"rule": line}));
            if rule["rule"].is_null() {
                rule = json!({"rule": line});
            }
            let dear = format!("({}) && [1].size() == 1", rule["rule"].as_str().unwrap());
            rule["rule"] = dear.into();
            let item = json!({"type": "object", "x-kubernetes-validations": [rule], "properties": fields});
            defined(name, &json!({"type": "array", "items": item}))
        })
        .collect();
    // Rules of which each is cheap enough, and all together are not.
    let cheap = json!({"rule": "self.flag && [1].size() == 1"});
    let list = |max: usize| {
        let item = json!({"type": "object", "x-kubernetes-validations": [cheap], "properties": fields});
        json!({"type": "array", "maxItems": max, "items": item})
    };
    let lists: serde_json::Map<String, Value> =
        (0..14).map(|index| (format!("list{index}"), list(600_000 + 1_000 * index))).collect();
    table.push(("x-total".to_owned(), "all together"));
    definitions.push(defined("x-total", &json!({"type": "object", "properties": lists})));
    let real = short(said(plane().kubectl(), &["create", "--dry-run=server"], &definitions));
    let other = sandbox();
    let ours = short(said(other.kubectl(), &["create", "--dry-run=server"], &definitions));
    same(&table, &real, &ours);
    assert!(real["x-total"].contains("estimated rule cost total"), "{}", real["x-total"]);
    let told = real.values().filter(|words| words.contains("estimated rule cost exceeds budget")).count();
    assert!(told > 100, "of {} rules the cost is told of {told} only", table.len());
}
