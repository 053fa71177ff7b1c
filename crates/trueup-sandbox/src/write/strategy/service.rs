//! What the server allocates for a service: cluster addresses, address families, node ports. Allocation follows the uid,
//! so that the same seed gives the same addresses; the ranges are the API server's defaults, one stack (IPv4).

use std::collections::BTreeSet;
use std::sync::Arc;

use trueup_object::Value;

use super::super::WriteRequest;
use super::super::fields::{copy_field, fill, is_unset};
use super::super::identity::number;

/// Of 10.0.0.0/16, without the first and the last address.
const ADDRESSES: u32 = (1 << 16) - 2;
/// Of 30000-32767.
const NODE_PORTS: u32 = 2768;

/// Two ports of a changed service that ask for the same port of the nodes.
pub fn doubled_node_port(object: &Value) -> Option<(String, i64)> {
    let ports = object.list_at(&["spec", "ports"]);
    let of = |port: &Value| (port.str_at(&["protocol"]).unwrap_or("TCP").to_owned(), node_port(port));
    let asked: Vec<(String, i64)> = ports.iter().map(of).filter(|(_, number)| *number != 0).collect();
    let is_doubled =
        |(index, port): &(usize, &(String, i64))| asked.iter().take(*index).any(|other| other == *port);
    let found = asked.iter().enumerate().find(is_doubled).map(|(_, port)| port.clone());
    found.filter(|_| needs_node_port(object))
}

/// Fills in what the service needs and lacks; `live` is the service before an update.
pub fn allocate(object: &mut Value, live: Option<&Value>, request: &WriteRequest<'_>) {
    let uid = request.uid;
    let taken = || Taken::by(&(request.others.all)("", "services"));
    if let Some(live) = live {
        keep_allocated(object, live);
        drop_unneeded(object, live);
    }
    normalize_addresses(object, live);
    if !needs_address(object) {
        // Defaulted when the type was another one, and of no meaning for this.
        object.remove_at(&["spec", "internalTrafficPolicy"]);
        return;
    }
    let uid = live.and_then(|live| live.str_at(&["metadata", "uid"])).unwrap_or(uid).to_owned();
    families(object, live);
    let Some(spec) = object.get_mut("spec") else { return };
    if is_unset(spec, "clusterIP") {
        let taken = taken();
        let mut address = address(&uid);
        let mut attempt = 0;
        while taken.addresses.contains(&address) && attempt < N_ATTEMPTS {
            attempt += 1;
            address = self::address(&format!("{uid}/{attempt}"));
        }
        spec.set_at(&["clusterIP"], address.clone().into());
        spec.set_at(&["clusterIPs"], Value::List(vec![address.into()]));
    }
    let lacks_port = spec.list_at(&["ports"]).iter().any(|port| node_port(port) == 0);
    if wants_node_ports(spec) && lacks_port {
        node_ports(spec, &uid, &taken());
    }
    let local = spec.str_at(&["externalTrafficPolicy"]) == Some("Local");
    if spec.str_at(&["type"]) == Some("LoadBalancer") && local && is_unset(spec, "healthCheckNodePort") {
        let port = 30_000 + number(&format!("{uid}/health"), NODE_PORTS);
        spec.set_at(&["healthCheckNodePort"], i64::from(port).into());
    }
}

/// A service whose `clusterIP` is `None`.
pub fn is_headless(object: &Value) -> bool {
    object.str_at(&["spec", "clusterIP"]) == Some("None")
}

fn service_type(object: &Value) -> &str {
    object.str_at(&["spec", "type"]).unwrap_or("ClusterIP")
}

