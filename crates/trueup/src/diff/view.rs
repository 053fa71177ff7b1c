//! What a comparison was made of, so that it can be shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_diff::{Masked, declared_form, mask, normalise_live, normalise_target, predict};
use trueup_engine::desired::TargetSet;
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, Presence};
use trueup_engine::memory::Memory;
use trueup_engine::settings::Settings;
use trueup_merge::{Layered, TypeRef, Writer};
use trueup_object::{FieldManager, FieldSet, Gvk, ResourceKey, Text, Value};

/// A comparison and both of its sides.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub comparison: &'a Comparison,
    pub targets: &'a TargetSet,
    pub live: &'a LiveSet,
    pub schemas: Layered<'a>,
    /// What a server's dry run said it would leave.
    pub predicted: Option<&'a BTreeMap<ResourceKey, Value>>,
    /// Who applies.
    pub manager: &'a str,
    /// What was remembered of the objects, sealed with the key.
    pub memory: &'a BTreeMap<ResourceKey, Memory>,
    pub secret_key: &'a [u8; 32],
    pub settings: &'a Settings,
}

/// Whether it is worked out what applying would leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Predicted {
    Wanted,
    Left,
    /// Nor is the status left out.
    LeftWithStatus,
}

/// The versions of one object, normalised and masked together.
pub struct Sides {
    pub target: Option<Masked>,
    pub live: Option<Masked>,
    /// What applying Git's would leave.
    pub predicted: Option<Masked>,
}

impl<'a> View<'a> {
    pub fn ty(&self, gvk: &Gvk) -> TypeRef<'a> {
        // Not `unwrap_or_else`: the untyped schema is static, the known one is borrowed.
        match self.schemas.lookup(gvk) {
            Some(ty) => ty,
            None => TypeRef::untyped(),
        }
    }

    /// Whether an object that both sides have was compared without a schema.
    pub fn is_structural(&self, gvk: &Gvk, presence: Presence) -> bool {
        presence == Presence::Matched && self.schemas.lookup(gvk).is_none()
    }

    /// The live object and what applying Git's would leave of it, both without what is never compared; null where one side
    /// has no such object.
    pub fn full(&self, key: &ResourceKey, gvk: &Gvk) -> (Value, Value) {
        let value = |it: Option<Masked>| it.map(Masked::into_value).unwrap_or_default();
        let Sides { target: _, live, predicted } = self.sides(key, gvk, Predicted::Wanted);
        (value(live), value(predicted))
    }

    /// All versions of an object without what is never compared. They are masked in the order in which comparing masks
    /// them: equal values are the same run here and in its differences.
    pub fn sides(&self, key: &ResourceKey, gvk: &Gvk, wanted: Predicted) -> Sides {
        let target = self.targets.targets.get(key).map(|target| &*target.object);
        let live = self.live.objects.get(key).map(|live| &*live.object);
        let told = self.predicted.and_then(|predicted| predicted.get(key));
        let predicted = match (wanted, told, live, target) {
            (Predicted::Left | Predicted::LeftWithStatus, ..) => None,
            (Predicted::Wanted, Some(told), _, _) => Some(normalise_live(told)),
            (Predicted::Wanted, None, Some(live), Some(target)) => self.applied(live, target, gvk),
            (Predicted::Wanted, None, None, Some(target)) => Some(normalise_target(target)),
            (Predicted::Wanted, None, _, None) => None,
        };
        let form = match wanted {
            Predicted::LeftWithStatus => declared_form,
            Predicted::Wanted | Predicted::Left => normalise_target,
        };
        let base = self.memory.get(key).and_then(|memory| memory.base.as_ref()).map(form);
        let versions = [target.map(form), live.map(form), base, predicted];
        let secrecy = self.settings.secrecy(self.secret_key);
        let mut masked = mask(versions.iter().flatten(), self.ty(gvk), secrecy).into_iter();
        let [target, live, _, predicted] = versions.map(|version| version.and_then(|_| masked.next()));
        Sides { target, live, predicted }
    }

    /// What a forced apply would leave, as far as merging tells; nothing where the target does not fit its type.
    fn applied(&self, live: &Value, target: &Value, gvk: &Gvk) -> Option<Value> {
        let writer = Writer {
            manager: FieldManager::new(self.manager),
            subresource: Text::default(),
            api_version: gvk.api_version(),
            now: None::<Timestamp>,
            reset: FieldSet::default(),
        };
        predict(live, target, &writer, self.ty(gvk)).ok().map(|object| normalise_live(&without_nulls(object)))
    }
}

/// What Git declares as `null` is not stored.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::List(items) => Value::List(items.into_iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value,
    }
}
