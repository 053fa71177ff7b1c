//! What a sync may do, from the flags. A flag that this build cannot honour is refused by name.

use clap::Args;
use trueup_engine::app::{DriftChoice, ResourceSelector, Retry, SyncRequest};
use trueup_object::scalar::GoDuration;
use trueup_object::{GroupKind, Text};

use crate::app::diff::parse_revision;
use crate::failure::Failure;

#[derive(Debug, Args)]
pub struct RequestArguments {
    /// Sync to this revision instead of the Application's
    #[arg(long)]
    revision: Option<String>,
    /// Delete what Git no longer has
    #[arg(long)]
    prune: bool,
    /// Change nothing: let the server check what would be done
    #[arg(long)]
    dry_run: bool,
    /// Only these objects: GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME, * for any
    #[arg(long, value_name = "SELECTOR")]
    resource: Vec<String>,
    /// Overwrite what was changed in the cluster (this is the default)
    #[arg(long, conflicts_with = "keep_drift")]
    overwrite_drift: bool,
    /// Leave what was changed in the cluster as it is
    #[arg(long)]
    keep_drift: bool,
    /// Remove fields and items that others have added
    #[arg(long)]
    remove_additions: bool,
    /// NAME=VALUE to be kept with the operation
    #[arg(long, value_name = "NAME=VALUE")]
    info: Vec<String>,
    /// How often a failed sync is tried again; negative for ever
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    retry_limit: i64,
    /// Wait before the first retry
    #[arg(long, default_value = "5s")]
    retry_backoff_duration: String,
    /// Longest wait between retries
    #[arg(long, default_value = "3m")]
    retry_backoff_max_duration: String,
    /// Factor by which the wait grows
    #[arg(long, default_value_t = 2)]
    retry_backoff_factor: u32,
    /// Accepted for Argo CD's sake: what is in sync is never written
    #[arg(long, hide = true)]
    apply_out_of_sync_only: bool,
    /// Accepted for Argo CD's sake: every apply is one of the server's side
    #[arg(long, hide = true)]
    server_side: bool,
    /// Accepted for Argo CD's sake: applications with hooks are read-only
    #[arg(long, hide = true, value_parser = ["apply", "hook"])]
    strategy: Option<String>,
    #[arg(long, hide = true)]
    force: bool,
    #[arg(long, hide = true)]
    replace: bool,
    #[arg(long, hide = true)]
    local: Option<String>,
    #[arg(long, hide = true)]
    local_repo_root: Option<String>,
    #[arg(long, hide = true)]
    label: Vec<String>,
    #[arg(long, hide = true)]
    retry_refresh: bool,
    #[arg(long, hide = true)]
    revisions: Vec<String>,
    #[arg(long, hide = true)]
    source_positions: Vec<u32>,
    #[arg(long, hide = true)]
    source_names: Vec<String>,
}

impl RequestArguments {
    pub fn to_request(&self) -> Result<SyncRequest, Failure> {
        self.refuse_unsupported()?;
        let revision = self.revision.as_deref().map(parse_revision).transpose()?;
        let resources = self.resource.iter().map(|text| selector(text)).collect::<Result<_, _>>()?;
        let info = self.info.iter().map(|text| pair(text)).collect::<Result<_, _>>()?;
        let drift = if self.keep_drift { DriftChoice::Keep } else { DriftChoice::Overwrite };
        Ok(SyncRequest {
            revision,
            prune: self.prune,
            dry_run: self.dry_run,
            resources,
            drift,
            remove_additions: self.remove_additions,
            retry: self.retry()?,
            info,
            ..SyncRequest::default()
        })
    }

