//! `trueup health` and `trueup actions`: files in, judgements and effects out; no cluster.

use std::process::Stdio;

use trueup_object::Value;

use crate::offline::Folder;
use crate::world::Run;

const OBJECTS: &str = "apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop, generation: 2}
  spec: {replicas: 3}
  status: {observedGeneration: 2, updatedReplicas: 3, replicas: 3, availableReplicas: 1}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}}
---
apiVersion: example.io/v1
kind: Widget
metadata: {name: w, namespace: shop}
spec: {size: 1, extra: {}}
status: {conditions: [{type: Ready, status: 'True', reason: Up}]}
";

const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm}
data:
  resource.customizations.health.example.io_Widget: |
    return {status = 'Degraded', message = 'size ' .. obj.spec.size}
  resource.customizations.actions.example.io_Widget: |
    discovery.lua: |
      return {grow = {displayName = 'Grow', params = {{name = 'by'}}}, shrink = {disabled = obj.spec.size < 2}}
    definitions:
    - name: grow
      action.lua: |
        obj.spec.size = obj.spec.size + tonumber(actionParams['by'])
        return obj
";

fn folder() -> Folder {
    Folder::new(&[
        ("objects/all.yaml", OBJECTS),
        ("settings.yaml", SETTINGS),
        ("scripts/_.io/Widget/health.lua", "return {status = 'Healthy', message = ('x'):rep(3)}"),
        (
            "scripts/example.io/Widget/actions/rename/action.lua",
            "return {{operation = 'create', resource = {kind = 'B'}}}",
        ),
        ("widget.yaml", OBJECTS.split("---\n").nth(1).unwrap()),
    ])
}

fn call(folder: &Folder, line: &[&str]) -> Run {
    folder.call(line, Stdio::null(), &[])
}

/// Kind, status, message and rule of each object.
fn judged(run: &Run) -> Vec<[String; 4]> {
    let document = Value::from_json(run.out.as_bytes()).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    let keys = ["group", "kind", "message", "name", "namespace", "rule", "status"];
    let row = |item: &Value| {
        assert_eq!(item.as_map().unwrap().keys().collect::<Vec<_>>(), keys);
        ["kind", "status", "message", "rule"].map(|name| item.str_at(&[name]).unwrap_or("-").to_owned())
    };
    document.as_list().unwrap().iter().map(row).collect()
}

#[test]
fn health_of_files_by_the_built_in_and_the_generic_rule() {
    let folder = folder();
    let run = call(&folder, &["health", "-f", "objects", "-o", "json"]);
    // What is not healthy is an answer.
    assert_eq!(run.code, 0, "{run:?}");
    let waiting = "Waiting for rollout to finish: 1 of 3 updated replicas are available...";
    assert_eq!(
        judged(&run),
        [
            ["Deployment", "Progressing", waiting, "builtin:apps/Deployment"].map(str::to_owned),
            ["ConfigMap", "-", "", "-"].map(str::to_owned),
            ["Widget", "Healthy", "Ready: Up", "generic"].map(str::to_owned),
        ]
    );
    let text = call(&folder, &["health", "-f", "objects"]);
    let line = text.out.lines().find(|line| line.contains("Widget")).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["example.io", "Widget", "shop", "w", "Healthy", "generic", "Ready:", "Up"]
    );
}

#[test]
fn health_by_scripts_of_the_settings_before_those_of_a_folder() {
    let folder = folder();
    let widget = |more: &[&str]| {
        let line = [&["health", "-f", "widget.yaml", "-o", "json"], more].concat();
        judged(&call(&folder, &line)).pop().unwrap()
    };
    let by_folder = widget(&["--customizations", "scripts"]);
    assert_eq!(by_folder, ["Widget", "Healthy", "xxx", "lua:scripts/_.io/Widget/health.lua"]);
    let by_settings = widget(&["--customizations", "scripts", "--settings", "settings.yaml"]);
    assert_eq!(by_settings, ["Widget", "Degraded", "size 1", "lua:argocd-cm"]);
    folder.write("scripts/example.io/Widget/health.lua", "local x = nil\nreturn x.y");
    let broken = widget(&["--customizations", "scripts"]);
    assert_eq!(broken[1], "Unknown");
    assert!(broken[2].starts_with("health.lua:2: attempt to index"), "{broken:?}");
    folder.write(
        "off.yaml",
        "{kind: ConfigMap, metadata: {name: trueup-settings}, data: {genericHealth: 'off'}}",
    );
    assert_eq!(widget(&["--settings", "off.yaml"]), ["Widget", "-", "", "-"]);
}

