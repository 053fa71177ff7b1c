//! Judges how well one live object is doing, and an application as a whole.
//!
//! Pure: a live object in, a judgement out. Kinds that Argo CD has rules for are judged by these, kinds with a script by
//! the script, which is handed in, and the others by what most kinds have in common. An object that says nothing about
//! itself has no health: it is neither shown nor counted.

mod aggregate;
mod conditions;
mod dispatch;
mod generic;
mod known;
mod pod;
mod rules;
mod shape;
mod workload;

#[cfg(test)]
mod tests;

pub use aggregate::{ObjectHealth, aggregate, is_hook};
pub use dispatch::{GenericUse, HealthRules, Judged, NoScripts, Rule, Scripted, Scripts};

use std::fmt;

/// How an object or an application is doing, from best to worst: of several the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthStatus {
    Healthy,
    Suspended,
    Progressing,
    Missing,
    Degraded,
    Unknown,
}

impl HealthStatus {
    pub const ALL: [Self; 6] =
        [Self::Healthy, Self::Suspended, Self::Progressing, Self::Missing, Self::Degraded, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// From the word that [`Self::as_str`] gives.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A judgement, with its reason where there is one to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub status: HealthStatus,
    /// Empty where there is nothing to tell.
    pub message: String,
}

impl Health {
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unknown, message)
    }
}
