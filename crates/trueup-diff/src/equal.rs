//! Semantic equality of values of a type.

use trueup_merge::TypeRef;
use trueup_object::Value;

use crate::absent::{asks_nothing, is_replaced, present, says_nothing};
use crate::align::Sides;
use crate::reference::refers_otherwise;
use crate::scalar;
use crate::spot::{Parts, Spot};

/// Whether two values of a type mean the same: list-maps and sets in any order, quantities, times and the like by what
/// they stand for, `null`, empty and zero as absent where they are.
pub fn equal(left: Option<&Value>, right: Option<&Value>, ty: TypeRef<'_>) -> bool {
    agree(left, right, &Spot::root(ty), Mode::Same)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Same,
    /// The right side may have more than the left one declares.
    Covers,
    /// The right side may have what the server writes by itself.
    Filled,
}

pub(crate) fn same(left: &Value, right: &Value, spot: &Spot<'_>) -> bool {
    agree(Some(left), Some(right), spot, Mode::Same)
}

pub(crate) fn agree(left: Option<&Value>, right: Option<&Value>, spot: &Spot<'_>, mode: Mode) -> bool {
    match (present(left), present(right)) {
        (None, None) => true,
        (Some(left), None) => asks_nothing(left, spot),
        (None, Some(right)) => match mode {
            Mode::Covers => true,
            Mode::Filled => says_nothing(right, spot),
            Mode::Same => asks_nothing(right, spot),
        },
        (Some(left), Some(right)) => left == right || agree_present(left, right, spot, mode),
    }
}

fn agree_present(left: &Value, right: &Value, spot: &Spot<'_>, mode: Mode) -> bool {
    let sides = Sides { target: Some(left), live: Some(right), base: None };
    match (spot.parts(left), spot.parts(right)) {
        (Parts::Scalar, Parts::Scalar) => {
            scalar::same(left, right, spot) || (mode != Mode::Same && is_replaced(left, right, spot))
        }
        (Parts::Map { .. }, Parts::Map { .. }) => sides
            .fields()
            .all(|(name, pair)| agree(pair.target, pair.live, &spot.child(name, Some(right)), mode)),
        (Parts::NamedList, Parts::NamedList) => {
            let items = sides.named_items(spot.ty);
            items.into_iter().all(|(_, pair)| agree(pair.target, pair.live, &spot.item(), mode))
                && !refers_otherwise(left, right, spot)
        }
        (Parts::AtomicList, Parts::AtomicList) if agree_in_any_order(left, right, spot, mode) => true,
        (Parts::AtomicList, Parts::AtomicList) => {
            left.as_list().map(<[Value]>::len) == right.as_list().map(<[Value]>::len)
                && sides
                    .indexed_items()
                    .into_iter()
                    .all(|(_, pair)| agree(pair.target, pair.live, &spot.item(), mode))
        }
        (Parts::Scalar | Parts::Map { .. } | Parts::NamedList | Parts::AtomicList, _) => false,
    }
}

/// Above this many items the order of a list counts after all: matching each with each is quadratic.
const UNORDERED_MAX: usize = 256;

/// Whether two lists in which order means nothing have the same items: an autoscaler's metrics, the subsets of Endpoints and what
/// is in them.
pub(crate) fn agree_in_any_order(left: &Value, right: &Value, spot: &Spot<'_>, mode: Mode) -> bool {
    let (Some(left), Some(right)) = (left.as_list(), right.as_list()) else { return false };
    if !is_unordered(spot) || left.len() != right.len() || left.len() > UNORDERED_MAX {
        return false;
    }
    let mut free: Vec<&Value> = right.iter().collect();
    left.iter().all(|item| {
        let found = free.iter().position(|other| agree(Some(item), Some(*other), &spot.item(), mode));
        found.map(|position| free.swap_remove(position)).is_some()
    })
}

/// Told by what the items are, since names alone are used by many kinds.
fn is_unordered(spot: &Spot<'_>) -> bool {
    let items_have = |field: &str| spot.ty.element().field(field).is_some_and(|field| field.declared);
    match spot.name {
        "metrics" => items_have("containerResource"),
        "subsets" => items_have("notReadyAddresses"),
        "addresses" | "notReadyAddresses" => spot.parent == "subsets" && items_have("ip"),
        "ports" => spot.parent == "subsets" && items_have("port"),
        _ => false,
    }
}
