//! Each rule of RFC 6455 by itself.

use batond::edge::{
    close::{CloseCode, CloseFrame},
    frame::{Cursor, HELD_MAX, Met, Sender, Sender::*, Violation, Violation::*},
};

use crate::{
    oracle,
    streams::Frame,
    walk::{walk, walk_however_cut},
};

/// How much of a stream is passed, and what is met then; tungstenite must say the same.
fn met(sender: Sender, extensions: bool, stream: &[u8]) -> (usize, Option<Met>) {
    let walk = walk_however_cut(sender, extensions, stream, &[stream.len().max(1)]);
    oracle::agrees(sender, extensions, stream, &walk);
    (walk.passed, walk.met)
}

const KEY: Option<[u8; 4]> = Some([0xa5, 0x5a, 0x3c, 0xc3]);

fn frame(fin: bool, opcode: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    Frame {
        fin,
        reserved: 0,
        opcode,
        key,
        length: 0,
        payload: payload.to_vec(),
    }
    .encode()
}

#[test]
fn each_violation_is_named_and_what_came_before_it_is_passed() {
    let table: &[(Sender, &[u8], Violation)] = &[
        (Backend, b"\x83\x00", ReservedOpcode(3)),
        (Backend, b"\x87\x00", ReservedOpcode(7)),
        (Backend, b"\x8b\x00", ReservedOpcode(11)),
        (Backend, b"\x8f\x00", ReservedOpcode(15)),
        (Backend, b"\xc1\x00", ReservedBits),
        (Backend, b"\xa2\x00", ReservedBits),
        (Backend, b"\x99\x00", ReservedBits),
        (Client, b"\x81\x00", Unmasked),
        (Client, b"\x88\x00", Unmasked),
        (Backend, b"\x81\x80", Masked),
        (Backend, b"\x8a\x80", Masked),
        (Backend, b"\x08\x00", FragmentedControl),
        (Backend, b"\x09\x00", FragmentedControl),
        (Backend, b"\x0a\x00", FragmentedControl),
        (Backend, b"\x89\x7e\x00\x7e", LongControl),
        (Backend, b"\x88\x7e\xff\xff", LongControl),
        (
            Backend,
            b"\x8a\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
            LongControl,
        ),
        (Backend, b"\x80\x00", NothingToContinue),
        (Backend, b"\x00\x00", NothingToContinue),
        (
            Backend,
            b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
            ImpossibleLength,
        ),
        (
            Client,
            b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            ImpossibleLength,
        ),
        (Backend, b"\x88\x01\x03", HalfCloseCode),
        (Client, b"\x88\x81\x01\x02\x03\x04\x05", HalfCloseCode),
        (Backend, b"\x88\x03\x03\xe8\xff", ReasonNotUtf8),
        (Backend, b"\x88\x04\x03\xe8\xc3\x28", ReasonNotUtf8),
        (Backend, b"\x88\x03\x03\xe8\xc3", ReasonNotUtf8),
        (
            Client,
            b"\x88\x83\x00\x00\x00\x00\x03\xe8\xff",
            ReasonNotUtf8,
        ),
    ];
    for &(sender, bytes, violation) in table {
        let violation = Some(Met::Violation(violation));
        assert_eq!(met(sender, false, bytes), (0, violation), "{bytes:02x?}");
        // After a whole message, and with more behind.
        let before = frame(
            true,
            1,
            if sender == Client { KEY } else { None },
            b"before",
        );
        let stream = [&before, bytes, b"\x00\x01\x02"].concat();
        assert_eq!(
            met(sender, false, &stream),
            (before.len(), violation),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn a_message_must_end_before_the_next_begins() {
    for opcode in [1, 2] {
        let begun = frame(false, 1, None, b"begun");
        let stream = [begun.clone(), frame(true, opcode, None, b"next")].concat();
        let violation = Some(Met::Violation(UnfinishedMessage));
        assert_eq!(met(Backend, false, &stream), (begun.len(), violation));
    }
}

#[test]
fn every_code_is_judged() {
    for code in 0..=u16::MAX {
        let payload = code.to_be_bytes();
        let expected = match CloseCode::new(code) {
            Some(code) => Met::Close {
                len: 4,
                code: Some(code),
            },
            None => Met::Violation(UnsendableCode(code)),
        };
        let mut cursor = Cursor::new(Backend, false);
        assert_eq!(
            cursor.advance(&frame(true, 8, None, &payload)).met,
            Some(expected),
            "{code}"
        );
    }
}

#[test]
fn a_close_is_met_whole_and_unmasked() {
    let code = CloseCode::SERVICE_RESTART;
    for reason in ["", "bye", "später", &"x".repeat(123)] {
        let close = CloseFrame::to_backend(code, reason, [9, 8, 7, 6]);
        let len = close.as_bytes().len();
        let expected = Some(Met::Close {
            len,
            code: Some(code),
        });
        assert_eq!(met(Client, false, close.as_bytes()), (0, expected));
        assert_eq!(met(Client, false, &close.as_bytes()[..len - 1]), (0, None));
        let close = CloseFrame::to_client(code, reason);
        let expected = Some(Met::Close {
            len: len - 4,
            code: Some(code),
        });
        assert_eq!(met(Backend, false, close.as_bytes()), (0, expected));
    }
    let empty = Some(Met::Close { len: 2, code: None });
    assert_eq!(met(Backend, false, b"\x88\x00"), (0, empty));
    let empty = Some(Met::Close { len: 6, code: None });
    assert_eq!(met(Client, false, b"\x88\x80\x01\x02\x03\x04"), (0, empty));
}

#[test]
fn a_close_may_stand_inside_a_fragmented_message() {
    let begun = frame(false, 2, None, b"begun");
    let stream = [begun.clone(), frame(true, 8, None, b"\x03\xe9")].concat();
    let mut cursor = Cursor::new(Backend, false);
    let scan = cursor.advance(&stream);
    assert_eq!(scan.pass, begun.len());
    assert_eq!(scan.message_end, Some(0));
    assert_eq!(
        scan.met,
        Some(Met::Close {
            len: 4,
            code: Some(CloseCode::GOING_AWAY)
        })
    );
    assert!(cursor.at_frame_end() && !cursor.at_message_end());
}

#[test]
fn lengths_longer_than_needed_are_passed() {
    for (opcode, length) in [(1, 2), (2, 8), (9, 2), (9, 8)] {
        let payload = b"short".to_vec();
        let stream = Frame {
            fin: true,
            reserved: 0,
            opcode,
            key: KEY,
            length,
            payload,
        }
        .encode();
        assert_eq!(
            met(Client, false, &stream),
            (stream.len(), None),
            "opcode {opcode}, {length}"
        );
    }
    let payload = [&[0x03, 0xe9][..], &[b'x'; 123]].concat();
    let close = Frame {
        fin: true,
        reserved: 0,
        opcode: 8,
        key: KEY,
        length: 8,
        payload,
    }
    .encode();
    assert_eq!(close.len(), HELD_MAX, "the longest Close");
    assert_eq!(met(Client, false, &close[..HELD_MAX - 1]), (0, None));
    let whole = Some(Met::Close {
        len: HELD_MAX,
        code: Some(CloseCode::GOING_AWAY),
    });
    assert_eq!(met(Client, false, &close), (0, whole));
}

#[test]
fn extensions_leave_reserved_bits_and_opcodes_to_the_endpoints() {
    // Compressed messages (RFC 7692): RSV1.
    for first in [0xc1, 0xf2, 0x83, 0x87, 0xd5, 0x8b, 0xcf, 0xb9] {
        let stream = [first, 2, b'h', b'i'];
        let mut cursor = Cursor::new(Backend, true);
        let scan = cursor.advance(&stream);
        assert_eq!((scan.pass, scan.met), (4, None), "{first:02x}");
        assert_eq!(scan.messages, u32::from(first & 8 == 0), "{first:02x}");
    }
    // A reserved data opcode begins a message, a reserved control opcode stands between.
    let stream = b"\x43\x01a\x8c\x01b\x20\x01c\x80\x01d";
    let walk = walk(Backend, true, stream, &[1]);
    assert_eq!((walk.passed, walk.met), (stream.len(), None));
    assert_eq!(
        (walk.messages.len(), walk.message_ends),
        (1, vec![0, stream.len()])
    );
    // What remains a violation.
    let table: &[(&[u8], usize, Violation)] = &[
        (b"\x03\x00\x83\x00", 2, UnfinishedMessage),
        (b"\x40\x00", 0, NothingToContinue),
        (b"\x4c\x00", 0, FragmentedControl),
        (b"\x8c\x7e\x00\x7e", 0, LongControl),
        (b"\xc8\x02\x03\xee", 0, UnsendableCode(1006)),
        (b"\xc1\x80", 0, Masked),
    ];
    for &(stream, passed, violation) in table {
        let expected = (passed, Some(Met::Violation(violation)));
        assert_eq!(met(Backend, true, stream), expected, "{stream:02x?}");
    }
}

#[test]
fn ends_are_told_to_the_byte() {
    // A whole message, a ping, a fragmented message with a pong in it, half a message.
    let pieces = [
        frame(true, 1, None, b"one"),
        frame(true, 9, None, b"p"),
        frame(false, 2, None, b"tw"),
        frame(true, 10, None, b""),
        frame(true, 0, None, b"o"),
        frame(true, 1, None, b"three")[..4].to_vec(),
    ];
    let stream = pieces.concat();
    let ends: Vec<usize> = pieces
        .iter()
        .scan(0, |at, piece| {
            Some({
                *at += piece.len();
                *at
            })
        })
        .collect();
    let mut cursor = Cursor::new(Backend, false);
    let scan = cursor.advance(&stream);
    assert_eq!(scan.pass, stream.len());
    assert_eq!(
        (scan.message_end, scan.frame_end),
        (Some(ends[4]), Some(ends[4]))
    );
    assert_eq!((scan.messages, scan.met), (2, None));
    assert!(!cursor.at_frame_end() && !cursor.at_message_end());

    // The rest of the payload ends the third; a header that is cut is held.
    let scan = cursor.advance(b"ree\x82");
    assert_eq!(
        (scan.pass, scan.message_end, scan.frame_end),
        (3, Some(3), Some(3))
    );
    assert_eq!(scan.messages, 1);
    // Held again: the place is between messages, and has not moved.
    let scan = cursor.advance(b"\x82\x7e");
    assert_eq!(
        (scan.pass, scan.message_end, scan.frame_end),
        (0, Some(0), Some(0))
    );
    // Inside a payload there is no end.
    let scan = cursor.advance(b"\x82\x7e\x01\x00and");
    assert_eq!((scan.pass, scan.message_end), (7, Some(0)));
    let scan = cursor.advance(b"more");
    assert_eq!(
        (scan.pass, scan.message_end, scan.frame_end, scan.messages),
        (4, None, None, 0)
    );
}

#[test]
fn the_longest_payload_is_counted_without_overflow() {
    let mut cursor = Cursor::new(Backend, false);
    let scan = cursor.advance(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffand some");
    assert_eq!((scan.pass, scan.met, scan.messages), (18, None, 0));
    assert!(!cursor.at_frame_end());
}

#[test]
fn violations_cite_the_rfc() {
    assert_eq!(
        UnsendableCode(1006).to_string(),
        "close code 1006 may not be sent (RFC 6455 section 7.4)"
    );
    assert!(Unmasked.to_string().contains("(RFC 6455 section 5.1)"));
}
