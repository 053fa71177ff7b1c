//! The `expect` step, read.

use anyhow::{Context, Result, bail};
use trueup_object::{FieldPath, Value};

use super::{
    format::{Expectation, LiveFields, Wanted},
    parse::{flag, known, map, reference, text},
};

const KEYS: [&str; 14] = [
    "application",
    "sync",
    "health",
    "origin",
    "held",
    "conditions",
    "notified",
    "drifts",
    "pending",
    "notes",
    "quiet",
    "live",
    "git",
    "requests",
];

/// The words of a listed difference that can be judged.
const WORDS: [&str; 6] = ["change", "origin", "class", "manager", "subresource", "confidence"];

/// Those that this build never says.
const WORDS_BEYOND: [&str; 2] = ["user", "verdict"];

const VALUES: [&str; 3] = ["target", "live", "base"];

/// Reads an expectation.
pub(super) fn parse(argument: &Value) -> Result<Expectation> {
    let map = map(argument)?;
    known(map, &KEYS)?;
    let word = |key: &str, words: &[&str]| -> Result<Option<String>> {
        let Some(value) = map.get(key) else { return Ok(None) };
        let word = text(Some(value)).with_context(|| key.to_owned())?;
        if !words.is_empty() && !words.contains(&word.as_str()) {
            bail!("{key} is one of {}, not {word:?}", words.join(", "));
        }
        Ok(Some(word))
    };
    let mut unjudged = Vec::new();
    if map.contains("held") {
        flag(map.get("held"), false)?;
        unjudged.push("held");
    }
    let application = text(map.get("application")).context("application")?;
    let mut list = |key: &'static str| -> Result<Option<Vec<Wanted>>> {
        map.get(key).map(|value| wanted_list(value, &mut unjudged).context(key)).transpose()
    };
    let (drifts, pending, notes) = (list("drifts")?, list("pending")?, list("notes")?);
    unjudged.sort_unstable();
    unjudged.dedup();
    Ok(Expectation {
        application: (application != "*").then_some(application),
        sync: word("sync", &["Synced", "OutOfSync", "Unknown"])?,
        health: word("health", &["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"])?,
        origin: word("origin", &["git", "cluster", "both", "unknown", "none"])?,
        conditions: map.get("conditions").map(texts).transpose().context("conditions")?,
        notified: word("notified", &[])?,
        drifts,
        pending,
        notes,
        quiet: flag(map.get("quiet"), false).context("quiet")?,
        live: live(map.get("live")).context("live")?,
        git: git(map.get("git")).context("git")?,
        requests: requests(map.get("requests")).context("requests")?,
        unjudged,
    })
}

fn texts(value: &Value) -> Result<Vec<String>> {
    let Some(items) = value.as_list() else { bail!("a list is expected, not {}", value.to_json()) };
    items.iter().map(|item| text(Some(item))).collect()
}

fn requests(value: Option<&Value>) -> Result<Option<usize>> {
    let Some(value) = value else { return Ok(None) };
    match value.as_int().and_then(|number| usize::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => bail!("a number is expected, not {}", value.to_json()),
    }
}

fn live(value: Option<&Value>) -> Result<Vec<LiveFields>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    for (name, fields) in map(value)?.iter() {
        let mut wanted = Vec::new();
        for (field, value) in map(fields).with_context(|| name.to_owned())?.iter() {
            wanted.push((FieldPath::parse(field)?, value.clone()));
        }
        objects.push((reference(name)?, wanted));
    }
    Ok(objects)
}

fn git(value: Option<&Value>) -> Result<Vec<(String, String)>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    map(value)?.iter().map(|(file, line)| Ok((file.to_owned(), text(Some(line))?))).collect()
}

fn wanted_list(value: &Value, unjudged: &mut Vec<&'static str>) -> Result<Vec<Wanted>> {
    let Some(items) = value.as_list() else { bail!("a list is expected, not {}", value.to_json()) };
    items.iter().map(|item| wanted(item, unjudged)).collect()
}

fn wanted(value: &Value, unjudged: &mut Vec<&'static str>) -> Result<Wanted> {
    let map = map(value)?;
    let keys: Vec<&str> =
        ["object", "path"].into_iter().chain(WORDS).chain(WORDS_BEYOND).chain(VALUES).collect();
    known(map, &keys)?;
    let object = reference(&text(map.get("object")).context("object")?)?;
    let path = match map.get("path") {
        None | Some(Value::Null) => None,
        Some(value) => Some(FieldPath::parse(&text(Some(value))?)?),
    };
    unjudged.extend(WORDS_BEYOND.into_iter().filter(|word| map.contains(word)));
    let mut words = Vec::new();
    for word in WORDS {
        match map.get(word) {
            None => {}
            Some(Value::List(items)) => {
                words.push((word, items.iter().map(|item| text(Some(item))).collect::<Result<_>>()?));
            }
            Some(value) => words.push((word, vec![text(Some(value)).with_context(|| word.to_owned())?])),
        }
    }
    let values = VALUES.into_iter().filter_map(|key| Some((key, map.get(key)?.clone()))).collect();
    Ok(Wanted { kind: object.kind, name: object.name, path, words, values })
}
