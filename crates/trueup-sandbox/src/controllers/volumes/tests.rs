//! Which volume a claim gets, step by step, and what becomes of it.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn value(json: &str) -> Value {
    Value::from_json(json.as_bytes()).unwrap()
}

fn volume_of(name: &str, spec: &str, phase: &str) -> Arc<Value> {
    let text = format!(
        r#"{{"metadata":{{"name":"{name}","labels":{{"tier":"{name}"}}}},"spec":{spec},"status":{{"phase":"{phase}"}}}}"#
    );
    Arc::new(value(&text))
}

fn sized(name: &str, size: &str, modes: &str) -> Arc<Value> {
    volume_of(name, &format!(r#"{{"capacity":{{"storage":"{size}"}},"accessModes":{modes}}}"#), "Available")
}

fn claim_of(spec: &str) -> Value {
    let spec = spec.trim_start_matches('{');
    value(&format!(
        r#"{{"metadata":{{"name":"c","namespace":"n","uid":"u","resourceVersion":"7"}},
            "spec":{{"accessModes":["ReadWriteOnce"],"resources":{{"requests":{{"storage":"1Gi"}}}},"storageClassName":"",{spec}}}"#
    ))
}

fn found<'a>(volumes: &'a [Arc<Value>], claims: &'a [Arc<Value>], classes: &'a [Arc<Value>]) -> Found<'a> {
    Found { volumes, claims, classes, pods: &[], provisions: true }
}

/// The reason of the only thing that is told.
fn reason(steps: &[Step]) -> String {
    let [Step::Tell(event)] = steps else { panic!("{steps:?}") };
    event.object(0, Timestamp::UNIX_EPOCH).str_at(&["reason"]).unwrap().to_owned()
}

fn chosen(claim: &Value, volumes: &[Arc<Value>]) -> Option<String> {
    best(claim, volumes, false).map(|volume| text(volume, "name").to_owned())
}

