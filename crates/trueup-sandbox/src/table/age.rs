//! How long ago something was, as kubectl prints it (`k8s.io/apimachinery/pkg/util/duration.HumanDuration`).

use trueup_object::Timestamp;

/// The time since a timestamp; `<unknown>` where there is none.
pub(super) fn since(time: Option<&str>, now: Timestamp) -> String {
    match time.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(time) => human(now.as_second() - time.as_second()),
        None => "<unknown>".to_owned(),
    }
}

/// The time between two timestamps; empty where one is missing.
pub(super) fn between(start: Option<&str>, end: Option<&str>) -> String {
    let read = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
    match (read(start), read(end)) {
        (Some(start), Some(end)) => human(end.as_second() - start.as_second()),
        (None | Some(_), _) => String::new(),
    }
}

/// A number of seconds in the two units that matter.
pub(super) fn human(seconds: i64) -> String {
    // Clocks that differ by a second are no news.
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    let pair = |first: i64, unit: char, second: i64, sub: char| {
        if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{sub}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => pair(days, 'd', hours % 24, 'h'),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => pair(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_durations_as_kubectl_does() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (425, "7m5s"),
            (660, "11m"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600, "9h"),
            (50 * 3600, "2d2h"),
            (9 * 86400, "9d"),
            (800 * 86400, "2y70d"),
            (-5, "<invalid>"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
