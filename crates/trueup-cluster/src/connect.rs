//! A client for a cluster, from a kubeconfig or from inside a Pod.
//!
//! Errors say what to do and never quote credentials: kubeconfig parse errors and the output of credential plugins are
//! left out of messages, because both can hold tokens.

use std::path::{Path, PathBuf};
use std::sync::Once;

use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::AuthError;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::in_process::InProcess;
use crate::wire::{Wire, WireError};

/// Where a cluster is and whose rights are used there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// The service account of the Pod that runs this program.
    InCluster,
    /// A kubeconfig: the file given, else `KUBECONFIG`, else `~/.kube/config`; the context given, else the current one.
    Kubeconfig { file: Option<PathBuf>, context: Option<String> },
    /// A server of this process. Whoever uses it stays on the runtime in use and starts no thread.
    InProcess(InProcess),
}

impl Access {
    /// Whether nothing may happen beside the runtime in use: no thread, no work handed to one.
    pub fn is_in_process(&self) -> bool {
        matches!(self, Self::InProcess(_))
    }
}

/// A connected cluster: the way to its API server, and how it names itself.
#[derive(Clone)]
pub struct Connection {
    pub wire: Wire,
    /// The API server's address, without credentials.
    pub server: String,
    /// The namespace of the context, `default` where it has none.
    pub namespace: String,
    /// Whether it is a server of this process, so that nothing may be handed to other threads.
    pub is_in_process: bool,
}

/// Why there is no client, or no use in one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("read the kubeconfig {file}: {message}")]
    Kubeconfig { file: String, message: String },
    #[error("find the context {context:?} in the kubeconfig {file}")]
    NoContext { file: String, context: String },
    #[error("read the service account of this Pod: {message}")]
    NotInCluster { message: String },
    #[error("use the kubeconfig's settings: {message}")]
    Settings { message: String },
    #[error("reach the API server {server}: {message}")]
    Unreachable { server: String, message: String },
    #[error("agree on TLS with the API server {server}: {message}")]
    Tls { server: String, message: String },
    #[error("get credentials for the API server {server}: {message}")]
    Credentials { server: String, message: String },
    #[error("be recognised by the API server {server}: {message}")]
    Unauthorized { server: String, message: String },
    #[error("be allowed by the API server {server}: {message}")]
    Forbidden { server: String, message: String },
    #[error("get a usable answer from {server}: {message}")]
    Unusable { server: String, message: String },
}

impl ConnectError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kubeconfig { .. } => "check the path and that the file is a kubeconfig",
            Self::NoContext { .. } => "`kubectl config get-contexts` lists the contexts",
            Self::NotInCluster { .. } => "outside a Pod, give a kubeconfig with --kubeconfig FILE",
            Self::Settings { .. } => "check server, certificates and proxy of the kubeconfig's context",
            Self::Unreachable { .. } => "check that the API server runs and that this machine can reach it",
            Self::Tls { .. } => {
                "check certificate-authority and the client certificate of the kubeconfig's context"
            }
            Self::Credentials { .. } => "check the token file or the exec plugin of the kubeconfig's user",
            Self::Unauthorized { .. } => {
                "the credentials are unknown or expired: log in again or renew the token"
            }
            Self::Forbidden { .. } => "grant the rights that `trueup crds` and the chart's RBAC list",
            Self::Unusable { .. } => {
                "check that the address is a Kubernetes API server and not a proxy's page"
            }
        }
    }

    /// What a failed request says about the connection.
    pub fn of_wire(server: &str, error: WireError) -> Self {
        let server = server.to_owned();
        match error {
            WireError::Unreachable { message } | WireError::NoAnswer { message } => {
                Self::Unreachable { server, message }
            }
            WireError::Tls { message } => Self::Tls { server, message },
            WireError::Credentials { message } => Self::Credentials { server, message },
            WireError::Unreadable { message } => Self::Unusable { server, message },
            WireError::Refused(status) => match status.code {
                401 => Self::Unauthorized { server, message: status.message },
                403 => Self::Forbidden { server, message: status.message },
                _ => Self::Unusable { server, message: status.to_string() },
            },
        }
    }
}

impl Connection {
    /// Builds a client; nothing is sent yet. Must run within a tokio runtime.
    pub async fn open(access: &Access, version: &str) -> Result<Self, ConnectError> {
        Self::open_as(access, &format!("trueup/{version}")).await
    }

