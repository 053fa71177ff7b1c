//! What a plan does and leaves, by who moved and who may.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::app::{Automated, SyncRequest};
use crate::desired::TargetSet;
use crate::fixture::{self, app, as_live, judgement, live, live_object, matched, now, targets};
use crate::lint::lint;
use crate::live::LiveSet;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {KEY: git, OTHER: same}\n";

struct Case {
    app: App,
    targets: TargetSet,
    live: LiveSet,
    fights: Fights,
    pace: Pace,
    others: Others,
}

impl Case {
    fn new() -> Self {
        let app = app();
        let targets = targets(&app, CONFIG);
        let mut objects = as_live(&targets);
        let mut object = (*objects.remove(0).object).clone();
        object.set_at(&["data", "KEY"], "cluster".into());
        let live = live(vec![live_object(object)], &targets);
        Self {
            app,
            targets,
            live,
            fights: Fights::default(),
            pace: Pace::default(),
            others: Others::default(),
        }
    }

    fn automated(mut self, self_heal: bool) -> Self {
        self.app.automated = Some(Automated { prune: false, self_heal, allow_empty: false });
        self
    }

    fn plan(&self, comparison: &Comparison, authority: &Authority) -> SyncPlan {
        let context = PlanContext {
            app: &self.app,
            comparison,
            targets: &self.targets,
            live: &self.live,
            authority,
            fights: &self.fights,
            pace: &self.pace,
            others: &self.others,
            now: now(),
        };
        let plan = plan(&context);
        assert_eq!(lint(&self.app, &self.targets, &self.live, &plan), []);
        plan
    }

    fn by_policy(&self, comparison: &Comparison) -> SyncPlan {
        self.plan(comparison, &Authority::of_policy(&self.app).unwrap())
    }

    fn asked(&self, comparison: &Comparison, request: &SyncRequest) -> SyncPlan {
        self.plan(comparison, &Authority::of_request(&self.app, request))
    }

    fn key_moved(&self, origin: Origin) -> Comparison {
        matched(&self.targets, vec![judgement(&["data", "KEY"], origin)])
    }
}

/// No apply of ours is in the managedFields of any live object.
fn never_applied(case: &mut Case) {
    for live in case.live.objects.values_mut() {
        let mut object = (*live.object).clone();
        object.remove_at(&["metadata", "managedFields"]);
        live.object = std::sync::Arc::new(object);
    }
}

fn applied(plan: &SyncPlan) -> Value {
    match &plan.steps.first().expect("one step").action {
        Action::Apply { object, .. } => object.clone(),
        other => panic!("not an apply: {other:?}"),
    }
}

fn reasons(plan: &SyncPlan) -> Vec<HeldReason> {
    plan.held.iter().map(|held| held.reason.clone()).collect()
}

#[test]
fn a_commit_is_applied_by_policy() {
    let case = Case::new().automated(false);
    let plan = case.by_policy(&case.key_moved(Origin::Git));
    assert_eq!(applied(&plan).str_at(&["data", "KEY"]), Some("git"));
    assert!(plan.steps[0].corrects.is_empty(), "a commit is no correction");
}

#[test]
fn what_the_cluster_moved_stays_without_self_heal() {
    let case = Case::new().automated(false);
    let plan = case.by_policy(&case.key_moved(Origin::Cluster));
    assert!(plan.steps.is_empty());
    assert_eq!(reasons(&plan), [HeldReason::ClusterMoved]);
}

#[test]
fn self_heal_corrects_what_the_cluster_moved_and_remembers_whose_it_was() {
    let case = Case::new().automated(true);
    let plan = case.by_policy(&case.key_moved(Origin::Cluster));
    assert_eq!(applied(&plan).str_at(&["data", "KEY"]), Some("git"));
    assert_eq!(plan.steps[0].corrects[0].opponent.as_deref(), Some("kubectl-edit"));
    assert_eq!(
        plan.steps[0].precondition,
        Precondition::Unchanged(LiveVersion { uid: "u-a".into(), resource_version: "7".into() })
    );
}

