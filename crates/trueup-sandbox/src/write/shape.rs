//! Gives an object the shape that the API's Go types give it: unknown fields go, `null` means absent, zero values that a
//! type cannot tell from absent go, scalars take their canonical form.
//!
//! What goes unknown is reported for field validation; a value of the wrong type refuses the object, as decoding does.

use std::fmt::Write as _;

use trueup_merge::schema::{Scalar, Shape, Step, TypeRef, ZeroRule};
use trueup_object::{Map, Value};

use super::embedding::embedding;
use super::written::fill_written;
use super::{go_names, scalar};

/// What was found while an object took its shape.
#[derive(Debug, Default)]
pub struct Found {
    /// Paths of unknown fields, as field validation prints them: `spec.containers[0].foo`.
    pub unknown: Vec<String>,
    pub emptied: Vec<Emptied>,
}

/// An empty list or map that is as good as none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptied {
    pub path: String,
    pub is_list: bool,
}

/// A value that its type cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mismatch {
    pub message: String,
    /// The value is a number with a fraction, which not every message says.
    pub is_fraction: bool,
}

impl Mismatch {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_fraction: false }
    }
}

/// Deeper than this no object of the API is; what is deeper is refused rather than walked.
const DEPTH_MAX: usize = 512;

struct Shaper<'f, 'a, 'v> {
    found: &'f mut Found,
    path: String,
    /// The fields of structs on the way, each with its struct: what Go's messages have for a path.
    fields: Vec<(TypeRef<'a>, &'v str)>,
    /// The whole object's.
    root: TypeRef<'a>,
    depth: usize,
}

/// Shapes a whole object.
pub fn shape(object: &Value, ty: TypeRef<'_>, found: &mut Found) -> Result<Value, Mismatch> {
    Shaper { found, path: String::new(), fields: Vec::new(), root: ty, depth: 0 }.value(object, ty, "")
}

impl<'a, 'v> Shaper<'_, 'a, 'v> {
    fn value(&mut self, value: &'v Value, ty: TypeRef<'a>, format: &str) -> Result<Value, Mismatch> {
        if self.depth >= DEPTH_MAX {
            return Err(Mismatch::new("json: exceeded max depth"));
        }
        self.depth += 1;
        let shaped = match (ty.shape(), value) {
            (Shape::Untyped, _) => Ok(value.clone()),
            (Shape::Struct { open, .. }, Value::Map(map)) => self.fields(map, ty, open),
            (Shape::Map { element, .. }, Value::Map(map)) => self.entries(map, element),
            (Shape::List { element, .. }, Value::List(items)) => self.items(items, element),
            (Shape::Scalar(scalar), _) => scalar::canonical(value, scalar, format).ok_or_else(|| {
                scalar::refusal(value, scalar).map_or_else(|| self.mismatch(value, ty, format), Mismatch::new)
            }),
            (Shape::Struct { .. }, Value::Null) => {
                let mut shaped = Map::new();
                fill_always(&mut shaped, ty);
                Ok(Value::Map(shaped))
            }
            (Shape::Map { .. } | Shape::List { .. }, Value::Null) => Ok(Value::Null),
            (Shape::Struct { .. } | Shape::Map { .. } | Shape::List { .. }, _) => {
                Err(self.mismatch(value, ty, format))
            }
        };
        self.depth -= 1;
        shaped
    }

    fn fields(&mut self, map: &'v Map, ty: TypeRef<'a>, open: bool) -> Result<Value, Mismatch> {
        let mut shaped = Map::new();
        for (name, value) in map.iter() {
            let Some(field) = ty.step(name) else {
                self.unknown(name);
                continue;
            };
            if !field.is_declared() && open {
                shaped.insert(name, value.clone());
                continue;
            }
            if value.is_null() {
                continue;
            }
            self.fields.push((ty, name));
            let inner = self.below(name, |shaper| shaper.value(value, field.ty, field.format()))?;
            self.fields.pop();
            if !is_dropped(&inner, field) && !is_forgotten(&inner, field) {
                shaped.insert(name, inner);
            } else if inner.as_list().is_some() || inner.as_map().is_some() {
                let dot = if self.path.is_empty() { "" } else { "." };
                let path = format!("{}{dot}{name}", self.path);
                self.found.emptied.push(Emptied { path, is_list: inner.as_list().is_some() });
            }
        }
        fill_always(&mut shaped, ty);
        fill_written(&mut shaped, struct_name(ty));
        Ok(Value::Map(shaped))
    }

    fn entries(&mut self, map: &'v Map, element: TypeRef<'a>) -> Result<Value, Mismatch> {
        let mut shaped = Map::new();
        for (name, value) in map.iter() {
            // Go decodes null into the element's zero value.
            let inner = match (value, element.shape()) {
                (Value::Null, Shape::Scalar(scalar)) => scalar::zero(scalar),
                _ => self.below(name, |shaper| shaper.value(value, element, ""))?,
            };
            shaped.insert(name, inner);
        }
        Ok(Value::Map(shaped))
    }

    fn items(&mut self, items: &'v [Value], element: TypeRef<'a>) -> Result<Value, Mismatch> {
        let mut shaped = Vec::with_capacity(items.len());
        for (index, value) in items.iter().enumerate() {
            let before = self.path.len();
            // Writing into a string never fails.
            let _ = write!(self.path, "[{index}]");
            let inner = match (value, element.shape()) {
                (Value::Null, Shape::Scalar(scalar)) => scalar::zero(scalar),
                _ => self.value(value, element, "")?,
            };
            self.path.truncate(before);
            shaped.push(inner);
        }
        Ok(Value::List(shaped))
    }

    fn below<T>(
        &mut self,
        name: &str,
        step: impl FnOnce(&mut Self) -> Result<T, Mismatch>,
    ) -> Result<T, Mismatch> {
        let before = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = step(self)?;
        self.path.truncate(before);
        Ok(result)
    }

    fn unknown(&mut self, name: &str) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.found.unknown.push(format!("{}{dot}{name}", self.path));
    }

    fn mismatch(&self, value: &Value, ty: TypeRef<'_>, format: &str) -> Mismatch {
        let found = match value {
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Float(_) => "number",
            Value::Str(_) => "string",
            Value::List(_) => "array",
            Value::Map(_) | Value::Null => "object",
        };
        let (innermost, last) = self.fields.last().copied().unzip();
        let owner = struct_name(innermost.unwrap_or(self.root));
        let steps = self.fields.iter().flat_map(|(ty, name)| {
            embedding(struct_name(*ty), name).iter().copied().chain(std::iter::once(*name))
        });
        let field = steps.collect::<Vec<_>>().join(".");
        let expected = match last.and_then(|field| go_names::text_type(owner, field)) {
            Some(name) if matches!(ty.shape(), Shape::List { .. }) => format!("[]{name}"),
            Some(name) => name.to_owned(),
            None => go_type(ty, format),
        };
        // A number that does not fit is shown, one in the wrong place is not.
        let number = matches!(value, Value::Int(_) | Value::Float(_)) && expected.starts_with("int");
        let found = if number { format!("number {}", value.to_json()) } else { found.to_owned() };
        let message =
            format!("json: cannot unmarshal {found} into Go struct field {owner}.{field} of type {expected}");
        Mismatch { message, is_fraction: matches!(value, Value::Float(_)) }
    }
}

