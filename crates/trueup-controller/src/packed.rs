//! What a worker keeps between turns, compressed: a parsed object costs ten times its compressed bytes, and most
//! applications sleep most of the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_engine::app::Unsupported;
use trueup_engine::condition::Condition;
use trueup_engine::desired::{Completeness, ResolvedRevision, Target, TargetSet};
use trueup_engine::memory::Memory;
use trueup_object::manifest::Origin;
use trueup_object::{Gvk, ResourceKey, Value};

/// Speed matters more than the last byte: an object is packed at every commit and unpacked at every turn.
const LEVEL: i32 = 1;

/// A value as compressed JSON. Equal values pack to equal bytes; clones share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    bytes: Arc<[u8]>,
    length: usize,
}

impl Packed {
    pub fn new(value: &Value) -> Self {
        let json = value.to_json();
        // Compressing into memory fails only without memory; the plain text is then as good.
        let bytes = zstd::bulk::compress(json.as_bytes(), LEVEL).unwrap_or_default();
        if bytes.is_empty() || bytes.len() >= json.len() {
            return Self { length: 0, bytes: json.into_bytes().into() };
        }
        Self { length: json.len(), bytes: bytes.into() }
    }

    pub fn value(&self) -> Value {
        if self.length == 0 {
            return Value::from_json(&self.bytes).unwrap_or_default();
        }
        let json = zstd::bulk::decompress(&self.bytes, self.length).expect("it was compressed here");
        Value::from_json(&json).expect("it was written here")
    }
}

/// The targets of an application, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedTargets {
    targets: Vec<(ResourceKey, Gvk, Origin, Packed)>,
    completeness: Completeness,
    conditions: Vec<Condition>,
    unsupported: Vec<Unsupported>,
    pub revisions: Vec<ResolvedRevision>,
}

impl PackedTargets {
    pub fn new(set: &TargetSet) -> Self {
        let TargetSet { targets, completeness, revisions, conditions, unsupported } = set;
        let targets = targets
            .values()
            .map(|target| {
                let Target { key, gvk, object, origin } = target;
                (key.clone(), gvk.clone(), origin.clone(), Packed::new(object))
            })
            .collect();
        Self {
            targets,
            completeness: completeness.clone(),
            conditions: conditions.clone(),
            unsupported: unsupported.clone(),
            revisions: revisions.clone(),
        }
    }

    /// Which objects are wanted.
    pub fn named(&self) -> impl Iterator<Item = (&Gvk, &ResourceKey)> {
        self.targets.iter().map(|(key, gvk, _, _)| (gvk, key))
    }

    pub fn unpack(&self) -> TargetSet {
        let targets = self.targets.iter().map(|(key, gvk, origin, packed)| {
            let target = Target {
                key: key.clone(),
                gvk: gvk.clone(),
                origin: origin.clone(),
                object: Arc::new(packed.value()),
            };
            (key.clone(), target)
        });
        TargetSet {
            targets: targets.collect(),
            completeness: self.completeness.clone(),
            revisions: self.revisions.clone(),
            conditions: self.conditions.clone(),
            unsupported: self.unsupported.clone(),
        }
    }

    /// Whether the same is wanted, whatever the commit is called.
    pub fn wants_the_same(&self, other: &Self) -> bool {
        let Self { targets, completeness, conditions: _, unsupported, revisions: _ } = self;
        let same = |left: &(ResourceKey, Gvk, Origin, Packed), right: &(ResourceKey, Gvk, Origin, Packed)| {
            (&left.0, &left.1, &left.3) == (&right.0, &right.1, &right.3)
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
    objects: BTreeMap<ResourceKey, (Option<Packed>, Memory)>,
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
        let base = memory.base.take().map(|base| Packed::new(&base));
        self.objects.insert(key, (base, memory));
    }

    /// Lets bases that are what Git wants now, as most are, share the bytes of the targets.
    pub fn share(&mut self, targets: &PackedTargets) {
        for (key, _, _, target) in &targets.targets {
            if let Some((Some(base), _)) = self.objects.get_mut(key)
                && base == target
            {
                base.clone_from(target);
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

    pub fn unpack(&self) -> BTreeMap<ResourceKey, Memory> {
        let unpacked = self.objects.iter().map(|(key, (base, rest))| {
            let base = base.as_ref().map(Packed::value);
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
    fn bases_share_the_bytes_of_equal_targets() {
        let value =
            |text: &str| Value::from_json(format!(r#"{{"data":{{"text":"{text}"}}}}"#).as_bytes()).unwrap();
        let key = |name: &str| ResourceKey::new("", "ConfigMap", "web", name);
        let origin =
            Origin { repo: "r".into(), revision: "1".into(), path: "a.yaml".into(), document: 1, line: 1 };
        let target = |name, text| {
            (key(name), Gvk::new("", "v1", "ConfigMap"), origin.clone(), Packed::new(&value(text)))
        };
        let targets = PackedTargets {
            targets: vec![target("same", "x"), target("other", "y")],
            completeness: Completeness::Complete,
            conditions: Vec::new(),
            unsupported: Vec::new(),
            revisions: Vec::new(),
        };
        let remembered = |text| Memory { base: Some(value(text)), ..Memory::default() };
        let objects = BTreeMap::from([(key("same"), remembered("x")), (key("other"), remembered("z"))]);
        let mut memory = PackedMemory::new(objects.clone());
        memory.share(&targets);
        let shares = |name: &str, target: usize| {
            let (base, _) = memory.objects.get(&key(name)).unwrap();
            Arc::ptr_eq(&base.as_ref().unwrap().bytes, &targets.targets.get(target).unwrap().3.bytes)
        };
        assert!(shares("same", 0));
        assert!(!shares("other", 1));
        assert_eq!(memory.unpack(), objects);
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
