//! What is wrong with ignore rules, and how they would be right: a rule that hides nothing says so here and nowhere else.

use std::collections::BTreeSet;

use trueup_diff::{IgnoreRule, IgnoreSpec};
use trueup_object::{GroupKind, Map, Text, Value};

use super::{RuleCount, RuleSource};
use crate::settings::COMPARE_OPTIONS;

/// Something about one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct LintFinding {
    /// `ignoreDifferences[0]`.
    pub place: Text,
    /// What is wrong.
    pub message: String,
    /// The rule as it is probably meant; nothing where that cannot be told.
    pub corrected: Option<IgnoreSpec>,
}

/// Groups of the kinds that people name most without their group.
const GROUPS: [(&str, &str); 20] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("policy", "PodDisruptionBudget"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiregistration.k8s.io", "APIService"),
    ("storage.k8s.io", "StorageClass"),
    ("scheduling.k8s.io", "PriorityClass"),
];

/// Kinds of the core group.
const CORE: [&str; 10] = [
    "ConfigMap",
    "Secret",
    "Service",
    "ServiceAccount",
    "Pod",
    "Namespace",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "Endpoints",
    "ReplicationController",
];

/// Looks at the rules of an Application as they are written. `kinds` are those of its objects, as far as they are known.
pub fn written(specs: &[IgnoreSpec], kinds: &BTreeSet<GroupKind>) -> Vec<LintFinding> {
    let mut found = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let mut fixed = spec.clone();
        let mut messages = Vec::new();
        group(&mut fixed, &mut messages);
        kind(&mut fixed, kinds, &mut messages);
        pointers(&mut fixed, &mut messages);
        let usable = IgnoreRule::new(&fixed);
        if let Err(error) = &usable {
            messages.push(format!("{error}; {}", error.remedy()));
        }
        if spec.paths().next().is_none() {
            messages.push("it names no path, and hides nothing".to_owned());
        }
        let corrected = (fixed != *spec && usable.is_ok()).then_some(fixed);
        found.extend((!messages.is_empty()).then(|| LintFinding {
            place: Text::from(format!("ignoreDifferences[{index}]")),
            message: messages.join("; "),
            corrected,
        }));
    }
    found
}

fn group(spec: &mut IgnoreSpec, messages: &mut Vec<String>) {
    if let Some((group, version)) = spec.group.clone().split_once('/') {
        messages.push(format!("the group has the version {version}: no object is of such a group"));
        spec.group = group.to_owned();
    }
    if spec.group == "core"
        || (spec.group.starts_with('v') && spec.group[1..].starts_with(|char: char| char.is_ascii_digit()))
    {
        messages.push(format!("the core group is written as an empty text, not as {}", spec.group));
        spec.group = String::new();
    }
}

fn kind(spec: &mut IgnoreSpec, kinds: &BTreeSet<GroupKind>, messages: &mut Vec<String>) {
    if spec.kind.contains(['*', '?', '{', '[']) {
        return;
    }
    let table = GROUPS.iter().map(|(group, kind)| GroupKind::new(group, kind));
    let core = CORE.iter().map(|kind| GroupKind::new("", kind));
    let known: Vec<GroupKind> = kinds.iter().cloned().chain(table).chain(core).collect();
    if let Some(right) = known.iter().find(|known| known.kind.eq_ignore_ascii_case(&spec.kind))
        && !known.iter().any(|known| known.kind == spec.kind.as_str())
    {
        messages.push(format!("the kind is written {}", right.kind));
        spec.kind = right.kind.to_string();
    }
    let same: Vec<&GroupKind> = known.iter().filter(|known| known.kind == spec.kind.as_str()).collect();
    let globbed = spec.group.contains(['*', '?', '{', '[']);
    if let Some(right) = same.first()
        && !globbed
        && !same.iter().any(|known| known.group == spec.group.as_str())
    {
        let empty = if spec.group.is_empty() { "empty".to_owned() } else { spec.group.clone() };
        messages.push(format!(
            "{} is of the group {}, not of the {empty} one",
            spec.kind,
            shown(&right.group)
        ));
        spec.group = right.group.to_string();
    }
}

fn shown(group: &str) -> String {
    if group.is_empty() { "\"\"".to_owned() } else { group.to_owned() }
}

