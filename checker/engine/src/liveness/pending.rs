//! What is pending in a state, looked up by the numbers of its records.

use population::system::{Live, Properties, Scope};

use crate::tabled::{ControlId, PageId, Tabled};

/// Which properties are pending, remembered for each pair of records.
pub(super) struct Pending<'a, S: Live> {
    system: &'a S,
    control_scope: Properties<S>,
    page_scope: Properties<S>,
    /// By control record.
    control: Vec<Option<Properties<S>>>,
    /// By control record and record of page 0.
    page: Vec<Vec<Option<Properties<S>>>>,
}

impl<'a, S: Live> Pending<'a, S> {
    pub(super) fn new(system: &'a S) -> Self {
        let scoped = |page: bool| {
            let of = |property: &S::Property| {
                system.scope(*property).is_some_and(|scope| (scope == Scope::Page) == page)
            };
            Properties::<S>::all().iter().filter(of).collect()
        };
        Pending {
            system,
            control_scope: scoped(false),
            page_scope: scoped(true),
            control: Vec::new(),
            page: Vec::new(),
        }
    }

    pub(super) fn of(
        &mut self,
        tabled: &Tabled<'_, S>,
        control: ControlId,
        page: Option<PageId>,
    ) -> Properties<S> {
        let record = tabled.control(control);
        let (system, controls, pages) = (self.system, self.control_scope, self.page_scope);
        let pending = *slot(&mut self.control, control.index()).get_or_insert_with(|| {
            controls.iter().filter(|property| system.pending(*property, record, None)).collect()
        });
        let Some(page) = page else { return pending };
        let of_page = slot(slot(&mut self.page, control.index()), page.index()).get_or_insert_with(|| {
            let page = tabled.page(page);
            pages.iter().filter(|property| system.pending(*property, record, Some(page))).collect()
        });
        pending | *of_page
    }
}

/// The element with this index; the vector is made long enough.
fn slot<T: Default + Clone>(vector: &mut Vec<T>, index: usize) -> &mut T {
    if vector.len() <= index {
        vector.resize(index + 1, T::default());
    }
    &mut vector[index]
}
