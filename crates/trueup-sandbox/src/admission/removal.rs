//! Deletes with the leave of those who are asked about them: of one object, and of each of a collection.

use std::sync::Arc;

use trueup_object::Value;

use super::GROUP;
use super::policy::{self, Write};
use super::webhooks::Webhooks;
use crate::api::{Api, Change, DeleteOptions, Deleted, ListOptions, Listing, Target};
use crate::audit::Trail;
use crate::http::credentials::User;
use crate::status::ApiStatus;
use crate::write::WriteVerb;

/// How often a delete is begun anew because others were faster, which nobody is told of.
const N_ATTEMPTS: usize = 16;

/// A delete that somebody asks for.
#[derive(Clone, Copy)]
pub(crate) struct Removal<'a> {
    pub(crate) api: &'a Api,
    pub(crate) user: &'a User,
    pub(crate) trail: &'a Trail,
    pub(crate) options: &'a DeleteOptions,
}

impl Removal<'_> {
    /// Deletes one object, or marks it to be deleted when its finalizers are done.
    pub(crate) async fn delete(
        &self,
        target: Target<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Deleted, ApiStatus> {
        self.remove(target, target, warnings).await
    }

    /// Deletes all objects of a collection that match; returns what they were, as of before.
    pub(crate) async fn delete_collection(
        &self,
        target: Target<'_>,
        list: &ListOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Listing, ApiStatus> {
        let listing = self.api.list(target, list)?;
        for object in &listing.items {
            let namespace = object.str_at(&["metadata", "namespace"]).unwrap_or_default();
            let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
            let each = Target::object(target.served, namespace, name);
            match self.remove(each, target, warnings).await {
                Ok(_) => {}
                // Somebody else deleted it first: what was asked for is so.
                Err(status) if status.code == 404 => {}
                Err(status) => return Err(status),
            }
        }
        Ok(listing)
    }

    /// `asked` is what the request names: of an object of a collection no name is told.
    async fn remove(
        &self,
        target: Target<'_>,
        asked: Target<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Deleted, ApiStatus> {
        for _ in 0..N_ATTEMPTS {
            let live = self.api.to_delete(target, self.options)?;
            self.admit(asked, &live, warnings).await?;
            if let Some(deleted) = self.api.delete_live(target, self.options, &live)? {
                return Ok(deleted);
            }
        }
        Err(ApiStatus::modified(&target.served.kind, target.name.unwrap_or_default()))
    }

    async fn admit(
        &self,
        asked: Target<'_>,
        live: &Arc<Value>,
        warnings: &mut Vec<String>,
    ) -> Result<(), ApiStatus> {
        if asked.served.kind.gvk.group == GROUP {
            return Ok(());
        }
        let change = Change {
            target: asked,
            verb: WriteVerb::Update,
            body: &[],
            content_type: "",
            field_manager: None,
            user_agent: "",
            force: false,
            field_validation: None,
            dry_run: self.options.dry_run,
            user: None,
        };
        let write = Write {
            api: self.api,
            change: &change,
            user: self.user,
            trail: self.trail,
            spoken: None,
            deletes: Some(self.options),
            old: Some(live),
            object: None,
        };
        let mut webhooks = Webhooks::of(self.api);
        webhooks.mutate(write, 0, warnings).await?;
        policy::validate(write, warnings)?;
        webhooks.validate(write, warnings).await
    }
}
