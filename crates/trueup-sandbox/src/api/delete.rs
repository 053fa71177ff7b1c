//! Deleting: preconditions, finalizers, propagation.

use std::sync::Arc;
use std::time::Duration;

use trueup_object::value::Text;
use trueup_object::{Timestamp, Value};

use super::change::is_finished;
use super::{Api, Target};
use crate::clock::wire_time;
use crate::kind::KindInfo;
use crate::state::{Commit, CommitError, revision_of};
use crate::status::{ApiStatus, StatusCause};

/// What becomes of an object's dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay and lose their owner.
    Orphan,
}

/// What a delete asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    pub propagation: Option<Propagation>,
    pub uid: Option<Text>,
    pub revision: Option<Text>,
    /// How long a pod may take to end; its own spec says it where this does not.
    pub grace_seconds: Option<i64>,
    pub dry_run: bool,
    /// Asked for by `orphanDependents: false`, which is older than propagation.
    pub takes_dependents: bool,
}

/// What a delete left.
#[derive(Debug, Clone)]
pub enum Deleted {
    /// The object is gone; this was its last state.
    Gone(Arc<Value>),
    /// The object waits for its finalizers.
    Waiting(Arc<Value>),
}

/// The finalizers that stand for a propagation.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";

/// What keeps a CustomResourceDefinition until its objects are gone.
pub(super) const DEFINITION_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How often a delete is tried again when others are faster.
const N_ATTEMPTS: usize = 16;

impl DeleteOptions {
    /// From a request's body (a `DeleteOptions` object).
    pub fn parse(body: &Value) -> Result<Self, ApiStatus> {
        let text = |keys: &[&str]| body.str_at(keys).map(Text::from);
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        let propagation = match (text(&["propagationPolicy"]).as_deref(), orphan) {
            (Some("Background"), None) => Some(Propagation::Background),
            (Some("Foreground"), None) => Some(Propagation::Foreground),
            (Some("Orphan"), None) | (None, Some(true)) => Some(Propagation::Orphan),
            (None, Some(false)) => Some(Propagation::Background),
            (None, None) => None,
            (Some(_), Some(_)) => {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                let value = body.get("propagationPolicy").cloned().unwrap_or_default();
                let cause = StatusCause::invalid("propagationPolicy", &value, detail);
                return Err(ApiStatus::invalid_options("DeleteOptions", vec![cause]));
            }
            (Some(other), None) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                let cause = StatusCause::not_supported("propagationPolicy", &Value::from(other), &supported);
                return Err(ApiStatus::invalid_options("DeleteOptions", vec![cause]));
            }
        };
        let dry_run = body.list_at(&["dryRun"]);
        if dry_run.iter().any(|value| value.as_str() != Some("All")) {
            let given = Value::List(dry_run.to_vec());
            let cause = StatusCause::not_supported("dryRun", &given, &["All"]);
            return Err(ApiStatus::invalid_options("DeleteOptions", vec![cause]));
        }
        Ok(Self {
            propagation,
            uid: text(&["preconditions", "uid"]),
            revision: text(&["preconditions", "resourceVersion"]),
            grace_seconds: body.int_at(&["gracePeriodSeconds"]),
            dry_run: !dry_run.is_empty(),
            takes_dependents: orphan == Some(false),
        })
    }
}

impl Propagation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

impl DeleteOptions {
    /// As admission is told of them: what is not given is not there, but for a pod's grace, which is worked out before.
    pub(crate) fn to_value(&self, kind: &KindInfo, live: &Value) -> Value {
        let mut options = Value::default();
        options.set_at(&["kind"], "DeleteOptions".into());
        options.set_at(&["apiVersion"], "meta.k8s.io/v1".into());
        let is_pod = kind.group_kind().is("", "Pod");
        let seconds = if is_pod { Some(grace_seconds(kind, self, live)) } else { self.grace_seconds };
        if let Some(seconds) = seconds {
            options.set_at(&["gracePeriodSeconds"], seconds.into());
        }
        // A namespace is deleted as the one that was found.
        let is_namespace = kind.group_kind().is("", "Namespace");
        let found = live.str_at(&["metadata", "uid"]).filter(|_| is_namespace).map(Text::from);
        let uid = self.uid.clone().or(found);
        for (field, given) in [("uid", &uid), ("resourceVersion", &self.revision)] {
            if let Some(text) = given {
                options.set_at(&["preconditions", field], text.clone().into());
            }
        }
        if let Some(propagation) = self.propagation {
            options.set_at(&["propagationPolicy"], propagation.as_str().into());
        }
        if self.dry_run {
            options.set_at(&["dryRun"], Value::List(vec!["All".into()]));
        }
        options
    }
}

