//! `cargo xtask fuzz`: feeds what reads what others wrote with anything, guided by coverage.
//!
//! The programs are the workspace in `fuzz/`, built with the stable compiler and coverage flags; libFuzzer comes as source with
//! its crate. With a number of runs everything is fixed (inputs, order, seed), so that a run says the same everywhere. An input
//! that breaks something is kept in `fuzz/cases` and tried first from then on.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use trueup_testkit::controlplane::cache_dir;

use crate::workspace_root;

/// A program, and how many of the asked-for runs it makes in a hundred: what is slow makes fewer.
struct Target {
    name: &'static str,
    share: u64,
    dictionary: Option<&'static str>,
}

const fn target(name: &'static str, share: u64, dictionary: Option<&'static str>) -> Target {
    Target { name, share, dictionary }
}

const TARGETS: [Target; 14] = [
    target("yaml", 100, Some("yaml")),
    target("json", 100, None),
    target("fieldsv1", 100, None),
    target("pointer", 100, None),
    target("paths", 100, None),
    target("equality", 100, None),
    target("jq_parse", 100, Some("jq")),
    target("jq_run", 50, Some("jq")),
    target("masks", 100, Some("yaml")),
    target("diff", 50, Some("yaml")),
    target("diff_shaped", 50, None),
    target("merge", 50, Some("yaml")),
    target("cel", 100, Some("cel")),
    target("requests", 5, Some("http")),
];

/// Longer inputs find nothing that shorter ones do not, only later.
const LENGTH_MAX: usize = 2048;

/// What one input may take: far more than any does, so that a slow machine is not taken for a hang.
const SECONDS_MAX: u32 = 120;
const MEMORY_MAX_MB: u32 = 1024;

/// Coverage as libFuzzer reads it; these are cargo-fuzz's flags without a sanitizer, which stable compilers lack.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

#[derive(Args)]
pub struct Options {
    /// What is fed [default: each in turn]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Inputs to try; with it a run is the same everywhere (slow targets try a part of it)
    #[arg(long, value_name = "NUMBER", conflicts_with = "seconds")]
    runs: Option<u64>,
    /// How long each target is fed [default: 60]; what is found is kept outside the tree and taken up by the next run
    #[arg(long, value_name = "NUMBER")]
    seconds: Option<u64>,
    /// Where chance begins
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u32,
}

