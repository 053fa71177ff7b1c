//! The result of a comparison as a document: every object with its differences and notes, completed with what the
//! controller's DriftReport knows. `docs/schema/comparison.schema.json` is its JSON Schema.

use trueup_api::difference::Difference;
use trueup_api::drift_report::{DriftReport, ReportedDifference};
use trueup_engine::look::{ObjectComparison, Presence};
use trueup_engine::status::SyncStatus;
use trueup_object::{FieldPath, Gvk, JsonPointer, Map, ResourceKey, Text, Value};

use super::view::View;

/// What of a comparison is asked for besides what counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// Both sides of every object as a whole.
    pub full: bool,
    /// What rules hide, among the notes.
    pub ignored: bool,
}

/// A comparison, as shown.
pub struct Document {
    pub status: SyncStatus,
    pub origin: Text,
    pub objects: Vec<ObjectDocument>,
}

/// One object of it.
pub struct ObjectDocument {
    pub key: ResourceKey,
    pub gvk: Gvk,
    pub status: SyncStatus,
    pub problem: Option<(String, String)>,
    pub differences: Vec<Difference>,
    pub notes: Vec<Difference>,
    /// The live object and what an apply would leave, where they are asked for; masked.
    pub full: Option<(Value, Value)>,
}

impl Document {
    /// What one look found, with what only a memory can tell taken from the report: origins, what was there before,
    /// and additions that nobody owns.
    pub fn new(view: &View<'_>, report: Option<&DriftReport>, extent: Extent) -> Self {
        let comparison = view.comparison;
        let objects: Vec<ObjectDocument> = comparison
            .objects
            .iter()
            .map(|object| ObjectDocument::new(object, view, report, extent))
            .collect();
        let counted = comparison.objects.iter().zip(&objects).filter(|(object, _)| object.counts);
        let any = |wanted: SyncStatus| counted.clone().any(|(_, shown)| shown.status == wanted);
        let status = if any(SyncStatus::OutOfSync) {
            SyncStatus::OutOfSync
        } else if comparison.status == SyncStatus::Unknown {
            // Some object is, or the targets or a listing are incomplete.
            SyncStatus::Unknown
        } else {
            SyncStatus::Synced
        };
        let origin = origin(status, &objects);
        Self { status, origin, objects }
    }

    pub fn differing(&self) -> impl Iterator<Item = &ObjectDocument> {
        self.objects.iter().filter(|object| object.status != SyncStatus::Synced)
    }

    pub fn to_value(&self) -> Value {
        let objects = self.objects.iter().map(ObjectDocument::to_value).collect();
        let mut value = Value::default();
        value.set_at(&["status"], self.status.as_str().into());
        value.set_at(&["origin"], self.origin.clone().into());
        value.set_at(&["objects"], Value::List(objects));
        value
    }
}

/// `none` when Synced, one word when all agree, `both` when they do not (contracts: "A difference").
fn origin(status: SyncStatus, objects: &[ObjectDocument]) -> Text {
    let mut words = objects.iter().flat_map(|object| &object.differences).map(|it| it.origin.as_deref());
    let first = match (status, words.next()) {
        (SyncStatus::Synced, _) => return Text::from("none"),
        (SyncStatus::OutOfSync | SyncStatus::Unknown, None) => return Text::from("unknown"),
        (SyncStatus::OutOfSync | SyncStatus::Unknown, Some(first)) => first.unwrap_or("unknown"),
    };
    let mut result = first;
    for word in words {
        let word = word.unwrap_or("unknown");
        if word == "both" || (word != result && word != "unknown" && result != "unknown") {
            return Text::from("both");
        }
        if result == "unknown" {
            result = word;
        }
    }
    Text::from(result)
}

impl ObjectDocument {
    fn new(object: &ObjectComparison, view: &View<'_>, report: Option<&DriftReport>, extent: Extent) -> Self {
        let mut shown = Self {
            key: object.key.clone(),
            gvk: object.gvk.clone(),
            status: object.status,
            problem: object.problem.as_ref().map(|it| (it.message.clone(), it.remedy.clone())),
            differences: object.differences.iter().map(seen_now).collect(),
            notes: object.notes.iter().map(seen_now).collect(),
            full: extent.full.then(|| view.full(&object.key, &object.gvk)),
        };
        if let Some(report) = report
            && shown.problem.is_none()
            && object.presence != Presence::Unobserved
        {
            shown.complete(report, view);
            shown.status =
                if shown.differences.is_empty() { SyncStatus::Synced } else { SyncStatus::OutOfSync };
        }
        if extent.ignored {
            shown.notes.extend(object.ignored.iter().map(seen_now));
        }
        if view.is_structural(&object.gvk, object.presence) {
            let (message, remedy) = structural(&object.gvk);
            shown.problem = Some(match shown.problem.take() {
                None => (message, remedy),
                Some((why, what)) => (format!("{why}; {message}"), format!("{what}; {remedy}")),
            });
        }
        shown
    }

