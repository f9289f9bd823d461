//! What the network and the software of a system cost: all of it in one value, with a preset for each kind of system.
//!
//! ```text
//!   migration thread ─page─▶ send buffer ─▶ line ─latency─▶ line ─▶ receive window ─install─▶ memory
//!    page, pass, freeze      push backlog  framing          receive rate                     fault
//! ```
//!
//! Times of software pass beside the line, which goes on sending what is queued; only
//! [`request_pause_ns`](CostModel::request_pause_ns), which the published tables imply, idles it.

use serde::Serialize;

use crate::Fraction;

/// Bytes of a message without a page, and of what one has besides, where nobody says otherwise: a header of 24 bytes, and in it two
/// numbers and how the page is encoded. The published tables were read with these.
pub const MESSAGE_HEADER_BYTES: u64 = 24;
/// See [`MESSAGE_HEADER_BYTES`].
pub const CONTENT_MESSAGE_OVERHEAD_BYTES: u64 = MESSAGE_HEADER_BYTES + 8 + 8 + 1;

/// Bytes of a page message besides the page in the protocol of the reference: header, two short numbers, encoding.
const SHORT_OVERHEAD_BYTES: u64 = protocol::wire::HEADER_LEN_MIN as u64 + 1 + 3 + 1 + 1;

/// What encryption adds to each record of its stream.
const RECORD_OVERHEAD_BYTES: u64 = 22;

/// What the network and the software of a system cost. Rates are bits a second, times nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CostModel {
    /// What leaves a place: with [`framing`](Self::framing) the rate of the line, without it that of the payload.
    pub bandwidth_bits_per_s: u64,
    /// What a place receives, counted in the same way; `None`: as much as it sends.
    pub receive_bits_per_s: Option<u64>,
    /// What the line carries besides the payload.
    pub framing: Option<Framing>,
    /// Time between leaving one place and arriving at another.
    pub latency_ns: u64,
    /// Bytes that a connection holds at the sender: queued, and with a [`window`](Self::window_bytes) also what is not
    /// acknowledged yet.
    pub send_buffer_bytes: u64,
    /// Whether a connection holds no more than what the link takes anyway, and two pages: what was measured of the rate
    /// and the round trip decides.
    pub paced: bool,
    /// Bytes of a connection that may be on their way or wait at the receiver to be installed; `None`: without bound.
    pub window_bytes: Option<u64>,
    /// Bytes that may be queued ahead of a page that nobody waits for; with 0 it is sent when the line is idle.
    pub push_backlog_bytes: u64,
    /// Whether requested pages have a connection of their own, and do not queue behind others.
    pub own_channel: bool,
    /// Connections and threads that share the pages: they multiply buffers and windows, and divide what a page costs.
    pub streams: u32,
    /// The most that is sent before the suspension; `None`: what the line takes.
    pub copy_cap_bits_per_s: Option<u64>,
    /// The most that is sent after the resume.
    pub post_cap_bits_per_s: Option<u64>,
    /// Length of the state without pages and without the map of pages.
    pub state_bytes: u64,
    /// What follows the state, and is read before the resume as well, where no page is left to be sent after it: a description of
    /// the state for whoever examines it.
    pub description_bytes: u64,
    /// Bytes of a page message besides the page.
    pub page_overhead_bytes: u64,
    /// Bytes of a message that says that a page is all zero; `None`: such a page travels as others do.
    pub zero_page_bytes: Option<u64>,
    /// The length to which other pages are compressed, in millionths of the page; `None`: they are not.
    pub compressed: Option<Fraction>,
    /// Fixed time of a freeze: stop, collect the state, build and start the process.
    pub freeze_ns: u64,
    /// What a freeze takes longer where files of the file server are mapped, whose pages are written back.
    pub mapped_freeze_ns: u64,
    /// What a freeze takes longer where pages that were sent ahead are outdated: the receiver takes them out.
    pub drop_ns: u64,
    /// Fixed time of a pass.
    pub pass_ns: u64,
    /// Time of a pass for each page of the address space, whose mark is read and cleared.
    pub scan_page_ps: u64,
    /// Time of the sender for each page: to read, compress, encrypt and hand it over.
    pub page_ns: u64,
    /// Time of the sender to see that a page is all zero.
    pub zero_page_ns: u64,
    /// Time of the receiver for each page before the resume: to take it over, decrypt and install it.
    pub install_ns: u64,
    /// The same after it, when the page is put where a running process may be waiting for it.
    pub place_ns: u64,
    /// From an access to a missing page to the request that leaves, and from the page to the process that runs again.
    pub fault_ns: u64,
    /// From a request that arrives to its page that is handed over.
    pub serve_ns: u64,
    /// Time for which a request keeps the line of the place that serves it idle.
    pub request_pause_ns: u64,
    /// With marks that are taken when their page is sent: how often it is looked which pages are marked. A page that was written
    /// since the last look goes again, also if it is sent before the next one; with 0 every mark is known at once.
    pub look_ns: u64,
}

