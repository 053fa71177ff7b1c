//! What a create, update or patch does to `managedFields`.

use trueup_object::{ManagedFields, ManagedOperation, Value};

use crate::compare::compare;
use crate::managers::{Entry, Managers, Writer, with_managed_fields, without_managed_fields};
use crate::ownership::{nobodys, with_empty_structs, zero_object};
use crate::reconcile::reconcile;
use crate::schema::TypeRef;

/// The object that a create (`live` is `None`), update or patch leaves, with its managed fields worked out.
///
/// `new` is the whole object as it is to be stored. Who owned a field that it changes or removes loses it; the writer
/// owns what it changed or added. A write that only removes fields gives the writer no entry.
pub fn update(live: Option<&Value>, new: &Value, writer: &Writer, ty: TypeRef<'_>) -> Value {
    let managers = starting_managers(live, new, writer);
    let object = without_managed_fields(new);
    let exists =
        live.is_some_and(|live| live.str_at(&["metadata", "uid"]).is_some_and(|uid| !uid.is_empty()));
    if managers.entries.is_empty() && exists {
        // Whoever emptied the managed fields switched the tracking off; only an apply switches it on again.
        return with_managed_fields(object, Managers::default());
    }
    let before = live.map_or_else(|| zero_object(ty), without_managed_fields);
    let managers = updated(&before, &object, managers, writer, ty);
    with_managed_fields(object, managers)
}

/// The managers after `before` became `after`.
pub(crate) fn updated(
    before: &Value,
    after: &Value,
    managers: Managers,
    writer: &Writer,
    ty: TypeRef<'_>,
) -> Managers {
    let mut managers = reconcile(managers, ty);
    let (before, after) = (with_empty_structs(before, ty), with_empty_structs(after, ty));
    let changes = compare(&before, &after, ty).without(&writer.reset);
    managers.take(&changes, None);
    let own = changes.written().difference(nobodys());
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
    managers
}

/// The managers that a write starts from: those that the new object brings along, where it may, else those of the live
/// one. An empty list, or one empty entry, is how a client asks to forget them.
fn starting_managers(live: Option<&Value>, new: &Value, writer: &Writer) -> Managers {
    let of_live = || Managers::of(live.map(ManagedFields::of).unwrap_or_default());
    if !writer.subresource.is_empty() {
        return of_live();
    }
    match new.at(&["metadata", "managedFields"]).and_then(Value::as_list) {
        Some([]) => Managers::default(),
        Some([Value::Map(only)]) if only.is_empty() => Managers::default(),
        _ => {
            let of_new = Managers::of(ManagedFields::of(new));
            if of_new.entries.is_empty() { of_live() } else { of_new }
        }
    }
}
