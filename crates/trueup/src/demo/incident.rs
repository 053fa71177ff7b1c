//! What happens in the incident: six things, each by another tool, none of them a commit.

use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use http::Method;
use trueup_cluster::wire::BodyKind;
use trueup_object::Value;

use super::files;
use super::requests::{CONTROLLERS, KUBECTL, read, reordered, send};
use super::stage::Stage;
use crate::app::words;
use crate::failure::Failure;
use crate::output::{self, paint};

/// A verdict that takes longer is a failure of the demo.
const VERDICT_MAX: Duration = Duration::from_secs(10);

/// What changes nothing may never be looked at; what is looked at at all is looked at sooner.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// One thing that happens.
pub struct Event {
    /// What, as a person would tell it.
    pub told: &'static str,
    /// The line of a terminal, or what a program does.
    pub line: &'static str,
    pub application: &'static str,
    /// The user whose credentials are used.
    pub user: &'static str,
    deed: Deed,
    /// Whether this makes Git and the cluster differ.
    pub is_drift: bool,
}

/// The requests of an event.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Scale,
    ApplyAgain,
    Patch,
    SetImage,
    Rewrite,
    Autoscale,
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/payments/deployments/payment-service";
const USER_SERVICE: &str = "/apis/apps/v1/namespaces/users/deployments/user-service";
const FLAGS: &str = "/api/v1/namespaces/feature-flags/configmaps/feature-flags-config";
const AGENT: &str = "/apis/apps/v1/namespaces/logging/daemonsets/logging-agent";
const TICKETS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/tickets.certs.example.com";
const FRONTEND: &str = "/apis/apps/v1/namespaces/web/deployments/frontend";

/// In their order.
pub fn events() -> [Event; 6] {
    let alice = "alice@example.com";
    let bob = "bob@example.com";
    [
        Event {
            told: "Black Friday: somebody scales by hand.",
            line: "kubectl scale deployment/payment-service -n payments --replicas=5",
            application: "payment-service",
            user: alice,
            deed: Deed::Scale,
            is_drift: true,
        },
        Event {
            told: "Somebody applies the very file that is in Git: only bookkeeping changes.",
            line: "kubectl apply -n users -f apps/user-service/deployment.yaml",
            application: "user-service",
            user: bob,
            deed: Deed::ApplyAgain,
            is_drift: false,
        },
        Event {
            told: "An incident: an emergency bypass is added to the flags.",
            line: r#"kubectl patch configmap/feature-flags-config -n feature-flags --type merge -p '{"data":{"TEMP_FLAG_EMERGENCY_BYPASS":"true"}}'"#,
            application: "feature-flags",
            user: bob,
            deed: Deed::Patch,
            is_drift: true,
        },
        Event {
            told: "Somebody upgrades the agent to a fixed version.",
            line: "kubectl set image daemonset/logging-agent -n logging agent=registry.example.com/infra/logging-agent:v1.9.1",
            application: "logging-agent",
            user: alice,
            deed: Deed::SetImage,
            is_drift: true,
        },
        Event {
            told: "A tool reads the CRD and writes it back with its fields in another order.",
            line: "crd-tool: read tickets.certs.example.com, write it back",
            application: "cert-manager",
            user: "admin",
            deed: Deed::Rewrite,
            is_drift: false,
        },
        Event {
            told: "The autoscaler works.",
            line: "kube-controller-manager: scale deployment/frontend in web to 7",
            application: "frontend",
            user: "admin",
            deed: Deed::Autoscale,
            is_drift: false,
        },
    ]
}

