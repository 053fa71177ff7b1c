//! What is sent to a subresource and never stored, with the leave of those who are asked about it.

use trueup_object::{Gvk, Value};

use super::Panel;
use super::policy::Write;
use crate::api::{Api, Change};
use crate::audit::Trail;
use crate::http::credentials::User;
use crate::status::ApiStatus;

/// An object that is sent to a subresource.
pub(crate) struct Written<'a> {
    pub(crate) kind: &'a Gvk,
    pub(crate) object: Value,
}

/// Asks about it; returns it as it was left.
pub(crate) async fn subresource(
    api: &Api,
    change: &Change<'_>,
    (user, trail): (&User, &Trail),
    written: Written<'_>,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiStatus> {
    let Written { kind, object } = written;
    let whole =
        Write { api, change, user, trail, spoken: Some(kind), deletes: None, old: None, object: None };
    let mut panel = Panel::of(api);
    let object = panel.mutate(whole, object, warnings).await?;
    panel.validate(Write { object: Some(&object), ..whole }, warnings).await?;
    Ok(object)
}
