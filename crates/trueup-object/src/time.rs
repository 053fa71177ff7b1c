//! Times as Kubernetes writes them: RFC 3339 in UTC.

use jiff::Timestamp;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;

use crate::value::Text;

static SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
static MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Whole seconds, as `metav1.Time` has them; what is beyond is cut off.
pub fn to_seconds(time: Timestamp) -> Text {
    printed(&SECONDS, time)
}

/// Microseconds, as `metav1.MicroTime` has them; what is beyond is cut off.
pub fn to_micros(time: Timestamp) -> Text {
    printed(&MICROSECONDS, time)
}

fn printed(printer: &DateTimePrinter, time: Timestamp) -> Text {
    let mut text = Text::default();
    // Writing into a text never fails.
    let _ = printer.print_timestamp(&time, StdFmtWrite(&mut text));
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_formats_of_kubernetes_say() {
        for text in [
            "2026-11-22T09:15:00Z",
            "2026-01-02T03:04:05.987654321Z",
            "2026-01-02T03:04:05.9999999Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.25Z",
            "0001-01-01T00:00:00Z",
            "9999-12-30T00:00:00.000001Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(to_seconds(time), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "{text}");
            assert_eq!(to_micros(time), time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(), "{text}");
        }
    }
}
