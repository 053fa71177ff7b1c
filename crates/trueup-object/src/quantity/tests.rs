//! Quantities against what `k8s.io/apimachinery` v0.36.3 prints for the same text.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn canonical_forms_are_those_of_go() {
    let cases = [
        ("0", "0"),
        ("-0", "0"),
        ("0.1", "100m"),
        ("100m", "100m"),
        ("1.5", "1500m"),
        ("2000m", "2"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("12345678", "12345678"),
        ("5000000", "5M"),
        ("1e3", "1e3"),
        ("12e4", "120e3"),
        ("1E6", "1e6"),
        ("1E", "1E"),
        ("1e-3", "1e-3"),
        ("2048Mi", "2Gi"),
        ("1Gi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.1Mi", "104857600m"),
        ("1023Ki", "1023Ki"),
        ("1Ki", "1Ki"),
        ("9Ei", "9223372036854775807"),
        ("-9Ei", "-9223372036854775807"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("1.0000000001", "1000000001n"),
        ("-1.5", "-1500m"),
        ("+5", "5"),
        ("005", "5"),
        ("1.", "1"),
        (".5", "500m"),
        ("1.G", "1G"),
        ("0.001k", "1"),
        // Go has no suffix past E and prints `1`, a different amount; ours stays the amount.
        ("1000000000000000000000", "1e21"),
    ];
    for (text, expected) in cases {
        assert_eq!(Quantity::parse(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn canonical_forms_are_stable() {
    for text in ["0.1", "1.5Gi", "12e4", "1000000", "0.5Ki", "1e-3", "1e30", "7E", "3.3333"] {
        let quantity = Quantity::parse(text).unwrap();
        let again = Quantity::parse(&quantity.to_string()).unwrap();
        assert_eq!(again, quantity, "{text}");
        assert_eq!(again.to_string(), quantity.to_string(), "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in [
        "",
        "m",
        "1x",
        "1 Gi",
        "1mi",
        "1K",
        "--1",
        "1..2",
        "1.2.3",
        "1e",
        "e3",
        "Gi",
        "1e99999999999",
        "1,5",
        ".",
    ] {
        assert!(Quantity::parse(text).is_err(), "{text}");
    }
    assert!(Quantity::parse(&"9".repeat(1000)).is_err());
}

#[test]
fn amounts_compare() {
    let q = |text: &str| Quantity::parse(text).unwrap();
    assert_eq!(q("0.1"), q("100m"));
    assert_eq!(q("1Gi"), q("1073741824"));
    assert_eq!(q("2"), q("2000m"));
    assert_eq!(q("-0"), q("0"));
    let ordered =
        ["-1Gi", "-1", "-1m", "0", "1n", "999u", "1m", "0.5", "1", "1k", "1Ki", "1M", "1Mi", "2G", "1e12"];
    for pair in ordered.windows(2) {
        assert!(q(pair[0]) < q(pair[1]), "{pair:?}");
    }
    assert!(equal_quantities(&Value::Int(1), &"1000m".into()));
    assert!(equal_quantities(&Value::Float(0.5), &"500m".into()));
    assert!(!equal_quantities(&Value::Null, &"0".into()));
}
