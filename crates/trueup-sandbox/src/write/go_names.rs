//! The names that Go's types give to texts of which only some are valid, where messages about wrong types show them.

/// The Go type of a field of a struct, where it is a text with a name of its own.
pub fn text_type(owner: &str, field: &str) -> Option<&'static str> {
    Some(match (owner, field) {
        ("Secret", "type") => "v1.SecretType",
        ("ObjectMeta" | "OwnerReference" | "ObjectReference", "uid") => "types.UID",
        ("ServiceSpec", "type") => "v1.ServiceType",
        ("ServiceSpec", "sessionAffinity") => "v1.ServiceAffinity",
        ("ServiceSpec", "externalTrafficPolicy") => "v1.ServiceExternalTrafficPolicy",
        ("ServiceSpec", "internalTrafficPolicy") => "v1.ServiceInternalTrafficPolicy",
        ("ServiceSpec", "ipFamilies") => "v1.IPFamily",
        ("ServiceSpec", "ipFamilyPolicy") => "v1.IPFamilyPolicy",
        ("ServicePort" | "ContainerPort" | "NetworkPolicyPort" | "EndpointPort", "protocol") => "v1.Protocol",
        ("PodSpec", "restartPolicy") => "v1.RestartPolicy",
        ("PodSpec", "dnsPolicy") => "v1.DNSPolicy",
        ("PodSpec" | "PriorityClass", "preemptionPolicy") => "v1.PreemptionPolicy",
        ("Container" | "EphemeralContainer", "imagePullPolicy") => "v1.PullPolicy",
        ("Container" | "EphemeralContainer", "terminationMessagePolicy") => "v1.TerminationMessagePolicy",
        ("HTTPGetAction", "scheme") => "v1.URIScheme",
        ("Toleration", "operator") => "v1.TolerationOperator",
        ("Toleration" | "Taint", "effect") => "v1.TaintEffect",
        ("LabelSelectorRequirement", "operator") => "v1.LabelSelectorOperator",
        ("NodeSelectorRequirement", "operator") => "v1.NodeSelectorOperator",
        ("TopologySpreadConstraint", "whenUnsatisfiable") => "v1.UnsatisfiableConstraintAction",
        ("HostPathVolumeSource", "type") => "v1.HostPathType",
        ("PersistentVolumeSpec" | "PersistentVolumeClaimSpec", "accessModes") => {
            "v1.PersistentVolumeAccessMode"
        }
        ("PersistentVolumeSpec" | "PersistentVolumeClaimSpec", "volumeMode") => "v1.PersistentVolumeMode",
        ("PersistentVolumeSpec", "persistentVolumeReclaimPolicy") | ("StorageClass", "reclaimPolicy") => {
            "v1.PersistentVolumeReclaimPolicy"
        }
        ("StorageClass", "volumeBindingMode") => "v1.VolumeBindingMode",
        ("CSIDriverSpec", "volumeLifecycleModes") => "v1.VolumeLifecycleMode",
        ("CSIDriverSpec", "fsGroupPolicy") => "v1.FSGroupPolicy",
        ("LimitRangeItem", "type") => "v1.LimitType",
        ("ResourceQuotaSpec", "scopes") => "v1.ResourceQuotaScope",
        ("NamespaceSpec", "finalizers") => "v1.FinalizerName",
        ("DeploymentStrategy", "type") => "v1.DeploymentStrategyType",
        ("DaemonSetUpdateStrategy", "type") => "v1.DaemonSetUpdateStrategyType",
        ("StatefulSetUpdateStrategy", "type") => "v1.StatefulSetUpdateStrategyType",
        ("StatefulSetSpec", "podManagementPolicy") => "v1.PodManagementPolicyType",
        ("JobSpec", "completionMode") => "v1.CompletionMode",
        ("JobSpec", "podReplacementPolicy") => "v1.PodReplacementPolicy",
        ("CronJobSpec", "concurrencyPolicy") => "v1.ConcurrencyPolicy",
        ("MetricSpec", "type") => "v2.MetricSourceType",
        ("MetricTarget", "type") => "v2.MetricTargetType",
        ("PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy") => "v1.UnhealthyPodEvictionPolicyType",
        ("HTTPIngressPath", "pathType") => "v1.PathType",
        ("NetworkPolicySpec", "policyTypes") => "v1.PolicyType",
        ("EndpointSlice", "addressType") => "v1.AddressType",
        ("ValidatingWebhook" | "MutatingWebhook", "failurePolicy") => "v1.FailurePolicyType",
        ("ValidatingWebhook" | "MutatingWebhook", "matchPolicy") => "v1.MatchPolicyType",
        ("ValidatingWebhook" | "MutatingWebhook", "sideEffects") => "v1.SideEffectClass",
        ("MutatingWebhook", "reinvocationPolicy") => "v1.ReinvocationPolicyType",
        ("RuleWithOperations" | "NamedRuleWithOperations", "operations") => "v1.OperationType",
        ("RuleWithOperations" | "NamedRuleWithOperations", "scope") => "v1.ScopeType",
        ("CustomResourceDefinitionSpec", "scope") => "v1.ResourceScope",
        ("CustomResourceConversion", "strategy") => "v1.ConversionStrategyType",
        _ => return None,
    })
}

