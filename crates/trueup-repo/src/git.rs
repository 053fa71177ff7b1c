//! Runs the `git` program: without prompts, with a deadline, with bounded output, ended when nobody waits for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use trueup_engine::source::{RepoUrl, Revision};

use crate::cause::classify;
use crate::error::SourceError;

/// The oldest git whose options are used here; 2.31 is from March 2021.
const GIT_VERSION_MIN: (u32, u32) = (2, 31);

/// A listing of references has about 60 bytes each: this is room for a million.
const STDOUT_BYTES_MAX: u64 = 64 << 20;

/// What a server says beside its answer; more is cut.
const STDERR_BYTES_MAX: u64 = 64 << 10;

/// For questions about the program itself, which touch no network.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Variables of the caller's environment that would point git at another repository, or print what it sends.
const ENVIRONMENT_DROPPED: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_QUARANTINE_PATH",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_PACKET",
    "GIT_TRACE_SETUP",
    "GIT_TRACE2",
    "GIT_TRACE2_EVENT",
    "GIT_TRACE2_PERF",
    "GIT_CURL_VERBOSE",
    "GIT_EXTERNAL_DIFF",
];

/// Gives git the credentials of its environment, so that they are on no command line and in no file.
const CREDENTIAL_HELPER: &str = "credential.helper=!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \
                                 \"$TRUEUP_GIT_USERNAME\" \"$TRUEUP_GIT_PASSWORD\"; }; f";

/// Settings for every run, whatever the machine's own configuration says.
const SETTINGS: &[&str] = &[
    "protocol.version=2",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    // Objects arrive as one pack that is moved into place whole, so an interrupted fetch leaves no half of a commit.
    "fetch.unpackLimit=1",
    // A commit that a force push made unreachable stays readable this long, for comparisons with the last sync.
    "gc.pruneExpire=30.days.ago",
    "gc.autoDetach=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
];

/// The `git` program of this machine.
#[derive(Debug, Clone)]
pub struct GitProgram {
    program: PathBuf,
    ssh_command: OsString,
    version: String,
}

/// How a run ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Ends a program and what it started when dropped: git leaves `ssh` and `git-remote-https` behind when killed alone.
struct GroupGuard {
    group: Option<Pid>,
}

impl GroupGuard {
    fn of(child: &Child) -> Self {
        Self { group: child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) }
    }

    /// The program has ended, and its number may soon be another's.
    fn disarm(&mut self) {
        self.group = None;
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It fails where the group has ended already, which is what is wanted.
            let _already_ended = kill_process_group(group, Signal::KILL);
        }
    }
}

impl GitProgram {
    /// Finds the program and checks that it is new enough. `ssh_command` is what git runs for ssh addresses.
    pub async fn find(program: PathBuf, ssh_command: OsString) -> Result<Self, SourceError> {
        let mut git = Self { program, ssh_command, version: String::new() };
        let mut command = git.command();
        command.arg("version");
        let output =
            run(command, LOCAL_TIMEOUT).await.map_err(|failure| failure.without_repo(&git.program))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.trim().trim_start_matches("git version ").split(' ').next().unwrap_or_default();
        if parse_version(version).is_none_or(|version| version < GIT_VERSION_MIN) {
            let (major, minor) = GIT_VERSION_MIN;
            let detail =
                format!("version {major}.{minor} or newer is needed, and this one says {:?}", text.trim());
            return Err(SourceError::ToolMissing { detail });
        }
        git.version = version.to_owned();
        Ok(git)
    }

    /// Such as `2.39.5`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Makes an empty bare repository.
    pub async fn init_bare(&self, repo: &RepoUrl, directory: &Path) -> Result<(), SourceError> {
        let mut command = self.command();
        command
            .args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--"])
            .arg(directory);
        let output = run(command, LOCAL_TIMEOUT).await.map_err(|failure| failure.at(repo))?;
        if output.status.success() {
            return Ok(());
        }
        Err(SourceError::Storage { repo: repo.clone(), detail: output.stderr.trim().to_owned() })
    }

    /// Lists every reference of a remote, peeled tags and the target of HEAD included.
    pub async fn list_references(&self, repo: &RepoUrl, timeout: Duration) -> Result<Vec<u8>, SourceError> {
        let mut command = self.network_command(repo);
        command.args(["ls-remote", "--symref", "--quiet", "--"]).arg(repo.as_str());
        let output = run(command, timeout).await.map_err(|failure| failure.at(repo))?;
        if output.status.success() { Ok(output.stdout) } else { Err(classify(repo, None, &output.stderr)) }
    }

