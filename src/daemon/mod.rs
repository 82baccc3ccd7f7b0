//! The life of the process, which puts the rooms together.

pub mod inherited;
