//! What becomes of pods that are not left to run: told by rules at run time, or by an annotation of the pod.
//!
//! Level, not edge: a rule that goes lets the pods that it met recover.

use trueup_latest as latest;
use trueup_object::Value;
use trueup_object::value::{Map, Text};

use crate::announced::Announced;

/// The annotation by which a pod, or the template that it comes from, says its own fate.
pub const FATE: &str = "sandbox.trueup.dev/fate";

/// How long a slow pod takes where it is not said.
const SLOW_SECONDS: u32 = 30;

/// What becomes of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its images cannot be pulled.
    ImagePull,
    /// Its containers end with an error and are started again, ever more slowly.
    CrashLoop,
    /// It runs and never says that it is ready.
    NotReady,
    /// It runs and says that it is ready some time later.
    SlowReady {
        /// How many seconds after it began to run.
        seconds: u32,
    },
    /// No node takes it.
    Unschedulable,
    /// It ends with this exit code, and is not started again.
    Fail {
        /// What the container ends with.
        exit_code: i64,
    },
    /// It runs on, where it would otherwise have done its work and ended.
    Run,
}

/// Which pods a rule is about; what is not given fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Of this namespace; of any where none is given.
    pub namespace: Option<Text>,
    /// The pod's name, or that of the workload that it begins with.
    pub name: Option<Text>,
    /// With all of these labels.
    pub labels: Vec<(Text, Text)>,
    /// A part of the name of one of the pod's images.
    pub image: Option<Text>,
}

/// A fate for the pods that are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FateRule {
    /// The pods that it is about.
    pub chosen: Chosen,
    /// What becomes of them.
    pub fate: Fate,
}

/// Why a rule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FateError {
    /// It is no object.
    #[error("a rule is an object with fate, namespace, name, labels and image")]
    NotARule,
    /// It has a key that is not known.
    #[error("no such field: {0}")]
    NoSuchField(String),
    /// It names something by an empty text, which would be everything.
    #[error("{0} is empty: leave it out to choose any")]
    Empty(&'static str),
    /// A container cannot end so.
    #[error("an exit code is a number from 1 to 255, not {0}")]
    NotAnExitCode(String),
    /// There is no such fate.
    #[error(
        "no such fate: {0}; there are image-pull, crash-loop, not-ready, slow-ready, unschedulable, fail and run"
    )]
    NoSuchFate(String),
}

/// The rules in force. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct PodFates {
    rules: Announced<FateRule>,
}

impl PodFates {
    /// Adds a rule; of several that meet a pod the last one counts.
    pub fn add(&self, rule: FateRule) {
        self.rules.change(|rules| rules.push(rule));
    }

    /// Leaves all pods alone again.
    pub fn clear(&self) {
        self.rules.change(Vec::clear);
    }

    /// Tells whoever looks after pods that the rules are others.
    pub(crate) fn subscribe(&self) -> latest::Receiver<u64> {
        self.rules.subscribe()
    }

    /// The fate of a pod: its own, else that of the last rule that meets it.
    pub fn of(&self, pod: &Value) -> Option<Fate> {
        let own = pod.str_at(&["metadata", "annotations", FATE]).and_then(|text| Fate::parse(text).ok());
        own.or_else(|| {
            self.rules.items().iter().rev().find(|rule| rule.chosen.fits(pod)).map(|rule| rule.fate)
        })
    }

    /// Adds a rule, or a list of them, as `/sandbox/pods` takes them.
    pub fn add_json(&self, value: &Value) -> Result<(), FateError> {
        let added = FateRule::parse_all(value)?;
        self.rules.change(|rules| rules.extend(added));
        Ok(())
    }

    /// The rules as `/sandbox/pods` tells them.
    pub fn to_value(&self) -> Value {
        Value::List(self.rules.items().iter().map(FateRule::to_value).collect())
    }
}

impl Fate {
    /// `crash-loop`, `slow-ready=60`, `fail`, `fail=3` and so on.
    pub fn parse(text: &str) -> Result<Self, FateError> {
        let unknown = || FateError::NoSuchFate(text.to_owned());
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        Ok(match (name, number) {
            ("image-pull", None) => Self::ImagePull,
            ("crash-loop", None) => Self::CrashLoop,
            ("not-ready", None) => Self::NotReady,
            ("slow-ready", None) => Self::SlowReady { seconds: SLOW_SECONDS },
            ("slow-ready", Some(seconds)) => {
                Self::SlowReady { seconds: seconds.parse().map_err(|_| unknown())? }
            }
            ("unschedulable", None) => Self::Unschedulable,
            ("fail", None) => Self::Fail { exit_code: 1 },
            ("fail", Some(code)) => {
                let number = code.parse().ok().filter(|number| (1..=255).contains(number));
                Self::Fail { exit_code: number.ok_or_else(|| FateError::NotAnExitCode(code.to_owned()))? }
            }
            ("run", None) => Self::Run,
            _ => return Err(unknown()),
        })
    }

