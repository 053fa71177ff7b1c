//! From `story.yaml` to a [`Story`].

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use trueup_object::{Map, Value, yaml::read_documents};

use super::{
    WorldName, expectation,
    format::{
        Action, ClientChange, ClientStep, Edit, KubectlStep, Reference, Step, Story, StoryApplication,
        StoryWebhook,
    },
    words,
};

/// Steps of the format that this build cannot perform.
const BEYOND: [&str; 7] = ["hold", "release", "adopt", "incident", "pause", "resume", "heal"];

/// The faults of the format, each with its keys.
const FAULTS: [(&str, &[&str]); 11] = [
    ("latency", &["ms", "match"]),
    ("status", &["code", "retryAfter", "match", "share"]),
    ("drop-watch", &["after", "match"]),
    ("late-watch", &["ms", "match"]),
    ("duplicate-events", &["match"]),
    ("partial-list", &["keep", "match"]),
    ("stale-read", &["versions", "match"]),
    ("gone", &["match"]),
    ("conflict", &["times", "match"]),
    ("cut", &["match"]),
    ("kill-controller-at", &["step", "nth", "match"]),
];

/// Reads a story.
pub fn story(bytes: &[u8]) -> Result<Story> {
    let documents = read_documents(bytes);
    let [document] = documents.as_slice() else { bail!("one document is expected") };
    let document = document.as_ref().map_err(|error| anyhow!("{error}"))?;
    if let Some(twice) = document.duplicate_keys.first() {
        bail!("line {}: the key {:?} is there twice", twice.line, twice.key);
    }
    let map = map(&document.value)?;
    let keys = ["name", "about", "ready", "audit", "world", "operators", "webhooks", "applications", "steps"];
    known(map, &keys)?;
    let applications = map.get("applications").ok_or_else(|| anyhow!("applications are missing"))?;
    let steps = map.get("steps").and_then(Value::as_list).ok_or_else(|| anyhow!("steps are missing"))?;
    let story = Story {
        name: text(map.get("name")).context("name")?,
        ready: flag(map.get("ready"), true).context("ready")?,
        audit: flag(map.get("audit"), false).context("audit")?,
        world: map.get("world").map(world).transpose()?,
        operators: flag(map.get("operators"), false).context("operators")?,
        webhooks: map.get("webhooks").map_or_else(|| Ok(Vec::new()), webhooks)?,
        applications: self::map(applications)?
            .iter()
            .map(|(name, value)| application(name, value).with_context(|| format!("application {name}")))
            .collect::<Result<_>>()?,
        steps: steps
            .iter()
            .enumerate()
            .map(|(index, value)| step(value).with_context(|| format!("step {}", index + 1)))
            .collect::<Result<_>>()?,
    };
    if story.operators && story.world != Some(WorldName::Cluster) {
        bail!("operators are at work in the cluster only: say world: cluster");
    }
    check_names(&story)?;
    Ok(with_known_scopes(story))
}

fn check_names(story: &Story) -> Result<()> {
    for (index, step) in story.steps.iter().enumerate() {
        let name = match &step.action {
            Action::Sync { application, .. } | Action::Refresh { application, .. } => Some(application),
            Action::Expect(expectation) => expectation.application.as_ref(),
            Action::Apply { .. }
            | Action::Kubectl(_)
            | Action::Client(_)
            | Action::Commit { .. }
            | Action::Wait(_)
            | Action::Fault { .. }
            | Action::Beyond { .. }
            | Action::RestartController => None,
        };
        if let Some(name) = name
            && !story.applications.iter().any(|application| application.name == *name)
        {
            bail!("step {}: the story has no application {name:?}", index + 1);
        }
    }
    Ok(())
}

/// What a step names that is not performed may be a project or a cluster: then it concerns all applications.
fn with_known_scopes(mut story: Story) -> Story {
    let Story { applications, steps, .. } = &mut story;
    for step in steps {
        if let Action::Beyond { application } = &mut step.action {
            application.take_if(|name| !applications.iter().any(|known| known.name == *name));
        }
    }
    story
}

