//! How the children of up to three values line up: keys of maps, items of lists by their names or by their index.

use trueup_merge::{ListKind, Shape, TypeRef, key_value};
use trueup_object::{KeyFields, Map, PathElement, Text, Value};

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

    /// Whether live is to the letter what Git declares: then nothing differs here, whatever the type says, and nothing was
    /// added.
    pub fn are_settled(&self) -> bool {
        self.target.is_some() && self.target == self.live
    }

    /// The children by key, sorted. A side that is not a map has none.
    pub fn fields(self) -> impl Iterator<Item = (&'v str, Self)> {
        let maps = self.array().map(|side| side.and_then(Value::as_map));
        let mut cursors = maps.map(|map| map.into_iter().flat_map(Map::iter));
        let mut next = cursors.each_mut().map(Iterator::next);
        std::iter::from_fn(move || {
            let name = next.iter().flatten().map(|(name, _)| *name).min()?;
            let mut found = [None; 3];
            for ((side, next), cursor) in found.iter_mut().zip(&mut next).zip(&mut cursors) {
                if let Some((_, value)) = next.filter(|(key, _)| *key == name) {
                    *side = Some(value);
                    *next = cursor.next();
                }
            }
            Some((name, Self::from_array(found)))
        })
    }

    /// The items by their names: those of the target in its order, then what only live has, then what only base has.
    /// Where a name occurs twice, the first goes with the first.
    pub fn named_items(self, list: TypeRef<'v>) -> Vec<(ItemName<'v>, Self)> {
        if let Some(items) = self.items_in_one_order(list) {
            return items;
        }
        let mut lists = self.array().map(|side| Items::new(side, list));
        let mut paired = Vec::new();
        for first in 0..lists.len() {
            for position in 0..lists[first].items.len() {
                let Some((name, value)) = lists[first].take_at(position) else { continue };
                let mut sides = [None; 3];
                sides[first] = Some(value);
                for (side, items) in sides.iter_mut().zip(&mut lists).skip(first + 1) {
                    *side = items.take(&name, position);
                }
                paired.push((name, Self::from_array(sides)));
            }
        }
        paired
    }

    /// The same where every side that has the list has the same items in the same order, each once, as it mostly is.
    fn items_in_one_order(self, list: TypeRef<'v>) -> Option<Vec<(ItemName<'v>, Self)>> {
        let lists = self.array().map(|side| side.and_then(Value::as_list));
        let longest = lists.iter().flatten().map(|items| items.len()).max()?;
        if lists.iter().flatten().any(|items| !items.is_empty() && items.len() != longest) {
            return None;
        }
        let mut paired = Vec::with_capacity(longest);
        for index in 0..longest {
            let sides = lists.map(|items| items.and_then(|items| items.get(index)));
            let mut names = sides.iter().flatten().map(|item| ItemName::of(item, index, list));
            let name = names.next()?;
            if names.any(|other| other != name) {
                return None;
            }
            paired.push((name, Self::from_array(sides)));
        }
        (!has_repeated_names(&paired)).then_some(paired)
    }

    /// The items by their index. Base is left out where it has another number of items: no item of it then belongs to
    /// one of the others.
    pub fn indexed_items(self) -> impl Iterator<Item = (PathElement, Self)> {
        let list = |side: Option<&'v Value>| side.and_then(Value::as_list).unwrap_or_default();
        let (target, live, base) = (list(self.target), list(self.live), list(self.base));
        let base = if base.len() == live.len() { base } else { &[] };
        (0..target.len().max(live.len())).map(move |index| {
            let sides = Self { target: target.get(index), live: live.get(index), base: base.get(index) };
            (PathElement::Index(index), sides)
        })
    }
}

/// Above this many items sorting them is quicker than comparing each with each.
const PAIRWISE_MAX: usize = 12;

/// Whether a name occurs twice.
pub(crate) fn has_repeated_names(items: &[(ItemName<'_>, Sides<'_>)]) -> bool {
    if items.len() <= PAIRWISE_MAX {
        let mut rest = items;
        while let Some(((name, _), others)) = rest.split_first() {
            if others.iter().any(|(other, _)| other == name) {
                return true;
            }
            rest = others;
        }
        return false;
    }
    let mut names: Vec<PathElement> = items.iter().map(|(name, _)| name.element()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| matches!(pair, [one, other] if one == other))
}

