//! What is laid over a comparison of files: rules, settings, autoscalers, a server's own prediction.

use super::{CONFIG, DEPLOYMENT, Folder, LIVE_DEPLOYMENT, OWNED, only, paths};

#[test]
fn rules_hide_and_what_they_hide_can_be_shown() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let rules = "- {group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}\n";
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("rules.yaml", rules)]);
    let (document, code) = folder.document(&["--ignore=rules.yaml"]);
    assert_eq!((code, document.str_at(&["status"])), (0, Some("Synced")));
    assert!(only(&document).list_at(&["notes"]).is_empty());
    let (document, code) = folder.document(&["--ignore=rules.yaml", "--show-ignored"]);
    assert_eq!(code, 0);
    let note = &only(&document).list_at(&["notes"])[0];
    assert_eq!(note.str_at(&["path"]), Some(".spec.replicas"));
    assert!(note.str_at(&["ignoredBy", "rule"]).unwrap().contains("/spec/replicas"), "{}", note.to_json());
    let run =
        folder.run(&["--target=target.yaml", "--live=live.yaml", "--ignore=rules.yaml", "--show-ignored"]);
    assert!(run.code == 0 && run.out.contains(".spec.replicas"), "{run:?}");
    folder.write("rules.yaml", "- {group: apps, kind: Deployment, jsonPointers: [spec]}\n");
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "--ignore=rules.yaml"]);
    assert!(run.code == 2 && run.err.contains("hint: "), "{run:?}");
}

#[test]
fn what_an_autoscaler_scales_is_its_own() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let scaler =
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web, namespace: shop},
        spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}";
    let both = format!("{live}\n---\n{scaler}");
    let folder =
        Folder::new(&[("target.yaml", &format!("{DEPLOYMENT}\n---\n{scaler}")), ("live.yaml", &both)]);
    let (document, code) = folder.document(&[]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
}

#[test]
fn what_a_server_would_leave_as_it_is_is_no_difference() {
    // A webhook of the cluster writes images with their registry, whatever is applied.
    let live = LIVE_DEPLOYMENT.replace("image: example.com/web:1", "image: mirror.example.com/web:1");
    let drifted = live.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("predicted.yaml", &live)]);
    assert_eq!(folder.document(&[]).1, 1);
    let (document, code) = folder.document(&["--predicted=predicted.yaml"]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
    folder.write("live.yaml", &drifted);
    let (document, code) = folder.document(&["--predicted=predicted.yaml", "--full"]);
    assert_eq!((code, paths(only(&document), "differences")), (1, vec![".spec.replicas"]));
    assert_eq!(only(&document).int_at(&["predictedLive", "spec", "replicas"]), Some(3));
}

#[test]
fn the_settings_of_an_installation_hold() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let settings = "
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data:
  resource.customizations.ignoreDifferences.apps_Deployment: |
    jsonPointers: [/spec/replicas]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: trueup-settings, namespace: argocd}
data: {undeclared: note}
";
    let folder =
        Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("settings.yaml", settings)]);
    let (document, code) = folder.document(&["--settings=settings.yaml", "--show-ignored"]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
    let note = &only(&document).list_at(&["notes"])[0];
    assert_eq!(note.str_at(&["ignoredBy", "source"]), Some("argocd-cm"));
    folder.write("target.yaml", CONFIG);
    folder.write("live.yaml", OWNED);
    assert_eq!(folder.document(&["--manager=deployer"]).1, 1);
    let (document, code) = folder.document(&["--manager=deployer", "--settings=settings.yaml"]);
    assert_eq!((code, paths(only(&document), "notes")), (0, vec![".data.b"]));
}
