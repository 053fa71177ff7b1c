//! Plays a story: everything in one process, on one thread, in simulated time.

mod act;
mod people;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use trueup_cluster::Access;
use trueup_controller::{Board, Options, RuntimeClock, Stores};
use trueup_engine::source::RepoUrl;
use trueup_ledger::{Ledger, MemoryDisk, WriteFate};
use trueup_object::{Timestamp, Value};
use trueup_repo::{MemoryMirrors, MemoryRemotes, Repositories};
use trueup_sandbox::{Clock, Sandbox, SandboxOptions, Workloads};

use crate::gate::{Controlled, Gates, Going, Sabotage, Shared, held, way};
use crate::judge::{Judge, POLL_MS, Property, Violation};
use crate::panics;
use crate::story::{CrashPoint, Replica, Story};
use crate::trace::Trace;
use crate::view::View;

/// What controllers call themselves; the API server's faults meet nobody else.
pub const CONTROLLER: &str = "simulated";

/// The namespace of the Applications.
const HOME: &str = "argocd";

/// Nobody knows whose repository it is.
const REPOSITORY: &str = "https://git.sim.example/all.git";

/// The longest time between two looks at the cluster.
const LOOK_MS: u64 = 1_000;

/// Once edits stop and faults end, every state must have been reached after this long: the longest back-off is 300 s, and Git
/// is asked once a minute.
const CONVERGE_MS: u64 = 420_000;

/// For this long nothing may be written then.
const QUIET_MS: u64 = 600_000;

/// After this long another controller leads and has looked at everything.
const HAND_OVER_MS: u64 = 60_000;

/// How a story is played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Play {
    pub keeps_trace: bool,
    pub sabotage: Sabotage,
}

/// What came of a story.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    /// The same for every playing of one story.
    pub digest: u64,
    pub trace: Vec<String>,
    pub coverage: BTreeMap<String, u64>,
    pub simulated_ms: u64,
}

/// Plays a story.
pub fn play(story: &Story, play: Play) -> Outcome {
    trueup_cluster::pack::leave_plain();
    let (outcome, panicked) = panics::heard(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.map_err(|error| error.to_string())?.block_on(whole(story, play))
    });
    let mut outcome = match outcome {
        Some(Ok(outcome)) => outcome,
        Some(Err(message)) => failed(message),
        None => failed("the simulation itself panicked".to_owned()),
    };
    let panics = panicked.into_iter().map(|message| Violation {
        property: Property::NoPanic,
        at_ms: outcome.simulated_ms,
        message,
    });
    outcome.violations.extend(panics);
    outcome
}

/// What is said where a story could not be played.
fn failed(message: String) -> Outcome {
    let violation = Violation { property: Property::NoPanic, at_ms: 0, message };
    Outcome {
        violations: vec![violation],
        digest: 0,
        trace: Vec::new(),
        coverage: BTreeMap::new(),
        simulated_ms: 0,
    }
}

async fn whole(story: &Story, play: Play) -> Result<Outcome, String> {
    let mut world = World::begin(story, play).await?;
    for step in &story.steps {
        world.act(&step.act).await;
        world.look();
        world.pass(step.then_ms).await;
    }
    world.end().await;
    Ok(world.outcome())
}

/// A controller that runs.
struct Running {
    task: JoinHandle<()>,
    ended: CancellationToken,
    board: Board,
}

/// Something that happens at its time.
#[derive(Debug, Clone)]
enum Due {
    FaultEnds(u64),
    GitMends(u64),
    WebhookMends(String),
    /// The hold of an application, by number.
    LetsGo(String, u64),
    Reaches(Replica),
    Begins(Replica),
    ServerBegins {
        compacts: bool,
    },
    RivalActs(usize),
}

/// Everything that a story needs.
struct World<'a> {
    story: &'a Story,
    gates: Gates,
    sandbox: Sandbox,
    remotes: MemoryRemotes,
    repository: RepoUrl,
    start: Timestamp,
    running: [Option<Running>; 2],
    disks: [MemoryDisk; 2],
    mirrors: [MemoryMirrors; 2],
    /// The files of every commit.
    history: Vec<BTreeMap<String, String>>,
    due: BTreeMap<(u64, u64), Due>,
    n_due: u64,
    /// Rules in force, by number.
    faults: BTreeMap<u64, Value>,
    /// The number of the fault of Git in force.
    git_fault: Option<u64>,
    rivals: Vec<people::Rivalry>,
    /// The hold in force of each application, by number.
    holds: BTreeMap<String, u64>,
}

