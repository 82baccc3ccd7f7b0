//! Commands in, state out: the only way to change anything.

pub mod clock;
pub mod command;
pub mod dbus;
pub mod jobs;
pub mod journal;
pub mod link;
pub mod logind;
pub mod message_id;
pub mod metrics;
pub mod notify;
pub mod problem;
pub mod signals;
pub mod systemd1;
pub mod units;
pub mod view;
