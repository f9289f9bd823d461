//! Quantities as people write them: `10MB`, `10MiB`, `100Mbit/s`, `0.35ms`, `50%`.

use std::time::Duration;

use bytesize::ByteSize;

use super::sweep::Unit;

const BITS_PER_BYTE: u64 = 8;

/// A number of bytes: `800`, `10MB` is 10 · 10⁶, `10MiB` is 10 · 2²⁰.
///
/// # Errors
/// What is wrong with it.
pub fn bytes(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|error| format!("{error}; write 10MB or 10MiB"))
}

/// A number of bits a second: `100Mbit/s`, `100Mbps`, or `12.5MB/s` in bytes.
///
/// # Errors
/// What is wrong with it.
pub fn bits_per_second(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no bandwidth; write 100Mbit/s, 1Gbit/s or 12.5MB/s");
    let number = |number: &str| bytes(&format!("{number}B")).map_err(|_| wrong());
    if let Some(bits) = text.strip_suffix("bit/s").or_else(|| text.strip_suffix("bps")) {
        return number(bits);
    }
    let in_bytes = text.strip_suffix("B/s").ok_or_else(wrong)?;
    number(in_bytes)?.checked_mul(BITS_PER_BYTE).ok_or_else(wrong)
}

/// A number of nanoseconds: `0.35ms`, `350us`, `1s`.
///
/// # Errors
/// What is wrong with it.
pub fn nanoseconds(text: &str) -> Result<u64, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write 350us or 0.35ms"))?;
    u64::try_from(duration.as_nanos()).map_err(|_| format!("{text} is longer than can be counted"))
}

/// How often in a second: `1500/s`, or just the number.
///
/// # Errors
/// What is wrong with it.
pub fn per_second(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok();
    let rate = number.filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("{text:?} is no rate; write 1500/s"))
}

impl Unit {
    /// Reads a quantity of this unit.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        match self {
            Self::Bytes => bytes(text).map(|bytes| bytes as f64),
            Self::BitsPerSecond => bits_per_second(text).map(|bits| bits as f64),
            Self::Nanoseconds => nanoseconds(text).map(|ns| ns as f64),
            Self::PerSecond => per_second(text),
            Self::Share => {
                text.parse::<super::Fraction>().map(|share| share.as_f64()).map_err(|e| e.to_string())
            }
            Self::Count => match text.parse::<u32>() {
                Ok(count) if count > 0 => Ok(count.into()),
                _ => Err(format!("{text:?} is no number from 1")),
            },
        }
    }

    /// Writes a quantity of this unit.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => ByteSize(value as u64).display().iec().to_string(),
            Self::BitsPerSecond => scaled(value, "bit/s"),
            Self::Nanoseconds => humantime::format_duration(Duration::from_nanos(value as u64)).to_string(),
            Self::PerSecond => format!("{}/s", rounded(value)),
            Self::Share | Self::Count => rounded(value),
        }
    }
}

/// With a decimal prefix and at most two decimals.
fn scaled(value: f64, unit: &str) -> String {
    let (factor, prefix) = match value {
        _ if value >= 1e9 => (1e9, "G"),
        _ if value >= 1e6 => (1e6, "M"),
        _ if value >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{} {prefix}{unit}", rounded(value / factor))
}

/// With at most two decimals.
fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(bytes("10MB"), Ok(10_000_000));
        assert_eq!(bytes("10 MiB"), Ok(10 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bits_per_second("100Mbit/s"), Ok(100_000_000));
        assert_eq!(bits_per_second("56kbit/s"), Ok(56_000));
        assert_eq!(bits_per_second("1.5Gbps"), Ok(1_500_000_000));
        assert_eq!(bits_per_second("300bit/s"), Ok(300));
        assert_eq!(bits_per_second("12.5MB/s"), Ok(100_000_000));
        assert_eq!(nanoseconds("0.35ms"), Ok(350_000));
        assert_eq!(nanoseconds("1s 5ms"), Ok(1_005_000_000));
        assert_eq!(per_second("1500/s"), Ok(1500.0));
        assert_eq!(Unit::Share.parse("50%"), Ok(0.5));
        assert_eq!(Unit::Count.parse("3"), Ok(3.0));
    }

    #[test]
    fn what_is_no_quantity_is_refused_by_name() {
        for (unit, text) in [
            (Unit::Bytes, "ten"),
            (Unit::Bytes, "10 parsecs"),
            (Unit::BitsPerSecond, "100"),
            (Unit::BitsPerSecond, "100Mbit"),
            (Unit::BitsPerSecond, "fast"),
            (Unit::BitsPerSecond, "-1bit/s"),
            (Unit::Nanoseconds, "3"),
            (Unit::Nanoseconds, "10000000000years"),
            (Unit::PerSecond, "0/s"),
            (Unit::PerSecond, "often"),
            (Unit::Share, "1.5"),
            (Unit::Share, "150%"),
            (Unit::Share, "NaN"),
            (Unit::Count, "0"),
        ] {
            assert!(unit.parse(text).is_err(), "{text} as {unit:?}: {:?}", unit.parse(text));
        }
        assert!(bits_per_second("fast").expect_err("no rate").contains("fast"));
    }

    #[test]
    fn quantities_are_shown_with_units() {
        assert_eq!(Unit::Bytes.show((10 << 20) as f64), "10.0 MiB");
        assert_eq!(Unit::BitsPerSecond.show(109_180_000.0), "109.18 Mbit/s");
        assert_eq!(Unit::Nanoseconds.show(320_000.0), "320us");
        assert_eq!(Unit::PerSecond.show(1500.0), "1500/s");
        assert_eq!(Unit::Share.show(0.25), "0.25");
        assert_eq!(Unit::Count.show(2.0), "2");
    }
}
