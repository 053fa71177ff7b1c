//! What a create, update or patch does to `managedFields`.

use trueup_object::{ManagedFields, ManagedOperation, Value};

use crate::conversion::{Changes, Kind, Write};
use crate::managers::{Entry, Managers, Writer, with_managed_fields, without_managed_fields};
use crate::ownership::{nobodys, zero_object};
use crate::reconcile::reconcile;
use crate::schema::TypeRef;
use crate::validate::{Invalid, stays_valid, validate_stored};

/// The object that a create (`live` is `None`), update or patch leaves, with its managed fields worked out.
///
/// `new` is the whole object as it is to be stored. Who owned a field that it changes or removes loses it; the writer
/// owns what it changed or added. A write that only removes fields gives the writer no entry.
pub fn update(live: Option<&Value>, new: &Value, writer: &Writer, ty: TypeRef<'_>) -> Value {
    update_versioned(live, new, writer, Kind::uniform(ty))
}

/// [`update`] for a kind whose versions may have other fields.
pub fn update_versioned(live: Option<&Value>, new: &Value, writer: &Writer, kind: Kind<'_>) -> Value {
    let managers = starting_managers(live, new, writer);
    let object = without_managed_fields(new);
    let exists =
        live.is_some_and(|live| live.str_at(&["metadata", "uid"]).is_some_and(|uid| !uid.is_empty()));
    if managers.entries.is_empty() && exists {
        // Whoever emptied the managed fields switched the tracking off; only an apply switches it on again.
        return with_managed_fields(object, Managers::default());
    }
    let before = live.map_or_else(|| zero_object(kind.ty), without_managed_fields);
    // What the server cannot read by its schema it stores all the same, and forgets who owns what.
    let stays_readable = || {
        let stays = stays_valid(&before, &object, kind.ty);
        debug_assert_eq!(stays, validate_stored(&object, kind.ty).is_empty());
        stays
    };
    let is_readable = match live {
        Some(_) => validate_stored(&before, kind.ty).is_empty() && stays_readable(),
        None => validate_stored(&object, kind.ty).is_empty(),
    };
    if !is_readable {
        return with_managed_fields(object, Managers::default());
    }
    // What cannot be seen in the version of some entry makes the server forget all entries.
    let managers = updated(&before, &object, managers, writer, kind).unwrap_or_default();
    with_managed_fields(object, managers)
}

/// The managers after `before` became `after`.
pub(crate) fn updated(
    before: &Value,
    after: &Value,
    managers: Managers,
    writer: &Writer,
    kind: Kind<'_>,
) -> Result<Managers, Vec<Invalid>> {
    let version = writer.api_version.as_str();
    let mut managers = reconcile(managers, before, version, kind)?;
    let write = Write { before, after, version, reset: &writer.reset };
    let changes = Changes::of_update(write, &managers, kind)?;
    managers.take(&changes, None);
    let own = changes.own.written().difference(nobodys());
    if !own.is_empty() {
        let identity = writer.identity(ManagedOperation::Update);
        let fields = match managers.entries.get(&identity) {
            Some(previous) => previous.fields.union(&own),
            None => own,
        };
        let entry = Entry { api_version: writer.api_version.clone(), time: writer.time(), fields };
        managers.entries.insert(identity, entry);
    }
    managers.cap();
    Ok(managers)
}

/// The managers that a write starts from: those that the new object brings along, where it may, else those of the live
/// one. An empty list, or one empty entry, is how a client asks to forget them.
fn starting_managers(live: Option<&Value>, new: &Value, writer: &Writer) -> Managers {
    // One entry that cannot be read, and the server forgets all of them.
    let of_live = || Managers::of(live.map(ManagedFields::decode).and_then(Result::ok).unwrap_or_default());
    if !writer.subresource.is_empty() {
        return of_live();
    }
    match new.at(&["metadata", "managedFields"]).and_then(Value::as_list) {
        Some([]) => Managers::default(),
        Some([Value::Map(only)]) if only.is_empty() => Managers::default(),
        _ => {
            let of_new = Managers::of(ManagedFields::decode(new).unwrap_or_default());
            if of_new.entries.is_empty() { of_live() } else { of_new }
        }
    }
}
