//! What is applied or kept as one value.

use trueup_merge::TypeRef;
use trueup_merge::schema::{ListKind, Shape};
use trueup_object::{FieldPath, PathElement};

/// The atomic value that a path lies in, else the path itself. What is in an atomic value has no owner of its own: who
/// applies a part of it applies all of it.
pub fn unit(path: &FieldPath, ty: TypeRef<'_>) -> FieldPath {
    let mut ty = ty;
    let mut unit = FieldPath::root();
    for element in path.elements() {
        if is_atomic(ty, element) {
            return unit;
        }
        ty = match element {
            PathElement::Field(name) => match ty.field(name) {
                Some(field) => field.ty,
                None => TypeRef::untyped(),
            },
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => ty.element(),
        };
        unit.push(element.clone());
    }
    unit
}

/// Whether a value of a type is one value although a path leads into it. An item that is named by its index has no name
/// of its own, whatever its list is.
fn is_atomic(ty: TypeRef<'_>, inward: &PathElement) -> bool {
    let by_index = matches!(inward, PathElement::Index(_));
    match ty.shape() {
        Shape::List { kind: ListKind::Atomic, element: _ } => true,
        Shape::List { kind: ListKind::Set | ListKind::Map { .. }, element: _ } | Shape::Scalar(_) => by_index,
        Shape::Struct { atomic, open: _ } | Shape::Map { atomic, element: _ } => atomic,
        Shape::Untyped => by_index || ty.is_atomic(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_merge::SchemaSet;
    use trueup_object::Gvk;

    use super::*;

    fn of(path: &[&str]) -> String {
        let deployment = SchemaSet::builtin().lookup(&Gvk::new("apps", "v1", "Deployment")).unwrap();
        unit(&FieldPath::fields(path), deployment).to_string()
    }

    #[test]
    fn what_is_in_an_atomic_map_goes_with_it() {
        assert_eq!(
            of(&["spec", "template", "spec", "nodeSelector", "disk"]),
            ".spec.template.spec.nodeSelector"
        );
        assert_eq!(of(&["spec", "selector", "matchLabels", "app"]), ".spec.selector");
        assert_eq!(
            of(&["spec", "template", "metadata", "labels", "app"]),
            ".spec.template.metadata.labels.app"
        );
        assert_eq!(of(&["spec", "replicas"]), ".spec.replicas");
    }

    #[test]
    fn an_item_by_index_goes_with_its_list() {
        let mut path = FieldPath::fields(&["spec", "anything"]);
        path.push(PathElement::Index(1));
        path.push(PathElement::Field("name".into()));
        assert_eq!(unit(&path, TypeRef::untyped()).to_string(), ".spec.anything");
    }
}
