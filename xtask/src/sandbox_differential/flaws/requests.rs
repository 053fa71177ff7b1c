//! What may be wrong with a request: its preconditions, its format, its options, the patch.

use trueup_object::Value;

use super::super::request::{OLD_VERSION, Request, Verb};
use super::super::writer::{Writer, bare};

/// What may be wrong with a request.
pub const OF_REQUESTS: [&str; 17] = [
    "stale-version",
    "wrong-uid",
    "wrong-precondition",
    "wrong-content-type",
    "malformed-body",
    "unknown-subresource",
    "bad-option",
    "apply-without-manager",
    "apply-with-managed-fields",
    "bad-managed-fields",
    "bad-json-patch",
    "bad-strategic-patch",
    "bad-merge-patch",
    "exists",
    "bad-delete",
    "bad-scale",
    "bad-status",
];

const JSON_PATCHES: [&str; 14] = [
    r#"[{"op":"test","path":"/metadata/name","value":"other"}]"#,
    r#"[{"op":"remove","path":"/metadata/nothing"}]"#,
    r#"[{"op":"replace","path":"/spec/nothing/below","value":1}]"#,
    r#"[{"op":"bogus","path":"/metadata/name","value":1}]"#,
    r#"[{"op":"add","path":"metadata/labels","value":{}}]"#,
    r#"[{"op":"add","path":"/metadata/finalizers/9","value":"a.b/c"}]"#,
    r#"[{"op":"copy","from":"/nothing","path":"/metadata/labels"}]"#,
    r#"[{"path":"/metadata/labels","value":{}}]"#,
    r#"{"op":"remove","path":"/metadata/labels"}"#,
    r#"[{"op":"replace","path":"","value":7}]"#,
    r#"[{"op":"replace","path":"/metadata","value":7}]"#,
    r#"[{"op":"remove","path":"/metadata/name"}]"#,
    r#"[7]"#,
    r#"[{"op":"replace","path":"/kind","value":"Bogus"}]"#,
];

const STRATEGIC_PATCHES: [&str; 10] = [
    r#"{"metadata":{"$patch":"bogus"}}"#,
    r#"{"metadata":{"labels":{"$patch":"delete"}}}"#,
    r#"{"$patch":"delete"}"#,
    r#"{"metadata":{"$patch":7}}"#,
    r#"{"metadata":{"finalizers":"text"}}"#,
    r#"{"metadata":{"ownerReferences":[{"name":"x"}]}}"#,
    r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":"x"}}"#,
    r#"{"metadata":{"$setElementOrder/finalizers":["x"]}}"#,
    r#"{"metadata":{"$retainKeys":["name"]}}"#,
    r#"{"metadata":{"name":"other"}}"#,
];

const MERGE_PATCHES: [&str; 15] = [
    r#"{"metadata":{"name":"other"}}"#,
    r#"{"metadata":{"namespace":"other"}}"#,
    r#"{"metadata":null}"#,
    r#"{"metadata":{"name":null}}"#,
    r#"{"metadata":{"uid":null,"creationTimestamp":null}}"#,
    r#"{"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z"}}"#,
    r#"{"metadata":{"labels":7}}"#,
    r#"{"metadata":{"labels":{"x":7}}}"#,
    r#"{"kind":"Bogus"}"#,
    r#"{"apiVersion":"bogus/v1"}"#,
    r#"{"kind":null,"apiVersion":null}"#,
    r#"{"metadata":{"generation":9,"selfLink":"x"}}"#,
    r#"{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"}}"#,
    r#"{"metadata":{"managedFields":null}}"#,
    r#"{"spec":null}"#,
];

const MANAGED_FIELDS: [&str; 5] = [
    r#"[{"manager":"x","operation":"Bogus","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{}}]"#,
    r#"[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"Bogus","fieldsV1":{}}]"#,
    r#"[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"bogus":{}}}]"#,
    r#"[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1"}]"#,
    r#"[{"operation":"Apply","apiVersion":"bogus/v1","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{}}}]"#,
];

