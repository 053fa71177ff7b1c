//! What is judged between the steps, and at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use trueup_object::{ResourceKey, Value};

use super::{AgreedOn, Around, Correction, Judge, MOMENT_MS, POLL_MS, Property, STALE_MS};
use crate::oracle::{self, Difference, Gap, Targets, View};
use crate::story::Policy;

/// Corrections of one path within [`WINDOW_MS`] past which it is a fight (contracts: "Limits").
const CORRECTIONS_MAX: usize = 5;

const WINDOW_MS: u64 = 600_000;

/// How often a path can be corrected within the window by a controller that backs off: five times at once, then 2, 6, 18, 54, 162
/// and 300 s apart.
const CORRECTIONS_IN_WINDOW_MAX: usize = 11;

/// Which of what somebody added counts.
#[derive(Clone, Copy)]
enum Additions {
    None,
    Certain,
    Possible,
}

impl Judge {
    /// Looks at the cluster between two steps.
    pub fn moment(&mut self, around: Around<'_>) {
        let now = around.now_ms;
        self.note_weather(around);
        self.see_requests(around);
        self.scaled.extend(oracle::scaled(around.live, None));
        let names: Vec<String> = self.apps.keys().cloned().collect();
        for app in names {
            let Some(application) = around.applications.get(&app) else { continue };
            self.note_agreement(&app, around);
            self.truthful(&app, application, around);
            self.note_names(&app, application, now);
        }
        self.fights(now);
    }

    /// Takes note of whether anything fails.
    fn note_weather(&mut self, around: Around<'_>) {
        let now = around.now_ms;
        if around.is_disturbed {
            self.calm_since = None;
            self.faulty_since.get_or_insert(now);
        } else {
            let since = *self.calm_since.get_or_insert(now);
            if now.saturating_sub(since) > MOMENT_MS {
                self.faulty_since = None;
            }
        }
        self.writable_since =
            if around.is_writable { Some(self.writable_since.unwrap_or(now)) } else { None };
    }

    fn gaps(
        &mut self,
        app: &str,
        targets: &Arc<Targets>,
        around: Around<'_>,
        additions: Additions,
    ) -> Vec<Gap> {
        let nothing = BTreeSet::new();
        let added = match additions {
            Additions::None => &nothing,
            Additions::Certain => {
                around.leader.and_then(|leader| self.added.get(&leader)).unwrap_or(&nothing)
            }
            Additions::Possible => &self.maybe_added,
        };
        let ignored = self.apps.get(app).map(|facts| facts.ignored.as_slice()).unwrap_or_default();
        let known = self.known.entry(app.to_owned()).or_default();
        known.gaps(targets, View { app, targets, live: around.live, ignored, added })
    }

    /// Takes note of objects that are as Git wants them while a controller can see that.
    fn note_agreement(&mut self, app: &str, around: Around<'_>) {
        let Some(targets) = self.tip(app).cloned() else { return };
        let (live_changes, is_disturbed, leader) = (around.live_changes, around.is_disturbed, around.leader);
        let known = self.agreed_on.get(app);
        let is_new = known.is_none_or(|known| !Arc::ptr_eq(&known.targets, &targets));
        let is_same = |it: &AgreedOn| {
            it.live_changes == live_changes && it.is_disturbed == is_disturbed && it.leader == leader
        };
        if known.is_some_and(is_same) && !is_new {
            return;
        }
        let gaps = self.gaps(app, &targets, around, Additions::None);
        let differing: BTreeSet<ResourceKey> = gaps.into_iter().map(|gap| gap.object).collect();
        for key in targets.objects.keys() {
            let is_marked = around.live.get(key).is_some_and(|live| oracle::owner(key, live) == Some(app));
            let seen = self.agreed_since.entry(key.clone()).or_default();
            let watched =
                around.leader.filter(|_| !differing.contains(key) && is_marked && !around.is_disturbed);
            // Who has not seen it for long enough, undisturbed, begins anew.
            seen.retain(|replica, since| watched == Some(*replica) || around.now_ms - *since >= MOMENT_MS);
            if let Some(leader) = watched {
                seen.entry(leader).or_insert(around.now_ms);
            }
        }
        if is_new {
            let declared = |key: &ResourceKey| targets.objects.contains_key(key);
            let owners = &self.declared_by;
            let is_kept =
                |key: &ResourceKey| owners.get(key).is_none_or(|owner| owner != app) || declared(key);
            self.agreed_since.retain(|key, _| is_kept(key));
        }
        self.agreed_on.insert(app.to_owned(), AgreedOn { targets, live_changes, is_disturbed, leader });
    }

