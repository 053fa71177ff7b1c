//! Random values that fit a schema: of a struct some fields, of a list a few items, of a scalar one of the values that its
//! name or type makes likely. What the server refuses anyway is taken out by whoever sends it.

use trueup_merge::{Field, ListKind, Scalar, Shape, TypeRef};
use trueup_object::{Map, Value};

use super::kinds::Kind;
use trueup_dice::Dice;

/// Below this depth only required fields are filled in.
const DEPTH_MAX: usize = 9;

/// Never written: identity, bookkeeping, what other kinds of write are for, and what only exists behind a feature gate.
const NEVER: [&str; 10] = [
    "managedFields",
    "status",
    "finalizers",
    "ownerReferences",
    "generateName",
    "creationTimestamp",
    "deletionTimestamp",
    "selfLink",
    "uid",
    "resourceVersion",
];

/// Makes values for objects of one kind.
pub struct Maker<'a> {
    pub dice: &'a mut Dice,
    pub kind: &'a Kind,
    /// Manifests hold oddities: nulls, empty values, declared zeros.
    pub odd: bool,
}

/// A place in an object: what a value there is called.
#[derive(Clone, Default)]
pub struct Site {
    /// As in `kinds.yaml`.
    pub path: String,
    pub name: String,
    pub parent: String,
}

impl Site {
    pub fn child(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { path, name: name.to_owned(), parent: self.name.clone() }
    }

    /// An item is called like its list.
    pub fn item(&self) -> Self {
        Self { path: format!("{}[]", self.path), ..self.clone() }
    }

    fn depth(&self) -> usize {
        self.path.matches('.').count()
    }
}

