//! What is judged of each effect of a controller, at the moment when it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::{ResourceKey, Value};

use super::{AppFacts, Around, Correction, Edited, Judge, Property, is_held_by, is_operating};
use crate::oracle;
use crate::story::{Policy, Replica};

/// What a request of a controller did to an object.
#[derive(Debug, Clone)]
pub struct Effect {
    pub replica: Replica,
    /// Counts the starts of controllers: a new one begins with what its disk remembers.
    pub incarnation: u64,
    pub verb: Verb,
    pub key: ResourceKey,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
    /// What the ledger had when the request was sent.
    pub intent: Option<Intent>,
    /// Who held the Lease when the request was sent; empty: nobody.
    pub holder: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Create,
    Change,
    Delete,
}

/// An intent without an outcome that the ledger has of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    pub has_evidence: bool,
}

/// The kinds in which a controller keeps its own affairs.
const OWN_KINDS: [&str; 4] = ["Application", "DriftReport", "Lease", "Event"];

impl Judge {
    /// A controller changed something.
    pub fn effect(&mut self, effect: &Effect, around: Around<'_>) {
        let now = around.now_ms;
        self.see_requests(around);
        if effect.key.kind != "Lease" && !is_held_by(&effect.holder, effect.replica) {
            let Effect { replica, key, holder, .. } = effect;
            let message = format!("{} wrote {key} while {holder:?} held the Lease", replica.name());
            self.violate(Property::OneActs, now, replica.name(), message);
        }
        if OWN_KINDS.contains(&effect.key.kind.as_str()) {
            self.count(&format!("own {}", effect.key.kind));
            return;
        }
        let owner = effect.before.as_ref().and_then(|before| oracle::owner(&effect.key, before));
        let declared = self.declared_by.get(&effect.key).cloned();
        let Some(app) = declared.or_else(|| owner.map(str::to_owned)) else {
            let message = format!("{} belongs to nobody and was changed ({:?})", effect.key, effect.verb);
            self.violate(Property::UntrackedUntouched, now, &effect.key.to_string(), message);
            return;
        };
        self.recorded(effect, now);
        let Some(facts) = self.apps.get(&app).cloned() else { return };
        if facts.held_since.is_some_and(|since| since <= self.known_since(now)) {
            let message = format!("{} was changed ({:?}), and {app} is on hold", effect.key, effect.verb);
            self.forbid(now, &effect.key, message);
        }
        match (effect.verb, &effect.before, &effect.after) {
            (Verb::Delete, Some(before), _) => self.deletion(effect, before, &app, &facts, around),
            (Verb::Change, Some(before), Some(after)) => {
                let pointers = oracle::changed(before, after);
                self.changes(effect, before, &pointers, &app, &facts, around);
            }
            (Verb::Create, _, _) | (_, None, Some(_)) => self.creation(effect, &app, &facts, around),
            (Verb::Change, _, None) | (Verb::Delete, None, None) => {}
        }
    }

    /// A controller wrote while nothing differed for long. What an application has to say of itself may be tried again, and a
    /// condition whose time is over, as that of a fight once healing would go on, is taken away.
    pub fn written_in_quiet(
        &mut self,
        now: u64,
        about: &str,
        effect: &Effect,
        applications: &BTreeMap<String, Arc<Value>>,
    ) {
        let explained = |application: &Value| !application.list_at(&["status", "conditions"]).is_empty();
        let mut told = applications.values().chain(&effect.before);
        if effect.key.kind == "Lease" || told.any(|application| explained(application)) {
            return;
        }
        let message = format!("{about} was written ({:?}) while nothing differed", effect.verb);
        self.violate(Property::Quiet, now, about, message);
    }

    /// Takes note of syncs that somebody asked for.
    pub(super) fn see_requests(&mut self, around: Around<'_>) {
        for (name, application) in around.applications {
            if is_operating(application)
                && let Some(facts) = self.apps.get_mut(name)
            {
                facts.asked_ms = Some(around.now_ms);
            }
        }
    }

