//! The whole controller beside a sandbox on one thread, with a clock that stands still until all have done what they can: what
//! it asks for, and when, is the same at every run, and a crash leaves nothing of it behind.

mod commits;
mod fights;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_cluster::{Access, Connection, InProcess, RequestBody};
use trueup_controller::{Board, Options, RuntimeClock, StartError, Stores};
use trueup_engine::source::RepoUrl;
use trueup_ledger::{Ledger, MemoryDisk};
use trueup_object::{Timestamp, Value};
use trueup_repo::{Conduct, Edit, MemoryMirrors, MemoryRemotes, NewCommit, Outage, Repositories};
use trueup_sandbox::{Clock, Sandbox, SandboxOptions};

use crate::world::{config_map, deployment, value};

const REPOSITORY: &str = "https://git.example.com/shop.git";
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/web/deployments/web";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Longer than anything here takes by the clock that stands still.
const LONG: Duration = Duration::from_secs(600);

/// When a request was sent, which, and with what body.
type Asked = (Duration, Method, String, Vec<u8>);

struct World {
    sandbox: Sandbox,
    remotes: MemoryRemotes,
    mirrors: MemoryMirrors,
    disk: MemoryDisk,
    wire: Wire,
    start: Timestamp,
    journal: Arc<Mutex<Vec<Asked>>>,
    /// Between a request and its being served.
    latency: Duration,
}

impl World {
    async fn new(latency: Duration) -> Self {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let options = SandboxOptions { clock: Clock::starting_at(start), ..SandboxOptions::default() };
        let sandbox = Sandbox::in_process(options).unwrap();
        let access = Access::InProcess(InProcess::new("sandbox", sandbox.door("admin")));
        let wire = Connection::open(&access, "observer").await.unwrap().wire;
        let world = Self {
            sandbox,
            remotes: MemoryRemotes::new(),
            mirrors: MemoryMirrors::default(),
            disk: MemoryDisk::new([7; 32]),
            wire,
            start,
            journal: Arc::default(),
            latency,
        };
        for definition in trueup_api::crd::crds().unwrap() {
            world.create(DEFINITIONS, &definition).await;
        }
        for name in ["argocd", "web"] {
            let json = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
            world.create("/api/v1/namespaces", &value(&json)).await;
        }
        world.commit(&[
            ("apps/web/deployment.yaml", &deployment(2)),
            ("apps/one/map.yaml", &config_map("one", "a")),
            ("apps/two/map.yaml", &config_map("two", "b")),
        ]);
        for name in ["web", "one", "two"] {
            world.application(name).await;
        }
        world
    }

    fn commit(&self, files: &[(&str, &str)]) {
        let edits =
            files.iter().map(|(path, text)| ((*path).to_owned(), Edit::Write(text.as_bytes().to_vec())));
        self.edit_files(edits.collect());
    }

    fn edit_files(&self, edits: Vec<(String, Edit)>) {
        let commit = NewCommit {
            author: "Alice <alice@example.com>".into(),
            time: self.sandbox.clock().now(),
            message: "change".to_owned(),
            edits,
        };
        self.remotes.commit(&RepoUrl::parse(REPOSITORY).unwrap(), "main", &commit);
    }

