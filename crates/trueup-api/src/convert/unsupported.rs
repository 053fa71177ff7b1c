//! What else of an Application this build cannot honour: annotations.

use trueup_engine::ignore;
use trueup_object::Text;

use super::Found;
use crate::annotations::{
    COMPARE_OPTIONS, CONFIRM, IGNORE_REASONS, INHERITED, ON_COMMIT, SKIP_RECONCILE, TRUEUP_PREFIX,
    UNDECLARED, UNDECLARED_RULES, place,
};
use crate::application::Application;

pub(super) fn in_application(application: &Application, found: &mut Found) {
    for (name, value) in &application.metadata.annotations {
        if let Some(what) = in_annotation(name, value) {
            found.cannot(place(name), what);
        }
    }
}

fn in_annotation(name: &Text, value: &Text) -> Option<String> {
    match name.as_str() {
        SKIP_RECONCILE => (value == "true").then(|| "an application that is not to be processed".to_owned()),
        COMPARE_OPTIONS => {
            let foreign: Vec<&str> =
                value.split(',').map(str::trim).filter(|option| !super::confirm::is_known(option)).collect();
            (!foreign.is_empty()).then(|| format!("compare option {}", foreign.join(", ")))
        }
        // The last is about the Application as an object of another one.
        UNDECLARED
        | UNDECLARED_RULES
        | INHERITED
        | ON_COMMIT
        | CONFIRM
        | IGNORE_REASONS
        | ignore::ANNOTATION => None,
        // One of ours that this build does not know may ask it to hold still.
        other => other.starts_with(TRUEUP_PREFIX).then(|| format!("the annotation {other}: {value}")),
    }
}
