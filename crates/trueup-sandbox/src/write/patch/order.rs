//! The order of a list after a strategic merge: what the patch lists keeps the patch's order, what only the server has
//! keeps the live order, and the two are interleaved by the live order as well as can be.

use trueup_object::Value;

/// Splits a list into the items that `by` has too, and the rest.
pub fn partition(items: Vec<Value>, by: &[Value], merge_key: Option<&str>) -> (Vec<Value>, Vec<Value>) {
    items.into_iter().partition(|item| position(by, item, merge_key).is_some())
}

/// Brings both halves into order and interleaves them.
pub fn normalize_order(
    mut listed: Vec<Value>,
    mut server_only: Vec<Value>,
    listed_order: &[Value],
    live_order: &[Value],
    merge_key: Option<&str>,
) -> Vec<Value> {
    listed.sort_by_key(|item| position(listed_order, item, merge_key).unwrap_or(usize::MAX));
    server_only.sort_by_key(|item| position(live_order, item, merge_key).unwrap_or(usize::MAX));
    interleave(server_only, listed, live_order, merge_key)
}

/// Takes from `left` while its next item stands before that of `right` in the live order.
fn interleave(
    left: Vec<Value>,
    right: Vec<Value>,
    live_order: &[Value],
    merge_key: Option<&str>,
) -> Vec<Value> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let first_at = position(live_order, first, merge_key);
        let second_at = position(live_order, second, merge_key);
        let left_is_next = matches!((first_at, second_at), (Some(one), Some(other)) if one < other);
        merged.extend(if left_is_next { left.next() } else { right.next() });
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

fn position(items: &[Value], item: &Value, merge_key: Option<&str>) -> Option<usize> {
    match merge_key {
        None => items.iter().position(|candidate| candidate == item),
        Some(key) => {
            let value = item.get(key);
            items.iter().position(|candidate| candidate.get(key) == value)
        }
    }
}
