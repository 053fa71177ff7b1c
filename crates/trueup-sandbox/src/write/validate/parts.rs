//! Checks that many kinds share: addresses, ports, names, label selectors, amounts.

use std::net::IpAddr;

use trueup_object::{Map, Quantity, Value};

use super::names::{label_value, port_name, qualified_name};
use super::{Report, join};
use crate::status::StatusCause;

pub const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";
pub const NOT_AN_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
pub const NOT_A_RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
pub const IMMUTABLE: &str = "field is immutable";

/// A range of addresses, as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy)]
pub struct Cidr {
    address: u128,
    /// Bits of the prefix, counted from the first of 128.
    bits: u32,
}

impl Cidr {
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        match address.parse().ok()? {
            IpAddr::V4(address) if bits <= 32 => {
                Some(Self { address: u128::from(u32::from(address)) | (0xffff << 32), bits: bits + 96 })
            }
            IpAddr::V6(address) if bits <= 128 => Some(Self { address: u128::from(address), bits }),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    fn prefix(self, bits: u32) -> u128 {
        self.address.checked_shr(128 - bits).unwrap_or_default()
    }

    /// Whether this lies in the other one and is smaller.
    pub fn is_strictly_within(self, other: Self) -> bool {
        self.bits > other.bits && self.prefix(other.bits) == other.prefix(other.bits)
    }
}

impl Report {
    /// A text that must be one of these, empty or not.
    pub(super) fn supported(&mut self, field: &str, text: &str, supported: &[&str]) {
        if !supported.contains(&text) {
            self.causes.push(StatusCause::not_supported(field, &text.into(), supported));
        }
    }

    /// A text that must be one of these, where it is given.
    pub(super) fn optional(&mut self, object: &Value, path: &str, key: &str, supported: &[&str]) {
        if let Some(text) = object.get(key).and_then(Value::as_str) {
            self.supported(&join(path, key), text, supported);
        }
    }

    /// What a check of names found wrong.
    pub(super) fn wrong(&mut self, field: &str, text: &str, messages: Vec<String>) {
        for message in messages {
            self.invalid(field, text, &message);
        }
    }

    /// A name that is checked where it is given.
    pub(super) fn named(&mut self, object: &Value, path: &str, key: &str, check: fn(&str) -> Vec<String>) {
        if let Some(text) = object.str_at(&[key]).filter(|text| !text.is_empty()) {
            self.wrong(&join(path, key), text, check(text));
        }
    }

    pub(super) fn address(&mut self, field: &str, text: &str) -> bool {
        let fits = text.parse::<IpAddr>().is_ok();
        if !fits {
            self.invalid(field, text, NOT_AN_ADDRESS);
        }
        fits
    }

    pub(super) fn cidr(&mut self, field: &str, text: &str) -> Option<Cidr> {
        let range = Cidr::parse(text);
        if range.is_none() {
            self.invalid(field, text, NOT_A_RANGE);
        }
        range
    }

    /// An address that traffic can be sent to.
    pub(super) fn endpoint_address(&mut self, field: &str, text: &str) {
        let Ok(address) = text.parse::<IpAddr>() else { return };
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
        };
        if address.is_unspecified() {
            self.invalid(field, text, &format!("may not be unspecified ({address})"));
        }
        if address.is_loopback() {
            self.invalid(field, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        }
        if link_local {
            self.invalid(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
        }
    }

    pub(super) fn port_number(&mut self, field: &str, number: i64) {
        if !(1..=65_535).contains(&number) {
            self.invalid(field, number, PORT_RANGE);
        }
    }

    /// A number or the name of a port.
    pub(super) fn port(&mut self, field: &str, port: &Value) {
        match port {
            Value::Int(number) => self.port_number(field, *number),
            Value::Str(name) => self.wrong(field, name.as_str(), port_name(name.as_str())),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {}
        }
    }

    pub(super) fn protocol(&mut self, port: &Value, path: &str, supported: &[&str]) {
        self.supported(&join(path, "protocol"), port.str_at(&["protocol"]).unwrap_or_default(), supported);
    }

    /// A user or group: a number that Linux has.
    pub(super) fn id(&mut self, object: &Value, path: &str, key: &str) {
        if let Some(id) = object.int_at(&[key])
            && !(0..=i64::from(i32::MAX)).contains(&id)
        {
            self.invalid(&join(path, key), id, "must be between 0 and 2147483647, inclusive");
        }
    }

    /// A map of label keys to label values.
    pub(super) fn label_map(&mut self, map: Option<&Value>, path: &str) {
        for (name, value) in map.and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            self.wrong(path, name, qualified_name(name));
            let text = value.as_str().unwrap_or_default();
            self.wrong(path, text, label_value(text));
        }
    }

