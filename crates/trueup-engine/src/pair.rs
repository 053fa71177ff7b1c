//! Target met live.

use std::collections::BTreeMap;

use trueup_object::ResourceKey;

use crate::app::App;
use crate::desired::{Completeness, Target, TargetSet};
use crate::live::{Live, LiveSet};

/// One object of an application, as Git and the cluster have it.
#[derive(Debug, Clone, Copy)]
pub enum Pair<'a> {
    /// Git wants it, and it is known not to exist.
    Missing { target: &'a Target },
    /// Both have it.
    Matched { target: &'a Target, live: &'a Live },
    /// It carries our mark, and all targets are known and do not want it.
    Extraneous { live: &'a Live },
}

/// An object about which too little is known to pair it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unobserved {
    pub key: ResourceKey,
    pub why: String,
}

/// Every object of an application: paired, or unobserved with the reason.
pub struct Pairs<'a> {
    pub pairs: BTreeMap<ResourceKey, Pair<'a>>,
    pub unobserved: Vec<Unobserved>,
}

/// Pairs targets with live objects. Not knowing is not absence: an incomplete listing never makes `Missing`, incomplete
/// targets never make `Extraneous`.
pub fn pair<'a>(app: &App, targets: &'a TargetSet, live: &'a LiveSet) -> Pairs<'a> {
    let mut result = Pairs { pairs: BTreeMap::new(), unobserved: Vec::new() };
    for (key, target) in &targets.targets {
        let unread = live.unread.get(key).cloned();
        let uncertainty = unread.or_else(|| live.coverage.uncertainty(key));
        match (live.objects.get(key), uncertainty) {
            // What was seen before the listing broke may be stale: it proves neither agreement nor drift.
            (_, Some(why)) => result.unobserved.push(Unobserved { key: key.clone(), why }),
            (Some(found), None) => {
                result.pairs.insert(key.clone(), Pair::Matched { target, live: found });
            }
            (None, None) => {
                result.pairs.insert(key.clone(), Pair::Missing { target });
            }
        }
    }
    for (key, found) in &live.objects {
        if targets.targets.contains_key(key) || !app.tracks(&found.object, key) || is_owned(found) {
            continue;
        }
        match (&targets.completeness, live.coverage.uncertainty(key)) {
            (Completeness::Partial { why }, _) => {
                let why = format!("its manifest may be among those that could not be read: {why}");
                result.unobserved.push(Unobserved { key: key.clone(), why });
            }
            (Completeness::Complete, Some(why)) => {
                result.unobserved.push(Unobserved { key: key.clone(), why })
            }
            (Completeness::Complete, None) => {
                result.pairs.insert(key.clone(), Pair::Extraneous { live: found });
            }
        }
    }
    // What Git no longer wants may be there still.
    let undeclared = live.unread.iter().filter(|(key, _)| !targets.targets.contains_key(key));
    result.unobserved.extend(undeclared.map(|(key, why)| Unobserved { key: key.clone(), why: why.clone() }));
    result
}

/// An object with an owner goes with its owner: only roots are paired (compat 2.1.6).
fn is_owned(live: &Live) -> bool {
    !live.object.list_at(&["metadata", "ownerReferences"]).is_empty()
}
