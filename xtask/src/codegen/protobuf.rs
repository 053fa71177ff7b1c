//! The messages of built-in kinds, reduced from the `.proto` files that Kubernetes publishes in its Go modules to a line each.
//!
//! `NAME FIELD=NUMBER:TYPE ...`, where TYPE is `s`, `i`, `b`, `d`, `y` (string, integer, boolean, double, bytes) or a message, after `*`
//! where it repeats and `%` where it is a map from text; the field `~` has its message's fields as the JSON form inlines them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, str};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Where the messages of all kinds begin.
const PREFIX: &str = "k8s.io.";

/// Messages that requests carry besides objects.
const OPTIONS: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions";

#[derive(Debug)]
struct Field {
    name: String,
    number: String,
    /// As the reduced form writes it, without the mark of inlining.
    field_type: String,
    /// The message among the type, if there is one.
    message: Option<String>,
}

/// Reads the `.proto` files of the modules that the control plane is built from.
pub fn reduce(module: &Path, table: &Value) -> Result<String> {
    let mut messages = BTreeMap::new();
    for directory in modules(module)? {
        for file in proto_files(&directory)? {
            let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            parse(&text, &mut messages);
        }
    }
    let kinds = table["kinds"].as_object().context("the table has no kinds")?;
    let mut wanted: BTreeSet<String> = kinds
        .values()
        .filter_map(|kind| kind["type"].as_str())
        .filter_map(|name| name.strip_prefix("io.k8s."))
        .map(|name| format!("{PREFIX}{name}"))
        .chain([OPTIONS.to_owned()])
        .collect();
    let mut written = BTreeMap::new();
    while let Some(name) = wanted.pop_first() {
        let Some(fields) = messages.get(&name).filter(|_| !written.contains_key(&name)) else { continue };
        wanted.extend(fields.iter().filter_map(|field| field.message.clone()));
        written.insert(name.clone(), line(&name, fields, table));
    }
    Ok(written.into_values().collect())
}

fn line(name: &str, fields: &[Field], table: &Value) -> String {
    let json_name = format!("io.k8s.{}", name.trim_start_matches(PREFIX));
    let json_fields = table["types"][&json_name]["fields"].as_object();
    let mut out = short(name).to_owned();
    for field in fields {
        let Field { name, number, field_type, message } = field;
        let inlined = message.is_some()
            && !field_type.starts_with('*')
            && json_fields.is_some_and(|fields| !fields.contains_key(name));
        let shown = if inlined { "~" } else { name };
        out.push_str(&format!(" {shown}={number}:{field_type}"));
    }
    out.push('\n');
    out
}

fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

fn modules(module: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("go")
        .args([
            "list",
            "-m",
            "-f",
            "{{.Dir}}",
            "k8s.io/api",
            "k8s.io/apimachinery",
            "k8s.io/apiextensions-apiserver",
        ])
        .current_dir(module)
        .output()
        .context("run go list")?;
    if !output.status.success() {
        bail!("go list: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(str::from_utf8(&output.stdout)?.lines().map(PathBuf::from).collect())
}

fn proto_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else if path.file_name().is_some_and(|name| name == "generated.proto") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the messages of one file. The files are generated, so that a message or a field is always a line of its own.
fn parse(text: &str, messages: &mut BTreeMap<String, Vec<Field>>) {
    let (mut package, mut message) = (String::new(), None);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(name) = line.strip_prefix("package ") {
            name.trim_end_matches(';').clone_into(&mut package);
        } else if let Some(name) = line.strip_prefix("message ") {
            let name = format!("{package}.{}", name.trim_end_matches('{').trim());
            messages.insert(name.clone(), Vec::new());
            message = Some(name);
        } else if line == "}" {
            message = None;
        } else if let Some(name) = &message
            && let (Some(field), Some(fields)) = (field(line, &package), messages.get_mut(name))
        {
            fields.push(field);
        }
    }
}

fn field(line: &str, package: &str) -> Option<Field> {
    let (declaration, number) = line.trim_end_matches(';').rsplit_once(" = ")?;
    let (label, rest) = declaration.split_once(char::is_whitespace)?;
    let (mark, value_type, name) = if let Some(map) = declaration.strip_prefix("map<string, ") {
        let (value_type, name) = map.split_once("> ")?;
        ("%", value_type, name)
    } else {
        let (value_type, name) = rest.rsplit_once(' ')?;
        (if label == "repeated" { "*" } else { "" }, value_type, name)
    };
    let (code, message) = match value_type {
        "string" => ("s".to_owned(), None),
        "int32" | "int64" | "uint32" | "uint64" => ("i".to_owned(), None),
        "bool" => ("b".to_owned(), None),
        "double" => ("d".to_owned(), None),
        "bytes" => ("y".to_owned(), None),
        other => {
            let full = other.strip_prefix('.').map_or_else(|| format!("{package}.{other}"), str::to_owned);
            (short(&full).to_owned(), Some(full))
        }
    };
    Some(Field {
        name: lower_first(name),
        number: number.trim().to_owned(),
        field_type: format!("{mark}{code}"),
        message,
    })
}

/// A few fields are named in Go's way in the messages and in JSON's way in JSON.
fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduces_messages_to_lines() {
        let proto = "package k8s.io.api.core.v1;\n\n// message Comment {\nmessage Volume {\n  // = 9;\n  optional string name = 1;\n\n  \
                     optional VolumeSource volumeSource = 2;\n}\n\nmessage VolumeSource {\n  map<string, .k8s.io.a.Q> limits = 3;\n  \
                     repeated int32 modes = 4;\n}\n";
        let mut messages = BTreeMap::new();
        parse(proto, &mut messages);
        let table = serde_json::json!({"types": {"io.k8s.api.core.v1.Volume": {"fields": {"name": {}}}}});
        let lines: Vec<String> = messages.iter().map(|(name, fields)| line(name, fields, &table)).collect();
        assert_eq!(
            lines,
            [
                "api.core.v1.Volume name=1:s ~=2:api.core.v1.VolumeSource\n",
                "api.core.v1.VolumeSource limits=3:%a.Q modes=4:*i\n"
            ]
        );
    }
}
