//! Events of interest, with their arguments.

use super::super::PAGE_BYTES;

/// What happened.
///
/// Pages are numbers of pages within their block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QemuEvent {
    // Either side.
    /// `migrate_set_state`: the migration is in another state.
    StateSet(QemuState),
    /// `vm_state_notify`: the processors were stopped, or run.
    ProcessorsSet {
        /// Do they run?
        run: bool,
    },

    // The source.
    /// `migration_bitmap_sync_end`: the whole dirty log was read.
    DirtyLogRead,
    /// `ram_save_page`: a page that is not zero goes out.
    PageSaved {
        /// Of which block.
        block: Name,
        /// Which page.
        page: u64,
    },
    /// `migrate_handle_rp_req_pages`: a request arrived.
    RequestReceived {
        /// Of which block; that of the last request where none is said.
        block: Option<Name>,
        /// The first page.
        page: u64,
        /// How many.
        count: u64,
    },
    /// `get_queued_page`: a requested page is about to go out.
    RequestTaken {
        /// Of which block.
        block: Name,
        /// Which page.
        page: u64,
    },
    /// `get_queued_page_not_dirty`: a requested page had gone out already.
    RequestVoid {
        /// Of which block.
        block: Name,
        /// Which page.
        page: u64,
    },
    /// `savevm_section_start`: a section begins.
    SectionBegun {
        /// Is it memory?
        memory: bool,
    },
    /// `savevm_section_end`: a section has ended.
    SectionEnded {
        /// Is it memory?
        memory: bool,
    },
    /// `savevm_command_send`: a command goes out.
    CommandSent {
        /// Its number.
        number: u16,
    },
    /// `source_return_path_thread_shut`: the destination is done.
    ShutReceived {
        /// Its result.
        result: u32,
    },
    /// `ram_dirty_bitmap_reload_complete`: the destination said what it has of a block.
    BitmapReceived {
        /// Which block.
        block: Name,
    },
    /// `source_return_path_thread_resume_ack`: the destination goes on after a cut.
    ResumeAcknowledged,
    /// `postcopy_pause_return_path`, `postcopy_pause_incoming`: the connection is lost.
    ConnectionLost,
    /// `postcopy_pause_return_path_continued`, `postcopy_pause_incoming_continued`: there is a new one.
    ConnectionRestored,

    // The destination.
    /// `ram_load_loop`: a page arrived and was installed, before post-copy.
    PageLoaded {
        /// Of which block.
        block: Name,
        /// Which page.
        page: u64,
        /// Flags of the record.
        flags: u16,
    },
    /// `ram_load_postcopy_loop`: a record of memory arrived, in post-copy.
    RecordLoaded {
        /// On which channel.
        channel: u8,
        /// Which page; 0 for the end of a part.
        page: u64,
        /// Flags of the record.
        flags: u16,
    },
    /// `postcopy_place_page`, `postcopy_place_page_zero`: a page was installed.
    PagePlaced {
        /// Its address in QEMU's own address space.
        host: u64,
    },
    /// `postcopy_init_range`: where a block is in QEMU's own address space.
    BlockMapped {
        /// Which block.
        block: Name,
        /// Its address.
        host: u64,
        /// Bytes of it.
        length: u64,
    },
    /// `ram_discard_range`: pages were forgotten.
    PagesDiscarded {
        /// Of which block.
        block: Name,
        /// The first.
        page: u64,
        /// How many.
        count: u64,
    },
    /// `postcopy_ram_fault_thread_request`: the guest touched a page that is not there.
    FaultSeen {
        /// Of which block.
        block: Name,
        /// Which page.
        page: u64,
    },
    /// `migrate_send_rp_message`: something is said to the source.
    MessageSent {
        /// Its type.
        number: u16,
    },
    /// `loadvm_process_command`: a command arrived.
    CommandReceived(CommandName),
    /// `loadvm_handle_cmd_packaged_received`: a package has arrived as a whole.
    PackageReceived,
}

/// The state of a migration, as QEMU calls it.
#[expect(missing_docs, reason = "they are QEMU's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QemuState {
    None,
    Setup,
    Active,
    Device,
    PostcopyDevice,
    PostcopyActive,
    PostcopyPaused,
    PostcopyRecoverSetup,
    PostcopyRecover,
    PreSwitchover,
    WaitUnplug,
    Colo,
    Completed,
    Failing,
    Failed,
    Cancelling,
    Cancelled,
}

