//! What live has and Git does not declare, taken apart by whose it is.
//!
//! An added subtree is one finding at its root, where all that was added belongs together; else one for each owner, at
//! the deepest path that this owner's part has in common.

use trueup_object::{FieldPath, PathElement, Value};

use crate::absent::{asks_nothing, present, says_nothing};
use crate::align::Sides;
use crate::derived::is_chosen_by_server;
use crate::finding::{Change, Channel};
use crate::owners::{Owned, Owner};
use crate::spot::{Parts, Spot};
use crate::walk::{Found, UnownedVerdict, Walk};

/// Whoever this stands for: a server gives this entry everything that an object had at the first server-side apply to it,
/// what it chose itself among it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Why a value stands where Git declares none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Git declared it before: applying removes it.
    Pending,
    /// Another manager owns it.
    Others,
    /// Nobody owns it and it was not there right after our last sync.
    Unowned,
    /// It was there all along.
    Known,
    /// There is nothing to tell by whether anybody added it.
    Untold,
}

struct Leaf {
    path: FieldPath,
    claim: Claim,
    owners: Vec<Owner>,
    ours: bool,
}

/// The leaves that make one finding.
struct Group {
    leaves: Vec<Leaf>,
}

impl<'a> Walk<'a> {
    /// Notes what was added at and below the path of the walk.
    pub(crate) fn added(&mut self, sides: Sides<'a>, spot: Spot<'a>) {
        // An atomic value is declared as a whole, with nothing else in it.
        let null_declared = self.is_null_applied(sides, &spot);
        let is_declared = present(sides.target).is_some() || null_declared;
        let in_declared = self.atomic.is_some() || is_declared;
        self.null_declared = null_declared;
        // A declared `null` is owned by whoever applied it: owning is then no sign of having had a value. Nor is it
        // inside an atomic value that we applied: the server filled in the rest.
        let declared_null = [sides.target, sides.base].iter().flatten().any(|side| side.is_null());
        let owning_tells = !declared_null && !in_declared;
        let mut leaves = Vec::new();
        self.leaves(sides, spot, owning_tells, &mut leaves);
        let groups = group(leaves);
        let is_whole = groups.len() == 1;
        for group in groups {
            let path = if is_whole { self.path.clone() } else { group.common_path(&self.path) };
            self.found.extend(group.into_finding(path, in_declared).map(|found| Found {
                // Where Git declares nothing (`null`, an empty list) an apply sees to that whoever else owns it.
                pending_removal: found.pending_removal && !is_declared,
                ..found
            }));
        }
    }

    /// Whether Git declares `null` where an apply puts that over what another has set: over one value, but not over the
    /// parts of a map or a keyed list, and not where the server chooses.
    fn is_null_applied(&self, sides: Sides<'a>, spot: &Spot<'a>) -> bool {
        let is_one_value = sides.live.is_some_and(|live| match spot.parts(live) {
            Parts::Scalar | Parts::AtomicList => true,
            Parts::Map { atomic } => atomic,
            Parts::NamedList => false,
        });
        sides.target.is_some_and(Value::is_null)
            && is_one_value
            && !is_chosen_by_server(self.root, &self.path)
    }

    fn leaves(&mut self, sides: Sides<'a>, spot: Spot<'a>, owning_tells: bool, leaves: &mut Vec<Leaf>) {
        let Some(live) = present(sides.live).filter(|live| !says_nothing(live, &spot)) else { return };
        match spot.parts(live) {
            Parts::Map { atomic } if live.as_map().is_some_and(|map| !map.is_empty()) => {
                self.within(atomic, |walk| {
                    let default = spot.object_default();
                    for (name, fields) in sides.fields() {
                        let child = spot.child_with(name, Some(live), default);
                        walk.step(PathElement::Field(name.into()), |walk| {
                            walk.leaves(fields, child, owning_tells, leaves);
                        });
                    }
                });
            }
            Parts::NamedList => {
                for (name, items) in sides.named_items(spot.ty) {
                    self.step(name.element(), |walk| walk.leaves(items, spot.item(), owning_tells, leaves));
                }
            }
            Parts::Map { .. } | Parts::AtomicList | Parts::Scalar => {
                leaves.extend(self.leaf(live, sides.base, &spot, owning_tells));
            }
        }
    }

