//! Which requests are audited, and how much of them: `Policy` of `audit.k8s.io/v1`, with the server's own rules of what matches.

use trueup_object::Value;
use trueup_object::value::{Map, Text};
use trueup_object::yaml::read_documents;

use crate::http::credentials::User;

/// How much of a request is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

/// When in the life of a request an event is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    RequestReceived,
    /// Only of requests that last, which are watches.
    ResponseStarted,
    ResponseComplete,
    Panic,
}

const LEVELS: [(&str, Level); 4] = [
    ("None", Level::None),
    ("Metadata", Level::Metadata),
    ("Request", Level::Request),
    ("RequestResponse", Level::RequestResponse),
];

const STAGES: [(&str, Stage); 4] = [
    ("RequestReceived", Stage::RequestReceived),
    ("ResponseStarted", Stage::ResponseStarted),
    ("ResponseComplete", Stage::ResponseComplete),
    ("Panic", Stage::Panic),
];

impl Level {
    pub fn as_str(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        STAGES.iter().find(|(_, stage)| *stage == self).map_or("", |(name, _)| name)
    }
}

/// What is audited. The first rule that matches a request decides; what none matches is not audited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPolicy {
    omit_stages: Vec<Stage>,
    omit_managed_fields: bool,
    rules: Vec<Rule>,
}

/// A policy that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is neither YAML nor JSON.
    #[error("the audit policy is no YAML or JSON: {0}")]
    Unreadable(String),
    /// It is something else.
    #[error("the audit policy is no Policy of audit.k8s.io/v1 but {found:?}")]
    OtherKind {
        /// What it says that it is.
        found: String,
    },
    /// It says nothing.
    #[error("the audit policy has no rules: nothing would be audited")]
    NoRules,
    /// There is no such field.
    #[error("{at}: unknown field; known are {}", .known.join(", "))]
    UnknownField {
        /// Where it stands.
        at: String,
        /// The fields that there are.
        known: &'static [&'static str],
    },
    /// A value is none of those that there are.
    #[error("{at}: {found:?} is none of {}", .known.join(", "))]
    NotSupported {
        /// Where it stands.
        at: String,
        /// The value.
        found: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// A value is of another type.
    #[error("{at}: must be {wanted}")]
    WrongType {
        /// Where it stands.
        at: String,
        /// What is wanted, in words.
        wanted: &'static str,
    },
    /// A rule is about resources and about other paths.
    #[error("{at}: a rule applies to resources or to other paths, not to both")]
    Mixed {
        /// The rule.
        at: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    level: Level,
    omit_stages: Vec<Stage>,
    /// In the place of the policy's own, where it is given.
    omit_managed_fields: Option<bool>,
    users: Vec<Text>,
    user_groups: Vec<Text>,
    verbs: Vec<Text>,
    namespaces: Vec<Text>,
    resources: Vec<Resources>,
    non_resource_urls: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Resources {
    group: Text,
    resources: Vec<Text>,
    names: Vec<Text>,
}

/// What a request is, as far as rules can name it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub user: &'a User,
    pub verb: &'a str,
    pub path: &'a str,
    /// None for paths that are no resources.
    pub resource: Option<AskedResource<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub struct AskedResource<'a> {
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// What is recorded of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub level: Level,
    pub omit_stages: Vec<Stage>,
    pub omit_managed_fields: bool,
}

impl AuditPolicy {
    /// Reads a policy from YAML or JSON.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let document = match read_documents(text.as_bytes()).into_iter().next() {
            Some(Ok(document)) => document.value,
            Some(Err(error)) => return Err(PolicyError::Unreadable(error.to_string())),
            None => Value::Null,
        };
        let texts = |key: &str| document.str_at(&[key]).unwrap_or_default().to_owned();
        if texts("kind") != "Policy" || texts("apiVersion") != "audit.k8s.io/v1" {
            let found = format!("{} of {}", texts("kind"), texts("apiVersion"));
            return Err(PolicyError::OtherKind { found });
        }
        const KNOWN: [&str; 6] =
            ["apiVersion", "kind", "metadata", "omitStages", "omitManagedFields", "rules"];
        let fields = Fields::of(&document, "policy", &KNOWN)?;
        let rules = fields.list("rules")?.iter().enumerate().map(|(index, rule)| Rule::parse(rule, index));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        Ok(Self {
            omit_stages: fields.stages("omitStages")?,
            omit_managed_fields: fields.flag("omitManagedFields")?.unwrap_or_default(),
            rules,
        })
    }

    /// What is recorded of a request: nothing of one that no rule matches.
    pub fn decide(&self, asked: Asked<'_>) -> Decision {
        let Some(rule) = self.rules.iter().find(|rule| rule.matches(asked)) else {
            return Decision { level: Level::None, omit_stages: Vec::new(), omit_managed_fields: false };
        };
        Decision {
            level: rule.level,
            omit_stages: self.omit_stages.iter().chain(&rule.omit_stages).copied().collect(),
            omit_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
        }
    }
}

