//! One turn of an application's worker: gather, look, plan, act, report.
//!
//! A turn never learns why it was asked for. Whatever woke it, it looks at the whole application and does what is to be
//! done now. It never waits for Git, which is asked beside it.

pub(crate) mod act;
pub(crate) mod cascade;
pub(crate) mod confirm;
mod errand;
mod gather;
pub(crate) mod others;
mod recall;
pub(crate) mod restore;
mod unanswered;
pub(crate) mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::TargetSet;
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, LookInput, look};
use trueup_engine::memory::Memory;
use trueup_engine::status::HealthRules;
use trueup_ledger::Write;
use trueup_object::ResourceKey;

use crate::applications::{self, Found, Seen};
use crate::foreign;
use crate::installation::Installation;
use crate::mailbox::Depth;
use crate::report::{self, Report};
use crate::site::Site;
use crate::state::AppState;
use crate::turn::act::Intention;
use crate::turn::gather::Asked;

/// What the worker does after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Waits for a wake-up, at most until then.
    At(Option<Timestamp>),
    /// Takes another turn at once.
    Again,
    /// The Application is gone.
    Gone,
}

/// Kinds that were just asked for are listed within this time, or the turn is taken with what is known.
const LISTING_MAX: SignedDuration = SignedDuration::from_secs(10);

/// While kinds are being listed their end wakes the worker; this only guards against a wake-up that never comes.
const LISTING_STEP: SignedDuration = SignedDuration::from_millis(500);

/// How long a turn waits before it asks a ledger again that could not be read.
const LEDGER_RETRY: SignedDuration = SignedDuration::from_secs(5);

/// When a report that could not be written is put together and written again: soon, since somebody may only have been
/// quicker, and then more and more seldom, since a right that is missing is missing for long.
const REPORT_RETRY: SignedDuration = SignedDuration::from_secs(2);
const REPORT_RETRY_MAX: SignedDuration = SignedDuration::from_secs(120);

/// One application of all those that cannot write theirs tries this often, and tells the others.
const REPORT_PROBE: SignedDuration = SignedDuration::from_secs(3);

/// Takes one turn.
pub async fn take(installation: &Arc<Installation>, state: &mut AppState, woken: Depth) -> Next {
    let now = installation.now();
    let next = match applications::find(installation, state) {
        Found::Gone => {
            applications::forget(installation, &state.key).await;
            return Next::Gone;
        }
        // Its own listing is not complete: what was known stays.
        Found::Unknown => return Next::At(Some(now + LISTING_STEP)),
        Found::Foreign { parsed, sighting } => {
            // What was begun before is over.
            state.running = None;
            let ends = sighting.ends_at();
            let sent = foreign::tell(installation, state, &parsed.application, sighting).await;
            Next::At(report_retry(installation, state, sent, now).into_iter().chain([ends]).min())
        }
        Found::Invalid { object, conditions } => {
            state.app = None;
            let sent = report::unknown(installation, state, &object, &conditions, false).await;
            Next::At(report_retry(installation, state, sent, now))
        }
        Found::Valid(seen) => {
            let next = valid(installation, state, &seen, woken, now).await;
            state.seen = Some(seen);
            next
        }
    };
    // Who has never asked and is asking has read nothing yet.
    if let Some(at) = state.asked_at.or_else(|| (!state.inquiry.is_under_way()).then_some(now)) {
        installation.routes.note_reading(&state.key, gather::reading(state.app.as_deref(), at));
    }
    next
}

async fn valid(
    installation: &Arc<Installation>,
    state: &mut AppState,
    seen: &Seen,
    woken: Depth,
    now: Timestamp,
) -> Next {
    let app = &seen.app;
    if state.uid != seen.uid {
        // Another Application of the same name: what the worker knows is about the old one.
        *state = AppState::new(state.key.clone());
        state.uid = seen.uid.clone();
    }
    state.foreign = None;
    let sources_changed = state.app.as_ref().is_none_or(|known| known.sources != app.sources);
    state.version = seen.resource_version.clone();
    state.app = Some(app.clone());
    state.again = false;
    if let Err(error) = gather::memory(installation, state).await {
        tracing::error!(application = %state.key, %error, "the ledger cannot be read; nothing is decided");
        return Next::At(Some(now + LEDGER_RETRY));
    }
    let answered = gather::answered(state, app, now);
    let taken_up = act::take_up_request(state, app, &seen.resource_version, now);
    let site = match installation.sites.find(&app.destination.cluster).await {
        Ok(site) => site,
        Err(condition) => {
            verdict::note_failure(&mut state.cluster_failing, Some(condition.clone()), now);
            return blind(installation, state, seen, condition, now).await;
        }
    };
    let occasion = gather::Occasion { woken, sources_changed, taken_up };
    if let Some(wish) = gather::wish(state, &site, app, &occasion, answered.as_ref(), now) {
        state.inquiry.wish(wish);
    }
    gather::inquire(installation, state, &site, seen, now);
    verdict::note_overdue(state, now);
    let is_usable = gather::is_usable(state, &site, app);
    match (&state.targets, state.source_failing.clone()) {
        (Some(targets), failing) if is_usable || failing.is_some() => {
            let asked = gather::ask(installation, state, &site, seen, targets).await;
            judged(installation, state, seen, &site, asked).await
        }
        (None, Some(failing)) => blind(installation, state, seen, failing.condition, now).await,
        // The answer wakes the worker.
        (Some(_) | None, _) => Next::At(due(state, now)),
    }
}

