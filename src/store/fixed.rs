//! Sums of decimal values, exact to sixty places: what a kept average is computed from.
//!
//! A registry takes values of up to 128 bits with at most 18 decimal places; an event of an earlier generation may carry
//! 256 bits, and a hostile log up to 255 places, which are cut at sixty, toward zero, here as in SQL (`trunc(value, 60)`).
//! So 512 bits hold every sum of fewer than 2^55 values: 256 bits of value, 200 for the places, 55 of count, one of sign.

use std::ops::{AddAssign, SubAssign};
use std::sync::LazyLock;

use alloy::primitives::aliases::{I512, U512};

use super::numeric::Numeric;
use crate::event::Value;

/// The powers of ten up to that of all places that are kept.
static POWERS: LazyLock<[U512; Fixed::PLACES as usize + 1]> =
    LazyLock::new(|| std::array::from_fn(|places| U512::from(10).pow(U512::from(places))));

/// A decimal number in units of 10^-60.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Fixed(I512);

impl Fixed {
    /// The decimal places that are kept.
    pub(super) const PLACES: u8 = 60;

    /// `value` / 10^`decimals`, cut toward zero behind the last place.
    pub(super) fn of(value: &Value, decimals: u8) -> Self {
        let magnitude = U512::from(value.magnitude);
        let magnitude = match decimals.checked_sub(Self::PLACES) {
            // 10^195 is the most that is divided by, which is below 2^648: beyond 512 bits nothing is left of any value.
            Some(beyond) => U512::from(10).checked_pow(U512::from(beyond)).map_or(U512::ZERO, |cut| magnitude / cut),
            None => magnitude * POWERS[usize::from(Self::PLACES - decimals)],
        };
        let unsigned = I512::from_raw(magnitude);
        Self(if value.is_negative { -unsigned } else { unsigned })
    }

    /// The whole number.
    pub(super) fn whole(number: u8) -> Self {
        Self::of(&Value::from(number), 0)
    }

    /// The quotient, cut toward zero behind the last place; zero of nothing.
    pub(super) fn mean(self, count: i64) -> Self {
        if count == 1 {
            // Most clients say one thing of an agent, and 512 bits are divided slowly.
            return self;
        }
        match I512::try_from(count) {
            Ok(count) if !count.is_zero() => Self(self.0 / count),
            _ => Self::default(),
        }
    }

    /// The number as Postgres holds it, with sixty places.
    pub(super) fn to_numeric(self) -> Numeric {
        Numeric::from_digits(self.0.is_negative(), self.0.unsigned_abs(), Self::PLACES)
    }

    /// A tenth of the number as Postgres holds it, with sixty-one places. It takes numbers below 2^500.
    pub(super) fn tenth_to_numeric(self) -> Numeric {
        // Digits are told in fours.
        let magnitude = self.0.unsigned_abs() * U512::from(1_000);
        Numeric::from_digits(self.0.is_negative(), magnitude, Self::PLACES + 4).shown_with(u16::from(Self::PLACES) + 1)
    }

    /// The number that Postgres holds; nothing when it has more places or does not fit.
    pub(super) fn from_numeric(number: &Numeric) -> Option<Self> {
        let (is_negative, magnitude) = number.to_digits(Self::PLACES)?;
        let unsigned = I512::try_from(magnitude).ok()?;
        Some(Self(if is_negative { -unsigned } else { unsigned }))
    }
}

impl AddAssign for Fixed {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Fixed {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Fixed;
    use crate::event::Value;

    fn value(unscaled: i128) -> Value {
        Value::from(unscaled)
    }

    fn shown(fixed: Fixed) -> String {
        let text = fixed.to_numeric().to_string();
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    proptest! {
        #[test]
        fn what_is_added_is_taken_away_again(values in proptest::collection::vec((any::<i128>(), any::<u8>()), 0..20)) {
            let mut sum = Fixed::whole(7);
            values.iter().for_each(|(unscaled, decimals)| sum += Fixed::of(&value(*unscaled), *decimals));
            prop_assert_eq!(Fixed::from_numeric(&sum.to_numeric()), Some(sum));
            values.iter().for_each(|(unscaled, decimals)| sum -= Fixed::of(&value(*unscaled), *decimals));
            prop_assert_eq!(sum, Fixed::whole(7));
        }

        #[test]
        fn a_value_is_what_its_numeric_says(limbs in any::<[u64; 4]>(), is_negative in any::<bool>(), decimals in 0_u8..=60) {
            let value = Value { is_negative, magnitude: U256::from_limbs(limbs) };
            let numeric = crate::store::numeric::Numeric::from_value(&value, decimals);
            prop_assert_eq!(Fixed::from_numeric(&numeric), Some(Fixed::of(&value, decimals)));
        }
    }

    #[test]
    fn means_and_places_are_cut_toward_zero() {
        let mut sum = Fixed::of(&value(-1), 0);
        sum -= Fixed::whole(1);
        assert_eq!(shown(sum.mean(3)), format!("-0.{}", "6".repeat(60)));
        assert_eq!(shown(Fixed::of(&value(19), 61)), format!("0.{}1", "0".repeat(59)));
        assert_eq!(Fixed::of(&value(i128::MAX), 255), Fixed::default());
        assert_eq!(Fixed::whole(5).mean(0), Fixed::default());
        assert_eq!(Fixed::whole(5).tenth_to_numeric().to_string(), format!("0.5{}", "0".repeat(60)));
        let mut least = Fixed::default();
        least -= Fixed::of(&value(1), 60);
        assert_eq!(least.tenth_to_numeric().to_string(), format!("-0.{}1", "0".repeat(60)));
    }
}
