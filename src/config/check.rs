//! `batond check`: everything that is wrong with a configuration and its certificates, before
//! they are used.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::checked::{CertificateConfig, Config};
use super::findings::Findings;
use super::key::KeyPath;
use super::problem::{Problem, Problems};
use super::source::Source;
use crate::certificate::examine::examine_all;
use crate::certificate::finding::{Fault, Finding, Part};
use crate::certificate::forecast::Change;

/// EX_CONFIG of sysexits(3): something is wrong with the configuration, or it cannot be read.
const EX_CONFIG: u8 = 78;

/// Checks the configuration with its certificates, and tells everything that is wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The main file; `conf.d` beside it is read, too
    #[arg(long, value_name = "PATH", default_value = Source::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Print what is found as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Try to bind the TCP addresses as well, which fails for those that a running batond has
    #[arg(long)]
    pub bind: bool,
}

/// Runs the command. Exits 78 if the configuration is wrong or a certificate makes clients fail,
/// and 0 otherwise, also with warnings. What is found goes to standard error, or as JSON to
/// standard output.
pub fn check_command(args: CheckArgs) -> ExitCode {
    let source = Source::from_process(Some(args.config.clone()));
    check(
        &source,
        &args,
        Timestamp::now(),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    )
}

fn check(
    source: &Source,
    args: &CheckArgs,
    now: Timestamp,
    out: &mut dyn Write,
    problems_out: &mut dyn Write,
) -> ExitCode {
    let (config, mut found) = super::read(source);
    if args.bind && found.is_clean() {
        super::bind::check(&mut found, &config);
    }
    let (remarks, expected) = certificates(&config, &found, now);
    let outcome = found.conclude(config);
    let fails = outcome.is_err() || remarks.iter().any(|one| one.finding.breaks_clients());
    // Nobody reads what cannot be written; the exit code still says it all.
    let _ = if args.json {
        writeln!(out, "{}", json(outcome.err(), &remarks, &expected))
    } else {
        tell(outcome, &remarks, &expected, out, problems_out)
    };
    if fails {
        ExitCode::from(EX_CONFIG)
    } else {
        ExitCode::SUCCESS
    }
}

/// A finding about a certificate, at the key that it is about.
#[derive(Serialize)]
struct Remark {
    certificate: String,
    #[serde(flatten)]
    place: Problem,
    #[serde(flatten)]
    finding: Finding,
}

/// What time will do to a certificate.
#[derive(Serialize)]
struct Expected {
    certificate: String,
    #[serde(flatten)]
    change: Change,
}

/// Judges every certificate of which both files are named.
fn certificates(config: &Config, found: &Findings, now: Timestamp) -> (Vec<Remark>, Vec<Expected>) {
    let (mut remarks, mut expected) = (Vec::new(), Vec::new());
    for (one, examination) in config.certificates.iter().zip(examine_all(config)) {
        let verdict = examination.verdict(now);
        let new = |finding: &Finding| !told_already(found, one, finding);
        let new = verdict.findings.into_iter().filter(new);
        remarks.extend(new.map(|finding| Remark {
            certificate: one.name.clone(),
            place: found.remark(&key_of(one, &finding), finding.to_string()),
            finding,
        }));
        let changes = examination.forecast(now).into_iter();
        expected.extend(changes.map(|change| Expected {
            certificate: one.name.clone(),
            change,
        }));
    }
    (remarks, expected)
}

/// Files that cannot be used are problems of the configuration.
fn told_already(found: &Findings, certificate: &CertificateConfig, finding: &Finding) -> bool {
    let key = key_of(certificate, finding);
    let of_file = finding.fault.prevents_use() || finding.fault == Fault::RootsUnavailable;
    of_file && !found.is_whole(&key)
}

fn key_of(certificate: &CertificateConfig, finding: &Finding) -> KeyPath {
    let table = KeyPath::root().key("certificate").key(&certificate.name);
    table.key(match finding.part {
        Part::Chain => "chain",
        Part::Key => "key",
        Part::Names => "names",
        Part::Roots => "roots",
    })
}

fn json(
    problems: Option<Problems>,
    findings: &[Remark],
    forecast: &[Expected],
) -> serde_json::Value {
    let problems: Vec<_> = problems.iter().flatten().collect();
    serde_json::json!({ "problems": problems, "findings": findings, "forecast": forecast })
}