    /// Fetches references into a bare repository.
    pub async fn fetch(
        &self,
        repo: &RepoUrl,
        directory: &Path,
        refspecs: &[&str],
        revision: Option<&Revision>,
        timeout: Duration,
    ) -> Result<(), SourceError> {
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(directory);
        let mut command = self.network_command(repo);
        command.arg(git_dir);
        command.args(["fetch", "--quiet", "--prune", "--no-tags", "--force", "--no-write-fetch-head", "--"]);
        command.arg(repo.as_str()).args(refspecs);
        let output = run(command, timeout).await.map_err(|failure| failure.at(repo))?;
        if output.status.success() { Ok(()) } else { Err(classify(repo, revision, &output.stderr)) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true).process_group(0);
        for name in ENVIRONMENT_DROPPED {
            command.env_remove(name);
        }
        command.envs([
            ("LC_ALL", "C"),
            ("LANGUAGE", ""),
            ("GIT_TERMINAL_PROMPT", "0"),
            // An empty name of a program keeps git from trying the others.
            ("GIT_ASKPASS", ""),
            ("SSH_ASKPASS_REQUIRE", "never"),
            ("GIT_ALLOW_PROTOCOL", "https:http:ssh:file"),
            ("GCM_INTERACTIVE", "never"),
        ]);
        command.env("GIT_SSH_COMMAND", &self.ssh_command);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
    }

    fn network_command(&self, repo: &RepoUrl) -> Command {
        let mut command = self.command();
        if let Some(credentials) = repo.credentials() {
            // The empty helper first: it makes git forget those of the machine's configuration.
            command.args(["-c", "credential.helper=", "-c", CREDENTIAL_HELPER]);
            command.env("TRUEUP_GIT_USERNAME", credentials.username.expose());
            command.env("TRUEUP_GIT_PASSWORD", credentials.password.expose());
        }
        command
    }
}

/// Why a run gave no output at all.
#[derive(Debug)]
enum RunFailure {
    Start(std::io::Error),
    Wait(std::io::Error),
    TimedOut(Duration),
    TooMuchOutput,
}

impl RunFailure {
    fn at(self, repo: &RepoUrl) -> SourceError {
        let repo = repo.clone();
        match self {
            Self::Start(error) => SourceError::ToolMissing { detail: error.to_string() },
            Self::Wait(error) => SourceError::Internal { repo, detail: format!("wait for git: {error}") },
            Self::TimedOut(after) => SourceError::TimedOut { repo, after },
            Self::TooMuchOutput => SourceError::Unreachable {
                repo,
                detail: format!("it answered with more than {} MiB of references", STDOUT_BYTES_MAX >> 20),
            },
        }
    }

    fn without_repo(self, program: &Path) -> SourceError {
        let why = match self {
            Self::Start(error) | Self::Wait(error) => error.to_string(),
            Self::TimedOut(after) => format!("it did not tell its version within {} s", after.as_secs()),
            Self::TooMuchOutput => "it does not tell its version".to_owned(),
        };
        SourceError::ToolMissing { detail: format!("{}: {why}", program.display()) }
    }
}

async fn run(mut command: Command, timeout: Duration) -> Result<Output, RunFailure> {
    let mut child = command.spawn().map_err(RunFailure::Start)?;
    let mut guard = GroupGuard::of(&child);
    let stdout = child.stdout.take().expect("stdout was set to a pipe");
    let stderr = child.stderr.take().expect("stderr was set to a pipe");
    let all = async {
        tokio::join!(
            read_at_most(stdout, STDOUT_BYTES_MAX),
            read_at_most(stderr, STDERR_BYTES_MAX),
            child.wait()
        )
    };
    let Ok((stdout, stderr, status)) = tokio::time::timeout(timeout, all).await else {
        return Err(RunFailure::TimedOut(timeout));
    };
    guard.disarm();
    let status = status.map_err(RunFailure::Wait)?;
    let (stdout, cut) = stdout.map_err(RunFailure::Wait)?;
    if cut {
        return Err(RunFailure::TooMuchOutput);
    }
    let (stderr, _cut) = stderr.map_err(RunFailure::Wait)?;
    Ok(Output { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

/// Reads up to a limit and says whether there was more, which is read and dropped so that the writer can end.
async fn read_at_most(mut pipe: impl AsyncRead + Unpin, bytes_max: u64) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    (&mut pipe).take(bytes_max).read_to_end(&mut bytes).await?;
    let rest = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok((bytes, rest > 0))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
