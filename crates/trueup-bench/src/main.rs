//! `trueup-bench`: how fast one thread compares, and what the store of live objects costs.

use std::io;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use trueup_bench::compare::{Fleet, From};
use trueup_bench::{sandbox, store};

/// Benchmarks that need no cluster. Use a release build, and a machine that does nothing else.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// What the objects are made from
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Bench {
    /// B1: pairs of target and live object that one thread compares in a second
    Compare {
        /// Applications of 20 objects
        #[arg(long, default_value_t = 50)]
        apps: usize,
        /// For how long each form is measured, three times
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// B2: resident memory for each object of the store
    Store {
        /// Sizes of the store
        #[arg(long, value_delimiter = ',', default_value = "10000,50000,100000")]
        objects: Vec<usize>,
    },
    /// The sandbox: its start, writes and reads in a second, memory
    Sandbox {
        /// Objects of every kind together
        #[arg(long, default_value_t = 20_000)]
        objects: usize,
    },
    /// The process that holds a store; `store` starts it
    #[command(hide = true)]
    Hold,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.bench {
        Bench::Compare { apps, seconds } => compare(arguments.seed, apps, Duration::from_secs(seconds)),
        Bench::Store { objects } => sizes(arguments.seed, &objects),
        Bench::Sandbox { objects } => served(arguments.seed, objects),
        Bench::Hold => store::hold(io::stdin(), io::stdout()),
    }
}

fn compare(seed: u64, apps: usize, period: Duration) -> Result<()> {
    let fleet = Fleet::new(seed, apps)?;
    fleet.check()?;
    let [yaml, json, live] = fleet.mean_bytes();
    println!(
        "{} pairs of seed {seed}, {} of them edited; on average YAML {yaml} bytes, target {json}, live {live}",
        fleet.pairs(),
        fleet.edited()
    );
    println!("| From | pairs/s, best of three | us for each |");
    println!("|---|---|---|");
    for from in From::ALL {
        let mut best = 0.0_f64;
        for _ in 0..3 {
            best = best.max(fleet.pairs_per_second(from, period)?);
        }
        println!("| {} | {best:.0} | {:.1} |", from.words(), 1e6 / best);
    }
    Ok(())
}

fn sizes(seed: u64, sizes: &[usize]) -> Result<()> {
    println!(
        "| Objects | KB for each: JSON | compressed | resident, settled | after 10 % churn | at the peak | resident MB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for objects in sizes {
        let figures = store::measure(seed, *objects, &["hold"])?;
        let each = |bytes: usize| bytes as f64 / 1024.0 / figures.objects.max(1) as f64;
        let over = |bytes: usize| each(bytes.saturating_sub(figures.before));
        println!(
            "| {objects} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} |",
            each(figures.json),
            each(figures.packed),
            over(figures.settled),
            over(figures.churned),
            over(figures.peak),
            figures.settled as f64 / 1024.0 / 1024.0
        );
    }
    Ok(())
}

fn served(seed: u64, objects: usize) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(sandbox::THREADS).enable_all().build()?;
    // The first task is not on a worker: the two threads are those of the aim.
    let figures = runtime.block_on(async move { tokio::spawn(sandbox::measure(seed, objects)).await? })?;
    let [first, median] = figures.starts.map(|time| time.as_secs_f64() * 1e3);
    let [before, with, after] = figures.resident.map(|bytes| bytes as f64 / 1e6);
    let threads = sandbox::THREADS;
    println!("| What | by the clock | by the time of {threads} processors | aim |");
    println!("|---|---|---|---|");
    println!("| start, the first of the process | {first:.1} ms | | 50 ms |");
    println!("| start, median of 20 more | {median:.1} ms | | 50 ms |");
    for sandbox::Rate { what, by_clock, by_processor, aim } in &figures.rates {
        let aim = aim.map(|aim| format!("{aim:.0}")).unwrap_or_default();
        println!("| {what} in a second | {by_clock:.0} | {by_processor:.0} | {aim} |");
    }
    println!("| resident with {} objects | {with:.1} MB | | 200 MB |", figures.objects);
    println!(
        "| of that for each object | {:.1} KB | | |",
        (with - before) * 1e3 / figures.objects.max(1) as f64
    );
    println!("| resident after all requests | {after:.1} MB | | |");
    Ok(())
}
