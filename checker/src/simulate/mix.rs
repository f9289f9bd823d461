//! A measured curve as a mix of periods.
//!
//! A page that is touched once every `t` counts among the different pages touched within `d` with a chance of
//! `min(d / t, 1)`. So a curve of different pages against time that rises by straight pieces, each less steep than the one
//! before, is that of a mix: where the slope falls by `s` at time `t`, `s * t` pages have the period `t`; what is left of
//! the slope at the end belongs to pages that are touched once, one after the other. The mix has the measured curve, from
//! whatever moment on it is looked at.
//!
//! Where the pages are matters to whatever sends them in order: what is written again and again near the beginning is sent before
//! most of those writes. The places of the pages of a class add up as their counts do.

use protocol::page_set::PageSet;
use steplog::page::PageNumber;
use world::random::Random;

use super::process::Access;
use super::workload_file::Profile;

/// The place of pages of which no place is known, and of those that are anywhere.
const ANYWHERE: f64 = 0.5;

/// The standard deviation of the place of such a page.
const DEVIATION: f64 = 0.288_675;

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

/// A point of a curve of different pages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Point {
    at_s: f64,
    pages: f64,
    /// The sum of their places, from 0 at the beginning of the address space to 1 at its end.
    places: f64,
}

/// Pages with one period.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Period {
    pages: f64,
    period_s: f64,
    /// Where they are on average.
    place: f64,
}

/// A straight piece of a curve.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Pages a second.
    slope: f64,
    /// Their places, a second.
    places: f64,
    /// How uncertain that is, if they are anywhere.
    deviation: f64,
}

impl Piece {
    fn between(before: &Point, after: &Point) -> Self {
        let time_s = after.at_s - before.at_s;
        let pages = after.pages - before.pages;
        Self {
            slope: pages / time_s,
            places: (after.places - before.places) / time_s,
            deviation: DEVIATION * pages.max(0.0).sqrt() / time_s,
        }
    }
}

/// Where pages are whose places add up to this: anywhere, unless chance would hardly have it so. What few pages leave to chance is
/// decided by all that were written as soon as they.
fn place(places: f64, pages: f64, deviation: f64, so_far: &Point) -> f64 {
    const HARDLY: f64 = 3.0;
    let differs = |place: f64| (places - place * pages).abs() > HARDLY * deviation;
    let far = (so_far.places - ANYWHERE * so_far.pages).abs() > HARDLY * DEVIATION * so_far.pages.sqrt();
    let around = so_far.places / so_far.pages;
    match differs(ANYWHERE) {
        true => (places / pages).clamp(0.0, 1.0),
        false if far && !differs(around) => around,
        false => ANYWHERE,
    }
}

/// The classes of a curve, of so many pages.
fn periods(curve: &[Point], pages: f64) -> Vec<Period> {
    let hull = concave(curve);
    let pieces: Vec<Piece> = hull.windows(2).map(|pair| Piece::between(&pair[0], &pair[1])).collect();
    let mut periods = Vec::new();
    let mut placed = 0.0;
    for (index, piece) in pieces.iter().enumerate() {
        let at_s = hull[index + 1].at_s;
        match pieces.get(index + 1) {
            Some(next) if piece.slope - next.slope > 0.0 => {
                let slope = piece.slope - next.slope;
                let deviation = piece.deviation.hypot(next.deviation);
                placed += slope * at_s;
                let place = place(piece.places - next.places, slope, deviation, &hull[index + 1]);
                periods.push(Period { pages: slope * at_s, period_s: at_s, place });
            }
            Some(_) => {}
            None if piece.slope > 0.0 => {
                let left = (pages - placed).max(piece.slope * at_s);
                let place = place(piece.places, piece.slope, piece.deviation, &hull[index + 1]);
                periods.push(Period { pages: left, period_s: left / piece.slope, place });
            }
            None => {}
        }
    }
    periods
}

