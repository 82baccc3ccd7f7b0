//! `batonctl`, the operator's tool.
