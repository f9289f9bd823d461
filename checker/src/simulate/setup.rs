//! What decides the cost of a migration.

use std::sync::Arc;

use cost::{CostModel, Fraction, Preset};
use protocol::page::{Image, PAGE_COUNT_MAX, PageKind};
use protocol::policy::{Freeze, Passes, Policy, Pre, Stop};
use serde::Serialize;
use world::random::Random;
use world::workload::Pattern;

use super::dirty_log::DirtyMarks;
use super::workload_file::{AccessList, Profile};

/// A migration to be simulated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimulationSetup {
    /// The algorithm.
    pub policy: Policy,
    /// Size of the address space; the last page may be larger than what is left for it.
    pub memory_bytes: u64,
    /// Size of a page.
    pub page_size_bytes: u64,
    /// Share of file-mapped pages. They come first in the address space.
    pub mapped_share: Fraction,
    /// Share of pages that differ from their backing store when the migration starts. Where file-mapped pages are
    /// written back, so many of them have still to be.
    pub dirty_share: Fraction,
    /// The same of file-mapped pages alone, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsaved_share: Option<Fraction>,
    /// Share of pages that are all zero when the migration starts: the last ones, as of memory that was not used yet. One that
    /// is written is no longer.
    pub zero_share: Fraction,
    /// Which pages the process touches, and when, where that was measured.
    pub workload: SimulatedWorkload,
    /// Share of pages that the process touches at all, unless that was measured.
    pub touched_share: Fraction,
    /// Where they begin, as a share of the address space; they go on at its beginning.
    pub touched_from: Fraction,
    /// Threads, each of which does accesses of its own.
    pub threads: u32,
    /// Time from one access of a thread to its next, when the first did not fault: the mean.
    pub access_interval_ns: u64,
    /// How these times vary.
    pub intervals: Intervals,
    /// Share of accesses that write.
    pub write_share: Fraction,
    /// Accesses that the process does at least, counted from the start of the migration. The run ends when it has done
    /// so many and is back at rest, if it ever is.
    pub accesses_min: u64,
    /// When a page's mark is taken while pages are copied ahead.
    pub log: DirtyMarks,
    /// When the process is suspended, where pages are copied ahead.
    pub stop: StopRule,
    /// What the network and the software cost.
    pub costs: CostModel,
    /// Seed of everything that is left to chance.
    pub seed: u64,
}

/// How the time between accesses varies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intervals {
    /// Drawn from an exponential distribution: what happens does not keep step with what is sent.
    #[default]
    Drawn,
    /// Always the same.
    Equal,
}

/// When copying ahead ends, besides what the algorithm says: at the end of the first pass at which one of these holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StopRule {
    /// What is left takes no longer than this at the rate of the line: the downtime target.
    pub downtime_ns: Option<u64>,
    /// So often it is looked during a pass as well, whether what the pass has still to send and what was written since takes no
    /// longer than the target, as QEMU does; otherwise only at its end.
    pub look_every_ns: Option<u64>,
    /// It has taken this long.
    pub timeout_ns: Option<u64>,
    /// Where the target is missed, the process is not frozen for what is left: it follows after the resume.
    pub switch_to_post_copy: bool,
    /// Slow the process down as long as copying makes no headway.
    pub throttle: Option<Throttling>,
}

/// How a process is slowed down that writes too much: after a pass that leaves more than half of what it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Throttling {
    /// Processor time that it is denied at first, in per cent.
    pub initial_percent: u32,
    /// How much more each time.
    pub step_percent: u32,
    /// The most.
    pub max_percent: u32,
}

impl Throttling {
    /// QEMU's auto-converge.
    pub const AUTO_CONVERGE: Self = Self { initial_percent: 20, step_percent: 10, max_percent: 99 };
}

/// Which pages the process touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimulatedWorkload {
    /// Any page, each as likely as the others.
    Uniform,
    /// One after the other, and again from the first.
    Sequential,
    /// Few pages often, many rarely.
    Zipf,
    /// Pages of a window over a sixteenth of them, which moves on by half its size from time to time.
    WorkingSet,
    /// 64 pages one after the other, then on from any page.
    Local,
    /// As measured.
    Measured(Arc<Profile>),
    /// A list of accesses, over and over.
    Listed(Arc<AccessList>),
    /// None: the best case of every algorithm.
    None,
    /// Every page at the worst moment: all are dirty at the start, a page is written to as soon as it has been copied
    /// or written back at the source, and after the resume the process writes to one page after the other as fast as
    /// it can.
    All,
}

