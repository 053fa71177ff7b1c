//! How long a rule in jq may take: `ignore.normalizer.jq.timeout`, as Argo CD names it.

use trueup_object::scalar::GoDuration;

use super::{ARGOCD, ConfigData, Settings};

/// As in `argocd-cmd-params-cm`, where Argo CD has it, with and without the prefix of the controller.
const KEYS: [&str; 2] = ["ignore.normalizer.jq.timeout", "controller.ignore.normalizer.jq.timeout"];

/// Milliseconds; a second unless the settings say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JqLimit(pub u64);

impl Default for JqLimit {
    /// Argo CD's.
    fn default() -> Self {
        Self(1000)
    }
}

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) {
    for key in KEYS {
        let Some(text) = argocd.get(key).map(|text| text.trim()).filter(|text| !text.is_empty()) else {
            continue;
        };
        let seconds = text.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000));
        let ms = || u64::try_from(GoDuration::parse(text).ok()?.nanoseconds() / 1_000_000).ok();
        match seconds.or_else(ms) {
            // Zero is not none: Argo CD takes its default then.
            Some(0) => {}
            Some(ms) => settings.jq_ms_max = JqLimit(ms),
            None => {
                let remedy = "write a duration such as 1s or 500ms";
                settings.problem(ARGOCD, key, None, format!("found `{text}`"), remedy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_duration_or_seconds() {
        let of = |text: &str| {
            let data = ConfigData::from([(KEYS[0].to_owned(), text.to_owned())]);
            let settings = Settings::read(&data, &ConfigData::new());
            (settings.jq_ms_max.0, settings.problems.len())
        };
        assert_eq!(of("500ms"), (500, 0));
        assert_eq!(of("1m5s"), (65_000, 0));
        assert_eq!(of("3"), (3000, 0));
        assert_eq!(of("0"), (1000, 0));
        assert_eq!(of("soon"), (1000, 1));
    }
}