/// The least curve above these points whose slope never grows, from the origin.
fn concave(curve: &[Point]) -> Vec<Point> {
    let mut hull = vec![Point::default()];
    for &point in curve.iter().filter(|point| point.at_s > 0.0) {
        while let [.., before, last] = hull.as_slice() {
            let rises = (last.pages - before.pages) * (point.at_s - before.at_s)
                >= (point.pages - before.pages) * (last.at_s - before.at_s);
            if rises {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// Puts the pages first that lie around this place, as widely as there is room to both sides.
fn around(place: f64, pages: u64, free: &mut [u32]) {
    let width = place.min(1.0 - place);
    let within = (place - width) * pages as f64..=(place + width) * pages as f64;
    let (near, far): (Vec<u32>, Vec<u32>) = free.iter().partition(|page| within.contains(&f64::from(**page)));
    free[..near.len()].copy_from_slice(&near);
    free[near.len()..].copy_from_slice(&far);
}

impl Mix {
    /// A mix that writes and touches as was measured, on pages of its choice: what a process writes again and again is not all
    /// zero, so those that are come last.
    pub fn of(profile: &Profile, pages: u64, zero: &PageSet, seed: u64) -> Self {
        let scale = if profile.pages == 0 { 1.0 } else { pages as f64 / profile.pages as f64 };
        let of = |count: fn(&super::workload_file::Measured) -> u64| -> Vec<Point> {
            let point = |point: &super::workload_file::Measured| {
                let pages = count(point) as f64 * scale;
                let place = point.place_permille.map_or(ANYWHERE, |place| f64::from(place) / 1000.0);
                Point { at_s: point.after_ns as f64 / 1e9, pages, places: pages * place }
            };
            profile.curve.iter().map(point).collect()
        };
        // Pages that are written and pages that are read alone are others, so each kind has its share of the address space.
        let written = of(|point| point.written);
        let mut read = of(|point| point.touched.saturating_sub(point.written));
        // Where those are is not known.
        read.iter_mut().for_each(|point| point.places = ANYWHERE * point.pages);
        let last = |curve: &[Point]| curve.last().map_or(0.0, |point| point.pages);
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
        let mut taken = 0;
        let all = written
            .into_iter()
            .map(|class| (class, true))
            .chain(read.into_iter().map(|class| (class, false)));
        let mut classes = Vec::new();
        free.sort_by_key(|page| zero.contains(PageNumber((*page).into())));
        for (Period { pages: count, period_s, place }, writes) in all {
            let count = (count.round() as usize).min(free.len());
            if count == 0 {
                continue;
            }
            let not_zero = free.partition_point(|page| !zero.contains(PageNumber((*page).into())));
            if place != ANYWHERE && taken < not_zero {
                around(place, pages, &mut free[taken..not_zero]);
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
        let curve = curve.iter().map(|&(after_ns, written, touched)| Measured {
            after_ns,
            written,
            touched,
            ..Measured::default()
        });
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
        let point = |at_s, pages| Point { at_s, pages, places: 0.0 };
        let hull = concave(&[point(1.0, 10.0), point(2.0, 11.0), point(3.0, 30.0)]);
        assert_eq!(hull, [point(0.0, 0.0), point(1.0, 10.0), point(3.0, 30.0)]);
    }

    /// A tenth at the beginning is written all the time, the rest once.
    #[test]
    fn what_is_written_again_and_again_is_where_it_was_seen() {
        let measured = |after_ns, written, place_permille| Measured {
            after_ns,
            written,
            place_permille: Some(place_permille),
            ..Measured::default()
        };
        // 1000 pages around 0.05 within a second, then 100 a second around 0.55.
        let curve = vec![measured(1_000_000_000, 1_100, 95), measured(10_000_000_000, 2_000, 300)];
        let profile = Profile { pages: 10_000, curve, ..Profile::default() };
        let mut mix = Mix::of(&profile, 10_000, &PageSet::empty(10_000), 1);
        let mut random = Random::new(2);
        let early =
            (0..10_000).filter(|_| mix.access(&mut random).expect("an access").page.0 < 1_000).count();
        assert!(early > 8_800, "{early}: ten of eleven accesses are to the first tenth");
    }

    /// Of 250 pages at the beginning, as many are written again within each time as chance will have it: few within the shortest.
    #[test]
    fn few_pages_are_where_all_are_that_are_written_as_often() {
        let measured = |after_ms: f64| {
            let often = 250.0 * (1.0 - (-0.005 * after_ms).exp());
            let rarely = 0.14 * after_ms;
            let place = (0.05 * often + 0.5 * rarely) / (often + rarely);
            Measured {
                after_ns: (after_ms * 1e6) as u64,
                written: (often + rarely) as u64,
                place_permille: Some((place * 1000.0) as u16),
                ..Measured::default()
            }
        };
        let curve = (0..13).map(|step| measured(20.0 * 1.5f64.powi(step))).collect();
        let profile = Profile { pages: 2_600, curve, ..Profile::default() };
        let mut mix = Mix::of(&profile, 2_600, &PageSet::empty(2_600), 1);
        let mut random = Random::new(2);
        let early = (0..10_000).filter(|_| mix.access(&mut random).expect("an access").page.0 < 650).count();
        assert!(early > 8_500, "{early}: nine of ten accesses are to the first tenth");
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