/// What a line carries besides the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Framing {
    /// Payload of a full frame, in bytes.
    pub payload_bytes: u64,
    /// What comes on top of it.
    pub overhead_bytes: u64,
}

impl Framing {
    /// TCP with time stamps over IPv4 in Ethernet frames of 1500 bytes: 52 bytes of headers in the frame, and preamble,
    /// header, checksum and gap around it.
    pub const ETHERNET: Self = Self { payload_bytes: 1448, overhead_bytes: 90 };

    /// The same in jumbo frames of 9000 bytes.
    pub const JUMBO: Self = Self { payload_bytes: 8948, overhead_bytes: 90 };
}

/// Whose costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What the published tables imply: an ideal pipe, software for nothing, and a pause of the line for each request.
    Paper,
    /// QEMU's: one thread that fills the send buffer, zero pages found, requested pages among the others.
    Qemu,
    /// CRIU's with a page server and lazy pages: a freeze that dumps and restores, pages asked for.
    Criu,
    /// The reference's own on Linux: the process is built ahead, and no more than a page is queued.
    #[default]
    Sojourn,
}

impl Preset {
    /// All.
    pub const ALL: [Self; 4] = [Self::Paper, Self::Qemu, Self::Criu, Self::Sojourn];

    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Qemu => "qemu",
            Self::Criu => "criu",
            Self::Sojourn => "sojourn",
        }
    }

    /// The costs of such a system.
    pub fn costs(self) -> CostModel {
        match self {
            Self::Paper => CostModel::PAPER,
            Self::Qemu => CostModel::QEMU,
            Self::Criu => CostModel::CRIU,
            Self::Sojourn => CostModel::SOJOURN,
        }
    }
}

impl CostModel {
    /// Read off the published numbers: 2560 pages take 776 ms on the link; the state without pages takes 4.2 ms on it,
    /// and 4.5 ms with the three latencies of the hand-over; the send buffer takes 48 ms to drain; each request idles
    /// the link for 0.205 ms.
    pub const PAPER: Self = Self {
        bandwidth_bits_per_s: 109_180_000,
        receive_bits_per_s: None,
        framing: None,
        latency_ns: 100_000,
        send_buffer_bytes: 640 << 10,
        paced: false,
        window_bytes: None,
        push_backlog_bytes: 0,
        own_channel: false,
        streams: 1,
        copy_cap_bits_per_s: None,
        post_cap_bits_per_s: None,
        state_bytes: 56_600,
        description_bytes: 0,
        page_overhead_bytes: CONTENT_MESSAGE_OVERHEAD_BYTES,
        zero_page_bytes: None,
        compressed: None,
        freeze_ns: 0,
        mapped_freeze_ns: 0,
        drop_ns: 0,
        pass_ns: 0,
        scan_page_ps: 0,
        page_ns: 0,
        zero_page_ns: 0,
        install_ns: 0,
        place_ns: 0,
        fault_ns: 0,
        serve_ns: 0,
        request_pause_ns: 205_000,
        look_ns: 0,
    };

    /// A line of 100 Mbit/s and the limits of Linux's TCP (`tcp_wmem`, `tcp_rmem`: 4 and 6 MiB), software for nothing.
    const TCP: Self = Self {
        bandwidth_bits_per_s: 100_000_000,
        framing: Some(Framing::ETHERNET),
        send_buffer_bytes: 4 << 20,
        window_bytes: Some(6 << 20),
        state_bytes: 16 << 10,
        request_pause_ns: 0,
        ..Self::PAPER
    };

