//! Requests for resources: which verb, which target, and the answer.

use std::time::Duration;

use http::Method;
use http::header::ACCEPT;
use trueup_object::value::Map;
use trueup_object::{Gvk, Value};

use super::options;
use super::path::ResourcePath;
use super::present::Presentation;
use super::query::Query;
use super::reply::{Answer, JSON, Reply};
use super::serve::{Call, Front};
use super::watching::Watching;
use super::{metrics, negotiate, protobuf};
use crate::admission;
use crate::api::{Change, Deleted, ListOptions, RevisionMatch, Target, WriteRecord, pods};
use crate::authorize::Deed;
use crate::faults::{Attributes, Interference, Reading, broken_off};
use crate::kind::KindInfo;
use crate::registry::ServedResource;
use crate::status::{ApiStatus, StatusReason};
use crate::write::{self, PatchKind, WriteVerb, names};

/// How long a watch lasts when the client gives no time; the real server draws between half an hour and an hour.
const WATCH_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// The longest that a watch lasts, whatever the client says.
const WATCH_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    fn of(method: &Method, query: &Query, path: &ResourcePath) -> Option<Self> {
        let named = path.name.is_some();
        Some(match *method {
            Method::GET if query.flag("watch") => Self::Watch,
            Method::GET if named => Self::Get,
            Method::GET => Self::List,
            Method::POST if !named || path.subresource.is_some() => Self::Create,
            Method::PUT if named => Self::Update,
            Method::PATCH if named => Self::Patch,
            Method::DELETE if named => Self::Delete,
            Method::DELETE => Self::DeleteCollection,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::DeleteCollection)
    }

    fn is_write(self) -> bool {
        match self {
            Self::Get | Self::List | Self::Watch => false,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::DeleteCollection => true,
        }
    }
}

/// What a request for a resource is called.
pub(super) fn verb_of(method: &Method, query: &Query, path: &ResourcePath) -> Option<&'static str> {
    Verb::of(method, query, path).map(Verb::as_str)
}

/// The one name that a field selector limits a collection to.
pub(super) fn selected_name<'a>(verb: &str, query: &'a Query) -> &'a str {
    if !matches!(verb, "list" | "watch" | "deletecollection") {
        return "";
    }
    let selected = query
        .text("fieldSelector")
        .and_then(|selector| selector.split(',').find_map(|part| part.strip_prefix("metadata.name=")));
    selected.map_or("", |name| name.trim_start_matches('='))
}

/// Answers a request for a resource.
pub(super) async fn answer(front: &Front, call: &Call, path: &ResourcePath) -> Result<Answer, ApiStatus> {
    authorized(front, call, path)?;
    if metrics::serves(&front.metrics, path) {
        let selector = call.query.text("labelSelector");
        let reads = call.method == http::Method::GET;
        return metrics::answer(front, reads, selector, path).map(Answer::Whole);
    }
    if let Some(name) = path.name.as_deref() {
        let wrong = names::path_segment(name);
        if !wrong.is_empty() {
            let message = format!("Name parameter invalid: {name:?}: {}", wrong.join("; "));
            return Err(ApiStatus::bad_request(message));
        }
    }
    let kinds = front.api.registry().kinds();
    let served = kinds.resource(&path.group, &path.version, &path.resource);
    let Some(served) = served.filter(|served| leads_somewhere(served, path)) else {
        return if kinds.groups().iter().any(|group| group.name == path.group) {
            Err(ApiStatus::no_such_resource())
        } else {
            Ok(Answer::Whole(Reply::no_such_path()))
        };
    };
    let verb = Verb::of(&call.method, &call.query, path).filter(|verb| allowed(served, path, *verb));
    let verb = verb.ok_or_else(ApiStatus::no_such_method)?;
    let handler = Handler { front, call, path, served, verb };
    // From before the rules are asked: what hangs must not miss that they change while it is served.
    let changes = front.faults.changes();
    let plan = front.faults.before(&handler.attributes());
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    let answered = match &plan.then {
        Interference::Refuse(status) => Err(status.clone()),
        Interference::Hang { serve: false } => Ok(Answer::Whole(Reply::text(200, JSON, ""))),
        then => handler.answer(then).await,
    };
    let answer = answered.unwrap_or_else(|status| Answer::Whole(Reply::from(status)));
    match answer {
        Answer::Watch(watching) => Ok(Answer::Watch(watching)),
        Answer::Lost(mut reply) | Answer::Whole(mut reply) => {
            if let Some(deprecation) = served.kind.deprecation() {
                call.trail.annotate("k8s.io/deprecated", "true");
                reply.warnings.push(deprecation.to_owned());
            }
            let is_served = !matches!(plan.then, Interference::Hang { serve: false });
            if verb.is_write() && is_served {
                if reply.code < 300 && !verb.removes() {
                    reply.warnings.extend(served.kind.incomplete());
                }
                record(front, call, verb, reply.code);
            }
            Ok(match plan.then {
                Interference::Hang { .. } => {
                    front.hang(changes).await;
                    Answer::Lost(reply)
                }
                Interference::Cut => Answer::Lost(reply),
                Interference::None
                | Interference::Refuse(_)
                | Interference::Limit(_)
                | Interference::Stale(_) => Answer::Whole(reply),
            })
        }
    }
}

