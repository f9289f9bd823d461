//! One order for what two hosts did.
//!
//! Each host's own order is kept. Between them a message is the tie: what arrives was sent before. Clocks decide only
//! where no message does, so that clocks of two machines may differ. What arrives without having been sent, or is
//! another page than was sent, is a contradiction, and both places are named.

use std::collections::{HashMap, VecDeque};

use crate::fact::{Fact, FactOrigin, HostSide, Observations, ObserveError, ObservedFact, PageArrival};
use crate::layout::BlockLayout;

/// Two hosts' observations in one order.
pub struct Merge<'a> {
    source: Lane<'a>,
    destination: Lane<'a>,
    wire: Wire<'a>,
}

struct Lane<'a> {
    observations: Box<dyn Observations + 'a>,
    head: Option<ObservedFact>,
    /// The last thing of this host.
    last: Option<FactOrigin>,
    /// The latest time of this host so far.
    at_us: u64,
}

/// A page that has arrived, and what was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedPage {
    /// What was observed.
    pub observed: ObservedFact,
    /// Which page it is about where an arrival does not say it.
    pub page: Option<u32>,
    /// The page was sent for the time with this number; for arrivals.
    pub sequence: u32,
}

impl<'a> Merge<'a> {
    /// Merges what both saw. A host of which nothing was recorded is none of the two: `watched` says which are.
    pub fn new(
        source: Box<dyn Observations + 'a>,
        destination: Box<dyn Observations + 'a>,
        layout: &'a BlockLayout,
        watched: Watched,
    ) -> Self {
        let wire = Wire {
            layout,
            watched,
            flights: HashMap::new(),
            generation: [0; 2],
            messages: [0; Message::COUNT],
            taken: [0; Message::COUNT],
            sequence: vec![0; layout.pages() as usize],
        };
        Self { source: Lane::new(source), destination: Lane::new(destination), wire }
    }

    /// The next observation.
    ///
    /// # Errors
    /// An input is not what it should be, or inputs contradict each other.
    pub fn next_merged(&mut self) -> Result<Option<MergedPage>, ObserveError> {
        self.source.fill()?;
        self.destination.fill()?;
        let free = |lane: &Lane<'_>| lane.head.as_ref().is_some_and(|head| self.wire.is_free(head));
        let (source, destination) = (free(&self.source), free(&self.destination));
        let side = match (source, destination) {
            (true, true) if self.destination.is_earlier(&self.source) => HostSide::Destination,
            (true, _) => HostSide::Source,
            (false, true) => HostSide::Destination,
            (false, false) => return self.stuck(),
        };
        let lane = match side {
            HostSide::Source => &mut self.source,
            HostSide::Destination => &mut self.destination,
        };
        let Some(observed) = lane.take() else { return Ok(None) };
        self.wire.pass(observed).map(Some)
    }

    /// Neither host can go on: at the end, or because of what never arrives.
    fn stuck(&self) -> Result<Option<MergedPage>, ObserveError> {
        let (head, other) = match (&self.source.head, &self.destination.head) {
            (None, None) => return Ok(None),
            (_, Some(head)) => (head, &self.source),
            (Some(head), None) => (head, &self.destination),
        };
        let what = format!("{}, which was not sent before", describe(&head.fact));
        match (&other.head, other.last) {
            (Some(waiting), _) => Err(ObserveError::Contradiction {
                at: head.origin,
                what,
                against: waiting.origin,
                otherwise: format!("{}, which was not sent before either", describe(&waiting.fact)),
            }),
            (None, Some(last)) => Err(ObserveError::Contradiction {
                at: head.origin,
                what,
                against: last,
                otherwise: format!("the last that is known of the {}", head.side.other()),
            }),
            (None, None) => Err(ObserveError::Unaccounted { at: head.origin, what }),
        }
    }
}

impl<'a> Lane<'a> {
    fn new(observations: Box<dyn Observations + 'a>) -> Self {
        Self { observations, head: None, last: None, at_us: 0 }
    }

    fn fill(&mut self) -> Result<(), ObserveError> {
        if self.head.is_none() {
            self.head = self.observations.next()?;
        }
        Ok(())
    }

    fn take(&mut self) -> Option<ObservedFact> {
        let observed = self.head.take()?;
        self.last = Some(observed.origin);
        self.at_us = self.at_us.max(observed.at_us.unwrap_or(0));
        Some(observed)
    }

    /// Is this host's next thing earlier, as far as clocks say? What has no time waits for what has one.
    fn is_earlier(&self, other: &Self) -> bool {
        let at = |lane: &Self| lane.head.as_ref().and_then(|head| head.at_us);
        match (at(self), at(other)) {
            (Some(own), Some(other)) => own < other,
            (own, other) => own.is_some() && other.is_none(),
        }
    }
}

