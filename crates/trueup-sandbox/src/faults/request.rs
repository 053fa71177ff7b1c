//! What a request is, as far as rules can name it: as the sandbox knows it, or read from its path by a proxy.

use http::{Method, Uri};

/// A request for a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'a str,
    /// Empty for the core group.
    pub group: &'a str,
    /// The version of the API.
    pub version: &'a str,
    /// The resource: `configmaps`.
    pub plural: &'a str,
    /// Empty where only the path is known: then the plural tells.
    pub kind: &'a str,
    /// Empty where there is none.
    pub namespace: &'a str,
    /// Empty where the path names none.
    pub name: &'a str,
    /// As whom the client introduces itself.
    pub user_agent: &'a str,
    /// How it is asked for, where it is a list or watch.
    pub read: Reading,
}

/// How a list or watch is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// The resource version from which it goes on; none and 0 begin anew.
    pub revision: u64,
    /// Asks for the next page of a list.
    pub continues: bool,
    /// Has a limit of its own that counts, so that there can be a next page.
    pub is_paged: bool,
    /// A watch that begins with what is there.
    pub is_initial: bool,
}

impl Attributes<'_> {
    /// Whether a word names the kind or the plural.
    pub(super) fn is_of(&self, word: &str) -> bool {
        if self.kind.is_empty() {
            word == self.plural || is_plural_of(self.plural, word)
        } else {
            word == self.kind || word == self.plural
        }
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        matches!(self.verb, "create" | "update" | "patch" | "delete" | "deletecollection")
    }

    /// The resource as messages name it.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

impl<'a> Attributes<'a> {
    /// Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`; None for paths that are about no resource.
    pub fn of_path(method: &Method, uri: &'a Uri, user_agent: &'a str) -> Option<Self> {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", name, "status" | "finalize"] => ("", "namespaces", *name),
            ["namespaces", namespace, plural, name, ..] => (*namespace, *plural, *name),
            ["namespaces", namespace, plural] => (*namespace, *plural, ""),
            [plural, name, ..] => ("", *plural, *name),
            [plural] => ("", *plural, ""),
            [] => return None,
        };
        let query = uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let is_watch = matches!(parameter("watch"), Some("true" | "1"));
        let verb = match (method.as_str(), name.is_empty()) {
            ("GET", _) if is_watch => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => return None,
        };
        let read = Reading {
            revision: parameter("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or_default(),
            continues: parameter("continue").is_some_and(|token| !token.is_empty()),
            is_paged: parameter("limit").is_some_and(|limit| limit != "0")
                && parameter("resourceVersion") != Some("0"),
            is_initial: parameter("sendInitialEvents") == Some("true"),
        };
        Some(Self { verb, group, version, plural, kind: "", namespace, name, user_agent, read })
    }
}

/// Whether a word is a kind with this plural, by the rules by which Kubernetes' own kinds are named.
fn is_plural_of(plural: &str, word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let regular = match word.strip_suffix('y') {
        Some(stem) if !word.ends_with("ay") && !word.ends_with("ey") => format!("{stem}ies"),
        _ if word.ends_with('s') || word.ends_with('x') => format!("{word}es"),
        _ => format!("{word}s"),
    };
    regular == plural || word == plural
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn asked<'a>(method: &str, uri: &'a Uri) -> Attributes<'a> {
        Attributes::of_path(&method.parse().unwrap(), uri, "").unwrap()
    }

    #[test]
    fn a_path_tells_requests_apart() {
        let uri = "/api/v1/namespaces/shop/configmaps?limit=500".parse().unwrap();
        let list = asked("GET", &uri);
        assert_eq!((list.verb, list.plural, list.namespace), ("list", "configmaps", "shop"));
        assert!(list.read.is_paged);
        let uri = "/apis/apps/v1/deployments?watch=true&resourceVersion=7".parse().unwrap();
        let watch = asked("GET", &uri);
        assert_eq!((watch.verb, watch.group, watch.read.revision), ("watch", "apps", 7));
        let uri = "/apis/apps/v1/namespaces/shop/deployments/web?fieldManager=x".parse().unwrap();
        let patch = asked("PATCH", &uri);
        assert_eq!((patch.verb, patch.version, patch.name), ("patch", "v1", "web"));
        assert_eq!(Attributes::of_path(&Method::GET, &"/healthz".parse().unwrap(), ""), None);
    }

    #[test]
    fn kinds_are_known_by_their_plural() {
        for (kind, plural) in [
            ("ConfigMap", "configmaps"),
            ("NetworkPolicy", "networkpolicies"),
            ("Ingress", "ingresses"),
            ("Gateway", "gateways"),
            ("Endpoints", "endpoints"),
            ("configmaps", "configmaps"),
        ] {
            assert!(Attributes { plural, ..Attributes::default() }.is_of(kind), "{kind}");
        }
        assert!(!Attributes { plural: "configmaps", ..Attributes::default() }.is_of("Secret"));
    }
}
