//! Turns the outcomes of probing one struct into facts about one of its fields.

use serde_json::Value;

use super::super::{openapi::Shape, probe};

/// What was learnt about a field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldFacts {
    /// What becomes of a declared zero value.
    pub zero: Option<Fate>,
    pub default: Default,
    /// The server writes the zero value itself.
    pub always: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Dropped,
    Replaced,
}

/// What the server writes where the struct is there and the field is not.
#[derive(Clone, Debug, PartialEq)]
pub enum Default {
    Nothing,
    Always(Value),
    /// What a sibling is decides; else the second, if there is one.
    When(Vec<When>, Option<Value>),
    /// The value of a sibling, where that is declared.
    Copy(String),
    /// It depends on siblings in a way that only code can express.
    Varies,
}

#[derive(Clone, Debug, PartialEq)]
pub struct When {
    pub field: String,
    pub condition: Condition,
    /// `None`: then there is no default.
    pub value: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Is(Value),
    Present,
}

/// What one probe led to: a field declared alone with a value, and the struct as it came back.
pub struct Outcome<'a> {
    pub field: &'a str,
    pub value: &'a Value,
    pub trial: Trial,
    pub fields: Option<&'a Value>,
}

/// What a probe's value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A zero value, only for itself.
    Zero,
    /// One of all possible values, only for itself.
    Word,
    /// Any value.
    Sample,
}

pub fn distill(
    name: &str,
    shape: &Shape,
    is_pointer: bool,
    base: Option<&Value>,
    outcomes: &[Outcome],
) -> FieldFacts {
    let written = base.and_then(|fields| fields.get(name)).filter(|value| !value.is_null());
    // A pointer that is set was set by defaulting; a value that is merely written out was not.
    let always = written.is_some_and(|value| !is_pointer && is_empty(value));
    let base_default = written.filter(|_| !always).map(without_nulls);
    let default = default(name, shape, base_default, always, outcomes);
    let zero = match (fate(name, shape, outcomes), &default) {
        // Alone it was kept: the sibling that it copies was zero too. By value, a declared zero is none to Go.
        (Some(Fate::Kept), Default::Copy(_)) if !is_pointer && matches!(shape, Shape::Scalar { .. }) => {
            Some(Fate::Replaced)
        }
        (zero, _) => zero,
    };
    FieldFacts { zero, default, always }
}

fn fate(name: &str, shape: &Shape, outcomes: &[Outcome]) -> Option<Fate> {
    let zero = probe::zero(shape)?;
    let outcome = outcomes.iter().find(|outcome| outcome.field == name && *outcome.value == zero)?;
    Some(match outcome.fields.and_then(|fields| fields.get(name)) {
        None | Some(Value::Null) => Fate::Dropped,
        Some(found) if *found == zero => Fate::Kept,
        // An object that was kept may have got defaults inside.
        Some(Value::Object(_)) if zero.is_object() => Fate::Kept,
        Some(_) => Fate::Replaced,
    })
}

fn default(name: &str, shape: &Shape, base: Option<Value>, always: bool, outcomes: &[Outcome]) -> Default {
    let siblings: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.field != name).collect();
    let value_after = |outcome: &Outcome| {
        let found = outcome.fields.and_then(|fields| fields.get(name)).filter(|value| !value.is_null());
        found.filter(|value| !(always && is_empty(value))).map(without_nulls)
    };
    // The server's clock is no default that a table could hold.
    if base.is_some() && matches!(shape, Shape::Scalar { kind: "time" | "microtime", .. }) {
        return Default::Varies;
    }
    if let Some(sibling) = copied(name, shape, &siblings, &value_after) {
        return Default::Copy(sibling);
    }
    let mut whens = Vec::new();
    let mut names: Vec<&str> = siblings.iter().map(|outcome| outcome.field).collect();
    names.dedup();
    for sibling in names {
        let of_sibling: Vec<(&Outcome, Option<Value>)> = siblings
            .iter()
            .filter(|outcome| outcome.field == sibling)
            .map(|outcome| (*outcome, value_after(outcome)))
            .filter(|(_, after)| *after != base)
            .collect();
        match conditions(&of_sibling, &siblings) {
            Some(found) => whens.extend(found),
            None => return Default::Varies,
        }
    }
    if whens.iter().filter_map(|when| when.value.as_ref()).any(probe::has_sample) {
        return Default::Varies;
    }
    match (whens.is_empty(), base) {
        (false, base) => Default::When(whens, base),
        (true, Some(value)) => Default::Always(value),
        (true, None) => Default::Nothing,
    }
}

/// The sibling whose every declared value turns up in the field, if there is one.
fn copied(
    name: &str,
    shape: &Shape,
    siblings: &[&Outcome],
    value_after: &impl Fn(&Outcome) -> Option<Value>,
) -> Option<String> {
    // An empty struct or a boolean equals too much by chance.
    if matches!(shape, Shape::Ref { .. } | Shape::Scalar { kind: "boolean", .. }) {
        return None;
    }
    let is_copy = |outcome: &&&Outcome| {
        value_after(outcome).as_ref() == Some(outcome.value) && !is_empty(outcome.value)
    };
    let candidate = siblings.iter().find(is_copy)?.field;
    let mut declared =
        siblings.iter().filter(|outcome| outcome.field == candidate && !is_empty(outcome.value));
    (name != candidate && declared.all(|outcome| is_copy(&outcome))).then(|| candidate.to_owned())
}

