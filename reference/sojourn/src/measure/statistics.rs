//! Of several measurements: the middle, the best, a rank.

use serde::Serialize;

/// Several measurements of the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeasuredSpread {
    /// The one in the middle.
    pub median: f64,
    /// The best one: the least, or the most where more is better.
    pub best: f64,
    /// The worst one.
    pub worst: f64,
    /// How many.
    pub count: usize,
}

/// Which of two measurements is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The smaller one.
    Less,
    /// The larger one.
    More,
}

impl MeasuredSpread {
    /// Of these, if there is any.
    pub fn of(values: impl IntoIterator<Item = f64>, better: Better) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        let (best, worst) = match better {
            Better::Less => (least, most),
            Better::More => (most, least),
        };
        Some(Self { median, best, worst, count: values.len() })
    }
}

/// The mean, if there is anything.
pub fn mean(values: &[u64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().map(|value| *value as f64).sum::<f64>() / values.len() as f64)
}

/// The smallest of the values that so many in a hundred do not exceed.
pub fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_middle_and_two_ends() {
        let spread = |values: &[f64], better| MeasuredSpread::of(values.iter().copied(), better);
        let odd = MeasuredSpread { median: 2.0, best: 1.0, worst: 9.0, count: 3 };
        assert_eq!(spread(&[9.0, 1.0, 2.0], Better::Less), Some(odd));
        let even = MeasuredSpread { median: 2.5, best: 4.0, worst: 1.0, count: 4 };
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0], Better::More), Some(even));
        assert_eq!(spread(&[], Better::More), None);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=200).rev().collect();
        assert_eq!(
            (percentile(&values, 99), percentile(&values, 50), percentile(&values, 100)),
            (Some(198), Some(100), Some(200))
        );
        assert_eq!((percentile(&[7], 99), percentile(&[7], 0), percentile(&[], 50)), (Some(7), None, None));
        assert_eq!((mean(&[1, 2, 6]), mean(&[])), (Some(3.0), None));
    }
}
