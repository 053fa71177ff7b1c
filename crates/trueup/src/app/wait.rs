//! `trueup app wait`.

use std::time::Duration;

use clap::Args;
use trueup_api::drift_report::DriftReport;
use trueup_api::status::ApplicationStatus;
use trueup_engine::app::AppKey;
use trueup_engine::status::SyncStatus;
use trueup_object::Value;

use super::get::{self, AppForm};
use super::name::Within;
use super::refresh::STEP;
use super::sync_selector;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output::{self, patiently};

#[derive(Debug, Args)]
pub struct WaitArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME; several are possible
    #[arg(value_name = "APP")]
    names: Vec<String>,
    /// Every Application with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Until Git and the cluster agree
    #[arg(long)]
    sync: bool,
    /// Until it is Healthy
    #[arg(long)]
    health: bool,
    /// Until it is Suspended
    #[arg(long)]
    suspended: bool,
    /// Until it is Degraded
    #[arg(long)]
    degraded: bool,
    /// Until no operation is asked for or running
    #[arg(long)]
    operation: bool,
    /// Until it is gone
    #[arg(long)]
    delete: bool,
    /// Only these objects: GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME
    #[arg(long, value_name = "SELECTOR")]
    resource: Vec<String>,
    /// Seconds; 0 waits without limit
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    timeout: u64,
    #[arg(short, long, default_value = "wide", value_parser = ["wide", "json", "yaml", "tree", "tree=detailed"])]
    output: String,
    #[arg(long, hide = true)]
    hydrated: bool,
}

/// How far one Application is.
enum Progress {
    Met,
    /// What is still to come.
    Open(String),
    /// Only what others have added keeps it from being in sync, and no sync takes that away.
    AdditionsLeft(Vec<String>),
}

pub async fn run(arguments: &WaitArguments, globals: &Globals) -> Result<Ending, Failure> {
    if arguments.hydrated {
        return Err(Failure::user("--hydrated is not supported by this build").hint("wait with --sync"));
    }
    let home = Home::open(globals).await?;
    let keys = chosen(arguments, &home).await?;
    let limit = Duration::from_secs(arguments.timeout);
    let begun = tokio::time::Instant::now();
    let mut ending = Ending::Done;
    for key in keys {
        let left = limit.saturating_sub(begun.elapsed());
        let waited = patiently("waiting", until_met(&home, &key, arguments));
        let waited = if arguments.timeout == 0 {
            waited.await?
        } else {
            match tokio::time::timeout(left, waited).await {
                Ok(waited) => waited?,
                Err(_) => return Err(timed_out(&home, &key, arguments).await),
            }
        };
        if let Some(additions) = waited {
            ending = Ending::AdditionsLeft;
            output::tell(&format!("{key}: in sync but for what others have added:"));
            for addition in additions {
                output::tell(&format!("  {addition}"));
            }
            output::tell("`trueup app sync --remove-additions` removes it");
        }
        if !arguments.delete {
            let object = home.application(&key).await?;
            get::show(
                &object,
                home.report_object(&key).await.as_ref(),
                AppForm::of(&arguments.output),
                false,
            );
        }
    }
    Ok(ending)
}