pub fn run(options: &Options) -> Result<()> {
    let chosen = chosen(&options.targets)?;
    let root = workspace_root().join("fuzz");
    let cache = cache_dir()?.join("fuzz");
    let programs = build(&root, &cache)?;
    let queue = Mutex::new(chosen.iter());
    let failures = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.next().copied();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    if let Err(error) = feed(target, options, &root, &cache, &programs)
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(format!("{}: {error:#}", target.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_default();
    for failure in &failures {
        eprintln!("{failure}");
    }
    println!("fuzz targets: {} passed; {} failed", chosen.len() - failures.len(), failures.len());
    if failures.is_empty() { Ok(()) } else { bail!("an input breaks something; it is kept in fuzz/cases") }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let of = |name: &String| {
        let known = || TARGETS.map(|target| target.name).join(", ");
        let found = TARGETS.iter().find(|target| target.name == name);
        found.with_context(|| format!("there is no target {name}; there are {}", known()))
    };
    names.iter().map(of).collect()
}

/// Builds the programs into a cache outside the tree, a folder for each compiler, lock file and place of the workspace.
fn build(root: &Path, cache: &Path) -> Result<PathBuf> {
    let compiler = output(Command::new("rustc").arg("-vV"))?;
    let host =
        compiler.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("read fuzz/Cargo.lock")?;
    let mut key: u64 = 0xcbf2_9ce4_8422_2325;
    for part in [compiler.as_str(), &lock, &FLAGS.join(" "), &root.display().to_string()] {
        key = part.bytes().fold(key, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }
    let folder = cache.join(format!("build-{key:016x}"));
    println!("building the fuzz targets (about 2 minutes the first time, then seconds)");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let begun = Instant::now();
    // The target is named so that the flags are not for build scripts, which have no coverage to report to.
    let built = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--quiet", "--bins", "--target", host])
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("run cargo build")?;
    if !built.success() {
        bail!("the fuzz targets do not compile");
    }
    println!("built in {} s", begun.elapsed().as_secs());
    Ok(folder.join(host).join("debug"))
}

fn feed(target: &Target, options: &Options, root: &Path, cache: &Path, programs: &Path) -> Result<()> {
    let found = tempfile::tempdir().context("make a folder for what is found")?;
    // Only a run that is measured in time builds on what earlier ones found.
    let corpus = match options.runs {
        Some(_) => found.path().to_owned(),
        None => cache.join("corpus").join(target.name),
    };
    let cases = root.join("cases").join(target.name);
    for folder in [&corpus, &cases] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let much = match options.runs {
        Some(runs) => format!("-runs={}", runs * target.share / 100),
        None => format!("-max_total_time={}", options.seconds.unwrap_or(60)),
    };
    let mut program = Command::new(programs.join(target.name));
    program.args([&corpus, &root.join("corpus").join(target.name), &cases]).arg(much).args([
        format!("-seed={}", options.seed),
        format!("-max_len={LENGTH_MAX}"),
        format!("-timeout={SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MAX_MB}"),
        format!("-artifact_prefix={}/", cases.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    if let Some(dictionary) = target.dictionary {
        program.arg(format!("-dict={}", root.join(format!("dictionaries/{dictionary}.dict")).display()));
    }
    let ended = program.stdin(Stdio::null()).output().with_context(|| format!("start {}", target.name))?;
    // The folder is there for what breaks; git keeps no empty ones anyway.
    let _ = fs::remove_dir(&cases);
    let told = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        bail!("{}\n{}", ended.status, told_last(&told));
    }
    println!("{:<12} {}", target.name, summary(&told));
    Ok(())
}

/// The end of what the program says: the panic, and where the input is kept.
fn told_last(told: &str) -> String {
    let told: Vec<&str> = told.lines().collect();
    let begun = told.iter().position(|line| line.contains("panicked at") || line.contains("ERROR:"));
    told[begun.unwrap_or(told.len().saturating_sub(30))..].join("\n")
}

/// How many inputs were tried, how much of the code they reached, and how much time and memory the worst took.
fn summary(told: &str) -> String {
    let of = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
        line.trim().to_owned()
    };
    let reached =
        told.lines().rev().find_map(|line| line.split_once(" cov: ")).map_or("?", |(_, after)| after);
    format!(
        "{} inputs, {} places reached, slowest {} s, at most {} MB",
        of("stat::number_of_executed_units:"),
        reached.split(' ').next().unwrap_or("?"),
        of("stat::slowest_unit_time_sec:"),
        of("stat::peak_rss_mb:"),
    )
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The folder's own list and the one here are the same.
    #[test]
    fn every_target_is_known_and_has_seeds() {
        let root = workspace_root().join("fuzz");
        let mut names: Vec<String> = fs::read_dir(root.join("fuzz_targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let mut known = TARGETS.map(|target| target.name.to_owned());
        known.sort();
        assert_eq!(names, known);
        for name in names {
            assert!(fs::read_dir(root.join("corpus").join(&name)).unwrap().next().is_some(), "{name}");
        }
    }

    #[test]
    fn a_target_that_is_not_there_is_a_mistake_that_names_them() {
        assert!(chosen(&["yaml".to_owned()]).is_ok());
        assert!(chosen(&["yml".to_owned()]).err().unwrap().to_string().contains("yaml, json"));
    }

    #[test]
    fn the_last_words_begin_with_the_panic() {
        assert_eq!(told_last("INFO: a\nthread 'x' panicked at b\nc\n"), "thread 'x' panicked at b\nc");
        assert_eq!(told_last("only\nthis"), "only\nthis");
    }
}
