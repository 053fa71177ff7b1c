//! Another GitOps controller that writes the same Application: how it is seen, how long a sighting counts, and how it is
//! told (docs/design: telling of another controller).
//!
//! What proves the other controller is its entry in the managedFields of the status. Our own write of the condition may
//! take fields away from that entry (all of them, where a definition keeps the status as one value), so a sighting is
//! remembered: by the worker, and across a restart by the condition itself.

use jiff::{SignedDuration, Timestamp};
use trueup_api::Application;
use trueup_api::status::{ApplicationStatus, StatusCondition};
use trueup_cluster::act::{EventKind, ReportedEvent};
use trueup_engine::condition::ConditionType;
use trueup_ledger::{Fact, NewEntry, Write};
use trueup_object::{ManagedFields, PathElement, Text, Value};

use crate::installation::Installation;
use crate::report::{self, Report};
use crate::state::AppState;

/// Argo CD writes the status of every Application at least every three minutes; a write older than this is from before
/// somebody switched it off.
const SIGHTING_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Controllers that write the status of Applications.
const CONTROLLERS: [&str; 2] = ["argocd-application-controller", "argocd-controller"];

/// Another controller that was seen to write an Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Of the Application; another one of the same name has not been seen yet.
    uid: Text,
    pub manager: Text,
    /// Its first write of this sighting, and its last.
    pub first: Timestamp,
    last: Timestamp,
    /// Whether the condition was written. It is written once: a controller that drops it again is not fought.
    told: bool,
}

impl Sighting {
    /// When nothing of the other controller will have been seen for long enough.
    pub fn ends_at(&self) -> Timestamp {
        self.last.saturating_add(SIGHTING_MAX).unwrap_or(Timestamp::MAX)
    }
}

/// What one version of an Application shows of other controllers.
#[derive(Debug, Clone)]
pub struct Traces {
    uid: Text,
    written: Option<(Text, Timestamp)>,
    condition: Option<StatusCondition>,
}

impl Traces {
    pub fn of(application: &Application) -> Self {
        Self {
            uid: application.metadata.uid.clone(),
            written: written(&application.object),
            condition: condition(application),
        }
    }
}

/// The other controller that is at work on an Application now, if any.
pub fn sighting(traces: &Traces, known: Option<&Sighting>, now: Timestamp) -> Option<Sighting> {
    let Traces { uid, written, condition } = traces;
    let known = known.filter(|known| known.uid == *uid).cloned();
    let seen = match (known, written.clone(), condition) {
        (Some(known), Some((manager, time)), _) => {
            let last = known.last.max(time);
            Some(Sighting { manager, last, ..known })
        }
        (Some(known), None, _) => Some(known),
        (None, Some((manager, time)), _) => {
            Some(Sighting { uid: uid.clone(), manager, first: time, last: time, told: false })
        }
        // After a restart, where our condition has taken the last trace away.
        (None, None, Some(told)) => told.last_transition.map(|at| Sighting {
            uid: uid.clone(),
            manager: Text::from("another controller"),
            first: at,
            last: at,
            told: true,
        }),
        (None, None, None) => None,
    }?;
    let told = seen.told || condition.is_some();
    (now < seen.ends_at()).then_some(Sighting { told, ..seen })
}

/// Who wrote the status last, of the controllers that are known, and when.
fn written(object: &Value) -> Option<(Text, Timestamp)> {
    let status = [PathElement::Field(Text::from("status"))];
    ManagedFields::of(object)
        .entries
        .into_iter()
        .filter(|entry| CONTROLLERS.contains(&entry.manager.as_str()))
        .filter(|entry| entry.fields.touches(&status))
        .filter_map(|entry| Some((Text::from(entry.manager.as_str()), entry.time?)))
        .max_by_key(|(_, time)| *time)
}

fn condition(application: &Application) -> Option<StatusCondition> {
    let told = |condition: &StatusCondition| condition.kind == ConditionType::ForeignControllerError.as_str();
    ApplicationStatus::of(application.status()).conditions.into_iter().find(told)
}

/// Tells of a sighting: an Event, a line in the log and in the ledger, and the condition in the status. Says whether that is
/// done; what could not be written is written by a later turn.
pub async fn tell(
    installation: &Installation,
    state: &mut AppState,
    application: &Application,
    sighting: Sighting,
) -> bool {
    let (now, is_new, told) = (installation.now(), state.foreign.is_none(), sighting.told);
    let manager = sighting.manager.clone();
    let message = message(&sighting);
    state.foreign = Some(sighting);
    let mut events = Vec::new();
    if is_new {
        tracing::warn!(application = %state.key, %manager, "another controller writes this Application");
        let fact =
            Fact::Observed { differences: Vec::new(), message: format!("{manager} writes this Application") };
        let entry = NewEntry { time: now, app: state.key.clone(), object: None, fact, evidence: None };
        if let Err(error) = installation.ledger.write(vec![Write::Entry(Box::new(entry))]).await {
            tracing::error!(application = %state.key, %error, "a sighting could not be written to the ledger");
        }
    }
    if is_new && !told {
        events.push(ReportedEvent {
            kind: EventKind::Warning,
            reason: ConditionType::ForeignControllerError.as_str().to_owned(),
            message: format!("{}: {message}", ConditionType::ForeignControllerError.as_str()),
            involved: report::involved(application),
            at: now,
            instance: installation.settings.instance.clone(),
        });
    }
    let patch = (!told).then(|| patch(application, message, now));
    let sent = report::send(installation, Report::of(&state.key, patch, events)).await.is_whole;
    if let Some(sighting) = &mut state.foreign {
        sighting.told |= sent;
    }
    sent
}