/// Why a setup cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationSetupError {
    /// There is no page.
    #[error("an address space of {memory_bytes} bytes in pages of {page_size_bytes} bytes has no page")]
    NoPage {
        /// Bytes of the address space.
        memory_bytes: u64,
        /// Bytes of a page.
        page_size_bytes: u64,
    },
    /// There are more pages than the endpoints take.
    #[error("{pages} pages, at most {PAGE_COUNT_MAX} can be moved: take less memory or larger pages")]
    TooManyPages {
        /// How many.
        pages: u64,
    },
    /// The link carries nothing.
    #[error("a bandwidth of 0")]
    NoBandwidth,
    /// The process would do everything at once.
    #[error("an access interval of 0")]
    NoInterval,
    /// With contents, a page has a certain size.
    #[error("with contents a page has 4096 bytes, not {0}")]
    ContentsOfOtherSize(u64),
    /// Something is beyond what can be simulated.
    #[error("{what} of {value}: at most {most} can be simulated")]
    TooMuch {
        /// What.
        what: &'static str,
        /// How much.
        value: u64,
        /// The bound.
        most: u64,
    },
    /// A run would last longer than anybody waits.
    #[error("{what} would take {years} years, and {YEARS_MAX} is the most that is simulated")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long.
        years: u64,
    },
    /// A listed access is to a page that is not there.
    #[error("the list has an access to page {page}, and there are {pages} pages")]
    NoSuchPage {
        /// The page.
        page: u64,
        /// How many there are.
        pages: u64,
    },
    /// A rate of different pages that the workload does not have.
    #[error(
        "this workload never writes {distinct} different pages in a second: at most {most} of {pages} pages can be written"
    )]
    RateTooHigh {
        /// How many are wanted.
        distinct: u64,
        /// How many it touches.
        most: u64,
        /// How many pages there are.
        pages: u64,
    },
}

/// QEMU sends pages for so long before it looks again how many are left (`MAX_WAIT` of its `ram.c`).
const QEMU_LOOKS_EVERY_NS: u64 = 50_000_000;

/// The longest run.
const YEARS_MAX: u64 = 1;
const YEAR_NS: u128 = 366 * 24 * 3600 * 1_000_000_000;

/// Bounds of what can be simulated, each far beyond what there is.
const RATE_MAX: u64 = 1_000_000_000_000_000;
const PAGE_SIZE_MAX: u64 = 1 << 30;
const BYTES_MAX: u64 = 1 << 40;
const TIME_MAX_NS: u64 = 3_600_000_000_000;
const THREADS_MAX: u64 = 1024;
const ACCESSES_MAX: u64 = 1_000_000_000_000;

impl SimulationSetup {
    /// A small process on the link and with the software of a preset: 10 MiB, half of it modified, that touches any page
    /// every 0.34 ms.
    pub fn new(policy: Policy, preset: Preset) -> Self {
        Self {
            policy,
            memory_bytes: 10 << 20,
            page_size_bytes: 4096,
            mapped_share: Fraction::HALF,
            dirty_share: Fraction::HALF,
            unsaved_share: None,
            zero_share: Fraction::NONE,
            workload: SimulatedWorkload::Uniform,
            touched_share: Fraction::ALL,
            touched_from: Fraction::NONE,
            threads: 1,
            access_interval_ns: 340_000,
            intervals: Intervals::Drawn,
            write_share: Fraction::HALF,
            accesses_min: 10_000,
            log: DirtyMarks::of(preset),
            stop: StopRule {
                look_every_ns: (preset == Preset::Qemu).then_some(QEMU_LOOKS_EVERY_NS),
                ..StopRule::default()
            },
            costs: preset.costs(),
            seed: 1,
        }
    }

    /// The setting of the published tables: one set of constants for all of them, read off the published numbers. The
    /// process does an access every 0.34 ms, of which half write.
    pub fn published(policy: Policy) -> Self {
        Self { intervals: Intervals::Equal, ..Self::new(policy, Preset::Paper) }
    }

