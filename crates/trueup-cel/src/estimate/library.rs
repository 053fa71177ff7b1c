//! What calls of an API server's own functions cost, and of the extensions for lists and sets.

use super::calls::{Call, CallCost, written_number};
use super::{Estimator, ONE, Range};
use crate::cost::LIST;
use crate::kind::Type;

/// The longest name of a format, and the longest pattern of one.
const FORMAT_NAME_MAX: u64 = 64;
const FORMAT_PATTERN_MAX: f64 = 128.0;

/// Of the functions that have an estimate of their own.
pub(super) fn cost(estimator: &Estimator<'_>, call: &Call<'_, '_>) -> Option<CallCost> {
    lists(estimator, call)
        .or_else(|| texts(estimator, call))
        .or_else(|| parsed(estimator, call))
        .or_else(|| fixed(call))
}

/// A list is made anew.
fn made(factor: f64, size: Range) -> CallCost {
    CallCost::sized(size.scaled(factor).add(Range::fixed(1 + LIST)), size)
}

fn lists(estimator: &Estimator<'_>, call: &Call<'_, '_>) -> Option<CallCost> {
    let size = |argument| estimator.size_of(argument);
    match (call.function, call.target, call.args) {
        ("sets.contains" | "sets.intersects" | "sets.equivalent", _, [left, right]) => {
            let factor = if call.function == "sets.equivalent" { 2.0 } else { 1.0 };
            Some(CallCost::of(size(left).times(size(right)).scaled(factor).add(ONE)))
        }
        ("slice", Some(list), [start, end]) => {
            let start = written_number(start).unwrap_or_default();
            let end = written_number(end).unwrap_or(size(list).max);
            Some(made(1.0, Range::fixed(end.wrapping_sub(start))))
        }
        ("lists.range", None, [end]) => {
            Some(made(1.0, Range::fixed(written_number(end).unwrap_or(u64::MAX))))
        }
        ("reverse", Some(list), []) => Some(made(1.0, size(list))),
        ("flatten", Some(list), depth) => {
            let depth = depth.first().map_or(1, |depth| written_number(depth).unwrap_or(u64::MAX));
            Some(made(depth as f64, size(list)))
        }
        ("distinct", Some(list), []) => Some(made(2.0, size(list).times(size(list)))),
        ("sort", Some(list), []) => Some(sorted(size(list), call.first())),
        ("@sortByAssociatedKeys", Some(_), [keys]) => {
            Some(sorted(size(keys), call.form.args.get(1).unwrap_or(&Type::Dyn)))
        }
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(target), _) => {
            Some(CallCost::of(match estimator.items_of(target) {
                Some((Type::String | Type::Bytes, each)) => size(target).times(ONE.add(each.scaled(0.1))),
                Some(_) => size(target),
                None => size(target).scaled(0.1),
            }))
        }
        _ => None,
    }
}

/// Every item is compared with every other.
fn sorted(size: Range, list: &Type) -> CallCost {
    let is_text = matches!(list, Type::List(inner) if matches!(inner.as_ref(), Type::String | Type::Bytes));
    made(if is_text { 2.1 } else { 2.0 }, size.times(size))
}

fn texts(estimator: &Estimator<'_>, call: &Call<'_, '_>) -> Option<CallCost> {
    let size = |argument| estimator.size_of(argument);
    match (call.function, call.target, call.args) {
        ("url" | "jsonpatch.escapeKey", _, [text])
        | ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(text), _) => {
            Some(CallCost::sized(size(text).scaled(0.1), size(text)))
        }
        ("replace", Some(text), [from, to, ..]) => {
            Some(CallCost::sized(size(text).scaled(0.2), replaced(size(text), size(from), size(to))))
        }
        ("split", Some(text), args) => {
            let max = args.get(1).and_then(written_number).unwrap_or(size(text).max);
            Some(CallCost::sized(size(text).scaled(0.2), Range { min: 0, max }))
        }
        ("join", Some(list), args) => {
            let items = estimator.items_of(list);
            let mut joined = items.map_or(Range::fixed(0), |(_, each)| size(list).times(each));
            if let Some(separator) = args.first() {
                let count = size(list);
                let between = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
                joined = joined.add(size(separator).times(between));
            }
            Some(CallCost::sized(joined.scaled(0.1), joined))
        }
        ("find" | "findAll", Some(text), [pattern, ..]) => {
            let cost = size(text).add(ONE).scaled(0.1).times(size(pattern).scaled(0.25));
            Some(CallCost::sized(cost, Range { min: 0, max: size(text).max }))
        }
        _ => None,
    }
}

/// How long a text is after every occurrence of one part became another.
fn replaced(text: Range, from: Range, to: Range) -> Range {
    let times = |length: u64, part: u64| (length as f64 / part as f64).ceil() as u64;
    let (count_max, kept_max) = if from.min == 0 {
        (text.max.saturating_add(1), text.max)
    } else if to.max <= from.min {
        (0, text.max)
    } else {
        (times(text.max, from.min), 0)
    };
    let (count_min, kept_min) = if from.max == 0 {
        (text.min.saturating_add(1), text.min)
    } else if from.max <= to.min {
        (0, text.min)
    } else {
        (times(text.min, from.max), 0)
    };
    Range { min: count_min, max: count_max }.times(to).add(Range { min: kept_min, max: kept_max })
}

/// Texts that are read as something else, and what is compared of them.
fn parsed(estimator: &Estimator<'_>, call: &Call<'_, '_>) -> Option<CallCost> {
    let size = |argument| estimator.size_of(argument);
    let address = Range { min: 4, max: 16 };
    let is_text = |index: usize| call.form.args.get(index) == Some(&Type::String);
    let cost = match (call.function, call.target, call.args) {
        ("cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver", _, [text, ..])
        | ("ip", None, [text]) => size(text).scaled(0.1),
        ("ip.isCanonical", _, [text]) => size(text).scaled(0.2),
        ("containsIP", Some(_), [other]) => {
            let base = address.add(address).scaled(0.1);
            if is_text(1) { base.add(size(other).scaled(0.1)) } else { base }
        }
        ("containsCIDR", Some(_), [other]) => {
            let base = address.add(address).scaled(0.1).add(address.scaled(0.1)).add(ONE);
            if is_text(1) { base.add(size(other).scaled(0.1)) } else { base }
        }
        ("validate", Some(_), [text]) => size(text).scaled(0.1).scaled(FORMAT_PATTERN_MAX * 0.25),
        ("fieldSelector" | "labelSelector", Some(_), [text]) => {
            let length = size(text);
            Range::fixed(LIST).add(length.scaled(0.1)).add(length.scaled(0.5).scaled(50.0))
        }
        _ => return None,
    };
    Some(CallCost::of(cost))
}

fn fixed(call: &Call<'_, '_>) -> Option<CallCost> {
    let cost = match call.function {
        "check" => Range::fixed(350_000),
        "_==_" => match call.args {
            [left, right] if left.its == right.its => match &left.its {
                Type::Object(name) if name == "kubernetes.NamedFormat" => {
                    Range { min: 1, max: FORMAT_NAME_MAX }.scaled(0.1)
                }
                Type::Object(name) if name == "kubernetes.URL" => {
                    Range { min: 1, max: right.size.map_or(1, |size| size.max) }.scaled(0.1)
                }
                Type::Object(name) if is_small(name) => ONE,
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(CallCost::of(cost))
}

/// Types of the library whose values are compared at once.
fn is_small(name: &str) -> bool {
    matches!(name, "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver")
        || name.starts_with("kubernetes.authorization.")
}
