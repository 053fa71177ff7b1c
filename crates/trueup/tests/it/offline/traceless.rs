//! What files tell of changes that leave no trace in managedFields, and of what a server does by itself.

use trueup_object::Value;

use super::{DEPLOYMENT, Folder, LIVE_DEPLOYMENT, only, paths};

/// A Deployment whose Git leaves the replicas to others, as a server has it after our apply.
fn scaled(replicas: u32) -> (String, String) {
    let target = DEPLOYMENT.replace("  replicas: 3\n", "");
    let live =
        LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", &format!("replicas: {replicas}\n  progress"));
    let owned = "f:spec: {f:selector: {}, f:template: {f:metadata: {f:labels: {f:app: {}}}, f:spec: {f:containers: \
                 {'k:{\"name\":\"app\"}': {.: {}, f:name: {}, f:image: {}, f:resources: {f:requests: {f:cpu: {}, f:memory: {}}}}}}}}";
    let entry = format!(
        "  managedFields:\n  - {{manager: trueup, operation: Apply, apiVersion: apps/v1, time: \"2026-01-01T00:00:00Z\", \
         fieldsType: FieldsV1, fieldsV1: {{{owned}}}}}\n  - {{manager: kube-controller-manager, operation: Update, \
         apiVersion: apps/v1, subresource: status, time: \"2026-01-01T00:00:05Z\", fieldsType: FieldsV1, fieldsV1: \
         {{f:metadata: {{f:annotations: {{.: {{}}, f:deployment.kubernetes.io/revision: {{}}}}}}, f:status: {{f:replicas: {{}}}}}}}}\nspec:"
    );
    (target, live.replacen("spec:", &entry, 1))
}

#[test]
fn a_scale_of_replicas_that_nobody_owns_is_drift() {
    let (target, live) = scaled(5);
    let folder = Folder::new(&[("target.yaml", &target), ("live.yaml", &live)]);
    for more in [&[][..], &["--base=target.yaml"], &["--last-applied=target.yaml"]] {
        let (document, code) = folder.document(more);
        assert_eq!((code, paths(only(&document), "differences")), (1, vec![".spec.replicas"]), "{more:?}");
        let difference = &only(&document).list_at(&["differences"])[0];
        let text = |key: &str| difference.str_at(&[key]).unwrap_or("null");
        assert_eq!(
            [text("channel"), text("change"), text("origin"), text("manager"), text("confidence")],
            ["unowned", "added", "cluster", "null", "none"]
        );
        assert!(text("message").contains("nobody owns it"), "{}", difference.to_json());
    }
    // What a server fills in is its own, and so is what an autoscaler of the files scales.
    folder.write("live.yaml", &scaled(1).1);
    assert_eq!(folder.document(&[]).1, 0);
    let scaler =
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web, namespace: shop},
        spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}";
    folder.write("target.yaml", &format!("{target}\n---\n{scaler}"));
    folder.write("live.yaml", &format!("{live}\n---\n{scaler}"));
    assert_eq!(folder.document(&[]).1, 0);
}

#[test]
fn without_managed_fields_the_remedy_names_what_was_applied_first() {
    let target = DEPLOYMENT.replace("  replicas: 3\n", "");
    let folder = Folder::new(&[("target.yaml", &target), ("live.yaml", LIVE_DEPLOYMENT)]);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, document.str_at(&["status"])), (3, Some("Unknown")));
    let remedy = only(&document).str_at(&["problem", "remedy"]).unwrap();
    let (applied, managed) = (remedy.find("--last-applied"), remedy.find("--show-managed-fields"));
    assert!(applied.is_some() && applied < managed, "{remedy}");
}

#[test]
fn what_a_server_gives_every_namespace_is_nobodys_addition() {
    let target = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}";
    let live = r#"
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {kubernetes.io/metadata.name: shop, team: a}
  managedFields:
  - {manager: trueup, operation: Apply, apiVersion: v1, time: "2026-01-02T03:04:05Z", fieldsType: FieldsV1,
     fieldsV1: {"f:metadata": {"f:labels": {"f:team": {}}}}}
  - {manager: before-first-apply, operation: Update, apiVersion: v1, time: "2026-01-02T03:04:05Z", fieldsType: FieldsV1,
     fieldsV1: {"f:metadata": {"f:labels": {"f:kubernetes.io/metadata.name": {}}}, "f:spec": {"f:finalizers": {".": {}, "v:\"kubernetes\"": {}}}}}
spec: {finalizers: [kubernetes]}
status: {phase: Active}
"#;
    let folder = Folder::new(&[("target.yaml", target), ("live.yaml", live)]);
    let (document, code) = folder.document(&[]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
    folder.write("live.yaml", &live.replace("[kubernetes]", "[kubernetes, example.com/hold]"));
    let (document, _) = folder.document(&[]);
    assert!(only(&document).list_at(&["differences"]).is_empty(), "{}", document.to_json_pretty());
}

#[test]
fn times_in_yaml_are_texts_to_every_reader() {
    let folder = Folder::new(&[("target.yaml", super::CONFIG), ("live.yaml", super::OWNED)]);
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "--manager=deployer", "-o", "yaml"]);
    assert!(run.out.contains("    time: \"2026-01-02T03:04:05Z\"\n"), "{}", run.out);
    let time = Value::from_yaml(run.out.as_bytes()).unwrap();
    assert_eq!(
        time.list_at(&["objects"])[0].list_at(&["differences"])[0].str_at(&["time"]),
        Some("2026-01-02T03:04:05Z")
    );
}
