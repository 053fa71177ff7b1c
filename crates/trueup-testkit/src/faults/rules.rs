//! The rules of the proxy: the same faults, with the same meaning, as the sandbox's own.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use hyper::{Method, Uri};
use tokio::time::Instant;
use trueup_object::Value;
use trueup_sandbox::faults::{After, Fault, Rule};

/// What a request is about, read from its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    verb: &'static str,
    group: String,
    plural: String,
    namespace: String,
    name: String,
    /// Asks for the next page of a list.
    continues: bool,
    /// Has a limit of its own, so that there can be a next page.
    paged: bool,
    /// A watch that begins with what is there.
    initial: bool,
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interference {
    None,
    Refuse {
        code: u16,
        reason: &'static str,
        message: String,
        retry_after: Option<i64>,
    },
    /// Pass a list on with at most so many objects on its page.
    Limit(usize),
    /// Pass it on and lose the answer.
    Cut,
}

/// When a watch is to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchEnd {
    pub events: Option<u64>,
    pub after: Option<Duration>,
}

#[derive(Debug, Default)]
pub struct Rules {
    active: Vec<Active>,
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    since: Instant,
    n_met: u64,
}

impl Rules {
    pub fn parse(rules: &[Value]) -> Result<Self> {
        let read =
            |rule: &Value| Rule::parse(rule).with_context(|| format!("read the fault {}", rule.to_json()));
        let rules = rules.iter().map(read).collect::<Result<Vec<_>>>()?;
        let active = rules.into_iter().map(|rule| Active { rule, since: Instant::now(), n_met: 0 });
        Ok(Self { active: active.collect() })
    }

    /// What to do with a request.
    pub fn before(&mut self, asked: &Asked) -> Interference {
        let mut found = Interference::None;
        for active in self.active.iter_mut().filter(|active| asked.is_met_by(&active.rule)) {
            match &active.rule.fault {
                Fault::Status { code, retry_after, share } => {
                    active.n_met += 1;
                    let due = |met: u64| (met as f64 * share).floor();
                    if due(active.n_met) > due(active.n_met - 1) {
                        return refuse(*code, retry_after.map(i64::from));
                    }
                }
                Fault::Conflict { times } => {
                    let changes = matches!(asked.verb, "update" | "patch" | "delete");
                    if changes && active.n_met < *times {
                        active.n_met += 1;
                        return refuse(409, None);
                    }
                }
                Fault::Cut => {
                    if matches!(asked.verb, "create" | "update" | "patch" | "delete" | "deletecollection") {
                        found = Interference::Cut;
                    }
                }
                Fault::PartialList { keep } if asked.verb == "list" => {
                    if asked.continues || *keep == 0 || !asked.paged {
                        return refuse(500, None);
                    }
                    found = Interference::Limit(*keep);
                }
                Fault::PartialList { .. } | Fault::DropWatch { .. } => {}
            }
        }
        found
    }

    /// When a watch that began then is to end.
    pub fn watch_end(&self, asked: &Asked, began: Instant) -> WatchEnd {
        let mut end = WatchEnd::default();
        for active in self.active.iter().filter(|active| asked.is_met_by(&active.rule)) {
            match active.rule.fault {
                Fault::DropWatch { after: After::Events(most) } => {
                    end.events = Some(end.events.map_or(most, |other| other.min(most)));
                }
                Fault::DropWatch { after: After::Time(time) } => {
                    let left = (began.max(active.since) + time).saturating_duration_since(Instant::now());
                    end.after = Some(end.after.map_or(left, |other| other.min(left)));
                }
                Fault::PartialList { keep } if asked.initial => {
                    let keep = keep as u64;
                    end.events = Some(end.events.map_or(keep, |other| other.min(keep)));
                }
                Fault::Status { .. } | Fault::Conflict { .. } | Fault::Cut | Fault::PartialList { .. } => {}
            }
        }
        end
    }
}

fn refuse(code: u16, retry_after: Option<i64>) -> Interference {
    let (reason, message) = match code {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("Forbidden", "forbidden by a fault"),
        404 => ("NotFound", "the server could not find the requested resource"),
        409 => ("Conflict", "the object has been modified; please apply your changes to the latest version"),
        410 => ("Expired", "the resource version is too old"),
        429 => ("TooManyRequests", "the server has received too many requests"),
        500 => ("InternalError", "Internal error occurred: etcdserver: leader changed"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        _ => ("", "the request was refused by a fault"),
    };
    Interference::Refuse { code, reason, message: message.to_owned(), retry_after }
}

impl Asked {
    /// Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`; other paths are about no resource.
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return Self::default(),
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural, name, ..] => (*namespace, *plural, *name),
            ["namespaces", namespace, plural] => (*namespace, *plural, ""),
            [plural, name, ..] => ("", *plural, *name),
            [plural] => ("", *plural, ""),
            [] => return Self::default(),
        };
        let query = uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|it| it.1)
        };
        let watches = matches!(parameter("watch"), Some("true" | "1"));
        let verb = match (method.as_str(), name.is_empty()) {
            ("GET", _) if watches => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "",
        };
        Self {
            verb,
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            continues: parameter("continue").is_some_and(|token| !token.is_empty()),
            paged: parameter("limit").is_some_and(|limit| limit != "0")
                && parameter("resourceVersion") != Some("0"),
            initial: parameter("sendInitialEvents") == Some("true"),
        }
    }

    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    fn is_met_by(&self, rule: &Rule) -> bool {
        let any = |wanted: &[trueup_object::Text], found: &str| {
            wanted.is_empty() || wanted.iter().any(|text| text == found)
        };
        let on = &rule.on;
        let is_kind = on.kind.is_empty() || on.kind.iter().any(|kind| names(kind, &self.plural));
        !self.verb.is_empty()
            && any(&on.verb, self.verb)
            && any(&on.group, &self.group)
            && is_kind
            && any(&on.namespace, &self.namespace)
            && any(&on.name, &self.name)
    }
}