    async fn application(&self, name: &str) {
        let json = format!(
            r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{{"name":"{name}","namespace":"argocd"}},
                "spec":{{"project":"default","source":{{"repoURL":"{REPOSITORY}","path":"apps/{name}","targetRevision":"main"}},
                "destination":{{"server":"https://kubernetes.default.svc","namespace":"web"}},
                "syncPolicy":{{"automated":{{"selfHeal":true}}}}}}}}"#
        );
        self.create(APPLICATIONS, &value(&json)).await;
    }

    async fn create(&self, path: &str, object: &Value) {
        let body = object.to_json().into_bytes();
        self.wire.write(Method::POST, path, BodyKind::Json, body).await.unwrap();
    }

    async fn scale(&self, replicas: u32) {
        let body = format!(r#"{{"spec":{{"replicas":{replicas}}}}}"#).into_bytes();
        let path = format!("{DEPLOYMENT}?fieldManager=kubectl-edit");
        self.wire.write(Method::PATCH, &path, BodyKind::MergePatch, body).await.unwrap();
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.wire.get(path).await.ok()?;
        Value::from_json(&answer.body).ok()
    }

    /// Waits until an object is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) {
        let until = timeout(LONG, async {
            while !self.get(path).await.is_some_and(|found| wanted(&found)) {
                sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(until.await.is_ok(), "{path}: {:?}", self.get(path).await.map(|found| found.to_json()));
    }

    async fn until_all_synced(&self) {
        for name in ["web", "one", "two"] {
            let path = format!("{APPLICATIONS}/{name}");
            self.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("Synced")).await;
        }
    }

    async fn until_replicas(&self, replicas: i64) {
        self.until(DEPLOYMENT, |live| live.int_at(&["spec", "replicas"]) == Some(replicas)).await;
    }

    /// The way of a controller to the server: what passes is written down, and takes its time.
    fn access(&self) -> Access {
        let (door, journal, latency) = (self.sandbox.door("admin"), self.journal.clone(), self.latency);
        let began = Instant::now();
        let service = tower::service_fn(move |request: Request<RequestBody>| {
            let (door, journal) = (door.clone(), journal.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes().to_vec();
                let asked = (began.elapsed(), head.method.clone(), head.uri.to_string(), body.clone());
                journal.lock().unwrap().push(asked);
                sleep(latency).await;
                door.oneshot(Request::from_parts(head, RequestBody::from(body))).await
            }
        });
        Access::InProcess(InProcess::new("sandbox", service))
    }

    fn control(&self) -> (JoinHandle<Result<(), StartError>>, CancellationToken) {
        let repositories = Repositories::in_memory(self.remotes.clone(), self.mirrors.clone());
        let options = Options {
            access: self.access(),
            namespace: "argocd".to_owned(),
            stores: Stores::Handed {
                ledger: Arc::new(Ledger::in_memory(&self.disk)),
                repositories: Arc::new(repositories),
            },
            take_over: false,
            poll: Duration::from_secs(120),
            poll_jitter: Duration::from_secs(60),
            instance: "one".to_owned(),
            clock: Arc::new(RuntimeClock::starting_at(self.start)),
            version: "test".to_owned(),
            scripts: trueup_lua::Library::default(),
        };
        let ended = CancellationToken::new();
        let run = trueup_controller::run(options, Board::default(), ended.clone());
        (tokio::spawn(run), ended)
    }

    fn n_asked(&self) -> usize {
        self.journal.lock().unwrap().len()
    }
}

/// The controller comes, syncs, heals, crashes in the middle of healing, comes again, follows Git, and goes.
fn run_once(latency: Duration) -> Vec<Asked> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(latency).await;
        let (first, _) = world.control();
        world.until_all_synced().await;
        world.scale(5).await;
        world.until_replicas(2).await;
        world.scale(7).await;
        sleep(latency * 2).await;
        first.abort();
        world.disk.crash();
        assert!(first.await.is_err_and(|error| error.is_cancelled()));
        let n_asked = world.n_asked();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(world.n_asked(), n_asked, "a crash leaves nothing behind that asks");
        let (second, ended) = world.control();
        world.until_replicas(2).await;
        world.commit(&[("apps/web/deployment.yaml", &deployment(3))]);
        world.until_replicas(3).await;
        world.until_all_synced().await;
        ended.cancel();
        assert!(second.await.is_ok_and(|ended| ended.is_ok()));
        std::mem::take(&mut *world.journal.lock().unwrap())
    })
}

#[test]
fn two_runs_ask_the_same_at_the_same_times() {
    for latency_ms in [0, 7] {
        let latency = Duration::from_millis(latency_ms);
        let (first, second) = (run_once(latency), run_once(latency));
        assert!(first.len() > 100, "{}", first.len());
        for (number, (one, other)) in first.iter().zip(&second).enumerate() {
            assert_eq!(shown(one), shown(other), "request {number} of {} with {latency_ms} ms", first.len());
        }
        assert_eq!(first.len(), second.len());
    }
}

fn shown((at, method, address, body): &Asked) -> String {
    format!("{at:?} {method} {address} {}", String::from_utf8_lossy(body))
}

