//! Fields that appear all over the fleet after a change of the API server's version: they are the server's own, and said once
//! for each kind and place, not for each object (detection.md 2, "What counts").

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use trueup_engine::difference::{Channel, Difference};
use trueup_engine::look::Comparison;
use trueup_object::{FieldPath, GroupKind, PathElement};

/// A server that fills in more than this has done something else than to gain a default or two.
const SAID_MAX: usize = 500;

/// What was said of one cluster.
#[derive(Debug, Default)]
pub struct Appeared {
    said: Mutex<BTreeSet<(GroupKind, String)>>,
}

impl Appeared {
    /// Says what a look finds that nobody owns and that was not there before the change, as far as that is new. `found` was made
    /// with what was remembered from before.
    pub fn tell(&self, found: &Comparison, version: &str) {
        for (kind, path) in self.fresh(found) {
            tracing::info!(
                %kind, path, version,
                "the API server is of another version now and fills in a field that nobody declares: it is taken as its own; \
                 said once for all objects"
            );
        }
    }

    fn fresh(&self, found: &Comparison) -> Vec<(GroupKind, String)> {
        let all = found.differences().chain(found.notes());
        let unowned = all.filter(|difference| difference.channel == Channel::Unowned);
        let places: BTreeSet<(GroupKind, String)> = unowned.filter_map(place).collect();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let room = SAID_MAX.saturating_sub(said.len());
        let fresh: Vec<_> = places.into_iter().filter(|place| !said.contains(place)).take(room).collect();
        said.extend(fresh.iter().cloned());
        fresh
    }
}

fn place(difference: &Difference) -> Option<(GroupKind, String)> {
    Some((difference.key.group_kind(), shape(difference.path.as_ref()?)))
}

/// The path without the names of items: those differ from object to object.
fn shape(path: &FieldPath) -> String {
    let element = |element: &PathElement| match element {
        PathElement::Field(name) => format!(".{name}"),
        PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => "[]".to_owned(),
    };
    path.elements().iter().map(element).collect()
}

#[cfg(test)]
mod tests {
    use trueup_object::KeyFields;

    use super::*;

    #[test]
    fn items_of_lists_are_one_place() {
        let container = |name: &str| {
            let mut path = FieldPath::fields(&["spec", "containers"]);
            path.push(PathElement::Key(KeyFields::new(vec![("name".into(), name.into())])));
            path.push(PathElement::Field("stdin".into()));
            shape(&path)
        };
        assert_eq!(container("a"), ".spec.containers[].stdin");
        assert_eq!(container("a"), container("b"));
        assert_eq!(shape(&FieldPath::fields(&["spec", "size"])), ".spec.size");
    }
}
