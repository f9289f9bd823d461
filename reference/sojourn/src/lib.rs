//! Processes moved between machines: the sans-I/O endpoints of the reference, driven over TCP and TLS.
//!
//! The endpoints decide, a [`driver`] gives them a queue, a clock and memory. Reading order:
//!
//! * [`subject`]: the seam between the driver and what moves, and [`region`], the plainest thing that can move.
//! * [`driver`]: one thread and one loop for each thing that moves, on each machine that it is on or has left.
//! * [`channel`]: a connection to a peer: protocol and asides in frames, paced so that what is asked for finds at most
//!   about one page ahead of it.
//! * [`aside`]: what drivers say to each other beside the protocol, above all the greeting.
//! * [`dial`]: how a connection comes about: TCP, TLS where the address is not loopback, the greeting.
//! * [`host`]: a machine that takes processes; [`store`]: the file server.
//! * [`recorder`]: the log of steps; [`status`]: how far a migration is, for a person to watch.
//! * [`judge`]: the command that judges a run by the model while it goes on.
//! * [`process`]: an unmodified Linux process as what moves; [`mapped`]: memory of one's own process and what works in it, such as
//!   a virtual machine.
//! * [`profile`]: how a process uses its memory, for a prediction; [`measure`]: what moving processes costs.
//! * [`key`]: who may speak to whom; [`control`]: how the command talks to what is running.
//!
//! # Processes and files
//!
//! Where the destination has a file with the same content, pages of a *private* mapping that were not modified come from there; all
//! others travel like memory. Under an algorithm that writes back, *shared* writable mappings are of files of the file server: what is
//! modified is written back all along, and fetched from there. Under others a shared mapping is of the file itself where both hosts
//! are on one machine and see the same file; elsewhere what is written to it stays in memory at the destination.

pub mod aside;
pub mod channel;
pub mod cli;
pub mod control;
pub mod dial;
pub mod driver;
pub mod host;
pub mod judge;
pub mod key;
pub mod layout;
pub mod mapped;
pub mod measure;
pub mod process;
pub mod profile;
pub mod recorder;
pub mod region;
pub mod status;
pub mod store;
pub mod subject;
