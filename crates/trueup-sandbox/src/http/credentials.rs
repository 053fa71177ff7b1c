//! The certificate authority, the server's certificate, the users and their tokens.
//!
//! Keys and tokens come from the system's randomness, not from the sandbox's seed: they guard a port of this machine, and
//! no behaviour depends on them. A sandbox without a port has nothing to guard, and takes its tokens from the seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use trueup_object::Value;
use trueup_object::value::{Map, Text};

use crate::authorize::MASTERS;

/// Someone who makes requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: Text,
    /// Empty for users whom somebody stands in for.
    pub uid: Text,
    pub groups: Vec<Text>,
    /// What else the authenticator knows.
    pub extra: Vec<(Text, Vec<Text>)>,
}

impl User {
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| Text::from(*group)).collect();
        Self { name: name.into(), uid: Text::default(), groups, extra: Vec::new() }
    }

    /// As `authentication.k8s.io` and audit events have it.
    pub fn to_value(&self) -> Value {
        let list = |texts: &[Text]| Value::List(texts.iter().map(|text| text.clone().into()).collect());
        let mut user = Map::from_iter([("username", Value::from(self.name.clone()))]);
        if !self.uid.is_empty() {
            user.insert("uid", self.uid.clone().into());
        }
        if !self.groups.is_empty() {
            user.insert("groups", list(&self.groups));
        }
        if !self.extra.is_empty() {
            let extra = self.extra.iter().map(|(key, values)| (key.as_str(), list(values)));
            user.insert("extra", Value::Map(extra.collect()));
        }
        Value::Map(user)
    }
}

/// A service account, as a token stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub namespace: Text,
    pub name: Text,
    pub uid: Text,
}

/// A token of a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountToken {
    pub account: Account,
    /// Whom it is for.
    pub audiences: Vec<Text>,
    pub id: Text,
    /// What it holds no longer than.
    pub bound: Option<Bound>,
}

/// An object that a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub kind: Text,
    pub name: Text,
    pub uid: Text,
    /// Name and uid of the node of a pod.
    pub node: Option<(Text, Text)>,
}

/// Who issues tokens: the API server's usual name for itself.
const ISSUER: &str = "https://kubernetes.default.svc";

/// The users that every sandbox knows.
pub const USERS: [&str; 3] = ["admin", "alice@example.com", "bob@example.com"];

/// What namespaces show as the root certificate of a server without TLS.
const NO_AUTHORITY: &str = "# served within a process, without TLS\n";

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
    users_by_token: BTreeMap<String, User>,
    /// What tokens of service accounts are signed with.
    secret: Vec<u8>,
}

