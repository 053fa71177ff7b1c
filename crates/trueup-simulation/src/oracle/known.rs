//! What was found out about a cluster that is still the same.
//!
//! The judge looks every simulated second, and in most of them nothing has changed: then neither has what differs.

use std::sync::Arc;

use trueup_object::Value;

use super::{Gap, Live, Targets, View, additions, unlike};

/// The newest commit, and the one that a status tells of.
const KEPT_MAX: usize = 2;

/// What was found out about one application; the latest comes last.
#[derive(Debug, Default)]
pub struct Known {
    found: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    targets: Arc<Targets>,
    /// The objects of the cluster, in their order. While they are held, nothing else can lie where they lie.
    live: Vec<Arc<Value>>,
    unlike: Vec<Gap>,
}

impl Found {
    fn is_of(&self, targets: &Arc<Targets>, live: &Live) -> bool {
        let is_alike = |(held, object): (&Arc<Value>, &Arc<Value>)| Arc::ptr_eq(held, object);
        Arc::ptr_eq(&self.targets, targets)
            && self.live.len() == live.len()
            && self.live.iter().zip(live.values()).all(is_alike)
    }
}

impl Known {
    /// Everything that Git and the cluster do not agree on. `view` is always of the same application.
    pub fn gaps(&mut self, targets: &Arc<Targets>, view: View<'_>) -> Vec<Gap> {
        let mut gaps = match self.found.iter().find(|found| found.is_of(targets, view.live)) {
            Some(found) => found.unlike.clone(),
            None => {
                let unlike = unlike(view);
                let live = view.live.values().cloned().collect();
                self.found.retain(|found| !Arc::ptr_eq(&found.targets, targets));
                if self.found.len() == KEPT_MAX {
                    self.found.remove(0);
                }
                self.found.push(Found { targets: targets.clone(), live, unlike: unlike.clone() });
                unlike
            }
        };
        gaps.extend(additions(view));
        gaps
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use trueup_object::ResourceKey;

    use super::super::Difference;
    use super::*;

    #[test]
    fn what_changes_is_found_out_anew() {
        let key = ResourceKey::new("", "ConfigMap", "web", "a");
        let object =
            |text: &str| Arc::new(Value::from_json(format!(r#"{{"data":"{text}"}}"#).as_bytes()).unwrap());
        let mut targets = Targets { is_complete: true, ..Targets::default() };
        targets.objects.insert(key.clone(), object("one"));
        let (first, mut known) = (Arc::new(targets.clone()), Known::default());
        let mut live = Live::from([(key.clone(), object("one"))]);
        let added = BTreeSet::new();
        let mut found = |targets: &Arc<Targets>, live: &Live| {
            let view = View { app: "app", targets, live, ignored: &[], added: &added };
            known.gaps(targets, view).into_iter().map(|gap| gap.what).collect::<Vec<_>>()
        };
        let differs = Difference::Declared { pointer: "/data".to_owned() };
        assert_eq!(found(&first, &live), []);
        live.insert(key.clone(), object("other"));
        for _ in 0..2 {
            assert_eq!(found(&first, &live), std::slice::from_ref(&differs));
        }
        targets.objects.insert(key.clone(), object("other"));
        assert_eq!(found(&Arc::new(targets), &live), []);
        live.clear();
        assert_eq!(found(&first, &live), [Difference::Missing]);
    }
}
