//! Requests as other programs make them: the same verbs, paths, bodies, field managers and user agents.

use http::Method;
use trueup_cluster::path::with_query;
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_object::Value;

use crate::failure::Failure;

/// The user agent of kubectl.
pub const KUBECTL: &str = "kubectl/v1.36.3 (linux/amd64) kubernetes/demo";
/// That of the controllers, among them the autoscaler.
pub const CONTROLLERS: &str =
    "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/demo/horizontal-pod-autoscaler";

/// Sends a body to a path under a field manager; without one the server names it after the user agent.
pub async fn send(
    wire: &Wire,
    method: Method,
    path: &str,
    manager: Option<&str>,
    kind: BodyKind,
    body: Vec<u8>,
) -> Result<(), Failure> {
    let parameters: Vec<_> = manager.map(|manager| ("fieldManager", manager)).into_iter().collect();
    let path = with_query(path, &parameters);
    let sent = wire.write(method, &path, kind, body).await;
    sent.map(|_| ()).map_err(|error| Failure::ours(format!("failed to play a part of the incident: {error}")))
}

/// Reads an object.
pub async fn read(wire: &Wire, path: &str) -> Result<Value, Failure> {
    let failed = |error: String| Failure::ours(format!("failed to read {path}: {error}"));
    let answer = wire.get(path).await.map_err(|error| failed(error.to_string()))?;
    Value::from_json(&answer.body).map_err(|error| failed(error.to_string()))
}

/// JSON with the keys of every map in the reverse of their order.
pub fn reordered(value: &Value) -> String {
    match value {
        Value::Map(map) => {
            let entries = map
                .iter()
                .rev()
                .map(|(name, value)| format!("{}:{}", Value::from(name).to_json(), reordered(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::List(items) => {
            format!("[{}]", items.iter().map(reordered).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.to_json(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_order_changes_and_nothing_else() {
        let text = r#"{"a":1,"b":[{"c":"x","d":null}]}"#;
        let value = Value::from_json(text.as_bytes()).unwrap();
        let other = reordered(&value);
        assert_eq!(other, r#"{"b":[{"d":null,"c":"x"}],"a":1}"#);
        assert_eq!(Value::from_json(other.as_bytes()).unwrap(), value);
    }
}
