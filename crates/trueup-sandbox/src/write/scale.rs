//! The `/scale` subresource: what it shows of an object, and what writing it changes.
//!
//! The server updates the Scale by the ordinary rules and carries the result over to the object, which is why a new
//! owner's entry has no time and a field that nobody owned leaves no trace.

use trueup_merge::{scale_entries, with_scale_entries};
use trueup_object::{FieldPath, Gvk, ManagedFields, Map, Text, Value};

use super::strategy::Part;
use super::{Pipeline, WriteOutcome, WriteRequest, WriteVerb};
use crate::kind::{KindInfo, KindOrigin, ScalePaths, Scope};
use crate::status::{ApiStatus, StatusCause};

/// The Scale of an object; `None` where its kind has none.
pub fn scale_of(kind: &KindInfo, object: &Value) -> Option<Value> {
    let paths = kind.scale.as_ref()?;
    let mut scale = Value::Map(Map::new());
    scale.set_at(&["apiVersion"], "autoscaling/v1".into());
    scale.set_at(&["kind"], "Scale".into());
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.at(&["metadata", field]) {
            scale.set_at(&["metadata", field], value.clone());
        }
    }
    let number = |path: &[Text]| object.int_at(&keys(path)).unwrap_or_default();
    scale.set_at(&["spec"], Value::Map(Map::new()));
    let replicas = number(&paths.spec_replicas);
    if replicas != 0 {
        scale.set_at(&["spec", "replicas"], replicas.into());
    }
    scale.set_at(&["status", "replicas"], number(&paths.status_replicas).into());
    let selector = paths.label_selector.as_ref().and_then(|path| object.at(&keys(path)));
    // Of one kind the selector is labels and nothing else.
    let labels = kind.gvk.kind == *"ReplicationController";
    let wrapped = selector.filter(|_| labels).map(|selector| {
        let mut whole = Value::default();
        whole.set_at(&["matchLabels"], selector.clone());
        whole
    });
    let selector = wrapped.as_ref().or(selector);
    if let Some(text) = selector.map(selector_text).filter(|text| !text.is_empty()) {
        scale.set_at(&["status", "selector"], text.into());
    }
    Some(scale)
}

fn keys(path: &[Text]) -> Vec<&str> {
    path.iter().map(Text::as_str).collect()
}

