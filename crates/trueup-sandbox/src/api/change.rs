//! Creating, updating and patching: the write pipeline between a read and an optimistic commit.

use std::sync::Arc;

use trueup_object::Value;
use trueup_object::value::Text;

use super::read::name_of;
use super::size::refuse_large;
use super::{Api, Target, shown_as};
use crate::admission::builtin;
use crate::http::credentials::User;
use crate::state::{Commit, CommitError, Name, ResourceId, revision_of};
use crate::status::ApiStatus;
use crate::storage_class::{default_class, storage_classes};
use crate::write::{self, FieldValidation, Other, Others, PatchKind, WriteOutcome, WriteRequest, WriteVerb};

/// A create, update or patch.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub target: Target<'a>,
    pub verb: WriteVerb,
    pub body: &'a [u8],
    pub content_type: &'a str,
    pub field_manager: Option<&'a str>,
    pub user_agent: &'a str,
    pub force: bool,
    /// As the request gives it; unknown fields are warned of where it does not.
    pub field_validation: Option<FieldValidation>,
    pub dry_run: bool,
    /// Who makes it, where it is not the server.
    pub user: Option<&'a User>,
}

/// A proposed object as mutating admission left it, and the live one that it was proposed for.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub live: Option<Arc<Value>>,
    pub object: Value,
    /// Of the object that the change creates.
    pub uid: Arc<str>,
}

/// What a change left.
#[derive(Debug)]
pub struct Changed {
    /// What the client is told: the object, or what a subresource speaks.
    pub response: Value,
    pub created: bool,
    pub warnings: Vec<String>,
    /// For the audit log.
    pub notes: Vec<(String, String)>,
}

/// How often a change is computed anew when others are faster, as often as the server does for patches.
const N_ATTEMPTS: usize = 5;

/// What a change proposes, before anybody admits it.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub live: Option<Arc<Value>>,
    pub object: Value,
    /// The id that the object gets where the change creates it; what the server makes up follows from it.
    pub uid: Arc<str>,
    /// What the body gives cause for, such as fields that nobody knows.
    pub warnings: Vec<String>,
}

impl Api {
    /// Makes a change, or (dry run) only says what it would leave.
    pub fn change(&self, change: &Change<'_>) -> Result<Changed, ApiStatus> {
        let kind = &change.target.served.kind;
        let mut last = None;
        for _ in 0..N_ATTEMPTS {
            let live =
                change.target.name.and_then(|_| self.stored(change.target.served, &change.target.key()));
            self.refuse_impossible(change, live.is_some())?;
            let filled_in = self.filled_in(change, live.is_some())?;
            let outcome = self.compute(change, live.as_deref(), filled_in.as_ref())?;
            self.charge(change, live.as_deref(), &outcome)?;
            if change.dry_run || !outcome.changed {
                self.refuse_existing(change, &outcome)?;
                return Ok(Changed::from(outcome));
            }
            let name = name_of(&outcome.object);
            let warnings = outcome.warnings.clone();
            match self.commit(change, &name, live.as_deref(), outcome) {
                Ok(changed) => {
                    if kind.group_kind().is("apiextensions.k8s.io", "CustomResourceDefinition") {
                        self.definition_written(&name);
                    }
                    return Ok(changed);
                }
                Err(CommitError::Exists) if change.verb == WriteVerb::Create => {
                    // A generated name that is taken is tried again; a given one is refused.
                    last = Some(self.taken(change, &name, warnings));
                    if names_it(change) {
                        break;
                    }
                }
                Err(CommitError::Exists | CommitError::Missing | CommitError::Changed) => {
                    last = Some(ApiStatus::modified(kind, &name.name));
                }
            }
        }
        Err(last.unwrap_or_else(|| ApiStatus::internal("no attempt was made")))
    }

    /// A write that the server makes by itself.
    pub(super) fn change_as_server(
        &self,
        target: Target<'_>,
        verb: WriteVerb,
        object: &Value,
    ) -> Result<Changed, ApiStatus> {
        self.change(&Change {
            target,
            verb,
            body: &body_of(object),
            content_type: "application/json",
            field_manager: Some("kube-apiserver"),
            user_agent: "kube-apiserver",
            force: false,
            field_validation: Some(FieldValidation::Ignore),
            dry_run: false,
            user: None,
        })
    }