    /// The reference's own on Linux, measured on one machine: a userfault takes 5 to 11 µs, a copy 2 µs, a scan of 2560
    /// pages 6 to 26 µs, the stop for tracking 0.1 to 0.3 ms. A freeze is that of `sojourn measure`, the median of
    /// post-copies of a process of one thread: 2.5 ms of software, in which the source stops it, collects what it is in the middle of and
    /// looks for marks, and the destination brings up to date what it has built and lets it go; with a shared mapping of a file all of
    /// that and a plan of more runs take 0.5 ms more; 0.5 ms to take out outdated pages, however many. The state is 1.3 KiB of
    /// registers, signals and the like, and what both ends put around it, which is on the line for 0.35 ms.
    pub const SOJOURN: Self = Self {
        paced: true,
        push_backlog_bytes: 0,
        own_channel: true,
        state_bytes: 4 << 10,
        freeze_ns: 2_500_000,
        mapped_freeze_ns: 500_000,
        drop_ns: 500_000,
        pass_ns: 300_000,
        scan_page_ps: 10_000,
        page_ns: 2_000,
        zero_page_ns: 500,
        install_ns: 2_000,
        place_ns: 2_000,
        fault_ns: 8_000,
        serve_ns: 5_000,
        look_ns: 10_000_000,
        page_overhead_bytes: SHORT_OVERHEAD_BYTES + RECORD_OVERHEAD_BYTES,
        zero_page_bytes: Some(SHORT_OVERHEAD_BYTES),
        ..Self::TCP
    };

    /// QEMU's, measured in recorded runs of QEMU 7.2 with software emulation: 1.9 µs from page to page at the source and at
    /// the destination before the resume, 4.1 µs after it, 71 µs from a fault to its request at the source. The first look at a page
    /// that was never touched takes 0.92 µs of processor time. A page has a header of 8 bytes, a zero page 9; pages fill the send
    /// buffer, also after the resume, and a requested one queues behind them unless it has a channel of its own (*postcopy-preempt*).
    ///
    /// The freeze is that of QEMU 10.0.2 with software emulation and no devices but those of the board (`-nodefaults`), whose state
    /// is 13 KB: in post-copy, which sends no page in it, it takes 3.7 ms from stop to resume, the median of 22 runs (3.0 to 4.3 ms),
    /// of which 2.8 ms are software: 0.3 ms at the source, and the rest at the destination, which puts the state in and begins. QEMU
    /// 7.2 took 5 to 12 ms for the same. Where no page follows the resume, the state is followed by a description of it (*vmdesc*,
    /// 99,040 bytes of JSON for these devices), and the destination reads that before it resumes the guest; `suppress-vmdesc=on`
    /// leaves it out.
    pub const QEMU: Self = Self {
        push_backlog_bytes: 4 << 20,
        own_channel: false,
        state_bytes: 64 << 10,
        description_bytes: 99_040,
        page_overhead_bytes: 8,
        zero_page_bytes: Some(9),
        freeze_ns: 2_800_000,
        pass_ns: 1_000_000,
        scan_page_ps: 10_000,
        page_ns: 1_900,
        zero_page_ns: 920,
        install_ns: 1_900,
        place_ns: 4_100,
        fault_ns: 71_000,
        serve_ns: 20_000,
        ..Self::TCP
    };

    /// CRIU's, with a page server before the freeze and lazy pages after it: the process is dumped and restored while it is
    /// frozen, and pages are asked for. Read off a recorded lazy migration of CRIU 4.2.1 between two namespaces of one
    /// machine, the recorder between them: 139.7 ms from the beginning of the dump until its pages can be asked for and 7.9
    /// ms from the restored mappings to the first fault (together the freeze, of which some is no more than starting a
    /// program); 5 µs from a fault to its request, the median of 12; 0.95 to 6.2 ms from the request to the page, the least
    /// of them taken; of the largest answer, 96 pages in 1.74 ms, 8.3 µs a page beyond that. Estimated, for want of a
    /// recording with passes: a pass, as a pre-dump stops the process and puts its parasite into it; what the sender and
    /// the receiver do for a page in a pass, as QEMU's; a look at a mark, as five times ours; the images without pages.
    /// Headers are CRIU's own, 32 bytes.
    pub const CRIU: Self = Self {
        push_backlog_bytes: 4 << 20,
        own_channel: false,
        state_bytes: 512 << 10,
        page_overhead_bytes: 32,
        zero_page_bytes: Some(32),
        freeze_ns: 148_000_000,
        pass_ns: 20_000_000,
        scan_page_ps: 50_000,
        page_ns: 1_900,
        zero_page_ns: 920,
        install_ns: 1_900,
        place_ns: 8_300,
        fault_ns: 5_000,
        serve_ns: 950_000,
        ..Self::TCP
    };

