//! Objects made from bytes along the schema of a built-in kind: mostly what fits, now and then what does not.

use trueup_merge::{ListKind, SchemaSet, Shape, TypeRef, field_set};
use trueup_object::{FieldManager, ManagedEntry, ManagedFields, ManagedOperation, Value};

/// Every text in a Secret's data holds it.
pub const MARK: &str = "s3cr3t";

/// How deep an object is made, and how many fields it has in all.
const DEPTH_MAX: usize = 10;
const FIELDS_MAX: usize = 60;

const KINDS: [&str; 16] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "CronJob",
    "Service",
    "ConfigMap",
    "Secret",
    "Ingress",
    "NetworkPolicy",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ClusterRole",
    "CustomResourceDefinition",
    "ValidatingWebhookConfiguration",
    "PersistentVolumeClaim",
    "Endpoints",
];

const WORDS: [&str; 16] = [
    "",
    "a",
    "b",
    "web",
    "TCP",
    "1",
    "100m",
    "0.1",
    "1Gi",
    "1073741824",
    "30s",
    "0.5m",
    "null",
    "80",
    "~",
    "x/y",
];

pub struct Made {
    pub target: Value,
    pub live: Value,
    pub base: Option<Value>,
}

pub fn make(input: &[u8]) -> Option<Made> {
    let mut maker = Maker { bytes: input, fields: FIELDS_MAX };
    let kind = KINDS[usize::from(maker.byte()) % KINDS.len()];
    let gvk = SchemaSet::builtin().kinds().find(|gvk| gvk.kind == *kind)?.clone();
    let ty = SchemaSet::builtin().lookup(&gvk)?;
    let mut target = Value::default();
    maker.grow(&mut target, ty, 0);
    let named = |object: &mut Value| {
        object.set_at(&["apiVersion"], gvk.api_version().as_str().into());
        object.set_at(&["kind"], kind.into());
        object.set_at(&["metadata", "name"], "made".into());
        object.remove_at(&["metadata", "managedFields"]);
    };
    named(&mut target);
    let mut sides = [(); 2].map(|()| {
        let mut other = target.clone();
        maker.change(&mut other, ty, 0);
        maker.fields = FIELDS_MAX / 4;
        maker.grow(&mut other, ty, 0);
        named(&mut other);
        other
    });
    let base = (maker.byte() % 2 == 0).then(|| std::mem::take(&mut sides[1]));
    let [mut live, _] = sides;
    let managed = maker.managed(&target, &live, ty, &gvk.api_version());
    live.set_at(&["metadata", "managedFields"], managed.to_value());
    Some(Made { target, live, base })
}

struct Maker<'a> {
    bytes: &'a [u8],
    /// How many fields may still be made.
    fields: usize,
}

impl Maker<'_> {
    /// The next choice; 0 when the input is used up.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    /// Adds fields to a struct or a map.
    fn grow(&mut self, object: &mut Value, ty: TypeRef<'static>, depth: usize) {
        let names: Vec<&str> = ty.fields().map(|(name, _)| name).collect();
        while !self.bytes.is_empty() && self.fields > 0 {
            let choice = self.byte();
            if choice >= 200 {
                return;
            }
            self.fields -= 1;
            let name = match ty.shape() {
                Shape::Struct { .. } if !names.is_empty() && choice >= 8 => names[self.below(names.len())],
                _ => WORDS[self.below(WORDS.len())],
            };
            let of = ty.field(name).map_or_else(TypeRef::untyped, |field| field.ty);
            let value = self.value(of, depth + 1);
            object.set_at(&[name], value);
        }
    }

    fn value(&mut self, ty: TypeRef<'static>, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        let odd = self.byte();
        match (ty.shape(), odd) {
            (_, 0..8) => self.scalar(),
            (Shape::Scalar(_), _) => self.scalar(),
            (Shape::List { kind, element }, _) => {
                let count = self.below(4);
                let items = (0..count).map(|index| self.item(kind, element, depth, index));
                Value::List(items.collect())
            }
            (Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped, _) => {
                let mut object = Value::Map(trueup_object::Map::new());
                self.grow(&mut object, ty, depth);
                object
            }
        }
    }

    fn item(
        &mut self,
        kind: ListKind<'static>,
        element: TypeRef<'static>,
        depth: usize,
        index: usize,
    ) -> Value {
        let mut item = self.value(element, depth + 1);
        if let (ListKind::Map { keys }, Value::Map(_)) = (kind, &item)
            && self.byte() >= 16
        {
            for key in keys {
                item.set_at(&[key.as_str()], if index == 0 { "a".into() } else { self.scalar() });
            }
        }
        item
    }

    fn scalar(&mut self) -> Value {
        match self.byte() {
            0..16 => Value::Null,
            16..48 => Value::Bool(self.byte() % 2 == 0),
            48..96 => Value::Int(i64::from(self.byte()) - 3),
            96..104 => Value::Int(i64::MAX - i64::from(self.byte())),
            104..120 => Value::Float(f64::from(self.byte()) / 4.0),
            120..160 => MARK.into(),
            160..=255 => WORDS[self.below(WORDS.len())].into(),
        }
    }

    /// Changes, removes and repeats some of what is there.
    fn change(&mut self, value: &mut Value, ty: TypeRef<'static>, depth: usize) {
        if self.bytes.is_empty() {
            return;
        }
        match (&mut *value, self.byte()) {
            (_, 0..6) => *value = self.scalar(),
            (Value::Map(map), _) => {
                let names: Vec<String> = map.keys().map(str::to_owned).collect();
                for name in names {
                    match self.byte() {
                        0..24 => drop(map.remove(&name)),
                        24..96 => {
                            let of = ty.field(&name).map_or_else(TypeRef::untyped, |field| field.ty);
                            if let Some(inner) = map.get_mut(&name) {
                                self.change(inner, of, depth + 1);
                            }
                        }
                        96..=255 => {}
                    }
                }
            }
            (Value::List(items), choice) => {
                let element = ty.element();
                for item in items.iter_mut() {
                    self.change(item, element, depth + 1);
                }
                match choice {
                    6..64 => items.reverse(),
                    64..80 => drop(items.pop()),
                    80..96 => {
                        let first = items.first().cloned();
                        items.extend(first);
                    }
                    _ => {}
                }
            }
            (_, 6..128) => *value = self.scalar(),
            (_, _) => {}
        }
    }

    /// Who owns what: us what is declared, another what is live, or parts of both.
    fn managed(
        &mut self,
        target: &Value,
        live: &Value,
        ty: TypeRef<'static>,
        version: &str,
    ) -> ManagedFields {
        let entry = |manager: &str, operation, fields| ManagedEntry {
            manager: FieldManager::new(manager),
            operation,
            subresource: "".into(),
            api_version: version.into(),
            time: None,
            fields,
        };
        let sets = [target, live].map(|object| field_set(object, ty).unwrap_or_default());
        let [declared, there] = sets;
        let foreign = match self.below(4) {
            0 => there,
            1 => there.difference(&declared),
            2 => there.recursive_difference(&declared),
            _ => return ManagedFields::default(),
        };
        let ours = entry(FieldManager::TRUEUP, ManagedOperation::Apply, declared);
        ManagedFields { entries: vec![ours, entry("kubectl-edit", ManagedOperation::Update, foreign)] }
    }
}
