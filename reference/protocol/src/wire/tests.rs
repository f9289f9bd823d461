use quickcheck::{Arbitrary, Gen, quickcheck};
use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{HostId, Sequence, Version};

use super::*;
use crate::page::{PAGE_COUNT_MAX, PageBytes};
use crate::wire::FormerHost;

fn plan_entry(g: &mut Gen) -> PlanEntry {
    let former = FormerHost { host: HostId(u16::arbitrary(g)), epoch: Epoch(u64::arbitrary(g)) };
    let whereabouts = match u8::arbitrary(g) % 4 {
        0 => Whereabouts::Travelled(Sequence(u64::arbitrary(g))),
        1 => Whereabouts::At(former, Sequence(u64::arbitrary(g))),
        2 => Whereabouts::FileServer,
        _ => Whereabouts::LocalStore,
    };
    PlanEntry { whereabouts, dirty: bool::arbitrary(g), version: Version(u64::arbitrary(g)) }
}

fn page_runs(g: &mut Gen) -> PageRuns {
    let mut pages: Vec<_> = Vec::<u8>::arbitrary(g).into_iter().map(|page| PageNumber(page.into())).collect();
    pages.sort();
    pages.into_iter().collect()
}

impl Arbitrary for Frame {
    fn arbitrary(g: &mut Gen) -> Self {
        let (page, number) = (PageNumber(u64::arbitrary(g)), u64::arbitrary(g));
        let (sequence, version) = (Sequence(number), Version(number));
        let message = match u8::arbitrary(g) % 20 {
            0 => Message::Page { page, sequence, content: PageBytes::arbitrary(g) },
            1 => Message::State(State {
                registers: Vec::arbitrary(g),
                former_hosts: (0..u8::arbitrary(g) % 5)
                    .map(|host| FormerHost { host: HostId(host.into()), epoch: Epoch(u64::arbitrary(g)) })
                    .collect(),
                plan: (0..u8::arbitrary(g)).map(|_| plan_entry(g)).collect(),
            }),
            2 => Message::Ready,
            3 => Message::Go,
            4 => Message::Request { page },
            5 => Message::Complete,
            6 => Message::Destroyed,
            7 => Message::Exit,
            8 => Message::WriteBack { page, version, content: PageBytes::arbitrary(g) },
            9 => Message::WriteBackDone { page, version },
            10 => Message::Fetch { page },
            11 => Message::Cancel,
            12 => Message::Refuse,
            14 => Message::Resumed,
            15 => Message::Announce,
            16 => Message::Expected,
            17 => Message::AskVersion { page },
            18 => Message::VersionTold { page, version },
            13 => Message::Resync(Resync {
                progress: [Progress::AwaitingGo, Progress::Running, Progress::Complete]
                    [usize::arbitrary(g) % 3],
                lacks: page_runs(g),
                waits: page_runs(g),
            }),
            _ => Message::Fetched { page, version, content: PageBytes::arbitrary(g) },
        };
        Self { epoch: Epoch(u64::arbitrary(g)), message }
    }
}

fn bytes_of(frame: &Frame) -> Vec<u8> {
    encode(frame.epoch, &frame.message).unwrap()
}

/// Where the payload begins, if the header can be read.
fn payload_at(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    reader.take(2).and_then(|_| reader.short()).and_then(|_| reader.short()).ok()?;
    let at = bytes.len() - reader.remaining() + CHECKSUM_LEN;
    (at <= bytes.len()).then_some(at)
}

/// Gives a changed frame a checksum that fits again.
fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = payload_at(&bytes) {
        let sum = checksum(&bytes[..at - CHECKSUM_LEN], &bytes[at..]);
        bytes[at - CHECKSUM_LEN..at].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// A frame with this payload.
fn sealed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    seal(kind, Epoch(1), &mut bytes, |out| out.extend_from_slice(payload));
    bytes
}

/// The payload of a message.
fn payload_of(message: &Message) -> Vec<u8> {
    let bytes = frame(message.clone());
    bytes[payload_at(&bytes).unwrap()..].to_vec()
}

