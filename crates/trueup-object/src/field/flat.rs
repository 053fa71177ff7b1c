//! fieldsV1 as a row of names, for those who only ask whether a path is in it: read in one pass, with hardly an allocation.

use std::borrow::Cow;
use std::ops::Range;

use super::path::PathElement;
use super::set::FieldSet;
use super::v1::read_element;
use crate::json::read::{Keys, known};
use crate::value::{Map, Text, Value};

/// The fields of an entry of managed fields. Each node stands before what is below it.
#[derive(Debug, Clone, Default)]
pub struct FlatFields {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    name: Name,
    /// The place after all that is below it.
    end: usize,
}

#[derive(Debug, Clone)]
enum Name {
    Field(Text),
    Other(Box<PathElement>),
}

impl Name {
    fn is(&self, element: &PathElement) -> bool {
        match (self, element) {
            (Self::Field(name), PathElement::Field(wanted)) => name == wanted,
            (Self::Other(name), wanted) => **name == *wanted,
            (Self::Field(_), PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_)) => false,
        }
    }
}

impl FlatFields {
    /// Reads fieldsV1. `None` where it is not fieldsV1.
    pub fn of(fields: &Value) -> Option<Self> {
        let map = fields.as_map()?;
        let mut flat = Self { nodes: Vec::with_capacity(NODES_USUAL) };
        match map.json() {
            Some(json) => flat.read_json(&mut Keys::new(json))?,
            None => flat.read_map(map)?,
        }
        Some(flat)
    }

    /// The same fields as a set.
    pub fn of_set(set: &FieldSet) -> Self {
        let mut flat = Self::default();
        flat.read_set(set);
        flat
    }

    fn read_set(&mut self, set: &FieldSet) {
        let alone = set.members().iter().filter(|element| set.child(element).is_none());
        let alone = alone.map(|element| (element, None));
        for (element, below) in
            alone.chain(set.children().iter().map(|(element, below)| (element, Some(below))))
        {
            // Nothing is in the set that is neither a member nor above one.
            if set.members().contains(element) || below.is_some_and(|below| !below.is_empty()) {
                self.named(Name::Other(Box::new(element.clone())), |flat| {
                    below.into_iter().for_each(|below| flat.read_set(below));
                    Some(())
                });
            }
        }
    }

    fn read_map(&mut self, map: &Map) -> Option<()> {
        for (key, below) in map.iter() {
            let below = below.as_map();
            if key != "." {
                self.node(key, |flat| flat.read_map(below?))?;
            }
        }
        Some(())
    }

    fn read_json(&mut self, keys: &mut Keys<'_>) -> Option<()> {
        while let Some(key) = keys.next() {
            match key {
                Cow::Borrowed(".") => keys.pass(),
                Cow::Borrowed(key) => self.node(key, |flat| flat.read_json(keys))?,
                Cow::Owned(key) => {
                    self.named(Name::Other(Box::new(read_element(&key)?)), |flat| flat.read_json(keys))?;
                }
            }
        }
        Some(())
    }

    fn node(&mut self, key: &str, below: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let name = match key.strip_prefix("f:") {
            Some(name) => Name::Field(known(name)),
            None => Name::Other(Box::new(read_element(key)?)),
        };
        self.named(name, below)
    }

    fn named(&mut self, name: Name, below: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let place = self.nodes.len();
        self.nodes.push(Node { name, end: place });
        below(self)?;
        let end = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(place) {
            node.end = end;
        }
        Some(())
    }

    /// Whether the path or anything below it is in the set.
    pub fn touches(&self, path: &[PathElement]) -> bool {
        let all = 0..self.nodes.len();
        if path.is_empty() { !self.nodes.is_empty() } else { self.finds(all, path, &|_, is_last| is_last) }
    }

    /// Whether something that the path lies in is in the set as one value, with nothing below it.
    pub fn holds_an_ancestor(&self, path: &[PathElement]) -> bool {
        self.finds(0..self.nodes.len(), path, &|is_leaf, is_last| is_leaf && !is_last)
    }

