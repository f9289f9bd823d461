//! Which algorithm, which pages, which links: read off the start of an input.

use std::sync::Arc;

use arbitrary::Arbitrary;
use protocol::page::{Image, PAGE_SIZE, PageBytes, PageKind};
use protocol::policy::{
    Channels, Clean, Fallback, Freeze, HandOver, LogReading, Missing, Passes, Policy, Pre, Push, Rest, Start,
    Stop, Wake,
};

/// Most pages of a process: enough for every relation between two pages and a third.
const PAGES_MAX: u8 = 4;

/// What the links keep of the order of messages. A message that is lost and sent again is one that takes longer.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchOrder {
    /// All of it, from each place to each other.
    Fifo,
    /// None.
    Unordered,
    /// None, and any message may arrive any number of times.
    Duplicating,
}

/// The world before anything has happened.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct BenchSetup {
    algorithm: u8,
    choices: [u8; 5],
    pages: u8,
    file_mapped: u8,
    /// What the links keep.
    pub order: BenchOrder,
}

impl BenchSetup {
    /// A built-in algorithm, or for every fourth number whichever the choices make, if they make one.
    pub fn policy(self) -> Policy {
        let built_in = || Policy::ALL[usize::from(self.algorithm / 4) % Policy::ALL.len()].clone();
        match self.algorithm % 4 {
            3 => Some(self.combination()).filter(|policy| policy.check().is_ok()).unwrap_or_else(built_in),
            _ => built_in(),
        }
    }

    fn combination(self) -> Policy {
        let [pre, freeze, missing, push, rest] = self.choices.map(usize::from);
        let pre = [Pre::None, Pre::Copy(Passes::AtMost(2)), Pre::Copy(Passes::UntilInStep), Pre::WriteBack]
            [pre % 4];
        Policy {
            name: "combination".into(),
            pre,
            freeze: [Freeze::None, Freeze::All, Freeze::Modified, Freeze::NotInStep, Freeze::Flush]
                [freeze % 5],
            working_set: rest & 1 == 1,
            missing: [Missing::Never, Missing::Source, Missing::FileServer, Missing::ByKind][missing % 4],
            push: [Push::None, Push::NextMissing, Push::Pivot][push % 3],
            clean: if rest & 2 == 2 { Clean::LocalStore } else { Clean::Travel },
            rest: if pre == Pre::WriteBack { Rest::PreMigration } else { Rest::Normal },
            stop: Stop::Passes,
            hand_over: HandOver::ReadyGo,
            log: LogReading::Page,
            start: Start::AtOnce,
            fallback: Fallback::None,
            channels: Channels::One,
            wake: Wake::WithPage,
        }
    }

    /// A program image in which no two pages are equal.
    pub fn image(self) -> Arc<Image> {
        let kind = |page: u8| match self.file_mapped >> page & 1 {
            1 => PageKind::FileMapped,
            _ => PageKind::Private,
        };
        let page = |page: u8| (kind(page), PageBytes::from([page + 1; PAGE_SIZE]));
        Arc::new(Image::new((0..=self.pages % PAGES_MAX).map(page)))
    }
}
