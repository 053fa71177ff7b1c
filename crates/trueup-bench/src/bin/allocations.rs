//! `allocations`: how often and how much the comparing of a pair allocates. A program of its own, since counting takes time
//! that the speed of `trueup-bench compare` must not pay for.

use std::alloc::System;

use anyhow::Result;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use trueup_bench::compare::{Fleet, From};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<()> {
    let fleet = Fleet::new(1, 50)?;
    fleet.check()?;
    println!("| From | allocations for each pair | growths | bytes |");
    println!("|---|---|---|---|");
    for from in From::ALL {
        let region = Region::new(COUNTED);
        fleet.pass(from)?;
        let change = region.change();
        let each = |count: usize| count / fleet.pairs();
        let bytes = each(change.bytes_allocated);
        println!(
            "| {} | {} | {} | {bytes} |",
            from.words(),
            each(change.allocations),
            each(change.reallocations)
        );
    }
    Ok(())
}