#[test]
fn a_hotfix_survives_an_unrelated_commit_in_the_same_object() {
    let case = Case::new().automated(false);
    let mut comparison = case.key_moved(Origin::Cluster);
    comparison.objects[0].judgements.push(judgement(&["data", "OTHER"], Origin::Git));
    let object = applied(&case.by_policy(&comparison));
    assert_eq!(object.str_at(&["data", "KEY"]), None, "another manager owns it: it is left out");
    assert_eq!(object.str_at(&["data", "OTHER"]), Some("same"));
}

#[test]
fn a_kept_path_that_nobody_but_us_owns_is_sent_as_it_is_live() {
    let case = Case::new().automated(false);
    let kept = Judgement { ours: true, foreign: false, ..judgement(&["data", "KEY"], Origin::Cluster) };
    let comparison = matched(&case.targets, vec![kept, judgement(&["data", "OTHER"], Origin::Git)]);
    assert_eq!(applied(&case.by_policy(&comparison)).str_at(&["data", "KEY"]), Some("cluster"));
}

#[test]
fn a_kept_path_that_nobody_owns_does_not_become_ours() {
    let case = Case::new().automated(false);
    let kept = Judgement { ours: false, foreign: false, ..judgement(&["data", "KEY"], Origin::Cluster) };
    let comparison = matched(&case.targets, vec![kept, judgement(&["data", "OTHER"], Origin::Git)]);
    assert_eq!(applied(&case.by_policy(&comparison)).str_at(&["data", "KEY"]), None);
}

#[test]
fn what_both_moved_holds_its_whole_object() {
    let case = Case::new().automated(true);
    let mut comparison = case.key_moved(Origin::Both);
    comparison.objects[0].judgements.push(judgement(&["data", "OTHER"], Origin::Git));
    let plan = case.by_policy(&comparison);
    assert!(plan.steps.is_empty());
    assert_eq!(reasons(&plan), [HeldReason::BothMoved]);
}

#[test]
fn a_person_decides_what_both_moved() {
    let case = Case::new();
    let comparison = case.key_moved(Origin::Both);
    let overwrite = SyncRequest::default();
    assert_eq!(applied(&case.asked(&comparison, &overwrite)).str_at(&["data", "KEY"]), Some("git"));
    let keep = SyncRequest { drift: crate::app::DriftChoice::Keep, ..SyncRequest::default() };
    assert_eq!(reasons(&case.asked(&comparison, &keep)), [HeldReason::ClusterMoved]);
}

#[test]
fn keeping_drift_keeps_what_others_wrote_even_where_nothing_is_remembered() {
    let case = Case::new();
    let foreign = Judgement { foreign: true, ..judgement(&["data", "KEY"], Origin::Unknown) };
    let comparison = matched(&case.targets, vec![foreign]);
    let keep = SyncRequest { drift: crate::app::DriftChoice::Keep, ..SyncRequest::default() };
    assert_eq!(reasons(&case.asked(&comparison, &keep)), [HeldReason::ClusterMoved]);
    let overwrite = SyncRequest::default();
    assert_eq!(applied(&case.asked(&comparison, &overwrite)).str_at(&["data", "KEY"]), Some("git"));
}

#[test]
fn what_others_wrote_over_an_apply_of_ours_is_no_first_sync() {
    let foreign = Judgement { foreign: true, ours: false, ..judgement(&["data", "KEY"], Origin::Unknown) };
    let mut case = Case::new().automated(false);
    let comparison = matched(&case.targets, vec![foreign]);
    assert_eq!(reasons(&case.by_policy(&comparison)), [HeldReason::ClusterMoved]);
    never_applied(&mut case);
    assert_eq!(applied(&case.by_policy(&comparison)).str_at(&["data", "KEY"]), Some("git"), "a first sync");
    let healing = Case::new().automated(true);
    assert_eq!(applied(&healing.by_policy(&comparison)).str_at(&["data", "KEY"]), Some("git"));
}

