//! From the wire form of an Application to the engine's validated one.
//!
//! What makes no sense is an `InvalidSpecError`; what makes sense and is not implemented is named: in a source it is an
//! `UnsupportedError` without an [`App`], since comparing with the wrong manifests is worse than not comparing, and
//! elsewhere it makes the [`App`] read-only.

mod confirm;
mod counts;
mod policy;
mod project;
mod request;
mod source;
#[cfg(test)]
mod tests;
mod unsupported;

use trueup_engine::app::{
    App, AppKey, ClusterName, Destination, IgnoreRules, IgnoreSpec, OnCommit, RefreshLevel, Unsupported,
    Weight,
};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::ignore;
use trueup_engine::weight::Level;
use trueup_object::{Text, Value};

use crate::annotations::{self, IGNORE_REASONS, ON_COMMIT, REFRESH, UNDECLARED};
use crate::application::{Application, Metadata};
use crate::fields::FieldError;

pub use counts::project_said;
pub use project::project_rules;
pub use request::{INFO_DRIFT, INFO_REMOVE_ADDITIONS};

/// The address under which a cluster knows its own API server.
const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
const IN_CLUSTER_NAME: &str = "in-cluster";

/// How many entries `status.history` keeps where the Application does not say.
const HISTORY_DEFAULT: usize = 10;

/// An Application that cannot be looked at, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub key: AppKey,
    /// At least one.
    pub conditions: Vec<Condition>,
}

/// Reads and validates an Application in one go.
pub fn read_app(object: Value, controller_namespace: &str) -> Result<(Application, App), Refusal> {
    let metadata = Metadata::of(&object);
    let key = AppKey::new(&metadata.namespace, &metadata.name);
    let application = Application::parse(object)
        .map_err(|errors| Refusal { key, conditions: vec![invalid_spec(&errors)] })?;
    let app = to_app(&application, controller_namespace)?;
    Ok((application, app))
}

/// Validates an Application.
pub fn to_app(application: &Application, controller_namespace: &str) -> Result<App, Refusal> {
    let Application { object: _, metadata, spec, operation } = application;
    let key = AppKey::new(&metadata.namespace, &metadata.name);
    let mut found = Found::default();
    let sources = source::sources(spec, &mut found);
    let destination = destination(spec, &mut found);
    let policy = policy::policy(spec, &mut found);
    let ignore = ignore_rules(spec, metadata, &mut found);
    let operation = operation.as_ref().and_then(|operation| request::request(operation, spec, &mut found));
    unsupported::in_application(application, &mut found);
    let (undeclared, on_commit, refresh) = read_annotations(metadata, &mut found);
    let confirm = confirm::rules(metadata, &mut found);
    let counts = counts::rules(metadata, &mut found);
    let inherited = counts::inherited(metadata, &mut found);
    let Found { errors, unsupported, unsupported_sources } = found;
    let mut conditions = Vec::new();
    if !errors.is_empty() {
        conditions.push(invalid_spec(&errors));
    }
    if !unsupported_sources.is_empty() {
        conditions.push(unsupported_condition(&unsupported_sources));
    }
    let Some(destination) = destination.filter(|_| conditions.is_empty()) else {
        return Err(Refusal { key, conditions });
    };
    let project = if spec.project.is_empty() { Text::from("default") } else { spec.project.clone() };
    let history_limit = spec.revision_history_limit.map_or(HISTORY_DEFAULT, |limit| {
        // Negative counts as none, as in Argo CD.
        usize::try_from(limit).unwrap_or_default()
    });
    Ok(App {
        instance: key.instance(controller_namespace),
        key,
        uid: metadata.uid.clone(),
        project,
        sources,
        destination,
        automated: policy.automated,
        options: policy.options,
        retry: policy.retry,
        ignore,
        undeclared,
        counts,
        tracking: trueup_engine::tracking::Tracking::default(),
        project_counts: Level::default(),
        inherited,
        on_commit,
        confirm,
        refresh,
        operation,
        history_limit,
        unsupported,
        deleting: metadata.deleting,
    })
}

/// The condition that names everything that this build cannot honour.
pub fn unsupported_condition(found: &[Unsupported]) -> Condition {
    let names: Vec<String> =
        found.iter().map(|Unsupported { place, what }| format!("{what} ({place})")).collect();
    Condition::new(
        ConditionType::UnsupportedError,
        format!(
            "not supported by this build: {}. Nothing is applied or pruned until it is removed or supported",
            names.join("; ")
        ),
    )
}