/// The name of a struct without its package.
fn struct_name(ty: TypeRef<'_>) -> &str {
    ty.name().unwrap_or_default().rsplit('.').next().unwrap_or_default()
}

/// The type as Go's messages name it: `int32`, `[]v1.Container`, `map[string]string`.
fn go_type(ty: TypeRef<'_>, format: &str) -> String {
    match ty.shape() {
        Shape::Scalar(scalar) => scalar::go_type(scalar, format).to_owned(),
        Shape::List { element, .. } => format!("[]{}", go_type(element, "")),
        Shape::Map { element, .. } if matches!(element.shape(), Shape::Scalar(Scalar::Quantity)) => {
            "v1.ResourceList".to_owned()
        }
        Shape::Map { element, .. } => format!("map[string]{}", go_type(element, "")),
        Shape::Struct { .. } | Shape::Untyped => {
            let mut words = ty.name().unwrap_or_default().rsplit('.');
            let (name, package) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            format!("{package}.{name}")
        }
    }
}

/// What the type keeps is kept; everything else that is its zero value is as good as absent.
fn is_dropped(value: &Value, field: Step<'_>) -> bool {
    let zero = match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Int(number) => *number == 0,
        Value::Float(number) => *number == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
    };
    if !zero {
        return false;
    }
    let field = field.field();
    if field.always {
        return false;
    }
    match field.zero {
        ZeroRule::Kept => false,
        ZeroRule::Dropped | ZeroRule::Replaced => true,
        // Lists and maps that Go leaves out when empty are the rule, pointers to structs keep their empty selves.
        ZeroRule::Unknown => match value {
            Value::List(_) | Value::Str(_) | Value::Null => true,
            Value::Map(_) => matches!(field.ty.shape(), Shape::Map { .. }),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
        },
    }
}

/// Go leaves an empty list out even where it is required, if its type says so.
fn is_forgotten(value: &Value, field: Step<'_>) -> bool {
    let is_empty_list = value.as_list().is_some_and(<[Value]>::is_empty);
    is_empty_list && field.field().required && field.field().zero == ZeroRule::Dropped
}

/// What the server writes even when it is empty.
fn fill_always(map: &mut Map, ty: TypeRef<'_>) {
    for (name, field) in ty.always() {
        let field = field.field();
        // Some required fields are pointers all the same: without them the server writes nothing and says so.
        let is_pointer = field.required && matches!(name, "selector" | "pathType" | "sideEffects");
        if is_pointer || map.get(name).is_some_and(|value| !value.is_null()) {
            continue;
        }
        let zero = match field.ty.shape() {
            Shape::Struct { .. } => {
                let mut inner = Map::new();
                fill_always(&mut inner, field.ty);
                Value::Map(inner)
            }
            Shape::Scalar(scalar) => scalar::zero_written(scalar),
            Shape::List { .. } | Shape::Map { .. } | Shape::Untyped => Value::Null,
        };
        map.insert(name, zero);
    }
}
