//! From a foreign write's acknowledgement to the status OutOfSync, and to the value healed, as a watch shows them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use trueup_dice::Dice;
use trueup_object::Value;

use super::{
    figures::{Percentiles, Raw, count, millis_between, number},
    ground::{Ground, is_status, say},
    observer::What,
    requests::Requests,
    std20::App,
};

const SEED: u64 = 20;
/// Every write is delayed by up to this, so that it meets nobody's tick in step.
const DELAY_MILLIS_MAX: usize = 150;
/// What is not visible by then is missed, and the run does not count.
const VISIBLE_MAX: Duration = Duration::from_secs(60);
/// Events that report a change may be written a moment after it.
const REQUESTS_REST: Duration = Duration::from_secs(2);

/// One write and what became of it; milliseconds after its acknowledgement.
struct Sample {
    app: App,
    delay: Duration,
    out_of_sync: Option<f64>,
    healed: Option<f64>,
    synced: Option<f64>,
}

impl Sample {
    fn told(&self) -> String {
        let part = |name: &str, at: Option<f64>| match at {
            Some(at) => format!("{name} after {at:.1} ms"),
            None => format!("not {name}"),
        };
        [part("OutOfSync", self.out_of_sync), part("healed", self.healed), part("Synced again", self.synced)]
            .join(", ")
    }
}

/// The writes to applications of one policy.
struct Group {
    heals: bool,
    samples: Vec<Sample>,
    requests: Requests,
    /// Time of the processor that the engine used.
    cpu: Duration,
}

pub async fn run(ground: &mut Ground, n_writes: usize, raw: &mut Raw) -> Result<()> {
    let mut dice = Dice::new(SEED);
    let mut groups = Vec::new();
    for (heals, n) in [(false, n_writes / 2), (true, n_writes - n_writes / 2)] {
        let candidates: Vec<App> = ground.apps.iter().copied().filter(|app| app.heals() == heals).collect();
        let chosen = dice.some(candidates, n);
        if chosen.len() < n {
            bail!("{n_writes} writes need that many applications, half of which heal");
        }
        groups.push(measure(ground, &chosen, heals, &mut dice, raw).await?);
    }
    let [reported, healed] = groups.as_slice() else { bail!("two groups are measured") };
    let expected: BTreeSet<String> = reported.samples.iter().map(|sample| sample.app.name()).collect();
    ground.await_out_of_sync(&expected, VISIBLE_MAX).await?;
    say(&format!("the run counts: exactly the {} expected applications are OutOfSync", expected.len()));
    print(reported, healed);
    Ok(())
}

async fn measure(
    ground: &mut Ground,
    apps: &[App],
    heals: bool,
    dice: &mut Dice,
    raw: &mut Raw,
) -> Result<Group> {
    say(&format!(
        "{} writes to applications {} self-heal",
        apps.len(),
        if heals { "with" } else { "without" }
    ));
    let before = Requests::read(&ground.client).await?;
    let cpu_before = ground.engine.cpu()?;
    let mut samples = Vec::with_capacity(apps.len());
    for (index, app) in apps.iter().enumerate() {
        let delay = Duration::from_millis(dice.below(DELAY_MILLIS_MAX + 1) as u64);
        tokio::time::sleep(delay).await;
        let sample = one(ground, *app, delay, &format!("drift-{index}")).await?;
        raw.write(&[
            ("app", app.name().into()),
            ("selfHeal", heals.into()),
            ("delay_ms", count(usize::try_from(delay.as_millis()).unwrap_or_default())),
            ("out_of_sync_ms", number(sample.out_of_sync)),
            ("healed_ms", number(sample.healed)),
            ("synced_ms", number(sample.synced)),
        ])?;
        samples.push(sample);
    }
    let cpu = ground.engine.cpu()?.saturating_sub(cpu_before);
    tokio::time::sleep(REQUESTS_REST).await;
    let requests = Requests::read(&ground.client).await?.since(&before);
    let requests = requests.without("PATCH", "configmaps", apps.len());
    raw.write(&[
        ("selfHeal", heals.into()),
        ("requests", requests.by_kind(apps.len()).into()),
        ("cpu_ms", number(Some(cpu.as_secs_f64() * 1000.0))),
    ])?;
    Ok(Group { heals, samples, requests, cpu })
}

