//! Changes to a cluster: every request carries what must still be true, every answer becomes a typed outcome.
//!
//! Nothing here decides: which object, which body and which precondition come from a plan. Nothing is forced past a
//! precondition, and nothing is repeated: a change whose answer was lost is reported as such, because only observation
//! tells what became of it.

mod confirm;
mod event;
mod quoted;
mod refusal;
mod step;
mod takeover;
mod tally;

use http::Method;
use trueup_engine::app::Propagation;
use trueup_engine::live::LiveVersion;
use trueup_object::{FieldManager, Map, Text, Value};

pub use confirm::{Asked, confirm};
pub use event::{EventKind, Involved, ReportedEvent, report};
pub use refusal::{FieldConflict, Refusal};
pub use step::{Change, Done, Executed, OlderEntries, Part, Stopped, change, execute};
pub use takeover::{TakeOver, take_over_entries};
pub use tally::{SentRequest, Tally};

use crate::discover::ServedKind;
use crate::path;
use crate::wire::{Answer, BodyKind, Wire, WireError};

/// One object as a request addresses it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub kind: &'a ServedKind,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Whether a request may have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Real,
    /// The server does all but storing.
    DryRun,
}

/// Under whose name, and whether for real.
#[derive(Debug, Clone)]
pub struct Hand {
    pub manager: FieldManager,
    pub mode: Mode,
    /// Where the requests are counted.
    pub tally: Tally,
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Created,
    Changed,
    /// The object was so already.
    Unchanged,
    /// A create found an object: somebody was quicker, and the fields that nobody else owned were applied to it.
    Joined,
}

/// A change that the server accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    pub effect: Effect,
    pub version: LiveVersion,
    /// The object as the server returned it.
    pub object: Value,
}

/// A deletion that the server accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Gone,
    /// It waits for finalizers or for what it owns.
    Waiting,
}

/// One operation of a JSON patch.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchOperation {
    Test { pointer: String, value: Value },
    Replace { pointer: String, value: Value },
    Add { pointer: String, value: Value },
    Remove { pointer: String },
}

impl Hand {
    /// Ours, for real.
    pub fn real() -> Self {
        Self { manager: FieldManager::new(FieldManager::TRUEUP), mode: Mode::Real, tally: Tally::default() }
    }

    /// Ours, without effect.
    pub fn dry_run() -> Self {
        Self { manager: FieldManager::new(FieldManager::TRUEUP), mode: Mode::DryRun, tally: Tally::default() }
    }

    fn query(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut parameters = vec![("fieldManager", self.manager.as_str())];
        match self.mode {
            Mode::Real => {}
            Mode::DryRun => parameters.push(("dryRun", "All")),
        }
        parameters.extend_from_slice(more);
        path::with_query(path, &parameters)
    }
}

impl Place<'_> {
    fn path(&self) -> String {
        path::object(self.kind, self.namespace, self.name)
    }

    fn refusal(&self, error: WireError) -> Refusal {
        Refusal::of(error, &self.kind.gvk)
    }
}

