//! The restart of a service as a state machine: what holds whatever happens, and what happens
//! when all goes well, or one thing does not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod invariants;
mod scenarios;
mod service;
