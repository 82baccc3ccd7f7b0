//! Messages survive the way, and nothing else becomes one.

use proptest::prelude::*;

use super::*;

fn report() -> impl Strategy<Value = DrainReport> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(told, remaining, discarded)| {
        DrainReport {
            told,
            remaining,
            discarded_messages: discarded,
            ..DrainReport::default()
        }
    })
}

fn listeners() -> impl Strategy<Value = Vec<ListenerName>> {
    let one = ("[^\\x00]{1,60}", any::<bool>())
        .prop_map(|(name, from_unit)| ListenerName { name, from_unit });
    prop::collection::vec(one, 1..=MAX_DESCRIPTORS / 2)
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any::<i32>().prop_map(|pid| Message::Launched { pid }),
        any::<String>().prop_map(|version| Message::Hello { version }),
        (0..=usize::MAX >> 1, 0..=usize::MAX >> 1)
            .prop_map(|(listeners, state)| Message::Offer { listeners, state }),
        listeners().prop_map(Message::Listeners),
        prop::collection::vec(any::<u8>(), 1..=MAX_BODY).prop_map(Message::State),
        any::<String>().prop_map(|reason| Message::Failed { reason }),
        any::<String>().prop_map(|reason| Message::Refused { reason }),
        report().prop_map(Message::Progress),
        report().prop_map(Message::Done),
        Just(Message::Ready),
        Just(Message::Commit),
        Just(Message::Abandon),
        Just(Message::Accepting),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(message in message()) {
        prop_assert_eq!(decode(&message.encode()), Ok(message));
    }

    #[test]
    fn no_part_of_a_message_is_a_message(message in message(), cut in any::<prop::sample::Index>()) {
        let packet = message.encode();
        let cut = cut.index(packet.len());
        prop_assert!(decode(&packet[..cut]).is_err());
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    /// Past the header, where random bytes alone do not get.
    #[test]
    fn any_body_is_a_message_or_an_error(
        version in 0..3_u16,
        kind in 0..20_u16,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(message) = decode(&packet(version, kind, &body)) {
            prop_assert!(version == VERSION || message.name() == "Refused");
        }
    }
}

#[test]
fn the_longest_reason_fits() {
    for reason in ["\u{1}".repeat(100_000), "\u{10348}".repeat(100_000)] {
        let packet = Message::Failed { reason }.encode();
        assert!(packet.len() <= HEADER + MAX_BODY);
        assert!(matches!(decode(&packet), Ok(Message::Failed { .. })));
    }
}

#[test]
fn the_header_is_what_it_says() {
    assert_eq!(Message::Ready.encode(), *b"BTND\0\x01\0\x06\0\0\0\0");
}

#[test]
fn errors_name_what_is_wrong() {
    let long = vec![0; HEADER + MAX_BODY + 1];
    let cases: [(Vec<u8>, DecodeError); 9] = [
        (vec![], DecodeError::Truncated(0)),
        (b"HTTP/1.1 400".to_vec(), DecodeError::Foreign),
        (packet(2, kind::READY, b""), DecodeError::Version(2)),
        (packet(VERSION, kind::STATE, &long), DecodeError::Oversized),
        (
            [Message::Ready.encode(), vec![0]].concat(),
            DecodeError::Length {
                announced: 0,
                found: 1,
            },
        ),
        (packet(VERSION, 14, b""), DecodeError::Kind(14)),
        (
            packet(VERSION, kind::STATE, b""),
            malformed(kind::STATE, "no bytes of state"),
        ),
        (
            packet(VERSION, kind::COMMIT, b"x"),
            malformed(kind::COMMIT, "it should be empty"),
        ),
        (
            packet(VERSION, kind::LISTENERS, b"[]"),
            malformed(kind::LISTENERS, "not 1 to 253 listeners"),
        ),
    ];
    for (packet, error) in cases {
        assert_eq!(decode(&packet), Err(error));
    }
}

#[test]
fn an_unknown_field_is_ignored() {
    let body = br#"{"version":"9.9","mood":"good"}"#;
    let hello = Message::Hello {
        version: "9.9".into(),
    };
    assert_eq!(decode(&packet(VERSION, kind::HELLO, body)), Ok(hello));
}
