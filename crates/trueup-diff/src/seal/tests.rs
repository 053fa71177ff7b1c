//! What is sealed and what is not, and that a seal is none of what it stands for.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_credential_is_sealed_by_its_shape_alone_and_the_rest_of_its_text_stays() {
    let token = format!("ghp_{}", "a1B2c3D4e5".repeat(3));
    let text = format!("url: https://example.com\ngit: {token}\nend: {token}\n");
    let mut object = Value::default();
    object.set_at(&["apiVersion"], "v1".into());
    object.set_at(&["kind"], "ConfigMap".into());
    object.set_at(&["data", "app.yaml"], text.into());
    object.set_at(&["data", "bare"], token.clone().into());
    let sealed = seal(&object, TypeRef::untyped(), &[7; 32]);
    assert!(!sealed.to_json().contains(&token), "{sealed:?}");
    let bare = sealed.at(&["data", "bare"]).unwrap();
    assert!(is_seal(bare));
    let text = sealed.str_at(&["data", "app.yaml"]).unwrap();
    let bare = bare.as_str().unwrap();
    assert_eq!(text, format!("url: https://example.com\ngit: {bare}\nend: {bare}\n"));
    assert_eq!(seal(&sealed, TypeRef::untyped(), &[7; 32]), sealed);
    let masked = crate::mask([&object], TypeRef::untyped(), &[7; 32]).remove(0);
    assert_eq!(
        masked.str_at(&["data", "app.yaml"]),
        Some("url: https://example.com\ngit: ++++++++\nend: ++++++++\n")
    );
}

/// Else the sealed base of an address with a password would differ from the target, and a change by hand look like one
/// of both sides.
#[test]
fn a_sealed_address_is_not_sealed_again() {
    let mut object = Value::default();
    object.set_at(&["apiVersion"], "v1".into());
    object.set_at(&["kind"], "ConfigMap".into());
    object.set_at(&["data", "url"], "postgres://app:hunter2@db.example.com/shop".into());
    let sealed = seal(&object, TypeRef::untyped(), &[7; 32]);
    assert!(holds_seal(&sealed) && !sealed.to_json().contains("hunter2"), "{sealed:?}");
    assert_eq!(seal(&sealed, TypeRef::untyped(), &[7; 32]), sealed);
}

#[test]
fn the_copy_that_kubectl_keeps_is_sealed_whole() {
    let live = br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","annotations":{"a":"b",
        "kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"password\":\"aHVudGVyMg==\"}}"}}}"#;
    let sealed = seal(&Value::from_json(live).unwrap(), TypeRef::untyped(), &[7; 32]);
    let annotations = sealed.at(&["metadata", "annotations"]).unwrap();
    assert!(annotations.get(LAST_APPLIED).is_some_and(is_seal), "{annotations:?}");
    assert_eq!(annotations.get("a").and_then(Value::as_str), Some("b"));
    assert!(!sealed.to_json().contains("aHVudGVyMg"));
}

/// The object sealed, and masked for people.
fn masked(yaml: &str) -> Value {
    let object = Value::from_yaml(yaml.as_bytes()).unwrap();
    let sealed = seal(&object, TypeRef::untyped(), &[7; 32]);
    assert_eq!(seal(&sealed, TypeRef::untyped(), &[7; 32]), sealed, "twice is once");
    crate::mask([&object], TypeRef::untyped(), &[7; 32]).remove(0).into_value()
}

#[test]
fn values_in_arguments_headers_and_texts_are_sealed() {
    let pod = masked(
        r#"
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    args: [--port=1, --password=hunter2, --api-key, hunter2, --token-file, /run/token, --secret, $(TOKEN)]
    command: [sh, -c, 'DB_PASS=hunter2 run --fast']
    env:
    - {name: DB_PWD, value: hunter2}
    - {name: USE_TOKEN, value: "true"}
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: tokens, key: api-token}}}
    livenessProbe: {httpGet: {httpHeaders: [{name: Authorization, value: Basic aHVudGVyMg==}]}}
