//! fieldsV1 as a row of names, for those who only ask whether a path is in it: read in one pass, with hardly an allocation.

use std::ops::Range;

use super::path::PathElement;
use super::set::FieldSet;
use super::v1::{is_element, read_element};
use crate::json::read::Keys;
use crate::value::{Map, Value};

/// The fields of an entry of managed fields. Each node stands before what is below it.
#[derive(Debug, Clone, Default)]
pub struct FlatFields {
    nodes: Vec<Node>,
    /// The names of all nodes, one after the other.
    names: String,
}

#[derive(Debug, Clone)]
struct Node {
    /// Where its name stands, as fieldsV1 writes it.
    name: Range<usize>,
    /// The place after all that is below it.
    end: usize,
}

impl FlatFields {
    /// Reads fieldsV1. `None` where it is not fieldsV1.
    pub fn of(fields: &Value) -> Option<Self> {
        let map = fields.as_map()?;
        let mut flat = Self::default();
        flat.nodes.reserve(NODES_USUAL);
        match map.json() {
            Some(json) => {
                flat.names.reserve(json.len());
                flat.read_json(&mut Keys::new(json))?;
            }
            None => flat.read_map(map)?,
        }
        Some(flat)
    }

    /// The same fields as a set.
    pub fn of_set(set: &FieldSet) -> Self {
        Self::of(&set.to_fields_v1()).unwrap_or_default()
    }

    fn read_map(&mut self, map: &Map) -> Option<()> {
        for (key, below) in map.iter() {
            if key != "." {
                let start = self.names.len();
                self.names.push_str(key);
                self.node(start, |flat| flat.read_map(below.as_map()?))?;
            }
        }
        Some(())
    }

    fn read_json(&mut self, keys: &mut Keys<'_>) -> Option<()> {
        loop {
            let start = self.names.len();
            if !keys.next(&mut self.names) {
                return Some(());
            }
            if self.names.get(start..)? == "." {
                self.names.truncate(start);
                keys.pass(&mut self.names);
            } else {
                self.node(start, |flat| flat.read_json(keys))?;
            }
        }
    }

    /// Adds the node whose name was put at the end of the names, and what is below it.
    fn node(&mut self, start: usize, below: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let name = start..self.names.len();
        if !is_element(self.names.get(name.clone())?) {
            return None;
        }
        let place = self.nodes.len();
        self.nodes.push(Node { name, end: place });
        below(self)?;
        let end = self.nodes.len();
        self.nodes.get_mut(place)?.end = end;
        Some(())
    }

    /// Whether a node has this name.
    fn is(&self, node: &Node, element: &PathElement) -> bool {
        let name = self.names.get(node.name.clone()).unwrap_or_default();
        match (element, name.strip_prefix("f:")) {
            (PathElement::Field(wanted), Some(name)) => name == wanted.as_str(),
            (PathElement::Field(_), None) | (_, Some(_)) => false,
            (PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_), None) => {
                read_element(name).is_some_and(|name| name == *element)
            }
        }
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
            if self.is(node, first)
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
