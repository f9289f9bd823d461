//! What decides the cost of a migration.

use std::fmt;
use std::str::FromStr;

use protocol::page::{Image, PAGE_COUNT_MAX};
use protocol::policy::Policy;
use serde::{Serialize, Serializer};
use world::random::Random;
use world::workload::Pattern;

/// A migration to be simulated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// The algorithm.
    pub policy: Policy,
    /// Size of the address space; the last page may be larger than what is left for it.
    pub memory_bytes: u64,
    /// Size of a page.
    pub page_size_bytes: u64,
    /// Share of file-mapped pages. They come first in the address space.
    pub mapped_share: Share,
    /// Share of pages that differ from their backing store when the migration starts. Where file-mapped pages are
    /// written back, so many of them have still to be.
    pub dirty_share: Share,
    /// Which pages the process touches.
    pub workload: Workload,
    /// Time from one access to the next, when the first did not fault.
    pub access_interval_ns: u64,
    /// Share of accesses that write.
    pub write_share: Share,
    /// Accesses that the process does at least, counted from the start of the migration. The run ends when it has done
    /// so many and is back at rest, if it ever is.
    pub accesses_min: u64,
    /// Bits that leave an interface in a second.
    pub bandwidth_bits_per_s: u64,
    /// Time between leaving one place and arriving at another.
    pub latency_ns: u64,
    /// Bytes that may be queued at an interface.
    pub send_buffer_bytes: u64,
    /// Length of the state without pages and without the map of pages.
    pub state_bytes: u64,
    /// Time for which a request keeps the place that serves it from sending anything.
    pub request_pause_ns: u64,
    /// Seed of everything that is left to chance.
    pub seed: u64,
}

/// Which pages the process touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Any page, each as likely as the others.
    Uniform,
    /// One after the other, and again from the first.
    Sequential,
    /// Few pages often, many rarely.
    Zipf,
    /// Pages of a window over a sixteenth of them, which moves on by half its size from time to time.
    WorkingSet,
    /// None: the best case of every algorithm.
    None,
    /// Every page at the worst moment: all are dirty at the start, a page is written to as soon as it has been copied
    /// or written back at the source, and after the resume the process writes to one page after the other as fast as
    /// it can.
    All,
}

/// A share of a whole, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

/// Not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a share from 0 to 1, such as 0.5 or 50%")]
pub struct ShareError;

