//! Natural numbers of any size in decimal digits: all that quantities need.

use std::cmp::Ordering;
use std::fmt;

/// Decimal digits, the most significant first, without leading zeros; empty is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits(Vec<u8>);

impl Digits {
    /// From ASCII digits.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.bytes().map(|byte| byte.wrapping_sub(b'0')).collect()).trimmed()
    }

    pub(super) fn from_u64(number: u64) -> Self {
        Self::parse(&number.to_string())
    }

    fn trimmed(self) -> Self {
        Self(self.0.into_iter().skip_while(|digit| *digit == 0).collect())
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes trailing zeros and says how many there were.
    pub(super) fn strip_zeros(&mut self) -> i64 {
        let mut removed = 0;
        while self.0.last() == Some(&0) {
            self.0.pop();
            removed += 1;
        }
        removed
    }

    pub(super) fn multiply(&mut self, factor: u32) {
        let mut carry = 0;
        for digit in self.0.iter_mut().rev() {
            let product = u32::from(*digit) * factor + carry;
            *digit = (product % 10) as u8;
            carry = product / 10;
        }
        while carry > 0 {
            self.0.insert(0, (carry % 10) as u8);
            carry /= 10;
        }
    }

    /// The quotient, where the number divides without a remainder.
    pub(super) fn divided_exactly(&self, divisor: u32) -> Option<Self> {
        let mut remainder = 0;
        let mut quotient = Vec::with_capacity(self.0.len());
        for digit in &self.0 {
            let part = remainder * 10 + u32::from(*digit);
            quotient.push((part / divisor) as u8);
            remainder = part % divisor;
        }
        (remainder == 0).then(|| Self(quotient).trimmed())
    }

    /// The number times ten to a power that is not negative.
    pub(super) fn shifted(&self, power: i64) -> Self {
        let mut digits = self.0.clone();
        if !digits.is_empty() {
            digits.extend(std::iter::repeat_n(0, usize::try_from(power).unwrap_or_default()));
        }
        Self(digits)
    }

    /// The number divided by a power of ten, rounded up.
    pub(super) fn divided_by_ten_to(&self, power: i64) -> Self {
        let keep = self.0.len().saturating_sub(usize::try_from(power).unwrap_or_default());
        let (kept, lost) = self.0.split_at(keep);
        let mut result = kept.to_vec();
        if lost.iter().any(|digit| *digit != 0) {
            let nines = result.iter().rev().take_while(|digit| **digit == 9).count();
            let steady = result.len() - nines;
            result.iter_mut().skip(steady).for_each(|digit| *digit = 0);
            match steady.checked_sub(1).and_then(|position| result.get_mut(position)) {
                Some(digit) => *digit += 1,
                None => result.insert(0, 1),
            }
        }
        Self(result).trimmed()
    }

    /// Compares this number times ten to a power with another one.
    pub(super) fn cmp_scaled(&self, power: i64, other: &Self, other_power: i64) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let size = |digits: &Self, power: i64| {
            i64::try_from(digits.0.len()).unwrap_or(i64::MAX).saturating_add(power)
        };
        size(self, power).cmp(&size(other, other_power)).then_with(|| {
            let length = self.0.len().max(other.0.len());
            let padded = |digits: &Self| -> Vec<u8> {
                digits.0.iter().copied().chain(std::iter::repeat(0)).take(length).collect()
            };
            padded(self).cmp(&padded(other))
        })
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("0");
        }
        self.0.iter().try_for_each(|digit| write!(out, "{digit}"))
    }
}
