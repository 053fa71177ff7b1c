//! What a pod needs of ConfigMaps and Secrets and does not find: its kubelet waits for that, and says so.
//!
//! As the kubelet of Kubernetes: volumes are set up before anything runs, and the pod is not more than `ContainerCreating` until
//! they are; what containers take into their environment keeps only themselves from starting (`CreateContainerConfigError`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trueup_object::Value;

use super::events::Event;
use super::objects::{CONFIG_MAPS, KUBELET, PODS, ROOT_CERTIFICATE, Resource, SECRETS, Step, text};

/// What a pod lacks before it can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lack {
    /// Why volumes cannot be set up, by their names.
    pub volumes: BTreeMap<String, String>,
    /// Why containers cannot be made, by their names.
    pub containers: BTreeMap<String, String>,
}

impl Lack {
    pub fn is_none(&self) -> bool {
        self.volumes.is_empty() && self.containers.is_empty()
    }

    /// Why a container cannot be made.
    pub fn of<'l>(&'l self, container: &Value) -> Option<&'l str> {
        self.containers.get(container.str_at(&["name"])?).map(String::as_str)
    }

    /// What the kubelet tells of it. Volumes come first: as long as one is missing nobody looks at the containers.
    pub fn told(&self, pod: &Value) -> Vec<Step> {
        let event = |reason, message| Step::Tell(Event::told(pod, PODS, KUBELET, reason, message, true));
        if !self.volumes.is_empty() {
            let told = self.volumes.iter().map(|(name, why)| {
                event("FailedMount", format!("MountVolume.SetUp failed for volume {name:?} : {why}"))
            });
            return told.collect();
        }
        self.containers.values().map(|why| event("Failed", format!("Error: {why}"))).collect()
    }
}

/// Looks up a ConfigMap or Secret of the pod's namespace.
type Lookup<'a> = &'a dyn Fn(Resource, &str) -> Option<Arc<Value>>;

/// What a pod that has not begun to run lacks.
pub fn of_pod(pod: &Value, find: Lookup<'_>) -> Lack {
    let mut lack = Lack::default();
    for volume in pod.list_at(&["spec", "volumes"]) {
        if let Some(why) = of_volume(volume, find) {
            lack.volumes.insert(volume.str_at(&["name"]).unwrap_or_default().to_owned(), why);
        }
    }
    let containers = ["initContainers", "containers"].into_iter().flat_map(|key| pod.list_at(&["spec", key]));
    for container in containers {
        if let Err(why) = environment(container, text(pod, "namespace"), find) {
            lack.containers.insert(container.str_at(&["name"]).unwrap_or_default().to_owned(), why);
        }
    }
    lack
}

/// The singular of a resource, as a kubelet's words have it.
fn singular(resource: Resource) -> &'static str {
    if resource == SECRETS { "secret" } else { "configmap" }
}

fn is_optional(source: &Value) -> bool {
    source.get("optional").and_then(Value::as_bool) == Some(true)
}

fn not_found(resource: Resource, name: &str) -> String {
    format!("{} {name:?} not found", singular(resource))
}

fn keys(object: &Value) -> BTreeSet<&str> {
    let maps = ["data", "binaryData"].into_iter().filter_map(|key| object.get(key).and_then(Value::as_map));
    maps.flat_map(|map| map.iter().map(|(key, _)| key)).collect()
}

fn of_volume(volume: &Value, find: Lookup<'_>) -> Option<String> {
    if let Some(source) = volume.get("configMap") {
        return of_source(source, CONFIG_MAPS, "name", find);
    }
    if let Some(source) = volume.get("secret") {
        return of_source(source, SECRETS, "secretName", find);
    }
    let sources = volume.at(&["projected"])?.list_at(&["sources"]).iter();
    let missing = sources.filter_map(|source| {
        let map = source.get("configMap").and_then(|it| of_source(it, CONFIG_MAPS, "name", find));
        map.or_else(|| source.get("secret").and_then(|it| of_source(it, SECRETS, "name", find)))
    });
    // As errors are told together: each once, in brackets where there is more than one.
    let mut whys: Vec<String> = Vec::new();
    for why in missing {
        if !whys.contains(&why) {
            whys.push(why);
        }
    }
    match whys.as_slice() {
        [] => None,
        [why] => Some(why.clone()),
        _ => Some(format!("[{}]", whys.join(", "))),
    }
}

/// What a volume does not find of a ConfigMap or Secret.
fn of_source(source: &Value, resource: Resource, name_key: &str, find: Lookup<'_>) -> Option<String> {
    if is_optional(source) {
        return None;
    }
    let name = source.str_at(&[name_key]).unwrap_or_default();
    if resource == CONFIG_MAPS && name == ROOT_CERTIFICATE {
        // Every namespace has it, and gets it again at once.
        return None;
    }
    let Some(object) = find(resource, name) else { return Some(not_found(resource, name)) };
    let there = keys(&object);
    let mut wanted = source.list_at(&["items"]).iter().filter_map(|item| item.str_at(&["key"]));
    let key = wanted.find(|key| !there.contains(key))?;
    Some(if resource == SECRETS {
        format!("references non-existent secret key: {key}")
    } else {
        format!("configmap references non-existent config key: {key}")
    })
}

