//! Exact numbers between Rust and Postgres' NUMERIC: 256-bit ids, and 128-bit values with decimals (F48).
//!
//! The wire form is base 10,000: groups of four digits around the decimal point, the first of them worth
//! 10,000^weight, without groups of zero at either end. Source: `numeric_send` in Postgres' `numeric.c`.

use alloy::primitives::U256;
use alloy::primitives::aliases::U512;
use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::event::Value;

/// What one group of digits counts to.
const BASE: u16 = 10_000;
/// Decimal digits in a group.
const GROUP_DIGITS: u16 = 4;
/// What four groups count to.
const FOUR_GROUPS: u64 = 10_000_000_000_000_000;
/// The most groups that 512 bits take.
const MOST_GROUPS: usize = 40;
/// The sign field of a negative number; that of a positive one is 0, others are NaN and the infinities.
const NEGATIVE: u16 = 0x4000;

/// A finite decimal number as Postgres holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numeric {
    negative: bool,
    /// The power of 10,000 that the first group counts.
    weight: i16,
    /// Digits shown behind the point.
    scale: u16,
    groups: Vec<u16>,
}

impl Numeric {
    /// `unscaled` / 10^`decimals`, shown with that many digits behind the point.
    #[must_use]
    pub fn from_decimal(unscaled: i128, decimals: u8) -> Self {
        Self::from_value(&Value::from(unscaled), decimals)
    }

    /// A value of up to 256 bits / 10^`decimals`, shown with that many digits behind the point.
    #[must_use]
    pub fn from_value(value: &Value, decimals: u8) -> Self {
        let scale = u16::from(decimals);
        // Postgres' groups begin at the point: fill the last one up with zeros.
        let padding = (GROUP_DIGITS - scale % GROUP_DIGITS) % GROUP_DIGITS;
        let behind = (scale + padding) / GROUP_DIGITS;
        // The last group apart, because 256 bits leave no room for zeros.
        let rest = U256::from(10_u16.pow(u32::from(GROUP_DIGITS - padding)));
        let (magnitude, last) = value.magnitude.div_rem(rest);
        let last = last.to::<u16>() * 10_u16.pow(u32::from(padding));
        Self::from_groups(value.is_negative, magnitude, Some(last), scale, behind)
    }

    fn from_groups(
        negative: bool,
        mut magnitude: U256,
        last: Option<u16>,
        scale: u16,
        groups_behind_point: u16,
    ) -> Self {
        let base = U256::from(BASE);
        let mut groups = Vec::from_iter(last);
        // At most 20 rounds: 256 bits are 78 digits.
        while !magnitude.is_zero() {
            let (rest, group) = match u64::try_from(magnitude) {
                Ok(small) => (U256::from(small / u64::from(BASE)), small % u64::from(BASE)),
                Err(_) => {
                    let (rest, group) = magnitude.div_rem(base);
                    (rest, group.to::<u64>())
                }
            };
            groups.push(u16::try_from(group).expect("a rest of 10,000 has 14 bits"));
            magnitude = rest;
        }
        Self::of_groups(negative, groups, scale, groups_behind_point)
    }

    /// Of groups from the last to the first.
    fn of_groups(negative: bool, mut groups: Vec<u16>, scale: u16, groups_behind_point: u16) -> Self {
        let total = i16::try_from(groups.len()).expect("there are at most 40 groups");
        let behind = i16::try_from(groups_behind_point).expect("there are at most 64 groups behind the point");
        groups.reverse();
        while groups.last() == Some(&0) {
            groups.pop();
        }
        let weight = if groups.is_empty() { 0 } else { total - behind - 1 };
        Self { negative, weight, scale, groups }
    }