/// Of which hosts something was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The source, or what it sent.
    pub source: bool,
    /// Every page that the source sent.
    pub records: bool,
    /// The destination itself.
    pub destination: bool,
    /// What the destination said: in its own trace.
    pub answers: bool,
}

/// Messages that are counted: the first received is the first sent.
#[derive(Clone, Copy)]
enum Message {
    Discard,
    State,
    Request,
    Progress,
    Complete,
}

impl Message {
    const COUNT: usize = 5;
}

/// What is between the two.
struct Wire<'a> {
    layout: &'a BlockLayout,
    watched: Watched,
    /// Pages that were sent and have not arrived, by connection and channel.
    flights: HashMap<(u32, u8), VecDeque<Flight>>,
    /// Connections so far, of the source and the destination.
    generation: [u32; 2],
    messages: [u64; Message::COUNT],
    taken: [u64; Message::COUNT],
    /// How often each page was sent.
    sequence: Vec<u32>,
}

struct Flight {
    page: u32,
    sequence: u32,
    origin: FactOrigin,
}

impl Wire<'_> {
    /// Has everything been sent that this needs?
    fn is_free(&self, ObservedFact { fact, .. }: &ObservedFact) -> bool {
        match *fact {
            Fact::Arrived { channel, .. } if self.watched.records => {
                let key = (self.generation[1], channel);
                self.flights.get(&key).is_some_and(|flight| !flight.is_empty())
            }
            _ => self
                .needed(fact)
                .is_none_or(|message| self.taken[message as usize] < self.messages[message as usize]),
        }
    }

    fn needed(&self, fact: &Fact) -> Option<Message> {
        let message = match fact {
            Fact::DiscardReceived if self.watched.records => Message::Discard,
            Fact::StateAccepted if self.watched.source => Message::State,
            Fact::RequestReceived(_) if self.watched.answers => Message::Request,
            Fact::ProgressLearned(_) if self.watched.answers => Message::Progress,
            Fact::CompletionLearned if self.watched.answers => Message::Complete,
            _ => return None,
        };
        Some(message)
    }

    fn given(fact: &Fact) -> Option<Message> {
        Some(match fact {
            Fact::DiscardSent(_) => Message::Discard,
            Fact::StateSent => Message::State,
            Fact::RequestSent => Message::Request,
            Fact::ProgressSent => Message::Progress,
            Fact::CompletionDeclared => Message::Complete,
            _ => return None,
        })
    }

    fn pass(&mut self, observed: ObservedFact) -> Result<MergedPage, ObserveError> {
        if let Some(message) = self.needed(&observed.fact) {
            self.taken[message as usize] += 1;
        }
        if let Some(message) = Self::given(&observed.fact) {
            self.messages[message as usize] += 1;
        }
        let (mut page, mut sequence) = (None, 0);
        match observed.fact {
            Fact::Sent { page: sent, channel, .. } => {
                let count = &mut self.sequence[sent as usize];
                *count += 1;
                (page, sequence) = (Some(sent), *count);
                if self.watched.destination && self.watched.records {
                    let flight = Flight { page: sent, sequence, origin: observed.origin };
                    self.flights.entry((self.generation[0], channel)).or_default().push_back(flight);
                }
            }
            Fact::Arrived { channel, page: arrival } => {
                let key = (self.generation[1], channel);
                match self.flights.get_mut(&key).and_then(VecDeque::pop_front) {
                    Some(flight) => {
                        self.check(&observed, arrival, &flight)?;
                        (page, sequence) = (Some(flight.page), flight.sequence);
                    }
                    None => page = arrival.page(),
                }
            }
            Fact::Connected => self.connected(observed.side),
            _ => {}
        }
        Ok(MergedPage { observed, page, sequence })
    }

    fn check(
        &self,
        observed: &ObservedFact,
        arrival: PageArrival,
        flight: &Flight,
    ) -> Result<(), ObserveError> {
        let agrees = match arrival {
            PageArrival::Page(page) => page == flight.page,
            PageArrival::WithinBlock(within) => within == u64::from(self.layout.within(flight.page)),
        };
        if agrees {
            return Ok(());
        }
        let arrived = match arrival {
            PageArrival::Page(page) => self.layout.name(page).to_string(),
            PageArrival::WithinBlock(within) => format!("the page at {:#x}", within * 4096),
        };
        Err(ObserveError::Contradiction {
            at: observed.origin,
            what: format!("{arrived} arrives"),
            against: flight.origin,
            otherwise: format!("{} was sent", self.layout.name(flight.page)),
        })
    }

    /// What was under way on the old connection is lost.
    fn connected(&mut self, side: HostSide) {
        let generation = &mut self.generation[side as usize];
        *generation += 1;
        if side == HostSide::Destination {
            let now = *generation;
            self.flights.retain(|(generation, _), _| *generation >= now);
        }
    }
}

