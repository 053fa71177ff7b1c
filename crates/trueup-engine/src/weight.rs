//! What counts: whether an undeclared addition is drift, a note or nothing (detection.md 2, the table).
//!
//! The table is data, and so is what overrides it: rules of an application, of its project and of the installation, in that
//! order. The first rule that is about an addition decides.

use trueup_object::{FieldPath, PathElement, ResourceKey, Value};

use crate::app::Weight;
use crate::difference::Class;
use crate::settings::KindPattern;

/// One row: what an addition at certain paths of certain objects is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRule {
    pub kind: KindPattern,
    /// A path as it is written, in which `*` stands for anything; it covers what lies below. Empty: everything.
    pub path: String,
    pub weight: Weight,
}

/// What a project or an installation says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Level {
    /// What an addition is worth at most.
    pub word: Option<Weight>,
    pub rules: Vec<CountRule>,
}

/// A row of the built-in table.
struct Row {
    path: &'static str,
    /// Only for additions by this class.
    class: Option<Class>,
    weight: Weight,
}

const fn row(path: &'static str, class: Option<Class>, weight: Weight) -> Row {
    Row { path, class, weight }
}

/// Every restart by kubectl, k9s, Lens or a dashboard writes this on the pod template: an action, not a setting.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// The table; the first row that fits decides. Annotations that change what a cluster does come before the others: who adds
/// one by whatever means changes behaviour.
const TABLE: [Row; 24] = [
    row(".spec*[\"kubectl.kubernetes.io/restartedAt\"]", None, Weight::Note),
    row(".metadata.annotations[\"eks.amazonaws.com/*", None, Weight::Drift),
    row(".metadata.annotations[\"iam.amazonaws.com/*", None, Weight::Drift),
    row(".metadata.annotations[\"iam.gke.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"azure.workload.identity/*", None, Weight::Drift),
    row(".metadata.annotations[\"nginx.ingress.kubernetes.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"alb.ingress.kubernetes.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"traefik.ingress.kubernetes.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"haproxy.org/*", None, Weight::Drift),
    row(".metadata.annotations[\"service.beta.kubernetes.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"external-dns.alpha.kubernetes.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"cert-manager.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"argocd.argoproj.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"helm.sh/resource-policy*", None, Weight::Drift),
    row(".metadata.annotations[\"sidecar.istio.io/*", None, Weight::Drift),
    row(".metadata.annotations[\"linkerd.io/inject*", None, Weight::Drift),
    row(".metadata.annotations[\"vault.hashicorp.com/*", None, Weight::Drift),
    row(".metadata.annotations", Some(Class::Manual), Weight::Drift),
    row(".metadata.annotations", None, Weight::Note),
    row(".metadata.labels", None, Weight::Drift),
    row(".metadata.finalizers", None, Weight::Note),
    row(".metadata.ownerReferences", None, Weight::Note),
    row(".metadata", None, Weight::Nothing),
    row("", None, Weight::Drift),
];

/// What an undeclared addition at a path is worth by itself.
pub fn default_weight(path: &FieldPath, class: Class) -> Weight {
    let path = path.to_string();
    let fits = |row: &&Row| row.class.is_none_or(|wanted| wanted == class) && covers(row.path, &path);
    TABLE.iter().find(fits).map_or(Weight::Drift, |row| row.weight)
}

/// What it is worth with what the levels say, the narrowest first. A rule says exactly what an addition is; a word what it is
/// at most, of rules of wider levels and the table alike. A narrower word takes the place of a wider one.
pub fn weight<'a>(
    key: &ResourceKey,
    path: &FieldPath,
    class: Class,
    levels: impl IntoIterator<Item = (Option<Weight>, &'a [CountRule])>,
) -> Weight {
    let text = path.to_string();
    let mut most: Option<Weight> = None;
    let capped = |most: Option<Weight>, weight: Weight| most.map_or(weight, |most| weight.min(most));
    for (word, rules) in levels {
        let fits = |rule: &&CountRule| rule.kind.matches(&key.group_kind()) && covers(&rule.path, &text);
        if let Some(rule) = rules.iter().find(fits) {
            return capped(most, rule.weight);
        }
        most = most.or(word);
    }
    capped(most, default_weight(path, class))
}

/// Whether a pattern is of a path, or of what it lies in.
fn covers(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        let rest = path.strip_prefix(pattern);
        return rest
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']) || pattern.is_empty());
    };
    let Some(rest) = path.strip_prefix(before) else { return false };
    // `*` at the end covers everything that follows.
    after.is_empty()
        || (0..=rest.len())
            .filter(|at| rest.is_char_boundary(*at))
            .any(|at| rest.get(at..).is_some_and(|rest| covers_rest(after, rest)))
}

/// As `covers`, for what follows a `*`: it may match nothing else.
fn covers_rest(pattern: &str, path: &str) -> bool {
    !path.is_empty() && covers(pattern, path)
}

/// Whether a path is the mark of a restart.
pub fn is_restart(path: &FieldPath) -> bool {
    matches!(path.elements().last(), Some(PathElement::Field(name)) if name == RESTARTED_AT)
        && path.starts_with_fields(&["spec"])
}

/// Reads rules as they are written: a YAML list of `group`, `kind` (globs, everything where they are left out), `path` and
/// `weight`. Gives those that make sense, and of the others the number, from 0, and what is wrong.
pub fn read_rules(text: &str) -> (Vec<CountRule>, Vec<(usize, String)>) {
    let list = match Value::from_yaml(text.as_bytes()) {
        Ok(Value::List(list)) => list,
        Ok(_) => return (Vec::new(), vec![(0, "it is no list".to_owned())]),
        Err(error) => return (Vec::new(), vec![(0, error.to_string())]),
    };
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    for (index, item) in list.iter().enumerate() {
        match read_rule(item) {
            Ok(rule) => rules.push(rule),
            Err(why) => wrong.push((index, why)),
        }
    }
    (rules, wrong)
}

fn read_rule(item: &Value) -> Result<CountRule, String> {
    let Some(map) = item.as_map() else { return Err("it is no map".to_owned()) };
    if let Some((name, _)) = map.iter().find(|(name, _)| !["group", "kind", "path", "weight"].contains(name))
    {
        return Err(format!("there is no `{name}`; known are group, kind, path and weight"));
    }
    let text = |name: &str| match map.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(format!("`{name}` is no text")),
    };
    let path = text("path")?.unwrap_or_default().to_owned();
    if !(path.is_empty() || path.starts_with('.')) {
        return Err(format!("`{path}` is no path; write it as in a difference, such as .metadata.labels"));
    }
    // Unquoted, YAML takes `off` for a boolean.
    let weight = match map.get("weight") {
        Some(Value::Bool(false)) => "off",
        Some(_) | None => text("weight")?.unwrap_or_default(),
    };
    let weight = word(weight).ok_or_else(|| format!("`{weight}` is no weight; give drift, note or off"))?;
    let kind = KindPattern::new(text("group")?.unwrap_or("*"), text("kind")?.unwrap_or("*"))
        .map_err(|error| error.to_string())?;
    Ok(CountRule { kind, path, weight })
}

/// A weight as people write it.
pub fn word(text: &str) -> Option<Weight> {
    match text {
        "drift" => Some(Weight::Drift),
        "note" => Some(Weight::Note),
        "off" => Some(Weight::Nothing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&str], class: Class) -> Weight {
        default_weight(&FieldPath::fields(fields), class)
    }

    fn config_map() -> ResourceKey {
        ResourceKey::new("", "ConfigMap", "web", "settings")
    }

    #[test]
    fn bodies_and_labels_are_drift() {
        assert_eq!(of(&["spec", "template", "spec", "hostNetwork"], Class::Unattributed), Weight::Drift);
        assert_eq!(of(&["data", "KEY"], Class::Manual), Weight::Drift);
        assert_eq!(of(&["metadata", "labels", "team"], Class::Automation), Weight::Drift);
        assert_eq!(
            of(&["spec", "template", "metadata", "annotations", "a"], Class::Automation),
            Weight::Drift
        );
    }

    #[test]
    fn an_annotation_is_drift_by_hand_or_by_effect() {
        assert_eq!(of(&["metadata", "annotations", "example.com/note"], Class::Automation), Weight::Note);
        assert_eq!(of(&["metadata", "annotations", "plain"], Class::Automation), Weight::Note);
        assert_eq!(of(&["metadata", "annotations", "example.com/note"], Class::Manual), Weight::Drift);
        assert_eq!(
            of(&["metadata", "annotations", "eks.amazonaws.com/role-arn"], Class::Automation),
            Weight::Drift
        );
    }

    #[test]
    fn a_restart_is_a_note() {
        assert_eq!(
            of(&["spec", "template", "metadata", "annotations", RESTARTED_AT], Class::Manual),
            Weight::Note
        );
    }

    #[test]
    fn finalizers_and_owners_are_notes() {
        assert_eq!(of(&["metadata", "finalizers"], Class::Manual), Weight::Note);
        assert_eq!(of(&["metadata", "ownerReferences"], Class::Controller), Weight::Note);
        assert_eq!(of(&["metadata", "generateName"], Class::Manual), Weight::Nothing);
    }

    #[test]
    fn a_word_can_only_lower_the_weight_and_a_narrower_one_goes_first() {
        let path = FieldPath::fields(&["data", "KEY"]);
        let none: &[CountRule] = &[];
        let worth = |words: &[Option<Weight>]| {
            weight(&config_map(), &path, Class::Manual, words.iter().map(|word| (*word, none)))
        };
        assert_eq!(worth(&[Some(Weight::Note)]), Weight::Note);
        assert_eq!(worth(&[Some(Weight::Nothing)]), Weight::Nothing);
        assert_eq!(worth(&[Some(Weight::Drift), Some(Weight::Note)]), Weight::Drift);
        assert_eq!(worth(&[None, Some(Weight::Note)]), Weight::Note);
        let restart = FieldPath::fields(&["spec", "template", "metadata", "annotations", RESTARTED_AT]);
        let worth = weight(&config_map(), &restart, Class::Manual, [(Some(Weight::Drift), none)]);
        assert_eq!(worth, Weight::Note);
    }

    #[test]
    fn a_rule_says_exactly_what_an_addition_is() {
        let (rules, wrong) = read_rules(
            "- {kind: ConfigMap, path: .metadata.finalizers, weight: drift}\n\
             - {kind: 'Config*', path: '.metadata.labels[\"example.com/*\"]', weight: off}\n\
             - {group: apps, weight: note}\n\
             - {path: labels, weight: drift}\n- {weight: much}\n- {weight: off, knd: A}\n",
        );
        assert_eq!(
            (rules.len(), wrong.iter().map(|(index, _)| *index).collect::<Vec<_>>()),
            (3, vec![3, 4, 5])
        );
        let worth = |fields: &[&str]| {
            weight(&config_map(), &FieldPath::fields(fields), Class::Manual, [(None, &*rules)])
        };
        assert_eq!(worth(&["metadata", "finalizers"]), Weight::Drift);
        assert_eq!(worth(&["metadata", "labels", "example.com/a"]), Weight::Nothing);
        assert_eq!(worth(&["metadata", "labels", "team"]), Weight::Drift);
        let deployment = ResourceKey::new("apps", "Deployment", "web", "a");
        let path = FieldPath::fields(&["spec", "paused"]);
        let levels = [(Some(Weight::Nothing), &[][..]), (None, &*rules)];
        assert_eq!(weight(&deployment, &path, Class::Manual, [levels[1]]), Weight::Note);
        assert_eq!(weight(&deployment, &path, Class::Manual, levels), Weight::Nothing, "the narrower word");
    }

    #[test]
    fn patterns_end_where_names_end() {
        assert!(covers(".metadata.labels", ".metadata.labels.team"));
        assert!(covers(".metadata.labels", ".metadata.labels[\"a/b\"]"));
        assert!(!covers(".metadata.label", ".metadata.labels"));
        assert!(covers(".spec.*.image", ".spec.template.spec.image.tag"));
        assert!(!covers(".spec.*.image", ".spec.template.spec.imagePullPolicy"));
        assert!(covers("", ".a"));
    }
}
