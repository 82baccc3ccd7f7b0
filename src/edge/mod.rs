//! A connection comes in → TLS → upgrade → relay → close.
//!
//! In the order in which a connection meets them: a [`listener`] holds the socket, the acceptor
//! of a worker thread takes the connection, and after TLS the opening looks at the header
//! ([`head`]): a [`route`] says where to, a backend's line takes the request or it is held until
//! one does. Who does not ask for a WebSocket, or is not given one, is hyper's. After the 101 the
//! relay passes bytes and knows where frames end ([`frame`]), and ends it with a Close
//! ([`close`]). [`clients`] knows who is there.

mod acceptor;
mod ahead;
mod arrival;
mod ask;
mod backend;
mod backlog;
mod begun;
mod census;
mod chunk;
pub mod clients;
pub mod close;
pub mod counters;
pub mod crowd;
mod departures;
mod dial;
mod drain;
pub mod farewells;
mod fields;
mod forward;
pub mod frame;
mod greet;
mod handshakes;
pub mod head;
mod http;
mod line;
pub mod listener;
mod loss;
mod opening;
mod prober;
mod relay;
pub mod route;
mod socket;
mod standing;
pub mod times;
mod tls;
mod traffic;
mod upgrade;
mod wire;
mod worker;
mod workers;

pub use acceptor::{Door, Tls};
pub use backend::Backend;
pub use census::{Connected, Count};
pub use departures::{Departures, Notice, Selection};
pub use drain::{Announcement, Departure};
pub use loss::{Fate, Loss};
pub use traffic::Passed;
pub use workers::{Edge, Prepared};
