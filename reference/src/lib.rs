//! Process migration with real pages.