    /// Number of pages of the address space.
    ///
    /// # Errors
    /// There is none, there are too many, or something else keeps the migration from being simulated.
    pub fn page_count(&self) -> Result<u64, SimulationSetupError> {
        let &Self { memory_bytes, page_size_bytes, .. } = self;
        match memory_bytes.div_ceil(page_size_bytes.max(1)) {
            _ if self.costs.bandwidth_bits_per_s == 0 || self.costs.receive_bits_per_s == Some(0) => {
                Err(SimulationSetupError::NoBandwidth)
            }
            _ if self.access_interval_ns == 0 => Err(SimulationSetupError::NoInterval),
            pages if pages == 0 || page_size_bytes == 0 => {
                Err(SimulationSetupError::NoPage { memory_bytes, page_size_bytes })
            }
            pages if pages > PAGE_COUNT_MAX => Err(SimulationSetupError::TooManyPages { pages }),
            pages => self.check_bounds(pages).map(|()| pages),
        }
    }

    fn check_bounds(&self, pages: u64) -> Result<(), SimulationSetupError> {
        let costs = &self.costs;
        let bounds = [
            ("a page size", self.page_size_bytes, PAGE_SIZE_MAX),
            ("a bandwidth", costs.bandwidth_bits_per_s, RATE_MAX),
            ("a receive rate", costs.receive(), RATE_MAX),
            ("a latency in ns", costs.latency_ns, TIME_MAX_NS),
            ("a send buffer", costs.send_buffer_bytes, BYTES_MAX),
            ("a window", costs.window_bytes.unwrap_or(0), BYTES_MAX),
            ("a backlog of pushes", costs.push_backlog_bytes, BYTES_MAX),
            ("a state", costs.state_bytes, BYTES_MAX),
            ("a description of the state", costs.description_bytes, BYTES_MAX),
            ("a number of streams", costs.streams.into(), THREADS_MAX),
            ("a number of threads", self.threads.into(), THREADS_MAX),
            ("an access interval in ns", self.access_interval_ns, TIME_MAX_NS),
            ("a number of accesses", self.accesses_min, ACCESSES_MAX),
            (
                "a cost of the freeze in ns",
                costs.freeze_ns.max(costs.mapped_freeze_ns).max(costs.drop_ns),
                TIME_MAX_NS,
            ),
            ("a cost of a pass in ns", costs.pass_ns, TIME_MAX_NS),
            (
                "a cost of a page in ns",
                costs.page_ns.max(costs.install_ns).max(costs.place_ns).max(costs.zero_page_ns),
                TIME_MAX_NS,
            ),
            ("a cost of a fault in ns", costs.fault_ns.max(costs.serve_ns), TIME_MAX_NS),
            ("a pause for a request in ns", costs.request_pause_ns, TIME_MAX_NS),
            ("a time between looks at the log in ns", costs.look_ns, TIME_MAX_NS),
        ];
        if let Some((what, value, most)) = bounds.into_iter().find(|(_, value, most)| value > most) {
            return Err(SimulationSetupError::TooMuch { what, value, most });
        }
        let lowest = [
            Some(costs.bandwidth_bits_per_s),
            Some(costs.receive()),
            costs.copy_cap_bits_per_s,
            costs.post_cap_bits_per_s,
        ];
        let lowest = u128::from(lowest.into_iter().flatten().min().unwrap_or(1).max(1));
        let bytes = u128::from(pages) * u128::from(self.page_size_bytes + costs.page_overhead_bytes);
        let page_ns = costs.page_ns.max(costs.install_ns).max(costs.place_ns)
            + costs.request_pause_ns
            + costs.fault_ns
            + costs.serve_ns;
        for (what, ns) in [
            ("to send the address space once", bytes * 8 * 1_000_000_000 / lowest),
            ("what the pages cost the software", u128::from(pages) * u128::from(page_ns)),
            (
                "the state",
                u128::from(costs.state_bytes + costs.description_bytes) * 8 * 1_000_000_000 / lowest,
            ),
            ("the accesses", u128::from(self.accesses_min) * u128::from(self.access_interval_ns)),
        ] {
            let years = u64::try_from(ns / YEAR_NS).unwrap_or(u64::MAX);
            if years > YEARS_MAX {
                return Err(SimulationSetupError::TooLong { what, years });
            }
        }
        if let SimulatedWorkload::Listed(list) = &self.workload
            && let Some(access) = list.accesses.iter().find(|access| access.page >= pages)
        {
            return Err(SimulationSetupError::NoSuchPage { page: access.page, pages });
        }
        Ok(())
    }

    /// For how long a freeze lasts in which no page is sent: the software, the state, and the three ways of the hand-over.
    pub fn bare_freeze_ns(&self) -> u64 {
        let state_bytes = super::message_bytes(steplog::message::MessageKind::State, self);
        self.costs.bare_freeze_ns(state_bytes).saturating_add(self.mapped_freeze_ns())
    }

