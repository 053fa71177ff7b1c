//! The way of the controllers to the API server: everything that they send passes here.
//!
//! Here requests are counted, written into the trace and judged; here controllers crash, are cut off, and meet webhooks and an
//! API server that is down. What the API server itself does wrong is its own fault layer's.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::{Instant, sleep};
use tower::{BoxError, ServiceExt};
use trueup_cluster::{InProcess, RequestBody};
use trueup_ledger::{Entry, Fact, MemoryDisk};
use trueup_object::ResourceKey;
use trueup_sandbox::Door;

use crate::judge::{Around, Effect, Intent, Judge, Verb};
use crate::oracle;
use crate::story::{AdmissionFault, CrashPoint, Replica};
use crate::templates::{ALL, is_plural};
use crate::trace::Trace;
use crate::view::{Seen, View};

/// How long a webhook may take, as the API server has it by default.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What cannot get through is looked at so often.
const STEP: Duration = Duration::from_millis(250);

/// Everything that the gates of both controllers and the driver share.
#[derive(Debug)]
pub struct Shared {
    pub began: Instant,
    pub judge: Judge,
    pub view: View,
    pub trace: Trace,
    pub is_server_down: bool,
    /// Counts the restarts of the API server, each of which ends every watch.
    pub server_life: u64,
    /// Tells of every change of what gets through.
    pub weather: trueup_latest::Sender<u64>,
    /// What webhooks do, by kind.
    pub admission: Vec<(String, AdmissionFault)>,
    pub controllers: [Controlled; 2],
    pub going: Going,
    /// Nothing differs any more: whoever writes now must say why.
    pub is_quiet: bool,
    pub sabotage: Sabotage,
}

/// How things go, as the driver last saw it.
#[derive(Debug, Clone, Copy)]
pub struct Going {
    /// Whether a fault is in force, or no controller leads.
    pub is_disturbed: bool,
    /// Whether the acting controller can write statuses.
    pub is_writable: bool,
    /// Which controller acts.
    pub leader: Option<Replica>,
}

/// What is done wrong on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    #[default]
    Nothing,
    /// Intents are not seen in the ledger.
    BlindLedger,
    /// What is written passes although the Lease is somebody else's.
    ForgedLease,
}

/// One of the two controllers, as its gate sees it.
#[derive(Debug, Default)]
pub struct Controlled {
    /// Counts its starts; requests of an earlier life reach nobody.
    pub life: u64,
    pub is_cut_off: bool,
    pub crash: Option<PlannedCrash>,
    /// It has crashed and was not put away yet.
    pub has_crashed: bool,
    pub disk: Option<MemoryDisk>,
}

/// A crash to come.
#[derive(Debug, Clone, Copy)]
pub struct PlannedCrash {
    pub after_effects: u64,
    pub at: CrashPoint,
    pub down_ms: u64,
}

/// Shared by everything on the one thread of a run. The lock is there because the controller's futures may be sent.
pub type Gates = Arc<Mutex<Shared>>;

pub fn held(gates: &Gates) -> MutexGuard<'_, Shared> {
    gates.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a request is about.
struct Asked {
    key: ResourceKey,
    verb: Verb,
    is_write: bool,
}

/// What was the case when a request was sent.
struct Sent {
    since: u64,
    intent: Option<Intent>,
    holder: String,
    server_life: u64,
}

