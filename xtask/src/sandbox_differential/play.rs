//! Plays one sequence in both worlds and holds them to each other after every request.

use anyhow::Result;
use trueup_dice::Dice;
use trueup_merge::{SchemaSet, TypeRef};
use trueup_object::Value;
use trueup_testkit::http::Reply;

use super::exceptions::Exceptions;
use super::request::{Request, Verb};
use super::same::{Difference, Sight, differences};
use super::world::{Answer, Stage, World};
use super::writer::Writer;
use crate::differential::kinds::Kind;
use crate::differential::play::repair;

/// Long enough for requests to build on each other.
const STEPS_MAX: usize = 9;

/// How often what chance made invalid is corrected before another request is made.
const REPAIRS_MAX: usize = 8;

/// Both worlds, and the types of all kinds.
pub struct Ground {
    pub real: World,
    pub ours: World,
    pub schemas: SchemaSet,
}

/// What one sequence showed.
#[derive(Default)]
pub struct Outcome {
    pub requests: Vec<Request>,
    pub refused: usize,
    pub failure: Option<Failure>,
    /// What chance made invalid without a name: what the control plane said of it, and the sandbox.
    pub chances: Vec<Chance>,
    pub exceptions: Exceptions,
    /// What both worlds agreed on after each request.
    pub agreed: Vec<Value>,
    /// A known difference made the objects unlike.
    pub ended: bool,
    pub n_events: usize,
}

/// Where the two worlds part.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The last of these is where they part; where it is the watches that do, all have been sent.
    pub requests: Vec<Request>,
    pub differences: Vec<Difference>,
    /// The answer of the control plane, its message or events.
    pub real: String,
    pub ours: String,
}

/// A request that the control plane refuses without its having been made for that.
#[derive(Debug, Clone)]
pub struct Chance {
    pub real: String,
    pub ours: String,
}

impl Outcome {
    fn is_over(&self) -> bool {
        self.failure.is_some() || self.ended
    }
}

/// Whether a difference is in what is said and not in what is.
fn is_of_words(path: &str) -> bool {
    [".body.message", ".body.details", ".warnings"].iter().any(|words| path.starts_with(words))
}

impl Ground {
    pub fn ty(&self, kind: &Kind) -> TypeRef<'_> {
        self.schemas.over(SchemaSet::builtin()).lookup(&kind.gvk).unwrap_or(TypeRef::untyped())
    }
}

/// A sequence under way.
struct Play<'g> {
    kind: &'g Kind,
    real: Stage<'g>,
    ours: Stage<'g>,
    sights: [Sight; 2],
    outcome: Outcome,
}

/// Where the requests of a sequence come from.
pub enum Source<'a> {
    Dice { dice: &'a mut Dice, ty: TypeRef<'a> },
    Given(&'a [Request]),
}

/// Plays a sequence about an object of a kind. `name` is what tells it from all others.
pub async fn play(
    ground: &Ground,
    kind: &Kind,
    name: &str,
    source: Source<'_>,
    exceptions: Exceptions,
) -> Result<Outcome> {
    let least = kind.least(name)?;
    let vary = versions_vary(kind);
    let mut play = Play {
        kind,
        real: Stage::new(&ground.real, kind, &least, name),
        ours: Stage::new(&ground.ours, kind, &least, name),
        sights: [Sight::new(name, vary), Sight::new(name, vary)],
        outcome: Outcome { exceptions, ..Outcome::default() },
    };
    let mut watches = [play.real.watch().await?, play.ours.watch().await?];
    match source {
        Source::Dice { dice, ty } => {
            let steps = 2 + dice.below(STEPS_MAX - 1);
            let mut writer = Writer { dice, kind, ty, least: least.clone(), applied: None };
            for _ in 0..steps {
                let request = writer.next(play.real.live.as_ref());
                let request = play.real.emptied(&request);
                if !allowed(kind, &request) {
                    continue;
                }
                play.step(request, true).await?;
                if play.outcome.is_over() {
                    break;
                }
            }
        }
        Source::Given(requests) => {
            for request in requests {
                play.step(request.clone(), false).await?;
                if play.outcome.is_over() {
                    break;
                }
            }
        }
    }
    play.real.clear().await?;
    play.ours.clear().await?;
    if play.outcome.is_over() {
        return Ok(play.outcome);
    }
    let mut events = Vec::new();
    let Play { real, ours, sights, .. } = &mut play;
    for ((stage, watch), sight) in [&*real, &*ours].into_iter().zip(&mut watches).zip(sights) {
        let told = stage.events(watch, &least).await?;
        let seen = told.into_iter().map(|event| sight.see(&own(kind, event))).collect();
        events.push(without_repeats(kind, seen));
    }
    play.real.clear().await?;
    play.ours.clear().await?;
    play.judge_events(&events);
    Ok(play.outcome)
}

/// The API server itself writes the status of these, at any time.
fn versions_vary(kind: &Kind) -> bool {
    matches!(kind.gvk.kind.as_str(), "CustomResourceDefinition" | "APIService")
}

/// Of what the server itself writes to, only what does not depend on when it does.
fn allowed(kind: &Kind, request: &Request) -> bool {
    let timed = request.body.contains("{{version}}") || request.body.contains("{{old-version}}");
    !versions_vary(kind) || !(timed || matches!(request.verb, Verb::Delete | Verb::DeleteSome))
}

/// An object or event without the status that the server itself writes.
fn own(kind: &Kind, mut value: Value) -> Value {
    if !versions_vary(kind) {
        return value;
    }
    if let Some(object) = value.get("object").cloned() {
        value.set_at(&["object"], kind.without_own_status(&object));
        return value;
    }
    kind.without_own_status(&value)
}

