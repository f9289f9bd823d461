//! Every reason why a process cannot be moved.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::inventory::host::KERNEL_VERSION_MIN;
use crate::inventory::{
    Descriptor, DescriptorKind, HostFacts, Inventory, Mapping, MappingKind, PipeEnd, descriptor,
};
use crate::state::NAMELESS_BYTES_MAX;

/// One reason why a process cannot be moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Obstacle {
    /// What stands in the way.
    pub culprit: Culprit,
    /// Why that cannot be moved.
    pub reason: ObstacleReason,
}

/// What stands in the way of a move.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Culprit {
    /// A descriptor, with what it leads to.
    Descriptor {
        /// Its number.
        number: i32,
        /// What it leads to.
        target: String,
    },
    /// A mapping.
    Mapping {
        /// `start-end`, hexadecimal.
        range: String,
        /// What is mapped.
        target: String,
    },
    /// A thread.
    Thread {
        /// As the observer counts.
        tid: i32,
    },
    /// The process as a whole.
    Process,
    /// The kernel of the source or of the destination.
    Kernel {
        /// `uname -r`.
        release: String,
    },
    /// The processor of the destination.
    Processor {
        /// The feature, by the kernel's name.
        feature: String,
    },
    /// Who asks.
    Privilege {
        /// The capability or right that is missing.
        name: String,
    },
}

/// Why something cannot be moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum ObstacleReason {
    Socket,
    Device,
    Terminal,
    DeletedFile,
    PipeToOthers { processes: Vec<i32> },
    PipeOfStandardStream,
    IoUring,
    Inotify,
    UnknownDescriptor,
    MemoryFile,
    SharedWithOthers { processes: Vec<i32> },
    SystemVMemory,
    HugePagesOfTheirOwn,
    DeviceMemory,
    UnknownMapping,
    Children { processes: Vec<i32> },
    SeccompFilter,
    Traced { by: i32 },
    OtherUser { user: u32 },
    Is32Bit,
    GuardedControlFlow { features: String },
    FileLock { lock: String },
    RealTimePriority { policy: u32 },
    OtherRoot,
    DirectoryGone,
    KernelTooOld { needed: (u32, u32) },
    OtherVdso,
    MissingInstructions,
    ExtendedRegisters { missing: u64 },
    NotPermitted,
}

/// What to do about standard streams that lead to a terminal or out of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandardStreams {
    /// Descriptors 0, 1 and 2, and what shares their terminal or pipe, are connected to what the destination offers.
    #[default]
    Replace,
    /// Such a stream is an obstacle.
    Keep,
}

/// Every obstacle that can be seen at the source, without stopping the process.
///
/// # Errors
///
/// Where the process is gone or `/proc` cannot be read; what may not be looked at is an obstacle, not an error.
pub fn at_source(inventory: &mut Inventory, streams: StandardStreams) -> Result<Vec<Obstacle>> {
    let pid = inventory.process.pid;
    descriptor::find_other_holders(pid, &mut inventory.descriptors)?;
    Ok(in_inventory(inventory, streams))
}

/// The same by the inventory alone: who else holds its pipes is not looked for.
pub(crate) fn in_inventory(inventory: &Inventory, streams: StandardStreams) -> Vec<Obstacle> {
    let pid = inventory.process.pid;
    let mut found = Vec::new();
    of_process(inventory, &mut found);
    for thread in &inventory.threads {
        if !matches!(thread.policy, 0 | 3 | 5) {
            let reason = ObstacleReason::RealTimePriority { policy: thread.policy };
            found.push(Obstacle { culprit: Culprit::Thread { tid: thread.tid }, reason });
        }
    }
    for mapping in &inventory.mappings {
        let reason = of_mapping(pid, mapping);
        found.extend(reason.map(|reason| Obstacle { culprit: Culprit::of_mapping(mapping), reason }));
    }
    for descriptor in &inventory.descriptors {
        let reason = of_descriptor(descriptor, inventory, streams);
        found.extend(reason.map(|reason| Obstacle { culprit: Culprit::of_descriptor(descriptor), reason }));
    }
    found
}

