//! What two worlds must agree on: answers and objects without what no two clusters have alike (ids, versions, times,
//! allocated addresses and ports, random names).

use std::sync::LazyLock;

use regex::Regex;
use trueup_object::{Map, Value};

use super::world::Answer;

/// Reads what one world says in one sequence: the n-th id and the n-th version that it meets are called by their numbers.
pub struct Sight {
    name: String,
    uids: Vec<String>,
    versions: Vec<String>,
    /// The API server itself writes the status of some kinds, whenever it comes to it: versions say nothing then.
    versions_vary: bool,
    /// Whether a message ended in a comparison of internal types, which was cut off.
    pub compared: bool,
}

#[expect(clippy::unwrap_used, reason = "the patterns are constants")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

static ID: LazyLock<Regex> =
    LazyLock::new(|| pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"20\d{2}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"));
static ACCESS_VOLUME: LazyLock<Regex> = LazyLock::new(|| pattern("kube-api-access-[a-z0-9]{5}"));
static QUOTED_VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r#"resourceVersion(\\*)":\\*"\d+"#));
/// An object that a message quotes, as a string of JSON.
static QUOTED_OBJECT: LazyLock<Regex> = LazyLock::new(|| pattern(r#""\{(?:[^"\\]|\\.)*\}""#));
/// Lines of a comparison begin with a sign or a space; what follows them does not.
static COMPARISON: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)\n@@.*?\n([,\]]|$)"));
static RECORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"in record \(\d+\)"));
static VERSION_MET: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"ResourceVersion in (precondition|object meta): \d+"));
static PRECONDITION: LazyLock<Regex> = LazyLock::new(|| pattern(r"in the precondition \(\d+\)"));

/// The time that generated objects hold.
const OWN_TIME: &str = "2026-01-02T";

impl Sight {
    pub fn new(name: &str, versions_vary: bool) -> Self {
        Self { name: name.to_owned(), uids: Vec::new(), versions: Vec::new(), versions_vary, compared: false }
    }

    fn text(&mut self, text: &str) -> String {
        // The server quotes objects in the order of its Go types, which no client sees anywhere else.
        let sorted = QUOTED_OBJECT.replace_all(text, |found: &regex::Captures<'_>| {
            let inner = Value::from_json(found[0].as_bytes()).ok();
            let object = inner.and_then(|inner| Value::from_json(inner.as_str()?.as_bytes()).ok());
            object.map_or_else(
                || found[0].to_owned(),
                |mut object| {
                    sort_entries(&mut object, self.versions_vary);
                    Value::from(object.to_json()).to_json()
                },
            )
        });
        let with_ids = ID.replace_all(&sorted, |found: &regex::Captures<'_>| {
            let id = found[0].to_owned();
            format!("id-{}", number(&mut self.uids, id))
        });
        let with_times = TIME.replace_all(&with_ids, |found: &regex::Captures<'_>| {
            if found[0].starts_with(OWN_TIME) { found[0].to_owned() } else { "TIME".to_owned() }
        });
        let plain = ACCESS_VOLUME.replace_all(&with_times, "kube-api-access-?").into_owned();
        let cut = COMPARISON.replace_all(&plain, "$1").into_owned();
        self.compared |= cut != plain;
        let plain = cut;
        let (plain, internal) = sorted_values(&plain);
        self.compared |= internal;
        let plain = RECORD.replace_all(&plain, "in record (?)");
        let plain = VERSION_MET.replace_all(&plain, "ResourceVersion in $1: ?");
        let plain = QUOTED_VERSION.replace_all(&plain, "resourceVersion?");
        let plain = PRECONDITION.replace_all(&plain, "in the precondition (?)");
        if self.name.is_empty() { plain.into_owned() } else { plain.replace(&self.name, "{{name}}") }
    }

    /// A value as both worlds should have it.
    pub fn see(&mut self, value: &Value) -> Value {
        match value {
            Value::Str(text) => self.text(text).into(),
            Value::List(items) => items.iter().map(|item| self.see(item)).collect::<Vec<_>>().into(),
            Value::Map(map) => {
                let mut seen = Map::new();
                // Others write meanwhile, and a list is of the whole world's moment.
                let moment = value.str_at(&["kind"]).is_some_and(|kind| kind.ends_with("List"));
                for (key, inner) in map.iter() {
                    if moment && key == "metadata" {
                        let mut metadata = inner.clone();
                        metadata.remove_at(&["resourceVersion"]);
                        seen.insert(key, self.see(&metadata));
                        continue;
                    }
                    let key_seen = self.text(key);
                    seen.insert(key_seen, self.entry(key, inner));
                }
                let mut seen = Value::Map(seen);
                match seen.str_at(&["kind"]) {
                    Some("Service") => without_allocations(&mut seen),
                    Some("ServiceList") => without_allocations_of(&mut seen),
                    _ => {}
                }
                seen
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.clone(),
        }
    }

    fn entry(&mut self, key: &str, value: &Value) -> Value {
        match (key, value) {
            ("resourceVersion", Value::Str(version)) if version.parse::<u64>().is_ok() => {
                let number = number(&mut self.versions, version.to_string());
                if self.versions_vary { "version".into() } else { format!("version-{number}").into() }
            }
            ("managedFields", Value::List(_)) => {
                let mut entries = self.see_list(value);
                sort_managers(&mut entries);
                entries.into()
            }
            // The server collects conflicts in a map.
            ("causes", Value::List(causes))
                if causes.iter().all(|cause| cause.str_at(&["reason"]) == Some("FieldManagerConflict")) =>
            {
                let mut causes = self.see_list(value);
                causes.sort_by_cached_key(Value::to_json);
                causes.into()
            }
            _ => self.see(value),
        }
    }

    fn see_list(&mut self, value: &Value) -> Vec<Value> {
        value.as_list().unwrap_or_default().iter().map(|item| self.see(item)).collect()
    }

    /// An answer as one value.
    pub fn answer(&mut self, answer: &Answer) -> Value {
        let mut seen = Value::default();
        seen.set_at(&["code"], i64::from(answer.code).into());
        seen.set_at(&["body"], self.see(&answer.body));
        let warnings: Vec<Value> = answer.warnings.iter().map(|text| self.text(text).into()).collect();
        seen.set_at(&["warnings"], warnings.into());
        seen
    }
}