    /// The object that a create or update gives, with the defaults of its kind; None for patches and for what is no object.
    pub(crate) fn requested(&self, change: &Change<'_>) -> Option<Value> {
        let is_whole = matches!(change.verb, WriteVerb::Create | WriteVerb::Update);
        if !is_whole || change.target.subresource == Some("scale") {
            return None;
        }
        let (others, all) = (self.others(), self.all());
        let given =
            Given { schemas: self.schemas(), uid: String::new(), others: Others { one: &others, all: &all } };
        write::requested(self.request(change, None, None, &given))
    }

    /// What a change proposes, and for which live object, before anybody admits it.
    pub fn propose(&self, change: &Change<'_>) -> Result<Proposal, ApiStatus> {
        let live = change.target.name.and_then(|_| self.stored(change.target.served, &change.target.key()));
        self.refuse_impossible(change, live.is_some())?;
        let (others, all) = (self.others(), self.all());
        let given = Given {
            schemas: self.schemas(),
            uid: self.ids().uid().to_string(),
            others: Others { one: &others, all: &all },
        };
        let request = self.request(change, live.as_deref(), None, &given);
        let (mut object, warnings) = write::propose(request)?;
        if live.is_none() {
            builtin::fill_in(self, change, &mut object);
        }
        Ok(Proposal { live, object, uid: given.uid.as_str().into(), warnings })
    }

    /// A new pod as limit ranges fill it in, where there are any.
    fn filled_in(&self, change: &Change<'_>, exists: bool) -> Result<Option<Admitted>, ApiStatus> {
        if !builtin::fills_in(self, change, exists) {
            return Ok(None);
        }
        let Proposal { live, object, uid, .. } = self.propose(change)?;
        Ok(Some(Admitted { live, object, uid }))
    }

    /// Takes what a change uses from the quotas of its namespace, unless it only asks what would be.
    fn charge(
        &self,
        change: &Change<'_>,
        live: Option<&Value>,
        outcome: &WriteOutcome,
    ) -> Result<(), ApiStatus> {
        for _ in 0..N_ATTEMPTS {
            let charged = builtin::charge(self, change, live, &outcome.object)?;
            if change.dry_run || charged.iter().all(|quota| self.store_charged(quota)) {
                return Ok(());
            }
        }
        let name = name_of(&outcome.object);
        Err(ApiStatus::modified(&change.target.served.kind, &name.name))
    }

    /// Whether a quota could be stored as it is after a change: not where somebody else was faster.
    fn store_charged(&self, quota: &Value) -> bool {
        let kinds = self.registry().kinds();
        let Some(served) = kinds.resource("", "v1", "resourcequotas") else { return true };
        let name = name_of(quota);
        let target =
            Target { subresource: Some("status"), ..Target::object(served, &name.namespace, &name.name) };
        self.change_as_server(target, WriteVerb::Update, quota).is_ok()
    }

    /// The object that an admitted change would leave, for those who judge it before it is stored.
    pub fn preview(&self, change: &Change<'_>, admitted: &Admitted) -> Result<Value, ApiStatus> {
        let dry_run = Change { dry_run: true, ..*change };
        let outcome = self.compute(&dry_run, admitted.live.as_deref(), Some(admitted))?;
        Ok(outcome.response)
    }

    /// Makes a change that was admitted; nothing where the live object is another by now.
    pub fn change_admitted(
        &self,
        change: &Change<'_>,
        admitted: &Admitted,
    ) -> Result<Option<Changed>, ApiStatus> {
        let kind = &change.target.served.kind;
        let live = change.target.name.and_then(|_| self.stored(change.target.served, &change.target.key()));
        if live.as_deref().map(revision_of) != admitted.live.as_deref().map(revision_of) {
            return Ok(None);
        }
        let outcome = self.compute(change, live.as_deref(), Some(admitted))?;
        self.charge(change, live.as_deref(), &outcome)?;
        if change.dry_run || !outcome.changed {
            self.refuse_existing(change, &outcome)?;
            return Ok(Some(Changed::from(outcome)));
        }
        let name = name_of(&outcome.object);
        let warnings = outcome.warnings.clone();
        match self.commit(change, &name, live.as_deref(), outcome) {
            Ok(changed) => {
                if kind.group_kind().is("apiextensions.k8s.io", "CustomResourceDefinition") {
                    self.definition_written(&name);
                }
                Ok(Some(changed))
            }
            // A generated name that is taken is tried again; a given one is refused.
            Err(CommitError::Exists) if change.verb == WriteVerb::Create && names_it(change) => {
                Err(self.taken(change, &name, warnings))
            }
            Err(CommitError::Exists | CommitError::Missing | CommitError::Changed) => Ok(None),
        }
    }

