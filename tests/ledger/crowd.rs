//! The real clients that are on this machine, and what the ledger has of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::clients::{Target, Verdicts, ask_all};

/// What each client says of each server, by the client's name, with the family that it greets as.
pub(crate) fn ask(
    targets: &[Target],
    folder: &Path,
) -> BTreeMap<&'static str, (&'static str, Verdicts)> {
    let mut all: BTreeMap<_, _> = ask_all(targets, folder)
        .into_iter()
        .map(|(name, _, verdicts)| (name, (family(name), verdicts)))
        .collect();
    // Whoever has got as far as an answer has taken the certificate.
    for (_, verdicts) in all.values_mut() {
        for verdict in verdicts.values_mut() {
            *verdict = verdict
                .take()
                .filter(|it| it != "net::ERR_HTTP_RESPONSE_CODE_FAILURE");
        }
    }
    if let Some(verdicts) = java(targets) {
        all.insert("java", ("java", verdicts));
    }
    all
}

fn family(name: &str) -> &'static str {
    match name {
        "openssl" | "curl" => "openssl",
        "python" | "python-3.13" => "python",
        "node" => "node",
        "chromium" => "chromium",
        "gnutls" => "gnutls",
        "rustls" => "rustls",
        other => panic!("a client that nobody knows: {other}"),
    }
}

/// Not installed by the tests: it is large.
fn java(targets: &[Target]) -> Option<Verdicts> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger/Ask.java");
    let ask = |target: &Target| {
        let output = Command::new("java")
            .arg(&script)
            .args([&target.host, &target.port.to_string()])
            .arg(&target.roots)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        Some((target.name.to_owned(), (!said.is_empty()).then_some(said)))
    };
    targets.iter().map(ask).collect()
}

/// What is known of one listener's failures, by family: reason, alert, and cause.
pub(crate) fn recorded(
    failures: &Value,
    listener: &str,
) -> BTreeMap<String, BTreeSet<(String, u64, String)>> {
    let mut all: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for one in failures["latest"].as_array().unwrap() {
        if one["listener"] != listener {
            continue;
        }
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        let alert = one["alert"].as_u64().unwrap();
        let seen = (text("reason"), alert, text("cause"));
        all.entry(text("family")).or_default().insert(seen);
    }
    all
}
