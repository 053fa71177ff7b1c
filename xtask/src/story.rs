//! `cargo xtask story`: plays drift stories in the sandbox and on a real control plane, and says what came of each step.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use futures::StreamExt;
use trueup_testkit::story::{
    self, ClusterWorld, Located, Needs, Outcome, Player, StepResult, World, WorldName, find_kubectl, play,
};

use crate::workspace_root;

#[derive(Args)]
pub struct Options {
    /// Where to play
    #[arg(long, value_enum, default_value_t = Worlds::Sandbox)]
    world: Worlds,
    /// A line for each story, or a line of JSON for each step
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Leave the folder of each story (repository, state and log of the controller) in place
    #[arg(long)]
    keep: bool,
    /// The program under test; built from this workspace where none is given
    #[arg(long, value_name = "PROGRAM")]
    trueup: Option<PathBuf>,
    /// How long an expectation may take to come true
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    deadline: u64,
    /// Install this definition of the Application, such as Argo CD's own, in place of ours
    #[arg(long, value_name = "FILE")]
    application_definition: Option<PathBuf>,
    /// How many stories are played at once, in the sandbox
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    jobs: usize,
    /// Stories, or folders of stories
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
}

impl Options {
    /// For stories that are made, of many steps, for a real control plane alone.
    pub fn in_cluster(folder: PathBuf, trueup: Option<PathBuf>) -> Self {
        Self {
            world: Worlds::Cluster,
            output: Output::Text,
            keep: false,
            trueup,
            deadline: 90,
            jobs: 1,
            application_definition: None,
            folders: vec![folder],
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Worlds {
    Sandbox,
    Cluster,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Nothing failed, something was not judged.
const NOT_JUDGED: u8 = 3;

/// What became of one story in one world.
struct Played {
    name: String,
    folder: PathBuf,
    world: WorldName,
    results: Vec<StepResult>,
    took: Duration,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let mut stories = Vec::new();
    for folder in &options.folders {
        stories.extend(story::find(folder)?);
    }
    let player = Player {
        program: program(options)?,
        keep: options.keep,
        deadline: Duration::from_secs(options.deadline),
        application_definition: options.application_definition.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Both worlds at the same time, for stories mostly wait; each on a thread of its own, for the start of a control plane blocks.
    let (in_sandbox, in_cluster) = std::thread::scope(|scope| {
        let sandbox = (options.world != Worlds::Cluster).then(|| {
            scope.spawn(|| runtime.block_on(unless_stopped(play_in_sandbox(options, &player, &stories))))
        });
        let cluster = (options.world != Worlds::Sandbox)
            .then(|| runtime.block_on(unless_stopped(play_in_cluster(options, &player, &stories))));
        (sandbox.map(std::thread::ScopedJoinHandle::join), cluster)
    });
    let mut played = match in_sandbox {
        Some(Ok(played)) => played?,
        Some(Err(panic)) => std::panic::resume_unwind(panic),
        None => Vec::new(),
    };
    played.extend(in_cluster.transpose()?.unwrap_or_default());
    Ok(conclude(options, &played))
}

fn program(options: &Options) -> Result<PathBuf> {
    if let Some(program) = &options.trueup {
        return program.canonicalize().with_context(|| format!("find {}", program.display()));
    }
    let root = workspace_root();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--quiet", "--package", "trueup"])
        .status()
        .context("run cargo build")?;
    if !built.success() {
        bail!("the program under test does not compile");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/trueup"))
}

/// What was started ends with the future that holds it; a signal would leave it behind.
async fn unless_stopped<T>(playing: impl Future<Output = Result<T>>) -> Result<T> {
    let stop_asked = async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => anyhow::Ok(interrupted?),
            _ = terminate.recv() => Ok(()),
        }
    };
    tokio::select! {
        played = playing => played,
        stopped = stop_asked => stopped.and_then(|()| bail!("stopped before the end")),
    }
}

async fn play_in_sandbox(options: &Options, player: &Player, stories: &[Located]) -> Result<Vec<Played>> {
    let kubectl = tokio::task::block_in_place(|| find_kubectl(&mut |line| eprintln!("{line}")))?;
    let each = stories.iter().filter(|it| plays_in(it, WorldName::Sandbox)).map(|located| {
        let kubectl = &kubectl;
        async move {
            let world =
                async |folder: &std::path::Path| World::sandbox(folder, kubectl, located.story.ready).await;
            play_one(player, located, world, WorldName::Sandbox).await
        }
    });
    let mut played = Vec::new();
    let mut stream = futures::stream::iter(each).buffered(options.jobs.max(1));
    while let Some(one) = stream.next().await {
        played.push(tell(options, one?));
    }
    Ok(played)
}

/// Stories that need the same share a control plane; each runs as long as it is needed.
async fn play_in_cluster(options: &Options, player: &Player, stories: &[Located]) -> Result<Vec<Played>> {
    let mut groups: BTreeMap<Needs, Vec<&Located>> = BTreeMap::new();
    for located in stories.iter().filter(|it| plays_in(it, WorldName::Cluster)) {
        let needs = Needs { ready: located.story.ready, operators: located.story.operators };
        groups.entry(needs).or_default().push(located);
    }
    let mut played = Vec::new();
    for (needs, group) in groups {
        let plane = ClusterWorld::start(needs, &mut |line| eprintln!("{line}")).await?;
        for located in group {
            let world = async |folder: &std::path::Path| World::cluster(&plane, folder).await;
            played.push(tell(options, play_one(player, located, world, WorldName::Cluster).await?));
        }
    }
    Ok(played)
}

/// Whether a story can be played there.
fn plays_in(located: &Located, world: WorldName) -> bool {
    located.story.world.is_none_or(|only| only == world)
}

async fn play_one<'w>(
    player: &Player,
    located: &Located,
    world: impl AsyncFnOnce(&std::path::Path) -> Result<World<'w>>,
    name: WorldName,
) -> Result<Played> {
    let began = Instant::now();
    let results = play(player, located, world, name).await?;
    let (story, folder) = (located.story.name.clone(), located.folder.clone());
    Ok(Played { name: story, folder, world: name, results, took: began.elapsed() })
}

impl Played {
    fn outcome(&self) -> Outcome {
        self.results.iter().map(|result| result.outcome).max().unwrap_or(Outcome::Passed)
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.results.iter().filter(|result| result.outcome == outcome).count()
    }
}

/// Prints what became of a story, as soon as it is known.
fn tell(options: &Options, played: Played) -> Played {
    match options.output {
        Output::Json => played.results.iter().for_each(|result| println!("{}", result.to_json())),
        Output::Text => {
            let not_judged = match played.count(Outcome::NotJudged) {
                0 => String::new(),
                number => format!(", {number} steps not judged"),
            };
            let word = if played.outcome() == Outcome::Failed { "FAILED" } else { "ok" };
            println!(
                "{:8} {:30} {word} ({} steps passed{not_judged}; {:.1} s)",
                played.world.as_str(),
                played.name,
                played.count(Outcome::Passed),
                played.took.as_secs_f64()
            );
            for result in played.results.iter().filter(|result| result.outcome == Outcome::Failed) {
                println!("    step {}: {}", result.step, result.text);
                println!("    expected {}", result.expected.to_json());
                println!("    found    {}", result.found.to_json());
            }
        }
    }
    played
}

/// The last lines, and the exit code.
fn conclude(options: &Options, played: &[Played]) -> ExitCode {
    let n_failed = played.iter().filter(|played| played.outcome() == Outcome::Failed).count();
    let n_split = disagreements(played);
    let n_not_judged: usize = played.iter().map(|played| played.count(Outcome::NotJudged)).sum();
    if options.output == Output::Text {
        if n_not_judged > 0 {
            println!("{n_not_judged} steps were not judged: they need what this build has not yet");
        }
        println!("stories: {} passed; {} failed", played.len() - n_failed, n_failed + n_split);
    }
    match (n_failed + n_split, n_not_judged) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(NOT_JUDGED),
        (_, _) => ExitCode::FAILURE,
    }
}

/// Stories that ended differently in the two worlds: one of them does not show what really happens.
fn disagreements(played: &[Played]) -> usize {
    let outcomes =
        |played: &Played| played.results.iter().map(|it| (it.step, it.outcome)).collect::<Vec<_>>();
    let mut n_split = 0;
    for one in played.iter().filter(|played| played.world == WorldName::Sandbox) {
        let other = played.iter().find(|it| it.world == WorldName::Cluster && it.folder == one.folder);
        let Some(other) = other else { continue };
        if outcomes(one) != outcomes(other) {
            n_split += 1;
            eprintln!("the worlds disagree about {}", one.name);
        }
    }
    n_split
}