/// Whether the caller may do this, before anybody looks whether there is such a thing.
fn authorized(front: &Front, call: &Call, path: &ResourcePath) -> Result<(), ApiStatus> {
    let Some(verb) = Verb::of(&call.method, &call.query, path) else { return Ok(()) };
    // A namespace is asked about as if it were in itself, and a collection that a field selector limits to one name as that one.
    let is_namespace = path.resource == "namespaces" && path.group.is_empty();
    let name = path.name.as_deref().unwrap_or_default();
    let deed = Deed::Resource {
        verb: verb.as_str(),
        group: &path.group,
        resource: &path.resource,
        subresource: path.subresource.as_deref().unwrap_or_default(),
        namespace: if is_namespace { name } else { &path.namespace },
        name: if name.is_empty() { selected_name(verb.as_str(), &call.query) } else { name },
    };
    front.authorize(call, deed)
}

fn record(front: &Front, call: &Call, verb: Verb, code: u16) {
    front.api.record_write(WriteRecord {
        verb: verb.as_str().into(),
        path: call.path.clone(),
        user: call.user.name.clone(),
        user_agent: call.user_agent().to_owned(),
        code,
        dry_run: options::dry_run(&call.query, "").unwrap_or_default(),
    });
}

/// Whether there is such a subresource, and the path names a namespace where the kind has one. Collections of all namespaces
/// name none.
fn leads_somewhere(served: &ServedResource, path: &ResourcePath) -> bool {
    if path.subresource.as_deref().is_some_and(|name| served.subresource(name).is_none()) {
        return false;
    }
    match (served.kind.is_namespaced(), path.namespace.is_empty()) {
        (true, true) => path.name.is_none(),
        (true, false) | (false, true) => true,
        (false, false) => false,
    }
}

/// Whether discovery offers the verb on this resource or subresource. All namespaces at once are only read.
fn allowed(served: &ServedResource, path: &ResourcePath, verb: Verb) -> bool {
    if served.kind.is_namespaced() && path.namespace.is_empty() && verb.is_write() {
        // Reviews of access in a namespace aside, which name it in their body, nothing is written without one.
        return false;
    }
    match &path.subresource {
        None => served.serves(verb.as_str()),
        Some(name) => served
            .subresource(name)
            .is_some_and(|subresource| subresource.verbs.iter().any(|allowed| allowed == verb.as_str())),
    }
}

struct Handler<'a> {
    front: &'a Front,
    call: &'a Call,
    path: &'a ResourcePath,
    served: &'a ServedResource,
    verb: Verb,
}

