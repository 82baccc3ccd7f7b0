//! A connection comes in → TLS → upgrade → relay → close.

mod chunk;
pub mod close;
mod tls;
mod wire;
pub use wire::{Socket, Wire};
