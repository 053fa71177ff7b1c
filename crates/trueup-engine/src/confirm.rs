//! Confirm: what comparing says differs is asked of the API server, once, as an apply without effect (detection.md 2).
//!
//! Comparing knows schemas and defaults; mutating admission, conversion and defaults in code only the server knows. So
//! the engine says which objects want an answer and under which key it holds; a shell asks and remembers; the next look
//! takes the answers in. A fleet that agrees asks for nothing.

use std::collections::BTreeMap;

use trueup_object::{Gvk, ResourceKey, Text, Value};

use crate::desired::Target;
use crate::difference::{Channel, Origin};
use crate::live::{Live, LiveVersion};
use crate::look::Comparison;

/// Which objects want an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfirmMode {
    /// Those in which something differs that Git declares.
    #[default]
    Differs,
    /// All that both Git and the cluster have.
    Always,
    Never,
}

impl ConfirmMode {
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Differs, Self::Always, Self::Never].into_iter().find(|mode| mode.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// What an application says about confirming.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfirmRules {
    /// `None`: as the installation says.
    pub mode: Option<ConfirmMode>,
    /// With `Always`: what mutating admission would add or change outside of what Git declares is a difference too
    /// (compat 2.2, `IncludeMutationWebhook`).
    pub include_webhooks: bool,
}

impl ConfirmRules {
    pub fn mode(&self) -> ConfirmMode {
        self.mode.unwrap_or_default()
    }
}

/// What an answer is about. As long as none of it changes, the answer holds.
///
/// The same resourceVersion gives the same key. A new one gives another key only where something changed that an apply
/// could see: a status that is written every few seconds makes no request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfirmKey {
    target: [u8; 32],
    uid: Text,
    live: [u8; 32],
}

impl ConfirmKey {
    pub fn new(target: &Target, live: &Live) -> Self {
        Self {
            target: digest(&target.object),
            uid: live.version.uid.clone(),
            live: digest_without_status(&live.object),
        }
    }

    /// Whether the other is about the same target and the same object at another time.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.target == other.target && self.uid == other.uid
    }
}

fn digest(object: &Value) -> [u8; 32] {
    *blake3::hash(object.to_json().as_bytes()).as_bytes()
}

/// Of the object without what changes when only its status is written.
fn digest_without_status(live: &Value) -> [u8; 32] {
    let mut text = String::with_capacity(TEXT_USUAL);
    // Each name stands before its value, and what has a value of its own form ends by itself.
    let mut write = |name: &str, value: &Value| {
        text.push_str(name);
        text.push(':');
        value.write_json(&mut text);
        text.push('\n');
    };
    for (name, value) in fields(live) {
        match name {
            "status" => {}
            "metadata" => {
                for (name, value) in fields(value) {
                    match (name, value.as_list()) {
                        ("resourceVersion", _) => {}
                        ("managedFields", Some(entries)) => {
                            let is_kept = |entry: &&Value| entry.str_at(&["subresource"]) != Some("status");
                            for entry in entries.iter().filter(is_kept) {
                                let kept = fields(entry).filter(|(name, _)| *name != "time");
                                kept.for_each(|(name, value)| write(name, value));
                            }
                        }
                        (_, _) => write(name, value),
                    }
                }
            }
            _ => write(name, value),
        }
    }
    *blake3::hash(text.as_bytes()).as_bytes()
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_map().into_iter().flat_map(|map| map.iter())
}

/// Room for the text of most objects.
const TEXT_USUAL: usize = 4096;

/// What the server answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Applying would leave this.
    Leaves(Value),
    /// Applying would be refused.
    Refused { message: String },
    /// It was asked, and no usable answer came. That may pass: what comparing says stands.
    Unanswered { message: String },
    /// It cannot be asked. Then nothing can be said.
    Unavailable { message: String, remedy: String },
}

/// An answer, and what it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub key: ConfirmKey,
    pub answer: Answer,
}

/// The answers that are remembered of one application.
pub type Answers = BTreeMap<ResourceKey, Answered>;

/// An answer as far as it bears on a look.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// About this very target and live object.
    Fresh(&'a Answer),
    /// About the same target and object before the last change to it. What it says the server would leave stands until a
    /// fresh one comes, so that a change elsewhere in an object makes nothing flicker.
    Standing(&'a Answer),
}

impl<'a> Reply<'a> {
    /// The answer that bears on an object.
    pub fn find(answers: &'a Answers, key: &ResourceKey, wanted: &ConfirmKey) -> Option<Self> {
        let answered = answers.get(key)?;
        if answered.key == *wanted {
            return Some(Self::Fresh(&answered.answer));
        }
        wanted.is_of_same(&answered.key).then_some(Self::Standing(&answered.answer))
    }

    pub fn answer(self) -> &'a Answer {
        match self {
            Self::Fresh(answer) | Self::Standing(answer) => answer,
        }
    }

    pub fn is_fresh(self) -> bool {
        match self {
            Self::Fresh(_) => true,
            Self::Standing(_) => false,
        }
    }
}

/// A question for the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub object: ResourceKey,
    pub gvk: Gvk,
    pub key: ConfirmKey,
    /// What is to be applied without effect, forced, with our manager.
    pub body: Value,
    /// To what: an answer about any other version is none.
    pub version: LiveVersion,
}

/// The questions that a look leaves open. `is_applying`: a sync runs or policy is about to begin one; then what only a
/// commit moved is asked by applying it.
pub fn questions(
    comparison: &Comparison,
    targets: &BTreeMap<ResourceKey, Target>,
    live: &BTreeMap<ResourceKey, Live>,
    is_applying: bool,
) -> Vec<Question> {
    let mut questions = Vec::new();
    for object in &comparison.objects {
        let Some(key) = &object.asks else { continue };
        let mut declared = object.differences.iter().filter(|it| it.channel == Channel::Declared).peekable();
        if is_applying && declared.peek().is_some() && declared.all(|it| it.origin == Origin::Git) {
            continue;
        }
        let (Some(target), Some(live)) = (targets.get(&object.key), live.get(&object.key)) else { continue };
        questions.push(Question {
            object: object.key.clone(),
            gvk: target.gvk.clone(),
            key: key.clone(),
            body: trueup_diff::sent_form(&target.object),
            version: live.version.clone(),
        });
    }
    questions
}

#[cfg(test)]
mod tests;
