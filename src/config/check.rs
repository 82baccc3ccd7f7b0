//! `batond check`: everything that is wrong with a configuration, before it is used.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::checked::Config;
use super::problem::Problems;
use super::source::Source;

/// EX_CONFIG of sysexits(3): something is wrong with the configuration, or it cannot be read.
const EX_CONFIG: u8 = 78;

/// Checks the configuration with its certificates, and tells everything that is wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The main file; `conf.d` beside it is read, too
    #[arg(long, value_name = "PATH", default_value = Source::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Print the problems as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Try to bind the TCP addresses as well, which fails for those that a running batond has
    #[arg(long)]
    pub bind: bool,
}

/// Runs the command. Exits 0 if all is good, and 78 otherwise, with the problems on standard
/// error, or as JSON on standard output.
pub fn check_command(args: CheckArgs) -> ExitCode {
    let source = Source::from_process(Some(args.config.clone()));
    check(
        &source,
        &args,
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    )
}

fn check(
    source: &Source,
    args: &CheckArgs,
    out: &mut dyn Write,
    problems_out: &mut dyn Write,
) -> ExitCode {
    let outcome = super::read(source).and_then(|(config, mut found)| {
        if args.bind {
            super::bind::check(&mut found, &config);
        }
        found.conclude(config)
    });
    // Nobody reads what cannot be written; the exit code still says it all.
    let _ = match &outcome {
        outcome if args.json => writeln!(out, "{}", json(outcome.as_ref().err())),
        Ok(config) => writeln!(out, "{}", summary(config)),
        Err(problems) => writeln!(problems_out, "{problems}"),
    };
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EX_CONFIG),
    }
}

fn json(problems: Option<&Problems>) -> serde_json::Value {
    match problems {
        Some(problems) => serde_json::json!(problems),
        None => serde_json::json!({ "problems": [] }),
    }
}

fn summary(config: &Config) -> String {
    let counted = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    };
    format!(
        "configuration is good: {}, {}, {}",
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
        let code = check(&source, &args, &mut out, &mut problems);
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
        let json = "{\"problems\":[]}\n".to_owned();
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
            "{\"problems\":[{\"column\":1,\"file\":\"batond.toml\",\"key\":\"worker\",\"line\":1,\
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
