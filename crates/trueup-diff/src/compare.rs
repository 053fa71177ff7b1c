//! Compares one object with what Git declares.

use std::borrow::Cow;

use trueup_object::secret::{is_secret, sensitive_parts};
use trueup_object::{FieldPath, JsonPointer, PathElement, ResourceKey, Value, is_sensitive_name};

use crate::absent::{asks_nothing, present, says_nothing};
use crate::align::Sides;
use crate::equal::{Mode, agree};
use crate::finding::{Change, CompareInput, Comparison, Finding, Moved};
use crate::ignore::{Hidden, Hides, without_hidden};
use crate::mask::{Masked, Masks};
use crate::normalise::{in_form, normalise};
use crate::owners::{Owner, Owners};
use crate::place::{Place, follow};
use crate::scalar::looks_equal;
use crate::seal::{holds_seal, is_open, seal};
use crate::unowned;
use crate::walk::{Found, Unowned, Walk};

/// Compares live with target: what Git declares and live has not or has otherwise, what applying would remove, and what
/// others added.
///
/// A difference is always a path; equal objects give nothing.
pub fn compare(input: &CompareInput<'_>) -> Comparison {
    let target = in_form(input.target);
    let live = in_form(input.live);
    let base = input.base.map(in_form);
    let sides = Sides { target: Some(&target), live: Some(&live), base: base.as_deref() };
    let owners = Owners { managed: input.managed, ours: input.our_manager, schema_known: input.schema_known };
    let mut walk = Walk::new(owners, Unowned::Judge(input.unowned), input.secrecy.key);
    walk.status = input.status;
    walk.base_known = base.is_some();
    walk.object(sides, input.ty);

    let key = if input.ignore.is_empty() {
        None
    } else {
        ResourceKey::of(&live).or_else(|| ResourceKey::of(&target))
    };
    let mut comparison = Comparison::default();
    let mut rules = Vec::new();
    for (index, rule) in input.ignore.iter().enumerate() {
        let applies = key.as_ref().is_some_and(|key| rule.matches(key));
        let hides = if applies { rule.hides(&target, &live, input.managed) } else { Hides::default() };
        comparison.rule_matches.push(hides.matches);
        comparison.rule_failures.extend(hides.failure.clone().map(|failure| (index, failure)));
        comparison.hidden.add(&hides.places);
        if applies {
            rules.push((index, hides));
        }
    }
    if !walk.found.is_empty() {
        let report = Report::new(input, sides, rules, &comparison.hidden, &walk.found);
        let (doubtful, certain) = walk.found.into_iter().partition(|found| found.untold);
        let findings = report.findings(certain);
        let mut untold = report.findings(doubtful);
        untold.retain(|finding| finding.ignored_by.is_none());
        (comparison.findings, comparison.untold) = (findings, untold);
    }
    comparison
}

/// The three versions of an object in one form each.
struct Versions<T> {
    target: T,
    live: T,
    base: Option<T>,
}

/// What is needed to tell of a difference.
struct Report<'a> {
    input: &'a CompareInput<'a>,
    sides: Sides<'a>,
    rules: Vec<(usize, Hides)>,
    /// What all of the rules hide together.
    hidden: &'a Hidden,
    /// And in the base.
    hidden_base: Vec<JsonPointer>,
    sealed: Versions<Cow<'a, Value>>,
    /// `None` where nothing is sensitive: what is sealed is what is shown then.
    masked: Option<Versions<Masked>>,
}

impl<'a> Report<'a> {
    fn new(
        input: &'a CompareInput<'a>,
        sides: Sides<'a>,
        rules: Vec<(usize, Hides)>,
        hidden: &'a Hidden,
        found: &[Found],
    ) -> Self {
        if !input.status
            && let Some(open) = open(sides, input, hidden, found)
        {
            return Self { input, sides, rules, hidden, hidden_base: Vec::new(), sealed: open, masked: None };
        }
        let seal = |object: &Value| seal(&normalise(object, input.status), input.ty, input.secrecy);
        let sealed =
            Versions { target: seal(input.target), live: seal(input.live), base: input.base.map(seal) };
        let mut masks = Masks::default();
        let masked = Versions {
            target: masks.mask(&sealed.target),
            live: masks.mask(&sealed.live),
            base: sealed.base.as_ref().map(|base| masks.mask(base)),
        };
        let hidden_base = match &sealed.base {
            Some(base) if !hidden.is_empty() => {
                input.ignore.iter().flat_map(|rule| rule.places(base)).collect()
            }
            Some(_) | None => Vec::new(),
        };
        let sealed = Versions {
            target: Cow::Owned(sealed.target),
            live: Cow::Owned(sealed.live),
            base: sealed.base.map(Cow::Owned),
        };
        Self { input, sides, rules, hidden, hidden_base, sealed, masked: Some(masked) }
    }

