//! What becomes of a write: from the bytes of a request and the live object to the object as the server would store it,
//! with managed fields, or the refusal that the server would give.
//!
//! Pure: no clock, no storage, no randomness. Order follows the API server: decode into the kind's shape, default, work
//! out who owns what, take back what the write may not touch, admit, prepare, validate, and see whether anything changed.
//! Storing, resourceVersions, deletion and watches are the caller's.

mod admit;
mod convert;
pub(crate) mod decode;
mod defaults;
mod delete_options;
mod duplicates;
mod embedding;
mod fields;
mod finish;
pub(crate) mod go_json;
mod go_names;
mod identity;
mod patch;
mod propose;
mod scalar;
pub mod scale;
mod shape;
mod strategy;
mod validate;
mod warn;
mod written;
mod zero;

pub(crate) use admit::{Other, Others};
pub(crate) use validate::names;

use trueup_merge::{SchemaSet, TypeRef, Writer};
use trueup_object::{Timestamp, Value};

use crate::http::credentials::User;
use crate::kind::KindInfo;
use crate::status::ApiStatus;
pub(crate) use delete_options::read_delete_options;
pub(crate) use patch::json_patch;
use strategy::Part;
pub(crate) use validate::selector_matches;

/// A write as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct WriteRequest<'a> {
    pub verb: WriteVerb,
    pub kind: &'a KindInfo,
    /// The types of all kinds that are served, built-in and custom.
    pub schemas: &'a SchemaSet,
    pub subresource: Option<&'a str>,
    /// Empty for cluster-scoped kinds.
    pub namespace: &'a str,
    /// From the URL; `None` for a create.
    pub name: Option<&'a str>,
    pub body: &'a [u8],
    pub content_type: &'a str,
    pub field_manager: Option<&'a str>,
    pub user_agent: &'a str,
    pub force: bool,
    /// Nothing is stored: the write only says what it would leave.
    pub dry_run: bool,
    pub field_validation: FieldValidation,
    pub now: Timestamp,
    /// A fresh uid, used if the write creates the object; everything that the server makes up follows from it.
    pub uid: &'a str,
    pub live: Option<&'a Value>,
    /// What mutating admission made of the proposed object.
    pub admitted: Option<&'a Value>,
    /// The class that a new claim gets which names none.
    pub default_class: Option<&'a str>,
    pub others: Others<'a>,
    /// Who makes it, where it is not the server.
    pub user: Option<&'a User>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteVerb {
    Create,
    Update,
    Patch(PatchKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    Strategic,
    /// Server-side apply.
    Apply,
}

/// What is done about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// What a write leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// The object to store. Its resourceVersion is the live one's, or absent when it is new.
    pub object: Value,
    /// What the client gets: the object, or what the subresource shows of it.
    pub response: Value,
    /// False where the write changes nothing: then nothing is stored and no new resourceVersion given.
    pub changed: bool,
    pub created: bool,
    /// For the `Warning` headers.
    pub warnings: Vec<String>,
    /// For the audit log.
    pub notes: Vec<(String, String)>,
}

/// Works out what a write leaves.
pub fn write(request: WriteRequest<'_>) -> Result<WriteOutcome, ApiStatus> {
    let part = match request.subresource {
        Some("scale") => return scale::write(&request),
        subresource => Part::of(subresource).ok_or_else(|| not_allowed(&request))?,
    };
    Pipeline::new(&request, part).run()
}

/// The object that a create or update gives, with the defaults of its kind; None where it is none.
pub fn requested(request: WriteRequest<'_>) -> Option<Value> {
    let body = decode::document(&request).ok()?;
    let mut object = Pipeline::new(&request, Part::Main).decode(&body).ok()?.object;
    zero::drop_zero_status(&request.kind.group_kind(), &request.kind.gvk.version, &mut object);
    Some(object)
}

/// The first document of a YAML text.
pub fn yaml_document(text: &[u8]) -> Option<Value> {
    trueup_object::yaml::read_documents(text).into_iter().next()?.ok().map(|document| document.value)
}

