//! What pods must not do at the levels `baseline` and `restricted` of the Pod Security Standards.
//!
//! As `k8s.io/pod-security-admission/policy` checks it, in its order, with its words, and by the version that a namespace pins.

use std::collections::BTreeSet;

use trueup_object::{Map, Value};

use super::Level;

/// A check that a pod does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

/// A pod as checks see it.
struct Pod<'a> {
    annotations: Option<&'a Map>,
    spec: &'a Value,
    /// Whether its users are others than the node's, which lets it do more (from 1.35 on).
    has_own_users: bool,
    /// Since 1.25, Windows need not do what it cannot.
    is_windows: bool,
}

/// All violations of a level as of a minor version of Kubernetes.
pub(super) fn violations(level: Level, minor: u32, metadata: Option<&Value>, spec: &Value) -> Vec<Violation> {
    let pod = Pod {
        annotations: metadata.and_then(|it| it.get("annotations")).and_then(Value::as_map),
        spec,
        has_own_users: minor >= 35 && spec.get("hostUsers").and_then(Value::as_bool) == Some(false),
        is_windows: minor >= 25 && spec.str_at(&["os", "name"]) == Some("windows"),
    };
    let restricted = level == Level::Restricted;
    let found = match level {
        Level::Privileged => Vec::new(),
        Level::Baseline | Level::Restricted => [
            vec![
                pod.app_armor(),
                (!(restricted && minor >= 22)).then(|| pod.added_capabilities()).flatten(),
                pod.host_namespaces(),
                (!restricted).then(|| pod.host_paths()).flatten(),
                pod.host_ports(),
                (minor >= 34).then(|| pod.probed_hosts()).flatten(),
                pod.privileged(),
                (!(pod.has_own_users || restricted && minor >= 35)).then(|| pod.proc_mount()).flatten(),
                pod.se_linux(minor),
                pod.seccomp_baseline(restricted, minor),
                pod.sysctls(minor),
                pod.windows_host_process(),
            ],
            if restricted { pod.restricted(minor) } else { Vec::new() },
        ]
        .concat(),
    };
    found.into_iter().flatten().collect()
}

fn violation(reason: &'static str, detail: String) -> Option<Violation> {
    Some(Violation { reason, detail })
}

fn quoted<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    items.into_iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ")
}

fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"` or `containers "a", "b"`.
fn containers_named(names: &[&str]) -> String {
    format!("{} {}", plural("container", "containers", names.len()), quoted(names.iter().copied()))
}

/// The pod and its containers that set something.
fn setters(is_pod: bool, names: &[&str]) -> Vec<String> {
    let pod = is_pod.then(|| "pod".to_owned());
    let containers = (!names.is_empty()).then(|| containers_named(names));
    pod.into_iter().chain(containers).collect()
}

fn name(container: &Value) -> &str {
    container.str_at(&["name"]).unwrap_or_default()
}

fn context<'a>(of: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    let path: Vec<&str> = std::iter::once("securityContext").chain(keys.iter().copied()).collect();
    of.at(&path).filter(|value| !value.is_null())
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_list).into_iter().flatten().filter_map(Value::as_str)
}

