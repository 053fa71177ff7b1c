//! How a command names an Application: `NAME` or `NAMESPACE/NAME`, with `-N` for the namespace.

use clap::Args;
use trueup_engine::app::AppKey;

use crate::failure::Failure;
use crate::home::NAMESPACE;

#[derive(Debug, Clone, Args)]
pub struct Within {
    /// Namespace of the Application
    #[arg(short = 'N', long, value_name = "NAMESPACE", env = "ARGOCD_APP_NAMESPACE")]
    pub app_namespace: Option<String>,
}

impl Within {
    pub fn namespace(&self) -> &str {
        self.app_namespace.as_deref().unwrap_or(NAMESPACE)
    }

    /// The Application of a name.
    pub fn key(&self, name: &str) -> Result<AppKey, Failure> {
        let (namespace, name) = name.split_once('/').unwrap_or((self.namespace(), name));
        // A name of Kubernetes' subdomain form; anything else would also lead out of the path of a request.
        let is_plain = |text: &str| {
            let alphanumeric = |byte: &u8| byte.is_ascii_alphanumeric();
            let bytes = text.as_bytes();
            bytes.first().is_some_and(alphanumeric)
                && bytes.last().is_some_and(alphanumeric)
                && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-' || *byte == b'.')
        };
        if is_plain(namespace) && is_plain(name) {
            return Ok(AppKey::new(namespace, name));
        }
        Err(Failure::user(format!("{namespace}/{name} is no name of an Application"))
            .hint("give NAME or NAMESPACE/NAME"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_namespace_in_the_name_wins() {
        let within = Within { app_namespace: Some("apps".to_owned()) };
        assert_eq!(within.key("web").unwrap(), AppKey::new("apps", "web"));
        assert_eq!(within.key("other/web").unwrap(), AppKey::new("other", "web"));
        assert_eq!(Within { app_namespace: None }.key("web").unwrap(), AppKey::new("argocd", "web"));
        assert!(within.key("a/b/c").is_err() && within.key("").is_err() && within.key("../x").is_err());
    }
}
