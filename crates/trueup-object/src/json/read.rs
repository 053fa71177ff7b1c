//! The quick way to read JSON: as API servers and our own writer print it, with few allocations.
//!
//! It reads what it is sure of and gives up on everything else (an error, an odd number, half a surrogate pair): then the
//! whole text is read again by `serde_json`, which also says what is wrong. So both ways give the same values.

use crate::value::{Map, Text, Value};

/// As deep as `serde_json` reads.
const DEPTH_MAX: usize = 126;

/// An integer of so many digits fits 64 signed bits.
const DIGITS_MAX: usize = 18;

/// The field of an entry of managed fields that most readers of an object never look at, and that is a third of its text.
const UNREAD: &str = "fieldsV1";

/// Reads a whole text; `None` where it should be read the careful way.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader { unread: true, ..Reader::new(text) };
    let value = reader.value()?;
    reader.skip_blanks();
    (reader.at == text.len()).then_some(value)
}

/// The entries of a map that was left unread. It has been looked through before, so there is nothing to go wrong.
pub(crate) fn entries(json: &str) -> Vec<(Text, Value)> {
    let mut reader = Reader::new(json);
    match reader.value() {
        Some(Value::Map(map)) => map.into_entries(),
        Some(_) | None => Vec::new(),
    }
}

/// The keys of a map that was left unread, and of the maps in it, in the order in which they stand.
pub(crate) struct Keys<'a> {
    reader: Reader<'a>,
}

impl<'a> Keys<'a> {
    pub fn new(json: &'a str) -> Self {
        Self { reader: Reader::new(json) }
    }

    /// Puts the next key of the map that is being read, whose own map is read next, at the end of a text; false where the
    /// map ends.
    pub fn next(&mut self, text: &mut String) -> bool {
        self.next_key(text).is_some()
    }

    fn next_key(&mut self, text: &mut String) -> Option<()> {
        loop {
            match self.reader.next()? {
                b'"' => return self.reader.escaped(text),
                b'}' => return None,
                _ => {}
            }
        }
    }

