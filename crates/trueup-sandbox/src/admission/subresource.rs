//! What is sent to a subresource and never stored, with the leave of those who are asked about it.

use trueup_object::{Gvk, Value};

use super::policy::{self, Mutators, Write};
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
pub(crate) fn subresource(
    api: &Api,
    change: &Change<'_>,
    (user, trail): (&User, &Trail),
    written: Written<'_>,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiStatus> {
    let Written { kind, mut object } = written;
    fn write<'a>(whole: Write<'a>, object: &'a Value) -> Write<'a> {
        Write { object: Some(object), ..whole }
    }
    let whole =
        Write { api, change, user, trail, spoken: Some(kind), deletes: None, old: None, object: None };
    let mut mutators = Mutators::of(api);
    object = mutators.mutate(write(whole, &object))?.unwrap_or(object);
    object = mutators.again(write(whole, &object))?.unwrap_or(object);
    policy::validate(write(whole, &object), warnings)?;
    Ok(object)
}
