//! The payload of each kind of message: its fields, one after the other.

use steplog::message::{MessageKind, Progress};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence, Version};

use super::bytes::{Reader, put_short, short_len};
use super::{DecodeError, Message, PageRuns, Plan, PlanEntry, Resync, State};
use super::{FORMER_HOSTS_MAX, REGISTERS_LEN_MAX, Whereabouts, content};
use crate::wire::FormerHost;

const TRAVELLED: u8 = 0;
const AT_HOST: u8 = 1;
const FILE_SERVER: u8 = 2;
const LOCAL_STORE: u8 = 3;
const WHEREABOUTS_MASK: u8 = 0x7f;
const DIRTY_BIT: u8 = 0x80;

/// Bytes of a number of runs.
const COUNT_LEN: usize = 4;

/// Bytes of the shortest run of plan entries: length, flags, version.
const PLAN_RUN_LEN_MIN: usize = 1 + 1 + 1;

/// Bytes of a run of pages: pages left out, pages in.
const PAGE_RUN_LEN: usize = 4 + 4;

/// Bytes of a former host: host, epoch.
const FORMER_HOST_LEN: usize = 2 + 8;

pub(super) fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Page { page, sequence, content } => {
            put_numbers(out, page, sequence.0);
            content::encode(content, out);
        }
        Message::State(state) => encode_state(state, state.plan.runs(), out),
        Message::Request { page } | Message::Fetch { page } | Message::AskVersion { page } => {
            put_short(out, page.0);
        }
        Message::WriteBack { page, version, content } | Message::Fetched { page, version, content } => {
            put_numbers(out, page, version.0);
            content::encode(content, out);
        }
        Message::WriteBackDone { page, version } | Message::VersionTold { page, version } => {
            put_numbers(out, page, version.0);
        }
        Message::Resync(resync) => encode_resync(resync, out),
        Message::Ready
        | Message::Go
        | Message::Complete
        | Message::Destroyed
        | Message::Exit
        | Message::Cancel
        | Message::Refuse
        | Message::Resumed
        | Message::Announce
        | Message::Expected => {}
    }
}

pub(super) fn decode(kind: MessageKind, payload: &[u8]) -> Result<Message, DecodeError> {
    let mut reader = Reader::new(payload);
    let r = &mut reader;
    let message = match kind {
        MessageKind::Page => {
            Message::Page { page: page(r)?, sequence: Sequence(r.short()?), content: content::decode(r)? }
        }
        MessageKind::State => return decode_state(payload, Plan::default()).map(Message::State),
        MessageKind::Ready => Message::Ready,
        MessageKind::Go => Message::Go,
        MessageKind::Request => Message::Request { page: page(r)? },
        MessageKind::Complete => Message::Complete,
        MessageKind::Destroyed => Message::Destroyed,
        MessageKind::Exit => Message::Exit,
        MessageKind::WriteBack => {
            Message::WriteBack { page: page(r)?, version: Version(r.short()?), content: content::decode(r)? }
        }
        MessageKind::Cancel => Message::Cancel,
        MessageKind::Refuse => Message::Refuse,
        MessageKind::Resync => Message::Resync(decode_resync(r)?),
        MessageKind::Resumed => Message::Resumed,
        MessageKind::Announce => Message::Announce,
        MessageKind::Expected => Message::Expected,
        MessageKind::WriteBackDone => Message::WriteBackDone { page: page(r)?, version: Version(r.short()?) },
        MessageKind::Fetch => Message::Fetch { page: page(r)? },
        MessageKind::AskVersion => Message::AskVersion { page: page(r)? },
        MessageKind::VersionTold => Message::VersionTold { page: page(r)?, version: Version(r.short()?) },
        MessageKind::Fetched => {
            Message::Fetched { page: page(r)?, version: Version(r.short()?), content: content::decode(r)? }
        }
    };
    reader.finish()?;
    Ok(message)
}

fn page(reader: &mut Reader<'_>) -> Result<PageNumber, DecodeError> {
    reader.short().map(PageNumber)
}

