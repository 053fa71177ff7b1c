//! What additions by others are worth, as annotations of Applications and AppProjects say.

use trueup_engine::app::{Unsupported, Weight};
use trueup_engine::weight::{CountRule, Level, read_rules, word};
use trueup_object::{Text, Value};

use super::{Found, project_rules};
use crate::annotations::{INHERITED, UNDECLARED, UNDECLARED_RULES, place};
use crate::application::Metadata;

/// The rules of an Application.
pub(super) fn rules(metadata: &Metadata, found: &mut Found) -> Vec<CountRule> {
    let Some(text) = metadata.annotations.get(UNDECLARED_RULES) else { return Vec::new() };
    let (rules, wrong) = read_rules(text);
    for (index, why) in wrong {
        found.refuse(
            format!("{}, rule {index}", place(UNDECLARED_RULES)),
            why,
            "a list of {group, kind, path, weight: drift|note|off}",
        );
    }
    rules
}

/// What was there first is worth.
pub(super) fn inherited(metadata: &Metadata, found: &mut Found) -> Option<Weight> {
    let text = metadata.annotations.get(INHERITED).map(Text::as_str)?;
    let weight = word(text).filter(|weight| *weight != Weight::Nothing);
    if weight.is_none() {
        found.refuse(place(INHERITED), format!("`{text}`"), "drift or note");
    }
    weight
}

/// What an AppProject asks for that this build does not enforce, and what it says of additions in its applications.
pub fn project_said(project: &Value) -> (Vec<Unsupported>, Level) {
    let (level, problems) = project_counts(project);
    let mut unsupported = project_rules(project);
    let name = project.str_at(&["metadata", "name"]).unwrap_or_default();
    unsupported
        .extend(problems.into_iter().map(|what| Unsupported { place: format!("AppProject {name}"), what }));
    (unsupported, level)
}

/// What an AppProject says of additions, and what of it makes no sense.
fn project_counts(project: &Value) -> (Level, Vec<String>) {
    let annotation = |name: &str| project.str_at(&["metadata", "annotations", name]);
    let (rules, wrong) = annotation(UNDECLARED_RULES).map(read_rules).unwrap_or_default();
    let mut problems: Vec<String> = wrong
        .into_iter()
        .map(|(index, why)| format!("{}, rule {index}: {why}", place(UNDECLARED_RULES)))
        .collect();
    let said = annotation(UNDECLARED);
    let weight = said.and_then(word);
    if let (Some(said), None) = (said, weight) {
        problems.push(format!("{}: `{said}` is none of drift, note and off", place(UNDECLARED)));
    }
    (Level { word: weight, rules }, problems)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_project_says_what_additions_are_worth() {
        let text = "metadata: {annotations: {trueup.dev/undeclared: note, trueup.dev/undeclared-rules: '[{kind: Job, weight: off}, {weight: x}]'}}";
        let (level, problems) = project_counts(&Value::from_yaml(text.as_bytes()).unwrap());
        assert_eq!((level.word, level.rules.len(), problems.len()), (Some(Weight::Note), 1, 1));
        let wrong = "metadata: {annotations: {trueup.dev/undeclared: often}}";
        let (level, problems) = project_counts(&Value::from_yaml(wrong.as_bytes()).unwrap());
        assert_eq!((level, problems.len()), (Level::default(), 1));
    }
}