    /// Passes over the rest of the map that is being read.
    pub fn pass(&mut self, text: &mut String) {
        let length = text.len();
        while self.next(text) {
            text.truncate(length);
            self.pass(text);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// The entries of the maps that are being read, the innermost last: each map then takes just the room that it needs.
    entries: Vec<(Text, Value)>,
    /// The items of the lists that are being read.
    items: Vec<Value>,
    /// Whether maps may be left unread.
    unread: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, entries: Vec::new(), items: Vec::new(), unread: false }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The next byte that is no blank, taken.
    fn next(&mut self) -> Option<u8> {
        self.skip_blanks();
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn value(&mut self) -> Option<Value> {
        match self.next()? {
            b'{' => self.map().map(Value::Map),
            b'[' => self.list().map(Value::List),
            b'"' => self.text().map(Value::Str),
            b't' => self.word("rue", Value::Bool(true)),
            b'f' => self.word("alse", Value::Bool(false)),
            b'n' => self.word("ull", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn word(&mut self, rest: &str, value: Value) -> Option<Value> {
        let found = self.text.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        found.then_some(value)
    }

    /// A number whose first byte was taken: an integer of a usual size.
    fn number(&mut self) -> Option<Value> {
        let start = self.at - 1;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let digits = self.text.get(start..self.at)?;
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        let is_plain = unsigned.len() <= DIGITS_MAX && (unsigned == "0" || !unsigned.starts_with('0'));
        if !is_plain || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        digits.parse().ok().map(Value::Int)
    }

    /// A list whose bracket was taken.
    fn list(&mut self) -> Option<Vec<Value>> {
        self.deeper()?;
        let first = self.items.len();
        self.skip_blanks();
        if self.peek()? == b']' {
            self.at += 1;
        } else {
            loop {
                let item = self.value()?;
                self.items.push(item);
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        self.depth -= 1;
        Some(self.items.drain(first..).collect())
    }

    /// A map whose brace was taken.
    fn map(&mut self) -> Option<Map> {
        self.deeper()?;
        let first = self.entries.len();
        self.skip_blanks();
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                let entry = self.entry()?;
                self.entries.push(entry);
                match self.next()? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        self.depth -= 1;
        Some(Map::from_entries(self.entries.drain(first..).collect()))
    }

    fn entry(&mut self) -> Option<(Text, Value)> {
        let (b'"', key) = (self.next()?, self.text()?) else { return None };
        if self.next()? != b':' {
            return None;
        }
        if self.unread
            && key == UNREAD
            && let Some((json, is_as_written)) = self.plain_map()
        {
            return Some((key, Value::Map(Map::unread(json, is_as_written))));
        }
        Some((key, self.value()?))
    }

    fn deeper(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())
    }

    /// A text whose quote was taken.
    fn text(&mut self) -> Option<Text> {
        let start = self.at;
        self.at += plain(self.text.as_bytes().get(start..)?);
        let text = self.text.get(start..self.at)?;
        match self.peek()? {
            b'"' => {
                self.at += 1;
                Some(known(text))
            }
            b'\\' => {
                let mut text = text.to_owned();
                self.escaped(&mut text)?;
                Some(Text::from(text))
            }
            _ => None,
        }
    }

    /// Puts the rest of a text at the end of another.
    fn escaped(&mut self, text: &mut String) -> Option<()> {
        loop {
            let start = self.at;
            self.at += plain(self.text.as_bytes().get(start..)?);
            text.push_str(self.text.get(start..self.at)?);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let code = *self.text.as_bytes().get(self.at + 1)?;
        self.at += 2;
        Some(match code {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'"' | b'\\' | b'/' => char::from(code),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                // Half a pair is no character: the careful way puts both together.
                char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?)?
            }
            _ => return None,
        })
    }

    /// A map of maps and nothing else, looked through and taken as it stands; `None`, and nothing is taken, where it is
    /// anything else. Also whether it is as it would be written.
    fn plain_map(&mut self) -> Option<(Box<str>, bool)> {
        let before = self.at;
        self.skip_blanks();
        let start = self.at;
        let depth = self.depth;
        let found = self.look_through();
        self.depth = depth;
        match found.and_then(|is_as_written| Some((self.text.get(start..self.at)?, is_as_written))) {
            Some((json, is_as_written)) => Some((Box::from(json), is_as_written)),
            None => {
                self.at = before;
                None
            }
        }
    }

    /// The next byte, taken; and whether blanks stood before it.
    fn next_tight(&mut self) -> Option<(u8, bool)> {
        let before = self.at;
        let byte = self.next()?;
        Some((byte, self.at == before + 1))
    }

    fn look_through(&mut self) -> Option<bool> {
        let (b'{', mut is_as_written) = self.next_tight()? else { return None };
        self.deeper()?;
        let (mut byte, is_tight) = self.next_tight()?;
        is_as_written &= is_tight;
        let mut last: Option<&str> = None;
        while byte != b'}' {
            if byte != b'"' {
                return None;
            }
            let start = self.at;
            is_as_written &= self.pass_text()?;
            let key = self.text.get(start..self.at - 1)?;
            is_as_written &= last.is_none_or(|last| meant(last).lt(meant(key)));
            last = Some(key);
            let (b':', is_tight) = self.next_tight()? else { return None };
            is_as_written &= is_tight & self.look_through()?;
            let (after, is_tight) = self.next_tight()?;
            is_as_written &= is_tight;
            match after {
                b',' => {
                    let (next, is_tight) = self.next_tight()?;
                    is_as_written &= is_tight;
                    if next == b'}' {
                        return None;
                    }
                    byte = next;
                }
                b'}' => byte = after,
                _ => return None,
            }
        }
        self.depth -= 1;
        Some(is_as_written)
    }

    /// Passes over a text whose quote was taken; says whether it has no escapes but those that are needed.
    fn pass_text(&mut self) -> Option<bool> {
        let mut is_as_written = true;
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..)?);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(is_as_written);
                }
                b'\\' => {
                    is_as_written &= matches!(self.text.as_bytes().get(self.at + 1), Some(b'"' | b'\\'));
                    self.escape()?;
                }
                _ => return None,
            }
        }
    }
}

/// The bytes of a text in which nothing but quotes and backslashes is escaped.
fn meant(text: &str) -> impl Iterator<Item = u8> {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || match bytes.next()? {
        b'\\' => bytes.next(),
        byte => Some(byte),
    })
}

/// How many bytes from the start stand for themselves in a JSON text: up to a quote, a backslash or a control character.
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The high bit of each byte that is zero, and perhaps of bytes after it.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut passed = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let slashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = quotes | slashes | controls;
        if found != 0 {
            return passed + (found.trailing_zeros() / 8) as usize;
        }
        passed += 8;
    }
    let rest = bytes.get(passed..).unwrap_or_default();
    passed + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Names that are too long to be kept inline and that many objects have: they need no memory of their own.
