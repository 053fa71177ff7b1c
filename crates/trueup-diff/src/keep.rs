//! One value with what Git says, but for what is hidden: that stays as it is live.
//!
//! For values that are applied as one although rules hide parts of them: a list without keys, an atomic map. Where hidden items
//! are only live they are put back, so that an ignored item is never lost with the list that it is in.

use std::collections::BTreeSet;

use trueup_object::{JsonPointer, Map, Text, Value};

use crate::ignore::Hidden;
use crate::place::onward;

/// Fields by which people tell items apart where no schema does.
const NAMES: [&str; 4] = ["name", "key", "id", "type"];

impl Hidden {
    /// What is hidden below a place of the target and a place of live, as seen from there.
    pub fn below(&self, target: &JsonPointer, live: &JsonPointer) -> Self {
        let inner = |place: &JsonPointer, pointers: &[JsonPointer]| {
            pointers.iter().filter_map(|pointer| onward(place, pointer)).collect()
        };
        Self { target: inner(target, &self.target), live: inner(live, &self.live) }
    }
}

/// The target with everything that is hidden as it is live.
pub fn keep_hidden(target: &Value, live: &Value, hidden: &Hidden) -> Value {
    if hidden.is_empty() {
        return target.clone();
    }
    match (target, live) {
        (Value::Map(target), Value::Map(live)) => Value::Map(keep_in_map(target, live, hidden)),
        (Value::List(target), Value::List(live)) => Value::List(keep_in_list(target, live, hidden)),
        (Value::Null, Value::Map(live)) => Value::Map(keep_in_map(&Map::new(), live, hidden)),
        (_, _) => target.clone(),
    }
}

/// Whether a name itself is hidden, and not only something below it.
fn is_whole(pointers: &[JsonPointer], token: &str) -> bool {
    pointers.iter().any(|pointer| {
        pointer.tokens().len() == 1 && pointer.tokens().first().is_some_and(|first| first == token)
    })
}

fn one(token: &str) -> JsonPointer {
    JsonPointer::new(vec![Text::from(token)])
}

fn keep_in_map(target: &Map, live: &Map, hidden: &Hidden) -> Map {
    let names: BTreeSet<&str> = target.iter().chain(live.iter()).map(|(name, _)| name).collect();
    let kept = names.into_iter().filter_map(|name| {
        if is_whole(&hidden.target, name) || is_whole(&hidden.live, name) {
            return live.get(name).map(|value| (Text::from(name), value.clone()));
        }
        let below = hidden.below(&one(name), &one(name));
        let value = match (target.get(name), live.get(name)) {
            (Some(target), Some(live)) => keep_hidden(target, live, &below),
            (Some(target), None) => target.clone(),
            (None, Some(live)) if !below.live.is_empty() => keep_hidden(&Value::Null, live, &below),
            (None, Some(_) | None) => return None,
        };
        Some((Text::from(name), value))
    });
    kept.collect()
}

fn keep_in_list(target: &[Value], live: &[Value], hidden: &Hidden) -> Vec<Value> {
    let numbered = |items: &'_ [Value], pointers: &[JsonPointer]| -> Vec<usize> {
        (0..items.len()).filter(|index| !is_whole(pointers, &index.to_string())).collect()
    };
    let (of_target, of_live) = (numbered(target, &hidden.target), numbered(live, &hidden.live));
    let shown = |items: &[Value], indexes: &[usize]| -> Vec<Value> {
        indexes.iter().filter_map(|index| items.get(*index).cloned()).collect()
    };
    let name = common_name(&shown(target, &of_target), &shown(live, &of_live));
    let mut kept = Vec::new();
    for (position, index) in of_target.iter().enumerate() {
        let Some(item) = target.get(*index) else { continue };
        let partner = match name {
            Some(name) => of_live
                .iter()
                .find(|other| live.get(**other).and_then(|other| other.get(name)) == item.get(name)),
            None => of_live.get(position),
        };
        kept.push(match partner.and_then(|other| Some((other, live.get(*other)?))) {
            Some((other, partner)) => {
                let below = hidden.below(&one(&index.to_string()), &one(&other.to_string()));
                keep_hidden(item, partner, &below)
            }
            None => item.clone(),
        });
    }
    for (index, item) in live.iter().enumerate() {
        if !of_live.contains(&index) {
            kept.insert(index.min(kept.len()), item.clone());
        }
    }
    kept
}

/// The field by which all items of both lists can be told apart.
fn common_name(target: &[Value], live: &[Value]) -> Option<&'static str> {
    let tells_apart = |items: &[Value], name: &str| {
        let names: BTreeSet<Option<&Value>> = items.iter().map(|item| item.get(name)).collect();
        names.len() == items.len() && !names.contains(&None)
    };
    NAMES.into_iter().find(|name| tells_apart(target, name) && tells_apart(live, name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn kept(target: &str, live: &str, of_target: &[&str], of_live: &[&str]) -> String {
        let value = |text: &str| Value::from_yaml(text.as_bytes()).unwrap();
        let pointers = |texts: &[&str]| texts.iter().map(|text| JsonPointer::parse(text).unwrap()).collect();
        let hidden = Hidden { target: pointers(of_target), live: pointers(of_live) };
        keep_hidden(&value(target), &value(live), &hidden).to_json()
    }

    #[test]
    fn an_item_that_is_only_live_is_not_lost() {
        let target = "[{name: a, v: 2}]";
        let live = "[{name: injected, v: 9}, {name: a, v: 1}]";
        assert_eq!(kept(target, live, &[], &["/0"]), r#"[{"name":"injected","v":9},{"name":"a","v":2}]"#);
    }

    #[test]
    fn a_field_of_an_item_is_found_by_the_items_name() {
        let target = "[{name: a, v: 1, w: 1}, {name: b, v: 1, w: 2}]";
        let live = "[{name: b, v: 7, w: 1}, {name: a, v: 8, w: 1}]";
        let hidden = ["/0/v", "/1/v"];
        assert_eq!(
            kept(target, live, &hidden, &hidden),
            r#"[{"name":"a","v":8,"w":1},{"name":"b","v":7,"w":2}]"#
        );
    }

    #[test]
    fn items_without_names_are_told_apart_by_their_place() {
        assert_eq!(kept("[[1, 2], [3, 4]]", "[[1, 9], [5, 8]]", &["/0/1"], &["/0/1"]), "[[1,9],[3,4]]");
    }

    #[test]
    fn what_is_hidden_and_gone_from_live_stays_gone() {
        assert_eq!(kept("[{name: a}, {name: b}]", "[{name: b}]", &["/0"], &[]), r#"[{"name":"b"}]"#);
        assert_eq!(kept("{a: 1, b: 2}", "{b: 3}", &["/a"], &[]), r#"{"b":2}"#);
    }

    #[test]
    fn a_hidden_key_that_is_only_live_stays() {
        assert_eq!(kept("{a: 1}", "{a: 2, b: {c: 1, d: 2}}", &[], &["/b/c"]), r#"{"a":1,"b":{"c":1}}"#);
        assert_eq!(kept("{a: 1}", "{a: 2, b: 3}", &["/a"], &["/a"]), r#"{"a":2}"#);
    }
}
