//! Requests that delete: one object, or those of a collection.

use std::sync::Arc;

use trueup_object::Value;
use trueup_object::value::Map;

use super::options;
use super::reply::{JSON, Reply};
use super::resource::Handler;
use super::serve::Call;
use crate::admission::Removal;
use crate::api::convert::convert;
use crate::api::{DeleteOptions, Deleted};
use crate::kind::KindInfo;
use crate::status::ApiStatus;

impl Handler<'_> {
    pub(super) async fn delete(&self) -> Result<Reply, ApiStatus> {
        self.note_options();
        let options = options::delete(&self.call.query, &self.call.body)?;
        let mut warnings = self.left_behind(&options);
        let deleted = self.removal(&options).delete(self.target(), &mut warnings).await;
        let deleted = deleted.map_err(|refusal| refusal.after(warnings.clone()))?;
        let in_version = |object: &Arc<Value>| convert(object, self.kind());
        let mut reply = match deleted {
            // Only the older way to ask for it says that the rest is under way.
            Deleted::Waiting(object) if options.takes_dependents => Reply::json(202, &in_version(&object)),
            Deleted::Waiting(object) => Reply::json(200, &in_version(&object)),
            Deleted::Gone(object) if returns_deleted(self.kind()) => Reply::json(200, &object),
            Deleted::Gone(object) => Reply::json(200, &success(self.kind(), &object)),
        };
        reply.warnings = warnings;
        Ok(reply)
    }

    pub(super) async fn delete_collection(&self) -> Result<Reply, ApiStatus> {
        self.note_options();
        let presentation = self.presentation()?;
        let list = options::list(&self.call.query, self.kind())?;
        let options = options::delete(&self.call.query, &self.call.body)?;
        let mut warnings = self.left_behind(&options);
        let deleted = self.removal(&options).delete_collection(self.target(), &list, &mut warnings).await;
        let mut listing = deleted.map_err(|refusal| refusal.after(warnings.clone()))?;
        if !self.kind().is_builtin() {
            // An untyped list says that it does not go on.
            listing.continue_token = Some(String::new());
        }
        let mut reply = Reply::text(200, JSON, presentation.list(&listing));
        reply.warnings = warnings;
        Ok(reply)
    }

    /// What a delete leaves that does not say what becomes of pods.
    fn left_behind(&self, options: &DeleteOptions) -> Vec<String> {
        let of_jobs = self.kind().is_builtin() && self.kind().group_kind().is("batch", "Job");
        if !of_jobs || options.propagation.is_some() {
            return Vec::new();
        }
        vec![
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or \
             set propagationPolicy=Orphan to suppress this warning"
                .to_owned(),
        ]
    }

    fn removal<'a>(&'a self, options: &'a DeleteOptions) -> Removal<'a> {
        Removal { api: &self.front.api, user: &self.call.user, trail: &self.call.trail, options }
    }

    /// Notes the options of a delete, in the server's own version of them.
    fn note_options(&self) {
        let Call { trail, body, .. } = self.call;
        if !trail.is_followed() || body.is_empty() {
            return;
        }
        if let Ok(mut options) = Value::from_json(body) {
            options.set_at(&["apiVersion"], "meta.k8s.io/__internal".into());
            options.set_at(&["kind"], "DeleteOptions".into());
            trail.requests(&options);
        }
    }
}

/// The kinds whose deletion answers with the object instead of a status (`ReturnDeletedObject` in the server's registry).
fn returns_deleted(kind: &KindInfo) -> bool {
    matches!(
        (kind.gvk.group.as_str(), kind.plural.as_str()),
        (
            "",
            "namespaces"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "pods"
                | "podtemplates"
                | "resourcequotas"
                | "serviceaccounts"
                | "services"
        ) | (
            "storage.k8s.io",
            "csidrivers" | "csinodes" | "storageclasses" | "volumeattachments" | "volumeattributesclasses"
        ) | ("resource.k8s.io", _)
    )
}

fn success(kind: &KindInfo, object: &Value) -> Value {
    let mut details = Map::from_iter([
        ("kind", Value::from(kind.plural.clone())),
        ("name", object.at(&["metadata", "name"]).cloned().unwrap_or_default()),
        ("uid", object.at(&["metadata", "uid"]).cloned().unwrap_or_default()),
    ]);
    if !kind.gvk.group.is_empty() {
        details.insert("group", kind.gvk.group.clone().into());
    }
    Value::Map(Map::from_iter([
        ("apiVersion", Value::from("v1")),
        ("details", Value::Map(details)),
        ("kind", Value::from("Status")),
        ("metadata", Value::Map(Map::new())),
        ("status", Value::from("Success")),
    ]))
}
