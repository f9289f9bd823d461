//! Real systems as strategies: what each does, as far as the choices go. Where such a system loses a process, or has it run
//! twice, the verdicts say so.

use std::borrow::Cow;

use super::lazy_copy::LAZY_COPY;
use super::post_copy::POST_COPY;
use super::pre_copy::PRE_COPY;
use crate::strategy::{Freeze, HandOver, LogReading, Missing, Passes, Pre, Push, Real, Stop, Strategy};

const UNBOUNDED: Pre = Pre::Copy(Passes::Unbounded);

/// QEMU without post-copy. Passes over a log that is read as a whole (`migration_bitmap_sync`) until what is left fits into
/// the downtime; device state last, in the same stream, and nothing comes back.
pub const QEMU_PRE_COPY: Strategy = Strategy {
    name: Cow::Borrowed("qemu-pre-copy"),
    pre: UNBOUNDED,
    real: Real { hand_over: HandOver::OneShot, log: LogReading::Pass, stop: Stop::Target, ..Real::NONE },
    ..PRE_COPY
};

/// QEMU, switched to post-copy before the first pass is over or whenever else: what was sent and is current stays, the rest is
/// discarded (`POSTCOPY_RAM_DISCARD`). State and *run* travel in one package.
pub const QEMU_POST_COPY: Strategy = Strategy {
    name: Cow::Borrowed("qemu-post-copy"),
    pre: UNBOUNDED,
    real: Real { hand_over: HandOver::OneShot, log: LogReading::Pass, stop: Stop::Target, ..Real::NONE },
    ..POST_COPY
};

/// QEMU with both: it stops when what is left fits into the downtime, or switches when it is told to.
pub const QEMU_HYBRID: Strategy = Strategy {
    name: Cow::Borrowed("qemu-hybrid"),
    pre: UNBOUNDED,
    freeze: Freeze::NotInStep,
    missing: Missing::Source,
    real: Real { hand_over: HandOver::OneShot, log: LogReading::Pass, stop: Stop::Switch, ..Real::NONE },
    ..POST_COPY
};

/// CRIU with lazy pages. Images are copied, and `restore` runs the process; no message says so. The source keeps its frozen
/// process until the page server has served all, and lets it run where that fails. The destination asks for everything, in the
/// background for what nobody has touched.
pub const CRIU_LAZY: Strategy = Strategy {
    name: Cow::Borrowed("criu-lazy"),
    push: Push::Pull,
    real: Real { hand_over: HandOver::None, ..Real::NONE },
    ..POST_COPY
};

/// Cloud Hypervisor with post-copy. Every command is answered: the answer to *state* is the *ready*, *complete* is the *go*, and
/// a source that hears no answer to that resumes. The destination asks for everything, in the background for what nobody has
/// touched.
pub const CLOUD_HYPERVISOR_POST_COPY: Strategy = Strategy {
    name: Cow::Borrowed("cloud-hypervisor-post-copy"),
    push: Push::Pull,
    real: Real { hand_over: HandOver::Acknowledged, ..Real::NONE },
    ..POST_COPY
};

/// The V system: passes of pre-copy, then the rest in the freeze (Theimer, Lantz and Cheriton, SOSP 1985).
pub const V_SYSTEM: Strategy = Strategy { name: Cow::Borrowed("v-system"), ..PRE_COPY };

/// Accent: pages are left behind and fetched when they are touched (Zayas, SOSP 1987).
pub const ACCENT: Strategy = Strategy { name: Cow::Borrowed("accent"), ..LAZY_COPY };

/// Sprite: modified pages are flushed to the file server (Douglis and Ousterhout, 1991).
pub const SPRITE: Strategy = Strategy { name: Cow::Borrowed("sprite"), ..super::FLUSHING };

/// openMosix: modified pages travel in the freeze, unmodified ones are loaded from the program's file.
pub const OPENMOSIX: Strategy = Strategy { name: Cow::Borrowed("openmosix"), ..super::TOTAL_COPY_DIRTY };

/// vMotion: passes of pre-copy, then the rest in the freeze; the source gives up when the destination has said that it is
/// there (Nelson, Lim and Hutchins, USENIX 2005).
pub const VMOTION: Strategy = Strategy {
    name: Cow::Borrowed("vmotion"),
    pre: UNBOUNDED,
    real: Real { log: LogReading::Pass, stop: Stop::Target, ..Real::NONE },
    ..PRE_COPY
};
