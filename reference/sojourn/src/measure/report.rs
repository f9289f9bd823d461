//! What a program of the measurements says it noted, and what can be read off it.

use std::fmt;

/// How far it was at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Units of work that it had done.
    pub units: u64,
    /// How long it had been on a processor.
    pub cpu_ns: u64,
}

/// An access that had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When it was over, in nanoseconds since 1970.
    pub at_ns: u64,
    /// How long it took.
    pub took_ns: u64,
}

/// All that it noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExerciseReport {
    samples: Vec<Sample>,
    stalls: Vec<Stall>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample {} {} {}", self.at_ns, self.units, self.cpu_ns)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stall {} {}", self.at_ns, self.took_ns)
    }
}

impl ExerciseReport {
    /// Reads what the program printed; nothing while it has not come to its end.
    pub fn parse(text: &str) -> Option<Self> {
        let mut report = Self::default();
        let mut ended = false;
        for line in text.lines() {
            let mut words = line.split(' ');
            let kind = words.next();
            let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            match (kind, numbers.as_slice()) {
                (Some("sample"), &[at_ns, units, cpu_ns]) => {
                    report.samples.push(Sample { at_ns, units, cpu_ns });
                }
                (Some("stall"), &[at_ns, took_ns]) => report.stalls.push(Stall { at_ns, took_ns }),
                (Some("end"), []) => ended = true,
                _ => {}
            }
        }
        ended.then_some(report)
    }

    /// What it waited for in accesses that ended in this time, in nanoseconds.
    pub fn stalls_ns(&self, from_ns: u64, to_ns: u64) -> Vec<u64> {
        let within = |stall: &&Stall| (from_ns..=to_ns).contains(&stall.at_ns);
        self.stalls.iter().filter(within).map(|stall| stall.took_ns).collect()
    }

    /// Units of work in a second, between these times.
    pub fn rate(&self, from_ns: u64, to_ns: u64) -> Option<f64> {
        let at = |ns| self.interpolated(ns, |sample| sample.units);
        (to_ns > from_ns).then_some(())?;
        Some((at(to_ns)? - at(from_ns)?) * 1e9 / (to_ns - from_ns) as f64)
    }

    /// Nanoseconds on a processor for a unit of work, between these times.
    pub fn cpu_ns_per_unit(&self, from_ns: u64, to_ns: u64) -> Option<f64> {
        let units = |ns| self.interpolated(ns, |sample| sample.units);
        let cpu = |ns| self.interpolated(ns, |sample| sample.cpu_ns);
        let done = units(to_ns)? - units(from_ns)?;
        (done > 0.0).then_some((cpu(to_ns)? - cpu(from_ns)?) / done)
    }

    /// From the first to the last sample.
    pub fn span_ns(&self) -> Option<(u64, u64)> {
        Some((self.samples.first()?.at_ns, self.samples.last()?.at_ns))
    }

    /// The first that it did after this time, in nanoseconds since 1970.
    pub fn first_sign_after(&self, at_ns: u64) -> Option<u64> {
        let stalls = self.stalls.iter().map(|stall| stall.at_ns.saturating_sub(stall.took_ns));
        self.samples.iter().map(|sample| sample.at_ns).chain(stalls).filter(|sign| *sign > at_ns).min()
    }

    /// Something that grows with time, between two samples as if it grew evenly.
    fn interpolated(&self, at_ns: u64, of: impl Fn(&Sample) -> u64) -> Option<f64> {
        let after = self.samples.iter().position(|sample| sample.at_ns >= at_ns)?;
        let (a, b) = (self.samples.get(after.checked_sub(1)?)?, self.samples.get(after)?);
        let share = (at_ns - a.at_ns) as f64 / (b.at_ns - a.at_ns).max(1) as f64;
        Some(of(a) as f64 + share * (of(b) - of(a)) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ExerciseReport {
        let text = "begin\nsample 1000 0 0\nsample 2000 10 500\nsample 4000 20 2500\nstall 1500 40\nstall 3000 90\nend\n";
        ExerciseReport::parse(text).unwrap()
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let (sample, stall) = (Sample { at_ns: 7, units: 8, cpu_ns: 9 }, Stall { at_ns: 5, took_ns: 6 });
        let text = format!("begin\n{sample}\n{stall}\nend\n");
        let read = ExerciseReport::parse(&text).unwrap();
        assert_eq!(read, ExerciseReport { samples: vec![sample], stalls: vec![stall] });
        assert_eq!(ExerciseReport::parse(text.strip_suffix("end\n").unwrap()), None, "it has not ended");
    }

    #[test]
    fn work_is_counted_within_a_time() {
        let report = report();
        assert_eq!(report.rate(1500, 3000), Some(10.0 * 1e9 / 1500.0));
        assert_eq!(report.cpu_ns_per_unit(2000, 4000), Some(200.0));
        assert_eq!(report.cpu_ns_per_unit(1500, 1500), None);
        assert_eq!(
            (report.rate(500, 3000), report.rate(3000, 4001), report.rate(3000, 3000)),
            (None, None, None)
        );
        assert_eq!(report.span_ns(), Some((1000, 4000)));
    }

    #[test]
    fn stalls_are_those_that_end_within_a_time() {
        assert_eq!(report().stalls_ns(1501, 3000), [90]);
        assert_eq!(report().stalls_ns(0, 1500), [40]);
        let sign = |after| report().first_sign_after(after);
        assert_eq!(
            (sign(1400), sign(2100), sign(3000), sign(4000)),
            (Some(1460), Some(2910), Some(4000), None)
        );
    }
}