quickcheck! {
    fn a_frame_survives_and_ends_where_it_says(frame: Frame, after: Vec<u8>) -> bool {
        let mut bytes = bytes_of(&frame);
        let len = bytes.len();
        bytes.extend(after);
        decode(&bytes) == Ok((frame, len))
    }

    fn encoding_is_canonical(frame: Frame) -> bool {
        let bytes = bytes_of(&frame);
        decode(&bytes).map(|(decoded, _)| bytes_of(&decoded)) == Ok(bytes)
    }

    fn a_truncated_frame_is_incomplete(frame: Frame, cut: usize) -> bool {
        let bytes = bytes_of(&frame);
        let cut = cut % bytes.len();
        matches!(decode(&bytes[..cut]), Err(DecodeError::Incomplete { needed }) if needed > cut && needed <= bytes.len())
    }

    fn a_flipped_bit_is_noticed(frame: Frame, bit: usize) -> bool {
        let mut bytes = bytes_of(&frame);
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        decode(&bytes).is_err()
    }

    fn noise_under_a_valid_checksum_never_panics(frame: Frame, noise: Vec<(usize, u8)>) -> bool {
        let mut bytes = bytes_of(&frame);
        for (at, byte) in noise {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        match decode(&reseal(bytes)) {
            Ok((decoded, _)) => decode(&bytes_of(&decoded)).map(|(again, _)| again) == Ok(decoded),
            Err(_) => true,
        }
    }

    fn noise_never_panics(bytes: Vec<u8>) -> bool {
        decode(&bytes).is_err()
    }
}

fn frame(message: Message) -> Vec<u8> {
    encode(Epoch(1), &message).unwrap()
}

#[test]
fn the_header_is_as_specified() {
    let bytes = encode(Epoch(0x0102), &Message::Request { page: PageNumber(300) }).unwrap();
    assert_eq!(bytes[..5], [5, 5, 0x82, 0x02, 2]);
    assert_eq!(bytes[5..9], checksum(&bytes[..5], &bytes[9..]).to_le_bytes());
    assert_eq!(bytes[9..], [0xac, 0x02]);
    assert_eq!(frame(Message::Ready).len(), HEADER_LEN_MIN);
}

#[test]
fn every_kind_has_its_own_byte() {
    for kind in KINDS {
        assert_eq!(kind_from_byte(kind_to_byte(kind)), Some(kind));
    }
    assert_eq!((kind_from_byte(0), kind_from_byte(PLAN_AHEAD)), (None, None));
}

#[test]
fn a_foreign_header_is_refused() {
    let with = |at: usize, byte: u8| {
        let mut bytes = frame(Message::Ready);
        bytes[at] = byte;
        decode(&reseal(bytes)).unwrap_err()
    };
    assert_eq!((with(0, 4), with(0, b'S')), (DecodeError::Version(4), DecodeError::Version(b'S')));
    assert_eq!(with(1, 99), DecodeError::Kind(99));
    let at_length = [WIRE_VERSION, 3, 0x81, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(&at_length), Err(DecodeError::Malformed("a short number")));
}

/// It is refused as soon as it shows, and what is not there yet is awaited.
#[test]
fn a_header_is_read_as_far_as_it_goes() {
    assert_eq!(decode(&[]), Err(DecodeError::Incomplete { needed: HEADER_LEN_MIN }));
    assert_eq!(decode(&[WIRE_VERSION]), Err(DecodeError::Incomplete { needed: HEADER_LEN_MIN }));
    assert_eq!(decode(&[4]), Err(DecodeError::Version(4)));
    assert_eq!(decode(&[WIRE_VERSION, 99]), Err(DecodeError::Kind(99)));
    let long = [&[WIRE_VERSION, 3][..], &[0x80; 7]].concat();
    assert_eq!(decode(&long), Err(DecodeError::Incomplete { needed: 10 }));
    let max = CONTENT_PAYLOAD_LEN_MAX;
    let mut oversized = vec![WIRE_VERSION, 1, 1];
    put_short(&mut oversized, max as u64 + 1);
    assert_eq!(decode(&oversized), Err(DecodeError::Oversized { len: max + 1, max }));
}

/// They are part of the format: a peer may send as much.
#[test]
fn the_largest_payloads_are_as_specified() {
    assert_eq!(REGISTERS_LEN_MAX, 65_536);
    assert_eq!(payload_len_max(MessageKind::Page), 4_117);
    assert_eq!(payload_len_max(MessageKind::State), 16_777_216);
    assert_eq!(payload_len_max(MessageKind::Resync) as u64, 9 + 8 * PAGE_COUNT_MAX);
}

/// What is as large as it may be survives.
#[test]
fn the_largest_registers_chain_and_page_number_survive() {
    let former_hosts =
        (0..FORMER_HOSTS_MAX as u16).map(|host| FormerHost { host: HostId(host), epoch: Epoch(1) });
    let state = State {
        registers: vec![7; REGISTERS_LEN_MAX],
        former_hosts: former_hosts.collect(),
        plan: Plan::default(),
    };
    let last = PageNumber(PAGE_COUNT_MAX - 1);
    let resync = Resync {
        progress: Progress::Running,
        lacks: [PageNumber(0), last].into_iter().collect(),
        waits: [last].into_iter().collect(),
    };
    for message in [Message::State(state), Message::Resync(resync)] {
        let decoded = decode(&frame(message.clone())).map(|(frame, _)| frame.message);
        assert_eq!(decoded, Ok(message));
    }
}

/// What is alike is said once: pages of one byte, plans of one entry.
#[test]
fn what_repeats_is_short() {
    let entry = PlanEntry { whereabouts: Whereabouts::LocalStore, dirty: false, version: Version(0) };
    let plan = (0..1000).map(|_| entry).collect();
    let state = frame(Message::State(State { registers: vec![], former_hosts: vec![], plan }));
    assert!(state.len() < 100, "{} bytes", state.len());
    for period in [PAGE_SIZE, PAGE_SIZE / 2, PAGE_SIZE / 8] {
        let content: [u8; PAGE_SIZE] = std::array::from_fn(|at| 1 + (at / period) as u8);
        let content = content.into();
        let page = frame(Message::Page { page: PageNumber(0), sequence: Sequence(1), content });
        assert!(page.len() < 100, "{} bytes", page.len());
    }
}

#[test]
fn what_follows_the_last_field_is_refused() {
    for message in [
        Message::State(State { registers: vec![], former_hosts: vec![], plan: Plan::default() }),
        Message::Page { page: PageNumber(0), sequence: Sequence(1), content: PageBytes::zeroed() },
    ] {
        let longer = [payload_of(&message), vec![0]].concat();
        let bytes = sealed(kind_to_byte(message.kind()), &longer);
        assert!(matches!(decode(&bytes), Err(DecodeError::Malformed(_))));
    }
}

#[test]
fn an_oversized_payload_is_refused_before_it_arrives() {
    let mut header = vec![WIRE_VERSION, kind_to_byte(MessageKind::Ready), 1];
    put_short(&mut header, u64::from(u32::MAX));
    assert_eq!(decode(&header), Err(DecodeError::Oversized { len: u32::MAX as usize, max: 0 }));
}

#[test]
fn a_wrong_checksum_is_reported_with_both_values() {
    let mut bytes = frame(Message::Request { page: PageNumber(1) });
    *bytes.last_mut().unwrap() ^= 1;
    assert!(
        matches!(decode(&bytes), Err(DecodeError::Checksum { computed, announced }) if computed != announced)
    );
}

#[test]
fn counts_that_the_payload_cannot_hold_are_refused_before_allocating() {
    let state = State { registers: vec![], former_hosts: vec![], plan: Plan::default() };
    let bytes = frame(Message::State(state));
    let runs_at = bytes.len() - 4;
    let with = |at: usize, value: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        decode(&reseal(bytes)).unwrap_err()
    };
    assert_eq!(with(runs_at, &u32::MAX.to_le_bytes()), DecodeError::Malformed("length of the plan"));
    assert_eq!(with(runs_at - 1, &[64]), DecodeError::Malformed("number of former hosts"));
    assert_eq!(with(runs_at - 1, &[65]), DecodeError::Malformed("number of former hosts"));
    let registers_at = payload_at(&bytes).unwrap();
    assert_eq!(
        with(registers_at, &u32::MAX.to_le_bytes()),
        DecodeError::Malformed("length of the registers")
    );
}

