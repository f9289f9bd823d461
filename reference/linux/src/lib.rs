//! The operating-system layer of the reference: unmodified Linux processes taken apart, tracked, frozen, and rebuilt on another machine.
//!
//! It knows processes and pages, no protocol: a driver around the endpoints decides which page goes when, moves bytes, and calls this.
//! It depends on nothing else of this workspace, and is its only package with `unsafe`.
//!
//! ```text
//! machine left                                     machine reached
//!
//! Source::open(pid)
//!   .obstacles(streams) ──► every reason why not
//!                          ── Inventory ──►        Destination::build(&inventory, options)
//!   .track()                                         .memory().install(page, bytes)  or  .put(page, bytes)
//!   .population(), .take_written(), .read()           .discard(ranges)
//!   .freeze() ► FrozenSource
//!      .new_obstacles(streams)
//!      .state()            ── ProcessState ──►       .prepare(&state) ► Prepared            ("ready")
//!      .thaw() ► Source      (cancelled)
//!      .hand_over() ► DepartedSource ── "go" ──►        .go() ► Resumed
//!         .read()                                          .memory().next_event(), .install(…)
//!         .kill()                                          .complete() ► Running
//! ```
//!
//! * A **page** is an address divided by [`PAGE_SIZE`]. [`Inventory::memory_kind`](inventory::Inventory::memory_kind) says what sort a page
//!   is by its mapping, [`plan::backing`] what stands behind its mapping at the destination (pages of a [`plan::Backing`] that
//!   [`is_installed`](plan::Backing::is_installed) travel, others never do), and [`pagemap::PagemapRun`] whether
//!   it is there and whose. An anonymous page that no run covers, or whose state is [`Zero`](pagemap::PageState::Zero), is zero; a page of a private
//!   mapping of a file whose state is not [`Own`](pagemap::PageState::Own) is clean: as in the file.
//! * **Tracking.** After [`track`](source::TrackedProcess::track), take the first pass from [`population`](source::TrackedProcess::population) and begin with
//!   [`take_written`](source::TrackedProcess::take_written), whose answer to the first call is everything; each later one answers what was written since. A page that
//!   was copied and is not in `population` any more at the freeze was discarded or unmapped by the process: it has to be discarded
//!   ([`discard`](build::BuiltProcess::discard)) or overwritten with zeros at the destination.
//! * **Layout.** [`FrozenSource::state`](source::FrozenSource::state) carries a whole new inventory. [`prepare`](build::BuiltProcess::prepare)
//!   compares it with the one that the process was built from and follows: unmaps (pages installed there are gone), maps, protects. So pages
//!   of mappings that came later can be installed only after `prepare`.
//! * **Faults** are read from [`memory`](build::Resumed::memory), which can be polled, from any thread. As soon as the process runs (and a moment before `go` returns)
//!   faults come: have somebody read them before calling [`go`](build::Prepared::go). A fault on a page that the state does not have (a
//!   stack that grows) is answered with [`install_zero`](userfault::Userfault::install_zero). While an event has not been read,
//!   [`install`](userfault::Userfault::install) answers [`EventsFirst`](userfault::Installed::EventsFirst).
//! * **Children** that the process makes while pages are absent have the same pages absent: [`Forked`](userfault::MemoryEvent::Forked) brings a
//!   descriptor of their own, whose faults are answered with the content that the page had when they were made. Keep it until every page of the child is there.
//! * **Never two.** [`hand_over`](source::FrozenSource::hand_over) consumes what could be thawed. Before it, the end of this program lets the
//!   process run on; after it, the end of this program kills it. A built process ends with this program until [`complete`](build::Resumed::complete).
//! * All values may be used from any thread; each has a thread of its own that does the tracing. A program that uses this must not wait for *any* child
//!   (`waitpid(-1)`), which would take stops away.
//!
//! Where both machines see one file system, [`plan::FileChoices::same_file_system`] says so; otherwise the driver finds the files
//! ([`plan::files`]), compares contents ([`plan::content_hash`]) and lists what is there. Open files are opened by path either way.
//!
//! # What is not kept
//!
//! The session, process group and controlling terminal (the process leads a session of its own); the parent; names of mappings; advice given
//! between inventory and freeze. `epoll_pwait2`, `sigtimedwait`, `semtimedop` and `io_getevents` with a relative time-out begin that time anew.
//!
//! # Where
//!
//! Linux on x86-64, 6.7 or later. Elsewhere the library is empty.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

pub mod area;
pub mod build;
pub mod error;
pub mod inventory;
pub mod obstacle;
pub mod pagemap;
pub mod plan;
pub mod range;
pub mod region;
pub mod source;
pub mod state;
mod tracing;
pub mod userfault;

pub use error::{LinuxError, Result};
pub use range::{AddressRange, PAGE_SIZE};
