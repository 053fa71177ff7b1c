//! Sequences by which the sandbox once was unlike a control plane, made small. They are played first in every run, and without
//! a control plane too: of what both worlds said, a print is kept.

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use trueup_object::Value;

use super::request::Request;
use crate::differential::kinds::Kind;

const CASES: &str = include_str!("cases.jsonl");

/// A kept sequence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// `apps/v1 Deployment`.
    pub kind: String,
    /// Where the worlds parted.
    pub why: String,
    pub requests: Vec<Request>,
    /// Prints of what the control plane says and has after each request; empty where none was taken.
    #[serde(default)]
    pub agreed: Vec<String>,
}

impl Case {
    /// All cases.
    pub fn all() -> Result<Vec<Self>> {
        let lines = CASES.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_str(line).with_context(|| format!("read a kept case: {line}")))
            .collect()
    }

    pub fn kind<'k>(&self, kinds: &'k [Kind]) -> Result<&'k Kind> {
        let found = kinds.iter().find(|kind| called(kind) == self.kind);
        found.ok_or_else(|| anyhow!("a kept case is about {}, which is none of the kinds", self.kind))
    }

    /// The requests about an object of a name.
    pub fn named(&self, name: &str) -> Vec<Request> {
        self.requests.iter().map(|request| request.renamed("{{name}}", name)).collect()
    }
}

/// A kind as cases name it.
pub fn called(kind: &Kind) -> String {
    format!("{} {}", kind.gvk.api_version(), kind.gvk.kind)
}

/// A short print of a value (FNV-1a): equal ones have equal prints.
pub fn print(value: &Value) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in value.to_json().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
