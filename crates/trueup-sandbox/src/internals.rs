//! What the project's own tests, its simulation and its proxy reach into. It is no part of the interface: it changes with every
//! version, without notice.

pub use crate::api::{Api, ListOptions, Target};
pub use crate::http::path::Route;
pub use crate::http::protobuf;
pub use crate::http::query::Query;
pub use crate::kind::{KindInfo, KindOrigin, Scope};
pub use crate::selector::Selector;
pub use crate::state::{Change, ChangeKind, Name, ResourceId, WatchCursor};
pub use crate::status::{ApiStatus, StatusReason};
pub use crate::structural::StructuralSchema;
