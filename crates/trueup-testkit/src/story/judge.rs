//! Judges expectations: looks until everything that is asked for holds, and once more a second later.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use tokio::time::Instant;
use trueup_object::{FieldPath, Map, Value};

use super::{
    Outcome,
    format::{Expectation, Reference, Story, Wanted},
    stage::{APPLICATIONS, HOME, REPORTS, Stage},
    world::Write,
};

const POLL: Duration = Duration::from_millis(100);
/// What has come true must still be so this much later.
const HOLDS: Duration = Duration::from_secs(1);

/// How the controller names itself in requests.
const CONTROLLER_AGENT: &str = "trueup";

/// Words that an audit feed would change, which this build cannot connect.
const AUDIT_WORDS: [&str; 2] = ["class", "confidence"];

/// What is known from one expectation to the next.
pub struct Judge {
    /// Applications and their namespaces.
    applications: Vec<(String, String)>,
    audit: bool,
    /// The number of writes when the last step was done; nothing before the first.
    mark: Option<usize>,
    /// The objects that an application was ever seen to consist of.
    objects: BTreeMap<String, BTreeSet<(String, String)>>,
}

/// How an expectation ended.
#[derive(Debug)]
pub struct Judgement {
    pub found: Value,
    pub outcome: Outcome,
}

/// One key of an expectation: what was found, and whether it is as expected.
struct Check {
    key: String,
    found: Value,
    good: bool,
}

impl Judge {
    pub fn new(story: &Story) -> Self {
        let applications = story.applications.iter().map(|it| (it.name.clone(), it.namespace.clone()));
        Self {
            applications: applications.collect(),
            audit: story.audit,
            mark: None,
            objects: BTreeMap::new(),
        }
    }

    /// Takes note of how many writes there were when a step was done.
    pub fn mark(&mut self, n_writes: usize) {
        self.mark = Some(n_writes);
    }