    fn text(self) -> String {
        match self {
            Self::ImagePull => "image-pull".to_owned(),
            Self::CrashLoop => "crash-loop".to_owned(),
            Self::NotReady => "not-ready".to_owned(),
            Self::SlowReady { seconds } => format!("slow-ready={seconds}"),
            Self::Unschedulable => "unschedulable".to_owned(),
            Self::Fail { exit_code } => format!("fail={exit_code}"),
            Self::Run => "run".to_owned(),
        }
    }
}

impl Chosen {
    fn fits(&self, pod: &Value) -> bool {
        let Self { namespace, name, labels, image } = self;
        let text = |key: &str| pod.str_at(&["metadata", key]).unwrap_or_default();
        let named = |wanted: &Text| {
            let rest = text("name").strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let pulls = |wanted: &Text| {
            let containers = pod.list_at(&["spec", "containers"]).iter();
            containers.filter_map(|it| it.str_at(&["image"])).any(|image| image.contains(wanted.as_str()))
        };
        namespace.as_ref().is_none_or(|wanted| text("namespace") == wanted.as_str())
            && name.as_ref().is_none_or(named)
            && image.as_ref().is_none_or(pulls)
            && labels
                .iter()
                .all(|(key, value)| pod.str_at(&["metadata", "labels", key.as_str()]) == Some(value.as_str()))
    }
}

impl FateRule {
    /// Reads a rule, or a list of them.
    pub fn parse_all(value: &Value) -> Result<Vec<Self>, FateError> {
        match value {
            Value::List(items) => items.iter().map(Self::parse).collect(),
            one => Self::parse(one).map(|rule| vec![rule]),
        }
    }

    fn parse(value: &Value) -> Result<Self, FateError> {
        let map = value.as_map().ok_or(FateError::NotARule)?;
        let known = ["fate", "namespace", "name", "labels", "image"];
        if let Some(key) = map.keys().find(|key| !known.contains(key)) {
            return Err(FateError::NoSuchField(key.to_owned()));
        }
        if let Some(key) =
            ["namespace", "name", "image"].into_iter().find(|key| value.str_at(&[key]) == Some(""))
        {
            return Err(FateError::Empty(key));
        }
        let text = |key: &str| value.str_at(&[key]).map(Text::from);
        let labels = value.get("labels").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        let labels =
            labels.map(|(key, value)| (Text::from(key), Text::from(value.as_str().unwrap_or_default())));
        let chosen = Chosen {
            namespace: text("namespace"),
            name: text("name"),
            labels: labels.collect(),
            image: text("image"),
        };
        let fate = value.str_at(&["fate"]).ok_or(FateError::NotARule)?;
        Ok(Self { chosen, fate: Fate::parse(fate)? })
    }

    fn to_value(&self) -> Value {
        let Self { chosen: Chosen { namespace, name, labels, image }, fate } = self;
        let mut value = Value::Map(Map::new());
        value.set_at(&["fate"], fate.text().into());
        for (key, text) in [("namespace", namespace), ("name", name), ("image", image)] {
            if let Some(text) = text {
                value.set_at(&[key], text.clone().into());
            }
        }
        for (key, text) in labels {
            value.set_at(&["labels", key.as_str()], text.clone().into());
        }
        value
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn rules_choose_pods_and_the_last_one_counts() {
        let fates = PodFates::default();
        let pod = value(
            r#"{"metadata":{"name":"web-5d-x","namespace":"shop","labels":{"app":"web"}},
                "spec":{"containers":[{"image":"shop/web:2"}]}}"#,
        );
        assert_eq!(fates.of(&pod), None);
        fates
            .add_json(&value(r#"[{"fate":"crash-loop","name":"web"},{"fate":"fail=3","name":"we"}]"#))
            .unwrap();
        assert_eq!(fates.of(&pod), Some(Fate::CrashLoop));
        fates.add_json(&value(r#"{"fate":"not-ready","labels":{"app":"web"},"image":"web:2"}"#)).unwrap();
        assert_eq!(fates.of(&pod), Some(Fate::NotReady));
        let mut own = pod.clone();
        own.set_at(&["metadata", "annotations", FATE], "image-pull".into());
        assert_eq!(fates.of(&own), Some(Fate::ImagePull));
        assert_eq!(fates.to_value().as_list().unwrap().len(), 3);
        fates.clear();
        assert_eq!(fates.of(&pod), None);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let fates = PodFates::default();
        for json in [
            r#"{"name":"a"}"#,
            r#"{"fate":"sulk"}"#,
            r#"{"fate":"run=3"}"#,
            r#"{"fate":"fail=999"}"#,
            r#"{"fate":"run","image":""}"#,
            r#"{"fate":"slow-ready=-1"}"#,
            r#"{"fate":"run","pod":"a"}"#,
            "3",
        ] {
            assert!(fates.add_json(&value(json)).is_err(), "{json}");
        }
        assert_eq!(fates.to_value(), Value::List(Vec::new()));
    }
}