static KNOWN: [Text; 21] = [
    Text::const_new("app.kubernetes.io/component"),
    Text::const_new("app.kubernetes.io/instance"),
    Text::const_new("app.kubernetes.io/managed-by"),
    Text::const_new("argocd.argoproj.io/tracking-id"),
    Text::const_new("kubectl.kubernetes.io/last-applied-configuration"),
    Text::const_new("kubectl.kubernetes.io/restartedAt"),
    Text::const_new("deployment.kubernetes.io/revision"),
    Text::const_new("meta.helm.sh/release-namespace"),
    Text::const_new("statefulset.kubernetes.io/pod-name"),
    Text::const_new("terminationGracePeriodSeconds"),
    Text::const_new("persistentVolumeClaimRetentionPolicy"),
    Text::const_new("allocateLoadBalancerNodePorts"),
    Text::const_new("automountServiceAccountToken"),
    Text::const_new("topologySpreadConstraints"),
    Text::const_new("preferredDuringSchedulingIgnoredDuringExecution"),
    Text::const_new("requiredDuringSchedulingIgnoredDuringExecution"),
    Text::const_new("x-kubernetes-preserve-unknown-fields"),
    Text::const_new("x-kubernetes-list-map-keys"),
    Text::const_new("x-kubernetes-int-or-string"),
    Text::const_new("kubernetes.io/service-account.name"),
    Text::const_new("service.beta.kubernetes.io/aws-load-balancer-type"),
];

/// The longest text that is kept inline.
const INLINE_MAX: usize = 24;