    /// `magnitude` / 10^`decimals` with its sign, where `decimals` is a multiple of four, shown with that many digits.
    pub(super) fn from_digits(negative: bool, mut magnitude: U512, decimals: u8) -> Self {
        let mut groups = Vec::with_capacity(MOST_GROUPS);
        // To divide 512 bits costs the same by much as by little.
        while !magnitude.is_zero() {
            let (rest, four) = magnitude.div_rem(U512::from(FOUR_GROUPS));
            let mut four = four.to::<u64>();
            for _ in 0..4 {
                groups.push(u16::try_from(four % u64::from(BASE)).expect("a rest of 10,000 has 14 bits"));
                four /= u64::from(BASE);
            }
            magnitude = rest;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        Self::of_groups(negative, groups, u16::from(decimals), u16::from(decimals) / GROUP_DIGITS)
    }

    /// The same, shown with so many digits behind the point; those that are not shown must be zeros.
    pub(super) fn shown_with(self, scale: u16) -> Self {
        Self { scale, ..self }
    }

    /// The number in units of 10^-`decimals`, a multiple of four, and whether it is negative; nothing when it has more
    /// places or takes more than 512 bits.
    pub(super) fn to_digits(&self, decimals: u8) -> Option<(bool, U512)> {
        let behind = i32::from(u16::from(decimals) / GROUP_DIGITS);
        let last = i32::from(self.weight) + 1 - i32::try_from(self.groups.len()).ok()?;
        let zeros = usize::try_from(last + behind).ok().or(self.groups.is_empty().then_some(0))?;
        let mut magnitude = U512::ZERO;
        let groups: Vec<u16> = self.groups.iter().copied().chain(std::iter::repeat_n(0, zeros)).collect();
        // As many as fit a word are added up before 512 bits are multiplied.
        for four in groups.chunks(4) {
            let digits = four.iter().fold(0, |digits, group| digits * u64::from(BASE) + u64::from(*group));
            let power = u64::from(BASE).pow(u32::try_from(four.len()).ok()?);
            magnitude = magnitude.checked_mul(U512::from(power))?.checked_add(U512::from(digits))?;
        }
        Some((self.negative, magnitude))
    }

    /// The number as a 256-bit id; nothing when it is negative, has a fraction, or is too large.
    #[must_use]
    pub fn to_u256(&self) -> Option<U256> {
        if self.groups.is_empty() {
            return Some(U256::ZERO);
        }
        let last = i32::from(self.weight) + 1 - i32::try_from(self.groups.len()).ok()?;
        if self.negative || last < 0 {
            return None;
        }
        let mut value = U256::ZERO;
        let zeros = std::iter::repeat_n(0, usize::try_from(last).ok()?);
        for group in self.groups.iter().copied().chain(zeros) {
            value = value.checked_mul(U256::from(BASE))?.checked_add(U256::from(group))?;
        }
        Some(value)
    }

    /// The number as a 64-bit count; nothing when it is none.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        self.to_u256()?.try_into().ok()
    }

    /// The group that counts 10,000^power.
    fn group(&self, power: i32) -> u16 {
        let index = i32::from(self.weight) - power;
        usize::try_from(index).ok().and_then(|index| self.groups.get(index)).copied().unwrap_or(0)
    }
}

impl From<U256> for Numeric {
    fn from(value: U256) -> Self {
        Self::from_groups(false, value, None, 0, 0)
    }
}

impl From<u64> for Numeric {
    fn from(value: u64) -> Self {
        Self::from(U256::from(value))
    }
}

/// In plain decimal digits, as Postgres shows it.
impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.negative && !self.groups.is_empty() {
            f.write_str("-")?;
        }
        let top = i32::from(self.weight).max(0);
        write!(f, "{}", self.group(top))?;
        for power in (0..top).rev() {
            write!(f, "{:04}", self.group(power))?;
        }
        if self.scale > 0 {
            let groups = i32::from(self.scale.div_ceil(GROUP_DIGITS));
            let digits: String = (1..=groups).map(|power| format!("{:04}", self.group(-power))).collect();
            write!(f, ".{}", &digits[..usize::from(self.scale)])?;
        }
        Ok(())
    }
}

