//! The parts of an Application's spec that flags set, in `create` and `set`.

use clap::Args;
use trueup_object::{Map, Value};

use crate::failure::Failure;

#[derive(Debug, Default, Args)]
pub struct SpecFlags {
    /// Address of the Git repository
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// Folder in the repository
    #[arg(long)]
    path: Option<String>,
    /// Branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// Address of the destination's API server
    #[arg(long, value_name = "URL", conflicts_with = "dest_name")]
    dest_server: Option<String>,
    /// Name of the destination: in-cluster, or a context of the controller's kubeconfig
    #[arg(long, value_name = "NAME")]
    dest_name: Option<String>,
    /// Namespace for what names none
    #[arg(long, value_name = "NAMESPACE")]
    dest_namespace: Option<String>,
    #[arg(long)]
    project: Option<String>,
    /// What happens by itself: none (manual) or automated (auto, automatic)
    #[arg(long, value_name = "POLICY")]
    sync_policy: Option<String>,
    /// Delete by itself what Git no longer has
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    auto_prune: Option<bool>,
    /// Undo by itself what is changed in the cluster
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    self_heal: Option<bool>,
    /// Prune by itself even if nothing is left
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    allow_empty: Option<bool>,
    /// NAME=VALUE to add, !NAME to remove
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    sync_option: Vec<String>,
    /// How often a failed sync is tried again
    #[arg(long, allow_negative_numbers = true)]
    sync_retry_limit: Option<i64>,
    #[arg(long)]
    sync_retry_backoff_duration: Option<String>,
    #[arg(long)]
    sync_retry_backoff_max_duration: Option<String>,
    #[arg(long)]
    sync_retry_backoff_factor: Option<i64>,
    /// Read the folders below too
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    directory_recurse: Option<bool>,
    /// Glob of the files to read
    #[arg(long)]
    directory_include: Option<String>,
    /// Glob of the files to leave out
    #[arg(long)]
    directory_exclude: Option<String>,
    /// How many syncs the history keeps
    #[arg(long)]
    revision_history_limit: Option<i64>,
    /// Compare by the server's dry run (always) or only where something differs
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    server_side_diff: Option<bool>,
}

impl SpecFlags {
    /// Whether no flag is given.
    pub fn is_empty(&self) -> bool {
        // Taking something away shows on nothing.
        if self.sync_policy.is_some() || !self.sync_option.is_empty() {
            return false;
        }
        let mut probe = Value::Map(Map::new());
        self.apply(&mut probe).is_ok() && probe == Value::Map(Map::new())
    }

    /// Changes an Application as the flags say.
    pub fn apply(&self, object: &mut Value) -> Result<(), Failure> {
        self.source(object)?;
        self.destination(object);
        if let Some(project) = &self.project {
            object.set_at(&["spec", "project"], project.as_str().into());
        }
        if let Some(limit) = self.revision_history_limit {
            object.set_at(&["spec", "revisionHistoryLimit"], limit.into());
        }
        if let Some(wanted) = self.server_side_diff {
            let path = ["metadata", "annotations", trueup_api::annotations::COMPARE_OPTIONS];
            let options = with_server_side_diff(object.str_at(&path).unwrap_or_default(), wanted);
            object.set_at(&path, options.as_str().into());
        }
        self.policy(object)?;
        self.options(object);
        self.retry(object);
        Ok(())
    }

    fn source(&self, object: &mut Value) -> Result<(), Failure> {
        let texts = [
            (&["spec", "source", "repoURL"][..], &self.repo),
            (&["spec", "source", "path"], &self.path),
            (&["spec", "source", "targetRevision"], &self.revision),
            (&["spec", "source", "directory", "include"], &self.directory_include),
            (&["spec", "source", "directory", "exclude"], &self.directory_exclude),
        ];
        let is_given = texts.iter().any(|(_, value)| value.is_some()) || self.directory_recurse.is_some();
        if is_given && !object.list_at(&["spec", "sources"]).is_empty() {
            return Err(Failure::user(
                "the Application has several sources, and flags set only a single one",
            )
            .hint("change spec.sources with `kubectl edit` or in Git"));
        }
        for (path, value) in texts {
            if let Some(value) = value {
                object.set_at(path, value.as_str().into());
            }
        }
        if let Some(recurse) = self.directory_recurse {
            object.set_at(&["spec", "source", "directory", "recurse"], recurse.into());
        }
        Ok(())
    }

    /// Server and name exclude each other.
    fn destination(&self, object: &mut Value) {
        if let Some(server) = &self.dest_server {
            object.set_at(&["spec", "destination", "server"], server.as_str().into());
            object.remove_at(&["spec", "destination", "name"]);
        }
        if let Some(name) = &self.dest_name {
            object.set_at(&["spec", "destination", "name"], name.as_str().into());
            object.remove_at(&["spec", "destination", "server"]);
        }
        if let Some(namespace) = &self.dest_namespace {
            object.set_at(&["spec", "destination", "namespace"], namespace.as_str().into());
        }
    }

