//! Why a script gave no answer.

/// Why a script gave no answer. The script's author can correct all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It does not parse.
    #[error("{0}")]
    Syntax(String),
    /// It raised an error.
    #[error("{0}")]
    Raised(String),
    #[error("the script ran longer than {limit} instructions")]
    Instructions { limit: u64 },
    #[error("the script needed more than {limit_mb} MB of memory")]
    Memory { limit_mb: usize },
    /// What it returned is of no use.
    #[error("{0}")]
    Result(String),
    /// There is no such action.
    #[error("there is no action {name} for {kind}")]
    NoAction { name: String, kind: String },
}

impl ScriptError {
    /// In Argo CD's words.
    pub(crate) fn not_a_table(found: &str) -> Self {
        Self::Result(format!("expect table output from Lua script, not {found}"))
    }
}
