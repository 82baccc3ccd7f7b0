//! A restart is asked for → interlock → hold → drain → hand off → release → report.

pub mod fdstore;
pub mod handoff;
pub mod hold;
pub mod interlock;
pub mod job;
pub mod lifecycle;
pub mod pace;
pub mod probe;
pub mod report;
pub mod returns;
pub mod state;
