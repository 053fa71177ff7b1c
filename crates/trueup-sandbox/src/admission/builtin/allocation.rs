//! What can be had only once or only as much of as there is: addresses and ports of services, the one class of priority that is the
//! default, the room of a claim's volume.

use std::sync::Arc;

use trueup_object::{Quantity, Value};

use crate::api::{Api, Change};
use crate::kind::KindInfo;
use crate::state::ResourceId;
use crate::status::{ApiStatus, StatusCause};

/// The ports that an API server gives to services, as it is started without a flag about it.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Refuses what somebody else has, or what there is not.
pub(super) fn check(
    api: &Api,
    change: &Change<'_>,
    old: Option<&Value>,
    object: &Value,
) -> Result<(), ApiStatus> {
    let kind = &change.target.served.kind;
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Service") => Service { api, change, kind, old, object }.check(),
        ("", "PersistentVolumeClaim") => old.map_or(Ok(()), |old| grown_claim(api, kind, old, object)),
        ("scheduling.k8s.io", "PriorityClass") => one_default(api, kind, object),
        _ => Ok(()),
    }
}

struct Service<'a> {
    api: &'a Api,
    change: &'a Change<'a>,
    kind: &'a KindInfo,
    old: Option<&'a Value>,
    object: &'a Value,
}

impl Service<'_> {
    fn check(&self) -> Result<(), ApiStatus> {
        let new_address = self
            .address(self.object)
            .filter(|address| self.old.and_then(|old| self.address(old)) != Some(address));
        let (ports, old_ports) = (ports(self.object), self.old.map(ports).unwrap_or_default());
        let has_new_port = ports.iter().any(|port| !old_ports.iter().any(|old| old.number == port.number));
        let health = health_port(self.object).filter(|port| self.old.and_then(health_port) != Some(*port));
        if new_address.is_none() && !has_new_port && health.is_none() {
            return Ok(());
        }
        let others = self.others();
        if let Some(address) = new_address {
            self.check_address(address, &others)?;
        }
        self.check_ports(&ports, &old_ports, &others)?;
        let refused = |why: &str, port: i64| {
            ApiStatus::internal(format!("failed to allocate requested HealthCheck NodePort {port}: {why}"))
        };
        match health {
            Some(port) if self.is_outside(port) => Err(refused(&out_of_range(), port)),
            Some(port) if uses(&others, port) || ports.iter().any(|own| own.number == port) => {
                Err(refused("provided port is already allocated", port))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_address(&self, address: &str, others: &[Arc<Value>]) -> Result<(), ApiStatus> {
        let dry_run = self.change.dry_run;
        let in_range = address.starts_with("10.0.") && !matches!(address, "10.0.0.0" | "10.0.255.255");
        let is_taken = || others.iter().any(|other| self.address(other) == Some(address));
        // A dry run asks the one range that there is by default, and of nobody's addresses; else the range that has the address
        // is looked for first.
        let why = if !in_range && dry_run {
            format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is 10.0.0.0/16"
            )
        } else if !in_range {
            "the provided network does not match the current range".to_owned()
        } else if !dry_run && is_taken() {
            "provided IP is already allocated".to_owned()
        } else {
            return Ok(());
        };
        let detail = format!("failed to allocate IP {address}: {why}");
        let value = Value::List(vec![address.into()]);
        Err(self.invalid(StatusCause::invalid("spec.clusterIPs", &value, &detail)))
    }

    /// Whether a port is none that the server gives, which a dry run does not ask.
    fn is_outside(&self, port: i64) -> bool {
        !self.change.dry_run && !NODE_PORTS.contains(&port)
    }

    fn check_ports(&self, ports: &[Port], old: &[Port], others: &[Arc<Value>]) -> Result<(), ApiStatus> {
        for (index, port) in ports.iter().enumerate() {
            let is_kept = old.iter().any(|old| old.number == port.number);
            let before = ports.iter().take(index);
            // One port may be had for two protocols.
            let mut same = before.filter(|other| other.number == port.number);
            let is_doubled = same.any(|other| other.port != port.port);
            let why = if self.is_outside(port.number) {
                out_of_range()
            } else if is_doubled || !is_kept && uses(others, port.number) {
                "provided port is already allocated".to_owned()
            } else {
                continue;
            };
            let field = format!("spec.ports[{}].nodePort", port.index);
            return Err(self.invalid(StatusCause::invalid(&field, &port.number.into(), &why)));
        }
        Ok(())
    }

    fn invalid(&self, cause: StatusCause) -> ApiStatus {
        let name = self.object.str_at(&["metadata", "name"]).unwrap_or_default();
        ApiStatus::invalid(self.kind, name, vec![cause])
    }

    fn address<'v>(&self, service: &'v Value) -> Option<&'v str> {
        service.str_at(&["spec", "clusterIP"]).filter(|address| !matches!(*address, "" | "None"))
    }

    /// All services but this one.
    fn others(&self) -> Vec<Arc<Value>> {
        let own = |service: &Arc<Value>| {
            let text = |object: &Value, key: &str| object.str_at(&["metadata", key]).map(str::to_owned);
            ["name", "namespace"].iter().all(|key| text(service, key) == text(self.object, key))
        };
        let (mut services, _) = self.api.store().list(&ResourceId::new("", "services"), "");
        services.retain(|service| !own(service));
        services
    }
}

