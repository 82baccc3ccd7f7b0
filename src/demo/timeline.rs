//! What happened when, counted from the moment at which the restart was asked for.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::client::{End, Story};

/// What happened at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Seconds since the restart was asked for.
    pub at: f64,
    /// What happened.
    pub what: String,
}

/// Moments, in the order in which they happened.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Timeline {
    #[serde(skip)]
    start: Instant,
    moments: Vec<Moment>,
}

impl Timeline {
    /// It begins now, with what was asked for.
    pub fn begin(what: &str) -> Self {
        Self::begin_at(Instant::now(), what)
    }

    /// It began at that moment, with what was asked for.
    pub fn begin_at(start: Instant, what: &str) -> Self {
        let mut timeline = Self {
            start,
            moments: Vec::new(),
        };
        timeline.add(start, what);
        timeline
    }

    /// When the restart was asked for.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Something that happened then.
    pub fn add(&mut self, at: Instant, what: impl Into<String>) {
        let at = at.saturating_duration_since(self.start).as_secs_f64();
        let place = self.moments.partition_point(|moment| moment.at <= at);
        let what = what.into();
        self.moments.insert(place, Moment { at, what });
    }

    /// When the clients were told, when their connections had ended, and when they were back.
    pub fn add_stories(&mut self, stories: &[Story]) {
        let told: Vec<_> = stories.iter().filter_map(told_at).collect();
        self.add_crowd(told, stories.len(), "told 1012", &[]);
        let ended = stories.iter().filter_map(ended_at).collect();
        self.add_crowd(ended, stories.len(), "closed", &[]);
        let back = stories
            .iter()
            .filter_map(|story| back_after(story).map(|(at, _)| at))
            .collect();
        self.add_crowd(back, stories.len(), "back", &[50, 95]);
    }

    /// When the first and the last of a crowd were there, and so many percent of it.
    fn add_crowd(
        &mut self,
        mut moments: Vec<Instant>,
        crowd: usize,
        what: &str,
        percents: &[usize],
    ) {
        moments.sort();
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
            return;
        };
        self.add(*first, format!("first client {what}"));
        for percent in percents {
            let number = (crowd * percent).div_ceil(100).max(1);
            if let Some(at) = moments.get(number - 1) {
                self.add(*at, format!("{percent} % of the clients {what}"));
            }
        }
        if moments.len() == crowd {
            self.add(*last, format!("last client {what} (100 %)"));
        } else {
            self.add(
                *last,
                format!("{} of {crowd} clients {what}", moments.len()),
            );
        }
    }
}

/// When it was told for the first time.
pub fn told_at(story: &Story) -> Option<Instant> {
    match story.visits.first()?.end {
        End::Told { at, .. } => Some(at),
        End::Left | End::Cut { .. } => None,
    }
}

fn ended_at(story: &Story) -> Option<Instant> {
    match story.visits.first()?.end {
        End::Told { ended, .. } => Some(ended),
        End::Left | End::Cut { .. } => None,
    }
}

/// When its messages were echoed again, and how long after it had been told that was.
pub fn back_after(story: &Story) -> Option<(Instant, Duration)> {
    let told = told_at(story)?;
    let back = story
        .visits
        .iter()
        .skip(1)
        .find_map(|visit| visit.first_echo)?;
    Some((back, back - told))
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for moment in &self.moments {
            writeln!(f, "  t+{:.3} s  {}", moment.at, moment.what)?;
        }
        Ok(())
    }
}
