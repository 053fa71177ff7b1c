//! Where the order of environment variables means something: Kubernetes expands `$(NAME)` in a value only with variables
//! that stand before it in their list, and else leaves the text as it is.
//!
//! `env` is a list-map, so a server keeps whatever order it was given, and mostly that order is nobody's concern. It is told
//! only where it changes what a reference stands for.

use trueup_object::Value;

use crate::spot::Spot;

/// Whether a variable of the first list refers to another one of it which stands on the other side of it in the second list.
pub(crate) fn refers_otherwise(left: &Value, right: &Value, spot: &Spot<'_>) -> bool {
    if spot.name != "env" {
        return false;
    }
    let (Some(left), Some(right)) = (left.as_list(), right.as_list()) else { return false };
    let place = |list: &[Value], name: &str| list.iter().position(|item| name_of(item) == Some(name));
    left.iter().enumerate().any(|(position, item)| {
        let Some((name, value)) = name_of(item).zip(item.str_at(&["value"])) else { return false };
        references(value).any(|referred| {
            let here = place(left, referred).map(|other| other < position);
            let there = place(right, referred).zip(place(right, name)).map(|(other, own)| other < own);
            here.zip(there).is_some_and(|(here, there)| here != there)
        })
    })
}

fn name_of(item: &Value) -> Option<&str> {
    item.str_at(&["name"])
}

/// The names in `$(NAME)`; `$$` stands for a dollar sign.
fn references(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    std::iter::from_fn(move || {
        loop {
            let after = rest.get(rest.find('$')? + 1..)?;
            let Some(named) = after.strip_prefix('(') else {
                rest = after.strip_prefix('$').unwrap_or(after);
                continue;
            };
            let Some((name, behind)) = named.split_once(')') else {
                rest = "";
                continue;
            };
            rest = behind;
            return Some(name);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_kubernetes_does() {
        for (value, names) in [
            ("postgres://$(USER):$(PASS)@db", &["USER", "PASS"][..]),
            ("$$(USER) $(HOST)", &["HOST"]),
            ("$$$(USER)", &["USER"]),
            ("$USER $ $(", &[]),
            ("", &[]),
        ] {
            assert_eq!(references(value).collect::<Vec<_>>(), names, "{value}");
        }
    }
}
