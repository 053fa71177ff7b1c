//! What one request leaves behind: the events of its stages, filled in by whoever serves it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trueup_object::value::{Map, Text};
use trueup_object::{Timestamp, Value};

use super::{Asked, AskedResource, Audit, Level, Stage};
use crate::clock::wire_micro_time;
use crate::http::credentials::User;

/// A request as it is when its caller becomes known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub asked: Asked<'a>,
    /// With its query, as it was sent.
    pub uri: &'a str,
    /// Of the group that the path names.
    pub version: &'a str,
    pub source: &'a str,
    pub user_agent: &'a str,
    /// The id that the client gave it, if it did.
    pub id: Option<&'a str>,
}

/// Where notes about one request go. Clones are the same trail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// None where the request is not audited.
    followed: Option<Arc<Followed>>,
}

#[derive(Debug)]
struct Followed {
    audit: Arc<Audit>,
    level: Level,
    omit_stages: Vec<Stage>,
    omit_managed_fields: bool,
    id: Text,
    received: Timestamp,
    notes: Mutex<Notes>,
}

/// What the events say besides their stage.
#[derive(Debug, Default)]
struct Notes {
    /// The fields that are known from the beginning.
    head: Map,
    object: Option<Map>,
    status: Option<Value>,
    request_object: Option<Value>,
    response_object: Option<Value>,
    annotations: BTreeMap<String, String>,
    /// Nothing is to follow.
    is_over: bool,
}

/// Longer ids are not taken from clients.
const N_ID_CHARS_MAX: usize = 64;

impl Trail {
    /// Begins to follow a request, if its policy wants that.
    pub fn begin(audit: &Arc<Audit>, request: Request<'_>) -> Self {
        let trail = Self::silent(audit, request);
        if let Some(followed) = &trail.followed {
            followed.tell(Stage::RequestReceived);
        }
        trail
    }

    /// The trail of somebody whom nobody knows: one event says so, at the stage that the server calls it.
    pub fn unknown_caller(audit: &Arc<Audit>, request: Request<'_>, status: &Value) {
        let trail = Self::silent(audit, request);
        let Some(followed) = trail.followed else { return };
        followed.notes().head.insert("user", Value::Map(Map::new()));
        followed.answered(
            u16::try_from(status.int_at(&["code"]).unwrap_or_default()).unwrap_or_default(),
            Some(status),
        );
        followed.tell(Stage::ResponseStarted);
        followed.notes().is_over = true;
    }

    fn silent(audit: &Arc<Audit>, request: Request<'_>) -> Self {
        let decision = audit.policy.decide(request.asked);
        if decision.level == Level::None {
            return Self::default();
        }
        let given = request.id.filter(|id| !id.is_empty() && id.len() <= N_ID_CHARS_MAX);
        let id = given.map_or_else(|| audit.ids.uid(), Text::from);
        let notes = Notes { head: head(request), object: object_reference(request), ..Notes::default() };
        let followed = Followed {
            audit: audit.clone(),
            level: decision.level,
            omit_stages: decision.omit_stages,
            omit_managed_fields: decision.omit_managed_fields,
            id,
            received: audit.clock.now(),
            notes: Mutex::new(notes),
        };
        Self { followed: Some(Arc::new(followed)) }
    }

    /// The id of the request, for its answer.
    pub fn id(&self) -> Option<&str> {
        self.followed.as_ref().map(|followed| followed.id.as_str())
    }

    /// Whether notes about the request's body have a reader.
    pub fn is_followed(&self) -> bool {
        self.followed.is_some()
    }

    pub fn impersonates(&self, user: &User, constraint: Option<&str>) {
        let Some(followed) = &self.followed else { return };
        let mut notes = followed.notes();
        notes.head.insert("impersonatedUser", user.to_value());
        if let Some(constraint) = constraint {
            let metadata = Map::from_iter([("impersonationConstraint", Value::from(constraint))]);
            notes.head.insert("authenticationMetadata", Value::Map(metadata));
        }
    }

