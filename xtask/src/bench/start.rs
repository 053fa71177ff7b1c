//! From the start of the process until every verdict is known, after a kill and with drift made while it was down.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use trueup_dice::Dice;

use super::{
    engine::{is_leading, judged_apps},
    figures::{Raw, count, number},
    ground::{Ground, say},
    observer::What,
    std20::App,
};

const SEED: u64 = 4;
const DRIFTS: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);
const START_MAX: Duration = Duration::from_secs(300);

/// Moments after the start of the process.
#[derive(Default)]
struct Milestones {
    answering: Option<Duration>,
    leading: Option<Duration>,
    judged: Option<Duration>,
    first_drift: Option<Duration>,
    all_drifts: Option<Duration>,
}

pub async fn run(ground: &mut Ground, raw: &mut Raw) -> Result<()> {
    let candidates: Vec<App> = ground.apps.iter().copied().filter(|app| !app.heals()).collect();
    let chosen = Dice::new(SEED).some(candidates, DRIFTS);
    let expected: BTreeSet<String> = chosen.iter().map(|app| app.name()).collect();
    say(&format!("killing the engine; {} drifts while it is down", chosen.len()));
    ground.engine.kill().await?;
    for (index, app) in chosen.iter().enumerate() {
        ground.drift(*app, &format!("while-down-{index}")).await?;
    }
    ground.observer.catch_up().await?;
    ground.engine.start_again()?;
    let milestones = watch(ground, &expected).await?;
    let cpu = ground.engine.cpu()?;
    ground.await_out_of_sync(&expected, START_MAX).await?;
    say(&format!("the run counts: exactly the {} expected applications are OutOfSync", expected.len()));
    println!("{:<50} {:>9}", "seconds after the start of the process", "");
    let rows = [
        ("answers", milestones.answering),
        ("acts (holds the Lease)", milestones.leading),
        ("first drift visible", milestones.first_drift),
        ("all drifts visible", milestones.all_drifts),
        ("every application judged", milestones.judged),
    ];
    for (name, at) in rows {
        let seconds = at.map(|at| at.as_secs_f64());
        println!("{name:<50} {:>9}", seconds.map_or("-".to_owned(), |it| format!("{it:.2}")));
        raw.write(&[("milestone", name.into()), ("seconds", number(seconds))])?;
    }
    println!("{:<50} {:>9.2}", "time of the processor used by then", cpu.as_secs_f64());
    raw.write(&[("drifts", count(chosen.len())), ("cpu_seconds", number(Some(cpu.as_secs_f64())))])?;
    Ok(())
}

async fn watch(ground: &mut Ground, expected: &BTreeSet<String>) -> Result<Milestones> {
    let started = ground.engine.started;
    let mut milestones = Milestones::default();
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut look_at = started;
    while milestones.judged.is_none() || milestones.all_drifts.is_none() {
        if started.elapsed() > START_MAX {
            bail!(
                "the run does not count: after {} s {} of {} drifts are visible; the engine's log ends so:\n{}",
                START_MAX.as_secs(),
                found.len(),
                expected.len(),
                ground.engine.log_end()
            );
        }
        if Instant::now() >= look_at {
            ground.engine.check()?;
            if let Some(page) = ground.engine.metrics().await {
                let now = started.elapsed();
                milestones.answering.get_or_insert(now);
                if is_leading(&page) {
                    milestones.leading.get_or_insert(now);
                }
                if judged_apps(&page) == ground.apps.len() {
                    milestones.judged.get_or_insert(now);
                }
            }
            look_at = Instant::now() + LOOK_EVERY;
        }
        while let Some(seen) = ground.observer.next(look_at).await? {
            let What::Status(status) = &seen.what else { continue };
            if status == "OutOfSync" && expected.contains(&seen.app) && found.insert(seen.app) {
                let at = seen.at.saturating_duration_since(started);
                milestones.first_drift.get_or_insert(at);
                if found.len() == expected.len() {
                    milestones.all_drifts = Some(at);
                }
            }
        }
    }
    Ok(milestones)
}