#[test]
fn excused_paths_keep_their_live_values_even_for_a_person() {
    let case = Case::new();
    for excuse in [Excuse::Class, Excuse::Ignored, Excuse::Autoscaler(ResourceKey::new("", "", "", ""))] {
        let excused = Judgement { excuse: Some(excuse), ..judgement(&["data", "KEY"], Origin::Cluster) };
        let comparison = matched(&case.targets, vec![excused, judgement(&["data", "OTHER"], Origin::Git)]);
        let plan = case.asked(&comparison, &SyncRequest::default());
        assert_eq!(applied(&plan).str_at(&["data", "KEY"]), None);
        assert_eq!(reasons(&plan), [HeldReason::Excused]);
    }
}

#[test]
fn ignored_paths_are_applied_where_the_option_says_so() {
    let mut case = Case::new();
    case.app.options.respect_ignore = false;
    let ignored = Judgement { excuse: Some(Excuse::Ignored), ..judgement(&["data", "KEY"], Origin::Cluster) };
    let plan = case.asked(&matched(&case.targets, vec![ignored]), &SyncRequest::default());
    assert_eq!(applied(&plan).str_at(&["data", "KEY"]), Some("git"));
}

#[test]
fn additions_are_removed_only_on_request() {
    let case = Case::new();
    let addition = Judgement { channel: Channel::Undeclared, ..judgement(&["data", "KEY"], Origin::Cluster) };
    let comparison = matched(&case.targets, vec![addition]);
    assert_eq!(reasons(&case.asked(&comparison, &SyncRequest::default())), [HeldReason::Addition]);
    let request = SyncRequest { remove_additions: true, ..SyncRequest::default() };
    let plan = case.asked(&comparison, &request);
    let Action::Apply { removals, .. } = &plan.steps[0].action else { panic!("an apply") };
    assert_eq!((removals[0].pointer.as_str(), removals[0].observed.as_str()), ("/data/KEY", Some("cluster")));
}

#[test]
fn a_co_owned_field_that_git_dropped_is_removed_explicitly() {
    let case = Case::new();
    let mut dropped = judgement(&["data", "KEY"], Origin::Git);
    (dropped.pending_removal, dropped.foreign) = (true, true);
    let plan = case.asked(&matched(&case.targets, vec![dropped]), &SyncRequest::default());
    let Action::Apply { removals, .. } = &plan.steps[0].action else { panic!("an apply") };
    assert_eq!(removals.len(), 1);
}

#[test]
fn a_fight_stops_healing_of_its_path_for_a_while() {
    let mut case = Case::new().automated(true);
    let key = case.targets.targets.keys().next().unwrap().clone();
    for _ in 0..5 {
        case.fights.correct(
            (key.clone(), Some(FieldPath::fields(&["data", "KEY"]))),
            Some("tool".into()),
            now(),
        );
    }
    let plan = case.by_policy(&case.key_moved(Origin::Cluster));
    assert!(plan.steps.is_empty());
    assert!(matches!(&reasons(&plan)[0], HeldReason::Fight { opponent: Some(name), .. } if name == "tool"));
}

#[test]
fn a_read_only_application_is_never_written() {
    let mut case = Case::new().automated(true);
    case.app
        .unsupported
        .push(crate::app::Unsupported { place: "spec.source.helm".into(), what: "Helm".into() });
    let plan = case.by_policy(&case.key_moved(Origin::Git));
    assert!(plan.steps.is_empty());
    assert_eq!(reasons(&plan), [HeldReason::ReadOnly]);
}

#[test]
fn an_unknown_object_is_never_written() {
    let case = Case::new().automated(true);
    let mut comparison = case.key_moved(Origin::Cluster);
    comparison.objects[0].presence = Presence::Unobserved;
    let plan = case.by_policy(&comparison);
    assert!(plan.steps.is_empty());
    assert!(matches!(reasons(&plan)[0], HeldReason::Unknown { .. }));
}