fn invalid_spec(errors: &[FieldError]) -> Condition {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Condition::new(ConditionType::InvalidSpecError, lines.join("; "))
}

/// What conversion finds besides what it returns.
#[derive(Default)]
struct Found {
    errors: Vec<FieldError>,
    unsupported: Vec<Unsupported>,
    /// Without these the manifests would be wrong.
    unsupported_sources: Vec<Unsupported>,
}

impl Found {
    fn refuse(&mut self, path: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) {
        self.errors.push(FieldError { path: path.into(), found: found.into(), expected: expected.into() });
    }

    fn cannot(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.unsupported.push(Unsupported { place: place.into(), what: what.into() });
    }

    fn cannot_render(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.unsupported_sources.push(Unsupported { place: place.into(), what: what.into() });
    }
}

fn destination(spec: &crate::application::ApplicationSpec, found: &mut Found) -> Option<Destination> {
    let wanted = &spec.destination;
    let server = wanted.server.trim_end_matches('/');
    let cluster = match (server, wanted.name.as_str()) {
        ("", "") => {
            found.refuse("spec.destination", "neither server nor name", "one of server and name");
            return None;
        }
        (IN_CLUSTER_SERVER, "") | ("", IN_CLUSTER_NAME) => ClusterName::InCluster,
        (server, "") => ClusterName::Server(Text::from(server)),
        ("", name) => ClusterName::Name(Text::from(name)),
        (server, name) => {
            found.refuse(
                "spec.destination",
                format!("server {server} and name {name}"),
                "only one of server and name",
            );
            return None;
        }
    };
    Some(Destination { cluster, namespace: wanted.namespace.clone() })
}

/// The ignore rules, with what the Application's annotation knows of them.
fn ignore_rules(
    spec: &crate::application::ApplicationSpec,
    metadata: &Metadata,
    found: &mut Found,
) -> IgnoreRules {
    let rules = &spec.ignore_differences;
    let texts = |texts: &[Text]| texts.iter().map(ToString::to_string).collect();
    let specs = rules.iter().map(|rule| IgnoreSpec {
        group: rule.group.to_string(),
        kind: rule.kind.to_string(),
        name: rule.name.to_string(),
        namespace: rule.namespace.to_string(),
        json_pointers: texts(&rule.json_pointers),
        jq_path_expressions: texts(&rule.jq_path_expressions),
        managed_fields_managers: texts(&rule.managed_fields_managers),
    });
    let read = IgnoreRules::new(specs.collect()).unwrap_or_else(|(index, error)| {
        let place = rules.get(index).map(|rule| rule.place.clone()).unwrap_or_default();
        found.refuse(place, format!("a rule that cannot be read ({error})"), error.expected());
        IgnoreRules::default()
    });
    let Some(text) = metadata.annotations.get(IGNORE_REASONS) else { return read };
    match ignore::path_details(text) {
        Ok(details) => read.with_details(&details),
        Err(why) => {
            let expected = "a YAML list of {path, kind, owner, reason, until}";
            found.refuse(annotations::place(IGNORE_REASONS), why, expected);
            read
        }
    }
}

/// The annotations that say how an application is looked at.
fn read_annotations(
    metadata: &Metadata,
    found: &mut Found,
) -> (Option<Weight>, OnCommit, Option<RefreshLevel>) {
    let get = |name: &str| metadata.annotations.get(name).map(Text::as_str);
    let mut refuse = |name: &str, value: &str, expected: &str| {
        found.refuse(annotations::place(name), format!("`{value}`"), expected);
    };
    let undeclared = match get(UNDECLARED) {
        None => None,
        Some("drift") => Some(Weight::Drift),
        Some("note") => Some(Weight::Note),
        Some("off") => Some(Weight::Nothing),
        Some(other) => {
            refuse(UNDECLARED, other, "drift, note or off");
            None
        }
    };
    let on_commit = match get(ON_COMMIT) {
        None | Some("keep") => OnCommit::KeepDrift,
        Some("overwrite") => OnCommit::Overwrite,
        Some(other) => {
            refuse(ON_COMMIT, other, "keep or overwrite");
            OnCommit::KeepDrift
        }
    };
    // Any other value is a normal refresh, as in Argo CD.
    let refresh = get(REFRESH).map(|level| match level {
        "hard" => RefreshLevel::Hard,
        _ => RefreshLevel::Normal,
    });
    (undeclared, on_commit, refresh)
}