    /// The status must not say Synced for long while something differs.
    fn truthful(&mut self, app: &str, application: &Value, around: Around<'_>) {
        let now = around.now_ms;
        let is_synced = application.str_at(&["status", "sync", "status"]) == Some("Synced");
        let revision = application.str_at(&["status", "sync", "revision"]).unwrap_or_default();
        let known = self.commits.iter().rev().find(|commit| commit.id == revision);
        let known = known.and_then(|commit| commit.targets.get(app)).cloned();
        let incomplete = is_synced && known.as_ref().is_some_and(|targets| !targets.is_complete);
        let gaps = match &known {
            Some(targets) if is_synced => self.gaps(app, targets, around, Additions::Certain),
            Some(_) | None => Vec::new(),
        };
        let newest = self.commits.last().map(|commit| (commit.at_ms, commit.id.clone())).unwrap_or_default();
        let is_outdated = is_synced && newest.1 != revision;
        // What was corrected and is written again at once has not differed all the time, though every look found it so.
        let corrected = gaps.iter().map(|gap| self.corrected_at(gap)).min().unwrap_or_default();
        let Some(facts) = self.apps.get_mut(app) else { return };
        let is_untrue = !gaps.is_empty() || incomplete;
        facts.untrue_since =
            is_untrue.then(|| facts.untrue_since.unwrap_or(now).max(if incomplete { 0 } else { corrected }));
        facts.outdated_since = is_outdated.then_some(newest.0);
        let (untrue, outdated) = (facts.untrue_since, facts.outdated_since);
        // A status that calls itself old stands until the time given: whoever cannot read Git learns only when he asks again
        // that it can be read.
        let conditions = application.list_at(&["status", "conditions"]);
        let is_old = conditions.iter().any(|condition| condition.str_at(&["type"]) == Some("StaleWarning"));
        let moment = if is_old { STALE_MS } else { MOMENT_MS };
        self.count("check: truthful status");
        if let Some(since) = untrue
            && self.is_late(since, moment, STALE_MS, now)
        {
            let what = gaps.first().map_or_else(|| "not all files can be read".to_owned(), shown);
            let message = format!("{app} has been Synced since {since} ms at least, and {what}");
            self.violate(Property::TruthfulStatus, now, app, message);
        }
        if let Some(since) = outdated
            && self.is_late(since, POLL_MS + moment + MOMENT_MS, POLL_MS + STALE_MS, now)
        {
            let message = format!("{app} is Synced at {revision:?}, and {} came at {since} ms", newest.1);
            self.violate(Property::TruthfulStatus, now, app, message);
        }
    }

    /// When what differs was corrected last; 0 where it never was.
    fn corrected_at(&self, gap: &Gap) -> u64 {
        let Difference::Declared { pointer } = &gap.what else { return 0 };
        let corrections = self.corrections.get(&(gap.object.clone(), pointer.clone()));
        corrections.and_then(|corrections| corrections.last()).map_or(0, |last| last.at_ms)
    }

    /// Whether something has lasted too long: in calm, or in spite of faults.
    fn is_late(&self, since: u64, calm_limit: u64, limit: u64, now: u64) -> bool {
        let past = |from: Option<u64>, limit: u64| from.is_some_and(|from| now > since.max(from) + limit);
        past(self.calm_since, calm_limit) || past(self.writable_since, limit + MOMENT_MS)
    }