    pub async fn expect(
        &mut self,
        stage: &mut Stage<'_>,
        expectation: &Expectation,
        deadline: Duration,
    ) -> Judgement {
        let end = Instant::now() + deadline;
        loop {
            let (mut found, mut good) = self.look(stage, expectation).await;
            if good {
                tokio::time::sleep(HOLDS).await;
                (found, good) = self.look(stage, expectation).await;
            }
            let unjudged = !expectation.unjudged.is_empty() || self.drops_words(expectation);
            if good {
                let outcome = if unjudged { Outcome::NotJudged } else { Outcome::Passed };
                return Judgement { found: self.with_unjudged(found, expectation), outcome };
            }
            if Instant::now() >= end {
                return Judgement { found, outcome: Outcome::Failed };
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn drops_words(&self, expectation: &Expectation) -> bool {
        let lists = [&expectation.drifts, &expectation.pending, &expectation.notes];
        let mut words = lists.into_iter().flatten().flatten().flat_map(|wanted| &wanted.words);
        self.audit && words.any(|(word, _)| AUDIT_WORDS.contains(word))
    }

    /// Says what was left out.
    fn with_unjudged(&self, mut found: Value, expectation: &Expectation) -> Value {
        let mut words: Vec<&str> = expectation.unjudged.clone();
        if self.drops_words(expectation) {
            words.push("audit");
        }
        if !words.is_empty() {
            found.set_at(&["notJudged"], Value::List(words.into_iter().map(Value::from).collect()));
        }
        found
    }

    /// Looks once, at every application that is meant.
    async fn look(&mut self, stage: &mut Stage<'_>, expectation: &Expectation) -> (Value, bool) {
        let all = self.applications.clone();
        let meant = all
            .iter()
            .filter(|(name, _)| expectation.application.as_ref().is_none_or(|wanted| wanted == name));
        let mut found = Map::new();
        let mut good = true;
        for (name, namespace) in meant {
            let checks = match self.checks(stage, expectation, name, namespace).await {
                Ok(checks) => checks,
                Err(error) => {
                    vec![Check { key: "error".into(), found: format!("{error:#}").into(), good: false }]
                }
            };
            good &= checks.iter().all(|check| check.good);
            let entries: Map = checks.into_iter().map(|check| (check.key, check.found)).collect();
            if expectation.application.is_some() {
                found = entries;
            } else {
                found.insert(name.as_str(), Value::Map(entries));
            }
        }
        (Value::Map(found), good)
    }

    async fn checks(
        &mut self,
        stage: &mut Stage<'_>,
        expectation: &Expectation,
        name: &str,
        namespace: &str,
    ) -> Result<Vec<Check>> {
        let application = stage.client.find(&format!("{APPLICATIONS}/{name}")).await?.unwrap_or_default();
        let report = stage.client.find(&format!("{REPORTS}/{name}")).await?.unwrap_or_default();
        self.note_objects(stage, name, &application).await?;
        let mut checks = Vec::new();
        let texts = [
            ("sync", &expectation.sync, application.str_at(&["status", "sync", "status"])),
            ("health", &expectation.health, application.str_at(&["status", "health", "status"])),
            ("origin", &expectation.origin, report.str_at(&["status", "origin"])),
        ];
        for (key, wanted, found) in texts {
            let Some(wanted) = wanted else { continue };
            let good = found == Some(wanted.as_str());
            checks.push(Check { key: key.into(), found: found.map(Value::from).unwrap_or_default(), good });
        }
        checks.extend(expectation.conditions.as_ref().map(|wanted| conditions(wanted, &application)));
        let lists = [
            ("drifts", &expectation.drifts),
            ("pending", &expectation.pending),
            ("notes", &expectation.notes),
        ];
        for (key, wanted) in lists {
            checks.extend(wanted.as_ref().map(|wanted| self.list(key, wanted, &report)));
        }
        if expectation.quiet {
            checks.push(self.quiet(stage, name, &application, &report)?);
        }
        if let Some(most) = expectation.requests {
            let writes = self.since_mark(stage)?;
            let n_found = writes.iter().filter(|write| !is_bookkeeping(write)).count();
            let found = Value::from(i64::try_from(n_found)?);
            checks.push(Check { key: "requests".into(), found, good: n_found <= most });
        }
        checks.extend(live(stage, expectation, namespace).await?);
        checks.extend(git(stage, expectation)?);
        if let Some(reason) = &expectation.notified {
            checks.push(notified(stage, name, reason).await?);
        }
        Ok(checks)
    }

    async fn note_objects(&mut self, stage: &mut Stage<'_>, name: &str, application: &Value) -> Result<()> {
        let known = self.objects.entry(name.to_owned()).or_default();
        for resource in application.list_at(&["status", "resources"]) {
            let text = |key: &str| resource.str_at(&[key]).unwrap_or_default();
            if stage.kinds.find(text("kind")).is_none() {
                stage.learn_kinds().await?;
            }
            let Some(kind) = stage.kinds.find(text("kind")) else { continue };
            known.insert((kind.collection(text("namespace")), text("name").to_owned()));
        }
        Ok(())
    }

    /// The controller's successful writes since the last step.
    fn since_mark(&self, stage: &Stage<'_>) -> Result<Vec<Write>> {
        let Some(mark) = self.mark else { return Ok(Vec::new()) };
        let writes = stage.world.writes()?.into_iter().skip(mark);
        Ok(writes.filter(|write| write.agent.starts_with(CONTROLLER_AGENT) && write.code < 400).collect())
    }

    fn quiet(&self, stage: &Stage<'_>, name: &str, application: &Value, report: &Value) -> Result<Check> {
        let sync = application.str_at(&["status", "sync", "status"]).unwrap_or_default();
        let drifts = listed("drifts", report);
        let objects = self.objects.get(name);
        let about = |write: &&Write| {
            objects.into_iter().flatten().any(|(collection, name)| {
                let rest = write.path.strip_prefix(collection.as_str());
                let part = rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
                // A create names only the collection.
                rest == Some("") || part.split('/').next() == Some(name.as_str())
            })
        };
        let writes = self.since_mark(stage)?;
        let writes: Vec<Value> = writes
            .iter()
            .filter(about)
            .map(|write| format!("{} {}", write.verb, write.path).into())
            .collect();
        let good = sync == "Synced" && drifts.is_empty() && writes.is_empty();
        let mut found = Value::default();
        found.set_at(&["sync"], sync.into());
        found.set_at(&["drifts"], Value::List(drifts.into_iter().map(shown).collect()));
        found.set_at(&["writes"], Value::List(writes));
        Ok(Check { key: "quiet".into(), found, good })
    }

    fn list(&self, key: &str, wanted: &[Wanted], report: &Value) -> Check {
        if report.get("status").is_none() {
            return Check { key: key.into(), found: "no DriftReport".into(), good: false };
        }
        let found = listed(key, report);
        let good = wanted.len() == found.len() && self.match_up(wanted, &mut found.clone());
        Check { key: key.into(), found: Value::List(found.into_iter().map(shown).collect()), good }
    }

    /// Whether each wanted difference can be given one of its own. Lists of stories are short: trying all ways is quick.
    fn match_up(&self, wanted: &[Wanted], found: &mut Vec<&Value>) -> bool {
        let Some((first, rest)) = wanted.split_first() else { return true };
        for index in 0..found.len() {
            let candidate = found[index];
            if self.agrees(first, candidate) {
                found.remove(index);
                if self.match_up(rest, found) {
                    return true;
                }
                found.insert(index, candidate);
            }
        }
        false
    }

    fn agrees(&self, wanted: &Wanted, found: &Value) -> bool {
        let same_object =
            found.str_at(&["object", "kind"]).is_some_and(|it| it.eq_ignore_ascii_case(&wanted.kind))
                && names_object(&wanted.name, found);
        let same_path = match (&wanted.path, found.str_at(&["path"])) {
            (None, None) => true,
            (Some(wanted), Some(found)) => FieldPath::parse(found).is_ok_and(|found| found == *wanted),
            (Some(_), None) | (None, Some(_)) => false,
        };
        let mut words = wanted.words.iter().filter(|(word, _)| !(self.audit && AUDIT_WORDS.contains(word)));
        let same_words =
            words.all(|(word, any)| found.str_at(&[word]).is_some_and(|it| any.iter().any(|one| one == it)));
        let secret = wanted.kind.eq_ignore_ascii_case("Secret");
        let same_values = wanted.values.iter().all(|(key, value)| {
            let found = found.get(key).unwrap_or(&Value::Null);
            if secret && !value.is_null() { is_masked(found) } else { found == value }
        });
        same_object && same_path && same_words && same_values
    }
}

/// `name`, or `name.namespace`.
fn names_object(wanted: &str, found: &Value) -> bool {
    let name = found.str_at(&["object", "name"]).unwrap_or_default();
    let namespace = found.str_at(&["object", "namespace"]).unwrap_or_default();
    wanted == name || wanted.strip_suffix(namespace).and_then(|it| it.strip_suffix('.')) == Some(name)
}

/// A Secret's value is a run of plus signs, or a map of such.
fn is_masked(value: &Value) -> bool {
    match value {
        Value::Str(text) => !text.is_empty() && text.chars().all(|char| char == '+'),
        Value::Map(map) => map.iter().all(|(_, value)| is_masked(value)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) => false,
    }
}

/// The drifts, pending changes or notes of a report.
fn listed<'a>(key: &str, report: &'a Value) -> Vec<&'a Value> {
    if key == "notes" {
        return report.list_at(&["status", "notes"]).iter().collect();
    }
    let pending = key == "pending";
    let all = report.list_at(&["status", "differences"]).iter();
    all.filter(|found| (found.str_at(&["origin"]) == Some("git")) == pending).collect()
}

/// A difference as results show it: what stories can name.
fn shown(found: &Value) -> Value {
    let mut out = Map::new();
    let text = |keys: &[&str]| found.str_at(keys).unwrap_or_default();
    out.insert("object", format!("{}/{}", text(&["object", "kind"]), text(&["object", "name"])).into());
    let keys = [
        "path",
        "change",
        "channel",
        "origin",
        "class",
        "manager",
        "subresource",
        "confidence",
        "target",
        "live",
        "base",
        "message",
    ];
    for key in keys {
        if let Some(value) = found.get(key).filter(|value| !value.is_null()) {
            out.insert(key, value.clone());
        }
    }
    Value::Map(out)
}

fn conditions(wanted: &[String], application: &Value) -> Check {
    let found = application.list_at(&["status", "conditions"]);
    let types: BTreeSet<&str> = found.iter().filter_map(|condition| condition.str_at(&["type"])).collect();
    let good = types == wanted.iter().map(String::as_str).collect();
    let shown = found.iter().map(|condition| {
        let text = |key: &str| condition.str_at(&[key]).unwrap_or_default();
        Value::from(format!("{}: {}", text("type"), text("message")))
    });
    Check { key: "conditions".into(), found: Value::List(shown.collect()), good }
}

/// Status, Events, the Lease: what a controller writes about its own work.
fn is_bookkeeping(write: &Write) -> bool {
    let own = ["/applications", "/driftreports", "/leases", "/events", "/selfsubject", "/subjectaccess"];
    write.path.ends_with("/status") || own.iter().any(|part| write.path.contains(part))
}

async fn live(stage: &mut Stage<'_>, expectation: &Expectation, namespace: &str) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (reference, fields) in &expectation.live {
        let Reference { kind, name } = reference;
        if stage.kinds.find(kind).is_none() {
            stage.learn_kinds().await?;
        }
        // A kind that is not served has no objects.
        let object = match stage.kinds.find(kind) {
            None => None,
            Some(_) => stage.client.find(&stage.kinds.place(reference, Some(namespace))?.path()).await?,
        };
        let mut found = Map::new();
        let mut good = true;
        for (path, wanted) in fields {
            let value = object.as_ref().and_then(|object| path.get_in(object)).cloned().unwrap_or_default();
            good &= value == *wanted;
            let shown = if path.is_root() && object.is_some() { Value::from("present") } else { value };
            found.insert(path.to_string(), shown);
        }
        checks.push(Check { key: format!("live {kind}/{name}"), found: Value::Map(found), good });
    }
    Ok(checks)
}

fn git(stage: &Stage<'_>, expectation: &Expectation) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for (file, line) in &expectation.git {
        let text = stage.repository.file(file)?;
        let good = text.as_ref().is_some_and(|text| text.lines().any(|found| found.trim() == line.trim()));
        checks.push(Check {
            key: format!("git {file}"),
            found: text.map(Value::from).unwrap_or_default(),
            good,
        });
    }
    Ok(checks)
}

async fn notified(stage: &Stage<'_>, name: &str, reason: &str) -> Result<Check> {
    let events = stage.client.find(&format!("/api/v1/namespaces/{HOME}/events")).await?.unwrap_or_default();
    let about = |event: &&Value| {
        event.str_at(&["involvedObject", "kind"]) == Some("Application")
            && event.str_at(&["involvedObject", "name"]) == Some(name)
    };
    let reasons: BTreeSet<&str> = events
        .list_at(&["items"])
        .iter()
        .filter(about)
        .filter_map(|event| event.str_at(&["reason"]))
        .collect();
    let good = reasons.contains(reason);
    let found = Value::List(reasons.into_iter().map(Value::from).collect());
    Ok(Check { key: "notified".into(), found, good })
}
