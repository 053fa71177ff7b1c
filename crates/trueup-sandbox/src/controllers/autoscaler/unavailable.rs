//! Metrics that nobody serves here: those of pods, objects and the world outside. An autoscaler says so as the real one does.

use trueup_object::Value;

use super::super::objects::text;

/// Why a metric cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The reason of the condition and of the first event.
    pub reason: &'static str,
    /// What is wrong with the first such metric.
    pub message: String,
    /// The same, as the second event says it.
    pub computed: String,
}

/// The first metric that cannot be had, with how many of all there are.
pub fn unavailable(scaler: &Value) -> Option<Unavailable> {
    let metrics = scaler.list_at(&["spec", "metrics"]);
    let found: Vec<(&'static str, String, String)> =
        metrics.iter().filter_map(|metric| why(metric, text(scaler, "namespace"))).collect();
    let (invalid, all) = (found.len(), metrics.len());
    let (reason, message, value) = found.into_iter().next()?;
    let computed = format!("invalid metrics ({invalid} invalid out of {all}), first error is: {value}");
    Some(Unavailable { reason, message, computed })
}

const CUSTOM: &str = "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";

fn why(metric: &Value, namespace: &str) -> Option<(&'static str, String, String)> {
    let name = |kind: &str| metric.str_at(&[kind, "metric", "name"]).unwrap_or_default();
    match metric.str_at(&["type"])? {
        "Pods" => {
            let message = format!("unable to get metric {}: {CUSTOM}", name("pods"));
            let value = format!("failed to get pods metric value: {message}");
            Some(("FailedGetPodsMetric", message, value))
        }
        "Object" => {
            let part = |key: &str| metric.str_at(&["object", "describedObject", key]).unwrap_or_default();
            let message = format!(
                "unable to get metric {}: {} on {namespace} {}/{CUSTOM}",
                name("object"),
                part("kind"),
                part("name")
            );
            let value = format!("failed to get object metric value: {message}");
            Some(("FailedGetObjectMetric", message, value))
        }
        "External" => {
            let name = name("external");
            let selector = selector(metric.at(&["external", "metric", "selector"]));
            let message = format!(
                "unable to get external metric {namespace}/{name}/{selector}: unable to fetch metrics from external metrics \
                 API: the server could not find the requested resource (get {name}.external.metrics.k8s.io)"
            );
            let value = format!(
                "failed to get {name} external metric value: failed to get {name} external metric: {message}"
            );
            Some(("FailedGetExternalMetric", message, value))
        }
        _ => None,
    }
}

/// A selector as Go prints it.
fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels =
        selector.get("matchLabels").and_then(Value::as_map).into_iter().flat_map(trueup_object::Map::iter);
    let labels: Vec<String> =
        labels.map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default())).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}",
        labels.concat()
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_metric_has_its_words() {
        let of = |metric: &str| {
            let text = format!(r#"{{"metadata":{{"namespace":"h"}},"spec":{{"metrics":[{metric}]}}}}"#);
            unavailable(&Value::from_json(text.as_bytes()).unwrap())
        };
        let external = of(r#"{"type":"External","external":{"metric":{"name":"queue"}}}"#).unwrap();
        assert!(external.message.starts_with("unable to get external metric h/queue/nil: "), "{external:?}");
        let object = of(
            r#"{"type":"Object","object":{"describedObject":{"kind":"Ingress","name":"main"},"metric":{"name":"rps"}}}"#,
        );
        let object = object.unwrap();
        assert!(
            object.message.starts_with("unable to get metric rps: Ingress on h main/unable to"),
            "{object:?}"
        );
        let pods = of(r#"{"type":"Pods","pods":{"metric":{"name":"rps"}}}"#).unwrap();
        assert_eq!(
            (pods.reason, pods.computed.starts_with("invalid metrics (1 invalid out of 1)")),
            ("FailedGetPodsMetric", true)
        );
        assert_eq!(of(r#"{"type":"Resource","resource":{"name":"cpu"}}"#), None);
    }
}
