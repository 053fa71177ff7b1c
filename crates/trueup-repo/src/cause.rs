//! Turns what `git` wrote on stderr into a cause.
//!
//! `git` gives no codes, only English sentences (it is run with `LC_ALL=C`), of which some come from curl or ssh.

use trueup_engine::source::{RepoUrl, Revision};

use crate::error::SourceError;

/// At most this much of what git said is kept, so that a chatty server cannot fill a condition.
const DETAIL_CHARS_MAX: usize = 300;

const HINT_CREDENTIALS: &str = "give credentials that may read this repository";
const HINT_SSH_KEY: &str =
    "give ssh a key that the host accepts (ssh agent or ~/.ssh), and try `ssh -T` with the host";
const HINT_HOST_KEY: &str =
    "add the host's key to known_hosts (`ssh-keyscan HOST`), after comparing its fingerprint";
const HINT_OWNER: &str =
    "the folder belongs to another user: run `git config --global --add safe.directory` with its path";

/// What a sentence of git means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Authentication { hint: &'static str },
    UnknownRevision,
    NotARepository,
    Storage,
    Unreachable,
}

/// Sentences in lower case and what they mean. The first that occurs wins, so the particular stand before the general:
/// git ends nearly every failure of ssh with "could not read from remote repository".
const SENTENCES: &[(&str, Meaning)] = &[
    ("no space left on device", Meaning::Storage),
    ("read-only file system", Meaning::Storage),
    ("disk quota exceeded", Meaning::Storage),
    ("dubious ownership", Meaning::Authentication { hint: HINT_OWNER }),
    ("host key verification failed", Meaning::Authentication { hint: HINT_HOST_KEY }),
    ("permission denied (", Meaning::Authentication { hint: HINT_SSH_KEY }),
    ("too many authentication failures", Meaning::Authentication { hint: HINT_SSH_KEY }),
    ("authentication failed", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("could not read username", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("could not read password", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("terminal prompts disabled", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("access denied", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("returned error: 401", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("returned error: 403", Meaning::Authentication { hint: HINT_CREDENTIALS }),
    ("couldn't find remote ref", Meaning::UnknownRevision),
    ("not our ref", Meaning::UnknownRevision),
    ("does not allow request for unadvertised object", Meaning::UnknownRevision),
    ("no such remote ref", Meaning::UnknownRevision),
    ("could not resolve host", Meaning::Unreachable),
    ("connection refused", Meaning::Unreachable),
    ("connection timed out", Meaning::Unreachable),
    ("failed to connect", Meaning::Unreachable),
    ("returned error: 404", Meaning::NotARepository),
    ("does not appear to be a git repository", Meaning::NotARepository),
    ("is this a git repository", Meaning::NotARepository),
    ("not a git repository", Meaning::NotARepository),
    ("repository not found", Meaning::NotARepository),
    ("could not be found", Meaning::NotARepository),
    ("' not found", Meaning::NotARepository),
    ("no such file or directory", Meaning::NotARepository),
    ("unable to create", Meaning::Storage),
    ("unable to write", Meaning::Storage),
    ("object file", Meaning::Storage),
    ("loose object", Meaning::Storage),
    ("packfile", Meaning::Storage),
    ("bad object", Meaning::Storage),
    ("unable to read tree", Meaning::Storage),
    ("did not send all necessary objects", Meaning::Storage),
    ("cannot lock ref", Meaning::Storage),
    ("unable to update local ref", Meaning::Storage),
];

/// The cause behind a failed run of git. What is in none of the known sentences counts as the remote's failure.
pub fn classify(repo: &RepoUrl, revision: Option<&Revision>, stderr: &str) -> SourceError {
    let lower = stderr.to_lowercase();
    let meaning = SENTENCES
        .iter()
        .find(|(sentence, _)| lower.contains(sentence))
        .map_or(Meaning::Unreachable, |(_, meaning)| *meaning);
    let repo = repo.clone();
    let detail = detail(&repo, stderr);
    match meaning {
        Meaning::Authentication { hint } => SourceError::Authentication { repo, detail, hint },
        Meaning::UnknownRevision => match revision {
            Some(revision) => SourceError::UnknownRevision { repo, revision: revision.clone() },
            None => SourceError::Unreachable { repo, detail },
        },
        Meaning::NotARepository => SourceError::NotARepository { repo, detail },
        Meaning::Storage => SourceError::Storage { repo, detail },
        Meaning::Unreachable => SourceError::Unreachable { repo, detail },
    }
}

/// The line of stderr that says most, without credentials.
fn detail(repo: &RepoUrl, stderr: &str) -> String {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = lines()
        .find(|line| line.starts_with("fatal: ") || line.starts_with("error: ") || line.starts_with("ssh: "))
        .filter(|line| !line.contains("Could not read from remote repository"))
        .or_else(|| lines().next())
        .unwrap_or("git ended without saying why");
    let telling = telling.trim_start_matches("fatal: ").trim_start_matches("error: ");
    let mut detail: String =
        telling.chars().filter(|letter| !letter.is_control()).take(DETAIL_CHARS_MAX).collect();
    if let Some(credentials) = repo.credentials() {
        for secret in [&credentials.password, &credentials.username] {
            if !secret.expose().is_empty() {
                detail = detail.replace(secret.expose(), "***");
            }
        }
    }
    detail
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use trueup_engine::source::SourceErrorKind as Kind;

    use super::*;

    /// Outputs as git 2.39, curl 7.88 and OpenSSH 9.2 write them.
    const OUTPUTS: &[(&str, Kind)] = &[
        (
            "fatal: unable to access 'https://git.invalid/x/': Could not resolve host: git.invalid",
            Kind::Unreachable,
        ),
        (
            "fatal: unable to access 'http://127.0.0.1:1/x/': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server",
            Kind::Unreachable,
        ),
        (
            "ssh: connect to host 127.0.0.1 port 1: Connection refused\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.",
            Kind::Unreachable,
        ),
        (
            "fatal: unable to access 'https://h/x/': SSL certificate problem: self-signed certificate",
            Kind::Unreachable,
        ),
        ("fatal: unable to access 'https://h/x/': The requested URL returned error: 503", Kind::Unreachable),
        (
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            Kind::Authentication,
        ),
        ("fatal: Authentication failed for 'https://h/x/'", Kind::Authentication),
        (
            "fatal: unable to access 'https://h/x/': The requested URL returned error: 403",
            Kind::Authentication,
        ),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            Kind::Authentication,
        ),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            Kind::Authentication,
        ),
        ("fatal: detected dubious ownership in repository at '/srv/x'", Kind::Authentication),
        (
            "fatal: '/nowhere' does not appear to be a git repository\nfatal: Could not read from remote repository.",
            Kind::NotARepository,
        ),
        ("fatal: repository 'https://h/x/' not found", Kind::NotARepository),
        (
            "remote: Repository not found.\nfatal: repository 'https://github.com/x/y/' not found",
            Kind::NotARepository,
        ),
        ("fatal: https://h/x/info/refs not valid: is this a git repository?", Kind::NotARepository),
        ("fatal: couldn't find remote ref refs/heads/nope", Kind::UnknownRevision),
        ("fatal: remote error: upload-pack: not our ref 0123", Kind::UnknownRevision),
        (
            "error: object file ./objects/ab/cd is empty\nfatal: loose object abcd (stored in ./objects/ab/cd) is corrupt",
            Kind::Storage,
        ),
        ("fatal: write error: No space left on device", Kind::Storage),
        ("", Kind::Unreachable),
    ];

    #[test]
    fn sentences_of_git_become_causes() {
        let repo = RepoUrl::parse("https://h/x").unwrap();
        for (stderr, kind) in OUTPUTS {
            let error = classify(&repo, Some(&Revision::Head), stderr);
            assert_eq!(error.kind(), *kind, "{stderr}\n{error}");
            assert!(!error.hint().is_empty());
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn credentials_that_a_server_repeats_are_masked() {
        let repo = RepoUrl::parse("https://bot:hunter2@h/x").unwrap();
        let error = classify(&repo, None, "fatal: Authentication failed for 'https://bot:hunter2@h/x/'");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_long_answer_is_cut() {
        let repo = RepoUrl::parse("https://h/x").unwrap();
        let error = classify(&repo, None, &"x".repeat(10_000));
        assert!(error.to_string().len() < 400);
    }
}