/// Plays one event and tells what became of it.
pub async fn play(stage: &Stage, number: usize, event: &Event) -> Result<(), Failure> {
    output::line(&format!("\n{number}. {}\n   {}", event.told, paint(event.line, AnsiColor::BrightBlack)));
    let looks = stage.looks(event.application);
    event.carry_out(stage).await?;
    let done = Instant::now();
    // A verdict on what was before says nothing: the controller must have looked since. A write that leaves an object as
    // it was is no event, so that nobody has to look.
    let looked = tokio::time::timeout(if event.is_drift { VERDICT_MAX } else { QUIET_MAX }, async {
        while stage.looks(event.application) == looks {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let has_looked = looked.await.is_ok();
    let verdict = tokio::time::timeout(VERDICT_MAX, async {
        loop {
            let state = stage.state_of(event.application).await?;
            if state.starts_with("OutOfSync") == event.is_drift {
                return Ok::<_, Failure>(state);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let Ok(state) = verdict.await else {
        let state = stage.state_of(event.application).await?;
        output::line(&format!("   {}: still {state}", event.application));
        return Ok(());
    };
    let state = state?;
    let took = done.elapsed().as_millis();
    let colour = if event.is_drift { AnsiColor::Yellow } else { AnsiColor::Green };
    let state = paint(&state, colour);
    if !event.is_drift {
        let why = if has_looked { "looked at and left alone" } else { "the server found nothing to change" };
        output::line(&format!("   {}: {state}, {why}", event.application));
        return Ok(());
    }
    output::line(&format!("   {}: {state}, seen after {took} ms", event.application));
    for reported in stage.differences(event.application).await {
        let object = &reported.object;
        output::line(&format!("   {}/{} {}", object.kind, object.name, words::short(&reported.difference)));
        if let Some(seen) = &reported.difference.first_seen {
            output::line(&format!("   since {seen}"));
        }
    }
    Ok(())
}

impl Event {
    async fn carry_out(&self, stage: &Stage) -> Result<(), Failure> {
        let agent = match self.deed {
            Deed::Scale | Deed::ApplyAgain | Deed::Patch | Deed::SetImage => KUBECTL,
            Deed::Rewrite => "crd-tool/1.0",
            Deed::Autoscale => CONTROLLERS,
        };
        let wire = stage.wire(self.user, agent).await?;
        let patch = Method::PATCH;
        match self.deed {
            Deed::Scale => {
                let body = br#"{"spec":{"replicas":5}}"#.to_vec();
                send(&wire, patch, &format!("{DEPLOYMENT}/scale"), None, BodyKind::MergePatch, body).await
            }
            Deed::ApplyAgain => {
                let body = applied_again()?.to_json().into_bytes();
                let manager = Some("kubectl-client-side-apply");
                send(&wire, patch, USER_SERVICE, manager, BodyKind::StrategicMergePatch, body).await
            }
            Deed::Patch => {
                let body = br#"{"data":{"TEMP_FLAG_EMERGENCY_BYPASS":"true"}}"#.to_vec();
                send(&wire, patch, FLAGS, Some("kubectl-patch"), BodyKind::MergePatch, body).await
            }
            Deed::SetImage => {
                let body = br#"{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"agent"}],"containers":[{"image":"registry.example.com/infra/logging-agent:v1.9.1","name":"agent"}]}}}}"#.to_vec();
                send(&wire, patch, AGENT, Some("kubectl-set"), BodyKind::StrategicMergePatch, body).await
            }
            Deed::Rewrite => {
                let body = reordered(&read(&wire, TICKETS).await?).into_bytes();
                send(&wire, Method::PUT, TICKETS, Some("crd-tool"), BodyKind::Json, body).await
            }
            Deed::Autoscale => {
                let body = br#"{"spec":{"replicas":7}}"#.to_vec();
                let manager = Some("kube-controller-manager");
                send(&wire, patch, &format!("{FRONTEND}/scale"), manager, BodyKind::MergePatch, body).await
            }
        }
    }
}

/// What `kubectl apply` sends for an object that it did not make: its own copy, and what the file writes in another way
/// than the server keeps it.
fn applied_again() -> Result<Value, Failure> {
    let text = files::text("apps/user-service/deployment.yaml");
    let file = Value::from_yaml(text.as_bytes()).map_err(|error| Failure::ours(error.to_string()))?;
    let mut patch = Value::from_json(
        br#"{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"user"}],"containers":[{"name":"user","resources":{"requests":{"cpu":0.1}}}]}}}}"#,
    )
    .map_err(|error| Failure::ours(error.to_string()))?;
    let copy = format!("{}\n", file.to_json());
    patch.set_at(
        &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"],
        copy.into(),
    );
    Ok(patch)
}