    fn note_names(&mut self, app: &str, application: &Value, now: u64) {
        let conditions = application.list_at(&["status", "conditions"]).iter();
        let fights = conditions.filter(|it| it.str_at(&["type"]) == Some("FightWarning"));
        let messages: Vec<String> =
            fights.filter_map(|it| it.str_at(&["message"])).map(str::to_owned).collect();
        for condition in application.list_at(&["status", "conditions"]) {
            let kind = condition.str_at(&["type"]).unwrap_or_default().to_owned();
            self.count(&format!("condition: {kind}"));
        }
        if let Some(facts) = self.apps.get_mut(app) {
            facts.named.extend(messages.into_iter().map(|message| (message, now)));
        }
    }

    /// A path that is corrected again and again is named, and corrected more and more seldom.
    fn fights(&mut self, now: u64) {
        let mut found = Vec::new();
        for ((key, pointer), times) in &mut self.corrections {
            times.retain(|correction| now.saturating_sub(correction.at_ms) < WINDOW_MS);
            // What a person asks for waits for no back-off, and is no fight.
            let Some(last) = times.iter().rfind(|it| !it.is_asked).copied() else { continue };
            let own: Vec<Correction> =
                times.iter().filter(|it| it.replica == last.replica && !it.is_asked).copied().collect();
            let recent: Vec<u64> = own.iter().map(|it| it.at_ms).collect();
            // One that ends before its correction is recorded does not know of it when it begins anew.
            let lives: BTreeSet<u64> = own.iter().map(|it| it.incarnation).collect();
            if own.len() > CORRECTIONS_IN_WINDOW_MAX + lives.len() - 1 {
                let message = format!("{key} {pointer} was corrected {} times in ten minutes", own.len());
                found.push((key.clone(), message));
            }
            // And whoever begins anew knows one less of each life before, until a path is a fight for him too.
            let Some(fifth) = recent.get(CORRECTIONS_MAX - 1 + (lives.len() - 1)) else { continue };
            let facts = self.declared_by.get(key).and_then(|app| self.apps.get(app));
            let named = facts.is_some_and(|facts| {
                let place = format!("{}/{}", key.kind, key.name);
                facts
                    .named
                    .iter()
                    .any(|(message, at)| message.starts_with(&place) && at + MOMENT_MS >= *fifth)
            });
            // A back-off may be over in two seconds: what fails then keeps it from being told.
            let calm = self.calm_since.is_some_and(|since| since + MOMENT_MS <= last.at_ms);
            if !named && calm && now > last.at_ms + MOMENT_MS {
                let message = format!(
                    "{key} {pointer} was corrected {} times in ten minutes, and no FightWarning tells who undoes it",
                    recent.len()
                );
                found.push((key.clone(), message));
            }
        }
        for (key, message) in found {
            self.violate(Property::FightsNamed, now, &key.to_string(), message);
        }
    }

    /// Looks at the end, when faults and edits are over for long.
    pub fn end(&mut self, around: Around<'_>) {
        let names: Vec<String> = self.apps.keys().cloned().collect();
        for app in names {
            match around.applications.get(&app).cloned() {
                Some(application) => self.settled(&app, &application, around),
                None => self.violate(Property::Converges, around.now_ms, &app, format!("{app} is gone")),
            }
        }
    }

    /// An intent of this application has no outcome at the end. While not all files can be read, nobody can say whether an object
    /// is as it was to become.
    pub fn unfinished(&mut self, now: u64, app: &str, intent: &str) {
        if self.tip(app).is_some_and(|targets| targets.is_complete) {
            let message = format!("an intent of {app} has no outcome: {intent}");
            self.violate(Property::NoIntentLost, now, intent, message);
        }
    }

