//! Ways into values, and the paths that they leave.

use std::rc::Rc;

use trueup_object::{JsonPointer, Text, Value};

use super::machine::{Flow, Held, Machine, Out, error};
use super::text::shown;
use crate::ignore::RuleFailure;

/// No object is deeper (the readers of JSON and YAML see to that), and a path that leads beyond it leads nowhere.
const PATH_MAX: usize = 1000;

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Key(Text),
    /// From the end where it is negative.
    Index(i64),
    Slice(Option<i64>, Option<i64>),
}

pub type Path = Vec<Step>;

/// How a value was reached.
#[derive(Debug, Clone)]
pub enum Trail {
    /// Nobody asks.
    Off,
    At(Option<Rc<Node>>),
    /// The value is no part of the input.
    Lost,
}

#[derive(Debug)]
pub struct Node {
    step: Step,
    before: Option<Rc<Node>>,
    length: usize,
}

impl Trail {
    pub fn root() -> Self {
        Self::At(None)
    }

    /// The trail of a value that was made.
    pub fn lost(&self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::At(_) | Self::Lost => Self::Lost,
        }
    }

    fn then(&self, value: &Value, step: impl FnOnce() -> Step) -> Flow<Self> {
        match self {
            Self::Off => Ok(Self::Off),
            Self::Lost => error(format!("invalid path against: {}", shown(value))),
            Self::At(before) => {
                let length = before.as_ref().map_or(0, |node| node.length) + 1;
                if length > PATH_MAX {
                    return error(format!("the path has more than {PATH_MAX} steps"));
                }
                Ok(Self::At(Some(Rc::new(Node { step: step(), before: before.clone(), length }))))
            }
        }
    }

    /// The path to a value that was reached in the end.
    pub fn path(&self, value: &Value) -> Flow<Path> {
        let Self::At(last) = self else { return error(format!("invalid path against: {}", shown(value))) };
        let nodes = std::iter::successors(last.as_deref(), |node| node.before.as_deref());
        let mut path: Path = nodes.map(|node| node.step.clone()).collect();
        path.reverse();
        Ok(path)
    }
}

/// The value under a key, an index, or a slice written as an object.
pub fn at<'v>(
    machine: &mut Machine,
    trail: &Trail,
    value: &Held<'v>,
    key: &Value,
) -> Flow<(Trail, Held<'v>)> {
    if let (Value::Map(bounds), Value::List(_) | Value::Null) = (key, value.get()) {
        if !(bounds.contains("start") && bounds.contains("end")) {
            return error(format!("expected start and end for slicing but got: {}", shown(key)));
        }
        let bound = |name: &str| bounds.get(name).and_then(Value::as_int);
        return slice(machine, trail, value, bound("start"), bound("end"));
    }
    let part = value_at(machine, value, key)?;
    let trail = match (trail, key) {
        (Trail::Off, _) => Trail::Off,
        (_, Value::Str(name)) => trail.then(value.get(), || Step::Key(name.clone()))?,
        (_, Value::Int(_) | Value::Float(_)) => {
            trail.then(value.get(), || Step::Index(floor(key).unwrap_or_default()))?
        }
        (_, _) => trail.lost(),
    };
    Ok((trail, part))
}

pub fn value_at<'v>(machine: &mut Machine, value: &Held<'v>, key: &Value) -> Flow<Held<'v>> {
    let null = || Ok(Held::new(Value::Null));
    match (value.get(), key) {
        (Value::Null, Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Null) => null(),
        (Value::Map(map), Value::Str(name)) => match map.get(name) {
            Some(_) => part(machine, value, |whole| whole.get(name)),
            None => null(),
        },
        (Value::List(items), Value::Int(_) | Value::Float(_)) => {
            match floor(key).and_then(|index| from_start(index, items.len())) {
                Some(index) if index < items.len() => {
                    part(machine, value, |whole| whole.as_list()?.get(index))
                }
                Some(_) | None => null(),
            }
        }
        (Value::List(items), Value::List(wanted)) => {
            let found = super::items::indices(machine, items, wanted)?;
            machine.built(Value::List(found))
        }
        (Value::Map(_), _) => error(format!("expected a string for object key but got: {}", shown(key))),
        (Value::List(_), Value::Str(_)) => {
            error(format!("expected an object but got: {}", shown(value.get())))
        }
        (Value::List(_), _) => {
            error(format!("expected a number for indexing an array but got: {}", shown(key)))
        }
        (other, Value::Str(_)) => error(format!("expected an object but got: {}", shown(other))),
        (other, _) => error(format!("expected an array but got: {}", shown(other))),
    }
}

/// A part of a value: of the object without cost, of a built one as a copy.
fn part<'v>(
    machine: &mut Machine,
    whole: &Held<'v>,
    find: impl for<'a> FnOnce(&'a Value) -> Option<&'a Value>,
) -> Flow<Held<'v>> {
    match whole {
        Held::Part(value) => Ok(find(value).map_or_else(|| Held::new(Value::Null), Held::Part)),
        Held::Built(value) => machine.built(find(value).cloned().unwrap_or_default()),
    }
}