    /// The same under another program's name: the API server calls a writer after its user agent.
    pub async fn open_as(access: &Access, agent: &str) -> Result<Self, ConnectError> {
        let agent = HeaderValue::from_str(agent)
            .map_err(|error| ConnectError::Settings { message: error.to_string() })?;
        let mut config = match access {
            Access::InProcess(server) => {
                let wire = Wire::new(server.client(agent));
                let (server, namespace) = (server.name().to_owned(), "default".to_owned());
                return Ok(Self { wire, server, namespace, is_in_process: true });
            }
            Access::InCluster => kube::Config::incluster()
                .map_err(|error| ConnectError::NotInCluster { message: error.to_string() })?,
            Access::Kubeconfig { file, context } => {
                of_kubeconfig(file.as_deref(), context.as_deref()).await?
            }
        };
        install_crypto();
        config.headers.push((USER_AGENT, agent));
        // Answers to writes are not asked for twice behind the caller's back; watches have their own back-off.
        config.default_retry = false;
        // On the same machine compression only costs: the server's and our processor for bytes that never travel.
        config.disable_compression |= is_loopback(&config.cluster_url);
        let server = address(&config.cluster_url);
        let namespace = config.default_namespace.clone();
        let client = kube::Client::try_from(config)
            .map_err(|error| ConnectError::Settings { message: settings_message(&error) })?;
        Ok(Self { wire: Wire::new(client), server, namespace, is_in_process: false })
    }
}

/// Chooses ring for TLS, once per process. A provider that was installed before stays.
pub fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error means that the program already chose a provider, which is fine.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    });
}

fn shown(file: Option<&Path>) -> String {
    file.map_or_else(|| "of the environment".to_owned(), |file| file.display().to_string())
}

/// Reads a kubeconfig without quoting it in errors.
pub(crate) fn read_kubeconfig(file: Option<&Path>) -> Result<Kubeconfig, ConnectError> {
    let read = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    read.map_err(|error| ConnectError::Kubeconfig { file: shown(file), message: kubeconfig_message(&error) })
}

async fn of_kubeconfig(file: Option<&Path>, context: Option<&str>) -> Result<kube::Config, ConnectError> {
    let shown = shown(file);
    let kubeconfig = read_kubeconfig(file)?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), cluster: None, user: None };
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| match error {
        KubeconfigError::LoadContext(context) => ConnectError::NoContext { file: shown, context },
        other => ConnectError::Kubeconfig { file: shown, message: kubeconfig_message(&other) },
    })
}

fn kubeconfig_message(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "it is not valid YAML of a kubeconfig".to_owned(),
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        other => other.to_string(),
    }
}

fn settings_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Auth(auth) => credential_message(auth),
        kube::Error::InferKubeconfig(error) => kubeconfig_message(error),
        other => other.to_string(),
    }
}

/// What went wrong with a credential, without what the plugin printed or the token was.
pub(crate) fn credential_message(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { cmd, out } => format!("{cmd:?} ended with {}", out.status),
        AuthError::AuthExecParse(_) | AuthError::AuthExec(_) => {
            "the exec plugin's answer could not be used".to_owned()
        }
        AuthError::AuthExecStart(error) => format!("the exec plugin did not start: {error}"),
        AuthError::ReadTokenFile(error, file) => format!("{}: {error}", file.display()),
        AuthError::InvalidBearerToken(_) => "the token holds characters that no header can".to_owned(),
        AuthError::InvalidBasicAuth(_) => "the password holds characters that no header can".to_owned(),
        _ => "the credential could not be used".to_owned(),
    }
}

fn is_loopback(url: &http::Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Scheme, host and port: an address may carry user and password.
fn address(url: &http::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("https");
    let host = url.host().unwrap_or_default();
    match url.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_address_shows_no_credentials() {
        let url: http::Uri = "https://user:secret@10.0.0.1:6443/path".parse().unwrap();
        assert_eq!(address(&url), "https://10.0.0.1:6443");
        assert!(!is_loopback(&url));
        assert!(is_loopback(&"https://127.0.0.1:6443".parse().unwrap()));
        assert!(is_loopback(&"https://[::1]:6443".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_not_quoted() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "apiVersion: v1\nkind: Config\nusers:\n- name: a\n  user: {{token: s3cret-t0ken")
            .unwrap();
        let access = Access::Kubeconfig { file: Some(file.path().to_owned()), context: None };
        let error = Connection::open(&access, "0").await.err().unwrap();
        assert!(matches!(error, ConnectError::Kubeconfig { .. }));
        assert!(!format!("{error} {error:?}").contains("s3cret-t0ken"));
    }

    #[tokio::test]
    async fn nobody_listening_is_unreachable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(
            file,
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: 'http://127.0.0.1:{port}'}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {{token: t}}\n"
        )
        .unwrap();
        let access = Access::Kubeconfig { file: Some(file.path().to_owned()), context: None };
        let connection = Connection::open(&access, "0").await.unwrap();
        let error = connection.wire.get("/version").await.unwrap_err();
        assert!(matches!(error, WireError::Unreachable { .. }), "{error:?}");

        let access = Access::Kubeconfig { file: Some(file.path().to_owned()), context: Some("other".into()) };
        let error = Connection::open(&access, "0").await.err().unwrap();
        assert!(matches!(error, ConnectError::NoContext { .. }), "{error:?}");
    }
}