fn needs_address(object: &Value) -> bool {
    matches!(service_type(object), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn needs_node_port(object: &Value) -> bool {
    matches!(service_type(object), "NodePort" | "LoadBalancer")
}

fn wants_node_ports(spec: &Value) -> bool {
    match spec.str_at(&["type"]) {
        Some("NodePort") => true,
        Some("LoadBalancer") => {
            spec.get("allocateLoadBalancerNodePorts").and_then(Value::as_bool) != Some(false)
        }
        Some(_) | None => false,
    }
}

fn address(uid: &str) -> String {
    let offset = number(uid, ADDRESSES) + 1;
    format!("10.0.{}.{}", offset >> 8, offset & 255)
}

/// A client that leaves out what was allocated does not mean to give it back.
fn keep_allocated(object: &mut Value, live: &Value) {
    let same = |field: &str, object: &Value| object.at(&["spec", field]) == live.at(&["spec", field]);
    if needs_address(live) && needs_address(object) {
        if object.get("spec").is_none_or(|spec| is_unset(spec, "clusterIP")) {
            copy_field(object, live, &["spec", "clusterIP"]);
        }
        if object.get("spec").is_none_or(|spec| is_unset(spec, "clusterIPs")) && same("clusterIP", object) {
            copy_field(object, live, &["spec", "clusterIPs"]);
        }
    }
    if needs_node_port(live) && needs_node_port(object) {
        keep_node_ports(object, live);
    }
    let needs_health = |value: &Value| {
        service_type(value) == "LoadBalancer"
            && value.str_at(&["spec", "externalTrafficPolicy"]) == Some("Local")
    };
    if needs_health(live)
        && needs_health(object)
        && object.get("spec").is_none_or(|spec| is_unset(spec, "healthCheckNodePort"))
    {
        copy_field(object, live, &["spec", "healthCheckNodePort"]);
    }
}

fn node_port(port: &Value) -> i64 {
    port.int_at(&["nodePort"]).unwrap_or_default()
}

/// A port keeps its node port by its name, unless another port took that number.
fn keep_node_ports(object: &mut Value, live: &Value) {
    let before = live.list_at(&["spec", "ports"]);
    let Some(ports) =
        object.get_mut("spec").and_then(|spec| spec.get_mut("ports")).and_then(Value::as_list_mut)
    else {
        return;
    };
    let mut used: Vec<i64> = before
        .iter()
        .map(node_port)
        .filter(|number| *number != 0 && ports.iter().any(|port| node_port(port) == *number))
        .collect();
    for port in ports {
        if node_port(port) != 0 {
            continue;
        }
        let same_name = |candidate: &&Value| candidate.str_at(&["name"]) == port.str_at(&["name"]);
        let number = before.iter().rfind(same_name).map(node_port).unwrap_or_default();
        if number != 0 && !used.contains(&number) {
            port.set_at(&["nodePort"], number.into());
            used.push(number);
        }
    }
}

/// What a new type has no use for goes, where the client did not change it at the same time.
fn drop_unneeded(object: &mut Value, live: &Value) {
    let drop_same = |object: &mut Value, fields: &[&str]| {
        for field in fields {
            if object.at(&["spec", field]) == live.at(&["spec", field]) {
                object.remove_at(&["spec", field]);
            }
        }
    };
    if needs_address(live) && !needs_address(object) {
        if object.at(&["spec", "clusterIPs"]) == live.at(&["spec", "clusterIPs"]) {
            object.remove_at(&["spec", "clusterIP"]);
        }
        drop_same(object, &["clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
    }
    if needs_node_port(live) && !needs_node_port(object) {
        let before = live.list_at(&["spec", "ports"]);
        // Ports may come and go, as long as no new number is asked for.
        let is_known =
            |port: &Value| node_port(port) == 0 || before.iter().any(|old| node_port(old) == node_port(port));
        if object.list_at(&["spec", "ports"]).iter().all(is_known)
            && let Some(spec) = object.get_mut("spec")
        {
            super::super::fields::each(spec, "ports", |port| {
                port.remove_at(&["nodePort"]);
            });
        }
    }
    if service_type(live) == "LoadBalancer" && service_type(object) != "LoadBalancer" {
        drop_same(object, &["allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"]);
        object.set_at(&["status", "loadBalancer"], Value::Map(trueup_object::Map::new()));
    }
    let external_ips = !object.list_at(&["spec", "externalIPs"]).is_empty();
    if needs_node_port(live) && !needs_node_port(object) && !external_ips {
        drop_same(object, &["externalTrafficPolicy"]);
    }
}

/// Keeps the one address and the list of addresses in step, whichever of them the client wrote.
fn normalize_addresses(object: &mut Value, live: Option<&Value>) {
    let one = |value: &Value| value.str_at(&["spec", "clusterIP"]).unwrap_or_default().to_owned();
    let new = one(object);
    let Some(live) = live else {
        if !new.is_empty() && object.list_at(&["spec", "clusterIPs"]).is_empty() {
            object.set_at(&["spec", "clusterIPs"], Value::List(vec![new.into()]));
        }
        return;
    };
    let old = one(live);
    let same_list = object.list_at(&["spec", "clusterIPs"]) == live.list_at(&["spec", "clusterIPs"]);
    let no_list = object.list_at(&["spec", "clusterIPs"]).is_empty();
    if old == new || !(same_list || no_list) {
        return;
    }
    if new.is_empty() {
        object.remove_at(&["spec", "clusterIPs"]);
    } else {
        object.set_at(&["spec", "clusterIPs"], Value::List(vec![new.into()]));
    }
}

fn families(object: &mut Value, live: Option<&Value>) {
    let alone = is_headless(object)
        && object.at(&["spec", "selector"]).and_then(Value::as_map).is_none_or(trueup_object::Map::is_empty);
    let before = live.and_then(|live| live.at(&["spec", "ipFamilyPolicy"])).cloned();
    let Some(spec) = object.get_mut("spec") else { return };
    let default = if alone { "RequireDualStack" } else { "SingleStack" };
    fill(spec, "ipFamilyPolicy", before.unwrap_or_else(|| default.into()));
    let single = spec.str_at(&["ipFamilyPolicy"]) == Some("SingleStack");
    // Who goes back to one family need not say which.
    let kept = live.and_then(|live| live.at(&["spec", "ipFamilies"])) == spec.get("ipFamilies");
    if single && kept && spec.list_at(&["ipFamilies"]).len() > 1 {
        let first = spec.list_at(&["ipFamilies"]).iter().take(1).cloned().collect();
        spec.set_at(&["ipFamilies"], Value::List(first));
    }
    if is_unset(spec, "ipFamilies") {
        let is_v6 = spec.str_at(&["clusterIP"]).unwrap_or_default().contains(':');
        let family = if is_v6 { "IPv6" } else { "IPv4" };
        spec.set_at(&["ipFamilies"], Value::List(vec![family.into()]));
    }
    if alone && !single && spec.list_at(&["ipFamilies"]).len() == 1 {
        let mut both = spec.list_at(&["ipFamilies"]).to_vec();
        both.push(if both.contains(&"IPv4".into()) { "IPv6".into() } else { "IPv4".into() });
        spec.set_at(&["ipFamilies"], Value::List(both));
    }
}

/// Ports of every node for those that have none; one for the same port by several protocols.
fn node_ports(spec: &mut Value, uid: &str, taken: &Taken) {
    let number_of = |port: &Value| port.int_at(&["port"]).unwrap_or_default();
    let listed = spec.list_at(&["ports"]).iter();
    let mut used: Vec<(i64, i64)> = listed.map(|port| (number_of(port), node_port(port))).collect();
    used.retain(|(_, number)| *number != 0);
    let mut index = 0_u32;
    super::super::fields::each(spec, "ports", |port| {
        if node_port(port) != 0 {
            return;
        }
        let own = number_of(port);
        let shared = used.iter().find(|(port, _)| *port == own).map(|(_, number)| *number);
        let mut found = shared.unwrap_or_default();
        while found == 0 {
            let candidate = i64::from(30_000 + number(&format!("{uid}/{index}"), NODE_PORTS));
            index += 1;
            let is_used = used.iter().any(|(_, number)| *number == candidate);
            // Where nothing is left the last one is taken, and refused.
            if !is_used && (!taken.ports.contains(&candidate) || index > N_ATTEMPTS) {
                found = candidate;
            }
        }
        used.push((own, found));
        port.set_at(&["nodePort"], found.into());
    });
}

/// How many are tried before what is taken is tried.
const N_ATTEMPTS: u32 = 20_000;

/// What other services have.
struct Taken {
    addresses: BTreeSet<String>,
    ports: BTreeSet<i64>,
}

impl Taken {
    fn by(services: &[Arc<Value>]) -> Self {
        let addresses = services.iter().filter_map(|service| service.str_at(&["spec", "clusterIP"]));
        let ports =
            services.iter().flat_map(|service| service.list_at(&["spec", "ports"]).iter().map(node_port));
        let health = services.iter().filter_map(|service| service.int_at(&["spec", "healthCheckNodePort"]));
        Self { addresses: addresses.map(str::to_owned).collect(), ports: ports.chain(health).collect() }
    }
}
