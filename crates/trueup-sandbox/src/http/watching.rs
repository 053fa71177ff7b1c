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
use crate::faults::{Attributes, Faults};
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
    pub representation: Representation,
    pub include_object: IncludeObject,
    /// After which the watch ends.
    pub timeout: Duration,
}

struct Running {
    watching: Watching,
    fault_changes: latest::Receiver<u64>,
    kind_changes: latest::Receiver<u64>,
    began: Instant,
    ends: Instant,
    next_bookmark: Instant,
    n_events: u64,
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
            kind_changes: self.api.registry().changes(),
            began,
            ends: began + self.timeout,
            next_bookmark: began + BOOKMARK_INTERVAL,
            n_events: 0,
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
            match self.wait().await {
                Woken::Events(events) => return self.written(&events?),
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
        let dropped_in = self.dropped_in();
        if dropped_in == Some(Duration::ZERO) {
            return Woken::End;
        }
        let drop_at = dropped_in.map_or(self.ends, |time| (Instant::now() + time).min(self.ends));
        tokio::select! {
            biased;
            () = self.watching.shutdown.cancelled() => Woken::End,
            Ok(()) = self.kind_changes.changed() => Woken::KindsChanged,
            Ok(()) = self.fault_changes.changed() => Woken::FaultsChanged,
            () = sleep_until(drop_at) => Woken::End,
            events = self.watching.stream.next() => Woken::Events(events),
            () = sleep_until(self.next_bookmark) => Woken::Bookmark,
        }
    }

    fn attributes(&self) -> Attributes<'_> {
        let Watching { stream, namespace, name, user_agent, .. } = &self.watching;
        Attributes { verb: "watch", kind: stream.kind(), namespace, name, user_agent }
    }

    /// How long until a fault ends this watch.
    fn dropped_in(&self) -> Option<Duration> {
        let (began, n_events) = (self.began, self.n_events);
        self.watching.faults.watch_ends_in(self.attributes(), began, n_events)
    }

    /// The events as lines; fewer where a fault ends the watch among them.
    fn written(&mut self, events: &[WatchEvent]) -> Option<Bytes> {
        let list_limit = self.watching.faults.list_limit(self.attributes());
        let mut out = String::new();
        for event in events {
            let breaks_off = list_limit.is_some_and(|keep| self.n_events >= keep as u64)
                && self.watching.stream.is_initial();
            if breaks_off || self.dropped_in() == Some(Duration::ZERO) {
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
            out.push_str(&presentation.event(event, self.n_events == 0));
            self.n_events += u64::from(event.kind != EventKind::Bookmark);
        }
        (!out.is_empty()).then(|| Bytes::from(out))
    }
}