#[test]
fn a_plan_of_too_many_pages_is_refused() {
    let entry = PlanEntry { whereabouts: Whereabouts::LocalStore, dirty: false, version: Version(0) };
    let pages = u32::try_from(PAGE_COUNT_MAX).unwrap();
    assert!(Plan::from_runs(vec![(pages, entry)]).is_some());
    assert!(Plan::from_runs(vec![(pages, entry), (1, entry)]).is_none());
    assert!(Plan::from_runs(vec![(u32::MAX, entry), (u32::MAX, entry)]).is_none());
    assert!(Plan::from_runs(vec![(0, entry)]).is_none());
}

/// A resynchronisation with these runs of pages that are lacking.
fn lacking(runs: &[(u32, u32)]) -> Result<Frame, DecodeError> {
    let nothing = PageRuns::default();
    let resync = Resync { progress: Progress::Running, lacks: nothing.clone(), waits: nothing };
    let mut payload = payload_of(&Message::Resync(resync));
    payload[1..5].copy_from_slice(&(runs.len() as u32).to_le_bytes());
    let runs = runs.iter().flat_map(|(gap, length)| [gap.to_le_bytes(), length.to_le_bytes()].concat());
    payload.splice(5..5, runs);
    decode(&sealed(kind_to_byte(MessageKind::Resync), &payload)).map(|(frame, _)| frame)
}