impl PageArrival {
    fn page(self) -> Option<u32> {
        match self {
            Self::Page(page) => Some(page),
            Self::WithinBlock(_) => None,
        }
    }
}

fn describe(fact: &Fact) -> &'static str {
    match fact {
        Fact::Arrived { .. } => "a page arrives",
        Fact::DiscardReceived => "the command to forget pages arrives",
        Fact::StateAccepted => "the state arrives",
        Fact::RequestReceived(_) => "a request arrives",
        Fact::ProgressLearned(_) => "the destination's progress arrives",
        Fact::CompletionLearned => "the end is heard of",
        _ => "something arrives",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{InputSource, PageRange, SeenContent};

    struct Listed(std::vec::IntoIter<ObservedFact>);

    impl Observations for Listed {
        fn next(&mut self) -> Result<Option<ObservedFact>, ObserveError> {
            Ok(self.0.next())
        }
    }

    fn listed(side: HostSide, facts: &[(u64, Fact)]) -> Box<dyn Observations> {
        let input = match side {
            HostSide::Source => InputSource::SourceTrace,
            HostSide::Destination => InputSource::DestinationTrace,
        };
        let observed = facts.iter().enumerate().map(|(index, (at_us, fact))| ObservedFact {
            side,
            at_us: Some(*at_us),
            origin: FactOrigin { input, position: index as u64 + 1 },
            fact: fact.clone(),
        });
        Box::new(Listed(observed.collect::<Vec<_>>().into_iter()))
    }

    fn sent(page: u32) -> Fact {
        Fact::Sent { page, content: SeenContent::Unseen, channel: 0, bytes: 0 }
    }

    fn arrived(page: u32) -> Fact {
        Fact::Arrived { channel: 0, page: PageArrival::Page(page) }
    }

    fn merge(
        source: &[(u64, Fact)],
        destination: &[(u64, Fact)],
    ) -> Result<Vec<(HostSide, u64, u32)>, ObserveError> {
        let layout = BlockLayout::new([("a", 8)])?;
        let watched = Watched { source: true, records: true, destination: true, answers: true };
        let (source, destination) =
            (listed(HostSide::Source, source), listed(HostSide::Destination, destination));
        let mut merge = Merge::new(source, destination, &layout, watched);
        let mut order = Vec::new();
        while let Some(MergedPage { observed, sequence, .. }) = merge.next_merged()? {
            order.push((observed.side, observed.origin.position, sequence));
        }
        Ok(order)
    }

    #[test]
    fn messages_decide_and_clocks_only_where_none_does() {
        use HostSide::{Destination as D, Source as S};
        let source = [
            (100, sent(1)),
            (101, sent(2)),
            (102, sent(1)),
            (200, Fact::RequestReceived(PageRange { first: 3, count: 1 })),
        ];
        // The clock of the destination is 90 behind.
        let destination = [
            (0, Fact::Expected),
            (12, arrived(1)),
            (13, arrived(2)),
            (14, Fact::RequestSent),
            (20, arrived(1)),
        ];
        let order = merge(&source, &destination).unwrap();
        let expected = [
            (D, 1, 0),
            (S, 1, 1),
            (D, 2, 1),
            (S, 2, 1),
            (D, 3, 1),
            (D, 4, 0),
            (S, 3, 2),
            (D, 5, 2),
            (S, 4, 0),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_contradiction_names_both_places() {
        let wrong = merge(&[(1, sent(1))], &[(2, arrived(2))]).unwrap_err().to_string();
        assert_eq!(
            wrong,
            "destination trace, line 1: a at 0x2000 arrives\nsource trace, line 1: a at 0x1000 was sent"
        );
        let early = merge(&[(1, sent(1))], &[(2, arrived(1)), (3, arrived(1))]).unwrap_err().to_string();
        assert!(
            early.contains("destination trace, line 2: a page arrives, which was not sent before"),
            "{early}"
        );
        assert!(early.contains("source trace, line 1: the last that is known"), "{early}");
        let both = [(1, Fact::RequestReceived(PageRange { first: 1, count: 1 })), (2, sent(1))];
        let knot = merge(&both, &[(1, arrived(1)), (2, Fact::RequestSent)]).unwrap_err().to_string();
        assert!(
            knot.contains("destination trace, line 1") && knot.contains("source trace, line 1"),
            "{knot}"
        );
    }

    #[test]
    fn what_was_under_way_when_the_connection_broke_is_lost() {
        let source = [(1, sent(1)), (2, sent(2)), (5, Fact::Connected), (6, sent(2))];
        let destination = [(3, arrived(1)), (4, Fact::Connected), (7, arrived(2))];
        let order = merge(&source, &destination).unwrap();
        assert_eq!(order.last(), Some(&(HostSide::Destination, 3, 2)));
    }
}
