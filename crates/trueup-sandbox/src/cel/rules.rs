//! The rules of custom resource definitions (`x-kubernetes-validations`), compiled and evaluated at their places
//! (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel`).

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_cel::{Activation, BUDGET, CompileError, Declarations, EvalError, Expression, Shape, Type, Val};
use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::schema::{list_keys, typed};
use crate::status::StatusCause;

/// The longest text that a message's expression may make, in bytes.
const N_MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// The name of the struct of which `self` is.
const SELF: &str = "selfType";

/// The rules of one node of a schema and of those below it.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    shape: Shape,
    type_name: Text,
    properties: BTreeMap<Text, Rules>,
    items: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
    all_of: Vec<Rules>,
    /// By what items are found again in the older object: nothing where they are not.
    keys: Option<Vec<Text>>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    source: Value,
    pub compiled: Result<Expression, String>,
    pub message: Option<Result<Expression, String>>,
    /// Where the cause is said to be, below the node.
    path: String,
}

impl Rule {
    fn text(&self, key: &str) -> &str {
        self.source.str_at(&[key]).unwrap_or_default()
    }

    /// What names the rule in messages.
    fn shown(&self) -> &str {
        let message = self.text("message");
        if message.is_empty() { self.text("rule").trim() } else { message.trim() }
    }

    pub fn uses_old(&self) -> bool {
        self.compiled.as_ref().is_ok_and(|expression| expression.uses("oldSelf"))
    }

    fn is_optional(&self) -> bool {
        self.source.get("optionalOldSelf").and_then(Value::as_bool) == Some(true)
    }
}

impl Rules {
    /// The rules of a schema; nothing where there are none.
    pub fn compile(schema: &Value) -> Option<Self> {
        Self::node(schema, schema, true)
    }

    /// Rules may stand in a branch of `allOf`, about the node whose schema has it.
    fn node(rules: &Value, schema: &Value, is_root: bool) -> Option<Self> {
        let mut declared = Declarations::new();
        let typed = typed(schema, is_root, SELF, &mut declared);
        let sources = rules.list_at(&["x-kubernetes-validations"]);
        let compiled = match &typed {
            Some((its, _)) => sources.iter().map(|it| compile(it, schema, its, &declared)).collect(),
            None => Vec::new(),
        };
        let below = |key: &str| {
            let (rules, schema) = (rules.get(key)?, schema.get(key)?);
            rules.as_map()?;
            Self::node(rules, schema, false).map(Box::new)
        };
        let properties = rules.get("properties").and_then(Value::as_map);
        let properties = properties.into_iter().flat_map(Map::iter).filter_map(|(name, rules)| {
            let schema = schema.at(&["properties", name])?;
            Some((Text::from(name), Self::node(rules, schema, false)?))
        });
        let all_of =
            rules.list_at(&["allOf"]).iter().filter_map(|branch| Self::node(branch, schema, is_root));
        let is_map = schema.str_at(&["x-kubernetes-list-type"]) == Some("map");
        let node = Self {
            rules: compiled,
            shape: typed.map_or(Shape::Dyn, |(_, shape)| shape),
            type_name: schema.str_at(&["type"]).unwrap_or(if is_root { "object" } else { "" }).into(),
            properties: properties.collect(),
            items: below("items"),
            values: below("additionalProperties"),
            all_of: all_of.collect(),
            keys: is_map.then(|| list_keys(schema)),
        };
        let is_empty = node.rules.is_empty()
            && node.properties.is_empty()
            && node.items.is_none()
            && node.values.is_none()
            && node.all_of.is_empty();
        (!is_empty).then_some(node)
    }

    /// What rules do not hold for an object that replaces another.
    pub fn check(&self, object: &Value, old: Option<&Value>) -> Vec<StatusCause> {
        let mut run = Run { budget: BUDGET, causes: Vec::new() };
        // What ends the run early is among the causes.
        let _ = run.node(self, object, old, "");
        run.causes
    }
}

