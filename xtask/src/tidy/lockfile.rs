//! What may not be anywhere in the build, whoever asks for it.

use super::{Problem, edges::Metadata};

/// A package that is banned, and why.
const BANNED: [(&str, &str); 4] = [
    ("aws-lc-sys", "ring is the only provider of cryptography"),
    ("aws-lc-rs", "ring is the only provider of cryptography"),
    ("openssl-sys", "rustls with ring is the only TLS"),
    ("native-tls", "rustls with ring is the only TLS"),
];

/// A feature that is banned, and why.
const BANNED_FEATURES: [(&str, &str, &str); 1] = [(
    "serde_json",
    "preserve_order",
    "features are unified: one crate that wants it would change the order of keys everywhere",
)];

pub fn check(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (package, node) in metadata.resolved() {
        for (name, reason) in BANNED.iter().filter(|(name, _)| *name == package.name) {
            problems.push(Problem::new("Cargo.lock", format!("{name} is banned: {reason}")));
        }
        for (name, feature, reason) in BANNED_FEATURES {
            if name == package.name && node.features.iter().any(|enabled| enabled == feature) {
                problems
                    .push(Problem::new("Cargo.lock", format!("{name} with {feature} is banned: {reason}")));
            }
        }
    }
    problems
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{super::edges::parse, *};

    fn resolved(name: &str, features: &str) -> Metadata {
        let text = format!(
            r#"{{"packages": [{{"name": "{name}", "id": "a", "dependencies": []}}], "workspace_members": [],
              "resolve": {{"nodes": [{{"id": "a", "features": [{features}], "deps": []}}]}}}}"#
        );
        parse(&text).unwrap()
    }

    #[test]
    fn banned_packages_and_features_are_found() {
        assert_eq!(check(&resolved("serde_json", r#""std""#)), []);
        assert_eq!(check(&resolved("serde_json", r#""std", "preserve_order""#)).len(), 1);
        assert_eq!(check(&resolved("openssl-sys", "")).len(), 1);
    }
}
