//! The order of API versions: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then everything else.

/// A version's precedence; the greater is preferred (`k8s.io/apimachinery/pkg/version.CompareKubeAwareVersionStrings`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    /// Not of Kubernetes' form: ordered by name, the earlier first.
    Other(std::cmp::Reverse<String>),
    Alpha(u64, u64),
    Beta(u64, u64),
    Stable(u64),
}

pub(super) fn precedence(version: &str) -> Precedence {
    parse(version).unwrap_or_else(|| Precedence::Other(std::cmp::Reverse(version.to_owned())))
}

fn parse(version: &str) -> Option<Precedence> {
    let rest = version.strip_prefix('v')?;
    if let Some((major, minor)) = rest.split_once("alpha") {
        Some(Precedence::Alpha(number(major)?, number(minor)?))
    } else if let Some((major, minor)) = rest.split_once("beta") {
        Some(Precedence::Beta(number(major)?, number(minor)?))
    } else {
        Some(Precedence::Stable(number(rest)?))
    }
}

fn number(digits: &str) -> Option<u64> {
    if digits.starts_with(['+', '0']) { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_versions_as_kubernetes_does() {
        let mut versions = ["foo10", "v1alpha1", "v10", "v2beta1", "v1", "v2", "bar", "v1beta2", "v12alpha1"];
        versions.sort_by_key(|version| std::cmp::Reverse(precedence(version)));
        assert_eq!(
            versions,
            ["v10", "v2", "v1", "v2beta1", "v1beta2", "v12alpha1", "v1alpha1", "bar", "foo10"]
        );
    }
}
