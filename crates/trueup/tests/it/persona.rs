//! The program under Argo CD's name: people's scripts run.

use crate::world::{CONFIG_PATH, World, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_takes_argo_cds_commands_and_gives_its_codes() {
    let world = World::new().await;
    world.create().await;
    let argocd = world.folder.path().join("argocd");
    std::os::unix::fs::symlink(program(), &argocd).unwrap();

    let run = world
        .called(
            &argocd,
            &["app", "list", "-o", "name", "--server=argocd.example.com", "--grpc-web", "--core"],
        )
        .await;
    assert_eq!((run.code, run.out.as_str()), (0, "argocd/web\n"), "{run:?}");
    assert_eq!(run.err.matches("without effect").count(), 1, "{}", run.err);
    assert!(run.err.contains("--server, --grpc-web") && !run.err.contains("--core"), "{}", run.err);

    let run = world.called(&argocd, &["app", "get", "none"]).await;
    assert_eq!(run.code, 20, "{run:?}");
    assert_eq!(world.called(&argocd, &["app", "no-such-command"]).await.code, 1);

    world.called(&argocd, &["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    let run = world.called(&argocd, &["app", "diff", "web"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(!run.out.contains("\n# "), "nothing but Argo CD's text: {}", run.out);
    let run = world.called(&argocd, &["app", "wait", "web", "--sync", "--timeout=1"]).await;
    assert_eq!(run.code, 20, "{run:?}");
}
