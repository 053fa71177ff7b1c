//! What Argo CD's program has and this one has not, and what to do instead: a line for each, where clap could only say that
//! the word is unknown.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A command or flag of Argo CD's that is not here.
#[derive(Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// What was written.
    pub word: String,
    pub instead: &'static str,
}

const NO_SERVER: &str = "there is no server to log in to: --kubeconfig and --context choose the cluster, and your rights in it count";
const KUBECTL_EDIT: &str =
    "change the Application with `trueup app set` or `kubectl edit application NAME --namespace argocd`";
const CREDENTIALS: &str = "repositories are read with the machine's git: its credential helpers, ssh keys and certificates \
                           count (docs/operating.md, \"Git\")";
const SEVERAL_SOURCES: &str =
    "change spec.sources with `kubectl edit application NAME --namespace argocd` or in Git";

/// Commands beside `app`.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["login", "logout", "relogin", "account"], NO_SERVER),
    (
        &["context"],
        "contexts are the kubeconfig's: `kubectl config get-contexts`, and --context for one command",
    ),
    (&["configure"], "there is nothing to configure: --kubeconfig and --context choose the cluster"),
    (
        &["cluster"],
        "clusters are the contexts of the controller's kubeconfig: name one with `trueup app create --dest-name`",
    ),
    (&["repo", "repocreds", "cert", "gpg"], CREDENTIALS),
    (&["proj", "project"], "projects are objects: `kubectl get appprojects --namespace argocd`"),
    (
        &["appset", "applicationset"],
        "this version makes no Applications from ApplicationSets; create them with `trueup app create` or in Git",
    ),
    (
        &["admin"],
        "`trueup app diff`, `trueup app explain` and `trueup sandbox` work without a server; the settings are objects in the cluster",
    ),
    (&["logs"], "`kubectl logs` shows the logs of pods"),
    (&["notifications"], "news are Events on the Applications: `kubectl get events --namespace argocd`"),
    (&["help"], "`trueup --help`, and --help after any command"),
];

/// Commands of `app`.
const APP_COMMANDS: &[(&[&str], &str)] = &[
    (
        &["unset"],
        "take a sync option away with `trueup app set NAME --sync-option '!OPTION'`, anything else with `kubectl edit application NAME --namespace argocd`",
    ),
    (
        &["rollback"],
        "`trueup app history NAME` shows what was synced, `trueup app sync NAME --revision REVISION` syncs it again; lasting is only a commit",
    ),
    (
        &["terminate-op"],
        "an operation ends by itself; `trueup app wait NAME --operation --timeout SECONDS` waits for that",
    ),
    (&["edit", "patch"], KUBECTL_EDIT),
    (
        &["get-resource"],
        "`trueup app manifests NAME --source live` prints the objects, `kubectl get` one of them",
    ),
    (
        &["patch-resource"],
        "`kubectl patch` changes an object; what Git declares is changed in Git, or it is drift",
    ),
    (
        &["delete-resource"],
        "`kubectl delete` deletes an object; what Git no longer has goes with `trueup app sync NAME --prune`",
    ),
    (
        &["actions", "action"],
        "the usual ones are kubectl's: `kubectl rollout restart`, `kubectl scale`, `kubectl create job --from`",
    ),
    (&["logs"], "`kubectl logs` shows the logs of pods"),
    (&["add-source", "remove-source"], SEVERAL_SOURCES),
    (
        &["confirm-deletion"],
        "nothing waits for a confirmation: `trueup app delete` and `trueup app sync --prune` ask beforehand",
    ),
    (&["rollout"], "`kubectl rollout` restarts and watches workloads"),
];

const RENDERED: &str =
    "this version reads plain manifests: have `helm template` or `kustomize build` write them into Git";
const LOCAL: &str = "commit to a branch, and name it with --revision";