    fn findings(&self, found: Vec<Found>) -> Vec<Finding> {
        let mut findings: Vec<Finding> = found.into_iter().map(|found| self.finding(found)).collect();
        findings.sort_by(|left, right| (&left.path, left.channel).cmp(&(&right.path, right.channel)));
        findings.dedup_by(|later, first| later.path == first.path && later.channel == first.channel);
        findings
    }

    fn finding(&self, found: Found) -> Finding {
        let Found { channel, mut change, path: found_path, leaves, owners, ours, pending_removal, untold: _ } =
            found;
        let leaves: Vec<FieldPath> = leaves.into_iter().map(|leaf| self.without_sealed_names(leaf)).collect();
        let moved = self.moved(&leaves);
        let path = self.without_sealed_names(found_path.clone());
        let ty = self.input.ty;
        let live = follow(&self.sealed.live, &path, ty);
        let target = follow(&self.sealed.target, &path, ty);
        let base = self.sealed.base.as_deref().map(|base| follow(base, &path, ty));
        let base = base.as_ref().and_then(|place| place.value);
        if path != found_path && live.value.is_some() && target.value.is_some() {
            change = Change::Changed;
        }
        let same_amount = match (live.value, target.value) {
            (Some(live_value), Some(target)) => !live.spot.in_free_map() && looks_equal(target, live_value),
            (_, _) => false,
        };
        let sensitive = [live.value, target.value, base].into_iter().flatten().any(holds_seal);
        let ignored_by = self.ignored_by(&target, &live, &owners, ours);
        let pointer = match (present(live.value), present(target.value)) {
            (None, Some(_)) => self.pointer_into_target(target.pointer),
            (Some(_), _) | (None, None) => live.pointer,
        };
        let shown = |object: &Value| follow(object, &path, ty).value.cloned().map(Masked::of_masked);
        let [shown_target, shown_live, shown_base] = match &self.masked {
            Some(masked) => [
                shown(&masked.target),
                shown(&masked.live),
                masked.base.as_ref().and_then(|base| shown(base)),
            ],
            None => [target.value, live.value, base].map(|value| value.cloned().map(Masked::of_masked)),
        };
        Finding {
            channel,
            pointer: pointer.to_string(),
            change,
            target: shown_target,
            live: shown_live,
            base: shown_base,
            pending_removal,
            owners,
            ours,
            moved,
            ignored_by,
            sensitive,
            same_amount,
            path,
        }
    }

    /// `stringData` was compared as `data`; a pointer into the target leads to where Git has it.
    fn pointer_into_target(&self, pointer: JsonPointer) -> JsonPointer {
        if let [data, name] = pointer.tokens()
            && data == "data"
            && is_secret(self.input.target)
            && self.input.target.at(&["stringData", name]).is_some()
        {
            return JsonPointer::new(vec!["stringData".into(), name.clone()]);
        }
        pointer
    }

    /// Items of a set are named by their value, those of a list-map by their keys; where such a name is sensitive, the
    /// list is the path.
    fn without_sealed_names(&self, path: FieldPath) -> FieldPath {
        let elements = path.elements();
        let tells = |element: &PathElement| match element {
            PathElement::Value(_) => true,
            PathElement::Key(keys) => keys.iter().any(|(name, value)| {
                is_secret(self.input.target)
                    || is_sensitive_name(name)
                    || value.as_str().is_some_and(|text| !sensitive_parts(text).is_empty())
            }),
            PathElement::Field(_) | PathElement::Index(_) => false,
        };
        let Some(telling) = elements.iter().position(tells) else { return path };
        let list = FieldPath::new(elements.iter().take(telling).cloned().collect());
        if self.masked.is_none() {
            return path;
        }
        let Versions { target, live, base } = &self.sealed;
        let sealed = [Some(&**target), Some(&**live), base.as_deref()];
        let is_sealed = |object: &Value| follow(object, &list, self.input.ty).value.is_some_and(holds_seal);
        if sealed.into_iter().flatten().any(is_sealed) { list } else { path }
    }

    /// Whether the values of these paths left what was last synced, on each side.
    fn moved(&self, paths: &[FieldPath]) -> Moved {
        let Some(base) = self.sealed.base.as_deref() else { return Moved::default() };
        let mut git = false;
        let mut cluster = false;
        for path in paths {
            let path = self.comparable(path, base);
            let base = follow(base, &path, self.input.ty);
            let target = follow(&self.sealed.target, &path, self.input.ty);
            let live = follow(&self.sealed.live, &path, self.input.ty);
            // What is hidden has not moved, whatever became of it.
            let of_base = shown_of(&base, &self.hidden_base);
            let (of_base, base) = (of_base.as_ref().or(base.value), base.value);
            let of_target = shown_of(&target, &self.hidden.target);
            let of_live = shown_of(&live, &self.hidden.live);
            git |= !agree(of_target.as_ref().or(target.value), of_base, &target.spot, Mode::Same);
            cluster |= match (present(of_base), present(of_live.as_ref().or(live.value))) {
                (Some(base), live_value) => !agree(Some(base), live_value, &live.spot, Mode::Covers),
                // A declared `null` is nothing; what is hidden of base is something.
                (None, Some(value)) if present(base).is_none() => !self.was_there(value, &live, &path),
                (None, Some(_) | None) => false,
            };
        }
        Moved { git: Some(git), cluster: Some(cluster) }
    }

