//! Query parameters.

use std::collections::BTreeMap;

use super::path::decode;
use crate::status::ApiStatus;

/// The parameters of a request; of a repeated one the first counts, as in the server.
#[derive(Debug, Clone, Default)]
pub struct Query {
    parameters: BTreeMap<String, String>,
    /// All values in their order, for the few options that are lists.
    all: Vec<(String, String)>,
}

impl Query {
    /// Pairs that cannot be read count as absent, as in the server.
    pub fn parse(query: &str) -> Self {
        let mut parameters = BTreeMap::new();
        let mut all = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(&name.replace('+', " ")).zip(decode(&value.replace('+', " ")));
            if let Some((name, value)) = decoded {
                all.push((name.clone(), value.clone()));
                parameters.entry(name).or_insert(value);
            }
        }
        Self { parameters, all }
    }

    /// The text of a parameter; an empty one counts as absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A switch: `1`, `t`, `true` in any usual case; present without a value is true as well.
    pub fn flag(&self, name: &str) -> bool {
        match self.parameters.get(name).map(String::as_str) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some(_) => true,
        }
    }

    /// Every value of a repeated parameter, empty ones too.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.all.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
    }

    /// A whole number; less than zero counts as zero, as it does in the server's options.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiStatus> {
        let Some(text) = self.parameters.get(name) else { return Ok(None) };
        let number: Result<i64, _> = text.parse();
        let number = number.map_err(|error| {
            let is_large = matches!(
                error.kind(),
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow
            );
            let why = if is_large { "value out of range" } else { "invalid syntax" };
            ApiStatus::bad_request(format!("strconv.ParseInt: parsing {text:?}: {why}"))
        })?;
        Ok(Some(u64::try_from(number).unwrap_or_default()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        let query = Query::parse("watch=1&labelSelector=a%3Db%2Cc&limit=5&empty=&force=false");
        assert!(query.flag("watch"));
        assert!(!query.flag("force"));
        assert_eq!(query.text("labelSelector"), Some("a=b,c"));
        assert_eq!(query.text("empty"), None);
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert!(Query::parse("limit=x").number("limit").is_err());
        assert_eq!(Query::parse("limit=-1").number("limit").unwrap(), Some(0));
        let large = Query::parse("limit=99999999999999999999").number("limit").unwrap_err();
        assert!(large.message.ends_with("value out of range"), "{}", large.message);
        assert_eq!(Query::parse("a=%zz&b=1;c=2&d=3").text("d"), Some("3"));
    }
}
