//! Addresses of repositories, which print without their credentials.

use std::fmt;

use thiserror::Error;
use trueup_object::Text;

/// A text that prints as `***` wherever it is printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretText(Text);

/// What a remote is shown to let us in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credentials {
    /// Secret too: many hosts take a token in place of the name.
    pub username: SecretText,
    pub password: SecretText,
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// `https` and `http`.
    Http,
    Ssh,
    /// A path of the machine that trueup runs on.
    File,
}

/// The address of a Git repository.
///
/// Two addresses are equal when they were written the same, credentials included; [`RepoUrl::normalised`] is for
/// finding out whether they mean the same repository.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoUrl {
    /// As written, without credentials.
    address: Text,
    normalised: Text,
    transport: Transport,
    credentials: Option<Credentials>,
}

/// Why a text is not the address of a Git repository. The text itself is left out: it may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RepoUrlError {
    #[error("read the repository's address: it is empty")]
    Empty,
    #[error(
        "read the repository's address: `{scheme}` is not supported; https, http, ssh, file and user@host:path are"
    )]
    UnsupportedScheme { scheme: Text },
    #[error("read the repository's address: it names no {missing}")]
    Incomplete { missing: &'static str },
    #[error("read the repository's address: it holds a character that no address has")]
    BadCharacter,
}

impl SecretText {
    pub fn new(text: impl Into<Text>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that hands it over.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl Credentials {
    /// Git's protocol for handing credentials over is one line for each: a line break would add lines of its own.
    fn has_control(&self) -> bool {
        let Self { username, password } = self;
        [username, password].iter().any(|text| text.expose().chars().any(char::is_control))
    }
}

impl RepoUrl {
    /// Reads `https://`, `http://`, `ssh://`, `file://`, `user@host:path` and absolute paths.
    ///
    /// Git's other forms are refused: `ext::` runs a program, and a leading dash reads as an option.
    pub fn parse(text: &str) -> Result<Self, RepoUrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(RepoUrlError::Empty);
        }
        if text.starts_with('-') || text.chars().any(|letter| letter.is_control() || letter == ' ') {
            return Err(RepoUrlError::BadCharacter);
        }
        if text.starts_with('/') {
            return Ok(Self::file(text, text));
        }
        match text.split_once("://") {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "https" => Self::http(text, "https", rest, ":443"),
                "http" => Self::http(text, "http", rest, ":80"),
                "ssh" | "git+ssh" | "ssh+git" => Self::ssh(text, rest),
                "file" if rest.starts_with('/') => Ok(Self::file(text, rest)),
                "file" => Err(RepoUrlError::Incomplete { missing: "absolute path" }),
                _ => Err(RepoUrlError::UnsupportedScheme { scheme: Text::from(scheme) }),
            },
            None => Self::scp(text),
        }
    }

    fn http(text: &str, scheme: &str, rest: &str, default_port: &str) -> Result<Self, RepoUrlError> {
        let (authority, path) = split_authority(rest)?;
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        if host.is_empty() {
            return Err(RepoUrlError::Incomplete { missing: "host" });
        }
        let credentials = user_info.filter(|info| !info.is_empty()).map(|info| {
            let (username, password) = info.split_once(':').unwrap_or((info, ""));
            Credentials {
                username: SecretText::new(decode(username)),
                password: SecretText::new(decode(password)),
            }
        });
        if credentials.as_ref().is_some_and(Credentials::has_control) {
            return Err(RepoUrlError::BadCharacter);
        }
        let address = match user_info {
            Some(_) => Text::from(format!("{scheme}://{host}/{path}")),
            None => Text::from(text),
        };
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(default_port).unwrap_or(&host);
        let normalised = Text::from(format!("{scheme}://{host}/{}", trim_path(path)));
        Ok(Self { address, normalised, transport: Transport::Http, credentials })
    }

    fn ssh(text: &str, rest: &str) -> Result<Self, RepoUrlError> {
        let (authority, path) = split_authority(rest)?;
        let (user, host) = split_user(authority);
        // A password in an ssh address is of no use to ssh; it is dropped before it can be printed.
        let name = user.map(|user| user.split_once(':').map_or(user, |(name, _)| name));
        let address = if name == user { Text::from(text) } else { ssh_address(name, host, path) };
        Self::ssh_parts(address, name, host, path)
    }

    /// `git@github.com:team/repo.git`, the form of scp.
    fn scp(text: &str) -> Result<Self, RepoUrlError> {
        let Some((authority, path)) = text.split_once(':') else {
            return Err(RepoUrlError::Incomplete { missing: "scheme" });
        };
        if path.starts_with(':') {
            return Err(RepoUrlError::UnsupportedScheme { scheme: Text::from(format!("{authority}::")) });
        }
        let (user, host) = split_user(authority);
        if host.contains('/') {
            return Err(RepoUrlError::Incomplete { missing: "scheme" });
        }
        Self::ssh_parts(Text::from(text), user, host, path)
    }

    fn ssh_parts(address: Text, user: Option<&str>, host: &str, path: &str) -> Result<Self, RepoUrlError> {
        // ssh would take a host or a user with a leading dash for an option.
        if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
            return Err(RepoUrlError::BadCharacter);
        }
        if host.is_empty() {
            return Err(RepoUrlError::Incomplete { missing: "host" });
        }
        if trim_path(path).is_empty() {
            return Err(RepoUrlError::Incomplete { missing: "path" });
        }
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":22").unwrap_or(&host);
        let normalised = ssh_address(user, host, trim_path(path));
        Ok(Self { address, normalised, transport: Transport::Ssh, credentials: None })
    }

    fn file(text: &str, path: &str) -> Self {
        let trimmed = path.trim_end_matches('/');
        // A bare `repo.git` and a folder `repo` can stand side by side on a disk, so the ending stays.
        let normalised = Text::from(format!("file://{trimmed}"));
        Self { address: Text::from(text), normalised, transport: Transport::File, credentials: None }
    }

    /// The same address with other credentials, for installations that keep them apart from addresses.
    pub fn with_credentials(self, credentials: Credentials) -> Result<Self, RepoUrlError> {
        if credentials.has_control() {
            return Err(RepoUrlError::BadCharacter);
        }
        Ok(Self { credentials: Some(credentials), ..self })
    }

    /// As written, without credentials. What `git` is called with.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// A key: equal for spellings of one repository. Lower-case host, no default port, no `.git`, no credentials.
    pub fn normalised(&self) -> &str {
        &self.normalised
    }

    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// What was written before the `@` of an https address.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.address)
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RepoUrl({})", self.address)
    }
}

fn split_authority(rest: &str) -> Result<(&str, &str), RepoUrlError> {
    match rest.split_once('/') {
        Some((_, path)) if trim_path(path).is_empty() => Err(RepoUrlError::Incomplete { missing: "path" }),
        Some((authority, path)) => Ok((authority, path)),
        None => Err(RepoUrlError::Incomplete { missing: "path" }),
    }
}

fn split_user(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    }
}

fn ssh_address(user: Option<&str>, host: &str, path: &str) -> Text {
    match user {
        Some(user) => Text::from(format!("ssh://{user}@{host}/{path}")),
        None => Text::from(format!("ssh://{host}/{path}")),
    }
}

fn trim_path(path: &str) -> &str {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/')
}

/// Undoes percent-encoding; what does not decode to text stays as it is.
fn decode(text: &str) -> Text {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        let escaped = (*byte == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(*byte);
                index += 1;
            }
        }
    }
    String::from_utf8(decoded).map_or_else(|_| Text::from(text), Text::from)
}
