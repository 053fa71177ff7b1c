//! The structs that Go's types embed in others: messages about wrong types name them in the path of a field, though they are nowhere
//! in the JSON.

/// Under which embedded structs of a struct a field stands.
pub fn embedding(owner: &str, field: &str) -> &'static [&'static str] {
    const IN_OBJECTS: &[&str] = &["LocalObjectReference"];
    const RULE: [&str; 4] = ["apiGroups", "apiVersions", "resources", "scope"];
    match (owner, field) {
        ("Volume", "name") => &[],
        ("Volume", _) => &["VolumeSource"],
        ("Probe", "exec" | "grpc" | "httpGet" | "tcpSocket") => &["ProbeHandler"],
        ("EphemeralContainer", "targetContainerName") => &[],
        ("EphemeralContainer", _) => &["EphemeralContainerCommon"],
        ("IngressRule", "http") => &["IngressRuleValue"],
        (
            "ConfigMapKeySelector"
            | "SecretKeySelector"
            | "ConfigMapEnvSource"
            | "SecretEnvSource"
            | "ConfigMapVolumeSource"
            | "ConfigMapProjection"
            | "SecretProjection",
            "name",
        ) => IN_OBJECTS,
        ("PersistentVolumeSpec", field) if !is_of_volume(field) => &["PersistentVolumeSource"],
        ("RuleWithOperations", field) if RULE.contains(&field) => &["Rule"],
        ("NamedRuleWithOperations", "operations") => &["RuleWithOperations"],
        ("NamedRuleWithOperations", field) if RULE.contains(&field) => &["RuleWithOperations", "Rule"],
        _ => &[],
    }
}

/// The fields of a volume that do not say where its content is.
fn is_of_volume(field: &str) -> bool {
    matches!(
        field,
        "accessModes"
            | "capacity"
            | "claimRef"
            | "mountOptions"
            | "nodeAffinity"
            | "persistentVolumeReclaimPolicy"
            | "storageClassName"
            | "volumeAttributesClassName"
            | "volumeMode"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_embedded_has_more_in_its_path() {
        assert_eq!(embedding("Volume", "emptyDir"), ["VolumeSource"]);
        assert!(embedding("Volume", "name").is_empty());
        assert_eq!(embedding("NamedRuleWithOperations", "scope"), ["RuleWithOperations", "Rule"]);
        assert!(embedding("PersistentVolumeSpec", "capacity").is_empty());
        assert!(embedding("Deployment", "spec").is_empty());
    }
}
