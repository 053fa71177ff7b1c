//! What every cluster has from its first moment: the roles and bindings that users stand on, priorities, flow control, the
//! registered APIs, and the service of the API server itself.
//!
//! `cargo xtask codegen` learns the objects from the control plane; here they only get ids and times.

use std::sync::{Arc, LazyLock};

use trueup_object::{Gvk, Value};

use super::read::name_of;
use super::{Api, Target};
use crate::clock::wire_time;
use crate::state::{Commit, Name, ResourceId};
use crate::status::ApiStatus;
use crate::write::WriteVerb;

const LEARNT: &str = include_str!("../../data/first-objects.jsonl");

/// The address of the service that stands for the API server: the first of the real server's default range.
const SERVICE_ADDRESS: &str = "10.0.0.1";

/// Parsed once in a process, however many sandboxes it starts.
static OBJECTS: LazyLock<Vec<Value>> =
    LazyLock::new(|| LEARNT.lines().filter_map(|line| Value::from_json(line.as_bytes()).ok()).collect());

/// Makes them, in a cluster whose namespaces exist.
pub fn create_first_objects(api: &Api, port: u16) -> Result<(), ApiStatus> {
    let kinds = api.registry().kinds();
    let now = wire_time(api.clock().now());
    for object in OBJECTS.iter() {
        let gvk = Gvk::from_api_version(
            object.str_at(&["apiVersion"]).unwrap_or_default(),
            object.str_at(&["kind"]).unwrap_or_default(),
        );
        let Some(served) = kinds.by_kind(&gvk) else { continue };
        let mut object = object.clone();
        object.set_at(&["metadata", "uid"], api.ids().uid().into());
        object.set_at(&["metadata", "creationTimestamp"], now.clone().into());
        fill(&mut object, &["metadata", "managedFields"], "time", &now);
        fill(&mut object, &["status", "conditions"], "lastTransitionTime", &now);
        let name = name_of(&object);
        // A fresh store has nothing that could be in the way.
        let _ = api.store().commit(&served.storage(), &name, Commit::Create { object });
    }
    create_component_statuses(api);
    create_own_service(api, port)
}

/// Makes the class that claims get which name none.
pub fn create_storage_class(api: &Api, name: &str) -> Result<(), ApiStatus> {
    let kinds = api.registry().kinds();
    let served = kinds
        .resource("storage.k8s.io", "v1", "storageclasses")
        .ok_or_else(|| ApiStatus::internal("no storage classes"))?;
    let mut object = Value::default();
    for (path, text) in [
        (&["apiVersion"][..], "storage.k8s.io/v1"),
        (&["kind"], "StorageClass"),
        (&["metadata", "name"], name),
        (&["metadata", "annotations", "storageclass.kubernetes.io/is-default-class"], "true"),
        (&["provisioner"], "sandbox.trueup.dev"),
        (&["volumeBindingMode"], "WaitForFirstConsumer"),
    ] {
        object.set_at(path, text.into());
    }
    api.change_as_server(Target::collection(served, ""), WriteVerb::Create, &object)?;
    Ok(())
}

/// Sets a time in every item of a list.
fn fill(object: &mut Value, list: &[&str], key: &str, now: &str) {
    let mut items = object.list_at(list).to_vec();
    if !items.is_empty() {
        items.iter_mut().for_each(|item| {
            item.set_at(&[key], now.into());
        });
        object.set_at(list, Value::List(items));
    }
}

/// What the server says of its parts, all of which are in this process.
fn create_component_statuses(api: &Api) {
    for name in ["controller-manager", "etcd-0", "scheduler"] {
        let mut condition = Value::default();
        condition.set_at(&["type"], "Healthy".into());
        condition.set_at(&["status"], "True".into());
        condition.set_at(&["message"], "ok".into());
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "v1".into());
        object.set_at(&["kind"], "ComponentStatus".into());
        object.set_at(&["metadata", "name"], name.into());
        object.set_at(&["conditions"], Value::List(vec![condition]));
        let id = ResourceId::new("", "componentstatuses");
        let _ = api.store().commit(&id, &Name::new("", name), Commit::Create { object });
    }
}

fn create_own_service(api: &Api, port: u16) -> Result<(), ApiStatus> {
    let kinds = api.registry().kinds();
    let served = kinds.resource("", "v1", "services").ok_or_else(|| ApiStatus::internal("no services"))?;
    let mut object = Value::default();
    let mut set = |path: &[&str], value: Value| {
        object.set_at(path, value);
    };
    set(&["apiVersion"], "v1".into());
    set(&["kind"], "Service".into());
    set(&["metadata", "name"], "kubernetes".into());
    set(&["metadata", "labels", "component"], "apiserver".into());
    set(&["metadata", "labels", "provider"], "kubernetes".into());
    set(&["spec", "clusterIP"], SERVICE_ADDRESS.into());
    set(&["spec", "type"], "ClusterIP".into());
    let mut listed = Value::default();
    listed.set_at(&["name"], "https".into());
    listed.set_at(&["port"], 443.into());
    listed.set_at(&["targetPort"], i64::from(port).into());
    set(&["spec", "ports"], Value::List(vec![listed]));
    api.change_as_server(Target::collection(served, "default"), WriteVerb::Create, &object)?;
    Ok(())
}

