//! Validating policies are asked about the same writes in both worlds, see the same, and refuse in the same words: deletes,
//! subresources, dry runs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::expressions::sandbox;
use crate::world::plane;

/// What is there before the policy is.
const OBJECTS: &str = include_str!("policies-objects.yaml");
/// A policy that refuses everything about a few kinds in one namespace, and says what it sees.
const POLICY: &str = include_str!("policies.yaml");

const EVICTION: &str =
    r#"{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p","namespace":"watched"}}"#;
const BINDING: &str =
    r#"{"apiVersion":"v1","kind":"Binding","metadata":{"name":"p"},"target":{"kind":"Node","name":"n"}}"#;

/// An API server notices new policies within seconds.
const DEADLINE: Duration = Duration::from_secs(90);

/// Commands, each with what it reads.
const STEPS: [(&str, &str); 24] = [
    ("create configmap deny-me -n watched", ""),
    ("create configmap fine -n watched", ""),
    ("delete configmap c -n watched", ""),
    ("delete configmap c -n watched --dry-run=server", ""),
    ("delete configmap c -n watched --cascade=foreground --grace-period=3", ""),
    ("delete configmap nothing -n watched", ""),
    ("delete configmap -l a=b -n watched", ""),
    ("delete --raw /api/v1/namespaces/watched/configmaps?labelSelector=a%3Db", ""),
    ("delete --raw /api/v1/namespaces/watched/configmaps/c", ""),
    ("delete pod p -n watched --wait=false", ""),
    ("delete pod p -n watched --wait=false --force --grace-period=0", ""),
    ("get configmaps -n watched -l a=b -o name", ""),
    ("scale deployment d -n watched --replicas=2", ""),
    ("patch deployment d -n watched --subresource=scale --type=merge -p {\"spec\":{\"replicas\":3}}", ""),
    ("patch deployment d -n watched --subresource=scale --type=merge -p {\"spec\":{\"replicas\":-3}}", ""),
    ("patch deployment d -n watched --subresource=status --type=merge -p {\"status\":{\"replicas\":3}}", ""),
    ("get deployment d -n watched -o jsonpath={.spec.replicas}", ""),
    ("create --raw /api/v1/namespaces/watched/pods/p/eviction -f -", EVICTION),
    ("create --raw /api/v1/namespaces/watched/pods/p/eviction?dryRun=All -f -", EVICTION),
    ("create --raw /api/v1/namespaces/watched/pods/nothing/eviction -f -", EVICTION),
    ("create --raw /api/v1/namespaces/watched/pods/p/binding -f -", BINDING),
    ("create --raw /api/v1/namespaces/watched/pods/q/binding -f -", BINDING),
    ("delete namespace watched --dry-run=server", ""),
    ("auth can-i get pods -n watched", ""),
];

/// What a command says, and how it ends.
fn said(mut kubectl: Command, command: &str, input: &str) -> String {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = kubectl.args(command.split(' ')).stdin(Stdio::from(file)).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!("{}{}{}", text(output.stdout), text(output.stderr), output.status.code().unwrap_or(-1))
}

fn play(kubectl: &dyn Fn() -> Command) -> Vec<String> {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    let create = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let told = said(kubectl(), &format!("create -f {}", file.path().display()), "");
        assert!(told.ends_with('0'), "{told}");
    };
    create(OBJECTS);
    create(POLICY);
    let deadline = Instant::now() + DEADLINE;
    while said(kubectl(), "create configmap deny-me -n watched --dry-run=server", "").ends_with('0') {
        assert!(Instant::now() < deadline, "the policy is not in force");
    }
    let told = STEPS.iter().map(|(command, input)| said(kubectl(), command, input)).collect();
    let policies = "delete validatingadmissionpolicies,validatingadmissionpolicybindings watched";
    assert!(said(kubectl(), policies, "").ends_with('0'));
    told
}

#[test]
fn policies_are_asked_about_the_same_writes() {
    let other = sandbox();
    let ours = play(&|| other.kubectl());
    let real = play(&|| plane().kubectl());
    let mut told = Vec::new();
    for ((command, _), (real, ours)) in STEPS.iter().zip(real.iter().zip(&ours)) {
        if real != ours {
            told.push(format!("{command}\n  control plane: {real}\n  sandbox:       {ours}"));
        }
    }
    assert!(told.is_empty(), "{} of {} differ:\n{}", told.len(), STEPS.len(), told.join("\n"));
    let refused = real.iter().filter(|told| told.contains("'watched'")).count();
    assert!(refused > 12, "the policy refused {refused} only");
}
