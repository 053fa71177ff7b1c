//! The objects of parameters that a binding gives to its policy.

use trueup_object::{Gvk, Value};

use super::Write;
use crate::state::Name;
use crate::write::selector_matches;

/// Why there are none: in words, and whether the policy as a whole is to blame or a binding.
pub(super) struct ParamProblem {
    pub(super) words: String,
    pub(super) is_of_policy: bool,
}

/// The parameters for one binding: one null where none are asked for, nothing where none are found and that is allowed.
pub(super) fn collect(
    write: &Write<'_>,
    policy: &Value,
    binding: &Value,
) -> Result<Vec<Value>, ParamProblem> {
    let wrong = |words: &str| Err(ParamProblem { words: words.to_owned(), is_of_policy: false });
    let Some(kind) = policy.at(&["spec", "paramKind"]).filter(|kind| !kind.is_null()) else {
        return Ok(vec![Value::Null]);
    };
    let text = |value: &Value, key: &str| value.str_at(&[key]).unwrap_or_default().to_owned();
    let (api_version, kind) = (text(kind, "apiVersion"), text(kind, "kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kinds = write.api.registry().kinds();
    let Some(served) = kinds.by_kind(&Gvk::new(group, version, &kind)) else {
        let slash = if api_version.contains('/') { "" } else { "/" };
        let words =
            format!("failed to find resource referenced by paramKind: '{slash}{api_version}, Kind={kind}'");
        return Err(ParamProblem { words, is_of_policy: true });
    };
    let Some(reference) = binding.at(&["spec", "paramRef"]).filter(|reference| !reference.is_null()) else {
        return Ok(vec![Value::Null]);
    };
    let given = text(reference, "namespace");
    let namespace = if served.kind.is_namespaced() {
        let own = write.change.target.namespace;
        match (given.is_empty(), own.is_empty()) {
            (false, _) => given,
            (true, false) => own.to_owned(),
            (true, true) => {
                return wrong(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources",
                );
            }
        }
    } else if given.is_empty() {
        String::new()
    } else {
        return wrong("paramRef.namespace must not be provided for a cluster-scoped `paramKind`");
    };
    let store = write.api.store();
    let name = text(reference, "name");
    let found: Vec<Value> = if name.is_empty() {
        let (objects, _) = store.list(&served.storage(), &namespace);
        let selector = reference.get("selector").cloned().unwrap_or_default();
        let selected =
            objects.iter().filter(|it| selector_matches(&selector, it.at(&["metadata", "labels"])));
        selected.map(|it| crate::api::shown_as(it, &served.kind)).collect()
    } else {
        let found = store.get(&served.storage(), &Name::new(&namespace, &name));
        found.iter().map(|it| crate::api::shown_as(it, &served.kind)).collect()
    };
    if found.is_empty() && reference.str_at(&["parameterNotFoundAction"]) == Some("Deny") {
        return wrong("no params found for policy binding with `Deny` parameterNotFoundAction");
    }
    Ok(found)
}
