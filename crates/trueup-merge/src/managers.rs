//! The managers of an object's fields while a write is worked out, and the conflicts between them.

use std::collections::BTreeMap;

use trueup_object::{
    FieldManager, FieldPath, FieldSet, ManagedEntry, ManagedFields, ManagedOperation, Map, PathElement, Text,
    Timestamp, Value,
};

use crate::compare::Comparison;
use crate::conversion::Changes;
use crate::ownership::nobodys;

/// Who writes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    pub manager: FieldManager,
    /// Empty for writes to the object itself; else `status`, `scale`, ...
    pub subresource: Text,
    /// The version that the request is made in: `apps/v1`, `v1`.
    pub api_version: Text,
    /// What becomes the time of the entry that changes.
    pub now: Option<Timestamp>,
    /// The fields that a write through this endpoint cannot change: `status` of the object itself, everything but
    /// `status` of its status. Nobody comes to own them by such a write.
    pub reset: FieldSet,
}

/// A field that another manager owns and that an apply would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub path: FieldPath,
    pub manager: FieldManager,
    pub operation: ManagedOperation,
    pub subresource: Text,
    pub api_version: Text,
    pub time: Option<Timestamp>,
}

/// What makes entries of `managedFields` the same entry. An applier has one, whatever versions it applies in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub manager: FieldManager,
    pub operation: ManagedOperation,
    /// Empty for appliers.
    pub api_version: Text,
    pub subresource: Text,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub api_version: Text,
    pub time: Option<Timestamp>,
    pub fields: FieldSet,
}

/// The entries of an object by identity.
#[derive(Debug, Clone, Default)]
pub(crate) struct Managers {
    pub entries: BTreeMap<Identity, Entry>,
}

/// More entries of updates than these are merged, oldest first.
const UPDATE_ENTRIES_MAX: usize = 10;
const ANCIENT: &str = "ancient-changes";
const NAMELESS: &str = "unknown";

impl Writer {
    /// A writer of the object itself.
    pub fn new(manager: &str, api_version: &str, now: Option<Timestamp>) -> Self {
        Self {
            manager: FieldManager::new(manager),
            subresource: Text::default(),
            api_version: Text::from(api_version),
            now,
            reset: FieldSet::new(),
        }
    }

    /// The same writer at a subresource.
    pub fn at(mut self, subresource: &str) -> Self {
        self.subresource = Text::from(subresource);
        self
    }

    /// The same writer where these fields cannot be written.
    pub fn resetting(mut self, fields: FieldSet) -> Self {
        self.reset = fields;
        self
    }

    pub(crate) fn identity(&self, operation: ManagedOperation) -> Identity {
        let named = !self.manager.as_str().is_empty();
        Identity {
            manager: if named { self.manager.clone() } else { FieldManager::new(NAMELESS) },
            operation,
            api_version: match operation {
                ManagedOperation::Apply => Text::default(),
                ManagedOperation::Update => self.api_version.clone(),
            },
            subresource: self.subresource.clone(),
        }
    }

    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.now.map(whole_seconds)
    }
}

/// Managed fields carry whole seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl Identity {
    /// The server sorts identities as JSON, where a subresource comes before the end.
    fn in_json_order(&self) -> (&FieldManager, ManagedOperation, &Text, bool, &Text) {
        (&self.manager, self.operation, &self.api_version, self.subresource.is_empty(), &self.subresource)
    }

    pub(crate) fn of(entry: &ManagedEntry) -> Self {
        Self {
            manager: entry.manager.clone(),
            operation: entry.operation,
            api_version: match entry.operation {
                ManagedOperation::Apply => Text::default(),
                ManagedOperation::Update => entry.api_version.clone(),
            },
            subresource: entry.subresource.clone(),
        }
    }
}

/// Appliers before updaters, then by time, manager, version, subresource.
pub(crate) fn in_server_order(entries: &mut [ManagedEntry]) {
    entries.sort_by_cached_key(|entry| {
        (
            entry.operation,
            entry.time.map_or(0, Timestamp::as_second),
            entry.manager.clone(),
            entry.api_version.clone(),
            entry.subresource.clone(),
        )
    });
}

impl Managers {
    pub(crate) fn of(fields: ManagedFields) -> Self {
        let entries = fields
            .entries
            .into_iter()
            .map(|entry| {
                let identity = Identity::of(&entry);
                let ManagedEntry { manager: _, operation: _, subresource: _, api_version, time, fields } =
                    entry;
                (identity, Entry { api_version, time, fields })
            })
            .collect();
        Self { entries }
    }