/// Whether a word is this plural or a kind with this plural, by the rules by which Kubernetes' own kinds are named.
fn names(word: &str, plural: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let regular = match word.strip_suffix('y') {
        Some(stem) if !word.ends_with("ay") && !word.ends_with("ey") => format!("{stem}ies"),
        _ if word.ends_with('s') || word.ends_with('x') => format!("{word}es"),
        _ => format!("{word}s"),
    };
    word == plural || regular == plural
}

/// A list's path with a limit on its page.
pub fn with_limit(target: &str, keep: usize) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kept =
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.strip_prefix("limit=") {
            Some(limit) => format!("limit={}", limit.parse().unwrap_or(keep).min(keep)),
            None => pair.to_owned(),
        });
    format!("{path}?{}", kept.collect::<Vec<_>>().join("&"))
}

/// The beginning of a piece of a stream up to the end of the given line, and how many lines end in it.
pub fn first_lines(data: &Bytes, most: Option<u64>) -> (Bytes, u64) {
    let mut n_lines = 0;
    for (index, byte) in data.iter().enumerate() {
        if *byte == b'\n' {
            n_lines += 1;
            if most == Some(n_lines) {
                return (data.slice(..=index), n_lines);
            }
        }
    }
    (data.clone(), n_lines)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str) -> Asked {
        Asked::of(&method.parse().unwrap(), &uri.parse().unwrap())
    }

    fn rules(json: &str) -> Rules {
        Rules::parse(&[Value::from_json(json.as_bytes()).unwrap()]).unwrap()
    }

    #[test]
    fn requests_are_told_apart() {
        let list = asked("GET", "/api/v1/namespaces/shop/configmaps?limit=500");
        assert_eq!(
            (list.verb, list.plural.as_str(), list.namespace.as_str()),
            ("list", "configmaps", "shop")
        );
        assert!(asked("GET", "/apis/apps/v1/deployments?watch=true").is_watch());
        let patch = asked("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=x");
        assert_eq!((patch.verb, patch.group.as_str(), patch.name.as_str()), ("patch", "apps", "web"));
        assert_eq!(asked("GET", "/healthz"), Asked::default());
    }

    #[test]
    fn conflicts_end_after_their_times() {
        let mut rules = rules(r#"{"kind":"conflict","times":1,"match":{"kind":"Deployment"}}"#);
        let patch = asked("PATCH", "/apis/apps/v1/namespaces/shop/deployments/web");
        let other = asked("PATCH", "/api/v1/namespaces/shop/configmaps/web");
        assert_eq!(rules.before(&other), Interference::None);
        assert!(matches!(rules.before(&patch), Interference::Refuse { code: 409, .. }));
        assert_eq!(rules.before(&patch), Interference::None);
    }

    #[test]
    fn a_share_of_requests_is_met_evenly() {
        let mut rules = rules(r#"{"kind":"status","code":503,"share":0.5}"#);
        let get = asked("GET", "/api/v1/namespaces/shop/configmaps/web");
        let met = (0..10).filter(|_| rules.before(&get) != Interference::None).count();
        assert_eq!(met, 5);
    }

    #[test]
    fn a_partial_list_fails_on_its_next_page() {
        let mut rules = rules(r#"{"kind":"partial-list","keep":2,"match":{"kind":["ConfigMap"]}}"#);
        let list = asked("GET", "/api/v1/configmaps?limit=500");
        assert_eq!(rules.before(&list), Interference::Limit(2));
        assert_eq!(with_limit("/api/v1/configmaps?limit=500&x=y", 2), "/api/v1/configmaps?limit=2&x=y");
        let next = asked("GET", "/api/v1/configmaps?limit=500&continue=abc");
        assert!(matches!(rules.before(&next), Interference::Refuse { code: 500, .. }));
        let initial = asked("GET", "/api/v1/configmaps?watch=true&sendInitialEvents=true");
        assert_eq!(rules.watch_end(&initial, Instant::now()).events, Some(2));
    }

    #[test]
    fn lines_are_cut_where_a_watch_ends() {
        let data = Bytes::from_static(b"a\nb\nc\nd");
        assert_eq!(first_lines(&data, Some(2)), (Bytes::from_static(b"a\nb\n"), 2));
        assert_eq!(first_lines(&data, None), (data.clone(), 3));
    }

    #[test]
    fn kinds_are_known_by_their_plural() {
        for (kind, plural) in [
            ("ConfigMap", "configmaps"),
            ("NetworkPolicy", "networkpolicies"),
            ("Ingress", "ingresses"),
            ("Gateway", "gateways"),
            ("configmaps", "configmaps"),
        ] {
            assert!(names(kind, plural), "{kind}");
        }
        assert!(!names("Secret", "configmaps"));
    }
}