    fn policy(&self, object: &mut Value) -> Result<(), Failure> {
        let automated = ["spec", "syncPolicy", "automated"];
        match self.sync_policy.as_deref() {
            None => {}
            Some("none" | "manual") => {
                object.remove_at(&automated);
            }
            Some("automated" | "auto" | "automatic") => {
                if object.at(&automated).is_none() {
                    object.set_at(&automated, Value::Map(Map::new()));
                }
                object.remove_at(&["spec", "syncPolicy", "automated", "enabled"]);
            }
            Some(other) => {
                return Err(
                    Failure::user(format!("unknown sync policy {other:?}")).hint("give none or automated")
                );
            }
        }
        let flags =
            [("prune", self.auto_prune), ("selfHeal", self.self_heal), ("allowEmpty", self.allow_empty)];
        for (name, flag) in flags {
            let Some(flag) = flag else { continue };
            if object.at(&automated).is_none() {
                return Err(Failure::user(format!("{name} needs automation, and the sync policy is manual"))
                    .hint("add --sync-policy automated"));
            }
            object.set_at(&["spec", "syncPolicy", "automated", name], flag.into());
        }
        Ok(())
    }

    fn options(&self, object: &mut Value) {
        for option in &self.sync_option {
            let path = ["spec", "syncPolicy", "syncOptions"];
            let mut options: Vec<Value> = object.list_at(&path).to_vec();
            let name = option.trim_start_matches('!').split('=').next().unwrap_or_default();
            options.retain(|known| known.as_str().is_none_or(|known| known.split('=').next() != Some(name)));
            if !option.starts_with('!') {
                options.push(option.as_str().into());
            }
            if options.is_empty() {
                object.remove_at(&path);
            } else {
                object.set_at(&path, Value::List(options));
            }
        }
    }

    fn retry(&self, object: &mut Value) {
        if let Some(limit) = self.sync_retry_limit {
            object.set_at(&["spec", "syncPolicy", "retry", "limit"], limit.into());
        }
        let backoff = ["spec", "syncPolicy", "retry", "backoff"];
        let mut set = |name: &str, value: Value| {
            let path: Vec<&str> = backoff.iter().copied().chain([name]).collect();
            object.set_at(&path, value);
        };
        if let Some(duration) = &self.sync_retry_backoff_duration {
            set("duration", duration.as_str().into());
        }
        if let Some(duration) = &self.sync_retry_backoff_max_duration {
            set("maxDuration", duration.as_str().into());
        }
        if let Some(factor) = self.sync_retry_backoff_factor {
            set("factor", factor.into());
        }
    }
}

/// The compare options with another answer to `ServerSideDiff`; the others are kept.
fn with_server_side_diff(options: &str, wanted: bool) -> String {
    let others = options.split(',').map(str::trim);
    let others = others.filter(|option| !option.is_empty() && !option.starts_with("ServerSideDiff="));
    let word = if wanted { "ServerSideDiff=true" } else { "ServerSideDiff=false" };
    others.chain([word]).collect::<Vec<&str>>().join(",")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn value(text: &str) -> Value {
        Value::from_yaml(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_other_compare_options_are_kept() {
        for (options, wanted, result) in [
            ("", true, "ServerSideDiff=true"),
            ("ServerSideDiff=true", false, "ServerSideDiff=false"),
            (
                "ServerSideDiff=false, IncludeMutationWebhook=true",
                true,
                "IncludeMutationWebhook=true,ServerSideDiff=true",
            ),
        ] {
            assert_eq!(with_server_side_diff(options, wanted), result, "{options}");
        }
    }

    #[test]
    fn flags_change_what_they_name() {
        let mut object = value(
            "spec: {destination: {server: x}, syncPolicy: {syncOptions: [CreateNamespace=true, Prune=false]}}",
        );
        let flags = SpecFlags {
            repo: Some("https://example.com/r".into()),
            dest_name: Some("in-cluster".into()),
            sync_policy: Some("auto".into()),
            self_heal: Some(true),
            sync_option: vec!["!Prune".into(), "CreateNamespace=false".into()],
            ..SpecFlags::default()
        };
        flags.apply(&mut object).unwrap();
        let expected = value(
            "spec: {source: {repoURL: 'https://example.com/r'}, destination: {name: in-cluster},
              syncPolicy: {automated: {selfHeal: true}, syncOptions: [CreateNamespace=false]}}",
        );
        assert_eq!(object, expected);
        assert!(!flags.is_empty() && SpecFlags::default().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |flags: SpecFlags, object: &str| flags.apply(&mut value(object)).unwrap_err().message;
        let heal = SpecFlags { self_heal: Some(true), ..SpecFlags::default() };
        assert!(refused(heal, "{spec: {}}").contains("manual"));
        let policy = SpecFlags { sync_policy: Some("maybe".into()), ..SpecFlags::default() };
        assert!(refused(policy, "{spec: {}}").contains("maybe"));
        let path = SpecFlags { path: Some("x".into()), ..SpecFlags::default() };
        assert!(refused(path, "{spec: {sources: [{repoURL: a}]}}").contains("several sources"));
    }
}
