//! Whether the server is well: `/healthz`, `/livez` and `/readyz`, as a whole and by their checks.
//!
//! The checks have the names of a real server's, and all of them pass: what they are about does not exist here, or never fails.

use super::query::Query;
use super::reply::Reply;

/// What a real server does after its start; all three ask about these.
const HOOKS: [&str; 29] = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
    // A check that is no hook stands between these.
    "apiservice-openapi-controller",
    "apiservice-openapiv3-controller",
];

/// After this hook stands a check of its own.
const BEFORE_COMPLETION: &str = "kube-apiserver-autoregistration";

const PLAIN: &str = "text/plain; charset=utf-8";

/// The answer about one of the three, or about one of its checks; None where there is no such check.
pub(super) fn answer(words: &[&str], query: &Query) -> Option<Reply> {
    let (which, check) = words.split_first()?;
    let checks = checks(which)?;
    if !check.is_empty() {
        let name = check.join("/");
        return checks.contains(&name).then(|| Reply::text(200, PLAIN, "ok"));
    }
    if !query.has("verbose") {
        return Some(Reply::text(200, PLAIN, "ok"));
    }
    let excluded = query.values("exclude");
    let mut told = String::new();
    for name in checks {
        let is_excluded = excluded.contains(&name.as_str());
        let line = if is_excluded { format!("[+]{name} excluded: ok\n") } else { format!("[+]{name} ok\n") };
        told.push_str(&line);
    }
    Some(Reply::text(200, PLAIN, format!("{told}{which} check passed\n")))
}

fn checks(which: &str) -> Option<Vec<String>> {
    let (first, last): (&[&str], &[&str]) = match which {
        "readyz" => (&["ping", "log", "etcd", "etcd-readiness", "informer-sync"], &["shutdown"]),
        "livez" | "healthz" => (&["ping", "log", "loopback-serving-certificate", "etcd"], &[]),
        _ => return None,
    };
    let mut all: Vec<String> = first.iter().map(|name| (*name).to_owned()).collect();
    for hook in HOOKS {
        all.push(format!("poststarthook/{hook}"));
        if hook == BEFORE_COMPLETION {
            all.push("autoregister-completion".to_owned());
        }
    }
    all.extend(last.iter().map(|name| (*name).to_owned()));
    Some(all)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn text(words: &[&str], query: &str) -> String {
        let reply = answer(words, &Query::parse(query)).unwrap();
        String::from_utf8(reply.body.to_vec()).unwrap()
    }

    #[test]
    fn checks_are_told_where_somebody_wants_to_know() {
        assert_eq!(text(&["readyz"], ""), "ok");
        assert_eq!(text(&["livez", "poststarthook", "rbac", "bootstrap-roles"], ""), "ok");
        assert!(answer(&["readyz", "nothing"], &Query::parse("")).is_none());
        let told = text(&["readyz"], "verbose&exclude=etcd");
        assert_eq!(told.lines().count(), 37);
        assert!(told.starts_with("[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n[+]etcd-readiness ok\n"));
        assert!(told.ends_with("[+]shutdown ok\nreadyz check passed\n"));
        assert_eq!(text(&["livez"], "verbose=1").lines().count(), 35);
    }
}
