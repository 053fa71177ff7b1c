//! Asking the controller for a fresh look, and waiting until it has taken one.

use std::time::Duration;

use trueup_api::annotations::REFRESH;
use trueup_engine::app::AppKey;
use trueup_object::Value;

use crate::failure::Failure;
use crate::home::{self, Home};
use crate::output::patiently;

/// How deep the look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Git is asked again.
    Normal,
    /// Everything is rendered anew too.
    Hard,
}

impl Depth {
    pub fn of(refresh: bool, hard_refresh: bool) -> Option<Self> {
        match (refresh, hard_refresh) {
            (_, true) => Some(Self::Hard),
            (true, false) => Some(Self::Normal),
            (false, false) => None,
        }
    }
}

/// How often the Application is read while something is waited for: one small request each time.
pub const STEP: Duration = Duration::from_millis(100);

/// A look takes a second; fetching a repository for the first time may take longer.
const REFRESH_MAX: Duration = Duration::from_secs(60);

/// Asks for a look and returns the Application after it.
pub async fn refresh(
    home: &Home,
    key: &AppKey,
    depth: Depth,
    within: Option<Duration>,
) -> Result<Value, Failure> {
    let object = home.application(key).await?;
    let namespace = home::controller_namespace(&object);
    if home.controller(&namespace).await?.is_none() {
        return Err(Failure::no(format!(
            "no controller looks after the Applications of namespace {namespace}"
        ))
        .hint("start `trueup controller`, or leave --refresh out: `app diff` looks for itself"));
    }
    let word = match depth {
        Depth::Normal => "normal",
        Depth::Hard => "hard",
    };
    let mut patch = Value::default();
    patch.set_at(&["metadata", "annotations", REFRESH], word.into());
    home.merge(key, &patch).await?;
    let limit = within.unwrap_or(REFRESH_MAX);
    let looked = patiently("waiting for the controller to look", gone(home, key));
    tokio::time::timeout(limit, looked).await.unwrap_or_else(|_| {
        Err(Failure::no(format!("the controller has not looked at {key} within {} s", limit.as_secs()))
            .hint("see the controller's log; --timeout SECONDS waits longer"))
    })
}

/// Waits until the request is taken back, which the controller does with the status of its look.
async fn gone(home: &Home, key: &AppKey) -> Result<Value, Failure> {
    loop {
        let object = home.application(key).await?;
        if object.at(&["metadata", "annotations", REFRESH]).is_none() {
            return Ok(object);
        }
        tokio::time::sleep(STEP).await;
    }
}
