//! Every method of the Manager as `busctl` calls it, on the system bus with the real polkit and the
//! real systemd: as root, as a user who may only look, and as a user whom a rule allows it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use crate::client::{Client, PATIENCE};
use crate::installation::{CONFIGURATION_FILE, application, install};
use crate::machine::{Machine, tell};
use crate::support::certificate::Authority;

/// What the daemon shows on the bus, compared with the live one in another test.
const INTROSPECTION: &str = include_str!("../../packaging/org.batond.Baton1.xml");

const NAME: &str = "org.batond.Baton1";
const MANAGER: &str = "org.batond.Baton1.Manager";

/// A listener without TLS, for a client to be listed.
const PORT: u16 = 9443;

const CONFIGURATION: &str = r#"
[listener.wss]
address = "[::]:443"
certificates = ["example"]

[listener.own]
address = "0.0.0.0:9443"

[certificate.example]
chain = "example.pem"
key = "example.key"
names = ["example.org"]
roots = "root.pem"

[service.echo]
backends = [{ address = "127.0.0.1:8080", unit = "echo.service" }]

[limits]
clients = 1000
"#;

/// Lets batond restart the application, as `packaging/50-batond.rules` does for others.
const RULE_FOR_BATOND: &str = r#"
polkit.addRule(function (action, subject) {
    if (action.id === "org.freedesktop.systemd1.manage-units" && subject.user === "batond" &&
        action.lookup("unit") === "echo.service" && action.lookup("verb") === "restart") {
        return polkit.Result.YES;
    }
    return polkit.Result.NOT_HANDLED;
});
"#;

/// What changes something takes one of these; everybody may look.
const ACTIONS: [(&str, &[&str]); 4] = [
    ("org.batond.reload", &["Reload"]),
    ("org.batond.restart", &["Restart", "CancelJob"]),
    (
        "org.batond.drain",
        &["Drain", "Resume", "DrainUnit", "ResumeUnit"],
    ),
    ("org.batond.upgrade", &["Upgrade"]),
];

on_each_release! {
    every_method_is_for_root_and_for_those_whom_polkit_allows_it
}

fn every_method_is_for_root_and_for_those_whom_polkit_allows_it(machine: &Machine) {
    set(machine);
    let mut transcript = Transcript::new(machine);
    transcript.says("root");
    transcript.play(User::Root);

    transcript.says("somebody, without a rule");
    transcript.may_only(&[]);
    transcript.says("somebody, with a rule for reload and restart");
    let some = ["org.batond.reload", "org.batond.restart"];
    allow(machine, &some);
    transcript.may_only(&some);
    transcript.says("somebody, with a rule for everything");
    allow(machine, &ACTIONS.map(|(action, _)| action));
    transcript.play(User::Nobody);
    tell(&transcript.text);
}

/// Installs, configures and starts everything.
fn set(machine: &Machine) {
    install(machine);
    application(machine);
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    machine.install_file(
        packaging.join("org.batond.Baton1.policy"),
        "/usr/share/polkit-1/actions/org.batond.Baton1.policy",
        0o644,
    );
    machine.put("/etc/polkit-1/rules.d/50-batond.rules", RULE_FOR_BATOND);
    machine.check(&["systemctl", "restart", "polkit"]);
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("make a folder");
    let (chain, key) = authority
        .issue(&["example.org"])
        .write(folder.path(), "example");
    machine.install_file(chain, "/etc/batond/example.pem", 0o644);
    machine.install_file(key, "/etc/batond/example.key", 0o644);
    machine.put("/etc/batond/root.pem", &authority.pem());
    machine.put(CONFIGURATION_FILE, CONFIGURATION);
    machine.check(&["systemctl", "start", "batond"]);
}

/// Puts a rule into use that allows the user these actions.
fn allow(machine: &Machine, actions: &[&str]) {
    let rule = format!(
        "polkit.addRule(function (action, subject) {{\n    \
         if (subject.user === \"nobody\" && {actions:?}.indexOf(action.id) >= 0) {{\n        \
         return polkit.Result.YES;\n    }}\n    return polkit.Result.NOT_HANDLED;\n}});\n"
    );
    machine.put("/etc/polkit-1/rules.d/40-deploy.rules", &rule);
    machine.check(&["systemctl", "restart", "polkit"]);
}

