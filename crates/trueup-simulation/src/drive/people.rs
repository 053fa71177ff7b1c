//! What people and other programs do: requests of their own, which no fault meets.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;
use trueup_engine::source::CommitId;
use trueup_object::ResourceKey;
use trueup_repo::{Edit as FileEdit, NewCommit};

use super::{HOME, REPOSITORY, World};
use crate::gate::held;
use crate::oracle;
use crate::story::{AppPlan, Edit, Place, Policy};
use crate::templates::{place_of, plural};

/// Somebody who writes the same value whenever it is another.
#[derive(Debug, Clone)]
pub struct Rivalry {
    pub object: Place,
    pub pointer: String,
    pub value: Value,
    pub every_ms: u64,
    pub until_ms: u64,
}

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// How many commits a second at most; Git's times are whole seconds.
const AUTHOR: &str = "Somebody <somebody@sim.example>";

impl World<'_> {
    /// Makes what is there before the first controller starts.
    pub(super) async fn set_up(&mut self) -> Result<(), String> {
        for definition in trueup_api::crd::crds().map_err(|error| error.to_string())? {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            self.made(path, definition.to_json()).await?;
        }
        let mut namespaces: Vec<&str> = self.story.apps.iter().map(|app| app.namespace.as_str()).collect();
        namespaces.push(HOME);
        namespaces.sort_unstable();
        namespaces.dedup();
        for name in namespaces {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.made("/api/v1/namespaces", namespace.to_string()).await?;
        }
        for bystander in &self.story.bystanders {
            let place = place_of(bystander).ok_or("a bystander has no name")?;
            self.made(&collection(&place), bystander.to_string()).await?;
        }
        let files = self.story.apps.iter().flat_map(|app| {
            app.files.iter().map(|(name, text)| (crate::generate::path(&app.name, name), Some(text.clone())))
        });
        self.commit(files.collect(), Default::default());
        let home = place("argoproj.io/v1alpha1", "Application", HOME, "");
        for app in &self.story.apps {
            self.made(&collection(&home), application(app).to_string()).await?;
        }
        held(&self.gates).view.refresh();
        Ok(())
    }

    async fn made(&self, path: &str, body: String) -> Result<(), String> {
        let (code, answer) = self.send(Method::POST, path, JSON, "setup", body).await;
        if code < 400 { Ok(()) } else { Err(format!("{path}: {code} {answer}")) }
    }

    /// A request of somebody's; the code of its answer, and what it says.
    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        manager: &str,
        body: String,
    ) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("accept", JSON)
            .header("user-agent", manager)
            .body(Full::new(Bytes::from(body)));
        let Ok(request) = request else { return (0, "no request".to_owned()) };
        match self.sandbox.door("admin").oneshot(request).await {
            Ok(answer) => {
                let code = answer.status().as_u16();
                let body = answer.into_body().collect().await;
                let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
                (code, body.unwrap_or_default())
            }
            Err(error) => (0, error.to_string()),
        }
    }

    /// Changes an object and tells the judge of it. Returns whether it was changed.
    async fn change(
        &self,
        method: Method,
        object: &Place,
        query: &str,
        kind: &str,
        manager: &str,
        body: String,
    ) -> bool {
        let since = {
            let mut shared = held(&self.gates);
            shared.view.refresh();
            shared.view.revision
        };
        let (address, subresource) = (address(object), if query.starts_with('/') { query } else { "" });
        let query = if subresource.is_empty() { query } else { "" };
        let path = format!("{address}{subresource}?fieldManager={manager}{query}");
        let (code, _) = self.send(method, &path, kind, manager, body).await;
        let shared = &mut *held(&self.gates);
        let now = shared.now_ms();
        shared.trace.line(now, &format!("{manager} changes {path} {code}"));
        let key = ResourceKey::new(object.group(), &object.kind, &object.namespace, &object.name);
        for seen in shared.view.claim(since, &key) {
            shared.trace.detail(now, || oracle::told(seen.before.as_deref(), seen.after.as_deref()));
            shared.judge.edited(now, &key, seen.before.as_deref(), seen.after.as_deref());
        }
        code < 400
    }

    /// What an object has at a pointer; nothing where there is no such object.
    fn live_value(&self, object: &Place, pointer: &str) -> Option<Option<Value>> {
        let mut shared = held(&self.gates);
        shared.view.refresh();
        let key = ResourceKey::new(object.group(), &object.kind, &object.namespace, &object.name);
        let live = shared.view.live.get(&key)?;
        Some(oracle::at(live, pointer).and_then(|value| serde_json::from_str(&value.to_json()).ok()))
    }

    /// Does what somebody does to a live object. Returns whether anything came of it.
    pub(super) async fn edit(&self, object: &Place, edit: &Edit, manager: &str) -> bool {
        let patch = |operation: &str, pointer: &str, value: Option<&Value>| {
            let mut item = json!({"op": operation, "path": pointer});
            if let Some(value) = value {
                item["value"] = value.clone();
            }
            json!([item]).to_string()
        };
        match edit {
            Edit::Set { pointer, value } => {
                let Some(before) = self.live_value(object, pointer) else { return false };
                let operation = if before.is_some() { "replace" } else { "add" };
                let body = patch(operation, pointer, Some(value));
                self.change(Method::PATCH, object, "", JSON_PATCH, manager, body).await
            }
            Edit::Remove { pointer } => {
                let body = patch("remove", pointer, None);
                self.change(Method::PATCH, object, "", JSON_PATCH, manager, body).await
            }
            Edit::Scale { replicas } => {
                let body = json!({"spec": {"replicas": replicas}}).to_string();
                self.change(Method::PATCH, object, "/scale", MERGE_PATCH, manager, body).await
            }
            Edit::Apply { pointer, value } => {
                // An apply would create what is not there.
                if self.live_value(object, pointer).is_none() {
                    return false;
                }
                let mut body = value.clone();
                for word in pointer.rsplit('/').filter(|word| !word.is_empty()) {
                    body = json!({ word: body });
                }
                body["apiVersion"] = json!(object.api_version);
                body["kind"] = json!(object.kind);
                body["metadata"] = json!({"name": object.name});
                self.change(Method::PATCH, object, "&force=true", APPLY_PATCH, manager, body.to_string())
                    .await
            }
            Edit::Delete => self.change(Method::DELETE, object, "", JSON, manager, String::new()).await,
        }
    }

    /// One look of a rival.
    pub(super) async fn rival(&self, rivalry: &Rivalry) {
        let Rivalry { object, pointer, value, .. } = rivalry;
        if self.live_value(object, pointer).flatten().is_some_and(|live| live != *value) {
            let edit = Edit::Set { pointer: pointer.clone(), value: value.clone() };
            if self.edit(object, &edit, "rival-operator").await {
                self.count("rival wrote");
            }
        }
    }

    /// Merges into an Application.
    pub(super) async fn tell_app(&self, name: &str, patch: &Value) -> bool {
        let place = place("argoproj.io/v1alpha1", "Application", HOME, name);
        self.change(Method::PATCH, &place, "", MERGE_PATCH, "argocd", patch.to_string()).await
    }

    /// Commits files to the branch that the applications follow; no content: the file goes. `base` is what is there before.
    pub(super) fn commit(
        &mut self,
        files: std::collections::BTreeMap<String, Option<String>>,
        base: std::collections::BTreeMap<String, String>,
    ) {
        let mut tip = base;
        let mut edits = Vec::new();
        for (path, content) in files {
            match content {
                Some(text) => {
                    edits.push((path.clone(), FileEdit::Write(text.clone().into_bytes())));
                    tip.insert(path, text);
                }
                None => {
                    edits.push((path.clone(), FileEdit::Remove));
                    tip.remove(&path);
                }
            }
        }
        let commit = NewCommit {
            author: AUTHOR.into(),
            time: self.clock_now(),
            message: format!("change {}", self.history.len()),
            edits,
        };
        let id: CommitId = self.remotes.commit(&self.repository, "main", &commit);
        let shared = &mut *held(&self.gates);
        let now = shared.now_ms();
        shared.trace.line(now, &format!("commit {id}"));
        shared.judge.committed(now, &id.to_string(), &tip);
        self.history.push(tip);
    }
}

