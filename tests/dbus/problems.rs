//! A problem is told once when it is raised and once when it is cleared, on the bus, in the log
//! and in the status of the unit.

use crate::caller::{Caller, is, talk};
use crate::world::{World, address, configuration};

type Row = (String, String, String, String, String, u64);

#[test]
fn a_reload_that_fails_is_a_problem_until_one_succeeds() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let good = configuration(&[("ws", listener)], &world.backend);
    world.configure("[listener.ws]\naddres = \"nonsense\"\n");
    talk(async {
        let mut caller = Caller::of(&world).await;
        let mut raised = 0;
        for _ in 0..2 {
            caller.begin("Reload").await;
            let heard = caller.hear("JobRemoved").await;
            raised += heard.iter().filter(|one| is(one, "ProblemRaised")).count();
        }
        let rows: Vec<Row> = caller.call("ListProblems", &()).await.unwrap();
        let [(name, subject, severity, what, remedy, since)] = &rows[..] else {
            panic!("{rows:?}");
        };
        assert_eq!(
            (name.as_str(), subject.as_str(), severity.as_str()),
            ("reload-failed", "", "warning")
        );
        assert!(
            what.contains("listener.ws.addres: is not a known key"),
            "{what}"
        );
        assert!(remedy.contains("batond check"), "{remedy}");
        assert!(*since > 0);

        world.configure(&good);
        caller.begin("Reload").await;
        let heard = caller.hear("ProblemCleared").await;
        raised += heard.iter().filter(|one| is(one, "ProblemRaised")).count();
        assert_eq!(raised, 1);
        let rows: Vec<Row> = caller.call("ListProblems", &()).await.unwrap();
        assert!(rows.is_empty(), "{rows:?}");
    });
    world.batond.main().signal(rustix::process::Signal::TERM);
    let log = world.batond.whole_log();
    let count = |what: &str| log.matches(what).count();
    assert_eq!(count("problem reload-failed: "), 1, "{log}");
    assert_eq!(count("problem reload-failed is over"), 1, "{log}");
}
