//! Tests of tables.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use super::*;
use crate::kind::{CustomKind, KindOrigin, Scope};
use crate::structural::StructuralSchema;
use trueup_object::Gvk;

fn kind(api_version: &str, kind: &str, origin: KindOrigin) -> KindInfo {
    KindInfo {
        gvk: Gvk::from_api_version(api_version, kind),
        plural: "things".into(),
        singular: "thing".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        has_status: true,
        scale: None,
        origin,
    }
}

fn row(kind: &KindInfo, object: &str) -> (Vec<String>, String) {
    let object = Value::from_json(object.as_bytes()).unwrap();
    let mut table = Table::new(kind, IncludeObject::None, "2026-01-01T00:05:00Z".parse().unwrap());
    table.add(&object);
    let table = table.finish("7", None, None, true);
    let columns = table.list_at(&["columnDefinitions"]).iter();
    let names = columns.map(|column| column.str_at(&["name"]).unwrap().to_owned()).collect();
    (names, table.list_at(&["rows"])[0].get("cells").unwrap().to_json())
}

#[test]
fn a_deployment_shows_its_replicas() {
    let (columns, cells) = row(
        &kind("apps/v1", "Deployment", KindOrigin::Builtin),
        r#"{"metadata":{"name":"web","creationTimestamp":"2026-01-01T00:00:00Z"},
            "spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},
                    "template":{"spec":{"containers":[{"name":"a","image":"i:1"},{"name":"b","image":"j:2"}]}}},
            "status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2}}"#,
    );
    assert_eq!(columns[..5], ["Name", "Ready", "Up-to-date", "Available", "Age"]);
    assert_eq!(cells, r#"["web","2/3",3,2,"5m","a,b","i:1,j:2","app=web"]"#);
}

#[test]
fn a_pod_shows_why_it_does_not_run() {
    let (_, cells) = row(
        &kind("v1", "Pod", KindOrigin::Builtin),
        r#"{"metadata":{"name":"p","creationTimestamp":"2026-01-01T00:04:00Z"},"spec":{"containers":[{"name":"a"}]},
            "status":{"phase":"Running","containerStatuses":[
              {"name":"a","restartCount":4,"ready":false,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}"#,
    );
    assert_eq!(cells, r#"["p","0/1","CrashLoopBackOff","4","60s","<none>","<none>","<none>","<none>"]"#);
}

#[test]
fn an_autoscaler_shows_its_target() {
    let (_, cells) = row(
        &kind("autoscaling/v2", "HorizontalPodAutoscaler", KindOrigin::Builtin),
        r#"{"metadata":{"name":"h","creationTimestamp":"2026-01-01T00:00:00Z"},
            "spec":{"scaleTargetRef":{"kind":"Deployment","name":"web"},"minReplicas":2,"maxReplicas":9,"metrics":[
              {"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]},
            "status":{"currentReplicas":3}}"#,
    );
    assert_eq!(cells, r#"["h","Deployment/web","cpu: <unknown>/80%","2",9,3,"5m"]"#);
}

#[test]
fn custom_kinds_show_their_own_columns() {
    let column = |name: &str, column_type: &str, json_path: &str| PrinterColumn {
        name: name.into(),
        column_type: column_type.into(),
        format: "".into(),
        description: "".into(),
        priority: 0,
        json_path: json_path.into(),
    };
    let custom = CustomKind {
        schema: StructuralSchema::parse(&Value::default()),
        storage_version: "v1".into(),
        selectable: Vec::new(),
        columns: vec![
            column("Size", "integer", ".spec.size"),
            column("State", "string", ".status.state"),
            column("Age", "date", ".metadata.creationTimestamp"),
        ],
    };
    let (columns, cells) = row(
        &kind("example.com/v1", "Thing", KindOrigin::Custom(Arc::new(custom))),
        r#"{"metadata":{"name":"t","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"size":3}}"#,
    );
    assert_eq!(columns, ["Name", "Size", "State", "Age"]);
    assert_eq!(cells, r#"["t",3,null,"5m"]"#);
}

#[test]
fn other_kinds_show_when_they_were_created() {
    let (columns, cells) = row(
        &kind("rbac.authorization.k8s.io/v1", "Role", KindOrigin::Builtin),
        r#"{"metadata":{"name":"r","creationTimestamp":"2026-01-01T00:00:00Z"}}"#,
    );
    assert_eq!(columns, ["Name", "Created At"]);
    assert_eq!(cells, r#"["r","2026-01-01T00:00:00Z"]"#);
}