const SCALES: [&str; 10] = [
    r#"{"spec":{"replicas":-1}}"#,
    r#"{"spec":{"replicas":"x"}}"#,
    r#"{"spec":{"replicas":1.5}}"#,
    r#"{"spec":{"bogus":1}}"#,
    r#"{"spec":{"replicas":null}}"#,
    r#"{"metadata":{"name":"other"}}"#,
    r#"{"metadata":{"resourceVersion":"1"}}"#,
    r#"{"spec":{"replicas":99999999999}}"#,
    r#"{"metadata":{"labels":{"x":"scaled"}}}"#,
    r#"{"status":{"replicas":3}}"#,
];

const DELETES: [&str; 6] = [
    r#"{"propagationPolicy":"Bogus"}"#,
    r#"{"propagationPolicy":"Orphan","orphanDependents":true}"#,
    r#"{"dryRun":["Bogus"]}"#,
    r#"{"kind":"Bogus","apiVersion":"v1"}"#,
    r#"{"gracePeriodSeconds":"x"}"#,
    r#"{"bogus":1}"#,
];

const CONTENT_TYPES: [&str; 6] = [
    "text/plain",
    "application/json-patch+json",
    "application/bogus-patch+json",
    "",
    "application/strategic-merge-patch+json",
    "application/yaml",
];

const BODIES: [&str; 10] =
    ["{", "[]", "null", "7", "\"text\"", "{\"a\":", "{}", " ", "{\"metadata\":7}", "{\"kind\":7}"];

const OPTIONS: [&str; 6] = [
    "dryRun=Bogus",
    "fieldValidation=Bogus",
    "force=true",
    "dryRun=All&dryRun=Bogus",
    "force=perhaps",
    "dryRun=",
];

const PRECONDITIONS: [&str; 3] = [
    r#"{"preconditions":{"uid":"01234567-89ab-cdef-0123-456789abcdef"}}"#,
    r#"{"preconditions":{"resourceVersion":"1"}}"#,
    r#"{"preconditions":{"resourceVersion":"{{old-version}}","uid":"{{uid}}"}}"#,
];