#[test]
fn an_object_in_agreement_is_taken_over_only_by_a_person() {
    let mut case = Case::new().automated(true);
    let mut made_by_kubectl = (*case.live.objects.first_key_value().unwrap().1.object).clone();
    let entry = r#"[{"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"v1"}]"#;
    made_by_kubectl.set_at(&["metadata", "managedFields"], Value::from_json(entry.as_bytes()).unwrap());
    case.live = live(vec![live_object(made_by_kubectl)], &case.targets);
    let comparison = matched(&case.targets, Vec::new());
    assert!(case.by_policy(&comparison).steps.is_empty());
    assert_eq!(case.asked(&comparison, &SyncRequest::default()).steps.len(), 1);
}

fn extraneous(case: &mut Case, annotations: &[(&str, &str)]) -> Comparison {
    let mut object =
        fixture::value("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old, namespace: web}\n");
    let key = ResourceKey::of(&object).unwrap();
    let mark = crate::tracking::TrackingId::format("shop", &key, "web");
    object.set_at(&["metadata", "annotations", crate::tracking::TRACKING_ANNOTATION], mark.into());
    for (name, value) in annotations {
        object.set_at(&["metadata", "annotations", name], (*value).into());
    }
    let old = live_object(object);
    case.live.objects.insert(old.key.clone(), old.clone());
    let mut kept = matched(&case.targets, Vec::new()).objects.remove(0);
    kept.status = SyncStatus::Synced;
    let gone = ObjectComparison {
        key: old.key.clone(),
        gvk: old.gvk.clone(),
        presence: Presence::Extraneous,
        ..kept.clone()
    };
    fixture::comparison(vec![kept, gone])
}

fn pruning() -> SyncRequest {
    SyncRequest { prune: true, ..SyncRequest::default() }
}

#[test]
fn what_git_dropped_is_pruned_where_pruning_is_on() {
    let mut case = Case::new();
    let comparison = extraneous(&mut case, &[]);
    assert!(reasons(&case.asked(&comparison, &SyncRequest::default())).contains(&HeldReason::PruneOff));
    let plan = case.asked(&comparison, &pruning());
    assert!(plan.steps.iter().any(|step| matches!(step.action, Action::Delete { .. })));
}

#[test]
fn nothing_is_pruned_while_manifests_are_missing_from_view() {
    let mut case = Case::new();
    let comparison = extraneous(&mut case, &[]);
    case.targets = fixture::partial(case.targets);
    assert!(reasons(&case.asked(&comparison, &pruning())).contains(&HeldReason::TargetsIncomplete));
}

#[test]
fn an_object_that_asks_to_be_kept_is_kept() {
    for annotation in
        [("argocd.argoproj.io/sync-options", "Prune=false"), ("helm.sh/resource-policy", "keep")]
    {
        let mut case = Case::new();
        let comparison = extraneous(&mut case, &[annotation]);
        let plan = case.asked(&comparison, &pruning());
        assert!(plan.held.iter().any(|held| matches!(held.reason, HeldReason::PruneForbidden { .. })));
    }
}

#[test]
fn policy_never_prunes_everything() {
    let mut case = Case::new();
    let mut comparison = extraneous(&mut case, &[]);
    comparison.objects.retain(|object| object.presence == Presence::Extraneous);
    case.targets.targets.clear();
    case.app.automated = Some(Automated { prune: true, self_heal: true, allow_empty: false });
    assert_eq!(reasons(&case.by_policy(&comparison)), [HeldReason::WouldEmpty]);
    case.app.automated = Some(Automated { prune: true, self_heal: true, allow_empty: true });
    assert_eq!(case.by_policy(&comparison).steps.len(), 1);
}