/// Writes once and waits until all that is to follow has followed.
async fn one(ground: &mut Ground, app: App, delay: Duration, value: &str) -> Result<Sample> {
    let name = app.name();
    let declared = app.declared();
    ground.observer.catch_up().await?;
    let acknowledged = ground.drift(app, value).await?;
    let deadline = Instant::now() + VISIBLE_MAX;
    let mut sample = Sample { app, delay, out_of_sync: None, healed: None, synced: None };
    // The watch shows the foreign write too: only what comes after that is the engine's answer.
    let mut written = false;
    while !done(&sample) {
        let Some(seen) = ground.observer.next(deadline).await? else {
            ground.engine.check()?;
            bail!(
                "the run does not count: within {} s {name} was {}; {}",
                VISIBLE_MAX.as_secs(),
                sample.told(),
                ground.situation(app).await?
            );
        };
        let after = millis_between(acknowledged, seen.at);
        if is_status(&seen, &name, "OutOfSync") {
            sample.out_of_sync.get_or_insert(after);
        } else if is_status(&seen, &name, "Synced") && (sample.healed.or(sample.out_of_sync)).is_some() {
            // The two watches are two connections: either may be the first to show its part.
            sample.synced.get_or_insert(after);
        } else if let What::Value(found) = &seen.what
            && seen.app == name
        {
            written |= found == value;
            if written && *found == declared {
                sample.healed.get_or_insert(after);
            }
        }
    }
    Ok(sample)
}

/// A healed application may never have been seen OutOfSync; it is over when it is Synced again.
fn done(sample: &Sample) -> bool {
    if sample.app.heals() {
        sample.healed.is_some() && sample.synced.is_some()
    } else {
        sample.out_of_sync.is_some()
    }
}

fn print(reported: &Group, healed: &Group) {
    println!("{}", Percentiles::head());
    let all = || reported.samples.iter().chain(&healed.samples);
    let rows = [
        ("write to OutOfSync, all", Percentiles::of(all().filter_map(|sample| sample.out_of_sync))),
        ("  without self-heal", Percentiles::of(reported.samples.iter().filter_map(|it| it.out_of_sync))),
        ("  with self-heal", Percentiles::of(healed.samples.iter().filter_map(|it| it.out_of_sync))),
        ("write to healed", Percentiles::of(healed.samples.iter().filter_map(|it| it.healed))),
        ("write to Synced again", Percentiles::of(healed.samples.iter().filter_map(|it| it.synced))),
    ];
    for (name, row) in rows {
        if let Some(row) = row {
            println!("{}", row.row(name));
        }
    }
    for group in [reported, healed] {
        let n = group.samples.len();
        let each = n.max(1) as f64;
        println!(
            "{}: {:.2} writing and {:.2} reading requests each, {:.1} ms of the processor in the engine each",
            if group.heals { "healed drifts" } else { "reported drifts" },
            group.requests.writes() as f64 / each,
            group.requests.reads() as f64 / each,
            group.cpu.as_secs_f64() * 1000.0 / each,
        );
        println!("  {}", group.requests.by_kind(n));
    }
    let unseen = healed.samples.iter().filter(|sample| sample.out_of_sync.is_none()).count();
    if unseen > 0 {
        println!("{unseen} were healed before they were seen OutOfSync");
    }
    let delays: Duration = all().map(|sample| sample.delay).sum();
    println!(
        "mean delay before a write: {:.0} ms",
        delays.as_secs_f64() * 1000.0 / all().count().max(1) as f64
    );
}

/// For the header of the raw samples.
pub fn parameters(n_writes: usize) -> Vec<(&'static str, Value)> {
    vec![("writes", count(n_writes)), ("delay_ms_max", Value::Int(DELAY_MILLIS_MAX as i64))]
}
