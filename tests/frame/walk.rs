//! A cursor led over a stream in pieces, as a relay leads it, with what must always hold checked
//! at every step.

use batond::edge::frame::{Cursor, HELD_MAX, Met, Sender};

/// What a cursor said of a whole stream. Offsets count from the start of the stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Walk {
    /// How many bytes were passed.
    pub(crate) passed: usize,
    /// Why it ended early.
    pub(crate) met: Option<Met>,
    pub(crate) at_message_end: bool,
    pub(crate) at_frame_end: bool,
    /// Every offset that was seen as standing between messages, or frames.
    pub(crate) message_ends: Vec<usize>,
    pub(crate) frame_ends: Vec<usize>,
    /// One entry per data message that ended: where the pass that holds its end began and ended.
    pub(crate) messages: Vec<(usize, usize)>,
}

/// Leads a cursor over `stream`, which arrives in pieces of the sizes in `cuts`, over and over.
pub(crate) fn walk(sender: Sender, extensions: bool, stream: &[u8], cuts: &[usize]) -> Walk {
    let mut cursor = Cursor::new(sender, extensions);
    let mut walk = Walk {
        passed: 0,
        met: None,
        at_message_end: true,
        at_frame_end: true,
        message_ends: vec![0],
        frame_ends: vec![0],
        messages: Vec::new(),
    };
    let (mut sent, mut held, mut arrived) = (Vec::new(), Vec::new(), 0);
    for cut in cuts.iter().cycle() {
        let piece = &stream[arrived..stream.len().min(arrived + cut)];
        arrived += piece.len();
        held.extend_from_slice(piece);

        let scan = cursor.advance(&held);
        let (start, end) = (walk.passed, walk.passed + scan.pass);
        sent.extend(held.drain(..scan.pass));
        walk.passed = end;
        walk.at_message_end = cursor.at_message_end();
        walk.at_frame_end = cursor.at_frame_end();
        walk.message_ends
            .extend(scan.message_end.map(|offset| start + offset));
        walk.frame_ends
            .extend(scan.frame_end.map(|offset| start + offset));
        walk.messages
            .extend((0..scan.messages).map(|_| (start, end)));
        walk.met = scan.met;

        assert_eq!(
            [&sent[..], &held[..]].concat(),
            stream[..arrived],
            "changed or lost"
        );
        assert!(
            scan.message_end <= scan.frame_end,
            "a message ends with a frame: {scan:?}"
        );
        assert!(
            scan.frame_end <= Some(scan.pass),
            "an end past what was passed: {scan:?}"
        );
        assert_eq!(
            scan.frame_end == Some(scan.pass),
            cursor.at_frame_end(),
            "{scan:?}"
        );
        assert_eq!(
            scan.message_end == Some(scan.pass),
            cursor.at_message_end(),
            "{scan:?}"
        );
        assert!(
            held.is_empty() || cursor.at_frame_end(),
            "held inside a payload: {scan:?}"
        );

        let again = cursor.clone().advance(&held);
        assert_eq!(
            (again.pass, again.met),
            (0, scan.met),
            "another answer to the same bytes"
        );
        if scan.met.is_some() {
            assert!(!held.is_empty(), "met nothing: {scan:?}");
            break;
        }
        assert!(held.len() < HELD_MAX, "{} bytes held", held.len());
        if arrived == stream.len() {
            break;
        }
    }
    assert_eq!([sent, held].concat(), stream[..arrived], "changed");
    walk.message_ends.dedup();
    walk.frame_ends.dedup();
    walk
}

/// Checks that a stream in pieces tells the same as byte by byte, and returns the latter, which
/// has seen every single end.
pub(crate) fn walk_however_cut(
    sender: Sender,
    extensions: bool,
    stream: &[u8],
    cuts: &[usize],
) -> Walk {
    let fine = walk(sender, extensions, stream, &[1]);
    let coarse = walk(sender, extensions, stream, cuts);
    assert_eq!(
        (
            coarse.passed,
            coarse.met,
            coarse.at_message_end,
            coarse.at_frame_end
        ),
        (
            fine.passed,
            fine.met,
            fine.at_message_end,
            fine.at_frame_end
        ),
        "cut into {cuts:?}"
    );
    // The pieces see only the last end in each, but every one of them is an end.
    assert_eq!(coarse.message_ends.last(), fine.message_ends.last());
    assert_eq!(coarse.frame_ends.last(), fine.frame_ends.last());
    assert!(
        coarse
            .message_ends
            .iter()
            .all(|end| fine.message_ends.contains(end))
    );
    assert!(
        coarse
            .frame_ends
            .iter()
            .all(|end| fine.frame_ends.contains(end))
    );
    // The same messages, each in the piece in which it ends.
    assert_eq!(coarse.messages.len(), fine.messages.len());
    for ((start, end), (_, at)) in coarse.messages.iter().zip(&fine.messages) {
        assert!(
            start <= at && at <= end,
            "a message that ended at {at} was seen in {start}..{end}"
        );
    }
    fine
}