/// A port of a service that every node listens on.
struct Port {
    index: usize,
    port: i64,
    number: i64,
}

fn ports(service: &Value) -> Vec<Port> {
    let listed = service.list_at(&["spec", "ports"]).iter().enumerate();
    let found = listed.filter_map(|(index, port)| {
        let number = port.int_at(&["nodePort"]).filter(|number| *number != 0)?;
        Some(Port { index, port: port.int_at(&["port"]).unwrap_or_default(), number })
    });
    found.collect()
}

fn health_port(service: &Value) -> Option<i64> {
    service.int_at(&["spec", "healthCheckNodePort"]).filter(|port| *port != 0)
}

fn uses(others: &[Arc<Value>], number: i64) -> bool {
    let has = |other: &Arc<Value>| {
        ports(other).iter().any(|port| port.number == number) || health_port(other) == Some(number)
    };
    others.iter().any(has)
}

fn out_of_range() -> String {
    let (first, last) = (NODE_PORTS.start(), NODE_PORTS.end());
    format!("provided port is not in the valid range. The range of valid ports is {first}-{last}")
}

/// A claim grows where its class says that its volumes do.
fn grown_claim(api: &Api, kind: &KindInfo, old: &Value, object: &Value) -> Result<(), ApiStatus> {
    let asked = |claim: &Value| {
        claim.at(&["spec", "resources", "requests", "storage"]).and_then(|amount| Quantity::of(amount).ok())
    };
    let (Some(new), Some(before)) = (asked(object), asked(old)) else { return Ok(()) };
    if new <= before {
        return Ok(());
    }
    let refused = |why: &str| {
        let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
        Err(ApiStatus::forbidden(kind, name, why))
    };
    if old.str_at(&["status", "phase"]) != Some("Bound") {
        return refused("Only bound persistent volume claims can be expanded");
    }
    let class = crate::storage_class::class_named(object).unwrap_or_default();
    let (classes, _) = api.store().list(&crate::storage_class::storage_classes(), "");
    let grows = classes.iter().any(|found| {
        found.str_at(&["metadata", "name"]) == Some(class)
            && found.get("allowVolumeExpansion").and_then(Value::as_bool) == Some(true)
    });
    if grows {
        return Ok(());
    }
    refused(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
    )
}

/// One class of priority is that of pods which name none.
fn one_default(api: &Api, kind: &KindInfo, object: &Value) -> Result<(), ApiStatus> {
    let is_default = |class: &Value| class.get("globalDefault").and_then(Value::as_bool) == Some(true);
    if !is_default(object) {
        return Ok(());
    }
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    let (classes, _) = api.store().list(&ResourceId::new("scheduling.k8s.io", "priorityclasses"), "");
    let other =
        classes.iter().find(|class| is_default(class) && class.str_at(&["metadata", "name"]) != Some(name));
    let Some(other) = other.and_then(|other| other.str_at(&["metadata", "name"])) else { return Ok(()) };
    let why = format!("PriorityClass {other} is already marked as default. Only one default can exist");
    Err(ApiStatus::forbidden(kind, name, &why))
}