/// What a process on the machine of `inventory` would miss on the machine `here`.
pub fn at_destination(inventory: &Inventory, here: &HostFacts) -> Vec<Obstacle> {
    let mut found = of_kernel(here);
    let missing = inventory.host.missing_on(here);
    found.extend(missing.map(|feature| Obstacle {
        culprit: Culprit::Processor { feature: feature.to_owned() },
        reason: ObstacleReason::MissingInstructions,
    }));
    let missing = inventory.host.extended_features & !here.extended_features;
    if missing != 0 {
        let culprit = Culprit::Processor { feature: "xsave".to_owned() };
        found.push(Obstacle { culprit, reason: ObstacleReason::ExtendedRegisters { missing } });
    }
    if (inventory.host.vdso, inventory.host.vvar_bytes) != (here.vdso, here.vvar_bytes) {
        let culprit = Culprit::Kernel { release: here.kernel_release.clone() };
        found.push(Obstacle { culprit, reason: ObstacleReason::OtherVdso });
    }
    found
}

fn of_kernel(host: &HostFacts) -> Vec<Obstacle> {
    if host.kernel_version >= KERNEL_VERSION_MIN {
        return Vec::new();
    }
    let culprit = Culprit::Kernel { release: host.kernel_release.clone() };
    vec![Obstacle { culprit, reason: ObstacleReason::KernelTooOld { needed: KERNEL_VERSION_MIN } }]
}

fn of_process(inventory: &Inventory, found: &mut Vec<Obstacle>) {
    let process = &inventory.process;
    found.extend(of_kernel(&inventory.host));
    let mut add = |reason| found.push(Obstacle { culprit: Culprit::Process, reason });
    if !process.children.is_empty() {
        add(ObstacleReason::Children { processes: process.children.clone() });
    }
    if process.seccomp != 0 {
        add(ObstacleReason::SeccompFilter);
    }
    if process.tracer != 0 {
        add(ObstacleReason::Traced { by: process.tracer });
    }
    if process.is_32_bit {
        add(ObstacleReason::Is32Bit);
    }
    let user = rustix::process::geteuid().as_raw();
    if user != 0 && process.credentials.users[..3].iter().any(|other| *other != user) {
        add(ObstacleReason::OtherUser { user: process.credentials.users[0] });
    }
    if let Some(features) = process.guarded_control_flow.clone() {
        add(ObstacleReason::GuardedControlFlow { features });
    }
    for lock in process.file_locks.iter().filter(|lock| lock.kind != "POSIX") {
        add(ObstacleReason::FileLock { lock: format!("{} of descriptor {}", lock.kind, lock.number) });
    }
    if process.root_directory != std::path::Path::new("/") {
        add(ObstacleReason::OtherRoot);
    }
    if process.working_directory.to_string_lossy().ends_with(" (deleted)") {
        add(ObstacleReason::DirectoryGone);
    }
}

fn of_mapping(pid: i32, mapping: &Mapping) -> Option<ObstacleReason> {
    if mapping.flags.huge_tlb {
        return Some(ObstacleReason::HugePagesOfTheirOwn);
    }
    match &mapping.kind {
        MappingKind::SystemV { .. } => Some(ObstacleReason::SystemVMemory),
        MappingKind::Other { name } if name.contains("io_uring") || name.contains("aio") => {
            Some(ObstacleReason::IoUring)
        }
        MappingKind::Other { .. } => Some(ObstacleReason::UnknownMapping),
        MappingKind::File(_) if mapping.flags.device_memory => Some(ObstacleReason::DeviceMemory),
        MappingKind::File(file) if file.path.starts_with("/memfd:") || file.path.starts_with("memfd:") => {
            Some(ObstacleReason::MemoryFile)
        }
        MappingKind::File(file) if file.in_memory => None,
        MappingKind::File(file) if file.deleted => Some(ObstacleReason::DeletedFile),
        MappingKind::File(file) => {
            // Another file may have the name by now.
            let named = std::fs::metadata(format!("/proc/{pid}/root{}", file.path.display()));
            match named {
                Ok(facts) if facts.ino() == file.inode && facts.is_file() => None,
                Ok(facts) if !facts.is_file() => Some(ObstacleReason::Device),
                _ => Some(ObstacleReason::DeletedFile),
            }
        }
        MappingKind::SharedAnonymous { inode, .. } => {
            let processes = others_with_object(pid, *inode);
            (!processes.is_empty()).then_some(ObstacleReason::SharedWithOthers { processes })
        }
        _ => None,
    }
}

