//! What a worker keeps between turns, compressed: a parsed object costs ten times its compressed bytes, and most
//! applications sleep most of the time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;
use trueup_cluster::Recent;
use trueup_cluster::pack::{pack, unpack};
use trueup_engine::app::Unsupported;
use trueup_engine::condition::Condition;
use trueup_engine::desired::{Completeness, ResolvedRevision, Target, TargetSet};
use trueup_engine::memory::Memory;
use trueup_object::manifest::Origin;
use trueup_object::{Gvk, ResourceKey, Value};

/// A value as compressed JSON. Equal values pack to equal bytes; clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    bytes: Arc<[u8]>,
    length: usize,
}

/// So many targets are kept parsed, and at most as many again: those of applications that turns are taken for.
const PARSED_MAX: usize = 64;
/// The packed bytes of a target that is kept parsed.
const PARSED_BYTES_MAX: usize = 16 * 1024;

static PARSED: Recent<[u8], Arc<Value>> = Recent::new(PARSED_MAX);

impl Packed {
    pub fn new(value: &Value) -> Self {
        let json = value.to_json();
        match pack(json.as_bytes()) {
            Some(bytes) => Self { length: json.len(), bytes: bytes.into() },
            None => Self { length: 0, bytes: json.into_bytes().into() },
        }
    }

    pub fn value(&self) -> Value {
        Value::from_json(&self.json()).expect("it was written here")
    }

    /// The same, which others may have parsed a moment ago.
    fn shared(&self) -> Arc<Value> {
        if self.bytes.len() > PARSED_BYTES_MAX {
            return Arc::new(self.value());
        }
        let Ok(value) = PARSED.get(&self.bytes, || Ok::<_, Infallible>(Arc::new(self.value())));
        value
    }

    fn json(&self) -> Vec<u8> {
        if self.length == 0 {
            return self.bytes.to_vec();
        }
        unpack(&self.bytes, self.length).expect("it was compressed here")
    }
}

/// A base. Most are what Git wants now but for the mark on it, so only what they have otherwise is kept beside the target.
#[derive(Debug, Clone)]
enum Base {
    Own(Packed),
    /// So many bytes of the target's text, then others, then so many of its last bytes. It keeps the target that it refers to.
    Near {
        target: Packed,
        first: usize,
        middle: Box<[u8]>,
        last: usize,
    },
}

/// A base that differs in more than so many bytes is packed by itself.
const MIDDLE_MAX: usize = 128;

impl Base {
    fn value(&self) -> Value {
        match self {
            Self::Own(packed) => packed.value(),
            Self::Near { target, first, middle, last } => {
                let text = target.json();
                let (head, tail) = (&text[..*first], &text[text.len() - last..]);
                Value::from_json(&[head, middle, tail].concat()).expect("it was taken apart here")
            }
        }
    }

    /// The same base as what it has otherwise than a target, where that is little.
    fn near(&self, target: &Packed) -> Option<Self> {
        let Self::Own(own) = self else { return None };
        let (base, text) = (own.json(), target.json());
        let same = |(left, right): &(&u8, &u8)| left == right;
        let first = base.iter().zip(&text).take_while(same).count();
        let rest = base[first..].iter().rev().zip(text[first..].iter().rev());
        let last = rest.take_while(same).count();
        let middle = &base[first..base.len() - last];
        (middle.len() <= MIDDLE_MAX).then(|| Self::Near {
            target: target.clone(),
            first,
            middle: middle.into(),
            last,
        })
    }
}

/// One target, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedTarget {
    key: ResourceKey,
    gvk: Gvk,
    origin: Origin,
    object: Packed,
}

impl PackedTarget {
    fn new(Target { key, gvk, object, origin }: &Target) -> Self {
        let object = Packed::new(object);
        Self { key: key.clone(), gvk: gvk.clone(), origin: origin.clone(), object }
    }

    pub fn unpack(&self) -> Target {
        let Self { key, gvk, origin, object } = self;
        let object = object.shared();
        Target { key: key.clone(), gvk: gvk.clone(), origin: origin.clone(), object }
    }
}

/// The targets of an application, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedTargets {
    /// Sorted by their keys.
    targets: Vec<PackedTarget>,
    completeness: Completeness,
    conditions: Vec<Condition>,
    unsupported: Vec<Unsupported>,
    pub revisions: Vec<ResolvedRevision>,
}

impl PackedTargets {
    pub fn new(set: &TargetSet) -> Self {
        let TargetSet { targets, completeness, revisions, conditions, unsupported } = set;
        Self {
            targets: targets.values().map(PackedTarget::new).collect(),
            completeness: completeness.clone(),
            conditions: conditions.clone(),
            unsupported: unsupported.clone(),
            revisions: revisions.clone(),
        }
    }

    /// Whether all that Git declares is known.
    pub fn is_complete(&self) -> bool {
        self.completeness == Completeness::Complete
    }

    /// Which objects are wanted.
    pub fn named(&self) -> impl Iterator<Item = (&Gvk, &ResourceKey)> {
        self.targets.iter().map(|target| (&target.gvk, &target.key))
    }

