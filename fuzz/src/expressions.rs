//! Expressions of the Common Expression Language: compiled against what policies and rules may name, estimated, evaluated.

use trueup_cel::{
    Activation, Bounds, CompileError, Declarations, EXPRESSION_LIMIT, EvalError, Expression, Type, Val,
};
use trueup_object::Value;

/// What an expression sees: one object, under both names.
struct One(Val);

impl Activation for One {
    fn variable(&self, name: &str) -> Option<Val> {
        matches!(name, "object" | "self").then(|| self.0.clone())
    }
}

/// The expression, and after a line of four dashes the JSON that it is about. What compiles does so again in the same way, its
/// value is the same every time, and its evaluation ends where its limit of cost does.
pub fn cel(input: &[u8]) {
    let at = input.windows(6).position(|window| window == b"\n----\n");
    let (source, json) = at.map_or((input, &b"{}"[..]), |at| (&input[..at], &input[at + 6..]));
    let Ok(source) = std::str::from_utf8(source) else { return };
    let one = One(Val::from_json(&Value::from_json(json).unwrap_or_default()));
    let typed = [("text", Type::String), ("list", Type::list(Type::Int)), ("any", Type::Dyn)];
    let bounds = bounds();
    for declared in [
        Declarations::new().variable("object", Type::Dyn).with_patches(),
        Declarations::new().variable("self", Type::Object("selfType".into())).with_struct("selfType", typed),
    ] {
        let expression = match Expression::compile(source, &declared) {
            Ok(expression) => expression,
            Err(CompileError::Refused(words) | CompileError::Instantiation(words)) => {
                assert!(!words.is_empty(), "a refusal says why");
                continue;
            }
        };
        let again = Expression::compile(source, &declared).expect("it compiled a moment ago");
        assert_eq!(expression.output(), again.output());
        assert_eq!(expression.cost_max(&bounds), again.cost_max(&bounds));
        let ((value, cost), (same, _)) = (expression.evaluate(&one), again.evaluate(&one));
        let shown = |value: &Result<Val, EvalError>| format!("{value:?}");
        assert_eq!(shown(&value), shown(&same));
        match value {
            Ok(value) => {
                assert!(cost <= EXPRESSION_LIMIT, "it cost {cost} and was let pass");
                let _ = value.to_json();
            }
            // Some functions refuse what is too large before they count it.
            Err(EvalError::TooExpensive) => {}
            Err(EvalError::Failed(words)) => assert!(!words.is_empty(), "a failure says why"),
        }
    }
}

fn bounds() -> Bounds {
    let text = Bounds { n_elements_max: 80, n_bytes_min: 2, ..Bounds::default() };
    let list = Bounds { element: Some(Box::new(Bounds::default())), ..text.clone() };
    let fields = [("text", text), ("list", list)].map(|(name, bounds)| (name.into(), bounds));
    Bounds { fields: fields.into_iter().collect(), ..Bounds::default() }
}
