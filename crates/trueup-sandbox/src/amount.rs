//! Amounts of processor, memory and things, to be added up: what quotas and limits reckon with.

use std::collections::BTreeMap;
use std::fmt;

use trueup_object::quantity::Quantity;
use trueup_object::{Map, Value};

const NANOS: i128 = 1_000_000_000;

/// An amount in billionths, and whether it is shown in powers of two; an amount that began at nothing takes that from what is added.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amount {
    nanos: i128,
    is_binary: Option<bool>,
}

/// Amounts by name.
pub type Amounts = BTreeMap<String, Amount>;

impl Amount {
    pub fn count(number: usize) -> Self {
        Self { nanos: i128::try_from(number).unwrap_or_default() * NANOS, is_binary: Some(false) }
    }

    pub fn of(value: &Value) -> Option<Self> {
        let text = Quantity::of(value).ok()?.to_string();
        let end = text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(end)?;
        let number: i128 = number.parse().ok()?;
        let decimal = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let power = |places: &[&str]| places.iter().position(|place| *place == suffix);
        let (nanos, is_binary) = if let Some(power) = power(&binary) {
            let factor = 1024_i128.checked_pow(u32::try_from(power).ok()? + 1)?;
            (number.checked_mul(factor)?.checked_mul(NANOS)?, true)
        } else if let Some(power) = power(&decimal) {
            (number.checked_mul(1000_i128.checked_pow(u32::try_from(power).ok()?)?)?, is_binary_text(value))
        } else {
            let exponent: u32 = suffix.strip_prefix('e')?.parse().ok()?;
            (number.checked_mul(10_i128.checked_pow(exponent)?)?.checked_mul(NANOS)?, false)
        };
        Some(Self { nanos, is_binary: Some(is_binary) })
    }

    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    pub fn exceeds(&self, other: &Self) -> bool {
        self.nanos > other.nanos
    }

    pub fn plus(&self, other: &Self) -> Self {
        let is_binary = if self.is_zero() { other.is_binary } else { self.is_binary };
        Self { nanos: self.nanos.saturating_add(other.nanos), is_binary }
    }

    /// What is left, or nothing.
    pub fn minus(&self, other: &Self) -> Self {
        Self { nanos: self.nanos.saturating_sub(other.nanos).max(0), is_binary: self.is_binary }
    }

    /// How often another amount fits.
    pub fn over(&self, other: &Self) -> f64 {
        self.nanos as f64 / other.nanos as f64
    }
}

/// A small amount is printed without the suffix that tells how it was written.
fn is_binary_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.ends_with('i'))
}

/// As Go prints it.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos / NANOS;
        if self.is_binary == Some(true) && self.nanos % NANOS == 0 && whole >= 1024 {
            let (mut number, mut power) = (whole, 0);
            let suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            while number % 1024 == 0 && power + 1 < suffixes.len() {
                number /= 1024;
                power += 1;
            }
            return write!(out, "{number}{}", suffixes.get(power).copied().unwrap_or_default());
        }
        match Quantity::parse(&format!("{}n", self.nanos)) {
            Ok(quantity) => write!(out, "{quantity}"),
            Err(_) => write!(out, "{whole}"),
        }
    }
}

/// The amounts of a map of them, such as `limits`.
pub fn amounts(map: Option<&Value>) -> Amounts {
    let entries = map.and_then(Value::as_map).into_iter().flat_map(Map::iter);
    entries.filter_map(|(name, value)| Some((name.to_owned(), Amount::of(value)?))).collect()
}

pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_default();
        *entry = entry.plus(amount);
    }
}

/// `cpu=1,memory=1Gi`.
pub fn listed(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

/// What a pod asks for (`requests`) or may use (`limits`): its containers together, or what its beginning takes if that is more; what
/// is said of the whole pod counts before that.
pub fn of_pod(pod: &Value, what: &str) -> Amounts {
    let of = |container: &Value| amounts(container.at(&["resources", what]));
    let mut sum = Amounts::new();
    for container in pod.list_at(&["spec", "containers"]) {
        add(&mut sum, &of(container));
    }
    let (mut staying, mut most) = (Amounts::new(), Amounts::new());
    for container in pod.list_at(&["spec", "initContainers"]) {
        let own = of(container);
        let mut now = staying.clone();
        add(&mut now, &own);
        if container.str_at(&["restartPolicy"]) == Some("Always") {
            add(&mut sum, &own);
            staying = now.clone();
        }
        raise(&mut most, &now);
    }
    raise(&mut sum, &most);
    for (name, amount) in amounts(pod.at(&["spec", "resources", what])) {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            sum.insert(name, amount);
        }
    }
    sum
}

fn raise(amounts: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let entry = amounts.entry(name.clone()).or_default();
        if entry.is_binary.is_none() || amount.exceeds(entry) {
            *entry = *amount;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sum(texts: &[&str]) -> String {
        let amounts = texts.iter().map(|text| Amount::of(&Value::from(*text)).unwrap());
        amounts.fold(Amount::default(), |sum, amount| sum.plus(&amount)).to_string()
    }

    #[test]
    fn amounts_are_added_and_printed_as_go_does() {
        assert_eq!(sum(&[]), "0");
        assert_eq!(sum(&["500m", "1"]), "1500m");
        assert_eq!(sum(&["500m", "1.5"]), "2");
        assert_eq!(sum(&["512Mi", "1Gi"]), "1536Mi");
        assert_eq!(sum(&["1Gi", "1Gi"]), "2Gi");
        assert_eq!(sum(&["128M", "1Ki"]), "128001024");
        assert_eq!(sum(&["2k"]), "2k");
    }
}