#[test]
fn the_smallest_volume_that_fits_is_chosen() {
    let volumes = [
        sized("large", "10Gi", r#"["ReadWriteOnce"]"#),
        sized("fit", "1024Mi", r#"["ReadWriteOnce"]"#),
        sized("small", "1Mi", r#"["ReadWriteOnce"]"#),
        sized("many", "1Gi", r#"["ReadWriteOnce","ReadWriteMany"]"#),
    ];
    assert_eq!(chosen(&claim_of("{\"volumeMode\":\"Filesystem\"}"), &volumes).as_deref(), Some("fit"));
    let selecting = claim_of(r#"{"selector":{"matchLabels":{"tier":"many"}}}"#);
    assert_eq!(chosen(&selecting, &volumes).as_deref(), Some("many"));
    assert_eq!(chosen(&claim_of(r#"{"volumeMode":"Block"}"#), &volumes), None);
    let mut classy = claim_of(r#"{"volumeMode":"Filesystem"}"#);
    classy.set_at(&["spec", "storageClassName"], "fast".into());
    assert_eq!(chosen(&classy, &volumes), None);
    // One that is kept for the claim goes before all others, one that is kept for another is out of the question.
    let kept = |name: &str, claim: &str| {
        let mut volume = Value::clone(&sized(name, "5Gi", r#"["ReadWriteOnce"]"#));
        volume.set_at(&["spec", "claimRef", "namespace"], "n".into());
        volume.set_at(&["spec", "claimRef", "name"], claim.into());
        Arc::new(volume)
    };
    let with = [volumes[0].clone(), kept("mine", "c"), kept("theirs", "d")];
    assert_eq!(chosen(&selecting, &with).as_deref(), Some("mine"));
    assert_eq!(chosen(&selecting, &with[2..]), None);
}

#[test]
fn claim_and_volume_are_bound_in_four_steps() {
    let mut claim_object = claim_of(r#"{"volumeMode":"Filesystem"}"#);
    let mut volume_object = Value::clone(&sized("fit", "2Gi", r#"["ReadWriteOnce"]"#));
    let mut written = Vec::new();
    for _ in 0..4 {
        let volumes = [Arc::new(volume_object.clone())];
        let steps = claim(&claim_object, &found(&volumes, &[], &[]), Timestamp::UNIX_EPOCH);
        let [Step::Update { resource, object, subresource, .. }] = steps.as_slice() else {
            panic!("{steps:?}")
        };
        written.push((resource.kind, *subresource));
        if *resource == VOLUMES { volume_object = object.clone() } else { claim_object = object.clone() }
    }
    let (both, status) = (["PersistentVolume", "PersistentVolumeClaim"], Some("status"));
    assert_eq!(written, [(both[0], None), (both[0], status), (both[1], None), (both[1], status)]);
    let volumes = [Arc::new(volume_object.clone())];
    assert_eq!(claim(&claim_object, &found(&volumes, &[], &[]), Timestamp::UNIX_EPOCH), []);
    assert_eq!(volume_object.str_at(&["spec", "claimRef", "resourceVersion"]), Some("7"));
    assert_eq!(claim_object.str_at(&["status", "capacity", "storage"]), Some("2Gi"));
    // Without its volume it is lost.
    let steps = claim(&claim_object, &found(&[], &[], &[]), Timestamp::UNIX_EPOCH);
    let [Step::Update { object, .. }, Step::Tell(_)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(object.get("status").unwrap().to_json(), r#"{"phase":"Lost"}"#);
}

#[test]
fn a_volume_that_is_asked_for_by_name_must_fit() {
    let asks = |size: &str, phase: &str| {
        let claim_object = claim_of(r#"{"volumeName":"v"}"#);
        let mut volume = Value::clone(&sized("v", size, r#"["ReadWriteOnce"]"#));
        if phase == "taken" {
            volume.set_at(&["spec", "claimRef", "uid"], "other".into());
        }
        reason(&claim(&claim_object, &found(&[Arc::new(volume)], &[], &[]), Timestamp::UNIX_EPOCH))
    };
    assert_eq!(asks("1Mi", "free"), "VolumeMismatch");
    assert_eq!(asks("1Gi", "taken"), "FailedBinding");
}

#[test]
fn a_class_provisions_at_once_or_for_a_pod() {
    let class = |mode: &str, provisioner: &str| {
        let text = format!(
            r#"{{"metadata":{{"name":"k"}},"provisioner":"{provisioner}","volumeBindingMode":"{mode}"}}"#
        );
        [Arc::new(value(&text))]
    };
    let mut classy = claim_of(r#"{"volumeMode":"Filesystem"}"#);
    classy.set_at(&["spec", "storageClassName"], "k".into());
    let steps = |claim_object: &Value, classes: &[Arc<Value>]| {
        claim(claim_object, &found(&[], &[], classes), Timestamp::UNIX_EPOCH)
    };
    assert_eq!(reason(&steps(&classy, &[])), "ProvisioningFailed");
    assert_eq!(reason(&steps(&classy, &class("Immediate", NO_PROVISIONER))), "ProvisioningFailed");
    assert_eq!(reason(&steps(&classy, &class("WaitForFirstConsumer", "x.io/d"))), "WaitForFirstConsumer");
    let immediate = class("Immediate", "x.io/d");
    let first = steps(&classy, &immediate);
    let [Step::Update { object, .. }, Step::Tell(_)] = first.as_slice() else { panic!("{first:?}") };
    let then = steps(object, &immediate);
    let [Step::Create { object, manager, .. }, Step::Tell(_)] = then.as_slice() else { panic!("{then:?}") };
    assert_eq!((text(object, "name"), *manager), ("pvc-u", PROVISIONER_NAME));
    assert_eq!(object.str_at(&["spec", "csi", "driver"]), Some("x.io.d"));
}

#[test]
fn what_is_left_of_a_claim_follows_its_policy() {
    let released = |policy: &str, source: &str| {
        let spec = format!(
            r#"{{"persistentVolumeReclaimPolicy":"{policy}","claimRef":{{"uid":"gone","name":"c"}},{source}}}"#
        );
        let volume_object = volume_of("v", &spec, "Released");
        volume(&volume_object, &found(&[], &[], &[]), Timestamp::UNIX_EPOCH)
    };
    assert_eq!(released("Retain", r#""csi":{}"#), []);
    assert_eq!(released("Delete", r#""csi":{}"#), []);
    let steps = released("Delete", r#""hostPath":{"path":"/tmp/a"}"#);
    assert!(matches!(steps.as_slice(), [Step::Delete { .. }]), "{steps:?}");
    for source in [r#""hostPath":{"path":"/a"}"#, r#""nfs":{}"#] {
        let steps = released("Delete", source);
        let [Step::Update { object, .. }, Step::Tell(_)] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(object.str_at(&["status", "phase"]), Some("Failed"));
    }
    let steps = released("Recycle", r#""nfs":{}"#);
    let [Step::Update { object, .. }, Step::Tell(_)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(object.at(&["spec", "claimRef", "uid"]), None);
}