impl Rule {
    fn parse(document: &Value, index: usize) -> Result<Self, PolicyError> {
        const KNOWN: [&str; 9] = [
            "level",
            "users",
            "userGroups",
            "verbs",
            "resources",
            "namespaces",
            "nonResourceURLs",
            "omitStages",
            "omitManagedFields",
        ];
        let at = format!("rules[{index}]");
        let fields = Fields::of(document, &at, &KNOWN)?;
        let resources = fields.list("resources")?.iter().enumerate();
        let resources =
            resources.map(|(index, it)| Resources::parse(it, &format!("{at}.resources[{index}]")));
        let rule = Self {
            level: fields.level()?,
            omit_stages: fields.stages("omitStages")?,
            omit_managed_fields: fields.flag("omitManagedFields")?,
            users: fields.texts("users")?,
            user_groups: fields.texts("userGroups")?,
            verbs: fields.texts("verbs")?,
            namespaces: fields.texts("namespaces")?,
            resources: resources.collect::<Result<_, _>>()?,
            non_resource_urls: fields.texts("nonResourceURLs")?,
        };
        if rule.is_about_resources() && !rule.non_resource_urls.is_empty() {
            return Err(PolicyError::Mixed { at });
        }
        Ok(rule)
    }

    fn is_about_resources(&self) -> bool {
        !self.resources.is_empty() || !self.namespaces.is_empty()
    }

    fn matches(&self, asked: Asked<'_>) -> bool {
        let among = |wanted: &[Text], found: &str| wanted.is_empty() || wanted.iter().any(|it| it == found);
        let is_meant = among(&self.users, &asked.user.name)
            && (self.user_groups.is_empty()
                || asked.user.groups.iter().any(|group| self.user_groups.contains(group)))
            && among(&self.verbs, asked.verb);
        is_meant
            && match asked.resource {
                Some(resource) if self.is_about_resources() => {
                    among(&self.namespaces, resource.namespace)
                        && (self.resources.is_empty() || self.resources.iter().any(|it| it.cover(resource)))
                }
                None if !self.non_resource_urls.is_empty() => {
                    self.non_resource_urls.iter().any(|url| is_path(url, asked.path))
                }
                Some(_) | None => !self.is_about_resources() && self.non_resource_urls.is_empty(),
            }
    }
}

impl Resources {
    fn parse(document: &Value, at: &str) -> Result<Self, PolicyError> {
        let fields = Fields::of(document, at, &["group", "resources", "resourceNames"])?;
        Ok(Self {
            group: document.str_at(&["group"]).unwrap_or_default().into(),
            resources: fields.texts("resources")?,
            names: fields.texts("resourceNames")?,
        })
    }

    /// A resource without a subresource means the object alone; `*` means all, `pods/*` and `*/scale` what they say.
    fn cover(&self, asked: AskedResource<'_>) -> bool {
        let AskedResource { group, resource, subresource, name, .. } = asked;
        if self.group != group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        let named = self.names.is_empty() || self.names.iter().any(|wanted| wanted == name);
        let fits = |wanted: &str| match wanted.split_once('/') {
            None => wanted == "*" || (subresource.is_empty() && wanted == resource),
            Some(("*", wanted)) => !subresource.is_empty() && wanted == subresource,
            Some((wanted, "*")) => wanted == resource,
            Some((of, sub)) => of == resource && sub == subresource,
        };
        named && self.resources.iter().any(|wanted| fits(wanted))
    }
}

fn is_path(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|head| path.starts_with(head))
}

/// The fields of a part of the policy, and where it stands.
struct Fields<'a> {
    map: &'a Map,
    at: &'a str,
}

impl<'a> Fields<'a> {
    fn of(document: &'a Value, at: &'a str, known: &'static [&'static str]) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::WrongType { at: at.to_owned(), wanted: "an object" };
        let map = document.as_map().ok_or_else(wrong)?;
        match map.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(PolicyError::UnknownField { at: format!("{at}.{key}"), known }),
            None => Ok(Self { map, at }),
        }
    }

    fn wrong(&self, key: &str, wanted: &'static str) -> PolicyError {
        PolicyError::WrongType { at: format!("{}.{key}", self.at), wanted }
    }

    fn list(&self, key: &str) -> Result<&'a [Value], PolicyError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(&[]),
            Some(value) => value.as_list().ok_or_else(|| self.wrong(key, "a list")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<Text>, PolicyError> {
        let texts = self.list(key)?.iter().map(|item| item.as_str().map(Text::from));
        texts.collect::<Option<_>>().ok_or_else(|| self.wrong(key, "a list of texts"))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, PolicyError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_bool().map(Some).ok_or_else(|| self.wrong(key, "true or false")),
        }
    }

    fn level(&self) -> Result<Level, PolicyError> {
        let found = self.map.get("level").and_then(Value::as_str).unwrap_or_default();
        named(&LEVELS, found, &format!("{}.level", self.at))
    }

    fn stages(&self, key: &str) -> Result<Vec<Stage>, PolicyError> {
        let at = format!("{}.{key}", self.at);
        self.texts(key)?.iter().map(|found| named(&STAGES, found, &at)).collect()
    }
}

