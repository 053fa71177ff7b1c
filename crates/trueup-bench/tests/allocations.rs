//! The budget of allocations: what comparing one pair may allocate. In a binary of its own, as every thread is counted.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use trueup_bench::compare::{Fleet, From};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations and growths of one pair, on average, at most: a little above what they were when this was written.
fn budget(from: From) -> usize {
    match from {
        From::Yaml => 200,
        From::Json => 145,
        From::JsonWithBase => 190,
        From::Parsed => 88,
    }
}

#[test]
fn comparing_a_pair_stays_within_its_budget_of_allocations() {
    let fleet = Fleet::new(1, 10).unwrap();
    // Also reads what is read once, such as the table of built-in kinds.
    fleet.check().unwrap();
    let measured = From::ALL.map(|from| {
        let region = Region::new(COUNTED);
        fleet.pass(from).unwrap();
        let change = region.change();
        (from, (change.allocations + change.reallocations).div_ceil(fleet.pairs()))
    });
    let over = measured.into_iter().filter(|(from, count)| *count > budget(*from));
    assert_eq!(over.collect::<Vec<_>>(), [], "allocations for each pair that exceed the budget");
}
