//! Differences in words: what, where, who, since when, and what a sync would do.

use trueup_api::difference::Difference;
use trueup_object::Value;

/// The longest value shown in a sentence; the rest is for `app diff`.
const VALUE_MAX: usize = 60;

/// One line.
pub fn short(difference: &Difference) -> String {
    let mut line = what(difference);
    if let Some(writer) = writer(difference) {
        line += &format!(", {writer}");
    }
    if let Some(time) = &difference.time {
        line += &format!(", at {time}");
    }
    line
}

/// One line, with what else is to be said of it.
pub fn told(difference: &Difference) -> String {
    match &difference.message {
        Some(message) => format!("{}; {message}", short(difference)),
        None => short(difference),
    }
}

/// What differs, from Git to the cluster.
pub fn what(difference: &Difference) -> String {
    let place = difference.path.as_deref().unwrap_or("the object");
    let value = |value: &Option<Value>| value.as_ref().map(shown).unwrap_or_default();
    match difference.change.as_str() {
        "changed" => format!(
            "{place}: Git says {}, the cluster has {}",
            value(&difference.target),
            value(&difference.live)
        ),
        "added" => format!("{place}: the cluster has {}, Git has nothing there", value(&difference.live)),
        "removed" => {
            format!("{place}: Git says {}, the cluster has nothing there", value(&difference.target))
        }
        "missing" => "Git has the object, the cluster has it not".to_owned(),
        "extraneous" => "the cluster has the object, Git has it no more".to_owned(),
        other => format!("{place}: {other}"),
    }
}

/// Who wrote what is live.
pub fn writer(difference: &Difference) -> Option<String> {
    if difference.origin.as_deref() == Some("git") {
        return Some("changed in Git".to_owned());
    }
    let manager = difference.manager.as_deref()?;
    let mut words = format!("by {manager}");
    if let Some(user) = &difference.user {
        words += &format!(" ({user})");
    }
    if let Some(subresource) = difference.subresource.as_deref().filter(|it| !it.is_empty()) {
        words += &format!(" through /{subresource}");
    }
    if let Some(class) = difference.class.as_deref().filter(|class| *class != "unattributed") {
        words += &format!(" ({class})");
    }
    Some(words)
}

/// Who moved, in a sentence.
pub fn origin(difference: &Difference) -> &'static str {
    match difference.origin.as_deref() {
        Some("git") => "a commit that is not synced yet",
        Some("cluster") => "changed in the cluster, nothing was committed",
        Some("both") => "changed both in Git and in the cluster since the last sync",
        _ => "not known: nothing is remembered of the last sync",
    }
}

/// What becomes of it when somebody syncs.
pub fn on_sync(difference: &Difference) -> &'static str {
    match (difference.channel.as_str(), difference.change.as_str(), difference.origin.as_deref()) {
        (_, "missing", _) => "a sync creates it",
        (_, "extraneous", _) => "a sync with --prune deletes it",
        ("undeclared" | "unowned", _, _) => "a sync leaves it; --remove-additions removes it",
        (_, _, Some("git")) => "a sync applies it",
        (_, _, Some("both")) => {
            "a sync overwrites it with Git's value; --keep-drift leaves the cluster's, and with automation it waits for a decision"
        }
        (_, _, _) => "a sync overwrites it with Git's value; --keep-drift leaves it",
    }
}

/// A value on one line.
pub fn shown(value: &Value) -> String {
    let text = value.to_json();
    if text.chars().count() <= VALUE_MAX {
        return text;
    }
    let cut: String = text.chars().take(VALUE_MAX).collect();
    format!("{cut}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_in_a_line() {
        let difference = Difference {
            channel: "declared".into(),
            path: Some(".spec.replicas".into()),
            change: "changed".into(),
            origin: Some("cluster".into()),
            target: Some(3.into()),
            live: Some(5.into()),
            class: Some("manual".into()),
            manager: Some("kubectl".into()),
            subresource: Some("scale".into()),
            time: Some("2026-01-01T00:00:00Z".into()),
            ..Difference::default()
        };
        assert_eq!(
            short(&difference),
            ".spec.replicas: Git says 3, the cluster has 5, by kubectl through /scale (manual), at 2026-01-01T00:00:00Z"
        );
        assert_eq!(on_sync(&difference), "a sync overwrites it with Git's value; --keep-drift leaves it");
    }

    #[test]
    fn what_else_is_to_be_said_is_said() {
        let difference = Difference {
            path: Some(".data.size".into()),
            change: "changed".into(),
            target: Some("1Gi".into()),
            live: Some("1024Mi".into()),
            message: Some("equal in value".into()),
            ..Difference::default()
        };
        let line = ".data.size: Git says \"1Gi\", the cluster has \"1024Mi\"";
        assert_eq!(told(&difference), format!("{line}; equal in value"));
        assert_eq!(told(&Difference { message: None, ..difference }), line);
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(shown(&"x".repeat(200).into()).chars().count(), VALUE_MAX + 3);
    }
}
