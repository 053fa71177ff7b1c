//! Plays one case against the server: creates the base under our name, lets others edit it, and asks for a dry run of the
//! target.

use anyhow::{Context, Result, bail};
use trueup_diff::sent_form;
use trueup_merge::{SchemaSet, TypeRef};
use trueup_object::Value;
use trueup_testkit::http::{BodyKind, Client, Method, Reply};

use super::edits::{Edit, Verb};
use super::judge::{Final, Mismatch, judge_conflict, judge_write};
use super::kinds::Kind;
use super::mutate::{Step, at, take_out};

/// How often a refused object is corrected before it is given up.
const REPAIRS_MAX: usize = 12;

/// The server and what it publishes.
pub struct Ground {
    pub client: Client,
    pub schemas: SchemaSet,
}

/// A case as it was played, so that it can be played again.
#[derive(Debug, Clone)]
pub struct Case {
    pub base: Value,
    pub edits: Vec<Edit>,
    pub target: Value,
}

/// What a case showed.
pub struct Judged {
    pub mismatches: Vec<Mismatch>,
    pub live: Value,
    /// What the dry run would leave, where the server accepts it.
    pub dry: Option<Value>,
    /// What the server says of a target that it refuses.
    pub refused: Option<String>,
    pub differs: bool,
}