impl Handler<'_> {
    fn target(&self) -> Target<'_> {
        Target {
            served: self.served,
            namespace: &self.path.namespace,
            name: self.path.name.as_deref(),
            subresource: self.path.subresource.as_deref(),
        }
    }

    fn kind(&self) -> &KindInfo {
        &self.served.kind
    }

    fn presentation(&self) -> Result<Presentation<'_>, ApiStatus> {
        let representation = negotiate::representation(self.call.header(ACCEPT))?;
        let is_table = representation == negotiate::Representation::Table;
        Ok(Presentation {
            kind: self.kind(),
            representation,
            include_object: options::include_object(&self.call.query, is_table)?,
            now: self.front.api.clock().now(),
        })
    }

    async fn answer(&self, fault: &Interference) -> Result<Answer, ApiStatus> {
        match self.verb {
            Verb::Get => self.get(fault).map(Answer::Whole),
            Verb::List => self.list(fault).map(Answer::Whole),
            Verb::Watch => self.watch().map(|watching| Answer::Watch(Box::new(watching))),
            Verb::Create | Verb::Update | Verb::Patch => self.change().await.map(Answer::Whole),
            Verb::Delete => self.delete().map(Answer::Whole),
            Verb::DeleteCollection => self.delete_collection().map(Answer::Whole),
        }
    }

    fn get(&self, fault: &Interference) -> Result<Reply, ApiStatus> {
        let presentation = self.presentation()?;
        let object = match fault {
            Interference::Stale(versions) => self.front.api.get_past(self.target(), *versions)?,
            _ => self.front.api.get(self.target())?,
        };
        match self.path.subresource.as_deref() {
            None | Some("status") => Ok(Reply::text(200, JSON, presentation.object(&object))),
            Some("scale") => {
                let scale = write::scale::scale_of(self.kind(), &object).ok_or_else(|| {
                    ApiStatus::internal(format!("{} has no replicas to scale", self.kind().qualified_kind()))
                })?;
                let kind = KindInfo { gvk: scale_kind(), ..self.kind().clone() };
                let presentation = Presentation { kind: &kind, ..presentation };
                Ok(Reply::text(200, JSON, presentation.object(&scale)))
            }
            // Nothing runs here, so nothing is logged.
            Some("log") => Ok(Reply::text(200, "text/plain", "")),
            Some(other) => Err(ApiStatus::new(
                501,
                StatusReason::MethodNotAllowed,
                format!("the sandbox has no subresource {other:?} to read"),
            )),
        }
    }

    fn attributes(&self) -> Attributes<'_> {
        let kind = self.kind();
        let query = &self.call.query;
        let revision = query.text("resourceVersion");
        Attributes {
            verb: self.verb.as_str(),
            group: &kind.gvk.group,
            version: &kind.gvk.version,
            plural: &kind.plural,
            kind: &kind.gvk.kind,
            namespace: &self.path.namespace,
            name: self.path.name.as_deref().unwrap_or_default(),
            user_agent: self.call.user_agent(),
            read: Reading {
                revision: revision.and_then(|text| text.parse().ok()).unwrap_or_default(),
                continues: query.text("continue").is_some(),
                is_paged: query.text("limit").is_some_and(|limit| limit != "0") && revision != Some("0"),
                is_initial: query.flag("sendInitialEvents"),
            },
        }
    }

    fn list(&self, fault: &Interference) -> Result<Reply, ApiStatus> {
        let presentation = self.presentation()?;
        let mut options = options::list(&self.call.query, self.kind())?;
        match fault {
            Interference::Limit(keep) => self.break_off(&mut options, *keep)?,
            Interference::Stale(versions) => {
                options.revision = Some(self.front.api.past_revision(*versions));
                options.revision_match = Some(RevisionMatch::Exact);
            }
            _ => {}
        }
        let listing = self.front.api.list(self.target(), &options)?;
        Ok(Reply::text(200, JSON, presentation.list(&listing)))
    }

    /// A fault that breaks a listing off: its first page is short, and the next one fails.
    fn break_off(&self, options: &mut ListOptions, keep: usize) -> Result<(), ApiStatus> {
        if !self.attributes().read.is_paged {
            let (objects, _) = self.front.api.store().list(&self.served.storage(), &self.path.namespace);
            return if objects.len() > keep { Err(broken_off()) } else { Ok(()) };
        }
        options.limit = options.limit.min(keep);
        Ok(())
    }

    fn watch(&self) -> Result<Watching, ApiStatus> {
        let presentation = self.presentation()?;
        let mut options = options::watch(&self.call.query, self.kind())?;
        if let Some(name) = &self.path.name {
            options.selector = options.selector.with_name(name);
        }
        let timeout = self.call.query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        let target = Target { name: None, ..self.target() };
        Ok(Watching {
            stream: self.front.api.watch(target, options),
            faults: self.front.faults.clone(),
            api: self.front.api.clone(),
            shutdown: self.front.shutdown.clone(),
            namespace: self.path.namespace.clone(),
            name: self.path.name.clone().unwrap_or_default(),
            user_agent: self.call.user_agent().to_owned(),
            read: self.attributes().read,
            is_gone: self.front.faults.watch_begins(&self.attributes()),
            representation: presentation.representation,
            include_object: presentation.include_object,
            timeout: timeout.map_or(WATCH_TIMEOUT, Duration::from_secs).min(WATCH_TIMEOUT_MAX),
        })
    }

    async fn change(&self) -> Result<Reply, ApiStatus> {
        let presentation = self.presentation()?;
        let verb = match self.verb {
            Verb::Create => WriteVerb::Create,
            Verb::Patch => WriteVerb::Patch(patch_kind(self.call.content_type(), self.kind())?),
            _ => WriteVerb::Update,
        };
        if self.verb != Verb::Patch {
            refuse_unknown_format(self.call.content_type(), self.kind())?;
            self.refuse_unreadable_scale()?;
        }
        let (target, call) = (self.target(), self.call);
        self.note_request(verb);
        if !is_review(self.kind())
            && let Some(done) = self.own_subresource(target)
        {
            return done.map(|answer| Reply::json(201, &answer));
        }
        let given = options::change(&call.query, verb)?;
        let change = Change {
            target,
            verb,
            body: &call.body,
            content_type: call.content_type(),
            field_manager: call.query.text("fieldManager"),
            user_agent: call.user_agent(),
            force: given.force,
            field_validation: given.field_validation,
            dry_run: given.dry_run,
        };
        if call.trail.is_followed()
            && let Some(object) = self.front.api.requested(&change)
        {
            call.trail.requests(&object);
        }
        if is_review(self.kind()) {
            // What a client says of the answer is nobody's.
            let mut asked = self.front.api.requested(&change).unwrap_or_default();
            asked.remove_at(&["status"]);
            let asked = asked.to_json();
            let body = if asked == "null" { change.body } else { asked.as_bytes() };
            let review = self.front.api.propose(&Change { body, ..change })?.object;
            let answer = if self.kind().gvk.kind == "TokenReview" {
                self.front.review_token(review)
            } else {
                self.front.api.review(self.kind(), &call.user, review)
            };
            return Ok(Reply::json(201, &answer));
        }
        let changed = admission::change(&self.front.api, &change, &call.user, &call.trail).await?;
        let code = if changed.created { 201 } else { 200 };
        let body = match self.path.subresource.as_deref() {
            // A scale has no columns of its own.
            Some("scale") => changed.response.to_json(),
            _ => presentation.object(&changed.response),
        };
        let mut reply = Reply::text(code, JSON, body);
        reply.warnings = changed.warnings;
        Ok(reply)
    }

    /// Notes a patch, or what is asked and not stored, as it was sent.
    fn note_request(&self, verb: WriteVerb) {
        let Call { trail, body, .. } = self.call;
        if !trail.is_followed() {
            return;
        }
        let read = Value::from_json(body).ok().or_else(|| write::yaml_document(body));
        match (verb, read) {
            (WriteVerb::Patch(_), Some(patch)) => trail.patches(&patch),
            (WriteVerb::Create | WriteVerb::Update, Some(object)) => trail.requests(&object),
            (_, None) => {}
        }
    }

    /// Notes the options of a delete, in the server's own version of them.
    fn note_options(&self) {
        let Call { trail, body, .. } = self.call;
        if !trail.is_followed() || body.is_empty() {
            return;
        }
        if let Ok(mut options) = Value::from_json(body) {
            options.set_at(&["apiVersion"], "meta.k8s.io/__internal".into());
            options.set_at(&["kind"], "DeleteOptions".into());
            trail.requests(&options);
        }
    }

    /// The server reads a scale before it looks for what is to be scaled.
    fn refuse_unreadable_scale(&self) -> Result<(), ApiStatus> {
        if self.path.subresource.as_deref() != Some("scale") || self.call.content_type().contains("yaml") {
            return Ok(());
        }
        write::decode::refuse_unreadable("Scale", &self.call.body)
    }

    /// What some subresources do in place of a write.
    fn own_subresource(&self, target: Target<'_>) -> Option<Result<Value, ApiStatus>> {
        let api = &self.front.api;
        let work: fn(&Self, Target<'_>, &Value) -> Result<Value, ApiStatus> =
            match (self.kind().plural.as_str(), target.subresource?) {
                ("pods", "eviction") => |it, target, body| it.front.api.evict_pod(target, body),
                ("pods", "binding") => |it, target, body| it.front.api.bind_pod(target, body),
                ("serviceaccounts", "token") => {
                    |it, target, body| it.front.issue_token(target, body, &it.call.trail)
                }
                _ => return None,
            };
        let body = match write::decode::json(&self.call.body) {
            Ok(body) => body,
            Err(error) => {
                let kind = match target.subresource? {
                    "eviction" => "Eviction",
                    "binding" => "Binding",
                    _ => "TokenRequest",
                };
                let message = format!("{}: {error}", write::decode::UNREADABLE);
                return Some(Err(write::decode::unrecognized(kind, &self.call.body, &message)));
            }
        };
        match options::dry_run(&self.call.query, "CreateOptions") {
            // A dry run says what would be refused for want of the object.
            Ok(true) => Some(api.get(Target { subresource: None, ..target }).map(|_| pods::success())),
            Ok(false) => Some(work(self, target, &body)),
            Err(status) => Some(Err(status)),
        }
    }

    fn delete(&self) -> Result<Reply, ApiStatus> {
        self.note_options();
        let options = options::delete(&self.call.query, &self.call.body)?;
        match self.front.api.delete(self.target(), &options)? {
            Deleted::Waiting(object) => Ok(Reply::json(200, &object)),
            Deleted::Gone(object) if returns_deleted(self.kind()) => Ok(Reply::json(200, &object)),
            Deleted::Gone(object) => Ok(Reply::json(200, &success(self.kind(), &object))),
        }
    }

    fn delete_collection(&self) -> Result<Reply, ApiStatus> {
        self.note_options();
        let presentation = self.presentation()?;
        let list = options::list(&self.call.query, self.kind())?;
        let options = options::delete(&self.call.query, &self.call.body)?;
        let mut listing = self.front.api.delete_collection(self.target(), &list, &options)?;
        if !self.kind().is_builtin() {
            // An untyped list says that it does not go on.
            listing.continue_token = Some(String::new());
        }
        Ok(Reply::text(200, JSON, presentation.list(&listing)))
    }
}

