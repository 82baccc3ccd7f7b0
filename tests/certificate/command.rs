//! `batond check`: the same checks, on files, for people and for programs.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use super::issue::{Identity, bundle, key, lives};

const BATOND: &str = env!("CARGO_BIN_EXE_batond");

/// A folder with a configuration and the files that it names.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = Self(folder);
        folder.with("batond.toml", config)
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.0.path().join(name), content).expect("write a file");
        self
    }

    fn check(&self, arguments: &[&str]) -> Output {
        Command::new(BATOND)
            .arg("check")
            .arg("--config")
            .arg(self.0.path().join("batond.toml"))
            .args(arguments)
            .output()
            .expect("run batond check")
    }

    /// Exit code, standard output and standard error, with paths as seen from the folder.
    fn told(&self) -> (Option<i32>, String, String) {
        let output = self.check(&[]);
        let folder = format!("{}/", self.0.path().display());
        let text = |bytes| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replace(&folder, "")
        };
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn json(&self) -> (Option<i32>, Value) {
        let output = self.check(&["--json"]);
        let json = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), json)
    }
}

const ONE: &str = "[listener.wss]\naddress = \"127.0.0.1:0\"\ncertificates = [\"one\"]\n\
    [certificate.one]\nchain = \"one.pem\"\nkey = \"one.key\"\nroots = \"root.pem\"\n\
    [service.chat]\nhosts = [\"chat.test\"]\nbackends = [\"127.0.0.1:1\"]\n";

/// With one certificate that lives so many days from now.
fn living(from: f64, until: f64) -> Folder {
    let root = Identity::root("root");
    let leaf = root.leaf_with(&["chat.test"], key(), &|params| lives(params, from, until));
    Folder::new(ONE)
        .with("one.pem", bundle(&[&leaf]))
        .with("one.key", leaf.key_pem())
        .with("root.pem", root.pem())
}

#[test]
fn a_healthy_certificate_is_summed_up_with_its_forecast() {
    let (code, out, problems) = living(-1.0, 89.0).told();
    assert_eq!((code, problems.as_str()), (Some(0), ""));
    let mut lines = out.lines();
    assert_eq!(
        lines.next(),
        Some("configuration is good: 1 listener, 1 certificate, 1 service")
    );
    let forecast: Vec<&str> = lines.collect();
    assert_eq!(forecast.len(), 4, "{out}");
    let last = forecast[3];
    assert!(last.starts_with("certificate.one: 20"), "{out}");
    assert!(
        last.ends_with("the certificate chat.test ends: every client of chat.test fails"),
        "{out}"
    );
}

#[test]
fn a_warning_is_told_and_does_not_fail() {
    let folder = living(-70.0, 20.0);
    let (code, out, problems) = folder.told();
    assert_eq!(code, Some(0), "{problems}");
    assert!(out.starts_with("configuration is good: "), "{out}");
    assert!(
        problems.starts_with(
            "batond.toml:5:9: certificate.one.chain: warning: the certificate chat.test in \
             one.pem ends on "
        ),
        "{problems}"
    );
    assert!(problems.contains(" [renewal-overdue]\n"), "{problems}");
    assert!(
        problems.contains("\n    chain = \"one.pem\"\n            ^^^^^^^^^\n"),
        "{problems}"
    );
    let (code, json) = folder.json();
    assert_eq!(code, Some(0));
    assert_eq!(json["problems"], serde_json::json!([]));
    let finding = &json["findings"][0];
    for (field, value) in [
        ("certificate", "one"),
        ("name", "renewal-overdue"),
        ("severity", "warning"),
        ("key", "certificate.one.chain"),
    ] {
        assert_eq!(finding[field], value, "{json:#}");
    }
    assert_eq!(finding["line"], 5);
    assert_eq!(finding["breaks"], serde_json::json!([]));
    assert_eq!(json["forecast"][0]["finding"], "expiry-near", "{json:#}");
}

#[test]
fn what_makes_clients_fail_exits_78() {
    let (code, out, problems) = living(-90.0, -1.0).told();
    assert_eq!(code, Some(78));
    assert_eq!(
        out,
        "configuration is good: 1 listener, 1 certificate, 1 service, but clients fail because \
         of 1 finding\n"
    );
    assert!(
        problems.contains("critical: the certificate chat.test (issued by root)"),
        "{problems}"
    );
    assert!(
        problems.contains("[expired; every client fails]"),
        "{problems}"
    );
}

#[test]
fn a_chain_is_judged_by_the_public_roots_where_nothing_else_is_said() {
    let config = ONE.replace("roots = \"root.pem\"\n", "");
    let folder = living(-1.0, 89.0).with("batond.toml", config);
    let (code, _, problems) = folder.told();
    assert_eq!(code, Some(78));
    assert!(
        problems.contains("neither in the file nor among the public roots"),
        "{problems}"
    );
}

#[test]
fn unusable_files_are_told_once_and_everything_else_beside_them() {
    let config = format!("worker = 1\n{ONE}[certificate.two]\nchain = \"none\"\nkey = \"none\"\n");
    let folder = living(-70.0, 20.0).with("batond.toml", config);
    let (code, out, problems) = folder.told();
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert_eq!(
        problems.matches("none does not exist").count(),
        2,
        "{problems}"
    );
    assert!(
        problems.contains("worker: is not a known key"),
        "{problems}"
    );
    assert!(problems.contains("[renewal-overdue]"), "{problems}");
}

#[test]
fn every_host_is_held_against_the_certificate_that_its_clients_get() {
    let root = Identity::root("root");
    let (one, two) = (
        root.leaf(&["chat.test"]),
        root.leaf(&["*.games.test", "one.trade.test"]),
    );
    let folder = |hosts: &str| {
        let config = ONE
            .replace(
                "certificates = [\"one\"]",
                "certificates = [\"one\", \"two\"]",
            )
            .replace("[\"chat.test\"]", hosts);
        let two_config = "[certificate.two]\nchain = \"two.pem\"\nkey = \"two.key\"\n\
                          roots = \"root.pem\"\n";
        Folder::new(&(config + two_config))
            .with("root.pem", root.pem())
            .with("one.pem", bundle(&[&one]))
            .with("one.key", one.key_pem())
            .with("two.pem", bundle(&[&two]))
            .with("two.key", two.key_pem())
    };
    let good = "[\"chat.test\", \"a.games.test\", \"*.games.test\", \"one.trade.test\"]";
    let (code, json) = folder(good).json();
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["findings"], serde_json::json!([]));

    // Of a pattern, the certificate may have those that are in use.
    let (code, json) = folder("[\"*.trade.test\"]").json();
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["findings"][0]["certificate"], "two", "{json:#}");
    assert_eq!(json["findings"][0]["name"], "pattern-not-covered");

    // Nobody has it, so clients get the first.
    for host in ["chess.test", "*.chess.test"] {
        let (code, json) = folder(&format!("[\"{host}\"]")).json();
        assert_eq!(code, Some(78));
        assert_eq!(
            json["findings"].as_array().map(Vec::len),
            Some(1),
            "{json:#}"
        );
        let finding = &json["findings"][0];
        assert_eq!(finding["certificate"], "one", "{json:#}");
        assert_eq!(finding["name"], "name-not-covered");
        assert_eq!(finding["names"], serde_json::json!([host]));
    }
}
