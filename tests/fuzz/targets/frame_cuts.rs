//! A stream tells the frame cursor the same, however it is cut, and nothing is lost on the way.
#![no_main]

#[path = "../../frame/walk.rs"]
mod walk;

use batond::edge::frame::Sender;
use libfuzzer_sys::fuzz_target;

// The first byte says who sends, whether there are extensions, and how many of the next bytes
// are the sizes of the pieces in which the rest arrives.
fuzz_target!(|input: &[u8]| {
    let &[flags, ref rest @ ..] = input else {
        return;
    };
    let sender = if flags & 1 == 0 {
        Sender::Client
    } else {
        Sender::Backend
    };
    let extensions = flags & 2 != 0;
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(flags >> 2 & 7)));
    let mut cuts: Vec<_> = cuts.iter().map(|&cut| usize::from(cut) + 1).collect();
    if cuts.is_empty() {
        cuts.push(stream.len().max(1));
    }
    walk::walk_however_cut(sender, extensions, stream, &cuts);
});
