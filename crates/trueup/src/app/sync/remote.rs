//! A sync by the controller: the request is written into the Application, and its operation state is waited for.

use std::time::Duration;

use trueup_api::operation_value;
use trueup_api::status::{ApplicationStatus, OperationState};
use trueup_engine::app::{AppKey, SyncRequest};
use trueup_engine::operation::NO_SUCH_OBJECT;
use trueup_engine::status::SyncStatus;
use trueup_object::{Text, Value};

use super::NAME_ONE;
use crate::app::get::{self, AppForm};
use crate::app::refresh::STEP;
use crate::arguments::Persona;
use crate::failure::Failure;
use crate::home::Home;
use crate::output::{self, patiently};

/// The name in `operation.info` under which a request is known again in the operation state.
const INFO_REQUEST: &str = "trueup.dev/request";

/// A status written between reading and asking is no reason to give up.
const CONFLICTS_MAX: u32 = 10;

/// Asks for a sync; returns how the request is known again.
pub async fn begin(home: &Home, key: &AppKey, request: &SyncRequest) -> Result<String, Failure> {
    let mut request = request.clone();
    let id = request_id(key);
    request.info.insert(Text::from(INFO_REQUEST), Text::from(id.as_str()));
    let mut conflicts = 0;
    loop {
        let object = home.application(key).await?;
        refuse_second(key, &object)?;
        let mut patch = Value::default();
        // Whoever asked in between must not be overwritten.
        let version = object.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
        patch.set_at(&["metadata", "resourceVersion"], version.into());
        patch.set_at(&["operation"], operation_value(&request));
        match home.merge_at_version(key, &patch).await? {
            Some(_) => return Ok(id),
            None if conflicts < CONFLICTS_MAX => conflicts += 1,
            None => {
                return Err(Failure::no(format!("the Application {key} keeps changing"))
                    .hint("see who writes it with `kubectl get --show-managed-fields`"));
            }
        }
    }
}

fn refuse_second(key: &AppKey, object: &Value) -> Result<(), Failure> {
    let phase = object.str_at(&["status", "operationState", "phase"]);
    if object.get("operation").is_none_or(Value::is_null) && !matches!(phase, Some("Running" | "Terminating"))
    {
        return Ok(());
    }
    Err(Failure::no(format!("another operation on {key} is already in progress"))
        .hint(format!("wait for it with `trueup app wait {key} --operation`")))
}

/// Unique enough among the requests of one Application: two in one nanosecond do not happen.
fn request_id(key: &AppKey) -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{now:x}-{:x}-{}", std::process::id(), key.name)
}

/// Waits for the end of a request, shows the Application, and says how it went.
pub async fn finish(
    home: &Home,
    key: &AppKey,
    id: &str,
    limit: Option<Duration>,
    form: &str,
    persona: Persona,
    request: &SyncRequest,
) -> Result<(), Failure> {
    let ended = patiently("waiting for the sync to end", end(home, key, id));
    let (object, state) = match limit {
        None => ended.await?,
        Some(limit) => tokio::time::timeout(limit, ended).await.unwrap_or_else(|_| {
            Err(Failure::no(format!("the sync of {key} has not ended within {} s", limit.as_secs()))
                .hint("`trueup app get --show-operation` shows how far it is"))
        })?,
    };
    get::show(&object, home.report_object(key).await.as_ref(), AppForm::of(form), true);
    if state.phase == "Error" && state.message.starts_with(NO_SUCH_OBJECT) {
        return Err(Failure::user(state.message).hint(NAME_ONE));
    }
    if state.phase != "Succeeded" {
        return Err(Failure::no(format!("the sync of {key} ended with {}: {}", state.phase, state.message))
            .hint("correct what is named and sync again"));
    }
    unpruned(&object, &state, persona, request)
}

async fn end(home: &Home, key: &AppKey, id: &str) -> Result<(Value, OperationState), Failure> {
    loop {
        let object = home.application(key).await?;
        let status = ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null));
        if let Some(state) = status.operation_state.filter(|state| is_of(state, id))
            && !matches!(state.phase.as_str(), "Running" | "Terminating")
        {
            return Ok((object, state));
        }
        tokio::time::sleep(STEP).await;
    }
}

fn is_of(state: &OperationState, id: &str) -> bool {
    state
        .operation
        .list_at(&["info"])
        .iter()
        .any(|item| item.str_at(&["name"]) == Some(INFO_REQUEST) && item.str_at(&["value"]) == Some(id))
}

/// Objects that only a prune would bring in sync are Argo CD's failure, and a word of warning here.
fn unpruned(
    object: &Value,
    state: &OperationState,
    persona: Persona,
    request: &SyncRequest,
) -> Result<(), Failure> {
    let status = ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null));
    let is_whole = request.resources.is_empty() && !request.dry_run;
    if !is_whole || status.sync.status == Some(SyncStatus::Synced) {
        return Ok(());
    }
    let results = state.sync_result.as_ref().map(|result| result.resources.as_slice()).unwrap_or_default();
    let count = results.iter().filter(|result| result.status == "PruneSkipped").count();
    if count == 0 {
        return Ok(());
    }
    let message = format!("{count} resources require pruning");
    match persona {
        Persona::ArgoCd => Err(Failure::no(message).hint("sync with --prune")),
        Persona::Trueup => {
            output::tell(&format!("note: {message}; sync with --prune to delete them"));
            Ok(())
        }
    }
}
