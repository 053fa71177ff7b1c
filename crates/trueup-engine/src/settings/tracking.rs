//! How objects are marked as an application's: `application.resourceTrackingMethod`, `application.instanceLabelKey` and
//! `installationID`.

use trueup_object::Text;

use super::{ARGOCD, ConfigData, Settings};
use crate::tracking::{Tracking, TrackingMethod};

const METHOD: &str = "application.resourceTrackingMethod";

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) -> Tracking {
    let said = |key: &str| argocd.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    let mut tracking = Tracking::default();
    match said(METHOD) {
        None | Some("annotation") => {}
        Some("annotation+label") => tracking.method = TrackingMethod::AnnotationAndLabel,
        Some("label") => tracking.method = TrackingMethod::Label,
        Some(other) => settings.problem(
            ARGOCD,
            METHOD,
            None,
            format!("`{other}` is no tracking method, and annotation is taken"),
            "set it to annotation, annotation+label or label",
        ),
    }
    if let Some(label) = said("application.instanceLabelKey") {
        tracking.label = Text::from(label);
    }
    tracking.installation = Text::from(said("installationID").unwrap_or_default());
    tracking
}
