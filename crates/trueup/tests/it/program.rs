//! What needs no cluster, and what happens where there is none.

use std::path::Path;

use trueup_testkit::port::KeptPort;

use crate::world::{World, call, program};

async fn trueup(arguments: &[&str]) -> crate::world::Run {
    let home = tempfile::tempdir().unwrap();
    call(Path::new(program()), arguments, home.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn version_tells_the_tools_too() {
    let run = trueup(&["version", "-o", "json"]).await;
    let value = trueup_object::Value::from_json(run.out.as_bytes()).unwrap();
    assert!(value.str_at(&["git"]).unwrap().starts_with(|first: char| first.is_ascii_digit()), "{}", run.out);
    assert!(value.int_at(&["schemas", "kinds"]).unwrap() > 50);
    assert_eq!(trueup(&["version", "-o", "xml"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_and_completion_are_printed() {
    let crds = trueup(&["crds"]).await.out;
    assert!(crds.contains("applications.argoproj.io") && crds.contains("driftreports.trueup.dev"));
    for shell in ["bash", "zsh", "fish"] {
        let run = trueup(&["completion", shell]).await;
        assert!(run.code == 0 && run.out.contains("explain"), "{shell}");
    }
}

/// Shells read the scripts without running them; those that this machine has not are left out.
#[tokio::test(flavor = "multi_thread")]
async fn shells_understand_the_completion() {
    for shell in ["bash", "zsh", "fish"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), trueup(&["completion", shell]).await.out).unwrap();
        match tokio::process::Command::new(shell).arg("-n").arg(file.path()).output().await {
            Ok(read) => assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {read:?}"),
            Err(error) => println!("left out: {shell} cannot be run: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_argo_cds_that_are_not_here_say_what_to_do() {
    for (line, words) in [
        (&["login", "argocd.example.com"][..], "--kubeconfig"),
        (&["app", "rollback", "web"], "app history"),
        (&["app", "set", "web", "--helm-set", "a=b"], "helm template"),
    ] {
        let run = trueup(line).await;
        assert_eq!(run.code, 2, "{run:?}");
        let hint = run.err.lines().find(|line| line.starts_with("hint: ")).unwrap_or_default();
        assert!(hint.contains(words), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_the_line_end_with_2() {
    for line in [&["app", "no-such-command"][..], &["app", "get"], &["app", "list", "-o", "html"], &[]] {
        assert_eq!(trueup(line).await.code, 2, "{line:?}");
    }
    assert_eq!(trueup(&["--help"]).await.code, 0);
    let run = trueup(&["sandbox", "--listen=0.0.0.0:0", "--kubeconfig-out=x"]).await;
    assert!(run.code == 2 && run.err.contains("hint: "), "{run:?}");
    for (wrong, words) in [
        (&["--user=nobody"][..], "possible values: admin, alice@example.com, bob@example.com"),
        (&["--listen=example.com:0"], "an address is a number and a port, such as 127.0.0.1:8443"),
        (&["--listen=localhost"], "or 127.0.0.1:0 for any free port"),
    ] {
        let line: Vec<&str> = ["sandbox", "--kubeconfig-out=x"].iter().chain(wrong).copied().collect();
        let run = trueup(&line).await;
        assert!(run.code == 2 && run.err.contains(words), "{run:?}");
    }
}

/// Somebody takes connections and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_does_not_answer_is_not_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         clusters: [{{name: a, cluster: {{server: 'http://{}'}}}}]\nusers: [{{name: a, user: {{token: t}}}}]\n",
        silent.local_addr().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let run = trueup(&["sandbox", "fault", "list", "--kubeconfig", file.to_str().unwrap()]).await;
    let said = "failed to read from the sandbox: no answer for 10 s";
    assert!(run.code == 4 && run.err.contains(said) && run.err.contains("hint: "), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_added_listed_and_cleared() {
    let world = World::bare().await;
    let rule = ["sandbox", "fault", "add", "status", "code=503", "share=0.5", "--match", "kind=Pod,Secret"];
    let run = world.trueup(&rule).await;
    let told = "{\"code\":503,\"kind\":\"status\",\"match\":{\"kind\":[\"Pod\",\"Secret\"]},\"share\":0.5}\n";
    assert_eq!((run.code, run.out.as_str()), (0, told), "{run:?}");
    assert_eq!(world.trueup(&["sandbox", "fault", "list"]).await.out, told);
    assert_eq!(world.sandbox.faults().to_value().to_json(), format!("[{}]", told.trim()));
    assert_eq!(world.trueup(&["sandbox", "fault", "clear"]).await.code, 0);
    assert_eq!(world.trueup(&["sandbox", "fault", "list"]).await.out, "");
    assert_eq!(world.trueup(&["sandbox", "restart"]).await.code, 0);
    for (wrong, words) in [
        (&["stat"][..], "unknown fault \"stat\"; known are latency"),
        (&["status", "code=99"], "code must be a status code from 400 to 599, not 99"),
        (&["status", "code"], "a setting is KEY=VALUE"),
        (&["cut", "--match", "colour=red"], "no setting \"match.colour\""),
        (&["cut", "--match", "kind="], "about a kind, a version and a user agent that are not empty"),
        (&["cut", "--match", "namespace=Not_A_Name"], "about namespaces as they can be called"),
        (&["cut", "--match", "kind=Pod", "--match", "kind=Secret"], "--match kind is given twice"),
        (&["status", "code=500", "code=503"], "a setting code is given twice"),
    ] {
        let line: Vec<&str> = ["sandbox", "fault", "add"].iter().chain(wrong).copied().collect();
        let run = world.trueup(&line).await;
        assert!(run.code == 2 && run.err.contains(words) && run.err.contains("hint: "), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fates_and_usages_are_set_listed_and_cleared() {
    let world = World::bare().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    let pod =
        "{\"fate\":\"slow-ready=30\",\"labels\":{\"app\":\"web\"},\"name\":\"web\",\"namespace\":\"shop\"}\n";
    let usage = "{\"cpu\":\"400m\",\"memory\":\"65536Ki\",\"name\":\"web\",\"namespace\":\"shop\"}\n";
    let node = "{\"cpu\":\"2000m\",\"memory\":\"0Ki\",\"node\":\"sandbox-0\"}\n";
    for (what, line, told) in [
        ("pods", &["slow-ready", "web", "-n", "shop", "-l", "app=web"][..], pod),
        ("metrics", &["web", "-n", "shop", "--cpu", "400m", "--memory", "64Mi"], usage),
        ("metrics", &["--node", "sandbox-0", "--cpu", "2"], node),
    ] {
        let of = |verb: &'static str, rest: &[&'static str]| {
            let line: Vec<&str> = ["sandbox", what, verb].iter().chain(rest).copied().collect();
            let world = &world;
            async move { world.trueup(&line).await }
        };
        let run = of("set", line).await;
        assert_eq!((run.code, run.out.as_str()), (0, told), "{run:?}");
        let list = of("list", &[]).await.out;
        assert_eq!(list, told);
        assert_eq!(of("clear", &[]).await.code, 0);
        assert_eq!(of("list", &[]).await.out, "");
        // What is listed can be set again.
        std::fs::write(&file, list).unwrap();
        let again = ["sandbox", what, "set", "--file", file.to_str().unwrap()];
        assert_eq!(world.trueup(&again).await.out, told);
        assert_eq!(of("clear", &[]).await.code, 0);
    }
    for (wrong, words) in [
        (&["pods", "set", "sulk"][..], "no such fate: sulk; there are image-pull"),
        (&["pods", "set", "run", "-l", "app"], "a label is KEY=VALUE"),
        (&["pods", "set", "run", "--image="], "image is empty: leave it out to choose any"),
        (&["pods", "set", "fail=999"], "an exit code is a number from 1 to 255, not 999"),
        (&["metrics", "set", "web", "--cpu", "many"], "no amount: \"many\""),
        (&["metrics", "set", "web", "--cpu", "-1"], "an amount is zero or more"),
        (
            &["metrics", "set", "web", "--memory", "99999999Ti"],
            "an amount is zero or more, and at most 9200T",
        ),
    ] {
        let line: Vec<&str> = std::iter::once(&"sandbox").chain(wrong).copied().collect();
        let run = world.trueup(&line).await;
        assert!(run.code == 2 && run.err.contains(words) && run.err.contains("hint: "), "{run:?}");
    }
    for wrong in [
        &["pods", "set"][..],
        &["metrics", "set", "web"],
        &["metrics", "set", "web", "--node", "a", "--cpu", "1"],
    ] {
        let line: Vec<&str> = std::iter::once(&"sandbox").chain(wrong).copied().collect();
        assert_eq!(world.trueup(&line).await.code, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_away_is_the_worlds_fault() {
    let folder = tempfile::tempdir().unwrap();
    let kept = KeptPort::take().unwrap();
    let port = kept.number().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}],
          contexts: [{{name: c, context: {{cluster: c, user: u}}}}], users: [{{name: u, user: {{}}}}]}}"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let run = call(Path::new(program()), &["app", "list", "--kubeconfig", kubeconfig], folder.path()).await;
    assert_eq!(run.code, 4, "{run:?}");
    assert!(run.err.contains("reach the API server") && run.err.contains("hint: "), "{}", run.err);
    let run = call(Path::new(program()), &["app", "list", "--kubeconfig", "/nowhere"], folder.path()).await;
    assert_eq!(run.code, 2, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_definitions_is_told_what_it_needs() {
    let world = World::bare().await;
    let run = world.trueup(&["app", "list"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("trueup crds | kubectl apply"), "{}", run.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_plays_to_its_end() {
    let run = trueup(&["demo", "--once"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let rows = run.out.lines().skip_while(|line| !line.starts_with("APPLICATION"));
    let rows: Vec<Vec<&str>> = rows.take(7).map(|row| row.split_whitespace().collect()).collect();
    let states: Vec<_> = rows.iter().skip(1).map(|row| (row[0], row[1], row[2])).collect();
    assert_eq!(
        states,
        [
            ("payment-service", "OutOfSync", "cluster"),
            ("user-service", "Synced", "none"),
            ("feature-flags", "OutOfSync", "cluster"),
            ("logging-agent", "OutOfSync", "cluster"),
            ("cert-manager", "Synced", "none"),
            ("frontend", "Synced", "none"),
        ]
    );
}
