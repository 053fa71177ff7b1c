//! Both sides of one object's differences as text: the cluster as it is, and as it would be with Git's values.
//!
//! Only what counts differs between the two: what others own or rules ignore is the same on both. Everything is masked.

use trueup_api::difference::Difference;
use trueup_engine::look::ObjectComparison;
use trueup_object::{FieldPath, JsonPointer, Map, PathElement, Value};

use super::document::ObjectDocument;
use super::view::{Predicted, Sides, View};

/// The cluster's side and Git's; an object that one side has not is empty there.
pub fn of(object: &ObjectDocument, view: &View<'_>) -> (String, String) {
    // A status is shown where what Git declares of it differs.
    let status = object.differences.iter().any(|it| it.path.as_deref().is_some_and(is_of_status));
    let wanted = if status { Predicted::LeftWithStatus } else { Predicted::Left };
    let Sides { target, live, .. } = view.sides(&object.key, &object.gvk, wanted);
    let wanted = match (&live, &target) {
        (Some(live), Some(target)) => {
            with_gits_values(object, view.comparison.object(&object.key), live, target).to_yaml()
        }
        (None, Some(target)) => target.to_yaml(),
        (_, None) => String::new(),
    };
    (live.map(|live| live.to_yaml()).unwrap_or_default(), wanted)
}

fn is_of_status(path: &str) -> bool {
    path.strip_prefix(".status").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn with_gits_values(
    object: &ObjectDocument,
    comparison: Option<&ObjectComparison>,
    live: &Value,
    target: &Value,
) -> Value {
    let path_of = |difference: &Difference| -> Option<FieldPath> {
        let found = comparison?.differences.iter().chain(&comparison?.notes);
        found.into_iter().find(|it| it.id.as_str() == difference.id)?.path.clone()
    };
    let mut wanted = live.clone();
    let mut removed = Vec::new();
    for difference in &object.differences {
        let path = path_of(difference);
        let of_git = path.as_ref().and_then(|path| path.get_in(target)).or(difference.target.as_ref());
        match (of_git, path) {
            (Some(value), Some(path)) => put(&mut wanted, path.elements(), value),
            (_, _) => {
                removed.extend(difference.pointer.as_deref().and_then(|text| JsonPointer::parse(text).ok()))
            }
        }
    }
    // From the end, so that what is removed from a list moves nothing that is still to be removed.
    removed.sort_by_key(|pointer| std::cmp::Reverse(order(pointer)));
    for pointer in removed {
        pointer.remove(&mut wanted);
    }
    wanted
}

/// Indexes by their numbers, names by their text.
fn order(pointer: &JsonPointer) -> Vec<(usize, String)> {
    pointer.tokens().iter().map(|token| (token.parse().unwrap_or_default(), token.to_string())).collect()
}

/// Sets the value at a path; what is missing on the way is made.
fn put(value: &mut Value, path: &[PathElement], new: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = new.clone();
        return;
    };
    if let PathElement::Field(name) = first {
        if value.as_map().is_none() {
            *value = Value::Map(Map::new());
        }
        if let Some(map) = value.as_map_mut() {
            put(map.entry_or_null(name), rest, new);
        }
        return;
    }
    if value.as_list().is_none() {
        *value = Value::List(Vec::new());
    }
    let found = value.as_list().and_then(|items| items.iter().position(|item| is_item(first, item)));
    let Some(items) = value.as_list_mut() else { return };
    let index = match (first, found) {
        (PathElement::Index(index), _) if *index < items.len() => *index,
        (_, Some(found)) => found,
        (_, None) => {
            items.push(fresh(first));
            items.len() - 1
        }
    };
    if let Some(item) = items.get_mut(index) {
        put(item, rest, new);
    }
}

fn is_item(element: &PathElement, item: &Value) -> bool {
    match element {
        PathElement::Key(keys) => keys.iter().all(|(name, value)| item.get(name) == Some(value)),
        PathElement::Value(wanted) => item == wanted,
        PathElement::Index(_) | PathElement::Field(_) => false,
    }
}

fn fresh(element: &PathElement) -> Value {
    match element {
        PathElement::Key(keys) => {
            Value::Map(keys.iter().map(|(name, value)| (name, value.clone())).collect::<Map>())
        }
        PathElement::Value(value) => value.clone(),
        PathElement::Index(_) | PathElement::Field(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use trueup_object::KeyFields;

    use super::*;

    #[test]
    fn values_are_put_where_paths_lead() {
        let mut value = Value::from_yaml(b"{spec: {containers: [{name: a, image: x}]}}").unwrap();
        let container = |name: &str| {
            vec![
                PathElement::Field("spec".into()),
                PathElement::Field("containers".into()),
                PathElement::Key(KeyFields::new(vec![("name".into(), name.into())])),
                PathElement::Field("image".into()),
            ]
        };
        put(&mut value, &container("a"), &"y".into());
        put(&mut value, &container("b"), &"z".into());
        let expected = br#"{"spec":{"containers":[{"name":"a","image":"y"},{"name":"b","image":"z"}]}}"#;
        assert_eq!(value, Value::from_json(expected).unwrap());
    }

    #[test]
    fn later_items_go_first() {
        let pointers = ["/a/2", "/a/10", "/a/9/b"].map(|text| JsonPointer::parse(text).unwrap());
        let mut sorted = pointers.to_vec();
        sorted.sort_by_key(|pointer| std::cmp::Reverse(order(pointer)));
        assert_eq!(sorted, [pointers[1].clone(), pointers[2].clone(), pointers[0].clone()]);
    }
}
