//! One interpreter: what it has, what it has not, and how a script runs in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, VmState};
use trueup_object::Value;

use crate::error::ScriptError;
use crate::library::Script;
use crate::{clock, convert, message, text};

/// What one run may do. A script of 60 microseconds takes some ten thousand instructions; Argo CD stops its own
/// interpreter, which is slower, after a second.
pub(crate) const INSTRUCTIONS_MAX: i64 = 20_000_000;

/// What the interpreter may hold. The largest object that an API server stores takes about a fifth of it.
pub(crate) const MEMORY_MAX: usize = 64 * 1024 * 1024;

/// More than this left behind by a run is collected before the next one.
const GARBAGE_MAX: usize = 8 * 1024 * 1024;

/// How many scripts an interpreter keeps compiled.
const COMPILED_MAX: usize = 512;

/// After how many instructions they are counted.
const STEP: u32 = 1000;

/// One interpreter.
pub(crate) struct State {
    lua: Lua,
    /// Makes the globals of one run.
    globals: Function,
    run: Arc<Run>,
    compiled: BTreeMap<Arc<str>, Function>,
}

/// What is known of the run under way.
#[derive(Debug, Default)]
pub(crate) struct Run {
    left: AtomicI64,
    unix_s: AtomicI64,
}

/// The end of the instructions, as an error that a script cannot keep.
#[derive(Debug, thiserror::Error)]
#[error("too many instructions")]
struct Spent;

impl Run {
    /// Takes instructions, or what costs as much, from what the run has left.
    pub(crate) fn charge(&self, instructions: i64) -> mlua::Result<()> {
        let left = self.left.fetch_sub(instructions, Ordering::Relaxed) - instructions;
        if left < 0 { Err(mlua::Error::external(Spent)) } else { Ok(()) }
    }

    pub(crate) fn unix_s(&self) -> i64 {
        self.unix_s.load(Ordering::Relaxed)
    }

    fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) < 0
    }
}

impl State {
    pub(crate) fn new() -> Result<Self, ScriptError> {
        Self::build().map_err(|error| ScriptError::Raised(format!("the interpreter does not start: {error}")))
    }

    fn build() -> mlua::Result<Self> {
        // Without the library `jit` LuaJIT only interprets; without `debug`, `io`, `package` and `ffi` there is no way out.
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::new())?;
        lua.set_memory_limit(MEMORY_MAX)?;
        let run = Arc::new(Run::default());
        run.left.store(i64::MAX / 2, Ordering::Relaxed);
        let natives = natives(&lua, &run)?;
        let libraries = lua.create_table()?;
        libraries.set("string", text::library(&lua, &run)?)?;
        let globals = lua
            .load(include_str!("prelude.lua"))
            .set_name("=prelude")
            .set_mode(ChunkMode::Text)
            .call::<Function>((natives, libraries))?;
        let counted = run.clone();
        lua.set_hook(HookTriggers::new().every_nth_instruction(STEP), move |_, _| {
            counted.charge(i64::from(STEP))?;
            Ok(VmState::Continue)
        })?;
        Ok(Self { lua, globals, run, compiled: BTreeMap::new() })
    }

    /// Runs a script on an object at a time; gives what it returned as a value.
    pub(crate) fn run(
        &mut self,
        script: &Script,
        object: &Value,
        parameters: &BTreeMap<String, String>,
        unix_s: i64,
    ) -> Result<Value, ScriptError> {
        self.run.left.store(INSTRUCTIONS_MAX, Ordering::Relaxed);
        self.run.unix_s.store(unix_s, Ordering::Relaxed);
        let returned = self.call(script, object, parameters, unix_s);
        let outcome = match returned {
            // What looks like an answer after the end of the instructions is none.
            _ if self.run.is_spent() => {
                Err(ScriptError::Instructions { limit: INSTRUCTIONS_MAX.unsigned_abs() })
            }
            Ok(returned) => returned,
            Err(error) => Err(said(&error)),
        };
        // Counting goes on while garbage is collected, and must not stop it.
        self.run.left.store(i64::MAX / 2, Ordering::Relaxed);
        if self.lua.used_memory() > GARBAGE_MAX {
            let _collected = self.lua.gc_collect();
        }
        outcome
    }

    fn call(
        &mut self,
        script: &Script,
        object: &Value,
        parameters: &BTreeMap<String, String>,
        unix_s: i64,
    ) -> mlua::Result<Result<Value, ScriptError>> {
        let function = self.compiled(script)?;
        let globals: Table = self.globals.call((script.open_libs, unix_s))?;
        globals.raw_set("obj", convert::to_lua(&self.lua, object)?)?;
        let given = self.lua.create_table()?;
        for (name, value) in parameters {
            given.raw_set(name.as_str(), value.as_str())?;
        }
        globals.raw_set("actionParams", given)?;
        function.set_environment(globals)?;
        let returned: MultiValue = function.call(())?;
        // As in Argo CD, of several values the last is the answer.
        Ok(returned.back().map_or(Ok(Value::Null), convert::from_lua))
    }

    fn compiled(&mut self, script: &Script) -> mlua::Result<Function> {
        if let Some(function) = self.compiled.get(&script.lua) {
            return Ok(function.clone());
        }
        let function = self
            .lua
            .load(&*script.lua)
            .set_name(format!("={}", script.chunk))
            .set_mode(ChunkMode::Text)
            .into_function()?;
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.clear();
        }
        self.compiled.insert(script.lua.clone(), function.clone());
        Ok(function)
    }
}