fn named<T: Copy>(known: &[(&'static str, T)], found: &str, at: &str) -> Result<T, PolicyError> {
    let fitting = known.iter().find(|(name, _)| *name == found).map(|(_, value)| *value);
    fitting.ok_or_else(|| PolicyError::NotSupported {
        at: at.to_owned(),
        found: found.to_owned(),
        known: known.iter().map(|(name, _)| *name).collect(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: ['system:apiserver']}
- {level: None, userGroups: [robots], verbs: [get, list]}
- level: Metadata
  omitStages: [Panic]
  omitManagedFields: false
  resources:
  - {group: '', resources: [secrets, serviceaccounts/token]}
- level: Request
  resources: [{group: apps, resources: [deployments], resourceNames: [web]}, {group: apps, resources: ['*/scale']}]
- {level: Metadata, namespaces: ['']}
- {level: None, nonResourceURLs: ['/healthz*', '/version']}
- {level: RequestResponse, resources: [{group: ''}]}
- {level: Metadata}
";

    fn level(user: &str, groups: &[&str], verb: &str, path: &str, resource: &[&str]) -> Level {
        let user = User::new(user, groups);
        let resource = match resource {
            [group, resource, subresource, namespace, name] => {
                Some(AskedResource { group, resource, subresource, namespace, name })
            }
            _ => None,
        };
        AuditPolicy::parse(POLICY).unwrap().decide(Asked { user: &user, verb, path, resource }).level
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let of = |resource: &[&str]| level("jane", &[], "patch", "", resource);
        assert_eq!(of(&["", "secrets", "", "web", "s"]), Level::Metadata);
        assert_eq!(of(&["", "serviceaccounts", "token", "web", "s"]), Level::Metadata);
        assert_eq!(of(&["", "serviceaccounts", "", "web", "s"]), Level::RequestResponse);
        assert_eq!(of(&["apps", "deployments", "", "web", "web"]), Level::Request);
        assert_eq!(of(&["apps", "deployments", "scale", "web", "other"]), Level::Request);
        assert_eq!(of(&["apps", "deployments", "", "web", "other"]), Level::Metadata);
        assert_eq!(of(&["", "nodes", "", "", "n"]), Level::Metadata);
        assert_eq!(level("system:apiserver", &[], "get", "", &["", "pods", "", "web", ""]), Level::None);
        assert_eq!(level("r2", &["robots"], "get", "", &["", "pods", "", "web", ""]), Level::None);
        assert_eq!(
            level("r2", &["robots"], "patch", "", &["", "pods", "", "web", "p"]),
            Level::RequestResponse
        );
        assert_eq!(level("jane", &[], "get", "/healthz/ping", &[]), Level::None);
        assert_eq!(level("jane", &[], "get", "/version/x", &[]), Level::Metadata);
    }

    #[test]
    fn a_rule_adds_stages_and_overrides_managed_fields() {
        let policy = AuditPolicy::parse(POLICY).unwrap();
        let user = User::new("jane", &[]);
        let asked = |resource: &'static str| {
            let resource =
                AskedResource { group: "", resource, subresource: "", namespace: "web", name: "x" };
            Asked { user: &user, verb: "get", path: "", resource: Some(resource) }
        };
        let secrets = policy.decide(asked("secrets"));
        assert_eq!(secrets.omit_stages, [Stage::RequestReceived, Stage::Panic]);
        assert!(!secrets.omit_managed_fields);
        assert!(policy.decide(asked("pods")).omit_managed_fields);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let with = |rule: &str| {
            let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{rule}]");
            AuditPolicy::parse(&text).unwrap_err().to_string()
        };
        assert_eq!(
            with("{level: All}"),
            "rules[0].level: \"All\" is none of None, Metadata, Request, RequestResponse"
        );
        assert!(
            with("{level: None, verb: [get]}").starts_with("rules[0].verb: unknown field; known are level")
        );
        assert_eq!(with("{level: None, verbs: get}"), "rules[0].verbs: must be a list");
        assert!(with("{level: None, namespaces: [a], nonResourceURLs: [/b]}").contains("not to both"));
        assert_eq!(with(""), "the audit policy has no rules: nothing would be audited");
        assert!(AuditPolicy::parse("kind: Pod").unwrap_err().to_string().contains("no Policy of audit"));
    }
}
