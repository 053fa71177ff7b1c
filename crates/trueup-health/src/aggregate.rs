//! The health of an application: the worst of the objects that it manages directly.

use trueup_object::{ResourceKey, Value};

use crate::{Health, HealthStatus};

/// How many causes a message names.
const CAUSES_MAX: usize = 3;

/// What is known of the health of one object of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectHealth {
    /// It is not in the cluster. Listed as Missing, but it does not count by itself.
    Missing,
    /// It is there, and its kind has no rule.
    Unjudged,
    Judged(Health),
    /// Judged, and not counted: it shows that something is there, and no more.
    Exempt(Health),
}

/// Whether it is a hook: these are no part of what an application consists of.
pub fn is_hook(live: &Value) -> bool {
    let annotation = |name: &str| live.str_at(&["metadata", "annotations", name]);
    annotation("argocd.argoproj.io/hook").is_some() || annotation("helm.sh/hook").is_some()
}

/// Judges an application. The caller leaves out what [`is_hook`] and the application itself, where it is among its own
/// objects.
pub fn aggregate<'a>(objects: impl IntoIterator<Item = (&'a ResourceKey, &'a ObjectHealth)>) -> Health {
    let (mut n_objects, mut n_live) = (0_usize, 0_usize);
    let mut worst = HealthStatus::Healthy;
    let mut causes: Vec<&ResourceKey> = Vec::new();
    for (key, health) in objects {
        n_objects += 1;
        let judged = match health {
            ObjectHealth::Missing => continue,
            ObjectHealth::Unjudged | ObjectHealth::Exempt(_) => {
                n_live += 1;
                continue;
            }
            ObjectHealth::Judged(judged) => judged,
        };
        n_live += 1;
        if is_ignored_child(key, judged.status) || judged.status < worst {
            continue;
        }
        if judged.status > worst {
            worst = judged.status;
            causes.clear();
        }
        if worst > HealthStatus::Healthy {
            causes.push(key);
        }
    }
    if n_objects > 0 && n_live == 0 {
        return Health::new(HealthStatus::Missing, "");
    }
    Health::new(worst, describe(&causes))
}

/// A child Application that nobody has looked at yet says nothing about its parent.
fn is_ignored_child(key: &ResourceKey, status: HealthStatus) -> bool {
    key.group == "argoproj.io"
        && key.kind == "Application"
        && matches!(status, HealthStatus::Missing | HealthStatus::Unknown)
}

/// `Caused by Kind.group:namespace/name, ... and N more`
fn describe(causes: &[&ResourceKey]) -> String {
    if causes.is_empty() {
        return String::new();
    }
    let names: Vec<String> = causes.iter().take(CAUSES_MAX).map(|key| cause(key)).collect();
    let mut message = format!("Caused by {}", names.join(", "));
    if causes.len() > CAUSES_MAX {
        message.push_str(&format!(" and {} more", causes.len() - CAUSES_MAX));
    }
    message
}

fn cause(key: &ResourceKey) -> String {
    let kind =
        if key.group.is_empty() { key.kind.to_string() } else { format!("{}.{}", key.kind, key.group) };
    if key.namespace.is_empty() {
        format!("{kind}:{}", key.name)
    } else {
        format!("{kind}:{}/{}", key.namespace, key.name)
    }
}
