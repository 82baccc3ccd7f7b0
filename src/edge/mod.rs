//! A connection comes in → TLS → upgrade → relay → close.

mod chunk;
pub mod close;
pub mod frame;
mod relay;
mod tls;
mod wire;
pub use wire::{Socket, Wire};
