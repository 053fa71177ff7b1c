//! `spec.syncPolicy`: what happens by itself, and how.

use trueup_engine::app::{Automated, Propagation, Retry, SyncOptions};
use trueup_object::scalar::GoDuration;

use super::Found;
use crate::application::{ApplicationSpec, RetryStrategy};

pub(super) struct Policy {
    pub(super) automated: Option<Automated>,
    pub(super) options: SyncOptions,
    pub(super) retry: Option<Retry>,
}

pub(super) fn policy(spec: &ApplicationSpec, found: &mut Found) -> Policy {
    let Some(policy) = &spec.sync_policy else {
        return Policy { automated: None, options: SyncOptions::default(), retry: None };
    };
    let automated = policy.automated.filter(|automated| automated.enabled).map(|automated| Automated {
        prune: automated.prune,
        self_heal: automated.self_heal,
        allow_empty: automated.allow_empty,
    });
    if policy.managed_namespace_metadata.is_some() {
        found.cannot("spec.syncPolicy.managedNamespaceMetadata", "labels and annotations of the namespace");
    }
    let retry = policy.retry.as_ref().map(|retry| {
        if retry.refresh {
            found.cannot("spec.syncPolicy.retry.refresh", "a retry against the newest revision");
        }
        read_retry(retry, "spec.syncPolicy.retry", found)
    });
    let mut options = SyncOptions::default();
    for (index, option) in policy.sync_options.iter().enumerate() {
        if !read_option(option, &mut options) {
            found.cannot(format!("spec.syncPolicy.syncOptions[{index}]"), format!("sync option {option}"));
        }
    }
    Policy { automated, options, retry }
}

/// Takes an option over; says whether this build honours it. An option that asks for what is done anyway is honoured.
fn read_option(option: &str, options: &mut SyncOptions) -> bool {
    match option {
        "CreateNamespace=true" => options.create_namespace = true,
        "CreateNamespace=false" => options.create_namespace = false,
        "RespectIgnoreDifferences=true" => options.respect_ignore = true,
        "RespectIgnoreDifferences=false" => options.respect_ignore = false,
        "Prune=false" => options.never_prune = true,
        "PrunePropagationPolicy=foreground" => options.propagation = Propagation::Foreground,
        "PrunePropagationPolicy=background" => options.propagation = Propagation::Background,
        "PrunePropagationPolicy=orphan" => options.propagation = Propagation::Orphan,
        _ => return is_without_effect(option),
    }
    true
}

/// Options that ask for what this build does in any case.
pub(super) fn is_without_effect(option: &str) -> bool {
    matches!(
        option,
        "Prune=true"
            | "Validate=true"
            | "ServerSideApply=true"
            | "ClientSideApplyMigration=true"
            | "ApplyOutOfSyncOnly=true"
            | "ApplyOutOfSyncOnly=false"
            | "SkipDryRunOnMissingResource=true"
            | "SkipDryRunOnMissingResource=false"
            | "PruneLast=false"
            | "Replace=false"
            | "Force=false"
            | "FailOnSharedResource=false"
    )
}

/// Argo CD's defaults: 5 s, factor 2, at most 3 minutes.
pub(super) fn read_retry(wanted: &RetryStrategy, place: &str, found: &mut Found) -> Retry {
    let default = Retry::AUTOMATED;
    let mut duration = |name: &str, text: Option<&str>, default_ms: u64| {
        let Some(text) = text else { return default_ms };
        milliseconds(text).unwrap_or_else(|| {
            found.refuse(
                format!("{place}.backoff.{name}"),
                format!("`{text}`"),
                "a duration such as 5s or 3m",
            );
            default_ms
        })
    };
    let base_ms = duration("duration", wanted.backoff.duration.as_deref(), default.base_ms);
    let backoff_ms_max =
        duration("maxDuration", wanted.backoff.max_duration.as_deref(), default.backoff_ms_max);
    let factor =
        wanted.backoff.factor.map_or(default.factor, |factor| u32::try_from(factor).unwrap_or(1).max(1));
    Retry { limit: u32::try_from(wanted.limit).ok(), base_ms, factor, backoff_ms_max }
}

/// A Go duration, or a bare number of seconds.
fn milliseconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let duration = GoDuration::parse(text).ok()?.to_std()?;
    u64::try_from(duration.as_millis()).ok()
}
