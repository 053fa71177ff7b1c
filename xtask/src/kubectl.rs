//! `cargo xtask kubectl-judge`: one script of kubectl commands, played in the sandbox and on a real control plane.
//!
//! Both worlds must end each command with the same code and say the same, once what no two clusters agree on (ids, versions,
//! times, addresses, generated names) is put out of sight. Known exceptions stand in one file, with their reasons; one that no
//! longer applies fails as well, so that the file stays true.

mod exceptions;
mod explained;
mod same;
mod script;
mod words;
mod world;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use trueup_testkit::controlplane::{self, ControlPlane};
use trueup_testkit::story;

use exceptions::Exceptions;
use script::{Line, is_read};
use world::{Said, World};

const SCRIPT: &str = include_str!("kubectl/script.txt");

/// Controllers and caches of the real control plane take their time before a read shows what was written.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
const SETTLE_POLL: Duration = Duration::from_millis(150);

/// Enough lines of a difference to know what it is.
const N_LINES_SHOWN: usize = 16;

#[derive(Args)]
pub struct Options {
    /// Use the running control plane of this kubeconfig; it needs kwok (cargo xtask cluster up --kwok)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Play this script in place of the project's own
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Do not print the commands that end alike
    #[arg(short, long)]
    quiet: bool,
}

/// What became of the commands.
#[derive(Default)]
struct Tally {
    same: usize,
    excused: usize,
    differ: usize,
    unprepared: usize,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let mut progress = |line: &str| eprintln!("{line}");
    let plane = match &options.kubeconfig {
        Some(_) => None,
        None => {
            let kwok = controlplane::Options { kwok: true, ..controlplane::Options::default() };
            Some(ControlPlane::start(&kwok, &mut progress)?)
        }
    };
    let kubeconfig = match (&options.kubeconfig, &plane) {
        (Some(file), _) => file.clone(),
        (None, Some(plane)) => plane.kubeconfig().to_path_buf(),
        (None, None) => bail!("there is no control plane"),
    };
    let kubectl = story::find_kubectl(&mut progress)?;
    let text = match &options.script {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?,
        None => SCRIPT.to_owned(),
    };
    let lines = script::parse(&text)?;
    let mut exceptions = Exceptions::read()?;
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tally = runtime.block_on(play(&kubectl, &kubeconfig, &lines, &mut exceptions, options.quiet))?;
    // Parts of the script do not meet all exceptions.
    let outlived = if options.script.is_none() { exceptions.unmet() } else { Vec::new() };
    for line in &outlived {
        println!("FAILED: an exception no longer applies: {line}");
    }
    let failed = tally.differ + tally.unprepared + outlived.len();
    println!(
        "{} commands: {} alike, {} excused, {} differ; {:.0} s",
        tally.same + tally.excused + tally.differ,
        tally.same,
        tally.excused,
        tally.differ,
        began.elapsed().as_secs_f64()
    );
    println!("kubectl: {} passed; {failed} failed", tally.same + tally.excused);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(
    kubectl: &Path,
    kubeconfig: &Path,
    lines: &[Line],
    exceptions: &mut Exceptions,
    quiet: bool,
) -> Result<Tally> {
    let folder = tempfile::tempdir()?;
    let sandbox = story::World::sandbox(folder.path(), kubectl, true).await?;
    let real = World::open("control plane", kubectl, kubeconfig, &folder.path().join("real")).await?;
    let ours = World::open("sandbox", kubectl, sandbox.kubeconfig(), &folder.path().join("ours")).await?;
    let mut tally = Tally::default();
    for line in lines {
        match line {
            Line::Section(title) if quiet => println!("{title}"),
            Line::Section(title) => println!("\n{title}"),
            Line::File { name, content } => {
                for world in [&real, &ours] {
                    world.write(name, content)?;
                }
            }
            Line::Prepare(command) => {
                let (left, right) = tokio::try_join!(real.run(command), ours.run(command))?;
                for (world, said) in [(&real, left), (&ours, right)] {
                    if said.code != Some(0) {
                        tally.unprepared += 1;
                        println!("FAILED: in the {}: {command}\n{}{}", world.name, said.out, said.err);
                    }
                }
            }
            Line::Judge(command) => judge([&real, &ours], command, exceptions, quiet, &mut tally).await?,
        }
    }
    sandbox.close().await?;
    Ok(tally)
}

async fn judge(
    [real, ours]: [&World; 2],
    command: &str,
    exceptions: &mut Exceptions,
    quiet: bool,
    tally: &mut Tally,
) -> Result<()> {
    let excused = exceptions.knows(command);
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let (left, right) = loop {
        let (left, right) = tokio::try_join!(real.run(command), ours.run(command))?;
        let (mut left, mut right) = (left.comparable(real), right.comparable(ours));
        if command.starts_with("explain ") && exceptions.hide_words() {
            (left.out, right.out) = explained::without_words(&left.out, &right.out);
        }
        if left == right || excused || !is_read(command) || Instant::now() > deadline {
            break (left, right);
        }
        tokio::time::sleep(SETTLE_POLL).await;
    };
    if left == right {
        tally.same += 1;
        if !quiet {
            println!("ok       {command}");
        }
        return Ok(());
    }
    match exceptions.excuse(command) {
        Some(reason) => {
            tally.excused += 1;
            if !quiet {
                println!("excused  {command}: {reason}");
            }
        }
        None => {
            tally.differ += 1;
            println!("FAILED   {command}");
            show(&left, &right);
        }
    }
    Ok(())
}

fn show(real: &Said, ours: &Said) {
    if real.code != ours.code {
        let code = |said: &Said| said.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        println!("    exit code: control plane {}, sandbox {}", code(real), code(ours));
    }
    for (stream, real, ours) in [("output", &real.out, &ours.out), ("errors", &real.err, &ours.err)] {
        let (left, right) = same::apart(real, ours);
        for (world, lines) in [("control plane", left), ("sandbox", right)] {
            for line in lines.iter().take(N_LINES_SHOWN) {
                println!("    {stream}, {world}: {line}");
            }
            if lines.len() > N_LINES_SHOWN {
                println!("    {stream}, {world}: ... {} lines more", lines.len() - N_LINES_SHOWN);
            }
        }
    }
}
