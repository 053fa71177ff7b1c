//! Makes the requests of a sequence: what people and controllers send when they mean well.

use trueup_dice::Dice;
use trueup_merge::TypeRef;
use trueup_object::{Map, Value};

use super::request::{Request, UID, VERSION, Verb};
use crate::differential::edits::{self, Edit, merge_patch};
use crate::differential::generate::{Maker, Site};
use crate::differential::kinds::Kind;

/// Who the writers say they are: most by name, some by their program alone.
const MANAGERS: [&str; 7] = ["kubectl-edit", "helm", "operator", "kubectl", "git", "git", ""];
const AGENTS: [&str; 4] = ["kubectl/v1.36.3 (linux/amd64)", "Go-http-client/2.0", "curl", "a b/c"];

/// Makes requests about one object.
pub struct Writer<'a> {
    pub dice: &'a mut Dice,
    pub kind: &'a Kind,
    pub ty: TypeRef<'a>,
    /// The least object of that name.
    pub least: Value,
    /// What was applied last, for applying it again.
    pub applied: Option<Request>,
}

/// An object with nothing but what a client writes.
pub fn bare(live: &Value) -> Value {
    let mut object = live.clone();
    for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"] {
        object.remove_at(&["metadata", field]);
    }
    object.remove_at(&["status"]);
    object
}

fn object(fields: &[(&str, Value)]) -> Value {
    fields.iter().cloned().collect::<Map>().into()
}

