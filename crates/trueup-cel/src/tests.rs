//! Expressions, their values and their refusals.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

struct Nothing;

impl Activation for Nothing {
    fn variable(&self, name: &str) -> Option<Val> {
        (name == "object").then(|| {
            let json =
                br#"{"metadata":{"name":"x","labels":{"a":"b"}},"spec":{"replicas":3,"list":[1,2,3]}}"#;
            Val::from_json(&trueup_object::Value::from_json(json).unwrap())
        })
    }
}

fn shown(source: &str) -> String {
    let declared = Declarations::new().variable("object", Type::Dyn);
    let expression = match Expression::compile(source, &declared) {
        Ok(expression) => expression,
        Err(CompileError::Refused(words) | CompileError::Instantiation(words)) => return words,
    };
    match expression.evaluate(&Nothing).0 {
        Ok(value) => value.to_json().map_or_else(|words| words, |json| json.to_json()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn values() {
    for (source, wanted) in [
        ("1 + 2 * 3", "7"),
        ("object.spec.replicas > 2", "true"),
        ("object.spec.list.map(i, i * 2)", "[2,4,6]"),
        ("object.spec.list.exists(i, i == 2) && has(object.metadata.name)", "true"),
        ("has(object.metadata.namespace)", "false"),
        ("has(dyn(null).metadata)", "false"),
        ("object.?metadata.?namespace.orValue('none')", "\"none\""),
        ("'%s has %d'.format(['a', dyn(3)])", "\"a has 3\""),
        ("'%.2f'.format([1234.5])", "\"1,234.50\""),
        ("[3, 1, 2].sort()", "[1,2,3]"),
        ("['b', 'a'].sortBy(e, e)", "[\"a\",\"b\"]"),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v + 1)", "{\"a\":2,\"b\":3}"),
        ("[1, 2].all(i, v, i < v)", "true"),
        ("optional.of(5).optMap(x, x + 1).value()", "6"),
        ("quantity('1Gi').isGreaterThan(quantity('1000Mi'))", "true"),
        ("ip('10.0.0.1').family()", "4"),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"),
        ("url('https://example.com:80/p?x=1').getHost()", "\"example.com:80\""),
        ("duration('1h30m').getMinutes()", "90"),
        ("timestamp('2024-01-02T03:04:05Z').getFullYear()", "2024"),
        ("semver('1.2.3').isLessThan(semver('1.10.0'))", "true"),
        ("sets.contains([1, 2], [1])", "true"),
        ("1 / 0", "division by zero"),
        ("object.nothing", "no such key: nothing"),
        ("true || object.nothing", "true"),
        ("[1, 2, 0].exists(i, 1 / i == 1)", "true"),
        ("[0, 1].exists(i, 1 / i == 1)", "true"),
        ("'a-b'.split('-')", "[\"a\",\"b\"]"),
        ("'aXb'.lowerAscii()", "\"axb\""),
        ("type(1) == int", "true"),
        ("9223372036854775807 + 1", "integer overflow"),
    ] {
        assert_eq!(shown(source), wanted, "{source}");
    }
}

#[test]
fn refusals() {
    for (source, wanted) in [
        (
            "foo == 1",
            "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo == 1\n | ^",
        ),
        (
            "1 + 'a'",
            "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^",
        ),
        (
            "object.spec.replicas +",
            "ERROR: <input>:1:23: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | object.spec.replicas +\n | ......................^",
        ),
    ] {
        assert_eq!(shown(source), wanted, "{source}");
    }
}

/// Every form of every function is read from the table.
#[test]
fn the_table_of_functions_is_read_whole() {
    let lines =
        include_str!("functions.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in lines {
        let name = line.split(' ').next().unwrap();
        assert!(!declare::functions()[name].is_empty(), "{line}");
    }
    let n: usize = declare::functions().values().map(Vec::len).sum();
    assert!(n > 250, "{n}");
}

/// Hostile depth ends in a refusal, in a thread with the usual stack.
#[test]
fn depth_is_refused() {
    for source in [
        format!("{}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
        format!("object{}", ".a".repeat(5000)),
        format!("1{}", "+1".repeat(5000)),
        format!("{}true", "!".repeat(5000)),
        format!("{}1", "-".repeat(5000)),
        format!("true{}", "?true:true".repeat(5000)),
        format!("object{}", "[0]".repeat(5000)),
        format!("{}1", "1 in ".repeat(5000)),
    ] {
        let declared = Declarations::new().variable("object", Type::Dyn);
        let refused = Expression::compile(&source, &declared);
        assert!(refused.is_err(), "{}", source.chars().take(20).collect::<String>());
    }
}

/// What is as deep as may be is no danger to the stack.
#[test]
fn depth_below_the_bound_is_fine() {
    for source in [
        format!("object{}", ".a".repeat(240)),
        format!("1{}", "+1".repeat(240)),
        format!("{}1{}", "[".repeat(60), "]".repeat(60)),
        format!("{}1{}", "(".repeat(60), ")".repeat(60)),
        format!("{}1{}", "size([".repeat(25), "])".repeat(25)),
        format!("{}1{}", "{1:".repeat(60), "}".repeat(60)),
        format!("true{}", " && true".repeat(3000)),
    ] {
        let declared = Declarations::new().variable("object", Type::Dyn);
        let expression = Expression::compile(&source, &declared).unwrap();
        let _ = expression.evaluate(&Nothing);
    }
}

#[test]
fn what_costs_too_much_is_ended() {
    let many = "[1,2,3,4,5,6,7,8,9,10]";
    let nested = format!(
        "{many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, {many}.all(e, {many}.all(f, a+b+c+d+e+f > 0))))))"
    );
    assert_eq!(shown(&nested), "operation cancelled: actual cost limit exceeded");
}

/// The control plane holds about 200 expressions to what a real API server tells (`costs.txt` of the cluster tests); here are a few.
#[test]
fn costs_are_estimated_before_anything_is_evaluated() {
    let text = |n_elements_max| Bounds { n_elements_max, n_bytes_min: 2, ..Bounds::default() };
    let list = |n_elements_max| Bounds { element: Some(Box::new(text(20))), ..text(n_elements_max) };
    let fields = [("text", text(80)), ("few", list(5)), ("many", list(1_000_000))];
    let fields = fields.map(|(name, bounds)| (name.into(), bounds));
    let bounds = Bounds { fields: fields.into_iter().collect(), ..Bounds::default() };
    let types =
        [("text", Type::String), ("few", Type::list(Type::String)), ("many", Type::list(Type::String))];
    let declared =
        Declarations::new().variable("self", Type::Object("self".into())).with_struct("self", types);
    let cost = |source: &str| Expression::compile(source, &declared).unwrap().cost_max(&bounds);
    assert_eq!(cost("true"), 0);
    assert_eq!(cost("has(self.text)"), 1);
    assert_eq!(cost("self.text == 'abc'"), 3);
    assert_eq!(cost("self.text == self.text"), 12);
    assert_eq!(cost("self.text.matches('^[a-z]+$')"), 20);
    assert_eq!(cost("self.few.all(x, x == 'abcdefghijklm')"), 33);
    assert_eq!(cost("self.many.all(x, self.many.all(y, x == y))"), 7_000_006_000_003);
}
