//! A host whose memory fails says so, stops the process and does nothing more.

use std::io;
use std::sync::Arc;

use protocol::error::{Error, LocalFault};
use protocol::host::{Host, Role, Suspension, Work};
use protocol::memory::{Accesses, Fault, Memory, MemoryError, PageStore};
use protocol::page::{Image, PageBytes, PageKind};
use protocol::policy::Policy;
use protocol::wire::Message;
use steplog::event::Event;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Place, Sequence};

const A: HostId = HostId(0);
const B: HostId = HostId(1);
const PAGE: PageNumber = PageNumber(0);

/// What a broken memory says, whatever it is asked for.
fn broken() -> MemoryError {
    MemoryError::system("stop a thread", &io::Error::from_raw_os_error(3))
}

/// What cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failing {
    /// Pages do not go in or out.
    Contents,
    Discard,
    Freeze,
    Thaw,
    /// Writes cannot be asked for.
    Marks,
}

/// Memory that can be read and written by the process, but does not do something that the endpoint asks for.
#[derive(Clone, Debug)]
struct Broken {
    store: PageStore,
    failing: Option<Failing>,
}

impl Broken {
    fn check(&self, asked: Failing) -> Result<(), MemoryError> {
        if self.failing == Some(asked) { Err(broken()) } else { Ok(()) }
    }
}

impl Memory for Broken {
    fn page_count(&self) -> u64 {
        self.store.page_count()
    }
    fn is_present(&self, page: PageNumber) -> bool {
        self.store.is_present(page)
    }
    fn is_written(&self, page: PageNumber) -> bool {
        self.failing == Some(Failing::Marks) || self.store.is_written(page)
    }
    fn first_written(&self, from: PageNumber) -> Option<PageNumber> {
        (from.0..self.page_count()).map(PageNumber).find(|&page| self.is_written(page))
    }
    fn take_written(&mut self, page: PageNumber) -> Result<bool, MemoryError> {
        self.check(Failing::Marks)?;
        self.store.take_written(page)
    }
    fn copy_out(&self, page: PageNumber) -> Result<PageBytes, MemoryError> {
        self.check(Failing::Contents)?;
        self.store.copy_out(page)
    }
    fn install(&mut self, page: PageNumber, content: &PageBytes) -> Result<(), MemoryError> {
        self.check(Failing::Contents)?;
        self.store.install(page, content)
    }
    fn discard(&mut self, page: PageNumber) -> Result<(), MemoryError> {
        self.check(Failing::Discard)?;
        self.store.discard(page)
    }
    fn freeze(&mut self) -> Result<(), MemoryError> {
        self.check(Failing::Freeze)?;
        self.store.freeze()
    }
    fn thaw(&mut self) -> Result<(), MemoryError> {
        self.check(Failing::Thaw)?;
        self.store.thaw()
    }
}

impl Accesses for Broken {
    fn read(&self, page: PageNumber, offset: usize, into: &mut [u8]) -> Result<(), Fault> {
        self.store.read(page, offset, into)
    }
    fn write(&mut self, page: PageNumber, offset: usize, bytes: &[u8]) -> Result<(), Fault> {
        self.store.write(page, offset, bytes)
    }
}

fn image() -> Arc<Image> {
    Arc::new(Image::new([(PageKind::Private, PageBytes::zeroed())]))
}

/// A host with the process, and one without, whose memory works so far.
fn pair(policy: Policy) -> (Host<Broken>, Host<Broken>) {
    let image = image();
    let of = |store| Broken { store, failing: None };
    let (loaded, vacant) = (of(PageStore::loaded(&image)), of(PageStore::vacant(1)));
    let a = Host::occupied(A, policy.clone(), Arc::clone(&image), loaded).unwrap();
    (a, Host::vacant(B, policy, image, vacant).unwrap())
}

fn fail(host: &mut Host<Broken>, failing: Failing) {
    host.memory_mut().failing = Some(failing);
}

/// Up to where the process is suspended.
fn suspended(policy: Policy) -> (Host<Broken>, Host<Broken>) {
    let (mut a, mut b) = pair(policy);
    b.expect_migration(A, Epoch(1)).unwrap();
    a.start_migration(B).unwrap();
    a.suspend(Suspension::default()).unwrap();
    (a, b)
}

/// Up to where the destination waits for *go*.
fn ready(policy: Policy) -> (Host<Broken>, Host<Broken>) {
    let (mut a, mut b) = suspended(policy);
    while a.perform_next().unwrap().is_some() {
        exchange(&mut a, &mut b);
    }
    b.perform(Work::DeclareReady).unwrap();
    exchange(&mut b, &mut a);
    (a, b)
}

fn exchange(from: &mut Host<Broken>, to: &mut Host<Broken>) {
    while let Some(envelope) = from.poll_message() {
        to.handle_message(envelope.from, envelope.epoch, &envelope.message).unwrap();
    }
}

fn quiet(host: &mut Host<Broken>) {
    while host.poll_event().is_some() || host.poll_message().is_some() {}
}

/// It has failed for good: it names the cause, says nothing, logs nothing and does nothing any more.
fn assert_failed(host: &mut Host<Broken>, result: Result<(), Error>) {
    let fault = LocalFault::Memory(broken());
    assert_eq!(result, Err(Error::LocalFault(fault.clone())));
    assert_eq!(*host.role(), Role::Failed(fault));
    let failed = Err(Error::LocalFault(LocalFault::Failed));
    assert_eq!(host.handle_message(Place::Host(A), Epoch(1), &Message::Go).map(|_| ()), failed);
    assert_eq!((host.fault(PAGE), host.cancel()), (failed.clone(), failed));
    assert!(host.tasks().next().is_none() && !host.is_running());
    assert_eq!((host.poll_message(), host.poll_event()), (None, None));
}

