//! `kubectl get` output: objects as rows of a `meta.k8s.io/v1 Table`.
//!
//! Columns and cells are those of `k8s.io/kubernetes/pkg/printers/internalversion` for the kinds that have their own; custom
//! kinds follow `additionalPrinterColumns`; the rest shows name and creation time.

mod age;
mod builtin;
mod cell;
mod cluster;
mod json_path;
mod pod;
mod storage;
mod workload;

use trueup_object::value::Map;
use trueup_object::{Timestamp, Value};

use crate::http::present::{list_metadata, partial};
use crate::kind::{KindInfo, PrinterColumn};
use json_path::JsonPath;

/// What of its object a row carries (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// How a kind's rows are made.
enum Printer<'a> {
    Builtin { columns: &'static str, cells: fn(&Value, Timestamp) -> Vec<Value> },
    Custom { columns: &'a [PrinterColumn], paths: Vec<JsonPath> },
}

/// A table that is being filled.
pub struct Table<'a> {
    printer: Printer<'a>,
    include: IncludeObject,
    now: Timestamp,
    /// With what they are sorted by before their order.
    rows: Vec<(i64, Value)>,
    kind: &'a KindInfo,
}

impl<'a> Table<'a> {
    pub fn new(kind: &'a KindInfo, include: IncludeObject, now: Timestamp) -> Self {
        let printer = match kind.custom() {
            Some(custom) if !custom.columns.is_empty() => Printer::Custom {
                columns: &custom.columns,
                paths: custom.columns.iter().map(|column| JsonPath::parse(&column.json_path)).collect(),
            },
            Some(_) => Printer::Builtin { columns: builtin::NAME_AND_AGE, cells: builtin::name_and_age },
            None => builtin::printer(kind),
        };
        Self { printer, include, now, rows: Vec::new(), kind }
    }

    pub fn add(&mut self, object: &Value) {
        let cells = match &self.printer {
            Printer::Builtin { cells, .. } => cells(object, self.now),
            Printer::Custom { columns, paths } => {
                let name = object.at(&["metadata", "name"]).cloned().unwrap_or_default();
                let rest = columns.iter().zip(paths);
                let rest = rest.map(|(column, path)| custom_cell(object, column, path, self.now));
                std::iter::once(name).chain(rest).collect()
            }
        };
        let mut row = Map::from_iter([("cells", Value::List(cells))]);
        match self.include {
            IncludeObject::None => {}
            IncludeObject::Metadata => {
                row.insert("object", partial(object));
            }
            IncludeObject::Object => {
                row.insert("object", object.clone());
            }
        }
        self.rows.push((cluster::rank(self.kind, object), Value::Map(row)));
    }

    /// The table; of a watch's tables only the first names the columns.
    pub fn finish(
        mut self,
        revision: &str,
        continue_token: Option<&str>,
        n_remaining: Option<usize>,
        with_columns: bool,
    ) -> Value {
        self.rows.sort_by_key(|(rank, _)| *rank);
        let rows = self.rows.into_iter().map(|(_, row)| row).collect();
        let columns = if with_columns { self.printer.definitions() } else { Value::Null };
        Value::Map(Map::from_iter([
            ("apiVersion", Value::from("meta.k8s.io/v1")),
            ("columnDefinitions", columns),
            ("kind", Value::from("Table")),
            ("metadata", list_metadata(revision, continue_token, n_remaining)),
            ("rows", Value::List(rows)),
        ]))
    }
}

impl Printer<'_> {
    fn definitions(&self) -> Value {
        let definitions = match self {
            Self::Builtin { columns, .. } => columns.split(',').map(builtin_definition).collect(),
            Self::Custom { columns, .. } => {
                let name = definition("Name", "string", "name", "", 0);
                let rest = columns.iter().map(|column| {
                    definition(
                        &column.name,
                        &column.column_type,
                        &column.format,
                        &column.description,
                        column.priority,
                    )
                });
                std::iter::once(name).chain(rest).collect()
            }
        };
        Value::List(definitions)
    }
}

/// A column of a built-in kind, from its short form.
fn builtin_definition(column: &str) -> Value {
    let (priority, column) = column.strip_prefix('+').map_or((0, column), |column| (1, column));
    let (column_type, name) = match column.split_at(1) {
        ("#", name) => ("integer", name),
        ("?", name) => ("boolean", name),
        ("@", name) => ("date", name),
        _ => ("string", column),
    };
    definition(name, column_type, if name == "Name" { "name" } else { "" }, "", priority)
}

fn definition(name: &str, column_type: &str, format: &str, description: &str, priority: i64) -> Value {
    Value::Map(Map::from_iter([
        ("description", Value::from(description)),
        ("format", Value::from(format)),
        ("name", Value::from(name)),
        ("priority", Value::Int(priority)),
        ("type", Value::from(column_type)),
    ]))
}

/// A custom column's cell: what its path finds, by the column's type; null where it finds nothing.
fn custom_cell(object: &Value, column: &PrinterColumn, path: &JsonPath, now: Timestamp) -> Value {
    let found = path.find(object);
    let Some(first) = found.first() else { return Value::Null };
    match column.column_type.as_str() {
        "date" => first.as_str().map_or(Value::Null, |time| age::since(Some(time), now).into()),
        "integer" => first.as_int().map_or(Value::Null, Value::Int),
        "number" | "boolean" => (*first).clone(),
        _ => {
            let texts: Vec<String> = found
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_json(), str::to_owned))
                .collect();
            texts.join(" ").into()
        }
    }
}

#[cfg(test)]
mod tests;