    /// Whether on the way down a path there is a node of which this is true: that nothing is below it, that it ends the path.
    fn finds(&self, among: Range<usize>, path: &[PathElement], is_it: &dyn Fn(bool, bool) -> bool) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let mut place = among.start;
        while place < among.end {
            let Some(node) = self.nodes.get(place) else { return false };
            let below = place + 1..node.end;
            if node.name.is(first)
                && (is_it(below.is_empty(), rest.is_empty()) || self.finds(below, rest, is_it))
            {
                return true;
            }
            place = node.end;
        }
        false
    }
}

/// So many nodes hold the fields of most entries, so that reading them asks for memory once.
const NODES_USUAL: usize = 32;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::field::FieldPath;

    const FIELDS: &str = r#"{"f:metadata":{"f:labels":{".":{},"f:a\u0062":{}, "f:c" : {"." : {"f:no":{}}}}},
        "f:spec":{"f:ports":{"k:{\"port\":80}":{".":{},"f:name":{}}},"f:set":{"v:\"x\"":{}},"f:list":{"i:2":{}}}}"#;

    fn path(text: &str) -> FieldPath {
        FieldPath::parse(text).unwrap()
    }

    #[test]
    fn rows_hold_what_sets_hold() {
        let text = format!(r#"{{"fieldsV1":{FIELDS}}}"#);
        let unread = Value::from_json(text.as_bytes()).unwrap();
        let read = unread.clone();
        let set = FieldSet::from_fields_v1(read.get("fieldsV1").unwrap()).unwrap();
        for object in [&unread, &read] {
            let flat = FlatFields::of(object.get("fieldsV1").unwrap()).unwrap();
            for present in set.paths() {
                assert!(flat.touches(present.elements()), "{present}");
            }
            for (text, touched, within) in [
                (".metadata", true, false),
                (".metadata.labels.ab", true, false),
                (".metadata.labels.c", true, false),
                (".metadata.labels.c.no", false, true),
                (".metadata.labels.no", false, false),
                (".spec.ports[port=80]", true, false),
                (".spec.ports[port=80].name", true, false),
                (".spec.ports[port=80].name.first", false, true),
                (".spec.ports[port=81]", false, false),
                (".spec.set[=\"x\"]", true, false),
                (".spec.list[2]", true, false),
                (".spec.list[1]", false, false),
                (".status", false, false),
            ] {
                let path = path(text);
                assert_eq!(flat.touches(path.elements()), touched, "{text}");
                assert_eq!(set.touches(path.elements()), touched, "{text}");
                assert_eq!(flat.holds_an_ancestor(path.elements()), within, "{text}");
            }
            assert!(flat.touches(&[]));
        }
        let flat = FlatFields::of_set(&set);
        assert!(set.paths().iter().all(|path| flat.touches(path.elements())));
        assert!(!flat.touches(path(".spec.list[1]").elements()));
        assert!(flat.holds_an_ancestor(path(".metadata.labels.c.no").elements()));
    }

    #[test]
    fn what_is_no_set_is_no_row() {
        for text in [r#"{"x":{}}"#, r#"{"f:a":{"q:1":{}}}"#, r#"{"f:a":1}"#, r#"{"k:{":{}}"#, "[]", "1"] {
            let value = Value::from_json(text.as_bytes()).unwrap();
            assert!(FlatFields::of(&value).is_none(), "{text}");
            assert!(FieldSet::from_fields_v1(&value).is_none(), "{text}");
            let unread = Value::from_json(format!(r#"{{"fieldsV1":{text}}}"#).as_bytes()).unwrap();
            assert!(FlatFields::of(unread.get("fieldsV1").unwrap()).is_none(), "{text}");
        }
        let empty = Value::Map(Map::new());
        assert!(!FlatFields::of(&empty).unwrap().touches(&[]));
    }
}