/// How late Git answers: far later than anything that a cluster tells.
const GIT_DELAY: Duration = Duration::from_secs(20);

/// Well before Git has answered.
const SOON: Duration = Duration::from_secs(3);

impl World {
    fn slow_git(&self, delay: Duration) {
        let conduct = Conduct { delay, ..Conduct::default() };
        self.remotes.set_conduct(&RepoUrl::parse(REPOSITORY).unwrap(), conduct);
    }

    async fn tell(&self, app: &str, patch: &str) {
        let path = format!("{APPLICATIONS}/{app}?fieldManager=kubectl");
        self.wire.write(Method::PATCH, &path, BodyKind::MergePatch, patch.into()).await.unwrap();
    }

    async fn app(&self, name: &str) -> Value {
        self.get(&format!("{APPLICATIONS}/{name}")).await.unwrap()
    }
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: old}\nspec: {ports: [{port: 80}]}\n";

impl World {
    fn drop_file(&self, path: &str) {
        self.edit_files([(path.to_owned(), Edit::Remove)].into());
    }

    /// Makes requests of the controller fail; `on` tells which.
    fn fault(&self, fault: &str, on: &str) {
        let mut rule = value(fault);
        rule.set_at(&["match"], value(on));
        rule.set_at(&["match", "userAgent"], "trueup/test".into());
        self.sandbox.faults().add_json(&rule).unwrap();
    }

    async fn sync_status(&self, app: &str) -> String {
        self.app(app).await.str_at(&["status", "sync", "status"]).unwrap_or_default().to_owned()
    }
}

fn is_refreshed(app: &Value) -> bool {
    app.at(&["metadata", "annotations", "argocd.argoproj.io/refresh"]).is_none()
}

/// Plays what a test does on one thread in a time of its own.
fn in_its_own_time(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test);
}

#[test]
fn what_is_live_is_looked_at_while_git_is_asked() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (controller, ended) = world.control();
        world.until_all_synced().await;
        world.slow_git(GIT_DELAY);
        world.tell("web", r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#).await;
        sleep(SOON).await;
        let asked_at = Instant::now();
        world.scale(5).await;
        world.until_replicas(2).await;
        assert!(asked_at.elapsed() < SOON, "healed after {:?}", asked_at.elapsed());
        assert!(
            !is_refreshed(&world.app("web").await),
            "the look that was asked for is over when Git has answered"
        );
        world.until(&format!("{APPLICATIONS}/web"), is_refreshed).await;
        assert!(asked_at.elapsed() > GIT_DELAY - SOON - SOON, "{:?}", asked_at.elapsed());
        ended.cancel();
        assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
    });
}

#[test]
fn a_sync_that_was_asked_for_waits_for_what_git_has_now() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (controller, ended) = world.control();
        world.until_all_synced().await;
        world.slow_git(GIT_DELAY);
        world.commit(&[("apps/web/deployment.yaml", &deployment(3))]);
        world.tell("web", r#"{"operation":{"sync":{}}}"#).await;
        sleep(SOON).await;
        // What is known is still looked at; nothing is done before the answer.
        world.scale(5).await;
        sleep(SOON).await;
        let app = world.app("web").await;
        assert_eq!(app.str_at(&["status", "sync", "status"]), Some("OutOfSync"));
        assert_eq!(app.str_at(&["status", "operationState", "phase"]), Some("Running"));
        world.until_replicas(3).await;
        let path = format!("{APPLICATIONS}/web");
        world
            .until(&path, |app| app.str_at(&["status", "operationState", "phase"]) == Some("Succeeded"))
            .await;
        let tip = world.remotes.branch(&RepoUrl::parse(REPOSITORY).unwrap(), "main").unwrap().to_string();
        let app = world.app("web").await;
        assert_eq!(app.str_at(&["status", "operationState", "syncResult", "revision"]), Some(&*tip));
        ended.cancel();
        assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
    });
}

