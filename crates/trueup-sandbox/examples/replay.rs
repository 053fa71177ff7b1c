use std::collections::BTreeMap;
use std::io::BufRead;
use trueup_merge::SchemaSet;
use trueup_object::{Gvk, Text, Value};
use trueup_sandbox::kind::*;
use trueup_sandbox::write::*;
fn main() {
    let mut set = SchemaSet::builtin().clone();
    let mut store: BTreeMap<String, Value> = BTreeMap::new();
    let mut rv = 100;
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let op = Value::from_json(line.as_bytes()).unwrap();
        let s = |k: &str| op.str_at(&[k]).unwrap_or_default().to_owned();
        let b = |k: &str| op.get(k).and_then(Value::as_bool).unwrap_or(false);
        let gvk = Gvk::new(&s("group"), &s("version"), &s("kind"));
        let custom = op.get("crd").cloned();
        if let Some(crd) = &custom {
            set.add_crd(crd);
        }
        let t = |x: &str| x.split('.').map(Text::from).collect::<Vec<_>>();
        let kind = KindInfo {
            gvk: gvk.clone(),
            plural: s("plural").into(),
            singular: "".into(),
            short_names: vec![],
            categories: vec![],
            scope: if b("cluster") { Scope::Cluster } else { Scope::Namespaced },
            has_status: b("has_status"),
            scale: b("has_scale").then(|| ScalePaths {
                spec_replicas: t("spec.replicas"),
                status_replicas: t("status.replicas"),
                label_selector: Some(t("spec.selector")),
            }),
            origin: if let Some(crd) = &custom {
                let schema = crd.list_at(&["spec", "versions"])[0]
                    .at(&["schema", "openAPIV3Schema"])
                    .cloned()
                    .unwrap();
                KindOrigin::Custom(std::sync::Arc::new(CustomKind {
                    schema: trueup_sandbox::structural::StructuralSchema::parse(&schema),
                    storage_version: gvk.version.clone(),
                    columns: vec![],
                }))
            } else {
                KindOrigin::Builtin
            },
        };
        let name = s("name");
        let key = format!("{}/{}/{}", gvk.kind, s("ns"), name);
        let live = store.get(&key).cloned();
        let verb = match s("verb").as_str() {
            "create" => WriteVerb::Create,
            "update" => WriteVerb::Update,
            "json" => WriteVerb::Patch(PatchKind::Json),
            "merge" => WriteVerb::Patch(PatchKind::Merge),
            "strategic" => WriteVerb::Patch(PatchKind::Strategic),
            _ => WriteVerb::Patch(PatchKind::Apply),
        };
        let body = op
            .get("body")
            .map(|b| match b {
                Value::Str(t) => t.to_string(),
                v => v.to_json(),
            })
            .unwrap();
        let uid = s("uid");
        let sub = s("sub");
        let ns = s("ns");
        let mgr = s("manager");
        let ua = s("ua");
        let ct = s("ct");
        let req = WriteRequest {
            verb,
            kind: &kind,
            schemas: &set,
            subresource: (!sub.is_empty()).then_some(sub.as_str()),
            namespace: &ns,
            name: (verb != WriteVerb::Create).then_some(name.as_str()),
            body: body.as_bytes(),
            content_type: &ct,
            field_manager: (!mgr.is_empty()).then_some(mgr.as_str()),
            user_agent: &ua,
            force: b("force"),
            field_validation: match s("fv").as_str() {
                "Strict" => FieldValidation::Strict,
                "Ignore" => FieldValidation::Ignore,
                _ => FieldValidation::Warn,
            },
            now: trueup_object::Timestamp::from_second(1_700_000_000 + rv).unwrap(),
            uid: &uid,
            live: live.as_ref(),
        };
        match write(req) {
            Ok(out) => {
                let mut o = out.object.clone();
                if out.changed {
                    rv += 1;
                    o.set_at(&["metadata", "resourceVersion"], rv.to_string().into());
                    store.insert(
                        format!("{}/{}/{}", gvk.kind, ns, o.str_at(&["metadata", "name"]).unwrap()),
                        o.clone(),
                    );
                }
                let mut r = Value::default();
                r.set_at(&["code"], (if out.created { 201 } else { 200 }).into());
                r.set_at(&["changed"], out.changed.into());
                r.set_at(
                    &["warnings"],
                    Value::List(out.warnings.iter().map(|w| w.as_str().into()).collect()),
                );
                r.set_at(&["object"], o);
                r.set_at(&["response"], out.response);
                println!("{}", r.to_json());
            }
            Err(e) => {
                let mut r = Value::default();
                r.set_at(&["code"], i64::from(e.code).into());
                r.set_at(&["status"], e.to_value());
                println!("{}", r.to_json());
            }
        }
    }
}
