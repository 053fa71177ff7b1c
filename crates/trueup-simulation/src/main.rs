//! `trueup-simulation`: plays the stories of many seeds; what fails is made small, told and kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use trueup_simulation::generate::{generate, with_holds};
use trueup_simulation::story::Story;
use trueup_simulation::{Outcome, Play, demanded, play, shrink};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Plays the whole controller in simulated time, from seeds.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate")]
struct Arguments {
    /// How many seeds are played, one after the other from the first
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// The steps of each story
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    steps: usize,
    /// Stories at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    jobs: usize,
    /// Play this story in place of those of seeds
    #[arg(long, value_name = "FILE")]
    story: Option<PathBuf>,
    /// Print what happens, line by line; for one story
    #[arg(long)]
    trace: bool,
    /// Put applications on hold, too, beside the steps
    #[arg(long)]
    holds: bool,
    /// Print the stories in place of playing them
    #[arg(long)]
    show: bool,
    /// Leave what fails as it is: neither made small nor kept
    #[arg(long)]
    no_keep: bool,
}

/// One in so many stories is played twice, and both must say the same.
const TWICE_EVERY: u64 = 20;

/// So many stories that everything demanded must have come about.
const DEMANDING: u64 = 500;

/// How many violations of one story are told.
const TOLD_MAX: usize = 5;

/// How many failing stories are made small and kept in one run; each takes as long as many stories.
const KEPT_MAX: usize = 5;

#[derive(Default)]
struct Sum {
    failed: Vec<u64>,
    coverage: BTreeMap<String, u64>,
    simulated_ms: u64,
    kept: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Ok(filter) = std::env::var("TRUEUP_LOG") {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    match &arguments.story {
        Some(file) => alone(file, arguments.trace),
        None if arguments.show => {
            let seeds = arguments.seed..arguments.seed.saturating_add(arguments.seeds);
            seeds.for_each(|seed| print!("{}", story_of(&arguments, seed).to_json()));
            ExitCode::SUCCESS
        }
        None => many(&arguments),
    }
}

fn story_of(arguments: &Arguments, seed: u64) -> Story {
    let story = generate(seed, arguments.steps);
    if arguments.holds { with_holds(story) } else { story }
}

fn alone(file: &std::path::Path, trace: bool) -> ExitCode {
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    match read.and_then(|text| Story::from_json(&text)) {
        Ok(story) => {
            let outcome = play(&story, Play { keeps_trace: trace, ..Play::default() });
            tell(&outcome, &file.display().to_string());
            if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: read {}: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

fn tell(outcome: &Outcome, what: &str) {
    for line in &outcome.trace {
        println!("{line}");
    }
    for violation in outcome.violations.iter().take(TOLD_MAX) {
        println!("{what}: {violation}");
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let (next, done, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new(Sum::default());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                std::thread::park_timeout(Duration::from_secs(2));
                let failed = sum.lock().unwrap_or_else(PoisonError::into_inner).failed.len();
                let done = done.load(Ordering::Relaxed);
                eprintln!(
                    "{done} of {} stories, {failed} failed, {} s",
                    arguments.seeds,
                    begun.elapsed().as_secs()
                );
            }
        });
        let workers: Vec<_> = (0..arguments.jobs.max(1))
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= arguments.seeds {
                            return;
                        }
                        one(arguments, arguments.seed + index, &sum);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for worker in workers {
            if worker.join().is_err() {
                eprintln!("error: a thread of the simulation panicked");
                sum.lock().unwrap_or_else(PoisonError::into_inner).failed.push(0);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    conclude(arguments, &sum.into_inner().unwrap_or_else(PoisonError::into_inner), begun.elapsed())
}

fn one(arguments: &Arguments, seed: u64, sum: &Mutex<Sum>) {
    let story = story_of(arguments, seed);
    let outcome = play(&story, Play { keeps_trace: arguments.trace, ..Play::default() });
    let mut lines = Vec::new();
    if seed.is_multiple_of(TWICE_EVERY) && play(&story, Play::default()).digest != outcome.digest {
        lines.push(format!("seed {seed}: two playings of one story are not the same"));
    }
    lines.extend(
        outcome.violations.iter().take(TOLD_MAX).map(|violation| format!("seed {seed}: {violation}")),
    );
    let keeps = {
        let sum = &mut *sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.simulated_ms += outcome.simulated_ms;
        for (word, count) in &outcome.coverage {
            *sum.coverage.entry(word.clone()).or_default() += count;
        }
        if arguments.trace {
            tell(&outcome, &format!("seed {seed}"));
        }
        if lines.is_empty() {
            return;
        }
        sum.failed.push(seed);
        sum.kept += 1;
        !arguments.no_keep && sum.kept <= KEPT_MAX
    };
    lines.push(format!(
        "  alone: cargo xtask simulate --seeds 1 --seed {seed} --steps {}{} --trace",
        arguments.steps,
        if arguments.holds { " --holds" } else { "" }
    ));
    if let (true, Some(violation)) = (keeps, outcome.violations.first()) {
        let mut small = shrink(&story, violation.property);
        small.about = violation.to_string();
        let name = format!("{}-seed-{seed}.json", violation.property.name());
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("stories").join(name);
        match std::fs::write(&file, small.to_json()) {
            Ok(()) => lines.push(format!("  kept with {} steps: {}", small.steps.len(), file.display())),
            Err(error) => lines.push(format!("  could not be kept in {}: {error}", file.display())),
        }
    }
    println!("{}", lines.join("\n"));
}

fn conclude(arguments: &Arguments, sum: &Sum, took: Duration) -> ExitCode {
    for (word, count) in &sum.coverage {
        println!("{count:>12}  {word}");
    }
    let missing: Vec<&str> =
        demanded().iter().copied().filter(|word| !sum.coverage.contains_key(*word)).collect();
    let is_poor = arguments.seeds >= DEMANDING && !missing.is_empty();
    if is_poor {
        println!("never came about: {}", missing.join(", "));
    }
    let failed = sum.failed.len() as u64 + u64::from(is_poor);
    println!(
        "{} h of simulated time in {} s, seeds {} to {}, {} steps each",
        sum.simulated_ms / 3_600_000,
        took.as_secs(),
        arguments.seed,
        arguments.seed + arguments.seeds.saturating_sub(1),
        arguments.steps
    );
    let passed = arguments.seeds.saturating_sub(sum.failed.len() as u64);
    println!("simulated stories: {passed} passed; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