fn world(value: &Value) -> Result<WorldName> {
    match value.as_str() {
        Some("sandbox") => Ok(WorldName::Sandbox),
        Some("cluster") => Ok(WorldName::Cluster),
        _ => bail!("world is sandbox or cluster, not {}", value.to_json()),
    }
}

fn webhooks(value: &Value) -> Result<Vec<StoryWebhook>> {
    let one = |(name, value): (&str, &Value)| -> Result<StoryWebhook> {
        let body = map(value)?;
        known(body, &["inject"])?;
        let inject = body.get("inject").filter(|it| it.as_map().is_some());
        let inject = inject.ok_or_else(|| anyhow!("inject is missing, or no map"))?.clone();
        Ok(StoryWebhook { name: name.to_owned(), inject })
    };
    let each = map(value).context("webhooks")?.iter();
    each.map(|entry| one(entry).with_context(|| format!("webhook {}", entry.0))).collect()
}

fn application(name: &str, value: &Value) -> Result<StoryApplication> {
    let map = map(value)?;
    known(map, &["namespace", "spec", "annotations"])?;
    let part = |key: &str| map.get(key).filter(|value| !value.is_null()).cloned();
    let empty = || Value::Map(Map::new());
    Ok(StoryApplication {
        name: name.to_owned(),
        namespace: text(map.get("namespace")).context("namespace")?,
        spec: part("spec").unwrap_or_else(empty),
        annotations: part("annotations").unwrap_or_else(empty),
    })
}

fn step(value: &Value) -> Result<Step> {
    let map = map(value)?;
    let mut entries = map.iter();
    let (Some((word, argument)), None) = (entries.next(), entries.next()) else {
        bail!("a step is a map with a single key");
    };
    let action = match word {
        "apply" => Action::Apply { path: text(Some(argument))? },
        "sync" => sync(argument)?,
        "refresh" => refresh(argument)?,
        "kubectl" => kubectl(argument)?,
        "client" => Action::Client(Box::new(client(argument)?)),
        "commit" => commit(argument)?,
        "wait" => Action::Wait(duration(&text(Some(argument))?)?),
        "fault" => fault(argument)?,
        "restart" if argument.as_str() == Some("controller") => Action::RestartController,
        "restart" => bail!("only the controller can be restarted"),
        "expect" => Action::Expect(Box::new(expectation::parse(argument)?)),
        beyond if BEYOND.contains(&beyond) => Action::Beyond { application: application_of(argument) },
        other => bail!("unknown step {other:?}"),
    };
    Ok(Step { text: value.to_json(), action })
}

/// The application of a step that is not performed: named as such, or the argument itself.
fn application_of(argument: &Value) -> Option<String> {
    argument.as_str().or_else(|| argument.str_at(&["application"])).map(str::to_owned)
}

fn sync(argument: &Value) -> Result<Action> {
    if let Some(application) = argument.as_str() {
        return Ok(Action::Sync { application: application.to_owned(), flags: Vec::new() });
    }
    let map = map(argument)?;
    known(map, &["application", "flags"])?;
    let flags = match map.get("flags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Str(line)) => words::split(line)?,
        Some(Value::List(items)) => items.iter().map(|item| text(Some(item))).collect::<Result<_>>()?,
        Some(_) => bail!("flags are a text or a list"),
    };
    Ok(Action::Sync { application: text(map.get("application"))?, flags })
}

fn refresh(argument: &Value) -> Result<Action> {
    if let Some(application) = argument.as_str() {
        return Ok(Action::Refresh { application: application.to_owned(), hard: false });
    }
    let map = map(argument)?;
    known(map, &["application", "hard"])?;
    Ok(Action::Refresh { application: text(map.get("application"))?, hard: flag(map.get("hard"), false)? })
}

