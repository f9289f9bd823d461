//! What a file server keeps of one session: the endpoint, the files behind it, the journal of versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::file_server::FileServer;
use protocol::page::{PAGE_SIZE, PageBytes};
use protocol::wire::{Envelope, Frame, Message};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use steplog::event::{Event, Step};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Version};

use crate::aside::SessionId;
use crate::layout::{AddressSpaceLayout, ContentOrigin, LayoutError};

/// Where the server keeps what is not one of the files it serves.
const OWN_DIRECTORY: &str = ".sojourn";

/// Bytes of a note in the journal: page, version, CRC-32 of both.
const NOTE_LEN: usize = 20;

/// One session of a file server.
pub struct Session {
    layout: AddressSpaceLayout,
    server: FileServer,
    /// Where each run of stored pages is: first page, number of pages, file, offset, bytes within the file.
    extents: Vec<Extent>,
    /// The pages that are of no file.
    swap: File,
    journal: File,
    closed: bool,
}

struct Extent {
    first: u64,
    pages: u64,
    file: File,
    offset: u64,
    len: u64,
}

/// How a session came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is new.
    New,
    /// The server was restarted; so many notes were in its journal.
    Restored(usize),
}

/// Why a session cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The pages cannot be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The session is known with other pages.
    #[error("the session has other pages")]
    OtherLayout,
    /// There are too many sessions.
    #[error("there are {0} sessions already")]
    TooMany(usize),
    /// A file cannot be opened.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Session {
    /// Opens a session, with what a server before this one has kept of it.
    ///
    /// # Errors
    /// A file cannot be opened, or leads out of the root.
    pub fn open(root: &Path, id: SessionId, layout: &AddressSpaceLayout) -> Result<Self, SessionError> {
        layout.check()?;
        let own = root.join(OWN_DIRECTORY).join(id.to_string());
        fs::create_dir_all(&own).map_err(fails(&own))?;
        let extents = open_extents(root, layout)?;
        let swap = open_own(&own.join("pages"))?;
        let mut journal = open_own(&own.join("journal"))?;
        let mut notes = Vec::new();
        journal.read_to_end(&mut notes).map_err(fails(&own))?;
        // Pages of zeroes, most of which nobody has ever written to, are one and the same.
        let read = |page: PageNumber| {
            let content = read_page(&extents, &swap, page).ok()?;
            content.as_slice().iter().any(|byte| *byte != 0).then_some(content)
        };
        let image = layout.image(|page, _, _| read(page));
        let mut server = FileServer::new(&image);
        let versions = versions(&notes);
        for (&page, &version) in &versions {
            let content = image.content(page).cloned().unwrap_or_else(PageBytes::zeroed);
            let message = Message::WriteBack { page, version, content };
            // A note about a page that there is not is of another layout, and no harm.
            let _ = server.handle_message(HostId(0).into(), Epoch(0), &message);
            while server.poll_message().is_some() || server.poll_event().is_some() {}
        }
        let opening = if versions.is_empty() { Opening::New } else { Opening::Restored(versions.len()) };
        tracing::info!(session = %id, ?opening, "session opened");
        Ok(Self { layout: layout.clone(), server, extents, swap, journal, closed: false })
    }

    /// Whether these are its pages.
    ///
    /// # Errors
    /// They are not.
    pub fn check(&self, layout: &AddressSpaceLayout) -> Result<(), SessionError> {
        if *layout == self.layout { Ok(()) } else { Err(SessionError::OtherLayout) }
    }

    /// Nothing is handled from now on, as if it had never arrived.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Handles what has arrived together: all of it is durable before any of it is answered. What could not be made
    /// durable is not answered, as if it had never arrived.
    pub fn handle(&mut self, from: Place, frames: &[Frame]) -> (Vec<Step>, Vec<Envelope>) {
        let (mut stored, mut answers, mut steps) = (BTreeMap::new(), Vec::new(), Vec::new());
        let frames = if self.closed { &[] } else { frames };
        for Frame { epoch, message } in frames {
            if let Err(error) = self.server.handle_message(from, *epoch, message) {
                tracing::warn!(%error, "refused");
                continue;
            }
            while let Some((epoch, event)) = self.server.poll_event() {
                if let Event::WriteBackStored { page, version, .. } = event {
                    stored.insert(page, version);
                }
                let at_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
                let at_ns = u64::try_from(at_ns).unwrap_or(u64::MAX);
                steps.push(Step { at_ns, place: Place::FileServer, epoch, event });
            }
            answers.extend(std::iter::from_fn(|| self.server.poll_message()));
        }
        if let Err(error) = self.keep(&stored) {
            tracing::error!(%error, "write-backs could not be made durable; nobody is told that they are");
            let told = |message: &Message| {
                matches!(message, Message::WriteBackDone { .. } | Message::VersionTold { .. })
            };
            answers.retain(|answer| !told(&answer.message));
        }
        (steps, answers)
    }

    fn keep(&mut self, stored: &BTreeMap<PageNumber, Version>) -> io::Result<()> {
        if stored.is_empty() {
            return Ok(());
        }
        let (mut touched, mut swapped, mut notes) = (BTreeSet::new(), false, Vec::new());
        for (&page, &version) in stored {
            let Some(content) = self.server.stored(page).map(|stored| stored.content.clone()) else {
                continue;
            };
            match extent_of(&self.extents, page) {
                Some((at, extent)) => {
                    let (offset, within) = extent.place(page);
                    extent.file.write_all_at(&content.as_slice()[..within], offset)?;
                    touched.insert(at);
                }
                None => {
                    self.swap.write_all_at(content.as_slice(), page.0 * PAGE_SIZE as u64)?;
                    swapped = true;
                }
            }
            notes.extend_from_slice(&note(page, version));
        }
        for at in touched {
            self.extents[at].file.sync_data()?;
        }
        if swapped {
            self.swap.sync_data()?;
        }
        self.journal.write_all(&notes)?;
        self.journal.sync_data()
    }
}

