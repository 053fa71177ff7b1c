//! The one control plane that all tests of the cluster tier share, and how to ask it.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;
use trueup_testkit::controlplane::{ControlPlane, Options};

/// One control plane for all tests; each test uses names of its own. It ends with this process.
pub fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| start(&Options { kwok: true, audit: true, ..Options::default() }))
}

pub fn start(options: &Options) -> ControlPlane {
    ControlPlane::start(options, &mut |line| println!("{line}")).unwrap()
}

pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub fn json(command: &mut Command) -> Value {
    serde_json::from_str(&output(command)).unwrap()
}

pub fn with_stdin(command: &mut Command, text: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    // From a thread, since both pipes may be smaller than what goes through them.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}