/// Flags, by their beginning.
const FLAGS: &[(&[&str], &str)] = &[
    (
        &[
            "--helm",
            "--values",
            "--parameter",
            "--release-name",
            "--kustomize",
            "--nameprefix",
            "--namesuffix",
            "--jsonnet",
            "--plugin-env",
            "--config-management-plugin",
            "--pass-credentials",
            "--api-versions",
            "--kube-version",
            "--ignore-missing",
            "-p",
        ],
        RENDERED,
    ),
    (&["--source-name", "--source-position", "--source-repo", "--ref", "--revisions"], SEVERAL_SOURCES),
    (
        &["--dry-source", "--sync-source", "--hydrate", "--hydrated"],
        "this version has no source hydrator: name the branch that holds the manifests with --revision",
    ),
    (&["--tag-prefix"], "name a branch, a tag or a commit with --revision"),
    (&["--env"], "environments were ksonnet's; there are none"),
    (&["--local"], LOCAL),
    (
        &["--server-side-generate", "--server-side-diff-", "--ignore-normalizer"],
        "leave it out: the comparison is made by this program",
    ),
    (&["--retry-refresh", "--sync-retry-refresh"], "leave it out: each new commit begins a new sync"),
    (&["--orphaned"], "this version does not look for objects that no Application tracks"),
    (
        &["--directory-disable-extension-filter"],
        "set spec.source.directory.disableExtensionFilter with `kubectl edit` or in Git",
    ),
    (&["--self-heal-", "--allow-"], KUBECTL_EDIT),
    (&["--username", "--password", "--sso", "--skip-test-tls"], NO_SERVER),
    (&["--show-params"], "there are no parameters of Helm or Kustomize to show"),
];

/// What to do instead of what the line asks for, where that is known.
pub fn elsewhere(arguments: &[OsString], error: &clap::Error) -> Option<Elsewhere> {
    let (kind, tables): (_, fn(&str, bool) -> Option<&'static str>) = match error.kind() {
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, instead_of_command),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, |flag, _| instead_of_flag(flag)),
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    let before = arguments.iter().skip(1).take_while(|argument| *argument != word.as_str());
    let of_app = before.into_iter().any(|argument| argument == "app" || argument == "application");
    let instead = tables(word, of_app)?;
    Some(Elsewhere { word: word.split('=').next().unwrap_or(word).to_owned(), instead })
}

fn instead_of_command(word: &str, of_app: bool) -> Option<&'static str> {
    let table = if of_app { APP_COMMANDS } else { COMMANDS };
    table.iter().find(|(words, _)| words.contains(&word)).map(|(_, instead)| *instead)
}