fn kubectl(argument: &Value) -> Result<Action> {
    let mut step = KubectlStep::default();
    if let Some(line) = argument.as_str() {
        step.arguments = words::split(line)?;
        return Ok(Action::Kubectl(Box::new(step)));
    }
    let map = map(argument)?;
    known(map, &["args", "as", "stdin", "editor", "until"])?;
    step.arguments = match map.get("args") {
        Some(Value::List(items)) => items.iter().map(|item| text(Some(item))).collect::<Result<_>>()?,
        line => words::split(&text(line)?)?,
    };
    step.user = map.get("as").map(|user| text(Some(user))).transpose()?;
    step.editor = map.get("editor").map(|editor| text(Some(editor))).transpose()?;
    step.until = map.get("until").map(|until| text(Some(until))).transpose()?;
    // An object written out is one that is piped in; JSON is what kubectl reads as well.
    step.stdin = map
        .get("stdin")
        .map(|it| it.as_str().map_or_else(|| it.to_json(), str::to_owned))
        .unwrap_or_default();
    Ok(Action::Kubectl(Box::new(step)))
}

fn client(argument: &Value) -> Result<ClientStep> {
    let map = map(argument)?;
    let keys = [
        "manager",
        "operation",
        "subresource",
        "target",
        "patch",
        "apply",
        "rewrite",
        "force",
        "userAgent",
        "as",
    ];
    known(map, &keys)?;
    let optional = |key: &str| map.get(key).map(|value| text(Some(value))).transpose();
    let change = match (map.get("patch"), map.get("apply"), map.get("rewrite")) {
        (Some(patch), None, None) => ClientChange::MergePatch(patch.clone()),
        (None, Some(object), None) => ClientChange::Apply(object.clone()),
        (None, None, Some(how)) if how.as_str() == Some("reorder-fields") => ClientChange::ReorderFields,
        (None, None, Some(_)) => bail!("the only rewrite is reorder-fields"),
        _ => bail!("one of patch, apply and rewrite is expected"),
    };
    let apply = match optional("operation")?.as_deref() {
        Some("Apply") => true,
        Some("Update") => false,
        None => matches!(change, ClientChange::Apply(_)),
        Some(other) => bail!("the operation is Update or Apply, not {other:?}"),
    };
    if apply != matches!(change, ClientChange::Apply(_)) {
        bail!("operation Apply goes with apply, operation Update with patch and rewrite");
    }
    Ok(ClientStep {
        manager: optional("manager")?,
        apply,
        subresource: optional("subresource")?,
        target: reference(&text(map.get("target"))?)?,
        change,
        force: flag(map.get("force"), false)?,
        agent: optional("userAgent")?,
        user: optional("as")?,
    })
}

fn commit(argument: &Value) -> Result<Action> {
    let map = map(argument)?;
    known(map, &["message", "edits"])?;
    let edits = map.get("edits").ok_or_else(|| anyhow!("edits are missing"))?;
    let edits = self::map(edits)?
        .iter()
        .map(|(path, value)| Ok((path.to_owned(), edit(value).with_context(|| path.to_owned())?)))
        .collect::<Result<_>>()?;
    Ok(Action::Commit { message: text(map.get("message"))?, edits })
}

fn edit(value: &Value) -> Result<Edit> {
    let map = map(value)?;
    known(map, &["replace", "content", "delete"])?;
    let mut entries = map.iter();
    match (entries.next(), entries.next()) {
        (Some(("replace", Value::List(pair))), None) => match pair.as_slice() {
            [Value::Str(old), Value::Str(new)] => {
                Ok(Edit::Replace { old: old.to_string(), new: new.to_string() })
            }
            _ => bail!("replace takes two texts"),
        },
        (Some(("content", Value::Str(content))), None) => Ok(Edit::Content(content.to_string())),
        (Some(("delete", Value::Bool(true))), None) => Ok(Edit::Delete),
        _ => bail!("an edit is replace, content or delete: true"),
    }
}

