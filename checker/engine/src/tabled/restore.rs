//! Giving records the numbers that they had in another process.

use population::system::Judged;

use super::{RecordKind, RecordOrigin, Tabled};

/// The origins do not lead to the records that they are said to number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} record {number} cannot be derived from those before it")]
pub struct NotDerivable {
    /// Which kind of record.
    pub kind: RecordKind,
    /// Its number.
    pub number: usize,
}

impl<'a, S: Judged> Tabled<'a, S> {
    /// Tables in which the records have the numbers that [`Tabled::origins`] was given for.
    ///
    /// The tables themselves are empty, and are filled again on demand.
    pub fn restore(
        system: &'a S,
        controls: &[RecordOrigin],
        pages: &[RecordOrigin],
    ) -> Result<Self, NotDerivable> {
        let mut tabled = Tabled::new(system);
        loop {
            // Each record was derived from ones met before it, but the two sequences are interleaved.
            let before = (tabled.controls().len(), tabled.pages().len());
            tabled.restore_controls(controls)?;
            tabled.restore_pages(pages)?;
            let after = (tabled.controls().len(), tabled.pages().len());
            if after == (controls.len(), pages.len()) {
                return Ok(tabled);
            }
            if after == before {
                let (kind, number) = if after.0 < controls.len() {
                    (RecordKind::Control, after.0)
                } else {
                    (RecordKind::Page, after.1)
                };
                return Err(NotDerivable { kind, number });
            }
        }
    }

    fn restore_controls(&mut self, origins: &[RecordOrigin]) -> Result<(), NotDerivable> {
        while let Some(origin) = origins.get(self.controls().len()).copied() {
            let number = self.controls().len();
            let Some(control) = self.derive_control(origin) else { return Ok(()) };
            match self.intern_control(control, origin) {
                Ok(id) if id.index() == number => {}
                _ => return Err(NotDerivable { kind: RecordKind::Control, number }),
            }
        }
        Ok(())
    }

    fn restore_pages(&mut self, origins: &[RecordOrigin]) -> Result<(), NotDerivable> {
        while let Some(origin) = origins.get(self.pages().len()).copied() {
            let number = self.pages().len();
            let Some(page) = self.derive_page(origin) else { return Ok(()) };
            match self.intern_page(page, origin) {
                Ok(id) if id.index() == number => {}
                _ => return Err(NotDerivable { kind: RecordKind::Page, number }),
            }
        }
        Ok(())
    }

    fn derive_control(&self, origin: RecordOrigin) -> Option<S::Control> {
        match origin {
            RecordOrigin::Initial(nth) => (nth == 0).then(|| self.system.initial_control()),
            RecordOrigin::ControlMove { control, step } => {
                let control = self.controls().get(control.index())?;
                let step = *self.system.control_steps().get(usize::from(step))?;
                Some(self.system.control_move(step, control)?.control)
            }
            RecordOrigin::PageMove { control, page, step } => {
                let (control, page) =
                    (self.controls().get(control.index())?, self.pages().get(page.index())?);
                let step = *self.system.page_steps().get(usize::from(step))?;
                Some(self.system.page_move(step, control, page)?.control)
            }
            RecordOrigin::Carried { .. } => None,
        }
    }

    fn derive_page(&self, origin: RecordOrigin) -> Option<S::Page> {
        match origin {
            RecordOrigin::Initial(nth) => self.system.initial_pages().get(nth).copied(),
            RecordOrigin::PageMove { control, page, step } => {
                let (control, page) =
                    (self.controls().get(control.index())?, self.pages().get(page.index())?);
                let step = *self.system.page_steps().get(usize::from(step))?;
                Some(self.system.page_move(step, control, page)?.page)
            }
            RecordOrigin::Carried { control, page, step } => {
                let (control, page) =
                    (self.controls().get(control.index())?, self.pages().get(page.index())?);
                let step = *self.system.control_steps().get(usize::from(step))?;
                self.system.control_move(step, control)?;
                Some(self.system.carry(step, control, page))
            }
            RecordOrigin::ControlMove { .. } => None,
        }
    }
}