/// The last verdict stands for 180 s from when Git was asked, and says that it is old; the answer sets it right.
#[test]
fn an_answer_that_does_not_come_makes_the_verdict_old_and_then_unknown() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (controller, ended) = world.control();
        world.until_all_synced().await;
        world.commit(&[("apps/web/deployment.yaml", &deployment(3))]);
        // The listing takes less than its limit, and the fetch after it as long as a large history does.
        world.slow_git(Duration::from_secs(29));
        world.tell("web", r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#).await;
        sleep(SOON).await;
        world.slow_git(Duration::from_secs(250));
        let path = format!("{APPLICATIONS}/web");
        let has = |app: &Value, kind: &str| {
            app.list_at(&["status", "conditions"]).iter().any(|it| it.str_at(&["type"]) == Some(kind))
        };
        world.until(&path, |app| has(app, "StaleWarning")).await;
        assert_eq!(world.app("web").await.str_at(&["status", "sync", "status"]), Some("Synced"));
        world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("Unknown")).await;
        assert!(has(&world.app("web").await, "ComparisonError"));
        world.slow_git(Duration::ZERO);
        world.until_replicas(3).await;
        world.until_all_synced().await;
        assert!(!has(&world.app("web").await, "ComparisonError"));
        ended.cancel();
        assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
    });
}

/// A controller that begins has no answer of Git yet: the commits of the last report are in its mirror, and by them it looks.
#[test]
fn what_was_last_reported_is_looked_at_before_git_has_answered() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (first, ended) = world.control();
        world.until_all_synced().await;
        ended.cancel();
        assert!(first.await.is_ok_and(|ended| ended.is_ok()));
        world.slow_git(GIT_DELAY);
        world.scale(5).await;
        let began_at = Instant::now();
        let (second, ended) = world.control();
        let path = format!("{APPLICATIONS}/web");
        world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("OutOfSync")).await;
        assert!(began_at.elapsed() < SOON, "seen after {:?}", began_at.elapsed());
        sleep(SOON).await;
        let deployment = world.get(DEPLOYMENT).await.unwrap();
        assert_eq!(
            deployment.int_at(&["spec", "replicas"]),
            Some(5),
            "nothing is done before Git has answered"
        );
        world.until_replicas(2).await;
        assert!(began_at.elapsed() > GIT_DELAY - SOON, "{:?}", began_at.elapsed());
        ended.cancel();
        assert!(second.await.is_ok_and(|ended| ended.is_ok()));
    });
}

/// What was rebuilt from Git is in the ledger from then on: the next start finds there what agrees, and needs the past of what
/// differs as well.
#[test]
fn a_past_that_was_rebuilt_outlasts_the_next_start() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        world.commit(&[("apps/web/map.yaml", &config_map("beside", "a"))]);
        world.tell("web", r#"{"spec":{"syncPolicy":{"automated":{"selfHeal":false}}}}"#).await;
        let (first, ended) = world.control();
        world.until_all_synced().await;
        ended.cancel();
        assert!(first.await.is_ok_and(|ended| ended.is_ok()));
        world.scale(5).await;
        let world = World { disk: MemoryDisk::new([8; 32]), mirrors: MemoryMirrors::default(), ..world };
        for _ in 0..2 {
            let (controller, ended) = world.control();
            sleep(Duration::from_secs(30)).await;
            let deployment = world.get(DEPLOYMENT).await.unwrap();
            assert_eq!(deployment.int_at(&["spec", "replicas"]), Some(5), "policy does not heal");
            ended.cancel();
            assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
        }
    });
}

/// The second controller has never led, and Git cannot be read when it first does: what the first one deployed is looked for again,
/// or what somebody changed by hand would pass as a difference that Git made.
#[test]
fn a_past_that_cannot_be_read_at_first_is_read_later() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        world.tell("web", r#"{"spec":{"syncPolicy":{"automated":{"selfHeal":false}}}}"#).await;
        let (first, ended) = world.control();
        world.until_all_synced().await;
        ended.cancel();
        assert!(first.await.is_ok_and(|ended| ended.is_ok()));
        let outage = Conduct { outage: Some(Outage::Unreachable), ..Conduct::default() };
        let repository = RepoUrl::parse(REPOSITORY).unwrap();
        world.remotes.set_conduct(&repository, outage);
        world.scale(5).await;
        let world = World { disk: MemoryDisk::new([8; 32]), mirrors: MemoryMirrors::default(), ..world };
        let (second, ended) = world.control();
        sleep(Duration::from_secs(30)).await;
        world.remotes.set_conduct(&repository, Conduct::default());
        let path = format!("{APPLICATIONS}/web");
        world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("OutOfSync")).await;
        sleep(Duration::from_secs(150)).await;
        let replicas = world.get(DEPLOYMENT).await.and_then(|live| live.int_at(&["spec", "replicas"]));
        assert_eq!(replicas, Some(5), "changed by hand, in an application that does not heal");
        ended.cancel();
        assert!(second.await.is_ok_and(|ended| ended.is_ok()));
    });
}

