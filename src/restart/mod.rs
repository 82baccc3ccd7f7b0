//! A restart is asked for → hold → drain → hand off → report.

pub mod fdstore;
pub mod handoff;
pub mod hold;
pub mod lifecycle;
pub mod report;
pub mod state;