fn message(sighting: &Sighting) -> String {
    format!(
        "{} writes this Application too (seen at {:.0}), so trueup leaves it alone; stop that controller, or start trueup \
         with --take-over; trueup goes on by itself once nothing of it was seen for {} minutes",
        sighting.manager,
        sighting.first,
        SIGHTING_MAX.as_mins()
    )
}

/// Adds the condition to those that are there, in the version of the Application that was read: nothing that the other
/// controller has written meanwhile is overwritten.
fn patch(application: &Application, message: String, now: Timestamp) -> Value {
    let told = StatusCondition {
        kind: Text::from(ConditionType::ForeignControllerError.as_str()),
        message,
        last_transition: Some(now),
    };
    let ours = ApplicationStatus { conditions: vec![told], ..ApplicationStatus::default() }.to_value();
    let conditions =
        application.status().list_at(&["conditions"]).iter().chain(ours.list_at(&["conditions"]));
    let mut patch = Value::default();
    patch.set_at(&["status", "conditions"], Value::List(conditions.cloned().collect()));
    patch.set_at(&["metadata", "resourceVersion"], application.metadata.resource_version.clone().into());
    patch
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sighting(found: &Application, known: Option<&Sighting>, now: Timestamp) -> Option<Sighting> {
        super::sighting(&Traces::of(found), known, now)
    }

    const STATUS: &str = r#"{"f:status":{"f:sync":{}}}"#;
    const MANAGER: &str = "argocd-application-controller";

    fn at(time: &str) -> Timestamp {
        format!("2026-11-21T{time}Z").parse().unwrap()
    }

    fn application(uid: &str, entry: Option<(&str, &str, &str)>, conditions: &str) -> Application {
        let entry = entry.map(|(manager, time, fields)| {
            format!(
                r#"{{"manager":"{manager}","operation":"Update","apiVersion":"argoproj.io/v1alpha1",
                "time":"2026-11-21T{time}Z","fieldsType":"FieldsV1","fieldsV1":{fields}}}"#
            )
        });
        let json = format!(
            r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{{"name":"web","namespace":"argocd",
            "uid":"{uid}","resourceVersion":"7","managedFields":[{}]}},
            "spec":{{"project":"default","source":{{"repoURL":"https://example.com/r"}},"destination":{{"namespace":"web"}}}},
            "status":{{"conditions":{conditions}}}}}"#,
            entry.unwrap_or_default()
        );
        Application::parse(Value::from_json(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn another_controller_is_known_by_a_fresh_status() {
        let now = at("12:05:00");
        let fresh = application("u", Some((MANAGER, "12:00:00", STATUS)), "[]");
        let seen = sighting(&fresh, None, now).unwrap();
        assert_eq!((seen.manager.as_str(), seen.told), (MANAGER, false));
        for (manager, time, fields) in [
            (MANAGER, "11:00:00", STATUS),
            (MANAGER, "12:00:00", r#"{"f:spec":{}}"#),
            ("trueup", "12:00:00", STATUS),
        ] {
            let other = application("u", Some((manager, time, fields)), "[]");
            assert_eq!(sighting(&other, None, now), None, "{manager} {time} {fields}");
        }
    }

    #[test]
    fn a_sighting_outlives_its_trace_and_ends_by_itself() {
        let seen =
            sighting(&application("u", Some((MANAGER, "12:00:00", STATUS)), "[]"), None, at("12:00:01"));
        let traceless = application("u", None, "[]");
        assert!(sighting(&traceless, seen.as_ref(), at("12:09:59")).is_some());
        assert_eq!(sighting(&traceless, seen.as_ref(), at("12:10:00")), None);
        // Its next write renews it, and keeps when it was first seen.
        let again = application("u", Some((MANAGER, "12:08:00", STATUS)), "[]");
        let renewed = sighting(&again, seen.as_ref(), at("12:12:00")).unwrap();
        assert_eq!((renewed.first, renewed.ends_at()), (at("12:00:00"), at("12:18:00")));
        // Another Application of the name has not been seen.
        assert_eq!(sighting(&application("v", None, "[]"), seen.as_ref(), at("12:01:00")), None);
    }

    #[test]
    fn after_a_restart_the_condition_itself_remembers() {
        let told = r#"[{"type":"ForeignControllerError","message":"m","lastTransitionTime":"2026-11-21T12:00:00Z"}]"#;
        let seen = sighting(&application("u", None, told), None, at("12:05:00")).unwrap();
        assert!(seen.told);
        assert_eq!(sighting(&application("u", None, told), None, at("12:10:00")), None);
    }

    #[test]
    fn the_condition_joins_those_of_the_other_controller() {
        let others = r#"[{"type":"OrphanedResourceWarning","message":"m","extra":1}]"#;
        let found = application("u", Some((MANAGER, "12:00:00", STATUS)), others);
        let seen = sighting(&found, None, at("12:00:01")).unwrap();
        let patch = patch(&found, message(&seen), at("12:00:01"));
        let conditions = patch.list_at(&["status", "conditions"]);
        assert_eq!(
            (conditions[0].str_at(&["message"]), conditions[0].int_at(&["extra"])),
            (Some("m"), Some(1))
        );
        assert_eq!(conditions[1].str_at(&["type"]), Some("ForeignControllerError"));
        let text = conditions[1].str_at(&["message"]).unwrap();
        assert!(
            text.contains(MANAGER) && text.contains("2026-11-21T12:00:00Z") && text.contains("--take-over"),
            "{text}"
        );
        assert_eq!(patch.str_at(&["metadata", "resourceVersion"]), Some("7"));
    }
}