/// Kinds that are asked, not stored.
fn is_review(kind: &KindInfo) -> bool {
    matches!(kind.gvk.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
        && kind.gvk.kind.ends_with("Review")
}

/// What `/scale` speaks.
fn scale_kind() -> Gvk {
    Gvk::new("autoscaling", "v1", "Scale")
}

/// The kind of a patch, by its content type.
fn patch_kind(content_type: &str, kind: &KindInfo) -> Result<PatchKind, ApiStatus> {
    match media_type(content_type) {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        _ if kind.is_builtin() => {
            let message = "415: Unsupported Media Type";
            Err(ApiStatus::new(415, StatusReason::UnsupportedMediaType, message).as_generic())
        }
        _ => Err(ApiStatus::unsupported_media_type(&CUSTOM_PATCHES)),
    }
}

/// The patches that custom kinds take.
const CUSTOM_PATCHES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// Whole objects come as JSON or YAML (protobuf was read before); a body that does not say is JSON.
fn refuse_unknown_format(content_type: &str, kind: &KindInfo) -> Result<(), ApiStatus> {
    let accepted = ["application/json", "application/yaml", protobuf::PROTOBUF];
    let accepted = if kind.is_builtin() { &accepted[..] } else { &accepted[..2] };
    match media_type(content_type) {
        "" | "application/json" | "application/yaml" => Ok(()),
        _ => Err(ApiStatus::unsupported_media_type(accepted)),
    }
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The kinds whose deletion answers with the object instead of a status (`ReturnDeletedObject` in the server's registry).
fn returns_deleted(kind: &KindInfo) -> bool {
    matches!(
        (kind.gvk.group.as_str(), kind.plural.as_str()),
        (
            "",
            "namespaces"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "pods"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
                | "services"
        ) | (
            "storage.k8s.io",
            "csidrivers" | "csinodes" | "storageclasses" | "volumeattachments" | "volumeattributesclasses"
        ) | ("resource.k8s.io", _)
    )
}

fn success(kind: &KindInfo, object: &Value) -> Value {
    let mut details = Map::from_iter([
        ("kind", Value::from(kind.plural.clone())),
        ("name", object.at(&["metadata", "name"]).cloned().unwrap_or_default()),
        ("uid", object.at(&["metadata", "uid"]).cloned().unwrap_or_default()),
    ]);
    if !kind.gvk.group.is_empty() {
        details.insert("group", kind.gvk.group.clone().into());
    }
    Value::Map(Map::from_iter([
        ("apiVersion", Value::from("v1")),
        ("details", Value::Map(details)),
        ("kind", Value::from("Status")),
        ("metadata", Value::Map(Map::new())),
        ("status", Value::from("Success")),
    ]))
}