#[test]
fn runs_of_pages_that_cannot_be_are_refused() {
    let malformed = Err(DecodeError::Malformed("runs of pages"));
    let Ok(Frame { message: Message::Resync(resync), .. }) = lacking(&[(1, 2), (3, 1)]) else { panic!() };
    assert_eq!(resync.lacks.iter().map(|page| page.0).collect::<Vec<_>>(), [1, 2, 6]);
    assert_eq!(lacking(&[(1, 0)]), malformed, "an empty run");
    assert_eq!(lacking(&[(1, 2), (0, 1)]), malformed, "two runs that are one");
    assert_eq!(lacking(&[(PAGE_COUNT_MAX as u32, 1)]), malformed, "a page beyond any address space");
    assert_eq!(lacking(&[(u32::MAX, u32::MAX), (u32::MAX, u32::MAX)]), malformed);
    let mut payload = payload_of(&Message::Resync(resync));
    let refused = |payload: &[u8]| decode(&sealed(kind_to_byte(MessageKind::Resync), payload)).unwrap_err();
    payload[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(refused(&payload), DecodeError::Malformed("number of runs of pages"));
    payload[0] = 3;
    assert_eq!(refused(&payload), DecodeError::Malformed("progress"));
}

#[test]
fn a_state_that_is_too_large_has_no_frame() {
    let state =
        State { registers: vec![0; REGISTERS_LEN_MAX + 1], former_hosts: vec![], plan: Plan::default() };
    assert!(encode(Epoch(1), &Message::State(state)).is_err());
}

/// A plan in which no two neighbours are equal, and whose numbers are these.
fn plan_of(pages: u64, number: u64) -> Plan {
    let former = FormerHost { host: HostId(0), epoch: Epoch(1) };
    let whereabouts = [Whereabouts::At(former, Sequence(number)), Whereabouts::LocalStore];
    let entry = |page: u64| PlanEntry {
        whereabouts: whereabouts[(page % 2) as usize],
        dirty: page.is_multiple_of(2),
        version: Version(number),
    };
    (0..pages).map(entry).collect()
}

/// Every process stands still while its plan travels.
#[test]
fn a_plan_of_small_numbers_is_short() {
    let len = |pages| payload_of(&Message::State(state_of(plan_of(pages, 100)))).len();
    assert_eq!(len(2_560) - len(0), 1_280 * (6 + 3), "a page at a host, and one of the store");
}

fn state_of(plan: Plan) -> State {
    let former_hosts = vec![FormerHost { host: HostId(2), epoch: Epoch(0) }];
    State { registers: vec![7; 100], former_hosts, plan }
}

/// The frames of a message, one by one.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (_, _, len) = Header::with_payload(rest).unwrap();
        let (frame, after) = rest.split_at(len);
        frames.push(frame);
        rest = after;
    }
    frames
}

/// Every other page modified: more runs than a frame holds.
#[test]
fn a_plan_travels_in_as_many_frames_as_it_needs() {
    let message = Message::State(state_of(plan_of(2_000_000, u64::MAX)));
    let bytes = frame(message.clone());
    let frames = frames(&bytes);
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().all(|frame| frame.len() <= HEADER_LEN_MAX + STATE_PAYLOAD_LEN_MAX));
    assert_eq!(frames.iter().map(|frame| frame[1]).collect::<Vec<_>>(), [PLAN_AHEAD, PLAN_AHEAD, 2]);
    let decoded = decode(&bytes).unwrap();
    assert!(decoded == (Frame { epoch: Epoch(1), message: message.clone() }, bytes.len()));
    let mut decoder = Decoder::default();
    for frame in &frames[..2] {
        assert_eq!(decoder.next(frame), Ok((None, frame.len())));
    }
    assert!(decoder.next(frames[2]).unwrap().0.unwrap().message == message);
    assert_eq!(decoder, Decoder::default());
    // Cut anywhere, it is known how much is missing at least.
    let cut = frames[0].len() + 30;
    let needed = frames[0].len() + frames[1].len();
    assert_eq!(decode(&bytes[..cut]), Err(DecodeError::Incomplete { needed }));
}