fn tell(
    outcome: Result<Config, Problems>,
    remarks: &[Remark],
    expected: &[Expected],
    out: &mut dyn Write,
    problems_out: &mut dyn Write,
) -> std::io::Result<()> {
    if let Err(problems) = &outcome {
        writeln!(problems_out, "{problems}")?;
    }
    for Remark { place, .. } in remarks {
        writeln!(problems_out, "{place}")?;
    }
    let Ok(config) = outcome else {
        return Ok(());
    };
    let breaking = remarks.iter().filter(|one| one.finding.breaks_clients());
    writeln!(out, "{}", summary(&config, breaking.count()))?;
    for Expected {
        certificate,
        change,
    } in expected
    {
        writeln!(out, "certificate.{certificate}: {}", change.what)?;
    }
    Ok(())
}

fn summary(config: &Config, breaking: usize) -> String {
    let counted = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    let good = match breaking {
        0 => String::new(),
        _ => format!(
            ", but clients fail because of {}",
            counted(breaking, "finding")
        ),
    };
    format!(
        "configuration is good: {}, {}, {}{good}",
        counted(config.listeners.len(), "listener"),
        counted(config.certificates.len(), "certificate"),
        counted(config.services.len(), "service")
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SERVICE: &str = "[service.chat]\nbackends = [\"127.0.0.1:8080\"]\n";

    /// Exit code, standard output and standard error of the command on this main file.
    fn run(main: &str, json: bool, bind: bool) -> (ExitCode, String, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("batond.toml");
        std::fs::write(&config, main).expect("a file");
        let source = Source::at(&config);
        let (mut out, mut problems) = (Vec::new(), Vec::new());
        let args = CheckArgs { config, json, bind };
        let code = check(&source, &args, Timestamp::now(), &mut out, &mut problems);
        let folder = format!("{}/", folder.path().display());
        let text = |bytes| {
            String::from_utf8(bytes)
                .expect("UTF-8")
                .replace(&folder, "")
        };
        (code, text(out), text(problems))
    }

    #[test]
    fn a_good_configuration_is_summed_up() {
        let main = format!("listener.a.address = \"127.0.0.1:0\"\n{SERVICE}");
        assert_eq!(
            run(&main, false, true),
            (
                ExitCode::SUCCESS,
                "configuration is good: 1 listener, 0 certificates, 1 service\n".to_owned(),
                String::new()
            )
        );
        let json = "{\"findings\":[],\"forecast\":[],\"problems\":[]}\n".to_owned();
        let good = (ExitCode::SUCCESS, json, String::new());
        assert_eq!(run(&main, true, false), good);
    }

    #[test]
    fn a_bad_one_exits_78_with_the_problems() {
        let (code, out, problems) = run("worker = 1\n", false, false);
        assert_eq!(code, ExitCode::from(78));
        assert_eq!(out, "");
        assert_eq!(
            problems,
            "batond.toml:1:1: worker: is not a known key (did you mean workers?)\n    \
             worker = 1\n    ^^^^^^\n"
        );
        let (code, out, problems) = run("worker = 1\n", true, false);
        assert_eq!(code, ExitCode::from(78));
        assert_eq!(
            out,
            "{\"findings\":[],\"forecast\":[],\"problems\":[{\"column\":1,\"file\":\"batond.toml\",\"key\":\"worker\",\"line\":1,\
             \"message\":\"is not a known key (did you mean workers?)\",\"variable\":null}]}\n"
        );
        assert_eq!(problems, "");
    }

    #[test]
    fn addresses_are_tried_where_that_is_asked_for() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let taken = (taken.local_addr().expect("bound"), taken);
        let main = format!("[listener.a]\naddress = \"{}\"\n{SERVICE}", taken.0);
        assert_eq!(run(&main, false, false).0, ExitCode::SUCCESS);
        let (code, out, problems) = run(&main, false, true);
        assert_eq!(code, ExitCode::from(78));
        assert_eq!(out, "");
        assert!(
            problems.starts_with(&format!(
                "batond.toml:2:11: listener.a.address: cannot bind {}: Address already in use \
                 (os error 98) (find its owner with `ss -ltnp`; a running batond is one)\n",
                taken.0
            )),
            "{problems}"
        );
    }

    #[test]
    fn an_address_of_another_host_is_told() {
        // From the block for documentation, which no host has (RFC 5737).
        let (code, _, problems) = run("metrics.listen = \"192.0.2.1:0\"\n", false, true);
        assert_eq!(code, ExitCode::from(78));
        assert!(
            problems.contains("this host does not have it"),
            "{problems}"
        );
    }
}
