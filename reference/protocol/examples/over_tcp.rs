//! Two hosts over TCP: a process moves from A to B, and finds there what it wrote. `cargo run -p protocol --example over_tcp`
//!
//! An embedding is a thread that takes frames off the connection, and a loop that gives the host one message or one piece
//! of work at a time. There is no file server here, so all pages are private.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};

use protocol::host::{Host, ProcessState, Role, Suspension};
use protocol::memory::{Fault, PageStore};
use protocol::page::{Image, PageBytes, PageKind};
use protocol::policy::Policy;
use protocol::wire::{DecodeError, Frame, decode, encode};
use steplog::event::Step;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId};
use steplog::sink::{StepSink, Unlogged};

type Failure = Box<dyn std::error::Error + Send + Sync>;
const PAGES: u64 = 256;
const A: HostId = HostId(0);
const B: HostId = HostId(1);

struct Node<L> {
    host: Host<PageStore>,
    peer: HostId,
    stream: TcpStream,
    inbox: mpsc::Receiver<Frame>,
    log: L,
}

/// Takes frames off a connection until it ends.
fn receive(mut incoming: TcpStream, inbox: &mpsc::Sender<Frame>) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    loop {
        match decode(&bytes) {
            Ok((frame, _)) => {
                inbox.send(frame)?;
                bytes.clear();
            }
            Err(DecodeError::Incomplete { needed }) => {
                let begun = bytes.len();
                bytes.resize(needed, 0);
                incoming.read_exact(&mut bytes[begun..])?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl<L: StepSink> Node<L> {
    fn new(host: Host<PageStore>, peer: HostId, stream: TcpStream, log: L) -> Result<Self, Failure> {
        let (incoming, (sender, inbox)) = (stream.try_clone()?, mpsc::channel());
        std::thread::spawn(move || receive(incoming, &sender));
        Ok(Node { host, peer, stream, inbox, log })
    }

    /// One piece of work if any is due, then a message if one is there; waits for one if nothing is due.
    fn turn(&mut self) -> Result<(), Failure> {
        let worked = self.host.perform_next()?.is_some();
        while let Some(said) = self.host.poll_message() {
            self.stream.write_all(&encode(said.epoch, &said.message)?)?;
        }
        while let Some((epoch, event)) = self.host.poll_event() {
            self.log.record(Step { at_ns: 0, place: self.host.id().into(), epoch, event })?;
        }
        let frame = if worked { self.inbox.try_recv().ok() } else { Some(self.inbox.recv()?) };
        let Some(Frame { epoch, message }) = frame else { return Ok(()) };
        Ok(self.host.handle_message(self.peer.into(), epoch, &message).map(drop)?)
    }
}

fn main() -> Result<(), Failure> {
    let image = Arc::new(Image::new((0..PAGES).map(|_| (PageKind::Private, PageBytes::zeroed()))));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    let a = Host::with_process(A, Policy::POST_COPY, image.clone())?;
    let b = Host::without_process(B, Policy::POST_COPY, image)?;
    let source = std::thread::spawn(move || leave(Node::new(a, B, TcpStream::connect(to)?, Unlogged)?));
    arrive(Node::new(b, A, listener.accept()?.0, Unlogged)?)?;
    source.join().map_err(|_| "the source panicked")?
}

/// At A: the process writes its pages, is suspended, and follows piece by piece.
fn leave(mut node: Node<impl StepSink>) -> Result<(), Failure> {
    for page in 0..PAGES {
        node.host.write(PageNumber(page), 0, &page.to_le_bytes())?;
    }
    node.host.start_migration(B)?;
    node.host.suspend(Suspension { registers: vec![1, 2, 3], ..Suspension::default() })?;
    while *node.host.role() != Role::Vacant {
        node.turn()?;
    }
    Ok(())
}

/// At B: it reads them from the last to the first as soon as it runs, and asks for those that have not come.
fn arrive(mut node: Node<impl StepSink>) -> Result<(), Failure> {
    node.host.expect_migration(A, Epoch(1))?;
    while !node.host.is_running() {
        node.turn()?;
    }
    let (mut faults, mut word) = (0, [0; 8]);
    for page in (0..PAGES).rev().map(PageNumber) {
        if node.host.read(page, 0, &mut word) == Err(Fault::Missing(page)) {
            node.host.fault(page)?;
            faults += 1;
        }
        while node.host.read(page, 0, &mut word).is_err() {
            node.turn()?;
        }
        assert_eq!(u64::from_le_bytes(word), page.0, "{page} has lost what was written at A");
    }
    while node.host.process_state() != Some(ProcessState::Normal) {
        node.turn()?;
    }
    println!("{PAGES} pages are at B, and the process reads what it wrote at A ({faults} faults)");
    Ok(())
}
