//! The frame cursor: each rule by itself, and any stream, however cut, against tungstenite.

mod oracle;
mod rules;
mod streams;
mod walk;

use batond::edge::frame::{Cursor, Met};
use proptest::prelude::*;
use streams::{Frame, any_stream, cuts, legal, sender};
use walk::walk_however_cut;

proptest! {
    #[test]
    fn legal_streams_pass_whole(legal in legal(), extensions: bool, cuts in cuts()) {
        let stream: Vec<u8> = legal.frames.iter().flat_map(Frame::encode).collect();
        let walk = walk_however_cut(legal.sender, extensions, &stream, &cuts);
        oracle::agrees(legal.sender, extensions, &stream, &walk);

        let (mut at, mut open) = (0, false);
        let (mut message_ends, mut frame_ends, mut messages) = (vec![0], vec![0], 0);
        let passing = legal.frames.len() - usize::from(legal.close.is_some());
        for frame in &legal.frames[..passing] {
            at += frame.encode().len();
            if frame.opcode < 8 {
                open = !frame.fin;
                messages += usize::from(frame.fin);
            }
            frame_ends.push(at);
            if !open {
                message_ends.push(at);
            }
        }
        prop_assert_eq!(walk.passed, at);
        prop_assert_eq!(walk.frame_ends, frame_ends);
        prop_assert_eq!(walk.message_ends, message_ends);
        prop_assert_eq!(walk.messages.len(), messages);
        let close = legal.close.map(|code| Met::Close { len: stream.len() - at, code });
        prop_assert_eq!(walk.met, close);
    }

    #[test]
    fn tungstenite_agrees_on_any_stream(
        (sender, stream) in any_stream(),
        extensions: bool,
        cuts in cuts(),
    ) {
        let walk = walk_however_cut(sender, extensions, &stream, &cuts);
        oracle::agrees(sender, extensions, &stream, &walk);
    }

    #[test]
    fn tungstenite_agrees_on_noise(
        sender in sender(),
        extensions: bool,
        stream in prop::collection::vec(any::<u8>(), 0..64),
        cuts in cuts(),
    ) {
        let walk = walk_however_cut(sender, extensions, &stream, &cuts);
        oracle::agrees(sender, extensions, &stream, &walk);
    }
}

#[test]
fn a_cursor_is_small() {
    assert!(size_of::<Cursor>() <= 32, "{} bytes", size_of::<Cursor>());
}
