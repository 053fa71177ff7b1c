//! A test of a small controller without a cluster: it gives every ConfigMap a label, and must do so whatever the API server does.
//!
//! `cargo run -p trueup-sandbox --example controller`

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use trueup_sandbox::faults::Rule;
use trueup_sandbox::{Clock, Sandbox, SandboxOptions, Workloads};

/// Tries in a row for one object; after that, what it is told next about the object is another chance.
const TRIES_MAX: usize = 20;

/// The controller under test: what it does for one object. That an answer was lost does not mean that nothing happened.
async fn label(api: &Api<ConfigMap>, object: &ConfigMap) {
    let patch = serde_json::json!({"metadata": {"labels": {"seen": "yes"}}});
    for _ in 0..TRIES_MAX {
        if api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Its loop. A watch that breaks is an error among the events, and the next one goes on after it.
async fn run(client: Client) {
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    let events = watcher(api.clone(), watcher::Config::default()).default_backoff().applied_objects();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        if let Ok(object) = event
            && !object.labels().contains_key("seen")
        {
            label(&api, &object).await;
        }
    }
}

// Tokio's clock stands still while there is something to do, and jumps while all wait: backoffs take no time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::time::pause();
    let options = SandboxOptions {
        seed: 7,
        clock: Clock::starting_at("2026-01-01T00:00:00Z".parse()?),
        workloads: Workloads::Untouched,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::in_process(options)?;
    let client = Client::new(sandbox.door("admin"), "default");

    // Every watch breaks after two events, and the answers to half of the writes are lost or late.
    sandbox.faults().add(Rule::drop_watch_after_events(2));
    sandbox.faults().add(Rule::refuse(503).share(0.5).on_verb("patch"));
    sandbox.faults().add(Rule::lose_answers().on_verb("patch").named("number-3"));

    let controller = tokio::spawn(run(client.clone()));
    let api: Api<ConfigMap> = Api::namespaced(client, "default");
    for number in 0..5 {
        let object = ConfigMap {
            metadata: kube::api::ObjectMeta { name: Some(format!("number-{number}")), ..Default::default() },
            ..ConfigMap::default()
        };
        api.create(&PostParams::default(), &object).await?;
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    sandbox.faults().clear();
    for number in 0..5 {
        let object = api.get(&format!("number-{number}")).await?;
        assert!(object.labels().contains_key("seen"), "number-{number} was forgotten");
    }
    let writes = sandbox.requests().iter().filter(|request| request.verb == "patch").count();
    println!("all five are labelled, after {writes} writes and ten minutes of simulated time");
    controller.abort();
    Ok(())
}
