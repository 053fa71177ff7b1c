//! Random writes: creates, replaces, patches of three types, server-side applies with and without force, and scaling, of
//! Deployments, Services, ConfigMaps and a custom kind. The same seed gives the same writes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use trueup_dice::Dice;

/// A run of kubectl.
pub struct Operation {
    /// The object it writes: `deployment/a`.
    pub target: String,
    pub arguments: Vec<String>,
    pub input: Option<String>,
}

pub struct Generator {
    dice: Dice,
    existing: BTreeSet<String>,
    /// How often a target was given up; its successor has another name.
    retired: Vec<String>,
}

const KINDS: [&str; 6] = ["Deployment", "Deployment", "Service", "ConfigMap", "Widget", "Widget"];
const MANAGERS: [&str; 4] = ["one", "two", "kubectl", "trueup"];

/// The custom kind: sets, keyed lists, atomic maps, defaults, free-form parts.
pub fn definition() -> Value {
    let spec = json!({"type": "object", "properties": {
        "replicas": {"type": "integer", "minimum": 0},
        "mode": {"type": "string", "enum": ["fast", "slow"], "default": "slow"},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items":
            {"type": "object", "required": ["name"], "properties":
                {"name": {"type": "string"}, "port": {"type": "integer", "default": 80}}}},
        "list": {"type": "array", "items": {"type": "string"}},
        "size": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "atom": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
    }});
    let status = json!({"type": "object", "properties": {"replicas": {"type": "integer"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.differential.example.com"},
        "spec": {
            "group": "differential.example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    })
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), existing: BTreeSet::new(), retired: Vec::new() }
    }

    /// Remembers whether a target exists.
    pub fn learn(&mut self, target: &str, exists: bool) {
        if exists {
            self.existing.insert(target.to_owned());
        } else {
            self.existing.remove(target);
        }
    }

    /// Gives a target up.
    pub fn retire(&mut self, target: &str) {
        let (kind, name) = target.split_once('/').unwrap();
        self.retired.push(format!("{kind}/{}", name.split('-').next().unwrap()));
    }

    fn percent(&mut self, share: usize) -> bool {
        self.dice.percent(share)
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        self.dice.one(of).clone()
    }

    fn some(&mut self, of: &[&str]) -> Vec<String> {
        of.iter().filter(|_| self.percent(50)).map(|text| (*text).to_owned()).collect()
    }

    pub fn next(&mut self) -> Operation {
        let kind = self.one(&KINDS);
        let slot = self.one(&["a", "b", "c"]);
        let base = format!("{}/{slot}", kind.to_lowercase());
        let n_retired = self.retired.iter().filter(|retired| **retired == base).count();
        let target = format!("{base}-{n_retired}");
        let name = target.split_once('/').unwrap().1.to_owned();
        let manager = self.one(&MANAGERS);
        let object = self.object(kind, &name);
        let exists = self.existing.contains(&target);
        let choice = if exists { self.dice.below(100) } else { self.dice.below(60) };
        match choice {
            0..30 => self.apply(target, &object, manager),
            30..60 if !exists => with_input(target, &["create"], manager, &object),
            30..42 => with_input(target, &["replace"], manager, &object),
            42..60 => self.patch(target, "merge", manager, object),
            60..75 if kind != "Widget" => self.patch(target, "strategic", manager, object),
            60..75 => self.patch(target, "merge", manager, object),
            75..82 => self.json_patch(target, manager),
            82..92 if matches!(kind, "Deployment" | "Widget") => self.scale(target),
            _ => self.metadata(target),
        }
    }

    fn apply(&mut self, target: String, object: &Value, manager: &str) -> Operation {
        let mut operation = with_input(target, &["apply", "--server-side"], manager, object);
        if self.percent(45) {
            operation.arguments.push("--force-conflicts".to_owned());
        }
        operation
    }

    fn patch(&mut self, target: String, kind: &str, manager: &str, mut object: Value) -> Operation {
        let fields = object.as_object_mut().unwrap();
        fields.remove("apiVersion");
        fields.remove("kind");
        fields["metadata"].as_object_mut().unwrap().remove("name");
        let patch = self.part(&object, 0).to_string();
        let arguments = ["patch", &target, "--type", kind, "--field-manager", manager, "--patch", &patch];
        Operation { arguments: arguments.map(str::to_owned).to_vec(), target, input: None }
    }

    /// A part of an object as a patch that also removes some of it.
    fn part(&mut self, value: &Value, depth: usize) -> Value {
        let Value::Object(fields) = value else { return value.clone() };
        let mut part = Map::new();
        for (key, value) in fields {
            if self.percent(50) {
                let removed = depth > 0 && self.percent(12);
                let inner = if removed { Value::Null } else { self.part(value, depth + 1) };
                part.insert(key.clone(), inner);
            }
        }
        Value::Object(part)
    }

    fn json_patch(&mut self, target: String, manager: &str) -> Operation {
        let value = self.one(&["1", "2"]);
        let patch = self.one(&[
            json!([{"op": "add", "path": "/metadata/annotations", "value": {"j": value}}]),
            json!([{"op": "test", "path": "/metadata/name", "value": "nobody"}]),
            json!([{"op": "replace", "path": "/metadata/labels", "value": {"r": value}}]),
        ]);
        let patch = patch.to_string();
        let arguments = ["patch", &target, "--type", "json", "--field-manager", manager, "--patch", &patch];
        Operation { arguments: arguments.map(str::to_owned).to_vec(), target, input: None }
    }

    fn scale(&mut self, target: String) -> Operation {
        let replicas = format!("--replicas={}", self.one(&[0, 2, 5]));
        let arguments = vec!["scale".to_owned(), target.clone(), replicas];
        Operation { target, arguments, input: None }
    }

    fn metadata(&mut self, target: String) -> Operation {
        let verb = self.one(&["label", "annotate"]);
        let change = self.one(&["x=7", "x-"]);
        let mut arguments: Vec<String> = [verb, &target, change].map(str::to_owned).to_vec();
        if !change.ends_with('-') {
            arguments.push("--overwrite".to_owned());
        }
        Operation { target, arguments, input: None }
    }

    fn object(&mut self, kind: &str, name: &str) -> Value {
        let mut metadata = json!({"name": name});
        if self.percent(40) {
            metadata["labels"] = self.labels();
        }
        if self.percent(30) {
            metadata["annotations"] = self.labels();
        }
        let (version, field, body) = match kind {
            "Deployment" => ("apps/v1", "spec", self.deployment(name)),
            "Service" => ("v1", "spec", self.service()),
            "ConfigMap" => ("v1", "data", self.labels()),
            _ => ("differential.example.com/v1", "spec", self.widget()),
        };
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, field: body})
    }

    fn labels(&mut self) -> Value {
        let keys = self.some(&["x", "y", "z"]);
        keys.into_iter().map(|key| (key, json!(self.one(&["1", "2", ""])))).collect::<Map<_, _>>().into()
    }

    /// Puts values under keys, each with a chance of its own.
    fn fill(&mut self, into: &mut Value, fields: &[(usize, &str, &[Value])]) {
        for (chance, key, values) in fields {
            if self.percent(*chance) {
                into[*key] = self.one(values);
            }
        }
    }

    fn deployment(&mut self, name: &str) -> Value {
        let mut labels = self.labels();
        labels["app"] = json!(name);
        let names: Vec<&str> = if self.percent(40) { vec!["c", "d"] } else { vec!["c"] };
        let containers: Vec<Value> = names.into_iter().map(|name| self.container(name)).collect();
        let mut pod = json!({"containers": containers});
        self.fill(
            &mut pod,
            &[
                (20, "hostNetwork", &[json!(false)]),
                (20, "automountServiceAccountToken", &[json!(true), json!(false)]),
                (20, "serviceAccountName", &[json!(""), json!("s")]),
                (20, "tolerations", &[json!([]), json!([{"key": "a", "operator": "Exists"}])]),
                (20, "nodeSelector", &[json!({}), json!({"a": "b"})]),
                (20, "volumes", &[json!([{"name": "v", "emptyDir": {}}]), json!([{"name": "w"}]), json!([])]),
                (10, "terminationGracePeriodSeconds", &[json!(0), json!(10)]),
                (10, "securityContext", &[json!({}), json!({"runAsUser": 0})]),
            ],
        );
        let template = json!({"metadata": {"labels": labels}, "spec": pod});
        let mut spec = json!({"selector": {"matchLabels": {"app": name}}, "template": template});
        self.fill(
            &mut spec,
            &[
                (60, "replicas", &[json!(0), json!(1), json!(3)]),
                (
                    20,
                    "strategy",
                    &[json!({"type": "Recreate"}), json!({}), json!({"rollingUpdate": {"maxSurge": "30%"}})],
                ),
                (15, "minReadySeconds", &[json!(0), json!(3)]),
                (15, "paused", &[json!(true), json!(false)]),
                (15, "revisionHistoryLimit", &[json!(0), json!(5)]),
            ],
        );
        spec
    }

    fn container(&mut self, name: &str) -> Value {
        let mut container = json!({"name": name, "image": self.one(&["a:1", "a:2", "b"])});
        if self.percent(40) {
            let names = self.some(&["A", "B"]);
            let variables =
                names.into_iter().map(|name| json!({"name": name, "value": self.one(&["", "1"])}));
            container["env"] = variables.collect::<Vec<_>>().into();
        }
        self.fill(
            &mut container,
            &[
                (
                    30,
                    "resources",
                    &[
                        json!({"requests": {"cpu": 0.1, "memory": "1024Mi"}}),
                        json!({"limits": {"cpu": "2000m"}}),
                        json!({}),
                    ],
                ),
                (20, "args", &[json!([]), json!(["a"]), json!(["b", "a"])]),
                (
                    20,
                    "livenessProbe",
                    &[
                        json!({"httpGet": {"port": 80}, "initialDelaySeconds": 0}),
                        json!({"httpGet": {"port": "http", "path": "/x"}, "periodSeconds": 7}),
                    ],
                ),
                (15, "imagePullPolicy", &[json!("Always"), json!("")]),
            ],
        );
        container
    }

    fn service(&mut self) -> Value {
        let numbers: Vec<u16> = if self.percent(40) { vec![80, 81] } else { vec![443] };
        let ports: Vec<Value> = numbers
            .into_iter()
            .map(|number| {
                let mut port = json!({"name": format!("n{number}"), "port": number});
                self.fill(
                    &mut port,
                    &[
                        (40, "targetPort", &[json!("web"), json!(8080)]),
                        (30, "protocol", &[json!("TCP"), json!("UDP")]),
                    ],
                );
                port
            })
            .collect();
        let mut spec = json!({"ports": ports});
        self.fill(
            &mut spec,
            &[
                (60, "selector", &[json!({"a": "b"}), json!({"c": "d"})]),
                (25, "type", &[json!("ClusterIP"), json!("NodePort")]),
                (15, "sessionAffinity", &[json!("ClientIP"), json!("None")]),
                (10, "publishNotReadyAddresses", &[json!(true), json!(false)]),
            ],
        );
        spec
    }

    fn widget(&mut self) -> Value {
        let mut spec = json!({});
        self.fill(
            &mut spec,
            &[
                (40, "replicas", &[json!(0), json!(2)]),
                (40, "mode", &[json!("fast"), json!("slow")]),
                (40, "tags", &[json!(["a"]), json!(["b", "a"]), json!([])]),
                (40, "ports", &[json!([{"name": "p"}]), json!([{"name": "q", "port": 81}, {"name": "p"}])]),
                (40, "list", &[json!(["a", "b"]), json!(["b"])]),
                (40, "size", &[json!(1), json!("10%")]),
                (40, "free", &[json!({}), json!({"a": {"b": 1}}), json!({"a": {"c": [1, 2]}})]),
                (40, "atom", &[json!({"k": "v"}), json!({"l": "w"})]),
            ],
        );
        spec
    }
}

fn with_input(target: String, verb: &[&str], manager: &str, object: &Value) -> Operation {
    let rest = ["--field-manager", manager, "-f", "-"];
    let arguments = verb.iter().chain(&rest).map(|text| (*text).to_owned()).collect();
    Operation { target, arguments, input: Some(object.to_string()) }
}
