//! What is sensitive in compared files is in no form of the result, and equal values are seen to be equal.

use super::{Folder, only, paths};

/// A Secret as kubectl left it, and its values as they are and in base64.
pub const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: shop}
stringData: {password: from-git-c0ffee, user: same-4u}
";

pub const LIVE_SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata:
  name: login
  namespace: shop
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"password":"from-git-c0ffee"}}'
data: {password: bGl2ZS1zM2NyZXQ=, user: c2FtZS00dQ==, added: YWRkZWQtczNjcmV0}
"#;

const VALUES: [&str; 8] = [
    "from-git-c0ffee",
    "ZnJvbS1naXQtYzBmZmVl",
    "live-s3cret",
    "bGl2ZS1zM2NyZXQ=",
    "same-4u",
    "c2FtZS00dQ==",
    "added-s3cret",
    "YWRkZWQtczNjcmV0",
];

#[test]
fn no_value_of_a_secret_is_in_any_form_of_the_result() {
    let folder = Folder::new(&[("target.yaml", SECRET), ("live.yaml", LIVE_SECRET), ("base.yaml", SECRET)]);
    let predicted = LIVE_SECRET.replace("bGl2ZS1zM2NyZXQ=", "ZnJvbS1naXQtYzBmZmVl");
    folder.write("predicted.yaml", &predicted);
    for form in ["text", "json", "yaml", "markdown"] {
        let mut line =
            vec!["--target=target.yaml", "--live=live.yaml", "--full", "--show-ignored", "-o", form];
        for more in [&[][..], &["--base=base.yaml"], &["--predicted=predicted.yaml", "--side-by-side"]] {
            line.extend(more);
            let run = folder.run(&line);
            assert_eq!(run.code, 1, "{run:?}");
            for value in VALUES {
                assert!(
                    !format!("{}{}", run.out, run.err).contains(value),
                    "{line:?} shows {value}: {}",
                    run.out
                );
            }
        }
    }
    let (document, _) = folder.document(&["--full", "--base=base.yaml"]);
    let object = only(&document);
    assert_eq!(paths(object, "differences"), [".data.added", ".data.password"]);
    let side = |name: &str, key: &str| object.str_at(&[name, "data", key]).unwrap().to_owned();
    // Whether two values are the same is to be seen, without seeing them.
    assert_eq!(side("normalizedLive", "user"), side("predictedLive", "user"));
    assert_ne!(side("normalizedLive", "password"), side("predictedLive", "password"));
}

/// Credentials in every place in which they stand beside their names.
pub const LEAKY: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: shop}
data:
  app.yaml: "db: {host: db, password: c0ffee-one}\nport: 1\n"
  app.properties: "a=1\ndb.password=c0ffee-two\n"
  app.json: '{"apiKey": "c0ffee-three", "port": 1}'
  tokens: c0ffee-four
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: app
        image: example.com/web:1
        args: [--port=1, --password=c0ffee-five, --api-key, c0ffee-six]
        env: [{name: DB_PWD, value: c0ffee-seven}]
        readinessProbe: {httpGet: {port: 80, httpHeaders: [{name: Authorization, value: Basic YzBmZmVlOnNldmVu}]}}
"#;

#[test]
fn a_credential_in_an_argument_a_header_or_a_file_is_in_no_form_of_the_result() {
    let live = LEAKY.replace("c0ffee", "f00d").replace("YzBmZmVlOnNldmVu", "ZjAwZDpzZXZlbg==");
    let folder = Folder::new(&[("target.yaml", LEAKY), ("live.yaml", &live)]);
    for form in ["text", "json", "yaml", "markdown"] {
        for more in [&["--full"][..], &["--base=target.yaml", "--side-by-side"]] {
            let run = folder.run(&[&["--target=target.yaml", "--live=live.yaml", "-o", form], more].concat());
            assert_eq!(run.code, 1, "{run:?}");
            for value in ["c0ffee", "f00d", "YzBmZmVl", "ZjAwZD"] {
                assert!(!run.out.contains(value) && !run.err.contains(value), "{form} {value}: {}", run.out);
            }
        }
    }
    let text = folder.run(&["--target=target.yaml", "--live=live.yaml"]).out;
    // What is no credential is still there to be read, and the two sides differ to the eye.
    for line in ["-    db: {host: db, password: ++++++++++++}", "+    db: {host: db, password: ++++++++}"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_line_about_a_difference_and_the_text_below_it_have_the_same_masks() {
    let folder = Folder::new(&[("target.yaml", SECRET), ("live.yaml", LIVE_SECRET), ("base.yaml", SECRET)]);
    for more in [&[][..], &["--base=base.yaml"]] {
        let run = folder.run(&[&["--target=target.yaml", "--live=live.yaml"], more].concat());
        let line = run.out.lines().find(|line| line.starts_with("# .data.password")).unwrap();
        let of = |mark: &str| {
            let line = run.out.lines().find(|line| line.starts_with(&format!("{mark}  password: "))).unwrap();
            line.rsplit(' ').next().unwrap().trim_matches('"').to_owned()
        };
        let (live, target) = (of("-"), of("+"));
        assert_ne!(live, target);
        for value in [live, target] {
            assert!(line.split(|char| char != '+').any(|run| run == value), "{line}: no {value}");
        }
        let found = line.split(|char| char != '+').filter(|run| !run.is_empty()).collect::<Vec<_>>();
        let (document, _) = folder.document(&[&["--full"], more].concat());
        let object = only(&document);
        let difference = object.list_at(&["differences"]).last().unwrap();
        assert_eq!(difference.get("target"), object.at(&["predictedLive", "data", "password"]), "{found:?}");
        assert_eq!(difference.get("live"), object.at(&["normalizedLive", "data", "password"]), "{found:?}");
    }
}
