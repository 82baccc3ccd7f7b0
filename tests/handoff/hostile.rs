//! Successors that do not keep to the protocol.

use batond::restart::handoff::{Cause, Offer, prepare};

use crate::LONG;
use crate::link::Switchboard;
use crate::old_side::failed;
use crate::roles::launch;

/// The error that this conduct leads to is also what the successor is told.
async fn refused(conduct: &str) -> String {
    let (error, mut call) = failed(&format!("raw: {conduct}"), LONG).await;
    let told = call.heard("refused").await;
    assert_eq!(told, error.cause.to_string(), "{conduct}");
    call.ended().await;
    told
}

pub(crate) async fn another_version_is_refused_by_the_predecessor() {
    assert_eq!(
        refused("another version").await,
        "the other process speaks version 99 of the handoff protocol, this one version 1"
    );
}

pub(crate) async fn what_is_not_a_message_is_refused_by_the_predecessor() {
    let cases = [
        ("garbage", "a packet does not come from batond"),
        (
            "a header only",
            "a packet of 8 bytes is too short to be a message",
        ),
        ("too long", "a message is longer than 65536 bytes"),
        (
            "no JSON",
            "the body of a message of kind 2 is malformed: expected value at line 1",
        ),
        ("an unknown kind", "messages of kind 77 are not known"),
        (
            "hello with a descriptor",
            "a message came with 1 descriptors instead of 0",
        ),
    ];
    for (conduct, text) in cases {
        let told = refused(conduct).await;
        assert!(told.starts_with(text), "{conduct}: {told}");
    }
}

pub(crate) async fn messages_out_of_turn_are_refused_by_the_predecessor() {
    for conduct in ["ready first", "hello twice", "commits itself"] {
        assert!(refused(conduct).await.contains("out of turn"), "{conduct}");
    }
}

pub(crate) async fn a_process_that_was_not_started_for_it_is_refused() {
    let switchboard = Switchboard::new();
    let launch = launch(&switchboard.name, "sends through another");
    let offer = Offer {
        listeners: &[],
        state: b"",
    };
    let (outcome, mut call) = tokio::join!(prepare(&launch, offer, LONG), switchboard.call());
    let error = outcome.unwrap_err();
    assert!(matches!(error.cause, Cause::Stranger(_)), "{error}");
    call.heard("Refused").await;
    call.ended().await;
}

pub(crate) async fn a_successor_out_of_descriptors_says_so() {
    let sockets: Vec<_> = (0..20)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let listeners: Vec<_> = sockets
        .iter()
        .map(|socket| crate::roles::offered("ws", socket))
        .collect();
    let switchboard = Switchboard::new();
    let launch = launch(&switchboard.name, "without descriptors");
    let offer = Offer {
        listeners: &listeners,
        state: b"",
    };
    let (outcome, mut call) = tokio::join!(prepare(&launch, offer, LONG), switchboard.call());
    let error = outcome.unwrap_err();
    assert!(matches!(error.cause, Cause::Refused(_)), "{error}");
    assert!(
        error.to_string().contains("(raise LimitNOFILE=)"),
        "{error}"
    );
    assert!(
        call.heard("error")
            .await
            .contains("not every descriptor arrived")
    );
}
