//! The frame cursor and tungstenite say the same of every stream.
#![no_main]

#[path = "../../frame/oracle.rs"]
mod oracle;
#[path = "../../frame/walk.rs"]
#[allow(dead_code, reason = "only the byte-by-byte walk is of use here")]
mod walk;

use batond::edge::frame::Sender;
use libfuzzer_sys::fuzz_target;

// The first byte says who sends, and whether there are extensions.
fuzz_target!(|input: &[u8]| {
    let &[flags, ref stream @ ..] = input else {
        return;
    };
    let sender = if flags & 1 == 0 {
        Sender::Client
    } else {
        Sender::Backend
    };
    let extensions = flags & 2 != 0;
    let walk = walk::walk(sender, extensions, stream, &[1]);
    oracle::agrees(sender, extensions, stream, &walk);
});
