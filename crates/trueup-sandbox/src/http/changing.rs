//! Requests that create, update or patch: in which format they come, and what is asked of them before they are carried out.

use trueup_object::Value;

use super::reply::{JSON, Reply};
use super::resource::Handler;
use super::serve::Call;
use super::subresource::OwnSubresource;
use super::verb::Verb;
use super::{options, protobuf};
use crate::admission;
use crate::api::Change;
use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusReason};
use crate::write::{self, PatchKind, WriteVerb};

impl Handler<'_> {
    pub(super) async fn change(&self) -> Result<Reply, ApiStatus> {
        let presentation = self.presentation()?;
        let verb = match self.verb {
            Verb::Create => WriteVerb::Create,
            Verb::Patch => WriteVerb::Patch(patch_kind(self.call.content_type(), self.kind())?),
            _ => WriteVerb::Update,
        };
        if self.verb != Verb::Patch {
            refuse_unknown_format(self.call.content_type())?;
            self.refuse_unreadable_scale()?;
        }
        let (target, call) = (self.target(), self.call);
        self.note_request(verb);
        if !is_review(self.kind())
            && let Some(own) = OwnSubresource::of(self.kind(), target.subresource)
        {
            return self.create_own(own).await;
        }
        let given = options::change(&call.query, verb)?;
        let change = Change {
            target,
            verb,
            body: &call.body,
            content_type: call.content_type(),
            field_manager: call.query.text("fieldManager"),
            user_agent: call.user_agent(),
            force: given.force,
            field_validation: given.field_validation,
            dry_run: given.dry_run,
            user: Some(&call.user),
        };
        if call.trail.is_followed()
            && let Some(object) = self.front.api.requested(&change)
        {
            call.trail.requests(&object);
        }
        if is_review(self.kind()) {
            // What a client says of the answer is nobody's.
            let mut asked = self.front.api.requested(&change).unwrap_or_default();
            asked.remove_at(&["status"]);
            let asked = asked.to_json();
            let body = if asked == "null" { change.body } else { asked.as_bytes() };
            let review = self.front.api.propose(&Change { body, ..change })?.object;
            let answer = if self.kind().gvk.kind == "TokenReview" {
                self.front.review_token(review)
            } else {
                self.front.api.review(self.kind(), &call.user, review)
            };
            return Ok(Reply::json(201, &answer));
        }
        let changed = admission::change(&self.front.api, &change, &call.user, &call.trail).await?;
        let code = if changed.created { 201 } else { 200 };
        let body = match self.path.subresource.as_deref() {
            // A scale has no columns of its own.
            Some("scale") => changed.response.to_json(),
            _ => presentation.object(&changed.response),
        };
        let mut reply = Reply::text(code, JSON, body);
        reply.warnings = changed.warnings;
        Ok(reply)
    }

    /// Notes a patch, or what is asked and not stored, as it was sent.
    fn note_request(&self, verb: WriteVerb) {
        let Call { trail, body, .. } = self.call;
        if !trail.is_followed() {
            return;
        }
        let read = Value::from_json(body).ok().or_else(|| write::yaml_document(body));
        match (verb, read) {
            (WriteVerb::Patch(_), Some(patch)) => trail.patches(&patch),
            (WriteVerb::Create | WriteVerb::Update, Some(object)) => trail.requests(&object),
            (_, None) => {}
        }
    }

    /// The server reads a scale before it looks for what is to be scaled.
    fn refuse_unreadable_scale(&self) -> Result<(), ApiStatus> {
        if self.path.subresource.as_deref() != Some("scale") || self.call.content_type().contains("yaml") {
            return Ok(());
        }
        write::decode::refuse_unreadable("Scale", &self.call.body)
    }
}

/// Kinds that are asked, not stored.
fn is_review(kind: &KindInfo) -> bool {
    matches!(kind.gvk.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
        && kind.gvk.kind.ends_with("Review")
}

/// The kind of a patch, by its content type.
fn patch_kind(content_type: &str, kind: &KindInfo) -> Result<PatchKind, ApiStatus> {
    match media_type(content_type) {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        _ if kind.is_builtin() => {
            let message = "415: Unsupported Media Type";
            Err(ApiStatus::new(415, StatusReason::UnsupportedMediaType, message).as_generic())
        }
        _ => Err(ApiStatus::unsupported_media_type(&CUSTOM_PATCHES)),
    }
}

/// The patches that custom kinds take.
const CUSTOM_PATCHES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// Whole objects come as JSON or YAML (protobuf was read before); a body that does not say is JSON.
fn refuse_unknown_format(content_type: &str) -> Result<(), ApiStatus> {
    // Of custom kinds too, whatever becomes of them in that form.
    let accepted = ["application/json", "application/yaml", protobuf::PROTOBUF];
    match media_type(content_type) {
        "" | "application/json" | "application/yaml" => Ok(()),
        _ => Err(ApiStatus::unsupported_media_type(&accepted)),
    }
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}