    pub fn get(&self, key: &ResourceKey) -> Option<&PackedTarget> {
        let place = self.targets.binary_search_by(|target| target.key.cmp(key));
        place.ok().and_then(|index| self.targets.get(index))
    }

    pub fn unpack(&self) -> TargetSet {
        TargetSet {
            targets: self.targets.iter().map(|target| (target.key.clone(), target.unpack())).collect(),
            completeness: self.completeness.clone(),
            revisions: self.revisions.clone(),
            conditions: self.conditions.clone(),
            unsupported: self.unsupported.clone(),
        }
    }

    /// Whether the same is wanted, whatever the commit is called.
    pub fn wants_the_same(&self, other: &Self) -> bool {
        let Self { targets, completeness, conditions: _, unsupported, revisions: _ } = self;
        let same = |left: &PackedTarget, right: &PackedTarget| {
            (&left.key, &left.gvk, &left.object) == (&right.key, &right.gvk, &right.object)
        };
        *completeness == other.completeness
            && *unsupported == other.unsupported
            && targets.len() == other.targets.len()
            && targets.iter().zip(&other.targets).all(|(left, right)| same(left, right))
    }
}

/// What is remembered of the objects of an application, packed.
#[derive(Debug, Clone, Default)]
pub struct PackedMemory {
    objects: BTreeMap<ResourceKey, (Option<Base>, Memory)>,
}

impl PackedMemory {
    pub fn new(objects: BTreeMap<ResourceKey, Memory>) -> Self {
        let mut memory = Self::default();
        for (key, object) in objects {
            memory.insert(key, object);
        }
        memory
    }

    pub fn insert(&mut self, key: ResourceKey, mut memory: Memory) {
        let base = memory.base.take().map(|base| Base::Own(Packed::new(&base)));
        self.objects.insert(key, (base, memory));
    }

    /// Keeps bases that are nearly what Git wants now beside the targets.
    pub fn share(&mut self, targets: &PackedTargets) {
        for PackedTarget { key, object: target, .. } in &targets.targets {
            if let Some((Some(base), _)) = self.objects.get_mut(key)
                && let Some(near) = base.near(target)
            {
                *base = near;
            }
        }
    }

    pub fn remove(&mut self, key: &ResourceKey) {
        self.objects.remove(key);
    }

    /// Forgets what nobody owned: what it was taken for is no more.
    pub fn forget_unowned(&mut self) {
        for (_, memory) in self.objects.values_mut() {
            memory.unowned = None;
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &ResourceKey> {
        self.objects.keys()
    }

    /// When the last of the objects was synced.
    pub fn synced_at(&self) -> Option<Timestamp> {
        self.objects.values().filter_map(|(_, memory)| memory.synced_at).max()
    }

    pub fn unpack(&self) -> BTreeMap<ResourceKey, Memory> {
        let unpacked = self.objects.iter().map(|(key, (base, rest))| {
            let base = base.as_ref().map(Base::value);
            (key.clone(), Memory { base, ..rest.clone() })
        });
        unpacked.collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bases_lie_beside_targets_that_are_nearly_the_same() {
        let value = |text: &str| Value::from_json(text.as_bytes()).unwrap();
        let near = |base: &str, target: &str| {
            let own = Base::Own(Packed::new(&value(base)));
            let near = own.near(&Packed::new(&value(target)))?;
            assert_eq!(near.value(), value(base), "{base} beside {target}");
            assert!(near.near(&Packed::new(&value(target))).is_none(), "once is enough");
            let Base::Near { middle, .. } = near else { panic!("near is near") };
            Some(middle.len())
        };
        let marked = r#"{"data":{"a":"x"},"metadata":{"annotations":{"mark":"m"},"name":"n"}}"#;
        assert_eq!(near(r#"{"data":{"a":"x"},"metadata":{"name":"n"}}"#, marked), Some(0));
        assert_eq!(near(marked, marked), Some(0));
        assert_eq!(near(r#"{"data":{"a":"xx"},"metadata":{"name":"n"}}"#, r#"{"data":{"a":"x"}}"#), Some(25));
        assert_eq!(near(r#"{"a":"aaa"}"#, r#"{"a":"aaaaa"}"#), Some(0));
        assert_eq!(near(r#"{"a":"aaaaa"}"#, r#"{"a":"aaa"}"#), Some(2));
        assert_eq!(near("{}", marked), Some(0));
        let long = format!(r#"{{"a":"{}"}}"#, "long".repeat(40));
        assert_eq!(near(&long, marked), None);
    }

    #[test]
    fn a_value_comes_back_as_it_was() {
        for text in
            ["null", "{}", r#"{"a":[1,2.5,"x"],"b":{"c":"a longer text, a longer text, a longer text"}}"#]
        {
            let value = Value::from_json(text.as_bytes()).unwrap();
            assert_eq!(Packed::new(&value).value(), value, "{text}");
            assert_eq!(Packed::new(&value), Packed::new(&value.clone()));
        }
    }
}
