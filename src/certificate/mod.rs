//! Files → checks → verdict → swap; what breaks when; what clients really hit.
//!
//! In this order: a [`file`](mod@file) is read, with what is known of why it cannot be; [`load`]
//! makes a pair of chain and key out of the PEM in them. [`check`] looks at the pair the way clients
//! do, against the [`roots`] that they trust, and says what is wrong as [`finding`]s, each with the
//! [`client`]s that fail because of it. All findings of one moment are a [`verdict`]; [`forecast`]
//! tells which come later. [`x509`] is one certificate, read; [`dialled`] says for which names
//! clients are given it.
//!
//! What is served: [`resolver`] chooses among the pairs by the name that a client asks for,
//! [`ticket`] spares those who come back the full handshake. What a served certificate says of
//! itself is read by [`leaf`]. Where clients fail all the same, the [`ledger`] has the reasons.
//!
//! What changes it: [`keeper`] has a thread of its own, [`watch`]es the files, asks [`admission`]
//! whether a new pair may take the place of the one [`in_use`], gives it to the resolver, and says
//! anew what is wrong whenever time changes that. [`renewal`] says when to have one renewed.
//! Everything else is pure, except for reading files.
//!
//! The interlock of a restart asks [`verdict::Verdict::fails_reconnects`]; what clients really hit
//! is held against [`verdict::Verdict::findings`].

pub mod admission;
pub mod check;
pub mod client;
pub mod dialled;
pub mod examine;
mod fault;
pub mod file;
pub mod finding;
pub mod forecast;
pub mod in_use;
pub mod keeper;
pub mod leaf;
pub mod ledger;
pub mod load;
mod path;
pub mod pem;
pub mod probe;
pub mod renewal;
pub mod resolver;
pub mod roots;
pub mod ticket;
pub mod verdict;
pub mod watch;
pub mod x509;
