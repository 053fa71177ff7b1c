//! The cluster crate against the sandbox.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests against a server use real time")]

mod faults;
mod in_process;
mod lease;
#[path = "../shared/mod.rs"]
mod shared;

use tempfile::NamedTempFile;
use trueup_cluster::{Access, Connection};
use trueup_sandbox::{Sandbox, SandboxOptions};

/// A sandbox of its own for each test.
pub struct World {
    pub sandbox: Sandbox,
    kubeconfig: NamedTempFile,
}

pub async fn world() -> World {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let kubeconfig = NamedTempFile::new().unwrap();
    std::fs::write(kubeconfig.path(), sandbox.kubeconfig("admin")).unwrap();
    World { sandbox, kubeconfig }
}

impl World {
    pub fn access(&self) -> Access {
        Access::Kubeconfig { file: Some(self.kubeconfig.path().to_owned()), context: None }
    }

    pub async fn connection(&self) -> Connection {
        Connection::open(&self.access(), "test").await.unwrap()
    }
}