/// The object that a write proposes, with managed fields, before anybody admits it, and the warnings that its body asks for.
pub fn propose(request: WriteRequest<'_>) -> Result<(Value, Vec<String>), ApiStatus> {
    let part = match request.subresource {
        Some("scale") => return scale::propose(&request),
        subresource => Part::of(subresource).ok_or_else(|| not_allowed(&request))?,
    };
    let mut pipeline = Pipeline::new(&request, part);
    let proposed = pipeline.proposed();
    let object = proposed.map_err(|refusal| pipeline.warned(refusal))?;
    Ok((object, pipeline.warnings))
}

fn not_allowed(request: &WriteRequest<'_>) -> ApiStatus {
    ApiStatus::method_not_allowed(request.kind, verb_name(request.verb))
}

fn verb_name(verb: WriteVerb) -> &'static str {
    match verb {
        WriteVerb::Create => "create",
        WriteVerb::Update => "update",
        WriteVerb::Patch(_) => "patch",
    }
}

/// One write on its way.
struct Pipeline<'r, 'a> {
    request: &'r WriteRequest<'a>,
    part: Part,
    ty: TypeRef<'a>,
    warnings: Vec<String>,
    /// Where the request has empty lists and maps that its type does not tell from none.
    emptied: Vec<shape::Emptied>,
}

impl<'r, 'a> Pipeline<'r, 'a> {
    fn new(request: &'r WriteRequest<'a>, part: Part) -> Self {
        let ty = request.schemas.lookup(&request.kind.gvk).unwrap_or(TypeRef::untyped());
        Self { request, part, ty, warnings: Vec::new(), emptied: Vec::new() }
    }

    fn run(mut self) -> Result<WriteOutcome, ApiStatus> {
        let outcome = self.outcome();
        outcome.map_err(|refusal| self.warned(refusal))
    }

    /// What there is to warn of is told beside a refusal as well.
    fn warned(&mut self, mut refusal: ApiStatus) -> ApiStatus {
        refusal.details.warnings.append(&mut self.warnings);
        refusal
    }

    fn outcome(&mut self) -> Result<WriteOutcome, ApiStatus> {
        let object = match self.request.admitted {
            Some(admitted) => self.admitted(admitted)?,
            None => self.proposed()?,
        };
        let (object, changed) = match self.live() {
            None => (self.finish_create(object)?, true),
            Some(live) => self.finish_update(object, live)?,
        };
        Ok(WriteOutcome {
            response: object.clone(),
            object,
            changed,
            created: self.live().is_none(),
            warnings: std::mem::take(&mut self.warnings),
            notes: Vec::new(),
        })
    }

    fn live(&self) -> Option<&'a Value> {
        self.request.live
    }

    /// The object's name, for messages.
    fn name(&self) -> &'a str {
        self.request.name.unwrap_or_default()
    }

    fn writer(&self, manager: &str) -> Writer {
        let version = self.request.kind.gvk.api_version();
        Writer::new(manager, &version, Some(self.request.now))
            .at(self.request.subresource.unwrap_or_default())
            .resetting(strategy::reset_fields(self.request.kind, self.part))
    }
}

/// Managers' names are cut at this length when they come from the user agent.
const MANAGER_LENGTH_MAX: usize = 128;

/// The name that a client writes under: its own choice, else its user agent up to the first slash.
fn manager(request: &WriteRequest<'_>) -> String {
    if let Some(name) = request.field_manager.filter(|name| !name.is_empty()) {
        return name.to_owned();
    }
    let mut name = String::new();
    for char in request.user_agent.split('/').next().unwrap_or_default().chars() {
        let printable = !char.is_control() && (char == ' ' || !char.is_whitespace());
        if name.len() + char.len_utf8() > MANAGER_LENGTH_MAX {
            break;
        }
        if printable {
            name.push(char);
        }
    }
    name
}

#[cfg(test)]
mod tests;
