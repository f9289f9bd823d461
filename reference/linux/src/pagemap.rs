//! `PAGEMAP_SCAN`: which pages are there, and which were written since they were last taken.

use std::ffi::c_void;
use std::fs::File;

use linux_raw_sys::general::{
    self as raw, PAGE_IS_FILE, PAGE_IS_PFNZERO, PAGE_IS_PRESENT, PAGE_IS_SWAPPED, PAGE_IS_WRITTEN,
    page_region, pm_scan_arg,
};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};
use crate::range::{AddressRange, PAGE_SIZE};

/// What is behind the addresses of a page right now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageState {
    /// Memory of the process: anonymous, or its own copy of a page of a file.
    Own,
    /// The page cache's page of the mapped file (or of shared memory).
    OfFile,
    /// Read but never written anonymous memory.
    Zero,
}

/// Consecutive pages of one state. What no run covers was never touched: zero, or as in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PagemapRun {
    /// Where.
    pub range: AddressRange,
    /// Since the last take, as far as the kernel was told to note it.
    pub written: bool,
    /// What is there.
    pub state: PageState,
}

/// `/proc/PID/pagemap`.
#[derive(Debug)]
pub(crate) struct Pagemap(File);

const RUNS: usize = 512;
const PRESENT: u64 = (PAGE_IS_PRESENT | PAGE_IS_SWAPPED) as u64;

impl Pagemap {
    pub(crate) fn open(pid: &str) -> Result<Self> {
        let path = format!("/proc/{pid}/pagemap");
        Ok(Self(File::open(&path).doing(|| format!("open {path}"))?))
    }

    /// Every page in `range` that is there. In shared mappings what looks swapped out is a mark that the page is protected: nothing is there;
    /// elsewhere it is (or may be) a page of the process.
    pub(crate) fn population(
        &self,
        range: AddressRange,
        swapped_too: bool,
        into: &mut Vec<PagemapRun>,
    ) -> Result<()> {
        let request = pm_scan_arg {
            category_anyof_mask: if swapped_too { PRESENT } else { u64::from(PAGE_IS_PRESENT) },
            return_mask: u64::from(
                PAGE_IS_WRITTEN | PAGE_IS_FILE | PAGE_IS_PFNZERO | PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            ),
            ..scan(range, 0)
        };
        self.scan(request, |region| {
            into.extend(understood(region));
        })
    }

    /// Every page in `range` written since the last take (or since it was covered), in order.
    pub(crate) fn written(&self, range: AddressRange, into: &mut Vec<AddressRange>) -> Result<()> {
        let written = u64::from(PAGE_IS_WRITTEN);
        self.scan(
            pm_scan_arg {
                category_mask: written,
                category_anyof_mask: PRESENT,
                return_mask: written,
                ..scan(range, 0)
            },
            |region| {
                push(into, AddressRange::new(region.start, region.end));
            },
        )
    }

    /// The same, and from then on they count as not written, in one step for each page.
    pub(crate) fn take_written(&self, range: AddressRange, into: &mut Vec<AddressRange>) -> Result<()> {
        let written = u64::from(PAGE_IS_WRITTEN);
        let request = pm_scan_arg {
            category_mask: written,
            category_anyof_mask: PRESENT,
            return_mask: written,
            ..scan(range, u64::from(raw::PM_SCAN_WP_MATCHING))
        };
        self.scan(request, |region| push(into, AddressRange::new(region.start, region.end)))
    }

    fn scan(&self, mut request: pm_scan_arg, mut each: impl FnMut(&page_region)) -> Result<()> {
        let mut regions = [page_region { start: 0, end: 0, categories: 0 }; RUNS];
        while request.start < request.end {
            request.vec = regions.as_mut_ptr() as u64;
            request.vec_len = RUNS as u64;
            // SAFETY: the kernel reads and fills one `pm_scan_arg`, and writes at most `vec_len` regions at `vec`.
            let count = unsafe { ioctl(&self.0, Scan(&mut request)) }
                .doing(|| format!("scan the page map from {:x} to {:x}", request.start, request.end))?;
            regions[..count.min(RUNS)].iter().for_each(&mut each);
            request.start = request.walk_end;
        }
        Ok(())
    }
}

fn scan(range: AddressRange, flags: u64) -> pm_scan_arg {
    pm_scan_arg {
        size: size_of::<pm_scan_arg>() as u64,
        flags,
        start: range.start,
        end: range.end,
        walk_end: 0,
        vec: 0,
        vec_len: 0,
        max_pages: 0,
        category_inverted: 0,
        category_mask: 0,
        category_anyof_mask: 0,
        return_mask: 0,
    }
}

fn understood(region: &page_region) -> Option<PagemapRun> {
    let has = |bit: u32| region.categories & u64::from(bit) != 0;
    let state = if has(PAGE_IS_PFNZERO) {
        PageState::Zero
    } else if has(PAGE_IS_FILE) {
        PageState::OfFile
    } else {
        PageState::Own
    };
    Some(PagemapRun {
        range: AddressRange::new(region.start, region.end),
        written: has(PAGE_IS_WRITTEN),
        state,
    })
    .filter(|_| has(PAGE_IS_PRESENT) || has(PAGE_IS_SWAPPED))
}

/// Appends a range, joined with the last one where they touch.
pub(crate) fn push(ranges: &mut Vec<AddressRange>, range: AddressRange) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}

struct Scan<'a>(&'a mut pm_scan_arg);

/// `_IOWR('f', 16, struct pm_scan_arg)`
const PAGEMAP_SCAN: Opcode = 0xc060_6610;

// SAFETY: the request takes a pointer to a `pm_scan_arg`, which it reads and writes, and answers with a count.
unsafe impl Ioctl for Scan<'_> {
    type Output = usize;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        PAGEMAP_SCAN
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        Ok(output as usize)
    }
}

const _: () = assert!(size_of::<pm_scan_arg>() == 96 && PAGE_SIZE == 4096);
