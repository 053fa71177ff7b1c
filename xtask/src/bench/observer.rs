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
        let query = format!("watch=1&resourceVersion=0&timeoutSeconds={WATCH_SECONDS}");
        let selector = DRIFTING_SELECTOR.replace('/', "%2F").replace('=', "%3D");
        let paths = [
            (format!("{applications}?{query}"), status_of as fn(&Value) -> Option<(String, What)>),
            (format!("/api/v1/configmaps?{query}&labelSelector={selector}"), value_of),
        ];
        for (path, read) in paths {
            let lines = timeout(OPEN_TIMEOUT, client.watch(&path)).await.context("open a watch")??;
            watches.spawn(follow(lines, read, sender.clone()));
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

async fn follow(
    mut lines: Lines,
    read: fn(&Value) -> Option<(String, What)>,
    sender: mpsc::UnboundedSender<Result<Seen>>,
) {
    loop {
        let line = lines.next_line().await;
        // Taken before anything is parsed.
        let at = Instant::now();
        let seen = match line {
            Ok(Some(line)) => event(&line, at, read),
            Ok(None) => Err(anyhow!("the server ended a watch")),
            Err(error) => Err(error),
        };
        let failed = seen.is_err();
        let Some(seen) = seen.transpose() else { continue };
        if sender.send(seen).is_err() || failed {
            return;
        }
    }
}

fn event(line: &[u8], at: Instant, read: fn(&Value) -> Option<(String, What)>) -> Result<Option<Seen>> {
    let event = Value::from_json(line).map_err(|error| anyhow!("read an event: {error}"))?;
    match event.str_at(&["type"]) {
        Some("ADDED" | "MODIFIED") => {}
        Some("DELETED" | "BOOKMARK") => return Ok(None),
        _ => bail!("a watch failed: {}", String::from_utf8_lossy(line)),
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