    fn settled(&mut self, app: &str, application: &Arc<Value>, around: Around<'_>) {
        self.count("check: converges");
        let now = around.now_ms;
        let Some(targets) = self.tip(app).cloned() else { return };
        let status = application.str_at(&["status", "sync", "status"]).unwrap_or("nothing").to_owned();
        self.count(&format!("end: {status}"));
        let conditions = application.list_at(&["status", "conditions"]);
        if !targets.is_complete {
            if status == "Synced" || conditions.is_empty() {
                let message = format!("{app} is {status}, and not all of its files can be read");
                self.violate(Property::Converges, now, app, message);
            }
            return;
        }
        let certain = self.gaps(app, &targets, around, Additions::Certain);
        let possible = self.gaps(app, &targets, around, Additions::Possible);
        let unexplained = certain.iter().find(|gap| !self.is_explained(app, gap, around));
        let is_alike = possible.is_empty() && !has_more_data(&targets, around.live);
        let message = if is_alike && status != "Synced" && conditions.is_empty() {
            format!("{app} is {status}, and nothing differs")
        } else if !certain.is_empty() && status == "Synced" {
            format!("{app} is Synced, and {}", certain.first().map(shown).unwrap_or_default())
        } else if let Some(gap) = unexplained.filter(|_| conditions.is_empty()) {
            format!("{app} stays {status} without a reason: {}", shown(gap))
        } else {
            return;
        };
        self.violate(Property::Converges, now, app, message);
    }

    /// Whether something may differ for ever, given what the application does by itself.
    fn is_explained(&self, app: &str, gap: &Gap, around: Around<'_>) -> bool {
        let Some(facts) = self.apps.get(app) else { return true };
        let policy = facts.policies.last().map_or(Policy::Manual, |(_, policy)| *policy);
        if policy == Policy::Manual {
            return true;
        }
        match &gap.what {
            Difference::Added { .. } => true,
            // While another application cannot be read to the end, it may be the one that declares the object now.
            Difference::Extraneous => {
                !policy.prunes()
                    || self.is_any_unread()
                    || around.live.get(&gap.object).is_some_and(|live| oracle::is_kept(live))
            }
            // Whoever does not heal leaves what somebody changed; what both sides moved has a condition.
            Difference::Missing => !policy.heals() && self.is_touched(&gap.object, None),
            // And replicas that were an autoscaler's are as it left them once it is gone: nobody knows better, and Git has not
            // moved since its value was left out of account.
            Difference::Declared { pointer } => {
                let was_scaled = pointer == oracle::REPLICAS && self.scaled.contains(&gap.object);
                !policy.heals() && (was_scaled || self.is_touched(&gap.object, Some(pointer)))
            }
        }
    }

    /// Whether the newest commit has an application not all of whose files can be read.
    fn is_any_unread(&self) -> bool {
        self.commits.last().is_some_and(|commit| commit.targets.values().any(|targets| !targets.is_complete))
    }

    fn is_touched(&self, key: &ResourceKey, pointer: Option<&str>) -> bool {
        let edits = self.edits.keys().filter(|(edited, _)| edited == key);
        edits.into_iter().any(|(_, edited)| match (edited, pointer) {
            (None, _) => true,
            (Some(edited), Some(pointer)) => {
                edited.starts_with(pointer) || pointer.starts_with(edited.as_str())
            }
            (Some(_), None) => false,
        })
    }
}

/// Whether an object has data that Git does not declare, or declares no longer.
fn has_more_data(targets: &Targets, live: &oracle::Live) -> bool {
    targets.objects.iter().any(|(key, target)| {
        let data = live.get(key).and_then(|live| live.at(&["data"])).and_then(Value::as_map);
        data.is_some_and(|data| data.keys().any(|name| target.at(&["data", name]).is_none()))
    })
}

fn shown(gap: &Gap) -> String {
    let key = &gap.object;
    match &gap.what {
        Difference::Missing => format!("{key} is missing"),
        Difference::Extraneous => format!("{key} is not in Git any more"),
        Difference::Declared { pointer } => format!("{key} {pointer} differs"),
        Difference::Added { pointer } => format!("{key} {pointer} was added by hand"),
    }
}
