//! The reader against what Go's reader gives for the same text, and the writer against the reader.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::value::Value;

fn json(yaml: &str) -> String {
    match Value::from_yaml(yaml.as_bytes()) {
        Ok(value) => value.to_json(),
        Err(error) => format!("error: {error}"),
    }
}

/// Pairs of YAML and the JSON that `sigs.k8s.io/yaml` v1.6.0 makes of it, or the message that the reader gives.
#[test]
fn scalars_read_as_go_reads_them() {
    let cases = [
        (
            "a: [yes, no, on, off, y, n, Y, NO, On]",
            r#"{"a":[true,false,true,false,true,false,true,false,true]}"#,
        ),
        ("{yes: 1, 1: 2, on: 3}", r#"{"1":2,"true":3}"#),
        ("a: 0644", r#"{"a":420}"#),
        ("a: 1_000", r#"{"a":1000}"#),
        ("a: 08", r#"{"a":8}"#),
        ("a: 0o17", r#"{"a":15}"#),
        ("a: 0x1F", r#"{"a":31}"#),
        ("a: -0b11", r#"{"a":-3}"#),
        ("a: 18446744073709551616", r#"{"a":18446744073709552000}"#),
        ("a: 9223372036854775807", r#"{"a":9223372036854775807}"#),
        ("a: 1e3", r#"{"a":1000}"#),
        ("a: 1.50", r#"{"a":1.5}"#),
        ("a: 1e999", r#"{"a":"1e999"}"#),
        ("a: 1.", r#"{"a":1}"#),
        ("a: .5", r#"{"a":0.5}"#),
        ("a: _1", r#"{"a":"_1"}"#),
        ("a: 2001-01-01", r#"{"a":"2001-01-01"}"#),
        ("a: 1:30", r#"{"a":"1:30"}"#),
        ("a: =", r#"{"a":"="}"#),
        ("a: ~", r#"{"a":null}"#),
        ("a:", r#"{"a":null}"#),
        ("a:\t1", r#"{"a":1}"#),
        ("a: '1'", r#"{"a":"1"}"#),
        ("a: ! 1", r#"{"a":"1"}"#),
        ("a: !!int \"7\"", r#"{"a":7}"#),
        ("a: !!float 3", r#"{"a":3}"#),
        ("a: !!str 5", r#"{"a":"5"}"#),
        ("a: !!binary aGk=", r#"{"a":"hi"}"#),
        ("a: !custom x", r#"{"a":"x"}"#),
        ("a: !custom {b: 1}", r#"{"a":{"b":1}}"#),
        ("a: !!int x", "error: line 1: cannot decode !!str `x` as a !!int"),
        ("a: .inf", "error: line 1: infinity and not-a-number have no form in JSON"),
        ("a: .NaN", "error: line 1: infinity and not-a-number have no form in JSON"),
        ("~: 1", "error: line 1: null as a key of a map"),
        ("? [1, 2]\n: 3", "error: line 1: an array as a key of a map: only scalars can be keys"),
        ("a: \u{1}", "error: line 1: control characters are not allowed (U+0001)"),
    ];
    for (yaml, expected) in cases {
        assert_eq!(json(yaml), expected, "{yaml}");
    }
}

#[test]
fn keys_become_strings() {
    let cases = [
        ("1.5: a", r#"{"1.5":"a"}"#),
        ("1000000.0: a", r#"{"1e+06":"a"}"#),
        ("0x10: a", r#"{"16":"a"}"#),
        ("no: a", r#"{"false":"a"}"#),
        ("'no': a", r#"{"no":"a"}"#),
        (".inf: a", r#"{".inf":"a"}"#),
    ];
    for (yaml, expected) in cases {
        assert_eq!(json(yaml), expected, "{yaml}");
    }
}

#[test]
fn merges_take_effect_in_document_order() {
    let base = "b: &b {x: 1, z: 2}\n";
    let cases = [
        ("c: {x: 9, <<: *b}", r#"{"b":{"x":1,"z":2},"c":{"x":1,"z":2}}"#),
        ("c: {<<: *b, x: 9}", r#"{"b":{"x":1,"z":2},"c":{"x":9,"z":2}}"#),
        ("c: {<<: [{x: 5}, *b]}", r#"{"b":{"x":1,"z":2},"c":{"x":5,"z":2}}"#),
        ("c: {'<<': 3}", r#"{"b":{"x":1,"z":2},"c":{"<<":3}}"#),
        ("c: {<<: 3}", "error: line 2: map merge requires map or sequence of maps as the value"),
    ];
    for (yaml, expected) in cases {
        assert_eq!(json(&format!("{base}{yaml}\n")), expected, "{yaml}");
    }
    let document = read_documents(format!("{base}c: {{<<: *b, x: 9}}").as_bytes()).remove(0).unwrap();
    assert_eq!(document.duplicate_keys, [], "a key that overrides a merged one is not written twice");
}

#[test]
fn the_last_duplicate_wins_and_is_reported() {
    let document = read_documents(b"a: 1\nb: 2\na: 3\n").remove(0).unwrap();
    assert_eq!(document.value.to_json(), r#"{"a":3,"b":2}"#);
    assert_eq!(document.duplicate_keys, [DuplicateKey { key: "a".into(), line: 3 }]);
    let block = read_documents(b"a:\n  x: 1\na:\n  y1: 2\n  z: 3\n").remove(0).unwrap();
    assert_eq!(block.duplicate_keys[0].line, 3, "the line of the key, not of where its value ends");
    let thrice = read_documents(b"x: {a: 1,\n a: 2,\n b: 1,\n a: 3}\n").remove(0).unwrap();
    assert_eq!(thrice.value.to_json(), r#"{"x":{"a":3,"b":1}}"#);
    assert_eq!(thrice.duplicate_keys.iter().map(|key| key.line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn anchors_expand_within_limits() {
    assert_eq!(json("a: &x [1]\nb: *x"), r#"{"a":[1],"b":[1]}"#);
    assert_eq!(json("&k a: 1\nb: {*k : 2}"), r#"{"a":1,"b":{"a":2}}"#);
    assert_eq!(json("a: &x [*x]"), "error: line 1: an anchor's value contains itself");
    assert!(json("a: *nowhere").starts_with("error: line 1: "));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(json(&bomb).ends_with("document contains excessive aliasing"), "{}", json(&bomb));
    let mut deep = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(json(&deep).ends_with("nested deeper than 127 levels"));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(json(&nested(DEPTH_MAX)), nested(DEPTH_MAX));
    assert!(json(&nested(DEPTH_MAX + 1)).contains("nested deeper"));
    assert!(json(&nested(100_000)).starts_with("error"));
}

#[test]
fn keys_in_reverse_order_take_no_quadratic_time() {
    // A tenth of a second where it is sorted once; half a minute where each key moves all others.
    let yaml: String = (0..200_000).rev().map(|number| format!("k{number:06}: 1\n")).collect();
    let value = Value::from_yaml(yaml.as_bytes()).unwrap();
    assert_eq!(value.as_map().unwrap().keys().next(), Some("k000000"));
}

#[test]
fn a_syntax_error_spoils_one_document() {
    let stream =
        "# first\na: 1\n---\nb: [\n---\n\n# third\nc: 3\n...\n%YAML 1.1\n---\nd: 4\n--- {e: 5}\n---\n";
    let found: Vec<_> = read_documents(stream.as_bytes())
        .into_iter()
        .map(|result| result.map(|document| (document.line, document.value.to_json())))
        .collect();
    assert_eq!(found.len(), 6, "{found:?}");
    assert_eq!(found[0], Ok((2, r#"{"a":1}"#.to_owned())));
    assert_eq!(found[2], Ok((8, r#"{"c":3}"#.to_owned())));
    assert_eq!(found[3], Ok((12, r#"{"d":4}"#.to_owned())));
    assert_eq!(found[4], Ok((13, r#"{"e":5}"#.to_owned())));
    assert_eq!(found[5].as_ref().unwrap().1, "null");
    let error = found[1].as_ref().unwrap_err();
    assert!((4..=5).contains(&error.line) && !error.message.is_empty(), "{error}");
}

#[test]
fn encodings_and_line_ends() {
    assert_eq!(json("\u{FEFF}a: 1\r\nb: |\r\n  x\r\n  y\r\n"), r#"{"a":1,"b":"x\ny\n"}"#);
    let utf16: Vec<u8> = "\u{FEFF}a: ü".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(Value::from_yaml(&utf16).unwrap().to_json(), r#"{"a":"ü"}"#);
    let error = Value::from_yaml(b"a: 1\nb: \xff\n").unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (2, "invalid UTF-8"));
}

#[test]
fn json_reads_as_json() {
    let documents = read_documents(b"{\"a\": 1}\n{\"b\": \"\\/\"}\n---\n{\"c\": 1.0}\n");
    let values: Vec<_> = documents.iter().map(|document| document.as_ref().unwrap()).collect();
    assert_eq!(values.len(), 3);
    assert_eq!((values[1].line, values[1].value.to_json()), (2, r#"{"b":"/"}"#.to_owned()));
    assert_eq!(values[2].line, 4);
    assert_eq!(json("{a: 1}"), r#"{"a":1}"#);
}

#[test]
fn lists_know_the_lines_of_their_items() {
    let document = read_documents(b"kind: List\nitems:\n- a: 1\n\n- b: 2\n  items: [3]\n").remove(0).unwrap();
    assert_eq!(document.item_lines, [3, 5]);
}

#[test]
fn the_writer_quotes_what_would_read_as_something_else() {
    let value = Value::from_json(
        br##"{"a":["yes","1","","~","x: y","- x","a #b","1:30","2001-01-01","it's","#x","plain text","a\tb","=","<<"],
            "b":{"on":1,"<<":2},"c":[],"d":{},"e":[[1,[2]],{"x":1,"y":[3]}],"f":"one\ntwo\n","g":" lead\nx","h":"t\n\n",
            "i":null,"j":0.5,"k":1e21}"##,
    )
    .unwrap();
    let expected = "\
a:
- \"yes\"
- \"1\"
- \"\"
- \"~\"
- 'x: y'
- '- x'
- 'a #b'
- \"1:30\"
- \"2001-01-01\"
- it's
- '#x'
- plain text
- \"a\\tb\"
- =
- <<
b:
  \"<<\": 2
  \"on\": 1
c: []
d: {}
e:
- - 1
  - - 2
- x: 1
  \"y\":
  - 3
f: |
  one
  two
g: |2-
   lead
  x
h: |+
  t

i: null
j: 0.5
k: 1e+21
";
    assert_eq!(value.to_yaml(), expected);
    assert_eq!(Value::from_yaml(expected.as_bytes()).unwrap(), value);
}

/// As Go's writer has it, so that no reader takes a text for a time.
#[test]
fn times_are_quoted() {
    for text in ["2026-01-02T03:04:05Z", "2026-1-2", "2026-01-02 03:04:05", "12:30:45", "-1:30"] {
        assert_eq!(Value::from(text).to_yaml(), format!("\"{text}\"\n"));
    }
    for text in ["2026-01", "26-01-02", "1:a", "a:1", "10.0.0.1:80x", "v1.2-3", "1.5:2"] {
        assert_eq!(Value::from(text).to_yaml(), format!("{text}\n"));
    }
}

mod laws {
    use super::*;
    use crate::value::{Map, Text};
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,12}",
            "[-?:,#&*!|>'\"%@`\\[\\]{}a~=<. \n\t]{0,8}",
            "(yes|no|on|0x1|1_0|1e3|null|~|<<|---|\\.\\.\\.|\\.inf|0644)[ \n:]?",
            "[a \n\t]{0,10}",
            "\\PC{0,6}",
            any::<String>().prop_map(|text| text.chars().take(8).collect()),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>()
                .prop_filter("finite, not -0", |number| number.is_finite() && *number != 0.0)
                .prop_map(Value::Float),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::vec((text(), inner), 0..4).prop_map(|entries| Value::Map(
                    entries.into_iter().map(|(k, v)| (Text::from(k), v)).collect::<Map>()
                )),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        /// What is written reads back as the same value.
        #[test]
        fn writing_then_reading_changes_nothing(value in value()) {
            let yaml = value.to_yaml();
            let read = Value::from_yaml(yaml.as_bytes());
            prop_assert_eq!(read.as_ref(), Ok(&value), "{}", yaml);
            let json = Value::from_json(value.to_json().as_bytes());
            prop_assert_eq!(json, Ok(value));
        }

        /// No text makes the reader panic, and its lines lie within the text.
        #[test]
        fn any_text_is_read_or_refused(text in "[-a:#&*!|>'\"%\\[\\]{}<?~ \n\t,.0]{0,60}") {
            let lines = text.lines().count().max(1) + 1;
            for result in read_documents(text.as_bytes()) {
                let line = match result { Ok(document) => document.line, Err(error) => error.line };
                prop_assert!((1..=lines).contains(&line), "{} of {}", line, lines);
            }
        }
    }
}
