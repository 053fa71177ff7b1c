//! Managed fields written under an older schema, brought in line with the present one.
//!
//! What was granular and is atomic now is owned as a whole by everybody who owned a part. The other direction is left
//! alone, as the server does.

use trueup_object::{FieldSet, PathElement, Value};

use crate::conversion::{Kind, NotShown};
use crate::managers::Managers;
use crate::schema::{ListKind, Shape, TypeRef};
use crate::validate::Invalid;

/// `live` gives each entry the type of its version; an entry of a version that is not served stays as it is.
pub(crate) fn reconcile(
    mut managers: Managers,
    live: &Value,
    own: &str,
    kind: Kind<'_>,
) -> Result<Managers, Vec<Invalid>> {
    for entry in managers.entries.values_mut() {
        let shown = kind.show(live, &entry.api_version, own).map(Some).or_else(NotShown::unless_gone)?;
        if let Some((_, ty)) = shown {
            // Nearly always it is.
            if is_level(&entry.fields, ty) {
                debug_assert_eq!(entry.fields, level(&entry.fields, ty));
            } else {
                entry.fields = level(&entry.fields, ty);
            }
        }
    }
    Ok(managers)
}

/// Whether the set is in line with the type already.
fn is_level(set: &FieldSet, ty: TypeRef<'_>) -> bool {
    set.children().iter().all(|(element, below)| {
        let below_type = type_at(element, ty);
        !below.is_empty()
            && below_type.is_none_or(|below_type| !became_atomic(below_type) && is_level(below, below_type))
    })
}

/// The set in line with the type.
fn level(set: &FieldSet, ty: TypeRef<'_>) -> FieldSet {
    let mut result = FieldSet::new();
    for member in set.members() {
        result.insert(std::slice::from_ref(member));
    }
    for (element, below) in set.children() {
        if below.is_empty() {
            continue;
        }
        match type_at(element, ty) {
            Some(below_type) if became_atomic(below_type) => result.insert(std::slice::from_ref(element)),
            Some(below_type) => *result.child_mut(element) = level(below, below_type),
            None => *result.child_mut(element) = below.clone(),
        }
    }
    result
}

fn type_at<'a>(element: &PathElement, ty: TypeRef<'a>) -> Option<TypeRef<'a>> {
    match element {
        PathElement::Field(name) => ty.step(name).map(|step| step.ty),
        PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => {
            matches!(ty.shape(), Shape::List { .. }).then(|| ty.element())
        }
    }
}

fn became_atomic(ty: TypeRef<'_>) -> bool {
    match ty.shape() {
        Shape::List { kind, element: _ } => kind == ListKind::Atomic,
        Shape::Struct { atomic, .. } | Shape::Map { atomic, .. } => atomic,
        Shape::Scalar(_) | Shape::Untyped => false,
    }
}
