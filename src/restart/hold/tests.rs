use std::pin::{Pin, pin};
use std::thread;

use super::*;

const LONG: Duration = Duration::from_secs(3600);

fn newcomer(hold: &Arc<Hold>) -> Newcomer {
    Newcomer::new(Arc::clone(hold), Instant::now() + LONG, 1000)
}

/// What should come within moments must come within a minute.
fn block_on<F: Future>(test: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build().expect("a runtime");
    let bounded = async { tokio::time::timeout(Duration::from_secs(60), test).await };
    runtime.block_on(bounded).expect("it hangs")
}

/// Looks once. None: it waits.
async fn look<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    let mut future = Some(future);
    poll_fn(|cx| {
        Poll::Ready(match future.take().expect("one look").poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Whether it is its turn to try.
async fn tries(newcomer: &mut Newcomer) -> bool {
    match look(pin!(newcomer.turn())).await {
        None => false,
        Some(Ok(Turn::Try)) => true,
        Some(other) => panic!("{other:?}"),
    }
}

async fn leads(newcomer: &mut Newcomer) -> Option<Lead> {
    match look(pin!(newcomer.turn())).await {
        None => None,
        Some(Ok(Turn::Lead(lead))) => Some(lead),
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn an_open_hold_lets_everybody_pass() {
    block_on(async {
        let hold = Arc::new(Hold::default());
        let mut one = newcomer(&hold);
        assert!(tries(&mut one).await);
        one.arrived();
        assert_eq!(hold.totals(), Totals::default(), "nobody was held");
    });
}

#[test]
fn who_came_first_is_let_in_first() {
    block_on(async {
        let hold = Arc::new(Hold::default());
        hold.close();
        let mut line: Vec<Newcomer> = (0..5).map(|_| newcomer(&hold)).collect();
        for one in &mut line {
            assert!(!tries(one).await);
        }
        assert_eq!((hold.held(), hold.let_in(2)), (5, 2));
        for (place, one) in line.iter_mut().enumerate() {
            assert_eq!(tries(one).await, place < 2, "{place}");
        }
        // One whose backend does not answer has its old place again.
        line[0].turned_away().expect("it may wait");
        assert!(!tries(&mut line[0]).await);
        assert_eq!(hold.let_in(2), 2);
        for (place, tried) in [(0, true), (2, true), (3, false), (4, false)] {
            assert_eq!(tries(&mut line[place]).await, tried, "{place}");
        }
        assert_eq!(hold.let_in(9), 2, "no more wait");
        line.into_iter().for_each(Newcomer::arrived);
        let totals = hold.totals();
        assert_eq!((totals.held, totals.released, totals.left), (5, 5, 0));
    });
}

#[test]
fn one_leads_and_another_takes_over_when_it_is_gone() {
    block_on(async {
        let hold = Arc::new(Hold::default());
        let [mut first, mut second, mut third] = [(); 3].map(|()| newcomer(&hold));
        assert!(tries(&mut first).await && tries(&mut second).await);
        first.turned_away().expect("it may wait");
        let lead = leads(&mut first).await.expect("the first leads");
        second.turned_away().expect("it may wait");
        assert!(leads(&mut second).await.is_none(), "there is one already");
        assert!(!tries(&mut third).await, "it does not try by itself");
        assert!(lead.is_wanted());
        drop(lead);
        let lead = leads(&mut second).await.expect("somebody must");
        assert!(leads(&mut first).await.is_none(), "there is one already");
        lead.let_in(2);
        assert!(tries(&mut first).await && tries(&mut second).await);
        assert!(!tries(&mut third).await && lead.is_wanted());
        drop(third);
        assert!(!lead.is_wanted());
        drop(lead);
        assert!(tries(&mut newcomer(&hold)).await, "all is well again");
        assert_eq!(hold.totals().left, 1);
    });
}

#[test]
fn while_it_is_closed_nobody_leads_and_when_it_is_opened_somebody_does() {
    block_on(async {
        let hold = Arc::new(Hold::default());
        hold.close();
        let [mut first, mut second] = [(); 2].map(|()| newcomer(&hold));
        let (mut waiting, mut behind) = (Box::pin(first.turn()), Box::pin(second.turn()));
        assert!(look(waiting.as_mut()).await.is_none());
        assert!(look(behind.as_mut()).await.is_none());
        hold.open();
        // Whoever is woken for it does not get lost.
        let Ok(Turn::Lead(lead)) = waiting.await else {
            panic!("the first one leads");
        };
        hold.close();
        assert!(!lead.is_wanted());
        lead.let_in(1);
        assert_eq!(hold.held(), 2, "a closed hold has another master");
        drop(lead);
        assert!(leads(&mut first).await.is_none());
        hold.open();
        drop(first);
        assert!(matches!(behind.await, Ok(Turn::Lead(_))));
    });
}

#[test]
fn only_so_many_wait_and_one_who_leaves_makes_room() {
    block_on(async {
        let hold = Arc::new(Hold::default());
        hold.close();
        let newcomer = || Newcomer::new(Arc::clone(&hold), Instant::now() + LONG, 2);
        let mut one = newcomer();
        let mut other = newcomer();
        assert!(!tries(&mut one).await && !tries(&mut other).await);
        for first in [true, false] {
            let refused = newcomer().turn().await.expect_err("no place");
            assert_eq!(refused, Refused::Full { first });
        }
        // Who is let in keeps its place until it has arrived, for it may come back.
        hold.let_in(1);
        assert!(tries(&mut one).await);
        assert!(newcomer().turn().await.is_err());
        one.arrived();
        let mut third = newcomer();
        assert!(!tries(&mut third).await);
        drop(other);
        assert!(!tries(&mut newcomer()).await);
        let totals = hold.totals();
        assert_eq!((totals.full, totals.left, totals.held), (3, 2, 4));
    });
}

#[test]
fn nobody_waits_past_its_deadline() {
    block_on(async {
        let hold = Arc::new(Hold::default());
        hold.close();
        for wait in [Duration::ZERO, Duration::from_millis(5)] {
            let mut one = Newcomer::new(Arc::clone(&hold), Instant::now() + wait, 2);
            assert_eq!(one.turn().await.expect_err("overdue"), Refused::Overdue);
        }
        assert_eq!(hold.held(), 0);
        let totals = hold.totals();
        assert_eq!((totals.held, totals.overdue, totals.left), (1, 1, 0));
    });
}

/// Newcomers on several threads, some of whose attempts fail, under a hold that is closed, let in
/// and opened at random: none is forgotten.
#[test]
fn nobody_is_forgotten() {
    const EACH: usize = 500;
    let hold = Arc::new(Hold::default());
    let arrive = |seed: usize| {
        let hold = Arc::clone(&hold);
        thread::spawn(move || {
            block_on(async {
                for round in 0..EACH {
                    let mut one = newcomer(&hold);
                    let mut failures = (seed + round) % 3;
                    loop {
                        match one.turn().await.expect("it has time") {
                            Turn::Lead(lead) => {
                                // Some go away with it.
                                lead.let_in(2);
                                if (seed + round).is_multiple_of(5) {
                                    break;
                                }
                            }
                            Turn::Try if failures > 0 => {
                                failures -= 1;
                                one.turned_away().expect("it may wait");
                            }
                            Turn::Try => {
                                one.arrived();
                                break;
                            }
                        }
                    }
                }
            });
        })
    };
    let threads: Vec<_> = (0..4).map(arrive).collect();
    while threads.iter().any(|one| !one.is_finished()) {
        hold.close();
        hold.let_in(1);
        hold.open();
        thread::yield_now();
    }
    for thread in threads {
        thread.join().expect("all of its newcomers");
    }
    assert_eq!(hold.held(), 0);
    let Totals {
        held,
        released,
        overdue,
        left,
        full,
    } = hold.totals();
    assert_eq!((overdue, full), (0, 0));
    assert!(held >= released + left, "{held} {released} {left}");
    assert!(block_on(tries(&mut newcomer(&hold))), "all is well again");
}