/// Nothing can be compared: a verdict of before stands for a while.
async fn blind(
    installation: &Installation,
    state: &mut AppState,
    seen: &Seen,
    condition: Condition,
    now: Timestamp,
) -> Next {
    let Some(parsed) = seen.application() else {
        return Next::At(Some(now + LISTING_STEP));
    };
    let object = &parsed.application.object;
    // Only a verdict of before can stand; what this build cannot read at all is no passing trouble.
    let sync = object.str_at(&["status", "sync", "status"]);
    let stands = matches!(sync, Some("Synced" | "OutOfSync"))
        && condition.kind != ConditionType::UnsupportedError
        && verdict::stands(state, now);
    let mut conditions = vec![condition];
    if stands {
        conditions.extend(verdict::stale_warning(state));
    }
    // What waits for Git goes on waiting.
    if !state.inquiry.is_awaited() {
        state.running = None;
    }
    let sent = report::unknown(installation, state, object, &conditions, stands).await;
    Next::At(due_after(installation, state, sent, now))
}

/// What a look led to: all that is left of it while it is carried out. Everything that was parsed for it is gone by then.
struct Decided {
    intention: Option<Intention>,
    report: Report,
    /// What the ledger is to keep.
    found: Vec<Write>,
    /// Without objects.
    targets: TargetSet,
    /// Objects that are about to be changed.
    live: LiveSet,
}

/// Where a look has come to.
enum Looked {
    /// The API server has just been asked about something: what it says comes in a moment.
    Open,
    Decided(Box<Decided>),
}

/// Whether what a look leaves open is asked of the API server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Asked,
    Known,
}

async fn judged(
    installation: &Installation,
    state: &mut AppState,
    seen: &Seen,
    site: &Site,
    asked: Asked,
) -> Next {
    let _place = site.places.take(state.running.is_some()).await;
    let (now, begun) = (installation.now(), tokio::time::Instant::now());
    // Their first reading wakes the worker; this only guards against a wake-up that never comes.
    let Some(settings) = installation.configured.settings() else {
        let Some(why) = installation.configured.failure() else { return Next::At(Some(now + LISTING_STEP)) };
        let condition = Condition::comparison_error(why);
        verdict::note_failure(&mut state.cluster_failing, Some(condition.clone()), now);
        return blind(installation, state, seen, condition, now).await;
    };
    let started = *state.started_at.get_or_insert(now);
    if gather::is_listing(site, &asked.kinds) && now.duration_since(started) < LISTING_MAX {
        return Next::At(Some(now + LISTING_STEP));
    }
    state.started_at = None;
    let mut looked = decide(installation, state, seen, site, &asked, Answers::Asked, now);
    if matches!(looked, Some(Looked::Open)) {
        confirm::wait(state, installation.now()).await;
        looked = decide(installation, state, seen, site, &asked, Answers::Known, installation.now());
    }
    let Some(Looked::Decided(decided)) = looked else {
        return Next::At(Some(now + LISTING_STEP));
    };
    let Decided { intention, report, found, targets, live } = *decided;
    let app = &*seen.app;
    let scene =
        act::Scene { installation, site, app, settings: &settings, targets: &targets, live: &live, now };
    // The ledger gets this before anything that is intended; nothing waits for the disk.
    let found = installation.ledger.hand_over(found).await;
    let clears_request = report.clears_request;
    // The status is written while the cluster is being changed: neither waits for the other.
    let (outcome, sent, remembered) = tokio::join!(
        act::carry_out(&scene, intention),
        report::send(installation, report),
        verdict::remembered(&state.key, found)
    );
    if !remembered {
        state.memory = None;
        state.restored = false;
    }
    if sent.told.is_some() {
        state.told = sent.told;
    }
    let sent = sent.is_whole;
    if let Some(finished) = state.finished.as_mut().filter(|_| sent && clears_request) {
        finished.is_cleared = true;
    }
    act::take_note(&scene, state, outcome);
    if seen.app.deleting
        && let Some(parsed) = seen.application()
    {
        cascade::conclude(&scene, &parsed.application, state).await;
    }
    note_duration(&scene, state, begun.elapsed());
    if state.again { Next::Again } else { Next::At(due_after(installation, state, sent, now)) }
}

fn note_duration(scene: &act::Scene<'_>, state: &mut AppState, taken: Duration) {
    let asking = std::mem::take(&mut state.asking);
    let millis = u64::try_from((asking + taken).as_millis()).unwrap_or(u64::MAX);
    scene.installation.board.update(|shown| {
        let looks = shown.looks.entry(state.key.clone()).or_default();
        looks.0 += 1;
        looks.1 = looks.1.saturating_add(millis);
        let place = (state.key.namespace.clone(), report::destination(scene.app));
        shown.reconciles.entry(place).or_default().add(millis);
    });
}

