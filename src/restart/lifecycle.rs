//! What the process does next: a state machine without I/O. The daemon feeds it events and
//! carries out what it answers.

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It accepts and relays.
    Serving,
    /// It serves, and a successor is being started.
    HandingOff,
    /// A successor serves; the clients of this process are leaving.
    HandedOver,
    /// The process ends; its clients are leaving.
    Stopping,
    /// Whoever has not left is cut off in a moment.
    Hurrying,
    /// Nobody is left.
    Ended,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGTERM or SIGINT.
    Terminate,
    /// A handoff is asked for.
    HandOff,
    /// The configuration is to be read again.
    Reload,
    /// The successor has the sockets and accepts; this process does not any more.
    SuccessorServes,
    /// The successor failed, hung or died before it was ready.
    SuccessorFailed,
    /// The successor that has the sockets has died.
    SuccessorGone,
    /// Every client has left, or the deadline is over.
    Drained,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// The event does not fit the phase: say so, go on.
    Refuse,
    /// Read the configuration, and put it into use if it is good.
    Reload,
    /// Start the successor and offer it the sockets.
    StartSuccessor,
    /// Tell the clients that the service restarts.
    HandOver,
    /// Say that the successor failed; go on.
    CarryOn,
    /// Give up on the successor, then as [`Action::Stop`].
    AbandonAndStop,
    /// Stop accepting, tell the clients that the service restarts or stops.
    Stop,
    /// Tell those who are still there at once, and wait for a moment only.
    Hurry,
    /// Leave.
    Exit,
}

impl Phase {
    /// The next phase, and what to do on the way there.
    #[must_use]
    pub fn on(self, event: Event) -> (Self, Action) {
        use Phase::{Ended, HandedOver, HandingOff, Hurrying, Serving, Stopping};
        match (self, event) {
            (Ended, _) => (Ended, Action::Nothing),
            (HandedOver | Stopping | Hurrying, Event::Drained) => (Ended, Action::Exit),
            (Serving, Event::Terminate) => (Stopping, Action::Stop),
            (HandingOff, Event::Terminate) => (Stopping, Action::AbandonAndStop),
            (HandedOver | Stopping, Event::Terminate) => (Hurrying, Action::Hurry),
            // Nobody serves. If systemd has not heard that the successor is the main process, it
            // starts the next one as soon as this one has ended.
            (HandedOver, Event::SuccessorGone) => (Hurrying, Action::Hurry),
            (Serving, Event::HandOff) => (HandingOff, Action::StartSuccessor),
            (Serving, Event::Reload) => (Serving, Action::Reload),
            (HandingOff | HandedOver | Stopping | Hurrying, Event::HandOff | Event::Reload) => {
                (self, Action::Refuse)
            }
            (HandingOff, Event::SuccessorServes) => (HandedOver, Action::HandOver),
            (HandingOff, Event::SuccessorFailed) => (Serving, Action::CarryOn),
            // Of a successor that was given up, or a drain that was overtaken.
            _ => (self, Action::Nothing),
        }
    }

    /// One word for the operator.
    pub fn word(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::HandingOff => "handing-off",
            Self::HandedOver => "handed-over",
            Self::Stopping | Self::Hurrying => "stopping",
            Self::Ended => "ended",
        }
    }

    /// New connections are taken.
    pub fn accepts(self) -> bool {
        matches!(self, Self::Serving | Self::HandingOff)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            Just(Event::Terminate),
            Just(Event::HandOff),
            Just(Event::Reload),
            Just(Event::SuccessorServes),
            Just(Event::SuccessorFailed),
            Just(Event::SuccessorGone),
            Just(Event::Drained),
        ];
        prop::collection::vec(event, 0..40)
    }

    proptest! {
        #[test]
        fn it_stops_accepting_exactly_when_it_is_told_to(events in events()) {
            let mut phase = Phase::Serving;
            for event in events {
                let accepted = phase.accepts();
                let (next, action) = phase.on(event);
                let stops = matches!(
                    action,
                    Action::HandOver | Action::Stop | Action::AbandonAndStop
                );
                prop_assert_eq!(accepted && !next.accepts(), stops);
                prop_assert!(accepted || !next.accepts(), "it never accepts again");
                phase = next;
            }
        }

        #[test]
        fn a_successor_is_given_up_or_handed_over_to_or_has_failed(events in events()) {
            let mut phase = Phase::Serving;
            let mut successor = false;
            for event in events {
                let (next, action) = phase.on(event);
                match action {
                    Action::StartSuccessor => {
                        prop_assert!(!successor);
                        successor = true;
                    }
                    Action::HandOver | Action::CarryOn | Action::AbandonAndStop => {
                        prop_assert!(successor);
                        successor = false;
                    }
                    _ => {}
                }
                phase = next;
                prop_assert_eq!(successor, phase == Phase::HandingOff);
            }
        }

        #[test]
        fn only_who_serves_and_hands_nothing_over_reloads(events in events()) {
            let mut phase = Phase::Serving;
            for event in events {
                let (next, action) = phase.on(event);
                let reloads = (phase, event) == (Phase::Serving, Event::Reload);
                prop_assert_eq!(action == Action::Reload, reloads);
                prop_assert!(event != Event::Reload || next == phase);
                phase = next;
            }
        }

        #[test]
        fn who_has_handed_over_to_nobody_hurries(events in events()) {
            let mut phase = Phase::Serving;
            for event in events {
                let (next, action) = phase.on(event);
                if event == Event::SuccessorGone {
                    let handed_over = phase == Phase::HandedOver;
                    prop_assert_eq!(action == Action::Hurry, handed_over);
                    prop_assert!(handed_over || next == phase);
                }
                phase = next;
            }
        }

        #[test]
        fn two_signals_and_an_empty_house_end_it(events in events()) {
            let mut phase = Phase::Serving;
            for event in events {
                phase = phase.on(event).0;
            }
            for event in [Event::Terminate, Event::Terminate, Event::Drained] {
                phase = phase.on(event).0;
            }
            prop_assert_eq!(phase, Phase::Ended);
        }
    }
}