    /// Bits on the line, and what they are divided by, of so many bytes among others.
    pub fn wire_bits(&self, bytes: u64) -> (u128, u128) {
        let bits = u128::from(bytes) * 8;
        match self.framing {
            None => (bits, 1),
            Some(Framing { payload_bytes, overhead_bytes }) => {
                (bits * u128::from(payload_bytes + overhead_bytes), u128::from(payload_bytes.max(1)))
            }
        }
    }

    /// Payload that leaves a place in a second, in bits.
    pub fn goodput_bits_per_s(&self) -> f64 {
        let share = self.framing.map_or(1.0, |framing| {
            framing.payload_bytes as f64 / (framing.payload_bytes + framing.overhead_bytes) as f64
        });
        self.bandwidth_bits_per_s as f64 * share
    }

    /// What a connection holds at the sender, all streams together.
    pub fn buffer_bytes(&self, page_size_bytes: u64) -> u64 {
        let pipe_bytes =
            u128::from(self.bandwidth_bits_per_s) * 2 * u128::from(self.latency_ns) / 8_000_000_000;
        let pages_bytes = 2 * (page_size_bytes + self.page_overhead_bytes);
        match self.paced {
            true => self.send_buffer_bytes.min(pipe_bytes as u64 + pages_bytes),
            false => self.send_buffer_bytes * u64::from(self.streams.max(1)),
        }
    }

    /// What a place receives in a second, in bits.
    pub fn receive(&self) -> u64 {
        self.receive_bits_per_s.unwrap_or(self.bandwidth_bits_per_s)
    }

    /// How many page messages the line carries in a second.
    pub fn pages_per_s(&self, page_size_bytes: u64) -> f64 {
        let bytes = self.page_overhead_bytes + page_size_bytes;
        self.goodput_bits_per_s() / (bytes as f64 * 8.0)
    }

    /// For how long so many pages occupy the line, or the software at either end before the resume, whichever is slower.
    pub fn pages_ns(&self, pages: u64, page_size_bytes: u64) -> u64 {
        let line_ns = 1e9 / self.pages_per_s(page_size_bytes);
        let software_ns = self.shared(self.page_ns.max(self.install_ns)) as f64;
        (pages as f64 * line_ns.max(software_ns)) as u64
    }

    /// For how long any freeze lasts in which no page is sent: the software, a state of so many bytes, and the three ways of
    /// the hand-over.
    pub fn bare_freeze_ns(&self, state_bytes: u64) -> u64 {
        let state_ns = state_bytes as f64 * 8e9 / self.goodput_bits_per_s().max(1.0);
        self.freeze_ns.saturating_add(state_ns as u64).saturating_add(3 * self.latency_ns)
    }

    /// A page's share of what it costs one stream.
    pub fn shared(&self, ns: u64) -> u64 {
        ns / u64::from(self.streams.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_ethernet_carries_six_per_cent_less_than_its_rate() {
        let costs = CostModel { bandwidth_bits_per_s: 100_000_000, ..Preset::Qemu.costs() };
        assert!((costs.goodput_bits_per_s() / 1e6 - 94.15).abs() < 0.01, "{}", costs.goodput_bits_per_s());
        let (bits, divisor) = costs.wire_bits(1448);
        assert_eq!(bits / divisor, 1538 * 8);
        assert_eq!(CostModel::PAPER.goodput_bits_per_s(), 109_180_000.0);
    }

    #[test]
    fn only_the_published_tables_idle_the_line_for_a_request() {
        let idling = Preset::ALL.into_iter().filter(|preset| preset.costs().request_pause_ns > 0);
        assert_eq!(idling.collect::<Vec<_>>(), [Preset::Paper]);
    }
}
