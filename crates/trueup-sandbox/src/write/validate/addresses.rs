//! Addresses and families of services: judged before anything is given to a service, and where that fails nothing else is said.
//! This cluster has IPv4 alone, as the API server has it by default.

use trueup_object::Value;

use super::super::strategy::is_headless;
use super::Report;

static NOTHING: Value = Value::Null;

/// What is wrong with the addresses that a service asks for.
pub fn addresses(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if spec.str_at(&["type"]) == Some("ExternalName") {
        return;
    }
    fit_together(report, spec, live.is_none());
    if !report.causes.is_empty() {
        return;
    }
    one_family(report, spec);
    let selects = spec.get("selector").and_then(Value::as_map).is_some_and(|map| !map.is_empty());
    if !report.causes.is_empty() || (is_headless(object) && !selects) {
        return;
    }
    families(report, spec, live);
}

/// Whether the fields agree with each other.
fn fit_together(report: &mut Report, spec: &Value, is_new: bool) {
    let listed = spec.list_at(&["clusterIPs"]);
    let given = Value::List(listed.to_vec());
    if listed.first().is_some_and(|first| first.as_str() != spec.str_at(&["clusterIP"])) {
        report.invalid("spec.clusterIPs", given.clone(), "first value must match `clusterIP`");
    }
    let families = spec.list_at(&["ipFamilies"]);
    for (index, family) in families.iter().filter_map(Value::as_str).enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        report.supported(&field, family, &["IPv4", "IPv6"]);
        if families.iter().take(index).any(|other| other.as_str() == Some(family)) {
            report.duplicate(&field, family);
        }
    }
    report.optional(spec, "spec", "ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    let mut all_addresses = true;
    for (index, address) in listed.iter().filter_map(Value::as_str).enumerate() {
        if index == 0 && address == "None" {
            if listed.len() > 1 {
                all_addresses = false;
                report.invalid("spec.clusterIPs", given.clone(), "'None' must be the first and only value");
            }
            continue;
        }
        all_addresses &= report.address(&format!("spec.clusterIPs[{index}]"), address);
    }
    if listed.len() > 2 {
        report.invalid("spec.clusterIPs", given.clone(), "may only hold up to 2 values");
    }
    if !all_addresses {
        return;
    }
    let is_v6 = |address: &Value| address.as_str().is_some_and(|address| address.contains(':'));
    let n_v6 = listed.iter().filter(|address| is_v6(address)).count();
    if listed.len() > 1 && (n_v6 == 0 || n_v6 == listed.len()) {
        report.invalid("spec.clusterIPs", given, "may specify no more than one IP for each IP family");
    }
    // A new service has its address chosen after this.
    if is_new || spec.str_at(&["clusterIP"]) == Some("None") {
        return;
    }
    for (index, (address, family)) in listed.iter().zip(families).enumerate() {
        let wanted = family.as_str().unwrap_or_default();
        if (wanted == "IPv6") != is_v6(address) {
            let detail = format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`");
            let field = format!("spec.clusterIPs[{index}]");
            report.invalid(&field, address.clone(), &detail);
        }
    }
}

/// Who asks for one family cannot have two of anything.
fn one_family(report: &mut Report, spec: &Value) {
    if spec.str_at(&["ipFamilyPolicy"]) != Some("SingleStack") {
        return;
    }
    for (list, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if spec.list_at(&[list]).len() == 2 {
            let detail =
                format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            report.invalid("spec.ipFamilyPolicy", "SingleStack", &detail);
        }
    }
}

/// What a cluster of one family refuses.
fn families(report: &mut Report, spec: &Value, live: Option<&Value>) {
    let policy = spec.str_at(&["ipFamilyPolicy"]);
    let same = live.and_then(|live| live.str_at(&["spec", "ipFamilyPolicy"])) == policy;
    if policy == Some("RequireDualStack") && !same {
        let detail = "this cluster is not configured for dual-stack services";
        report.invalid("spec.ipFamilyPolicy", "RequireDualStack", detail);
    }
    for (index, family) in spec.list_at(&["ipFamilies"]).iter().filter_map(Value::as_str).enumerate() {
        if family == "IPv6" {
            let field = format!("spec.ipFamilies[{index}]");
            report.invalid(&field, family, "not configured on this cluster");
        }
    }
}
