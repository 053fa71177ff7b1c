//! A difference in the JSON words of contracts.md: `diff -o json`, DriftReport, stories.
//!
//! All keys are always written; what is not known is null. Values have been masked where the difference was made.

#[cfg(test)]
mod schema;

use trueup_object::{Map, ResourceKey, Text, Value};

/// A value whose JSON is longer than this is cut: a report is not a place for whole documents.
const VALUE_LENGTH_MAX: usize = 2_048;

/// A difference on the wire.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    pub id: Text,
    /// `declared`, `undeclared`, `unowned`, `existence`.
    pub channel: Text,
    /// `None` for an existence difference.
    pub path: Option<Text>,
    pub pointer: Option<Text>,
    /// `changed`, `added`, `removed`, `missing`, `extraneous`.
    pub change: Text,
    /// `git`, `cluster`, `both`, `unknown`.
    pub origin: Option<Text>,
    pub target: Option<Value>,
    pub live: Option<Value>,
    pub base: Option<Value>,
    pub predicted: Option<Value>,
    pub class: Option<Text>,
    pub manager: Option<Text>,
    pub operation: Option<Text>,
    pub subresource: Option<Text>,
    pub time: Option<Text>,
    pub user: Option<Text>,
    pub first_seen: Option<Text>,
    /// `proven`, `strong`, `weak`, `none`.
    pub confidence: Option<Text>,
    pub inherited: Option<bool>,
    pub unconfirmed: Option<bool>,
    pub verdict: Option<Verdict>,
    pub ignored_by: Option<IgnoredBy>,
    pub message: Option<Text>,
}

/// The advice for a difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub advice: Text,
    pub reasons: Vec<Text>,
}

/// Which rule hides a difference, and where the rule stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoredBy {
    pub rule: Text,
    pub source: Text,
}

/// The keys of a difference, in the order of contracts.md.
pub const KEYS: [&str; 23] = [
    "id",
    "channel",
    "path",
    "pointer",
    "change",
    "origin",
    "target",
    "live",
    "base",
    "predicted",
    "class",
    "manager",
    "operation",
    "subresource",
    "time",
    "user",
    "firstSeen",
    "confidence",
    "inherited",
    "unconfirmed",
    "verdict",
    "ignoredBy",
    "message",
];

impl Difference {
    /// With every key.
    pub fn to_value(&self) -> Value {
        let Self {
            id,
            channel,
            path,
            pointer,
            change,
            origin,
            target,
            live,
            base,
            predicted,
            class,
            manager,
            operation,
            subresource,
            time,
            user,
            first_seen,
            confidence,
            inherited,
            unconfirmed,
            verdict,
            ignored_by,
            message,
        } = self;
        let text = |text: &Option<Text>| text.clone().map(Value::Str).unwrap_or_default();
        let value = |value: &Option<Value>| value.as_ref().map(bounded).unwrap_or_default();
        let flag = |flag: Option<bool>| flag.map(Value::Bool).unwrap_or_default();
        let entries: [(&str, Value); KEYS.len()] = [
            ("id", Value::Str(id.clone())),
            ("channel", Value::Str(channel.clone())),
            ("path", text(path)),
            ("pointer", text(pointer)),
            ("change", Value::Str(change.clone())),
            ("origin", text(origin)),
            ("target", value(target)),
            ("live", value(live)),
            ("base", value(base)),
            ("predicted", value(predicted)),
            ("class", text(class)),
            ("manager", text(manager)),
            ("operation", text(operation)),
            ("subresource", text(subresource)),
            ("time", text(time)),
            ("user", text(user)),
            ("firstSeen", text(first_seen)),
            ("confidence", text(confidence)),
            ("inherited", flag(*inherited)),
            ("unconfirmed", flag(*unconfirmed)),
            ("verdict", verdict.as_ref().map(Verdict::to_value).unwrap_or_default()),
            ("ignoredBy", ignored_by.as_ref().map(IgnoredBy::to_value).unwrap_or_default()),
            ("message", text(message)),
        ];
        Value::Map(entries.into_iter().collect())
    }

    /// Reads what [`Self::to_value`] writes; `None` where a key that is never null is missing.
    pub fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| value.str_at(&[name]).map(Text::from);
        let any = |name: &str| value.get(name).filter(|value| !value.is_null()).cloned();
        let flag = |name: &str| value.get(name).and_then(Value::as_bool);
        Some(Self {
            id: text("id")?,
            channel: text("channel")?,
            path: text("path"),
            pointer: text("pointer"),
            change: text("change")?,
            origin: text("origin"),
            target: any("target"),
            live: any("live"),
            base: any("base"),
            predicted: any("predicted"),
            class: text("class"),
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            time: text("time"),
            user: text("user"),
            first_seen: text("firstSeen"),
            confidence: text("confidence"),
            inherited: flag("inherited"),
            unconfirmed: flag("unconfirmed"),
            verdict: any("verdict").and_then(|verdict| Verdict::of(&verdict)),
            ignored_by: any("ignoredBy").and_then(|ignored| IgnoredBy::of(&ignored)),
            message: text("message"),
        })
    }
}