/// Reads one object; nothing where it does not exist.
pub async fn read(wire: &Wire, place: Place<'_>) -> Result<Option<Value>, WireError> {
    match wire.get(&place.path()).await {
        Ok(answer) => parse(&answer).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates an object by a non-forced apply without uid: a plain create would make an `Update` entry, from which a field
/// that Git drops later would never be removed.
pub async fn create(wire: &Wire, place: Place<'_>, object: &Value, hand: &Hand) -> Result<Accepted, Refusal> {
    let mut body = object.clone();
    for bookkeeping in ["uid", "resourceVersion", "managedFields", "creationTimestamp", "generation"] {
        body.remove_at(&["metadata", bookkeeping]);
    }
    let path = hand.query(&place.path(), &[("force", "false")]);
    let answer = send(wire, place, Method::PATCH, &path, BodyKind::Apply, &body, hand).await?;
    let effect = if answer.code == 201 { Effect::Created } else { Effect::Joined };
    accepted(&answer, |_| effect)
}

/// Applies to an object that must still be the one observed, in the version observed. With the resourceVersion alone an
/// apply would create a deleted object anew, so both are always sent.
pub async fn apply(
    wire: &Wire,
    place: Place<'_>,
    object: &Value,
    observed: &LiveVersion,
    hand: &Hand,
) -> Result<Accepted, Refusal> {
    send_apply(wire, place, object, observed, hand, "true").await
}

/// Applies an object that is ours alone, such as a report, whatever it is by now; creates it where it is missing. Never
/// for what Git declares.
pub async fn apply_own(
    wire: &Wire,
    place: Place<'_>,
    object: &Value,
    hand: &Hand,
) -> Result<Accepted, Refusal> {
    let path = hand.query(&place.path(), &[("force", "true")]);
    let answer = send(wire, place, Method::PATCH, &path, BodyKind::Apply, object, hand).await?;
    let effect = if answer.code == 201 { Effect::Created } else { Effect::Changed };
    accepted(&answer, |_| effect)
}

/// Applies without force: where another manager owns a field with another value, the refusal names both. A cheap way to
/// learn who holds what, and used without effect only.
pub async fn probe(
    wire: &Wire,
    place: Place<'_>,
    object: &Value,
    observed: &LiveVersion,
) -> Result<Accepted, Refusal> {
    send_apply(wire, place, object, observed, &Hand::dry_run(), "false").await
}

async fn send_apply(
    wire: &Wire,
    place: Place<'_>,
    object: &Value,
    observed: &LiveVersion,
    hand: &Hand,
    force: &str,
) -> Result<Accepted, Refusal> {
    let mut body = object.clone();
    for bookkeeping in ["managedFields", "creationTimestamp", "generation"] {
        body.remove_at(&["metadata", bookkeeping]);
    }
    body.set_at(&["metadata", "uid"], observed.uid.clone().into());
    body.set_at(&["metadata", "resourceVersion"], observed.resource_version.clone().into());
    let path = hand.query(&place.path(), &[("force", force)]);
    let answer = send(wire, place, Method::PATCH, &path, BodyKind::Apply, &body, hand).await?;
    let code = answer.code;
    accepted(&answer, |version| match code {
        201 => Effect::Created,
        _ => changed_since(observed, version),
    })
}

/// Patches an object that must still be the one observed, in the version observed.
pub async fn patch_json(
    wire: &Wire,
    place: Place<'_>,
    operations: &[PatchOperation],
    observed: &LiveVersion,
    hand: &Hand,
) -> Result<Accepted, Refusal> {
    let pinned = [
        PatchOperation::Test { pointer: "/metadata/uid".into(), value: observed.uid.clone().into() },
        PatchOperation::Test {
            pointer: "/metadata/resourceVersion".into(),
            value: observed.resource_version.clone().into(),
        },
    ];
    let body: Vec<Value> = pinned.iter().chain(operations).map(PatchOperation::to_value).collect();
    let path = hand.query(&place.path(), &[]);
    let answer =
        send(wire, place, Method::PATCH, &path, BodyKind::JsonPatch, &Value::List(body), hand).await?;
    accepted(&answer, |version| changed_since(observed, version))
}

/// Merges into an object whatever it is by now: for bookkeeping of ours, such as an Application's status, which the
/// main resource carries. The patch may carry a resourceVersion of its own.
pub async fn patch_merge(
    wire: &Wire,
    place: Place<'_>,
    patch: &Value,
    hand: &Hand,
) -> Result<Accepted, Refusal> {
    let path = hand.query(&place.path(), &[]);
    let answer = send(wire, place, Method::PATCH, &path, BodyKind::MergePatch, patch, hand).await?;
    accepted(&answer, |_| Effect::Changed)
}

/// Deletes an object that must still be the one observed, in the version observed.
pub async fn delete(
    wire: &Wire,
    place: Place<'_>,
    observed: &LiveVersion,
    propagation: Propagation,
    hand: &Hand,
) -> Result<Deleted, Refusal> {
    let mut options = Value::default();
    options.set_at(&["apiVersion"], "v1".into());
    options.set_at(&["kind"], "DeleteOptions".into());
    options.set_at(&["preconditions", "uid"], observed.uid.clone().into());
    options.set_at(&["preconditions", "resourceVersion"], observed.resource_version.clone().into());
    let policy = match propagation {
        Propagation::Foreground => "Foreground",
        Propagation::Background => "Background",
        Propagation::Orphan => "Orphan",
    };
    options.set_at(&["propagationPolicy"], policy.into());
    match hand.mode {
        Mode::Real => {}
        Mode::DryRun => options.set_at(&["dryRun"], Value::List(vec!["All".into()])),
    }
    let answer = send(wire, place, Method::DELETE, &place.path(), BodyKind::Json, &options, hand).await?;
    let object = parse(&answer).map_err(|error| place.refusal(error))?;
    let waiting = object.at(&["metadata", "deletionTimestamp"]).is_some();
    Ok(if waiting { Deleted::Waiting } else { Deleted::Gone })
}

impl PatchOperation {
    fn to_value(&self) -> Value {
        let (operation, pointer, value) = match self {
            Self::Test { pointer, value } => ("test", pointer, Some(value)),
            Self::Replace { pointer, value } => ("replace", pointer, Some(value)),
            Self::Add { pointer, value } => ("add", pointer, Some(value)),
            Self::Remove { pointer } => ("remove", pointer, None),
        };
        let fields = [("op", Value::from(operation)), ("path", Value::from(pointer.as_str()))];
        let value = value.map(|value| ("value", value.clone()));
        Value::Map(fields.into_iter().chain(value).collect::<Map>())
    }
}

async fn send(
    wire: &Wire,
    place: Place<'_>,
    method: Method,
    path: &str,
    kind: BodyKind,
    body: &Value,
    hand: &Hand,
) -> Result<Answer, Refusal> {
    let verb = if method == Method::DELETE { "Delete" } else { "Patch" };
    let sent = wire.write(method, path, kind, body.to_json().into_bytes()).await;
    hand.tally.count(&place, verb, hand.mode, &sent);
    sent.map_err(|error| match kind {
        BodyKind::JsonPatch => Refusal::of_json_patch(error, &place.kind.gvk),
        BodyKind::Json | BodyKind::MergePatch | BodyKind::StrategicMergePatch | BodyKind::Apply => {
            place.refusal(error)
        }
    })
}

fn parse(answer: &Answer) -> Result<Value, WireError> {
    Value::from_json(&answer.body).map_err(|error| WireError::Unreadable {
        message: format!("line {}, column {}", error.line, error.column),
    })
}

fn accepted(answer: &Answer, effect: impl FnOnce(&LiveVersion) -> Effect) -> Result<Accepted, Refusal> {
    let unknown = || Refusal::AnswerUnknown { message: "the answer could not be read".to_owned() };
    let object = parse(answer).map_err(|_| unknown())?;
    let field = |name: &str| object.str_at(&["metadata", name]).map(Text::from);
    let (Some(uid), Some(resource_version)) = (field("uid"), field("resourceVersion")) else {
        // A dry-run create has no resourceVersion yet.
        let version =
            LiveVersion { uid: field("uid").unwrap_or_default(), resource_version: Text::default() };
        return Ok(Accepted { effect: effect(&version), version, object });
    };
    let version = LiveVersion { uid, resource_version };
    Ok(Accepted { effect: effect(&version), version, object })
}

fn changed_since(observed: &LiveVersion, version: &LiveVersion) -> Effect {
    if version == observed { Effect::Unchanged } else { Effect::Changed }
}
