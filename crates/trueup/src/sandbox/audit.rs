//! `trueup sandbox --audit-...`: what is audited and where to, under the names of kube-apiserver's flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use trueup_object::Value;
use trueup_object::yaml::read_documents;
use trueup_sandbox::{AuditLog, AuditOptions, AuditPolicy, AuditWebhook};

use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(next_help_heading = "Audit")]
pub struct AuditArguments {
    /// What is audited: a Policy of audit.k8s.io/v1
    #[arg(long, value_name = "FILE")]
    audit_policy_file: Option<PathBuf>,
    /// File to append audit events to, one JSON document on each line; - is standard output
    #[arg(long, value_name = "FILE", requires = "audit_policy_file")]
    audit_log_path: Option<PathBuf>,
    /// Kubeconfig of the receiver to post audit events to
    #[arg(long, value_name = "FILE", requires = "audit_policy_file")]
    audit_webhook_config_file: Option<PathBuf>,
    /// The most events of one request
    #[arg(long, value_name = "NUMBER", default_value_t = 400)]
    audit_webhook_batch_max_size: usize,
    /// The longest that an event waits for others, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000)]
    audit_webhook_batch_max_wait_ms: u64,
    /// The time before the second attempt to post, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 10_000)]
    audit_webhook_initial_backoff_ms: u64,
}

impl AuditArguments {
    /// What the sandbox is to audit; None where nothing is asked for.
    pub fn options(&self) -> Result<Option<AuditOptions>, Failure> {
        let Some(file) = &self.audit_policy_file else { return Ok(None) };
        let policy = AuditPolicy::parse(&read(file)?).map_err(|error| {
            Failure::user(format!("failed to read {}: {error}", file.display()))
                .hint("docs/sandbox.md has a policy to begin with")
        })?;
        if self.audit_log_path.is_none() && self.audit_webhook_config_file.is_none() {
            return Err(Failure::user("audit events have no place to go".to_owned())
                .hint("add --audit-log-path FILE or --audit-webhook-config-file FILE"));
        }
        let log = self.audit_log_path.as_deref().map(open_log).transpose()?;
        let webhook = self.audit_webhook_config_file.as_deref().map(|file| self.webhook(file)).transpose()?;
        Ok(Some(AuditOptions { policy, log, webhook }))
    }

    fn webhook(&self, file: &Path) -> Result<AuditWebhook, Failure> {
        let text = with_files_inline(file, &read(file)?)?;
        let mut webhook = AuditWebhook::from_kubeconfig(&text)
            .map_err(|error| Failure::user(format!("failed to read {}: {error}", file.display())))?;
        webhook.n_batch_max = self.audit_webhook_batch_max_size.max(1);
        webhook.batch_wait_max = Duration::from_millis(self.audit_webhook_batch_max_wait_ms);
        webhook.backoff = Duration::from_millis(self.audit_webhook_initial_backoff_ms);
        Ok(webhook)
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::user(format!("failed to read {}: {error}", file.display())))
}

fn open_log(file: &Path) -> Result<AuditLog, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if file == Path::new("-") {
        return Ok(AuditLog::new(std::io::stdout()));
    }
    // Bodies of requests are in it: only its owner may read it.
    let opened = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    let opened =
        opened.map_err(|error| Failure::user(format!("failed to open {}: {error}", file.display())))?;
    Ok(AuditLog::new(opened))
}

/// What a kubeconfig names by file, and where it has the content itself.
const FILES: [(&str, &str, &str, &str); 3] = [
    ("clusters", "cluster", "certificate-authority", "certificate-authority-data"),
    ("users", "user", "client-certificate", "client-certificate-data"),
    ("users", "user", "client-key", "client-key-data"),
];

/// A kubeconfig with the content of its files, which are named from where it stands.
fn with_files_inline(file: &Path, text: &str) -> Result<String, Failure> {
    let document = match read_documents(text.as_bytes()).into_iter().next() {
        Some(Ok(document)) => document.value,
        Some(Err(_)) | None => return Ok(text.to_owned()),
    };
    let mut config = document;
    for (list, part, by_file, inline) in FILES {
        let Some(Value::List(items)) = config.get_mut(list) else { continue };
        for item in items {
            let Some(named) = item.str_at(&[part, by_file]).map(str::to_owned) else { continue };
            let path = file.parent().unwrap_or(Path::new(".")).join(named);
            let content = std::fs::read(&path).map_err(|error| {
                Failure::user(format!(
                    "failed to read {}, which {} names: {error}",
                    path.display(),
                    file.display()
                ))
            })?;
            item.remove_at(&[part, by_file]);
            item.set_at(&[part, inline], STANDARD.encode(content).into());
        }
    }
    Ok(config.to_json())
}