fn assert_failed_and_stopped(host: &mut Host<Broken>, result: Result<(), Error>) {
    assert_failed(host, result);
    assert_eq!(host.write(PAGE, 0, b"x"), Err(Fault::Frozen), "the process goes no further");
}

#[test]
fn a_source_that_cannot_read_its_memory_fails() {
    let (mut a, _) = pair(Policy::PRE_COPY);
    a.start_migration(B).unwrap();
    quiet(&mut a);
    fail(&mut a, Failing::Contents);
    let result = a.perform_next().map(drop);
    assert_failed_and_stopped(&mut a, result);
}

#[test]
fn a_destination_that_cannot_write_its_memory_fails() {
    let (_, mut b) = pair(Policy::PRE_COPY);
    b.expect_migration(A, Epoch(1)).unwrap();
    quiet(&mut b);
    fail(&mut b, Failing::Contents);
    let page = Message::Page { page: PAGE, sequence: Sequence(1), content: PageBytes::zeroed() };
    let result = b.handle_message(Place::Host(A), Epoch(1), &page).map(drop);
    assert_failed_and_stopped(&mut b, result);
}

/// Nothing was sent and nothing is lost: it can be tried again.
#[test]
fn a_process_that_cannot_be_stopped_runs_on() {
    let (mut a, _) = pair(Policy::POST_COPY);
    a.start_migration(B).unwrap();
    a.write(PAGE, 0, b"x").unwrap();
    quiet(&mut a);
    fail(&mut a, Failing::Freeze);
    let before = a.role().clone();
    assert_eq!(a.suspend(Suspension::default()), Err(Error::NotSuspended(broken())));
    assert_eq!((a.role(), a.is_running()), (&before, true));
    assert!(a.memory().is_written(PAGE), "no mark is lost");
    assert_eq!(a.write(PAGE, 0, b"y"), Ok(()));
    assert!(matches!(a.poll_event(), Some((_, Event::PageWritten { .. }))));
    assert_eq!((a.poll_message(), a.poll_event()), (None, None));
    a.memory_mut().failing = None;
    a.suspend(Suspension::default()).unwrap();
    assert!(!a.is_running());
}

#[test]
fn a_source_that_cannot_ask_for_writes_fails_with_the_process_stopped() {
    let (mut a, _) = pair(Policy::POST_COPY);
    a.start_migration(B).unwrap();
    quiet(&mut a);
    fail(&mut a, Failing::Marks);
    let result = a.suspend(Suspension::default());
    assert_failed_and_stopped(&mut a, result);
}

#[test]
fn a_process_that_cannot_be_let_run_again_is_a_failed_source() {
    type Step = fn(&mut Host<Broken>) -> Result<(), Error>;
    let refused: Step = |a| a.handle_message(Place::Host(B), Epoch(1), &Message::Refuse).map(drop);
    let steps: [Step; 4] = [Host::cancel, refused, |a| a.disconnected(B), |a| a.fenced(B)];
    for step in steps {
        let (mut a, _) = suspended(Policy::POST_COPY);
        quiet(&mut a);
        fail(&mut a, Failing::Thaw);
        let result = step(&mut a);
        assert_failed_and_stopped(&mut a, result);
    }
}

#[test]
fn a_destination_that_cannot_let_the_process_run_fails() {
    let (mut a, mut b) = ready(Policy::POST_COPY);
    a.perform(Work::HandOver).unwrap();
    let go = a.poll_message().unwrap();
    quiet(&mut b);
    fail(&mut b, Failing::Thaw);
    let result = b.handle_message(go.from, go.epoch, &go.message).map(drop);
    assert_failed_and_stopped(&mut b, result);
}

#[test]
fn what_has_exited_and_cannot_be_stopped_or_freed_is_a_failed_host() {
    let (mut a, _) = pair(Policy::POST_COPY);
    fail(&mut a, Failing::Freeze);
    let result = a.exit();
    assert_failed(&mut a, result);
    for failing in [Failing::Freeze, Failing::Discard] {
        let (mut a, _) = pair(Policy::POST_COPY);
        a.exit().unwrap();
        quiet(&mut a);
        fail(&mut a, failing);
        let result = a.perform(Work::Release);
        assert_failed(&mut a, result);
    }
}

/// Two faults at once: the machine that has the pages is dead, and the process here cannot be stopped.
#[test]
fn a_lost_process_that_cannot_be_stopped_is_a_failed_host() {
    let (mut a, mut b) = ready(Policy::POST_COPY);
    a.perform(Work::HandOver).unwrap();
    exchange(&mut a, &mut b);
    quiet(&mut b);
    fail(&mut b, Failing::Freeze);
    let result = b.fenced(A);
    assert_failed(&mut b, result);
}

#[test]
fn an_error_of_the_system_keeps_its_number_and_its_words() {
    let MemoryError::System { errno, cause, .. } = broken() else { panic!("not one") };
    assert_eq!((errno, cause.contains("os error 3")), (Some(3), true), "{cause}");
    assert_eq!(broken().to_string(), format!("stop a thread: {cause}"));
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
