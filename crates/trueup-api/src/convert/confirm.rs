//! When the API server is asked what applying would change: `trueup.dev/confirm`, and Argo CD's compare options.

use trueup_engine::confirm::{ConfirmMode, ConfirmRules};
use trueup_object::Text;

use super::Found;
use crate::annotations::{COMPARE_OPTIONS, CONFIRM, place};
use crate::application::Metadata;

/// Our own annotation says it more exactly, so it wins over `ServerSideDiff`.
pub(super) fn rules(metadata: &Metadata, found: &mut Found) -> ConfirmRules {
    let get = |name: &str| metadata.annotations.get(name).map(Text::as_str);
    let options: Vec<&str> = get(COMPARE_OPTIONS).unwrap_or_default().split(',').map(str::trim).collect();
    let asked = |option: &str| options.contains(&option);
    // In Argo CD `false` on the Application wins over everything.
    let by_option = if asked("ServerSideDiff=false") {
        Some(ConfirmMode::Differs)
    } else {
        asked("ServerSideDiff=true").then_some(ConfirmMode::Always)
    };
    let by_annotation = get(CONFIRM).and_then(|word| {
        let mode = ConfirmMode::from_text(word);
        if mode.is_none() {
            found.refuse(place(CONFIRM), format!("`{word}`"), "differs, always or never");
        }
        mode
    });
    ConfirmRules { mode: by_annotation.or(by_option), include_webhooks: asked("IncludeMutationWebhook=true") }
}

/// Whether an option of Argo CD's list is honoured, or says nothing about the Application that carries it:
/// `IgnoreExtraneous` is for the application that this one is an object of.
pub(super) fn is_known(option: &str) -> bool {
    matches!(
        option,
        "" | "ServerSideDiff=true"
            | "ServerSideDiff=false"
            | "IncludeMutationWebhook=true"
            | "IncludeMutationWebhook=false"
            | "IgnoreExtraneous"
    )
}
