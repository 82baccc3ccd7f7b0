//! A restart is asked for → hold → drain → hand off → report.
