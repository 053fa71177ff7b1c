//! What was observed, in the engine's terms.

use std::collections::BTreeMap;

use trueup_engine::live::{Coverage, KindCoverage, Live, LiveSet};
use trueup_object::{GroupKind, Gvk, ResourceKey};

use crate::cluster::Cluster;
use crate::observed::{Observed, UnreadableObject};
use crate::store::{Cause, Content, KindState, ObjectName};
use crate::wire::WireError;

impl Observed {
    /// The object for the engine.
    pub fn live(&self) -> Result<Live, UnreadableObject> {
        Live::of(self.value()?).ok_or_else(|| UnreadableObject {
            kind: self.gvk().kind.to_string(),
            message: "it has no uid or resourceVersion".to_owned(),
        })
    }
}

impl KindState {
    /// How much is known about the objects of the kind.
    pub fn coverage(&self) -> KindCoverage {
        match self {
            Self::Complete { at: _ } => KindCoverage::Complete,
            Self::NotServed { since: _ } => KindCoverage::NotServed,
            Self::Unlisted => {
                KindCoverage::Incomplete { cause: "it is not listed yet".to_owned(), since: None }
            }
            Self::Listing { since, before: _ } => {
                KindCoverage::Incomplete { cause: "it is being listed".to_owned(), since: Some(*since) }
            }
            Self::Incomplete { since, before: _, cause } => {
                KindCoverage::Incomplete { cause: describe(cause), since: Some(*since) }
            }
        }
    }
}

fn describe(cause: &Cause) -> String {
    let what = match cause {
        Cause::Unreachable(_) => "the cluster cannot be reached",
        Cause::Unauthorized(_) => "the cluster does not accept our credentials",
        Cause::Forbidden(_) => "listing or watching it is forbidden; grant list and watch",
        Cause::Undiscovered(_) => "whether it is served is not known",
        Cause::VersionNotServed(_) => "this version is not served",
        Cause::Unwatchable(_) => "it cannot be watched",
        Cause::Server(_) => "the server failed",
        Cause::Unreadable(_) => "the server's answer could not be read",
    };
    format!("{what}: {}", cause.message())
}

impl Cluster {
    /// How much is known of each kind that is watched, in whichever version.
    pub fn coverage(&self) -> Coverage {
        best(&self.coverages().into_iter().collect())
    }

    /// The objects that carry the mark of an application and those that its targets name, each in the version of the
    /// target. Named objects that were kept by version alone are read first.
    pub async fn live_set(&self, application: &str, targets: &[(Gvk, ResourceKey)]) -> LiveSet {
        let named = targets.iter().map(|(gvk, key)| (gvk.clone(), ObjectName::of(key)));
        let failed = self.need(named).await;
        self.live_now(application, targets.iter().map(|(gvk, key)| (gvk, key)), failed)
    }

    /// The same as it is known now, without waiting: for those who have asked for the named objects before
    /// ([`Cluster::need`]) and pass on what could not be read.
    ///
    /// The coverage is taken before the objects: whatever is claimed complete was complete when the objects were read
    /// or became incomplete since.
    pub fn live_now<'a>(
        &self,
        application: &str,
        targets: impl IntoIterator<Item = (&'a Gvk, &'a ResourceKey)>,
        failed: Vec<(ResourceKey, WireError)>,
    ) -> LiveSet {
        let mut unread: BTreeMap<ResourceKey, String> =
            failed.into_iter().map(|(key, error)| (key, error.to_string())).collect();
        let versions: BTreeMap<Gvk, KindCoverage> = self.coverages().into_iter().collect();
        let coverage = best(&versions);
        let mut objects = BTreeMap::new();
        for (gvk, key) in targets {
            // Another version of the kind may be known to the end while this one is not, as when its conversion fails: what
            // the target is compared with is then not known, whatever is known of its existence.
            if let (Some(why), None) = (uncertainty(&versions, gvk, key), coverage.uncertainty(key)) {
                unread.insert(key.clone(), why);
                continue;
            }
            match self.get(gvk, &ObjectName::of(key)) {
                Some(Content::Whole(observed)) => {
                    take(&mut objects, &mut unread, key.clone(), self.live_of(&observed));
                }
                // It exists, and an event just after the read dropped its content again: never a missing object.
                Some(Content::Version(_)) => {
                    unread.entry(key.clone()).or_insert_with(|| "its content was not read yet".to_owned());
                }
                None => {}
            }
        }
        for (key, observed) in self.tracked_by(application) {
            if !objects.contains_key(&key) {
                take(&mut objects, &mut unread, key, self.live_of(&observed));
            }
        }
        LiveSet { objects, unread, coverage }
    }
}

/// Every version shows the same objects, so one complete version is enough to know which there are.
fn best(versions: &BTreeMap<Gvk, KindCoverage>) -> Coverage {
    let mut kinds: BTreeMap<GroupKind, KindCoverage> = BTreeMap::new();
    for (gvk, coverage) in versions {
        let better = |known: &KindCoverage| worth(coverage) > worth(known);
        if kinds.get(&gvk.group_kind()).is_none_or(better) {
            kinds.insert(gvk.group_kind(), coverage.clone());
        }
    }
    Coverage { kinds }
}

/// Why it is not known how an object looks in a version.
fn uncertainty(versions: &BTreeMap<Gvk, KindCoverage>, gvk: &Gvk, key: &ResourceKey) -> Option<String> {
    let coverage = versions.get(gvk)?.clone();
    let kinds = BTreeMap::from([(gvk.group_kind(), coverage)]);
    let why = Coverage { kinds }.uncertainty(key)?;
    Some(format!("{} cannot be read in {}: {why}", gvk.kind, gvk.api_version()))
}

/// How much of a kind a version shows.
fn worth(coverage: &KindCoverage) -> u8 {
    match coverage {
        KindCoverage::Complete => 2,
        KindCoverage::Namespaces { .. } => 1,
        KindCoverage::NotServed | KindCoverage::Incomplete { .. } => 0,
    }
}

fn take(
    objects: &mut BTreeMap<ResourceKey, Live>,
    unread: &mut BTreeMap<ResourceKey, String>,
    key: ResourceKey,
    read: Result<Live, UnreadableObject>,
) {
    match read {
        Ok(live) => {
            unread.remove(&key);
            objects.insert(key, live);
        }
        Err(error) => {
            unread.insert(key, error.to_string());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::Timestamp;

    use super::*;

    #[test]
    fn only_a_finished_listing_covers_a_kind() {
        let at = Timestamp::from_second(10).unwrap();
        assert_eq!(KindState::Complete { at }.coverage(), KindCoverage::Complete);
        assert_eq!(KindState::NotServed { since: at }.coverage(), KindCoverage::NotServed);
        let listing = KindState::Listing { since: at, before: Some(at) }.coverage();
        assert!(matches!(listing, KindCoverage::Incomplete { since: Some(since), .. } if since == at));
        let forbidden = KindState::Incomplete {
            since: at,
            before: None,
            cause: Cause::Forbidden("secrets is forbidden".into()),
        };
        let KindCoverage::Incomplete { cause, .. } = forbidden.coverage() else { panic!("complete") };
        assert!(cause.contains("grant list and watch: secrets is forbidden"), "{cause}");
    }
}
