//! An opening handshake is read as hyper reads it.
#![no_main]

#[path = "../../head/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

// The first byte says whose words these are.
fuzz_target!(|input: &[u8]| {
    match input {
        [0, bytes @ ..] => {
            oracle::agrees_on_request(bytes);
        }
        [1, bytes @ ..] => {
            oracle::agrees_on_answer(bytes);
        }
        _ => {}
    }
});