    fn recorded(&mut self, effect: &Effect, now: u64) {
        self.count("check: recorded before");
        let (key, about) = (&effect.key, effect.key.to_string());
        match effect.intent {
            None => {
                let message =
                    format!("{key} was changed ({:?}) without an intent in the ledger", effect.verb);
                self.violate(Property::RecordedBefore, now, &about, message);
            }
            Some(Intent { has_evidence: false }) if effect.before.is_some() => {
                let message = format!("{key} was changed ({:?}) without evidence in the ledger", effect.verb);
                self.violate(Property::RecordedBefore, now, &about, message);
            }
            Some(_) => {}
        }
    }

    fn forbid(&mut self, now: u64, key: &ResourceKey, message: String) {
        self.violate(Property::OnlyWhatIsAllowed, now, &key.to_string(), message);
    }

    /// Whether nothing allows a controller to do anything to an application's objects.
    fn is_left_alone(&self, facts: &AppFacts, now: u64) -> bool {
        let manual = self.policies(facts, now).iter().all(|policy| *policy == Policy::Manual);
        manual && !Self::is_asked(facts, now)
    }

    /// Whether nothing allows a controller to undo what somebody changed in the cluster.
    fn may_not_heal(&self, facts: &AppFacts, now: u64) -> bool {
        !self.policies(facts, now).iter().any(|policy| policy.heals()) && !Self::is_asked(facts, now)
    }

    fn creation(&mut self, effect: &Effect, app: &str, facts: &AppFacts, around: Around<'_>) {
        let (now, key) = (around.now_ms, &effect.key);
        self.count("effect: create");
        if self.is_left_alone(facts, now) {
            self.forbid(now, key, format!("{key} was created, and {app} is synced by hand only"));
        }
        let deleted = self.edits.get(&(key.clone(), None)).map(|edited| edited.at_ms);
        if let Some(at) = deleted
            && self.may_not_heal(facts, now)
            && self.is_established(key, at)
            && self.is_steady(app, key, None)
        {
            let message = format!("{key} was deleted by hand and created anew, and {app} does not heal");
            self.forbid(now, key, message);
        }
        if deleted.is_some() {
            self.count("heal: created anew");
        }
        self.edits.retain(|(edited, _), _| edited != key);
        for added in self.added.values_mut() {
            added.retain(|(added, _)| added != key);
        }
        self.maybe_added.retain(|(added, _)| added != key);
    }

    fn changes(
        &mut self,
        effect: &Effect,
        before: &Value,
        pointers: &[String],
        app: &str,
        facts: &AppFacts,
        around: Around<'_>,
    ) {
        let (now, key) = (around.now_ms, &effect.key);
        if pointers.is_empty() {
            self.count("effect: mark only");
            return;
        }
        self.count("effect: change");
        if self.is_left_alone(facts, now) {
            let message =
                format!("{key} was changed ({}), and {app} is synced by hand only", pointers.join(", "));
            self.forbid(now, key, message);
        }
        let is_scaled = oracle::scaled(around.live, None).contains(key);
        for pointer in pointers {
            let was = oracle::at(before, pointer);
            if facts.respects_ignored && was.is_some() && oracle::is_ignored(&facts.ignored, key, pointer) {
                self.forbid(now, key, format!("{key} {pointer} is ignored and was changed"));
            }
            let pods = was.and_then(Value::as_int).unwrap_or_default();
            if is_scaled && pointer == oracle::REPLICAS && pods > 0 {
                self.forbid(now, key, format!("{key} {pointer} is an autoscaler's and was changed"));
            }
            self.correction(effect, before, pointer, app, facts, now);
        }
    }