/// The name of an item of a list, in the words of the item itself.
#[derive(Clone, Copy)]
pub(crate) enum ItemName<'v> {
    Key(KeyName<'v>),
    Value(&'v Value),
    Index(usize),
}

/// The name of an item of a list-map: its key fields.
#[derive(Clone, Copy)]
pub(crate) struct KeyName<'v> {
    item: &'v Map,
    keys: &'v [Text],
    element: TypeRef<'v>,
    /// A key that is declared as `null` or empty gets its default, like one that is not declared.
    only_spoken: bool,
}

impl<'v> ItemName<'v> {
    pub fn of(item: &'v Value, index: usize, list: TypeRef<'v>) -> Self {
        let Shape::List { kind, element } = list.shape() else { return Self::Index(index) };
        match (kind, item) {
            (ListKind::Map { keys }, Value::Map(item)) => {
                let is_defaulted = |key: &Text| {
                    item.get(key).is_some_and(says_nothing)
                        && element.field(key).is_some_and(|field| field.default.is_some())
                };
                let name = KeyName { item, keys, element, only_spoken: keys.iter().any(is_defaulted) };
                if name.has_any() { Self::Key(name) } else { Self::Index(index) }
            }
            (ListKind::Set, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) => {
                Self::Value(item)
            }
            (ListKind::Map { .. } | ListKind::Set | ListKind::Atomic, _) => Self::Index(index),
        }
    }

    /// As paths have it.
    pub fn element(&self) -> PathElement {
        match self {
            Self::Key(name) => PathElement::Key(name.fields()),
            Self::Value(value) => PathElement::Value((*value).clone()),
            Self::Index(index) => PathElement::Index(*index),
        }
    }

    /// Whether this is the name that a path has.
    pub fn is(&self, element: &PathElement) -> bool {
        match (self, element) {
            (Self::Key(name), PathElement::Key(fields)) => name.fields() == *fields,
            (Self::Value(value), PathElement::Value(other)) => *value == other,
            (Self::Index(index), PathElement::Index(other)) => index == other,
            (Self::Key(_) | Self::Value(_) | Self::Index(_), _) => false,
        }
    }
}

impl PartialEq for ItemName<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(one), Self::Key(other)) => {
                one.keys.iter().all(|key| one.value(key) == other.value(key))
            }
            (Self::Value(one), Self::Value(other)) => one == other,
            (Self::Index(one), Self::Index(other)) => one == other,
            (Self::Key(_) | Self::Value(_) | Self::Index(_), _) => false,
        }
    }
}

impl<'v> KeyName<'v> {
    fn value(&self, key: &str) -> Option<&'v Value> {
        if self.only_spoken && self.item.get(key).is_some_and(says_nothing) {
            return self.element.field(key)?.key_default();
        }
        key_value(self.item, key, self.element)
    }

    fn has_any(&self) -> bool {
        self.keys.iter().any(|key| self.value(key).is_some())
    }

    fn fields(&self) -> KeyFields {
        let fields = self.keys.iter().filter_map(|key| Some((key.clone(), self.value(key)?.clone())));
        KeyFields::new(fields.collect())
    }
}

/// Whether a key that is declared so is as good as not declared.
fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// The items of one side that have no partner yet.
struct Items<'v> {
    items: Vec<Option<(ItemName<'v>, &'v Value)>>,
}

impl<'v> Items<'v> {
    fn new(side: Option<&'v Value>, list: TypeRef<'v>) -> Self {
        let values = side.and_then(Value::as_list).unwrap_or_default();
        let items = values
            .iter()
            .enumerate()
            .map(|(index, value)| Some((ItemName::of(value, index, list), value)))
            .collect();
        Self { items }
    }

    fn take_at(&mut self, position: usize) -> Option<(ItemName<'v>, &'v Value)> {
        self.items.get_mut(position)?.take()
    }

    /// Takes the first item of a name; `likely` is where it stands when the order is the same.
    fn take(&mut self, wanted: &ItemName<'v>, likely: usize) -> Option<&'v Value> {
        let is_it =
            |slot: &Option<(ItemName<'v>, &Value)>| slot.as_ref().is_some_and(|(name, _)| name == wanted);
        let earlier = self.items.iter().take(likely).position(is_it);
        let position =
            earlier.or_else(|| self.items.iter().skip(likely).position(is_it).map(|after| likely + after))?;
        self.take_at(position).map(|(_, value)| value)
    }
}
