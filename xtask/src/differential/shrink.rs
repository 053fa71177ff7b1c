//! Makes a failing case small: leaves parts out for as long as it fails in the same way.

use anyhow::Result;
use trueup_object::{Map, Value};

use super::Failure;
use super::exceptions::Exceptions;
use super::judge::{Mismatch, What, without_exceptions};
use super::kinds::Kind;
use super::mutate::{Step, at, take_out};
use super::play::{Case, Ground};

/// How many smaller cases are tried: a few seconds' worth.
const REPLAYS_MAX: usize = 150;

/// The smallest case that was found to fail like this one.
pub async fn shrink(
    ground: &Ground,
    kind: &Kind,
    name: &str,
    failure: Failure,
    exceptions: &mut Exceptions,
) -> Result<Failure> {
    let wanted = signature(&failure.mismatches);
    let mut smallest = failure;
    let mut replays = 0;
    loop {
        let mut shrunk = false;
        for case in smaller(&smallest.case) {
            if replays >= REPLAYS_MAX {
                return Ok(smallest);
            }
            replays += 1;
            let replayed = ground.replay(kind, &case, &format!("{name}-s{replays}")).await?;
            let Some(judged) = replayed else { continue };
            let mismatches = without_exceptions(kind, judged.mismatches, &mut exceptions.clone());
            if !mismatches.is_empty() && signature(&mismatches).iter().all(|what| wanted.contains(what)) {
                smallest = Failure { mismatches, case, live: judged.live, dry: judged.dry };
                shrunk = true;
                break;
            }
        }
        if !shrunk {
            return Ok(smallest);
        }
    }
}

/// In which way a case fails.
fn signature(mismatches: &[Mismatch]) -> Vec<What> {
    let mut whats: Vec<What> = mismatches.iter().map(|mismatch| mismatch.what).collect();
    whats.sort_unstable();
    whats.dedup();
    whats
}

/// Cases with one part less, the largest parts first.
fn smaller(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for index in 0..case.edits.len() {
        let mut less = case.clone();
        less.edits.remove(index);
        cases.push(less);
    }
    let mut places = Vec::new();
    collect(&case.base, &mut Vec::new(), &mut places);
    collect(&case.target, &mut Vec::new(), &mut places);
    places.sort_by_key(Vec::len);
    places.dedup();
    for steps in places {
        let mut less = case.clone();
        let in_base = at(&case.base, &steps) == at(&case.target, &steps);
        let mut changed = take_out(&mut less.target, &steps);
        if in_base || at(&case.target, &steps).is_none() {
            changed |= take_out(&mut less.base, &steps);
        }
        if changed {
            cases.push(less);
        }
    }
    for (index, edit) in case.edits.iter().enumerate() {
        let mut places = Vec::new();
        collect(&edit.body, &mut Vec::new(), &mut places);
        for steps in places {
            let mut less = case.clone();
            if take_out(&mut less.edits[index].body, &steps) {
                cases.push(less);
            }
        }
    }
    cases
}

fn collect(value: &Value, steps: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let visit = |step: Step, child: &Value, steps: &mut Vec<Step>, places: &mut Vec<Vec<Step>>| {
        steps.push(step);
        let is_identity = matches!(steps.as_slice(), [Step::Key(key)] if ["apiVersion", "kind", "metadata"].contains(&key.as_str()))
            || matches!(steps.as_slice(), [Step::Key(meta), Step::Key(name)] if meta == "metadata" && (name == "name" || name == "namespace"));
        if !is_identity {
            places.push(steps.clone());
        }
        collect(child, steps, places);
        steps.pop();
    };
    match value {
        Value::Map(map) => {
            for (name, child) in map.iter() {
                visit(Step::Key(name.to_owned()), child, steps, places);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(Step::Index(index), item, steps, places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

/// Says what went wrong, and with what.
pub fn print(number: usize, kind: &str, failure: &Failure) {
    println!("case {number}: {kind}");
    for mismatch in &failure.mismatches {
        println!("  {} {}: {}", mismatch.what.as_str(), mismatch.place, mismatch.detail);
    }
    println!("  base   {}", failure.case.base.to_json());
    for edit in &failure.case.edits {
        println!("  {} by {}: {}", edit.verb.as_str(), edit.manager, edit.body.to_json());
    }
    println!("  target {}", failure.case.target.to_json());
}

/// The case as a line of JSON: what the unit tests of the comparing core keep.
pub fn record(number: usize, failure: &Failure) -> String {
    let mut record = Map::new();
    record.insert("number", Value::Int(number as i64));
    record.insert("base", failure.case.base.clone());
    record.insert("target", failure.case.target.clone());
    record.insert("live", failure.live.clone());
    record.insert("dry", failure.dry.clone().unwrap_or_default());
    Value::Map(record).to_json()
}