    /// What the software takes in a freeze, where pages that were sent ahead are outdated or none is.
    pub(super) fn freeze_software_ns(&self, outdated: bool) -> u64 {
        let drop_ns = if outdated { self.costs.drop_ns } else { 0 };
        self.costs.freeze_ns.saturating_add(self.mapped_freeze_ns()).saturating_add(drop_ns)
    }

    fn mapped_freeze_ns(&self) -> u64 {
        let maps = self.policy.writes_back() && self.mapped_share > Fraction::NONE;
        if maps { self.costs.mapped_freeze_ns } else { 0 }
    }

    /// How often it is looked which pages are marked, where marks are not known at once.
    pub(super) fn look_ns(&self) -> Option<u64> {
        (self.log == DirtyMarks::Page && self.costs.look_ns > 0).then_some(self.costs.look_ns)
    }

    /// One page in so many, on a line as much slower: what takes time takes as long, and there is as much less of it. For
    /// what has too many pages to be simulated again and again.
    pub fn scaled(&self, divisor: u64) -> Self {
        let divisor = divisor.max(1);
        let less = |number: u64| (number / divisor).max(1);
        let more = |ns: u64| ns.saturating_mul(divisor);
        let costs = CostModel {
            bandwidth_bits_per_s: less(self.costs.bandwidth_bits_per_s),
            receive_bits_per_s: self.costs.receive_bits_per_s.map(less),
            send_buffer_bytes: less(self.costs.send_buffer_bytes),
            window_bytes: self.costs.window_bytes.map(less),
            push_backlog_bytes: self.costs.push_backlog_bytes / divisor,
            copy_cap_bits_per_s: self.costs.copy_cap_bits_per_s.map(less),
            post_cap_bits_per_s: self.costs.post_cap_bits_per_s.map(less),
            state_bytes: self.costs.state_bytes / divisor,
            description_bytes: self.costs.description_bytes / divisor,
            scan_page_ps: more(self.costs.scan_page_ps),
            page_ns: more(self.costs.page_ns),
            zero_page_ns: more(self.costs.zero_page_ns),
            install_ns: more(self.costs.install_ns),
            place_ns: more(self.costs.place_ns),
            ..self.costs.clone()
        };
        let memory_bytes = (self.memory_bytes / divisor).max(self.page_size_bytes);
        Self { memory_bytes, access_interval_ns: more(self.access_interval_ns), costs, ..self.clone() }
    }

    /// The address space as it was loaded: file-mapped pages, then private ones.
    pub(super) fn image(&self) -> Result<Image, SimulationSetupError> {
        let pages = self.page_count()?;
        Ok(Image::blank(pages, self.mapped_share.of(pages)))
    }

    /// Share of pages of a kind that differ from their backing store when the migration starts.
    pub(super) fn share_to_save(&self, kind: PageKind) -> Fraction {
        match kind {
            PageKind::FileMapped => self.unsaved_share.unwrap_or(self.dirty_share),
            _ => self.dirty_share,
        }
    }

    /// The pages that the process touches at all.
    pub(super) fn window(&self, pages: u64) -> std::ops::Range<u64> {
        let count = self.touched_share.of(pages).clamp(1.min(pages), pages);
        let from = self.touched_from.of(pages).min(pages - count);
        from..from + count
    }

    /// Whether the workload is of one thread.
    pub(super) fn is_single(&self) -> bool {
        matches!(
            self.workload,
            SimulatedWorkload::None
                | SimulatedWorkload::All
                | SimulatedWorkload::Listed(_)
                | SimulatedWorkload::Measured(_)
        )
    }

    /// Takes over what was measured of a process besides its accesses.
    pub fn take_over(&mut self, profile: &Profile) {
        let share = |pages: u64| Fraction::ratio(pages, profile.pages);
        if profile.page_size_bytes > 0 {
            self.page_size_bytes = profile.page_size_bytes;
        }
        if profile.pages > 0 {
            self.memory_bytes = profile.pages.saturating_mul(self.page_size_bytes);
            (self.mapped_share, self.zero_share) =
                (share(profile.file_mapped_pages), share(profile.zero_pages));
            let private = profile.pages.saturating_sub(profile.file_mapped_pages);
            self.dirty_share = Fraction::ratio(profile.modified_pages.min(private), private.max(1));
            self.unsaved_share =
                Some(Fraction::ratio(profile.unsaved_pages, profile.file_mapped_pages.max(1)));
        }
        if profile.state_bytes > 0 {
            self.costs.state_bytes = profile.state_bytes;
        }
    }