/// Where the server writes a status, the same object comes several times; and who lets go of a deleted one first, the server or
/// the end of the sequence, is chance.
fn without_repeats(kind: &Kind, mut events: Vec<Value>) -> Vec<Value> {
    if versions_vary(kind) {
        let is_deleted = |event: &Value| event.at(&["object", "metadata", "deletionTimestamp"]).is_some();
        if let Some(first) = events.iter().position(is_deleted) {
            events.truncate(first + 1);
        }
        events.dedup_by(|later, earlier| later.get("object") == earlier.get("object"));
    }
    events
}

impl Play<'_> {
    /// Sends a request to both worlds and judges. With `repairs`, what chance made invalid is counted and mended first.
    async fn step(&mut self, mut request: Request, repairs: bool) -> Result<()> {
        let mut answer = self.real.send(&request).await?;
        if repairs && request.flaw.is_empty() {
            let mut left = REPAIRS_MAX;
            while is_chance(&answer) {
                self.count_chance(&request, &answer).await?;
                left -= 1;
                if left == 0 || !mend(&mut request, &answer) {
                    return Ok(());
                }
                answer = self.real.send(&request).await?;
            }
        }
        let theirs = self.ours.send(&request).await?;
        let objects = [self.real.read().await?, self.ours.read().await?];
        self.outcome.refused += usize::from(answer.is_refusal());
        self.outcome.requests.push(request.clone());
        self.judge([&answer, &theirs], objects, &request);
        Ok(())
    }

    fn judge(&mut self, answers: [&Answer; 2], objects: [Option<Value>; 2], request: &Request) {
        let [real, ours] = [0, 1].map(|side| {
            let sight = &mut self.sights[side];
            let mut answer = answers[side].clone();
            answer.body = own(self.kind, answer.body);
            let mut seen = sight.answer(&answer);
            if let Some(object) = &objects[side] {
                seen.set_at(&["object"], sight.see(&own(self.kind, object.clone())));
            }
            seen
        });
        if self.sights[0].compared && self.outcome.exceptions.hides_comparisons() {
            self.outcome.exceptions.met_comparison();
        }
        let mut found = differences(&real, &ours);
        // The object after a write that answers with it says it a second time.
        if found.iter().any(|difference| difference.path.starts_with(".body")) {
            found.retain(|difference| !difference.path.starts_with(".object"));
        }
        let kind = self.kind.gvk.kind.as_str();
        let (all, differs) = (found.len(), found.iter().any(|difference| !is_of_words(&difference.path)));
        found.retain(|difference| !self.outcome.exceptions.excuse(kind, request, difference));
        // What is known to differ in objects is not followed any further.
        self.outcome.ended = differs && found.is_empty();
        let excused = found.len() < all;
        if found.is_empty() {
            // Where they are known to differ there is nothing that both say.
            self.outcome.agreed.push(if excused { Value::Null } else { real });
            return;
        }
        let shown = |answer: &Answer| format!("{} {}", answer.code, answer.message());
        self.outcome.failure = Some(Failure {
            requests: self.outcome.requests.clone(),
            differences: found,
            real: shown(answers[0]),
            ours: shown(answers[1]),
        });
    }

    fn judge_events(&mut self, events: &[Vec<Value>]) {
        let [real, ours] = events else { return };
        self.outcome.n_events = real.len();
        let types = |events: &[Value]| {
            let of = |event: &Value| {
                let version = event.str_at(&["object", "metadata", "resourceVersion"]).unwrap_or_default();
                format!("{} {version}", event.str_at(&["type"]).unwrap_or_default())
            };
            events.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        let mut found = differences(&Value::List(real.clone()), &Value::List(ours.clone()));
        for difference in &mut found {
            difference.path = format!(".events{}", difference.path);
        }
        let kind = self.kind.gvk.kind.as_str();
        let last = self.outcome.requests.last().cloned();
        if let Some(last) = last {
            found.retain(|difference| !self.outcome.exceptions.excuse(kind, &last, difference));
        }
        if !found.is_empty() {
            self.outcome.failure = Some(Failure {
                requests: self.outcome.requests.clone(),
                differences: found,
                real: types(real),
                ours: types(ours),
            });
        }
    }

    /// What the sandbox would say of the same: only tried, since the worlds must stay alike.
    async fn count_chance(&mut self, request: &Request, answer: &Answer) -> Result<()> {
        let mut tried = request.clone();
        if !tried.query.contains("dryRun") {
            tried.add_query("dryRun=All");
        }
        let theirs = self.ours.send(&tried).await?;
        let said = |answer: &Answer, sight: &mut Sight| {
            let message = sight.see(&Value::from(answer.message()));
            format!("{} {}", answer.code, message.as_str().unwrap_or_default())
        };
        let [first, second] = &mut self.sights;
        self.outcome.chances.push(Chance { real: said(answer, first), ours: said(&theirs, second) });
        Ok(())
    }
}

/// Whether a refusal is for what is in the object, and not for what the world is like.
fn is_chance(answer: &Answer) -> bool {
    matches!(answer.code, 400 | 403 | 422 | 500 | 599)
}

/// Takes out of a whole object what the answer complains about.
fn mend(request: &mut Request, answer: &Answer) -> bool {
    if !matches!(request.verb, Verb::Create | Verb::Put | Verb::Apply) {
        return false;
    }
    let Ok(mut object) = Value::from_json(request.body.as_bytes()) else { return false };
    let reply = Reply { code: answer.code, body: answer.body.to_json().into(), warnings: Vec::new() };
    let mended = repair(&mut object, &reply);
    request.body = object.to_json();
    mended
}