impl Verdict {
    fn to_value(&self) -> Value {
        let Self { advice, reasons } = self;
        let reasons: Vec<Value> = reasons.iter().cloned().map(Value::Str).collect();
        Value::Map(
            [("advice", Value::Str(advice.clone())), ("reasons", Value::List(reasons))].into_iter().collect(),
        )
    }

    fn of(verdict: &Value) -> Option<Self> {
        let reasons =
            verdict.list_at(&["reasons"]).iter().filter_map(Value::as_str).map(Text::from).collect();
        Some(Self { advice: Text::from(verdict.str_at(&["advice"])?), reasons })
    }
}

impl IgnoredBy {
    fn to_value(&self) -> Value {
        let Self { rule, source } = self;
        let entries = [("rule", Value::Str(rule.clone())), ("source", Value::Str(source.clone()))];
        Value::Map(entries.into_iter().collect())
    }

    fn of(ignored: &Value) -> Option<Self> {
        let text = |name: &str| ignored.str_at(&[name]).map(Text::from);
        Some(Self { rule: text("rule")?, source: text("source")? })
    }
}

/// `group`, `kind`, `namespace`, `name`, as reports name an object.
pub fn object_value(key: &ResourceKey) -> Value {
    let ResourceKey { group, kind, namespace, name } = key;
    let entries = [("group", group), ("kind", kind), ("namespace", namespace), ("name", name)];
    Value::Map(entries.into_iter().map(|(field, text)| (field, Value::Str(text.clone()))).collect::<Map>())
}

/// The object that [`object_value`] names.
pub fn object_key(object: &Value) -> Option<ResourceKey> {
    let text = |name: &str| Text::from(object.str_at(&[name]).unwrap_or_default());
    let key = ResourceKey {
        group: text("group"),
        kind: text("kind"),
        namespace: text("namespace"),
        name: text("name"),
    };
    (!key.kind.is_empty()).then_some(key)
}

/// A long value becomes the beginning of its text, with its length.
fn bounded(value: &Value) -> Value {
    let text = match value {
        Value::Str(text) => text.to_string(),
        Value::List(_) | Value::Map(_) => value.to_json(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => return value.clone(),
    };
    if text.len() <= VALUE_LENGTH_MAX {
        return value.clone();
    }
    let start: String = text.chars().take(VALUE_LENGTH_MAX / 4).collect();
    Value::from(format!("{start}... ({} bytes in all)", text.len()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn no_key_is_left_out() {
        let value = Difference::default().to_value();
        let mut keys = KEYS.to_vec();
        keys.sort_unstable();
        assert_eq!(value.as_map().unwrap().keys().collect::<Vec<_>>(), keys);
        let nulls = value.as_map().unwrap().iter().filter(|(_, value)| value.is_null()).count();
        assert_eq!(nulls, KEYS.len() - 3, "all but id, channel and change");
    }

    #[test]
    fn what_is_written_is_read() {
        let difference = Difference {
            id: "abc".into(),
            channel: "declared".into(),
            path: Some(".spec.replicas".into()),
            pointer: Some("/spec/replicas".into()),
            change: "changed".into(),
            origin: Some("cluster".into()),
            target: Some(Value::Int(3)),
            live: Some(Value::Int(5)),
            inherited: Some(false),
            verdict: Some(Verdict { advice: "adopt".into(), reasons: vec!["because".into()] }),
            ignored_by: Some(IgnoredBy { rule: "r".into(), source: "s".into() }),
            ..Difference::default()
        };
        assert_eq!(Difference::of(&difference.to_value()), Some(difference));
        assert_eq!(Difference::of(&Value::Null), None);
    }

    #[test]
    fn long_values_are_cut() {
        let long = Difference { live: Some(Value::from("ü".repeat(5000))), ..Difference::default() };
        let live = long.to_value();
        let text = live.str_at(&["live"]).unwrap();
        assert!(text.len() < VALUE_LENGTH_MAX && text.ends_with("... (10000 bytes in all)"), "{text}");
    }

    #[test]
    fn objects_are_named() {
        let key = ResourceKey::new("apps", "Deployment", "web", "a");
        assert_eq!(object_key(&object_value(&key)), Some(key));
        assert_eq!(object_key(&Value::Null), None);
    }
}
