//! From the book to a verdict on each property.

use super::{Account, CostLimits, Place};
use crate::report::{CostFigure, CostKind, CostNote, ObservedProperty, ObservedVerdict, Report};

/// So many occurrences of a cost are listed with their figures.
const FIGURES_MAX: usize = 50;

pub(super) fn report(mut account: Account<'_>, limits: CostLimits, unseen: Vec<String>) -> Report {
    account.at_the_end();
    let verdicts = ObservedProperty::ALL.map(|property| (property, account.verdict(property)));
    let costs = account.cost_findings(limits);
    Report {
        report: 1,
        kind: account.kind(),
        ending: account.ending().to_owned(),
        finished: account.is_over(),
        pages: account.layout.pages(),
        sent: account.counts.sent,
        sent_bytes: account.counts.bytes,
        freeze_us: account.freeze_us(),
        verdicts: verdicts.to_vec(),
        findings: account.findings,
        findings_unlisted: account.counts.unlisted,
        costs,
        unseen,
        steps: account.step,
    }
}

impl Account<'_> {
    /// What is wrong with how everything ends.
    fn at_the_end(&mut self) {
        let waiting = |page: u32, place: &Place| (place.step, page, *place);
        let mut faults: Vec<_> = self.faults.iter().map(|(page, place)| waiting(*page, place)).collect();
        faults.sort_by_key(|(step, page, _)| (*step, *page));
        let seen = self.known.placements;
        for (_, page, place) in faults.into_iter().take(if seen { usize::MAX } else { 0 }) {
            self.find(
                ObservedProperty::L3,
                place,
                Some(page),
                "the process waits for it to the end".to_owned(),
            );
        }
        // What is not owed as far as is known was sent, and the request came too late to be answered.
        let owed = self.requests.iter().filter(|(page, _)| self.book.is_owed(**page));
        let mut requests: Vec<_> = owed.map(|(page, request)| waiting(*page, &request.place)).collect();
        requests.sort_by_key(|(step, page, _)| (*step, *page));
        let seen = self.known.all_pages;
        for (_, page, place) in requests.into_iter().take(if seen { usize::MAX } else { 0 }) {
            self.find(ObservedProperty::L3, place, Some(page), "asked for, and never sent".to_owned());
        }
        if let Some(place) = self.phase.suspended.filter(|_| self.hangs()) {
            self.find(ObservedProperty::L4, place, None, "suspended, and nowhere resumed".to_owned());
        }
        if let Some(place) = self.phase.destroyed
            && let Some((page, count)) = self.book.never_sent()
            && self.known.all_pages
        {
            let text = format!("{count} pages were never sent; this is the first");
            self.find(ObservedProperty::S1, place, Some(page), text);
        }
        if let Some((page, place)) = self.phase.first_transferred
            && self.is_postcopy()
            && self.known.runs[0]
            && !self.known.freezes
        {
            let pages = self.counts.transferred;
            let text =
                format!("{pages} pages while suspended, where post-copy sends none; this is the first");
            self.find(ObservedProperty::S4, place, Some(page), text);
        }
        // Where the destination says that nothing is missing, that was the moment to look.
        let looked = self.phase.completion_declared.is_some();
        let seen = self.known.arrivals && self.known.placements && self.known.watched.records;
        if let Some(place) = self.phase.destroyed.filter(|_| seen && !looked)
            && let Some((page, count)) = self.book.missing()
        {
            let text = format!("{count} pages are not in place as they were sent last; this is the first");
            self.find(ObservedProperty::S1, place, Some(page), text);
        }
        if let Some(place) = self.phase.suspended
            && self.phase.paused.contains(&true)
        {
            let text = "the connection is lost to the end, and both wait for another".to_owned();
            self.find(ObservedProperty::S10, place, None, text);
        }
    }

    /// Is the process suspended at the end, as far as both hosts were watched?
    fn hangs(&self) -> bool {
        let watched = self.known.runs.iter().all(|watched| *watched);
        watched && self.phase.suspended.is_some() && self.phase.resumed.is_none()
    }

    fn verdict(&self, property: ObservedProperty) -> ObservedVerdict {
        let count = self.findings.iter().filter(|finding| finding.property == property).count();
        if count > 0 {
            let first = self.findings.iter().find(|finding| finding.property == property);
            return ObservedVerdict::Violated(first.map_or(String::new(), |finding| finding.text.clone()));
        }
        match property {
            ObservedProperty::S1 | ObservedProperty::S2 => self.content_verdict(property),
            ObservedProperty::S3 => self.one_runner(),
            ObservedProperty::S4 => self.freeze_budget(),
            ObservedProperty::S5 => self.clean_departure(),
            ObservedProperty::S6 => unjudged("no file server takes part"),
            ObservedProperty::S7 => self.demand_first(),
            ObservedProperty::S8 => self.traffic_bound(),
            ObservedProperty::S9 => self.cycle(),
            ObservedProperty::L2 if self.is_abandoned() => {
                let text = "the destination waits for ever for what the source has let go of";
                ObservedVerdict::Violated(text.to_owned())
            }
            ObservedProperty::S10 | ObservedProperty::L2 => match self.is_over() {
                true => holds(self.ending()),
                false => unjudged("the recording ends before the migration does"),
            },
            ObservedProperty::L1 => match (self.is_postcopy(), self.phase.destroyed, self.known.all_pages) {
                (false, ..) => holds("nothing is left behind by a pre-copy"),
                (true, Some(_), true) => match self.book.owed() {
                    None => holds("nothing was owed when the source let go"),
                    Some((_, count)) => {
                        ObservedVerdict::Violated(format!("{count} pages were owed when the source let go"))
                    }
                },
                (true, Some(_), false) => {
                    unjudged("pages that are zero are not in a trace, and there is no stream")
                }
                (true, None, _) => unjudged("the recording ends before the migration does"),
            },
            ObservedProperty::L3 => self.faults_served(),
            ObservedProperty::L4 => match (self.phase.suspended, self.phase.resumed) {
                (None, _) => holds("the process was not suspended, or ran on"),
                (_, Some(_)) => holds("the process was resumed"),
                (Some(_), None) => unjudged("whether the destination runs was not recorded"),
            },
        }
    }

    fn content_verdict(&self, property: ObservedProperty) -> ObservedVerdict {
        let compared = &self.compared;
        match property {
            _ if compared.judged == 0 => {
                let there = match self.book.missing() {
                    None if self.known.arrivals => "all pages are in place as they were sent last; ",
                    _ => "",
                };
                let why = compared.unjudged.as_deref();
                let why =
                    why.unwrap_or("whether that is what the guest wrote last needs the memory of both hosts");
                ObservedVerdict::NotJudged(format!("{there}{why}"))
            }
            _ if compared.left_out > 0 => ObservedVerdict::NotJudged(format!(
                "{} pages are the same everywhere, {} could not be judged: {}",
                compared.judged,
                compared.left_out,
                compared.unjudged.as_deref().unwrap_or("their contents are not known")
            )),
            _ => {
                ObservedVerdict::Holds(format!("{} pages have the same content everywhere", compared.judged))
            }
        }
    }

    fn one_runner(&self) -> ObservedVerdict {
        match self.known.runs {
            [false, _] => unjudged("whether the source runs was not recorded: no trace, no events of it"),
            [_, false] => {
                unjudged("whether the destination runs was not recorded: no trace, no events of it")
            }
            [true, true] if self.phase.handed_over.is_none() => holds("the process never left the source"),
            [true, true] if !self.is_over() => unjudged("the recording ends before the migration does"),
            [true, true] => {
                holds("suspended at the source before it ran at the destination, and never run there again")
            }
        }
    }

    fn freeze_budget(&self) -> ObservedVerdict {
        let pages = self.counts.transferred;
        match (self.phase.suspended, self.is_postcopy()) {
            (None, _) => unjudged("the process was not suspended"),
            _ if !self.known.runs[0] => unjudged("when the process was suspended was not recorded"),
            (_, true) if pages > 0 && self.known.freezes => {
                ObservedVerdict::Holds(format!("{pages} pages while suspended, as this system's dump has it"))
            }
            (_, true) => holds("no page while suspended"),
            (_, false) => ObservedVerdict::Holds(format!(
                "{pages} pages while suspended; a pre-copy has no budget for them"
            )),
        }
    }

    fn clean_departure(&self) -> ObservedVerdict {
        match (self.phase.destroyed, self.is_postcopy()) {
            (None, _) => unjudged("the source does not let go within the recording"),
            (Some(_), _) if !self.known.all_pages => {
                unjudged("pages that are zero are not in a trace, and there is no stream")
            }
            (Some(_), true) if self.phase.completion_learned => {
                holds("the destination had said that nothing is missing, and nothing was owed")
            }
            (Some(_), true) => {
                unjudged("whether the destination had said that nothing is missing was not recorded")
            }
            (Some(_), false) => holds("everything was sent before the source let go"),
        }
    }

    fn demand_first(&self) -> ObservedVerdict {
        match (self.known.requests, self.counts.requests) {
            _ if !self.is_postcopy() => unjudged("nobody asks for pages in a pre-copy"),
            (false, _) => {
                unjudged("when a request reaches the source is in the source's trace, which is missing")
            }
            (true, 0) => unjudged("no request reached the source"),
            (true, requests) => ObservedVerdict::Holds(format!(
                "{requests} requests, {} of them for pages that had been sent; at most one page went before each answer",
                self.counts.void
            )),
        }
    }

    fn traffic_bound(&self) -> ObservedVerdict {
        match self.known {
            known if !known.all_pages => {
                unjudged("pages that are zero are not in a trace, and there is no stream")
            }
            known if !known.passes => unjudged("passes are in the source's trace, which is missing"),
            _ => ObservedVerdict::Holds(format!(
                "{} pages sent for {}: no page twice in a pass{}",
                self.counts.sent,
                self.layout.pages(),
                if self.is_postcopy() { ", none after the hand-over that was not owed" } else { "" }
            )),
        }
    }

    fn cycle(&self) -> ObservedVerdict {
        let phase = &self.phase;
        if phase.cancelled.is_some() || phase.failed {
            return holds("called off before the hand-over");
        }
        let missing = [
            (phase.started.is_none(), "the beginning"),
            (phase.suspended.is_none(), "the suspension"),
            (phase.handed_over.is_none(), "the hand-over"),
            (phase.resumed.is_none(), "the resumption"),
            (phase.destroyed.is_none(), "the end"),
        ];
        match missing.iter().find(|(missing, _)| *missing) {
            Some((_, what)) => ObservedVerdict::NotJudged(format!("{what} was not recorded")),
            None if self.is_abandoned() => unjudged("the destination comes to no end"),
            None if self.is_postcopy() => holds("Normal, Pre-migration, Migration, Post-migration, Normal"),
            None => holds("Normal, Pre-migration, Migration, Normal"),
        }
    }

    fn faults_served(&self) -> ObservedVerdict {
        match (self.known.placements, self.counts.faults) {
            _ if !self.is_postcopy() => holds("no page is missing after a pre-copy"),
            (false, _) => unjudged("faults are in the destination's trace, which is missing"),
            (true, faults) => ObservedVerdict::Holds(format!("{faults} faults, all of them served")),
        }
    }

    pub(super) fn is_postcopy(&self) -> bool {
        self.phase.discards || self.counts.after > 0 || self.counts.faults > 0 || self.counts.requests > 0
    }

    fn is_over(&self) -> bool {
        let gone = self.phase.destroyed.is_some() && self.phase.resumed.is_some();
        let stayed =
            (self.phase.cancelled.is_some() || self.phase.failed) && self.phase.handed_over.is_none();
        gone || stayed && self.phase.suspended.is_none()
    }

    /// Has the source let go of the process while the destination waits for another connection?
    fn is_abandoned(&self) -> bool {
        self.phase.destroyed.is_some() && self.phase.paused.contains(&true)
    }

    fn ending(&self) -> &'static str {
        let phase = &self.phase;
        match (phase.destroyed, phase.cancelled, phase.failed) {
            (Some(_), ..) if self.is_abandoned() => "completed at the source alone",
            (Some(_), ..) => "completed",
            (None, Some(_), _) => "called off",
            (None, None, true) => "failed",
            (None, None, false) => "unfinished in the recording",
        }
    }

    fn kind(&self) -> String {
        let passes = self.phase.passes;
        let plural = if passes == 1 { "pass" } else { "passes" };
        let kind = match (self.is_postcopy(), self.counts.copied) {
            (false, _) if self.known.passes => format!("pre-copy, {passes} {plural}"),
            (false, _) => "pre-copy".to_owned(),
            (true, 0) => "post-copy".to_owned(),
            (true, copied) if self.known.passes => {
                format!("post-copy after {passes} {plural} of pre-copy ({copied} pages)")
            }
            (true, copied) => format!("post-copy after {copied} pages of pre-copy"),
        };
        match self.phase.cuts {
            0 => kind,
            1 => format!("{kind}, cut once"),
            cuts => format!("{kind}, cut {cuts} times"),
        }
    }

    fn freeze_us(&self) -> Option<u64> {
        let (from, to) = (self.phase.suspended?.at_us?, self.phase.resumed?.at_us?);
        to.checked_sub(from)
    }

    fn cost_findings(&self, limits: CostLimits) -> Vec<CostNote> {
        [self.idle_waits(limits), self.resent_unchanged(), self.long_freeze(limits)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn idle_waits(&self, limits: CostLimits) -> Option<CostNote> {
        let waits = self.costs.idle.iter().filter(|wait| wait.wait_us >= limits.wait_us_max);
        let mut waits: Vec<_> = waits.copied().collect();
        let count = waits.len() as u64;
        waits.sort_by_key(|wait| wait.wait_us);
        let (shortest, longest) = (waits.first()?.wait_us, waits.last()?.wait_us);
        let median = waits[waits.len() / 2].wait_us;
        waits.sort_by_key(|wait| wait.asked.step);
        let figures = waits.iter().take(FIGURES_MAX).map(|wait| CostFigure {
            page: Some(self.layout.name(wait.page).to_string()),
            at: wait.asked.origin.to_string(),
            log_line: wait.asked.step,
            figure: wait.wait_us,
        });
        Some(CostNote {
            kind: CostKind::IdleWait,
            text: format!(
                "{count} of {} requests waited {} ms to {} ms (median {} ms) although no other page was sent meanwhile",
                self.costs.timed,
                millis(shortest),
                millis(longest),
                millis(median)
            ),
            count,
            figures: figures.collect(),
        })
    }

    fn resent_unchanged(&self) -> Option<CostNote> {
        let (page, place) = self.costs.resent_first?;
        let figure = CostFigure {
            page: Some(self.layout.name(page).to_string()),
            at: place.origin.to_string(),
            log_line: place.step,
            figure: self.costs.resent_bytes,
        };
        Some(CostNote {
            kind: CostKind::ResentUnchanged,
            text: format!(
                "{} pages were sent again with the content that they had been sent with, {} bytes",
                self.costs.resent, self.costs.resent_bytes
            ),
            count: self.costs.resent,
            figures: vec![figure],
        })
    }

    fn long_freeze(&self, limits: CostLimits) -> Option<CostNote> {
        let freeze_us = self.freeze_us().filter(|freeze_us| *freeze_us > limits.freeze_us_max)?;
        let place = self.phase.suspended?;
        let figure =
            CostFigure { page: None, at: place.origin.to_string(), log_line: place.step, figure: freeze_us };
        Some(CostNote {
            kind: CostKind::LongFreeze,
            text: format!(
                "the process stood still for {} ms by the clocks of both hosts; the limit is {} ms",
                millis(freeze_us),
                millis(limits.freeze_us_max)
            ),
            count: 1,
            figures: vec![figure],
        })
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}

fn holds(because: &str) -> ObservedVerdict {
    ObservedVerdict::Holds(because.to_owned())
}

fn unjudged(why: &str) -> ObservedVerdict {
    ObservedVerdict::NotJudged(why.to_owned())
}