    pub(crate) fn into_fields(self) -> ManagedFields {
        let mut entries: Vec<ManagedEntry> = self
            .entries
            .into_iter()
            .map(|(identity, entry)| ManagedEntry {
                manager: identity.manager,
                operation: identity.operation,
                subresource: identity.subresource,
                api_version: entry.api_version,
                time: entry.time,
                fields: entry.fields,
            })
            .collect();
        in_server_order(&mut entries);
        ManagedFields { entries }
    }

    /// Takes what changed from everybody but `writer`, and with it every entry that is left with nothing. An entry of a
    /// version that is not served any more goes.
    pub(crate) fn take(&mut self, changes: &Changes, writer: Option<&Identity>) {
        for (identity, entry) in &mut self.entries {
            if Some(identity) != writer {
                entry.fields = match changes.at(&entry.api_version) {
                    Some(seen) => entry.fields.difference(&seen.written()).difference(&seen.removed),
                    None => FieldSet::new(),
                };
            }
        }
        self.entries.retain(|_, entry| !entry.fields.is_empty());
    }

    /// What others than `writer` own of what changed.
    pub(crate) fn conflicts(&self, changes: &Changes, writer: &Identity) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        for (identity, entry) in self.entries.iter().filter(|(identity, _)| *identity != writer) {
            let written = changes.at(&entry.api_version).map(Comparison::written).unwrap_or_default();
            for path in members_first(&entry.fields.intersection(&written)) {
                conflicts.push(Conflict {
                    path,
                    manager: identity.manager.clone(),
                    operation: identity.operation,
                    subresource: identity.subresource.clone(),
                    api_version: entry.api_version.clone(),
                    time: entry.time,
                });
            }
        }
        conflicts
    }

    /// Takes from an entry what nobody owns.
    pub(crate) fn strip(&mut self, identity: &Identity) {
        if let Some(entry) = self.entries.get_mut(identity) {
            entry.fields = entry.fields.difference(nobodys());
            if entry.fields.is_empty() {
                self.entries.remove(identity);
            }
        }
    }

    /// Merges the oldest entries of updates, by version, until there are few enough.
    pub(crate) fn cap(&mut self) {
        let mut updaters: Vec<(i64, Identity)> = self
            .entries
            .iter()
            .filter(|(identity, _)| identity.operation == ManagedOperation::Update)
            .map(|(identity, entry)| (entry.time.map_or(0, Timestamp::as_second), identity.clone()))
            .collect();
        updaters.sort_by(|(time, one), (other_time, other)| {
            time.cmp(other_time).then_with(|| one.in_json_order().cmp(&other.in_json_order()))
        });
        let mut left = updaters.len();
        let mut first_of_version: BTreeMap<Text, Identity> = BTreeMap::new();
        for (_, identity) in updaters {
            if left <= UPDATE_ENTRIES_MAX {
                break;
            }
            let version = identity.api_version.clone();
            let Some(first) = first_of_version.get(&version).cloned() else {
                first_of_version.insert(version, identity);
                continue;
            };
            self.bury(&first, &identity);
            left -= 1;
        }
    }

    /// Moves an entry, and the first one of its version, into the bucket of that version.
    fn bury(&mut self, first: &Identity, later: &Identity) {
        let bucket = Identity {
            manager: FieldManager::new(ANCIENT),
            operation: ManagedOperation::Update,
            api_version: later.api_version.clone(),
            subresource: Text::default(),
        };
        if !self.entries.contains_key(&bucket)
            && let Some(entry) = self.entries.remove(first)
        {
            self.entries.insert(bucket.clone(), entry);
        }
        if let Some(entry) = self.entries.remove(later)
            && let Some(kept) = self.entries.get_mut(&bucket)
        {
            kept.fields = kept.fields.union(&entry.fields);
            kept.time = entry.time;
        }
    }
}

/// The members of a level before those below it, as the API server lists conflicts.
fn members_first(set: &FieldSet) -> Vec<FieldPath> {
    fn visit(set: &FieldSet, prefix: &FieldPath, found: &mut Vec<FieldPath>) {
        found.extend(set.members().iter().map(|element| prefix.child(element.clone())));
        for (element, below) in set.children() {
            visit(below, &prefix.child(element.clone()), found);
        }
    }
    let mut found = Vec::new();
    visit(set, &FieldPath::root(), &mut found);
    found
}

