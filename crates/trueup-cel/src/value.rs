//! What expressions are about at run time.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use trueup_object::value::Text;

use crate::kind::Type;
use crate::library::address::{Network, Url};
use crate::library::amount::Amount;
use crate::library::rights::{Asked, Decision};
use crate::library::version::Version;

/// A value.
#[derive(Debug, Clone)]
pub enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text),
    Bytes(Arc<[u8]>),
    Timestamp(Timestamp),
    /// In nanoseconds.
    Duration(i64),
    List(Arc<List>),
    Map(Arc<Map>),
    Object(Arc<Object>),
    Type(Type),
    Optional(Option<Arc<Val>>),
    Url(Arc<Url>),
    Ip(std::net::IpAddr),
    Cidr(Network),
    Quantity(Arc<Amount>),
    Semver(Arc<Version>),
    Format(&'static str),
    /// An authorizer, or a question to one that is being put together.
    Asked(Arc<Asked>),
    Decision(Arc<Decision>),
}

/// The values under their keys.
pub type Map = BTreeMap<Key, Val>;

/// A list, and how it is compared and added to.
#[derive(Debug, Clone)]
pub struct List {
    pub items: Vec<Val>,
    pub kind: ListKind,
}

/// The list types of Kubernetes (`x-kubernetes-list-type`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind {
    Atomic,
    Set,
    /// Items are told apart by the values of these fields.
    Map(Vec<Text>),
}

/// A struct with the fields that are set.
#[derive(Debug, Clone)]
pub struct Object {
    pub name: Text,
    pub fields: BTreeMap<Text, Val>,
}

/// What a map has its values under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Text),
}

impl Key {
    /// A value as the key that would be stored.
    pub(crate) fn of(value: &Val) -> Option<Self> {
        Some(match value {
            Val::Bool(value) => Self::Bool(*value),
            Val::Int(value) => Self::Int(*value),
            Val::Uint(value) => Self::Uint(*value),
            Val::String(value) => Self::String(value.clone()),
            _ => return None,
        })
    }

    pub(crate) fn value(&self) -> Val {
        match self {
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(value) => Val::Int(*value),
            Self::Uint(value) => Val::Uint(*value),
            Self::String(value) => Val::String(value.clone()),
        }
    }
}

/// What a map has under a key; numbers are equal whatever their types.
pub(crate) fn find<'a>(map: &'a Map, key: &Val) -> Option<&'a Val> {
    if let Some(found) = Key::of(key).and_then(|key| map.get(&key)) {
        return Some(found);
    }
    let whole = match key {
        Val::Int(value) => i128::from(*value),
        Val::Uint(value) => i128::from(*value),
        Val::Double(value) if value.fract() == 0.0 && value.abs() < 1e19 => *value as i128,
        _ => return None,
    };
    let int = i64::try_from(whole).ok().and_then(|key| map.get(&Key::Int(key)));
    int.or_else(|| u64::try_from(whole).ok().and_then(|key| map.get(&Key::Uint(key))))
}

impl Val {
    pub fn text(text: &str) -> Self {
        Self::String(Text::from(text))
    }

    pub fn list(items: Vec<Val>) -> Self {
        Self::List(Arc::new(List { items, kind: ListKind::Atomic }))
    }

    pub fn map(entries: impl IntoIterator<Item = (Key, Val)>) -> Self {
        Self::Map(Arc::new(entries.into_iter().collect()))
    }

    pub(crate) fn some(value: Val) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(value) = self { Some(value) } else { None }
    }

    /// The type of the value, without what it holds.
    pub fn type_of(&self) -> Type {
        let object = |name: &str| Type::Object(Text::from(name));
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Object(it) => Type::Object(it.name.clone()),
            Self::Type(_) => Type::Type(None),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Url(_) => object("kubernetes.URL"),
            Self::Ip(_) => object("net.IP"),
            Self::Cidr(_) => object("net.CIDR"),
            Self::Quantity(_) => object("kubernetes.Quantity"),
            Self::Semver(_) => object("kubernetes.Semver"),
            Self::Format(_) => object("kubernetes.NamedFormat"),
            Self::Asked(asked) => object(asked.type_name()),
            Self::Decision(_) => object("kubernetes.authorization.Decision"),
        }
    }

    pub(crate) fn type_name(&self) -> String {
        self.type_of().short_name()
    }

    /// Whether the value is its type's empty one.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(value) | Self::Duration(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Double(value) => *value == 0.0,
            Self::String(value) => value.is_empty(),
            Self::Bytes(value) => value.is_empty(),
            Self::List(list) => list.items.is_empty(),
            Self::Map(map) => map.is_empty(),
            Self::Object(object) => object.fields.is_empty(),
            Self::Optional(value) => value.is_none(),
            Self::Timestamp(_)
            | Self::Type(_)
            | Self::Url(_)
            | Self::Ip(_)
            | Self::Cidr(_)
            | Self::Quantity(_)
            | Self::Semver(_)
            | Self::Format(_)
            | Self::Asked(_)
            | Self::Decision(_) => false,
        }
    }

    /// How large the value counts for what a call costs.
    pub(crate) fn size(&self) -> u64 {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        match self {
            Self::String(value) => count(value.chars().count()),
            Self::Bytes(value) => count(value.len()),
            Self::List(list) => count(list.items.len()),
            Self::Map(map) => count(map.len()),
            Self::Object(object) => count(object.fields.len()),
            Self::Optional(Some(value)) => value.size(),
            Self::Ip(address) => {
                if address.is_ipv4() {
                    4
                } else {
                    16
                }
            }
            Self::Cidr(network) => (u64::from(network.prefix)).div_ceil(8),
            _ => 1,
        }
    }
}

