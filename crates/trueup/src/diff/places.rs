//! In which namespace an object is meant to be that names none, and which kinds have no namespaces: told by what is live.
//!
//! A manifest often leaves its namespace to whoever applies it, and an exported object often lacks it. No cluster is
//! asked, so what is live must tell; two objects of one kind and name in two namespaces tell nothing.

use std::collections::{BTreeMap, BTreeSet};

use trueup_object::manifest::Manifest;
use trueup_object::{GroupKind, ResourceKey, Text, Value};

/// The built-in kinds without namespaces.
const CLUSTER_KINDS: [(&str, &str); 24] = [
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("certificates.k8s.io", "ClusterTrustBundle"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("resource.k8s.io", "DeviceClass"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
];

/// What is known of where objects are.
pub struct Places {
    /// The namespaces in which live has an object of a kind and name.
    live: BTreeMap<(GroupKind, Text), BTreeSet<Text>>,
    cluster_kinds: BTreeSet<GroupKind>,
    /// Where an object goes that names no namespace.
    namespace: Option<Text>,
}

impl Places {
    /// From all objects, among which definitions say the scope of their kinds, and from what is live.
    pub fn new<'a>(
        all: impl Iterator<Item = &'a Value>,
        live: impl Iterator<Item = &'a Manifest>,
        namespace: Option<&str>,
    ) -> Self {
        let mut cluster_kinds: BTreeSet<GroupKind> =
            CLUSTER_KINDS.iter().map(|(group, kind)| GroupKind::new(group, kind)).collect();
        let definitions = all.filter(|object| object.str_at(&["kind"]) == Some("CustomResourceDefinition"));
        for definition in definitions.filter(|it| it.str_at(&["spec", "scope"]) == Some("Cluster")) {
            let part = |names: &[&str]| definition.str_at(names).unwrap_or_default();
            cluster_kinds.insert(GroupKind::new(part(&["spec", "group"]), part(&["spec", "names", "kind"])));
        }
        let mut found: BTreeMap<_, BTreeSet<Text>> = BTreeMap::new();
        for ResourceKey { group, kind, namespace, name } in live.map(Manifest::key) {
            found.entry((GroupKind { group, kind }, name)).or_default().insert(namespace);
        }
        Self { live: found, cluster_kinds, namespace: namespace.map(Text::from) }
    }

    /// The manifest with the namespace in which it is to be compared; without any where live has none.
    pub fn settle(&self, manifest: Manifest) -> Manifest {
        let wanted = self.namespace_of(&manifest);
        if manifest.namespace() == wanted.as_str() {
            return manifest;
        }
        let mut object = manifest.object().clone();
        if wanted.is_empty() {
            object.remove_at(&["metadata", "namespace"]);
        } else {
            object.set_at(&["metadata", "namespace"], wanted.into());
        }
        // It was an object before, and a namespace takes nothing away from that.
        manifest.with_object(object).unwrap_or(manifest)
    }

    fn namespace_of(&self, manifest: &Manifest) -> Text {
        let kind = manifest.group_kind();
        let own = Text::from(manifest.namespace());
        if self.cluster_kinds.contains(&kind) {
            return Text::default();
        }
        let seen = self.live.get(&(kind, Text::from(manifest.name())));
        let is_seen_in = |namespace: &Text| seen.is_some_and(|seen| seen.contains(namespace));
        if is_seen_in(&own) {
            return own;
        }
        if !own.is_empty() {
            // An export without namespaces is of the namespace that is meant.
            return if is_seen_in(&Text::default()) { Text::default() } else { own };
        }
        match (&self.namespace, seen.map(|seen| seen.iter().collect::<Vec<_>>()).as_deref()) {
            (Some(namespace), _) => namespace.clone(),
            (None, Some([only])) => (*only).clone(),
            (None, _) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use trueup_object::manifest::{FileOrigin, read_manifests};

    use super::*;

    fn manifests(yaml: &str) -> Vec<Manifest> {
        let file = FileOrigin { repo: "".into(), revision: "".into(), path: "a".into() };
        read_manifests(yaml.as_bytes(), &file).0
    }

    fn settled(live: &str, namespace: Option<&str>, target: &str) -> String {
        let live = manifests(live);
        let places = Places::new(live.iter().map(Manifest::object), live.iter(), namespace);
        places.settle(manifests(target).remove(0)).namespace().to_owned()
    }

    const BARE: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
    const IN_WEB: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: web}}";
    const IN_SHOP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}";

    #[test]
    fn live_tells_the_namespace() {
        assert_eq!(settled(IN_WEB, None, BARE), "web");
        assert_eq!(settled(IN_WEB, None, IN_SHOP), "shop");
        assert_eq!(settled(BARE, None, IN_WEB), "");
        assert_eq!(settled(&format!("{IN_WEB}\n---\n{IN_SHOP}"), None, BARE), "", "two tell nothing");
        assert_eq!(settled(&format!("{IN_WEB}\n---\n{IN_SHOP}"), Some("shop"), BARE), "shop");
        assert_eq!(settled("", Some("shop"), BARE), "shop");
    }

    #[test]
    fn kinds_without_namespaces_get_none() {
        let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a, namespace: b}}";
        assert_eq!(settled("", Some("shop"), role), "");
        let definition =
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x},
            spec: {group: example.com, scope: Cluster, names: {kind: Widget}}}";
        let widget = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}";
        assert_eq!(settled(definition, Some("shop"), widget), "");
        assert_eq!(settled("", Some("shop"), widget), "shop");
    }
}
