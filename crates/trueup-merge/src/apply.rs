//! Server-side apply: merging an applied configuration, removing what its manager no longer applies, and conflicts.

use trueup_object::{FieldSet, ManagedFields, ManagedOperation, Map, Text, Value};

use crate::conversion::{Changes, Kind, NotShown, Write};
use crate::last_applied;
use crate::managers::{
    Conflict, Entry, Managers, Writer, conflict_message, with_managed_fields, without_managed_fields,
};
use crate::merge::merge;
use crate::ownership::{all_fields, with_named_parents, zero_object};
use crate::reconcile::reconcile;
use crate::schema::TypeRef;
use crate::select::remove;
use crate::update::updated;
use crate::validate::{Invalid, join, validate, validate_stored};

/// What an apply leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The merged object with its new managed fields. An applied `null`, a declared zero value that the stored form
    /// drops, and a `null` where a map lost its last key while somebody still applies the (empty) map, stand in it:
    /// whoever stores the object normalises and defaults it (a built-in kind drops these nulls, a custom one refuses
    /// them unless nullable), then keeps times by [`crate::keep_times`].
    pub object: Value,
    /// Whether the object or who owns its fields differs from before; times alone do not count.
    pub changed: bool,
}

/// Why nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Other managers own fields that would change. Never empty.
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// The applied object does not fit its type. Never empty.
    #[error("failed to create typed patch object: {}", join(.0))]
    Invalid(Vec<Invalid>),
    /// The object that is there does not fit its type. Never empty.
    #[error("failed to create typed live object: {}", join(.0))]
    LiveInvalid(Vec<Invalid>),
    /// It does not fit its type in a version in which somebody wrote it. Never empty.
    #[error("{}", join(.0))]
    Inconvertible(Vec<Invalid>),
    /// The object carries managed fields that cannot be read.
    #[error("failed to decode managed fields: {0}")]
    Undecodable(String),
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsGiven,
}

/// Applies a configuration to an object (`None`: creates it).
///
/// Fields that the manager applied before, applies no longer and nobody else owns are removed. A field that another
/// manager owns and whose value would change is a conflict, unless `force` takes it over; an equal value makes the
/// manager an owner beside the other. Objects that carry no managed fields yet get an entry of the server's own
/// (`before-first-apply`) that owns everything there.
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer,
    force: bool,
    ty: TypeRef<'_>,
) -> Result<Applied, ApplyError> {
    apply_versioned(live, applied, writer, force, Kind::uniform(ty))
}

/// [`apply`] for a kind whose versions may have other fields.
pub fn apply_versioned(
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer,
    force: bool,
    kind: Kind<'_>,
) -> Result<Applied, ApplyError> {
    if applied.at(&["metadata", "managedFields"]).is_some_and(|fields| !fields.is_null()) {
        return Err(ApplyError::ManagedFieldsGiven);
    }
    let known = live.map(ManagedFields::decode).transpose().map_err(ApplyError::Undecodable)?;
    let invalid = validate(applied, kind.ty);
    if !invalid.is_empty() {
        return Err(ApplyError::Invalid(invalid));
    }
    let before = live.map_or_else(|| Value::Map(Map::new()), without_managed_fields);
    let unreadable = validate_stored(&before, kind.ty);
    if !unreadable.is_empty() {
        return Err(ApplyError::LiveInvalid(unreadable));
    }
    let mut managers = Managers::of(known.unwrap_or_default());
    if managers.entries.is_empty() && live.is_some() {
        let nobody =
            Writer { manager: trueup_object::FieldManager::new(BEFORE_FIRST_APPLY), ..writer.clone() };
        managers = updated(&zero_object(kind.ty), &before, managers, &nobody, kind)
            .map_err(ApplyError::Inconvertible)?;
    }
    let merged = attempt(&before, applied, managers.clone(), writer, force, kind);
    let (object, managers) = match merged {
        Err(ApplyError::Conflicts(conflicts)) if writer.manager.as_str() == last_applied::KUBECTL => {
            let open = last_applied::open_conflicts(&before, conflicts, writer, kind.ty);
            if !open.is_empty() {
                return Err(ApplyError::Conflicts(open));
            }
            attempt(&before, applied, managers, writer, true, kind)?
        }
        other => other?,
    };
    let object = last_applied::refresh(object, applied, writer);
    let object = with_managed_fields(object, managers);
    let changed = live.is_none_or(|live| differs(live, &object));
    Ok(Applied { object, changed })
}

