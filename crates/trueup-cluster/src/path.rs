//! Paths of the Kubernetes API.

use trueup_object::value::Text;

use crate::discover::{KindScope, ServedKind};

/// The path of a kind's collection: all namespaces where the namespace is empty or the kind is cluster-scoped.
pub fn collection(kind: &ServedKind, namespace: &str) -> String {
    let mut path = group_version(&kind.gvk.group, &kind.gvk.version);
    if kind.scope == KindScope::Namespaced && !namespace.is_empty() {
        path.push_str("/namespaces/");
        path.push_str(&plain_segment(namespace));
    }
    path.push('/');
    path.push_str(&plain_segment(&kind.plural));
    path
}

/// The path of one object.
pub fn object(kind: &ServedKind, namespace: &str, name: &str) -> String {
    let mut path = collection(kind, namespace);
    path.push('/');
    path.push_str(&plain_segment(name));
    path
}

/// `/api/v1` or `/apis/apps/v1`.
pub fn group_version(group: &Text, version: &Text) -> String {
    if group.is_empty() {
        format!("/api/{}", plain_segment(version))
    } else {
        format!("/apis/{}/{}", plain_segment(group), plain_segment(version))
    }
}

/// Adds parameters to a path that may have some.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (index, (name, value)) in parameters.iter().enumerate() {
        out.push(if index == 0 && !path.contains('?') { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&encode(value, ""));
    }
    out
}

/// One segment: names come from Git, so nothing in them may act as part of a path.
pub(crate) fn plain_segment(text: &str) -> String {
    // Dots alone would be read as steps in the tree by whatever stands between us and the server.
    if text == "." || text == ".." { text.replace('.', "%2E") } else { encode(text, ":") }
}

fn encode(text: &str, also_plain: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let char = char::from(byte);
        if byte.is_ascii_alphanumeric()
            || "-._~".contains(char)
            || (byte.is_ascii() && also_plain.contains(char))
        {
            out.push(char);
        } else {
            use std::fmt::Write as _;
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use trueup_object::Gvk;

    use super::*;

    fn kind(group: &str, kind: &str, plural: &str, scope: KindScope) -> ServedKind {
        ServedKind { gvk: Gvk::new(group, "v1", kind), plural: plural.into(), scope, verbs: Vec::new() }
    }

    #[test]
    fn objects_have_the_paths_of_the_api() {
        let deployment = kind("apps", "Deployment", "deployments", KindScope::Namespaced);
        assert_eq!(object(&deployment, "web", "shop"), "/apis/apps/v1/namespaces/web/deployments/shop");
        assert_eq!(collection(&deployment, ""), "/apis/apps/v1/deployments");
        let role = kind("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", KindScope::Cluster);
        assert_eq!(
            object(&role, "ignored", "system:node"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        let map = kind("", "ConfigMap", "configmaps", KindScope::Namespaced);
        assert_eq!(object(&map, "web", "a/../b?c"), "/api/v1/namespaces/web/configmaps/a%2F..%2Fb%3Fc");
        assert_eq!(object(&map, "..", "x"), "/api/v1/namespaces/%2E%2E/configmaps/x");
    }

    #[test]
    fn parameters_are_added() {
        assert_eq!(with_query("/a", &[("b", "c d"), ("e", "")]), "/a?b=c%20d&e=");
        assert_eq!(with_query("/a?x=1", &[("b", "c")]), "/a?x=1&b=c");
    }
}