impl QemuState {
    /// The state of this name.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "setup" => Self::Setup,
            "active" => Self::Active,
            "device" => Self::Device,
            "postcopy-device" => Self::PostcopyDevice,
            "postcopy-active" => Self::PostcopyActive,
            "postcopy-paused" => Self::PostcopyPaused,
            "postcopy-recover-setup" => Self::PostcopyRecoverSetup,
            "postcopy-recover" => Self::PostcopyRecover,
            "pre-switchover" => Self::PreSwitchover,
            "wait-unplug" => Self::WaitUnplug,
            "colo" => Self::Colo,
            "completed" => Self::Completed,
            "failing" => Self::Failing,
            "failed" => Self::Failed,
            "cancelling" => Self::Cancelling,
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }
}

/// Commands that arrive, by name; those that matter here.
#[expect(missing_docs, reason = "they are QEMU's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandName {
    Packaged,
    PostcopyRamDiscard,
    PostcopyRun,
    PostcopyResume,
    RecvBitmap,
}

/// The name of a block, see [`Trace::name`](super::QemuTrace::name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(pub u16);

pub(super) const NAMES_MAX: usize = 4096;

/// Names of blocks by number; the last one comes again most often.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    last: usize,
}

impl Names {
    pub fn get(&self, name: Name) -> &str {
        self.names.get(usize::from(name.0)).map_or("", String::as_str)
    }

    fn number(&mut self, name: &[u8]) -> Result<Name, Refused> {
        let is_it = |other: &String| other.as_bytes() == name;
        if !self.names.get(self.last).is_some_and(is_it) {
            self.last = match self.names.iter().position(is_it) {
                Some(index) => index,
                None if self.names.len() == NAMES_MAX => return Err(Refused::Names),
                None => {
                    self.names.push(String::from_utf8_lossy(name).into_owned());
                    self.names.len() - 1
                }
            };
        }
        Ok(Name(self.last as u16))
    }
}

pub(super) enum Refused {
    Arguments,
    Names,
}

/// The event of this name; `None` for those that nothing is made of.
pub(super) fn parse(name: &[u8], arguments: &[u8], names: &mut Names) -> Result<Option<QemuEvent>, Refused> {
    let mut words = Words { rest: arguments };
    let words = &mut words;
    let event = match name {
        b"migrate_set_state" => {
            let name = words.after("new state")?;
            let name = std::str::from_utf8(name).map_err(|_| Refused::Arguments)?;
            QemuState::of(name).map(QemuEvent::StateSet).ok_or(Refused::Arguments)?
        }
        b"vm_state_notify" => QemuEvent::ProcessorsSet { run: decimal(words.after("running")?)? != 0 },
        b"migration_bitmap_sync_end" => QemuEvent::DirtyLogRead,
        b"ram_save_page" => {
            let block = words.block(names)?;
            QemuEvent::PageSaved { block, page: page(words.after("offset:")?)? }
        }
        b"migrate_handle_rp_req_pages" => {
            let block = match words.after("in")? {
                b"(null)" => None,
                name => Some(names.number(name)?),
            };
            let (start, length) = (words.after("at")?, words.after("len")?);
            QemuEvent::RequestReceived { block, page: page(start)?, count: page(length)? }
        }
        b"get_queued_page" | b"get_queued_page_not_dirty" => {
            let whole = words.next()?;
            let slash = whole.iter().rposition(|byte| *byte == b'/').ok_or(Refused::Arguments)?;
            let (block, page) = (names.number(&whole[..slash])?, page(&whole[slash + 1..])?);
            match name {
                b"get_queued_page" => QemuEvent::RequestTaken { block, page },
                _ => QemuEvent::RequestVoid { block, page },
            }
        }
        b"savevm_section_start" => QemuEvent::SectionBegun { memory: words.next()? == b"ram," },
        b"savevm_section_end" => QemuEvent::SectionEnded { memory: words.next()? == b"ram," },
        b"savevm_command_send" => {
            let number = words.next()?.strip_prefix(b"com=").ok_or(Refused::Arguments)?;
            QemuEvent::CommandSent {
                number: u16::try_from(hexadecimal(number)?).map_err(|_| Refused::Arguments)?,
            }
        }
        b"source_return_path_thread_shut" => {
            let result = u32::try_from(hexadecimal(words.next()?)?).map_err(|_| Refused::Arguments)?;
            QemuEvent::ShutReceived { result }
        }
        b"ram_dirty_bitmap_reload_complete" => {
            QemuEvent::BitmapReceived { block: names.number(words.next()?)? }
        }
        b"source_return_path_thread_resume_ack" => QemuEvent::ResumeAcknowledged,
        b"postcopy_pause_return_path" | b"postcopy_pause_incoming" => QemuEvent::ConnectionLost,
        b"postcopy_pause_return_path_continued" | b"postcopy_pause_incoming_continued" => {
            QemuEvent::ConnectionRestored
        }
        b"ram_load_loop" => {
            let block = words.block(names)?;
            let (address, flags) = (words.after("addr:")?, words.after("flags:")?);
            QemuEvent::PageLoaded { block, page: page(address)?, flags: short(flags)? }
        }
        b"ram_load_postcopy_loop" => {
            let channel = match words.next()? {
                word if word.starts_with(b"chan=") => decimal(&word[5..])?,
                word => {
                    words.rest = word;
                    0
                }
            };
            let channel = u8::try_from(channel).map_err(|_| Refused::Arguments)?;
            let (address, flags) = (words.valued("addr=")?, words.valued("flags=")?);
            QemuEvent::RecordLoaded { channel, page: page(address)?, flags: short(flags)? }
        }
        b"postcopy_place_page" | b"postcopy_place_page_zero" => {
            QemuEvent::PagePlaced { host: hexadecimal(words.valued("host=")?)? }
        }
        b"postcopy_init_range" => {
            let block = words.block(names)?;
            let host = hexadecimal(words.next()?)?;
            words.next()?;
            QemuEvent::BlockMapped { block, host, length: hexadecimal(words.valued("length=")?)? }
        }
        b"ram_discard_range" => {
            let block = words.block(names)?;
            let (start, length) = (words.after("start:")?, words.next()?);
            QemuEvent::PagesDiscarded { block, page: page(start)?, count: page(length)? }
        }
        b"postcopy_ram_fault_thread_request" => {
            words.after("Request for")?;
            let block = names.number(words.valued("rb=")?)?;
            QemuEvent::FaultSeen { block, page: hexadecimal(words.valued("offset=")?)? / PAGE_BYTES }
        }
        b"migrate_send_rp_message" => {
            let number = words.next()?.strip_suffix(b":").ok_or(Refused::Arguments)?;
            QemuEvent::MessageSent {
                number: u16::try_from(decimal(number)?).map_err(|_| Refused::Arguments)?,
            }
        }
        b"loadvm_process_command" => match words.valued("com=")? {
            b"PACKAGED" => QemuEvent::CommandReceived(CommandName::Packaged),
            b"POSTCOPY_RAM_DISCARD" => QemuEvent::CommandReceived(CommandName::PostcopyRamDiscard),
            b"POSTCOPY_RUN" => QemuEvent::CommandReceived(CommandName::PostcopyRun),
            b"POSTCOPY_RESUME" => QemuEvent::CommandReceived(CommandName::PostcopyResume),
            b"RECV_BITMAP" => QemuEvent::CommandReceived(CommandName::RecvBitmap),
            _ => return Ok(None),
        },
        b"loadvm_handle_cmd_packaged_received" => QemuEvent::PackageReceived,
        _ => return Ok(None),
    };
    Ok(Some(event))
}

