//! Requests for resources: which verb, which target, and the answer.

use std::time::Duration;

use http::header::ACCEPT;
use trueup_object::Gvk;

use super::options;
use super::path::ResourcePath;
use super::present::Presentation;
use super::reply::{Answer, JSON, Reply};
use super::serve::{Call, Front};
use super::verb::{Verb, selected_name};
use super::watching::Watching;
use super::{metrics, negotiate};
use crate::api::{ListOptions, RevisionMatch, Target, WriteRecord};
use crate::authorize::Deed;
use crate::faults::{Attributes, Interference, Reading, broken_off};
use crate::kind::KindInfo;
use crate::registry::ServedResource;
use crate::status::{ApiStatus, StatusReason};
use crate::write::{self, names};

/// That a kind has had its day is told before anything else but the format of a patch is looked at.
fn warn_deprecated(call: &Call, kind: &KindInfo, verb: Verb, reply: &mut Reply) {
    let Some(deprecation) = kind.deprecation() else { return };
    call.trail.annotate("k8s.io/deprecated", "true");
    if reply.code != 415 || verb != Verb::Patch {
        reply.warnings.insert(0, deprecation.to_owned());
    }
}

/// How long a watch lasts when the client gives no time; the real server draws between half an hour and an hour.
const WATCH_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// The longest that a watch lasts, whatever the client says.
const WATCH_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

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
    let nameless = served.filter(|served| !served.kind.is_builtin() && !leads_somewhere(served, path));
    if let (Some(served), Some(name), Some(_)) = (nameless, &path.name, &path.subresource) {
        // Of custom kinds the server looks for the object first.
        return Err(ApiStatus::not_found(&served.kind, name));
    }
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
            warn_deprecated(call, &served.kind, verb, &mut reply);
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

/// A request for a resource that is there.
pub(super) struct Handler<'a> {
    pub(super) front: &'a Front,
    pub(super) call: &'a Call,
    pub(super) path: &'a ResourcePath,
    served: &'a ServedResource,
    pub(super) verb: Verb,
}

impl Handler<'_> {
    pub(super) fn target(&self) -> Target<'_> {
        Target {
            served: self.served,
            namespace: &self.path.namespace,
            name: self.path.name.as_deref(),
            subresource: self.path.subresource.as_deref(),
        }
    }

    pub(super) fn kind(&self) -> &KindInfo {
        &self.served.kind
    }

    pub(super) fn presentation(&self) -> Result<Presentation<'_>, ApiStatus> {
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
        if let Some(subresource) =
            self.path.subresource.as_deref().filter(|name| is_connection(self.kind(), name))
        {
            self.front.api.get(Target { subresource: None, ..self.target() })?;
            return Err(nothing_runs(subresource));
        }
        match self.verb {
            Verb::Get => self.get(fault).map(Answer::Whole),
            Verb::List => self.list(fault).map(Answer::Whole),
            Verb::Watch => self.watch().map(|watching| Answer::Watch(Box::new(watching))),
            Verb::Create | Verb::Update | Verb::Patch => self.change().await.map(Answer::Whole),
            Verb::Delete => self.delete().await.map(Answer::Whole),
            Verb::DeleteCollection => self.delete_collection().await.map(Answer::Whole),
        }
    }

    fn get(&self, fault: &Interference) -> Result<Reply, ApiStatus> {
        let presentation = self.presentation()?;
        let object = match fault {
            Interference::Stale(versions) => self.front.api.get_past(self.target(), *versions)?,
            _ => self.front.api.get(self.target())?,
        };
        match self.path.subresource.as_deref() {
            None | Some("status" | "approval" | "ephemeralcontainers" | "resize") => {
                Ok(Reply::text(200, JSON, presentation.object(&object)))
            }
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
            Some(other) => Err(nothing_runs(other)),
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
}

/// What is answered to whoever wants to speak with a container, a pod or a node.
fn nothing_runs(subresource: &str) -> ApiStatus {
    let message = format!("the sandbox runs no containers: nothing answers {subresource}");
    ApiStatus::new(501, StatusReason::MethodNotAllowed, message)
}

/// Whether a subresource leads to what runs.
fn is_connection(kind: &KindInfo, subresource: &str) -> bool {
    kind.is_builtin() && matches!(subresource, "exec" | "attach" | "portforward" | "proxy")
}

/// What `/scale` speaks.
fn scale_kind() -> Gvk {
    Gvk::new("autoscaling", "v1", "Scale")
}
