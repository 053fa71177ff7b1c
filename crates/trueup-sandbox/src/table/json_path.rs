//! The JSONPath of printer columns: fields, indices, wildcards and filters by equality.

use trueup_object::Value;

/// A path, read once for all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// `[?(@.field=="value")]`.
    Where {
        field: Vec<String>,
        value: String,
        equal: bool,
    },
    /// Something else: finds nothing.
    Unknown,
}

impl JsonPath {
    /// Reads `.spec.items[0].name` and the like.
    pub(super) fn parse(path: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = path.trim().trim_start_matches('$');
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let end = closing(inner);
                steps.push(bracket(inner.get(..end).unwrap_or_default()));
                rest = inner.get(end + 1..).unwrap_or_default();
            } else {
                let name = rest.trim_start_matches('.');
                let (field, after) = field(name);
                if field == "*" {
                    steps.push(Step::All);
                } else if !field.is_empty() {
                    steps.push(Step::Field(field));
                }
                rest = after;
            }
        }
        Self { steps }
    }

    /// What the path finds in a value, in order.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        self.steps
            .iter()
            .fold(vec![root], |found, step| found.into_iter().flat_map(|value| step.apply(value)).collect())
    }
}

impl Step {
    fn apply<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let items = value.as_list().unwrap_or_default();
        match self {
            Self::Field(name) => value.get(name).filter(|found| !found.is_null()).into_iter().collect(),
            Self::Index(index) => {
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let position = if *index < 0 { length + index } else { *index };
                usize::try_from(position).ok().and_then(|position| items.get(position)).into_iter().collect()
            }
            Self::All => match value {
                Value::Map(map) => map.iter().map(|(_, item)| item).collect(),
                _ => items.iter().collect(),
            },
            Self::Where { field, value, equal } => {
                let keys: Vec<&str> = field.iter().map(String::as_str).collect();
                let is_value = |item: &Value| {
                    item.at(&keys).is_some_and(|found| {
                        found.as_str().map_or_else(|| found.to_json() == *value, |text| text == value)
                    })
                };
                items.iter().filter(|item| is_value(item) == *equal).collect()
            }
            Self::Unknown => Vec::new(),
        }
    }
}

/// A field's name up to the next `.` or `[`; `\.` is a dot in a name.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, text.get(index..).unwrap_or_default()),
            other => name.push(other),
        }
    }
    (name, "")
}

/// Where a bracket closes, outside of quotes.
fn closing(text: &str) -> usize {
    let mut quote = None;
    for (index, char) in text.char_indices() {
        match (quote, char) {
            (None, ']') => return index,
            (None, '"' | '\'') => quote = Some(char),
            (Some(open), char) if open == char => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn bracket(inner: &str) -> Step {
    let inner = inner.trim();
    if inner == "*" {
        return Step::All;
    }
    if let Ok(index) = inner.parse() {
        return Step::Index(index);
    }
    if let Some(name) = unquoted(inner) {
        return Step::Field(name.to_owned());
    }
    let filter = inner.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')'));
    let Some(filter) = filter else { return Step::Unknown };
    let (operator, equal) = if filter.contains("!=") { ("!=", false) } else { ("==", true) };
    let Some((field, value)) = filter.split_once(operator) else { return Step::Unknown };
    let Some(field) = field.trim().strip_prefix('@') else { return Step::Unknown };
    let value = value.trim();
    Step::Where {
        field: field.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect(),
        value: unquoted(value).unwrap_or(value).to_owned(),
        equal,
    }
}

fn unquoted(text: &str) -> Option<&str> {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn finds_what_printer_columns_ask_for() {
        let object = br#"{"spec":{"a.b":1,"items":[{"n":"x"},{"n":"y"}]},
            "status":{"conditions":[{"type":"Ready","status":"True"},{"type":"Old","status":"False"}]}}"#;
        let object = Value::from_json(object).unwrap();
        let find = |path: &str| {
            JsonPath::parse(path).find(&object).into_iter().map(Value::to_json).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(find(".spec.items[0].n"), r#""x""#);
        assert_eq!(find(".spec.items[-1:].n"), "");
        assert_eq!(find(".spec.items[-1].n"), r#""y""#);
        assert_eq!(find(".spec.items[*].n"), r#""x" "y""#);
        assert_eq!(find(r".spec.a\.b"), "1");
        assert_eq!(find(r#".status.conditions[?(@.type=="Ready")].status"#), r#""True""#);
        assert_eq!(find(".status.conditions[?(@.type!='Ready')].type"), r#""Old""#);
        assert_eq!(find(".missing.field"), "");
    }
}
