//! `instructions FROM PASSES`: compares the same pairs so many times and says how many there were. For a tool that counts what
//! the processor does; two runs with different numbers of passes tell what is the pairs' and what is the start's.

use anyhow::{Result, anyhow};
use clap::Parser;
use trueup_bench::compare::{Fleet, From};

#[derive(Parser)]
struct Arguments {
    /// Which of the forms of `From::ALL`
    from: usize,
    passes: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let from = From::ALL.get(arguments.from).ok_or_else(|| anyhow!("there is no form {}", arguments.from))?;
    let fleet = Fleet::new(1, 2)?;
    fleet.check()?;
    for _ in 0..arguments.passes {
        fleet.pass(*from)?;
    }
    println!("{}", fleet.pairs());
    Ok(())
}
