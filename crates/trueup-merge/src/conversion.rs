//! The versions of a kind. An entry of managed fields names fields of the version that it was written in, so what it owns
//! and loses is worked out there, on the object as that version shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use trueup_object::{FieldSet, Text, Value};

use crate::compare::{Comparison, compare};
use crate::managers::Managers;
use crate::ownership::both_with_empty_structs;
use crate::schema::TypeRef;
use crate::validate::{Invalid, validate};

/// Shows an object in another version of its kind (`apps/v1`, `v1`), with the type that it has there; `None` where the
/// kind is not served in that version.
pub type Show<'a> = dyn Fn(&Value, &str) -> Option<(Value, TypeRef<'a>)> + 'a;

/// A kind in the version of a write.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    pub ty: TypeRef<'a>,
    show: Option<&'a Show<'a>>,
}

impl<'a> Kind<'a> {
    /// A kind whose versions have the same fields, whatever they are called.
    pub fn uniform(ty: TypeRef<'a>) -> Self {
        Self { ty, show: None }
    }

    /// A kind whose versions may differ.
    pub fn versioned(ty: TypeRef<'a>, show: &'a Show<'a>) -> Self {
        Self { ty, show: Some(show) }
    }

    pub(crate) fn is_uniform(self) -> bool {
        self.show.is_none()
    }

    /// The object in a version; `own` is that of the write.
    pub(crate) fn show<'v>(
        self,
        object: &'v Value,
        version: &str,
        own: &str,
    ) -> Result<(Cow<'v, Value>, TypeRef<'a>), NotShown> {
        let is_own = version == own && object.str_at(&["apiVersion"]).is_none_or(|found| found == own);
        match self.show {
            Some(show) if !is_own => {
                let (shown, ty) = show(object, version).ok_or(NotShown::Gone)?;
                let ty = if version == own { self.ty } else { ty };
                // As the server, which allows a stored object less in another version than in its own.
                let invalid = validate(&shown, ty);
                if invalid.is_empty() { Ok((Cow::Owned(shown), ty)) } else { Err(NotShown::Unfit(invalid)) }
            }
            Some(_) | None => Ok((Cow::Borrowed(object), self.ty)),
        }
    }
}

/// Why an object cannot be seen in a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotShown {
    /// The kind is not served in it any more.
    Gone,
    /// It does not fit its type there. Never empty.
    Unfit(Vec<Invalid>),
}

impl NotShown {
    /// Nothing where the version is gone, which is no fault of the object.
    pub fn unless_gone<T>(self) -> Result<Option<T>, Vec<Invalid>> {
        match self {
            Self::Gone => Ok(None),
            Self::Unfit(invalid) => Err(invalid),
        }
    }
}

/// A write, before and after.
#[derive(Clone, Copy)]
pub(crate) struct Write<'a> {
    pub before: &'a Value,
    pub after: &'a Value,
    /// The version of the write.
    pub version: &'a str,
    /// What it cannot change.
    pub reset: &'a FieldSet,
}

/// What a write changed, as each version of the kind sees it.
pub(crate) struct Changes {
    pub own: Comparison,
    /// `None`: the version is not served any more.
    others: BTreeMap<Text, Option<Comparison>>,
}

impl Changes {
    /// The changes of an update, which the server sees on its own Go types.
    pub fn of_update(write: Write<'_>, managers: &Managers, kind: Kind<'_>) -> Result<Self, Vec<Invalid>> {
        Self::of(write, managers, kind, |before, after, ty| {
            let (before, after) = both_with_empty_structs(before, after, ty);
            compare(&before, &after, ty)
        })
    }

    /// The changes of an apply.
    pub fn of_apply(write: Write<'_>, managers: &Managers, kind: Kind<'_>) -> Result<Self, Vec<Invalid>> {
        Self::of(write, managers, kind, compare)
    }

    fn of(
        write: Write<'_>,
        managers: &Managers,
        kind: Kind<'_>,
        compare: impl Fn(&Value, &Value, TypeRef<'_>) -> Comparison,
    ) -> Result<Self, Vec<Invalid>> {
        let Write { before, after, version: own, reset } = write;
        let mut others = BTreeMap::new();
        if kind.show.is_some() {
            let versions = managers.entries.values().map(|entry| &entry.api_version);
            for version in versions.filter(|version| version.as_str() != own) {
                if others.contains_key(version) {
                    continue;
                }
                let shown = kind.show(before, version, own).and_then(|(before, ty)| {
                    let (after, _) = kind.show(after, version, own)?;
                    Ok(compare(&before, &after, ty).without(reset))
                });
                let seen = shown.map(Some).or_else(NotShown::unless_gone)?;
                others.insert(version.clone(), seen);
            }
        }
        Ok(Self { own: compare(before, after, kind.ty).without(reset), others })
    }

    /// What changed for an entry of this version; `None` where it is not served any more, and the entry means nothing.
    pub fn at(&self, version: &str) -> Option<&Comparison> {
        self.others.get(version).map_or(Some(&self.own), Option::as_ref)
    }
}