/// Other processes that map the shared object `inode`, as far as the observer may look.
fn others_with_object(pid: i32, inode: u64) -> Vec<i32> {
    let needle = format!(" {inode} ");
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has = |other: &i32| {
        let maps = std::fs::read_to_string(format!("/proc/{other}/maps")).unwrap_or_default();
        maps.lines().any(|line| {
            line.contains(&needle) && (line.ends_with("/dev/zero (deleted)") || line.contains("/memfd:"))
        })
    };
    numbers.filter(|other| *other != pid).filter(has).collect()
}

fn of_descriptor(
    descriptor: &Descriptor,
    inventory: &Inventory,
    streams: StandardStreams,
) -> Option<ObstacleReason> {
    let replaced = streams == StandardStreams::Replace && standard_stream_of(descriptor, inventory).is_some();
    match &descriptor.kind {
        DescriptorKind::File { deleted: true, size, .. } if *size > NAMELESS_BYTES_MAX => {
            Some(ObstacleReason::DeletedFile)
        }
        DescriptorKind::File { .. } | DescriptorKind::Directory { .. } => None,
        DescriptorKind::EventFd { .. } | DescriptorKind::TimerFd { .. } | DescriptorKind::SignalFd { .. } => {
            None
        }
        DescriptorKind::Epoll { .. } => None,
        DescriptorKind::Pipe { .. } | DescriptorKind::Device { .. } if replaced => None,
        DescriptorKind::Pipe { inode, others, .. } => {
            if !others.is_empty() {
                Some(ObstacleReason::PipeToOthers { processes: others.clone() })
            } else if has_both_ends(inventory, *inode) {
                None
            } else {
                // Its other end is closed, or with somebody who may not be looked at.
                Some(ObstacleReason::PipeOfStandardStream)
            }
        }
        DescriptorKind::Device { number: (1, 3 | 5 | 7 | 8 | 9), .. } => None,
        DescriptorKind::Device { .. } if descriptor.is_terminal() => Some(ObstacleReason::Terminal),
        DescriptorKind::Device { .. } => Some(ObstacleReason::Device),
        DescriptorKind::Memory { .. } => Some(ObstacleReason::MemoryFile),
        DescriptorKind::Socket { .. } => Some(ObstacleReason::Socket),
        DescriptorKind::IoUring => Some(ObstacleReason::IoUring),
        DescriptorKind::Inotify => Some(ObstacleReason::Inotify),
        DescriptorKind::Other { .. } => Some(ObstacleReason::UnknownDescriptor),
    }
}

/// The standard stream that `descriptor` is, or is another name of.
pub(crate) fn standard_stream_of(descriptor: &Descriptor, inventory: &Inventory) -> Option<i32> {
    let leads_out = |kind: &DescriptorKind| match kind {
        DescriptorKind::Pipe { inode, .. } => !has_both_ends(inventory, *inode),
        DescriptorKind::Device { .. } => true,
        _ => false,
    };
    if !leads_out(&descriptor.kind)
        || !(descriptor.is_terminal() || matches!(descriptor.kind, DescriptorKind::Pipe { .. }))
    {
        return None;
    }
    let mut standard = inventory.descriptors.iter().filter(|other| other.is_standard());
    let same_target = |other: &&Descriptor| match (&descriptor.kind, &other.kind) {
        (
            DescriptorKind::Pipe { inode: one, end: a, .. },
            DescriptorKind::Pipe { inode: two, end: b, .. },
        ) => one == two && a == b,
        (DescriptorKind::Device { number: one, .. }, DescriptorKind::Device { number: two, .. }) => {
            one == two
        }
        _ => false,
    };
    if descriptor.is_standard() {
        return Some(descriptor.number);
    }
    standard.find(same_target).map(|stream| stream.number)
}

fn has_both_ends(inventory: &Inventory, wanted: u64) -> bool {
    let ends = || {
        inventory.descriptors.iter().filter_map(move |descriptor| match &descriptor.kind {
            DescriptorKind::Pipe { inode, end, .. } if *inode == wanted => Some(*end),
            _ => None,
        })
    };
    ends().any(|end| end != PipeEnd::Write) && ends().any(|end| end != PipeEnd::Read)
}

