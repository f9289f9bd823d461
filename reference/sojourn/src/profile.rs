//! How a running process uses its memory, measured without moving it: what a prediction needs to know.
//!
//! Writes are noted as for a migration, from one moment on, and counted after growing times: the curve of different pages.
//! The process is stopped once, for a fraction of a millisecond.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use linux::inventory::{Mapping, MemoryKind};
use linux::pagemap::{PageState, PagemapRun};
use linux::plan::{FileChoices, backing};
use linux::source::TrackedProcess;
use linux::{AddressRange, LinuxError, PAGE_SIZE};
use serde::Serialize;

/// When pages are counted first; then after half as long again each time.
const FIRST: Duration = Duration::from_millis(20);

/// Pages that are read to see how many are all zero; of more, some are read.
const READ_MAX: u64 = 1 << 16;

/// A process as it was measured: the workload file of `checker simulate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessProfile {
    /// Pages that are there and move; those of programs and libraries do not, where nobody has written them.
    pub pages: u64,
    /// Bytes of one.
    pub page_size_bytes: u64,
    /// Those of files that are mapped shared.
    pub file_mapped_pages: u64,
    /// Those that are all zero, as far as they were read.
    pub zero_pages: u64,
    /// Those that are the process's own, and not as in a file.
    pub modified_pages: u64,
    /// Those of files that are mapped shared that the file server is not known to have: all of them, since no host knows what it has
    /// before it has written a page back.
    pub unsaved_pages: u64,
    /// Different pages written and used, against time.
    pub curve: Vec<WrittenWithin>,
}

/// Different pages that were written within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WrittenWithin {
    /// The time, in nanoseconds.
    pub after_ns: u64,
    /// How many.
    pub written: u64,
    /// How many were written or read; `None` where the kernel does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched: Option<u64>,
    /// Where those that were written are on average, in order of address: 0 at the beginning, 1000 at the end; `None` where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_permille: Option<u64>,
}

impl ProcessProfile {
    /// As a workload file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

/// Measures a process for so long.
///
/// # Errors
/// It is gone, may not be looked at, or the kernel cannot note writes.
pub fn measure(pid: i32, time: Duration) -> Result<ProcessProfile, LinuxError> {
    let mut source = TrackedProcess::open(pid)?;
    source.track()?;
    // Everything counts as written until it is taken for the first time.
    source.take_written()?;
    let marks = ReferenceMarks::cleared(pid, &source.inventory()?.mappings);
    let began = Instant::now();
    let mut curve: Vec<WrittenWithin> = Vec::new();
    let mut seen: Vec<Vec<AddressRange>> = Vec::new();
    let mut next = FIRST;
    loop {
        std::thread::sleep(next.min(time).saturating_sub(began.elapsed()));
        let after = began.elapsed();
        let ranges = source.written()?;
        let counted = pages(ranges.iter().copied());
        // A page that the process has given up is no longer counted; it has been written all the same.
        let written = counted.max(curve.last().map_or(0, |point| point.written));
        let before = curve.last().and_then(|point| point.touched).unwrap_or(0);
        let touched = marks.as_ref().and_then(ReferenceMarks::count);
        let touched = touched.map(|touched| touched.max(before).max(written));
        let after_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        curve.push(WrittenWithin { after_ns, written, touched, place_permille: None });
        seen.push(ranges);
        if after >= time {
            break;
        }
        next = next.mul_f64(1.5);
    }
    source.untrack();
    let mut all = 0;
    let of_state = |state: PageState, runs: &[PagemapRun]| {
        pages(runs.iter().filter(|run| run.state == state).map(|run| run.range))
    };
    let mut file_mapped_pages = 0;
    let mut runs = Vec::new();
    let mut places = Vec::new();
    for mapping in &travelling(&source.inventory()?.mappings) {
        let here = source.population_of(mapping)?;
        if is_shared_file(mapping) {
            // All of it moves, whether the process has looked at it or not.
            let count = pages([mapping.range].into_iter());
            file_mapped_pages += count;
            all += count;
            places.push(mapping.range);
        } else {
            all += pages(here.iter().map(|run| run.range));
            places.extend(here.iter().map(|run| run.range));
        }
        runs.extend(here);
    }
    for (point, ranges) in curve.iter_mut().zip(&seen) {
        point.place_permille = place_permille(ranges, &places);
    }
    let (own, zero) = (of_state(PageState::Own, &runs), of_state(PageState::Zero, &runs));
    let used = curve.last().map_or(0, |point| point.touched.unwrap_or(point.written));
    Ok(ProcessProfile {
        pages: all.max(used),
        page_size_bytes: PAGE_SIZE,
        file_mapped_pages,
        zero_pages: zero + own_zero(&source, &runs, own),
        modified_pages: own,
        unsaved_pages: file_mapped_pages,
        curve,
    })
}

/// The mappings whose pages move. Those of programs and libraries that nobody has written do not, where the destination has
/// the same files, as it is taken to have.
fn travelling(mappings: &[Mapping]) -> Vec<Mapping> {
    let files = FileChoices::same_file_system();
    let travels = |mapping: &&Mapping| is_shared_file(mapping) || backing(mapping, &files).is_installed();
    mappings.iter().filter(travels).cloned().collect()
}

fn is_shared_file(mapping: &Mapping) -> bool {
    mapping.memory_kind() == Some(MemoryKind::SharedFile)
}

/// The kernel's marks of pages that were used, which it takes for all of a process at once. What it forgets to mark, since the
/// processor still knows the page, is counted later or not at all: a little too few.
struct ReferenceMarks {
    smaps: PathBuf,
    travelling: Vec<AddressRange>,
}

impl ReferenceMarks {
    /// None is marked from now on. `None` where the kernel cannot.
    fn cleared(pid: i32, mappings: &[Mapping]) -> Option<Self> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        fs::write(process.join("clear_refs"), "1").ok()?;
        let travelling = travelling(mappings).into_iter().map(|mapping| mapping.range).collect();
        Some(Self { smaps: process.join("smaps"), travelling })
    }

