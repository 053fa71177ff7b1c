//! `resource.compareoptions`.

use trueup_object::{GroupKind, Value};

use super::{ARGOCD, ConfigData, RuleDetail, Settings};
use crate::ignore::{IgnoreError, IgnoreSpec, Rule, RuleSource};

/// The setting's key.
pub const COMPARE_OPTIONS: &str = "resource.compareoptions";

const KEY: &str = COMPARE_OPTIONS;

/// How objects are compared, for the whole installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompareOptions {
    /// The rules of every aggregated role belong to the aggregation controller.
    pub ignore_aggregated_roles: bool,
    pub ignore_status: StatusField,
    /// What ignore rules hide is no reason to look again either.
    pub ignore_differences_on_updates: bool,
}

impl Default for CompareOptions {
    /// Argo CD's.
    fn default() -> Self {
        Self {
            ignore_aggregated_roles: false,
            ignore_status: StatusField::All,
            ignore_differences_on_updates: true,
        }
    }
}

impl CompareOptions {
    /// Whether a `status` that Git declares is compared in objects of a kind.
    pub fn compares_status(&self, kind: &GroupKind) -> bool {
        match self.ignore_status {
            StatusField::All => false,
            StatusField::Crd => !kind.is("apiextensions.k8s.io", "CustomResourceDefinition"),
            StatusField::None => true,
        }
    }
}

/// Of which kinds a declared `status` is left alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StatusField {
    #[default]
    All,
    /// Of definitions of custom resources.
    Crd,
    None,
}

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) {
    read_options(argocd, settings);
    if settings.compare.ignore_aggregated_roles {
        // Of a rule that is written here, and not by anybody, all paths are well.
        settings.ignore.extend(aggregated_roles().unwrap_or_default());
    }
}

/// Roles that are put together of others: their rules are the aggregation controller's, whatever Git declares.
fn aggregated_roles() -> Result<Vec<Rule>, IgnoreError> {
    let spec = IgnoreSpec {
        group: "rbac.authorization.k8s.io".to_owned(),
        kind: "{ClusterRole,Role}".to_owned(),
        jq_path_expressions: vec![r#"select(.aggregationRule | type == "object") | .rules"#.to_owned()],
        ..IgnoreSpec::default()
    };
    Rule::each(RuleSource::Settings, KEY, &spec, &RuleDetail::default())
}

fn read_options(argocd: &ConfigData, settings: &mut Settings) {
    let Some(text) = argocd.get(KEY) else { return };
    let value = match Value::from_yaml(text.as_bytes()) {
        Ok(value) => value,
        Err(error) => {
            settings.problem(ARGOCD, KEY, Some(error.line), error.message, "correct the YAML");
            return;
        }
    };
    let Some(map) = value.as_map() else {
        if !value.is_null() {
            settings.problem(
                ARGOCD,
                KEY,
                None,
                format!("found a {}", value.type_name()),
                "write `name: value` lines",
            );
        }
        return;
    };
    for (name, value) in map.iter() {
        match (name, value.as_bool()) {
            ("ignoreAggregatedRoles", Some(flag)) => settings.compare.ignore_aggregated_roles = flag,
            ("ignoreDifferencesOnResourceUpdates", Some(flag)) => {
                settings.compare.ignore_differences_on_updates = flag;
            }
            ("ignoreAggregatedRoles" | "ignoreDifferencesOnResourceUpdates", None) => {
                settings.problem(ARGOCD, KEY, None, format!("{name} is no boolean"), "write true or false");
            }
            ("ignoreResourceStatusField", flag) => status(value, flag, settings),
            (_, _) => settings.problem(ARGOCD, KEY, None, format!("there is no option {name}"), "remove it"),
        }
    }
}

fn status(value: &Value, flag: Option<bool>, settings: &mut Settings) {
    // YAML reads `off` as a boolean; whatever Argo CD does not know means `all` to it.
    settings.compare.ignore_status = match (flag, value.as_str()) {
        (Some(false), _) | (_, Some("none" | "off" | "false")) => StatusField::None,
        (_, Some("crd")) => StatusField::Crd,
        (Some(true), _) | (_, Some("all" | "")) => StatusField::All,
        (None, _) => {
            let message = format!("ignoreResourceStatusField: {} is taken as all", value.to_json());
            settings.problem(ARGOCD, KEY, None, message, "write all, crd or none");
            StatusField::All
        }
    };
}
