//! What nobody owns, where nothing is remembered of the last sync: told from what a server fills in.

use std::collections::BTreeMap;

use crate::difference::Channel;
use crate::live::LiveSet;
use crate::look::Comparison;
use crate::memory::{Memory, UnownedTable};
use trueup_merge::Layered;
use trueup_object::{ManagedFields, ResourceKey};

/// Only to these kinds does the admission of a server add values that are nobody's.
const ADMITTED: [(&str, &str); 2] = [("", "Pod"), ("networking.k8s.io", "Ingress")];

/// A controller remembers what nobody owned right after the last sync, and files do not. What nobody owns and no server fills
/// in by itself was changed without a trace then: a scale of replicas that nobody owns leaves none. What is remembered stays.
pub fn remember_nothing_unowned(
    memory: &mut BTreeMap<ResourceKey, Memory>,
    live: &LiveSet,
    schemas: Layered<'_>,
) {
    for (key, live) in &live.objects {
        let is_admitted = ADMITTED.contains(&(key.group.as_str(), key.kind.as_str()));
        let is_owned = !ManagedFields::of(&live.object).entries.is_empty();
        if is_owned && !is_admitted && schemas.lookup(&live.gvk).is_some() {
            memory.entry(key.clone()).or_default().unowned.get_or_insert_with(UnownedTable::default);
        }
    }
}

/// Says why such a difference is one.
pub fn tell(comparison: &mut Comparison) {
    let differences = comparison.objects.iter_mut().flat_map(|object| &mut object.differences);
    for found in differences.filter(|it| it.channel == Channel::Unowned && it.message.is_none()) {
        found.message = Some(
            "nobody owns it and no server fills it in: changed without a trace, as by a scale".to_owned(),
        );
    }
}
