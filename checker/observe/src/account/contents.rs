//! Contents: what the source's memory was when the process was stopped, what was sent, what the destination has.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Account, Place};
use crate::fact::ObserveError;
use crate::input::{Input, InputError};
use crate::qemu::stream::digest;
use crate::report::ObservedProperty;

/// Dumps of the guest's memory, as QMP's `pmemsave` makes them: of the source while the process is stopped there, of
/// the destination before it runs there or at the end.
#[derive(Clone, Debug, Default)]
pub struct Dumps {
    /// Of the source.
    pub source: Option<PathBuf>,
    /// Of the destination.
    pub destination: Option<PathBuf>,
    /// Which block of memory they are of, from its beginning; the largest where it is not said.
    pub block: Option<String>,
}

/// How far contents were compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    pub judged: u64,
    pub left_out: u64,
    pub unjudged: Option<String>,
}

const PAGE_BYTES: usize = 4096;
/// From 640 KiB to 1 MiB the addresses of a PC show devices and firmware instead of its memory, and a dump by address
/// has those.
const LEGACY: std::ops::Range<u32> = 0xa0..0x100;

impl Account<'_> {
    /// Compares dumps with each other and with what was sent, page by page.
    ///
    /// # Errors
    /// A dump cannot be read, or is of no block that the guest has.
    pub fn compare(&mut self, dumps: &Dumps) -> Result<(), ObserveError> {
        let block = match &dumps.block {
            Some(name) => self.layout.block(name),
            None => self.layout.largest().map(|(_, pages)| pages),
        };
        let is_pc = self.layout.block("pc.ram").is_some() && block == self.layout.block("pc.ram");
        let (Some(block), Some(place)) = (block, self.end_place()) else {
            self.compared.unjudged =
                Some("the block of memory that was dumped is not in the recording".to_owned());
            return Ok(());
        };
        let mut source = dumps.source.as_deref().map(Dump::open).transpose()?;
        let mut destination = dumps.destination.as_deref().map(Dump::open).transpose()?;
        if source.is_none() && destination.is_none() {
            return Ok(());
        }
        for page in block.iter() {
            let stopped = next(&mut source)?;
            let arrived = next(&mut destination)?;
            if stopped.is_none() && arrived.is_none() {
                break;
            }
            if is_pc && LEGACY.contains(&(page - block.first)) {
                self.compared.left_out += 1;
                continue;
            }
            self.compare_page(place, page, stopped, arrived);
        }
        let rest = u64::from(self.layout.pages() - block.count);
        if rest > 0 {
            self.compared.left_out += rest;
            self.compared.unjudged.get_or_insert_with(|| {
                "blocks that were not dumped, or are not at their addresses".to_owned()
            });
        }
        Ok(())
    }

    fn compare_page(&mut self, place: Place, page: u32, stopped: Option<u64>, arrived: Option<u64>) {
        let (sent, _) = self.book.digest(page);
        let place = match self.book.last_sent(page) {
            Some(origin) => Place { origin, ..place },
            None => place,
        };
        match (stopped, sent) {
            (Some(stopped), Some(sent)) if stopped != sent => {
                let text =
                    "what was sent last is not what the source had when the process was stopped".to_owned();
                return self.find(ObservedProperty::S1, place, Some(page), text);
            }
            _ => {}
        }
        let ran = self.phase.resumed.is_some();
        match (stopped.or(sent), arrived) {
            (Some(left), Some(arrived)) if left == arrived => self.compared.judged += 1,
            (Some(_), Some(_)) if ran => {
                self.compared.left_out += 1;
                let why = "the process ran at the destination before its memory was dumped";
                self.compared.unjudged = Some(why.to_owned());
            }
            (Some(_), Some(_)) => {
                let text = "the destination has something else in its place than the source had".to_owned();
                self.find(ObservedProperty::S2, place, Some(page), text);
            }
            (Some(_), None) if stopped.is_some() && sent.is_some() => self.compared.judged += 1,
            _ => self.compared.left_out += 1,
        }
    }

    fn end_place(&self) -> Option<Place> {
        self.phase.suspended.or(self.phase.started)
    }
}

/// A dump, page by page.
struct Dump {
    path: PathBuf,
    input: Input<File>,
}

impl Dump {
    fn open(path: &Path) -> Result<Self, ObserveError> {
        let file = File::open(path)
            .map_err(|error| ObserveError::Input { path: path.to_owned(), error: Box::new(error) })?;
        Ok(Self { path: path.to_owned(), input: Input::new(file) })
    }
}

/// The digest of the next page; `None` at the end.
fn next(dump: &mut Option<Dump>) -> Result<Option<u64>, ObserveError> {
    let Some(Dump { path, input }) = dump else { return Ok(None) };
    let mut page = [0; PAGE_BYTES];
    let mut read = || -> Result<Option<u64>, InputError> {
        if input.at_end()? {
            return Ok(None);
        }
        input.exactly(&mut page)?;
        Ok(Some(digest(&page)))
    };
    read().map_err(|error| ObserveError::Input { path: path.clone(), error: Box::new(error) })
}