/// How a field's default follows one sibling, from the probes in which it was not as usual; `None` where conditions cannot say it.
fn conditions(deviating: &[(&Outcome, Option<Value>)], all: &[&Outcome]) -> Option<Vec<When>> {
    let mut whens = Vec::new();
    let mut sampled: Vec<&(&Outcome, Option<Value>)> = Vec::new();
    for deviation in deviating {
        let (outcome, after) = deviation;
        match outcome.trial {
            Trial::Zero | Trial::Word => whens.push(When {
                field: outcome.field.to_owned(),
                condition: Condition::Is(outcome.value.clone()),
                value: after.clone(),
            }),
            Trial::Sample => sampled.push(deviation),
        }
    }
    if let Some((first, after)) = sampled.first() {
        // Samples stand for all values only when all of them agree.
        let asked = all.iter().filter(|one| one.field == first.field && one.trial == Trial::Sample).count();
        if sampled.len() != asked || sampled.iter().any(|(_, other)| other != after) {
            return None;
        }
        let condition = Condition::Present;
        whens.push(When { field: first.field.to_owned(), condition, value: after.clone() });
    }
    Some(whens)
}

/// Go writes a list that is not there as null; for a reader that is no default.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

/// Whether a value is what Go writes for nothing, all the way down.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty() || value == "0",
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text() -> Shape {
        Shape::Scalar { kind: "string", format: None, allowed: Vec::new() }
    }

    /// Facts about the field `f`, from its base and what it became beside each `(sibling, value, trial)`.
    fn facts(pointer: bool, base: Value, probes: &[(&str, Value, Trial, Value)]) -> FieldFacts {
        let bodies: Vec<Value> = probes.iter().map(|(.., after)| json!({"f": after})).collect();
        let outcomes: Vec<Outcome> = probes
            .iter()
            .zip(&bodies)
            .map(|((field, value, trial, _), fields)| Outcome {
                field,
                value,
                trial: *trial,
                fields: Some(fields),
            })
            .collect();
        distill("f", &text(), pointer, Some(&json!({"f": base})), &outcomes)
    }

    #[test]
    fn a_default_that_no_sibling_changes_always_holds() {
        let learnt = facts(true, json!("d"), &[("g", json!("x"), Trial::Sample, json!("d"))]);
        assert_eq!(learnt, FieldFacts { zero: None, default: Default::Always(json!("d")), always: false });
    }

    #[test]
    fn what_go_writes_for_nothing_is_a_default_only_behind_a_pointer() {
        assert_eq!(facts(true, json!(""), &[]).default, Default::Always(json!("")));
        let by_value = facts(false, json!(""), &[]);
        assert_eq!((by_value.default, by_value.always), (Default::Nothing, true));
        assert_eq!(facts(true, Value::Null, &[]).default, Default::Nothing);
    }

    #[test]
    fn the_fate_of_a_zero_value_is_what_came_back() {
        let fate = |after: Value| facts(true, Value::Null, &[("f", json!(""), Trial::Zero, after)]).zero;
        assert_eq!(fate(json!("")), Some(Fate::Kept));
        assert_eq!(fate(Value::Null), Some(Fate::Dropped));
        assert_eq!(fate(json!("d")), Some(Fate::Replaced));
    }

    #[test]
    fn a_zero_by_value_that_copies_a_sibling_is_replaced_though_alone_it_stays() {
        let zero = |pointer| {
            let probes =
                [("f", json!(""), Trial::Zero, json!("")), ("g", json!("x"), Trial::Sample, json!("x"))];
            facts(pointer, Value::Null, &probes).zero
        };
        assert_eq!((zero(false), zero(true)), (Some(Fate::Replaced), Some(Fate::Kept)));
    }

    #[test]
    fn the_time_of_the_probe_is_no_default() {
        let time = Shape::Scalar { kind: "time", format: None, allowed: Vec::new() };
        let base = json!({"f": "2026-01-01T00:00:00Z"});
        assert_eq!(distill("f", &time, true, Some(&base), &[]).default, Default::Varies);
    }

    #[test]
    fn a_default_may_follow_the_words_of_a_sibling() {
        let probes =
            [("g", json!("A"), Trial::Word, json!("a")), ("g", json!("B"), Trial::Word, Value::Null)];
        let when = When { field: "g".into(), condition: Condition::Is(json!("A")), value: Some(json!("a")) };
        assert_eq!(facts(true, Value::Null, &probes).default, Default::When(vec![when], None));
    }

    #[test]
    fn a_default_may_go_away_where_a_sibling_is_declared() {
        let probes =
            [("g", json!({}), Trial::Sample, Value::Null), ("h", json!({}), Trial::Sample, json!("d"))];
        let when = When { field: "g".into(), condition: Condition::Present, value: None };
        assert_eq!(facts(true, json!("d"), &probes).default, Default::When(vec![when], Some(json!("d"))));
    }

    #[test]
    fn a_default_may_be_a_copy_or_vary() {
        let copy =
            [("g", json!("x"), Trial::Sample, json!("x")), ("g", json!("y"), Trial::Sample, json!("y"))];
        assert_eq!(facts(true, Value::Null, &copy).default, Default::Copy("g".into()));
        let varies =
            [("g", json!("x"), Trial::Sample, json!("p")), ("g", json!("y"), Trial::Sample, json!("q"))];
        assert_eq!(facts(true, Value::Null, &varies).default, Default::Varies);
    }
}
