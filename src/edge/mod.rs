//! A connection comes in → TLS → upgrade → relay → close.

pub mod close;
pub mod listener;
