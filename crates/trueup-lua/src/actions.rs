//! Actions: which an object offers, and what one of them makes of it.

use std::collections::BTreeMap;

use trueup_object::secret::SensitiveValues;
use trueup_object::{Gvk, Map, Value};

use crate::error::ScriptError;
use crate::library::Script;
use crate::pool::LuaRules;
use crate::secret::{without_values, without_words};

/// What an object offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    pub name: String,
    pub disabled: bool,
    pub display_name: String,
    pub icon_class: String,
    /// The names of its parameters.
    pub params: Vec<String>,
}

impl Action {
    /// The same without values of the object that are sensitive.
    fn without(self, values: &SensitiveValues) -> Self {
        let Self { name, disabled, display_name, icon_class, params } = self;
        let masked = |text: String| values.masked(&text).into_owned();
        Self {
            name: masked(name),
            disabled,
            display_name: masked(display_name),
            icon_class: masked(icon_class),
            params: params.into_iter().map(masked).collect(),
        }
    }
}

/// What is to be done with the object that an action returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Patch,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Patch => "patch",
        }
    }
}

/// One object that an action returned.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    pub operation: Operation,
    pub resource: Value,
}

impl LuaRules {
    /// The actions that an object offers at a time, by name.
    pub fn actions(&self, object: &Value, unix_s: i64) -> Result<Vec<Action>, ScriptError> {
        let mut found: BTreeMap<String, Action> = BTreeMap::new();
        let Some(gvk) = Gvk::of(object) else { return Ok(Vec::new()) };
        let seen = without_values(object);
        for script in self.library.discoveries(&gvk.group_kind()) {
            let offered = self.offered(script, &seen, unix_s);
            for (key, action) in offered.map_err(|error| without_words(error, object))? {
                found.entry(key).or_insert(action);
            }
        }
        let values = SensitiveValues::of(object);
        Ok(found.into_values().map(|action| action.without(&values)).collect())
    }

    /// What one script offers, each under its name in the script.
    fn offered(
        &self,
        script: &Script,
        object: &Value,
        unix_s: i64,
    ) -> Result<Vec<(String, Action)>, ScriptError> {
        let returned = self.pool.run(script, object, &BTreeMap::new(), unix_s)?;
        offered(&returned)?
            .into_iter()
            .map(|(key, value)| Ok((key.to_owned(), action(key, value)?)))
            .collect()
    }

    /// Carries out an action on a copy of the object: gives what is to be made of the cluster, and changes nothing.
    pub fn run_action(
        &self,
        object: &Value,
        name: &str,
        parameters: &BTreeMap<String, String>,
        unix_s: i64,
    ) -> Result<Vec<Effect>, ScriptError> {
        let kind = Gvk::of(object).map(|gvk| gvk.group_kind());
        let script = kind.as_ref().and_then(|kind| self.library.action(kind, name));
        let script = script.ok_or_else(|| ScriptError::NoAction {
            name: name.to_owned(),
            kind: kind.as_ref().map(ToString::to_string).unwrap_or_default(),
        })?;
        let returned = self.pool.run(script, object, parameters, unix_s);
        returned.and_then(|returned| effects(returned, object)).map_err(|error| without_words(error, object))
    }
}

/// What an action is to make of the cluster by what it returned.
fn effects(returned: Value, object: &Value) -> Result<Vec<Effect>, ScriptError> {
    match returned {
        Value::List(items) => items.into_iter().map(|item| effect(item, object)).collect(),
        // The older form: the object itself, changed.
        Value::Map(changed) => Ok(vec![Effect {
            operation: Operation::Patch,
            resource: Value::Map(repaired(changed, object.as_map())),
        }]),
        other => Err(ScriptError::not_a_table(lua_name(&other))),
    }
}

fn lua_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) | Value::Map(_) => "table",
    }
}

/// The entries of the table that a discovery returned.
fn offered(returned: &Value) -> Result<Vec<(&str, &Value)>, ScriptError> {
    match returned {
        Value::Map(map) => Ok(map.iter().collect()),
        Value::List(items) if items.is_empty() => Ok(Vec::new()),
        Value::List(_) => {
            Err(ScriptError::Result("the discovery returned a list, not a table by name".to_owned()))
        }
        other => Err(ScriptError::not_a_table(lua_name(other))),
    }
}

fn action(name: &str, value: &Value) -> Result<Action, ScriptError> {
    let mut action = Action { name: name.to_owned(), ..Action::default() };
    let wrong = |field: &str, found: &Value| {
        ScriptError::Result(format!("{field} of the action {name} is a {}", found.type_name()))
    };
    let map = match value {
        Value::List(items) if items.is_empty() => return Ok(action),
        Value::Map(map) => map,
        other => return Err(wrong("the value", other)),
    };
    for (field, found) in map.iter() {
        match (field, found) {
            (_, Value::Null) => {}
            ("disabled", Value::Bool(flag)) => action.disabled = *flag,
            ("displayName", Value::Str(text)) => action.display_name = text.to_string(),
            ("iconClass", Value::Str(text)) => action.icon_class = text.to_string(),
            ("name", Value::Str(text)) => action.name = text.to_string(),
            ("params", Value::List(items)) => {
                action.params =
                    items.iter().filter_map(|item| item.str_at(&["name"]).map(str::to_owned)).collect();
            }
            ("disabled" | "displayName" | "iconClass" | "name" | "params", other) => {
                return Err(wrong(field, other));
            }
            (_, _) => {}
        }
    }
    Ok(action)
}

/// One item of the newer form.
fn effect(item: Value, source: &Value) -> Result<Effect, ScriptError> {
    let operation = match item.str_at(&["operation"]) {
        Some("create") => Operation::Create,
        Some("patch") => Operation::Patch,
        Some(other) => return Err(ScriptError::Result(format!("unsupported operation: \"{other}\""))),
        None => return Err(ScriptError::Result("an item of the returned list has no operation".to_owned())),
    };
    let Some(Value::Map(resource)) = item.get("resource").cloned() else {
        return Err(ScriptError::Result("an item of the returned list has no resource".to_owned()));
    };
    let resource = match operation {
        Operation::Create => resource,
        Operation::Patch => repaired(resource, source.as_map()),
    };
    Ok(Effect { operation, resource: Value::Map(resource) })
}

/// Undoes what the way through Lua does to an object: an empty map comes back as an empty list, and an integer that no
/// float can hold as another one.
fn repaired(changed: Map, source: Option<&Map>) -> Map {
    let Some(source) = source else { return changed };
    changed
        .into_iter()
        .map(|(key, value)| {
            let before = source.get(&key);
            (key, mended(value, before))
        })
        .collect()
}

fn mended(value: Value, before: Option<&Value>) -> Value {
    match (value, before) {
        (Value::Map(map), Some(Value::Map(before))) => Value::Map(repaired(map, Some(before))),
        (Value::List(items), Some(Value::Map(_))) if items.is_empty() => Value::Map(Map::new()),
        (Value::List(items), Some(Value::List(before))) => {
            let mend = |(index, item)| mended(item, before.get(index));
            Value::List(items.into_iter().enumerate().map(mend).collect())
        }
        (Value::Int(number), Some(Value::Int(before))) if number as f64 == *before as f64 => {
            Value::Int(*before)
        }
        (Value::Float(number), Some(Value::Int(before))) if number == *before as f64 => Value::Int(*before),
        (value, _) => value,
    }
}