/// Words, separated by single spaces.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a [u8], Refused> {
        let end = self.rest.iter().position(|byte| *byte == b' ').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        if word.is_empty() { Err(Refused::Arguments) } else { Ok(word) }
    }

    /// The word after these.
    fn after(&mut self, expected: &str) -> Result<&'a [u8], Refused> {
        for expected in expected.split(' ') {
            if self.next()? != expected.as_bytes() {
                return Err(Refused::Arguments);
            }
        }
        self.next()
    }

    /// What stands behind this within a word.
    fn valued(&mut self, name: &str) -> Result<&'a [u8], Refused> {
        self.next()?.strip_prefix(name.as_bytes()).ok_or(Refused::Arguments)
    }

    /// A block's name, up to a colon.
    fn block(&mut self, names: &mut Names) -> Result<Name, Refused> {
        names.number(self.next()?.strip_suffix(b":").ok_or(Refused::Arguments)?)
    }
}

fn page(address: &[u8]) -> Result<u64, Refused> {
    let address = hexadecimal(address)?;
    if address.is_multiple_of(PAGE_BYTES) { Ok(address / PAGE_BYTES) } else { Err(Refused::Arguments) }
}

fn short(text: &[u8]) -> Result<u16, Refused> {
    u16::try_from(hexadecimal(text)?).map_err(|_| Refused::Arguments)
}

/// With or without `0x`.
fn hexadecimal(text: &[u8]) -> Result<u64, Refused> {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    if digits.is_empty() || digits.len() > 16 {
        return Err(Refused::Arguments);
    }
    digits.iter().try_fold(0, |value, digit| match char::from(*digit).to_digit(16) {
        Some(digit) => Ok(value << 4 | u64::from(digit)),
        None => Err(Refused::Arguments),
    })
}

fn decimal(text: &[u8]) -> Result<u64, Refused> {
    match super::decimal(text) {
        Some((value, [])) => Ok(value),
        _ => Err(Refused::Arguments),
    }
}
