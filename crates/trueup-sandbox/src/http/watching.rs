//! A watch as the body of an answer: events as they come, bookmarks, the end after the client's time or by a fault.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use trueup_latest as latest;

use super::negotiate::Representation;
use super::present::Presentation;
use super::reply::{Body, Cut};
use crate::api::{Api, EventKind, WatchEvent, WatchStream};
use crate::audit::Trail;
use crate::faults::{Attributes, Faults, Reading, WatchFate, gone_event};
use crate::table::IncludeObject;

/// How often a watch that wants bookmarks gets one.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// Everything a running watch needs.
pub struct Watching {
    pub stream: WatchStream,
    pub api: Api,
    pub faults: Faults,
    pub shutdown: CancellationToken,
    pub namespace: String,
    /// The one object that is watched, if it is one.
    pub name: String,
    pub user_agent: String,
    pub read: Reading,
    /// Its history is gone by a fault.
    pub is_gone: bool,
    pub representation: Representation,
    pub include_object: IncludeObject,
    /// After which the watch ends.
    pub timeout: Duration,
}

struct Running {
    watching: Watching,
    fault_changes: latest::Receiver<u64>,
    restarts: latest::Receiver<u64>,
    kind_changes: latest::Receiver<u64>,
    began: Instant,
    ends: Instant,
    next_bookmark: Instant,
    n_events: u64,
    told_gone: bool,
}

/// Why a wait was over.
enum Woken {
    Events(Option<Vec<WatchEvent>>),
    Bookmark,
    FaultsChanged,
    KindsChanged,
    End,
}

impl Watching {
    /// The trail ends with the watch.
    pub(super) fn into_response(self, trail: Trail) -> Response<Body> {
        let began = Instant::now();
        let running = Running {
            fault_changes: self.faults.changes(),
            restarts: self.faults.restarts(),
            kind_changes: self.api.registry().changes(),
            began,
            ends: began + self.timeout,
            next_bookmark: began + BOOKMARK_INTERVAL,
            n_events: 0,
            told_gone: false,
            watching: self,
        };
        let frames = stream::unfold((running, trail), |(mut running, trail)| async move {
            let bytes = running.next().await?;
            Some((Ok::<_, Cut>(Frame::data(bytes)), (running, trail)))
        });
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        response
    }
}

impl Running {
    /// The next bytes to send; None at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.watching.is_gone {
                let told = std::mem::replace(&mut self.told_gone, true);
                return (!told).then(|| Bytes::from(gone_event()));
            }
            match self.wait().await {
                Woken::Events(events) => {
                    let events = events?;
                    return if self.delayed().await { self.written(&events) } else { None };
                }
                Woken::Bookmark => {
                    self.next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
                    if let Some(bookmark) = self.watching.stream.bookmark() {
                        return self.written(&[bookmark]);
                    }
                }
                Woken::FaultsChanged => {}
                Woken::KindsChanged => {
                    let kinds = self.watching.api.registry().kinds();
                    // Whoever watches a kind that is no longer served learns it by the end of the watch.
                    kinds.by_kind(&self.watching.stream.kind().gvk)?;
                }
                Woken::End => return None,
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let fate = self.fate();
        if fate.gone {
            self.watching.is_gone = true;
            return Woken::FaultsChanged;
        }
        if self.has_sent(&fate) {
            return Woken::End;
        }
        let ends = fate.ends_in.map_or(self.ends, |time| (Instant::now() + time).min(self.ends));
        tokio::select! {
            biased;
            () = self.watching.shutdown.cancelled() => Woken::End,
            Ok(()) = self.restarts.changed() => Woken::End,
            Ok(()) = self.kind_changes.changed() => Woken::KindsChanged,
            Ok(()) = self.fault_changes.changed() => Woken::FaultsChanged,
            () = sleep_until(ends) => Woken::End,
            events = self.watching.stream.next() => Woken::Events(events),
            () = sleep_until(self.next_bookmark) => Woken::Bookmark,
        }
    }

    fn attributes(&self) -> Attributes<'_> {
        let Watching { stream, namespace, name, user_agent, read, .. } = &self.watching;
        let kind = stream.kind();
        Attributes {
            verb: "watch",
            group: &kind.gvk.group,
            version: &kind.gvk.version,
            plural: &kind.plural,
            kind: &kind.gvk.kind,
            namespace,
            name,
            user_agent,
            read: *read,
        }
    }

    fn fate(&self) -> WatchFate {
        self.watching.faults.watch_fate(&self.attributes(), self.began)
    }

    /// Whether a fault ends this watch after what it has sent. Initial events may be few without the rest being so.
    fn has_sent(&self, fate: &WatchFate) -> bool {
        fate.events_max.is_some_and(|most| self.n_events >= most)
    }

    /// Events that a fault makes late wait for their time.
    async fn delayed(&mut self) -> bool {
        let late = self.fate().late;
        if late.is_zero() {
            return true;
        }
        tokio::select! {
            biased;
            () = self.watching.shutdown.cancelled() => false,
            () = sleep_until(Instant::now() + late) => true,
        }
    }

    /// The events as lines; fewer where a fault ends the watch among them.
    fn written(&mut self, events: &[WatchEvent]) -> Option<Bytes> {
        let fate = self.fate();
        let mut out = String::new();
        for event in events {
            if self.has_sent(&fate) {
                // What is written so far goes out; the next wait finds the end.
                self.ends = Instant::now();
                break;
            }
            let Watching { stream, representation, include_object, api, .. } = &self.watching;
            let presentation = Presentation {
                kind: stream.kind(),
                representation: *representation,
                include_object: *include_object,
                now: api.clock().now(),
            };
            out.push_str(&fate.repeated(&presentation.event(event, self.n_events == 0)));
            self.n_events += u64::from(event.kind != EventKind::Bookmark);
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }
}
