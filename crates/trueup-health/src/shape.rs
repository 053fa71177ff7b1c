//! Whether what a rule reads has the types that its kind gives it.
//!
//! Argo CD converts an object to its Go type before it judges it, and an object that does not convert is Unknown. An API
//! server never serves such an object; a file can hold one.

use trueup_object::Value;

/// The type of a field that a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Int,
    Text,
    Flag,
    Map,
    /// A list of maps.
    Items,
}

/// A path of map keys, and what is to be there if anything is.
pub(crate) type Field = (&'static [&'static str], Want);

/// What every rule reads.
const COMMON: &[Field] = &[
    (&["metadata"], Want::Map),
    (&["metadata", "generation"], Want::Int),
    (&["metadata", "annotations"], Want::Map),
    (&["spec"], Want::Map),
    (&["status"], Want::Map),
    (&["status", "observedGeneration"], Want::Int),
    (&["status", "conditions"], Want::Items),
];

/// The first field that is of another type, in words.
pub(crate) fn misfit(live: &Value, fields: &[Field]) -> Option<String> {
    COMMON.iter().chain(fields).find_map(|(path, want)| {
        let found = live.at(path).filter(|found| !found.is_null())?;
        (!want.fits(found)).then(|| format!("{} is not {}", path.join("."), want.words()))
    })
}

impl Want {
    fn fits(self, found: &Value) -> bool {
        match self {
            Self::Int => found.as_int().is_some(),
            Self::Text => found.as_str().is_some(),
            Self::Flag => found.as_bool().is_some(),
            Self::Map => found.as_map().is_some(),
            Self::Items => found
                .as_list()
                .is_some_and(|items| items.iter().all(|item| item.is_null() || item.as_map().is_some())),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Int => "an integer",
            Self::Text => "a string",
            Self::Flag => "a boolean",
            Self::Map => "an object",
            Self::Items => "a list of objects",
        }
    }
}