fn place(api_version: &str, kind: &str, namespace: &str, name: &str) -> Place {
    Place {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// The path of all objects of a kind in a namespace.
fn collection(place: &Place) -> String {
    let root = if place.api_version.contains('/') { "/apis" } else { "/api" };
    let namespace =
        if place.namespace.is_empty() { String::new() } else { format!("/namespaces/{}", place.namespace) };
    format!("{root}/{}{namespace}/{}", place.api_version, plural(&place.kind))
}

fn address(place: &Place) -> String {
    format!("{}/{}", collection(place), place.name)
}

/// `spec.syncPolicy`. Nothing is left of what was said before.
pub fn sync_policy(policy: Policy, respects_ignored: bool) -> Value {
    let mut said = json!({"automated": null});
    if let Policy::Automated { heal, prune } = policy {
        said["automated"] = json!({"selfHeal": heal, "prune": prune});
    }
    if !respects_ignored {
        said["syncOptions"] = json!(["RespectIgnoreDifferences=false"]);
    }
    said
}

fn application(app: &AppPlan) -> Value {
    let mut policy = sync_policy(app.policy, app.respects_ignored);
    if let Some(map) = policy.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    let ignored: Vec<Value> = app
        .ignored
        .iter()
        .map(|rule| json!({"group": rule.group, "kind": rule.kind, "jsonPointers": [rule.pointer]}))
        .collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": app.name, "namespace": HOME},
        "spec": {
            "project": "default",
            "source": {"repoURL": REPOSITORY, "path": format!("apps/{}", app.name), "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": app.namespace},
            "syncPolicy": policy,
            "ignoreDifferences": ignored,
        },
    })
}
