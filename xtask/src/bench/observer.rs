//! The bench's own eyes: watches of the Applications and of the objects that others write, each event with the moment at
//! which it arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{timeout, timeout_at},
};
use trueup_object::Value;
use trueup_testkit::http::{Client, Lines};

use super::std20::{DRIFTING, DRIFTING_KEY, DRIFTING_SELECTOR};

/// A watch of the server's ends after this long; no run takes it.
const WATCH_SECONDS: u32 = 7200;
/// The server answers a watch at once.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Something that became visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub at: Instant,
    /// The application's name.
    pub app: String,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The sync status of the Application; empty where there is none yet.
    Status(String),
    /// The value of the key that others write.
    Value(String),
}

/// Everything that was seen so far, and what comes.
pub struct Observer {
    arrivals: mpsc::UnboundedReceiver<Result<Seen>>,
    statuses: BTreeMap<String, String>,
    _watches: JoinSet<()>,
}

impl Observer {
    /// Opens the watches; what is there already comes first.
    pub async fn open(client: &Client, applications: &str) -> Result<Self> {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let mut watches = JoinSet::new();
        let selector = DRIFTING_SELECTOR.replace('/', "%2F").replace('=', "%3D");
        let paths = [
            (format!("{applications}?watch=1"), status_of as fn(&Value) -> Option<(String, What)>),
            (format!("/api/v1/configmaps?watch=1&labelSelector={selector}"), value_of),
        ];
        for (path, read) in paths {
            let watch = Watch { client: client.clone(), path, version: "0".to_owned(), read };
            let lines = watch.open().await?;
            watches.spawn(follow(watch, lines, sender.clone()));
        }
        Ok(Self { arrivals, statuses: BTreeMap::new(), _watches: watches })
    }

    /// The next thing that becomes visible before the deadline; `None` after it.
    pub async fn next(&mut self, deadline: Instant) -> Result<Option<Seen>> {
        let Ok(arrival) = timeout_at(deadline.into(), self.arrivals.recv()).await else { return Ok(None) };
        let seen = arrival.ok_or_else(|| anyhow!("the watches ended"))??;
        if let What::Status(status) = &seen.what {
            self.statuses.insert(seen.app.clone(), status.clone());
        }
        Ok(Some(seen))
    }

    /// Takes in everything that has arrived.
    pub async fn catch_up(&mut self) -> Result<()> {
        let now = Instant::now();
        while self.next(now).await?.is_some() {}
        Ok(())
    }

    /// The applications whose last status was this.
    pub fn with_status(&self, wanted: &str) -> BTreeSet<String> {
        let those = self.statuses.iter().filter(|(_, status)| *status == wanted);
        those.map(|(app, _)| app.clone()).collect()
    }
}

/// One watch, which goes on where it was when the server ends it: it does so when a definition changes.
struct Watch {
    client: Client,
    path: String,
    /// The version that was seen last.
    version: String,
    read: fn(&Value) -> Option<(String, What)>,
}

impl Watch {
    async fn open(&self) -> Result<Lines> {
        let path = format!("{}&resourceVersion={}&timeoutSeconds={WATCH_SECONDS}", self.path, self.version);
        timeout(OPEN_TIMEOUT, self.client.watch(&path)).await.context("open a watch")?
    }

    async fn next(&mut self, lines: &mut Lines) -> Result<Option<Seen>> {
        let Some(line) = lines.next_line().await? else {
            *lines = self.open().await?;
            return Ok(None);
        };
        // Taken before anything is parsed.
        let at = Instant::now();
        let event = Value::from_json(&line).map_err(|error| anyhow!("read an event: {error}"))?;
        if let Some(version) = event.str_at(&["object", "metadata", "resourceVersion"]) {
            version.clone_into(&mut self.version);
        }
        seen_in(&event, at, self.read)
    }
}

async fn follow(mut watch: Watch, mut lines: Lines, sender: mpsc::UnboundedSender<Result<Seen>>) {
    loop {
        let seen = watch.next(&mut lines).await;
        let failed = seen.is_err();
        let Some(seen) = seen.transpose() else { continue };
        if sender.send(seen).is_err() || failed {
            return;
        }
    }
}

fn seen_in(event: &Value, at: Instant, read: fn(&Value) -> Option<(String, What)>) -> Result<Option<Seen>> {
    match event.str_at(&["type"]) {
        Some("ADDED" | "MODIFIED") => {}
        Some("DELETED" | "BOOKMARK") => return Ok(None),
        _ => bail!("a watch failed: {}", event.to_json()),
    }
    let object = event.get("object").and_then(read);
    Ok(object.map(|(app, what)| Seen { at, app, what }))
}

fn status_of(object: &Value) -> Option<(String, What)> {
    let name = object.str_at(&["metadata", "name"])?;
    let status = object.str_at(&["status", "sync", "status"]).unwrap_or_default();
    Some((name.to_owned(), What::Status(status.to_owned())))
}

fn value_of(object: &Value) -> Option<(String, What)> {
    if object.str_at(&["metadata", "name"]) != Some(DRIFTING) {
        return None;
    }
    let namespace = object.str_at(&["metadata", "namespace"])?;
    let value = object.str_at(&["data", DRIFTING_KEY]).unwrap_or_default();
    Some((namespace.to_owned(), What::Value(value.to_owned())))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn event(line: &[u8], at: Instant, read: fn(&Value) -> Option<(String, What)>) -> Result<Option<Seen>> {
        seen_in(&Value::from_json(line).unwrap(), at, read)
    }

    #[test]
    fn an_event_of_an_application_is_its_status() {
        let line = br#"{"type":"MODIFIED","object":{"metadata":{"name":"a"},"status":{"sync":{"status":"Synced"}}}}"#;
        let at = Instant::now();
        let seen = event(line, at, status_of).unwrap();
        let what = What::Status("Synced".to_owned());
        assert_eq!(seen, Some(Seen { at, app: "a".to_owned(), what }));
    }

    #[test]
    fn only_what_others_write_is_looked_at() {
        let line = br#"{"type":"ADDED","object":{"metadata":{"name":"config-1","namespace":"a"}}}"#;
        assert_eq!(event(line, Instant::now(), value_of).unwrap(), None);
    }

    #[test]
    fn an_error_of_the_server_is_no_event() {
        let line = br#"{"type":"ERROR","object":{"code":410}}"#;
        assert!(event(line, Instant::now(), status_of).is_err());
    }
}