fn put_numbers(out: &mut Vec<u8>, page: &PageNumber, number: u64) {
    put_short(out, page.0);
    put_short(out, number);
}

/// A run of the plan.
type Run = (u32, PlanEntry);

/// What of the plan is sent ahead, frame by frame, and what is sent with the state, so that no payload is longer than this.
pub(super) fn parts(state: &State, len_max: usize) -> (Vec<&[Run]>, &[Run]) {
    let fixed_len = 4 + state.registers.len() + 1 + state.former_hosts.len() * FORMER_HOST_LEN + COUNT_LEN;
    let mut rest = state.plan.runs();
    let mut rest_len: usize = rest.iter().map(run_len).sum();
    let mut ahead = Vec::new();
    while fixed_len + rest_len > len_max {
        let mut len = COUNT_LEN;
        let fits = |run: &&Run| {
            len += run_len(run);
            len <= len_max
        };
        let (part, after) = rest.split_at(rest.iter().take_while(fits).count());
        ahead.push(part);
        rest_len -= part.iter().map(run_len).sum::<usize>();
        rest = after;
    }
    (ahead, rest)
}

fn run_len((length, entry): &Run) -> usize {
    let numbers = entry_numbers(entry);
    short_len(u64::from(*length)) + 1 + numbers.map(short_len).sum::<usize>()
}

pub(super) fn encode_state(state: &State, runs: &[Run], out: &mut Vec<u8>) {
    out.extend_from_slice(&(state.registers.len() as u32).to_le_bytes());
    out.extend_from_slice(&state.registers);
    out.push(state.former_hosts.len() as u8);
    state.former_hosts.iter().for_each(|former| put_former_host(out, former));
    encode_runs(runs, out);
}

pub(super) fn encode_runs(runs: &[Run], out: &mut Vec<u8>) {
    out.extend_from_slice(&(runs.len() as u32).to_le_bytes());
    for (length, entry) in runs {
        put_short(out, u64::from(*length));
        encode_entry(entry, out);
    }
}

/// A state, of whose plan so much came ahead.
pub(super) fn decode_state(payload: &[u8], mut plan: Plan) -> Result<State, DecodeError> {
    let mut reader = Reader::new(payload);
    let registers_len = reader.u32()? as usize;
    if registers_len > REGISTERS_LEN_MAX {
        return Err(DecodeError::Malformed("length of the registers"));
    }
    let registers = reader.take(registers_len)?.to_vec();
    let former_hosts_len = usize::from(reader.u8()?);
    if former_hosts_len > FORMER_HOSTS_MAX || former_hosts_len * FORMER_HOST_LEN > reader.remaining() {
        return Err(DecodeError::Malformed("number of former hosts"));
    }
    let former_hosts = (0..former_hosts_len).map(|_| former_host(&mut reader)).collect::<Result<_, _>>()?;
    decode_runs(&mut reader, &mut plan)?;
    reader.finish()?;
    Ok(State { registers, former_hosts, plan })
}

/// More of the beginning of a plan.
pub(super) fn decode_ahead(payload: &[u8], plan: &mut Plan) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    // Or frames could follow each other for ever.
    if decode_runs(&mut reader, plan)? == 0 {
        return Err(DecodeError::Malformed("length of the plan"));
    }
    reader.finish()
}

/// Appends runs to a plan, and returns how many.
fn decode_runs(reader: &mut Reader<'_>, plan: &mut Plan) -> Result<usize, DecodeError> {
    let runs_len = reader.u32()? as usize;
    // What is announced must fit in what is there, before room is made for it.
    if runs_len > reader.remaining() / PLAN_RUN_LEN_MIN {
        return Err(DecodeError::Malformed("length of the plan"));
    }
    plan.reserve(runs_len);
    for _ in 0..runs_len {
        let too_many = DecodeError::Malformed("number of pages in the plan");
        let length = u32::try_from(reader.short()?).map_err(|_| too_many)?;
        plan.push(length, decode_entry(reader)?).ok_or(too_many)?;
    }
    Ok(runs_len)
}

