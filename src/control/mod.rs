//! Commands in, state out: the only way to change anything.