/// What a container cannot take into its environment; the first of it in the order of the kubelet.
fn environment(container: &Value, namespace: &str, find: Lookup<'_>) -> Result<(), String> {
    for source in container.list_at(&["envFrom"]) {
        for (key, resource) in [("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)] {
            let Some(reference) = source.get(key) else { continue };
            let name = reference.str_at(&["name"]).unwrap_or_default();
            if !is_optional(reference) && find(resource, name).is_none() {
                return Err(not_found(resource, name));
            }
        }
    }
    for variable in container.list_at(&["env"]) {
        for (key, resource) in [("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)] {
            let Some(reference) = variable.at(&["valueFrom", key]) else { continue };
            if is_optional(reference) {
                continue;
            }
            let part = |key: &str| reference.str_at(&[key]).unwrap_or_default();
            let Some(object) = find(resource, part("name")) else {
                return Err(not_found(resource, part("name")));
            };
            // Only texts go into an environment, which `binaryData` are not.
            if object.at(&["data", part("key")]).is_none() {
                let (key, kind, name) = (part("key"), resource.kind, part("name"));
                return Err(format!("couldn't find key {key} in {kind} {namespace}/{name}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn lack(spec: &str) -> Lack {
        let pod = format!(r#"{{"metadata":{{"name":"p","namespace":"n"}},"spec":{spec}}}"#);
        let there = Arc::new(Value::from_json(br#"{"data":{"a":"1"},"binaryData":{"b":"MQ=="}}"#).unwrap());
        let find = |_: Resource, name: &str| (name == "there").then(|| there.clone());
        of_pod(&Value::from_json(pod.as_bytes()).unwrap(), &find)
    }

    #[test]
    fn volumes_need_what_they_name() {
        let of = |volume: &str| {
            let lack = lack(&format!(r#"{{"volumes":[{{"name":"v",{volume}}}]}}"#));
            lack.volumes.get("v").cloned().unwrap_or_default()
        };
        assert_eq!(of(r#""configMap":{"name":"there"}"#), "");
        assert_eq!(of(r#""configMap":{"name":"no"}"#), r#"configmap "no" not found"#);
        assert_eq!(of(r#""secret":{"secretName":"no"}"#), r#"secret "no" not found"#);
        assert_eq!(of(r#""secret":{"secretName":"no","optional":true}"#), "");
        assert_eq!(of(r#""configMap":{"name":"there","items":[{"key":"b","path":"b"}]}"#), "");
        let items = r#"{"key":"c","path":"c"}"#;
        assert_eq!(
            of(&format!(r#""configMap":{{"name":"there","items":[{items}]}}"#)),
            "configmap references non-existent config key: c"
        );
        assert_eq!(
            of(&format!(r#""secret":{{"secretName":"there","items":[{items}]}}"#)),
            "references non-existent secret key: c"
        );
        let sources = r#"{"serviceAccountToken":{"path":"token"}},{"configMap":{"name":"no"}}"#;
        assert_eq!(of(&format!(r#""projected":{{"sources":[{sources}]}}"#)), r#"configmap "no" not found"#);
        let both = format!(r#""projected":{{"sources":[{sources},{{"secret":{{"name":"no"}}}}]}}"#);
        assert_eq!(of(&both), r#"[configmap "no" not found, secret "no" not found]"#);
        assert_eq!(of(r#""emptyDir":{}"#), "");
    }

    #[test]
    fn environments_need_what_they_name() {
        let of = |container: &str| {
            let lack = lack(&format!(r#"{{"containers":[{{"name":"c",{container}}}]}}"#));
            lack.containers.get("c").cloned().unwrap_or_default()
        };
        let key = |kind: &str, name: &str, key: &str| {
            format!(r#""env":[{{"name":"E","valueFrom":{{"{kind}":{{"name":"{name}","key":"{key}"}}}}}}]"#)
        };
        assert_eq!(of(&key("configMapKeyRef", "there", "a")), "");
        assert_eq!(of(&key("configMapKeyRef", "no", "a")), r#"configmap "no" not found"#);
        assert_eq!(
            of(&key("configMapKeyRef", "there", "b")),
            "couldn't find key b in ConfigMap n/there",
            "binary data are no texts"
        );
        assert_eq!(of(&key("secretKeyRef", "there", "x")), "couldn't find key x in Secret n/there");
        assert_eq!(of(r#""envFrom":[{"secretRef":{"name":"no"}}]"#), r#"secret "no" not found"#);
        assert_eq!(of(r#""envFrom":[{"secretRef":{"name":"no","optional":true}}]"#), "");
    }
}