    /// Pages that are marked, of mappings that move.
    fn count(&self) -> Option<u64> {
        let smaps = fs::read_to_string(&self.smaps).ok()?;
        Some(referenced_pages(&smaps, |range| {
            self.travelling.iter().any(|other| other.intersection(range).is_some())
        }))
    }
}

/// Adds up lines such as `Referenced:         1234 kB`, each of which belongs to the range of the heading before it.
fn referenced_pages(smaps: &str, counts: impl Fn(AddressRange) -> bool) -> u64 {
    let (mut counted, mut kilobytes) = (false, 0u64);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).unwrap_or(0);
            counted = counts(AddressRange::new(address(start), address(end)));
        } else if counted && first == "Referenced:" {
            kilobytes += words.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        }
    }
    kilobytes * 1024 / PAGE_SIZE
}

fn pages(ranges: impl Iterator<Item = AddressRange>) -> u64 {
    ranges.map(|range| range.len() / PAGE_SIZE).sum()
}

/// How many of the process's own pages are all zero, by those that are read.
fn own_zero(source: &TrackedProcess, runs: &[PagemapRun], own: u64) -> u64 {
    let every = own.div_ceil(READ_MAX).max(1);
    let own_pages = runs.iter().filter(|run| run.state == PageState::Own).flat_map(|run| run.range.pages());
    let mut bytes = [0; PAGE_SIZE as usize];
    let (mut read, mut zero) = (0u64, 0u64);
    for page in own_pages.step_by(usize::try_from(every).unwrap_or(usize::MAX)) {
        if source.read(page * PAGE_SIZE, &mut bytes).is_ok() {
            read += 1;
            zero += u64::from(bytes.iter().all(|byte| *byte == 0));
        }
    }
    if read == 0 { 0 } else { (u128::from(own) * u128::from(zero) / u128::from(read)) as u64 }
}

