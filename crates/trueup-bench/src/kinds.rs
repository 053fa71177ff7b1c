//! The kinds of object that are measured: what Git declares of each, what the server fills in, what a controller reports.

use trueup_dice::Dice;
use trueup_merge::SchemaSet;
use trueup_object::{FileOrigin, Gvk, Value, read_manifests};

/// What an object of a kind is made from. `@NAME@`, `@SMALL@`, `@PORT@`, `@HEX@` and `@TEXT@` stand for what differs.
pub struct KindOfObject {
    pub name: &'static str,
    /// What Git declares.
    pub declared: &'static str,
    /// What the server's defaults add to it.
    pub server: &'static str,
    /// What a controller adds, written as the status.
    pub status: &'static str,
    /// A value that people change by hand.
    pub changed: &'static [&'static str],
    /// Whether it has a template of Pods that something may add a container to.
    pub is_workload: bool,
}

const DEPLOYMENT: KindOfObject = KindOfObject {
    name: "Deployment",
    declared: include_str!("../data/deployment.yaml"),
    server: include_str!("../data/deployment.server.yaml"),
    status: include_str!("../data/deployment.status.yaml"),
    changed: &["spec", "template", "spec", "serviceAccountName"],
    is_workload: true,
};

const SERVICE: KindOfObject = KindOfObject {
    name: "Service",
    declared: include_str!("../data/service.yaml"),
    server: include_str!("../data/service.server.yaml"),
    status: include_str!("../data/service.status.yaml"),
    changed: &["spec", "selector", "app.kubernetes.io/name"],
    is_workload: false,
};

const CONFIG_MAP: KindOfObject = KindOfObject {
    name: "ConfigMap (2 KB)",
    declared: include_str!("../data/configmap.yaml"),
    server: "",
    status: "",
    changed: &["data", "log.level"],
    is_workload: false,
};

const STATEFUL_SET: KindOfObject = KindOfObject {
    name: "StatefulSet",
    declared: include_str!("../data/statefulset.yaml"),
    server: include_str!("../data/statefulset.server.yaml"),
    status: include_str!("../data/statefulset.status.yaml"),
    changed: &["spec", "template", "metadata", "labels", "app.kubernetes.io/name"],
    is_workload: true,
};

const INGRESS: KindOfObject = KindOfObject {
    name: "Ingress",
    declared: include_str!("../data/ingress.yaml"),
    server: "",
    status: include_str!("../data/ingress.status.yaml"),
    changed: &["spec", "ingressClassName"],
    is_workload: false,
};

const CUSTOM: KindOfObject = KindOfObject {
    name: "custom resource",
    declared: include_str!("../data/cluster.yaml"),
    server: include_str!("../data/cluster.server.yaml"),
    status: include_str!("../data/cluster.status.yaml"),
    changed: &["spec", "storage", "storageClass"],
    is_workload: false,
};

/// An application of twenty objects: each kind with how many there are of it.
pub const APPLICATION: [(&KindOfObject, usize); 6] =
    [(&DEPLOYMENT, 4), (&SERVICE, 4), (&CONFIG_MAP, 6), (&STATEFUL_SET, 2), (&INGRESS, 2), (&CUSTOM, 2)];

/// How many objects an application has.
pub const OBJECTS: usize = 20;

/// The types of the custom kind, as a cluster would publish them.
pub fn schemas() -> SchemaSet {
    let mut schemas = SchemaSet::new();
    schemas.add_crd(&value(include_str!("../data/cluster.crd.yaml")));
    schemas
}

/// Words as configuration has them, of so many bytes or a few more.
fn words(dice: &mut Dice, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "timeout", "server", "cache", "limit", "true", "upstream", "retry", "window", "shop", "pool",
        "false", "address", "queue", "region", "token", "batch",
    ];
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(WORDS[dice.below(WORDS.len())]);
        text.push('=');
        text.push_str(&dice.below(10_000).to_string());
        text.push(' ');
    }
    text
}

impl KindOfObject {
    pub fn gvk(&self) -> Option<Gvk> {
        let [declared, _, _] = self.texts("any", Dice::of(0, 0));
        Gvk::of(&value(&declared))
    }

    /// The three texts of one object. Equal dice give equal texts.
    pub fn texts(&self, name: &str, mut dice: Dice) -> [String; 3] {
        let small = (1 + dice.below(9)).to_string();
        let port = (8000 + dice.below(1000)).to_string();
        let hex = format!("h{:016x}{:016x}", dice.roll(), dice.roll());
        let text = [0; 3].map(|_| words(&mut dice, 550));
        [self.declared, self.server, self.status].map(|template| {
            let filled = template
                .replace("@NAME@", name)
                .replace("@SMALL@", &small)
                .replace("@PORT@", &port)
                .replace("@HEX@", &hex);
            text.iter().fold(filled, |filled, words| filled.replacen("@TEXT@", words, 1))
        })
    }
}

/// The object that a text holds; null where it holds none.
pub fn value(yaml: &str) -> Value {
    let file = FileOrigin { repo: "bench".into(), revision: "seed".into(), path: "object.yaml".into() };
    let (manifests, _) = read_manifests(yaml.as_bytes(), &file);
    manifests.into_iter().next().map_or(Value::Null, |manifest| manifest.into_object())
}
