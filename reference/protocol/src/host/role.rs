//! What a message means depends on the part that the host has.

use steplog::event::Event;
use steplog::message::MessageKind;
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId};

use super::{Resident, Role};
use crate::destination::{Destination, Next};
use crate::error::Misbehaviour;
use crate::policy::HandOver;
use crate::running::context::{Arrival, Context, Handled, misbehaved};
use crate::source::{Draining, Route, Source};
use crate::wire::Message;

impl Role {
    pub(super) fn running_mut(&mut self) -> Option<&mut Resident> {
        match self {
            Self::Source(source) => source.running_mut(),
            Self::Destination(destination) => destination.running_mut(),
            Self::Vacant | Self::Failed(_) => None,
        }
    }

    /// The process, where its state is here.
    pub fn resident(&self) -> Option<&Resident> {
        match self {
            Self::Source(source) => source.resident(),
            Self::Destination(destination) => destination.resident(),
            Self::Vacant | Self::Failed(_) => None,
        }
    }

    pub(super) fn requester(&self, page: PageNumber) -> Option<HostId> {
        let shadow = match self {
            Self::Source(Source::Shadow(shadow)) => shadow,
            Self::Destination(Destination::Receiving(receiving)) => receiving.former.as_ref()?,
            _ => return None,
        };
        shadow.demands.requester(page)
    }

    pub(super) fn page_arrived(&mut self, arrival: &Arrival<'_>, cx: &mut Context<'_>) -> Handled {
        if let Self::Destination(destination) = self {
            return destination.page_arrived(arrival, cx);
        }
        match self.running_mut() {
            Some(resident) if arrival.epoch <= resident.epoch => resident.page_arrived(arrival, cx),
            // Of the migration away from here: the source is not sent pages.
            Some(_) => Err(misbehaved(arrival.from, Misbehaviour::Unexpected { kind: MessageKind::Page })),
            None => match self {
                // What was sent to it before it was lost here.
                Self::Source(Source::Draining(Draining { tell: None, .. })) => Ok(None),
                Self::Source(source) if arrival.epoch == source.epoch() => {
                    Err(misbehaved(arrival.from, Misbehaviour::Unexpected { kind: MessageKind::Page }))
                }
                _ => Ok(None),
            },
        }
    }

    pub(super) fn handle(
        &mut self,
        from: HostId,
        epoch: Epoch,
        message: &Message,
        cx: &mut Context<'_>,
    ) -> Handled {
        if *message == Message::Complete {
            self.forget_if_complete(from, epoch, MessageKind::Complete, cx)?;
        }
        match self {
            Self::Source(source) if *message == Message::Refuse && source.may_be_refused(from, epoch) => {
                self.carry_on(cx)?;
                Ok(Some((epoch, Event::RefusalLearned { from })))
            }
            // One-shot: nobody else can run it any more.
            Self::Source(Source::Shadow(shadow))
                if *message == Message::Refuse
                    && cx.policy.hand_over == HandOver::OneShot
                    && shadow.route == Route { to: from, epoch } =>
            {
                let told = std::mem::take(&mut shadow.entrusted_with);
                *self = Self::Source(Source::Draining(shadow.drain(None)));
                told.into_iter().for_each(|former| cx.say_exit(former));
                Ok(Some((epoch, Event::RefusalLearned { from })))
            }
            Self::Source(source) => source.handle(from, epoch, message, cx),
            Self::Destination(destination) => {
                let (next, happened) = destination.handle(from, epoch, message, cx)?;
                match next {
                    Next::Same => {}
                    Next::Resting(resident) => *self = Self::Source(Source::Resting(resident)),
                    Next::Dismissed(None) => *self = Self::Vacant,
                    Next::Dismissed(Some(former)) => *self = Self::Source(Source::Shadow(former)),
                }
                Ok(happened)
            }
            Self::Vacant | Self::Failed(_) => Ok(None),
        }
    }
}