/// A text, without memory of its own where it is one of those.
fn known(text: &str) -> Text {
    if text.len() > INLINE_MAX
        && let Some(known) = KNOWN.iter().find(|known| known.as_str() == text)
    {
        return known.clone();
    }
    Text::from(text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::field::FieldSet;

    fn quick(text: &str) -> Option<String> {
        read(text.as_bytes()).map(|value| value.to_json())
    }

    fn careful(text: &str) -> Option<String> {
        Value::from_json_carefully(text.as_bytes()).ok().map(|value| value.to_json())
    }

    #[test]
    fn what_is_read_quickly_is_what_is_read_carefully() {
        for text in [
            r#" {"b":1,"a":[true,false,null,{}, [] ,{"c":"d"}],"b":-7,"z":{"y":{"x":[1,2,3]}}} "#,
            r#"{"text":"a\"b\\c\/d\b\f\n\r\t\u003c\u00e9é","\u006be\u0079":"","long":"12345678901234567890123456"}"#,
            r#"{"metadata":{"managedFields":[{"fieldsV1":{"f:spec":{".":{},"k:{\"a\":\"b\"}":{}}}},{"fieldsV1":{}}]}}"#,
            "[0,-0,10,999999999999999999,-999999999999999999]",
            "\"\"",
        ] {
            assert!(quick(text).is_some(), "{text}");
            assert_eq!(quick(text), careful(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_sure_is_left_to_the_careful_way() {
        let deep = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        let long = format!("\"{}\u{1}\"", "x".repeat(20));
        for text in [
            "",
            "1 2",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{1:2}",
            "[1 2]",
            "tru",
            "nul",
            "01",
            "-",
            "-01",
            "1.0",
            "1e3",
            "9223372036854775807",
            "\"",
            "\"\\x\"",
            "\"\\ud83d\\ude00\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\u{7}\"",
            "\"abcdefgh\u{1f}\"",
            "\u{feff}1",
            &deep,
            &long,
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"\"\xff\""), None);
        for odd in ["{\"fieldsV1\":{\"a\":1}}", "{\"fieldsV1\":[]}", "{\"fieldsV1\":{\"a\":{\"b\":\"c\"}}}"] {
            assert_eq!(quick(odd), careful(odd), "{odd}");
        }
    }

    #[test]
    fn a_map_left_unread_is_as_any_other() {
        let text = r#"{"fieldsV1": {"f:b": {}, "f:a":{".":{}}, "f:b":{"f:c":{}}}}"#;
        let other = Value::from_json_carefully(text.as_bytes()).unwrap();
        let unread = || read(text.as_bytes()).unwrap();
        assert_eq!(unread(), unread());
        assert_eq!(unread(), other);
        assert_eq!(unread().cmp(&other), std::cmp::Ordering::Equal);
        assert_eq!(format!("{:?}", unread()), format!("{other:?}"));
        let looked_into = unread();
        assert_eq!(looked_into.at(&["fieldsV1", "f:a"]).map(Value::to_json), Some(r#"{".":{}}"#.to_owned()));
        assert_eq!(looked_into.clone(), other);
        let mut changed = unread();
        changed.set_at(&["fieldsV1", "f:d"], Value::Map(Map::new()));
        assert_eq!(
            changed.remove_at(&["fieldsV1", "f:b"]).map(|value| value.to_json()),
            Some(r#"{"f:c":{}}"#.to_owned())
        );
        assert_eq!(changed.to_json(), r#"{"fieldsV1":{"f:a":{".":{}},"f:d":{}}}"#);
        let fields = unread().get("fieldsV1").and_then(FieldSet::from_fields_v1).unwrap();
        assert_eq!(fields.paths().len(), 2);
    }

    #[test]
    fn a_map_left_unread_is_written_as_any_other() {
        for (fields, is_as_written) in [
            (r#"{"f:a":{},"f:b":{".":{},"k:{\"n\":\"a\"}":{},"k:{\"n\":\"b\"}":{}}}"#, true),
            (r#"{}"#, true),
            (r#"{"f:b":{},"f:a":{}}"#, false),
            (r#"{"f:a":{},"f:a":{}}"#, false),
            (r#"{"v:5":{},"v:\"x\"":{}}"#, false),
            (r#"{"v:\"x\"":{},"v:5":{}}"#, true),
            (r#"{"f:a": {}}"#, false),
            (r#"{"f:a":{} }"#, false),
            (r#"{"f:a\u0022":{}}"#, false),
            (r#"{"f:\/":{}}"#, false),
        ] {
            let text = format!(r#"{{"fieldsV1":{fields}}}"#);
            let unread = read(text.as_bytes()).unwrap();
            let map = unread.get("fieldsV1").and_then(Value::as_map).unwrap();
            assert_eq!(map.as_written().is_some(), is_as_written, "{text}");
            assert_eq!(Some(unread.to_json()), careful(&text), "{text}");
            assert_eq!(unread.to_json() == text, is_as_written, "{text}");
        }
    }

    #[test]
    fn where_a_text_stops_being_plain_is_found_at_every_place() {
        for stop in ['"', '\\', '\n', '\u{1f}', '\0'] {
            for before in 0..20 {
                let text = format!(
                    "{}{stop}{}",
                    "é ~\u{7f}z".chars().cycle().take(before).collect::<String>(),
                    "\"\\\n"
                );
                assert_eq!(plain(text.as_bytes()), text.find(stop).unwrap(), "{text:?}");
            }
        }
        assert_eq!(plain("abcdefghijklmno".as_bytes()), 15);
    }

    mod laws {
        use proptest::prelude::*;

        use super::*;

        /// Something like JSON, mostly well formed.
        fn text() -> impl Strategy<Value = String> {
            let leaf = prop_oneof![
                Just("null".to_owned()),
                any::<i64>().prop_map(|number| number.to_string()),
                any::<f32>().prop_map(|number| number.to_string()),
                "\"[a-z\\\\\"u0-9\n]{0,6}\"",
                "\"[a-zé]{0,30}\"",
                "[-+.0-9eEtrufalsn\\[\\]{}:,\"]{0,3}",
            ];
            leaf.prop_recursive(4, 24, 4, |inner| {
                let key = prop_oneof![Just("fieldsV1".to_owned()), "[a-c]", "[a-z]{25,28}"];
                let list = |items: Vec<String>| format!("[{}]", items.join(","));
                let map = |entries: Vec<(String, String)>| {
                    let entries: Vec<String> =
                        entries.into_iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                    format!("{{{}}}", entries.join(", "))
                };
                prop_oneof![
                    proptest::collection::vec(inner.clone(), 0..4).prop_map(list),
                    proptest::collection::vec((key, inner), 0..4).prop_map(map),
                ]
            })
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

            /// Whatever is read quickly is read carefully too, as the same value, also when somebody looks into it.
            #[test]
            fn quick_is_careful(text in text()) {
                if let Some(value) = read(text.as_bytes()) {
                    let careful = Value::from_json_carefully(text.as_bytes());
                    prop_assert_eq!(Ok(value.to_json()), careful.as_ref().map(Value::to_json));
                    prop_assert_eq!(Ok(value), careful);
                }
            }
        }
    }
}