/// A path as the API server writes it in messages: `.spec.containers[name="app"].image`.
pub fn server_path(path: &FieldPath) -> String {
    path.elements()
        .iter()
        .map(|element| match element {
            PathElement::Field(name) => format!(".{name}"),
            PathElement::Key(keys) => {
                let fields: Vec<String> = keys
                    .sorted()
                    .into_iter()
                    .map(|(name, value)| format!("{name}={}", value.to_json()))
                    .collect();
                format!("[{}]", fields.join(","))
            }
            PathElement::Value(value) => format!("[={}]", value.to_json()),
            PathElement::Index(index) => format!("[{index}]"),
        })
        .collect()
}

impl Conflict {
    /// The owner, as the API server names it in messages.
    pub fn owner(&self) -> String {
        let mut owner = Value::from(self.manager.as_str()).to_json();
        if !self.subresource.is_empty() {
            owner += &format!(" with subresource {}", Value::from(self.subresource.clone()).to_json());
        }
        match self.operation {
            ManagedOperation::Apply => owner,
            ManagedOperation::Update => format!("{owner} using {}", self.api_version),
        }
    }
}

/// The message of the API server's 409 for these conflicts.
pub fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        let path = server_path(&only.path);
        return format!("Apply failed with 1 conflict: conflict with {}: {path}", only.owner());
    }
    // The server sorts owners by their identity as JSON, where a subresource comes before the end.
    let mut by_owner: BTreeMap<_, Vec<&Conflict>> = BTreeMap::new();
    for conflict in conflicts {
        let Conflict { manager, operation, subresource, api_version, .. } = conflict;
        let version = if *operation == ManagedOperation::Apply { "" } else { api_version.as_str() };
        let identity = (manager, operation.as_str(), version, subresource.is_empty(), subresource);
        by_owner.entry(identity).or_default().push(conflict);
    }
    let mut lines = Vec::new();
    for conflicts in by_owner.values() {
        lines.extend(conflicts.first().map(|first| format!("conflicts with {}:", first.owner())));
        lines.extend(conflicts.iter().map(|conflict| format!("- {}", server_path(&conflict.path))));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// The object with the times of `live` where nothing but times differs: a write that changes nothing does not count.
///
/// For whoever stores an object, after defaulting: [`crate::apply`] cannot know what the stored form drops.
pub fn keep_times(live: &Value, mut object: Value) -> Value {
    let timeless = |object: &Value| {
        let mut fields = ManagedFields::of(object);
        fields.entries.iter_mut().for_each(|entry| entry.time = None);
        fields
    };
    // Nearly every write changes something else, which is quickly seen.
    if is_same_but_for_managers(live, &object)
        && timeless(live) == timeless(&object)
        && let Some(fields) = live.at(&["metadata", "managedFields"])
    {
        object.set_at(&["metadata", "managedFields"], fields.clone());
    }
    object
}

const MANAGED_FIELDS: &str = "managedFields";

fn is_same_but_for_managers(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_map(), other.as_map()) else { return one == other };
    one.len() == other.len()
        && one.iter().all(|(name, value)| match (name, value, other.get(name)) {
            (_, _, None) => false,
            ("metadata", Value::Map(one), Some(Value::Map(other))) => is_same_metadata(one, other),
            (_, value, Some(found)) => value == found,
        })
}

fn is_same_metadata(one: &Map, other: &Map) -> bool {
    let length = |map: &Map| map.len() - usize::from(map.contains(MANAGED_FIELDS));
    let mut rest = one.iter().filter(|(name, _)| *name != MANAGED_FIELDS);
    length(one) == length(other) && rest.all(|(name, value)| other.get(name) == Some(value))
}

/// The object without `metadata.managedFields`, which is often half of it and not copied first.
pub(crate) fn without_managed_fields(object: &Value) -> Value {
    let Value::Map(map) = object else { return object.clone() };
    let copy = |(name, value): (&str, &Value)| match (name, value) {
        ("metadata", Value::Map(metadata)) => {
            let rest = metadata.iter().filter(|(name, _)| *name != MANAGED_FIELDS);
            (Text::from(name), Value::Map(rest.map(|(name, value)| (name, value.clone())).collect()))
        }
        (_, value) => (Text::from(name), value.clone()),
    };
    Value::Map(map.iter().map(copy).collect())
}

/// The object with these managers, which it loses where there are none.
pub(crate) fn with_managed_fields(mut object: Value, managers: Managers) -> Value {
    let fields = managers.into_fields();
    if fields.entries.is_empty() {
        object.remove_at(&["metadata", "managedFields"]);
    } else {
        object.set_at(&["metadata", "managedFields"], fields.to_value());
    }
    object
}
