//! Questions to an authorizer: may somebody do something?

use std::sync::Arc;

use trueup_object::value::Text;

use crate::eval::{Activation, Evaluated, failed};
use crate::value::Val;

/// An authorizer, or a question that is being put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whose rights are meant, where not those of who made the request.
    pub service_account: Option<(Text, Text)>,
    pub about: About,
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Nothing,
    Path(Text),
    Group(Text),
    Resource(Resource),
}

/// A resource, as far as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    pub group: Text,
    pub resource: Text,
    pub subresource: Text,
    pub namespace: Text,
    pub name: Text,
    pub field_selector: Text,
    pub label_selector: Text,
}

/// A whole question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub asked: Asked,
    pub verb: Text,
}

/// What the authorizer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub reason: String,
    pub error: Option<String>,
}

impl Decision {
    /// Where nobody can be asked.
    pub fn unknown() -> Self {
        Self { allowed: false, reason: String::new(), error: None }
    }
}

impl Asked {
    /// Whoever made the request.
    pub fn requester() -> Self {
        Self { service_account: None, about: About::Nothing }
    }

    /// Whoever made the request, and a resource.
    pub fn resource(resource: Resource) -> Self {
        Self { service_account: None, about: About::Resource(resource) }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match &self.about {
            About::Nothing => "kubernetes.authorization.Authorizer",
            About::Path(_) => "kubernetes.authorization.PathCheck",
            About::Group(_) => "kubernetes.authorization.GroupCheck",
            About::Resource(_) => "kubernetes.authorization.ResourceCheck",
        }
    }

    fn about(&self, about: About) -> Evaluated {
        Ok(Val::Asked(Arc::new(Self { service_account: self.service_account.clone(), about })))
    }
}

pub(super) fn call(function: &str, args: &[Val], activation: &dyn Activation) -> Option<Evaluated> {
    match args {
        [Val::Decision(decision)] => of_decision(function, decision),
        [Val::Asked(asked), Val::String(namespace), Val::String(name)]
            if function == "serviceAccount" && asked.about == About::Nothing =>
        {
            Some(service_account(namespace, name))
        }
        [Val::Asked(asked), Val::String(word)] => match (function, &asked.about) {
            ("check", About::Path(_) | About::Resource(_)) => {
                let question = Question { asked: asked.as_ref().clone(), verb: word.clone() };
                Some(Ok(Val::Decision(Arc::new(activation.decide(&question)))))
            }
            ("path", About::Nothing) if word.trim().is_empty() => Some(failed("path must not be empty")),
            ("path", About::Nothing) => Some(asked.about(About::Path(word.clone()))),
            ("group", About::Nothing) => Some(asked.about(About::Group(word.clone()))),
            ("resource", About::Group(_)) if word.trim().is_empty() => {
                Some(failed("resource must not be empty"))
            }
            ("resource", About::Group(group)) => {
                let resource =
                    Resource { group: group.clone(), resource: word.clone(), ..Resource::default() };
                Some(asked.about(About::Resource(resource)))
            }
            (_, About::Resource(resource)) => {
                let resource = narrowed(function, resource, word)?;
                Some(asked.about(About::Resource(resource)))
            }
            _ => None,
        },
        _ => None,
    }
}

fn narrowed(function: &str, resource: &Resource, word: &Text) -> Option<Resource> {
    let mut resource = resource.clone();
    let slot = match function {
        "subresource" => &mut resource.subresource,
        "namespace" => &mut resource.namespace,
        "name" => &mut resource.name,
        "fieldSelector" => &mut resource.field_selector,
        "labelSelector" => &mut resource.label_selector,
        _ => return None,
    };
    *slot = word.clone();
    Some(resource)
}

fn service_account(namespace: &Text, name: &Text) -> Evaluated {
    let is_label = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if !name.split('.').all(is_label) || name.len() > 253 {
        return failed("Invalid service account name");
    }
    if !is_label(namespace) || namespace.len() > 63 {
        return failed("Invalid service account namespace");
    }
    let account = Some((namespace.clone(), name.clone()));
    Ok(Val::Asked(Arc::new(Asked { service_account: account, about: About::Nothing })))
}

fn of_decision(function: &str, decision: &Decision) -> Option<Evaluated> {
    Some(Ok(match function {
        "allowed" => Val::Bool(decision.allowed),
        "reason" => Val::text(&decision.reason),
        "errored" => Val::Bool(decision.error.is_some()),
        "error" => Val::text(decision.error.as_deref().unwrap_or_default()),
        _ => return None,
    }))
}
