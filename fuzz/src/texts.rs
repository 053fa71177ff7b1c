//! Readers of texts: YAML, JSON, sets of fields, amounts.

use trueup_object::quantity::{Quantity, equal_quantities};
use trueup_object::scalar::{equal_durations, equal_int_or_string, equal_times};
use trueup_object::yaml::read_documents;
use trueup_object::{FieldPath, FieldSet, FileOrigin, ManagedFields, Value, read_manifests};

/// What is read can be written and read again as the same, in both languages.
pub fn yaml(input: &[u8]) {
    for document in read_documents(input).into_iter().flatten() {
        written_and_read(&document.value);
    }
    let file = FileOrigin { repo: "r".into(), revision: "0".into(), path: "a.yaml".into() };
    let (manifests, _) = read_manifests(input, &file);
    for manifest in manifests {
        assert!(!manifest.gvk().kind.is_empty(), "an object has a kind");
    }
}

pub fn json(input: &[u8]) {
    if let Ok(value) = Value::from_json(input) {
        written_and_read(&value);
    }
}

fn written_and_read(value: &Value) {
    let json = value.to_json();
    assert_eq!(Value::from_json(json.as_bytes()).as_ref(), Ok(value), "{json}");
    assert_eq!(Value::from_json(value.to_json_pretty().as_bytes()).as_ref(), Ok(value), "{json}");
    let yaml = value.to_yaml();
    assert_eq!(Value::from_yaml(yaml.as_bytes()).as_ref(), Ok(value), "{yaml}");
}

/// One or two sets, each on a line.
pub fn fields_v1(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let mut read = || {
        let value = Value::from_json(lines.next()?).ok()?;
        let set = FieldSet::from_fields_v1(&value)?;
        let again = FieldSet::from_fields_v1(&set.to_fields_v1());
        assert_eq!(again.as_ref(), Some(&set), "what was read can be written and read");
        entries_survive(value);
        Some(set)
    };
    let Some(left) = read() else { return };
    let right = read().unwrap_or_default();
    let (both, all) = (left.intersection(&right), left.union(&right));
    assert_eq!(left.difference(&right).union(&both), left);
    assert_eq!(all, right.union(&left));
    for path in left.paths() {
        assert!(left.contains(path.elements()) && all.contains(path.elements()));
        assert!(!left.difference(&right).contains(path.elements()) || !right.contains(path.elements()));
        assert!(!path.to_string().is_empty());
    }
}

/// The set as an entry of an object.
fn entries_survive(fields: Value) {
    let mut entry = Value::default();
    entry.set_at(&["manager"], "somebody".into());
    entry.set_at(&["operation"], "Update".into());
    entry.set_at(&["apiVersion"], "v1".into());
    entry.set_at(&["fieldsType"], "FieldsV1".into());
    entry.set_at(&["fieldsV1"], fields);
    let mut object = Value::default();
    object.set_at(&["metadata", "managedFields"], Value::List(vec![entry]));
    let Ok(managed) = ManagedFields::decode(&object) else { return };
    object.set_at(&["metadata", "managedFields"], managed.to_value());
    assert_eq!(ManagedFields::decode(&object).as_ref(), Ok(&managed));
    assert_eq!(ManagedFields::of(&object), managed);
}

/// What is read as a path is printed as one that reads the same.
pub fn paths(input: &[u8]) {
    if let Ok(path) = FieldPath::parse(&String::from_utf8_lossy(input)) {
        let text = path.to_string();
        assert_eq!(FieldPath::parse(&text).ok().as_ref(), Some(&path), "{text}");
    }
}

/// Two amounts, each on a line: equality says the same in both directions, and a quantity equals itself.
pub fn equality(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (left, right) = text.split_once('\n').unwrap_or((&text, ""));
    let (left, right) = (Value::from(left), Value::from(right));
    let rules: [fn(&Value, &Value) -> bool; 4] =
        [equal_quantities, equal_durations, equal_times, equal_int_or_string];
    for (index, equal) in rules.into_iter().enumerate() {
        assert_eq!(equal(&left, &right), equal(&right, &left), "rule {index}: {left:?} {right:?}");
    }
    assert_eq!(Quantity::of(&left).is_ok(), equal_quantities(&left, &left), "{left:?}");
    if let (Ok(one), Ok(other)) = (Quantity::of(&left), Quantity::of(&right)) {
        assert!(!equal_quantities(&left, &right) || one.is_zero() == other.is_zero());
    }
}
