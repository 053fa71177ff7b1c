//! Objects as tables, and tables as values.

use mlua::{Lua, Table, Value as LuaValue};
use trueup_object::{Map, Text, Value};

use crate::error::ScriptError;

/// Tables within tables; more is a table that contains itself.
const DEPTH_MAX: usize = 200;

/// Integers beyond this are not told apart by a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// As a script sees it: all numbers are floats, and null is nil.
pub(crate) fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(flag) => LuaValue::Boolean(*flag),
        Value::Int(number) => LuaValue::Number(*number as f64),
        Value::Float(number) => LuaValue::Number(*number),
        Value::Str(text) => LuaValue::String(lua.create_string(text.as_str())?),
        Value::List(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            // A null within a list would end the list there: it is left out, as Argo CD does.
            for item in items.iter().filter(|item| !item.is_null()) {
                table.raw_push(to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Map(map) => {
            let table = lua.create_table_with_capacity(0, map.len())?;
            for (key, item) in map.iter() {
                table.raw_set(key, to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// As JSON would have it. A table without entries becomes an empty list, since Lua does not tell the two apart.
pub(crate) fn from_lua(value: &LuaValue) -> Result<Value, ScriptError> {
    read(value, 0)
}

fn read(value: &LuaValue, depth: usize) -> Result<Value, ScriptError> {
    if depth > DEPTH_MAX {
        return Err(ScriptError::Result("cannot encode recursively nested tables to JSON".to_owned()));
    }
    match value {
        LuaValue::Nil => Ok(Value::Null),
        LuaValue::Boolean(flag) => Ok(Value::Bool(*flag)),
        LuaValue::Integer(number) => Ok(Value::Int(*number)),
        LuaValue::Number(number) => self::number(*number),
        LuaValue::String(text) => Ok(Value::Str(Text::from(text.to_string_lossy().as_str()))),
        LuaValue::Table(table) => self::table(table, depth),
        other => Err(ScriptError::Result(format!("cannot encode {} to JSON", other.type_name()))),
    }
}

fn number(number: f64) -> Result<Value, ScriptError> {
    if !number.is_finite() {
        return Err(ScriptError::Result(format!("cannot encode {number} to JSON")));
    }
    Ok(if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    })
}

fn table(table: &Table, depth: usize) -> Result<Value, ScriptError> {
    let broken = |error: mlua::Error| ScriptError::Result(error.to_string());
    let (mut items, mut entries) = (Vec::new(), Vec::new());
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair.map_err(broken)?;
        let value = read(&value, depth + 1)?;
        match key {
            LuaValue::String(key) => entries.push((Text::from(key.to_string_lossy().as_str()), value)),
            LuaValue::Integer(index) => items.push((index as f64, value)),
            LuaValue::Number(index) => items.push((index, value)),
            other => {
                let message =
                    format!("cannot encode a table with keys of type {} to JSON", other.type_name());
                return Err(ScriptError::Result(message));
            }
        }
    }
    match (items.is_empty(), entries.is_empty()) {
        (_, true) => list(items),
        (true, false) => Ok(Value::Map(entries.into_iter().collect::<Map>())),
        (false, false) => Err(ScriptError::Result("cannot encode mixed or invalid key types".to_owned())),
    }
}

fn list(mut items: Vec<(f64, Value)>) -> Result<Value, ScriptError> {
    items.sort_by(|left, right| left.0.total_cmp(&right.0));
    let is_whole = items.iter().enumerate().all(|(place, (index, _))| *index == (place + 1) as f64);
    if is_whole {
        Ok(Value::List(items.into_iter().map(|(_, item)| item).collect()))
    } else {
        Err(ScriptError::Result("cannot encode sparse array".to_owned()))
    }
}