/// Looks and decides, without a pause: so no more applications lie parsed in memory than there are threads.
fn decide(
    installation: &Installation,
    state: &mut AppState,
    seen: &Seen,
    site: &Site,
    asked: &Asked,
    answers: Answers,
    now: Timestamp,
) -> Option<Looked> {
    let (parsed, app) = (seen.application()?, &*seen.app);
    let settings = &*installation.configured.settings()?;
    let mut targets = state.targets.as_ref()?.unpack();
    let mut live = gather::live(site, app, &targets, asked);
    settings.leave_out(&app.destination.cluster, &mut targets, &mut live);
    let scene = act::Scene { installation, site, app, settings, targets: &targets, live: &live, now };
    if gather::is_other_server(state, site) {
        let before = state.memory.get_or_insert_default().unpack();
        let appeared = compare(&scene, state, &before);
        site.appeared.tell(&appeared, &verdict::server_version(site));
    }
    gather::keep_context(state, site);
    let mut memory = state.memory.get_or_insert_default().unpack();
    verdict::rebase(&scene, state, &mut memory);
    restore::without_dropped(&scene, state, &mut memory);
    let comparison = compare(&scene, state, &memory);
    if answers == Answers::Asked && !app.deleting && confirm::ask(&scene, state, &comparison) {
        return Some(Looked::Open);
    }
    unanswered::count_unanswered(&scene, state, &comparison);
    verdict::note_blind_spot(state, &comparison, &live, now);
    let intention = if app.deleting {
        cascade::decide(&scene, &parsed.application, &comparison)
    } else {
        act::decide(&scene, state, &comparison)
    };
    let found = verdict::remember(&scene, state, &mut memory, &comparison);
    let verdict = verdict::verdict(state, comparison, &live, now);
    let report = report::prepare(&scene, state, &parsed, &verdict);
    state.keep(verdict, &report);
    if !app.deleting {
        Intention::lighten(intention.as_ref(), &mut targets, &mut live);
    }
    Some(Looked::Decided(Box::new(Decided { intention, report, found, targets, live })))
}

fn compare(
    scene: &act::Scene<'_>,
    state: &mut AppState,
    memory: &BTreeMap<ResourceKey, Memory>,
) -> Comparison {
    let answers = state.confirmations.answers(scene.now);
    let schemas = scene.site.schemas(scene.settings);
    let scalers = scene.site.scalers();
    let scripts = scene.installation.configured.scripts();
    let input = LookInput {
        app: scene.app,
        settings: scene.settings,
        targets: scene.targets,
        live: scene.live,
        memory,
        autoscalers: &scalers,
        answers: &answers,
        last_sync: state.last_sync.as_ref(),
        schemas: verdict::layered(&schemas),
        health: HealthRules { scripts: &scripts, generic: scene.settings.generic_health },
        our_manager: &Installation::our_manager(),
        secret_key: scene.installation.secret_key(),
        first_seen: &state.first_seen,
        now: scene.now,
    };
    let limit = Duration::from_millis(scene.settings.jq_ms_max.0);
    scene.installation.watchdog.watch(limit, || look(&input))
}

/// As `due`; what could not be written is tried again.
fn due_after(
    installation: &Installation,
    state: &mut AppState,
    sent: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    let again = report_retry(installation, state, sent, now);
    due(state, now).into_iter().chain(again).min()
}

/// When a report that was not written is written again.
fn report_retry(
    installation: &Installation,
    state: &mut AppState,
    sent: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    if sent {
        state.report_failures = 0;
        for other in installation.unreported.ended(&state.key) {
            installation.staff.wake(&other, Depth::Live);
        }
        return None;
    }
    let factor = 2_i32.saturating_pow(state.report_failures);
    state.report_failures = state.report_failures.saturating_add(1);
    let is_first = installation.unreported.failed(&state.key);
    let limit = if is_first { REPORT_PROBE } else { REPORT_RETRY_MAX };
    Some(now + REPORT_RETRY.checked_mul(factor).unwrap_or(limit).min(limit))
}

/// The earliest thing that a timer has to wake the worker for.
fn due(state: &AppState, now: Timestamp) -> Option<Timestamp> {
    let fights = state.fights.all(now).into_iter().map(|fight| fight.until).filter(|until| *until > now);
    let stale = state.failing().map(|failing| failing.since + verdict::STALE_MAX).filter(|at| *at > now);
    let running = state.running.as_ref().and_then(|running| running.wake_at).filter(|at| *at > now);
    let held_back = state.heal_after.filter(|at| *at > now);
    let confirms = state.confirmations.wake_at(now);
    let limited = state.limited_until.filter(|at| *at > now);
    // While Git is being asked, its answer wakes the worker.
    let asked = if state.inquiry.is_under_way() { None } else { state.poll_at };
    let overdue = state.inquiry.overdue().map(|(_, told_at)| told_at).filter(|at| *at > now);
    fights
        .chain(asked)
        .chain(overdue)
        .chain(state.source_retry_at)
        .chain(stale)
        .chain(running)
        .chain(held_back)
        .chain(limited)
        .chain(confirms)
        .min()
}
