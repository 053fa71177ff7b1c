//! B2: what the store of live objects costs, in resident memory for each object.
//!
//! A process of its own holds each store, so that nothing else has touched its heap. Its objects come as lines of bytes over a
//! pipe, made by the process that started it; it reads them in pages, as list answers come, and does with them what the
//! watches do: head, interest, compression, fold.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use trueup_cluster::store::{Delivered, Delivery, KindStore};
use trueup_cluster::{Content, Head, Interest, ObjectName};
use trueup_engine::app::App;
use trueup_merge::{Layered, SchemaSet};
use trueup_object::{Gvk, Text};

use crate::kinds::{APPLICATION, KindOfObject, OBJECTS, schemas};
use crate::pairs::{Application, Edit, Pair, edit_of, now};
use trueup_dice::Dice;

/// How many objects a list answer holds, as the controller asks for them.
const PAGE_OBJECTS: usize = 500;

/// Every how many objects one is written again.
const CHURN: usize = 10;

/// Applications only differ by name here; so many are enough.
const APPLICATIONS_MAX: usize = 500;

/// What one process measured, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub objects: usize,
    /// Resident before the first object.
    pub before: usize,
    /// Resident after the last listing.
    pub settled: usize,
    /// Resident after a tenth was written again.
    pub churned: usize,
    /// The most that was ever resident.
    pub peak: usize,
    /// The compressed contents together.
    pub packed: usize,
    /// The objects' JSON together.
    pub json: usize,
}

/// Measures a store of so many objects in a process of its own: this program, started with `arguments`.
pub fn measure(seed: u64, objects: usize, arguments: &[&str]) -> Result<Figures> {
    let program = std::env::current_exe().context("find this program")?;
    let mut holder = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start the process that holds the store")?;
    let pipe = holder.stdin.take().context("its input is a pipe")?;
    let sent = send(seed, objects, BufWriter::new(pipe));
    let mut answer = String::new();
    holder.stdout.take().context("its output is a pipe")?.read_to_string(&mut answer)?;
    let status = holder.wait()?;
    ensure!(status.success(), "the process that held the store failed: {status}");
    sent?;
    let numbers: Result<Vec<usize>, _> = answer.split_whitespace().map(str::parse).collect();
    let [objects_held, before, settled, churned, peak, packed, json] = numbers?[..] else {
        bail!("the process that held the store said {answer:?}");
    };
    ensure!(objects_held == objects, "{objects_held} of {objects} objects were held");
    Ok(Figures { objects, before, settled, churned, peak, packed, json })
}

/// Makes the objects, kind after kind, then every tenth again. A line is a kind's number and an object; an empty one ends
/// the listing.
fn send(seed: u64, objects: usize, mut to: impl Write) -> Result<()> {
    let schemas = schemas();
    let layered = schemas.over(SchemaSet::builtin());
    let applications = (objects / OBJECTS).clamp(1, APPLICATIONS_MAX);
    let apps: Result<Vec<App>> =
        (0..applications).map(|number| Ok(Application::of_number(seed, number, layered)?.app)).collect();
    let apps = apps?;
    let places = places(objects);
    for (index, place) in places.iter().enumerate() {
        let line = line(&apps, seed, index, *place, false, layered)?;
        writeln!(to, "{line}")?;
    }
    writeln!(to)?;
    for (index, place) in places.iter().enumerate().step_by(CHURN) {
        let line = line(&apps, seed, index, *place, true, layered)?;
        writeln!(to, "{line}")?;
    }
    Ok(to.flush()?)
}

/// The number of the kind of each object, kind after kind.
fn places(objects: usize) -> Vec<usize> {
    let shares = APPLICATION.iter().enumerate();
    let mut places: Vec<usize> =
        shares.flat_map(|(place, (_, share))| vec![place; objects * share / OBJECTS]).collect();
    places.resize(objects, 0);
    places
}