"#,
    );
    assert!(!pod.to_json().contains("hunter2") && !pod.to_json().contains("aHVudGVyMg"), "{}", pod.to_json());
    let container = &pod.list_at(&["spec", "containers"])[0];
    let texts =
        |name: &str| container.list_at(&[name]).iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(
        texts("args"),
        [
            "--port=1",
            "--password=++++++++",
            "--api-key",
            "++++++++",
            "--token-file",
            "/run/token",
            "--secret",
            "$(TOKEN)"
        ]
    );
    assert_eq!(texts("command")[2], "DB_PASS=++++++++ run --fast");
    let env = container.list_at(&["env"]);
    assert_eq!(env[1].str_at(&["value"]), Some("true"));
    assert_eq!(env[2].str_at(&["valueFrom", "secretKeyRef", "name"]), Some("tokens"));
}

#[test]
fn values_in_the_files_of_a_config_map_are_sealed() {
    let config = masked(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  app.yaml: |
    db: {host: db, password: hunter2}
    passwordPolicy: strict
    tokenExpirationSeconds: 3600
  app.json: '{"apiKey": "hunter2", "secretName": "tls"}'
  app.ini: "[db]\npwd = hunter2\n"
  app.properties: "a=1\nspring.datasource.password=hunter2\n"
  tokens: hunter2
  PASSWORD_FILE: hunter2
  debug: "true"
"#,
    );
    assert!(!config.to_json().contains("hunter2"), "{}", config.to_json());
    for (key, wanted) in [
        (
            "app.yaml",
            "db: {host: db, password: ++++++++}\npasswordPolicy: strict\ntokenExpirationSeconds: 3600\n",
        ),
        ("app.json", r#"{"apiKey": "++++++++", "secretName": "tls"}"#),
        ("app.ini", "[db]\npwd = ++++++++\n"),
        ("app.properties", "a=1\nspring.datasource.password=++++++++\n"),
        ("tokens", "++++++++"),
    ] {
        assert_eq!(config.str_at(&["data", key]), Some(wanted));
    }
}

#[test]
fn references_and_settings_of_a_kind_without_a_schema_are_seen() {
    let text = r#"{"apiVersion":"example.com/v1","kind":"Vault","metadata":{"name":"a"},"spec":{
        "secretStoreRef":{"name":"store","kind":"ClusterStore"},"secretName":"tls","passwordPolicy":"strict",
        "apiTokenSecretRef":{"name":"cf","key":"token"},"imagePullSecrets":[{"name":"registry"}],
        "token":{"name":"cf","key":"api"},"tokenExpirationSeconds":3600,"maxTokens":4096,"usePassword":true,
        "credentials":{"secretRef":{"name":"a"}},"description":"token: the text of it"}}"#;
    assert_eq!(masked(text), Value::from_json(text.as_bytes()).unwrap());
    let values = masked(
        r#"{"apiVersion":"example.com/v1","kind":"Vault","metadata":{"name":"a"},"spec":{
        "credentials":{"user":"hunter2","key":"hunter2"},"passwords":["hunter2"],"token":12,"token2":{"value":"hunter2"}}}"#,
    );
    assert!(
        !values.to_json().contains("hunter2") && !values.to_json().contains("12"),
        "{}",
        values.to_json()
    );
}

#[test]
fn what_a_secret_has_under_a_wrong_name_is_sealed_too() {
    let masked = masked(
        "{apiVersion: v1, kind: Secret, type: Opaque, immutable: true, metadata: {name: db, labels: {team: web}}, stringdata: {db: LEAKPR, pin: 7, empty: ''}, spec: {pw: LEAK, list: [{name: LEAK}]}, Data: LEAK}",
    );
    let expected = "{apiVersion: v1, kind: Secret, type: Opaque, immutable: true, metadata: {name: db, labels: {team: web}}, stringdata: {db: ++++++++, pin: ++++++++, empty: ''}, spec: {pw: ++++++++, list: [{name: ++++++++}]}, Data: ++++++++}";
    assert_eq!(masked, Value::from_yaml(expected.as_bytes()).unwrap());
}