impl<'a> World<'a> {
    async fn begin(story: &'a Story, play: Play) -> Result<Self, String> {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().map_err(|_| "the time cannot be read")?;
        let workloads = if story.workloads { Workloads::Ready } else { Workloads::Untouched };
        let clock = Clock::starting_at(start);
        let options = SandboxOptions { seed: story.seed, clock, workloads, ..SandboxOptions::default() };
        let sandbox = Sandbox::in_process(options).map_err(|error| error.to_string())?;
        let repository = RepoUrl::parse(REPOSITORY).map_err(|error| error.to_string())?;
        let shared = Shared {
            began: Instant::now(),
            judge: Judge::new(&story.apps),
            view: View::new(sandbox.api()),
            trace: Trace::new(play.keeps_trace),
            is_server_down: false,
            server_life: 0,
            weather: trueup_latest::Sender::new(0),
            admission: Vec::new(),
            controllers: [Controlled::default(), Controlled::default()],
            going: Going { is_disturbed: true, is_writable: false, leader: None },
            is_quiet: false,
            sabotage: play.sabotage,
        };
        let disk = |number: u8| MemoryDisk::new([number; 32]);
        let mut world = Self {
            story,
            gates: Arc::new(Mutex::new(shared)),
            sandbox,
            remotes: MemoryRemotes::new(),
            repository,
            start,
            running: [None, None],
            disks: [disk(1), disk(2)],
            mirrors: [MemoryMirrors::new(), MemoryMirrors::new()],
            history: Vec::new(),
            due: BTreeMap::new(),
            n_due: 0,
            faults: BTreeMap::new(),
            git_fault: None,
            rivals: Vec::new(),
            holds: BTreeMap::new(),
        };
        world.set_up().await?;
        world.start(Replica::First);
        if story.second {
            world.start(Replica::Second);
        }
        Ok(world)
    }

    fn now_ms(&self) -> u64 {
        held(&self.gates).now_ms()
    }

    fn later(&mut self, after_ms: u64, due: Due) {
        self.n_due += 1;
        self.due.insert((self.now_ms() + after_ms, self.n_due), due);
    }

    fn count(&self, word: &str) {
        held(&self.gates).judge.count(word);
    }