impl Api {
    /// Deletes one object, or marks it to be deleted when its finalizers are done.
    pub fn delete(&self, target: Target<'_>, options: &DeleteOptions) -> Result<Deleted, ApiStatus> {
        for _ in 0..N_ATTEMPTS {
            let live = self.to_delete(target, options)?;
            if let Some(deleted) = self.delete_live(target, options, &live)? {
                return Ok(deleted);
            }
        }
        Err(ApiStatus::modified(&target.served.kind, target.name.unwrap_or_default()))
    }

    /// The object that a delete is about, where it may be deleted as far as the delete itself says.
    pub(crate) fn to_delete(
        &self,
        target: Target<'_>,
        options: &DeleteOptions,
    ) -> Result<Arc<Value>, ApiStatus> {
        let kind = &target.served.kind;
        let name = target.name.unwrap_or_default();
        self.refuse_protected(kind, name)?;
        let Some(live) = self.store().get(&target.served.storage(), &target.key()) else {
            return Err(ApiStatus::not_found(kind, name));
        };
        options.check(kind, name, &live)?;
        Ok(live)
    }

    /// Deletes an object as it was found; nothing where it is another by now.
    pub(crate) fn delete_live(
        &self,
        target: Target<'_>,
        options: &DeleteOptions,
        live: &Arc<Value>,
    ) -> Result<Option<Deleted>, ApiStatus> {
        match self.delete_once(target, options, live) {
            Ok(deleted) => Ok(Some(deleted)),
            Err(CommitError::Missing) => {
                Err(ApiStatus::not_found(&target.served.kind, target.name.unwrap_or_default()))
            }
            Err(CommitError::Changed | CommitError::Exists) => Ok(None),
        }
    }

    fn delete_once(
        &self,
        target: Target<'_>,
        options: &DeleteOptions,
        live: &Arc<Value>,
    ) -> Result<Deleted, CommitError> {
        let kind = &target.served.kind;
        let (storage, key) = (target.served.storage(), target.key());
        let revision = revision_of(live);
        let marked = self.marked(kind, options, live);
        if is_finished(&marked) {
            if options.dry_run {
                let is_pod = kind.group_kind().is("", "Pod");
                return Ok(Deleted::Gone(if is_pod { Arc::new(marked) } else { live.clone() }));
            }
            // Pods end gracefully, if only for a moment: they are marked first.
            let mut revision = revision;
            let is_marked = live.str_at(&["metadata", "deletionTimestamp"]).is_some();
            if kind.group_kind().is("", "Pod") && !is_marked {
                let commit = Commit::Replace { revision, object: marked };
                revision = revision_of(&*self.store().commit(&storage, &key, commit)?);
            }
            let gone = self.store().commit(&storage, &key, Commit::Delete { revision })?;
            if kind.group_kind().is("apiextensions.k8s.io", "CustomResourceDefinition") {
                self.refresh_definitions();
            }
            return Ok(Deleted::Gone(gone));
        }
        if options.dry_run || marked == **live {
            return Ok(Deleted::Waiting(Arc::new(marked)));
        }
        self.store()
            .commit(&storage, &key, Commit::Replace { revision, object: marked })
            .map(Deleted::Waiting)
    }

