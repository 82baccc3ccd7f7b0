//! The hard promises of the edge: nothing is torn, nothing illegal passes, everything else passes
//! as it came, and both connections end in order.
//!
//! The daemon is the real one. Its clients and backends are scripted down to the byte: they stop
//! inside a frame, inside a header, inside a fragmented message, or say what nobody may say.

mod announce;
mod answers;
mod backlog;
mod bytes;
mod descriptors;
mod ends;
mod frame;
mod http;
mod legal;
mod life;
mod limits;
mod opening;
mod peer;
mod requests;
mod routing;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod world;
