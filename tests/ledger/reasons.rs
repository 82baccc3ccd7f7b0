//! One client for each reason.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use batond::certificate::ledger::reason::Reason;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::client::{connect, hello, rest, rustls, say, shake_hands};
use crate::scene::{HOST, Scene};
use crate::scrape::samples;

/// What the fields of the latest failure are.
fn is(failure: &Value, fields: &Value) {
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&failure[name], value, "{name} of {failure:#}");
    }
}

#[test]
fn what_is_not_tls_is_told_apart() {
    let (scene, _) = Scene::healthy("");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\x10\0\x01\xbb";
    let mut count = 0;
    for (bytes, reason) in [
        (&b""[..], "port-check"),
        (b"GET / HTTP/1.1\r\nHost: chat.test\r\n\r\n", "plain-http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "plain-http"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n", "proxy-header"),
        (v2, "proxy-header"),
        // A client that cannot even begin says so.
        (&[21, 3, 1, 0, 2, 2, 80], "other-alert"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "garbage"),
        (
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
            "no-common-version",
        ),
    ] {
        let mut socket = connect(scene.address);
        socket.write_all(bytes).unwrap();
        if bytes.is_empty() {
            socket.shutdown(std::net::Shutdown::Write).unwrap();
        }
        let answer = String::from_utf8(rest(&mut socket)).unwrap();
        let is_told = answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://");
        assert_eq!(is_told, reason == "plain-http", "{answer:?}");
        count += 1;
        let failure = scene.failed(count);
        is(
            &failure,
            &json!({"reason": reason, "family": "unknown", "certificate": ""}),
        );
    }
}

/// However the segments fall.
#[test]
fn the_first_bytes_may_come_one_by_one() {
    let (scene, _) = Scene::healthy("");
    let mut socket = connect(scene.address);
    socket.set_nodelay(true).unwrap();
    for byte in b"PATCH / HTTP/1.1\r\n\r\n" {
        // It may be answered before the last.
        let _ = socket.write_all(&[*byte]);
    }
    rest(&mut socket);
    is(&scene.failed(1), &json!({"reason": "plain-http"}));
}

#[test]
fn who_takes_too_long_is_let_go() {
    let (scene, _) = Scene::healthy("handshake_timeout = \"1s\"\n");
    assert_eq!(say(scene.address, b""), b"");
    is(&scene.failed(1), &json!({"reason": "timeout"}));
}

#[test]
fn who_leaves_early_is_told_by_how_far_it_came() {
    let (scene, root) = Scene::healthy("");
    for (number, version) in [&TLS12, &TLS13].into_iter().enumerate() {
        let before = number * 3;
        let seen = json!({"network": "local", "listener": "wss", "alert": 0, "cause": ""});
        let mut client = rustls(HOST, Some(&root), &[version]);
        let hello = hello(&mut client);
        let mut socket = connect(scene.address);
        socket.write_all(&hello[..40]).unwrap();
        drop(socket);
        let failure = scene.failed(before + 1);
        is(
            &failure,
            &json!({"reason": "interrupted", "name": "", "certificate": ""}),
        );

        let mut socket = connect(scene.address);
        socket.write_all(&hello).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap(), 1);
        drop(socket);
        let failure = scene.failed(before + 2);
        is(&failure, &seen);
        is(
            &failure,
            &json!({"reason": "abandoned", "name": HOST, "certificate": "main"}),
        );

        let mut client = rustls(HOST, Some(&root), &[version]);
        let mut socket = connect(scene.address);
        assert_eq!(shake_hands(&mut client, &mut socket), "");
        drop(socket);
        let failure = scene.failed(before + 3);
        is(&failure, &seen);
        is(
            &failure,
            &json!({"reason": "unused", "family": "rustls", "name": HOST, "certificate": "main",
                "version": (["TLS 1.2", "TLS 1.3"][number])}),
        );
    }
}

/// With TLS 1.2 an alert of this time is not encrypted.
#[test]
fn every_alert_has_its_reason() {
    let (scene, root) = Scene::healthy("");
    for (number, (alert, reason)) in [
        (42, "certificate-bad"),
        (43, "certificate-unsupported"),
        (44, "certificate-revoked"),
        (45, "certificate-expired"),
        (46, "certificate-unknown"),
        (48, "certificate-unknown-ca"),
        (113, "certificate-status"),
        (70, "no-common-version"),
        (120, "no-common-protocol"),
        (40, "other-alert"),
        (90, "other-alert"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = rustls(HOST, Some(&root), &[&TLS12]);
        let mut socket = connect(scene.address);
        socket.write_all(&hello(&mut client)).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap(), 1);
        socket.write_all(&[21, 3, 3, 0, 2, 2, alert]).unwrap();
        rest(&mut socket);
        let failure = scene.failed(number + 1);
        is(
            &failure,
            &json!({"reason": reason, "alert": alert, "certificate": "main"}),
        );
    }
}