    /// The object as it is while its deletion is pending.
    fn marked(&self, kind: &KindInfo, options: &DeleteOptions, live: &Value) -> Value {
        let mut marked = live.clone();
        let is_deleting = live.str_at(&["metadata", "deletionTimestamp"]).is_some();
        let is_held = !live.list_at(&["spec", "finalizers"]).is_empty();
        if is_deleting && is_held && kind.group_kind().is("", "Namespace") {
            // It goes as it was first told to.
            return marked;
        }
        let mut finalizers: Vec<Value> = live.list_at(&["metadata", "finalizers"]).to_vec();
        // Of namespaces the older option means what it says.
        let takes = options.takes_dependents && kind.group_kind().is("", "Namespace");
        let asked = if takes { Some(Propagation::Foreground) } else { options.propagation };
        if let Some(propagation) = asked.or_else(|| default_propagation(kind, live)) {
            finalizers.retain(|finalizer| !matches!(finalizer.as_str(), Some(FOREGROUND | ORPHAN)));
            match propagation {
                Propagation::Background => {}
                Propagation::Foreground => finalizers.push(FOREGROUND.into()),
                Propagation::Orphan => finalizers.push(ORPHAN.into()),
            }
        }
        let is_definition = kind.group_kind().is("apiextensions.k8s.io", "CustomResourceDefinition");
        if is_definition
            && !is_deleting
            && !finalizers.iter().any(|item| item.as_str() == Some(DEFINITION_CLEANUP))
        {
            finalizers.push(DEFINITION_CLEANUP.into());
        }
        if finalizers.is_empty() {
            marked.remove_at(&["metadata", "finalizers"]);
        } else {
            marked.set_at(&["metadata", "finalizers"], Value::List(finalizers));
        }
        if !is_deleting {
            // These two have a way of being deleted of their own.
            if is_definition || kind.group_kind().is("", "Namespace") {
                self.mark_time(&mut marked, 0);
                marked.remove_at(&["metadata", "deletionGracePeriodSeconds"]);
                if !is_definition {
                    marked.set_at(&["status", "phase"], "Terminating".into());
                }
                return marked;
            }
            self.mark_time(&mut marked, grace_seconds(kind, options, live));
            if let Some(generation) = live.int_at(&["metadata", "generation"]).filter(|number| *number > 0) {
                marked.set_at(&["metadata", "generation"], Value::Int(generation + 1));
            }
        } else {
            // A grace period that has begun can be made shorter only.
            let seconds = grace_seconds(kind, options, live);
            if seconds < live.int_at(&["metadata", "deletionGracePeriodSeconds"]).unwrap_or_default() {
                self.mark_time(&mut marked, seconds);
            }
        }
        marked
    }

    /// When the object is to be gone.
    fn mark_time(&self, marked: &mut Value, grace_seconds: i64) {
        let grace = Duration::from_secs(u64::try_from(grace_seconds).unwrap_or_default());
        let time = self.clock().now().checked_add(grace).unwrap_or(Timestamp::MAX);
        marked.set_at(&["metadata", "deletionTimestamp"], wire_time(time).into());
        marked.set_at(&["metadata", "deletionGracePeriodSeconds"], Value::Int(grace_seconds));
    }
}

/// How long an object may take to end: only pods do, and only those that run somewhere (`CheckGracefulDelete` of the pods'
/// strategy).
fn grace_seconds(kind: &KindInfo, options: &DeleteOptions, live: &Value) -> i64 {
    if !kind.group_kind().is("", "Pod") || !kind.is_builtin() {
        return 0;
    }
    let nowhere = live.str_at(&["spec", "nodeName"]).is_none_or(str::is_empty);
    if nowhere || matches!(live.str_at(&["status", "phase"]), Some("Failed" | "Succeeded")) {
        return 0;
    }
    let own = live.int_at(&["spec", "terminationGracePeriodSeconds"]).unwrap_or_default();
    let asked = options.grace_seconds.unwrap_or(own);
    if asked < 0 { 1 } else { asked }
}

impl DeleteOptions {
    fn check(&self, kind: &KindInfo, name: &str, live: &Value) -> Result<(), ApiStatus> {
        let uid = live.str_at(&["metadata", "uid"]).unwrap_or_default();
        let revision = live.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
        // Namespaces are compared by their own code, which has words of its own.
        let is_namespace = kind.group_kind().is("", "Namespace");
        for (what, wanted, found, since) in [
            ("UID", &self.uid, uid, "been deleted and then recreated"),
            ("ResourceVersion", &self.revision, revision, "been modified"),
        ] {
            let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) else { continue };
            if is_namespace {
                let detail = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                return Err(ApiStatus::conflict(kind, name, &detail));
            }
            let detail = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have \
                 {since}"
            );
            return Err(precondition_failed(kind, name, &detail));
        }
        Ok(())
    }
}

/// The server names the kind here where it otherwise names the resource.
fn precondition_failed(kind: &KindInfo, name: &str, detail: &str) -> ApiStatus {
    let mut status = ApiStatus::conflict(kind, name, detail);
    status.message = format!("Operation cannot be fulfilled on {} {name:?}: {detail}", kind.qualified_kind());
    status.details.kind = kind.gvk.kind.clone();
    status
}

/// What an object's own finalizers say, else the kind's default: a Job made before propagation existed orphaned its pods,
/// and `batch/v1` keeps that.
fn default_propagation(kind: &KindInfo, live: &Value) -> Option<Propagation> {
    let finalizers = live.list_at(&["metadata", "finalizers"]);
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer.as_str() == Some(name));
    if has(FOREGROUND) || has(ORPHAN) {
        return None;
    }
    let orphans = kind.group_kind().is("batch", "Job") || kind.group_kind().is("", "ReplicationController");
    orphans.then_some(Propagation::Orphan)
}