fn line(
    apps: &[App],
    seed: u64,
    index: usize,
    place: usize,
    again: bool,
    schemas: Layered<'_>,
) -> Result<String> {
    let (kind, _): (&KindOfObject, _) = APPLICATION[place];
    let mut dice = Dice::of(seed, index);
    let seeded = edit_of(kind, &mut dice);
    let edit = if again { Edit::Changed } else { seeded };
    let app = &apps[index % apps.len()];
    let pair = Pair::new(app, kind, edit, index, dice, schemas)?;
    let mut live = String::from_utf8(pair.live)?;
    if again {
        let version = |number: usize| format!(r#""resourceVersion":"{number}""#);
        live = live.replace(&version(100_000 + index), &version(10_000_000 + index));
    }
    Ok(format!("{place} {} {live}", app.instance))
}

/// The process that holds the store: reads the lines of `measure`, and prints the figures.
pub fn hold(from: impl Read, mut to: impl Write) -> Result<()> {
    let mut from = BufReader::new(from);
    let kinds: Option<Vec<Gvk>> = APPLICATION.iter().map(|(kind, _)| kind.gvk()).collect();
    let mut stores: Vec<KindStore> =
        kinds.context("every kind has a name")?.into_iter().map(KindStore::new).collect();
    let mut json = 0;
    let before = status("VmRSS")?;
    for store in &mut stores {
        store.fold(Delivery::ListStarted, now());
    }
    let mut page: Vec<u8> = Vec::new();
    let mut lines: Vec<usize> = Vec::new();
    loop {
        let length = from.read_until(b'\n', &mut page)?;
        let is_last = length <= 1;
        json += length;
        lines.push(page.len());
        if lines.len() == PAGE_OBJECTS || is_last {
            list(&mut stores, &page, &lines)?;
            // The body of an answer goes with its page.
            (page, lines) = (Vec::new(), Vec::new());
        }
        if is_last {
            break;
        }
    }
    for store in &mut stores {
        store.fold(Delivery::ListCompleted, now());
    }
    let settled = status("VmRSS")?;
    for line in from.split(b'\n') {
        let line = line?;
        let (place, object) = delivered(&stores, &line)?;
        stores[place].fold(Delivery::Written(object), now());
    }
    let churned = status("VmRSS")?;
    let peak = status("VmHWM")?;
    let objects: usize = stores.iter().map(KindStore::len).sum();
    let whole = stores.iter().flat_map(KindStore::whole);
    let packed: usize = whole.map(|(_, observed)| observed.packed_len()).sum();
    writeln!(to, "{objects} {before} {settled} {churned} {peak} {packed} {json}")?;
    Ok(())
}

fn list(stores: &mut [KindStore], page: &[u8], ends: &[usize]) -> Result<()> {
    let mut pages: Vec<Vec<Delivered>> = stores.iter().map(|_| Vec::new()).collect();
    let mut start = 0;
    for end in ends {
        let line = page[start..*end].trim_ascii_end();
        start = *end;
        if !line.is_empty() {
            let (place, object) = delivered(stores, line)?;
            pages[place].push(object);
        }
    }
    for (store, page) in stores.iter_mut().zip(pages) {
        store.fold(Delivery::Listed(page), now());
    }
    Ok(())
}

/// What a watch makes of an object's bytes.
fn delivered(stores: &[KindStore], line: &[u8]) -> Result<(usize, Delivered)> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut part = || parts.next().context("a line has three parts");
    let place: usize = str::from_utf8(part()?)?.parse()?;
    let interest = Interest::Tracked(Text::from(str::from_utf8(part()?)?));
    let bytes = part()?;
    let gvk = stores.get(place).context("a line names a kind")?.gvk();
    let head = Head::read(gvk, bytes)?;
    let name = ObjectName::of(&head.key);
    Ok((place, Delivered { name, content: Content::of(gvk, head, &interest, bytes) }))
}

/// A line of `/proc/self/status`, in bytes.
pub fn status(name: &str) -> Result<usize> {
    let text = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("find the line")?;
    Ok(kilobytes.trim().parse::<usize>()? * 1024)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_held() {
        let mut lines = Vec::new();
        send(1, 40, &mut lines).unwrap();
        let mut said = Vec::new();
        hold(&lines[..], &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        let numbers: Vec<usize> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [objects, _, _, _, _, packed, json] = numbers[..] else { panic!("{said}") };
        assert_eq!(objects, 40);
        assert!(packed > 0 && packed < json, "{said}");
    }
}
