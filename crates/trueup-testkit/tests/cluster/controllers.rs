//! What controllers make of objects: the same in the sandbox as on the control plane, for the scenes of `controllers.yaml`.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions};
use trueup_testkit::controlplane::Options;

use crate::world::start;

const SCENES: &str = include_str!("controllers.yaml");

/// Long enough for a loaded machine and for an autoscaler's turn; nothing waits this long when all is well.
const DEADLINE: Duration = Duration::from_secs(90);

/// How long nobody asks again.
const PAUSE: Duration = Duration::from_millis(200);

#[test]
fn both_worlds_make_the_same_of_the_scenes() {
    // One of its own: how many nodes there are is told.
    let plane = start(&Options { kwok: true, ..Options::default() });
    let kubectl = &plane.programs().kubectl;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let sandbox = runtime.block_on(Sandbox::start(SandboxOptions::default())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("kubeconfig");
    std::fs::write(&ours, sandbox.kubeconfig("admin")).unwrap();
    let scenes = Value::from_yaml(SCENES.as_bytes()).unwrap();
    let mut failures = Vec::new();
    // The scenes go on beside each other: most of the time is waiting.
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, scene) in scenes.as_list().unwrap().iter().enumerate() {
            for (world, kubeconfig) in [("control plane", plane.kubeconfig()), ("sandbox", ours.as_path())] {
                running.push(scope.spawn(move || {
                    let namespace = format!("scene-{number}");
                    let played = World { kubectl, kubeconfig, namespace: &namespace }.play(scene);
                    played.err().map(|why| format!("{world}: {}: {why}", scene.str_at(&["name"]).unwrap()))
                }));
            }
        }
        failures.extend(running.into_iter().filter_map(|scene| scene.join().unwrap()));
    });
    runtime.block_on(sandbox.shutdown());
    assert!(failures.is_empty(), "{} scenes failed:\n{}", failures.len(), failures.join("\n"));
}

struct World<'a> {
    kubectl: &'a Path,
    kubeconfig: &'a Path,
    /// Of the scene alone; its name stands for `NAME`.
    namespace: &'a str,
}

impl World<'_> {
    /// Plays a scene to its end, or to the first step that fails.
    fn play(&self, scene: &Value) -> Result<(), String> {
        self.run(&format!("create namespace {}", self.namespace))?;
        for step in scene.list_at(&["steps"]) {
            let text = |key: &str| step.str_at(&[key]).map(|text| text.replace("NAME", self.namespace));
            match (text("create"), text("run"), text("see")) {
                (Some(objects), _, _) => self.create(&objects)?,
                (_, Some(line), _) => drop(self.run(&line)?),
                (_, _, Some(line)) => self.see(&line, &text("is").unwrap())?,
                (None, None, None) => panic!("no step: {}", step.to_json()),
            }
        }
        self.run(&format!("delete namespace {} --wait=false", self.namespace)).map(drop)
    }

    fn create(&self, objects: &str) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), objects).unwrap();
        self.run(&format!("create -f {}", file.path().display())).map(drop)
    }

    /// A line of kubectl; its words have no spaces in them, but for those within braces.
    fn run(&self, line: &str) -> Result<String, String> {
        let mut command = Command::new(self.kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig);
        if !line.contains(" -n ") {
            command.args(["-n", self.namespace]);
        }
        let output = command.args(words(line)).output().unwrap();
        if !output.status.success() {
            return Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// Asks until the answer is as wanted.
    fn see(&self, line: &str, wanted: &str) -> Result<(), String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.run(line);
            if answer.as_deref() == Ok(wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{line}\n  is     {answer:?}\n  wanted {wanted:?}"));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0;
    for char in line.chars() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if char == ' ' && depth == 0 {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(char);
        }
    }
    words
}