impl Culprit {
    fn of_mapping(mapping: &Mapping) -> Self {
        let target = match &mapping.kind {
            MappingKind::File(file) => file.path.display().to_string(),
            MappingKind::Other { name } => name.clone(),
            MappingKind::SystemV { key } => format!("System V segment {key:#x}"),
            MappingKind::SharedAnonymous { .. } => "shared anonymous memory".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        Self::Mapping { range: mapping.range.to_string(), target }
    }

    fn of_descriptor(descriptor: &Descriptor) -> Self {
        let target = match &descriptor.kind {
            DescriptorKind::File { path, .. }
            | DescriptorKind::Directory { path }
            | DescriptorKind::Device { path, .. } => path.display().to_string(),
            DescriptorKind::Pipe { inode, .. } => format!("pipe {inode}"),
            DescriptorKind::Socket { description, .. } => description.clone(),
            DescriptorKind::Memory { name } => format!("memory file {name}"),
            DescriptorKind::Other { name } => name.clone(),
            DescriptorKind::IoUring => "io_uring".to_owned(),
            DescriptorKind::Inotify => "inotify".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        Self::Descriptor { number: descriptor.number, target }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.culprit, self.reason)
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptor { number, target } => write!(f, "descriptor {number} ({target})"),
            Self::Mapping { range, target } => write!(f, "mapping {range} ({target})"),
            Self::Thread { tid } => write!(f, "thread {tid}"),
            Self::Process => f.write_str("the process"),
            Self::Kernel { release } => write!(f, "kernel {release}"),
            Self::Processor { feature } => write!(f, "processor feature {feature}"),
            Self::Privilege { name } => write!(f, "privilege {name}"),
        }
    }
}

impl fmt::Display for ObstacleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |numbers: &[i32]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Socket => f.write_str("connections and sockets stay where their peer knows them"),
            Self::Device => f.write_str("a device belongs to its machine"),
            Self::Terminal => f.write_str("a terminal belongs to its machine"),
            Self::DeletedFile => f.write_str("the file has no name any more, or another file has it"),
            Self::PipeToOthers { processes } => {
                write!(f, "the pipe is shared with process {}", listed(processes))
            }
            Self::PipeOfStandardStream => f.write_str("the other end of the pipe is outside of the process"),
            Self::IoUring => f.write_str("requests may be under way in a queue shared with the kernel"),
            Self::Inotify => f.write_str("notifications of a file system stay with it"),
            Self::UnknownDescriptor => f.write_str("a descriptor of a sort that cannot be rebuilt"),
            Self::MemoryFile => {
                f.write_str("a file in memory has no name by which the destination could open it")
            }
            Self::SharedWithOthers { processes } => {
                write!(f, "memory shared with process {}", listed(processes))
            }
            Self::SystemVMemory => f.write_str("System V shared memory belongs to its machine"),
            Self::HugePagesOfTheirOwn => f.write_str("memory of huge pages (hugetlb) is not handled"),
            Self::DeviceMemory => f.write_str("the memory of a device belongs to its machine"),
            Self::UnknownMapping => f.write_str("a mapping of a sort that cannot be rebuilt"),
            Self::Children { processes } => {
                write!(f, "it has children that would stay behind: {}", listed(processes))
            }
            Self::SeccompFilter => f.write_str("it has a seccomp filter, which cannot be read and put back"),
            Self::Traced { by } => write!(f, "process {by} traces it already"),
            Self::OtherUser { user } => write!(f, "it belongs to user {user}"),
            Self::Is32Bit => f.write_str("it is a 32-bit program"),
            Self::GuardedControlFlow { features } => write!(f, "it uses {features}"),
            Self::FileLock { lock } => write!(f, "it holds a file lock ({lock})"),
            Self::RealTimePriority { policy } => write!(f, "its scheduling policy is {policy}"),
            Self::OtherRoot => f.write_str("its root directory is another"),
            Self::DirectoryGone => f.write_str("its working directory was deleted"),
            Self::KernelTooOld { needed: (major, minor) } => {
                write!(f, "Linux {major}.{minor} or later is needed")
            }
            Self::OtherVdso => f.write_str("its vdso is not the source's, and programs have addresses in it"),
            Self::MissingInstructions => f.write_str("the destination lacks it"),
            Self::ExtendedRegisters { missing } => {
                write!(f, "the destination lacks extended registers {missing:#x}")
            }
            Self::NotPermitted => f.write_str("not permitted"),
        }
    }
}