/// Whether Go's type of this name is a text.
pub fn is_text_type(name: &str) -> bool {
    const NAMES: [&str; 51] = [
        "types.UID",
        "v1.AddressType",
        "v1.CompletionMode",
        "v1.ConcurrencyPolicy",
        "v1.ConversionStrategyType",
        "v1.DNSPolicy",
        "v1.DaemonSetUpdateStrategyType",
        "v1.DeploymentStrategyType",
        "v1.FSGroupPolicy",
        "v1.FailurePolicyType",
        "v1.FinalizerName",
        "v1.HostPathType",
        "v1.IPFamily",
        "v1.IPFamilyPolicy",
        "v1.LabelSelectorOperator",
        "v1.LimitType",
        "v1.MatchPolicyType",
        "v1.NodeSelectorOperator",
        "v1.OperationType",
        "v1.PathType",
        "v1.PersistentVolumeAccessMode",
        "v1.PersistentVolumeMode",
        "v1.PersistentVolumeReclaimPolicy",
        "v1.PodManagementPolicyType",
        "v1.PodReplacementPolicy",
        "v1.PolicyType",
        "v1.PreemptionPolicy",
        "v1.Protocol",
        "v1.PullPolicy",
        "v1.ReinvocationPolicyType",
        "v1.ResourceQuotaScope",
        "v1.ResourceScope",
        "v1.RestartPolicy",
        "v1.ScopeType",
        "v1.SecretType",
        "v1.ServiceAffinity",
        "v1.ServiceExternalTrafficPolicy",
        "v1.ServiceInternalTrafficPolicy",
        "v1.ServiceType",
        "v1.SideEffectClass",
        "v1.StatefulSetUpdateStrategyType",
        "v1.TaintEffect",
        "v1.TerminationMessagePolicy",
        "v1.TolerationOperator",
        "v1.URIScheme",
        "v1.UnhealthyPodEvictionPolicyType",
        "v1.UnsatisfiableConstraintAction",
        "v1.VolumeBindingMode",
        "v1.VolumeLifecycleMode",
        "v2.MetricSourceType",
        "v2.MetricTargetType",
    ];
    NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_fields_are_texts() {
        for (owner, field) in [("Secret", "type"), ("PodSpec", "dnsPolicy"), ("ObjectMeta", "uid")] {
            assert!(text_type(owner, field).is_some_and(is_text_type), "{owner}.{field}");
        }
        assert!(!is_text_type("v1.Container"));
    }
}
