//! `resource.exclusions` and `resource.inclusions`: the kinds that an installation does not look at.

use globset::GlobMatcher;
use trueup_object::{GroupKind, ResourceKey, Text, Value};

use super::{ARGOCD, ConfigData, Settings, matcher};
use crate::app::ClusterName;
use crate::condition::{Condition, ConditionType};
use crate::desired::TargetSet;
use crate::live::LiveSet;

/// The address under which a cluster knows its own API server.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";

/// Kinds that Argo CD never manages (compat 2.5).
const NEVER: [(&str, &str); 4] =
    [("events.k8s.io", "*"), ("metrics.k8s.io", "*"), ("", "Event"), ("coordination.k8s.io", "Lease")];

/// Which kinds are looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KindFilter {
    exclusions: Vec<FilterRule>,
    inclusions: Vec<FilterRule>,
}

/// One item of either list. An empty part fits everything.
#[derive(Debug, Clone)]
pub struct FilterRule {
    /// Globs.
    groups: Vec<(Text, GlobMatcher)>,
    /// Exact, or `*`.
    kinds: Vec<Text>,
    /// Globs of the addresses of API servers.
    clusters: Vec<(Text, GlobMatcher)>,
}

impl PartialEq for FilterRule {
    fn eq(&self, other: &Self) -> bool {
        let texts =
            |globs: &[(Text, GlobMatcher)]| globs.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        self.kinds == other.kinds
            && texts(&self.groups) == texts(&other.groups)
            && texts(&self.clusters) == texts(&other.clusters)
    }
}

impl FilterRule {
    fn is_for(&self, cluster: &str) -> bool {
        self.clusters.is_empty() || self.clusters.iter().any(|(_, glob)| glob.is_match(cluster))
    }

    fn fits(&self, kind: &GroupKind, cluster: &str) -> bool {
        let group =
            self.groups.is_empty() || self.groups.iter().any(|(_, glob)| glob.is_match(kind.group.as_str()));
        let named = self.kinds.is_empty() || self.kinds.iter().any(|name| name == "*" || *name == kind.kind);
        group && named && self.is_for(cluster)
    }
}

impl KindFilter {
    /// Whether objects of a kind are left alone in a cluster, which is named by the address of its API server.
    pub fn excludes(&self, kind: &GroupKind, cluster: &str) -> bool {
        let never =
            NEVER.iter().any(|(group, name)| kind.group == *group && (*name == "*" || kind.kind == *name));
        let excluded = || self.exclusions.iter().any(|rule| rule.fits(kind, cluster));
        let left_out = || {
            let mut chosen = self.inclusions.iter().filter(|rule| rule.is_for(cluster)).peekable();
            chosen.peek().is_some() && !chosen.any(|rule| rule.fits(kind, cluster))
        };
        never || excluded() || left_out()
    }
}

impl Settings {
    /// Takes the kinds that are not looked at out of both sides. What is there of them is neither compared nor pruned.
    pub fn leave_out(&self, cluster: &ClusterName, targets: &mut TargetSet, live: &mut LiveSet) {
        let address = match cluster {
            ClusterName::InCluster => IN_CLUSTER,
            ClusterName::Server(address) => address,
            ClusterName::Name(name) => name,
        };
        let excluded = |key: &ResourceKey| self.filter.excludes(&key.group_kind(), address);
        let conditions = &mut targets.conditions;
        targets.targets.retain(|key, _| {
            let out = excluded(key);
            if out {
                let message = format!(
                    "{key} is of a kind that resource.exclusions or resource.inclusions of argocd-cm leave out; it is neither \
                     compared nor applied: remove it from Git, or let its kind in"
                );
                conditions.push(Condition::new(ConditionType::ExcludedResourceWarning, message));
            }
            !out
        });
        live.objects.retain(|key, _| !excluded(key));
        live.unread.retain(|key, _| !excluded(key));
    }
}

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) {
    settings.filter.exclusions = list(argocd, "resource.exclusions", settings);
    settings.filter.inclusions = list(argocd, "resource.inclusions", settings);
}

fn list(argocd: &ConfigData, key: &str, settings: &mut Settings) -> Vec<FilterRule> {
    let Some(text) = argocd.get(key) else { return Vec::new() };
    let value = match Value::from_yaml(text.as_bytes()) {
        Ok(value) => value,
        Err(error) => {
            settings.problem(
                ARGOCD,
                key,
                Some(error.line),
                error.message,
                "correct the YAML; until then it holds nothing",
            );
            return Vec::new();
        }
    };
    if value.as_list().is_none() && !value.is_null() {
        let remedy = "write a list of {apiGroups, kinds, clusters}";
        settings.problem(ARGOCD, key, None, format!("found a {}", value.type_name()), remedy);
    }
    let mut rules = Vec::new();
    for (index, item) in value.as_list().unwrap_or_default().iter().enumerate() {
        match rule(item) {
            Ok(rule) => rules.push(rule),
            Err(message) => {
                let remedy = "give lists of texts for apiGroups, kinds and clusters";
                settings.problem(ARGOCD, key, None, format!("item {}: {message}", index + 1), remedy);
            }
        }
    }
    rules
}

fn rule(item: &Value) -> Result<FilterRule, String> {
    if item.as_map().is_none() {
        return Err(format!("found a {}", item.type_name()));
    }
    let texts = |name: &str| -> Result<Vec<Text>, String> {
        match item.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .iter()
                .map(|item| {
                    item.as_str().map(Text::from).ok_or_else(|| format!("{name} has a {}", item.type_name()))
                })
                .collect(),
            Some(other) => Err(format!("{name} is a {}", other.type_name())),
        }
    };
    let globs = |name: &str| -> Result<Vec<(Text, GlobMatcher)>, String> {
        let compiled = texts(name)?.into_iter().map(|text| {
            let glob = matcher(&text).map_err(|_| format!("{text:?} in {name} is no pattern"))?;
            Ok((text, glob))
        });
        compiled.collect()
    };
    Ok(FilterRule { groups: globs("apiGroups")?, kinds: texts("kinds")?, clusters: globs("clusters")? })
}