    /// A create that is only tried is refused where the name is taken, as the real one would be.
    fn refuse_existing(&self, change: &Change<'_>, outcome: &WriteOutcome) -> Result<(), ApiStatus> {
        let name = name_of(&outcome.object);
        let taken = change.verb == WriteVerb::Create
            && self.store().get(&change.target.served.storage(), &name).is_some();
        if taken { Err(self.taken(change, &name, outcome.warnings.clone())) } else { Ok(()) }
    }

    /// The refusal of a name that another object has, with what there was to warn of.
    fn taken(&self, change: &Change<'_>, name: &Name, warnings: Vec<String>) -> ApiStatus {
        let mut status = ApiStatus::already_exists(&change.target.served.kind, &name.name);
        let holder = self.store().get(&change.target.served.storage(), name);
        if holder.is_some_and(|holder| holder.at(&["metadata", "deletionTimestamp"]).is_some()) {
            status.message = format!("object is being deleted: {}", status.message);
        }
        status.details.warnings = warnings;
        status
    }

    fn compute(
        &self,
        change: &Change<'_>,
        live: Option<&Value>,
        admitted: Option<&Admitted>,
    ) -> Result<WriteOutcome, ApiStatus> {
        let uid = admitted.map_or_else(|| self.ids().uid().to_string(), |admitted| admitted.uid.to_string());
        let (others, all) = (self.others(), self.all());
        let given = Given { schemas: self.schemas(), uid, others: Others { one: &others, all: &all } };
        let classes = match live {
            None if change.target.served.kind.group_kind().is("", "PersistentVolumeClaim") => {
                self.store().list(&storage_classes(), "").0
            }
            None | Some(_) => Vec::new(),
        };
        let object = admitted.map(|admitted| &admitted.object);
        let request = self.request(change, live, object, &given);
        let mut outcome = write::write(WriteRequest { default_class: default_class(&classes), ..request })?;
        let told = builtin::check(self, change, live, &outcome.object);
        let told = told.map_err(|refusal| refusal.after(outcome.warnings.clone()))?;
        outcome.warnings.extend(told.warnings);
        outcome.notes = told.notes;
        // A dry run never gets as far as etcd.
        if !change.dry_run {
            refuse_large(&change.target.served.kind, &outcome.object)?;
        }
        Ok(outcome)
    }

    /// The objects beside the one that is written.
    fn others(&self) -> impl Fn(Other<'_>) -> Option<Arc<Value>> {
        let store = self.store();
        move |other: Other<'_>| {
            let name = Name::new(other.namespace, other.name);
            store.get(&ResourceId::new(other.group, other.plural), &name)
        }
    }

    /// All objects of a resource.
    fn all(&self) -> impl Fn(&str, &str) -> Vec<Arc<Value>> {
        let store = self.store();
        move |group: &str, plural: &str| store.list(&ResourceId::new(group, plural), "").0
    }

    fn request<'a>(
        &self,
        change: &'a Change<'a>,
        live: Option<&'a Value>,
        admitted: Option<&'a Value>,
        given: &'a Given<'a>,
    ) -> WriteRequest<'a> {
        WriteRequest {
            verb: change.verb,
            kind: &change.target.served.kind,
            schemas: &given.schemas,
            subresource: change.target.subresource,
            namespace: change.target.namespace,
            name: change.target.name,
            body: change.body,
            content_type: change.content_type,
            field_manager: change.field_manager,
            user_agent: change.user_agent,
            force: change.force,
            dry_run: change.dry_run,
            field_validation: change.field_validation.unwrap_or(FieldValidation::Warn),
            now: self.clock().now(),
            uid: &given.uid,
            live,
            admitted,
            default_class: None,
            others: given.others,
            user: change.user,
        }
    }

    fn commit(
        &self,
        change: &Change<'_>,
        name: &Name,
        live: Option<&Value>,
        outcome: WriteOutcome,
    ) -> Result<Changed, CommitError> {
        let storage = change.target.served.storage();
        let WriteOutcome { object, mut response, created, warnings, notes, .. } = outcome;
        let object = stored_form(&storage, object, self);
        let committed = match live {
            None => self.store().commit(&storage, name, Commit::Create { object })?,
            Some(live) => {
                let revision = revision_of(live);
                if is_finished(&object) {
                    // The last finalizer went: the object goes with it, without having been stored once more.
                    self.store().commit(&storage, name, Commit::Delete { revision })?;
                    return Ok(Changed { response, created, warnings, notes });
                }
                self.store().commit(&storage, name, Commit::Replace { revision, object })?
            }
        };
        let version = committed.at(&["metadata", "resourceVersion"]).cloned().unwrap_or_default();
        response.set_at(&["metadata", "resourceVersion"], version);
        Ok(Changed { response, created, warnings, notes })
    }

    /// Refuses what cannot be changed or created, before the body is looked at.
    fn refuse_impossible(&self, change: &Change<'_>, exists: bool) -> Result<(), ApiStatus> {
        let kind = &change.target.served.kind;
        let name = change.target.name.unwrap_or_default();
        let creates = match change.verb {
            WriteVerb::Create => true,
            WriteVerb::Patch(PatchKind::Apply) => !exists && change.target.subresource.is_none(),
            WriteVerb::Update => !exists && creates_on_update(&change.target),
            WriteVerb::Patch(PatchKind::Json | PatchKind::Merge | PatchKind::Strategic) => false,
        };
        if creates {
            let refused = self.refuse_missing_namespace(change.target, name);
            // The body is read for its name only where a refusal wants it.
            return match change.target.name {
                None if refused.is_err() => {
                    self.refuse_missing_namespace(change.target, &name_in(change.body))
                }
                None | Some(_) => refused,
            };
        }
        if exists { Ok(()) } else { Err(ApiStatus::not_found(kind, name)) }
    }
}

