//! What a peer can make a host keep for the driver.

mod pair;

use protocol::error::{Error, Refusal};
use protocol::file_server::FileServer;
use protocol::host::{HostLimits, MessageOutcome, Timeouts};
use protocol::policy::Policy;
use protocol::wire::Message;
use steplog::message::Progress;
use steplog::page::PageNumber;
use steplog::place::Epoch;

use pair::{A, B, Pair, resync};

const MESSAGES_MAX: usize = 3;

/// However many questions are asked that are answered at once, no more answers wait than the limit allows. What is refused
/// has changed nothing, and is answered once there is room.
#[test]
fn answers_wait_in_an_outbox_with_a_bound() {
    let mut pair = Pair::new(Policy::POST_COPY);
    let host = &mut pair[A];
    host.configure(
        HostLimits { outbox_messages_max: MESSAGES_MAX, ..HostLimits::default() },
        Timeouts::default(),
    );
    let question = resync(Progress::AwaitingGo, &[], &[]);
    for asked in 0..10 {
        let before = host.clone();
        let answered = host.handle_message(B.into(), Epoch(7), &question);
        if asked < MESSAGES_MAX {
            assert_eq!(answered, Ok(MessageOutcome::Answered));
        } else {
            assert_eq!(answered, Err(Error::Refused(Refusal::OutboxFull)));
            assert_eq!(*host, before);
        }
    }
    host.poll_message().unwrap();
    assert_eq!(host.handle_message(B.into(), Epoch(7), &question), Ok(MessageOutcome::Answered));
}

#[test]
fn the_file_server_answers_no_more_than_it_may_keep() {
    let mut server = FileServer::new(&Pair::image());
    server.limit_outbox(MESSAGES_MAX);
    let fetch = Message::Fetch { page: PageNumber(2) };
    let mut asked = || server.handle_message(A.into(), Epoch(1), &fetch);
    for _ in 0..MESSAGES_MAX {
        assert_eq!(asked(), Ok(()));
    }
    for _ in 0..2 {
        assert_eq!(asked(), Err(Error::Refused(Refusal::OutboxFull)));
    }
    assert!(server.poll_message().is_some());
    assert_eq!(server.handle_message(A.into(), Epoch(1), &fetch), Ok(()));
    assert_eq!(std::iter::from_fn(|| server.poll_message()).count(), MESSAGES_MAX);
    assert_eq!(std::iter::from_fn(|| server.poll_event()).count(), MESSAGES_MAX + 1, "refused is no step");
}
