//! A sandbox and a client of it, and ways to wait for what it does by itself.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DynamicObject, GroupVersionKind, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::discovery::ApiResource;
use kube::{Client, Config};
use serde_json::{Value, json};
use trueup_sandbox::{Clock, Sandbox, SandboxOptions, Workloads};

/// Long enough for a loaded machine; nothing waits this long when all is well.
const DEADLINE: Duration = Duration::from_secs(20);

pub struct World {
    pub sandbox: Sandbox,
    pub client: Client,
}

impl World {
    /// Nothing happens by itself but what the API does.
    pub async fn start() -> Self {
        Self::with(SandboxOptions { workloads: Workloads::Untouched, ..SandboxOptions::default() }).await
    }

    pub async fn with(options: SandboxOptions) -> Self {
        let clock = Clock::starting_at("2026-03-01T10:00:00Z".parse().unwrap());
        let sandbox = Sandbox::start(SandboxOptions { clock, ..options }).await.unwrap();
        let client = client(&sandbox, "admin").await;
        Self { sandbox, client }
    }

    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), "default")
    }

    pub fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    /// Objects of any kind, in a namespace or cluster-wide.
    pub fn dynamic(
        &self,
        api_version: &str,
        kind: &str,
        plural: &str,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    pub async fn create_config_map(&self, name: &str, data: &Value) -> ConfigMap {
        let object = serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap();
        self.config_maps().create(&PostParams::default(), &object).await.unwrap()
    }

    pub fn set_faults(&self, rules: &Value) {
        let rules = trueup_object::Value::from_json(rules.to_string().as_bytes()).unwrap();
        self.sandbox.faults().add_json(&rules).unwrap();
    }
}

pub async fn client(sandbox: &Sandbox, user: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&sandbox.kubeconfig(user)).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A dynamic object from JSON.
pub fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// The status of a refused request.
pub fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Status {
    match result.unwrap_err() {
        kube::Error::Api(status) => *status,
        other => panic!("not refused by the API: {other}"),
    }
}

/// Asks again and again until the answer is yes.
pub async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let asked = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asked).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits for something that must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}