pub fn slice<'v>(
    machine: &mut Machine,
    trail: &Trail,
    value: &Held<'v>,
    from: Option<i64>,
    to: Option<i64>,
) -> Flow<(Trail, Held<'v>)> {
    let part = match value.get() {
        Value::Null => Value::Null,
        Value::List(items) => {
            let (from, to) = range(from, to, items.len());
            Value::List(items.get(from..to).unwrap_or_default().to_vec())
        }
        Value::Str(text) => {
            let (from, to) = range(from, to, text.chars().count());
            Value::Str(text.chars().skip(from).take(to.saturating_sub(from)).collect())
        }
        other => return error(format!("expected an array but got: {}", shown(other))),
    };
    let trail = trail.then(value.get(), || Step::Slice(from, to))?;
    Ok((trail, machine.built(part)?))
}

/// Every item or field of a value.
pub fn each<'p, 'v>(machine: &mut Machine, trail: &Trail, value: &Held<'v>, out: Out<'_, 'p, 'v>) -> Flow {
    if matches!(trail, Trail::Lost) {
        return error(format!("invalid path on iterating against: {}", shown(value.get())));
    }
    match value.get() {
        Value::List(items) => {
            for index in 0..items.len() {
                machine.step(1)?;
                let item = part(machine, value, |whole| whole.as_list()?.get(index))?;
                let step = || Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
                out(machine, trail.then(value.get(), step)?, item)?;
            }
            Ok(())
        }
        Value::Map(map) => {
            for (name, _) in map.iter() {
                machine.step(1)?;
                let field = part(machine, value, |whole| whole.get(name))?;
                out(machine, trail.then(value.get(), || Step::Key(Text::from(name)))?, field)?;
            }
            Ok(())
        }
        other => error(format!("cannot iterate over: {}", shown(other))),
    }
}

fn floor(key: &Value) -> Option<i64> {
    match key {
        Value::Int(number) => Some(*number),
        Value::Float(number) => Some(number.floor() as i64),
        Value::Null | Value::Bool(_) | Value::Str(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn from_start(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

/// The bounds of a slice within a length.
pub fn range(from: Option<i64>, to: Option<i64>, length: usize) -> (usize, usize) {
    let end = |end: Option<i64>, open: usize| {
        end.map_or(open, |end| {
            let found = from_start(end, length);
            // Before the start is the start.
            found.unwrap_or_default().min(length)
        })
    };
    let (from, to) = (end(from, 0), end(to, length));
    (from, to.max(from))
}

/// About how many bytes a value takes.
pub fn size(value: &Value) -> usize {
    let one = std::mem::size_of::<Value>();
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => one,
        Value::Str(text) => one + text.len(),
        Value::List(items) => items.iter().fold(one, |sum, item| sum.saturating_add(size(item))),
        Value::Map(map) => {
            map.iter().fold(one, |sum, (name, value)| sum.saturating_add(name.len() + 24 + size(value)))
        }
    }
}

/// Where a path leads in an object, as pointers to what is there. What is not there cannot be deleted, and does no harm.
pub fn resolve(path: &[Step], object: &Value, places: &mut Vec<JsonPointer>) -> Result<(), RuleFailure> {
    if path.is_empty() {
        return Err(RuleFailure::Error("it names the whole object".to_owned()));
    }
    lead(path, object, 0, &mut Vec::new(), places)
}

/// `offset` is where the slice begins that the path is in.
fn lead(
    path: &[Step],
    value: &Value,
    offset: usize,
    tokens: &mut Vec<Text>,
    places: &mut Vec<JsonPointer>,
) -> Result<(), RuleFailure> {
    let Some((first, rest)) = path.split_first() else {
        places.push(JsonPointer::new(tokens.clone()));
        return Ok(());
    };
    match (first, value) {
        (Step::Key(name), Value::Map(map)) => {
            if let Some(inner) = map.get(name) {
                tokens.push(name.clone());
                lead(rest, inner, 0, tokens, places)?;
                tokens.pop();
            }
        }
        (Step::Index(index), Value::List(items)) => {
            if let Some(index) = from_start(*index, items.len()).filter(|index| *index < items.len()) {
                tokens.push(Text::from((offset + index).to_string()));
                if let Some(inner) = items.get(index) {
                    lead(rest, inner, 0, tokens, places)?;
                }
                tokens.pop();
            }
        }
        (Step::Slice(from, to), Value::List(items)) => {
            let (from, to) = range(*from, *to, items.len());
            let part = items.get(from..to).unwrap_or_default();
            if rest.is_empty() {
                for index in from..to {
                    tokens.push(Text::from((offset + index).to_string()));
                    places.push(JsonPointer::new(tokens.clone()));
                    tokens.pop();
                }
            } else {
                lead(rest, &Value::List(part.to_vec()), offset + from, tokens, places)?;
            }
        }
        (Step::Slice(..), Value::Str(text)) => {
            return Err(RuleFailure::Error(format!(
                "expected an array but got: {}",
                shown(&Value::Str(text.clone()))
            )));
        }
        (_, _) => {}
    }
    Ok(())
}
