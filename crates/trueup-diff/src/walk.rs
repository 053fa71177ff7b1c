//! Walks target, live and base side by side and notes where live is not what Git declares.
//!
//! The walk follows what the schema says about lists and maps. It stops at the root of every difference: what Git
//! declares and live lacks is one difference, whatever is in it; what live has and Git does not declare is taken apart
//! by its owners (`addition`).

use trueup_merge::{SchemaSet, Shape, TypeRef};
use trueup_object::{FieldPath, Gvk, Map, PathElement, Value};

use crate::absent::{asks_nothing, is_replaced, is_zero, present, says_nothing};
use crate::align::{Sides, has_repeated_names};
use crate::derived::{asks_server_to_choose, is_written_over};
use crate::equal::{Mode, agree, agree_in_any_order};
use crate::finding::{Change, Channel};
use crate::normalise::is_mark;
use crate::owners::{Owner, Owners};
use crate::reference::refers_otherwise;
use crate::scalar;
use crate::spot::{Parts, Spot};
use crate::unowned::{self, UnownedTable};

/// A difference, before its values and who moved are looked up.
pub(crate) struct Found {
    pub channel: Channel,
    pub change: Change,
    pub path: FieldPath,
    /// The paths that the finding is about: its own, or the leaves below it that belong to its owner.
    pub leaves: Vec<FieldPath>,
    pub owners: Vec<Owner>,
    pub ours: bool,
    pub pending_removal: bool,
    /// It may have been there all along: nothing tells.
    pub untold: bool,
}

/// The state of a walk.
pub(crate) struct Walk<'a> {
    pub owners: Owners<'a>,
    pub unowned: Unowned<'a>,
    pub key: &'a [u8; 32],
    pub path: FieldPath,
    /// The length of the path of the atomic value that the walk is in.
    pub atomic: Option<usize>,
    pub found: Vec<Found>,
    /// Git declares `null` where the walk looks at an addition.
    pub null_declared: bool,
    /// What was declared at the last sync is known.
    pub base_known: bool,
    /// The live object as a whole.
    pub root: Option<&'a Value>,
    /// Whether a declared `status` is looked at.
    pub status: bool,
}