fn pointers(spec: &mut IgnoreSpec, messages: &mut Vec<String>) {
    for pointer in &mut spec.json_pointers {
        if pointer.starts_with('/') || pointer.is_empty() {
            continue;
        }
        let fixed = if pointer.contains('/') {
            format!("/{pointer}")
        } else {
            format!("/{}", pointer.trim_start_matches('.').replace('.', "/"))
        };
        messages.push(format!("`{pointer}` is no JSON pointer: those begin with / and have / between names"));
        *pointer = fixed;
    }
}

/// What came of the rules when they were used.
pub fn used(counts: &[RuleCount]) -> Vec<LintFinding> {
    let finding = |count: &RuleCount| {
        let message = said(count)?;
        let RuleCount { source, .. } = count;
        let place = match source {
            RuleSource::Application => count.place.clone(),
            RuleSource::Settings | RuleSource::Annotation => {
                Text::from(format!("{} {}", source.as_str(), count.place))
            }
        };
        Some(LintFinding { place, message, corrected: None })
    };
    counts.iter().filter_map(finding).collect()
}

/// Why a rule hides nothing, or not everywhere what it should; nothing where it does its work.
pub fn said(count: &RuleCount) -> Option<String> {
    said_of(count, "of the application")
}

/// The same of other objects than those of an application.
pub fn said_of(count: &RuleCount, whose: &str) -> Option<String> {
    let RuleCount { kinds, path, objects, matches, failure, over, place, .. } = count;
    if *over {
        let remedy = "remove it, or give it another `until`";
        return Some(format!("the time of `{path}` is over: it hides nothing; {remedy}"));
    }
    if let Some((key, why)) = failure {
        let hint =
            if why.contains("cannot iterate") { "; write []? where something may be missing" } else { "" };
        return Some(format!("`{path}` fails on {}/{}: {why}{hint}", key.kind, key.name));
    }
    // An option of the installation is nobody's rule: where there is nothing for it to hide, all is well.
    if *place == COMPARE_OPTIONS {
        return None;
    }
    match (*objects, *matches) {
        (0, _) => Some(format!("no object {whose} is {kinds}: `{path}` hides nothing")),
        (_, 0) => Some(format!("`{path}` matches no field in {objects} of {kinds}: it hides nothing")),
        _ => None,
    }
}

/// What is worth reporting of a rule where its author may not be the application's: one of the installation may well have
/// nothing to hide here.
pub fn reported(count: &RuleCount) -> Option<String> {
    let is_own = match count.source {
        RuleSource::Application | RuleSource::Annotation => true,
        RuleSource::Settings => false,
    };
    said(count).filter(|_| is_own || count.over || count.failure.is_some())
}