impl Writer<'_> {
    pub fn maker(&mut self) -> Maker<'_> {
        let odd = !self.kind.is_custom() && self.dice.percent(50);
        Maker { dice: self.dice, kind: self.kind, odd }
    }

    /// One of these texts.
    pub fn pick(&mut self, of: &[&'static str]) -> &'static str {
        self.dice.one::<&'static str>(of)
    }

    /// The next request about the object as it is; of what is not there, mostly its creation.
    pub fn next(&mut self, live: Option<&Value>) -> Request {
        let flawed = if self.dice.percent(30) { self.flawed(live) } else { None };
        let mut request = flawed.unwrap_or_else(|| match live {
            None => self.on_nothing(),
            Some(live) => self.on(live),
        });
        self.sign(&mut request);
        if request.verb == Verb::Apply && request.flaw.is_empty() {
            self.applied = Some(request.clone());
        }
        request
    }

    /// Puts a name under a request.
    fn sign(&mut self, request: &mut Request) {
        if request.manager.is_empty() && request.flaw != "apply-without-manager" {
            request.manager = self.pick(&MANAGERS).to_owned();
            if request.verb == Verb::Apply && request.manager.is_empty() {
                request.manager = "git".to_owned();
            }
        }
        if matches!(request.verb, Verb::Get | Verb::Delete | Verb::DeleteSome) {
            request.manager.clear();
        }
        if self.dice.percent(30) {
            request.agent = self.pick(&AGENTS).to_owned();
        }
        if self.dice.percent(15) {
            request.user = (*self.dice.one(&["alice@example.com", "bob@example.com"])).to_owned();
        }
        if self.dice.percent(6) && request.verb != Verb::Get && !request.query.contains("dryRun") {
            request.add_query("dryRun=All");
        }
        if self.dice.percent(6) && request.verb != Verb::Get && !request.query.contains("fieldValidation") {
            let level = *self.dice.one(&["Strict", "Warn", "Ignore"]);
            request.add_query(&format!("fieldValidation={level}"));
        }
    }

    /// A new object with random fields.
    pub fn fresh(&mut self) -> Value {
        let mut object = self.least.clone();
        if self.dice.percent(70) {
            let ty = self.ty;
            self.maker().fill(&mut object, ty, &Site::default());
        }
        if self.dice.percent(8) {
            object.set_at(&["metadata", "finalizers"], Value::List(vec!["example.com/hold".into()]));
        }
        object
    }

    fn on_nothing(&mut self) -> Request {
        match self.dice.below(100) {
            0..50 => {
                let mut object = self.fresh();
                if self.dice.percent(4) {
                    object.set_at(&["metadata", "resourceVersion"], "7".into());
                }
                Request::new(Verb::Create, object.to_json())
            }
            50..88 => Request::new(Verb::Apply, self.fresh().to_json()),
            88..92 => Request::new(Verb::Put, self.fresh().to_json()),
            92..94 => Request::new(Verb::Merge, r#"{"metadata":{"labels":{"x":"1"}}}"#.to_owned()),
            94..96 => self.delete(),
            96..98 => Request::new(Verb::Get, String::new()),
            _ => {
                let mut object = self.fresh();
                object.set_at(&["metadata", "uid"], "01234567-89ab-cdef-0123-456789abcdef".into());
                Request::new(Verb::Apply, object.to_json())
            }
        }
    }

    fn on(&mut self, live: &Value) -> Request {
        for _ in 0..8 {
            let made = match self.dice.below(100) {
                0..64 => self.edited(live),
                64..70 => Some(self.delete()),
                70..76 => self.applied.clone(),
                76..80 => self.held(live),
                80..84 => self.migrated(live),
                84..86 => Some(Request::new(Verb::Create, self.fresh().to_json())),
                86..88 => Some(self.delete_some()),
                88..94 => self.status(live),
                94..96 => self.read(),
                96..98 => Some(self.applied_anew()),
                _ => self.pod(),
            };
            if let Some(made) = made {
                return made;
            }
        }
        Request::new(Verb::Merge, r#"{"metadata":{"labels":{"x":"1"}}}"#.to_owned())
    }

    /// A change by any of the verbs that the other differential has as well.
    fn edited(&mut self, live: &Value) -> Option<Request> {
        let ty = self.ty;
        let Edit { verb, manager: _, body } = edits::edit(&mut self.maker(), live, ty)?;
        let mut request = match verb {
            edits::Verb::Put => {
                let mut body = body;
                if self.dice.percent(50) {
                    body.set_at(&["metadata", "resourceVersion"], VERSION.into());
                }
                if self.dice.percent(10) {
                    body.set_at(&["metadata", "uid"], UID.into());
                }
                return Some(Request::new(Verb::Put, body.to_json()));
            }
            edits::Verb::MergePatch => Request::new(Verb::Merge, body.to_json()),
            edits::Verb::StrategicPatch => Request::new(Verb::Strategic, self.directed(body).to_json()),
            edits::Verb::JsonPatch => Request::new(Verb::Json, self.prolonged(body).to_json()),
            edits::Verb::Apply => Request::new(Verb::Apply, body.to_json()),
            edits::Verb::ApplyForced => {
                let mut request = Request::new(Verb::Apply, body.to_json());
                request.add_query("force=true");
                request
            }
            edits::Verb::Status => {
                let mut request = Request::new(Verb::Merge, body.to_json());
                request.subresource = "status".to_owned();
                request
            }
            edits::Verb::Scale => return Some(self.scaled(body)),
        };
        if self.dice.percent(10) && matches!(verb, edits::Verb::MergePatch | edits::Verb::StrategicPatch) {
            let mut body = Value::from_json(request.body.as_bytes()).ok()?;
            body.set_at(&["metadata", "resourceVersion"], VERSION.into());
            request.body = body.to_json();
        }
        Some(request)
    }

    /// Directives of strategic merge patches, now and then.
    fn directed(&mut self, mut body: Value) -> Value {
        let containers =
            body.at(&["spec", "template", "spec", "containers"]).and_then(Value::as_list).is_some();
        match self.dice.below(12) {
            0 if containers => {
                let deleted = object(&[("name", "b".into()), ("$patch", "delete".into())]);
                let path = ["spec", "template", "spec", "containers"];
                let mut items = body.list_at(&path).to_vec();
                items.push(deleted);
                body.set_at(&path, items.into());
            }
            1 if containers => {
                let order = [object(&[("name", "app".into())]), object(&[("name", "a".into())])];
                body.set_at(
                    &["spec", "template", "spec", "$setElementOrder/containers"],
                    order.to_vec().into(),
                );
            }
            2 => body.set_at(
                &["metadata", "labels"],
                object(&[("$patch", "replace".into()), ("only", "1".into())]),
            ),
            3 => body.set_at(&["metadata", "labels", "x"], Value::Null),
            4 => body.set_at(&["metadata", "annotations"], Value::Null),
            5 => {
                let gone = Value::List(vec!["example.com/hold".into()]);
                body.set_at(&["metadata", "$deleteFromPrimitiveList/finalizers"], gone);
            }
            6 if body.get("spec").is_some() => {
                let keys: Vec<Value> = ["strategy", "type"].iter().map(|key| (*key).into()).collect();
                body.set_at(&["spec", "strategy", "$retainKeys"], keys.into());
                body.set_at(&["spec", "strategy", "type"], "Recreate".into());
            }
            _ => {}
        }
        body
    }

    /// More operations of a JSON patch, all of which work on any object.
    fn prolonged(&mut self, body: Value) -> Value {
        let Value::List(mut operations) = body else { return body };
        let more = match self.dice.below(8) {
            0 => r#"[{"op":"test","path":"/metadata/name","value":"{{name}}"}]"#,
            1 => {
                r#"[{"op":"add","path":"/metadata/labels","value":{"j":"1"}},{"op":"copy","from":"/metadata/labels/j","path":"/metadata/labels/k"}]"#
            }
            2 => {
                r#"[{"op":"add","path":"/metadata/annotations","value":{"j":"1"}},{"op":"move","from":"/metadata/annotations/j","path":"/metadata/annotations/k"}]"#
            }
            3 => r#"[{"op":"test","path":"/metadata/resourceVersion","value":"{{version}}"}]"#,
            _ => "[]",
        };
        if let Ok(Value::List(more)) = Value::from_json(more.as_bytes()) {
            operations.extend(more);
        }
        Value::List(operations)
    }

    fn scaled(&mut self, patch: Value) -> Request {
        let mut request = Request::new(Verb::Merge, patch.to_json());
        match self.dice.below(4) {
            0 => {
                let name = self.least.at(&["metadata", "name"]).cloned().unwrap_or_default();
                let namespace = self.least.at(&["metadata", "namespace"]).cloned().unwrap_or_default();
                let mut body = patch;
                body.set_at(&["apiVersion"], "autoscaling/v1".into());
                body.set_at(&["kind"], "Scale".into());
                body.set_at(&["metadata", "name"], name);
                body.set_at(&["metadata", "namespace"], namespace);
                let verb = if self.dice.percent(50) { Verb::Apply } else { Verb::Put };
                if verb == Verb::Put && self.dice.percent(40) {
                    body.set_at(&["metadata", "resourceVersion"], VERSION.into());
                }
                request = Request::new(verb, body.to_json());
                if verb == Verb::Apply && self.dice.percent(50) {
                    request.add_query("force=true");
                }
            }
            1 => {
                let replicas = patch.at(&["spec", "replicas"]).cloned().unwrap_or_default();
                let operation = object(&[
                    ("op", "replace".into()),
                    ("path", "/spec/replicas".into()),
                    ("value", replicas),
                ]);
                request = Request::new(Verb::Json, Value::List(vec![operation]).to_json());
            }
            _ => {}
        }
        request.subresource = "scale".to_owned();
        request
    }

    /// Writes of status that also try to change the rest, and the other way round.
    fn status(&mut self, live: &Value) -> Option<Request> {
        let of_server = matches!(self.kind.gvk.kind.as_str(), "CustomResourceDefinition" | "APIService");
        if !self.kind.status || of_server {
            return None;
        }
        let mut body = bare(live);
        body.set_at(&["metadata", "labels", "by-status"], (*self.dice.one(&["1", "2"])).into());
        let ty = self.ty;
        let _ = self.maker().change(&mut body, ty);
        if let Some(field) = ty.field("status") {
            let status = self.maker().value(field.ty, &Site::default().child("status"));
            if status.as_map().is_some_and(|map| !map.is_empty()) {
                body.set_at(&["status"], status);
            }
        }
        let mut request = match self.dice.below(3) {
            0 => Request::new(Verb::Put, body.to_json()),
            1 => Request::new(
                Verb::Merge,
                merge_patch(live, &body).filter(|_| body.get("status").is_some())?.to_json(),
            ),
            _ => {
                let mut small = object(&[("status", body.get("status").cloned()?)]);
                for key in ["apiVersion", "kind"] {
                    small.set_at(&[key], live.get(key)?.clone());
                }
                small.set_at(&["metadata", "name"], live.at(&["metadata", "name"])?.clone());
                let mut request = Request::new(Verb::Apply, small.to_json());
                request.add_query("force=true");
                request
            }
        };
        if self.dice.percent(80) {
            request.subresource = "status".to_owned();
        }
        Some(request)
    }

    fn read(&mut self) -> Option<Request> {
        let mut request = Request::new(Verb::Get, String::new());
        request.subresource = match self.dice.below(3) {
            0 if self.kind.scale => "scale",
            1 if self.kind.status => "status",
            _ => return None,
        }
        .to_owned();
        Some(request)
    }

    /// Finalizers and owners come and go.
    fn held(&mut self, live: &Value) -> Option<Request> {
        let held = !live.list_at(&["metadata", "finalizers"]).is_empty();
        let patch = match self.dice.below(4) {
            0 if !held => r#"{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}"#,
            0 | 1 if held => r#"{"metadata":{"finalizers":null}}"#,
            2 if held => r#"{"metadata":{"finalizers":["example.com/more"]}}"#,
            3 => {
                r#"{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"01234567-89ab-cdef-0123-456789abcdef"}]}}"#
            }
            _ => r#"{"metadata":{"ownerReferences":[]}}"#,
        };
        Some(Request::new(Verb::Merge, patch.to_owned()))
    }

    /// Somebody rewrites the entries of the managers, as clients do that go over to server-side apply.
    fn migrated(&mut self, live: &Value) -> Option<Request> {
        let mut entries = live.list_at(&["metadata", "managedFields"]).to_vec();
        if entries.is_empty() {
            return None;
        }
        let index = self.dice.below(entries.len());
        match self.dice.below(5) {
            0 => entries[index].set_at(&["manager"], "git".into()),
            1 => {
                entries[index].set_at(&["operation"], "Apply".into());
                entries[index].set_at(&["manager"], "migrated".into());
            }
            2 => {
                entries.remove(index);
            }
            3 => entries = vec![Value::Map(Map::new())],
            _ => entries.clear(),
        }
        let replace = object(&[
            ("op", "replace".into()),
            ("path", "/metadata/managedFields".into()),
            ("value", entries.into()),
        ]);
        let version = object(&[
            ("op", "replace".into()),
            ("path", "/metadata/resourceVersion".into()),
            ("value", VERSION.into()),
        ]);
        let operations = if self.dice.percent(70) { vec![replace, version] } else { vec![replace] };
        Some(Request::new(Verb::Json, Value::List(operations).to_json()))
    }

    /// A whole manifest applied with force, as a GitOps engine does.
    fn applied_anew(&mut self) -> Request {
        let mut request = Request::new(Verb::Apply, self.fresh().to_json());
        request.add_query("force=true");
        request.manager = "git".to_owned();
        request
    }

    fn delete(&mut self) -> Request {
        let mut request = Request::new(Verb::Delete, String::new());
        let mut body = Value::Map(Map::new());
        match self.dice.below(8) {
            0 => {}
            1 => request.add_query(self.pick(&["propagationPolicy=Background", "propagationPolicy=Orphan"])),
            2 => request.add_query("gracePeriodSeconds=0"),
            3 => body.set_at(
                &["propagationPolicy"],
                (*self.dice.one(&["Foreground", "Orphan", "Background"])).into(),
            ),
            4 => body.set_at(&["preconditions", "uid"], UID.into()),
            5 => body.set_at(&["preconditions", "resourceVersion"], VERSION.into()),
            6 => body.set_at(&["gracePeriodSeconds"], Value::Int(*self.dice.one(&[0, 1, 30]))),
            _ => body.set_at(&["orphanDependents"], self.dice.percent(50).into()),
        }
        if body.as_map().is_some_and(|map| !map.is_empty()) {
            body.set_at(&["kind"], "DeleteOptions".into());
            body.set_at(&["apiVersion"], "v1".into());
            request.body = body.to_json();
        }
        request
    }

    fn delete_some(&mut self) -> Request {
        let mut request = Request::new(Verb::DeleteSome, String::new());
        let name = self.least.str_at(&["metadata", "name"]).unwrap_or_default().to_owned();
        request.add_query(&format!("fieldSelector=metadata.name%3D{name}"));
        request
    }

    fn pod(&mut self) -> Option<Request> {
        if self.kind.gvk.kind != "Pod" {
            return None;
        }
        let mut body = object(&[("apiVersion", "policy/v1".into()), ("kind", "Eviction".into())]);
        let name = self.least.at(&["metadata", "name"]).cloned()?;
        body.set_at(&["metadata", "name"], name);
        let mut request = Request::new(Verb::Create, String::new());
        if self.dice.percent(40) {
            request.subresource = "eviction".to_owned();
        } else {
            request.subresource = "binding".to_owned();
            body.set_at(&["apiVersion"], "v1".into());
            body.set_at(&["kind"], "Binding".into());
            body.set_at(&["target", "kind"], "Node".into());
            body.set_at(&["target", "name"], "node-1".into());
        }
        request.body = body.to_json();
        Some(request)
    }
}
