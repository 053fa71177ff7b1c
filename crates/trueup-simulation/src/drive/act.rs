//! The steps of a story, and what ends by itself later.

use std::time::Duration;

use serde_json::json;
use trueup_object::Value;
use trueup_repo::{Conduct, Outage};

use super::people::{Rivalry, sync_policy};
use super::{CONTROLLER, Due, World};
use crate::gate::{PlannedCrash, held};
use crate::story::{Act, GitFault, Policy, Replica};

/// What puts an Application on hold.
const HOLD: &str = "trueup.dev/hold";

/// How late a slow Git server answers.
const GIT_DELAY: Duration = Duration::from_secs(12);

impl World<'_> {
    /// Does what a step says.
    pub(super) async fn act(&mut self, act: &Act) {
        let word = act.word();
        {
            let shared = &mut *held(&self.gates);
            let now = shared.now_ms();
            shared.trace.line(now, &format!("step: {word}"));
            shared.trace.detail(now, || serde_json::to_string(act).unwrap_or_default());
        }
        let came_about = match act {
            Act::Edit { object, edit, manager } => self.edit(object, edit, manager).await,
            Act::Commit { files } => {
                let base = self.history.last().cloned().unwrap_or_default();
                self.commit(files.clone(), base);
                true
            }
            Act::Revert { commits } => self.revert(*commits),
            Act::Sync { app, prune } => {
                let sync =
                    json!({"operation": {"initiatedBy": {"username": "admin"}, "sync": {"prune": prune}}});
                self.tell_app(app, &sync).await
            }
            Act::Refresh { app, hard } => {
                let level = if *hard { "hard" } else { "normal" };
                let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": level}}});
                self.tell_app(app, &refresh).await
            }
            Act::Policy { app, policy } => self.tell_policy(app, *policy).await,
            Act::Hold { app, seconds } => self.hold(app, *seconds).await,
            Act::Fault { rule, seconds } => self.fault(rule, *seconds),
            Act::Restart { compacts, down_ms } => self.server_ends(*compacts, *down_ms),
            Act::Git { fault, seconds } => self.git_breaks(*fault, *seconds),
            Act::Rival { object, pointer, value, every_s, seconds } => {
                let rivalry = Rivalry {
                    object: object.clone(),
                    pointer: pointer.clone(),
                    value: value.clone(),
                    every_ms: every_s * 1_000,
                    until_ms: self.now_ms() + seconds * 1_000,
                };
                self.rival_appears(rivalry)
            }
            Act::CutOff { replica, seconds } => self.cut_off(*replica, *seconds),
            Act::Crash { replica, after_effects, at, down_ms } => {
                let planned = PlannedCrash { after_effects: *after_effects, at: *at, down_ms: *down_ms };
                self.plan_crash(*replica, planned)
            }
            Act::Stop { replica, down_ms } => {
                let ran = self.stop(*replica).await;
                if ran {
                    self.later(*down_ms, Due::Begins(*replica));
                }
                ran
            }
            Act::Admission { kind, fault, seconds } => {
                held(&self.gates).admission.push((kind.clone(), *fault));
                self.later(seconds * 1_000, Due::WebhookMends(kind.clone()));
                true
            }
            Act::Wait => true,
        };
        self.count(&if came_about { word } else { format!("{word}, in vain") });
    }

    async fn tell_policy(&mut self, app: &str, policy: Policy) -> bool {
        let plan = self.story.apps.iter().find(|plan| plan.name == app);
        let respects = plan.is_none_or(|plan| plan.respects_ignored);
        let patch = json!({"spec": {"syncPolicy": sync_policy(policy, respects)}});
        let told = self.tell_app(app, &patch).await;
        let shared = &mut *held(&self.gates);
        let now = shared.now_ms();
        shared.judge.policy_set(now, app, policy);
        told
    }

    /// A later hold takes the place of an earlier one.
    async fn hold(&mut self, app: &str, seconds: u64) -> bool {
        let hold = "until=2026-12-31T00:00:00Z; reason=an incident; owner=somebody";
        let held = self.tell_app(app, &json!({"metadata": {"annotations": {HOLD: hold}}})).await;
        if held {
            self.n_due += 1;
            self.holds.insert(app.to_owned(), self.n_due);
            self.later(seconds * 1_000, Due::LetsGo(app.to_owned(), self.n_due));
            self.note_hold(app, true);
        }
        held
    }

    async fn let_go(&mut self, app: &str, number: u64) {
        if self.holds.get(app) == Some(&number) {
            self.holds.remove(app);
            self.tell_app(app, &json!({"metadata": {"annotations": {HOLD: null}}})).await;
            self.note_hold(app, false);
        }
    }

    fn note_hold(&self, app: &str, is_held: bool) {
        let shared = &mut *held(&self.gates);
        let now = shared.now_ms();
        shared.judge.hold_set(now, app, is_held);
    }

    fn rival_appears(&mut self, rivalry: Rivalry) -> bool {
        self.rivals.push(rivalry);
        self.later(0, Due::RivalActs(self.rivals.len() - 1));
        true
    }

    /// One crash at a time: another one waits for none.
    fn plan_crash(&mut self, replica: Replica, planned: PlannedCrash) -> bool {
        let mut shared = held(&self.gates);
        let controlled = &mut shared.controllers[replica as usize];
        let is_free = controlled.crash.is_none() && !controlled.has_crashed;
        if is_free {
            controlled.crash = Some(planned);
        }
        is_free
    }

    fn revert(&mut self, commits: usize) -> bool {
        let Some(older) = self.history.len().checked_sub(1 + commits) else { return false };
        let (older, tip) = (self.history[older].clone(), self.history.last().cloned().unwrap_or_default());
        let mut files = std::collections::BTreeMap::new();
        files.extend(tip.keys().filter(|path| !older.contains_key(*path)).map(|path| (path.clone(), None)));
        let changed = older.iter().filter(|(path, text)| tip.get(*path) != Some(text));
        files.extend(changed.map(|(path, text)| (path.clone(), Some(text.clone()))));
        self.commit(files, tip);
        true
    }

    fn fault(&mut self, rule: &serde_json::Value, seconds: u64) -> bool {
        let mut rule = rule.clone();
        rule["match"]["userAgent"] = json!(format!("trueup/{CONTROLLER}"));
        let Ok(rule) = Value::from_json(rule.to_string().as_bytes()) else { return false };
        if self.sandbox.faults().add_json(&rule).is_err() {
            return false;
        }
        self.n_due += 1;
        let number = self.n_due;
        self.faults.insert(number, rule);
        self.later(seconds * 1_000, Due::FaultEnds(number));
        true
    }

    /// Puts the rules in force anew: one that ends cannot be taken out alone.
    fn set_faults(&self) {
        self.sandbox.faults().clear();
        for rule in self.faults.values() {
            // It was understood when it was new.
            let _understood = self.sandbox.faults().add_json(rule);
        }
    }

    fn server_ends(&mut self, compacts: bool, down_ms: u64) -> bool {
        {
            let mut shared = held(&self.gates);
            if shared.is_server_down {
                return false;
            }
            shared.is_server_down = true;
            shared.server_life += 1;
            shared.weather.send_modify(|number| *number += 1);
        }
        self.later(down_ms, Due::ServerBegins { compacts });
        true
    }

    fn git_breaks(&mut self, fault: GitFault, seconds: u64) -> bool {
        let conduct = match fault {
            GitFault::Unreachable => Conduct { outage: Some(Outage::Unreachable), ..Conduct::default() },
            GitFault::Slow => Conduct { delay: GIT_DELAY, ..Conduct::default() },
        };
        self.remotes.set_conduct(&self.repository, conduct);
        self.n_due += 1;
        self.git_fault = Some(self.n_due);
        self.later(seconds * 1_000, Due::GitMends(self.n_due));
        true
    }

    fn cut_off(&mut self, replica: Replica, seconds: u64) -> bool {
        {
            let mut shared = held(&self.gates);
            let controlled = &mut shared.controllers[replica as usize];
            if std::mem::replace(&mut controlled.is_cut_off, true) {
                return false;
            }
            shared.weather.send_modify(|number| *number += 1);
        }
        self.later(seconds * 1_000, Due::Reaches(replica));
        true
    }

    /// Ends a controller as a signal does. Returns whether it ran.
    pub(super) async fn stop(&mut self, replica: Replica) -> bool {
        let Some(mut running) = self.running[replica as usize].take() else { return false };
        running.ended.cancel();
        // As the program does: what does not end in time is ended.
        if tokio::time::timeout(Duration::from_secs(20), &mut running.task).await.is_err() {
            running.task.abort();
            let _ended = running.task.await;
        }
        // Requests of it that are still under way reach nobody any more.
        held(&self.gates).controllers[replica as usize].life += 1;
        self.disks[replica as usize].crash();
        true
    }

    /// Something that was to happen at this time.
    pub(super) async fn happen(&mut self, due: Due) {
        match due {
            Due::FaultEnds(number) => {
                self.faults.remove(&number);
                self.set_faults();
            }
            Due::GitMends(number) => {
                if self.git_fault == Some(number) {
                    self.git_fault = None;
                    self.remotes.set_conduct(&self.repository, Conduct::default());
                }
            }
            Due::WebhookMends(kind) => {
                let mut shared = held(&self.gates);
                if let Some(index) = shared.admission.iter().position(|(of, _)| *of == kind) {
                    shared.admission.remove(index);
                }
            }
            Due::LetsGo(app, number) => self.let_go(&app, number).await,
            Due::Reaches(replica) => {
                let mut shared = held(&self.gates);
                shared.controllers[replica as usize].is_cut_off = false;
                shared.weather.send_modify(|number| *number += 1);
            }
            Due::Begins(replica) => self.start(replica),
            Due::ServerBegins { compacts } => {
                let mut shared = held(&self.gates);
                shared.is_server_down = false;
                shared.view.refresh();
                if compacts {
                    self.sandbox.api().store().compact();
                }
            }
            Due::RivalActs(index) => {
                let Some(rivalry) = self.rivals.get(index).cloned() else { return };
                if self.now_ms() < rivalry.until_ms {
                    self.rival(&rivalry).await;
                    self.later(rivalry.every_ms, Due::RivalActs(index));
                }
            }
        }
    }

    /// Ends everything that disturbs, at once.
    pub(super) async fn end_disturbances(&mut self) {
        for controlled in &mut held(&self.gates).controllers {
            // What crashed already is put away in its turn.
            if !controlled.has_crashed {
                controlled.crash = None;
            }
        }
        self.bury().await;
        self.rivals.clear();
        for due in std::mem::take(&mut self.due).into_values() {
            self.happen(due).await;
        }
        self.faults.clear();
        self.set_faults();
        let first: [Replica; 1] = [Replica::First];
        let second = Replica::ALL;
        for replica in if self.story.second { second.as_slice() } else { first.as_slice() } {
            self.start(*replica);
        }
    }
}