/// Tokens and keys are not for logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes an authority, a server certificate for the address, and a token for every user.
    pub fn generate(address: SocketAddr) -> Result<(Self, Arc<ServerConfig>), CredentialError> {
        let ca_key = KeyPair::generate().map_err(CredentialError::Certificate)?;
        // The private key is the randomness that tokens are derived from.
        let key = ca_key.serialized_der().to_vec();
        let ca = authority(ca_key).map_err(CredentialError::Certificate)?;
        let tls = server_config(&ca, address)?;
        Ok((Self::of_key(&key, ca.pem()), Arc::new(tls)))
    }

    /// Of a sandbox that nobody reaches from outside the process: the same for the same seed, and no authority.
    pub fn of_seed(seed: u64) -> Self {
        Self::of_key(&seed.to_be_bytes(), NO_AUTHORITY.to_owned())
    }

    fn of_key(key: &[u8], ca_pem: String) -> Self {
        let users_by_token = USERS.into_iter().map(|name| (token(key, name), user(name))).collect();
        Self { ca_pem, users_by_token, secret: Sha256::digest(key).to_vec() }
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

    /// A token for a service account, in the form of a JSON web token, that holds until a second.
    pub fn account_token(&self, bearer: &AccountToken, now: i64, until: i64) -> String {
        let AccountToken { account: Account { namespace, name, uid }, audiences, id, bound } = bearer;
        let reference = |name: &Text, uid: &Text| {
            Value::Map(Map::from_iter([("name", Value::from(name.clone())), ("uid", uid.clone().into())]))
        };
        let mut own = Map::from_iter([
            ("namespace", Value::from(namespace.clone())),
            ("serviceaccount", reference(name, uid)),
        ]);
        if let Some(Bound { kind, name, uid, node }) = bound {
            own.insert(kind.to_lowercase().as_str(), reference(name, uid));
            if let Some((name, uid)) = node {
                own.insert("node", reference(name, uid));
            }
        }
        let claims = Map::from_iter([
            ("aud", Value::List(audiences.iter().map(|it| it.clone().into()).collect())),
            ("exp", Value::Int(until)),
            ("iat", Value::Int(now)),
            ("iss", ISSUER.into()),
            ("jti", id.clone().into()),
            ("kubernetes.io", Value::Map(own)),
            ("nbf", Value::Int(now)),
            ("sub", format!("system:serviceaccount:{namespace}:{name}").into()),
        ]);
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!(
            "{}.{}",
            encode("{\"alg\":\"sandbox\",\"typ\":\"JWT\"}"),
            encode(&Value::Map(claims).to_json())
        );
        format!("{signed}.{}", self.signature(&signed))
    }

    /// What a token says, unless it is not ours or its time is over.
    pub fn account_of_token(&self, token: &str, now: i64) -> Option<AccountToken> {
        let (signed, signature) = token.rsplit_once('.')?;
        if self.signature(signed) != signature {
            return None;
        }
        let (_, claims) = signed.split_once('.')?;
        let claims = Value::from_json(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        if claims.int_at(&["exp"])? <= now {
            return None;
        }
        let own = claims.get("kubernetes.io")?;
        let reference = |key: &str| {
            let text = |field: &str| own.str_at(&[key, field]).map(Text::from);
            text("name").zip(text("uid"))
        };
        let (name, uid) = reference("serviceaccount")?;
        let node = reference("node");
        let bound = [("Pod", "pod"), ("Secret", "secret")].into_iter().find_map(|(kind, key)| {
            let (name, uid) = reference(key)?;
            Some(Bound { kind: kind.into(), name, uid, node: node.clone() })
        });
        let to_node = |(name, uid): (Text, Text)| Bound { kind: "Node".into(), name, uid, node: None };
        Some(AccountToken {
            account: Account { namespace: own.str_at(&["namespace"])?.into(), name, uid },
            audiences: claims.list_at(&["aud"]).iter().filter_map(Value::as_str).map(Text::from).collect(),
            id: claims.str_at(&["jti"]).unwrap_or_default().into(),
            bound: bound.or_else(|| node.clone().map(to_node)),
        })
    }

    fn signature(&self, text: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.secret);
        digest.update(text);
        digest.update(&self.secret);
        URL_SAFE_NO_PAD.encode(digest.finalize())
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

/// The group of the people who may do everything because a binding says so.
const PEOPLE: &str = "trueup:people";

/// A named user. Only `admin` is of the group that may do anything without being asked; the others are bound to
/// `cluster-admin`, as people are.
fn user(name: &str) -> User {
    let groups: &[&str] = match name {
        ADMIN => &[MASTERS],
        "alice@example.com" => &[PEOPLE, "team-a"],
        _ => &[PEOPLE, "team-b"],
    };
    let groups = groups.iter().chain(&["system:authenticated"]).map(|group| Text::from(*group)).collect();
    User { name: Text::from(name), uid: Text::from(name), groups, extra: Vec::new() }
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
        let (credentials, _) = Credentials::generate("127.0.0.1:6443".parse().unwrap()).unwrap();
        let config = credentials.kubeconfig("https://127.0.0.1:6443", "bob@example.com");
        assert!(config.contains("current-context: bob@example.com\n"), "{config}");
        for name in USERS {
            let token = credentials.token_of(name).unwrap();
            assert!(config.contains(token), "{config}");
            assert_eq!(credentials.user_of_token(token).unwrap().name, name);
        }
        assert!(credentials.user_of_token("guess").is_none());
    }

    #[test]
    fn a_token_of_an_account_holds_for_its_time() {
        let (credentials, _) = Credentials::generate("127.0.0.1:6443".parse().unwrap()).unwrap();
        let account = Account { namespace: "web".into(), name: "robot".into(), uid: "u".into() };
        for bound in [
            None,
            Some(Bound { kind: "Secret".into(), name: "s".into(), uid: "v".into(), node: None }),
            Some(Bound { kind: "Node".into(), name: "n".into(), uid: "w".into(), node: None }),
            Some(Bound {
                kind: "Pod".into(),
                name: "p".into(),
                uid: "v".into(),
                node: Some(("n".into(), "w".into())),
            }),
        ] {
            let bearer =
                AccountToken { account: account.clone(), audiences: vec!["a".into()], id: "i".into(), bound };
            let token = credentials.account_token(&bearer, 1, 100);
            assert_eq!(credentials.account_of_token(&token, 99), Some(bearer));
            assert_eq!(credentials.account_of_token(&token, 100), None);
            assert_eq!(credentials.account_of_token(&format!("{token}x"), 99), None);
        }
    }
}
