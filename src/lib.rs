//! batond: the server-side restart coordinator for WebSocket services.
//!
//! The modules in reading order:
//!
//! 1. [`config`]: files become a checked [`config::Config`], or errors with a line and a caret.
//! 2. [`edge`]: a connection comes in → TLS → upgrade → relay → close.
//! 3. [`restart`]: a restart is asked for → hold → drain → hand off → report.
//! 4. [`certificate`]: files → checks → verdict → swap.
//! 5. [`control`]: commands in, state out.
//! 6. [`daemon`]: the life of the process, which puts the four rooms together.
//! 7. [`ctl`]: the operator's tool.

// What comes from outside may always be wrong. Tests may assume.
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod certificate;
pub mod config;
pub mod control;
pub mod ctl;
pub mod daemon;
pub mod demo;
pub mod edge;
pub mod restart;
