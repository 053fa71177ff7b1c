//! What a comparison was made of, so that it can be shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_diff::{mask, normalise_live, normalise_target, predict};
use trueup_engine::desired::TargetSet;
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, Presence};
use trueup_merge::{Layered, TypeRef, Writer};
use trueup_object::{FieldManager, FieldSet, Gvk, ResourceKey, Text, Value};

use crate::scene::RUN_KEY;

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

    /// The live object and what applying Git's would leave of it, both without what is never compared, both masked, so
    /// that equal values of a Secret are the same run; null where one side has no such object.
    pub fn full(&self, key: &ResourceKey, gvk: &Gvk) -> (Value, Value) {
        let target = self.targets.targets.get(key).map(|target| &*target.object);
        let live = self.live.objects.get(key).map(|live| &*live.object);
        let predicted = match (self.predicted.and_then(|predicted| predicted.get(key)), live, target) {
            (Some(predicted), _, _) => Some(normalise_live(predicted)),
            (None, Some(live), Some(target)) => self.applied(live, target, gvk),
            (None, None, Some(target)) => Some(normalise_target(target)),
            (None, _, None) => None,
        };
        let live = live.map(normalise_live);
        let mut masked = mask(live.iter().chain(&predicted), self.ty(gvk), &RUN_KEY).into_iter();
        let mut next = |there: bool| if there { masked.next() } else { None };
        let (live, predicted) = (next(live.is_some()), next(predicted.is_some()));
        let value =
            |it: Option<trueup_diff::Masked>| it.map(trueup_diff::Masked::into_value).unwrap_or_default();
        (value(live), value(predicted))
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
