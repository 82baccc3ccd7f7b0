//! What a script reads: the fields that the help promises.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::Client;
use crate::tell::{json, rich_world};
use crate::world::failed_with;

fn fields(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn time(value: &Value) -> Timestamp {
    let time = value.as_str().unwrap().parse();
    time.unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn is_time(value: &Value) {
    time(value);
}

#[test]
fn every_listing_has_the_promised_fields() {
    let (world, plain, _folder) = rich_world();
    let _client = Client::open(plain);
    while json(&world, &["status"])["clients"] != 1 {}
    world.reload();
    world.configure("nonsense");
    failed_with(78, &world.ctl(&["reload"]));

    let status = json(&world, &["status"]);
    let mut expected = [
        "version",
        "phase",
        "generation",
        "clients",
        "problems",
        "jobs",
        "services",
    ];
    expected.sort_unstable();
    assert_eq!(fields(&status), expected);
    assert_eq!(status["phase"], "serving");
    assert_eq!(status["generation"], 2);

    let services = json(&world, &["services"]);
    assert_eq!(services, status["services"]);
    assert_eq!(services.as_array().unwrap().len(), 2);
    assert_eq!(
        services[1],
        json!({
            "name": "echo",
            "clients": 0,
            "listeners": ["wss", "ws"],
            "hosts": ["localhost.example.org"],
            "paths": ["/echo"],
            "backends": [{"address": "127.0.0.1:9", "unit": ""}],
        })
    );

    let clients = json(&world, &["clients", "chat"]);
    assert_eq!(clients["total"], 1);
    let client = &clients["clients"][0];
    assert_eq!(fields(client), ["address", "listener", "service", "since"]);
    is_time(&client["since"]);

    let certificates = json(&world, &["certificates", "example"]);
    let certificate = &certificates[0];
    assert_eq!(
        certificate["names"],
        json!(["chat.example.org", "*.example.org"])
    );
    assert_eq!(certificate["listeners"], json!(["wss"]));
    is_time(&certificate["not_before"]);
    is_time(&certificate["not_after"]);
    // Nobody has heard of who issued it, which is all that is known of its end.
    assert_eq!(certificate["chain_not_after"], certificate["not_after"]);
    assert_eq!(certificate["severity"], "critical");
    assert_eq!(certificate["breaks_clients"], true);
    let finding = &certificate["findings"][0];
    let expected = ["breaks", "name", "remedy", "severity", "what"];
    assert_eq!(fields(finding), expected);
    assert_eq!(finding["breaks"], "every client");
    assert_eq!(certificate["swapped"], Value::Null);
    assert_eq!(certificate["refused"], "");

    let forecast = json(&world, &["certificates", "--forecast"]);
    let changes = forecast.as_array().unwrap();
    let expected = ["at", "certificate", "finding", "severity", "what"];
    assert_eq!(fields(&changes[0]), expected);
    changes.iter().for_each(|one| is_time(&one["at"]));
    let last = changes.last().unwrap();
    assert_eq!(last["certificate"], "example");
    assert_eq!(last["finding"], "expired");
    // The last second is still within the time.
    let not_after = time(&certificate["not_after"]);
    assert_eq!(time(&last["at"]), not_after + Duration::from_secs(1));

    let problems = json(&world, &["problems"]);
    assert_eq!(problems, status["problems"]);
    let expected = ["name", "remedy", "severity", "since", "subject", "what"];
    assert_eq!(fields(&problems[0]), expected);
    is_time(&problems[0]["since"]);

    let jobs = json(&world, &["jobs"]);
    assert_eq!(jobs[0]["result"], "done");
    assert_eq!(jobs[0]["progress"], 100);
    assert_eq!(jobs[1]["result"], "failed");
    let error = "org.batond.Baton1.Error.ConfigurationRefused";
    assert_eq!(jobs[1]["error"], error);
    is_time(&jobs[1]["started"]);
    is_time(&jobs[1]["ended"]);
}

#[test]
fn a_command_gives_its_job() {
    let (world, _, _folder) = rich_world();
    let job = json(&world, &["reload"]);
    assert_eq!(job["kind"], "reload");
    assert_eq!(job["result"], "done");
    world.configure("nonsense");
    let output = world.ctl(&["reload", "--json"]);
    assert_eq!(output.status.code(), Some(78));
    let job: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(job["result"], "failed");
    assert_eq!(job["error"], "org.batond.Baton1.Error.ConfigurationRefused");
}
