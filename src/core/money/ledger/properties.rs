//! What holds for any order of reserving, settling, repeating and falling silent.

use proptest::prelude::*;

use super::{Outcome, apply, hello};
use crate::money::ids::{BodyHash, ScopeId, Seq};
use crate::money::memory::Memory;
use crate::money::message::{SyncRequest, Want};
use crate::units::{NanoUsd, Timestamp};

use super::stage::Story;

#[derive(Clone, Debug)]
enum Event {
    Reserve(usize, u64),
    Settle(usize, u64),
    Resend(usize),
    Tick(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_usize..3, 1_u64..600).prop_map(|(holder, nanos)| Event::Reserve(holder, nanos)),
        4 => (any::<usize>(), 0_u64..101).prop_map(|(hold, percent)| Event::Settle(hold, percent)),
        2 => (0_usize..3).prop_map(Event::Resend),
        1 => (1_u64..100).prop_map(Event::Tick),
    ]
}

/// Batches of three holders that each want so much, decided over one view or over what the store says each time.
fn run(wants: &[u64], view_lives_for: usize) -> Memory {
    let mut story = Story::new();
    story.play(&["limit", "0.000001"]);
    let mut memory = story.memory;
    for _ in 0..3 {
        let (_, changes) = hello(memory.rows(), Timestamp(0)).unwrap();
        memory.commit(changes).unwrap();
    }
    let mut seqs = [0; 3];
    let holders = memory.rows().holders.keys().copied().collect::<Vec<_>>();
    for group in wants.chunks(view_lives_for) {
        let mut view = memory.rows().clone();
        for scope in view.scopes.values_mut() {
            scope.holders = 3;
        }
        for nanos in group {
            let holder = usize::try_from(nanos % 3).unwrap();
            seqs[holder] += 1;
            let want = Want {
                scope: ScopeId(1),
                need: NanoUsd(*nanos),
                want: NanoUsd(2 * nanos),
            };
            let batch = SyncRequest {
                incarnation: holders[holder],
                seq: Seq(seqs[holder]),
                wants: vec![want],
                ..SyncRequest::default()
            };
            let outcome = apply(&view, &batch, BodyHash::default(), Timestamp(0), &[]);
            let Ok(Outcome::Applied(applied)) = outcome else {
                panic!("{outcome:?}");
            };
            view.absorb(&applied.changes);
            memory.commit(applied.changes).unwrap();
        }
    }
    memory
}

proptest! {
    /// A store may decide a group of batches over one view, and write them in one transaction.
    #[test]
    fn a_group_of_batches_is_decided_as_they_would_be_one_by_one(
        wants in prop::collection::vec(0_u64..300, 0..20),
    ) {
        let one_by_one = run(&wants, 1);
        let together = run(&wants, 20);
        prop_assert_eq!(format!("{:?}", one_by_one.rows()), format!("{:?}", together.rows()));
        let account = together.rows().accounts.values().next().copied().unwrap_or_default();
        prop_assert!(account.held <= NanoUsd(1_000));
    }

    #[test]
    fn holds_never_pass_the_limit_and_what_is_spent_is_what_was_settled(
        events in prop::collection::vec(event(), 0..60),
    ) {
        const LIMIT: u64 = 1_000;
        let mut story = Story::new();
        story.play(&["limit", "0.000001"]);
        let mut open: Vec<(usize, String, u64)> = Vec::new();
        let mut settled = 0;
        for (number, event) in events.into_iter().enumerate() {
            let name = number.to_string();
            match event {
                Event::Reserve(holder, nanos) => {
                    let amount = format!("0.{nanos:09}");
                    if story.play(&["reserve", &holder.to_string(), &name, &amount]) == "Ok" {
                        open.push((holder, name, nanos));
                    }
                }
                Event::Settle(hold, percent) if !open.is_empty() => {
                    let (holder, name, held) = open.swap_remove(hold % open.len());
                    let cost = held * percent / 100;
                    let amount = format!("0.{cost:09}");
                    let came = story.play(&["settle", &holder.to_string(), &name, &amount]);
                    prop_assert!(came == "Ok" || came == "Late", "{}", came);
                    settled += cost;
                }
                Event::Resend(holder) if story.knows(holder) => {
                    prop_assert_eq!(story.play(&["resend", &holder.to_string()]), "Repeated");
                }
                Event::Tick(seconds) => {
                    story.play(&["tick", &seconds.to_string()]);
                }
                Event::Settle(..) | Event::Resend(..) => {}
            }
            let account = story.account();
            prop_assert!(account.posted.0 + account.held.0 <= LIMIT);
            prop_assert!(account.posted.0 >= settled);
            story.check_invariants("property");
        }
        for (holder, name, held) in open {
            story.play(&["settle", &holder.to_string(), &name, &format!("0.{held:09}")]);
            settled += held;
        }
        let account = story.account();
        prop_assert_eq!((account.posted.0, account.held.0), (settled, 0));
    }
}