const OTHER_UID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn label() -> Request {
    Request::new(Verb::Merge, r#"{"metadata":{"labels":{"x":"2"}}}"#.to_owned())
}

impl Writer<'_> {
    pub(super) fn flawed_request(&mut self, flaw: &str, live: Option<&Value>) -> Option<Request> {
        match (flaw, live) {
            ("wrong-content-type", _) => Some(self.wrong_content_type(live)),
            ("malformed-body", _) => {
                let verbs: &[Verb] = match live {
                    Some(_) => {
                        &[Verb::Put, Verb::Merge, Verb::Strategic, Verb::Json, Verb::Apply, Verb::Delete]
                    }
                    None => &[Verb::Create, Verb::Apply],
                };
                let verb = *self.dice.one(verbs);
                Some(Request::new(verb, self.pick(&BODIES).to_owned()))
            }
            ("bad-option", _) => Some(self.bad_option(live)),
            ("apply-without-manager", _) => Some(Request::new(Verb::Apply, self.least.to_json())),
            ("apply-with-managed-fields", _) => {
                let mut body = self.least.clone();
                let entries = *self.dice.one(&["[]", r#"[{"manager":"x","operation":"Apply"}]"#, "[{}]"]);
                body.set_at(&["metadata", "managedFields"], Value::from_json(entries.as_bytes()).ok()?);
                Some(Request::new(Verb::Apply, body.to_json()))
            }
            (_, Some(live)) => self.flawed_on(flaw, live),
            (_, None) => None,
        }
    }

    fn flawed_on(&mut self, flaw: &str, live: &Value) -> Option<Request> {
        let of = |verb: Verb, body: &str| Some(Request::new(verb, body.to_owned()));
        match flaw {
            "stale-version" | "wrong-uid" => Some(self.stale(flaw, live)),
            "wrong-precondition" => of(Verb::Delete, self.pick(&PRECONDITIONS)),
            "unknown-subresource" => self.unknown_subresource(),
            "bad-managed-fields" => {
                let entries = *self.dice.one(&MANAGED_FIELDS);
                of(Verb::Merge, &format!(r#"{{"metadata":{{"managedFields":{entries}}}}}"#))
            }
            "bad-json-patch" => of(Verb::Json, self.pick(&JSON_PATCHES)),
            "bad-strategic-patch" if !self.kind.is_custom() => {
                of(Verb::Strategic, self.pick(&STRATEGIC_PATCHES))
            }
            "bad-merge-patch" => of(Verb::Merge, self.pick(&MERGE_PATCHES)),
            // Valid but for the name that is taken.
            "exists" => of(Verb::Create, &self.least.to_json()),
            "bad-delete" => Some(self.bad_delete()),
            "bad-scale" if self.kind.scale => Some(self.bad_scale()),
            "bad-status" => {
                let statuses = [Value::Int(7), "x".into(), Value::List(Vec::new()), Value::Null];
                let mut body = bare(live);
                body.set_at(&["status"], self.dice.one(&statuses).clone());
                let mut request = Request::new(*self.dice.one(&[Verb::Put, Verb::Merge]), body.to_json());
                if self.kind.status && self.dice.percent(60) {
                    request.subresource = "status".to_owned();
                }
                Some(request)
            }
            _ => None,
        }
    }

    fn stale(&mut self, flaw: &str, live: &Value) -> Request {
        let mut body = bare(live);
        body.set_at(&["metadata", "labels", "x"], "stale".into());
        if flaw == "wrong-uid" {
            body.set_at(&["metadata", "uid"], OTHER_UID.into());
        } else {
            let version = if self.dice.percent(60) { OLD_VERSION } else { "abc" };
            body.set_at(&["metadata", "resourceVersion"], version.into());
        }
        Request::new(*self.dice.one(&[Verb::Put, Verb::Put, Verb::Merge, Verb::Apply]), body.to_json())
    }

    fn wrong_content_type(&mut self, live: Option<&Value>) -> Request {
        let mut request = match (live, self.dice.below(2)) {
            (None, _) => Request::new(Verb::Create, self.least.to_json()),
            (Some(live), 0) => Request::new(Verb::Put, bare(live).to_json()),
            (Some(_), _) => label(),
        };
        request.content_type = Some((*self.dice.one(&CONTENT_TYPES)).to_owned());
        request
    }

    fn unknown_subresource(&mut self) -> Option<Request> {
        let mut request = match self.dice.below(3) {
            0 => label(),
            1 => Request::new(Verb::Get, String::new()),
            _ => Request::new(Verb::Delete, String::new()),
        };
        request.subresource = (*self.dice.one(&["bogus", "scale", "status", "log", "finalize"])).to_owned();
        let known = (request.subresource == "scale" && self.kind.scale)
            || (request.subresource == "status" && request.verb != Verb::Delete)
            || matches!(self.kind.gvk.kind.as_str(), "Namespace" | "Pod");
        (!known).then_some(request)
    }

    fn bad_option(&mut self, live: Option<&Value>) -> Request {
        let mut request = match live {
            Some(_) => label(),
            None => Request::new(Verb::Create, self.least.to_json()),
        };
        request.manager = "git".to_owned();
        match self.dice.below(3) {
            0 => request.manager = "m".repeat(129),
            1 => request.manager = "a%0Ab".to_owned(),
            _ => request.add_query(self.pick(&OPTIONS)),
        }
        request
    }

    fn bad_delete(&mut self) -> Request {
        let mut request = Request::new(Verb::Delete, String::new());
        if self.dice.percent(33) {
            let options = ["propagationPolicy=Bogus", "gracePeriodSeconds=x", "dryRun=Bogus"];
            request.add_query(self.pick(&options));
        } else {
            request.body = self.pick(&DELETES).to_owned();
        }
        request
    }

    fn bad_scale(&mut self) -> Request {
        let mut request = Request::new(Verb::Merge, self.pick(&SCALES).to_owned());
        request.subresource = "scale".to_owned();
        if self.dice.percent(20) {
            request.add_query("fieldValidation=Strict");
        }
        request
    }
}
