//! The Application of a worker, as its own watch last showed it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use trueup_api::Application;
use trueup_api::status::ApplicationStatus;
use trueup_cluster::{Content, KindScope, KindState, Lookup, ObjectName, Observed, Recent, ServedKind};
use trueup_engine::app::{App, AppKey, Unsupported};
use trueup_engine::condition::Condition;
use trueup_engine::tracking::Tracking;
use trueup_engine::weight::Level;
use trueup_object::{Gvk, ResourceKey, Text, Value};

use crate::foreign::{self, Sighting};
use crate::installation::Installation;
use crate::mailbox::Depth;
use crate::staff::{application_kind, project_kind};
use crate::state::AppState;

/// What there is of an Application.
pub enum Found {
    Gone,
    /// Its listing is not complete, and it was not seen.
    Unknown,
    /// Another controller writes it.
    Foreign {
        parsed: Arc<Parsed>,
        sighting: Sighting,
    },
    Invalid {
        object: Value,
        conditions: Vec<Condition>,
    },
    Valid(Box<Seen>),
}

/// A valid Application in one of its versions, packed: parsed it costs twenty times as much, and a turn waits for Git and for
/// its place.
#[derive(Clone)]
pub struct Seen {
    observed: Arc<Observed>,
    pub app: Arc<App>,
    pub uid: Text,
    pub resource_version: Text,
    /// The objects that its status tells of.
    pub reported: Arc<BTreeSet<ResourceKey>>,
    traces: Arc<foreign::Traces>,
    surroundings: Surroundings,
}

/// An Application as it was read.
pub struct Parsed {
    pub application: Application,
    pub status: ApplicationStatus,
}

/// So many are kept parsed, and at most as many again: those that turns are taken for, not those that sleep.
const PARSED_MAX: usize = 64;

static PARSED: Recent<Observed, Arc<Parsed>> = Recent::new(PARSED_MAX);

/// What an Application is read together with.
#[derive(Clone, PartialEq)]
struct Surroundings {
    unsupported: Vec<Unsupported>,
    counts: Level,
    tracking: Arc<Tracking>,
}

impl Seen {
    /// The whole of it. It was read once when it was found; nothing only where memory went bad since.
    pub fn application(&self) -> Option<Arc<Parsed>> {
        let parsed = PARSED.get(&self.observed, || {
            let object = self.observed.value().map_err(|_| ())?;
            Application::parse(object).map(Parsed::of).map_err(|_| ())
        });
        parsed.ok()
    }

    /// What the version is to a turn now: another controller's, or ours.
    fn found(self, installation: &Installation, known: Option<&Sighting>) -> Found {
        let sighting = foreign::sighting(&self.traces, known, installation.now());
        let Some(sighting) = sighting.filter(|_| !installation.settings.take_over) else {
            return Found::Valid(Box::new(self));
        };
        match self.application() {
            Some(parsed) => Found::Foreign { parsed, sighting },
            None => Found::Unknown,
        }
    }
}

impl Parsed {
    fn of(application: Application) -> Arc<Self> {
        let status = ApplicationStatus::of(application.status());
        Arc::new(Self { application, status })
    }
}

