//! What comparing takes and what it finds.

use trueup_merge::{Managed, TypeRef};
use trueup_object::{FieldManager, FieldPath, Value};

use crate::ignore::{Hidden, IgnoreRule, RuleFailure};
use crate::mask::Masked;
use crate::owners::Owner;
use crate::seal::Secrecy;
use crate::unowned::UnownedTable;

/// One object as Git wants it, as it is, and what is known of how it came to be.
#[derive(Clone, Copy)]
pub struct CompareInput<'a> {
    pub target: &'a Value,
    pub live: &'a Value,
    /// The target that was last applied, sealed or not.
    pub base: Option<&'a Value>,
    /// The managed fields of `live`.
    pub managed: &'a Managed<'a>,
    pub our_manager: &'a FieldManager,
    pub ty: TypeRef<'a>,
    pub schema_known: bool,
    pub ignore: &'a [&'a IgnoreRule],
    /// Taken after our last sync.
    pub unowned: Option<&'a UnownedTable>,
    /// Whether a `status` that the target declares is compared. What it does not declare of it never is.
    pub status: bool,
    /// What sensitive values are sealed with; the key is the same for `base` and `unowned`.
    pub secrecy: Secrecy<'a>,
}

/// What one look at a pair found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// By path; ignored ones among them.
    pub findings: Vec<Finding>,
    /// For each rule given, how many fields of the object it hides; 0 also where it is about other objects.
    pub rule_matches: Vec<usize>,
    /// The rules, by index, that do not work on the object.
    pub rule_failures: Vec<(usize, RuleFailure)>,
    /// The places that rules hide, whether they differ or not.
    pub hidden: Hidden,
    /// What live has and Git does not declare, where nothing tells whether anybody added it: neither managed fields nor
    /// an earlier sync. No differences: with any, "no finding" is not "the same". What a rule hides is not among them.
    pub untold: Vec<Finding>,
}

/// Which question a finding answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Git declares (or declared) the field.
    Declared,
    /// Git does not declare the field and another manager owns it (without managed fields: base has it not).
    Undeclared,
    /// Git does not declare the field, nobody owns it, and it was not so right after our last sync.
    Unowned,
}

/// From target to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Changed,
    Added,
    Removed,
}

/// Which side left what was last synced; `None` where that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    pub git: Option<bool>,
    pub cluster: Option<bool>,
}

/// One difference. It holds no sensitive value: what is needed of one must be taken from the objects themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub channel: Channel,
    /// Never the root.
    pub path: FieldPath,
    /// JSON pointer into live; into the target where live has it not.
    pub pointer: String,
    pub change: Change,
    pub target: Option<Masked>,
    pub live: Option<Masked>,
    pub base: Option<Masked>,
    /// Git declared it before and no longer does: applying removes it.
    pub pending_removal: bool,
    /// Who else owns the live path, the likeliest writer of its value first.
    pub owners: Vec<Owner>,
    /// An entry of our manager owns it.
    pub ours: bool,
    pub moved: Moved,
    /// The first rule that hides it.
    pub ignored_by: Option<usize>,
    /// A value was masked.
    pub sensitive: bool,
    /// Both values are the same amount or duration in other words, in a place where nothing says that they are one.
    pub same_amount: bool,
}

impl Channel {
    /// As people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Undeclared => "undeclared",
            Self::Unowned => "unowned",
        }
    }
}

impl Change {
    /// As people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}