/// What becomes of fields that nobody declares and nobody owns.
pub(crate) enum Unowned<'a> {
    /// They are compared with those of the last sync, where these are known.
    Judge(Option<&'a UnownedTable>),
    /// They are collected, but for what lies at or under these paths.
    Collect { entries: Vec<(u64, u64)>, except: &'a [FieldPath] },
}

impl<'a> Walk<'a> {
    pub fn new(owners: Owners<'a>, unowned: Unowned<'a>, key: &'a [u8; 32]) -> Self {
        Self {
            owners,
            unowned,
            key,
            path: FieldPath::root(),
            atomic: None,
            found: Vec::new(),
            null_declared: false,
            base_known: false,
            root: None,
            status: false,
        }
    }

    /// Walks whole objects.
    pub fn object(&mut self, sides: Sides<'a>, ty: TypeRef<'a>) {
        self.root = sides.live;
        let root = Spot::root(ty);
        for (name, fields) in sides.fields() {
            match name {
                "apiVersion" | "kind" => {}
                "status" => self.declared_status(fields, root.child(name, sides.live)),
                _ if fields.are_settled() => {}
                "metadata" => self.step(PathElement::Field(name.into()), |walk| {
                    walk.metadata(fields, metadata_spot(root.child(name, sides.live)));
                }),
                _ => self.field(name, fields, root.child(name, sides.live)),
            }
        }
    }

    /// Controllers write there: only what Git declares of it is anybody else's business, and only where settings say so.
    fn declared_status(&mut self, sides: Sides<'a>, spot: Spot<'a>) {
        if !self.status || sides.target.is_none() || sides.are_settled() {
            return;
        }
        let before = self.found.len();
        self.field("status", sides, spot);
        let found = self.found.split_off(before);
        let is_declared = |found: &Found| found.channel == Channel::Declared && !found.pending_removal;
        self.found.extend(found.into_iter().filter(is_declared));
    }

    /// Everything else in `metadata` is identity or bookkeeping.
    fn metadata(&mut self, sides: Sides<'a>, spot: Spot<'a>) {
        for (name, fields) in sides.fields() {
            let is_compared = matches!(name, "labels" | "annotations" | "finalizers" | "ownerReferences");
            if is_compared && !fields.are_settled() {
                self.field(name, fields, spot.child(name, sides.live));
            }
        }
    }

    fn field(&mut self, name: &str, sides: Sides<'a>, spot: Spot<'a>) {
        // Most of what Git does not declare is what the server writes by itself: that needs no path.
        if let (None, Some(live)) = (sides.target, sides.live)
            && is_scalar(live)
            && says_nothing(live, &spot)
        {
            return;
        }
        self.step(PathElement::Field(name.into()), |walk| walk.visit(sides, spot));
    }

    pub(crate) fn step(&mut self, element: PathElement, visit: impl FnOnce(&mut Self)) {
        self.path.push(element);
        visit(self);
        self.path.pop();
    }

    /// Visits what is in a value that may be atomic.
    pub(crate) fn within(&mut self, atomic: bool, visit: impl FnOnce(&mut Self)) {
        let outer = self.atomic;
        if atomic && outer.is_none() {
            self.atomic = Some(self.path.elements().len());
        }
        visit(self);
        self.atomic = outer;
    }

    fn visit(&mut self, sides: Sides<'a>, spot: Spot<'a>) {
        match (present(sides.target), present(sides.live)) {
            (None, None) => {}
            (Some(target), None) => {
                if self.is_taken_apart(target, &spot) {
                    self.children(sides, target, spot);
                } else if !asks_nothing(target, &spot) {
                    self.declared(Change::Removed);
                }
            }
            (None, Some(live)) => {
                let has_default = spot.object_default().is_some() && !spot.ty.is_atomic();
                if self.is_taken_apart(live, &spot) || has_default {
                    self.children(sides, live, spot);
                } else {
                    self.added(sides, spot);
                }
            }
            (Some(target), Some(live)) => self.both(target, live, sides, spot),
        }
    }

    fn both(&mut self, target: &'a Value, live: &'a Value, sides: Sides<'a>, spot: Spot<'a>) {
        // What is declared as empty is filled in like what is not declared.
        if is_empty_map(target) && spot.is_default(live) {
            return;
        }
        match (spot.parts(target), spot.parts(live)) {
            (Parts::Scalar, Parts::Scalar) => {
                let is_chosen = || {
                    is_zero(target) && self.root.is_some_and(|root| asks_server_to_choose(root, &self.path))
                };
                let is_written_over = is_written_over(spot.name, spot.parent);
                if !scalar::same(target, live, &spot)
                    && !is_replaced(target, live, &spot)
                    && !is_written_over
                    && !is_chosen()
                {
                    self.declared(Change::Changed);
                }
            }
            (Parts::Map { .. }, Parts::Map { .. }) | (Parts::NamedList, Parts::NamedList) => {
                self.children(sides, live, spot);
            }
            (Parts::AtomicList, Parts::AtomicList)
                if agree_in_any_order(target, live, &spot, Mode::Filled) => {}
            (Parts::AtomicList, Parts::AtomicList) => {
                if length(target) == length(live) {
                    self.children(sides, live, spot);
                } else if length(target) == 0 {
                    // An empty list is no list: what live has was added.
                    self.added(sides, spot);
                } else {
                    self.declared(Change::Changed);
                }
            }
            (Parts::Scalar | Parts::Map { .. } | Parts::NamedList | Parts::AtomicList, _) => {
                self.declared(Change::Changed);
            }
        }
    }

    /// Visits the children of a place; `value` is what one of the sides has there.
    fn children(&mut self, sides: Sides<'a>, value: &'a Value, spot: Spot<'a>) {
        match spot.parts(value) {
            Parts::Scalar => {}
            Parts::Map { atomic } => self.within(atomic, |walk| {
                let marked = walk.path.elements().len() == 2 && walk.path.starts_with_fields(&["metadata"]);
                let default = spot.object_default();
                for (name, fields) in sides.fields() {
                    let is_bookkeeping = marked && is_mark(name);
                    if !(is_bookkeeping || fields.are_settled()) {
                        let child = spot.child_beside(name, sides.live, sides.target, default);
                        walk.field(name, fields, child);
                    }
                }
            }),
            Parts::NamedList => self.items(sides, spot),
            Parts::AtomicList => self.within(true, |walk| {
                for (element, items) in sides.indexed_items() {
                    if !items.are_settled() {
                        walk.step(element, |walk| walk.visit(items, spot.item()));
                    }
                }
            }),
        }
    }

    fn items(&mut self, sides: Sides<'a>, spot: Spot<'a>) {
        let items = sides.named_items(spot.ty);
        if !has_repeated_names(&items) {
            let before = self.found.len();
            for (name, item) in items {
                if !item.are_settled() {
                    self.step(name.element(), |walk| walk.visit(item, spot.item()));
                }
            }
            let both = present(sides.target).zip(present(sides.live));
            let is_told = self.found.len() > before;
            if !is_told && both.is_some_and(|(target, live)| refers_otherwise(target, live, &spot)) {
                self.declared(Change::Changed);
            }
            return;
        }
        // A name that occurs twice leads to no item in particular: then the list is one value.
        let Some(target) = present(sides.target) else { return self.added(sides, spot) };
        if present(sides.live).is_none() {
            self.declared(Change::Removed);
        } else if !agree(Some(target), sides.live, &spot, Mode::Covers)
            || length(target) != sides.live.map_or(0, length)
        {
            self.declared(Change::Changed);
        }
    }

    /// Whether a value that only one side has is told piece by piece: the parts that every object has, maps of labels,
    /// data and the like, and lists whose items have names. Each key and each item of these is a thing of its own, and
    /// an empty one is as good as none.
    fn is_taken_apart(&self, value: &Value, spot: &Spot<'a>) -> bool {
        match spot.parts(value) {
            Parts::Map { .. } => match spot.name {
                "spec" | "data" | "stringData" | "binaryData" => self.path.elements().len() == 1,
                "labels" | "annotations" => spot.parent == "metadata",
                "metadata" => true,
                _ => false,
            },
            Parts::NamedList => true,
            Parts::AtomicList | Parts::Scalar => false,
        }
    }

    /// Notes a difference in what Git declares, at the path of the walk.
    fn declared(&mut self, change: Change) {
        let owned = self.owners.of(&self.path, self.atomic);
        let owners = match change {
            Change::Removed => Vec::new(),
            Change::Changed | Change::Added => owned.others.iter().map(|entry| Owner::of(entry)).collect(),
        };
        self.found.push(Found {
            channel: Channel::Declared,
            change,
            path: self.path.clone(),
            leaves: vec![self.path.clone()],
            owners,
            ours: owned.ours,
            pending_removal: false,
            untold: false,
        });
    }

    /// Whether what base has not must have been added by somebody, for want of managed fields that would say by whom.
    pub(crate) fn base_tells(&self) -> bool {
        self.base_known && !self.owners.known() && matches!(self.unowned, Unowned::Judge(_))
    }

    /// Whether neither managed fields nor an earlier sync say what was added.
    pub(crate) fn nothing_tells(&self) -> bool {
        !self.base_known && !self.owners.known() && matches!(self.unowned, Unowned::Judge(None))
    }

    /// What is known of a value that nobody declares and nobody owns.
    pub(crate) fn judge_unowned(&mut self, live: &Value) -> UnownedVerdict {
        // Labels and annotations always have an owner, unless nothing has.
        if self.path.starts_with_fields(&["metadata"]) && self.owners.known() {
            return UnownedVerdict::Unjudged;
        }
        match &mut self.unowned {
            Unowned::Judge(None) => UnownedVerdict::Unjudged,
            Unowned::Judge(Some(table)) => {
                if table.contains(unowned::entry(&self.path, live, self.key)) {
                    UnownedVerdict::Known
                } else {
                    UnownedVerdict::New
                }
            }
            Unowned::Collect { entries, except } => {
                if !except.iter().any(|path| self.path.starts_with(path)) {
                    entries.push(unowned::entry(&self.path, live, self.key));
                }
                UnownedVerdict::Unjudged
            }
        }
    }
}

fn is_empty_map(value: &Value) -> bool {
    value.as_map().is_some_and(Map::is_empty)
}

fn length(list: &Value) -> usize {
    list.as_list().map(<[Value]>::len).unwrap_or_default()
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => true,
        Value::Null | Value::List(_) | Value::Map(_) => false,
    }
}

/// Whether a value that nobody declares and nobody owns was there right after our last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UnownedVerdict {
    Known,
    New,
    /// There is nothing to tell by.
    Unjudged,
}

/// `metadata` has the same type in every kind, also in those whose schema is not known.
pub(crate) fn metadata_spot(spot: Spot<'_>) -> Spot<'_> {
    if !matches!(spot.ty.shape(), Shape::Untyped) {
        return spot;
    }
    let config_map = SchemaSet::builtin().lookup(&Gvk::new("", "v1", "ConfigMap"));
    let metadata = config_map.and_then(|ty| ty.field("metadata"));
    metadata.map_or(spot, |field| spot.retyped(field.ty))
}