/// The registered API of each group and version that definitions serve: made and removed with them.
pub(super) fn register_definitions(api: &Api) {
    let kinds = api.registry().kinds();
    let Some(served) = kinds.resource("apiregistration.k8s.io", "v1", "apiservices") else { return };
    let builtin = api.registry().builtin().kinds();
    let custom =
        kinds.groups().iter().filter(|group| !builtin.groups().iter().any(|it| it.name == group.name));
    let wanted: Vec<(String, &str, &str)> = custom
        .flat_map(|group| {
            group
                .versions
                .iter()
                .map(|version| (format!("{version}.{}", group.name), group.name.as_str(), version.as_str()))
        })
        .collect();
    let (present, _) = api.store().list(&served.storage(), "");
    for registered in present.iter().filter(|object| is_of_definition(object)) {
        let name = name_of(registered);
        if !wanted.iter().any(|(wanted, _, _)| name.name == *wanted) {
            let revision = crate::state::revision_of(registered);
            let _ = api.store().commit(&served.storage(), &name, Commit::Delete { revision });
        }
    }
    for (name, group, version) in &wanted {
        if api.store().get(&served.storage(), &Name::new("", name)).is_none() {
            register(api, name, group, version);
        }
    }
}

const AUTOMANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

fn is_of_definition(registered: &Arc<Value>) -> bool {
    registered.str_at(&["metadata", "labels", AUTOMANAGED]) == Some("true")
}

fn register(api: &Api, name: &str, group: &str, version: &str) {
    let mut object = Value::default();
    object.set_at(&["metadata", "name"], name.into());
    object.set_at(&["metadata", "labels", AUTOMANAGED], "true".into());
    object.set_at(&["spec", "group"], group.into());
    object.set_at(&["spec", "version"], version.into());
    object.set_at(&["spec", "groupPriorityMinimum"], 1000.into());
    object.set_at(&["spec", "versionPriority"], 100.into());
    make_available(api, object, "Local", "Local APIServices are always available");
}

/// The registered API of the metrics.
const METRICS: &str = "v1beta1.metrics.k8s.io";

/// The service that serves metrics in a real cluster. Here it stands for the server itself.
const METRICS_SERVER: &str = "metrics-server";

/// Registers the API of the metrics as a metrics server's manifests do, for as long as it is served.
pub fn register_metrics(api: &Api, is_served: bool) {
    let kinds = api.registry().kinds();
    let Some(served) = kinds.resource("apiregistration.k8s.io", "v1", "apiservices") else { return };
    let name = Name::new("", METRICS);
    let live = api.store().get(&served.storage(), &name);
    match live {
        None if is_served => {
            let mut object = Value::default();
            object.set_at(&["metadata", "name"], METRICS.into());
            object.set_at(&["metadata", "labels", "k8s-app"], METRICS_SERVER.into());
            object.set_at(&["spec", "group"], "metrics.k8s.io".into());
            object.set_at(&["spec", "version"], "v1beta1".into());
            object.set_at(&["spec", "groupPriorityMinimum"], 100.into());
            object.set_at(&["spec", "versionPriority"], 100.into());
            object.set_at(&["spec", "insecureSkipTLSVerify"], true.into());
            object.set_at(&["spec", "service", "name"], METRICS_SERVER.into());
            object.set_at(&["spec", "service", "namespace"], "kube-system".into());
            make_available(api, object, "Passed", "all checks passed");
        }
        // What somebody else registered stays.
        Some(live)
            if !is_served && live.str_at(&["metadata", "labels", "k8s-app"]) == Some(METRICS_SERVER) =>
        {
            let revision = crate::state::revision_of(&live);
            let _ = api.store().commit(&served.storage(), &name, Commit::Delete { revision });
        }
        None | Some(_) => {}
    }
}

/// Makes a registered API, and says that it is available.
fn make_available(api: &Api, mut object: Value, reason: &str, message: &str) {
    let kinds = api.registry().kinds();
    let Some(served) = kinds.resource("apiregistration.k8s.io", "v1", "apiservices") else { return };
    object.set_at(&["apiVersion"], "apiregistration.k8s.io/v1".into());
    object.set_at(&["kind"], "APIService".into());
    let created = api.change_as_server(Target::collection(served, ""), WriteVerb::Create, &object);
    let Ok(created) = created else { return };
    let mut condition = Value::default();
    condition.set_at(&["lastTransitionTime"], wire_time(api.clock().now()).into());
    condition.set_at(&["message"], message.into());
    condition.set_at(&["reason"], reason.into());
    condition.set_at(&["status"], "True".into());
    condition.set_at(&["type"], "Available".into());
    let mut object = created.response;
    let name = name_of(&object).name;
    object.set_at(&["status", "conditions"], Value::List(vec![condition]));
    let status = Target { subresource: Some("status"), ..Target::object(served, "", &name) };
    // One that was removed meanwhile needs no status.
    let _ = api.change_as_server(status, WriteVerb::Update, &object);
}
