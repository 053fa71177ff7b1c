//! One request as data: made once, sent to two worlds, made smaller, kept.

use serde::{Deserialize, Serialize};
use trueup_testkit::http::{BodyKind, Method};

/// Stands for the object's resourceVersion, which each world has its own of.
pub const VERSION: &str = "{{version}}";
/// Stands for a resourceVersion that the object had before.
pub const OLD_VERSION: &str = "{{old-version}}";
/// Stands for the object's uid.
pub const UID: &str = "{{uid}}";

/// Stands for the time at which the object was deleted.
pub const DELETED: &str = "{{deleted}}";
/// Stands for the address of the Service.
pub const ADDRESS: &str = "{{address}}";
/// Stands for a port of the nodes that the Service was given, with its number.
pub const NODE_PORT: &str = "{{node-port-";
/// Stands for the volume with its account's token, which every pod has.
pub const ACCESS: &str = "{{access}}";

/// What is asked of an object or its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Create,
    Put,
    Apply,
    Merge,
    Strategic,
    Json,
    Delete,
    /// All objects of the kind that a selector finds.
    DeleteSome,
    Get,
}

/// A request of a sequence. `{{name}}` and the other texts in braces are filled in when it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub verb: Verb,
    /// Empty for the object itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Without the field manager.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The field manager; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Where it is not the verb's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Text, since some bodies are not even JSON.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What is wrong with it, by name; empty where nothing is meant to be.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub flaw: String,
}

impl Request {
    pub fn new(verb: Verb, body: String) -> Self {
        Self {
            verb,
            subresource: String::new(),
            query: String::new(),
            manager: String::new(),
            agent: String::new(),
            user: String::new(),
            content_type: None,
            body,
            flaw: String::new(),
        }
    }

    pub fn method(&self) -> Method {
        match self.verb {
            Verb::Create => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Apply | Verb::Merge | Verb::Strategic | Verb::Json => Method::PATCH,
            Verb::Delete | Verb::DeleteSome => Method::DELETE,
            Verb::Get => Method::GET,
        }
    }

    pub fn content_type(&self) -> &str {
        let kind = match self.verb {
            _ if self.content_type.is_some() => return self.content_type.as_deref().unwrap_or_default(),
            Verb::Create | Verb::Put | Verb::Delete | Verb::DeleteSome | Verb::Get => BodyKind::Json,
            Verb::Apply => BodyKind::Apply,
            Verb::Merge => BodyKind::MergePatch,
            Verb::Strategic => BodyKind::StrategicPatch,
            Verb::Json => BodyKind::JsonPatch,
        };
        kind.content_type()
    }

    /// The path and query under which it is sent; `object` is the object's own path, `collection` that of its kind.
    pub fn path(&self, collection: &str, object: &str) -> String {
        let to_object = match self.verb {
            Verb::Create => !self.subresource.is_empty(),
            Verb::DeleteSome => false,
            _ => true,
        };
        let mut path = if to_object { object.to_owned() } else { collection.to_owned() };
        if !self.subresource.is_empty() {
            path = format!("{path}/{}", self.subresource);
        }
        let manager = (!self.manager.is_empty()).then(|| format!("fieldManager={}", self.manager));
        let parts = [Some(self.query.clone()).filter(|query| !query.is_empty()), manager];
        let query: Vec<String> = parts.into_iter().flatten().collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    pub fn add_query(&mut self, part: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(part);
    }

    /// In a few words, for people.
    pub fn shown(&self) -> String {
        let subresource =
            if self.subresource.is_empty() { String::new() } else { format!("/{}", self.subresource) };
        let flaw = if self.flaw.is_empty() { String::new() } else { format!(" [{}]", self.flaw) };
        let content_type = self.content_type.as_ref().map(|text| format!(" as {text:?}")).unwrap_or_default();
        let mut body = self.body.clone();
        if body.len() > 3000 {
            let cut = (0..=3000).rev().find(|at| body.is_char_boundary(*at)).unwrap_or_default();
            body.truncate(cut);
            body.push_str("...");
        }
        format!(
            "{:?}{subresource}{flaw} by {:?}/{:?}/{:?} ?{}{content_type} {body}",
            self.verb, self.user, self.manager, self.agent, self.query
        )
    }

    /// The same about an object of another name.
    pub fn renamed(&self, from: &str, to: &str) -> Self {
        let renamed = |text: &str| text.replace(from, to);
        Self { query: renamed(&self.query), body: renamed(&self.body), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_request_is_kept_as_it_is() {
        let mut request = Request::new(Verb::Merge, r#"{"a":"q1x"}"#.to_owned());
        request.subresource = "status".to_owned();
        request.manager = "m".to_owned();
        request.add_query("dryRun=All");
        let kept = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&kept).unwrap(), request);
        assert_eq!(request.path("/c", "/c/n"), "/c/n/status?dryRun=All&fieldManager=m");
        assert_eq!(request.renamed("q1x", "{{name}}").body, r#"{"a":"{{name}}"}"#);
    }
}
