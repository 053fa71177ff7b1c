//! Defaults of pod specs, of templates and of pods themselves.

use trueup_object::{Map, Value};

use super::super::fields::{below, each, fill, fill_text, is_unset, within};

/// A `PodTemplateSpec`.
pub fn template(template: &mut Value) {
    pod_spec(below(template, "spec"));
}

/// A `PodSpec`, in a template or in a pod.
pub fn pod_spec(spec: &mut Value) {
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill_text(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", Value::Map(Map::new()));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill_text(spec, "schedulerName", "default-scheduler");
    // The old name of serviceAccountName; the server keeps the two equal.
    service_account(spec);
    each(spec, "volumes", volume);
    for containers in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, containers, container);
    }
}

fn service_account(spec: &mut Value) {
    let named = |key: &str| spec.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = named("serviceAccountName").or_else(|| named("serviceAccount")).map(str::to_owned);
    if let Some(name) = name {
        spec.set_at(&["serviceAccountName"], name.clone().into());
        spec.set_at(&["serviceAccount"], name.into());
    }
}

/// What holds for pods and not for templates.
pub fn pod_only(spec: &mut Value) {
    // A grace period that nobody could wait for is one second.
    if spec.int_at(&["terminationGracePeriodSeconds"]).is_some_and(|seconds| seconds < 0) {
        spec.set_at(&["terminationGracePeriodSeconds"], 1.into());
    }
    fill(spec, "enableServiceLinks", true);
    let on_host = spec.get("hostNetwork").and_then(Value::as_bool) == Some(true);
    for containers in ["initContainers", "containers"] {
        each(spec, containers, |container| {
            within(container, "resources", requests_from_limits);
            if on_host {
                each(container, "ports", host_port);
            }
        });
    }
}

fn requests_from_limits(resources: &mut Value) {
    let Some(limits) = resources.get("limits").and_then(Value::as_map).cloned() else { return };
    let requests = below(resources, "requests");
    for (name, quantity) in limits {
        fill(requests, &name, quantity);
    }
}

fn host_port(port: &mut Value) {
    if let Some(number) = port.get("containerPort").cloned() {
        fill(port, "hostPort", number);
    }
}

fn container(container: &mut Value) {
    let image = container.str_at(&["image"]).unwrap_or_default();
    let policy = pull_policy(image);
    fill_text(container, "imagePullPolicy", policy);
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    below(container, "resources");
    each(container, "ports", |port| fill_text(port, "protocol", "TCP"));
    each(container, "env", |variable| {
        within(variable, "valueFrom", |source| {
            within(source, "fieldRef", |field| fill_text(field, "apiVersion", "v1"));
            within(source, "fileKeyRef", |file| fill(file, "optional", false));
            within(source, "resourceFieldRef", resource_field);
        });
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        within(container, name, probe);
    }
    within(container, "lifecycle", |lifecycle| {
        for name in ["postStart", "preStop"] {
            within(lifecycle, name, |handler| within(handler, "httpGet", http_get));
        }
    });
}

fn probe(probe: &mut Value) {
    for (field, default) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe.int_at(&[field]).unwrap_or_default() == 0 {
            probe.set_at(&[field], default.into());
        }
    }
    within(probe, "httpGet", http_get);
    within(probe, "grpc", |grpc| fill(grpc, "service", ""));
}

fn http_get(action: &mut Value) {
    fill_text(action, "path", "/");
    fill_text(action, "scheme", "HTTP");
}

/// A divisor that is not given is written as the zero quantity.
fn resource_field(field: &mut Value) {
    fill(field, "divisor", "0");
}

const SOURCE_FIELDS_APART: &str = "name";

fn volume(volume: &mut Value) {
    let has_source = volume
        .as_map()
        .is_some_and(|map| map.iter().any(|(key, value)| key != SOURCE_FIELDS_APART && !value.is_null()));
    if !has_source {
        fill(volume, "emptyDir", Value::Map(Map::new()));
    }
    for name in ["secret", "configMap"] {
        within(volume, name, |source| fill(source, "defaultMode", 0o644));
    }
    within(volume, "downwardAPI", |source| {
        fill(source, "defaultMode", 0o644);
        each(source, "items", downward_item);
    });
    within(volume, "projected", |source| {
        fill(source, "defaultMode", 0o644);
        each(source, "sources", |part| {
            within(part, "downwardAPI", |downward| each(downward, "items", downward_item));
            within(part, "serviceAccountToken", |token| fill(token, "expirationSeconds", 3600));
        });
    });
    within(volume, "hostPath", |source| fill(source, "type", ""));
    within(volume, "image", |image| {
        let policy = pull_policy(image.str_at(&["reference"]).unwrap_or_default());
        fill_text(image, "pullPolicy", policy);
    });
    within(volume, "iscsi", |source| fill_text(source, "iscsiInterface", "default"));
    within(volume, "rbd", |source| {
        fill_text(source, "pool", "rbd");
        fill_text(source, "user", "admin");
        fill_text(source, "keyring", "/etc/ceph/keyring");
    });
    within(volume, "azureDisk", |source| {
        fill(source, "cachingMode", "ReadWrite");
        fill(source, "fsType", "ext4");
        fill(source, "readOnly", false);
        fill(source, "kind", "Shared");
    });
    within(volume, "scaleIO", |source| {
        fill_text(source, "storageMode", "ThinProvisioned");
        fill_text(source, "fsType", "xfs");
    });
    within(volume, "ephemeral", |source| {
        within(source, "volumeClaimTemplate", |template| {
            let spec = below(template, "spec");
            fill(spec, "volumeMode", "Filesystem");
            below(spec, "resources");
        });
    });
}