    /// Whether live had this value right after our last sync, although Git did not declare it.
    fn was_there(&self, value: &Value, live: &Place<'_>, path: &FieldPath) -> bool {
        if says_nothing(value, &live.spot) || asks_nothing(value, &live.spot) {
            return true;
        }
        let raw = self.sides.live.and_then(|object| follow(object, path, self.input.ty).value);
        self.input
            .unowned
            .zip(raw)
            .is_some_and(|(table, raw)| table.contains(unowned::entry(path, raw, self.input.secrecy.key)))
    }

    /// The path, or that of the first list on it that is compared by index and of which base has another number of
    /// items: no item of base then stands for the one at the index.
    fn comparable(&self, path: &FieldPath, base: &Value) -> FieldPath {
        let length = |object: &Value, list: &FieldPath| {
            follow(object, list, self.input.ty).value.and_then(Value::as_list).map(<[Value]>::len)
        };
        let mut list = FieldPath::root();
        for element in path.elements() {
            if matches!(element, PathElement::Index(_))
                && length(base, &list) != length(&self.sealed.live, &list)
            {
                return list;
            }
            list.push(element.clone());
        }
        list
    }

    /// The first rule that hides the place, or what differs in it; where only several do together, the first of them.
    fn ignored_by(
        &self,
        target: &Place<'_>,
        live: &Place<'_>,
        owners: &[Owner],
        ours: bool,
    ) -> Option<usize> {
        let us = ours.then_some(self.input.our_manager.as_str());
        let managers = || owners.iter().map(|owner| owner.manager.as_str()).chain(us);
        let alone = self.rules.iter().find(|(_, hides)| {
            hides.owned_by(managers()) || hides_difference(&hides.places, target, live) == Hiding::All
        });
        let together = || {
            let part = |hides: &Hides| hides_difference(&hides.places, target, live) != Hiding::Nothing;
            let all = self.rules.len() > 1 && hides_difference(self.hidden, target, live) == Hiding::All;
            self.rules.iter().find(|(_, hides)| all && part(hides))
        };
        alone.or_else(together).map(|(index, _)| *index)
    }
}

/// The versions as they are, where nothing has to be sealed, taken away or hidden for what was found.
fn open<'a>(
    sides: Sides<'a>,
    input: &CompareInput<'_>,
    hidden: &Hidden,
    found: &[Found],
) -> Option<Versions<Cow<'a, Value>>> {
    // What is never compared lies beside these in `metadata`, in its labels and in its annotations.
    let shows_more = |found: &Found| {
        let is_high = |path: &FieldPath| path.elements().len() <= 2 && path.starts_with_fields(&["metadata"]);
        found.path.is_root() || is_high(&found.path) || found.leaves.iter().any(is_high)
    };
    if !hidden.is_empty() || found.iter().any(shows_more) {
        return None;
    }
    let all = [sides.target, sides.live, sides.base];
    // What is in other fields is neither shown nor asked for.
    let is_told = |name: &str| {
        let is_there = |path: &FieldPath| path.starts_with_fields(&[name]);
        found.iter().any(|found| is_there(&found.path) || found.leaves.iter().any(is_there))
    };
    let is_open = all.into_iter().flatten().all(|object| is_open(object, input.ty, input.secrecy, &is_told));
    is_open.then_some(Versions {
        target: Cow::Borrowed(sides.target?),
        live: Cow::Borrowed(sides.live?),
        base: sides.base.map(Cow::Borrowed),
    })
}

/// How much of a difference some places hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hiding {
    Nothing,
    Part,
    All,
}

fn hides_difference(hidden: &Hidden, target: &Place<'_>, live: &Place<'_>) -> Hiding {
    if hidden.is_empty() {
        return Hiding::Nothing;
    }
    if hidden.covers(&target.pointer, &live.pointer) {
        return Hiding::All;
    }
    let (target_rest, live_rest) = (shown_of(target, &hidden.target), shown_of(live, &hidden.live));
    if target_rest.is_none() && live_rest.is_none() {
        return Hiding::Nothing;
    }
    let target_value = target_rest.as_ref().or(target.value);
    let live_value = live_rest.as_ref().or(live.value);
    let same = agree(target_value, live_value, &live.spot, Mode::Same)
        || live_value.is_some_and(|live| says_nothing(live, &target.spot)) && target_value.is_none();
    if same { Hiding::All } else { Hiding::Part }
}

/// What a place has without what is hidden of it; `None` where nothing of it is.
fn shown_of(place: &Place<'_>, hidden: &[JsonPointer]) -> Option<Value> {
    place.value.and_then(|value| without_hidden(value, &place.pointer, hidden))
}