/// Whether requests get through.
enum Way {
    Open,
    CutOff,
    Refused,
    /// Whoever asks is no more.
    Dead,
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

impl Shared {
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The cluster as it is now.
    pub fn around<'a>(view: &'a View, now_ms: u64, going: Going) -> Around<'a> {
        let View { live, live_changes, applications, .. } = view;
        let Going { is_disturbed, is_writable, leader } = going;
        let live_changes = *live_changes;
        Around { now_ms, live, live_changes, applications, is_disturbed, is_writable, leader }
    }

    fn controlled(&mut self, replica: Replica) -> &mut Controlled {
        &mut self.controllers[replica as usize]
    }

    fn is_alive(&mut self, replica: Replica, life: u64) -> bool {
        let controlled = self.controlled(replica);
        controlled.life == life && !controlled.has_crashed
    }

    fn way(&mut self, replica: Replica, life: u64) -> Way {
        if !self.is_alive(replica, life) {
            Way::Dead
        } else if self.is_server_down {
            Way::Refused
        } else if self.controlled(replica).is_cut_off {
            Way::CutOff
        } else {
            Way::Open
        }
    }

    /// Counts an effect that is about to come, and whether the controller ends here.
    pub fn ends_here(&mut self, replica: Replica, at: CrashPoint) -> bool {
        let controlled = self.controlled(replica);
        let Some(planned) = controlled.crash.as_mut().filter(|planned| planned.at == at) else {
            return false;
        };
        if planned.after_effects > 0 {
            planned.after_effects -= 1;
            return false;
        }
        controlled.has_crashed = true;
        self.judge.count(match at {
            CrashPoint::BeforeRequest => "crash: before a request",
            CrashPoint::AfterRequest => "crash: after a request",
            CrashPoint::BeforeRecord => "crash: before a record",
            CrashPoint::AfterRecord => "crash: after a record",
        });
        let now = self.now_ms();
        self.trace.line(now, &format!("{} crashes: {at:?}", replica.name()));
        true
    }

    /// What the ledger of a controller says that it is about to do to an object.
    fn intent(&mut self, replica: Replica, key: &ResourceKey) -> Option<Intent> {
        if self.sabotage == Sabotage::BlindLedger {
            return None;
        }
        let unfinished = self.controlled(replica).disk.as_ref()?.unfinished().ok()?;
        let of_object = unfinished.iter().rev().find(|entry| entry.object.as_ref() == Some(key));
        of_object.map(|Entry { fact, has_evidence, .. }| {
            debug_assert!(matches!(fact, Fact::Intended { .. }));
            Intent { has_evidence: *has_evidence }
        })
    }

    /// What is to be known before a request goes on; nothing where its controller ends here.
    fn sent(&mut self, replica: Replica, life: u64, asked: &Asked) -> Option<Sent> {
        if asked.is_write && self.ends_here(replica, CrashPoint::BeforeRequest) {
            crash_disk(self, replica);
        }
        if !self.is_alive(replica, life) {
            return None;
        }
        self.view.refresh();
        let intent = if asked.is_write { self.intent(replica, &asked.key) } else { None };
        let holder = match self.sabotage {
            Sabotage::ForgedLease => "somebody".to_owned(),
            Sabotage::Nothing | Sabotage::BlindLedger => self.view.holder(),
        };
        Some(Sent { since: self.view.revision, intent, holder, server_life: self.server_life })
    }

    /// Judges what came of a request. Returns whether its controller hears of it.
    fn answered(&mut self, replica: Replica, life: u64, asked: &Asked, sent: &Sent, line: &str) -> bool {
        let now = self.now_ms();
        self.trace.line(now, line);
        if asked.is_write {
            self.judge(replica, asked, sent.since, sent.intent, &sent.holder);
            if self.ends_here(replica, CrashPoint::AfterRequest) {
                crash_disk(self, replica);
            }
        }
        self.is_alive(replica, life)
    }

    /// Judges what a request has done.
    fn judge(&mut self, replica: Replica, asked: &Asked, since: u64, intent: Option<Intent>, holder: &str) {
        let seen = self.view.claim(since, &asked.key);
        let (now_ms, incarnation) = (self.now_ms(), self.controlled(replica).life);
        // What follows at once is the API server's own doing: a definition that it accepts, an object that it finalises.
        for Seen { key, before, after, .. } in seen.into_iter().take(1) {
            self.trace.detail(now_ms, || oracle::told(before.as_deref(), after.as_deref()));
            let verb = match (asked.verb, &before) {
                (Verb::Delete, _) => Verb::Delete,
                (_, None) => Verb::Create,
                (_, Some(_)) => Verb::Change,
            };
            let effect =
                Effect { replica, incarnation, verb, key, before, after, intent, holder: holder.to_owned() };
            if self.is_quiet {
                let about = effect.key.to_string();
                self.judge.written_in_quiet(now_ms, &about, &effect, &self.view.applications);
            }
            let around = Self::around(&self.view, now_ms, self.going);
            self.judge.effect(&effect, around);
        }
    }
}

/// The way of one controller, from its start to its end.
pub fn way(gates: &Gates, replica: Replica, life: u64, door: Door) -> InProcess {
    let gates = gates.clone();
    let service = tower::service_fn(move |request: Request<RequestBody>| {
        let (gates, door) = (gates.clone(), door.clone());
        async move { pass(gates, replica, life, door, request).await }
    });
    InProcess::new("simulated", service)
}

async fn pass(
    gates: Gates,
    replica: Replica,
    life: u64,
    door: Door,
    request: Request<RequestBody>,
) -> Result<Answer, BoxError> {
    open(&gates, replica, life).await?;
    let asked = asked(&request);
    if let Some(refusal) = admit(&gates, &asked).await {
        return Ok(refusal);
    }
    let line = format!("{} {} {}", replica.name(), request.method(), request.uri());
    let Some(sent) = held(&gates).sent(replica, life, &asked) else { return std::future::pending().await };
    let answer = door.oneshot(request).await;
    let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
    if !held(&gates).answered(replica, life, &asked, &sent, &format!("{line} {code}")) {
        return std::future::pending().await;
    }
    held(&gates).judge.count(&format!("answer {code}"));
    let answer = answer?;
    Ok(answer.map(|body| {
        streamed(gates, replica, life, sent.server_life, body.map_err(Into::into).boxed_unsync())
    }))
}

