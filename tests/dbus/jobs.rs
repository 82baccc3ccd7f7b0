//! What is asked for becomes a job, which tells how far it is and how it ended.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use crate::caller::{Caller, is, talk, text};
use crate::world::{World, address};

const JOB: &str = "org.batond.Baton1.Job";

type Row = (u32, String, String, String, OwnedObjectPath);

#[test]
fn a_job_can_be_followed_from_its_begin_to_its_end() {
    let world = World::with(&[("ws", address())]);
    talk(async {
        let mut caller = Caller::of(&world).await;
        let path = caller.begin("Reload").await;
        // It is there by the time that the call returns.
        caller.properties(&path, JOB).await;
        let heard = caller.hear("JobRemoved").await;
        let begun = heard.iter().position(|one| is(one, "JobNew")).unwrap();
        let body = heard[begun].body();
        let (id, of, kind, service): (u32, OwnedObjectPath, String, String) =
            body.deserialize().unwrap();
        assert_eq!((id, kind.as_str(), service.as_str()), (1, "reload", ""));
        assert_eq!(of, path);
        let body = heard.last().unwrap().body();
        let (id, of, result, message): (u32, OwnedObjectPath, String, String) =
            body.deserialize().unwrap();
        assert_eq!((id, result.as_str()), (1, "done"));
        assert_eq!(of, path);
        assert_eq!(message, "configuration 2 is in use");

        // It stays, as it was.
        let job = caller.properties(&path, JOB).await;
        assert_eq!(text(&job, "Result"), "done");
        assert_eq!(text(&job, "State"), "done");
        assert_eq!(text(&job, "Error"), "");
        let time = |name: &str| u64::try_from(&job[name]).unwrap();
        assert!(time("Started") <= time("Ended"));
        let got: OwnedObjectPath = caller.call("GetJob", &1_u32).await.unwrap();
        assert_eq!(got, path);
        let (error, _) = caller
            .call::<_, OwnedObjectPath>("GetJob", &2_u32)
            .await
            .unwrap_err();
        assert_eq!(error, "org.batond.Baton1.Error.NotFound");
    });
}

#[test]
fn a_job_that_fails_says_why_by_name() {
    let world = World::with(&[("ws", address())]);
    world.configure("[listener.ws]\naddres = \"nonsense\"\n");
    talk(async {
        let mut caller = Caller::of(&world).await;
        for (method, error) in [
            ("Reload", "ConfigurationRefused"),
            ("Upgrade", "HandoffFailed"),
        ] {
            let path = caller.begin(method).await;
            caller.hear("JobRemoved").await;
            let job = caller.properties(&path, JOB).await;
            assert_eq!(text(&job, "Result"), "failed");
            let expected = format!("org.batond.Baton1.Error.{error}");
            assert_eq!(text(&job, "Error"), expected);
            let message = text(&job, "Message");
            assert!(message.contains("listener.ws.addres"), "{message}");
        }
        let rows: Vec<Row> = caller.call("ListJobs", &()).await.unwrap();
        let kinds: Vec<_> = rows
            .iter()
            .map(|row| (row.1.as_str(), row.3.as_str()))
            .collect();
        assert_eq!(kinds, [("reload", "failed"), ("upgrade", "failed")]);
    });
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    let world = World::with(&[("ws", address())]);
    talk(async {
        let caller = Caller::of(&world).await;
        let options = HashMap::from([("colour", Variant::from("blue"))]);
        for method in ["Reload", "Upgrade"] {
            let answer = caller.call::<_, OwnedObjectPath>(method, &options).await;
            let (error, text) = answer.unwrap_err();
            assert_eq!(error, "org.batond.Baton1.Error.UnknownOption");
            assert!(text.contains("\"colour\""), "{text}");
        }
        let rows: Vec<Row> = caller.call("ListJobs", &()).await.unwrap();
        assert!(rows.is_empty(), "{rows:?}");
    });
}

#[test]
fn old_jobs_make_room_for_new_ones() {
    let world = World::with(&[("ws", address())]);
    talk(async {
        let mut caller = Caller::of(&world).await;
        for _ in 0..35 {
            caller.begin("Reload").await;
            caller.hear("JobRemoved").await;
        }
        let rows: Vec<Row> = caller.call("ListJobs", &()).await.unwrap();
        let ids: Vec<u32> = rows.iter().map(|row| row.0).collect();
        assert_eq!(ids, (4..=35).collect::<Vec<_>>());
        let objects = caller.objects().await;
        let is_job = |one: &&OwnedObjectPath| one.as_str().contains("/job/");
        let jobs = objects.keys().filter(is_job).count();
        assert_eq!(jobs, 32);
    });
}

#[test]
fn a_reload_by_signal_is_a_job_too() {
    let world = World::with(&[("ws", address())]);
    talk(async {
        let mut caller = Caller::of(&world).await;
        world.batond.main().signal(rustix::process::Signal::HUP);
        let heard = caller.hear("JobRemoved").await;
        assert!(heard.iter().any(|one| is(one, "JobNew")));
        let manager = zbus::ObjectPath::try_from(batond::control::dbus::PATH).unwrap();
        let properties: HashMap<String, OwnedVariant> = caller
            .properties(&manager, "org.batond.Baton1.Manager")
            .await;
        assert_eq!(u64::try_from(&properties["Generation"]).unwrap(), 2);
    });
}