/// Entries of one second are sorted by name, and the worlds' seconds differ.
fn sort_managers(entries: &mut [Value]) {
    entries.sort_by_cached_key(|entry| {
        ["operation", "manager", "apiVersion", "subresource"]
            .map(|key| entry.str_at(&[key]).unwrap_or_default().to_owned())
    });
}

/// The same in an object that a message quotes.
fn sort_entries(object: &mut Value, without_status: bool) {
    if without_status {
        object.remove_at(&["status"]);
    }
    let entries = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields"));
    if let Some(entries) = entries.and_then(Value::as_list_mut) {
        entries.retain(|entry| !without_status || entry.str_at(&["subresource"]) != Some("status"));
        sort_managers(entries);
    }
}

/// What a message shows in place of a whole pod or version, in whichever names.
const INTERNAL: &str = "{internal}";

/// Whether a value is a pod's or a version's whole, and whether it is shown by the names of the server's internal types.
fn whole(value: &Value) -> Option<bool> {
    let is_list = |value: &Value, key: &str| value.get(key).is_some_and(|inner| inner.as_list().is_some());
    if let Some(first) = value.as_list().and_then(<[Value]>::first) {
        let is_version =
            |name: &str, storage: &str| first.get(name).is_some() && first.get(storage).is_some();
        return is_version("Name", "Storage")
            .then_some(true)
            .or(is_version("name", "storage").then_some(false));
    }
    if is_list(value, "Containers") {
        return Some(true);
    }
    if is_list(value, "containers") {
        return Some(false);
    }
    let rule = |name: &str, action: &str| {
        let rules = value.get(name).and_then(Value::as_list).and_then(<[Value]>::first);
        rules.is_some_and(|rule| rule.get(action).is_some())
    };
    if rule("Rules", "Action") || rule("rules", "action") {
        return Some(rule("Rules", "Action"));
    }
    value.get("Spec").and_then(whole).or_else(|| value.get("spec").and_then(whole))
}

/// Values in messages, which the server shows in the order of its Go types; and whether one was of an internal type, which is put
/// out of sight.
fn sorted_values(text: &str) -> (String, bool) {
    let mut internal = false;
    let mut sorted = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("value: {").or_else(|| rest.find("value: [{")) {
        let (head, value) = rest.split_at(at + "value: ".len());
        sorted.push_str(head);
        let length = json_length(value);
        let (value, after) = value.split_at(length);
        match Value::from_json(value.as_bytes()) {
            Ok(read) => match whole(&read) {
                Some(of_server) => {
                    internal |= of_server;
                    sorted.push_str(INTERNAL);
                }
                None => sorted.push_str(&read.to_json()),
            },
            Err(_) => sorted.push_str(value),
        }
        rest = after;
    }
    sorted.push_str(rest);
    (sorted, internal)
}

/// How long the list or map is that a text begins with.
fn json_length(text: &str) -> usize {
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '{' | '[' if !inside => depth += 1,
            '}' | ']' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + letter.len_utf8();
        }
    }
    text.len()
}

fn number(known: &mut Vec<String>, text: String) -> usize {
    let position = known.iter().position(|other| *other == text);
    position.unwrap_or_else(|| {
        known.push(text);
        known.len() - 1
    })
}