async fn chosen(arguments: &WaitArguments, home: &Home) -> Result<Vec<AppKey>, Failure> {
    let mut keys =
        arguments.names.iter().map(|name| arguments.within.key(name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(selector) = &arguments.selector {
        let found = home.applications(arguments.within.namespace(), selector).await?;
        keys.extend(found.iter().map(home::app_key));
    }
    if keys.is_empty() {
        return Err(Failure::user("it is not clear what to wait for").hint("give names, or -l LABELS"));
    }
    Ok(keys)
}

/// Returns the additions by others that are left, where that is all that is open.
async fn until_met(
    home: &Home,
    key: &AppKey,
    arguments: &WaitArguments,
) -> Result<Option<Vec<String>>, Failure> {
    loop {
        match progress(home, key, arguments).await? {
            Progress::Met => return Ok(None),
            Progress::AdditionsLeft(additions) => return Ok(Some(additions)),
            Progress::Open(_) => tokio::time::sleep(STEP).await,
        }
    }
}

async fn timed_out(home: &Home, key: &AppKey, arguments: &WaitArguments) -> Failure {
    let open = match progress(home, key, arguments).await {
        Ok(Progress::Open(open)) => open,
        Ok(Progress::Met | Progress::AdditionsLeft(_)) => "met just now".to_owned(),
        Err(failure) => failure.message,
    };
    Failure::timed_out(format!("{key} is not as wanted after {} s: {open}", arguments.timeout))
        .hint(format!("`trueup app get {key}` and `trueup app explain {key}` say why"))
}

async fn progress(home: &Home, key: &AppKey, arguments: &WaitArguments) -> Result<Progress, Failure> {
    let found = home.find(key).await?;
    let Some(object) = found else {
        return match arguments.delete {
            true => Ok(Progress::Met),
            false => home.application(key).await.map(|_| Progress::Met),
        };
    };
    if arguments.delete {
        return Ok(Progress::Open("it still exists".to_owned()));
    }
    let wanted = Wanted::of(arguments)?;
    match wanted.open(&object) {
        Some(open) if open.starts_with("sync") && !wanted.is_busy(&object) => {
            // Only where nothing but the status is open is the report asked for.
            let additions = home.report(key).await.and_then(|report| additions(&report));
            Ok(additions.map_or(Progress::Open(open), Progress::AdditionsLeft))
        }
        Some(open) => Ok(Progress::Open(open)),
        None => Ok(Progress::Met),
    }
}

/// What a wait is for.
struct Wanted {
    sync: bool,
    health: Vec<&'static str>,
    operation: bool,
    resources: Vec<trueup_engine::app::ResourceSelector>,
}

impl Wanted {
    fn of(arguments: &WaitArguments) -> Result<Self, Failure> {
        let named = [
            ("Healthy", arguments.health),
            ("Suspended", arguments.suspended),
            ("Degraded", arguments.degraded),
        ];
        let mut health: Vec<_> =
            named.into_iter().filter(|(_, wanted)| *wanted).map(|(word, _)| word).collect();
        let is_default = !arguments.sync && health.is_empty() && !arguments.operation;
        if is_default {
            health.push("Healthy");
        }
        let resources =
            arguments.resource.iter().map(|text| sync_selector(text)).collect::<Result<_, _>>()?;
        Ok(Self {
            sync: arguments.sync || is_default,
            health,
            operation: arguments.operation || is_default,
            resources,
        })
    }

    fn is_busy(&self, object: &Value) -> bool {
        let phase = object.str_at(&["status", "operationState", "phase"]);
        object.get("operation").is_some_and(|it| !it.is_null())
            || matches!(phase, Some("Running" | "Terminating"))
    }

    /// What is not as wanted yet; sync last, so that it is named only where all else is met.
    fn open(&self, object: &Value) -> Option<String> {
        if self.operation && self.is_busy(object) {
            return Some("an operation is under way".to_owned());
        }
        if object.at(&["metadata", "annotations", trueup_api::annotations::REFRESH]).is_some() {
            return Some("a refresh is asked for".to_owned());
        }
        let status = ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null));
        if self.resources.is_empty() {
            return self.open_state(status.sync.status, &status.health.status, "");
        }
        status.resources.iter().filter(|resource| self.names(resource)).find_map(|resource| {
            let health = resource.health.as_ref().map_or("Healthy", |health| &health.status);
            self.open_state(resource.status, health, &format!(" of {}/{}", resource.gvk.kind, resource.name))
        })
    }

    fn names(&self, resource: &trueup_api::status::ResourceStatus) -> bool {
        self.resources.iter().any(|wanted| {
            let fits = |wanted: &str, found: &str| wanted == "*" || wanted == found;
            fits(&wanted.kind.group, &resource.gvk.group)
                && fits(&wanted.kind.kind, &resource.gvk.kind)
                && fits(&wanted.name, &resource.name)
                && (wanted.namespace.is_empty() || fits(&wanted.namespace, &resource.namespace))
        })
    }

    fn open_state(&self, sync: Option<SyncStatus>, health: &str, of: &str) -> Option<String> {
        if !self.health.is_empty() && !self.health.contains(&health) {
            return Some(format!("health{of} is {}", if health.is_empty() { "Unknown" } else { health }));
        }
        match sync {
            Some(SyncStatus::Synced) => None,
            _ if !self.sync => None,
            other => Some(format!("sync{of} is {}", other.map_or("Unknown", SyncStatus::as_str))),
        }
    }
}

/// The additions, where nothing else differs.
fn additions(report: &DriftReport) -> Option<Vec<String>> {
    let is_addition = |channel: &str| matches!(channel, "undeclared" | "unowned");
    let all = report.differences.iter().all(|reported| is_addition(&reported.difference.channel));
    if !all || report.differences.is_empty() {
        return None;
    }
    let named = report.differences.iter().map(|reported| {
        let object = &reported.object;
        format!("{}/{} {}", object.kind, object.name, super::words::short(&reported.difference))
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn wanted(sync: bool, health: Vec<&'static str>, operation: bool) -> Wanted {
        Wanted { sync, health, operation, resources: Vec::new() }
    }

    #[test]
    fn what_is_open_is_named() {
        let object = |text: &str| Value::from_yaml(text.as_bytes()).unwrap();
        let synced = object("status: {sync: {status: Synced}, health: {status: Progressing}}");
        assert_eq!(wanted(true, vec![], false).open(&synced), None);
        assert_eq!(
            wanted(true, vec!["Healthy", "Degraded"], false).open(&synced).unwrap(),
            "health is Progressing"
        );
        let running = object("operation: {sync: {}}\nstatus: {sync: {status: Synced}}");
        assert_eq!(wanted(true, vec![], true).open(&running).unwrap(), "an operation is under way");
        assert_eq!(wanted(true, vec![], false).open(&object("{}")).unwrap(), "sync is Unknown");
    }
}
