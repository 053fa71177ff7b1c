//! The budget of instructions: what comparing one pair may cost the processor, counted by valgrind, so that neither the load nor
//! the speed of a machine is in it. As the tests are built (not optimised), with this machine's compiler: figures to compare
//! with each other only.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use trueup_bench::compare::From;

/// Thousands of instructions for one pair at most: a tenth above what they were when this was written.
fn budget(from: From) -> u64 {
    match from {
        From::Yaml => 3_950,
        From::Json => 2_030,
        From::JsonWithBase => 2_500,
        From::Parsed => 1_300,
    }
}

/// Instructions of a whole run, and its pairs.
fn count(form: usize, passes: u64) -> (u64, u64) {
    let run = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_instructions"))
        .args([form.to_string(), passes.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{told}");
    let line = told.lines().find_map(|line| line.split_once("refs:")).unwrap().1;
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    (digits.parse().unwrap(), String::from_utf8(run.stdout).unwrap().trim().parse().unwrap())
}

#[test]
fn comparing_a_pair_stays_within_its_budget_of_instructions() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("left out: this machine has no valgrind");
        return;
    }
    let mut over = Vec::new();
    for (form, from) in From::ALL.into_iter().enumerate() {
        let (once, pairs) = count(form, 1);
        let (thrice, _) = count(form, 3);
        let each = (thrice - once) / (2 * pairs * 1000);
        println!("{}: {each} thousand instructions for each pair", from.words());
        if each > budget(from) {
            over.push((from, each));
        }
    }
    assert_eq!(over, [], "thousands of instructions for each pair that exceed the budget");
}
