//! Handoffs leave no descriptor and no process behind. Counted in a process that does nothing
//! else, since the other tests open files of their own.

use std::process::{Command, ExitCode};
use std::time::Duration;

use batond::restart::handoff::{Offer, prepare};

use crate::old_side::{failed, prepared};
use crate::roles::launch_of;
use crate::{LONG, run};

pub(crate) async fn nothing_is_left_behind() {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("count-leaks")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let rounds: Vec<&str> = text.lines().collect();
    assert_eq!(
        rounds.len(),
        3,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(rounds[0], rounds[1]);
    assert_eq!(rounds[1], rounds[2]);
    assert!(rounds[0].ends_with("children: []"), "{text}");
}

/// `count-leaks`: prints what is there after each of three equal rounds.
pub(crate) fn count() -> ExitCode {
    for _ in 0..3 {
        run(round());
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let children: Vec<String> = tasks
            .map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap())
            .filter(|children| !children.is_empty())
            .collect();
        println!("descriptors: {open}, children: {children:?}");
    }
    ExitCode::SUCCESS
}

async fn round() {
    let (successor, mut call) = prepared("serve", &[], b"").await;
    successor
        .commit()
        .await
        .unwrap()
        .done(Default::default())
        .await;
    call.heard("alone").await;

    let (successor, _call) = prepared("serve", &[], b"").await;
    successor.abandon().await;

    let (successor, _call) = prepared("serve", &[], b"").await;
    drop(successor);

    let (_, _call) = failed("fail", Duration::from_secs(60)).await;
    let (_, _call) = failed("received", Duration::from_millis(500)).await;
    let (_, _call) = failed("raw: garbage", Duration::from_secs(60)).await;

    let offer = Offer {
        listeners: &[],
        state: b"",
    };
    prepare(&launch_of("/nonexistent"), offer, LONG)
        .await
        .unwrap_err();
}
