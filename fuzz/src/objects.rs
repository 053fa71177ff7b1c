//! Whole objects: compared, masked, merged.

use trueup_diff::{
    CompareInput, Comparison, compare, equal, mask, normalise_live, normalise_target, predict, seal,
    sent_form, unowned_table,
};
use trueup_merge::{Managed, SchemaSet, TypeRef, Writer, apply, update};
use trueup_object::secret::{credentials, redact};
use trueup_object::yaml::read_documents;
use trueup_object::{FieldManager, Gvk, ManagedFields, Value, is_sensitive_name};

use crate::shaped;

pub(crate) const KEY: [u8; 32] = *b"a key that is only good in tests";

fn type_of(object: &Value) -> (TypeRef<'static>, bool) {
    let known = Gvk::of(object).and_then(|gvk| SchemaSet::builtin().lookup(&gvk));
    (known.unwrap_or_else(TypeRef::untyped), known.is_some())
}

/// A target, a live object, and where there is a third document, a base.
pub fn diff(input: &[u8]) {
    let mut documents = read_documents(input).into_iter().flatten().map(|document| document.value);
    let (Some(target), Some(live)) = (documents.next(), documents.next()) else { return };
    if Gvk::of(&target).is_some() {
        compared(&target, &live, documents.next().as_ref());
    }
}

/// Objects by the schema of a kind, so that what is compared is not refused at its first field.
pub fn diff_shaped(input: &[u8]) {
    let Some(made) = shaped::make(input) else { return };
    let comparison = compared(&made.target, &made.live, made.base.as_ref());
    if made.target.str_at(&["kind"]) == Some("Secret") {
        for found in comparison.findings.iter().chain(&comparison.untold) {
            let is_value = ["data", "stringData"].iter().any(|name| found.path.starts_with_fields(&[name]));
            let shown = [&found.target, &found.live, &found.base].into_iter().flatten();
            let shows = shown.map(|value| value.to_json()).any(|text| text.contains(shaped::MARK));
            assert!(!(is_value && shows), "a Secret's value is shown: {found:?}");
        }
    }
}

fn compared(target: &Value, live: &Value, base: Option<&Value>) -> Comparison {
    let (ty, schema_known) = type_of(target);
    let managed = Managed::of(live, ty);
    let ours = FieldManager::new(FieldManager::TRUEUP);
    let table = unowned_table(live, target, &managed, ty, &KEY, &[]);
    let input = CompareInput {
        target,
        live,
        base,
        managed: &managed,
        our_manager: &ours,
        ty,
        schema_known,
        ignore: &[],
        unowned: Some(&table),
        status: false,
        secrecy: (&KEY).into(),
    };
    let comparison = compare(&input);
    for found in comparison.findings.iter().chain(&comparison.untold) {
        assert!(!found.path.is_root(), "a difference is never the whole object");
        assert!(found.pointer.starts_with('/'), "{}", found.pointer);
    }
    assert_eq!(compare(&input), comparison, "comparing twice finds the same");
    let nobody = ManagedFields::default().into();
    let same = compare(&CompareInput { target: live, live, base: Some(live), managed: &nobody, ..input });
    assert!(same.findings.is_empty(), "compared with itself: {:?}", same.findings);
    let (once, live_once) = (normalise_target(target), normalise_live(live));
    assert_eq!(normalise_target(&once), once, "normalising twice is once");
    assert_eq!(normalise_live(&live_once), live_once, "normalising twice is once");
    assert_eq!(equal(Some(target), Some(live), ty), equal(Some(live), Some(target), ty));
    assert!(equal(Some(live), Some(live), ty), "a thing equals itself");
    let _ = sent_form(target);
    let _ = predict(live, target, &Writer::new("trueup", "v1", None), ty);
    comparison
}

/// Any text, and where it is YAML, the objects in it.
pub fn masks(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut end = 0;
    for range in credentials(&text) {
        assert!(end <= range.start && range.start < range.end && text.get(range.clone()).is_some());
        end = range.end;
    }
    let redacted = redact(&text);
    assert_eq!(redact(&redacted), redacted, "redacting twice is once");
    let _ = is_sensitive_name(&text);
    for document in read_documents(input).into_iter().flatten() {
        let (ty, _) = type_of(&document.value);
        let sealed = seal(&document.value, ty, &KEY);
        assert_eq!(seal(&sealed, ty, &KEY), sealed, "sealing twice is once");
        let masked = mask([&document.value, &document.value], ty, &KEY);
        assert_eq!(masked.first(), masked.last(), "the same has the same mask");
    }
}

/// An object and what is applied to it and written over it.
pub fn merge(input: &[u8]) {
    let mut documents = read_documents(input).into_iter().flatten().map(|document| document.value);
    let (Some(live), Some(applied)) = (documents.next(), documents.next()) else { return };
    let (ty, _) = type_of(&live);
    let writer = Writer::new("trueup", "v1", None);
    for force in [false, true] {
        let Ok(first) = apply(Some(&live), &applied, &writer, force, ty) else { continue };
        let again = apply(Some(&first.object), &applied, &writer, force, ty);
        assert!(again.is_ok_and(|again| !again.changed), "applying again changes nothing");
    }
    let _ = apply(None, &applied, &writer, false, ty);
    let _ = update(Some(&live), &applied, &writer, ty);
}
