//! What applying would leave.

use trueup_merge::{ApplyError, TypeRef, Writer, apply};
use trueup_object::Value;

use crate::normalise::in_form;

/// What a forced apply of the target by a writer would make of the live object. The server would still default and
/// convert it.
pub fn predict(live: &Value, target: &Value, writer: &Writer, ty: TypeRef<'_>) -> Result<Value, ApplyError> {
    let mut target = in_form(target).into_owned();
    let is_cluster_scoped = live.str_at(&["metadata", "namespace"]).is_none_or(str::is_empty);
    if is_cluster_scoped {
        target.remove_at(&["metadata", "namespace"]);
    }
    apply(Some(live), &target, writer, true, ty).map(|applied| applied.object)
}
