//! Resident memory of the engine with everything settled, after the first sync of everything and after a start.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    engine::{Engine, Resident, judged_apps},
    figures::{Raw, count},
    ground::{Ground, say},
    std20::OBJECTS,
};

const INTERVAL: Duration = Duration::from_secs(3);
/// This many readings that differ by less than a hundredth are settled.
const STEADY: usize = 5;
/// After this long the last reading is taken as it is, and the table says so.
const SETTLE_MAX: Duration = Duration::from_secs(180);
/// A start that takes longer is reported as what it is by `start`.
const START_MAX: Duration = Duration::from_secs(180);

pub async fn run(ground: &mut Ground, raw: &mut Raw) -> Result<()> {
    println!("{:<34} {:>9} {:>9} {:>9} {:>12}", "MB", "resident", "heap", "peak", "KB/object");
    let n_objects = ground.apps.len() * OBJECTS;
    let synced = settled(ground, raw, "after the first sync").await?;
    print("after the first sync", synced, n_objects);
    say("ending the engine and starting it again");
    let Ground { engine, apps, .. } = ground;
    engine.kill().await?;
    engine.start_again()?;
    let deadline = Instant::now() + START_MAX;
    while engine.metrics().await.map_or(0, |page| judged_apps(&page)) < apps.len() {
        engine.check()?;
        if Instant::now() > deadline {
            anyhow::bail!("after {} s not every application has a verdict", START_MAX.as_secs());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    let restarted = settled(ground, raw, "after a start").await?;
    print("after a start", restarted, n_objects);
    Ok(())
}

fn print(name: &str, (resident, steady): (Resident, bool), n_objects: usize) {
    let mb = |kb: u64| kb as f64 / 1000.0 * 1.024;
    println!(
        "{name:<34} {:>9.1} {:>9.1} {:>9.1} {:>12.2}{}",
        mb(resident.total),
        mb(resident.anonymous),
        mb(resident.peak),
        resident.total as f64 / n_objects.max(1) as f64,
        if steady { "" } else { "  (still moving)" },
    );
}

/// Reads until it is steady; also says whether it got there.
async fn settled(ground: &mut Ground, raw: &mut Raw, when: &str) -> Result<(Resident, bool)> {
    say("waiting until its memory is steady");
    let begun = Instant::now();
    let mut readings: Vec<u64> = Vec::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        ground.engine.check()?;
        ground.observer.catch_up().await?;
        let resident = read(&ground.engine, raw, when, begun)?;
        readings.push(resident.total);
        let last = readings.get(readings.len().saturating_sub(STEADY)..).unwrap_or_default();
        let (least, most) = (last.iter().min().copied(), last.iter().max().copied());
        let steady =
            last.len() == STEADY && least.zip(most).is_some_and(|(least, most)| (most - least) * 100 < most);
        if steady || begun.elapsed() > SETTLE_MAX {
            return Ok((resident, steady));
        }
    }
}

fn read(engine: &Engine, raw: &mut Raw, when: &str, begun: Instant) -> Result<Resident> {
    let resident = engine.resident()?;
    let kb = |value: u64| count(usize::try_from(value).unwrap_or(usize::MAX));
    raw.write(&[
        ("when", when.into()),
        ("seconds", count(usize::try_from(begun.elapsed().as_secs()).unwrap_or_default())),
        ("resident_kb", kb(resident.total)),
        ("anonymous_kb", kb(resident.anonymous)),
        ("peak_kb", kb(resident.peak)),
    ])?;
    Ok(resident)
}
