//! Reads of the past, asked of a real API server: a list at an exact version, of one object where one is read.

use anyhow::{Context, Result};
use trueup_object::Value;
use trueup_sandbox::faults::Attributes;
use trueup_sandbox::internals::{ApiStatus, StatusReason};

use crate::http::Client;

/// The newest version of the server.
pub async fn present(upstream: &Client) -> Result<u64> {
    let list = upstream.get("/api/v1/namespaces?limit=1").await?.value()?;
    let revision = list.str_at(&["metadata", "resourceVersion"]).and_then(|text| text.parse().ok());
    revision.context("a list has no resourceVersion")
}

/// The path and query that read what is asked for, as it was so many versions ago.
pub async fn target(
    upstream: &Client,
    asked: &Attributes<'_>,
    target: &str,
    versions: u64,
) -> Result<String> {
    let revision = present(upstream).await?.saturating_sub(versions).max(1);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let own = ["resourceVersion=", "resourceVersionMatch="];
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !own.iter().any(|it| pair.starts_with(it)));
    let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
    pairs.push(format!("resourceVersion={revision}&resourceVersionMatch=Exact"));
    let path = if asked.verb == "get" {
        pairs.push(format!("fieldSelector=metadata.name%3D{}", asked.name));
        path.rsplit_once('/').map_or(path, |(collection, _)| collection)
    } else {
        path
    };
    Ok(format!("{path}?{}", pairs.join("&")))
}

/// The one object of a list, with the type that items of built-in kinds leave to the list.
pub fn the_one(list: &[u8]) -> Option<Value> {
    let list = Value::from_json(list).ok()?;
    let mut object = list.list_at(&["items"]).first()?.clone();
    let kind = list.str_at(&["kind"]).and_then(|kind| kind.strip_suffix("List"));
    for (field, value) in [("kind", kind), ("apiVersion", list.str_at(&["apiVersion"]))] {
        if let (None, Some(value)) = (object.get(field), value) {
            object.set_at(&[field], value.into());
        }
    }
    Some(object)
}

/// The answer about an object that was not there then.
pub fn not_found(asked: Option<&Attributes<'_>>) -> ApiStatus {
    let Attributes { plural, group, name, .. } = asked.copied().unwrap_or_default();
    let what = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    let mut status = ApiStatus::new(404, StatusReason::NotFound, format!("{what} {name:?} not found"));
    status.details.name = name.into();
    status.details.group = group.into();
    status.details.kind = plural.into();
    status
}
