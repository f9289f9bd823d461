//! Honest hosts under any schedule that the checker's rig can bring about, while up to two things go wrong: every step is
//! a step of the model, or none.

use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use enumset::EnumSet;
use model::disruption::Disruptions;
use model::{Hosts, Migration, algorithms};
use protocol::page::PageKind;
use tie::flaws::Flaw;
use tie::network::RigOrder;
use tie::rig::Rig;
use tie::schedule;

use crate::FuzzFinding;

/// Choices of an input that are made.
const CHOICES_MAX: usize = 300;

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Setup {
    algorithm: u8,
    links: u8,
    third_host: bool,
    pages: u8,
    file_mapped: u8,
    disruptions: u8,
}

/// The input is a setup and a choice for every step.
pub fn run(input: &[u8]) -> Result<(), FuzzFinding> {
    run_flawed(input, None)
}

/// The same with a flaw seeded into the hosts, to see that it is found.
pub fn run_flawed(input: &[u8], flaw: Option<Flaw>) -> Result<(), FuzzFinding> {
    let mut input = Unstructured::new(input);
    let Ok(setup) = Setup::arbitrary(&mut input) else { return Ok(()) };
    let choices = std::iter::from_fn(|| (!input.is_empty()).then(|| u16::arbitrary(&mut input).ok())?);
    let choices: Vec<u16> = choices.take(CHOICES_MAX).collect();
    let mut rig = setup.rig(flaw)?;
    schedule::run(&mut rig, choices).map(|_| ()).map_err(|error| FuzzFinding(error.to_string()))
}

impl Setup {
    fn rig(self, flaw: Option<Flaw>) -> Result<Rig, FuzzFinding> {
        let mut strategies = algorithms::BUILT_IN.into_iter().chain(algorithms::VARIANTS);
        let count = algorithms::BUILT_IN.len() + algorithms::VARIANTS.len();
        let strategy = strategies.nth(usize::from(self.algorithm) % count);
        let strategy = strategy.ok_or_else(|| FuzzFinding("no such algorithm".to_owned()))?;
        let orders = [RigOrder::Fifo, RigOrder::FifoByPage, RigOrder::Unordered, RigOrder::Lossy];
        let order = orders[usize::from(self.links) % orders.len()];
        let hosts = if self.third_host { Hosts::Three } else { Hosts::Two };
        // The model has disruptions between two hosts.
        let can_go_wrong = hosts == Hosts::Two;
        let disruptions = if can_go_wrong { usize::from(self.disruptions) % 3 } else { 0 };
        let disruptions = Disruptions::up_to(disruptions, EnumSet::all());
        let kind = |page: u8| match self.file_mapped >> page & 1 {
            1 => PageKind::FileMapped,
            _ => PageKind::Private,
        };
        let kinds: Vec<_> = (0..=self.pages % 4).map(kind).collect();
        let migration = Migration::new(strategy, hosts, order.link()).with_disruptions(disruptions);
        Rig::new(Arc::new(migration), order, &kinds, flaw).map_err(|error| FuzzFinding(error.to_string()))
    }
}
