//! The generic algorithm: each page from where it is cheapest (the algorithm that the reviewed paper
//! proposes).
//!
//! ```text
//!  process      Pre-migration ─▶ Migration ─▶ Post-migration ──────────────────▶ Pre-migration
//!  source       runs ─suspend─▶ state, dirty map, 2 pages ─▶ go, private dirty pages … destroys
//!  file server  ◀─ dirty file-mapped pages, all along          serves clean ones ─┐
//!  destination                           reconstructs, resumes ─ fault ───────────┘   writes back
//! ```
//!
//! Dirty file-mapped pages are written back as they are modified, for ever, so that at suspension only
//! private dirty pages exist nowhere else. Where the description leaves room, this is how it is read:
//!
//! * A file-mapped page whose write-back is not acknowledged at suspension comes from the **source**; to
//!   fetch it from the file server would read stale content (defect `literal-generic`). The dirty map
//!   says which.
//! * The source sends such a page only when its own write-back of it is acknowledged, so no two hosts
//!   ever have a write-back of one page under way. Requests for it do not hold up other pages.
//! * A page that moves dirty takes the duty to write it back along (defect `forget-write-back-duty`).
//! * Back in Pre-migration means: all owed pages arrived, every request answered, every write-back of
//!   the source acknowledged, the source's process destroyed.
//! * The process may exit once the file server has every write to a file-mapped page, as a closing
//!   `munmap` would see to.

use std::borrow::Cow;

use super::post_copy::POST_COPY;
use crate::strategy::{Clean, Missing, Pre, Push, Rest, Strategy};

/// Write-back all along, the working set with the state, then private dirty pages from the source by
/// push and on demand, the rest from the file server or the local backing store. Pre-migration →
/// Migration → Post-migration → Pre-migration.
pub const GENERIC: Strategy = Strategy {
    name: Cow::Borrowed("generic"),
    pre: Pre::WriteBack,
    working_set: true,
    missing: Missing::Split,
    push: Push::Pivot,
    clean: Clean::LocalStore,
    rest: Rest::PreMigration,
    ..POST_COPY
};

/// The same without the two pages that go along with the state: the first accesses after the resume fault.
pub const GENERIC_WITHOUT_WORKING_SET: Strategy =
    Strategy { name: Cow::Borrowed("generic-without-working-set"), working_set: false, ..GENERIC };

/// The same with pages pushed in no order of their own.
pub const GENERIC_WITHOUT_PREFETCH: Strategy =
    Strategy { name: Cow::Borrowed("generic-without-prefetch"), push: Push::Next, ..GENERIC };
