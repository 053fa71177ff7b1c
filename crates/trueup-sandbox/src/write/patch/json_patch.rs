//! JSON patch (RFC 6902), with the deviations of the library that the API server uses: `remove` of an absent key fails,
//! `replace` of an absent key of a map adds it, a negative index counts from the end, `test` of an absent key equals `null`.

use trueup_object::{Map, Value};

use super::{PatchError, json_type};

/// The server refuses longer patches.
const OPERATIONS_MAX: usize = 10_000;

/// What all copies of a patch may add together, in bytes of JSON (`JSONPatchMaxCopyBytes`): a few of them that copy each other would
/// else fill any memory.
const COPIED_MAX: usize = 3 * 1024 * 1024;

/// Applies a JSON patch.
pub fn json_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Some(operations) = patch.as_list() else {
        return Err(PatchError::Malformed(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
            json_type(patch)
        )));
    };
    if operations.len() > OPERATIONS_MAX {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
            operations.len()
        )));
    }
    if let Some(other) = operations.iter().find(|operation| operation.as_map().is_none()) {
        let found = json_type(other);
        return Err(PatchError::Malformed(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type handlers.jsonPatchOp"
        )));
    }
    let mut result = document.clone();
    let mut copied = 0;
    for operation in operations {
        apply(&mut result, operation, &mut copied)?;
    }
    Ok(result)
}

/// `n_copied`: the bytes that copies have added so far.
fn apply(document: &mut Value, operation: &Value, n_copied: &mut usize) -> Result<(), PatchError> {
    let path = |key: &str| {
        operation
            .get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| does_not_apply(format!("operation has no {key:?}")))
            .and_then(Pointer::parse)
    };
    let value = || operation.get("value").cloned().unwrap_or_default();
    match operation.str_at(&["op"]).unwrap_or_default() {
        "add" => add(document, &path("path")?, value()),
        "remove" => remove(document, &path("path")?).map(|_| ()),
        "replace" => replace(document, &path("path")?, value()),
        "move" => {
            let moved = remove(document, &path("from")?)?;
            add(document, &path("path")?, moved)
        }
        "copy" => {
            let from = path("from")?;
            // Where only the last key is missing, the library copies nothing at all.
            let parents = from.split_last().map(|(_, parents)| parents).unwrap_or_default();
            let found = match (find(document, &from.tokens), find(document, parents)) {
                (Some(value), _) => value,
                (None, Some(Value::Map(_))) => &Value::Null,
                (None, _) => {
                    return Err(does_not_apply(format!("copy from a missing path: {}", from.text)));
                }
            };
            let to = path("path")?;
            *n_copied += found.to_json().len();
            if *n_copied > COPIED_MAX {
                return Err(does_not_apply(format!(
                    "Unable to complete the copy, the accumulated size increase of copies is {n_copied}, exceeding the limit {COPIED_MAX}"
                )));
            }
            let copied = found.clone();
            add(document, &to, copied)
        }
        "test" => test(document, &path("path")?, &value()),
        other => Err(does_not_apply(format!("Unexpected kind: {other}"))),
    }
}

/// A JSON pointer, decoded.
struct Pointer<'a> {
    text: &'a str,
    tokens: Vec<String>,
}

impl<'a> Pointer<'a> {
    fn parse(text: &'a str) -> Result<Self, PatchError> {
        if text.is_empty() {
            return Ok(Self { text, tokens: Vec::new() });
        }
        // What stands before the first slash, nothing in a JSON pointer, is passed over.
        let Some((_, rest)) = text.split_once('/') else {
            return Err(does_not_apply(format!("not a JSON pointer: {text}")));
        };
        let tokens = rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { text, tokens })
    }

    /// The parent's tokens and the last one; `None` at the root.
    fn split_last(&self) -> Option<(&str, &[String])> {
        self.tokens.split_last().map(|(last, parents)| (last.as_str(), parents))
    }
}

fn does_not_apply(message: String) -> PatchError {
    PatchError::DoesNotApply(message)
}

fn missing(operation: &str, pointer: &Pointer<'_>) -> PatchError {
    does_not_apply(format!("{operation} operation does not apply: doc is missing path: {}", pointer.text))
}

/// The index that a token means in a list of this length; `None` where it is none or outside.
fn index(token: &str, length: usize) -> Option<usize> {
    let index: i64 = token.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let counted = if index < 0 { index + length } else { index };
    usize::try_from(counted).ok().filter(|_| counted < length)
}

fn find<'v>(document: &'v Value, tokens: &[String]) -> Option<&'v Value> {
    tokens.iter().try_fold(document, |value, token| match value {
        Value::Map(map) => map.get(token),
        Value::List(items) => items.get(index(token, items.len())?),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => None,
    })
}

fn find_mut<'v>(document: &'v mut Value, tokens: &[String]) -> Option<&'v mut Value> {
    tokens.iter().try_fold(document, |value, token| match value {
        Value::Map(map) => map.get_mut(token),
        Value::List(items) => {
            let index = index(token, items.len())?;
            items.get_mut(index)
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => None,
    })
}

/// The map or list that a parent path leads to.
enum Container<'v> {
    Map(&'v mut Map),
    List(&'v mut Vec<Value>),
}

fn container<'v>(document: &'v mut Value, tokens: &[String]) -> Option<Container<'v>> {
    match find_mut(document, tokens)? {
        Value::Map(map) => Some(Container::Map(map)),
        Value::List(items) => Some(Container::List(items)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => None,
    }
}

