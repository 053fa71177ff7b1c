//! `metadata.managedFields`: who wrote which fields, with which operation, when.

use jiff::Timestamp;

use crate::field::FieldSet;
use crate::identity::FieldManager;
use crate::value::{Text, Value};

/// How a manager wrote its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManagedOperation {
    Apply,
    Update,
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedEntry {
    pub manager: FieldManager,
    pub operation: ManagedOperation,
    /// Empty for writes to the object itself; else `status`, `scale`, ...
    pub subresource: Text,
    pub api_version: Text,
    /// When the entry last changed (1 s). Absent for `scale` writes.
    pub time: Option<Timestamp>,
    pub fields: FieldSet,
}

/// All entries of an object, in the order in which it lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedFields {
    pub entries: Vec<ManagedEntry>,
}

impl ManagedOperation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

impl ManagedFields {
    /// Reads `metadata.managedFields` of an object. An entry that cannot be read is left out: it belongs to nobody known.
    pub fn of(object: &Value) -> Self {
        let entries =
            object.list_at(&["metadata", "managedFields"]).iter().filter_map(ManagedEntry::parse).collect();
        Self { entries }
    }

    /// The entries of an object, or why the server could not read them: one that it cannot read spoils all.
    pub fn decode(object: &Value) -> Result<Self, String> {
        let entries = object.list_at(&["metadata", "managedFields"]).iter().enumerate();
        let entries: Result<Vec<_>, String> =
            entries.map(|(index, entry)| ManagedEntry::decode(index, entry)).collect();
        entries.map(|entries| Self { entries })
    }

    /// As the object carries them.
    pub fn to_value(&self) -> Value {
        Value::List(self.entries.iter().map(ManagedEntry::to_value).collect())
    }
}

impl ManagedEntry {
    /// Reads an entry; refuses what the API server refuses, in its words.
    fn decode(index: usize, entry: &Value) -> Result<Self, String> {
        let text = |name: &str| entry.str_at(&[name]).unwrap_or_default();
        if !matches!(text("operation"), "Apply" | "Update") {
            return Err("operation must be `Apply` or `Update`".to_owned());
        }
        if text("apiVersion").is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
            other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {index}")),
        }
        Self::parse(entry).ok_or_else(|| format!("error decoding managed fields entry {index}"))
    }

    fn parse(entry: &Value) -> Option<Self> {
        let head = Self::head(entry)?;
        let fields = entry.get("fieldsV1").map_or_else(|| Some(FieldSet::new()), FieldSet::from_fields_v1)?;
        Some(Self { fields, ..head })
    }

    /// Reads an entry without its fields.
    pub fn head(entry: &Value) -> Option<Self> {
        let operation = match entry.str_at(&["operation"])? {
            "Apply" => ManagedOperation::Apply,
            "Update" => ManagedOperation::Update,
            _ => return None,
        };
        Some(Self {
            manager: FieldManager::new(entry.str_at(&["manager"]).unwrap_or_default()),
            operation,
            subresource: Text::from(entry.str_at(&["subresource"]).unwrap_or_default()),
            api_version: Text::from(entry.str_at(&["apiVersion"]).unwrap_or_default()),
            time: entry.str_at(&["time"]).and_then(|time| time.parse().ok()),
            fields: FieldSet::new(),
        })
    }

    fn to_value(&self) -> Value {
        let mut entry = Value::default();
        entry.set_at(&["manager"], self.manager.as_str().into());
        entry.set_at(&["operation"], self.operation.as_str().into());
        entry.set_at(&["apiVersion"], self.api_version.clone().into());
        entry.set_at(&["fieldsType"], "FieldsV1".into());
        entry.set_at(&["fieldsV1"], self.fields.to_fields_v1());
        if !self.subresource.is_empty() {
            entry.set_at(&["subresource"], self.subresource.clone().into());
        }
        if let Some(time) = self.time {
            entry.set_at(&["time"], crate::time::to_seconds(time).into());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn entries_are_read_and_written_as_objects_carry_them() {
        let object = Value::from_json(
            br#"{"metadata":{"managedFields":[
            {"manager":"trueup","operation":"Apply","apiVersion":"apps/v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}},
            {"manager":"kubectl","operation":"Update","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:paused":{}}},"subresource":"scale"},
            {"manager":"odd","operation":"Replace"}]}}"#,
        )
        .unwrap();
        let managed = ManagedFields::of(&object);
        assert_eq!(managed.entries.len(), 2, "an operation that nobody knows belongs to nobody known");
        assert_eq!(managed.entries[1].time, None);
        assert_eq!(managed.entries[1].subresource, "scale");
        let mut expected = object.list_at(&["metadata", "managedFields"]).to_vec();
        expected.truncate(2);
        assert_eq!(managed.to_value(), Value::List(expected));
        assert_eq!(ManagedFields::of(&Value::Null), ManagedFields::default());
    }
}