impl Extent {
    /// Where in the file a page is, and how many of its bytes are within the file.
    fn place(&self, page: PageNumber) -> (u64, usize) {
        let at = (page.0 - self.first) * PAGE_SIZE as u64;
        let within = self.len.saturating_sub(at).min(PAGE_SIZE as u64);
        (self.offset + at, usize::try_from(within).unwrap_or(0))
    }
}

fn extent_of(extents: &[Extent], page: PageNumber) -> Option<(usize, &Extent)> {
    let at = extents.partition_point(|extent| extent.first <= page.0).checked_sub(1)?;
    let extent = &extents[at];
    (page.0 - extent.first < extent.pages).then_some((at, extent))
}

fn read_page(extents: &[Extent], swap: &File, page: PageNumber) -> io::Result<PageBytes> {
    let mut content = [0; PAGE_SIZE];
    let (file, offset, len) = match extent_of(extents, page) {
        Some((_, extent)) => {
            let (offset, within) = extent.place(page);
            (&extent.file, offset, within)
        }
        None => (swap, page.0 * PAGE_SIZE as u64, PAGE_SIZE),
    };
    let mut read = 0;
    while read < len {
        match file.read_at(&mut content[read..len], offset + read as u64)? {
            0 => break,
            count => read += count,
        }
    }
    Ok(PageBytes::from(content))
}

/// Opens the files behind stored pages. No path leads out of the root, whatever links there are.
fn open_extents(root: &Path, layout: &AddressSpaceLayout) -> Result<Vec<Extent>, SessionError> {
    let directory = File::open(root).map_err(fails(root))?;
    let mut extents = Vec::new();
    for (first, run) in layout.numbered() {
        let ContentOrigin::Stored { path, offset, len } = &run.origin else { continue };
        make_directories(&directory, path).map_err(|error| fails(&root.join(path))(error.into()))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let opened = openat2(&directory, path, flags, Mode::RUSR | Mode::WUSR, resolve);
        let file = File::from(opened.map_err(|error| fails(&root.join(path))(error.into()))?);
        extents.push(Extent { first, pages: run.pages, file, offset: *offset, len: *len });
    }
    Ok(extents)
}

/// Makes the directories that a file is to be in; no way there leads out of the root either.
fn make_directories(root: &File, path: &str) -> rustix::io::Result<()> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut above = Path::new(".").to_owned();
    let Some(directory) = Path::new(path).parent() else { return Ok(()) };
    for name in directory.components() {
        let parent = openat2(root, &above, flags, Mode::empty(), resolve)?;
        above.push(name);
        match openat2(root, &above, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::NOENT) => rustix::fs::mkdirat(parent, name.as_os_str(), Mode::RWXU)?,
            found => drop(found?),
        }
    }
    Ok(())
}

fn open_own(path: &Path) -> Result<File, SessionError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    if path.ends_with("journal") {
        options.append(true);
    }
    options.open(path).map_err(fails(path))
}

fn fails(path: &Path) -> impl Fn(io::Error) -> SessionError {
    let path = path.to_owned();
    move |error| SessionError::File { path: path.clone(), error }
}

fn note(page: PageNumber, version: Version) -> [u8; NOTE_LEN] {
    let mut note = [0; NOTE_LEN];
    note[..8].copy_from_slice(&page.0.to_le_bytes());
    note[8..16].copy_from_slice(&version.0.to_le_bytes());
    let checksum = crc32fast::hash(&note[..16]);
    note[16..].copy_from_slice(&checksum.to_le_bytes());
    note
}