fn crash_disk(shared: &mut Shared, replica: Replica) {
    if let Some(disk) = &shared.controlled(replica).disk {
        disk.crash();
    }
}

/// Waits until requests get through; what was sent while cut off is lost.
async fn open(gates: &Gates, replica: Replica, life: u64) -> Result<(), BoxError> {
    let mut was_cut_off = false;
    loop {
        match held(gates).way(replica, life) {
            Way::Dead => break,
            Way::Refused => return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
            Way::CutOff => was_cut_off = true,
            Way::Open if was_cut_off => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            Way::Open => return Ok(()),
        }
        sleep(STEP).await;
    }
    std::future::pending().await
}

/// What a webhook says to a change.
async fn admit(gates: &Gates, asked: &Asked) -> Option<Answer> {
    if !asked.is_write {
        return None;
    }
    let fault = {
        let mut shared = held(gates);
        let of_kind = shared.admission.iter().find(|(kind, _)| *kind == asked.key.kind);
        let fault = of_kind.map(|(_, fault)| *fault)?;
        shared.judge.count(match fault {
            AdmissionFault::Denies => "webhook: denied",
            AdmissionFault::Slow => "webhook: timed out",
        });
        fault
    };
    let (code, reason, message) = match fault {
        AdmissionFault::Denies => {
            (403, "Forbidden", "admission webhook \"checks.sim.example\" denied the request: not now")
        }
        AdmissionFault::Slow => {
            sleep(WEBHOOK_TIMEOUT).await;
            let message = "Internal error occurred: failed calling webhook \"checks.sim.example\": context deadline exceeded";
            (500, "InternalError", message)
        }
    };
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let body = Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    Some(answer)
}

/// A body that stops while its reader is cut off and breaks when the API server restarts.
fn streamed(
    gates: Gates,
    replica: Replica,
    life: u64,
    server_life: u64,
    body: UnsyncBoxBody<Bytes, BoxError>,
) -> UnsyncBoxBody<Bytes, BoxError> {
    let weather = held(&gates).weather.subscribe();
    let frames = futures::stream::unfold(Some((body, weather)), move |state| {
        let gates = gates.clone();
        async move {
            let (mut body, mut weather) = state?;
            let frame = loop {
                // A watch has nothing to say for long: whether it still stands is looked at when something becomes otherwise.
                let next = tokio::select! {
                    biased;
                    _ = weather.changed() => None,
                    frame = body.frame() => Some(frame),
                };
                if open(&gates, replica, life).await.is_err() || held(&gates).server_life != server_life {
                    let broken: Result<Frame<Bytes>, BoxError> =
                        Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
                    return Some((broken, None));
                }
                if let Some(frame) = next {
                    break frame;
                }
            };
            frame.map(|frame| (frame, Some((body, weather))))
        }
    });
    StreamBody::new(frames.boxed()).boxed_unsync()
}

/// What a request is about, as its path says.
fn asked(request: &Request<RequestBody>) -> Asked {
    let segments: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let (group, rest) = match segments.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => ("", [].as_slice()),
    };
    let (namespace, resource, name) = match rest {
        ["namespaces", namespace, resource, name, ..] => (*namespace, *resource, *name),
        ["namespaces", namespace, resource] => (*namespace, *resource, ""),
        [resource, name, ..] => ("", *resource, *name),
        [resource] => ("", *resource, ""),
        [] => ("", "", ""),
    };
    let known = ["Application", "DriftReport", "Lease", "Event", "Namespace"];
    let mut kinds = ALL.iter().map(|template| template.kind).chain(known);
    let kind = kinds.find(|kind| is_plural(resource, kind)).unwrap_or(resource);
    let dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun=All"));
    let verb = match *request.method() {
        Method::DELETE => Verb::Delete,
        Method::POST => Verb::Create,
        _ => Verb::Change,
    };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    // Reviews of rights are asked by POST and change nothing; Leases and Events are nobody's objects.
    let is_own = kind == "Lease" || kind == "Event" || resource.ends_with("reviews");
    let is_write = !is_read && !dry_run && !is_own;
    Asked { key: ResourceKey::new(group, kind, namespace, name), verb, is_write }
}
