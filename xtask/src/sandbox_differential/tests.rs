//! The kept cases in the sandbox alone: it still says what it and a control plane agreed on.

#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_merge::SchemaSet;

use super::cases::print;
use super::*;

#[test]
fn kept_cases_are_about_known_kinds() {
    let kinds = Kind::all().unwrap();
    for case in Case::all().unwrap() {
        assert!(case.kind(&kinds).is_ok(), "{}", case.kind);
        assert_eq!(case.agreed.len(), case.requests.len(), "{} {} has no prints", case.kind, case.why);
    }
}

/// Both worlds are sandboxes here: what they agree on has the print of what a control plane said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_still_says_what_a_control_plane_says() {
    let kinds = Kind::all().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut worlds = Vec::new();
    let mut sandboxes = Vec::new();
    for name in ["first", "second"] {
        let sandbox = sandbox().await.unwrap();
        let kubeconfig = folder.path().join(name);
        std::fs::write(&kubeconfig, sandbox.kubeconfig("admin")).unwrap();
        let world = World::open(name, &kubeconfig).unwrap();
        prepare(world.admin().unwrap(), &kinds).await.unwrap();
        worlds.push(world);
        sandboxes.push(sandbox);
    }
    let (ours, real) = (worlds.pop().unwrap(), worlds.pop().unwrap());
    let ground = Ground { real, ours, schemas: SchemaSet::builtin().clone() };
    let mut wrong = Vec::new();
    for (number, case) in Case::all().unwrap().iter().enumerate() {
        let name = format!("k{number}x");
        let requests = case.named(&name);
        let kind = case.kind(&kinds).unwrap();
        let exceptions = Exceptions::read().unwrap();
        let outcome = play(&ground, kind, &name, Source::Given(&requests), exceptions).await.unwrap();
        let differs = outcome.failure.map(|failure| failure.differences);
        let said: Vec<String> = outcome.agreed.iter().map(print).collect();
        // What is kept for an exception has no print at the place where the worlds are known to differ.
        let unknown = print(&trueup_object::Value::Null);
        let same = said.len() == case.agreed.len()
            && said.iter().zip(&case.agreed).all(|(said, agreed)| said == agreed || *agreed == unknown);
        if !same {
            let last = requests.last().map(request::Request::shown);
            wrong.push(format!("kept case {number} of {} ({}): {last:?} {differs:?}", case.kind, case.why));
        }
    }
    for sandbox in sandboxes {
        sandbox.shutdown().await;
    }
    let remedy = "cargo xtask sandbox-differential --sequences 0 shows what differs";
    assert!(wrong.is_empty(), "{remedy}\n{}", wrong.join("\n"));
}
