//! What is said about what clients would be told.

use insta::assert_snapshot;

use crate::folder::{Folder, told};

#[test]
fn a_retry_is_a_range() {
    assert_snapshot!(told("[restart]\nretry = \"5s\"\n"), @r#"
    batond.toml:2:9: restart.retry: "5s" is not a range of time (write the shortest and the longest, such as "1s-5s")
        retry = "5s"
                ^^^^
    "#);
    assert_snapshot!(told("[restart]\nretry = \"5s-1s\"\n"), @r#"
    batond.toml:2:9: restart.retry: begins at 5s and ends at 1s (write the shorter time first)
        retry = "5s-1s"
                ^^^^^^^
    "#);
    assert_snapshot!(told("[restart]\nretry = \"1s-2h\"\n"), @r#"
    batond.toml:2:9: restart.retry: must be from 0s to 1h, not 2h
        retry = "1s-2h"
                ^^^^^^^
    "#);
}

#[test]
fn a_close_code_must_be_one_that_may_be_sent() {
    assert_snapshot!(told("[restart]\nclose_code = 1006\nlost_code = 1015\n"), @r#"
    batond.toml:2:14: restart.close_code: 1006 is reserved and never sent (1012 tells clients to come back; 1000-1003, 1007-1014 and 3000-4999 may be sent, RFC 6455 section 7.4)
        close_code = 1006
                     ^^^^
    batond.toml:3:13: restart.lost_code: 1015 is reserved and never sent (1012 tells clients to come back; 1000-1003, 1007-1014 and 3000-4999 may be sent, RFC 6455 section 7.4)
        lost_code = 1015
                    ^^^^
    "#);
    assert_snapshot!(told("[restart]\nclose_code = 2000\nlost_code = 70000\n"), @r#"
    batond.toml:2:14: restart.close_code: 2000 is not a close code that may be sent (1012 tells clients to come back; 1000-1003, 1007-1014 and 3000-4999 may be sent, RFC 6455 section 7.4)
        close_code = 2000
                     ^^^^
    batond.toml:3:13: restart.lost_code: 70000 is not a close code that may be sent (1012 tells clients to come back; 1000-1003, 1007-1014 and 3000-4999 may be sent, RFC 6455 section 7.4)
        lost_code = 70000
                    ^^^^^
    "#);
}

#[test]
fn every_sendable_close_code_is_taken() {
    for code in [1000, 1001, 1011, 1012, 1013, 1014, 3000, 4999] {
        let config = Folder::with(format!(
            "[restart]\nclose_code = {code}\nlost_code = {code}\n\
             [listener.a]\naddress = \"127.0.0.1:0\"\n[service.a]\nbackends = [\"a:1\"]\n"
        ))
        .good();
        let restart = &config.services[0].restart;
        assert_eq!(restart.close_code.value(), code);
        assert_eq!(restart.lost_code.value(), code);
    }
}

/// A reason of so many bytes, in a file of its own.
fn reason(bytes: usize, retry: &str) -> Folder {
    let reason = "x".repeat(bytes);
    Folder::with(format!(
        "[restart]\nretry = \"{retry}\"\nreason = \"{reason}\"\n"
    ))
}

#[test]
fn a_reason_must_fit_into_a_close_frame() {
    reason(123, "off").good();
    assert_snapshot!(reason(124, "off").told(), @r#"
    batond.toml:3:10: restart.reason: makes a reason of 124 bytes, but a Close frame holds 123 (shorten it by 1)
        reason = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    reason(108, "1s-5s").good();
    assert_snapshot!(reason(109, "1s-5s").told(), @r#"
    batond.toml:3:10: restart.reason: makes a reason of 124 bytes with "; retry in 5.0s" appended, but a Close frame holds 123 (shorten it by 1)
        reason = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(reason(108, "1s-12.3s").told(), @r#"
    batond.toml:3:10: restart.reason: makes a reason of 124 bytes with "; retry in 12.3s" appended, but a Close frame holds 123 (shorten it by 1)
        reason = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    // The delay is told in tenths, so 9.96 s becomes 10.0 s.
    assert_snapshot!(reason(108, "1s-9.96s").told(), @r#"
    batond.toml:3:10: restart.reason: makes a reason of 124 bytes with "; retry in 10.0s" appended, but a Close frame holds 123 (shorten it by 1)
        reason = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn the_bytes_of_a_reason_count_not_its_characters() {
    assert_snapshot!(told(&format!("[restart]\nreason = \"{}\"\n", "ü".repeat(60))), @r#"
    batond.toml:2:10: restart.reason: makes a reason of 135 bytes with "; retry in 5.0s" appended, but a Close frame holds 123 (shorten it by 12)
        reason = "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_reason_is_blamed_on_the_section_that_makes_it_too_long() {
    let reason = "x".repeat(108);
    assert_snapshot!(told(&format!("\
restart.reason = \"{reason}\"
listener.a.address = \"127.0.0.1:0\"
[service.good]
paths = [\"/good\"]
backends = [\"a:1\"]
[service.bad]
backends = [\"a:1\"]
restart.retry = \"1s-1m\"
")), @r#"
    batond.toml:8:17: service.bad.restart.retry: makes a reason of 124 bytes with "; retry in 60.0s" appended, but a Close frame holds 123 (shorten it by 1)
        restart.retry = "1s-1m"
                        ^^^^^^^
    "#);
}

#[test]
fn a_reason_is_one_line() {
    assert_snapshot!(told("[restart]\nreason = \"\"\"a\nb\"\"\"\n"), @r#"
    batond.toml:2:10: restart.reason: "a\nb" has a control character in it (write it in one line)
        reason = """a
                 ^^^^
    "#);
}

#[test]
fn the_deadline_leaves_time_to_answer() {
    assert_snapshot!(told("[restart]\ndeadline = \"3s\"\n"), @r#"
    batond.toml:2:12: restart.deadline: the deadline of 3s leaves no room for a close_timeout of 5s (raise the deadline to 5s, or lower the others)
        deadline = "3s"
                   ^^^^
    "#);
    assert_snapshot!(told("[restart]\nspread = \"26s\"\n"), @r#"
    batond.toml:2:10: restart.spread: the deadline of 30s leaves no room for a spread of 26s and a close_timeout of 5s (raise the deadline to 31s, or lower the others)
        spread = "26s"
                 ^^^^^
    "#);
    Folder::with("[restart]\nspread = \"25s\"\n").good();
    // The service inherits the spread, but it is its own deadline that is too short.
    assert_snapshot!(told("\
restart.spread = \"10s\"
listener.a.address = \"127.0.0.1:0\"
[service.a]
backends = [\"a:1\"]
restart.deadline = \"14s\"
"), @r#"
    batond.toml:5:20: service.a.restart.deadline: the deadline of 14s leaves no room for a spread of 10s and a close_timeout of 5s (raise the deadline to 15s, or lower the others)
        restart.deadline = "14s"
                           ^^^^^
    "#);
}

#[test]
fn what_a_service_inherits_is_blamed_once() {
    assert_snapshot!(told("\
restart.spread = \"1m\"
listener.a.address = \"127.0.0.1:0\"
[service.a]
paths = [\"/a\"]
backends = [\"a:1\"]
restart.close_timeout = \"2s\"
[service.b]
backends = [\"a:1\"]
"), @r#"
    batond.toml:1:18: restart.spread: the deadline of 30s leaves no room for a spread of 1m and a close_timeout of 5s (raise the deadline to 1m 5s, or lower the others)
        restart.spread = "1m"
                         ^^^^
    "#);
}