/// The parts are as long as may be, and not a run longer: that of the state, and those before it.
#[test]
fn parts_of_a_plan_fill_their_frames() {
    let state = state_of(plan_of(100, 0));
    let mut whole = Vec::new();
    payload::encode_state(&state, state.plan.runs(), &mut whole);
    let (ahead, rest) = payload::parts(&state, whole.len());
    assert_eq!((ahead.len(), rest.len()), (0, 100));
    for len_max in [whole.len() - 1, whole.len() / 2, 200] {
        let (ahead, rest) = payload::parts(&state, len_max);
        assert!(!ahead.is_empty());
        for (at, part) in ahead.iter().enumerate() {
            let next = ahead.get(at + 1).unwrap_or(&rest).first();
            let len = |runs: &[_]| {
                let mut bytes = Vec::new();
                payload::encode_runs(runs, &mut bytes);
                bytes.len()
            };
            assert!(len(part) <= len_max, "{len_max}");
            let longer: Vec<_> = part.iter().chain(next).copied().collect();
            assert!(next.is_none() || len(&longer) > len_max, "{len_max}");
        }
        let mut last = Vec::new();
        payload::encode_state(&state, rest, &mut last);
        assert!(last.len() <= len_max);
        assert_eq!([ahead.concat(), rest.to_vec()].concat(), state.plan.runs());
    }
}

#[test]
fn a_plan_ahead_of_anything_but_its_state_is_refused() {
    let entry = PlanEntry { whereabouts: Whereabouts::LocalStore, dirty: false, version: Version(0) };
    let ahead = |epoch, length| {
        let mut bytes = Vec::new();
        seal(PLAN_AHEAD, Epoch(epoch), &mut bytes, |payload| {
            payload::encode_runs(&[(length, entry)], payload)
        });
        bytes
    };
    let of = |frames: &[Vec<u8>]| decode(&frames.concat()).map(|(frame, _)| frame.message);
    let state = frame(Message::State(state_of(Plan::default())));
    let plan = |message| match message {
        Ok(Message::State(state)) => state.plan.page_count(),
        other => panic!("{other:?}"),
    };
    assert_eq!(plan(of(&[ahead(1, 3), ahead(1, 4), state.clone()])), 7);
    let without = Err(DecodeError::Malformed("plan without its state"));
    assert_eq!(of(&[ahead(1, 3), frame(Message::Ready), state.clone()]), without);
    let other = Err(DecodeError::Malformed("plan of another migration"));
    assert_eq!(of(&[ahead(2, 3), state.clone()]), other);
    assert_eq!(of(&[ahead(1, 3), ahead(2, 3), state.clone()]), other);
    let pages = Err(DecodeError::Malformed("number of pages in the plan"));
    let all = PAGE_COUNT_MAX as u32;
    assert_eq!(plan(of(&[ahead(1, all - 1), ahead(1, 1), state.clone()])), PAGE_COUNT_MAX);
    assert_eq!(of(&[ahead(1, all), ahead(1, 1), state.clone()]), pages);
    assert_eq!(of(&[ahead(1, 0), state.clone()]), pages);
    let mut empty = Vec::new();
    seal(PLAN_AHEAD, Epoch(1), &mut empty, |payload| payload::encode_runs(&[], payload));
    assert_eq!(of(&[empty, state]), Err(DecodeError::Malformed("length of the plan")));
}

/// A frame may be as long as its kind allows, and not a byte longer.
#[test]
fn the_longest_payload_of_each_kind_is_awaited() {
    let kinds = KINDS.map(|kind| (kind_to_byte(kind), payload_len_max(kind)));
    for (kind, max) in kinds.into_iter().chain([(PLAN_AHEAD, STATE_PAYLOAD_LEN_MAX)]) {
        let announced = |len: usize| {
            let mut header = vec![WIRE_VERSION, kind, 1];
            put_short(&mut header, len as u64);
            decode(&header)
        };
        if max > 0 {
            let needed = HEADER_LEN_MIN - 1 + bytes::short_len(max as u64) + max;
            assert_eq!(announced(max), Err(DecodeError::Incomplete { needed }), "{kind}");
        }
        assert_eq!(announced(max + 1), Err(DecodeError::Oversized { len: max + 1, max }), "{kind}");
    }
}

#[test]
fn registers_a_byte_too_long_are_refused_by_the_receiver() {
    let payload = |registers_len: usize| {
        let mut bytes = Vec::new();
        seal(2, Epoch(1), &mut bytes, |payload| {
            payload.extend_from_slice(&(registers_len as u32).to_le_bytes());
            payload.extend(vec![0; registers_len]);
            payload.extend_from_slice(&[0; 5]);
        });
        decode(&bytes).map(drop)
    };
    assert_eq!(payload(REGISTERS_LEN_MAX), Ok(()));
    let malformed = Err(DecodeError::Malformed("length of the registers"));
    assert_eq!(payload(REGISTERS_LEN_MAX + 1), malformed);
}
