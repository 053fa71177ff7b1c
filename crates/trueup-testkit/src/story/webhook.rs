//! Admission webhooks of a story, served on loopback over TLS as those of a cluster are: both worlds call them.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use trueup_object::{Map, Value};

use super::format::StoryWebhook;
use crate::webhook::{Answer, Receiver};

/// A webhook that is being served.
pub struct Webhook {
    name: String,
    receiver: Receiver,
}

impl Webhook {
    /// Serves it until it is dropped.
    pub async fn start(webhook: &StoryWebhook) -> Result<Self> {
        let inject = webhook.inject.clone();
        let respond = move |_: &str, body: &[u8]| answer(&inject, body);
        let receiver = Receiver::start(&[], Arc::new(respond)).await?;
        Ok(Self { name: webhook.name.clone(), receiver })
    }

    /// Puts its address and its authority where a text names them.
    pub fn fill(&self, text: &str) -> String {
        let url = format!("https://{}/", self.receiver.address());
        text.replace(&format!("${{webhook.{}.url}}", self.name), &url)
            .replace(&format!("${{webhook.{}.caBundle}}", self.name), self.receiver.bundle())
    }
}

fn answer(inject: &Value, body: &[u8]) -> Answer {
    let asked = Value::from_json(body).map_err(|error| anyhow!("{error}"));
    match asked.and_then(|asked| review(&asked, inject)) {
        Ok(reply) => Answer { code: 200, body: reply.to_json() },
        Err(error) => Answer { code: 400, body: format!("{error:#}") },
    }
}

/// The answer to an AdmissionReview: allowed, with a JSON patch of whole members where something is missing.
fn review(asked: &Value, inject: &Value) -> Result<Value> {
    let uid = asked.str_at(&["request", "uid"]).ok_or_else(|| anyhow!("no AdmissionReview"))?;
    let object = asked.at(&["request", "object"]).cloned().unwrap_or_default();
    let mut wanted = object.clone();
    lay_over(&mut wanted, inject);
    let mut patch = Vec::new();
    for (key, value) in wanted.as_map().into_iter().flat_map(Map::iter) {
        if object.get(key) != Some(value) {
            let mut operation = Value::default();
            operation.set_at(&["op"], "add".into());
            operation.set_at(&["path"], format!("/{key}").into());
            operation.set_at(&["value"], value.clone());
            patch.push(operation);
        }
    }
    let mut reply = Value::default();
    reply.set_at(&["apiVersion"], "admission.k8s.io/v1".into());
    reply.set_at(&["kind"], "AdmissionReview".into());
    reply.set_at(&["response", "uid"], uid.into());
    reply.set_at(&["response", "allowed"], true.into());
    if !patch.is_empty() {
        reply.set_at(&["response", "patchType"], "JSONPatch".into());
        reply.set_at(&["response", "patch"], STANDARD.encode(Value::from(patch).to_json()).into());
    }
    Ok(reply)
}

/// Maps are merged, items of lists are merged by their `name` and added where there is none, everything else is replaced: so a
/// second call changes nothing, as with injectors that look for what they have injected.
fn lay_over(object: &mut Value, inject: &Value) {
    match (object, inject) {
        (Value::Map(object), Value::Map(inject)) => {
            for (key, value) in inject.iter() {
                lay_over(object.entry_or_null(key), value);
            }
        }
        (Value::List(items), Value::List(wanted)) if wanted.iter().all(|item| item.get("name").is_some()) => {
            for item in wanted {
                match items.iter_mut().find(|it| it.get("name") == item.get("name")) {
                    Some(present) => lay_over(present, item),
                    None => items.push(item.clone()),
                }
            }
        }
        (object, inject) => *object = inject.clone(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::from_yaml(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_missing_is_injected_once() {
        let inject = value("spec: {containers: [{name: proxy, image: p}], hostPID: false}");
        let asked =
            value("request: {uid: u1, object: {kind: Pod, spec: {containers: [{name: app, image: a}]}}}");
        let reply = review(&asked, &inject).unwrap();
        assert_eq!(reply.str_at(&["response", "uid"]), Some("u1"));
        let patch = STANDARD.decode(reply.str_at(&["response", "patch"]).unwrap()).unwrap();
        let patch = Value::from_json(&patch).unwrap();
        let wanted = value(
            "[{op: add, path: /spec, value: \
             {containers: [{name: app, image: a}, {name: proxy, image: p}], hostPID: false}}]",
        );
        assert_eq!(patch, wanted);
        let mut again = value("request: {uid: u2}");
        again.set_at(
            &["request", "object", "spec"],
            patch.as_list().unwrap()[0].get("value").unwrap().clone(),
        );
        let reply = review(&again, &inject).unwrap();
        assert!(reply.at(&["response", "patch"]).is_none(), "{}", reply.to_json());
        assert_eq!(reply.at(&["response", "allowed"]), Some(&Value::from(true)));
    }

    #[tokio::test]
    async fn a_text_names_its_address_and_authority() {
        let webhook = StoryWebhook { name: "a".to_owned(), inject: value("{}") };
        let webhook = Webhook::start(&webhook).await.unwrap();
        let text = webhook.fill("${webhook.a.url} ${webhook.a.caBundle} ${webhook.b.url}");
        assert!(text.starts_with("https://127.0.0.1:"), "{text}");
        assert!(text.ends_with(" ${webhook.b.url}"), "{text}");
        assert!(!text.contains("caBundle"), "{text}");
    }
}