/// Owns what was there before anybody applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

fn differs(live: &Value, object: &Value) -> bool {
    let owners = |object: &Value| {
        let mut fields = ManagedFields::of(object);
        fields.entries.iter_mut().for_each(|entry| entry.time = None);
        fields
    };
    without_managed_fields(live) != without_managed_fields(object) || owners(live) != owners(object)
}

fn attempt(
    before: &Value,
    applied: &Value,
    managers: Managers,
    writer: &Writer,
    force: bool,
    kind: Kind<'_>,
) -> Result<(Value, Managers), ApplyError> {
    let version = writer.api_version.as_str();
    let mut managers = reconcile(managers, before, version, kind).map_err(ApplyError::Inconvertible)?;
    let identity = writer.identity(ManagedOperation::Apply);
    let fields = all_fields(applied, kind.ty).recursive_difference(&writer.reset);
    let last = managers.entries.get(&identity).cloned();
    let time = last.as_ref().and_then(|last| last.time);
    let entry = Entry { api_version: writer.api_version.clone(), time, fields };
    managers.entries.insert(identity.clone(), entry);

    let merged = merge(before, applied, kind.ty);
    let after = match last {
        Some(last) if !last.fields.is_empty() => {
            let pruned = prune(&merged, &last, &managers, version, kind);
            let pruned = pruned.map(Some).or_else(NotShown::unless_gone);
            pruned.map_err(ApplyError::Inconvertible)?.unwrap_or(merged)
        }
        _ => merged,
    };
    let write = Write { before, after: &after, version, reset: &writer.reset };
    let changes = Changes::of_apply(write, &managers, kind).map_err(ApplyError::Inconvertible)?;
    if !force {
        let conflicts = managers.conflicts(&changes, &identity);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    managers.take(&changes, Some(&identity));
    if after != *before
        && let Some(entry) = managers.entries.get_mut(&identity)
    {
        entry.time = writer.time();
    }
    managers.strip(&identity);
    Ok((after, managers))
}

/// Removes what the manager applied last time, as far as nobody owns it now.
///
/// Parents that were there only for what is removed go with it; what stands below a removed field without belonging to
/// the manager keeps the field alive.
fn prune(
    merged: &Value,
    last: &Entry,
    managers: &Managers,
    own: &str,
    kind: Kind<'_>,
) -> Result<Value, NotShown> {
    let named = |object: &Value, ty: TypeRef<'_>| with_named_parents(&all_fields(object, ty), ty);
    let (merged, last_ty) = kind.show(merged, &last.api_version, own)?;
    let last_fields = with_named_parents(&last.fields, last_ty);
    let mut pruned = remove(&merged, &last_fields, last_ty);
    let mut whole = merged.clone().into_owned();
    for (version, owned) in owned_by_version(managers, &last.api_version, kind) {
        let (all, ty) = match kind.show(&whole, &version, own) {
            Ok(shown) => shown,
            Err(NotShown::Gone) => continue,
            Err(unfit) => return Err(unfit),
        };
        let (left, _) = kind.show(&pruned, &version, own)?;
        let kept = named(&left, ty).union(&with_named_parents(&owned, ty));
        let put_back = remove(&all, &named(&all, ty).difference(&kept), ty);
        whole = all.into_owned();
        pruned = put_back;
    }
    let (left, _) = kind.show(&pruned, &last.api_version, own)?;
    let gone = named(&merged, last_ty).difference(&named(&left, last_ty)).intersection(&last_fields);
    let result = remove(&merged, &gone, last_ty);
    kind.show(&result, own, own).map(|(result, _)| result.into_owned())
}

/// What anybody owns, by the version of the entries: first that of what is pruned, so that what conversion needs is there.
fn owned_by_version(managers: &Managers, first: &Text, kind: Kind<'_>) -> Vec<(Text, FieldSet)> {
    let mut owned: Vec<(Text, FieldSet)> = vec![(first.clone(), FieldSet::new())];
    for entry in managers.entries.values() {
        let same = |version: &Text| *version == entry.api_version || kind.is_uniform();
        match owned.iter_mut().find(|(version, _)| same(version)) {
            Some((_, fields)) => *fields = fields.union(&entry.fields),
            None => owned.push((entry.api_version.clone(), entry.fields.clone())),
        }
    }
    owned
}
