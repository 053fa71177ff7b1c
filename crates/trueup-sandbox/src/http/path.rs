//! Request paths: which resource, namespace, name and subresource a path means.

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/api/VERSION/...` or `/apis/GROUP/VERSION/...` with at least a resource.
    Resource(ResourcePath),
    /// Everything else, by its decoded segments: discovery, OpenAPI, health, the sandbox's own paths.
    Other(Vec<String>),
}

/// A path below a group version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcePath {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// Empty where the path names none.
    pub namespace: String,
    pub resource: String,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Route {
    /// Reads the path of a request (without its query). None where an escape is broken or something follows a subresource.
    pub fn parse(path: &str) -> Option<Self> {
        // The server splits what it has decoded. Nothing between two slashes is a word too: the namespace of all of them.
        let decoded = decode_bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
        if decoded.starts_with("//") {
            return None;
        }
        let inner = decoded.trim_matches('/');
        let segments: Vec<String> =
            if inner.is_empty() { Vec::new() } else { inner.split('/').map(str::to_owned).collect() };
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => below("", version, rest).map(Self::Resource),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                below(group, version, rest).map(Self::Resource)
            }
            _ => Some(Self::Other(segments)),
        }
    }
}

/// A namespace's own subresources; any other word after a namespace's name is a resource in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

fn below(group: &str, version: &str, rest: &[&str]) -> Option<ResourcePath> {
    let (namespace, rest) = match rest {
        ["namespaces", namespace, inner @ ..]
            if inner.first().is_some_and(|word| !NAMESPACE_SUBRESOURCES.contains(word)) =>
        {
            (*namespace, inner)
        }
        _ => ("", rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, None, None),
        [resource, name] => (*resource, Some(*name), None),
        [resource, name, subresource] => (*resource, Some(*name), Some(*subresource)),
        _ => return None,
    };
    Some(ResourcePath {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        resource: resource.to_owned(),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
    })
}

/// Percent-decodes a text.
pub(super) fn decode(text: &str) -> Option<String> {
    String::from_utf8(decode_bytes(text)?).ok()
}

fn decode_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn resource(path: &str) -> ResourcePath {
        match Route::parse(path).unwrap() {
            Route::Resource(resource) => resource,
            Route::Other(other) => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn reads_namespaced_and_cluster_paths() {
        let path = resource("/apis/apps/v1/namespaces/web/deployments/frontend/scale");
        assert_eq!((path.group.as_str(), path.version.as_str()), ("apps", "v1"));
        assert_eq!((path.namespace.as_str(), path.resource.as_str()), ("web", "deployments"));
        assert_eq!((path.name.as_deref(), path.subresource.as_deref()), (Some("frontend"), Some("scale")));
        let path = resource("/api/v1/nodes/n1");
        assert_eq!((path.namespace.as_str(), path.name.as_deref()), ("", Some("n1")));
    }

    #[test]
    fn tells_a_namespace_from_what_is_in_it() {
        let path = resource("/api/v1/namespaces/web");
        assert_eq!((path.resource.as_str(), path.name.as_deref()), ("namespaces", Some("web")));
        let path = resource("/api/v1/namespaces/web/finalize");
        assert_eq!((path.resource.as_str(), path.subresource.as_deref()), ("namespaces", Some("finalize")));
        let path = resource("/api/v1/namespaces/web/pods");
        assert_eq!((path.namespace.as_str(), path.resource.as_str()), ("web", "pods"));
    }

    #[test]
    fn decodes_names() {
        let path = resource("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode");
        assert_eq!(path.name.as_deref(), Some("system:node"));
        assert_eq!(Route::parse("/api/v1/pods/%zz"), None);
    }

    #[test]
    fn leaves_discovery_to_others() {
        assert_eq!(
            Route::parse("/apis/apps/v1"),
            Some(Route::Other(vec!["apis".into(), "apps".into(), "v1".into()]))
        );
        assert_eq!(Route::parse("/api/v1/a/b/c/d"), None);
    }
}
