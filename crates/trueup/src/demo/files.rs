//! The content of the incident's repository, carried in the program.

/// Name and namespace of each application, in the order in which they are synced.
pub const APPLICATIONS: [(&str, &str); 6] = [
    ("payment-service", "payments"),
    ("user-service", "users"),
    ("feature-flags", "feature-flags"),
    ("logging-agent", "logging"),
    ("cert-manager", "cert-manager"),
    ("frontend", "web"),
];

macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../stories/incident/git/", $path)))
    };
}

/// Path and text of each file.
pub const FILES: [(&str, &str); 7] = [
    file!("apps/payment-service/deployment.yaml"),
    file!("apps/payment-service/service.yaml"),
    file!("apps/user-service/deployment.yaml"),
    file!("apps/feature-flags/configmap.yaml"),
    file!("apps/logging-agent/daemonset.yaml"),
    file!("apps/cert-manager/crd.yaml"),
    file!("apps/frontend/frontend.yaml"),
];

/// The text of a file.
pub fn text(path: &str) -> &'static str {
    FILES.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_application_has_files() {
        for (name, _) in APPLICATIONS {
            let folder = format!("apps/{name}/");
            assert!(FILES.iter().any(|(path, text)| path.starts_with(&folder) && !text.is_empty()), "{name}");
        }
    }
}
