//! A measured curve as a mix of periods.
//!
//! A page that is touched once every `t` counts among the different pages touched within `d` with a chance of
//! `min(d / t, 1)`. So a curve of different pages against time that rises by straight pieces, each less steep than the one
//! before, is that of a mix: where the slope falls by `s` at time `t`, `s * t` pages have the period `t`; what is left of
//! the slope at the end belongs to pages that are touched once, one after the other. The mix has the measured curve, from
//! whatever moment on it is looked at.

use protocol::page_set::PageSet;
use steplog::page::PageNumber;
use world::random::Random;

use super::process::Access;
use super::workload_file::Profile;

/// Pages with one period, touched in turn.
#[derive(Clone, Debug)]
struct Class {
    pages: Vec<u32>,
    at: usize,
    writes: bool,
    /// Accesses a second.
    per_s: f64,
}

/// A mix of periods.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    classes: Vec<Class>,
    /// The rate of each class and all before it, in proportion to 2³².
    shares: Vec<u64>,
    interval_ns: u64,
}

/// So many pages with this period, as the classes of a curve.
fn periods(curve: &[(f64, f64)], pages: f64) -> Vec<(f64, f64)> {
    let hull = concave(curve);
    let slopes: Vec<f64> =
        hull.windows(2).map(|pair| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0)).collect();
    let mut periods = Vec::new();
    let mut placed = 0.0;
    for (index, slope) in slopes.iter().enumerate() {
        let at_s = hull[index + 1].0;
        match slopes.get(index + 1) {
            Some(next) if slope - next > 0.0 => {
                let count = (slope - next) * at_s;
                placed += count;
                periods.push((count, at_s));
            }
            Some(_) => {}
            None if *slope > 0.0 => {
                let left = (pages - placed).max(slope * at_s);
                periods.push((left, left / slope));
            }
            None => {}
        }
    }
    periods
}