    /// A label selector; whether it is one.
    pub(super) fn label_selector(&mut self, selector: &Value, path: &str) -> bool {
        let before = self.causes.len();
        self.label_map(selector.get("matchLabels"), &join(path, "matchLabels"));
        for (index, expression) in selector.list_at(&["matchExpressions"]).iter().enumerate() {
            let path = format!("{path}.matchExpressions[{index}]");
            let values = expression.list_at(&["values"]);
            match expression.str_at(&["operator"]).unwrap_or_default() {
                "In" | "NotIn" if values.is_empty() => {
                    self.required(
                        &join(&path, "values"),
                        "must be specified when `operator` is 'In' or 'NotIn'",
                    );
                }
                "In" | "NotIn" => {}
                "Exists" | "DoesNotExist" if !values.is_empty() => self.forbidden(
                    &join(&path, "values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
                "Exists" | "DoesNotExist" => {}
                other => self.invalid(&join(&path, "operator"), other, "not a valid selector operator"),
            }
            let key = expression.str_at(&["key"]).unwrap_or_default();
            self.wrong(&join(&path, "key"), key, qualified_name(key));
            for (number, value) in values.iter().filter_map(Value::as_str).enumerate() {
                self.wrong(&format!("{path}.values[{number}]"), value, label_value(value));
            }
        }
        self.causes.len() == before
    }

    /// An amount that must be more than nothing.
    pub(super) fn positive(&mut self, field: &str, value: &Value, detail: &str) {
        if let Ok(quantity) = Quantity::of(value)
            && (quantity.is_zero() || quantity.to_string().starts_with('-'))
        {
            self.invalid(field, quantity.to_string(), detail);
        }
    }

    /// A number of pods, or a percentage of them: at most all.
    pub(super) fn share(&mut self, field: &str, value: &Value) {
        let before = self.causes.len();
        self.surge(field, value);
        let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<u32>().ok());
        if self.causes.len() == before && percent.is_some_and(|percent| percent > 100) {
            self.invalid(field, value.clone(), "must not be greater than 100%");
        }
    }

    /// A number of pods, or a percentage, that may be more than there are.
    pub(super) fn surge(&mut self, field: &str, value: &Value) {
        match value {
            Value::Int(number) if *number < 0 => {
                self.invalid(field, *number, "must be greater than or equal to 0");
            }
            Value::Str(text) => {
                let digits = text.as_str().strip_suffix('%').unwrap_or_default();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    self.invalid(
                        field,
                        text.as_str(),
                        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or \
                         '93%', regex used for validation is '[0-9]+%')",
                    );
                }
            }
            Value::Int(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => {}
        }
    }

    /// Fields that stay as they are once they are set.
    pub(super) fn unchanged(&mut self, object: &Value, live: &Value, path: &[&str]) {
        let new = object.at(path).cloned().unwrap_or_default();
        let old = live.at(path).cloned().unwrap_or_default();
        if new != old {
            // A text that is gone is an empty one.
            let new = if new.is_null() && old.as_str().is_some() { "".into() } else { new };
            self.invalid(&path.join("."), new, IMMUTABLE);
        }
    }
}

/// Whether a quantity is a whole number.
pub fn is_whole(value: &Value) -> bool {
    !Quantity::of(value).is_ok_and(|quantity| quantity.to_string().ends_with(['m', 'u', 'n']))
}

pub fn is_true(object: &Value, path: &[&str]) -> bool {
    object.at(path).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_addresses_lie_in_one_another() {
        let within = |inner: &str, outer: &str| {
            Cidr::parse(inner)
                .zip(Cidr::parse(outer))
                .is_some_and(|(inner, outer)| inner.is_strictly_within(outer))
        };
        assert!(within("10.1.0.0/16", "10.0.0.0/8"));
        assert!(!within("10.0.0.0/8", "10.0.0.0/8"));
        assert!(!within("192.168.0.0/16", "10.0.0.0/8"));
        assert!(within("2001:db8:1::/48", "2001:db8::/32"));
        assert!(within("10.1.2.3/32", "0.0.0.0/0"));
        assert!(Cidr::parse("10.0.0.0/33").is_none() && Cidr::parse("nonsense").is_none());
    }
}
