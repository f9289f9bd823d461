//! A host whose memory fails says so, stops the process and does nothing more.

use std::sync::Arc;

use protocol::error::{Error, LocalFault};
use protocol::host::{Host, Role};
use protocol::memory::{Fault, Memory, MemoryError, PageStore};
use protocol::page::{Image, PageBytes, PageKind};
use protocol::policy::Policy;
use protocol::wire::Message;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const PAGE: PageNumber = PageNumber(0);
const BROKEN: MemoryError = MemoryError::Absent(PAGE);

/// Memory that can be read and written, but no page goes in or comes out.
#[derive(Clone, Debug)]
struct Broken(PageStore);

impl Memory for Broken {
    fn page_count(&self) -> u64 {
        self.0.page_count()
    }
    fn is_present(&self, page: PageNumber) -> bool {
        self.0.is_present(page)
    }
    fn is_written(&self, page: PageNumber) -> bool {
        self.0.is_written(page)
    }
    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        self.0.take_written(page)
    }
    fn copy_out(&self, _: PageNumber) -> Result<PageBytes, MemoryError> {
        Err(BROKEN)
    }
    fn install(&mut self, _: PageNumber, _: &PageBytes) -> Result<(), MemoryError> {
        Err(BROKEN)
    }
    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.0.discard(page)
    }
    fn freeze(&mut self) {
        self.0.freeze();
    }
    fn thaw(&mut self) {
        self.0.thaw();
    }
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        self.0.read(page, offset, into)
    }
    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.0.write(page, offset, bytes)
    }
}

fn image() -> Arc<Image> {
    Arc::new(Image::new([(PageKind::Private, PageBytes::zeroed())]))
}

fn assert_failed(host: &mut Host<Broken>) {
    let fault = LocalFault::Memory(BROKEN);
    assert_eq!(*host.role(), Role::Failed(fault));
    let failed = Err(Error::LocalFault(LocalFault::Failed));
    assert_eq!(host.handle_message(Place::Host(A), Epoch(1), &Message::Go).map(|_| ()), failed);
    assert_eq!((host.fault(PAGE), host.exit()), (failed.clone(), failed));
    assert_eq!(host.write(PAGE, 0, b"x"), Err(Fault::Frozen), "the process goes no further");
    assert!(host.tasks().next().is_none() && !host.is_running());
    assert_eq!(host.poll_message(), None);
}

#[test]
fn a_source_that_cannot_read_its_memory_fails() {
    let image = image();
    let memory = Broken(PageStore::loaded(&image));
    let mut host = Host::occupied(A, Policy::PRE_COPY, image, memory).unwrap();
    host.start_migration(B).unwrap();
    assert_eq!(host.perform_next(), Err(Error::LocalFault(LocalFault::Memory(BROKEN))));
    assert_failed(&mut host);
}

#[test]
fn a_destination_that_cannot_write_its_memory_fails() {
    let image = image();
    let memory = Broken(PageStore::vacant(1));
    let mut host = Host::vacant(B, Policy::PRE_COPY, image, memory).unwrap();
    host.expect_migration(A, Epoch(1)).unwrap();
    let page = Message::Page { page: PAGE, sequence: Sequence(1), content: PageBytes::zeroed() };
    let result = host.handle_message(Place::Host(A), Epoch(1), &page);
    assert_eq!(result, Err(Error::LocalFault(LocalFault::Memory(BROKEN))));
    assert_failed(&mut host);
}

#[test]
fn commands_that_make_no_sense_are_refused() {
    let mut a = Host::with_process(A, Policy::POST_COPY, image()).unwrap();
    let mut b = Host::without_process(B, Policy::POST_COPY, image()).unwrap();
    assert!(a.start_migration(A).is_err(), "to itself");
    assert!(b.start_migration(A).is_err(), "the process is not here");
    assert!(a.expect_migration(B, Epoch(1)).is_err(), "the process is here");
    assert!(b.expect_migration(B, Epoch(1)).is_err(), "from itself");
    assert!(b.expect_migration(A, Epoch(0)).is_err(), "not later than the last");
    assert!(a.suspend(Default::default()).is_err(), "not on its way");
    assert!(a.fault(PAGE).is_err(), "not missing");
    assert!(b.exit().is_err() && b.fault(PAGE).is_err(), "the process is not here");
    assert_eq!((a.poll_message(), a.poll_event(), b.poll_event()), (None, None, None));
    a.exit().unwrap();
    assert!(a.exit().is_err() && a.start_migration(B).is_err(), "it has exited");
}
