//! What the packages ship besides the programs: manual pages, completions, and the manifests that
//! say what goes where.

mod completions;
mod generated;
mod manifest;
mod manual;
mod page;
mod readme;
mod units;