/// The versions that a journal notes. It ends at the first note that was not written whole.
fn versions(journal: &[u8]) -> BTreeMap<PageNumber, Version> {
    let (notes, _) = journal.as_chunks::<NOTE_LEN>();
    let parsed = notes.iter().map_while(|note| {
        let number =
            |at: usize| note[at..at + 8].iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
        (crc32fast::hash(&note[..16]).to_le_bytes() == note[16..])
            .then(|| (PageNumber(number(0)), Version(number(8))))
    });
    let mut versions = BTreeMap::new();
    for (page, version) in parsed {
        let held = versions.entry(page).or_insert(version);
        *held = version.max(*held);
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_back(page: u64, version: u64, byte: u8) -> Frame {
        let content = PageBytes::from([byte; PAGE_SIZE]);
        let message = Message::WriteBack { page: PageNumber(page), version: Version(version), content };
        Frame { epoch: Epoch(1), message }
    }

    fn fetch(session: &mut Session, page: u64) -> (u64, u8) {
        let frame = Frame { epoch: Epoch(1), message: Message::Fetch { page: PageNumber(page) } };
        let (_, answers) = session.handle(HostId(1).into(), &[frame]);
        match &answers[..] {
            [Envelope { message: Message::Fetched { version, content, .. }, .. }] => {
                (version.0, content.as_slice()[0])
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_restarted_server_has_what_it_acknowledged() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("data"), [9; 6000]).unwrap();
        let mut layout = AddressSpaceLayout::plain(4, 2, "data");
        let ContentOrigin::Stored { len, .. } = &mut layout.runs[0].origin else { panic!() };
        *len = 6000;
        let mut session = Session::open(root.path(), SessionId(5), &layout).unwrap();
        assert_eq!(fetch(&mut session, 0), (0, 9));
        let (steps, answers) = session
            .handle(HostId(0).into(), &[write_back(1, 1, 3), write_back(2, 4, 5), write_back(2, 2, 6)]);
        assert_eq!((steps.len(), answers.len()), (3, 3));
        drop(session);
        let file = fs::read(root.path().join("data")).unwrap();
        assert_eq!((file.len(), file[4095], file[4096], file[5999]), (6000, 9, 3, 3));
        let mut session = Session::open(root.path(), SessionId(5), &layout).unwrap();
        assert_eq!(fetch(&mut session, 1), (1, 3));
        assert_eq!(fetch(&mut session, 2), (4, 5));
        assert_eq!(fetch(&mut session, 3), (0, 0));
        assert!(matches!(
            session.check(&AddressSpaceLayout::plain(4, 1, "data")),
            Err(SessionError::OtherLayout)
        ));
    }

    #[test]
    fn a_closed_session_does_nothing_more() {
        let root = tempfile::tempdir().unwrap();
        let mut session =
            Session::open(root.path(), SessionId(5), &AddressSpaceLayout::plain(4, 2, "data")).unwrap();
        session.close();
        let (steps, answers) = session.handle(HostId(0).into(), &[write_back(1, 1, 3)]);
        assert_eq!((steps.len(), answers.len()), (0, 0));
        let mut session =
            Session::open(root.path(), SessionId(5), &AddressSpaceLayout::plain(4, 2, "data")).unwrap();
        assert_eq!(fetch(&mut session, 1), (0, 0));
    }

    #[test]
    fn a_note_that_was_not_written_whole_ends_the_journal() {
        let notes = [
            note(PageNumber(1), Version(2)),
            note(PageNumber(2), Version(1)),
            note(PageNumber(1), Version(3)),
        ];
        let mut journal = notes.concat();
        assert_eq!(versions(&journal)[&PageNumber(1)], Version(3));
        journal[45] ^= 1;
        assert_eq!(
            versions(&journal[..59]),
            BTreeMap::from([(PageNumber(1), Version(2)), (PageNumber(2), Version(1))])
        );
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let (outside, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("way-out")).unwrap();
        let opened =
            Session::open(root.path(), SessionId(1), &AddressSpaceLayout::plain(1, 1, "way-out/file"));
        assert!(matches!(opened, Err(SessionError::File { .. })));
        assert!(!outside.path().join("file").exists());
        let opened = Session::open(
            root.path(),
            SessionId(1),
            &AddressSpaceLayout::plain(1, 1, "way-out/further/file"),
        );
        assert!(matches!(opened, Err(SessionError::File { .. })));
        assert!(!outside.path().join("further").exists());
    }

    #[test]
    fn a_file_gets_the_directories_that_it_is_in() {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            Session::open(root.path(), SessionId(1), &AddressSpaceLayout::plain(1, 1, "far/away/file"))
                .unwrap();
        }
        assert!(root.path().join("far/away/file").exists());
    }
}