    /// Aims at this downtime. Where the system looks at it during a pass, the algorithm may end it there.
    pub fn aim_at_downtime(&mut self, target_ns: u64) {
        self.stop.downtime_ns = Some(target_ns);
        let freezes = matches!(self.policy.pre, Pre::Copy(_)) && self.policy.freeze == Freeze::NotInStep;
        if freezes && self.stop.look_every_ns.is_some() && !self.stop.switch_to_post_copy {
            self.policy.stop = Stop::Target;
        }
    }

    /// Leaves it to the rule when copying ahead ends, where the algorithm makes passes and freezes for what they leave.
    pub fn unbind_passes(&mut self) {
        if matches!(self.policy.pre, Pre::Copy(_)) && self.policy.freeze == Freeze::NotInStep {
            self.policy.pre = Pre::Copy(Passes::AtMost(u32::MAX));
        }
    }

    /// Lets the process write so many different pages in a second, from any moment on: sets the interval of its accesses.
    ///
    /// # Errors
    /// It does not touch so many, whatever the interval.
    pub fn set_dirty_rate(&mut self, distinct_per_s: u64) -> Result<(), SimulationSetupError> {
        let pages = self.page_count()?;
        let window = self.window(pages);
        let too_high = || SimulationSetupError::RateTooHigh {
            distinct: distinct_per_s,
            most: window.end - window.start,
            pages,
        };
        let accesses = super::process::accesses_for(self, pages, distinct_per_s).ok_or_else(too_high)?;
        let threads = u64::from(self.threads.max(1));
        self.access_interval_ns = (1_000_000_000 * threads / accesses.max(1)).max(1);
        Ok(())
    }

    /// How often the process writes, in accesses a second; `None` where it writes as fast as pages are sent, or as was
    /// measured.
    pub fn writes_per_s(&self) -> Option<f64> {
        match self.workload {
            SimulatedWorkload::None => Some(0.0),
            SimulatedWorkload::All | SimulatedWorkload::Measured(_) | SimulatedWorkload::Listed(_) => None,
            _ => Some(
                f64::from(self.threads) * self.write_share.as_f64() * 1e9 / self.access_interval_ns as f64,
            ),
        }
    }

    /// How many page messages the line carries in a second.
    pub fn pages_per_s(&self) -> f64 {
        self.costs.pages_per_s(self.page_size_bytes)
    }

    /// For how long so many pages would freeze the process: on the line, and in the software at both ends.
    pub fn frozen_ns(&self, pages: u64) -> u64 {
        self.costs.pages_ns(pages, self.page_size_bytes)
    }
}

/// True in so many cases.
pub(super) fn falls(share: Fraction, random: &mut Random) -> bool {
    random.below(u64::from(Fraction::WHOLE)) < u64::from(share.millionths())
}

impl SimulatedWorkload {
    /// In which order pages are touched, where that is left to a pattern.
    pub(super) fn pattern(&self, pages: u64) -> Option<Pattern> {
        match self {
            Self::Uniform => Some(Pattern::Uniform),
            Self::Sequential => Some(Pattern::Sequential),
            Self::Zipf => Some(Pattern::Zipf),
            Self::WorkingSet => {
                let window = pages.div_ceil(16);
                Some(Pattern::WorkingSet { pages: window, dwell: 2 * window })
            }
            Self::Local | Self::Measured(_) | Self::Listed(_) | Self::None | Self::All => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_of_each_kind_of_page_is_of_that_kind() {
        let profile = Profile {
            pages: 1000,
            file_mapped_pages: 200,
            modified_pages: 400,
            unsaved_pages: 150,
            ..Profile::default()
        };
        let mut setup = SimulationSetup::new(Policy::GENERIC, Preset::Sojourn);
        setup.take_over(&profile);
        let shares =
            [PageKind::FileMapped, PageKind::Private].map(|kind| setup.share_to_save(kind).millionths());
        assert_eq!(shares, [750_000, 500_000]);
    }

    #[test]
    fn a_share_falls_as_often_as_it_says() {
        let mut random = Random::new(1);
        let share = Fraction::new(0.3).expect("a share");
        let count = (0..10_000).filter(|_| falls(share, &mut random)).count();
        assert!((2800..3200).contains(&count), "{count}");
        assert!((0..100).all(|_| falls(Fraction::ALL, &mut random) && !falls(Fraction::NONE, &mut random)));
    }
}
