//! Shares of a whole.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A share of a whole, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

/// Not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a share from 0 to 1, such as 0.5 or 50%")]
pub struct ShareError;

impl Fraction {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A half.
    pub const HALF: Self = Self(Self::WHOLE / 2);
    /// Everything.
    pub const ALL: Self = Self(Self::WHOLE);

    /// How many millionths the whole has.
    pub const WHOLE: u32 = 1_000_000;

    /// The share closest to this number.
    ///
    /// # Errors
    /// It is not from 0 to 1.
    pub fn new(share: f64) -> Result<Self, ShareError> {
        let possible = (0.0..=1.0).contains(&share);
        possible.then_some(Self((share * f64::from(Self::WHOLE)).round() as u32)).ok_or(ShareError)
    }

    /// In millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// As a number from 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// So much of a number, rounded to the nearest.
    pub fn of(self, whole: u64) -> u64 {
        let millionths = u128::from(whole) * u128::from(self.0);
        ((millionths + u128::from(Self::WHOLE) / 2) / u128::from(Self::WHOLE)) as u64
    }

    /// The share that a part is of a whole; nothing of nothing.
    pub fn ratio(part: u64, whole: u64) -> Self {
        match whole {
            0 => Self::NONE,
            whole => {
                let millionths = u128::from(part) * u128::from(Self::WHOLE) / u128::from(whole);
                Self(u32::try_from(millionths).unwrap_or(Self::WHOLE).min(Self::WHOLE))
            }
        }
    }
}

impl FromStr for Fraction {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let (number, divisor) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
        number.trim().parse::<f64>().map_err(|_| ShareError).and_then(|number| Self::new(number / divisor))
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_numbers_and_percentages() {
        assert_eq!("0.5".parse(), Ok(Fraction::HALF));
        assert_eq!("100%".parse(), Ok(Fraction::ALL));
        assert_eq!("0".parse(), Ok(Fraction::NONE));
        for wrong in ["", "half", "-0.1", "1.1", "101%", "NaN", "0,5"] {
            assert_eq!(wrong.parse::<Fraction>(), Err(ShareError), "{wrong}");
        }
        assert_eq!(
            (Fraction::HALF.of(5), Fraction::NONE.of(7), Fraction::ALL.of(u64::MAX)),
            (3, 0, u64::MAX)
        );
    }

    #[test]
    fn a_ratio_is_a_share() {
        assert_eq!(Fraction::ratio(1, 2), Fraction::HALF);
        assert_eq!((Fraction::ratio(3, 0), Fraction::ratio(7, 3)), (Fraction::NONE, Fraction::ALL));
    }
}