    pub fn annotate(&self, key: &str, value: &str) {
        if let Some(followed) = &self.followed {
            // What is said first holds, as in the server.
            followed.notes().annotations.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }

    /// Like [`Self::annotate`], where the request's body is recorded as well.
    pub fn annotate_request(&self, key: &str, value: impl FnOnce() -> String) {
        if self.followed.as_ref().is_some_and(|followed| followed.level >= Level::Request) {
            self.annotate(key, &value());
        }
    }

    /// What the request gives, in the form that the server gave it.
    pub fn requests(&self, object: &Value) {
        let Some(followed) = &self.followed else { return };
        let mut notes = followed.notes();
        for (field, path) in [
            ("namespace", "namespace"),
            ("name", "name"),
            ("uid", "uid"),
            ("resourceVersion", "resourceVersion"),
        ] {
            let given = object.str_at(&["metadata", path]).filter(|given| !given.is_empty());
            if let (Some(reference), Some(given)) = (&mut notes.object, given)
                && reference.get(field).is_none()
            {
                reference.insert(field, given.into());
            }
        }
        if followed.level >= Level::Request {
            notes.request_object = Some(followed.shown(object.clone()));
        }
    }

    /// A patch as it was sent.
    pub fn patches(&self, patch: &Value) {
        if let Some(followed) = self.followed.as_ref().filter(|followed| followed.level >= Level::Request) {
            followed.notes().request_object = Some(patch.clone());
        }
    }

    /// The answer; its body where it is an object.
    pub fn answered(&self, code: u16, body: impl FnOnce() -> Option<Value>) {
        let Some(followed) = &self.followed else { return };
        followed.answered(code, body().as_ref());
    }

    /// A request that lasts has begun to be answered.
    pub fn started(&self) {
        let Some(followed) = &self.followed else { return };
        followed.answered(200, None);
        followed.tell(Stage::ResponseStarted);
    }
}

impl Followed {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, mut object: Value) -> Value {
        if self.omit_managed_fields {
            without_managed_fields(&mut object);
        }
        object
    }

    fn answered(&self, code: u16, body: Option<&Value>) {
        let mut status = Map::from_iter([("metadata", Value::Map(Map::new()))]);
        let told = body.filter(|body| body.str_at(&["kind"]) == Some("Status"));
        if let Some(told) = told {
            for field in ["status", "message", "reason", "details"] {
                if let Some(value) = told.get(field) {
                    status.insert(field, value.clone());
                }
            }
        }
        status.insert("code", i64::from(code).into());
        let mut notes = self.notes();
        notes.status = Some(Value::Map(status));
        if self.level == Level::RequestResponse {
            notes.response_object = body.cloned().map(|body| self.shown(body));
        }
    }

    fn tell(&self, stage: Stage) {
        if self.omit_stages.contains(&stage) {
            return;
        }
        let event = self.event(stage, &self.notes());
        self.audit.emit(&event);
    }

    fn event(&self, stage: Stage, notes: &Notes) -> Value {
        let mut event = notes.head.clone();
        event.insert("kind", "Event".into());
        event.insert("apiVersion", "audit.k8s.io/v1".into());
        event.insert("level", self.level.as_str().into());
        event.insert("auditID", self.id.clone().into());
        event.insert("stage", stage.as_str().into());
        let parts = [
            ("objectRef", notes.object.clone().map(Value::Map)),
            ("responseStatus", notes.status.clone()),
            ("requestObject", notes.request_object.clone()),
            ("responseObject", notes.response_object.clone()),
        ];
        for (field, value) in parts {
            if let Some(value) = value {
                event.insert(field, value);
            }
        }
        event.insert("requestReceivedTimestamp", wire_micro_time(self.received).into());
        let now = if stage == Stage::RequestReceived { self.received } else { self.audit.clock.now() };
        event.insert("stageTimestamp", wire_micro_time(now).into());
        if !notes.annotations.is_empty() {
            let annotations =
                notes.annotations.iter().map(|(key, value)| (key.as_str(), value.clone().into()));
            event.insert("annotations", Value::Map(annotations.collect()));
        }
        Value::Map(event)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if self.notes().is_over {
            return;
        }
        if std::thread::panicking() {
            let message = "APIServer panic'd: the request was not served";
            let status = Map::from_iter([
                ("kind", Value::from("Status")),
                ("status", "Failure".into()),
                ("message", message.into()),
                ("reason", "InternalError".into()),
            ]);
            self.answered(500, Some(&Value::Map(status)));
            self.notes().response_object = None;
            self.tell(Stage::Panic);
        } else {
            self.tell(Stage::ResponseComplete);
        }
    }
}

fn head(request: Request<'_>) -> Map {
    let Request { asked, uri, source, user_agent, .. } = request;
    let mut head = Map::from_iter([
        ("requestURI", Value::from(uri)),
        ("verb", asked.verb.into()),
        ("user", asked.user.to_value()),
        ("sourceIPs", Value::List(vec![source.into()])),
    ]);
    if !user_agent.is_empty() {
        head.insert("userAgent", user_agent.into());
    }
    head
}

fn object_reference(request: Request<'_>) -> Option<Map> {
    let AskedResource { group, resource, subresource, namespace, name } = request.asked.resource?;
    let fields = [
        ("resource", resource),
        ("namespace", namespace),
        ("name", name),
        ("apiGroup", group),
        ("apiVersion", request.version),
        ("subresource", subresource),
    ];
    let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
    Some(given.map(|(field, text)| (field, Value::from(text))).collect())
}

/// Of an object, or of all objects of a list.
fn without_managed_fields(object: &mut Value) {
    object.remove_at(&["metadata", "managedFields"]);
    if let Some(Value::List(items)) = object.get_mut("items") {
        for item in items {
            item.remove_at(&["metadata", "managedFields"]);
        }
    }
}
