//! The tie between model, checker and reference: see `tests/`.
