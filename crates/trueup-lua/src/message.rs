//! What a script says, as it may be shown: the same words at every look, and no credentials.

use trueup_object::secret::replace_credentials;

/// What Lua writes before the address of something that has no text of its own.
const KINDS: [&str; 7] = ["table", "function", "builtin", "userdata", "thread", "cdata", "lightuserdata"];

/// What stands in place of a value.
pub(crate) const MASK: &str = "***";

/// The words of an error. An error value that has no text is named by its kind alone.
pub(crate) fn raised(message: &str) -> String {
    let words = without_addresses(message);
    if words != message && KINDS.iter().any(|kind| words == *kind) {
        return format!("the script failed with a {words}, and not with a text");
    }
    shown(message)
}

/// A message without addresses, which differ at every look, and without credentials. They are known by their
/// shapes alone: `secret="name"` in a sentence is about a Secret of that name.
pub(crate) fn shown(message: &str) -> String {
    replace_credentials(&without_addresses(message), |_| MASK.to_owned()).into_owned()
}

/// `table: 0x7fa4c0de` becomes `table`.
fn without_addresses(message: &str) -> String {
    const MARK: &str = ": 0x";
    let mut plain = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(MARK) {
        plain += before;
        let digits = after.bytes().take_while(u8::is_ascii_hexdigit).count();
        let named = KINDS.iter().any(|kind| before.ends_with(kind));
        if digits > 0 && named {
            rest = after.get(digits..).unwrap_or_default();
        } else {
            plain += MARK;
            rest = after;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_credentials_are_taken_out() {
        for (message, expected) in [
            ("no table: 0x7fa4c0de, function: builtin: 0x12 here", "no table, function: builtin here"),
            ("code: 0x80070005", "code: 0x80070005"),
            ("table: 0xyz", "table: 0xyz"),
            ("unable to fetch secret=\"db\"", "unable to fetch secret=\"db\""),
            ("postgres://a:hunter2@db/ is gone", "postgres://a:***@db/ is gone"),
            ("3 of 5 are ready", "3 of 5 are ready"),
        ] {
            assert_eq!(shown(message), expected, "{message}");
        }
        assert_eq!(raised("table: 0x7fa4c0de"), "the script failed with a table, and not with a text");
        assert_eq!(raised("table"), "table");
    }
}