#[test]
fn a_client_that_trusts_another_root_says_so() {
    let (scene, _) = Scene::healthy("");
    for (number, version) in [&TLS12, &TLS13].into_iter().enumerate() {
        let mut client = rustls(HOST, None, &[version]);
        let mut socket = connect(scene.address);
        let error = shake_hands(&mut client, &mut socket);
        assert!(error.contains("UnknownIssuer"), "{error}");
        let failure = scene.failed(number + 1);
        // By the roots that the configuration names, it is good: nothing explains it.
        is(
            &failure,
            &json!({"reason": "certificate-unknown-ca", "alert": 48, "family": "rustls",
                "certificate": "main", "cause": ""}),
        );
        let what = failure["what"].as_str().unwrap();
        assert!(
            what.contains("unknown_ca (48); what it was shown is found good"),
            "{what}"
        );
    }
}

#[test]
fn a_name_that_nobody_has_is_not_held_against_the_certificate() {
    let (scene, root) = Scene::healthy("");
    let mut client = rustls("other.test", Some(&root), &[&TLS13]);
    let mut socket = connect(scene.address);
    assert_ne!(shake_hands(&mut client, &mut socket), "");
    is(
        &scene.failed(1),
        &json!({"reason": "name-not-covered", "name": "other.test", "alert": 42,
            "cause": "name-not-covered"}),
    );
}

#[test]
fn what_goes_against_the_rules_is_told_apart() {
    let (scene, root) = Scene::healthy("");
    let mut client = rustls(HOST, Some(&root), &[&TLS12]);
    let mut socket = connect(scene.address);
    socket.write_all(&hello(&mut client)).unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap(), 1);
    socket.write_all(&[23, 3, 3, 0, 1, 0]).unwrap();
    rest(&mut socket);
    is(
        &scene.failed(1),
        &json!({"reason": "protocol-error", "name": HOST}),
    );
}

#[test]
fn what_is_not_in_common_is_told_apart() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("what_is_not_in_common_is_told_apart: skipped, there is no openssl");
        return;
    }
    let (scene, _) = Scene::healthy("");
    for (number, (arguments, reason, version)) in [
        (
            &["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"][..],
            "no-common-version",
            "TLS 1.0",
        ),
        (
            &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
            "no-common-version",
            "TLS 1.1",
        ),
        (
            &["-tls1_2", "-cipher", "AES128-SHA"],
            "no-common-cipher",
            "TLS 1.2",
        ),
        (&["-groups", "P-521"], "no-common-cipher", "TLS 1.3"),
        (&["-alpn", "h2"], "no-common-protocol", "TLS 1.3"),
    ]
    .into_iter()
    .enumerate()
    {
        let output = Command::new("openssl")
            .args([
                "s_client",
                "-servername",
                HOST,
                "-connect",
                &scene.address.to_string(),
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        let failure = scene.failed(number + 1);
        is(
            &failure,
            &json!({"reason": reason, "name": HOST, "version": version}),
        );
        if version == "TLS 1.3" {
            is(&failure, &json!({"family": "openssl"}));
        }
    }
}

/// A connection that HTTP is spoken on has not failed, whatever comes of it, and who comes back
/// with a ticket and leaves again has not been shown a certificate.
#[test]
fn nothing_else_counts() {
    let (scene, root) = Scene::healthy("");
    let mut client = rustls(HOST, Some(&root), &[&TLS13]);
    let mut socket = connect(scene.address);
    assert_eq!(shake_hands(&mut client, &mut socket), "");
    let mut stream = rustls::StreamOwned::new(client, socket);
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    drop(stream);
    say(scene.address, b"nonsense");
    is(&scene.failed(1), &json!({"reason": "garbage"}));
    let counts = &scene.failures()["counts"];
    let counts = counts.as_object().unwrap();
    assert_eq!(
        counts.len(),
        Reason::ALL.len(),
        "all are there from the start"
    );
    let samples = samples(scene.metrics);
    for (reason, count) in counts {
        assert_eq!(*count, u64::from(reason == "garbage"), "{reason}");
        let name = format!("batond_tls_handshake_failures_total{{reason=\"{reason}\"}}");
        assert_eq!(samples.get(&name).copied(), count.as_f64(), "{reason}");
    }
}
