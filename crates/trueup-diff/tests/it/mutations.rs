//! Everything that reads what others wrote, on thousands of damaged inputs: no panic, and no time or memory out of proportion.
//!
//! Deterministic: the same seeds at every run, printed with what fails. The inputs are small and the readers must refuse what
//! would grow (aliases upon aliases, nesting without end, numbers with a billion digits), so a run that hangs or dies is the
//! failure.

use trueup_dice::Dice;
use trueup_diff::{IgnoreRule, IgnoreSpec, equal, normalise_live, normalise_target, seal, sent_form};
use trueup_object::quantity::equal_quantities;
use trueup_object::scalar::{equal_durations, equal_times};
use trueup_object::yaml::read_documents;
use trueup_object::{FieldSet, JsonPointer, ManagedFields, Value};

use super::world::{KEY, type_of};

/// Rounds for each seed text.
const ROUNDS: u64 = 150;

/// What is put into texts: the words that mean something to one of the readers.
const WORDS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "-",
    "\n",
    "\t",
    " ",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "|",
    ">",
    "%YAML 9\n",
    "---\n",
    "...",
    "null",
    "~",
    "true",
    "1e999",
    "-0",
    "0x1F",
    "1_000",
    ".5",
    "9223372036854775808",
    "f:",
    "k:{\"a\":1}",
    "v:1",
    "i:-1",
    "~1",
    "~2",
    "\u{0}",
    "\u{feff}",
    "é",
    "1Gi",
];

/// The text with a few bytes changed, removed, repeated or put in.
fn damaged(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(24)).min(bytes.len());
        match dice.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let word = WORDS[dice.below(WORDS.len())].as_bytes().to_vec();
                bytes.splice(at..at, word);
            }
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
            4 => {
                let (piece, to) = (bytes[at..end].to_vec(), dice.below(bytes.len() + 1));
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(at.max(8)),
        }
    }
    bytes
}

fn rounds(seeds: &[&[u8]], mut check: impl FnMut(&[u8])) {
    for (index, text) in seeds.iter().enumerate() {
        for round in 0..ROUNDS {
            let seed = round * 1000 + index as u64;
            let input = damaged(text, &mut Dice::new(seed));
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&input)));
            assert!(caught.is_ok(), "text {index}, seed {seed}: {}", String::from_utf8_lossy(&input));
        }
    }
}

const MANIFESTS: [&[u8]; 4] = [
    include_bytes!("../../testdata/widget-crd.yaml"),
    include_bytes!("../../testdata/facts.yaml"),
    b"a: &x {b: [1, 2.5, 'c', \"d\\n\"]}\nc: *x\nd: |\n  text\n  more\ne: >-\n  folded\n",
    b"apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {x: y}}\nstringData: {a: b}\ndata: {c: ZA==}\n---\nkind: List\nitems:\n- {a: 1}\n",
];

#[test]
fn damaged_yaml_is_read_or_refused() {
    rounds(&MANIFESTS, |input| {
        for document in read_documents(input).into_iter().flatten() {
            let again = Value::from_json(document.value.to_json().as_bytes()).unwrap();
            assert_eq!(again, document.value, "what was read can be written and read");
        }
    });
}

#[test]
fn what_would_grow_without_end_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 10].join(", "));
    }
    assert!(read_documents(bomb.as_bytes()).iter().any(Result::is_err), "aliases upon aliases");
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let deep = format!("{}x{}", open.repeat(100_000), close.repeat(100_000));
        assert!(read_documents(deep.as_bytes()).iter().any(Result::is_err), "nesting of {open:?}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Value::from_json(deep.as_bytes()).is_err(), "nesting in JSON");
    let text = |text: &str| Value::from(text);
    for (left, right) in [("1e1000000000", "1e999999999"), ("0.0000000001n", "1E"), ("1e-1000000000", "0")] {
        let _ = equal_quantities(&text(left), &text(right));
    }
    let digits = "9".repeat(100_000);
    let _ = equal_quantities(&text(&digits), &text(&format!("{digits}.0")));
    let _ = equal_durations(&text(&format!("{digits}h")), &text("1h"));
    let _ = equal_times(&text(&digits), &text("2026-01-01T00:00:00Z"));
}

#[test]
fn damaged_field_sets_are_read_or_refused() {
    let fields: &[u8] = br#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}},"f:finalizers":{"v:\"x\"":{}},"f:list":{"i:0":{}}}}"#;
    rounds(&[fields], |input| {
        let Ok(value) = Value::from_json(input) else { return };
        if let Some(set) = FieldSet::from_fields_v1(&value) {
            let again = FieldSet::from_fields_v1(&set.to_fields_v1());
            assert_eq!(again.as_ref(), Some(&set), "what was read can be written and read");
        }
    });
}

#[test]
fn damaged_pointers_and_rules_are_read_or_refused() {
    let texts: [&[u8]; 4] = [
        b"/spec/template/spec/containers/0/image",
        b"/metadata/annotations/example.com~1a~0b",
        b".spec.template.spec.containers[] | select(.name == \"a\") | .env[]?",
        b".webhooks[]?.clientConfig.caBundle",
    ];
    let object = Value::from_yaml(MANIFESTS[0]).unwrap();
    rounds(&texts, |input| {
        let text = String::from_utf8_lossy(input).into_owned();
        if let Ok(pointer) = JsonPointer::parse(&text) {
            assert_eq!(JsonPointer::parse(&pointer.to_string()).as_ref(), Ok(&pointer));
            let _ = pointer.get(&object);
            let _ = pointer.remove(&mut object.clone());
        }
        for spec in [
            IgnoreSpec { json_pointers: vec![text.clone()], ..IgnoreSpec::default() },
            IgnoreSpec { jq_path_expressions: vec![text.clone()], ..IgnoreSpec::default() },
            IgnoreSpec { group: text.clone(), kind: text.clone(), ..IgnoreSpec::default() },
        ] {
            let _ = IgnoreRule::new(&spec);
        }
    });
}

#[test]
fn damaged_objects_are_compared() {
    let records: Vec<&[u8]> =
        include_str!("../../testdata/recorded.jsonl").lines().take(12).map(str::as_bytes).collect();
    for (index, record) in records.iter().enumerate() {
        let record = Value::from_json(record).unwrap();
        let target = record.str_at(&["target"]).unwrap().as_bytes();
        let live = record.get("applied").or(record.get("created")).unwrap().to_json();
        for round in 0..30 {
            let mut dice = Dice::new(round * 100 + index as u64);
            let (target, live) = (damaged(target, &mut dice), damaged(live.as_bytes(), &mut dice));
            let (Ok(target), Ok(live)) = (Value::from_yaml(&target), Value::from_yaml(&live)) else {
                continue;
            };
            let Some(_) = trueup_object::Gvk::of(&target) else { continue };
            let (ty, _) = type_of(&target);
            let managed = ManagedFields::of(&live);
            let comparison = super::laws::look_with(&target, &live, Some(&target), &managed);
            assert!(comparison.findings.iter().all(|found| !found.path.is_root()));
            let _ = equal(Some(&target), Some(&live), ty);
            let _ = (seal(&live, ty, &KEY), sent_form(&target));
            let (once, live_once) = (normalise_target(&target), normalise_live(&live));
            assert_eq!(normalise_target(&once), once, "normalising twice is once");
            assert_eq!(normalise_live(&live_once), live_once, "normalising twice is once");
        }
    }
}