/// What Git dropped while no controller ran, of a kind that cannot be listed, is neither gone nor forgotten: the ledger knows of
/// it, and for a controller that has another one the status does.
#[test]
fn what_git_dropped_is_not_gone_because_its_kind_cannot_be_listed() {
    for has_other_disk in [false, true] {
        in_its_own_time(async {
            let world = World::new(Duration::from_millis(1)).await;
            world.commit(&[("apps/web/old.yaml", SERVICE)]);
            let (first, ended) = world.control();
            world.until_all_synced().await;
            ended.cancel();
            assert!(first.await.is_ok_and(|ended| ended.is_ok()));
            world.drop_file("apps/web/old.yaml");
            world.fault(r#"{"kind":"status","code":500}"#, r#"{"kind":"Service"}"#);
            let disk = if has_other_disk { MemoryDisk::new([8; 32]) } else { world.disk.clone() };
            let world = World { disk, ..world };
            let (second, ended) = world.control();
            sleep(Duration::from_secs(30)).await;
            assert_eq!(world.sync_status("web").await, "Unknown");
            world.sandbox.faults().clear();
            let path = format!("{APPLICATIONS}/web");
            world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("OutOfSync")).await;
            ended.cancel();
            assert!(second.await.is_ok_and(|ended| ended.is_ok()));
        });
    }
}

/// However long statuses could not be written, they are true soon after they can be.
#[test]
fn a_status_is_true_soon_after_it_can_be_written_again() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        for app in ["web", "one"] {
            world.tell(app, r#"{"spec":{"syncPolicy":{"automated":{"selfHeal":false}}}}"#).await;
        }
        let (controller, ended) = world.control();
        world.until_all_synced().await;
        world.fault(r#"{"kind":"status","code":503}"#, r#"{"kind":"Application","verb":["patch"]}"#);
        let map = "/api/v1/namespaces/web/configmaps/one?fieldManager=kubectl-edit";
        let patch = r#"{"data":{"text":"by hand"}}"#;
        world.wire.write(Method::PATCH, map, BodyKind::MergePatch, patch.into()).await.unwrap();
        for replicas in [5, 6, 7, 8] {
            world.scale(replicas).await;
            sleep(Duration::from_secs(50)).await;
        }
        assert_eq!(world.sync_status("web").await, "Synced");
        world.sandbox.faults().clear();
        let mended_at = Instant::now();
        for app in ["web", "one"] {
            let path = format!("{APPLICATIONS}/{app}");
            world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("OutOfSync")).await;
        }
        assert!(mended_at.elapsed() < Duration::from_secs(5), "{:?}", mended_at.elapsed());
        ended.cancel();
        assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
    });
}

/// A verdict that was too old to stand does not stand again because a controller begins.
#[test]
fn what_could_not_be_said_any_more_is_not_said_again_after_a_start() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (first, ended) = world.control();
        world.until_all_synced().await;
        world.drop_file("apps/web/deployment.yaml");
        world.tell("web", r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#).await;
        let path = format!("{APPLICATIONS}/web");
        world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("Unknown")).await;
        ended.cancel();
        assert!(first.await.is_ok_and(|ended| ended.is_ok()));
        let (second, ended) = world.control();
        for _ in 0..100 {
            sleep(Duration::from_millis(100)).await;
            assert_eq!(world.sync_status("web").await, "Unknown");
        }
        ended.cancel();
        assert!(second.await.is_ok_and(|ended| ended.is_ok()));
    });
}