#[test]
fn namespaces_and_definitions_come_before_what_needs_them() {
    let app = app();
    let targets = targets(
        &app,
        "{apiVersion: example.com/v1, kind: Ticket, metadata: {name: t}}\n---\n\
         {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}\n---\n\
         {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: tickets.example.com}}\n---\n\
         {apiVersion: v1, kind: Namespace, metadata: {name: web}}\n",
    );
    let live = live(Vec::new(), &targets);
    let comparison = missing_everywhere(&targets);
    let authority = Authority::of_request(&app, &SyncRequest::default());
    let fights = Fights::default();
    let context = PlanContext {
        app: &app,
        comparison: &comparison,
        targets: &targets,
        live: &live,
        authority: &authority,
        fights: &fights,
        pace: &Pace::default(),
        others: &Others::default(),
        now: now(),
    };
    let plan = plan(&context);
    let kinds: Vec<&str> = plan.steps.iter().map(|step| step.key.kind.as_str()).collect();
    assert_eq!(kinds, ["Namespace", "CustomResourceDefinition", "Deployment", "Ticket"]);
    assert_eq!(lint(&app, &targets, &live, &plan), []);
}

fn missing_everywhere(targets: &TargetSet) -> Comparison {
    let objects = targets
        .targets
        .values()
        .map(|target| {
            ObjectComparison::blank(&target.key, &target.gvk, Presence::Missing, SyncStatus::OutOfSync)
        })
        .collect();
    fixture::comparison(objects)
}

fn key_of(comparison: &Comparison, presence: Presence) -> ResourceKey {
    comparison.objects.iter().find(|object| object.presence == presence).unwrap().key.clone()
}

fn deletes(plan: &SyncPlan) -> bool {
    plan.steps.iter().any(|step| matches!(step.action, Action::Delete { .. }))
}

#[test]
fn what_another_application_declares_is_not_pruned_even_for_a_person() {
    let mut case = Case::new();
    let comparison = extraneous(&mut case, &[]);
    case.others.wanted.insert(key_of(&comparison, Presence::Extraneous), "next".into());
    let plan = case.asked(&comparison, &pruning());
    assert!(!deletes(&plan));
    assert!(reasons(&plan).contains(&HeldReason::WantedElsewhere { by: "next".into() }));
}

#[test]
fn policy_prunes_nothing_while_others_are_still_reading_the_commit() {
    let mut case = Case::new();
    let comparison = extraneous(&mut case, &[]);
    case.app.automated = Some(Automated { prune: true, self_heal: true, allow_empty: false });
    assert!(deletes(&case.by_policy(&comparison)));
    case.others.unread = true;
    let plan = case.by_policy(&comparison);
    assert!(!deletes(&plan));
    assert!(reasons(&plan).contains(&HeldReason::OthersUnread));
    assert!(deletes(&case.asked(&comparison, &pruning())), "a person need not wait");
}

#[test]
fn an_object_of_another_application_is_taken_by_policy_only_where_that_one_has_given_it_up() {
    let mut case = Case::new().automated(true);
    let key = case.targets.targets.keys().next().unwrap().clone();
    let mut object = Value::clone(&case.live.objects[&key].object);
    let mark = format!("other:/ConfigMap:{}/a", key.namespace);
    object.set_at(&["metadata", "annotations", crate::tracking::TRACKING_ANNOTATION], mark.into());
    case.live = live(vec![live_object(object)], &case.targets);
    // Marks are not compared: nothing differs.
    let comparison = matched(&case.targets, Vec::new());
    let plan = case.by_policy(&comparison);
    assert!(plan.steps.is_empty());
    assert_eq!(reasons(&plan), [HeldReason::Shared { with: "other".into() }]);
    case.others.given_up.insert(key.clone());
    let plan = case.by_policy(&comparison);
    let sent = applied(&plan);
    assert_eq!(case.app.tracking.owner(&sent, &key), Some(case.app.instance.clone()));
}