    fn complete(&mut self, report: &DriftReport, view: &View<'_>) {
        let of_object = |list: &[ReportedDifference]| -> Vec<Difference> {
            let own = list.iter().filter(|reported| reported.object == self.key);
            own.map(|reported| reported.difference.clone()).collect()
        };
        let (counted, noted) = (of_object(&report.differences), of_object(&report.notes));
        let (mut differences, mut notes) = (Vec::new(), Vec::new());
        for found in self.differences.drain(..) {
            match (known(&counted, &found), known(&noted, &found)) {
                (Some(reported), _) => differences.push(completed(found, reported)),
                // It was there when the object was first synced, which only the report knows.
                (None, Some(reported)) => notes.push(completed(found, reported)),
                (None, None) => differences.push(found),
            }
        }
        for found in self.notes.drain(..) {
            match known(&counted, &found) {
                Some(reported) => differences.push(completed(found, reported)),
                None => notes.push(found),
            }
        }
        let target = view.targets.targets.get(&self.key).map(|target| &*target.object);
        let object = view.live.objects.get(&self.key).map(|live| &*live.object);
        for (reported, into) in [(counted, &mut differences), (noted, &mut notes)] {
            for difference in reported {
                // Nobody owns it, so that no look without a memory finds it.
                if difference.channel == "unowned"
                    && still_stands(&difference, object)
                    && is_undeclared(&difference, target)
                    && !into.iter().any(|found: &Difference| found.id == difference.id)
                {
                    into.push(difference);
                }
            }
        }
        self.differences = differences;
        self.notes = notes;
    }

    pub fn to_value(&self) -> Value {
        let Self { key, gvk, status, problem, differences, notes, full } = self;
        let problem = problem.as_ref().map(|(message, remedy)| {
            let entries = [("message", message.as_str().into()), ("remedy", remedy.as_str().into())];
            Value::Map(entries.into_iter().collect::<Map>())
        });
        let list = |list: &[Difference]| Value::List(list.iter().map(Difference::to_value).collect());
        let entries = [
            ("group", gvk.group.clone().into()),
            ("version", gvk.version.clone().into()),
            ("kind", gvk.kind.clone().into()),
            ("namespace", key.namespace.clone().into()),
            ("name", key.name.clone().into()),
            ("status", status.as_str().into()),
            ("problem", problem.unwrap_or_default()),
            ("differences", list(differences)),
            ("notes", list(notes)),
        ];
        let mut value = Value::Map(entries.into_iter().collect());
        if let Some((live, predicted)) = full {
            value.set_at(&["normalizedLive"], live.clone());
            value.set_at(&["predictedLive"], predicted.clone());
        }
        value
    }
}

/// What is said of an object whose kind nothing describes: which lists have keys, and what is a quantity, is then a
/// guess.
fn structural(gvk: &Gvk) -> (String, String) {
    (
        trueup_engine::look::by_structure(gvk),
        "give one: its CustomResourceDefinition among the files, --schema, or a cluster that serves the kind"
            .to_owned(),
    )
}

/// A command sees everything for the first time, which says nothing about when it began.
fn seen_now(found: &trueup_engine::difference::Difference) -> Difference {
    Difference { first_seen: None, ..Difference::from(found) }
}

/// The same difference in the report, with the same value: a later change is another story.
fn known<'a>(reported: &'a [Difference], found: &Difference) -> Option<&'a Difference> {
    reported.iter().find(|reported| {
        reported.id == found.id && reported.target == found.target && reported.live == found.live
    })
}

fn completed(found: Difference, reported: &Difference) -> Difference {
    Difference {
        origin: reported.origin.clone(),
        base: reported.base.clone(),
        class: reported.class.clone(),
        confidence: reported.confidence.clone(),
        manager: reported.manager.clone(),
        operation: reported.operation.clone(),
        subresource: reported.subresource.clone(),
        time: reported.time.clone(),
        user: reported.user.clone(),
        first_seen: reported.first_seen.clone(),
        inherited: reported.inherited,
        verdict: reported.verdict.clone(),
        message: found.message.clone().or_else(|| reported.message.clone()),
        ..found
    }
}

/// What of a report also holds where another revision or a folder is compared: what nobody owns was changed since the last
/// sync, whatever is compared with. Who moved the rest was found against the Application's own revision.
pub fn of_any_revision(mut report: DriftReport) -> DriftReport {
    let is_unowned = |reported: &ReportedDifference| reported.difference.channel == "unowned";
    report.differences.retain(is_unowned);
    report.notes.retain(is_unowned);
    report
}

/// Whether the target that is compared leaves out what nobody owned: else comparing has judged it.
fn is_undeclared(difference: &Difference, target: Option<&Value>) -> bool {
    let path = difference.path.as_deref().and_then(|text| FieldPath::parse(text).ok());
    path.zip(target).is_some_and(|(path, target)| path.get_in(target).is_none())
}

/// Whether live still has the value that was reported. A masked value tells nothing and is believed.
fn still_stands(difference: &Difference, object: Option<&Value>) -> bool {
    let pointer = difference.pointer.as_deref().and_then(|text| JsonPointer::parse(text).ok());
    let Some((pointer, object)) = pointer.zip(object) else { return false };
    match (pointer.get(object), &difference.live) {
        (Some(live), Some(reported)) => {
            live == reported || reported.as_str().is_some_and(|text| text.starts_with('+'))
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => false,
    }
}