/// Values are equal where the language says so: numbers across types, lists that are sets in any order.
impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::String(left), Self::String(right)) => left == right,
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::Timestamp(left), Self::Timestamp(right)) => left == right,
            (Self::Duration(left), Self::Duration(right)) => left == right,
            (Self::List(left), Self::List(right)) => equal_lists(left, right),
            (Self::Map(left), Self::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| find(right, &key.value()).is_some_and(|it| it == value))
            }
            (Self::Object(left), Self::Object(right)) => {
                left.name == right.name && left.fields == right.fields
            }
            (Self::Type(left), Self::Type(right)) => left.short_name() == right.short_name(),
            (Self::Optional(left), Self::Optional(right)) => left == right,
            (Self::Url(left), Self::Url(right)) => left == right,
            (Self::Ip(left), Self::Ip(right)) => left == right,
            (Self::Cidr(left), Self::Cidr(right)) => left == right,
            (Self::Quantity(left), Self::Quantity(right)) => left == right,
            (Self::Semver(left), Self::Semver(right)) => left.cmp_precedence(right).is_eq(),
            (Self::Format(left), Self::Format(right)) => left == right,
            (Self::Asked(left), Self::Asked(right)) => left == right,
            (Self::Decision(left), Self::Decision(right)) => left == right,
            _ => matches!(compare_numbers(self, other), Some(Some(Ordering::Equal))),
        }
    }
}

fn equal_lists(left: &List, right: &List) -> bool {
    if left.items.len() != right.items.len() {
        return false;
    }
    match (&left.kind, &right.kind) {
        (ListKind::Set, _) | (_, ListKind::Set) => left.items.iter().all(|item| right.items.contains(item)),
        (ListKind::Map(keys), _) | (_, ListKind::Map(keys)) => left
            .items
            .iter()
            .all(|item| right.items.iter().any(|other| same_key(item, other, keys) && item == other)),
        (ListKind::Atomic, ListKind::Atomic) => left.items == right.items,
    }
}

/// Whether two items of a map-like list are the same one.
pub(crate) fn same_key(left: &Val, right: &Val, keys: &[Text]) -> bool {
    let (Val::Object(left), Val::Object(right)) = (left, right) else { return left == right };
    keys.iter().all(|key| left.fields.get(key) == right.fields.get(key))
}

/// The order of two numbers of any types; nothing inside where one is no number, nothing at all where one is of no numeric type.
pub(crate) fn compare_numbers(left: &Val, right: &Val) -> Option<Option<Ordering>> {
    Some(match (left, right) {
        (Val::Int(left), Val::Int(right)) => Some(left.cmp(right)),
        (Val::Uint(left), Val::Uint(right)) => Some(left.cmp(right)),
        (Val::Double(left), Val::Double(right)) => left.partial_cmp(right),
        (Val::Int(left), Val::Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Val::Uint(left), Val::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Val::Int(left), Val::Double(right)) => compare_whole(i128::from(*left), *right),
        (Val::Uint(left), Val::Double(right)) => compare_whole(i128::from(*left), *right),
        (Val::Double(left), Val::Int(right)) => {
            compare_whole(i128::from(*right), *left).map(Ordering::reverse)
        }
        (Val::Double(left), Val::Uint(right)) => {
            compare_whole(i128::from(*right), *left).map(Ordering::reverse)
        }
        _ => return None,
    })
}

fn compare_whole(whole: i128, other: f64) -> Option<Ordering> {
    if other.is_nan() {
        return None;
    }
    if other >= 1.9e19 {
        return Some(Ordering::Less);
    }
    if other <= -1.0e19 {
        return Some(Ordering::Greater);
    }
    let floor = other.floor();
    Some(whole.cmp(&(floor as i128)).then(if other > floor { Ordering::Less } else { Ordering::Equal }))
}
