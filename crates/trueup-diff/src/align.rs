//! How the children of up to three values line up: keys of maps, items of lists by their names or by their index.

use trueup_merge::{ListKind, Shape, TypeRef, element_path};
use trueup_object::{Map, PathElement, Value};

/// What Git declares, what is live, and what was declared when we last synced, at one place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sides<'v> {
    pub target: Option<&'v Value>,
    pub live: Option<&'v Value>,
    pub base: Option<&'v Value>,
}

impl<'v> Sides<'v> {
    fn from_array([target, live, base]: [Option<&'v Value>; 3]) -> Self {
        Self { target, live, base }
    }

    fn array(self) -> [Option<&'v Value>; 3] {
        [self.target, self.live, self.base]
    }

    /// The children by key, sorted. A side that is not a map has none.
    pub fn fields(self) -> impl Iterator<Item = (&'v str, Self)> {
        let maps = self.array().map(|side| side.and_then(Value::as_map));
        let mut cursors = maps.map(|map| map.into_iter().flat_map(Map::iter).peekable());
        std::iter::from_fn(move || {
            let next = cursors.iter_mut().filter_map(|cursor| cursor.peek().map(|(name, _)| *name)).min()?;
            let sides = cursors.each_mut().map(|cursor| cursor.next_if(|(name, _)| *name == next));
            Some((next, Self::from_array(sides.map(|side| side.map(|(_, value)| value)))))
        })
    }

    /// The items by their names: those of the target in its order, then what only live has, then what only base has.
    /// Where a name occurs twice, the first goes with the first.
    pub fn named_items(self, list: TypeRef<'_>) -> Vec<(PathElement, Self)> {
        let mut lists = self.array().map(|side| Items::new(side, list));
        let mut paired = Vec::new();
        for first in 0..lists.len() {
            for position in 0..lists[first].items.len() {
                let Some((element, value)) = lists[first].take_at(position) else { continue };
                let mut sides = [None; 3];
                sides[first] = Some(value);
                for (side, items) in sides.iter_mut().zip(&mut lists).skip(first + 1) {
                    *side = items.take(&element, position);
                }
                paired.push((element, Self::from_array(sides)));
            }
        }
        paired
    }

    /// The items by their index. Base is left out where it has another number of items: no item of it then belongs to
    /// one of the others.
    pub fn indexed_items(self) -> Vec<(PathElement, Self)> {
        let list = |side: Option<&'v Value>| side.and_then(Value::as_list).unwrap_or_default();
        let (target, live, base) = (list(self.target), list(self.live), list(self.base));
        let base = if base.len() == live.len() { base } else { &[] };
        (0..target.len().max(live.len()))
            .map(|index| {
                let sides = Self { target: target.get(index), live: live.get(index), base: base.get(index) };
                (PathElement::Index(index), sides)
            })
            .collect()
    }
}

/// The name of an item. A key that is declared as `null` or empty gets its default, like one that is not declared.
pub(crate) fn item_name(item: &Value, index: usize, list: TypeRef<'_>) -> PathElement {
    let says_nothing = |value: &Value| value.is_null() || value.as_str() == Some("");
    if let Shape::List { kind: ListKind::Map { keys }, element } = list.shape() {
        let is_defaulted = |key: &str| {
            item.get(key).is_some_and(says_nothing)
                && element.field(key).is_some_and(|field| field.default.is_some())
        };
        if keys.iter().any(|key| is_defaulted(key)) {
            let mut named = item.clone();
            if let Some(map) = named.as_map_mut() {
                map.retain(|_, value| !says_nothing(value));
            }
            return element_path(&named, index, list);
        }
    }
    element_path(item, index, list)
}

/// The items of one side that have no partner yet.
struct Items<'v> {
    items: Vec<Option<(PathElement, &'v Value)>>,
}

impl<'v> Items<'v> {
    fn new(side: Option<&'v Value>, list: TypeRef<'_>) -> Self {
        let values = side.and_then(Value::as_list).unwrap_or_default();
        let items = values
            .iter()
            .enumerate()
            .map(|(index, value)| Some((item_name(value, index, list), value)))
            .collect();
        Self { items }
    }

    fn take_at(&mut self, position: usize) -> Option<(PathElement, &'v Value)> {
        self.items.get_mut(position)?.take()
    }

    /// Takes the first item of a name; `likely` is where it stands when the order is the same.
    fn take(&mut self, element: &PathElement, likely: usize) -> Option<&'v Value> {
        let is_it =
            |slot: &Option<(PathElement, &Value)>| slot.as_ref().is_some_and(|(name, _)| name == element);
        let earlier = self.items.iter().take(likely).position(is_it);
        let position =
            earlier.or_else(|| self.items.iter().skip(likely).position(is_it).map(|after| likely + after))?;
        self.take_at(position).map(|(_, value)| value)
    }
}
