//! The tie between model, checker and reference, and the command line end to end. Everything is in
//! `tests/`.