/// A rule as it stands in `ignoreDifferences`.
pub fn to_value(spec: &IgnoreSpec) -> Value {
    let IgnoreSpec { group, kind, name, namespace, .. } = spec;
    let mut map = Map::new();
    for (field, text) in [("group", group), ("kind", kind), ("name", name), ("namespace", namespace)] {
        if !text.is_empty() {
            map.insert(field, Value::from(text.as_str()));
        }
    }
    for (field, texts) in [
        ("jsonPointers", &spec.json_pointers),
        ("jqPathExpressions", &spec.jq_path_expressions),
        ("managedFieldsManagers", &spec.managed_fields_managers),
    ] {
        if !texts.is_empty() {
            map.insert(field, Value::List(texts.iter().map(|text| Value::from(text.as_str())).collect()));
        }
    }
    Value::Map(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(group: &str, kind: &str, pointer: &str) -> IgnoreSpec {
        let json_pointers = vec![pointer.to_owned()];
        IgnoreSpec { group: group.into(), kind: kind.into(), json_pointers, ..IgnoreSpec::default() }
    }

    fn lint(spec: IgnoreSpec) -> Option<(String, Option<String>)> {
        let found = written(&[spec], &BTreeSet::from([GroupKind::new("example.com", "Gateway")]));
        found.into_iter().next().map(|it| (it.message, it.corrected.map(|spec| to_value(&spec).to_json())))
    }

    #[test]
    fn rules_are_put_right() {
        let right = r#"{"group":"apps","jsonPointers":["/spec/replicas"],"kind":"Deployment"}"#;
        for (group, kind, pointer) in [
            ("apps/v1", "Deployment", "/spec/replicas"),
            ("", "Deployment", "/spec/replicas"),
            ("apps", "deployment", "/spec/replicas"),
            ("apps", "Deployment", "spec/replicas"),
            ("apps", "Deployment", ".spec.replicas"),
            ("apps", "Deployment", "spec.replicas"),
            ("extensions", "Deployment", "/spec/replicas"),
        ] {
            let found = lint(spec(group, kind, pointer));
            assert_eq!(
                found.and_then(|(_, corrected)| corrected).as_deref(),
                Some(right),
                "{group} {kind} {pointer}"
            );
        }
        let core = r#"{"jsonPointers":["/data"],"kind":"ConfigMap"}"#;
        for group in ["core", "v1", "core/v1"] {
            let found = lint(spec(group, "ConfigMap", "/data"));
            assert_eq!(found.and_then(|(_, corrected)| corrected).as_deref(), Some(core), "{group}");
        }
        let found = lint(spec("", "gateway", "/spec"));
        assert!(
            found.is_some_and(|(_, corrected)| corrected.is_some_and(|text| text.contains("example.com")))
        );
    }

    #[test]
    fn right_rules_are_left_alone() {
        assert_eq!(lint(spec("apps", "Deployment", "/spec/replicas")), None);
        assert_eq!(lint(spec("*", "*", "/spec/replicas")), None);
        assert_eq!(lint(spec("", "Secret", "/data")), None);
        assert_eq!(lint(spec("other.example.com", "Thing", "/data")), None);
    }

    #[test]
    fn what_cannot_be_read_is_told_without_a_correction() {
        let wrong =
            IgnoreSpec { jq_path_expressions: vec![".a[".into()], ..spec("apps", "Deployment", "/a") };
        assert!(
            lint(wrong).is_some_and(|(message, corrected)| message.contains(".a[") && corrected.is_none())
        );
        assert!(lint(IgnoreSpec { json_pointers: Vec::new(), ..spec("", "Secret", "") }).is_some());
    }

    /// Complaint 3: a rule that cannot match, or matches nothing, or fails, is silent elsewhere.
    #[test]
    fn pain_03_dead_ignore_rules_are_named() {
        for (group, kind, corrected) in
            [("core", "Service", "Service"), ("apps/v1", "Deployment", r#""group":"apps""#)]
        {
            let found = lint(spec(group, kind, "/spec/replicas"));
            assert!(
                found.and_then(|(_, right)| right).is_some_and(|right| right.contains(corrected)
                    && !right.contains("core")
                    && !right.contains("apps/v1")),
                "{group}"
            );
        }
        let count = |path: &str, matches, failure| RuleCount {
            source: RuleSource::Application,
            place: "ignoreDifferences[0]".into(),
            kinds: "*/*".into(),
            path: path.into(),
            objects: 1,
            matches,
            failure,
            over: false,
        };
        let failed = (
            trueup_object::ResourceKey::new("apps", "Deployment", "a", "web"),
            "cannot iterate over: null".to_owned(),
        );
        let found = used(&[
            count(".spec.a, .spec.b", 2, None),
            count(".spec.c", 0, None),
            count(".spec.d[]", 0, Some(failed)),
        ]);
        let messages: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("matches no field"), "{messages:?}");
        assert!(messages[1].contains("cannot iterate over: null"), "{messages:?}");
    }

    #[test]
    fn rules_that_do_nothing_are_named() {
        let count = RuleCount {
            source: RuleSource::Application,
            place: "ignoreDifferences[0]".into(),
            kinds: "apps/Deployment".into(),
            path: "/spec/x".into(),
            objects: 2,
            matches: 0,
            failure: None,
            over: false,
        };
        let said = |count: &RuleCount| used(std::slice::from_ref(count)).pop().map(|it| it.message);
        assert!(said(&count).is_some_and(|text| text.contains("matches no field in 2")));
        assert!(
            said(&RuleCount { objects: 0, ..count.clone() }).is_some_and(|text| text.contains("no object"))
        );
        assert!(
            said(&RuleCount { over: true, ..count.clone() }).is_some_and(|text| text.contains("is over"))
        );
        assert_eq!(said(&RuleCount { matches: 1, ..count.clone() }), None);
        let failure = Some((
            trueup_object::ResourceKey::new("apps", "Deployment", "a", "web"),
            "cannot iterate over: null".to_owned(),
        ));
        assert!(said(&RuleCount { failure, ..count }).is_some_and(|text| text.contains("[]?")));
    }
}