    /// Whose a value is; `None` where nothing can be said about it.
    fn leaf(
        &mut self,
        live: &Value,
        base: Option<&Value>,
        spot: &Spot<'_>,
        owning_tells: bool,
    ) -> Option<Leaf> {
        let Owned { others, ours, ours_applied } = self.owners.of(&self.path, self.atomic);
        let claim = if present(base).is_some_and(|base| !asks_nothing(base, spot)) {
            Claim::Pending
        } else if !others.is_empty() {
            let is_of_all = others.iter().all(|entry| entry.manager.as_str() == BEFORE_FIRST_APPLY);
            let is_chosen = is_of_all && is_chosen_by_server(self.root, &self.path);
            if is_chosen { Claim::Known } else { Claim::Others }
        } else if ours_applied && owning_tells {
            Claim::Pending
        } else if ours {
            Claim::Known
        } else {
            match self.judge_unowned(live) {
                UnownedVerdict::New | UnownedVerdict::Unjudged if self.null_declared => Claim::Others,
                UnownedVerdict::New if is_chosen_by_server(self.root, &self.path) => Claim::Known,
                UnownedVerdict::New if self.owners.known() && spot.is_earlier_default(live) => Claim::Known,
                UnownedVerdict::New => Claim::Unowned,
                UnownedVerdict::Known => Claim::Known,
                UnownedVerdict::Unjudged
                    if self.base_tells() && !is_chosen_by_server(self.root, &self.path) =>
                {
                    Claim::Others
                }
                UnownedVerdict::Unjudged
                    if self.nothing_tells() && !is_chosen_by_server(self.root, &self.path) =>
                {
                    Claim::Untold
                }
                UnownedVerdict::Unjudged => return None,
            }
        };
        Some(Leaf {
            path: self.path.clone(),
            claim,
            owners: others.into_iter().map(Owner::of).collect(),
            ours,
        })
    }
}

/// Puts leaves together that have the same claim and the same likeliest owner.
fn group(leaves: Vec<Leaf>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for leaf in leaves {
        match groups.iter_mut().find(|group| group.takes(&leaf)) {
            Some(group) => group.leaves.push(leaf),
            None => groups.push(Group { leaves: vec![leaf] }),
        }
    }
    groups
}

impl Group {
    fn takes(&self, leaf: &Leaf) -> bool {
        self.leaves.first().is_some_and(|first| {
            first.claim == leaf.claim
                && match (first.owners.first(), leaf.owners.first()) {
                    (Some(one), Some(other)) => one.is(other),
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                }
        })
    }

    /// The deepest path that all leaves have in common, not above `root`; the item itself where only its key is left.
    fn common_path(&self, root: &FieldPath) -> FieldPath {
        let mut common = self.leaves.first().map(|leaf| leaf.path.clone()).unwrap_or_default();
        for leaf in &self.leaves {
            while !leaf.path.starts_with(&common) {
                common.pop();
            }
        }
        if let [.., PathElement::Key(keys), PathElement::Field(name)] = common.elements()
            && keys.get(name).is_some()
            && common.elements().len() > root.elements().len()
        {
            common.pop();
        }
        common
    }

    fn into_finding(self, path: FieldPath, in_declared: bool) -> Option<Found> {
        let first = self.leaves.first()?;
        let channel = match first.claim {
            Claim::Pending => Channel::Declared,
            Claim::Others if in_declared => Channel::Declared,
            Claim::Others | Claim::Untold => Channel::Undeclared,
            Claim::Unowned => Channel::Unowned,
            Claim::Known => return None,
        };
        let pending_removal = first.claim == Claim::Pending;
        let untold = first.claim == Claim::Untold;
        let mut owners: Vec<Owner> = Vec::new();
        let ours = self.leaves.iter().any(|leaf| leaf.ours);
        let mut leaves = Vec::with_capacity(self.leaves.len());
        for leaf in self.leaves {
            for owner in leaf.owners {
                if !owners.iter().any(|known| known.is(&owner)) {
                    owners.push(owner);
                }
            }
            leaves.push(leaf.path);
        }
        Some(Found { channel, change: Change::Added, path, leaves, owners, ours, pending_removal, untold })
    }
}