fn encode_resync(resync: &Resync, out: &mut Vec<u8>) {
    out.push(match resync.progress {
        Progress::AwaitingGo => 0,
        Progress::Running => 1,
        Progress::Complete => 2,
    });
    for pages in [&resync.lacks, &resync.waits] {
        out.extend_from_slice(&(pages.runs().len() as u32).to_le_bytes());
        for (gap, length) in pages.runs() {
            out.extend_from_slice(&gap.to_le_bytes());
            out.extend_from_slice(&length.to_le_bytes());
        }
    }
}

fn decode_resync(reader: &mut Reader<'_>) -> Result<Resync, DecodeError> {
    let progress = match reader.u8()? {
        0 => Progress::AwaitingGo,
        1 => Progress::Running,
        2 => Progress::Complete,
        _ => return Err(DecodeError::Malformed("progress")),
    };
    Ok(Resync { progress, lacks: decode_pages(reader)?, waits: decode_pages(reader)? })
}

fn decode_pages(reader: &mut Reader<'_>) -> Result<PageRuns, DecodeError> {
    let runs_len = reader.u32()? as usize;
    // What is announced must fit in what is there, before room is made for it.
    if runs_len > reader.remaining() / PAGE_RUN_LEN {
        return Err(DecodeError::Malformed("number of runs of pages"));
    }
    let runs = (0..runs_len).map(|_| Ok((reader.u32()?, reader.u32()?))).collect::<Result<_, _>>()?;
    PageRuns::from_runs(runs).ok_or(DecodeError::Malformed("runs of pages"))
}

fn encode_entry(entry: &PlanEntry, out: &mut Vec<u8>) {
    let flags = if entry.dirty { DIRTY_BIT } else { 0 };
    let tag = match entry.whereabouts {
        Whereabouts::Travelled(_) => TRAVELLED,
        Whereabouts::At(..) => AT_HOST,
        Whereabouts::FileServer => FILE_SERVER,
        Whereabouts::LocalStore => LOCAL_STORE,
    };
    out.push(flags | tag);
    entry_numbers(entry).for_each(|number| put_short(out, number));
}

/// The numbers of an entry, in the order in which they are written.
fn entry_numbers(entry: &PlanEntry) -> impl Iterator<Item = u64> {
    let further = match entry.whereabouts {
        Whereabouts::Travelled(sequence) => [Some(sequence.0), None, None],
        Whereabouts::At(former, outdated) => {
            [Some(u64::from(former.host.0)), Some(former.epoch.0), Some(outdated.0)]
        }
        Whereabouts::FileServer | Whereabouts::LocalStore => [None; 3],
    };
    std::iter::once(entry.version.0).chain(further.into_iter().flatten())
}

fn decode_entry(reader: &mut Reader<'_>) -> Result<PlanEntry, DecodeError> {
    let flags = reader.u8()?;
    let version = Version(reader.short()?);
    let whereabouts = match flags & WHEREABOUTS_MASK {
        TRAVELLED => Whereabouts::Travelled(Sequence(reader.short()?)),
        AT_HOST => {
            let host =
                u16::try_from(reader.short()?).map_err(|_| DecodeError::Malformed("number of a host"))?;
            let former = FormerHost { host: HostId(host), epoch: Epoch(reader.short()?) };
            Whereabouts::At(former, Sequence(reader.short()?))
        }
        FILE_SERVER => Whereabouts::FileServer,
        LOCAL_STORE => Whereabouts::LocalStore,
        _ => return Err(DecodeError::Malformed("whereabouts of a page")),
    };
    Ok(PlanEntry { whereabouts, dirty: flags & DIRTY_BIT != 0, version })
}

fn put_former_host(out: &mut Vec<u8>, former: &FormerHost) {
    out.extend_from_slice(&former.host.0.to_le_bytes());
    out.extend_from_slice(&former.epoch.0.to_le_bytes());
}

fn former_host(reader: &mut Reader<'_>) -> Result<FormerHost, DecodeError> {
    Ok(FormerHost { host: HostId(reader.u16()?), epoch: Epoch(reader.u64()?) })
}
