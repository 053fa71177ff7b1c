//! The program that `KUBECTL_EXTERNAL_DIFF` names, as kubectl and Argo CD call it: with two files, the cluster's side
//! first. It prints for itself. As `diff` does it, 0 and 1 say whether the files differ, and anything else that it failed.

use std::process::Command;

use crate::failure::Failure;

/// The words of the variable; nothing where it is not set.
pub fn program() -> Option<Vec<String>> {
    let line = std::env::var("KUBECTL_EXTERNAL_DIFF").ok()?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// Shows the two sides of one object.
pub fn show(program: &[String], name: &str, cluster: &str, wanted: &str) -> Result<(), Failure> {
    let Some((command, arguments)) = program.split_first() else { return Ok(()) };
    let failed = |error: std::io::Error| {
        Failure::user(format!("failed to run {command}, which KUBECTL_EXTERNAL_DIFF names: {error}"))
            .hint("name a program that takes two files, or unset the variable")
    };
    // Only the owner may look into a temporary folder.
    let folder = tempfile::tempdir().map_err(failed)?;
    let (live, target) = (folder.path().join(format!("{name}-live.yaml")), folder.path().join(name));
    std::fs::write(&live, cluster).and_then(|()| std::fs::write(&target, wanted)).map_err(failed)?;
    let status = Command::new(command).args(arguments).args([live, target]).status().map_err(failed)?;
    match status.code() {
        Some(0 | 1) => Ok(()),
        _ => Err(Failure::user(format!("{command}, which KUBECTL_EXTERNAL_DIFF names, failed on {name}: {status}"))
            .hint("0 and 1 say whether two files differ, as with `diff`; correct the program, or unset the variable")),
    }
}
