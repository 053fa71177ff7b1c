//! How a command ends: its exit code (contracts.md, "Exit codes"), and for a failure whose fault it is and what to do.

use std::process::ExitCode;

use trueup_cluster::ConnectError;
use trueup_cluster::wire::WireError;
use trueup_engine::source::Fault as SourceFault;

use crate::arguments::Persona;
use crate::output;

/// How a command ended that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// A comparison found differences; the code for it can be chosen in Argo CD's commands.
    Differs(u8),
    /// A comparison could not be made whole.
    Unknown,
    /// Everything is as asked for, but for additions by others.
    AdditionsLeft,
}

/// Whose fault a failure is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The answer is no: a wait that timed out, a plan that was refused.
    No,
    /// The answer did not come in time.
    TimedOut,
    /// The question cannot be answered: this build cannot honour what the Application asks for.
    Unknown,
    User,
    World,
    Ours,
}

/// A command that could not do what it was asked.
#[derive(Debug, Clone)]
pub struct Failure {
    pub fault: Fault,
    pub message: String,
    pub hint: Option<String>,
}

impl Ending {
    pub fn code(self, persona: Persona) -> u8 {
        match (self, persona) {
            (Self::Done, _) | (Self::AdditionsLeft, Persona::ArgoCd) => 0,
            (Self::Differs(code), _) => code,
            (Self::Unknown, Persona::Trueup) => 3,
            (Self::Unknown, Persona::ArgoCd) => 20,
            (Self::AdditionsLeft, Persona::Trueup) => 6,
        }
    }
}

impl Failure {
    fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), hint: None }
    }

    pub fn no(message: impl Into<String>) -> Self {
        Self::new(Fault::No, message)
    }

    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Fault::TimedOut, message)
    }

    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Fault::Unknown, message)
    }

    /// Where nothing is compared, what cannot be honoured is the user's to change.
    pub fn or_user(mut self) -> Self {
        if self.fault == Fault::Unknown {
            self.fault = Fault::User;
        }
        self
    }

    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Fault::User, message)
    }

    pub fn world(message: impl Into<String>) -> Self {
        Self::new(Fault::World, message)
    }

    pub fn ours(message: impl Into<String>) -> Self {
        Self::new(Fault::Ours, message)
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A request about something that a person named, that failed.
    pub fn of_wire(doing: &str, error: &WireError) -> Self {
        let message = format!("failed to {doing}: {error}");
        match error.status().map(|status| status.code) {
            Some(400 | 422) => Self::user(message).hint("correct what the API server names"),
            Some(409) => Self::user(message).hint("somebody else changed it at the same time: try again"),
            Some(401) => Self::world(message).hint("the credentials are unknown or expired: log in again"),
            Some(403) => {
                Self::world(message).hint("ask for the rights, or use another context with --context")
            }
            Some(404) => Self::user(message)
                .hint("check the name and the namespace (-N); `trueup app list` shows both"),
            Some(_) => Self::world(message).hint("see the API server's own log; try again later"),
            None if matches!(error, WireError::Tls { .. }) => Self::world(message).hint(
                "check the cluster's certificate-authority in the kubeconfig, and that its server is the one meant",
            ),
            None => Self::world(message)
                .hint("check that the API server runs and that --kubeconfig and --context name it"),
        }
    }

    pub fn of_source(message: String, fault: SourceFault, hint: impl Into<String>) -> Self {
        let fault = match fault {
            SourceFault::User => Fault::User,
            SourceFault::World => Fault::World,
            SourceFault::Ours => Fault::Ours,
        };
        Self::new(fault, message).hint(hint)
    }

    /// Argo CD's program ends with 20 for whatever is fatal, and with 1 where the answer is no.
    pub fn code(&self, persona: Persona) -> u8 {
        match (persona, self.fault) {
            (Persona::Trueup | Persona::ArgoCd, Fault::No) => 1,
            (Persona::Trueup, Fault::TimedOut) => 1,
            (
                Persona::ArgoCd,
                Fault::TimedOut | Fault::Unknown | Fault::User | Fault::World | Fault::Ours,
            ) => 20,
            (Persona::Trueup, Fault::Unknown) => 3,
            (Persona::Trueup, Fault::User) => 2,
            (Persona::Trueup, Fault::World) => 4,
            (Persona::Trueup, Fault::Ours) => 5,
        }
    }

    /// Prints it.
    pub fn report(&self, persona: Persona) -> ExitCode {
        output::tell(&format!("error: {}", self.message));
        if let Some(hint) = &self.hint {
            output::tell(&format!("hint: {hint}"));
        }
        ExitCode::from(self.code(persona))
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let fault = match &error {
            ConnectError::Kubeconfig { .. }
            | ConnectError::NoContext { .. }
            | ConnectError::NotInCluster { .. }
            | ConnectError::Settings { .. } => Fault::User,
            ConnectError::Unreachable { .. }
            | ConnectError::Tls { .. }
            | ConnectError::Credentials { .. }
            | ConnectError::Unauthorized { .. }
            | ConnectError::Forbidden { .. }
            | ConnectError::Unusable { .. } => Fault::World,
        };
        Self::new(fault, format!("failed to {error}")).hint(error.hint())
    }
}