impl Maker<'_> {
    /// Adds random fields to an object that has what it needs.
    pub fn fill(&mut self, value: &mut Value, ty: TypeRef<'_>, site: &Site) {
        if !site.path.is_empty() && self.kind.is_plain(&site.path) && site.name != "metadata" {
            return;
        }
        match value {
            Value::Map(map) => {
                for (name, child) in map.iter_mut() {
                    if let Some(field) = ty.field(name) {
                        self.fill(child, field.ty, &site.child(name));
                    }
                }
                self.add_fields(value, ty, site);
            }
            Value::List(items) => {
                for item in items {
                    self.fill(item, ty.element(), &site.item());
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
        }
    }

    fn add_fields(&mut self, value: &mut Value, ty: TypeRef<'_>, site: &Site) {
        if is_metadata(site) {
            for name in ["labels", "annotations"] {
                if value.get(name).is_none() && self.dice.percent(25) {
                    let labels = self.labels();
                    value.set_at(&[name], labels);
                }
            }
            return;
        }
        let free: Vec<(String, Field<'_>)> = self.free_fields(value, ty, site);
        if free.is_empty() {
            return;
        }
        let count = match site.depth() {
            0 => self.dice.below(free.len().min(5) + 1),
            1..=3 => self.dice.below(free.len().min(4) + 1),
            _ => self.dice.below(3),
        };
        for _ in 0..count {
            let (name, field) = self.dice.one(&free).clone();
            if value.get(&name).is_none() {
                let made = self.field(&field, &site.child(&name));
                value.set_at(&[&name], made);
            }
        }
    }

    /// The optional fields that the value has not.
    pub fn free_fields<'t>(&self, value: &Value, ty: TypeRef<'t>, site: &Site) -> Vec<(String, Field<'t>)> {
        let is_free = |name: &str| {
            let child = site.child(name);
            value.get(name).is_none() && !NEVER.contains(&name) && !self.kind.is_plain(&child.path)
        };
        ty.fields().filter(|(name, _)| is_free(name)).map(|(name, field)| (name.to_owned(), field)).collect()
    }

    /// A value for a field, which may be one that says nothing.
    pub fn field(&mut self, field: &Field<'_>, site: &Site) -> Value {
        if self.odd && !field.required && site.name != "protocol" && self.dice.percent(12) {
            return self.nothing(field.ty);
        }
        if !field.allowed.is_empty() {
            return self.dice.one(field.allowed).clone().into();
        }
        self.value(field.ty, site)
    }

    fn nothing(&mut self, ty: TypeRef<'_>) -> Value {
        if self.dice.percent(35) {
            return Value::Null;
        }
        match ty.shape() {
            Shape::Scalar(Scalar::Integer | Scalar::Number) => Value::Int(0),
            Shape::Scalar(Scalar::Boolean) => false.into(),
            Shape::Scalar(Scalar::Quantity | Scalar::Time | Scalar::MicroTime) => Value::Null,
            Shape::Scalar(_) => "".into(),
            Shape::List { .. } => Vec::new().into(),
            Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped => Map::new().into(),
        }
    }

    /// A value of a type.
    pub fn value(&mut self, ty: TypeRef<'_>, site: &Site) -> Value {
        match ty.shape() {
            Shape::Scalar(scalar) => self.scalar(scalar, site),
            Shape::List { kind, element } => self.list(kind, element, site),
            Shape::Struct { .. } => self.structure(ty, site),
            Shape::Map { element, .. } => self.map(element, site),
            Shape::Untyped => self.anything(2),
        }
    }

    fn structure(&mut self, ty: TypeRef<'_>, site: &Site) -> Value {
        let mut value = Value::Map(Map::new());
        for (name, field) in ty.fields() {
            if field.required {
                let made = self.field(&field, &site.child(name));
                value.set_at(&[name], made);
            }
        }
        if site.depth() < DEPTH_MAX {
            self.add_fields(&mut value, ty, site);
        }
        value
    }

    fn list(&mut self, kind: ListKind<'_>, element: TypeRef<'_>, site: &Site) -> Value {
        let count = if site.depth() < DEPTH_MAX { 1 + self.dice.below(2) } else { 1 };
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..count {
            let item = self.item(kind, element, site);
            let is_there = match kind {
                ListKind::Atomic => false,
                ListKind::Set => items.contains(&item),
                ListKind::Map { keys } => items
                    .iter()
                    .any(|other| keys.iter().all(|key| other.get(key.as_str()) == item.get(key.as_str()))),
            };
            if !is_there {
                items.push(item);
            }
        }
        items.into()
    }

    /// An item with all its keys: without, the server cannot tell whose it is.
    pub fn item(&mut self, kind: ListKind<'_>, element: TypeRef<'_>, site: &Site) -> Value {
        let mut item = self.value(element, &site.item());
        if let ListKind::Map { keys } = kind {
            for key in keys {
                let is_missing =
                    item.get(key).is_none_or(|value| value.is_null() || value.as_str() == Some(""));
                let field = element.field(key);
                match field.filter(|field| is_missing && field.default.is_none()) {
                    Some(field) => {
                        let made = self.value(field.ty, &site.item().child(key));
                        item.set_at(&[key], made);
                    }
                    None if is_missing => {
                        item.as_map_mut().and_then(|map| map.remove(key));
                    }
                    None => {}
                }
            }
        }
        item
    }

    fn map(&mut self, element: TypeRef<'_>, site: &Site) -> Value {
        if matches!(element.shape(), Shape::Scalar(Scalar::String)) && site.name != "data" {
            return self.labels();
        }
        let keys: &[&str] = match site.name.as_str() {
            "requests" | "limits" | "default" | "defaultRequest" | "max" | "min" | "maxLimitRequestRatio" => {
                &["cpu", "memory", "ephemeral-storage"]
            }
            "hard" => &["cpu", "memory", "requests.cpu", "limits.memory", "pods", "secrets"],
            "capacity" | "overhead" | "podFixed" => &["storage", "memory"],
            _ => &["a", "b", "c.yaml"],
        };
        let mut map = Map::new();
        for key in keys {
            if self.dice.percent(50) {
                let child = site.child(key);
                map.insert(*key, self.value(element, &child));
            }
        }
        if let (true, false, Some(key)) = (map.is_empty(), self.odd, keys.first()) {
            map.insert(*key, self.value(element, &site.child(key)));
        }
        map.into()
    }

    /// Text under the keys of labels and annotations.
    pub fn labels(&mut self) -> Value {
        let mut map = Map::new();
        for key in ["x", "y", "example.com/z"] {
            if self.dice.percent(50) {
                map.insert(key, (*self.dice.one(&["1", "2", "", "true"])).into());
            }
        }
        if map.is_empty() && !self.odd {
            map.insert("x", "1".into());
        }
        map.into()
    }

    /// A value of which the schema says nothing.
    pub fn anything(&mut self, depth: usize) -> Value {
        match self.dice.below(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Int(self.dice.below(3) as i64),
            1 => self.dice.percent(50).into(),
            2 => (*self.dice.one(&["a", "b", ""])).into(),
            3 => Value::Float(0.5),
            4 => (*self.dice.one(&["1Gi", "500m", "30s"])).into(),
            5 => (0..self.dice.below(3)).map(|_| self.anything(depth - 1)).collect::<Vec<_>>().into(),
            _ => {
                let mut map = Map::new();
                for key in ["a", "b", "c"] {
                    if self.dice.percent(50) {
                        map.insert(key, self.anything(depth - 1));
                    }
                }
                map.into()
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar, site: &Site) -> Value {
        match scalar {
            Scalar::Integer => Value::Int(*self.dice.one(&integers(&site.name))),
            Scalar::Number => Value::Float(*self.dice.one(&[0.5, 1.0, 2.25])),
            Scalar::Boolean => self.dice.percent(50).into(),
            Scalar::IntOrString => self.int_or_string(&site.name),
            Scalar::Quantity => self.quantity(&site.parent),
            Scalar::Duration => (*self.dice.one(&["30s", "1m", "1m0s", "60s", "1h"])).into(),
            Scalar::Time => (*self.dice.one(&["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00"])).into(),
            Scalar::MicroTime => (*self.dice.one(&["2026-01-02T03:04:05.000000Z"])).into(),
            Scalar::Bytes => (*self.dice.one(&["YQ==", "Yg==", ""])).into(),
            Scalar::String | Scalar::Other => (*self.dice.one(words(&site.name, &site.parent))).into(),
        }
    }

    fn int_or_string(&mut self, name: &str) -> Value {
        let lower = name.to_ascii_lowercase();
        if lower.contains("port") {
            return if self.dice.percent(50) {
                Value::Int(*self.dice.one(&[80, 8080]))
            } else {
                (*self.dice.one(&["web", "http"])).into()
            };
        }
        if matches!(lower.as_str(), "cpu" | "memory" | "storage") {
            return self.quantity(name);
        }
        if self.dice.percent(50) {
            Value::Int(1 + self.dice.below(2) as i64)
        } else {
            (*self.dice.one(&["10%", "25%"])).into()
        }
    }

    /// Requests stay below limits.
    fn quantity(&mut self, parent: &str) -> Value {
        const SMALL: [&str; 6] = ["500m", "0.5", "1", "1000m", "0.25", "250m"];
        const LARGE: [&str; 8] = ["2", "2000m", "1Gi", "1024Mi", "1500Mi", "1e3", "1k", "2048Ki"];
        let small = matches!(parent, "requests" | "min" | "defaultRequest");
        match self.dice.below(10) {
            0 => Value::Int(1),
            1 if small => Value::Float(0.5),
            _ if small => (*self.dice.one(&SMALL)).into(),
            _ => (*self.dice.one(&LARGE)).into(),
        }
    }
}

fn is_metadata(site: &Site) -> bool {
    site.name == "metadata"
}

fn integers(name: &str) -> Vec<i64> {
    let lower = name.to_ascii_lowercase();
    if lower == "nodeport" {
        vec![30_000, 31_000, 32_000]
    } else if lower.contains("port") {
        vec![80, 81, 443, 8080]
    } else if lower.contains("mode") {
        vec![0o400, 0o420, 420]
    } else if lower.contains("weight") {
        vec![1, 50, 100]
    } else if lower.contains("runas") || lower.contains("fsgroup") {
        vec![0, 1000]
    } else {
        vec![1, 2, 3, 5, 10, 30]
    }
}

/// Likely values of a text by what it is called.
fn words(name: &str, parent: &str) -> &'static [&'static str] {
    const LOWER: &[&str] = &["a", "b", "c1"];
    match name {
        "image" | "reference" => &["nginx:1.27", "nginx", "reg.example.com:5000/a/b:latest"],
        "path" if parent == "paths" || parent.ends_with("Get") => &["/", "/a", "/b/c"],
        "mountPath" | "devicePath" | "hostPath" | "workingDir" => &["/a", "/b/c"],
        "path" => &["a", "b/c", "/d"],
        "subPath" => &["a", "b/c"],
        "topologyKey" => &["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
        "host" | "hostname" | "hosts" | "externalName" => &["a.example.com", "b.example.com"],
        "ip" | "addresses" | "externalIPs" | "nameservers" | "hostIP" | "loadBalancerIP" => {
            &["10.1.2.3", "10.1.2.4"]
        }
        "cidr" | "loadBalancerSourceRanges" | "except" => &["10.0.0.0/8", "10.0.0.0/16", "192.168.0.0/16"],
        "accessModes" => &["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
        "operator" => &["In", "Exists", "Equal", "NotIn", "Lt"],
        "effect" => &["NoSchedule", "NoExecute", "PreferNoSchedule"],
        "key" => &["a", "example.com/b"],
        "verbs" => &["get", "list", "*"],
        "resources" => &["pods", "secrets", "*"],
        "apiGroups" | "apiGroup" => &["", "apps", "rbac.authorization.k8s.io"],
        "fieldPath" => &["metadata.name", "metadata.namespace", "spec.nodeName"],
        "resource" => &["limits.cpu", "requests.memory"],
        "schedule" => &["*/5 * * * *", "@hourly"],
        "timeZone" => &["Etc/UTC", "Europe/Vienna"],
        "drop" | "add" => &["ALL", "NET_ADMIN"],
        "url" => &["https://a.example.com/x", "https://b.example.com/"],
        "volumeMode" => &["Filesystem", "Block"],
        "expression" | "messageExpression" => &["true", "object.metadata.name != 'z'"],
        "kind" => &["Deployment", "StatefulSet", "ServiceAccount"],
        "apiVersion" => &["apps/v1", "v1"],
        "driver" | "controller" | "provisioner" => &["csi.example.com", "example.com/d"],
        "caBundle" => &["YQ=="],
        "volumeName" | "name" | "claimName" | "secretName" => LOWER,
        "policyTypes" => &["Ingress", "Egress"],
        "supplementalGroupsPolicy" => &["Merge", "Strict"],
        "procMount" => &["Default", "Unmasked"],
        "scopes" => &["BestEffort", "NotTerminating"],
        _ => LOWER,
    }
}