/// The least curve above these points whose slope never grows, from the origin.
fn concave(curve: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut hull: Vec<(f64, f64)> = vec![(0.0, 0.0)];
    for &point in curve.iter().filter(|point| point.0 > 0.0) {
        while let [.., before, last] = hull.as_slice() {
            let rises =
                (last.1 - before.1) * (point.0 - before.0) >= (point.1 - before.1) * (last.0 - before.0);
            if rises {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

impl Mix {
    /// A mix that writes and touches as was measured, on pages of its choice: what a process writes again and again is not all
    /// zero, so those that are come last.
    pub fn of(profile: &Profile, pages: u64, zero: &PageSet, seed: u64) -> Self {
        let scale = if profile.pages == 0 { 1.0 } else { pages as f64 / profile.pages as f64 };
        let of = |count: fn(&super::workload_file::Measured) -> u64| -> Vec<(f64, f64)> {
            profile
                .curve
                .iter()
                .map(|point| (point.after_ns as f64 / 1e9, count(point) as f64 * scale))
                .collect()
        };
        // Pages that are written and pages that are read alone are others, so each kind has its share of the address space.
        let (written, read) =
            (of(|point| point.written), of(|point| point.touched.saturating_sub(point.written)));
        let last = |curve: &[(f64, f64)]| curve.last().map_or(0.0, |point| point.1);
        let share = match last(&written) + last(&read) {
            0.0 => 0.0,
            all => last(&written) / all,
        };
        let room = (pages as f64 * share).floor();
        let (written, read) = (periods(&written, room), periods(&read, pages as f64 - room));
        let mut free: Vec<u32> = (0..pages as u32).collect();
        let mut random = Random::new(seed ^ 0x006d_6978);
        for last in (1..free.len()).rev() {
            free.swap(last, random.below(last as u64 + 1) as usize);
        }
        free.sort_by_key(|page| zero.contains(PageNumber((*page).into())));
        let mut taken = 0;
        let all = written
            .into_iter()
            .map(|class| (class, true))
            .chain(read.into_iter().map(|class| (class, false)));
        let mut classes = Vec::new();
        for ((count, period_s), writes) in all {
            let count = (count.round() as usize).min(free.len());
            if count == 0 {
                continue;
            }
            // Pages are shared only where there are more in the curves than in the address space.
            let pages: Vec<u32> = (taken..taken + count).map(|at| free[at % free.len()]).collect();
            taken += count;
            classes.push(Class { at: 0, writes, per_s: count as f64 / period_s, pages });
        }
        let per_s: f64 = classes.iter().map(|class| class.per_s).sum();
        let mut sum = 0.0;
        let shares = classes.iter().map(|class| {
            sum += class.per_s;
            (sum / per_s * 2f64.powi(32)) as u64
        });
        let shares = shares.collect();
        let interval_ns = if per_s > 0.0 { (1e9 / per_s) as u64 } else { u64::MAX };
        Self { classes, shares, interval_ns: interval_ns.max(1) }
    }

    /// From one access to the next.
    pub fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// Whether nothing is ever touched.
    pub fn is_idle(&self) -> bool {
        self.classes.is_empty()
    }

    /// The next access.
    pub fn access(&mut self, random: &mut Random) -> Option<Access> {
        let point = random.below(1 << 32);
        let class =
            self.shares.partition_point(|share| *share <= point).min(self.classes.len().checked_sub(1)?);
        let class = &mut self.classes[class];
        let page = class.pages[class.at];
        class.at = (class.at + 1) % class.pages.len();
        Some(Access { page: PageNumber(page.into()), writes: class.writes })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::workload_file::Measured;
    use super::*;

    fn profile(curve: &[(u64, u64, u64)]) -> Profile {
        let curve = curve.iter().map(|&(after_ns, written, touched)| Measured { after_ns, written, touched });
        Profile { pages: 10_000, curve: curve.collect(), ..Profile::default() }
    }

    /// From whatever moment on: at the start, and much later.
    #[test]
    fn a_mix_has_the_curve_that_was_measured() {
        let profile = profile(&[
            (100_000_000, 400, 900),
            (1_000_000_000, 1_200, 2_500),
            (10_000_000_000, 3_000, 6_000),
        ]);
        let mut mix = Mix::of(&profile, 10_000, &PageSet::empty(10_000), 1);
        let mut random = Random::new(2);
        for start in [0u64, 1_000_000] {
            (0..start).for_each(|_| assert!(mix.access(&mut random).is_some()));
            let (mut written, mut touched) = (BTreeSet::new(), BTreeSet::new());
            let mut now_ns = 0;
            for point in &profile.curve {
                while now_ns < point.after_ns {
                    let access = mix.access(&mut random).expect("an access");
                    touched.insert(access.page);
                    if access.writes {
                        written.insert(access.page);
                    }
                    now_ns += mix.interval_ns();
                }
                for (seen, measured) in [(written.len(), point.written), (touched.len(), point.touched)] {
                    let ratio = seen as f64 / measured as f64;
                    assert!(
                        (0.93..1.07).contains(&ratio),
                        "after {} ns: {seen} of {measured}",
                        point.after_ns
                    );
                }
            }
        }
    }

    #[test]
    fn a_dent_in_the_curve_is_filled() {
        let hull = concave(&[(1.0, 10.0), (2.0, 11.0), (3.0, 30.0)]);
        assert_eq!(hull, [(0.0, 0.0), (1.0, 10.0), (3.0, 30.0)]);
    }

    #[test]
    fn a_process_that_touches_nothing_has_no_access() {
        let mut mix = Mix::of(&profile(&[(1_000_000_000, 0, 0)]), 100, &PageSet::empty(100), 1);
        assert!(mix.access(&mut Random::new(1)).is_none());
    }

    #[test]
    fn pages_that_are_zero_are_not_written_before_all_others() {
        let profile = profile(&[(1_000_000_000, 1000, 1000)]);
        let zero = PageSet::filled(10_000, |page| page.0 % 2 == 0);
        let mut mix = Mix::of(&profile, 10_000, &zero, 1);
        let mut random = Random::new(2);
        let mut written = || mix.access(&mut random).expect("an access").page;
        assert!((0..5000).all(|_| !zero.contains(written())));
        assert!((0..5000).all(|_| zero.contains(written())));
    }
}
