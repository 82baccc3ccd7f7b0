//! The configuration as operators meet it: files in a folder, and what is said about them.

#![allow(missing_docs)]

mod certificates;
mod example;
mod folder;
mod garbled;
mod layers;
mod relations;
mod restart;
mod shape;
mod values;
