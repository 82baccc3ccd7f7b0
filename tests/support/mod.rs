//! What the tests of the running daemon share: the real program under the conditions that systemd
//! gives it, with no systemd.
//!
//! A test binds [`sockets::Sockets`], makes a certificate with a [`certificate::Authority`], and
//! starts the daemon with [`batond::Launch`], which returns once the daemon has said `READY=1` on
//! a real notification socket. So the test knows the port from the start, and nothing races.

// Each test program includes this module and uses its own part of it.
#![allow(dead_code)]

use std::time::Duration;

pub(crate) mod batond;
pub(crate) mod certificate;
pub(crate) mod notify;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod sockets;

/// How long a test waits for an event before it fails. It bounds a hang, it measures nothing:
/// far longer than any event takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