/// The Manager's methods, in the order of the introspection.
fn methods() -> Vec<&'static str> {
    let start = format!("<interface name=\"{MANAGER}\">");
    let (_, manager) = INTROSPECTION.split_once(&start).expect("the Manager");
    let (manager, _) = manager.split_once("</interface>").expect("its end");
    let lines = manager.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("<method name=\"")?.split('"').next())
        .collect()
}

/// What permits it, if it changes something.
fn action(method: &str) -> Option<&'static str> {
    let mut all = ACTIONS.iter();
    let of = all.find(|(_, methods)| methods.contains(&method));
    of.map(|(action, _)| *action)
}

/// Signature and values for `busctl call`; `job` is the number of a job.
fn arguments<'a>(method: &str, job: &'a str) -> Vec<&'a str> {
    match method {
        "Reload" | "Upgrade" | "Forecast" | "ListFailures" => vec!["a{sv}", "0"],
        "Restart" | "Drain" => vec!["sa{sv}", "echo", "1", "force", "b", "false"],
        "Resume" | "Plan" => vec!["sa{sv}", "echo", "0"],
        "DrainUnit" | "ResumeUnit" => vec!["sa{sv}", "echo.service", "0"],
        "CancelJob" => vec!["ua{sv}", job, "0"],
        "GetJob" => vec!["u", job],
        "GetService" => vec!["s", "echo"],
        "GetListener" => vec!["s", "own"],
        "GetCertificate" => vec!["s", "example"],
        "ListClients" => vec!["su", "echo", "10"],
        "ListServices" | "ListListeners" | "ListCertificates" | "ListJobs" | "ListProblems" => {
            Vec::new()
        }
        _ => panic!("{method} is new: say how it is called, and what permits it"),
    }
}

#[derive(Clone, Copy)]
enum User {
    Root,
    Nobody,
}

impl User {
    const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Nobody => "nobody",
        }
    }
}

/// What came back: what `busctl` printed, or the name of the error.
type Answer = Result<String, String>;

/// What was called, and what was answered.
struct Transcript<'a> {
    machine: &'a Machine,
    text: String,
    called: BTreeSet<&'static str>,
    /// The last job.
    job: String,
}

