//! What a server says that an apply would leave (a dry run's answer), beside what comparing found.
//!
//! Comparing predicts without the server. What the server alone knows (mutating admission, conversion, defaults in code)
//! shows in its answer: a finding that the answer leaves as it is live is none that applying could remove.

use trueup_merge::TypeRef;
use trueup_object::{FieldPath, FieldSet, ManagedFields, ManagedOperation, PathElement, Value};

use crate::compare::compare;
use crate::equal::{Mode, agree};
use crate::finding::{Channel, CompareInput, Finding, Moved};
use crate::mask::{Masked, Masks};
use crate::normalise::normalise;
use crate::place::follow;
use crate::seal::seal;

/// What the server would leave at the path of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foretold {
    pub value: Option<Masked>,
    /// It means the same as what is live.
    pub unchanged: bool,
}

/// Which of the server's further changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Further {
    /// Those in fields that the apply would own.
    Ours,
    /// Also those that mutating admission makes elsewhere.
    All,
}

/// The versions of an object, sealed and masked together: equal values have equal masks in all of them.
struct Told {
    live: Value,
    predicted: Value,
    masked_target: Masked,
    masked_predicted: Masked,
}

impl Told {
    fn new(input: &CompareInput<'_>, predicted: &Value) -> Self {
        let sealed = |object: &Value| seal(&normalise(object, input.status), input.ty, input.secrecy);
        let live = sealed(input.live);
        let predicted = sealed(predicted);
        let mut masks = Masks::default();
        // In the order in which comparing gives the masks out.
        let masked_target = masks.mask(&sealed(input.target));
        masks.mask(&live);
        if let Some(base) = input.base {
            masks.mask(&sealed(base));
        }
        let masked_predicted = masks.mask(&predicted);
        Self { live, predicted, masked_target, masked_predicted }
    }

    fn at(&self, path: &FieldPath, ty: TypeRef<'_>) -> Foretold {
        let live = follow(&self.live, path, ty);
        let predicted = follow(&self.predicted, path, ty);
        Foretold {
            unchanged: agree(predicted.value, live.value, &live.spot, Mode::Same),
            value: shown(&self.masked_predicted, path, ty),
        }
    }
}

fn shown(object: &Masked, path: &FieldPath, ty: TypeRef<'_>) -> Option<Masked> {
    follow(object, path, ty).value.cloned().map(Masked::of_masked)
}

/// What the server would leave at each finding, in their order.
pub fn foretold(input: &CompareInput<'_>, findings: &[Finding], predicted: &Value) -> Vec<Foretold> {
    if findings.is_empty() {
        return Vec::new();
    }
    let told = Told::new(input, predicted);
    findings.iter().map(|finding| told.at(&finding.path, input.ty)).collect()
}

/// What applying would change although no finding says so: values that the server would replace. Each with what the server
/// would leave.
pub fn unforeseen(
    input: &CompareInput<'_>,
    findings: &[Finding],
    predicted: &Value,
    further: Further,
) -> Vec<(Finding, Foretold)> {
    let managed = ManagedFields::of(predicted);
    let ours = managed.entries.iter().find(|entry| {
        entry.manager == *input.our_manager
            && entry.operation == ManagedOperation::Apply
            && entry.subresource.is_empty()
    });
    let is_told = |path: &FieldPath| match further {
        Further::All => true,
        Further::Ours => ours.is_some_and(|entry| owns(&entry.fields, path.elements())),
    };
    let known = |path: &FieldPath| {
        findings.iter().any(|finding| {
            finding.channel == Channel::Declared
                && (finding.path.starts_with(path) || path.starts_with(&finding.path))
        })
    };
    let compared = compare(&CompareInput { target: predicted, base: None, unowned: None, ..*input });
    let found: Vec<Finding> = compared
        .findings
        .into_iter()
        .filter(|it| it.channel == Channel::Declared && !it.pending_removal)
        .filter(|it| !known(&it.path) && is_told(&it.path))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    let told = Told::new(input, predicted);
    let found = found.into_iter().map(|finding| {
        let foretold = told.at(&finding.path, input.ty);
        let target = shown(&told.masked_target, &finding.path, input.ty);
        (Finding { target, base: None, moved: Moved::default(), ..finding }, foretold)
    });
    found.collect()
}

/// Whether a set has the path, something below it, or a value as a whole that it lies in.
fn owns(fields: &FieldSet, path: &[PathElement]) -> bool {
    let is_whole = |length: usize| {
        let part = path.get(..length).unwrap_or_default();
        let below = part.iter().try_fold(fields, |fields, element| fields.child(element));
        fields.contains(part) && below.is_none_or(FieldSet::is_empty)
    };
    fields.touches(path) || (1..path.len()).any(is_whole)
}
