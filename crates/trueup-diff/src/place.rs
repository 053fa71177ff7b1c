//! Where a field path leads in one object.

use trueup_merge::TypeRef;
use trueup_object::{FieldPath, JsonPointer, PathElement, Text, Value};

use crate::align::ItemName;
use crate::spot::Spot;

/// Where a path leads in one object.
pub(crate) struct Place<'a> {
    pub value: Option<&'a Value>,
    /// As far as the object has the path; a missing item of a list is `-`.
    pub pointer: JsonPointer,
    pub spot: Spot<'a>,
}

/// Follows a path through an object of a type.
pub(crate) fn follow<'a>(object: &'a Value, path: &'a FieldPath, ty: TypeRef<'a>) -> Place<'a> {
    let mut place = Place { value: Some(object), pointer: JsonPointer::default(), spot: Spot::root(ty) };
    let mut tokens = Vec::with_capacity(path.elements().len());
    for element in path.elements() {
        let parent = place.value;
        match element {
            PathElement::Field(name) => {
                tokens.push(name.clone());
                place.value = parent.and_then(|parent| parent.get(name));
                place.spot = place.spot.child(name, parent);
            }
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => {
                let items = parent.and_then(Value::as_list).unwrap_or_default();
                let position = match element {
                    PathElement::Index(index) => (*index < items.len()).then_some(*index),
                    PathElement::Key(_) | PathElement::Value(_) | PathElement::Field(_) => items
                        .iter()
                        .enumerate()
                        .position(|(index, item)| ItemName::of(item, index, place.spot.ty).is(element)),
                };
                tokens.push(position.map_or_else(|| Text::from("-"), |index| Text::from(index.to_string())));
                place.value = position.and_then(|index| items.get(index));
                place.spot = place.spot.item();
            }
        }
    }
    place.pointer = JsonPointer::new(tokens);
    place
}

/// Whether `prefix` is the pointer or leads to a parent of it.
pub(crate) fn leads_to(prefix: &JsonPointer, pointer: &JsonPointer) -> bool {
    pointer.tokens().starts_with(prefix.tokens())
}

/// What leads on from a parent to what is below it.
pub(crate) fn onward(parent: &JsonPointer, pointer: &JsonPointer) -> Option<JsonPointer> {
    let tokens = pointer.tokens().strip_prefix(parent.tokens())?;
    (!tokens.is_empty()).then(|| JsonPointer::new(tokens.to_vec()))
}