impl<'a> Pod<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> {
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        lists.into_iter().flat_map(|list| self.spec.list_at(&[list]))
    }

    /// The names of the containers that something is true of.
    fn named(&self, is: impl Fn(&'a Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|container| is(container)).map(name).collect()
    }

    fn app_armor(&self) -> Option<Violation> {
        let bad = |of: &'a Value| {
            let kind = context(of, &["appArmorProfile"])?.str_at(&["type"]).unwrap_or_default();
            (!matches!(kind, "RuntimeDefault" | "Localhost")).then_some(kind)
        };
        let containers = self.named(|container| bad(container).is_some());
        let mut values: Vec<String> = std::iter::once(self.spec)
            .chain(self.containers())
            .filter_map(bad)
            .collect::<BTreeSet<&str>>()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let mut setters = setters(bad(self.spec).is_some(), &containers);
        let annotations = self.annotations.into_iter().flat_map(Map::iter);
        let forbidden: BTreeSet<String> = annotations
            .filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"))
            .filter_map(|(key, value)| Some((key, value.as_str()?)))
            .filter(|(_, value)| {
                !(value.is_empty() || *value == "runtime/default" || value.starts_with("localhost/"))
            })
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        if !forbidden.is_empty() {
            setters.push(plural("annotation", "annotations", forbidden.len()).to_owned());
            values.extend(forbidden);
        }
        if setters.is_empty() {
            return None;
        }
        let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
        violation(
            reason,
            format!(
                "{} must not set AppArmor profile type to {}",
                setters.join(" and "),
                quoted(values.iter().map(String::as_str))
            ),
        )
    }

    fn added_capabilities(&self) -> Option<Violation> {
        const ALLOWED: [&str; 13] = [
            "AUDIT_WRITE",
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "FSETID",
            "KILL",
            "MKNOD",
            "NET_BIND_SERVICE",
            "SETFCAP",
            "SETGID",
            "SETPCAP",
            "SETUID",
            "SYS_CHROOT",
        ];
        let bad = |container: &'a Value| {
            texts(context(container, &["capabilities", "add"])).filter(|it| !ALLOWED.contains(it))
        };
        let containers = self.named(|container| bad(container).next().is_some());
        let values: BTreeSet<&str> = self.containers().flat_map(bad).collect();
        (!containers.is_empty())
            .then(|| {
                violation(
                    "non-default capabilities",
                    format!(
                        "{} must not include {} in securityContext.capabilities.add",
                        containers_named(&containers),
                        quoted(values)
                    ),
                )
            })
            .flatten()
    }

    fn host_namespaces(&self) -> Option<Violation> {
        let is = |field: &str| self.spec.get(field).and_then(Value::as_bool) == Some(true);
        let set: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
            .into_iter()
            .filter(|field| is(field))
            .map(|field| format!("{field}=true"))
            .collect();
        if set.is_empty() { None } else { violation("host namespaces", set.join(", ")) }
    }

    fn host_paths(&self) -> Option<Violation> {
        let volumes = self.spec.list_at(&["volumes"]).iter();
        let names: Vec<&str> =
            volumes.filter(|it| it.get("hostPath").is_some_and(|it| !it.is_null())).map(name).collect();
        let word = plural("volume", "volumes", names.len());
        if names.is_empty() {
            None
        } else {
            violation("hostPath volumes", format!("{word} {}", quoted(names)))
        }
    }

    fn host_ports(&self) -> Option<Violation> {
        let bad = |container: &'a Value| {
            let ports = container.list_at(&["ports"]).iter();
            ports.filter_map(|port| port.int_at(&["hostPort"])).filter(|port| *port != 0)
        };
        let containers = self.named(|container| bad(container).next().is_some());
        let ports: BTreeSet<String> = self.containers().flat_map(bad).map(|port| port.to_string()).collect();
        if containers.is_empty() {
            return None;
        }
        violation(
            "hostPort",
            format!(
                "{} {} {} {}",
                containers_named(&containers),
                plural("uses", "use", containers.len()),
                plural("hostPort", "hostPorts", ports.len()),
                ports.into_iter().collect::<Vec<_>>().join(", ")
            ),
        )
    }

    fn probed_hosts(&self) -> Option<Violation> {
        const HANDLERS: [&[&str]; 5] = [
            &["livenessProbe"],
            &["readinessProbe"],
            &["startupProbe"],
            &["lifecycle", "postStart"],
            &["lifecycle", "preStop"],
        ];
        let bad = |container: &'a Value| -> Vec<&'a str> {
            let handlers = HANDLERS.iter().filter_map(|path| container.at(path));
            let hosts = handlers.flat_map(|handler| {
                ["httpGet", "tcpSocket"].into_iter().filter_map(|way| handler.str_at(&[way, "host"]))
            });
            hosts.filter(|host| !host.is_empty()).collect()
        };
        let mut containers = self.named(|container| !bad(container).is_empty());
        containers.sort_unstable();
        let hosts: BTreeSet<&str> = self.containers().flat_map(bad).collect();
        if containers.is_empty() {
            return None;
        }
        violation(
            "probe or lifecycle host",
            format!(
                "{} {} {} {}",
                containers_named(&containers),
                plural("uses", "use", containers.len()),
                plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len()),
                quoted(hosts)
            ),
        )
    }

    fn privileged(&self) -> Option<Violation> {
        let is = |container: &Value| context(container, &["privileged"]).and_then(Value::as_bool);
        let containers = self.named(|container| is(container) == Some(true));
        if containers.is_empty() {
            return None;
        }
        let detail =
            format!("{} must not set securityContext.privileged=true", containers_named(&containers));
        violation("privileged", detail)
    }

    fn proc_mount(&self) -> Option<Violation> {
        let bad = |container: &'a Value| {
            context(container, &["procMount"])?.as_str().filter(|kind| *kind != "Default")
        };
        let containers = self.named(|container| bad(container).is_some());
        let kinds: BTreeSet<&str> = self.containers().filter_map(bad).collect();
        if containers.is_empty() {
            return None;
        }
        let detail = format!(
            "{} must not set securityContext.procMount to {}",
            containers_named(&containers),
            quoted(kinds)
        );
        violation("procMount", detail)
    }

    fn se_linux(&self, minor: u32) -> Option<Violation> {
        let is_allowed = |kind: &str| {
            matches!(kind, "" | "container_t" | "container_init_t" | "container_kvm_t")
                || (minor >= 31 && kind == "container_engine_t")
        };
        let options = |of: &'a Value| context(of, &["seLinuxOptions"]);
        let text = |options: &'a Value, field: &str| options.str_at(&[field]).unwrap_or_default();
        let bad = |of: &'a Value| {
            options(of).filter(|it| {
                !is_allowed(text(it, "type")) || !text(it, "user").is_empty() || !text(it, "role").is_empty()
            })
        };
        let containers = self.named(|container| bad(container).is_some());
        let setters = setters(bad(self.spec).is_some(), &containers);
        if setters.is_empty() {
            return None;
        }
        let all: Vec<&Value> = std::iter::once(self.spec).chain(self.containers()).filter_map(bad).collect();
        let types: BTreeSet<&str> =
            all.iter().map(|it| text(it, "type")).filter(|it| !is_allowed(it)).collect();
        let mut data = Vec::new();
        if !types.is_empty() {
            data.push(format!("{} {}", plural("type", "types", types.len()), quoted(types)));
        }
        for field in ["user", "role"] {
            if all.iter().any(|it| !text(it, field).is_empty()) {
                data.push(format!("{field} may not be set"));
            }
        }
        let detail = format!(
            "{} set forbidden securityContext.seLinuxOptions: {}",
            setters.join(" and "),
            data.join("; ")
        );
        violation("seLinuxOptions", detail)
    }

    /// Until 1.19, annotations said it.
    fn seccomp_baseline(&self, restricted: bool, minor: u32) -> Option<Violation> {
        if minor >= 19 {
            return if restricted { None } else { self.bad_seccomp() };
        }
        let mut keys = vec!["seccomp.security.alpha.kubernetes.io/pod".to_owned()];
        let containers = self.containers().map(name);
        keys.extend(containers.map(|name| format!("container.seccomp.security.alpha.kubernetes.io/{name}")));
        let forbidden: BTreeSet<String> = keys
            .into_iter()
            .filter_map(|key| {
                let value = self.annotations?.get(&key)?.as_str()?;
                let is_fine =
                    matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
                (!is_fine).then(|| format!("{key}={value:?}"))
            })
            .collect();
        let word = plural("annotation", "annotations", forbidden.len());
        if forbidden.is_empty() {
            return None;
        }
        let listed = forbidden.into_iter().collect::<Vec<_>>().join(", ");
        violation("seccompProfile", format!("forbidden {word} {listed}"))
    }

    fn bad_seccomp(&self) -> Option<Violation> {
        let bad = |of: &'a Value| {
            let kind = context(of, &["seccompProfile"])?.str_at(&["type"]).unwrap_or_default();
            (!is_valid_seccomp(kind)).then_some(kind)
        };
        let containers = self.named(|container| bad(container).is_some());
        let setters = setters(bad(self.spec).is_some(), &containers);
        if setters.is_empty() {
            return None;
        }
        let kinds: BTreeSet<&str> =
            std::iter::once(self.spec).chain(self.containers()).filter_map(bad).collect();
        let detail = format!(
            "{} must not set securityContext.seccompProfile.type to {}",
            setters.join(" and "),
            quoted(kinds)
        );
        violation("seccompProfile", detail)
    }

    fn sysctls(&self, minor: u32) -> Option<Violation> {
        let is_allowed = |name: &str| match name {
            "kernel.shm_rmid_forced"
            | "net.ipv4.ip_local_port_range"
            | "net.ipv4.tcp_syncookies"
            | "net.ipv4.ping_group_range"
            | "net.ipv4.ip_unprivileged_port_start" => true,
            "net.ipv4.ip_local_reserved_ports" => minor >= 27,
            "net.ipv4.tcp_keepalive_time"
            | "net.ipv4.tcp_fin_timeout"
            | "net.ipv4.tcp_keepalive_intvl"
            | "net.ipv4.tcp_keepalive_probes" => minor >= 29,
            "net.ipv4.tcp_rmem" | "net.ipv4.tcp_wmem" => minor >= 32,
            _ => false,
        };
        let set = self.spec.list_at(&["securityContext", "sysctls"]).iter().map(name);
        let forbidden: Vec<&str> = set.filter(|name| !is_allowed(name)).collect();
        if forbidden.is_empty() { None } else { violation("forbidden sysctls", forbidden.join(", ")) }
    }

    fn windows_host_process(&self) -> Option<Violation> {
        let is = |of: &Value| {
            context(of, &["windowsOptions", "hostProcess"]).and_then(Value::as_bool) == Some(true)
        };
        let setters = setters(is(self.spec), &self.named(is));
        if setters.is_empty() {
            return None;
        }
        let detail =
            format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.join(" and "));
        violation("hostProcess", detail)
    }

    /// The checks that the level `restricted` has beside those of `baseline`.
    fn restricted(&self, minor: u32) -> Vec<Option<Violation>> {
        let unless_windows = |found: Option<Violation>| found.filter(|_| !self.is_windows);
        let unless_own_users = |found: Option<Violation>| found.filter(|_| !self.has_own_users);
        vec![
            unless_windows((minor >= 8).then(|| self.privilege_escalation()).flatten()),
            unless_windows((minor >= 22).then(|| self.dropped_capabilities()).flatten()),
            (minor >= 35).then(|| self.proc_mount()).flatten(),
            self.volumes(),
            unless_own_users(self.non_root()),
            unless_own_users((minor >= 23).then(|| self.root_user()).flatten()),
            unless_windows((minor >= 19).then(|| self.seccomp()).flatten()),
        ]
    }

    fn privilege_escalation(&self) -> Option<Violation> {
        let set =
            |container: &Value| context(container, &["allowPrivilegeEscalation"]).and_then(Value::as_bool);
        let containers = self.named(|container| set(container) != Some(false));
        if containers.is_empty() {
            return None;
        }
        let detail = format!(
            "{} must set securityContext.allowPrivilegeEscalation=false",
            containers_named(&containers)
        );
        violation("allowPrivilegeEscalation != false", detail)
    }

    fn dropped_capabilities(&self) -> Option<Violation> {
        let drops_all =
            |container: &'a Value| texts(context(container, &["capabilities", "drop"])).any(|it| it == "ALL");
        let added = |container: &'a Value| {
            texts(context(container, &["capabilities", "add"])).filter(|it| *it != "NET_BIND_SERVICE")
        };
        let missing = self.named(|container| !drops_all(container));
        let adding = self.named(|container| added(container).next().is_some());
        let mut details = Vec::new();
        if !missing.is_empty() {
            details.push(format!(
                "{} must set securityContext.capabilities.drop=[\"ALL\"]",
                containers_named(&missing)
            ));
        }
        if !adding.is_empty() {
            let names: BTreeSet<&str> = self.containers().flat_map(added).collect();
            details.push(format!(
                "{} must not include {} in securityContext.capabilities.add",
                containers_named(&adding),
                quoted(names)
            ));
        }
        if details.is_empty() { None } else { violation("unrestricted capabilities", details.join("; ")) }
    }

    fn volumes(&self) -> Option<Violation> {
        const ALLOWED: [&str; 9] = [
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "image",
            "persistentVolumeClaim",
            "projected",
            "secret",
        ];
        let kind = |volume: &'a Value| {
            let fields = volume.as_map().into_iter().flat_map(Map::iter);
            let mut fields = fields.filter(|(key, value)| *key != "name" && !value.is_null());
            fields.next().map_or("unknown", |(key, _)| key)
        };
        let bad: Vec<&Value> = self
            .spec
            .list_at(&["volumes"])
            .iter()
            .filter(|volume| !ALLOWED.contains(&kind(volume)))
            .collect();
        if bad.is_empty() {
            return None;
        }
        let kinds: BTreeSet<&str> = bad.iter().map(|volume| kind(volume)).collect();
        violation(
            "restricted volume types",
            format!(
                "{} {} {} {} {}",
                plural("volume", "volumes", bad.len()),
                quoted(bad.iter().map(|volume| name(volume))),
                plural("uses", "use", bad.len()),
                plural("restricted volume type", "restricted volume types", kinds.len()),
                quoted(kinds)
            ),
        )
    }

    fn non_root(&self) -> Option<Violation> {
        const REASON: &str = "runAsNonRoot != true";
        let set = |of: &Value| context(of, &["runAsNonRoot"]).and_then(Value::as_bool);
        let setters =
            setters(set(self.spec) == Some(false), &self.named(|container| set(container) == Some(false)));
        if !setters.is_empty() {
            let detail = format!("{} must not set securityContext.runAsNonRoot=false", setters.join(" and "));
            return violation(REASON, detail);
        }
        let silent = self.named(|container| set(container).is_none());
        if set(self.spec) == Some(true) || silent.is_empty() {
            return None;
        }
        let detail =
            format!("pod or {} must set securityContext.runAsNonRoot=true", containers_named(&silent));
        violation(REASON, detail)
    }

    fn root_user(&self) -> Option<Violation> {
        let is = |of: &Value| context(of, &["runAsUser"]).and_then(Value::as_int) == Some(0);
        let setters = setters(is(self.spec), &self.named(is));
        if setters.is_empty() {
            return None;
        }
        violation("runAsUser=0", format!("{} must not set runAsUser=0", setters.join(" and ")))
    }

    fn seccomp(&self) -> Option<Violation> {
        if let Some(bad) = self.bad_seccomp() {
            return Some(bad);
        }
        let is_set = |of: &Value| context(of, &["seccompProfile"]).is_some();
        let silent = self.named(|container| !is_set(container));
        if is_set(self.spec) || silent.is_empty() {
            return None;
        }
        let detail = format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            containers_named(&silent)
        );
        violation("seccompProfile", detail)
    }
}

fn is_valid_seccomp(kind: &str) -> bool {
    matches!(kind, "RuntimeDefault" | "Localhost")
}
