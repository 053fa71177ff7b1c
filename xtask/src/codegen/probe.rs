//! Asks the API server's own code what becomes of an object: builds small objects around one place and looks at that place after.

use std::{
    fmt,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};

use super::{discovery::KindKey, openapi::Shape};

/// One step down an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Field(String),
    /// The only item of a list.
    Item,
    /// The only value of a map, under the key `k`.
    Entry,
}

/// Where a struct stands in an object: the way from the root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub Vec<Step>);

impl Place {
    pub fn below(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// An object that has the value at this place and nothing else.
    pub fn wrap(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |inner, step| match step {
            Step::Field(name) => json!({ name.as_str(): inner }),
            Step::Item => json!([inner]),
            Step::Entry => json!({"k": inner}),
        })
    }

    /// What stands at this place of an object.
    pub fn find<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |outer, step| match step {
            Step::Field(name) => outer.get(name),
            Step::Item => outer.get(0),
            Step::Entry => outer.get("k"),
        })
    }
}

impl fmt::Display for Place {
    /// As a PATH of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item => f.write_str("[]")?,
                Step::Entry => f.write_str("{}")?,
            }
        }
        Ok(())
    }
}

/// An object of the given kind that has the fields at the place, and nothing else.
pub fn object(kind: &KindKey, place: &Place, fields: Map<String, Value>) -> Value {
    let mut object = place.wrap(Value::Object(fields));
    object["apiVersion"] = kind.group_version.clone().into();
    object["kind"] = kind.kind.clone().into();
    object
}

/// The zero value that a manifest can declare for a shape, if there is one.
pub fn zero(shape: &Shape) -> Option<Value> {
    Some(match shape {
        Shape::Ref { .. } | Shape::Map { .. } => json!({}),
        Shape::List { .. } => json!([]),
        Shape::Scalar { kind, .. } => match *kind {
            "string" | "bytes" => json!(""),
            "integer" | "number" | "int-or-string" => json!(0),
            "quantity" => json!("0"),
            "boolean" => json!(false),
            _ => return None,
        },
    })
}

/// In every sample of a free string, so that a default that was made from one is recognized.
const MARK: &str = "probe";
/// `probe:1` in base64.
const MARK_BYTES: &str = "cHJvYmU6MQ==";

/// Whether a value was made from a sample.
pub fn has_sample(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MARK) || text.contains(MARK_BYTES),
        Value::Array(items) => items.iter().any(has_sample),
        Value::Object(fields) => fields.values().any(has_sample),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Values that are not zero: every value of an enum, else one or two that defaulting may tell apart (an image with and without a tag).
pub fn samples(shape: &Shape) -> Vec<Value> {
    match shape {
        Shape::Ref { .. } => vec![json!({})],
        Shape::List { items, .. } => samples(items).pop().map(|item| json!([item])).into_iter().collect(),
        Shape::Map { items, .. } => {
            samples(items).pop().map(|value| json!({"k": value})).into_iter().collect()
        }
        Shape::Scalar { kind, allowed, .. } => match *kind {
            "string" if !allowed.is_empty() => {
                allowed.iter().filter(|value| !value.is_empty()).map(|value| json!(value)).collect()
            }
            "string" => vec![json!(MARK), json!(format!("{MARK}:1"))],
            "integer" => vec![json!(7)],
            "number" => vec![json!(1.5)],
            "int-or-string" => vec![json!(7), json!("7%")],
            "quantity" => vec![json!("7")],
            "boolean" => vec![json!(true)],
            "bytes" => vec![json!(MARK_BYTES)],
            "time" => vec![json!("2026-01-01T00:00:00Z")],
            "microtime" => vec![json!("2026-01-01T00:00:00.000000Z")],
            _ => vec![json!({})],
        },
    }
}

/// The control plane's program, answering one object after the other.
pub struct Prober {
    child: Child,
    stdin: Option<BufWriter<ChildStdin>>,
    stdout: BufReader<ChildStdout>,
}

impl Prober {
    pub fn start(controlplane: &Path) -> Result<Self> {
        let mut child = Command::new(controlplane)
            .arg("roundtrip")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the prober")?;
        let stdin = child.stdin.take().map(BufWriter::new);
        let stdout =
            child.stdout.take().map(BufReader::new).ok_or_else(|| anyhow!("no output of the prober"))?;
        Ok(Self { child, stdin, stdout })
    }

    /// What each object would be in the cluster; `None` where the server's code does not take it.
    pub fn ask(&mut self, objects: &[Value]) -> Result<Vec<Option<Value>>> {
        let stdin = self.stdin.as_mut().ok_or_else(|| anyhow!("the prober was stopped"))?;
        let stdout = &mut self.stdout;
        thread::scope(|scope| {
            // Written from a thread, since both pipes are smaller than a batch.
            let writer = scope.spawn(move || -> std::io::Result<()> {
                for object in objects {
                    writeln!(stdin, "{object}")?;
                }
                stdin.flush()
            });
            let mut answers = Vec::with_capacity(objects.len());
            let mut line = String::new();
            for _ in objects {
                line.clear();
                if stdout.read_line(&mut line)? == 0 {
                    bail!("the prober ended early");
                }
                let answer: Value = serde_json::from_str(&line).context("read an answer of the prober")?;
                answers.push(Some(answer).filter(|answer| answer.get("error").is_none()));
            }
            writer.join().map_err(|_| anyhow!("the writer to the prober panicked"))??;
            Ok(answers)
        })
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_finds_what_it_wrapped() {
        let steps = [
            Step::Field("spec".into()),
            Step::Field("list".into()),
            Step::Item,
            Step::Field("map".into()),
            Step::Entry,
        ];
        let place = Place(steps.to_vec());
        assert_eq!(place.to_string(), "spec.list[].map{}");
        let object = place.wrap(json!({"a": 1}));
        assert_eq!(object, json!({"spec": {"list": [{"map": {"k": {"a": 1}}}]}}));
        assert_eq!(place.find(&object), Some(&json!({"a": 1})));
        assert_eq!(place.below(Step::Field("b".into())).find(&object), None);
    }
}