impl<'a> Transcript<'a> {
    fn new(machine: &'a Machine) -> Self {
        let release = machine.check(&["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]);
        Self {
            machine,
            text: format!("\n{release}: {MANAGER}\n"),
            called: BTreeSet::new(),
            job: "1".to_owned(),
        }
    }

    fn says(&mut self, line: &str) {
        self.text += &format!("-- {line}\n");
    }

    /// Calls a method.
    fn call(&mut self, user: User, method: &'static str) -> Answer {
        let arguments = arguments(method, &self.job);
        let path = "/org/batond/Baton1";
        let call = [
            &["busctl", "call", NAME, path, MANAGER, method],
            &arguments[..],
        ]
        .concat();
        // Or it would keep the name of the error to itself.
        let prefix = ["runuser", "-u", user.name(), "--", "env", LOG_ALL];
        let output = self.machine.run(&[&prefix[..], &call].concat());
        let answer = if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let answer = answer.map_err(|said| {
            let message = said.lines().find(|line| line.starts_with("Call failed: "));
            let names = said.split("error-name=").skip(1);
            let names = names.filter_map(|rest| rest.split_whitespace().next());
            let name = names.filter(|name| *name != "n/a").last();
            let name = name.unwrap_or("no name");
            format!("{name}: {}", message.unwrap_or(&said))
        });
        self.called.insert(method);
        let (Ok(said) | Err(said)) = &answer;
        self.text += &format!("{}$ {}\n    {said}\n", user.name(), call.join(" "));
        answer
    }

    /// Calls a method that must succeed.
    fn must(&mut self, user: User, method: &'static str) -> String {
        let answer = self.call(user, method);
        answer.unwrap_or_else(|error| panic!("{method}: {error}\n{}", self.text))
    }

    /// Calls a method that begins a job or goes on with one.
    fn begin(&mut self, user: User, method: &'static str) -> Job<'a> {
        let answer = self.must(user, method);
        let path = answer
            .strip_prefix("o \"")
            .and_then(|rest| rest.strip_suffix('"'));
        let path = path
            .unwrap_or_else(|| panic!("no path: {answer}"))
            .to_owned();
        let machine = self.machine;
        let job = Job { machine, path };
        self.job = job.property("Id");
        job
    }

    /// Calls all methods, so that each has something to do, and expects them to do it.
    fn play(&mut self, user: User) {
        let machine = self.machine;
        self.called.clear();
        self.begin(user, "Reload").ends_with("done");
        let process = machine.property("echo", "MainPID");
        self.begin(user, "Restart").ends_with("done");
        assert_ne!(machine.property("echo", "MainPID"), process);

        let drain = self.begin(user, "Drain");
        drain.comes_to("State", "away");
        assert!(self.must(user, "GetJob").contains(&drain.path));
        assert!(self.must(user, "ListJobs").contains(&drain.path));
        assert_eq!(self.begin(user, "Resume").path, drain.path);
        drain.ends_with("done");
        let drain = self.begin(user, "Drain");
        assert_eq!(self.begin(user, "CancelJob").path, drain.path);
        drain.ends_with("failed");

        // Nothing to do: systemd is not about to stop it.
        assert_eq!(self.must(user, "DrainUnit"), "ao 0");
        assert_eq!(self.must(user, "ResumeUnit"), "ao 0");

        let mut client = Client::open_at(machine, PORT);
        client.echo("here");
        assert!(
            self.must(user, "ListClients")
                .starts_with("ta(ssst) 1 1 \"echo\" \"own\"")
        );
        assert!(self.must(user, "Plan").contains("\"service\" s \"echo\""));
        assert!(
            self.must(user, "Forecast")
                .contains("\"critical\" \"expired\"")
        );
        let failures = self.must(user, "ListFailures");
        assert!(failures.starts_with("a{st}a(tsssssussss) "), "{failures}");
        assert!(failures.contains("\"certificate-expired\" 0"), "{failures}");
        for (get, list, path) in [
            (
                "GetService",
                "ListServices",
                "/org/batond/Baton1/service/echo",
            ),
            (
                "GetListener",
                "ListListeners",
                "/org/batond/Baton1/listener/own",
            ),
            (
                "GetCertificate",
                "ListCertificates",
                "/org/batond/Baton1/certificate/example",
            ),
        ] {
            assert_eq!(self.must(user, get), format!("o \"{path}\""));
            assert!(self.must(user, list).contains(path));
        }
        assert_eq!(self.must(user, "ListProblems"), "a(ssssst) 0");

        let process = machine.property("batond", "MainPID");
        self.must(user, "Upgrade");
        assert_eq!(client.farewell().code(), 1012);
        until("the successor is the unit's process", || {
            machine.property("batond", "MainPID") != process
        });
        let all = methods().into_iter().collect();
        assert_eq!(self.called, all, "every method has its place here");
    }

    /// Calls all methods, and expects those to be denied that change something without one of the
    /// actions. Does not call what is allowed and would change something.
    fn may_only(&mut self, actions: &[&str]) {
        let may = |action| actions.contains(&action);
        // Also for there to be a job to ask about.
        let user = if may("org.batond.reload") {
            User::Nobody
        } else {
            User::Root
        };
        self.begin(user, "Reload").ends_with("done");
        for method in methods() {
            let Some(action) = action(method) else {
                self.must(User::Nobody, method);
                continue;
            };
            if may(action) {
                continue;
            }
            let error = self.call(User::Nobody, method).expect_err(method);
            let denied = "org.batond.Baton1.Error.NotAuthorized: Call failed: polkit does not \
                          allow user 65534 to do ";
            assert_eq!(error, format!("{denied}{action}"), "{method}");
        }
        if may("org.batond.restart") {
            self.begin(User::Nobody, "Restart").ends_with("done");
        }
    }
}

/// Has `busctl` write down the messages, with the names of errors.
const LOG_ALL: &str = "SYSTEMD_LOG_LEVEL=debug";

/// A job, seen by root.
struct Job<'a> {
    machine: &'a Machine,
    path: String,
}

impl Job<'_> {
    /// A property, without its type and quotes.
    fn property(&self, name: &str) -> String {
        let job = "org.batond.Baton1.Job";
        let get = ["busctl", "get-property", NAME, &self.path, job, name];
        let value = self.machine.check(&get);
        let (_, value) = value.split_once(' ').expect("a type and a value");
        value.trim_matches('"').to_owned()
    }

    fn comes_to(&self, name: &str, value: &str) {
        until("the job comes further", || self.property(name) == value);
    }

    fn ends_with(&self, result: &str) {
        until("the job ends", || !self.property("Result").is_empty());
        let message = self.property("Message");
        assert_eq!(self.property("Result"), result, "{message}");
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not until {what}");
    }
}
