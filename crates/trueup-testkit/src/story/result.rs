//! What became of a story's steps.

use trueup_object::{Map, Value};

use super::WorldName;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Passed,
    NotJudged,
    Failed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotJudged => "not-judged",
            Self::Failed => "failed",
        }
    }
}

/// One line of the results.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    pub story: String,
    pub world: WorldName,
    /// From 1, with the step as the file has it; 0 is what comes before the first step.
    pub step: usize,
    pub text: String,
    pub expected: Value,
    pub found: Value,
    pub outcome: Outcome,
}

impl StepResult {
    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let Self { story, world, step, text, expected, found, outcome } = self;
        let entries = [
            ("story", Value::from(story.as_str())),
            ("world", Value::from(world.as_str())),
            ("step", Value::from(format!("{step}: {text}"))),
            ("expected", expected.clone()),
            ("found", found.clone()),
            ("result", Value::from(outcome.as_str())),
        ];
        Value::Map(entries.into_iter().collect::<Map>()).to_json()
    }
}
