//! The certificate authority, the server's certificate, the users and their tokens.
//!
//! Keys and tokens come from the system's randomness, not from the sandbox's seed: they guard a port of this machine, and
//! no behaviour depends on them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use trueup_object::value::Text;

/// Someone who makes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: Text,
    pub groups: Vec<Text>,
}

/// The users that every sandbox knows.
pub const USERS: [&str; 3] = ["admin", "alice@example.com", "bob@example.com"];

/// The one user who may change the sandbox itself.
pub const ADMIN: &str = "admin";

/// Why no certificates could be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("make a certificate")]
    Certificate(#[source] rcgen::Error),
    #[error("configure TLS")]
    Tls(#[source] rustls::Error),
}

/// Certificates and tokens of one sandbox.
pub struct Credentials {
    ca_pem: String,
    tls: Arc<ServerConfig>,
    users_by_token: BTreeMap<String, User>,
}

/// Tokens and keys are not for logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes an authority, a server certificate for the address, and a token for every user.
    pub fn generate(address: SocketAddr) -> Result<Self, CredentialError> {
        let ca_key = KeyPair::generate().map_err(CredentialError::Certificate)?;
        // The private key is the randomness that tokens are derived from.
        let users_by_token =
            USERS.into_iter().map(|name| (token(ca_key.serialized_der(), name), user(name))).collect();
        let ca = authority(ca_key).map_err(CredentialError::Certificate)?;
        let tls = server_config(&ca, address)?;
        Ok(Self { ca_pem: ca.pem(), tls: Arc::new(tls), users_by_token })
    }

    pub fn tls(&self) -> Arc<ServerConfig> {
        self.tls.clone()
    }

    /// The certificate that signs the server's.
    pub fn authority_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Who holds a token.
    pub fn user_of_token(&self, token: &str) -> Option<&User> {
        self.users_by_token.get(token)
    }

    /// The token of a user.
    pub fn token_of(&self, name: &str) -> Option<&str> {
        self.users_by_token.iter().find(|(_, user)| user.name == name).map(|(token, _)| token.as_str())
    }

    /// A kubeconfig with a context for every user, the given one being current.
    pub fn kubeconfig(&self, url: &str, current: &str) -> String {
        let ca = STANDARD.encode(&self.ca_pem);
        let mut out = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster:\n    server: {url}\n    \
             certificate-authority-data: {ca}\ncontexts:\n"
        );
        for name in USERS {
            out.push_str(&format!(
                "- name: {name}\n  context:\n    cluster: sandbox\n    namespace: default\n    user: {name}\n"
            ));
        }
        out.push_str(&format!("current-context: {current}\nusers:\n"));
        for name in USERS {
            let token = self.token_of(name).unwrap_or_default();
            out.push_str(&format!("- name: {name}\n  user:\n    token: {token}\n"));
        }
        out
    }
}

/// A named user. Only `admin` is of the group that may do anything without being asked.
fn user(name: &str) -> User {
    let mut groups = vec![Text::from("system:authenticated")];
    if name == ADMIN {
        groups.insert(0, Text::from("system:masters"));
    }
    User { name: Text::from(name), groups }
}

fn token(secret: &[u8], name: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"token of ");
    digest.update(name);
    digest.update(secret);
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

fn authority(key: KeyPair) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "sandbox-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, key)
}

fn server_config(
    ca: &CertifiedIssuer<'static, KeyPair>,
    address: SocketAddr,
) -> Result<ServerConfig, CredentialError> {
    let key = KeyPair::generate().map_err(CredentialError::Certificate)?;
    let names = vec!["localhost".to_owned(), "kubernetes.default.svc".to_owned(), address.ip().to_string()];
    let mut params = CertificateParams::new(names).map_err(CredentialError::Certificate)?;
    params.distinguished_name.push(DnType::CommonName, "sandbox");
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, ca).map_err(CredentialError::Certificate)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private)
        })
        .map_err(CredentialError::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_a_token_and_a_context() {
        let credentials = Credentials::generate("127.0.0.1:6443".parse().unwrap()).unwrap();
        let config = credentials.kubeconfig("https://127.0.0.1:6443", "bob@example.com");
        assert!(config.contains("current-context: bob@example.com\n"), "{config}");
        for name in USERS {
            let token = credentials.token_of(name).unwrap();
            assert!(config.contains(token), "{config}");
            assert_eq!(credentials.user_of_token(token).unwrap().name, name);
        }
        assert!(credentials.user_of_token("guess").is_none());
    }
}