#[test]
fn what_cannot_be_read_is_the_callers_to_correct() {
    let folder = folder();
    folder.write("half.yaml", &format!("{OBJECTS}---\n{{a: b\n"));
    let run = call(&folder, &["health", "-f", "half.yaml", "-o", "json"]);
    assert_eq!((run.code, judged(&run).len()), (2, 3), "{run:?}");
    for line in [
        &["health", "-f", "nowhere.yaml"][..],
        &["health"],
        &["health", "-f", "widget.yaml", "--customizations", "objects"],
        &["health", "-f", "widget.yaml", "--settings", "widget.yaml"],
        &["actions", "list", "-f", "objects"],
        &["actions", "run", "grow", "-f", "widget.yaml"],
        &["actions", "run", "grow", "-f", "widget.yaml", "--settings", "settings.yaml"],
        &["actions", "run", "grow", "-f", "widget.yaml", "--param", "by"],
    ] {
        let run = call(&folder, line);
        assert!(run.code == 2 && !run.err.is_empty(), "{line:?}: {run:?}");
    }
    let stdin = std::fs::File::open(folder.dir.path().join("widget.yaml")).unwrap();
    let run = folder.call(&["health", "-f", "-", "-o", "json"], stdin.into(), &[]);
    assert_eq!((run.code, judged(&run).len()), (0, 1), "{run:?}");
}

#[test]
fn actions_are_listed_and_tried() {
    let folder = folder();
    let line =
        ["-f", "widget.yaml", "--settings", "settings.yaml", "--customizations", "scripts", "-o", "json"];
    let actions = |more: &[&str]| {
        let run = call(&folder, &[&["actions"], more, &line].concat());
        assert_eq!(run.code, 0, "{run:?}");
        Value::from_json(run.out.as_bytes()).unwrap().to_json()
    };
    assert_eq!(
        actions(&["list"]),
        r#"[{"disabled":false,"displayName":"Grow","iconClass":"","name":"grow","params":[{"name":"by"}]},{"disabled":true,"displayName":"","iconClass":"","name":"shrink","params":[]}]"#
    );
    let grown = Value::from_json(actions(&["run", "grow", "--param", "by=2"]).as_bytes()).unwrap();
    let [effect] = grown.as_list().unwrap() else { panic!("{}", grown.to_json()) };
    assert_eq!(effect.str_at(&["operation"]), Some("patch"));
    assert_eq!(effect.at(&["resource", "spec"]).unwrap().to_json(), r#"{"extra":{},"size":3}"#);
    assert_eq!(actions(&["run", "rename"]), r#"[{"operation":"create","resource":{"kind":"B"}}]"#);
    let text =
        call(&folder, &["actions", "run", "rename", "-f", "widget.yaml", "--customizations", "scripts"]);
    assert_eq!(text.out, "# create B\nkind: B\n");
}

/// A script that does what it may not, or cannot be read, spoils its own objects alone and says why.
#[test]
fn a_script_that_misbehaves_says_how() {
    let folder = folder();
    let judge = |script: &str| {
        folder.write("bad/example.io/Widget/health.lua", script);
        let run = call(&folder, &["health", "-f", "objects", "--customizations", "bad", "-o", "json"]);
        assert_eq!(run.code, 0, "{run:?}");
        let mut judged = judged(&run);
        let [_, status, message, rule] = judged.pop().unwrap();
        assert_eq!(judged[0][1], "Progressing", "others are judged");
        assert_eq!(
            (status.as_str(), rule.as_str()),
            ("Unknown", "lua:bad/example.io/Widget/health.lua"),
            "{script}"
        );
        message
    };
    for (script, said) in [
        ("while true do end", "instructions"),
        ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e5) .. i end", "memory"),
        ("return {status = ", "health.lua:1"),
        ("return io.open('/etc/passwd')", "io"),
        ("return os.execute('true')", "execute"),
        ("return {status = 'Fine'}", "invalid health status"),
        ("return 5", "expect table output"),
    ] {
        let message = judge(script);
        assert!(message.contains(said), "{script}: {message}");
    }
    folder.write("bad/example.io/Widget/actions/grow/action.lua", "while true do end");
    let line = ["actions", "run", "grow", "-f", "widget.yaml", "--customizations", "bad"];
    let run = call(&folder, &line);
    assert!(run.code == 2 && run.out.is_empty() && run.err.contains("instructions"), "{run:?}");
}
