//! What a controller keeps between its lives: the ledger, and what was read of repositories.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use trueup_ledger::{Claim, Ledger};
use trueup_repo::{Repositories, RepositoriesOptions};

use crate::run::StartError;

/// Where a controller's memory is.
pub enum Stores {
    /// In a state directory, which this controller alone uses.
    Folder {
        state_dir: PathBuf,
        /// The command that a person has set for ssh, as git has it in `GIT_SSH_COMMAND`.
        ssh_command: Option<OsString>,
    },
    /// Opened already: in a simulation, whose disk and remotes are in memory.
    Handed { ledger: Arc<Ledger>, repositories: Arc<Repositories> },
}

/// A controller's memory, opened.
pub struct Opened {
    pub ledger: Arc<Ledger>,
    pub repositories: Arc<Repositories>,
    /// Holds the state directory as long as the controller runs.
    pub claim: Option<Claim>,
}

impl Stores {
    pub async fn open(self) -> Result<Opened, StartError> {
        match self {
            Self::Folder { state_dir, ssh_command } => {
                let ledger = Arc::new(Ledger::open(&state_dir).await?);
                let claim = Some(Claim::take(&state_dir)?);
                let options = RepositoriesOptions::new(state_dir.join("mirrors")).ssh(ssh_command);
                let repositories = Arc::new(Repositories::open(options).await?);
                Ok(Opened { ledger, repositories, claim })
            }
            Self::Handed { ledger, repositories } => Ok(Opened { ledger, repositories, claim: None }),
        }
    }
}
