//! Whole numbers in their ranges.

use std::ops::RangeInclusive;

use super::findings::Findings;
use super::key::KeyPath;

/// The number given, if it lies in `range`, and `default` if none is given.
pub(super) fn check(
    found: &mut Findings,
    path: &KeyPath,
    given: Option<i64>,
    range: RangeInclusive<usize>,
    default: usize,
) -> usize {
    let Some(given) = given else { return default };
    match usize::try_from(given) {
        Ok(number) if range.contains(&number) => number,
        _ => {
            let (low, high) = range.into_inner();
            found.value(path, format!("must be from {low} to {high}, not {given}"));
            default
        }
    }
}