fn instead_of_flag(flag: &str) -> Option<&'static str> {
    let is_so = |known: &&str| {
        if known.len() == 2 { flag == *known } else { flag.starts_with(*known) }
    };
    FLAGS.iter().find(|(flags, _)| flags.iter().any(is_so)).map(|(_, instead)| *instead)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Line;

    /// What the line gives: nothing where it is understood, else the advice, if there is one.
    fn advice(line: &[&str]) -> Option<Option<&'static str>> {
        let arguments: Vec<OsString> = std::iter::once(&"trueup").chain(line).map(OsString::from).collect();
        let error = Line::try_parse_from(&arguments).err()?;
        Some(elsewhere(&arguments, &error).map(|found| found.instead))
    }

    #[test]
    fn every_command_of_argo_cd_is_here_or_says_what_to_do() {
        for command in [
            "account",
            "admin",
            "appset",
            "cert",
            "cluster",
            "configure",
            "context",
            "gpg",
            "login",
            "logout",
            "proj",
            "relogin",
            "repo",
            "repocreds",
            "logs",
        ] {
            assert!(matches!(advice(&[command, "list", "x"]), Some(Some(_))), "{command}");
        }
        for command in [
            "create",
            "get",
            "diff",
            "set",
            "unset",
            "sync",
            "history",
            "rollback",
            "list",
            "delete",
            "wait",
            "manifests",
            "terminate-op",
            "edit",
            "patch",
            "get-resource",
            "patch-resource",
            "delete-resource",
            "resources",
            "actions",
            "logs",
            "add-source",
            "remove-source",
            "confirm-deletion",
        ] {
            let found = advice(&["app", command, "web"]);
            // `list` takes no name; that is no question of being here.
            assert!(command == "list" || !matches!(found, Some(None)), "{command}");
        }
        assert_eq!(advice(&["app", "login"]), Some(None), "not a command of `app`");
    }

    #[test]
    fn every_flag_of_argo_cds_app_commands_is_here_or_says_what_to_do() {
        let spec = "--helm-set=a=b --helm-set-string=a=b --helm-set-file=a=b --helm-version=v3 --helm-chart=c --values=v \
            --values-literal-file=v --release-name=r --parameter=a=b -p=a=b --kustomize-image=i --kustomize-namespace=n \
            --nameprefix=n --namesuffix=n --jsonnet-tla-str=a=b --plugin-env=a=b --config-management-plugin=p \
            --directory-recurse --directory-include=x --directory-exclude=x --directory-disable-extension-filter \
            --sync-policy=none --auto-prune --self-heal --allow-empty --sync-option=a=b --sync-retry-limit=1 \
            --sync-retry-backoff-duration=5s --sync-retry-backoff-max-duration=5s --sync-retry-backoff-factor=2 \
            --sync-retry-refresh --revision=r --path=p --repo=r --dest-server=s --dest-namespace=n --project=p --ref=r \
            --revision-history-limit=1 --tag-prefix=t --validate=true --dry-source-repo=r --dry-source-path=p \
            --sync-source-branch=b --sync-source-path=p --hydrate-to-branch=b --env=e --pass-credentials";
        let lines = [
            (
                "list",
                "-c=c -P=p -p=p -r=r -l=a=b -o=wide --cluster=c --path=p --project=p --repo=r --selector=a=b",
            ),
            (
                "get web",
                "--refresh --hard-refresh --show-operation --show-params --source-name=s --source-position=1 --timeout=1 -o=tree",
            ),
            (
                "diff web",
                "--refresh --hard-refresh --exit-code=true --diff-exit-code=1 --revision=r --revisions=r \
                 --source-positions=1 --source-names=s --local=. --local-repo-root=/ --local-include=x \
                 --server-side-generate --server-side-diff --server-side-diff-concurrency=1 \
                 --server-side-diff-max-batch-kb=1 --ignore-normalizer-jq-execution-timeout=1s",
            ),
            (
                "sync web",
                "-l=a=b --project=p --revision=r --revisions=r --source-positions=1 --source-names=s --prune --dry-run --force \
                 --replace --server-side --apply-out-of-sync-only --strategy=apply --resource=a:b:c --label=a=b --local=. \
                 --local-repo-root=/ --async --timeout=1 --retry-limit=1 --retry-refresh --retry-backoff-duration=5s \
                 --retry-backoff-max-duration=5s --retry-backoff-factor=2 --info=a=b --preview-changes --assumeYes -o=json",
            ),
            ("set web", spec),
            ("set web", "--source-name=s --source-position=1"),
            ("create web", spec),
            ("create web", "--file=f --name=n --upsert --set-finalizer --label=a=b --annotations=a=b"),
            ("history web", "-o=id --source-position=1"),
            (
                "wait web",
                "--sync --health --suspended --degraded --delete --hydrated --operation --resource=a:b:c --timeout=0 -o=json",
            ),
            ("resources web", "--orphaned --project=p --output=tree"),
            (
                "manifests web",
                "--source=live --revision=r --revisions=r --source-positions=1 --source-names=s --local=. --local-repo-root=/",
            ),
            ("delete web", "--cascade=true --propagation-policy=foreground --wait -y"),
        ];
        for (command, flags) in lines {
            for flag in flags.split_whitespace() {
                let line: Vec<&str> =
                    std::iter::once("app").chain(command.split(' ')).chain([flag]).collect();
                assert!(!matches!(advice(&line), Some(None)), "{line:?}");
            }
        }
    }

    #[test]
    fn the_word_is_named_without_its_value() {
        let arguments: Vec<OsString> =
            ["trueup", "app", "set", "web", "--helm-set", "a=b"].into_iter().map(OsString::from).collect();
        let error = Line::try_parse_from(&arguments).unwrap_err();
        let found = elsewhere(&arguments, &error).unwrap();
        assert_eq!((found.word.as_str(), found.instead), ("--helm-set", RENDERED));
    }
}