/// Finds the Application of a worker in the home cluster. A version that the last turn has read is not read again.
pub fn find(installation: &Installation, state: &AppState) -> Found {
    let (key, known) = (&state.key, state.foreign.as_ref());
    let home = &installation.sites.home.cluster;
    let gvk = application_kind();
    let name = ObjectName { namespace: key.namespace.clone(), name: key.name.clone() };
    let observed = match home.get(&gvk, &name) {
        Some(Content::Whole(observed)) => observed,
        Some(Content::Version(_)) => return Found::Unknown,
        None => {
            let complete = !matches!(home.state(&gvk), Some(KindState::NotServed { .. }));
            let complete = complete && home.knows_all(&gvk, &key.namespace);
            return if complete { Found::Gone } else { Found::Unknown };
        }
    };
    if let Some(seen) = state.seen.as_ref().filter(|seen| Arc::ptr_eq(&seen.observed, &observed))
        && seen.surroundings == surroundings(installation, &seen.app.project)
    {
        return seen.clone().found(installation, known);
    }
    let Ok(object) = observed.value() else { return Found::Unknown };
    match trueup_api::read_app(object.clone(), &installation.settings.namespace) {
        Err(refusal) => Found::Invalid { object, conditions: refusal.conditions },
        Ok((application, mut app)) => {
            let surroundings = surroundings(installation, &app.project);
            app.unsupported.extend(surroundings.unsupported.iter().cloned());
            app.project_counts = surroundings.counts.clone();
            app.tracking = Tracking::clone(&surroundings.tracking);
            let seen = Seen {
                observed,
                app: Arc::new(app),
                uid: application.metadata.uid.clone(),
                resource_version: application.metadata.resource_version.clone(),
                reported: Arc::new(reported(application.status())),
                traces: Arc::new(foreign::Traces::of(&application)),
                surroundings,
            };
            let Ok(_) = PARSED.get(&seen.observed, || Ok::<_, Infallible>(Parsed::of(application)));
            seen.found(installation, known)
        }
    }
}

fn surroundings(installation: &Installation, project_name: &str) -> Surroundings {
    let (unsupported, counts) = project(installation, project_name);
    Surroundings { unsupported, counts, tracking: installation.configured.tracking() }
}

fn reported(status: &Value) -> BTreeSet<ResourceKey> {
    let resources = status.list_at(&["resources"]).iter();
    let keys = resources.filter_map(|resource| {
        let group = resource.str_at(&["group"]).unwrap_or_default();
        let namespace = resource.str_at(&["namespace"]).unwrap_or_default();
        Some(ResourceKey::new(group, resource.str_at(&["kind"])?, namespace, resource.str_at(&["name"])?))
    });
    keys.collect()
}

/// The rules of the application's project that this build cannot honour, and what it says of additions.
fn project(installation: &Installation, name: &str) -> (Vec<Unsupported>, Level) {
    let home = &installation.sites.home.cluster;
    let namespace = Text::from(installation.settings.namespace.as_str());
    let place = ObjectName { namespace, name: Text::from(name) };
    match home.get(&project_kind(), &place) {
        Some(Content::Whole(observed)) => match observed.value() {
            Ok(object) => trueup_api::project_said(&object),
            Err(error) => {
                let what = error.to_string();
                (vec![Unsupported { place: format!("project {name}"), what }], Level::default())
            }
        },
        // Argo CD makes the default project, without rules, when there is none.
        Some(Content::Version(_)) | None if name == "default" => (Vec::new(), Level::default()),
        Some(Content::Version(_)) | None => {
            let what = "a project that does not exist; create it, or use the project default".to_owned();
            (vec![Unsupported { place: format!("spec.project {name}"), what }], Level::default())
        }
    }
}

/// Forgets everything about an application that is gone. Its objects stay: deleting them is a matter of finalizers.
pub async fn forget(installation: &Installation, key: &AppKey) {
    for other in installation.routes.forget(key) {
        installation.staff.wake(&other, Depth::Live);
    }
    for other in installation.unreported.ended(key) {
        installation.staff.wake(&other, Depth::Live);
    }
    installation.staff.dismiss(key);
    installation.board.update(|shown| {
        shown.forget(key);
    });
    let forgotten =
        installation.ledger.write(vec![trueup_ledger::Write::ForgetApp { app: key.clone() }]).await;
    if let Err(error) = forgotten {
        tracing::warn!(application = %key, %error, "what is remembered of a deleted application could not be dropped");
    }
}

/// The kind as served. Both kinds are ours to know: where discovery has not found them yet, their shape is known all the
/// same.
pub fn served(installation: &Installation, gvk: &Gvk) -> ServedKind {
    let discovery = installation.sites.home.cluster.discovery();
    if let Some(Lookup::Served(kind)) = discovery.as_ref().map(|known| known.find(gvk)) {
        return kind.clone();
    }
    ServedKind {
        gvk: gvk.clone(),
        plural: Text::from(format!("{}s", gvk.kind.to_lowercase())),
        scope: KindScope::Namespaced,
        verbs: Vec::new(),
    }
}