/// Where the pages of some ranges are on average among those of others, both sorted.
fn place_permille(ranges: &[AddressRange], among: &[AddressRange]) -> Option<u64> {
    let (mut before, mut count, mut sum) = (0u64, 0u64, 0u128);
    for place in among {
        let behind = ranges.partition_point(|range| range.end <= place.start);
        for part in ranges[behind..].iter().map_while(|range| range.intersection(*place)) {
            let first = before + (part.start - place.start) / PAGE_SIZE;
            let pages = part.len() / PAGE_SIZE;
            count += pages;
            // The sum of twice the ranks.
            sum += u128::from(pages) * u128::from(2 * first + pages - 1);
        }
        before += place.len() / PAGE_SIZE;
    }
    let last = before.checked_sub(1).filter(|last| *last > 0 && count > 0)?;
    u64::try_from(sum * 500 / (u128::from(count) * u128::from(last))).ok()
}

#[cfg(test)]
mod tests {
    use linux::inventory::MappingKind;
    use linux::inventory::mapping::{MappedFile, MappingFlags};

    use super::*;

    #[test]
    fn a_place_is_a_rank_among_the_pages_that_there_are() {
        let range = |first: u64, end: u64| AddressRange::new(first * PAGE_SIZE, end * PAGE_SIZE);
        let among = [range(10, 15), range(100, 106)];
        let place = |ranges: &[AddressRange]| place_permille(ranges, &among);
        assert_eq!(place(&[range(10, 11)]), Some(0));
        assert_eq!(place(&[range(105, 106)]), Some(1000));
        assert_eq!(place(&[range(10, 12), range(104, 110)]), Some(500));
        assert_eq!(place(&[range(12, 102)]), Some(400), "2, 3, 4, 5 and 6 of 10");
        assert_eq!((place(&[range(50, 60)]), place(&[])), (None, None));
    }

    #[test]
    fn used_pages_are_those_that_the_kernel_calls_referenced() {
        let smaps = "1000-9000 r-xp 00000000 08:01 7   /bin/cat\nRss:  9 kB\nReferenced:    8 kB\n\
                     9000-f000 rw-p 00000000 00:00 0\nRss:  9 kB\nReferenced:    1234 kB\nAnonymous: 0 kB\n";
        assert_eq!(referenced_pages(smaps, |range| range.start == 0x9000), 308);
        assert_eq!(referenced_pages(smaps, |_| true), 310);
    }

    #[test]
    fn a_file_that_nobody_has_written_moves_only_if_it_is_mapped_shared_or_could_be_written() {
        let mapping = |protection, shared: bool, own_pages: u64| Mapping {
            range: AddressRange::new(0x1000, 0x9000),
            protection,
            shared,
            kind: MappingKind::File(MappedFile {
                path: "/bin/cat".into(),
                deleted: false,
                device: (8, 1),
                inode: 7,
                offset: 0,
                in_memory: false,
                stored: false,
            }),
            flags: MappingFlags::default(),
            own_pages,
        };
        // PROT_READ, and PROT_WRITE with it.
        let (read, written) = (1, 3);
        for (mapping, moves) in [
            (mapping(read, false, 0), false),
            (mapping(read, false, 1), true),
            (mapping(written, false, 0), true),
            (mapping(written, true, 0), true),
        ] {
            assert_eq!(travelling(std::slice::from_ref(&mapping)).len(), usize::from(moves), "{mapping:?}");
        }
    }

    #[test]
    fn a_profile_is_a_workload_file() {
        let point = |touched| WrittenWithin { after_ns: 20, written: 3, touched, place_permille: None };
        let profile = |touched| ProcessProfile {
            pages: 9,
            page_size_bytes: 4096,
            file_mapped_pages: 1,
            zero_pages: 2,
            modified_pages: 4,
            unsaved_pages: 1,
            curve: vec![point(touched)],
        };
        let text = profile(Some(5)).to_toml();
        assert!(text.starts_with("pages = 9\npage-size-bytes = 4096\nfile-mapped-pages = 1\n"), "{text}");
        assert!(text.ends_with("[[curve]]\nafter-ns = 20\nwritten = 3\ntouched = 5\n"), "{text}");
        assert!(!profile(None).to_toml().contains("touched"));
    }
}