/// Services in a list do not say their kind.
fn without_allocations_of(list: &mut Value) {
    let items = list.get_mut("items").and_then(Value::as_list_mut);
    items.into_iter().flatten().for_each(without_allocations);
}

/// Whether a port of the nodes is none that requests name.
pub fn is_allocated(port: i64) -> bool {
    ![30_000, 31_000, 32_000].contains(&port)
}

/// A service without the addresses and ports that it was given.
fn without_allocations(service: &mut Value) {
    if service.str_at(&["spec", "clusterIP"]).is_some_and(|address| address.starts_with("10.0.")) {
        service.set_at(&["spec", "clusterIP"], "ADDRESS".into());
        service.set_at(&["spec", "clusterIPs"], "ADDRESS".into());
    }
    if service.at(&["spec", "healthCheckNodePort"]).is_some() {
        service.set_at(&["spec", "healthCheckNodePort"], "PORT".into());
    }
    let ports = service.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_list_mut);
    for port in ports.into_iter().flatten() {
        if port.int_at(&["nodePort"]).is_some_and(is_allocated) {
            port.set_at(&["nodePort"], "PORT".into());
        }
    }
}

/// Where two values differ: a path and what each has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub path: String,
    pub real: String,
    pub ours: String,
}

/// Where two values differ.
pub fn differences(real: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", real, ours, &mut found);
    found
}

fn walk(path: &str, real: &Value, ours: &Value, found: &mut Vec<Difference>) {
    match (real, ours) {
        (Value::Map(left), Value::Map(right)) => {
            for (key, value) in left.iter() {
                match right.get(key) {
                    Some(other) => walk(&format!("{path}.{key}"), value, other, found),
                    None => found.push(difference(&format!("{path}.{key}"), Some(value), None)),
                }
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains(key)) {
                found.push(difference(&format!("{path}.{key}"), None, Some(value)));
            }
        }
        (Value::List(left), Value::List(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                walk(&format!("{path}[{index}]"), left, right, found);
            }
        }
        _ if real != ours => found.push(difference(path, Some(real), Some(ours))),
        _ => {}
    }
}

fn difference(path: &str, real: Option<&Value>, ours: Option<&Value>) -> Difference {
    let shown = |value: Option<&Value>| value.map_or_else(|| "(absent)".to_owned(), Value::to_json);
    Difference { path: path.to_owned(), real: shown(real), ours: shown(ours) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn seen(texts: &[&str]) -> Vec<Value> {
        let mut sight = Sight::new("q7x", false);
        texts.iter().map(|text| sight.see(&Value::from_json(text.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn ids_and_versions_count_by_their_order() {
        let one = r#"{"metadata":{"name":"q7x","uid":"01234567-89ab-cdef-0123-456789abcdef","resourceVersion":"17"}}"#;
        let two = r#"{"metadata":{"name":"q7x","uid":"01234567-89ab-cdef-0123-456789abcdef","resourceVersion":"18"}}"#;
        let other = one.replace("012345", "a12345").replace("17", "901");
        let later = two.replace("012345", "a12345").replace("18", "950");
        assert_eq!(seen(&[one, two]), seen(&[&other, &later]));
        assert_ne!(seen(&[one, two]), seen(&[one, one]));
    }

    #[test]
    fn times_of_the_server_are_no_difference_and_those_of_cases_are() {
        let time = |text: &str| seen(&[&format!(r#"{{"at":"{text}"}}"#)]);
        assert_eq!(time("2026-11-21T21:00:00Z"), time("2027-03-01T01:02:03.123456Z"));
        assert_ne!(time("2026-01-02T03:04:05Z"), time("2026-11-21T21:00:00Z"));
    }

    #[test]
    fn entries_of_managers_have_no_order() {
        let entry = |name: &str| {
            format!(r#"{{"manager":"{name}","operation":"Update","time":"2026-11-21T21:00:00Z"}}"#)
        };
        let object = |first: &str, second: &str| {
            format!(r#"{{"managedFields":[{},{}]}}"#, entry(first), entry(second))
        };
        assert_eq!(seen(&[&object("a", "b")]), seen(&[&object("b", "a")]));
        assert_ne!(seen(&[&object("a", "b")]), seen(&[&object("a", "c")]));
    }

    #[test]
    fn differences_name_their_paths() {
        let value = |text: &str| Value::from_json(text.as_bytes()).unwrap();
        let found = differences(&value(r#"{"a":[{"b":1}],"c":2}"#), &value(r#"{"a":[{"b":3}],"d":4}"#));
        let paths: Vec<&str> = found.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(paths, [".a[0].b", ".c", ".d"]);
    }
}