/// What a write is given beside its request.
struct Given<'a> {
    schemas: Arc<trueup_merge::SchemaSet>,
    uid: String,
    others: Others<'a>,
}

/// The object as it is stored: a built-in kind's in its preferred version.
fn stored_form(storage: &ResourceId, object: Value, api: &Api) -> Value {
    let kinds = api.registry().kinds();
    let Some(owner) = kinds.preferred(storage).filter(|owner| owner.kind.is_builtin()) else { return object };
    if object.str_at(&["apiVersion"]) == Some(&owner.kind.gvk.api_version()) {
        return object;
    }
    shown_as(&object, &owner.kind)
}

/// An object that is being deleted and has nothing left to wait for.
pub(super) fn is_finished(object: &Value) -> bool {
    let held_by_namespace =
        object.str_at(&["kind"]) == Some("Namespace") && !object.list_at(&["spec", "finalizers"]).is_empty();
    // A pod may still take its time.
    let takes_time = object.int_at(&["metadata", "deletionGracePeriodSeconds"]).is_some_and(|it| it > 0);
    object.at(&["metadata", "deletionTimestamp"]).is_some_and(|time| !time.is_null())
        && !takes_time
        && object.list_at(&["metadata", "finalizers"]).is_empty()
        && !held_by_namespace
}

fn name_in(body: &[u8]) -> Text {
    let object = Value::from_json(body).unwrap_or_default();
    Text::from(object.str_at(&["metadata", "name"]).unwrap_or_default())
}

/// Whether a create gives the name, and does not leave it to the server.
fn names_it(change: &Change<'_>) -> bool {
    let is_generated = Value::from_json(change.body).is_ok_and(|object| {
        object.str_at(&["metadata", "name"]).is_none_or(str::is_empty)
            && object.str_at(&["metadata", "generateName"]).is_some_and(|prefix| !prefix.is_empty())
    });
    change.target.name.is_some() || !is_generated
}

/// The kinds whose strategy allows an update to create (`AllowCreateOnUpdate` in `k8s.io/kubernetes/pkg/registry`).
fn creates_on_update(target: &Target<'_>) -> bool {
    let kind = &target.served.kind;
    target.subresource.is_none()
        && matches!(
            (kind.gvk.group.as_str(), kind.plural.as_str()),
            ("", "events" | "endpoints" | "limitranges" | "services")
                | ("events.k8s.io", "events")
                | ("coordination.k8s.io", "leases" | "leasecandidates")
                | ("node.k8s.io", "runtimeclasses")
                | (
                    "rbac.authorization.k8s.io",
                    "roles" | "rolebindings" | "clusterroles" | "clusterrolebindings"
                )
        )
}

/// The body of a change made by the server itself.
pub(crate) fn body_of(object: &Value) -> Vec<u8> {
    object.to_json().into_bytes()
}

impl From<WriteOutcome> for Changed {
    fn from(outcome: WriteOutcome) -> Self {
        let WriteOutcome { response, created, warnings, notes, .. } = outcome;
        Self { response, created, warnings, notes }
    }
}

impl Changed {
    /// The object that was left, shared.
    pub fn into_object(self) -> Arc<Value> {
        Arc::new(self.response)
    }
}
