//! Subresources that do something of their own in place of a write: evicting a pod, binding it, issuing a token.

use trueup_object::{Gvk, Value};

use super::options;
use super::reply::Reply;
use super::resource::Handler;
use crate::admission::{self, Written};
use crate::api::{Change, Target, pods};
use crate::kind::KindInfo;
use crate::status::ApiStatus;
use crate::write::{self, WriteVerb};

/// A subresource that is created and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnSubresource {
    Eviction,
    Binding,
    Token,
}

impl OwnSubresource {
    pub(super) fn of(kind: &KindInfo, subresource: Option<&str>) -> Option<Self> {
        match (kind.plural.as_str(), subresource?) {
            ("pods", "eviction") => Some(Self::Eviction),
            ("pods", "binding") => Some(Self::Binding),
            ("serviceaccounts", "token") => Some(Self::Token),
            _ => None,
        }
    }

    /// What is sent to it.
    fn kind(self) -> Gvk {
        match self {
            Self::Eviction => Gvk::new("policy", "v1", "Eviction"),
            Self::Binding => Gvk::new("", "v1", "Binding"),
            Self::Token => Gvk::new("authentication.k8s.io", "v1", "TokenRequest"),
        }
    }
}

impl Handler<'_> {
    /// Asks those who have a say, then does what the subresource does.
    pub(super) async fn create_own(&self, own: OwnSubresource) -> Result<Reply, ApiStatus> {
        let (target, call, kind) = (self.target(), self.call, own.kind());
        let mut body = write::decode::json(&call.body).map_err(|error| {
            let message = format!("{}: {error}", write::decode::UNREADABLE);
            write::decode::unrecognized(&kind.kind, &call.body, &message)
        })?;
        let dry_run = options::dry_run(&call.query, "CreateOptions")?;
        self.complete(own, &mut body)?;
        let change = Change {
            target,
            verb: WriteVerb::Create,
            body: &call.body,
            content_type: call.content_type(),
            field_manager: call.query.text("fieldManager"),
            user_agent: call.user_agent(),
            force: false,
            field_validation: None,
            dry_run,
            user: None,
        };
        let mut warnings = Vec::new();
        let written = Written { kind: &kind, object: body };
        let asked = admission::subresource(
            &self.front.api,
            &change,
            (&call.user, &call.trail),
            written,
            &mut warnings,
        )
        .await;
        let body = asked.map_err(|refusal| refusal.after(warnings.clone()))?;
        let main = Target { subresource: None, ..target };
        let done = match own {
            // A dry run says what would be refused for want of the object.
            _ if dry_run => self.front.api.get(main).map(|_| pods::success()),
            OwnSubresource::Eviction => self.front.api.evict_pod(target, &body),
            OwnSubresource::Binding => self.front.api.bind_pod(target, &body),
            OwnSubresource::Token => self.front.issue_token(target, &body, &call.trail),
        };
        let mut reply = Reply::json(201, &done.map_err(|refusal| refusal.after(warnings.clone()))?);
        reply.warnings = warnings;
        Ok(reply)
    }

    /// What the server fills in before it asks anybody. Only a request for a token may leave its name out.
    fn complete(&self, own: OwnSubresource, body: &mut Value) -> Result<(), ApiStatus> {
        let (target, kind) = (self.target(), own.kind());
        let name = target.name.unwrap_or_default();
        match own {
            OwnSubresource::Eviction | OwnSubresource::Binding => {
                if body.str_at(&["metadata", "name"]) != Some(name) {
                    return Err(ApiStatus::bad_request(format!(
                        "name in URL does not match name in {} object",
                        kind.kind
                    )));
                }
            }
            OwnSubresource::Token => {
                self.front.api.get(Target { subresource: None, ..target })?;
                body.set_at(&["metadata", "name"], name.into());
            }
        }
        body.set_at(&["metadata", "namespace"], target.namespace.into());
        body.set_at(&["apiVersion"], kind.api_version().into());
        body.set_at(&["kind"], kind.kind.into());
        Ok(())
    }
}
