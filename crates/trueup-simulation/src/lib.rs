//! Runs the whole controller in simulated time against a world that fails in every way, all of it from one seed.
//!
//! A story says what happens; an oracle of its own, which shares no code with what it judges, says what differs; properties
//! say what must hold after every step.

mod drive;
mod gate;
pub mod generate;
pub mod judge;
pub mod oracle;
mod panics;
mod shrink;
pub mod story;
pub mod templates;
mod trace;
mod view;

pub use drive::{Outcome, Play, play};
pub use gate::Sabotage;
pub use shrink::shrink;

/// What must come about in any large number of stories: a property that is never put to the test proves nothing.
pub fn demanded() -> &'static [&'static str] {
    &[
        "effect: create",
        "effect: change",
        "effect: prune",
        "heal: changed back",
        "heal: created anew",
        "crash: before a request",
        "crash: after a request",
        "crash: before a record",
        "crash: after a record",
        "API server restart",
        "API server restart with compaction",
        "Git unreachable",
        "Git slow",
        "replica cut off",
        "stop",
        "rival wrote",
        "webhook: denied",
        "webhook: timed out",
        "fault: status",
        "fault: drop-watch",
        "fault: partial-list",
        "fault: conflict",
        "fault: cut",
        "answer 409",
        "condition: FightWarning",
        "condition: StaleWarning",
        "check: converges",
        "check: truthful status",
        "check: recorded before",
        "check: no intent lost",
    ]
}
