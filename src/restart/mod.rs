//! A restart is asked for → interlock → hold → drain → hand off → release → report.

pub mod fdstore;
pub mod handoff;
pub mod lifecycle;
pub mod pace;
pub mod report;
pub mod state;