impl ToSql for Numeric {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let count = u16::try_from(self.groups.len())?;
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&self.weight.to_be_bytes());
        out.extend_from_slice(&if self.negative { NEGATIVE } else { 0 }.to_be_bytes());
        out.extend_from_slice(&self.scale.to_be_bytes());
        for group in &self.groups {
            out.extend_from_slice(&group.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Numeric {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let (words, rest) = raw.as_chunks::<2>();
        let [count, weight, sign, scale, groups @ ..] = words else { return Err("a NUMERIC is cut off".into()) };
        let groups: Vec<u16> = groups.iter().copied().map(u16::from_be_bytes).collect();
        let sign = u16::from_be_bytes(*sign);
        if !rest.is_empty() || groups.len() != usize::from(u16::from_be_bytes(*count)) {
            return Err("a NUMERIC has another length than it says".into());
        }
        if sign != 0 && sign != NEGATIVE {
            return Err("a NUMERIC is not finite".into());
        }
        let (weight, scale) = (i16::from_be_bytes(*weight), u16::from_be_bytes(*scale));
        Ok(Self { negative: sign == NEGATIVE, weight, scale, groups })
    }

    accepts!(NUMERIC);
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use bytes::BytesMut;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use tokio_postgres::types::{FromSql, ToSql, Type};

    use super::Numeric;
    use crate::event::Value;

    /// The text of a value with decimals, by string operations alone.
    fn naive(unscaled: i128, decimals: u8) -> String {
        let (digits, decimals) = (unscaled.unsigned_abs().to_string(), usize::from(decimals));
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let sign = if unscaled < 0 { "-" } else { "" };
        if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    fn over_the_wire(number: &Numeric) -> Numeric {
        let mut wire = BytesMut::new();
        number.to_sql(&Type::NUMERIC, &mut wire).expect("a number can be written");
        Numeric::from_sql(&Type::NUMERIC, &wire).expect("what was written can be read")
    }

    proptest! {
        #[test]
        fn ids_come_back(limbs in any::<[u64; 4]>(), shift in 0_usize..256) {
            let id = U256::from_limbs(limbs) >> shift;
            let number = over_the_wire(&Numeric::from(id));
            prop_assert_eq!(number.to_u256(), Some(id));
            prop_assert_eq!(number.to_string(), id.to_string());
        }

        #[test]
        fn values_are_exact(unscaled in any::<i128>(), shift in 0_u32..127, decimals in any::<u8>()) {
            let unscaled = unscaled >> shift;
            let number = over_the_wire(&Numeric::from_decimal(unscaled, decimals));
            prop_assert_eq!(number.to_string(), naive(unscaled, decimals));
        }
    }

    proptest! {
        #[test]
        fn values_of_256_bits_are_exact(limbs in any::<[u64; 4]>(), is_negative in any::<bool>(), decimals in any::<u8>()) {
            let value = Value { is_negative, magnitude: U256::from_limbs(limbs) };
            let number = over_the_wire(&Numeric::from_value(&value, decimals));
            let digits = format!("{:0>width$}", value.magnitude.to_string(), width = usize::from(decimals) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
            let sign = if is_negative && !value.magnitude.is_zero() { "-" } else { "" };
            let point = if decimals == 0 { "" } else { "." };
            prop_assert_eq!(number.to_string(), format!("{sign}{whole}{point}{fraction}"));
        }
    }

    #[test]
    fn f48_both_ends_are_exact() {
        for id in [U256::ZERO, U256::from(9_999), U256::from(10_000), U256::MAX] {
            assert_eq!(Numeric::from(id).to_u256(), Some(id));
        }
        for unscaled in [i128::MIN, -1, 0, 1, 10_i128.pow(38), i128::MAX] {
            for decimals in 0..=18 {
                assert_eq!(Numeric::from_decimal(unscaled, decimals).to_string(), naive(unscaled, decimals));
            }
        }
        assert_eq!(Numeric::from(u64::MAX).to_u64(), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_id_is_not_taken_for_one() {
        assert_eq!(Numeric::from_decimal(-1, 0).to_u256(), None);
        assert_eq!(Numeric::from_decimal(5, 1).to_u256(), None);
        assert!(Numeric::from_sql(&Type::NUMERIC, &[0, 0, 0, 0, 0xc0, 0, 0, 0]).is_err(), "NaN");
        assert!(Numeric::from_sql(&Type::NUMERIC, &[0, 1, 0, 0, 0, 0, 0, 0]).is_err(), "cut off");
    }
}
