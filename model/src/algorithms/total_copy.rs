//! Total copy: everything moves while the process is suspended (Theimer's survey calls it *eager (all)*;
//! Charlotte and LOCUS moved processes this way).
//!
//! ```text
//!  process   Normal ────────▶ Migration ─────────────────────────────▶ Normal
//!  source    runs   ─suspend─▶ page page … page state ─▶ go ─▶ destroys its copy
//!  destination                              installs, reconstructs, resumes
//! ```
//!
//! The longest freeze of all algorithms, and nothing to go wrong afterwards. The *dirty-only* variant
//! (Sprite's *eager (dirty)* without its server) sends modified pages alone; clean ones are loaded from
//! the destination's backing store, which must be an exact replica. The defect `diverging-replica` shows
//! what happens where it is not.

use std::borrow::Cow;

use crate::paging::Paging;
use crate::strategy::{Clean, Freeze, Missing, Pre, Push, Real, Rest, Strategy};

/// All pages during the freeze. Normal → Migration → Normal.
pub const TOTAL_COPY: Strategy = Strategy {
    name: Cow::Borrowed("total-copy"),
    pre: Pre::None,
    freeze: Freeze::All,
    working_set: false,
    missing: Missing::Nothing,
    push: Push::None,
    clean: Clean::Travel,
    rest: Rest::Normal,
    real: Real::NONE,
    paging: Paging::PLAIN,
};

/// Modified pages during the freeze, clean ones from the local backing store. Normal → Migration →
/// Normal.
pub const TOTAL_COPY_DIRTY: Strategy = Strategy {
    name: Cow::Borrowed("total-copy-dirty"),
    freeze: Freeze::Modified,
    missing: Missing::Store,
    clean: Clean::LocalStore,
    ..TOTAL_COPY
};
