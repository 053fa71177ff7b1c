//! Admission: who is asked about a write, and what becomes of it.
//!
//! As the API server does it: mutating policies, then mutating webhooks, in the order of their configurations' names, each seeing what
//! the one before left; those that want it once more where something changed after them. Then nobody may give rights that he has not;
//! then validating policies and webhooks, about the object as it would be stored. Deletes, Scales and what is sent to a subresource
//! and never stored go the same way. So does what the
//! sandbox's own controllers write, but for what goes with a namespace or an owner.

pub(crate) mod builtin;
mod call;
mod escalation;
mod hook;
pub(crate) mod policy;
mod removal;
mod service;
mod subresource;
mod webhooks;

use trueup_object::{Gvk, Value};

use crate::api::{Admitted, Api, Change, Changed, Proposal};
use crate::audit::Trail;
use crate::http::credentials::User;
use crate::status::ApiStatus;
use crate::write::scale;

use policy::{Mutators, Write};
use webhooks::Webhooks;

pub(crate) use removal::Removal;
pub(crate) use subresource::{Written, subresource};

const GROUP: &str = "admissionregistration.k8s.io";

/// How often a write is begun anew because others were faster while webhooks were asked, as often as the server does.
const N_ATTEMPTS: usize = 5;

/// Makes a change with the leave of those who are asked, and notes what is to be noted.
pub(crate) async fn change(
    api: &Api,
    change: &Change<'_>,
    user: &User,
    trail: &Trail,
) -> Result<Changed, ApiStatus> {
    let changed = asked(api, change, user, trail).await;
    let notes = changed.as_ref().map_or_else(|refusal| &refusal.details.notes, |changed| &changed.notes);
    for (key, note) in notes {
        trail.annotate(key, note);
    }
    changed
}

async fn asked(api: &Api, change: &Change<'_>, user: &User, trail: &Trail) -> Result<Changed, ApiStatus> {
    // A webhook that is asked about webhooks could not be removed any more.
    if change.target.served.kind.gvk.group == GROUP {
        return api.change(change);
    }
    let mut panel = Panel::of(api);
    if panel.is_empty() && !escalation::concerns(change, user) {
        return api.change(change);
    }
    let scales = change.target.subresource == Some("scale");
    for _ in 0..N_ATTEMPTS {
        let Proposal { live, object, uid, mut warnings } = api.propose(change)?;
        let scale = if scales { live.as_deref().and_then(|live| scale_of(change, live)) } else { None };
        let write = Write {
            api,
            change,
            user,
            trail,
            spoken: scale.as_ref().map(|(kind, _)| kind),
            deletes: None,
            old: scale.as_ref().map(|(_, scale)| scale).or(live.as_deref()),
            object: None,
        };
        let proposed = Admitted { live: live.clone(), object, uid };
        match panel.admit(write, proposed, &mut warnings).await {
            Ok(Some(mut changed)) => {
                warnings.append(&mut changed.warnings);
                return Ok(Changed { warnings, ..changed });
            }
            Ok(None) => {}
            // What was warned of before a refusal is told with it.
            Err(refusal) => return Err(refusal.after(warnings)),
        }
        panel = Panel::of(api);
    }
    Err(ApiStatus::modified(&change.target.served.kind, change.target.name.unwrap_or_default()))
}

fn scale_of(change: &Change<'_>, live: &Value) -> Option<(Gvk, Value)> {
    Some((Gvk::new("autoscaling", "v1", "Scale"), scale::scale_of(&change.target.served.kind, live)?))
}

/// Everybody who has a say about a write.
struct Panel {
    mutators: Mutators,
    webhooks: Webhooks,
    /// Whether validating policies are bound.
    is_judged: bool,
}

impl Panel {
    fn of(api: &Api) -> Self {
        Self {
            mutators: Mutators::of(api),
            webhooks: Webhooks::of(api),
            is_judged: !policy::bound(api, "validating").is_empty(),
        }
    }

    fn is_empty(&self) -> bool {
        self.mutators.is_empty() && self.webhooks.is_empty() && !self.is_judged
    }

    /// Asks all of them about a proposed object, and makes the change; nothing where others were faster.
    async fn admit(
        &mut self,
        write: Write<'_>,
        proposed: Admitted,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Changed>, ApiStatus> {
        let Write { api, change, user, .. } = write;
        let object = self.mutate(write, proposed.object, warnings).await?;
        escalation::check(api, user, change, (proposed.live.as_deref(), &object))?;
        let admitted = Admitted { object, ..proposed };
        if self.is_judged || self.webhooks.validates() {
            let whole = api.preview(change, &admitted)?;
            self.validate(Write { object: Some(&whole), ..write }, warnings).await?;
        }
        api.change_admitted(change, &admitted)
    }

    /// What those make of an object who may change it.
    async fn mutate(
        &mut self,
        write: Write<'_>,
        mut object: Value,
        warnings: &mut Vec<String>,
    ) -> Result<Value, ApiStatus> {
        let Self { mutators, webhooks, .. } = self;
        let by_policies = mutators.mutate(Write { object: Some(&object), ..write })?;
        let mut is_changed = by_policies.is_some();
        object = by_policies.unwrap_or(object);
        for round in 0..2 {
            let (after, by_webhooks) =
                webhooks.mutate(Write { object: Some(&object), ..write }, round, warnings).await?;
            object = after.unwrap_or(object);
            is_changed |= by_webhooks;
            if round > 0 || !is_changed {
                break;
            }
            if by_webhooks {
                mutators.changed();
            }
            object = mutators.again(Write { object: Some(&object), ..write })?.unwrap_or(object);
        }
        Ok(object)
    }

    async fn validate(&self, write: Write<'_>, warnings: &mut Vec<String>) -> Result<(), ApiStatus> {
        policy::validate(write, warnings)?;
        self.webhooks.validate(write, warnings).await
    }
}
