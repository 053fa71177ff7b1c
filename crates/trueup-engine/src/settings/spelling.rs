//! Keys of `argocd-cm` that are nearly the name of a setting that is read: Argo CD passes them over in silence, and so would
//! what was meant by them be. The ConfigMap has many keys that are none of ours, so no others are told.

use super::{ARGOCD, ConfigData, Settings};

/// The settings that are read, without those that end with a kind.
const KEYS: [&str; 10] = [
    "application.instanceLabelKey",
    "application.resourceTrackingMethod",
    "ignore.normalizer.jq.timeout",
    "installationID",
    "resource.compareoptions",
    "resource.customizations",
    "resource.exclusions",
    "resource.ignoreResourceUpdatesEnabled",
    "resource.inclusions",
    "resource.sensitive.mask.annotations",
];

/// Before the part that names what is customized and for which kind.
const CUSTOMIZATIONS: &str = "resource.customizations.";

/// More mistakes than these make another word.
const MISTAKES_MAX: usize = 2;

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) {
    for key in argocd.keys().filter(|key| !KEYS.contains(&key.as_str()) && !key.starts_with(CUSTOMIZATIONS)) {
        if let Some(meant) = meant(key) {
            settings.problem(
                ARGOCD,
                key,
                None,
                "there is no such setting",
                format!("it may be meant as {meant}"),
            );
        }
    }
}

fn meant(key: &str) -> Option<String> {
    if let Some(known) = KEYS.iter().find(|known| is_near(key, known)) {
        return Some((*known).to_owned());
    }
    // `resource.customisations.health.apps_Deployment`
    let mut parts = key.splitn(3, '.');
    let start = format!("{}.{}.", parts.next()?, parts.next()?);
    let rest = parts.next()?;
    is_near(&start, CUSTOMIZATIONS).then(|| format!("{CUSTOMIZATIONS}{rest}"))
}

fn is_near(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (one.chars().count().abs_diff(other.chars().count()) <= MISTAKES_MAX
            && mistakes(one, other) <= MISTAKES_MAX)
}

/// How many letters are added, left out or other ones.
fn mistakes(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (position, char) in one.chars().enumerate() {
        let mut diagonal = position;
        let mut left = position + 1;
        let mut next = vec![left];
        for (wanted, above) in other.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(*wanted != char)).min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_setting_is_told_and_nothing_else() {
        for (key, wanted) in [
            ("resource.exclusion", Some("resource.exclusions")),
            ("resource.compareOptions", Some("resource.compareoptions")),
            ("resource.inclusoins", Some("resource.inclusions")),
            (
                "resource.customisations.health.apps_Deployment",
                Some("resource.customizations.health.apps_Deployment"),
            ),
            ("application.resourcetrackingmethod", Some("application.resourceTrackingMethod")),
            ("application.allowedNodeLabels", None),
            ("resource.respectRBAC", None),
            ("timeout.reconciliation", None),
            ("url", None),
        ] {
            assert_eq!(meant(key).as_deref(), wanted, "{key}");
        }
        assert_eq!(mistakes("kitten", "sitting"), 3);
        assert_eq!(mistakes("", "ab"), 2);
        let data = ConfigData::from([
            ("resource.exclusion".to_owned(), "x".to_owned()),
            ("url".to_owned(), "y".to_owned()),
        ]);
        let settings = Settings::read(&data, &ConfigData::new());
        let said: Vec<String> = settings.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "argocd-cm resource.exclusion: there is no such setting; it may be meant as resource.exclusions"
            ]
        );
    }
}
