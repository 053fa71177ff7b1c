//! What evaluation costs, as the reference implementation and an API server count it (`interpreter/runtimecost.go`,
//! `k8s.io/apiserver/pkg/cel/library/cost.go`), and where it ends.

use crate::value::Val;

/// What one expression may cost.
pub const EXPRESSION_LIMIT: u64 = 1_000_000;
/// What all expressions of one policy or one object may cost together.
pub const BUDGET: u64 = 10_000_000;
/// What the conditions under which one webhook or policy is asked may cost together.
pub const CONDITIONS_BUDGET: u64 = 2_500_000;

pub(crate) const LIST: u64 = 10;
pub(crate) const MAP: u64 = 30;
pub(crate) const STRUCT: u64 = 40;

/// A tenth of a size: texts are gone through that much faster than expressions.
fn tenth(size: u64) -> u64 {
    size.div_ceil(10)
}

fn regex_cost(text: &Val, pattern: &Val) -> u64 {
    tenth(text.size().saturating_add(1)).saturating_mul(pattern.size().div_ceil(4))
}

/// What one call costs.
pub(crate) fn of_call(function: &str, args: &[Val], result: &Val) -> u64 {
    let size = |index: usize| args.get(index).map_or(0, Val::size);
    let is_text = |index: usize| matches!(args.get(index), Some(Val::String(_) | Val::Bytes(_)));
    match function {
        "check" => 350_000,
        "fieldSelector" | "labelSelector" => 10 + tenth(size(1)) + size(1).div_ceil(2).saturating_mul(50),
        "isSorted" | "sum" | "max" | "min" => traversal(args.first()),
        "indexOf" | "lastIndexOf" => traversal(args.first()),
        "url"
        | "lowerAscii"
        | "upperAscii"
        | "substring"
        | "trim"
        | "jsonpatch.escapeKey"
        | "cidr"
        | "isIP"
        | "isCIDR" => tenth(size(0)),
        "ip" if is_text(0) => tenth(size(0)),
        "replace" | "split" => tenth(size(0).saturating_mul(2)),
        "ip.isCanonical" => tenth(size(0).saturating_mul(2)),
        "join" => tenth(result.size().saturating_mul(2)),
        "find" | "findAll" | "matches" => match args {
            [text, pattern, ..] => regex_cost(text, pattern),
            _ => 1,
        },
        "startsWith" | "endsWith" | "strings.quote" | "format" => tenth(size(0)),
        "bytes" | "string" if is_text(0) => tenth(size(0)),
        "@in" if matches!(args.get(1), Some(Val::List(_))) => size(1),
        "_==_" | "_!=_" => tenth(size(0).min(size(1))),
        "_<_" | "_<=_" | "_>_" | "_>=_" if is_text(0) => tenth(size(0).min(size(1))),
        "_+_" if is_text(0) => tenth(size(0).saturating_add(size(1))),
        "contains" => tenth(size(0)).saturating_mul(tenth(size(1))),
        "sets.contains" | "sets.intersects" => size(0).saturating_mul(size(1)).saturating_add(1),
        "sets.equivalent" => size(0).saturating_mul(size(1)).saturating_mul(2).saturating_add(1),
        "quantity" | "isQuantity" | "semver" | "isSemver" => tenth(size(0)),
        "distinct" | "sort" => compared_with_itself(args.first()),
        "@sortByAssociatedKeys" => compared_with_itself(args.get(1)),
        "flatten" => {
            let depth = match args.get(1) {
                Some(Val::Int(depth)) => u64::try_from(*depth).unwrap_or_default(),
                Some(_) | None => 1,
            };
            new_list(size(0).saturating_mul(depth))
        }
        "slice" | "reverse" | "lists.range" => new_list(result.size()),
        "containsIP" => addresses(args, 2),
        "containsCIDR" => addresses(args, 2).saturating_add(tenth(size(0))).saturating_add(1),
        "validate" => tenth(size(1).saturating_add(1)).saturating_mul(format_cost(args.first())),
        _ => 1,
    }
}

/// What it costs to compare addresses, of which the second may have to be read first.
fn addresses(args: &[Val], n_times: u64) -> u64 {
    let size = |index: usize| args.get(index).map_or(0, Val::size);
    let read = if matches!(args.get(1), Some(Val::String(_))) { tenth(size(1)) } else { 0 };
    tenth(size(0).saturating_mul(n_times)).saturating_add(read)
}

/// What the pattern of a format costs for each part of a text.
fn format_cost(format: Option<&Val>) -> u64 {
    let Some(Val::Format(name)) = format else { return 1 };
    let length: u64 = match name.trim_end_matches("Prefix") {
        "dns1123Label" | "dns1035Label" => 30,
        "dns1123Subdomain" | "qualifiedName" => 60,
        _ => 40,
    };
    length.div_ceil(4)
}

/// What it costs to go through a list with what its items hold.
fn traversal(value: Option<&Val>) -> u64 {
    let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX) / 10;
    match value {
        Some(Val::List(list)) => {
            list.items.iter().map(|item| traversal(Some(item))).fold(0, u64::saturating_add)
        }
        Some(Val::String(text)) => bytes(text.len()),
        Some(Val::Bytes(value)) => bytes(value.len()),
        Some(_) | None => 1,
    }
}

/// What it costs to make a list of a size.
fn new_list(work: u64) -> u64 {
    work.saturating_add(1 + LIST)
}

/// What it costs to compare every item of a list with every other; texts take a tenth longer.
fn compared_with_itself(value: Option<&Val>) -> u64 {
    let Some(Val::List(list)) = value else { return 1 };
    let count = u64::try_from(list.items.len()).unwrap_or(u64::MAX);
    let pairs = count.saturating_mul(count);
    let is_text = matches!(list.items.first(), Some(Val::String(_) | Val::Bytes(_)));
    let texts = if is_text { pairs / 10 } else { 0 };
    new_list(pairs.saturating_mul(2).saturating_add(texts))
}

/// Counts what an evaluation costs.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) spent: u64,
    limit: u64,
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { spent: 0, limit }
    }

    /// Counts; says whether the limit is passed.
    pub(crate) fn spend(&mut self, cost: u64) -> bool {
        self.spent = self.spent.saturating_add(cost);
        self.spent <= self.limit
    }
}
