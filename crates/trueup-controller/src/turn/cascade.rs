//! Deletion of an Application that asks for its objects to go with it (compat 3.5): the objects are pruned, then the
//! finalizer is taken away.

use trueup_api::Application;
use trueup_cluster::act::{self, Hand, Mode, Place};
use trueup_engine::app::Propagation;
use trueup_engine::live::Live;
use trueup_engine::look::Comparison;
use trueup_engine::plan::{Action, Precondition, Step, SyncPlan, kind_rank};
use trueup_engine::tracking;
use trueup_engine::unsupported::keeps_from_prune;
use trueup_object::{Text, Value};

use crate::applications;
use crate::staff::application_kind;
use crate::state::AppState;
use crate::turn::act::{Intention, Scene, concerned};

/// Finalizers by which an Application asks for its objects to be deleted, and how.
const FINALIZERS: [(&str, Propagation); 3] = [
    ("resources-finalizer.argocd.argoproj.io", Propagation::Foreground),
    ("resources-finalizer.argocd.argoproj.io/foreground", Propagation::Foreground),
    ("resources-finalizer.argocd.argoproj.io/background", Propagation::Background),
];

fn asked(application: &Application) -> Option<Propagation> {
    let finalizers = &application.metadata.finalizers;
    FINALIZERS.iter().find(|(name, _)| finalizers.iter().any(|known| known == name)).map(|(_, how)| *how)
}

/// The objects that go with the Application: tracked by it, not definitions, and not asking to be kept.
fn going<'a>(scene: &Scene<'a>) -> Vec<&'a Live> {
    let ours = |live: &&Live| {
        scene.app.tracks(&live.object, &live.key)
            && tracking::takes_mark(&live.key)
            && keeps_from_prune(&live.object).is_none()
            && !keeps_from_delete(&live.object)
    };
    scene.live.objects.values().filter(ours).collect()
}

fn keeps_from_delete(live: &Value) -> bool {
    live.str_at(&["metadata", "annotations", "argocd.argoproj.io/sync-options"])
        .is_some_and(|options| options.split(',').any(|option| option.trim() == "Delete=false"))
}

/// What is to be deleted now. Nothing while not every kind is observed: an object unseen would stay behind.
pub fn decide(scene: &Scene<'_>, application: &Application, comparison: &Comparison) -> Option<Intention> {
    let propagation = asked(application)?;
    let mut steps: Vec<Step> = going(scene)
        .into_iter()
        .filter(|live| !live.is_deleting())
        .map(|live| Step {
            key: live.key.clone(),
            gvk: live.gvk.clone(),
            action: Action::Delete { propagation },
            precondition: Precondition::Unchanged(live.version.clone()),
            corrects: Vec::new(),
        })
        .collect();
    steps.sort_by_key(|step| (std::cmp::Reverse(kind_rank(&step.key)), step.key.clone()));
    let plan = SyncPlan { steps, held: Vec::new() };
    (!plan.steps.is_empty()).then(|| Intention {
        comparison: concerned(comparison, &plan),
        plan,
        mode: Mode::Real,
        reason: "the Application is being deleted".to_owned(),
        heals: true,
        by_policy: false,
    })
}

/// Takes the finalizer away once nothing is left, and everything was observed.
pub async fn conclude(scene: &Scene<'_>, application: &Application, state: &AppState) {
    let unsure = state.comparison.as_ref().is_none_or(|comparison| {
        comparison.objects.iter().any(|object| object.presence == trueup_engine::look::Presence::Unobserved)
    });
    if asked(application).is_none() || !going(scene).is_empty() || unsure {
        return;
    }
    let left: Vec<Value> = application
        .metadata
        .finalizers
        .iter()
        .filter(|known| !FINALIZERS.iter().any(|(name, _)| known == name))
        .map(|name| Value::Str(Text::clone(name)))
        .collect();
    let mut patch = Value::default();
    patch.set_at(&["metadata", "finalizers"], Value::List(left));
    patch.set_at(&["metadata", "resourceVersion"], application.metadata.resource_version.clone().into());
    let wire = &scene.installation.sites.home.cluster.connection().wire;
    let kind = applications::served(scene.installation, &application_kind());
    let place = Place { kind: &kind, namespace: &state.key.namespace, name: &state.key.name };
    if let Err(error) = act::patch_merge(wire, place, &patch, &Hand::real()).await {
        tracing::warn!(application = %state.key, %error, "the finalizer could not be removed; it is tried again");
    }
}