fn downward_item(item: &mut Value) {
    within(item, "fieldRef", |field| fill_text(field, "apiVersion", "v1"));
    within(item, "resourceFieldRef", resource_field);
}

/// `Always` for the tag `latest`, which is also what no tag and no digest mean; `IfNotPresent` for everything else.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map(|(_, tag)| tag);
    let is_name = !name.is_empty()
        && !name.chars().any(char::is_whitespace)
        && !last.split(':').next().unwrap_or_default().chars().any(|char| char.is_ascii_uppercase());
    match tag {
        Some("latest") if is_name => "Always",
        None if is_name && !digest => "Always",
        Some(_) | None => "IfNotPresent",
    }
}

/// Fills the tolerations and account that admission gives to every new pod.
pub fn admit(spec: &mut Value, uid: &str) {
    fill_text(spec, "serviceAccountName", "default");
    service_account(spec);
    tolerations(spec);
    account_token(spec, uid);
}

/// Those of two troubles of a node, for five minutes, where a pod does not say how long it bears them.
pub fn tolerations(spec: &mut Value) {
    let mut all: Vec<Value> = spec.list_at(&["tolerations"]).to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covered = all.iter().any(|toleration| {
            let effect = toleration.str_at(&["effect"]).unwrap_or_default();
            let named = toleration.str_at(&["key"]).unwrap_or_default();
            (named == key || named.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !covered {
            let mut toleration = Value::Map(Map::new());
            toleration.set_at(&["key"], key.into());
            toleration.set_at(&["operator"], "Exists".into());
            toleration.set_at(&["effect"], "NoExecute".into());
            toleration.set_at(&["tolerationSeconds"], 300.into());
            all.push(toleration);
        }
    }
    spec.set_at(&["tolerations"], Value::List(all));
}

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The projected volume with the account's token, mounted into every container that mounts nothing there itself.
fn account_token(spec: &mut Value, uid: &str) {
    if spec.get("automountServiceAccountToken").and_then(Value::as_bool) == Some(false) {
        return;
    }
    let name = format!("kube-api-access-{}", super::super::identity::suffix(uid, 5));
    let mut mounted = false;
    for containers in ["initContainers", "containers"] {
        each(spec, containers, |container| {
            let mounts = container.list_at(&["volumeMounts"]);
            if mounts.iter().any(|mount| mount.str_at(&["mountPath"]) == Some(TOKEN_PATH)) {
                return;
            }
            let mut mounts = mounts.to_vec();
            let mut mount = Value::Map(Map::new());
            mount.set_at(&["name"], name.clone().into());
            mount.set_at(&["readOnly"], true.into());
            mount.set_at(&["mountPath"], TOKEN_PATH.into());
            mounts.push(mount);
            container.set_at(&["volumeMounts"], Value::List(mounts));
            mounted = true;
        });
    }
    if mounted && let Some(volume) = token_volume(&name) {
        let mut volumes =
            if is_unset(spec, "volumes") { Vec::new() } else { spec.list_at(&["volumes"]).to_vec() };
        volumes.push(volume);
        spec.set_at(&["volumes"], Value::List(volumes));
    }
}

fn token_volume(name: &str) -> Option<Value> {
    let text = format!(
        r#"{{"name":{name:?},"projected":{{"defaultMode":420,"sources":[
            {{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}},
            {{"configMap":{{"name":"kube-root-ca.crt","items":[{{"key":"ca.crt","path":"ca.crt"}}]}}}},
            {{"downwardAPI":{{"items":[{{"path":"namespace","fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.namespace"}}}}]}}}}
        ]}}}}"#
    );
    Value::from_json(text.as_bytes()).ok()
}
