//! Exact sums of numbers with any number of decimal places, written as Postgres and as The Graph write them.

use alloy::primitives::Uint;

use super::earlier::Amount;

/// Wide enough for sums of 256-bit numbers with 255 decimal places.
type Wide = Uint<2048, 32>;

/// A number: its digits without the point, and how many of them are behind it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decimal {
    is_negative: bool,
    digits: Wide,
    places: u32,
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        Self { is_negative: false, digits: Wide::from(number), places: 0 }
    }
}

fn power(places: u32) -> Wide {
    (0..places).fold(Wide::from(1), |power, _| power * Wide::from(10))
}

impl Decimal {
    pub(super) fn new(amount: Amount, places: u32) -> Self {
        Self { is_negative: amount.is_negative, digits: Wide::from(amount.magnitude), places }
    }

    pub(super) fn negated(&self) -> Self {
        Self { is_negative: !self.is_negative, ..self.clone() }
    }

    fn plus(&self, other: &Self) -> Self {
        let places = self.places.max(other.places);
        let [one, two] = [self, other].map(|number| number.digits * power(places - number.places));
        let (is_negative, digits) = match (self.is_negative == other.is_negative, one >= two) {
            (true, _) => (self.is_negative, one + two),
            (false, true) => (self.is_negative, one - two),
            (false, false) => (other.is_negative, two - one),
        };
        Self { is_negative, digits, places }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_zero()
    }

    /// The quotient to two places, rounded half up.
    pub(super) fn per(&self, count: usize) -> Self {
        let (count, two) = (Wide::from(count), Wide::from(2));
        let digits = (self.digits * Wide::from(100) * two + count) / (count * two);
        Self { is_negative: self.is_negative, digits, places: self.places + 2 }
    }

    /// At most 34 significant digits, rounded half up, without zeros at the end.
    pub(super) fn shown(&self) -> String {
        let mut number = self.clone();
        let length = u32::try_from(number.digits.to_string().len()).expect("numbers are short");
        if let Some(dropped) = length.checked_sub(34).filter(|dropped| *dropped > 0) {
            let unit = power(dropped);
            number.digits = (number.digits + unit / Wide::from(2)) / unit * unit;
        }
        let text = number.to_string();
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        text.to_owned()
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places = usize::try_from(self.places).expect("a byte");
        let digits = format!("{:0>width$}", self.digits.to_string(), width = places + 1);
        let (whole, rest) = digits.split_at(digits.len() - places);
        let sign = if self.is_negative && !self.is_zero() { "-" } else { "" };
        let point = if places == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{rest}")
    }
}

impl<'a> std::iter::Sum<&'a Decimal> for Decimal {
    fn sum<I: Iterator<Item = &'a Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), |sum, number| sum.plus(number))
    }
}