fn add(document: &mut Value, pointer: &Pointer<'_>, value: Value) -> Result<(), PatchError> {
    let Some((last, parents)) = pointer.split_last() else {
        return Err(missing("add", pointer));
    };
    match container(document, parents).ok_or_else(|| missing("add", pointer))? {
        Container::Map(map) => {
            map.insert(last, value);
        }
        Container::List(items) if last == "-" => items.push(value),
        Container::List(items) => {
            let position = index(last, items.len() + 1)
                .ok_or_else(|| does_not_apply(format!("Unable to access invalid index: {last}")))?;
            items.insert(position, value);
        }
    }
    Ok(())
}

fn remove(document: &mut Value, pointer: &Pointer<'_>) -> Result<Value, PatchError> {
    let Some((last, parents)) = pointer.split_last() else {
        return Err(missing("remove", pointer));
    };
    match container(document, parents).ok_or_else(|| missing("remove", pointer))? {
        Container::Map(map) => map
            .remove(last)
            .ok_or_else(|| does_not_apply(format!("Unable to remove nonexistent key: {last}"))),
        Container::List(items) => index(last, items.len())
            .map(|position| items.remove(position))
            .ok_or_else(|| does_not_apply(format!("Unable to access invalid index: {last}"))),
    }
}

fn replace(document: &mut Value, pointer: &Pointer<'_>, value: Value) -> Result<(), PatchError> {
    let Some((last, parents)) = pointer.split_last() else {
        *document = value;
        return Ok(());
    };
    match container(document, parents).ok_or_else(|| missing("replace", pointer))? {
        Container::Map(map) => {
            map.insert(last, value);
        }
        Container::List(items) => {
            let position = index(last, items.len()).ok_or_else(|| missing("replace", pointer))?;
            items[position] = value;
        }
    }
    Ok(())
}

fn test(document: &Value, pointer: &Pointer<'_>, expected: &Value) -> Result<(), PatchError> {
    let failed = || does_not_apply(format!("testing value {} failed", pointer.text));
    let Some((last, parents)) = pointer.split_last() else {
        return if document == expected { Ok(()) } else { Err(failed()) };
    };
    let found = match find(document, parents) {
        Some(Value::Map(map)) => map.get(last),
        Some(Value::List(items)) => {
            let position = index(last, items.len()).ok_or_else(failed)?;
            items.get(position)
        }
        Some(Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) | None => {
            return Err(missing("test", pointer));
        }
    };
    if found.unwrap_or(&Value::Null) == expected { Ok(()) } else { Err(failed()) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        Value::from_json(text.as_bytes()).unwrap()
    }

    fn patched(document: &str, patch: &str) -> Result<String, PatchError> {
        json_patch(&json(document), &json(patch)).map(|value| value.to_json())
    }

    #[test]
    fn operations_change_maps_and_lists() {
        let patch = r#"[
            {"op":"add","path":"/a/-","value":3},
            {"op":"add","path":"/a/0","value":0},
            {"op":"replace","path":"/b","value":{"c":1}},
            {"op":"copy","from":"/b/c","path":"/d"},
            {"op":"move","from":"/b","path":"/e"},
            {"op":"remove","path":"/a/-1"}
        ]"#;
        assert_eq!(patched(r#"{"a":[1,2],"b":2}"#, patch).unwrap(), r#"{"a":[0,1,2],"d":1,"e":{"c":1}}"#);
    }

    #[test]
    fn escaped_tokens_are_decoded() {
        let patch = r#"[{"op":"remove","path":"/m/a~1b~0c"}]"#;
        assert_eq!(patched(r#"{"m":{"a/b~c":1}}"#, patch).unwrap(), r#"{"m":{}}"#);
    }

    #[test]
    fn a_test_holds_or_stops_the_patch() {
        let ok = r#"[{"op":"test","path":"/a","value":1.0},{"op":"test","path":"/gone","value":null}]"#;
        assert_eq!(patched(r#"{"a":1}"#, ok).unwrap(), r#"{"a":1}"#);
        let wrong = r#"[{"op":"test","path":"/a","value":2}]"#;
        assert!(matches!(patched(r#"{"a":1}"#, wrong), Err(PatchError::DoesNotApply(_))));
    }

    #[test]
    fn copies_of_copies_do_not_fill_the_memory() {
        let copies = r#"{"op":"copy","from":"","path":"/b"},{"op":"copy","from":"","path":"/c"},"#.repeat(40);
        let patch = format!(r#"[{copies}{{"op":"test","path":"/a","value":1}}]"#);
        let Err(PatchError::DoesNotApply(message)) = patched(r#"{"a":1}"#, &patch) else {
            panic!("it applies")
        };
        assert!(message.contains("exceeding the limit 3145728"), "{message}");
    }

    #[test]
    fn missing_paths_are_refused() {
        for patch in [
            r#"[{"op":"remove","path":"/x"}]"#,
            r#"[{"op":"add","path":"/x/y","value":1}]"#,
            r#"[{"op":"add","path":"/a/7","value":1}]"#,
            r#"[{"op":"replace","path":"/a/7","value":1}]"#,
            r#"[{"op":"frobnicate","path":"/a"}]"#,
            r#"[{"op":"add","value":1}]"#,
        ] {
            assert!(matches!(patched(r#"{"a":[]}"#, patch), Err(PatchError::DoesNotApply(_))), "{patch}");
        }
    }

    #[test]
    fn what_is_not_a_list_of_operations_is_malformed() {
        assert!(matches!(patched("{}", "{}"), Err(PatchError::Malformed(_))));
        assert!(matches!(patched("{}", "[1]"), Err(PatchError::Malformed(_))));
    }
}
