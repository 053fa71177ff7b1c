//! What pods use of processor and memory: set at run time, served as `metrics.k8s.io`, and acted on by autoscalers.
//!
//! Where nothing was ever set there is no such API, as on a cluster without a metrics server.

use trueup_latest as latest;
use trueup_object::value::{Map, Text};
use trueup_object::{Quantity, Value};

use crate::announced::Announced;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// Each of these pods.
    Pods {
        /// Their namespace.
        namespace: Text,
        /// The pod's name, or that of the workload that it begins with; empty for all pods of the namespace.
        name: Text,
    },
    /// A node, which otherwise uses what its pods use.
    Node {
        /// The node's name.
        name: Text,
    },
}

/// What something uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Whose usage it is.
    pub of: Measured,
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes of memory.
    pub memory_bytes: i64,
}

/// Why a usage cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    /// It is no object.
    #[error("a usage is an object with namespace and name, or node, and with cpu and memory")]
    NotAUsage,
    /// It has a key that is not known.
    #[error("no such field: {0}")]
    NoSuchField(String),
    /// It is a node's and a pod's at the same time.
    #[error("a usage is a node's, or that of the pods of a namespace and name, and not both")]
    OfBoth,
    /// It is no quantity.
    #[error("no amount: {0}")]
    NotAnAmount(String),
    /// It is a quantity that nothing can use.
    #[error("an amount is zero or more, and at most 9200T: {0}")]
    OutOfBounds(String),
}

/// The usages in force. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    usages: Announced<Usage>,
}

impl Metrics {
    /// Whether there is anything to serve.
    pub fn is_empty(&self) -> bool {
        self.usages.items().is_empty()
    }

    /// Sets what a node or the pods of a name use, in place of what was set for that name before.
    pub fn set(&self, usage: Usage) {
        self.usages.change(|usages| {
            usages.retain(|known| known.of != usage.of);
            usages.push(usage);
        });
    }

    /// Forgets all usages; the API is gone with them.
    pub fn clear(&self) {
        self.usages.change(Vec::clear);
    }

    pub(crate) fn subscribe(&self) -> latest::Receiver<u64> {
        self.usages.subscribe()
    }

    /// What a running pod uses: the last that was set for it.
    pub fn of(&self, pod: &Value) -> Option<Usage> {
        let text = |key: &str| pod.str_at(&["metadata", key]).unwrap_or_default();
        if pod.str_at(&["status", "phase"]) != Some("Running") {
            return None;
        }
        let fits = |usage: &Usage| match &usage.of {
            Measured::Pods { namespace, name } => {
                let rest = text("name").strip_prefix(name.as_str());
                *namespace == text("namespace")
                    && (name.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
            }
            Measured::Node { .. } => false,
        };
        self.usages.items().iter().rev().find(|usage| fits(usage)).cloned()
    }

    /// What was set for a node itself.
    pub fn of_node(&self, node: &str) -> Option<Usage> {
        let of = Measured::Node { name: node.into() };
        self.usages.items().iter().find(|usage| usage.of == of).cloned()
    }

    /// Sets a usage, or a list of them, as `/sandbox/metrics` takes them.
    pub fn set_json(&self, value: &Value) -> Result<(), MetricsError> {
        Usage::parse_all(value)?.into_iter().for_each(|usage| self.set(usage));
        Ok(())
    }

    /// The usages as `/sandbox/metrics` tells them.
    pub fn to_value(&self) -> Value {
        let told = |usage: &Usage| {
            let mut value = Value::Map(Map::new());
            match &usage.of {
                Measured::Pods { namespace, name } => {
                    value.set_at(&["namespace"], namespace.clone().into());
                    value.set_at(&["name"], name.clone().into());
                }
                Measured::Node { name } => {
                    value.set_at(&["node"], name.clone().into());
                }
            }
            value.set_at(&["cpu"], cpu(usage.cpu_milli));
            value.set_at(&["memory"], memory(usage.memory_bytes));
            value
        };
        Value::List(self.usages.items().iter().map(told).collect())
    }
}

impl Usage {
    /// Reads a usage, or a list of them.
    pub fn parse_all(value: &Value) -> Result<Vec<Self>, MetricsError> {
        match value {
            Value::List(items) => items.iter().map(Self::parse).collect(),
            one => Self::parse(one).map(|usage| vec![usage]),
        }
    }