impl Ground {
    pub fn ty(&self, kind: &Kind) -> Result<TypeRef<'_>> {
        let layered = self.schemas.over(SchemaSet::builtin());
        layered.lookup(&kind.gvk).with_context(|| format!("nothing is known of {:?}", kind.gvk))
    }

    /// Applies under our name.
    async fn apply(&self, kind: &Kind, object: &Value, dry: bool) -> Result<Reply> {
        let dry = if dry { "&dryRun=All" } else { "" };
        let path = format!("{}?fieldManager=trueup&force=true{dry}", kind.path(object));
        self.send(Method::PATCH, &path, BodyKind::Apply, sent_form(object).to_json()).await
    }

    /// Sends a write. A handler of the server that panics closes the connection, and has refused in its way; a server that
    /// is gone refuses everything, and then too few cases are judged.
    async fn send(&self, method: Method, path: &str, kind: BodyKind, body: String) -> Result<Reply> {
        let reply = self.client.send(method, path, Some((kind, body.into()))).await;
        Ok(reply.unwrap_or_else(|error| Reply {
            code: 599,
            body: format!("{error:#}").into(),
            warnings: Vec::new(),
        }))
    }

    /// Creates an object by applying it; takes out what the server refuses. `None` where that leads nowhere.
    pub async fn create(&self, kind: &Kind, object: &mut Value) -> Result<Option<Value>> {
        for _ in 0..REPAIRS_MAX {
            let reply = self.apply(kind, object, false).await?;
            if reply.code < 300 {
                return Ok(Some(reply.value()?));
            }
            if !repair(object, &reply) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Writes as somebody else. The answer and, where it was accepted, the object as it is then.
    pub async fn write(&self, kind: &Kind, live: &Value, edit: &Edit) -> Result<(Reply, Option<Value>)> {
        let path = kind.path(live);
        let manager = &edit.manager;
        let (method, path, body_kind) = match edit.verb {
            Verb::Put => (Method::PUT, format!("{path}?fieldManager={manager}"), BodyKind::Json),
            Verb::MergePatch => {
                (Method::PATCH, format!("{path}?fieldManager={manager}"), BodyKind::MergePatch)
            }
            Verb::StrategicPatch => {
                (Method::PATCH, format!("{path}?fieldManager={manager}"), BodyKind::StrategicPatch)
            }
            Verb::JsonPatch => (Method::PATCH, format!("{path}?fieldManager={manager}"), BodyKind::JsonPatch),
            Verb::Apply => (Method::PATCH, format!("{path}?fieldManager={manager}"), BodyKind::Apply),
            Verb::ApplyForced => {
                (Method::PATCH, format!("{path}?fieldManager={manager}&force=true"), BodyKind::Apply)
            }
            Verb::Status => {
                (Method::PATCH, format!("{path}/status?fieldManager={manager}"), BodyKind::MergePatch)
            }
            Verb::Scale => {
                (Method::PATCH, format!("{path}/scale?fieldManager={manager}"), BodyKind::MergePatch)
            }
        };
        let mut body = edit.body.clone();
        if edit.verb == Verb::Put
            && let Some(version) = live.at(&["metadata", "resourceVersion"])
        {
            body.set_at(&["metadata", "resourceVersion"], version.clone());
        }
        let reply = self.send(method, &path, body_kind, body.to_json()).await?;
        let after = match reply.code {
            0..300 if edit.verb == Verb::Scale => self.client.find(&kind.path(live)).await?,
            0..300 => Some(reply.value()?),
            _ => None,
        };
        Ok((reply, after))
    }

    /// Judges what the write left, or its refusal.
    pub fn judge_edit(
        &self,
        kind: &Kind,
        live: &Value,
        edit: &Edit,
        reply: &Reply,
        after: Option<&Value>,
    ) -> Result<Vec<Mismatch>> {
        let ty = self.ty(kind)?;
        Ok(match after {
            Some(after) => judge_write(kind, ty, live, after, edit),
            None if reply.code == 409 && edit.verb == Verb::Apply => {
                let message = reply.value()?.str_at(&["message"]).unwrap_or_default().to_owned();
                judge_conflict(kind, ty, live, edit, &message)
            }
            None => Vec::new(),
        })
    }

    /// Asks for the dry run of the target and judges. With `repairs`, what the server refuses is taken out of the target.
    pub async fn conclude(
        &self,
        kind: &Kind,
        base: &Value,
        live: &Value,
        target: &mut Value,
        repairs: bool,
    ) -> Result<Judged> {
        let ty = self.ty(kind)?;
        let mut reply = self.apply(kind, target, true).await?;
        let mut left = if repairs { REPAIRS_MAX } else { 0 };
        while reply.code >= 300 && left > 0 && repair(target, &reply) {
            reply = self.apply(kind, target, true).await?;
            left -= 1;
        }
        let accepted = if reply.code < 300 { Some(reply.value()?) } else { None };
        let judged = Final { kind, ty, base, target, live, dry: accepted.as_ref().unwrap_or(live) };
        let differs = !judged.comparison().findings.is_empty();
        let mismatches = if accepted.is_some() { judged.judge() } else { Vec::new() };
        let refused = accepted.is_none().then(|| reply.complaint());
        Ok(Judged { mismatches, live: live.clone(), dry: accepted, refused, differs })
    }

    /// Plays a recorded case from the start. `None` where the server does not accept it.
    pub async fn replay(&self, kind: &Kind, case: &Case, name: &str) -> Result<Option<Judged>> {
        let named = |object: &Value| {
            let mut object = object.clone();
            if object.at(&["metadata", "name"]).is_some() {
                object.set_at(&["metadata", "name"], name.into());
            }
            object
        };
        let base = named(&case.base);
        let reply = self.apply(kind, &base, false).await?;
        if reply.code >= 300 {
            return Ok(None);
        }
        let mut live = reply.value()?;
        let mut mismatches = Vec::new();
        for edit in &case.edits {
            let edit = Edit { body: named(&edit.body), ..edit.clone() };
            let (reply, after) = self.write(kind, &live, &edit).await?;
            mismatches.extend(self.judge_edit(kind, &live, &edit, &reply, after.as_ref())?);
            match after {
                Some(after) => live = after,
                None if reply.code == 409 => {}
                None => {
                    self.forget(kind, &live).await?;
                    return Ok(None);
                }
            }
        }
        let mut judged = self.conclude(kind, &base, &live, &mut named(&case.target), false).await?;
        judged.mismatches.extend(mismatches);
        self.forget(kind, &live).await?;
        Ok(Some(judged))
    }

    /// Deletes an object without waiting for what depends on it.
    pub async fn forget(&self, kind: &Kind, object: &Value) -> Result<()> {
        let path = format!("{}?gracePeriodSeconds=0&propagationPolicy=Background", kind.path(object));
        let reply = self.client.delete(&path).await?;
        if reply.code >= 500 {
            bail!("delete {path}: {}", reply.complaint());
        }
        Ok(())
    }
}

/// Takes out of an object what the server's answer complains about; whether there was anything to take out.
pub fn repair(object: &mut Value, reply: &Reply) -> bool {
    let Ok(status) = reply.value() else { return false };
    let causes = status.list_at(&["details", "causes"]);
    let mut fields: Vec<String> =
        causes.iter().filter_map(|cause| cause.str_at(&["field"])).map(str::to_owned).collect();
    if fields.is_empty() {
        fields.extend(status.str_at(&["message"]).and_then(first_path));
    }
    let mut repaired = false;
    for field in fields {
        let mut steps = read_steps(&field);
        while !steps.is_empty() {
            if at(object, &steps).is_some() {
                // The objects' own parts stay: without `spec` there would be nothing left to try.
                if steps.len() > 1 || !matches!(steps.first(), Some(Step::Key(key)) if key == "spec") {
                    repaired |= take_out(object, &steps);
                }
                break;
            }
            steps.pop();
        }
    }
    repaired
}

/// The first path in a message such as `failed to create typed patch object (...): .spec.ports: duplicate entries`.
fn first_path(message: &str) -> Option<String> {
    let start = message.find(": .").map(|at| at + 3)?;
    let rest = &message[start..];
    let end = rest.find([':', ' ']).unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

/// `spec.containers[0].env[1]` and `metadata.labels[a.b/c]` as steps.
pub fn read_steps(field: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut word = String::new();
    let mut inside = false;
    for letter in field.chars() {
        match letter {
            '[' if !inside => {
                inside = true;
                if !word.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut word)));
                }
            }
            ']' if inside => {
                inside = false;
                let word = std::mem::take(&mut word);
                steps.push(word.parse().map_or(Step::Key(word.clone()), Step::Index));
            }
            '.' if !inside => {
                if !word.is_empty() {
                    steps.push(Step::Key(std::mem::take(&mut word)));
                }
            }
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        steps.push(Step::Key(word));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_complaints_are_read() {
        let key = |name: &str| Step::Key(name.to_owned());
        assert_eq!(
            read_steps("spec.containers[0].resources.limits[example.com/a]"),
            [
                key("spec"),
                key("containers"),
                Step::Index(0),
                key("resources"),
                key("limits"),
                key("example.com/a")
            ]
        );
        assert_eq!(first_path("failed (a): .spec.x: duplicate").as_deref(), Some("spec.x"));
    }
}
