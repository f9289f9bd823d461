//! What is to be run.

use protocol::page::PageKind;
use protocol::policy::Policy;
use serde::{Deserialize, Serialize};
use steplog::header::{Header, LinkOrder};
use steplog::place::HostId;

use crate::net::{FrameOrder, LinkConfig};
use crate::workload::{PageLayout, Workload};

/// A run: who moves where, how, while doing what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scenario {
    /// The algorithm.
    pub policy: Policy,
    /// The address space.
    pub layout: PageLayout,
    /// What the process does.
    pub workload: Workload,
    /// The links between all places.
    pub link: LinkConfig,
    /// The hosts in the order in which the process runs on them, the first included.
    pub route: Vec<HostId>,
    /// Accesses on each host before the process moves on. It may do as many again while the migration is on its way.
    pub accesses_per_stay: u64,
    /// Bytes of registers.
    pub registers_len: usize,
    /// How it ends.
    pub ending: Ending,
    /// Seed of everything that is left to chance.
    pub seed: u64,
}

impl Scenario {
    /// The header of the log of such a run; `disrupted` where something goes wrong in it.
    pub fn header(&self, disrupted: bool) -> Header {
        let image = self.layout.image(self.seed);
        let mapped = image.page_numbers().filter(|page| image.kind(*page) == PageKind::FileMapped);
        let link = match self.link.order {
            FrameOrder::Fifo => LinkOrder::Fifo,
            FrameOrder::Unordered { .. } => LinkOrder::Unordered,
            FrameOrder::Lossy { .. } => LinkOrder::Lossy,
        };
        let header = Header::new(&self.policy.name, link, image.page_count());
        Header { file_mapped: mapped.map(|page| page.0).collect(), disrupted, ..header }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// When nothing happens any more: the process idles on the last host.
    Idle,
    /// The process exits on the last host, as soon as its accesses there are done.
    Exit,
    /// The process exits on the last host but one, when its migration to the last has begun.
    ExitLeaving,
}