/// A label selector as text: `app=web,tier in (a,b)`.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let labels = selector.get("matchLabels").and_then(Value::as_map);
    let mut parts: Vec<(String, String)> = labels
        .into_iter()
        .flat_map(Map::iter)
        .map(|(key, value)| (key.to_owned(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    for expression in selector.list_at(&["matchExpressions"]) {
        let key = expression.str_at(&["key"]).unwrap_or_default();
        let mut values: Vec<&str> =
            expression.list_at(&["values"]).iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let listed = values.join(",");
        let text = match expression.str_at(&["operator"]) {
            Some("In") => format!("{key} in ({listed})"),
            Some("NotIn") => format!("{key} notin ({listed})"),
            Some("DoesNotExist") => format!("!{key}"),
            Some(_) | None => key.to_owned(),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort();
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// Carries out a write to `/scale`.
pub(super) fn write(request: &WriteRequest<'_>) -> Result<WriteOutcome, ApiStatus> {
    let Some(paths) = request.kind.scale.as_ref() else {
        return Err(ApiStatus::not_found(request.kind, request.name.unwrap_or_default()));
    };
    let name = request.name.unwrap_or_default();
    let live = request.live.ok_or_else(|| ApiStatus::not_found(request.kind, name))?;
    let (proposed, mut warnings) = match request.admitted {
        Some(admitted) => (admitted.clone(), Vec::new()),
        None => proposed(request, &before(request, paths, live))?,
    };
    check(request, &proposed, live)?;
    let mut object = live.clone();
    let replicas = proposed.int_at(&["spec", "replicas"]).unwrap_or_default();
    object.set_at(&keys(&paths.spec_replicas), replicas.into());
    carry_over(request, paths, &mut object, &proposed, live);
    if let Some(version) = proposed.at(&["metadata", "resourceVersion"]) {
        object.set_at(&["metadata", "resourceVersion"], version.clone());
    }
    // From here on it is an update of the object itself, whoever made it.
    let whole = WriteRequest { verb: WriteVerb::Update, subresource: None, ..*request };
    let mut pipeline = Pipeline::new(&whole, Part::Main);
    let (object, changed) = pipeline.finish_update(object, live)?;
    let response = scale_of(request.kind, &object).unwrap_or_default();
    warnings.append(&mut pipeline.warnings);
    Ok(WriteOutcome { object, response, changed, created: false, warnings, notes: Vec::new() })
}

/// The Scale that a write proposes, before anybody admits it.
pub(super) fn propose(request: &WriteRequest<'_>) -> Result<(Value, Vec<String>), ApiStatus> {
    match (request.kind.scale.as_ref(), request.live) {
        (Some(paths), Some(live)) => proposed(request, &before(request, paths, live)),
        (None, _) | (_, None) => Err(ApiStatus::not_found(request.kind, request.name.unwrap_or_default())),
    }
}

/// The Scale of the live object, with its owners.
fn before(request: &WriteRequest<'_>, paths: &ScalePaths, live: &Value) -> Value {
    let replicas_path = FieldPath::fields(&keys(&paths.spec_replicas));
    let entries = scale_entries(&ManagedFields::of(live), &replicas_path);
    let mut before = scale_of(request.kind, live).unwrap_or_default();
    if !entries.entries.is_empty() {
        before.set_at(&["metadata", "managedFields"], entries.to_value());
    }
    before
}

/// The Scale itself as a kind: a client's request is read, patched and judged as one of any other.
fn scale_kind() -> KindInfo {
    KindInfo {
        gvk: Gvk::new("autoscaling", "v1", "Scale"),
        plural: "scales".into(),
        singular: "scale".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        // What a client says about it is not a write of it.
        has_status: true,
        scale: None,
        origin: KindOrigin::Builtin,
    }
}

/// The Scale that a write proposes, with its owners, and what its body gives cause to warn of.
fn proposed(request: &WriteRequest<'_>, before: &Value) -> Result<(Value, Vec<String>), ApiStatus> {
    let kind = scale_kind();
    let request = WriteRequest { kind: &kind, live: Some(before), ..*request };
    let mut pipeline = Pipeline::new(&request, Part::Main);
    let proposed = match request.verb {
        // Whether it is the object that is there is asked of the object.
        WriteVerb::Create | WriteVerb::Update => {
            pipeline.replacement().map(|scale| pipeline.owned(Some(before), scale))
        }
        WriteVerb::Patch(_) => pipeline.proposed(),
    };
    let mut scale = proposed.map_err(|refusal| pipeline.warned(refusal))?;
    if scale.int_at(&["spec", "replicas"]).unwrap_or_default() == 0 {
        scale.remove_at(&["spec", "replicas"]);
    }
    for path in [["status"].as_slice(), &["metadata", "creationTimestamp"]] {
        super::fields::copy_field(&mut scale, before, path);
    }
    Ok((scale, pipeline.warnings))
}

fn check(request: &WriteRequest<'_>, scale: &Value, live: &Value) -> Result<(), ApiStatus> {
    let name = request.name.unwrap_or_default();
    let given = scale.str_at(&["metadata", "uid"]).unwrap_or_default();
    let found = live.str_at(&["metadata", "uid"]).unwrap_or_default();
    if !given.is_empty() && given != found {
        let detail =
            format!("Precondition failed: UID in precondition: {given}, UID in object meta: {found}");
        return Err(ApiStatus::conflict(request.kind, name, &detail));
    }
    let replicas = scale.int_at(&["spec", "replicas"]).unwrap_or_default();
    if replicas < 0 {
        let cause =
            StatusCause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
        let message = format!("Scale.autoscaling {name:?} is invalid: {}: {}", cause.field, cause.message);
        let mut status = ApiStatus::invalid(request.kind, name, vec![cause]);
        status.message = message;
        status.details.kind = "Scale".into();
        status.details.group = "autoscaling".into();
        return Err(status);
    }
    Ok(())
}

/// The owners of the Scale's replicas become those of the object's.
fn carry_over(
    request: &WriteRequest<'_>,
    paths: &ScalePaths,
    object: &mut Value,
    scale: &Value,
    live: &Value,
) {
    let replicas = FieldPath::fields(&keys(&paths.spec_replicas));
    let version = request.kind.gvk.api_version();
    let fields = with_scale_entries(&ManagedFields::of(live), &ManagedFields::of(scale), &replicas, &version);
    if fields.entries.is_empty() {
        object.remove_at(&["metadata", "managedFields"]);
    } else {
        object.set_at(&["metadata", "managedFields"], fields.to_value());
    }
}