fn fault(argument: &Value) -> Result<Action> {
    if argument.as_str() == Some("none") {
        return Ok(Action::Fault { rules: Vec::new() });
    }
    let one = std::slice::from_ref(argument);
    let mut rules = Vec::new();
    for item in argument.as_list().unwrap_or(one) {
        rules.extend(fault_rule(item)?);
    }
    Ok(Action::Fault { rules })
}

/// One rule, with the fault's name under `kind` and the kind of object of a partial list in `match`; nothing for `none`.
fn fault_rule(item: &Value) -> Result<Option<Value>> {
    let outer = map(item)?;
    let mut entries = outer.iter();
    let named = match (entries.next(), entries.next()) {
        (Some((name, body)), None) if FAULTS.iter().any(|(fault, ..)| *fault == name) => Some((name, body)),
        _ => None,
    };
    let (name, mut body) = match named {
        Some((name, Value::Map(body))) => (name.to_owned(), body.clone()),
        Some((name, Value::Null)) => (name.to_owned(), Map::new()),
        Some(_) => bail!("a fault's settings are a map"),
        None => {
            let mut body = outer.clone();
            (text(body.remove("kind").as_ref()).context("kind")?, body)
        }
    };
    if name == "none" {
        known(&body, &[])?;
        return Ok(None);
    }
    let (_, keys) =
        FAULTS.iter().find(|(fault, _)| *fault == name).ok_or_else(|| anyhow!("unknown fault {name:?}"))?;
    if let ("partial-list" | "gone", Some(kind)) = (name.as_str(), body.remove("kind")) {
        let mut on = body.remove("match").unwrap_or_else(|| Value::Map(Map::new()));
        on.set_at(&["kind"], kind);
        body.insert("match", on);
    }
    known(&body, keys)?;
    if let Some(on) = body.get("match") {
        known(map(on)?, &["verb", "group", "kind", "namespace", "name"])?;
    }
    body.insert("kind", Value::from(name));
    Ok(Some(Value::Map(body)))
}

/// `kind/name[.namespace]`.
pub(super) fn reference(text: &str) -> Result<Reference> {
    match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => {
            Ok(Reference { kind: kind.to_owned(), name: name.to_owned() })
        }
        _ => bail!("{text:?} is not kind/name"),
    }
}

pub(super) fn map(value: &Value) -> Result<&Map> {
    value.as_map().ok_or_else(|| anyhow!("a map is expected, not {}", value.to_json()))
}

pub(super) fn text(value: Option<&Value>) -> Result<String> {
    let value = value.ok_or_else(|| anyhow!("a text is missing"))?;
    value.as_str().map(str::to_owned).ok_or_else(|| anyhow!("a text is expected, not {}", value.to_json()))
}

pub(super) fn flag(value: Option<&Value>, default: bool) -> Result<bool> {
    let Some(value) = value else { return Ok(default) };
    value.as_bool().ok_or_else(|| anyhow!("true or false is expected, not {}", value.to_json()))
}

/// Refuses keys that are not in the format.
pub(super) fn known(map: &Map, keys: &[&str]) -> Result<()> {
    match map.keys().find(|key| !keys.contains(key)) {
        Some(key) => bail!("unknown key {key:?}; known are {}", keys.join(", ")),
        None => Ok(()),
    }
}

/// `2h`, `90s`, `1h30m`, `500ms`.
pub fn duration(text: &str) -> Result<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|char: char| char.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => bail!("{text:?} is not a duration such as 90s or 1h30m"),
        };
        let number: u64 = number.parse().with_context(|| format!("read the duration {text:?}"))?;
        total += Duration::from_millis(number.saturating_mul(ms));
        rest = tail;
    }
    if total.is_zero() {
        bail!("a duration is longer than nothing");
    }
    Ok(total)
}
