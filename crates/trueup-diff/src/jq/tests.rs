//! Expressions against what gojq deletes, and against their limits.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// `INPUT | EXPRESSION | RESULT` on each line: what `gojq -c 'del(EXPRESSION)'` prints, or `error`.
const TABLE: &str = include_str!("../../testdata/jq/gojq.table");

struct Case<'a> {
    input: &'a str,
    expression: &'a str,
    result: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [input, expression, result] = parts.as_slice() else { panic!("not a case: {line}") };
        Case { input, expression, result }
    };
    lines.map(case).collect()
}

fn input(name: &str) -> Value {
    let text = match name {
        "deployment" => include_str!("../../testdata/jq/deployment.json"),
        "odd" => include_str!("../../testdata/jq/odd.json"),
        other => panic!("no input {other}"),
    };
    Value::from_json(text.as_bytes()).unwrap()
}

fn deleted(object: &Value, expression: &str) -> String {
    let program = match Program::new(expression) {
        Ok(program) => program,
        Err(_) => return "error".to_owned(),
    };
    let Ok(mut places) = program.places(object) else { return "error".to_owned() };
    places.sort_by(|left, right| crate::ignore::in_order(right, left));
    let mut rest = object.clone();
    for place in places {
        place.remove(&mut rest);
    }
    rest.to_json()
}

#[test]
fn what_is_hidden_is_what_gojq_deletes() {
    let cases = cases();
    assert!(cases.len() >= 100, "{}", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let found = deleted(&input(case.input), case.expression);
            (found != case.result).then(|| {
                format!("{}: {}\n  expected {}\n  found    {found}", case.input, case.expression, case.result)
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where gojq is installed (Debian has it) the table is checked against it.
#[test]
#[expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "another program is the reference")]
fn the_table_is_what_gojq_says() {
    let run = |case: &Case<'_>| {
        std::process::Command::new("gojq")
            .args(["-n", "-c", "--argjson", "input", &input(case.input).to_json()])
            .arg(format!("$input | del({})", case.expression))
            .output()
    };
    for case in cases() {
        let output = match run(&case) {
            Ok(output) => output,
            Err(error) => {
                eprintln!("LEFT OUT: the table is not checked against gojq, which did not run: {error}");
                return;
            }
        };
        let printed = String::from_utf8(output.stdout).unwrap();
        let found = match (output.status.success(), printed.trim()) {
            // To name the whole object is an error here: nothing would be left to compare.
            (false, _) | (true, "null") => "error",
            (true, printed) => printed,
        };
        assert_eq!(found, case.result, "{}: {}", case.input, case.expression);
    }
}

fn failure(expression: &str) -> RuleFailure {
    Program::new(expression).unwrap().places(&input("deployment")).unwrap_err()
}

#[test]
fn what_would_not_end_ends() {
    for expression in [
        "[range(1e12)] | .[0]",
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: f | .; f",
        "def f: .a | f; f",
        "def f: f, .; f",
        "until(false; .)",
        "last(repeat(.))",
        "repeat(.)",
        ".[(\"a\" * 1e9)]",
        ".[(reduce range(60) as $i (\"aa\"; . + .))]",
        ".[([range(60)] | reduce .[] as $i ([1]; . + .) | tojson)]",
        ".[(reduce range(1e7) as $i (null; [.]) | tojson)]",
        "reduce range(1e9) as $i (.; .)",
        "foreach range(1e9) as $i (.; .; empty)",
        "[limit(1e9; repeat(1))]",
        "while(true; .)",
        "[..] | [.[] as $a | .[] as $b | .[] as $c | .[] as $d | 1]",
        "last(range(1e12))",
        "recurse(.)",
        "try repeat(.) catch .",
        "def f: (try f catch f); f",
        ". as {kind: $a} | [range(1e9)]",
        "[.. | [range(100000)]]",
        ". * {} | until(false; . * .)",
    ] {
        assert!(
            matches!(failure(expression), RuleFailure::Exhausted(_)),
            "{expression}: {:?}",
            failure(expression)
        );
    }
}

#[test]
fn nothing_outside_of_the_object_is_seen() {
    for expression in [
        "env.HOME",
        "$ENV.HOME",
        "input",
        "inputs",
        "now",
        "halt",
        "halt_error",
        "debug",
        "input_filename",
        "$__prog_args",
    ] {
        let error = Program::new(expression).unwrap_err();
        assert!(matches!(error, JqError::Refused { .. } | JqError::Unknown { .. }), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    for expression in
        ["", ".a[", ".a |", "nonsense", ".a | nope(1)", "$x", ".a as $x", "break $x", "(((", "\"\\("]
    {
        let error = Program::new(expression).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
    let brackets = "(".repeat(3000) + "." + &")".repeat(3000);
    assert!(matches!(Program::new(&brackets), Err(JqError::TooLarge { .. })));
    assert!(matches!(Program::new(&"-".repeat(3000)), Err(JqError::TooLarge { .. })));
    assert!(matches!(Program::new(&".a|".repeat(3000)), Err(JqError::TooLarge { .. })));
}

#[test]
fn long_pipes_are_read_and_run() {
    let long = ".".to_owned() + &"|.".repeat(150);
    let program = Program::new(&format!("{long} | .spec.replicas")).unwrap();
    assert_eq!(program.places(&input("deployment")).unwrap().len(), 1);
    // As deep as the text may be, without an end of the stack.
    let longest = ".".to_owned() + &"|.".repeat(2000);
    let _any = Program::new(&longest).map(|program| program.places(&input("deployment")));
    let _any = Program::new(&("1".to_owned() + &"+1".repeat(2000)))
        .map(|program| program.places(&input("deployment")));
    let _any = Program::new(&(".".to_owned() + &"//.".repeat(1300)))
        .map(|program| program.places(&input("deployment")));
    let _any = Program::new(&".a".repeat(2000)).map(|program| program.places(&input("deployment")));
    let _any = Program::new(&"1 as $x|".repeat(90)).map(|program| program.places(&input("deployment")));
}

#[test]
fn every_definition_of_the_prelude_is_read() {
    let n_written = include_str!("prelude.jq").lines().filter(|line| line.starts_with("def ")).count();
    assert_eq!(compile::prelude().len(), n_written);
}

#[test]
fn values_are_not_quoted_in_errors() {
    let object = Value::from_json(br#"{"data":{"password":"hunter2"}}"#).unwrap();
    for expression in [
        ".data.password.x",
        ".data.password[]",
        ".data[0]",
        ".data.password | error",
        "error(\"not \\(.data.password)\")",
        "error(.data)",
        "try error(.data) catch error",
        ".data | keys",
    ] {
        let failure = Program::new(expression).unwrap().places(&object).unwrap_err();
        let said = failure.to_string();
        assert!(!said.contains("hunter2"), "{said}");
    }
}