/// Why a setup cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// There is no page.
    #[error("an address space of {memory_bytes} bytes in pages of {page_size_bytes} bytes has no page")]
    NoPage {
        /// Bytes of the address space.
        memory_bytes: u64,
        /// Bytes of a page.
        page_size_bytes: u64,
    },
    /// There are more pages than the endpoints take.
    #[error("{pages} pages, at most {PAGE_COUNT_MAX} can be moved")]
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
}

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A half.
    pub const HALF: Self = Self(Self::WHOLE / 2);
    /// Everything.
    pub const ALL: Self = Self(Self::WHOLE);

    const WHOLE: u32 = 1_000_000;

    /// The share closest to this number.
    ///
    /// # Errors
    /// It is not from 0 to 1.
    pub fn new(share: f64) -> Result<Self, ShareError> {
        let possible = (0.0..=1.0).contains(&share);
        possible.then_some(Self((share * f64::from(Self::WHOLE)).round() as u32)).ok_or(ShareError)
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

    /// True in so many cases.
    pub(super) fn falls(self, random: &mut Random) -> bool {
        random.below(u64::from(Self::WHOLE)) < u64::from(self.0)
    }
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let (number, divisor) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
        number.trim().parse::<f64>().map_err(|_| ShareError).and_then(|number| Self::new(number / divisor))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl Setup {
    /// The setting of the published tables: one set of constants for all of them, read off the published numbers.
    ///
    /// 2560 pages take 776 ms on the link; the state without pages takes 4.2 ms on it, and 4.5 ms with the three
    /// latencies of the hand-over; the send buffer takes 48 ms to drain; each request idles the link for 0.205 ms; the
    /// process does an access every 0.34 ms, of which half write.
    pub fn published(policy: Policy) -> Self {
        Self {
            policy,
            memory_bytes: 10 << 20,
            page_size_bytes: 4096,
            mapped_share: Share::HALF,
            dirty_share: Share::HALF,
            workload: Workload::Uniform,
            access_interval_ns: 340_000,
            write_share: Share::HALF,
            accesses_min: 10_000,
            bandwidth_bits_per_s: 109_180_000,
            latency_ns: 100_000,
            send_buffer_bytes: 640 << 10,
            state_bytes: 56_600,
            request_pause_ns: 205_000,
            seed: 1,
        }
    }

    /// Number of pages of the address space.
    ///
    /// # Errors
    /// There is none, there are too many, or something else keeps the migration from being simulated.
    pub fn page_count(&self) -> Result<u64, SetupError> {
        let &Self { memory_bytes, page_size_bytes, .. } = self;
        match memory_bytes.div_ceil(page_size_bytes.max(1)) {
            _ if self.bandwidth_bits_per_s == 0 => Err(SetupError::NoBandwidth),
            _ if self.access_interval_ns == 0 => Err(SetupError::NoInterval),
            pages if pages == 0 || page_size_bytes == 0 => {
                Err(SetupError::NoPage { memory_bytes, page_size_bytes })
            }
            pages if pages > PAGE_COUNT_MAX => Err(SetupError::TooManyPages { pages }),
            pages => Ok(pages),
        }
    }

    /// The address space as it was loaded: file-mapped pages, then private ones.
    pub(super) fn image(&self) -> Result<Image, SetupError> {
        let pages = self.page_count()?;
        Ok(Image::blank(pages, self.mapped_share.of(pages)))
    }

    /// How often the process writes, in accesses a second; `None` where it writes as fast as pages are sent.
    pub fn writes_per_s(&self) -> Option<f64> {
        match self.workload {
            Workload::None => Some(0.0),
            Workload::All => None,
            _ => Some(self.write_share.as_f64() * 1e9 / self.access_interval_ns as f64),
        }
    }

    /// How many page messages leave an interface in a second.
    pub fn pages_per_s(&self) -> f64 {
        let bytes = super::CONTENT_MESSAGE_OVERHEAD_BYTES + self.page_size_bytes;
        self.bandwidth_bits_per_s as f64 / (bytes as f64 * 8.0)
    }
}

impl Workload {
    /// In which order pages are touched, where that is left to a pattern.
    pub(super) fn pattern(self, pages: u64) -> Option<Pattern> {
        match self {
            Self::Uniform => Some(Pattern::Uniform),
            Self::Sequential => Some(Pattern::Sequential),
            Self::Zipf => Some(Pattern::Zipf),
            Self::WorkingSet => {
                let window = pages.div_ceil(16);
                Some(Pattern::WorkingSet { pages: window, dwell: 2 * window })
            }
            Self::None | Self::All => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_numbers_and_percentages() {
        assert_eq!("0.5".parse(), Ok(Share::HALF));
        assert_eq!("100%".parse(), Ok(Share::ALL));
        assert_eq!("0".parse(), Ok(Share::NONE));
        for wrong in ["", "half", "-0.1", "1.1", "101%", "NaN", "0,5"] {
            assert_eq!(wrong.parse::<Share>(), Err(ShareError), "{wrong}");
        }
        assert_eq!((Share::HALF.of(5), Share::NONE.of(7), Share::ALL.of(u64::MAX)), (3, 0, u64::MAX));
    }

    #[test]
    fn a_share_falls_as_often_as_it_says() {
        let mut random = Random::new(1);
        let share = Share::new(0.3).expect("a share");
        let count = (0..10_000).filter(|_| share.falls(&mut random)).count();
        assert!((2800..3200).contains(&count), "{count}");
        assert!((0..100).all(|_| Share::ALL.falls(&mut random) && !Share::NONE.falls(&mut random)));
    }
}