    /// Starts a controller, unless it runs.
    fn start(&mut self, replica: Replica) {
        let index = replica as usize;
        if self.running[index].is_some() {
            return;
        }
        let disk = self.disks[index].clone();
        let life = {
            let mut shared = held(&self.gates);
            let controlled = &mut shared.controllers[index];
            *controlled = Controlled {
                life: controlled.life + 1,
                is_cut_off: controlled.is_cut_off,
                disk: Some(disk.clone()),
                ..Controlled::default()
            };
            controlled.life
        };
        // The gates hold the disk: if the disk held them too, neither would ever be given back.
        let gates = Arc::downgrade(&self.gates);
        disk.on_write(move |_| {
            let Some(gates) = gates.upgrade() else { return WriteFate::Made };
            let mut shared = held(&gates);
            if shared.ends_here(replica, CrashPoint::BeforeRecord) {
                WriteFate::CrashBefore
            } else if shared.ends_here(replica, CrashPoint::AfterRecord) {
                WriteFate::CrashAfter
            } else {
                WriteFate::Made
            }
        });
        let mirrors = self.mirrors[index].clone();
        let access = Access::InProcess(way(&self.gates, replica, life, self.sandbox.door("admin")));
        let options = Options {
            access,
            namespace: HOME.to_owned(),
            stores: Stores::Handed {
                ledger: Arc::new(Ledger::in_memory(&disk)),
                repositories: Arc::new(Repositories::in_memory(self.remotes.clone(), mirrors)),
            },
            take_over: false,
            poll: Duration::from_millis(POLL_MS),
            poll_jitter: Duration::from_secs(2),
            instance: replica.name().to_owned(),
            clock: Arc::new(RuntimeClock::starting_at(self.clock_now())),
            version: CONTROLLER.to_owned(),
            scripts: trueup_lua::Library::default(),
        };
        let (ended, board) = (CancellationToken::new(), Board::default());
        let (stop, shown) = (ended.clone(), board.clone());
        let gates = self.gates.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = trueup_controller::run(options, shown, stop).await {
                let mut shared = held(&gates);
                let now = shared.now_ms();
                let message = format!("{} does not start: {error}", replica.name());
                shared.judge.violate(Property::NoPanic, now, replica.name(), message);
            }
        });
        self.running[index] = Some(Running { task, ended, board });
        self.count("start of a controller");
    }

    fn clock_now(&self) -> Timestamp {
        let elapsed = Duration::from_millis(self.now_ms());
        self.start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Puts away what has crashed; it begins anew when its time has come.
    async fn bury(&mut self) {
        for replica in Replica::ALL {
            let index = replica as usize;
            let planned = {
                let shared = held(&self.gates);
                let controlled = &shared.controllers[index];
                if controlled.has_crashed { controlled.crash } else { None }
            };
            let (Some(planned), Some(running)) =
                (planned, self.running[index].take_if(|_| planned.is_some()))
            else {
                continue;
            };
            self.disks[index].crash();
            running.task.abort();
            // It was cut short in the middle of whatever it did; what it says of that is of no use.
            let _ended = running.task.await;
            self.later(planned.down_ms, Due::Begins(replica));
        }
    }

    /// Lets simulated time pass.
    async fn pass(&mut self, ms: u64) {
        let end = self.now_ms() + ms;
        loop {
            let now = self.now_ms();
            let next_due = self.due.keys().next().map_or(u64::MAX, |(at, _)| *at);
            let until = end.min(now + LOOK_MS).min(next_due.max(now));
            let began = held(&self.gates).began;
            sleep_until(began + Duration::from_millis(until)).await;
            self.bury().await;
            while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= until) {
                let due = entry.remove();
                self.happen(due).await;
            }
            self.look();
            if until >= end {
                return;
            }
        }
    }

    fn leads(&self, replica: Replica) -> bool {
        let mut leading = false;
        if let Some(running) = &self.running[replica as usize] {
            running.board.update(|shown| leading = shown.leading);
        }
        leading
    }

    /// Judges the state of things.
    fn look(&mut self) {
        let leader = Replica::ALL.into_iter().find(|replica| self.leads(*replica));
        let shared = &mut *held(&self.gates);
        let unreachable = shared.is_server_down
            || !self.faults.is_empty()
            || leader.is_none()
            || shared.controllers.iter().any(|controlled| controlled.is_cut_off);
        // What a slow server was asked is answered late, also where the server is quick again by then.
        let is_git_slow = self.git_fault.is_some() || self.remotes.is_answering();
        shared.going = Going {
            is_disturbed: unreachable || is_git_slow || !shared.admission.is_empty(),
            is_writable: !unreachable && shared.admission.is_empty(),
            leader,
        };
        shared.view.refresh();
        let now = shared.now_ms();
        let around = Shared::around(&shared.view, now, shared.going);
        shared.judge.moment(around);
    }

    /// Ends what disturbs, lets everything come to rest, and judges that.
    async fn end(&mut self) {
        self.end_disturbances().await;
        self.pass(CONVERGE_MS).await;
        {
            let leader = Replica::ALL.into_iter().find(|replica| self.leads(*replica));
            let shared = &mut *held(&self.gates);
            let now = shared.now_ms();
            let going = Going { is_disturbed: false, is_writable: true, leader };
            let around = Shared::around(&shared.view, now, going);
            shared.judge.end(around);
            shared.is_quiet = true;
        }
        self.pass(QUIET_MS).await;
        held(&self.gates).is_quiet = false;
        self.no_intent_is_lost().await;
        for running in self.running.iter_mut().filter_map(Option::take) {
            running.ended.cancel();
            running.task.abort();
            let _ended = running.task.await;
        }
    }

    /// Each controller says what came of its intents once it leads.
    async fn no_intent_is_lost(&mut self) {
        for _ in Replica::ALL {
            let Some(leader) = Replica::ALL.into_iter().find(|replica| self.leads(*replica)) else { return };
            let unfinished = self.disks[leader as usize].unfinished().unwrap_or_default();
            {
                let shared = &mut *held(&self.gates);
                let now = shared.now_ms();
                shared.judge.count("check: no intent lost");
                for entry in unfinished {
                    let object = entry.object.as_ref().map(ToString::to_string).unwrap_or_default();
                    let intent = format!("{} {} of {object} at {}", leader.name(), entry.seq, entry.time);
                    shared.judge.unfinished(now, &entry.app.name, &intent);
                }
            }
            self.stop(leader).await;
            self.pass(HAND_OVER_MS).await;
        }
    }

    fn outcome(self) -> Outcome {
        let shared = &mut *held(&self.gates);
        Outcome {
            violations: shared.judge.violations().to_vec(),
            digest: shared.trace.digest(),
            trace: shared.trace.lines.take().unwrap_or_default(),
            coverage: std::mem::take(&mut shared.judge.coverage),
            simulated_ms: shared.now_ms(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_world_stays_when_it_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap();
        let story = crate::generate::generate(1, 2);
        let gates = runtime.block_on(async {
            let mut world = World::begin(&story, Play::default()).await.unwrap();
            world.pass(5_000).await;
            Arc::downgrade(&world.gates)
        });
        drop(runtime);
        assert!(gates.upgrade().is_none());
    }
}