/// The functions that scripts call and that are not Lua's.
fn natives(lua: &Lua, run: &Arc<Run>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let checked = run.clone();
    natives.set("check", lua.create_function(move |_, ()| checked.charge(0))?)?;
    let timed = run.clone();
    natives.set(
        "time",
        lua.create_function(move |_, fields: Option<Table>| clock::time(timed.unix_s(), fields))?,
    )?;
    let timed = run.clone();
    natives.set(
        "date",
        lua.create_function(move |lua, (format, at): (Option<String>, Option<f64>)| {
            clock::date(lua, format.as_deref(), at.map_or_else(|| timed.unix_s(), |at| at as i64))
        })?,
    )?;
    natives.set("compile", lua.create_function(compile)?)?;
    Ok(natives)
}

/// `load` for text: a function in the globals of the run, or nothing and why. Compiled code is not accepted, since it can
/// be forged.
fn compile(
    lua: &Lua,
    (source, name, globals): (mlua::LuaString, Option<String>, Table),
) -> mlua::Result<(Option<Function>, Option<String>)> {
    let loaded = lua
        .load(&*source.as_bytes())
        .set_name(name.unwrap_or_else(|| "=load".to_owned()))
        .set_mode(ChunkMode::Text)
        .set_environment(globals)
        .into_function();
    match loaded {
        Ok(function) => Ok((Some(function), None)),
        Err(mlua::Error::SyntaxError { message, .. }) => Ok((None, Some(message))),
        Err(error) => Err(error),
    }
}

/// What an error of the interpreter says to the script's author: without the interpreter's own trace.
fn said(error: &mlua::Error) -> ScriptError {
    match error {
        mlua::Error::SyntaxError { message, .. } => ScriptError::Syntax(plain(message)),
        mlua::Error::MemoryError(_) => ScriptError::Memory { limit_mb: MEMORY_MAX / (1024 * 1024) },
        mlua::Error::CallbackError { cause, .. } => said(cause),
        mlua::Error::RuntimeError(words) => ScriptError::Raised(message::raised(&plain(words))),
        other => match other.downcast_ref::<Spent>() {
            Some(_) => ScriptError::Instructions { limit: INSTRUCTIONS_MAX.unsigned_abs() },
            None => ScriptError::Raised(message::raised(&plain(&other.to_string()))),
        },
    }
}

fn plain(message: &str) -> String {
    message.split("\nstack traceback:").next().unwrap_or_default().trim().to_owned()
}
