//! What a run has, and what it may use: steps, room, depth; names and what they stand for.

use std::rc::Rc;

use trueup_object::Value;

use super::access::{self, Trail};
use super::syntax::{Def, Expr};
use crate::patience::Run;

/// Worth about a second of a busy processor at the most (contracts: "Limits"). A rule on a large object takes thousands.
const STEPS_MAX: u64 = 2_000_000;

/// A look costs less than a step; so many take a fraction of a millisecond.
const LOOK_STEPS: u64 = 256;

/// Bytes of values that one run may build.
const ROOM_MAX: u64 = 64 << 20;

/// Expressions within expressions, outputs included. Each takes up to two kilobytes of stack in a build for development.
pub const DEPTH_MAX: usize = 400;

/// Why a run does not go on.
#[derive(Debug)]
pub enum Stop {
    /// An error of the program, which `try` catches.
    Error(Value),
    /// `break`, to the label of that number.
    Break(u64),
    /// A limit is reached. Nothing catches this.
    Exhausted(String),
    /// What stops is kept by whoever asked for it.
    Kept,
}

pub type Flow<T = ()> = Result<T, Stop>;

/// Takes an output.
pub type Out<'o, 'p, 'v> = &'o mut dyn FnMut(&mut Machine, Trail, Held<'v>) -> Flow;

/// A value: a part of the object, or one that was built.
#[derive(Debug, Clone)]
pub enum Held<'v> {
    Part(&'v Value),
    Built(Rc<Value>),
}

impl<'v> Held<'v> {
    pub fn new(value: Value) -> Self {
        Self::Built(Rc::new(value))
    }

    pub fn get(&self) -> &Value {
        match self {
            Self::Part(value) => value,
            Self::Built(value) => value,
        }
    }

    pub fn is_true(&self) -> bool {
        !matches!(self.get(), Value::Null | Value::Bool(false))
    }
}

/// Said instead of what `error` was given.
pub const RAISED: &str =
    "it raises an error of its own, which is not shown since it may hold a value of the object";

/// What a run has used.
#[derive(Debug)]
pub struct Machine {
    steps: u64,
    steps_max: u64,
    /// When it is looked next whether somebody has ended the run.
    look_at: u64,
    run: Run,
    room: u64,
    pub depth: usize,
    labels: u64,
    /// The expression has raised an error by itself.
    pub raised: bool,
}

pub fn error<T>(message: impl Into<String>) -> Flow<T> {
    Err(Stop::Error(Value::from(message.into().as_str())))
}

impl Machine {
    pub fn new() -> Self {
        let run = Run::begin();
        let steps_max = STEPS_MAX.saturating_mul(run.factor());
        Self { steps: 0, steps_max, look_at: LOOK_STEPS, run, room: 0, depth: 0, labels: 0, raised: false }
    }

    /// Raises an error as `error` does.
    pub fn raise(&mut self, value: Value) -> Flow {
        self.raised = true;
        Err(Stop::Error(value))
    }

    /// Counts steps.
    pub fn step(&mut self, steps: u64) -> Flow {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.steps_max {
            return Err(Stop::Exhausted(format!("it takes more than {} steps", self.steps_max)));
        }
        if self.steps >= self.look_at {
            self.look_at = self.steps + LOOK_STEPS;
            if self.run.is_ended() {
                return Err(Stop::Exhausted("it takes longer than a rule may".to_owned()));
            }
        }
        Ok(())
    }

    /// Counts what a value takes that is built, and the step of building it.
    pub fn build(&mut self, bytes: usize) -> Flow {
        self.room = self.room.saturating_add(bytes as u64);
        if self.room > ROOM_MAX {
            return Err(Stop::Exhausted(format!("it builds more than {} MiB of values", ROOM_MAX >> 20)));
        }
        self.step(bytes as u64 / 64)
    }

    pub fn built<'v>(&mut self, value: Value) -> Flow<Held<'v>> {
        self.build(access::size(&value))?;
        Ok(Held::new(value))
    }

    pub fn label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }
}

/// What names stand for.
#[derive(Clone, Default)]
pub struct Env<'p, 'v>(pub Option<Rc<Frame<'p, 'v>>>);

pub struct Frame<'p, 'v> {
    pub bound: Bound<'p, 'v>,
    pub outer: Env<'p, 'v>,
}

pub enum Bound<'p, 'v> {
    Var(&'p str, Held<'v>),
    /// A parameter: an expression and where it was written.
    Closure(&'p str, &'p Expr, Env<'p, 'v>),
    Def(&'p Def),
    Label(&'p str, u64),
}

impl<'p, 'v> Env<'p, 'v> {
    pub fn with(&self, bound: Bound<'p, 'v>) -> Self {
        Self(Some(Rc::new(Frame { bound, outer: self.clone() })))
    }

    pub fn with_var(&self, name: &'p str, value: Held<'v>) -> Self {
        self.with(Bound::Var(name, value))
    }

    pub fn frames(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |env| env.0.as_ref().map(|frame| &frame.outer))
    }
}
