//! The command line: what can be asked for, and under which name the program was called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::actions::ActionsCommand;
use crate::app::AppCommand;
use crate::blame::BlameArguments;
use crate::controller::ControllerArguments;
use crate::demo::DemoArguments;
use crate::diff::DiffArguments;
use crate::drift::DriftCommand;
use crate::health::HealthArguments;
use crate::output;
use crate::sandbox::SandboxArguments;
use crate::version::VersionArguments;

/// Under which name the program was called: a link named `argocd` gives Argo CD's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    Trueup,
    ArgoCd,
}

impl Persona {
    pub fn of(program: Option<&OsStr>) -> Self {
        let name = program.and_then(|program| Path::new(program).file_stem());
        if name.is_some_and(|name| name == "argocd") { Self::ArgoCd } else { Self::Trueup }
    }
}

/// Compares Git with the cluster, says who changed what, and brings the two into agreement.
#[derive(Debug, Parser)]
#[command(name = "trueup", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Line {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// The same under Argo CD's name, so that scripts written for it run.
#[derive(Debug, Parser)]
#[command(name = "argocd", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct ArgoCdLine {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: ArgoCdCommand,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at and change Applications
    #[command(subcommand, visible_alias = "application")]
    App(Box<AppCommand>),
    /// Watch, compare and heal until told to stop
    Controller(ControllerArguments),
    /// Compare files with files, or a folder of manifests with a cluster, without any Application
    Diff(Box<DiffArguments>),
    /// Say who owns each field of an object, by which tool and since when
    Blame(BlameArguments),
    /// Decide about drift
    #[command(subcommand)]
    Drift(DriftCommand),
    /// Judge how the objects of files are doing, and say by which rule
    Health(HealthArguments),
    /// List and try the actions that objects offer
    #[command(subcommand)]
    Actions(ActionsCommand),
    /// Play a drift incident on a cluster in memory
    Demo(DemoArguments),
    /// Serve a Kubernetes API in memory, to try things on
    Sandbox(SandboxArguments),
    /// Print the custom resource definitions that a cluster needs, for `kubectl apply --server-side -f -`
    Crds,
    /// Print the versions of this program and of the tools it uses
    Version(VersionArguments),
    /// Print a completion script
    Completion { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub enum ArgoCdCommand {
    /// Look at and change Applications
    #[command(subcommand, visible_alias = "application")]
    App(Box<AppCommand>),
    /// Print the versions of this program and of the tools it uses
    Version(VersionArguments),
    /// Print a completion script
    Completion { shell: Shell },
}

impl From<ArgoCdCommand> for Command {
    fn from(command: ArgoCdCommand) -> Self {
        match command {
            ArgoCdCommand::App(command) => Self::App(command),
            ArgoCdCommand::Version(arguments) => Self::Version(arguments),
            ArgoCdCommand::Completion { shell } => Self::Completion { shell },
        }
    }
}

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Globals {
    /// Kubeconfig file, or in-cluster for the account of the Pod. Without it what asks a cluster takes KUBECONFIG, else
    /// ~/.kube/config; files are compared and judged without any cluster
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one without it
    #[arg(long, visible_alias = "kube-context", global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Folder for copies of Git repositories; without it trueup in the user's cache folder
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub cache_dir: Option<PathBuf>,
    #[command(flatten)]
    ignored: Ignored,
}

/// Flags of Argo CD's program that have no meaning where there is no server to log in to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Accepted for Argo CD's sake, without effect")]
struct Ignored {
    #[arg(long, global = true, hide = true, env = "ARGOCD_SERVER")]
    server: Option<String>,
    #[arg(long, global = true, hide = true, env = "ARGOCD_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,
    #[arg(long, global = true, hide = true)]
    grpc_web: bool,
    #[arg(long, global = true, hide = true)]
    grpc_web_root_path: Option<String>,
    #[arg(long, global = true, hide = true)]
    plaintext: bool,
    #[arg(long, global = true, hide = true)]
    insecure: bool,
    #[arg(long, global = true, hide = true)]
    server_crt: Option<String>,
    #[arg(long, global = true, hide = true)]
    client_crt: Option<String>,
    #[arg(long, global = true, hide = true)]
    client_crt_key: Option<String>,
    #[arg(short = 'H', long, global = true, hide = true)]
    header: Vec<String>,
    /// What this program does always.
    #[arg(long, global = true, hide = true)]
    core: bool,
    #[arg(long, global = true, hide = true)]
    port_forward: bool,
    #[arg(long, global = true, hide = true)]
    port_forward_namespace: Option<String>,
    #[arg(long, global = true, hide = true)]
    config: Option<String>,
    #[arg(long, global = true, hide = true)]
    argocd_context: Option<String>,
    #[arg(long, global = true, hide = true)]
    http_retry_max: Option<u32>,
    #[arg(long, global = true, hide = true)]
    logformat: Option<String>,
    #[arg(long, global = true, hide = true)]
    loglevel: Option<String>,
    #[arg(long, global = true, hide = true)]
    prompts_enabled: bool,
    #[arg(long, global = true, hide = true)]
    redis_name: Option<String>,
}

impl Globals {
    /// Says once which flags were given that do nothing.
    pub fn name_ignored(&self) {
        let Ignored {
            server,
            auth_token,
            grpc_web,
            grpc_web_root_path,
            plaintext,
            insecure,
            server_crt,
            client_crt,
            client_crt_key,
            header,
            // What it asks for is what happens.
            core: _,
            port_forward,
            port_forward_namespace,
            config,
            argocd_context,
            http_retry_max,
            logformat,
            loglevel,
            prompts_enabled,
            redis_name,
        } = &self.ignored;
        let given = [
            ("--server", server.is_some()),
            ("--auth-token", auth_token.is_some()),
            ("--grpc-web", *grpc_web),
            ("--grpc-web-root-path", grpc_web_root_path.is_some()),
            ("--plaintext", *plaintext),
            ("--insecure", *insecure),
            ("--server-crt", server_crt.is_some()),
            ("--client-crt", client_crt.is_some()),
            ("--client-crt-key", client_crt_key.is_some()),
            ("--header", !header.is_empty()),
            ("--port-forward", *port_forward),
            ("--port-forward-namespace", port_forward_namespace.is_some()),
            ("--config", config.is_some()),
            ("--argocd-context", argocd_context.is_some()),
            ("--http-retry-max", http_retry_max.is_some()),
            ("--logformat", logformat.is_some()),
            ("--loglevel", loglevel.is_some()),
            ("--prompts-enabled", *prompts_enabled),
            ("--redis-name", redis_name.is_some()),
        ];
        let named: Vec<_> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        if !named.is_empty() {
            output::tell(&format!(
                "note: {} without effect: there is no server, the cluster is used with the kubeconfig",
                named.join(", ")
            ));
        }
    }

    /// Where this user's ledger of an Application is: what commands without a controller overwrote and remember.
    pub fn ledger_dir(&self, uid: &str) -> PathBuf {
        let state = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
        state.unwrap_or_else(std::env::temp_dir).join("trueup/applications").join(uid)
    }

    /// Where copies of Git repositories are kept between commands.
    pub fn mirrors(&self) -> PathBuf {
        let cache = self.cache_dir.clone().or_else(|| {
            std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
                .map(|cache| cache.join("trueup"))
        });
        cache.unwrap_or_else(|| std::env::temp_dir().join("trueup-cache")).join("mirrors")
    }
}

/// How this user reaches ssh servers, where that was said as git knows it.
pub fn ssh_command() -> Option<std::ffi::OsString> {
    std::env::var_os("GIT_SSH_COMMAND")
}

/// Prints the script that completes this program's commands in a shell.
pub fn print_completion(persona: Persona, shell: Shell) {
    let (mut command, name) = match persona {
        Persona::Trueup => (Line::command(), "trueup"),
        Persona::ArgoCd => (ArgoCdLine::command(), "argocd"),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    output::print(&String::from_utf8_lossy(&script));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::Value;
    use trueup_object::yaml::read_documents;

    use super::*;

    #[test]
    fn the_lines_are_consistent() {
        Line::command().debug_assert();
        ArgoCdLine::command().debug_assert();
    }

    /// The objects of a file of `deploy/` that are of a kind.
    fn deployed(file: &str, kind: &str) -> Vec<Value> {
        let documents = read_documents(file.as_bytes()).into_iter();
        let objects = documents.map(|document| document.unwrap().value);
        objects.filter(|object| object.str_at(&["kind"]) == Some(kind)).collect()
    }

    #[test]
    fn the_deployed_controller_is_started_with_flags_that_exist() {
        let deployments = deployed(include_str!("../../../deploy/controller.yaml"), "Deployment");
        let pod = deployments[0].at(&["spec", "template", "spec"]).unwrap();
        let container = &pod.list_at(&["containers"])[0];
        let words = |field: &str| container.list_at(&[field]).iter().filter_map(Value::as_str);
        let line: Vec<&str> = words("command").chain(words("args")).collect();
        let parsed = Line::try_parse_from(&line).unwrap();
        assert!(matches!(parsed.command, Command::Controller(_)), "{line:?}");
        assert_eq!(pod.str_at(&["serviceAccountName"]), Some("trueup-controller"));
    }

    #[test]
    fn the_rights_are_for_the_lease_and_the_settings() {
        let roles = deployed(include_str!("../../../deploy/rbac.yaml"), "Role");
        let rules = roles[0].list_at(&["rules"]).iter();
        let named: Vec<&str> =
            rules.flat_map(|rule| rule.list_at(&["resourceNames"])).filter_map(Value::as_str).collect();
        let settings = [trueup_engine::settings::ARGOCD, trueup_engine::settings::TRUEUP];
        assert_eq!(named, [[trueup_controller::LEASE].as_slice(), &settings].concat());
        assert_eq!(roles[0].str_at(&["metadata", "namespace"]), Some(crate::home::NAMESPACE));
    }

    #[test]
    fn a_link_decides_the_persona() {
        assert_eq!(Persona::of(Some(OsStr::new("/usr/local/bin/argocd"))), Persona::ArgoCd);
        assert_eq!(Persona::of(Some(OsStr::new("trueup"))), Persona::Trueup);
        assert_eq!(Persona::of(None), Persona::Trueup);
    }
}