    fn correction(
        &mut self,
        effect: &Effect,
        before: &Value,
        pointer: &str,
        app: &str,
        facts: &AppFacts,
        now: u64,
    ) {
        let key = &effect.key;
        let place = (key.clone(), Some(pointer.to_owned()));
        let Some(Edited { since_ms, at_ms: at, before: was }) = self.edits.remove(&place) else { return };
        self.count("heal: changed back");
        if self.may_not_heal(facts, now)
            && self.is_established(key, at)
            && self.is_steady(app, key, Some(pointer))
        {
            let message =
                format!("{key} {pointer} was changed by hand and changed back, and {app} does not heal");
            self.forbid(now, key, message);
        }
        // What Git says now and was not there before is a commit that is applied, whoever wrote the path meanwhile.
        if effect.after.as_deref().and_then(|after| oracle::at(after, pointer)) != was.as_ref() {
            return;
        }
        // So is what Git said before, where it has said something else meanwhile.
        if !self.is_steady_since(since_ms, app, key, pointer) {
            return;
        }
        // Where what a path is in is gone with it, that is what is put back, and the path itself is not fought over.
        let place = oracle::missing(before, pointer).unwrap_or(pointer).to_owned();
        let (replica, incarnation) = (effect.replica, effect.incarnation);
        let is_asked = Self::is_asked(facts, now);
        let corrected = self.corrections.entry((key.clone(), place)).or_default();
        corrected.push(Correction { at_ms: now, replica, incarnation, is_asked });
    }

    /// Whether every commit since then, and the one before them, says the same of a path.
    fn is_steady_since(&self, since_ms: u64, app: &str, key: &ResourceKey, pointer: &str) -> bool {
        let from = self.commits.iter().rposition(|commit| commit.at_ms <= since_ms).unwrap_or(0);
        let targets = self.commits.iter().skip(from).filter_map(|commit| commit.targets.get(app));
        let mut objects = targets.filter_map(|targets| targets.objects.get(key));
        let Some(first) = objects.next().map(|object| oracle::at(object, pointer)) else { return true };
        objects.all(|object| oracle::at(object, pointer) == first)
    }

    /// Whether Git has said the same of a path, or of an object as a whole, since the beginning.
    fn is_steady(&self, app: &str, key: &ResourceKey, pointer: Option<&str>) -> bool {
        let mut said = self.commits.iter().filter_map(|commit| commit.targets.get(app));
        let of = |object: &Arc<Value>| match pointer {
            Some(pointer) => oracle::at(object, pointer).cloned(),
            None => Some(Value::clone(object)),
        };
        let Some(first) = said.next().map(|targets| targets.objects.get(key).and_then(of)) else {
            return false;
        };
        first.is_some() && said.all(|targets| targets.objects.get(key).and_then(of) == first)
    }

    fn deletion(&mut self, effect: &Effect, before: &Value, app: &str, facts: &AppFacts, around: Around<'_>) {
        let (now, key) = (around.now_ms, &effect.key);
        self.count("effect: prune");
        if oracle::owner(key, before) != Some(app) {
            let message = format!("{key} does not carry the mark of {app} and was pruned");
            self.violate(Property::UntrackedUntouched, now, &key.to_string(), message);
        }
        if oracle::is_kept(before) {
            self.forbid(now, key, format!("{key} asks to be kept and was pruned"));
        }
        let policies = self.policies(facts, now);
        if !policies.iter().any(|policy| policy.prunes()) && !Self::is_asked(facts, now) {
            self.forbid(now, key, format!("{key} was pruned, and {app} does not prune"));
        }
        if !self.is_unwanted(app, key, around) {
            let message = format!("{key} was pruned, and no commit that is known whole does without it");
            self.forbid(now, key, message);
        }
        self.edits.retain(|(edited, _), _| edited != key);
    }

    /// Whether a commit that a controller may go by is complete and does without an object.
    fn is_unwanted(&self, app: &str, key: &ResourceKey, around: Around<'_>) -> bool {
        let reported = around.applications.get(app).and_then(|it| it.str_at(&["status", "sync", "revision"]));
        let from = self.commits.iter().rposition(|commit| Some(commit.id.as_str()) == reported).unwrap_or(0);
        let candidates = self.commits.iter().skip(from).filter_map(|commit| commit.targets.get(app));
        let mut complete = candidates.filter(|targets| targets.is_complete);
        complete.any(|targets| !targets.objects.contains_key(key))
    }
}
