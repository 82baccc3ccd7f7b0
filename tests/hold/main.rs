//! What happens to newcomers while their service takes nobody, and to clients who are sent away
//! for the sake of a restart: nobody is refused who could have waited, nobody is passed over, and
//! whoever is told to leave is one of those who were meant.
//!
//! What an operator can bring about is tested with the real daemon. What leads a restart is tested
//! with the edge alone, as the restart itself uses it.

mod departures;
mod drained;
mod edge;
mod held;
mod losses;
mod paced;

// The peers of the relay's tests, scripted down to the byte.
#[allow(dead_code)]
#[path = "../relay/frame.rs"]
mod frame;
#[allow(dead_code)]
#[path = "../relay/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../relay/peer.rs"]
mod peer;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../relay/world.rs"]
mod world;