/// Compiles one rule of a node.
pub fn compile(source: &Value, schema: &Value, its: &Type, declared: &Declarations) -> Rule {
    let optional = source.get("optionalOldSelf").and_then(Value::as_bool) == Some(true);
    let old = if optional { Type::optional(its.clone()) } else { its.clone() };
    let declared = declared.clone().variable("self", its.clone()).variable("oldSelf", old);
    let text = |key: &str| source.str_at(&[key]).unwrap_or_default();
    let compiled = match Expression::compile(text("rule"), &declared) {
        Ok(expression) if *expression.output() == Type::Bool => Ok(expression),
        Ok(_) => Err("cel expression must evaluate to a bool".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let message = (!text("messageExpression").is_empty()).then(|| {
        match Expression::compile(text("messageExpression"), &declared) {
            Ok(expression) if *expression.output() == Type::String => Ok(expression),
            Ok(_) => Err("messageExpression must evaluate to a string".to_owned()),
            Err(CompileError::Refused(words)) => {
                Err(format!("messageExpression compilation failed: {words}"))
            }
            Err(CompileError::Instantiation(words)) => {
                Err(format!("messageExpression instantiation failed: {words}"))
            }
        }
    });
    let path = field_path(text("fieldPath"), schema).unwrap_or_default();
    Rule { source: source.clone(), compiled, message, path }
}

/// A path below a node (`.spec['a']`) as causes write it; nothing where it leads nowhere.
pub fn field_path(path: &str, schema: &Value) -> Option<String> {
    let (mut found, mut schema, mut rest) = (String::new(), schema, path);
    while !rest.is_empty() {
        let (name, after) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']")?
        } else {
            let plain = rest.strip_prefix('.')?;
            plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
        };
        if let Some(property) = schema.at(&["properties", name]) {
            if !found.is_empty() {
                found.push('.');
            }
            found.push_str(name);
            schema = property;
        } else {
            schema = schema.get("additionalProperties").filter(|it| it.as_map().is_some())?;
            found.push_str(&format!("[{name}]"));
        }
        rest = after;
    }
    Some(found)
}

/// `self` and `oldSelf` of one node.
struct Selves {
    own: Val,
    old: Option<Val>,
}

impl Activation for Selves {
    fn variable(&self, name: &str) -> Option<Val> {
        match name {
            "self" => Some(self.own.clone()),
            "oldSelf" => self.old.clone(),
            _ => None,
        }
    }
}

/// Rules on their way through an object, with what is left of the budget.
struct Run {
    budget: u64,
    causes: Vec<StatusCause>,
}

/// Nothing more is to be evaluated.
struct Ended;

impl Run {
    fn node(&mut self, rules: &Rules, object: &Value, old: Option<&Value>, path: &str) -> Result<(), Ended> {
        if object.is_null() {
            return Ok(());
        }
        let old = old.filter(|old| !old.is_null());
        self.own(rules, object, old, path)?;
        for branch in &rules.all_of {
            self.node(branch, object, old, path)?;
        }
        match object {
            Value::Map(map) => {
                let before = |name: &str| old.and_then(|old| old.get(name));
                for (name, value) in map.iter() {
                    if let Some(values) = &rules.values {
                        self.node(values, value, before(name), &format!("{path}[{name}]"))?;
                    }
                }
                for (name, value) in map.iter() {
                    if let Some(property) = rules.properties.get(name) {
                        self.node(property, value, before(name), &below(path, name))?;
                    }
                }
            }
            Value::List(items) => {
                let Some(below) = &rules.items else { return Ok(()) };
                let before = old.and_then(Value::as_list).unwrap_or_default();
                for (index, item) in items.iter().enumerate() {
                    let same = |other: &&Value| {
                        let keys = rules.keys.as_deref().unwrap_or_default();
                        !keys.is_empty() && keys.iter().all(|key| item.get(key) == other.get(key))
                    };
                    let before = before.iter().find(same);
                    self.node(below, item, before, &format!("{path}[{index}]"))?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
        }
        Ok(())
    }

    /// The rules of one node itself.
    fn own(&mut self, rules: &Rules, object: &Value, old: Option<&Value>, path: &str) -> Result<(), Ended> {
        if rules.rules.is_empty() {
            return Ok(());
        }
        let own = Val::shaped(object, &rules.shape);
        let before = old.map(|old| Val::shaped(old, &rules.shape));
        for rule in &rules.rules {
            if rule.uses_old() && before.is_none() && !rule.is_optional() {
                continue;
            }
            // What was wrong before and is as it was is let pass.
            let is_unchanged = !rule.uses_old() && old == Some(object);
            let old = if rule.is_optional() {
                Some(Val::Optional(before.clone().map(Arc::new)))
            } else {
                before.clone()
            };
            let selves = Selves { own: own.clone(), old };
            self.rule(rules, rule, &selves, Place { path, object, is_unchanged })?;
        }
        Ok(())
    }

    fn rule(&mut self, rules: &Rules, rule: &Rule, selves: &Selves, place: Place<'_>) -> Result<(), Ended> {
        let told = |words: String| {
            StatusCause::invalid(place.field(), &Value::from(rules.type_name.clone()), &words)
        };
        let expression = match &rule.compiled {
            Ok(expression) => expression,
            Err(words) => {
                self.causes.push(told(format!("rule compile error: {words}")));
                return Ok(());
            }
        };
        let (result, cost) = expression.evaluate(selves);
        match self.budget.checked_sub(cost) {
            Some(left) => self.budget = left,
            None => {
                self.causes.push(told(
                    "validation failed due to running out of cost budget, no further validation rules will be run"
                        .to_owned(),
                ));
                return Err(Ended);
            }
        }
        match result {
            Ok(Val::Bool(true)) => Ok(()),
            Ok(_) => {
                if !place.is_unchanged {
                    let detail = self.detail(rule, selves);
                    self.causes.push(place.cause(rule, &detail));
                }
                Ok(())
            }
            Err(EvalError::TooExpensive) => {
                let error = EvalError::TooExpensive;
                let words = "no further validation rules will be run due to call cost exceeds limit for rule";
                self.causes.push(told(format!("'{error}': {words}: {}", rule.shown())));
                Err(Ended)
            }
            Err(EvalError::Failed(words)) if words.starts_with("no such overload") => {
                let why =
                    "call arguments did not match a supported operator, function or macro signature for rule";
                self.causes.push(told(format!("'{words}': {why}: {}", rule.shown())));
                Ok(())
            }
            Err(EvalError::Failed(words)) => {
                self.causes.push(told(format!("{words} evaluating rule: {}", rule.shown())));
                Ok(())
            }
        }
    }

    /// What the cause says: the message's expression, the message, or the rule itself.
    fn detail(&mut self, rule: &Rule, selves: &Selves) -> String {
        if let Some(Ok(message)) = &rule.message {
            let (made, cost) = message.evaluate(selves);
            self.budget = self.budget.saturating_sub(cost);
            if let Ok(Val::String(text)) = made {
                let text = text.trim();
                if !text.is_empty() && text.len() <= N_MESSAGE_BYTES_MAX && !text.contains('\n') {
                    return text.to_owned();
                }
            }
        }
        let message = rule.text("message");
        if message.is_empty() { format!("failed rule: {}", rule.shown()) } else { message.trim().to_owned() }
    }
}

/// Where a rule is evaluated.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    object: &'a Value,
    is_unchanged: bool,
}

impl Place<'_> {
    fn field(&self) -> &str {
        if self.path.is_empty() { "<nil>" } else { self.path }
    }

    fn cause(&self, rule: &Rule, detail: &str) -> StatusCause {
        let field = match (self.path, rule.path.as_str()) {
            (_, "") => self.field().to_owned(),
            (path, below_it) if below_it.starts_with('[') => format!("{path}{below_it}"),
            (path, below_it) => below(path, below_it),
        };
        // Of what is large only the fault is told.
        let value = match self.object {
            Value::Map(_) | Value::List(_) => None,
            scalar => Some(scalar),
        };
        match (rule.text("reason"), value) {
            ("FieldValueForbidden", _) => StatusCause::forbidden(&field, detail),
            ("FieldValueRequired", _) => StatusCause::required(&field, detail),
            ("FieldValueDuplicate", Some(value)) => StatusCause::duplicate(&field, value),
            ("FieldValueDuplicate", None) => {
                StatusCause::new("FieldValueDuplicate", field, "Duplicate value")
            }
            (_, Some(value)) => StatusCause::invalid(&field, value, detail),
            (_, None) => StatusCause::new("FieldValueInvalid", field, format!("Invalid value: {detail}")),
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