    fn parse(value: &Value) -> Result<Self, MetricsError> {
        let map = value.as_map().ok_or(MetricsError::NotAUsage)?;
        let known = ["namespace", "name", "node", "cpu", "memory"];
        if let Some(key) = map.keys().find(|key| !known.contains(key)) {
            return Err(MetricsError::NoSuchField(key.to_owned()));
        }
        let amount = |key: &str| match value.get(key) {
            None => Ok(0),
            Some(amount) => {
                let told = || amount.to_json();
                Quantity::of(amount).map_err(|_| MetricsError::NotAnAmount(told()))?;
                milli(amount).filter(|amount| *amount >= 0).ok_or_else(|| MetricsError::OutOfBounds(told()))
            }
        };
        let text = |key: &str, default: &'static str| Text::from(value.str_at(&[key]).unwrap_or(default));
        let of =
            match (value.get("node").is_some(), map.keys().any(|key| ["namespace", "name"].contains(&key))) {
                (true, true) => return Err(MetricsError::OfBoth),
                (true, false) => Measured::Node { name: text("node", "") },
                (false, _) => {
                    Measured::Pods { namespace: text("namespace", "default"), name: text("name", "") }
                }
            };
        Ok(Self { of, cpu_milli: amount("cpu")?, memory_bytes: amount("memory")? / 1000 })
    }
}

pub(crate) fn cpu(milli: i64) -> Value {
    Value::from(format!("{milli}m"))
}

pub(crate) fn memory(bytes: i64) -> Value {
    Value::from(if bytes % 1024 == 0 { format!("{}Ki", bytes / 1024) } else { bytes.to_string() })
}

/// More thousandths do not fit into a whole number of 64 bits.
const MILLI_MAX: f64 = 9.2e18;

/// A quantity in thousandths, rounded up; None where it is out of bounds.
pub(crate) fn milli(value: &Value) -> Option<i64> {
    let text = Quantity::of(value).ok()?.to_string();
    let digits = text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "n" => 1e-6,
        "u" => 1e-3,
        "m" => 1.0,
        "" => 1e3,
        "k" => 1e6,
        "M" => 1e9,
        "G" => 1e12,
        "T" => 1e15,
        "P" => 1e18,
        "Ki" => 1024e3,
        "Mi" => 1_048_576e3,
        "Gi" => 1_073_741_824e3,
        "Ti" => 1_099_511_627_776e3,
        "Pi" => 1_125_899_906_842_624e3,
        _ => return None,
    };
    let amount = (number * factor).ceil();
    if amount.abs() > MILLI_MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was seen above that it fits")]
    Some(amount as i64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn pods_use_what_was_set_last_for_their_name() {
        let metrics = Metrics::default();
        assert!(metrics.is_empty());
        let usages = r#"[{"namespace":"shop","name":"web","cpu":"250m","memory":"64Mi"},{"namespace":"shop","cpu":1}]"#;
        metrics.set_json(&value(usages)).unwrap();
        let pod = |name: &str| {
            value(&format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"shop"}},"status":{{"phase":"Running"}}}}"#
            ))
        };
        assert_eq!(metrics.of(&pod("other")).unwrap().cpu_milli, 1000);
        metrics.set_json(&value(r#"{"namespace":"shop","name":"web","cpu":"100m","memory":"1Gi"}"#)).unwrap();
        let used = metrics.of(&pod("web-5d-x")).unwrap();
        assert_eq!((used.cpu_milli, used.memory_bytes), (100, 1 << 30));
        assert_eq!(metrics.to_value().as_list().unwrap().len(), 2);
        metrics.set_json(&value(r#"{"node":"a","cpu":"2"}"#)).unwrap();
        assert_eq!(metrics.of_node("a").unwrap().cpu_milli, 2000);
        assert_eq!(metrics.of_node("b"), None);
        metrics.clear();
        assert_eq!(metrics.of(&pod("web")), None);
    }

    #[test]
    fn amounts_are_read_in_thousandths() {
        for (text, wanted) in [("\"250m\"", 250), ("2", 2000), ("\"1Ki\"", 1_024_000), ("\"0.5\"", 500)] {
            assert_eq!(milli(&value(text)), Some(wanted), "{text}");
        }
        assert!(Metrics::default().set_json(&value(r#"{"cpu":"many"}"#)).is_err());
        for json in [
            r#"{"disk":"1"}"#,
            r#"{"cpu":"-1"}"#,
            r#"{"memory":"9999999999999999999Ti"}"#,
            r#"{"node":"a","name":"b"}"#,
            "[[]]",
        ] {
            assert!(Metrics::default().set_json(&value(json)).is_err(), "{json}");
        }
    }
}