    fn refuse_unsupported(&self) -> Result<(), Failure> {
        let refused = [
            ("--force", self.force, "delete the object and sync again"),
            ("--replace", self.replace, "delete the object and sync again"),
            ("--local", self.local.is_some(), "commit to a branch and use --revision BRANCH"),
            (
                "--local-repo-root",
                self.local_repo_root.is_some(),
                "commit to a branch and use --revision BRANCH",
            ),
            ("--label", !self.label.is_empty(), "name the objects with --resource"),
            ("--retry-refresh", self.retry_refresh, "sync again after the commit"),
            ("--revisions", !self.revisions.is_empty(), "use --revision with a single source"),
            ("--source-positions", !self.source_positions.is_empty(), "use --revision with a single source"),
            ("--source-names", !self.source_names.is_empty(), "use --revision with a single source"),
        ];
        match refused.into_iter().find(|(_, given, _)| *given) {
            Some((flag, _, instead)) => {
                Err(Failure::user(format!("{flag} is not supported by this build")).hint(instead))
            }
            None => Ok(()),
        }
    }

    fn retry(&self) -> Result<Option<Retry>, Failure> {
        if self.retry_limit == 0 {
            return Ok(None);
        }
        Ok(Some(Retry {
            limit: u32::try_from(self.retry_limit).ok(),
            base_ms: milliseconds("--retry-backoff-duration", &self.retry_backoff_duration)?,
            factor: self.retry_backoff_factor,
            backoff_ms_max: milliseconds("--retry-backoff-max-duration", &self.retry_backoff_max_duration)?,
        }))
    }
}

fn milliseconds(flag: &str, text: &str) -> Result<u64, Failure> {
    let duration = GoDuration::parse(text).ok().and_then(GoDuration::to_std);
    duration.and_then(|duration| u64::try_from(duration.as_millis()).ok()).ok_or_else(|| {
        Failure::user(format!("{flag} {text:?} is no duration")).hint("give one such as 5s or 3m")
    })
}

fn pair(text: &str) -> Result<(Text, Text), Failure> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::user(format!("--info {text:?} is no pair")).hint("give NAME=VALUE"))?;
    Ok((Text::from(name), Text::from(value)))
}

/// `GROUP:KIND:[NAMESPACE/]NAME`, as Argo CD takes it.
pub fn selector(text: &str) -> Result<ResourceSelector, Failure> {
    let wrong = |why: &str| {
        Failure::user(format!("--resource {text:?}: {why}"))
            .hint("give GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME, such as apps:Deployment:web")
    };
    if text.starts_with('!') {
        return Err(wrong("leaving objects out is not supported by this build; name those to sync"));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let [group, kind, place] = parts.as_slice() else { return Err(wrong("it has not three parts")) };
    let (namespace, name) = place.split_once('/').unwrap_or(("", place));
    if kind.is_empty() || name.is_empty() {
        return Err(wrong("kind and name are needed"));
    }
    Ok(ResourceSelector {
        kind: GroupKind::new(group, kind),
        namespace: Text::from(namespace),
        name: Text::from(name),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        request: RequestArguments,
    }

    fn request(flags: &[&str]) -> Result<SyncRequest, Failure> {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(flags)).unwrap();
        line.request.to_request()
    }

    #[test]
    fn flags_become_a_request() {
        let request = request(&[
            "--prune",
            "--keep-drift",
            "--revision=main",
            "--resource=apps:Deployment:web/a",
            "--resource=:Service:b",
            "--info=why=because",
            "--retry-limit=2",
        ])
        .unwrap();
        assert!(request.prune && !request.dry_run && request.drift == DriftChoice::Keep);
        assert_eq!(request.resources[0].namespace, "web");
        assert_eq!(request.resources[1].kind, GroupKind::new("", "Service"));
        assert_eq!(request.info[&Text::from("why")], "because");
        assert_eq!(request.retry.unwrap().base_ms, 5000);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (flag, name) in
            [("--force", "--force"), ("--local=x", "--local"), ("--resource=!a:b:c", "!a:b:c")]
        {
            let failure = request(&[flag]).unwrap_err();
            assert!(failure.message.contains(name) && failure.hint.is_some(), "{failure:?}");
        }
        assert!(request(&["--resource=a:b"]).is_err());
        assert!(request(&["--info=x"]).is_err());
        assert!(request(&["--retry-limit=1", "--retry-backoff-duration=soon"]).is_err());
    }
}
