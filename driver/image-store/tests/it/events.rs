//! The log of events: in order, at least once, from any number on, and no number twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use image_store::memory::{Effect, MemoryStore, Operation};
use image_store::object_store::StoreError;
use image_store::{
    Environment, Event, EventLog, EventPosition, ImageError, ImageStore, SweepOptions, SweepReport,
};

use crate::support::{Has, assert_no_orphans, block_on, environment, killed_after, small};
use crate::uploads::ends_every_upload;

const DAY: u64 = 24 * 60 * 60;

/// A bucket, and processes with one source of randomness.
struct World {
    memory: Arc<MemoryStore>,
    environment: Environment,
}

impl World {
    fn new() -> Self {
        let memory = Arc::new(MemoryStore::new());
        memory.set_page_size(3);
        Self { memory, environment: environment().0 }
    }

    fn images(&self) -> ImageStore<MemoryStore> {
        ImageStore::new(Arc::clone(&self.memory), small(), self.environment.clone()).unwrap()
    }

    fn log(&self) -> EventLog<MemoryStore> {
        self.images().events()
    }

    async fn sweep(&self) -> SweepReport {
        self.images().sweep(SweepOptions::default()).await.unwrap()
    }

    async fn swept_a_day_later(&self) -> SweepReport {
        self.memory.advance(DAY + 1);
        self.sweep().await
    }
}

fn at(number: u64) -> EventPosition {
    EventPosition { number, suffix: None }
}

/// Every event behind a position, with its payload.
async fn read_on(log: &EventLog<MemoryStore>, mut position: EventPosition) -> Vec<(Event, Bytes)> {
    let mut events = Vec::new();
    while let Some(event) = log.next_after(position).await.unwrap() {
        assert!(event.position > position);
        position = event.position;
        let payload = log.payload(position).await.unwrap().unwrap();
        assert_eq!(payload.len() as u64, event.payload_len);
        events.push((event, payload));
    }
    events
}

fn texts(events: &[(Event, Bytes)]) -> Vec<&str> {
    events.iter().map(|(event, _)| std::str::from_utf8(&event.data).unwrap()).collect()
}

#[test]
fn events_come_in_order_from_any_number_on_with_their_payloads() {
    block_on(async {
        let world = World::new();
        let log = world.log();
        assert_eq!(log.next_after(EventPosition::START).await.unwrap(), None);
        for number in 1..=10u64 {
            let payload =
                if number % 3 == 0 { Vec::new() } else { vec![7; usize::try_from(number).unwrap()] };
            let position = world.log().append(format!("event {number}").as_bytes(), &payload).await.unwrap();
            assert_eq!(position, at(number));
        }
        for from in 0..=10 {
            let events = read_on(&log, at(from)).await;
            let expected: Vec<_> = (from + 1..=10).map(|number| format!("event {number}")).collect();
            assert_eq!(texts(&events), expected);
            for (event, payload) in &events {
                let number = event.position.number;
                assert_eq!(payload.len() as u64, if number.is_multiple_of(3) { 0 } else { number });
            }
        }
        assert_eq!(log.last().await.unwrap(), at(10));
        assert_eq!(log.payload(at(11)).await.unwrap(), None);
        assert_no_orphans(&world.memory);
    });
}

#[test]
fn a_deleted_event_is_gone_and_its_number_is_never_used_again() {
    for versioned in [false, true] {
        block_on(async {
            let world = World::new();
            if versioned {
                world.memory.set_versioned();
            }
            let log = world.log();
            for text in ["one", "two", "three"] {
                log.append(text.as_bytes(), b"payload").await.unwrap();
            }
            assert!(log.delete(at(3)).await.unwrap());
            assert!(!log.delete(at(3)).await.unwrap(), "deleted already");
            assert!(!log.delete(at(4)).await.unwrap(), "never was");
            assert!(log.delete(at(1)).await.unwrap());
            assert_eq!(texts(&read_on(&log, EventPosition::START).await), ["two"]);
            assert_eq!(log.payload(at(3)).await.unwrap(), None);
            assert_no_orphans(&world.memory);
            assert_eq!(world.log().append(b"four", b"").await.unwrap(), at(4));
            assert!(log.delete(at(2)).await.unwrap() && log.delete(at(4)).await.unwrap());
            // Not even when nothing is left of any of them but the last number.
            world.sweep().await;
            assert_eq!(world.memory.keys().len(), 4, "kept for a day");
            assert_eq!(world.swept_a_day_later().await.events, 3);
            assert_eq!(world.memory.raw().versions.len(), 1);
            assert_eq!(log.last().await.unwrap(), at(4));
            assert_eq!(log.next_after(EventPosition::START).await.unwrap(), None);
            assert_eq!(log.append(b"five", b"").await.unwrap(), at(5));
            assert_no_orphans(&world.memory);
        });
    }
}

#[test]
fn appenders_at_the_same_time_get_different_numbers() {
    for has in Has::ALL {
        block_on(async {
            let world = World::new();
            has.set(&world.memory);
            let (one, two, three) = (world.log(), world.log(), world.log());
            let appended = tokio::join!(
                async { (one.append(b"a", b"A").await.unwrap(), one.append(b"d", b"D").await.unwrap()) },
                async { (two.append(b"b", b"B").await.unwrap(), two.append(b"e", b"E").await.unwrap()) },
                three.append(b"c", b"C"),
            );
            assert!(appended.0.0 < appended.0.1 && appended.1.0 < appended.1.1);
            let given = [appended.0.0, appended.0.1, appended.1.0, appended.1.1, appended.2.unwrap()];
            assert_eq!(BTreeSet::from(given.map(|position| position.number)).len(), 5);
            let events = read_on(&world.log(), EventPosition::START).await;
            let found: BTreeSet<_> = events.iter().map(|(event, _)| event.position).collect();
            assert_eq!(found, BTreeSet::from(given));
            for (event, payload) in &events {
                assert_eq!(event.data.to_ascii_uppercase(), *payload);
            }
            let told_apart = given.iter().all(|position| position.suffix.is_some());
            assert_eq!(told_apart, has == Has::Nothing, "{given:?}");
            world.swept_a_day_later().await;
            assert_eq!(read_on(&world.log(), EventPosition::START).await.len(), 5);
            assert_no_orphans(&world.memory);
        });
    }
}

/// A reader that has gone on never misses an event, whatever the appenders that were slower do.
#[test]
fn no_event_appears_behind_a_reader() {
    for has in Has::ALL {
        for ahead in 0..40 {
            block_on(async {
                let world = World::new();
                has.set(&world.memory);
                world.log().append(b"first", b"").await.unwrap();
                let slow = world.log();
                let others = async {
                    for _ in 0..ahead {
                        tokio::task::yield_now().await;
                    }
                    let log = world.log();
                    let mut seen = Vec::new();
                    let mut position = EventPosition::START;
                    for text in ["x", "y"] {
                        log.append(text.as_bytes(), b"p").await.unwrap();
                        while let Some(event) = log.next_after(position).await.unwrap() {
                            position = event.position;
                            seen.push(event.data.clone());
                            log.delete(position).await.unwrap();
                        }
                    }
                    (seen, position)
                };
                let (appended, (mut seen, position)) = tokio::join!(slow.append(b"slow", b"q"), others);
                appended.unwrap();
                seen.extend(read_on(&world.log(), position).await.into_iter().map(|(event, _)| event.data));
                for text in ["first", "slow", "x", "y"] {
                    assert!(seen.contains(&Bytes::from_static(text.as_bytes())), "{ahead}: {text} {seen:?}");
                }
            });
        }
    }
}

#[test]
fn an_append_killed_anywhere_leaves_the_event_or_nothing_and_again_it_is_there() {
    for (has, versioned) in Has::ALL.into_iter().flat_map(|has| [(has, false), (has, true)]) {
        for kills in 0.. {
            let world = World::new();
            has.set(&world.memory);
            if versioned {
                world.memory.set_versioned();
            }
            block_on(world.log().append(b"first", b"payload of the first")).unwrap();
            let ended = killed_after(kills, world.log().append(b"event", b"payload"));
            block_on(async {
                let found = read_on(&world.log(), EventPosition::START).await;
                assert!(found.len() <= 2 && found.len() > usize::from(ended.is_some()), "{kills}");
                world.log().append(b"event", b"payload").await.unwrap();
                world.swept_a_day_later().await;
                let events = read_on(&world.log(), EventPosition::START).await;
                assert!((2..=3).contains(&events.len()) && events[0].0.data == "first", "{events:?}");
                assert!(
                    events[1..].iter().all(|(event, payload)| event.data == "event" && payload == "payload")
                );
                let numbers: BTreeSet<_> = events.iter().map(|(event, _)| event.position.number).collect();
                assert_eq!(numbers.len(), events.len());
                assert_no_orphans(&world.memory);
            });
            if ended.is_some() {
                assert!(kills > 4);
                break;
            }
        }
    }
}

#[test]
fn a_delete_killed_anywhere_leaves_no_event_without_its_payload_and_no_number_free() {
    for versioned in [false, true] {
        for kills in 0.. {
            let world = World::new();
            if versioned {
                world.memory.set_versioned();
            }
            block_on(async {
                world.log().append(b"first", b"payload").await.unwrap();
                world.log().append(b"second", b"payload").await.unwrap();
            });
            let ended = killed_after(kills, world.log().delete(at(2)));
            block_on(async {
                let there = read_on(&world.log(), EventPosition::START).await.len();
                assert_eq!(world.log().delete(at(2)).await.unwrap(), there == 2, "{kills}");
                world.swept_a_day_later().await;
                assert_no_orphans(&world.memory);
                assert_eq!(world.log().append(b"third", b"").await.unwrap(), at(3));
                assert_eq!(texts(&read_on(&world.log(), EventPosition::START).await), ["first", "third"]);
            });
            if ended.is_some() {
                break;
            }
        }
    }
}

#[test]
fn a_lost_answer_is_resolved_and_a_failure_is_reported() {
    for lost in [StoreError::Timeout("lost".to_owned()), StoreError::Precondition("own retry".to_owned())] {
        block_on(async {
            let world = World::new();
            world.memory.script(Operation::Put, "event/", 0, Effect::LoseAnswer(lost));
            assert_eq!(world.log().append(b"event", b"payload").await.unwrap(), at(1));
            assert_eq!(read_on(&world.log(), EventPosition::START).await.len(), 1);
            assert_no_orphans(&world.memory);
            let timeout = || Effect::Refuse(StoreError::Timeout("scripted".to_owned()));
            for prefix in ["event/", "event-payload/"] {
                world.memory.script(Operation::Put, prefix, 0, timeout());
                let refused = world.log().append(b"event", b"payload").await;
                assert!(matches!(refused, Err(ImageError::Store { .. })), "{refused:?}");
            }
            // The answer and the look after it are lost: told as a failure, and there once more afterwards.
            let lost = Effect::LoseAnswer(StoreError::Timeout("scripted".to_owned()));
            world.memory.script(Operation::Put, "event/", 0, lost);
            world.memory.script(Operation::Get, "event/", 0, timeout());
            assert!(world.log().append(b"again", b"payload").await.is_err());
            world.log().append(b"again", b"payload").await.unwrap();
            assert_eq!(
                texts(&read_on(&world.log(), EventPosition::START).await),
                ["event", "again", "again"]
            );
            world.swept_a_day_later().await;
            assert_no_orphans(&world.memory);
        });
    }
}

/// Whoever cannot get a number does not take the next one: the gap could be filled behind a reader.
#[test]
fn no_number_is_left_out_because_others_append() {
    block_on(async {
        let world = World::new();
        Has::Uploads.set(&world.memory);
        world.log().append(b"one", b"payload").await.unwrap();
        let log = world.log();
        let refused = tokio::select! {
            refused = log.append(b"two", b"payload") => refused,
            () = ends_every_upload(&world.memory, "event/00000000000000000002") => unreachable!(),
        };
        assert!(matches!(refused, Err(ImageError::Store { .. })), "{refused:?}");
        assert_eq!(world.log().append(b"two", b"payload").await.unwrap(), at(2));
        world.swept_a_day_later().await;
        assert_no_orphans(&world.memory);
    });
}

#[test]
fn damage_is_reported_and_can_be_deleted() {
    block_on(async {
        let world = World::new();
        let log = world.log();
        log.append(b"one", b"payload").await.unwrap();
        log.append(b"two", b"payload").await.unwrap();
        for (operation, prefix) in [(Operation::Get, "event/"), (Operation::Get, "event-payload/")] {
            world.memory.script(operation, prefix, 0, Effect::FlipByte(3));
            assert_eq!(read_on(&log, EventPosition::START).await.len(), 2, "read again");
            assert_eq!(world.memory.clear_scripts(), 0);
        }
        let payload = world.memory.keys().into_iter().find(|key| key.starts_with("event-payload/")).unwrap();
        world.memory.tamper(&payload, &b"Payload"[..]);
        let mut damaged = 0;
        for number in 1..=2 {
            damaged += u64::from(matches!(log.payload(at(number)).await, Err(ImageError::Corrupt { .. })));
        }
        assert_eq!(damaged, 1);
        world.memory.tamper("event/00000000000000000001", &b"x"[..]);
        let next = log.next_after(EventPosition::START).await;
        assert!(matches!(next, Err(ImageError::Corrupt { .. })), "{next:?}");
        // Nobody knows whose the payloads are, so they stay.
        world.swept_a_day_later().await;
        assert!(world.memory.object(&payload).is_some());
        assert!(log.delete(at(1)).await.unwrap());
        assert_eq!(log.next_after(EventPosition::START).await.unwrap().unwrap().position, at(2));
        world.swept_a_day_later().await;
        assert_no_orphans(&world.memory);
    });
}

#[test]
fn a_server_that_only_seems_to_keep_conditions_loses_no_event() {
    block_on(async {
        let world = World::new();
        world.memory.set_ignores_conditions(true);
        world.memory.set_multipart(false);
        let (one, two) = (world.log(), world.log());
        let (first, second) = tokio::join!(one.append(b"one", b"1"), two.append(b"two", b"2"));
        assert_ne!(first.unwrap().number, second.unwrap().number);
        let mut found: Vec<_> = read_on(&world.log(), EventPosition::START).await;
        found.sort_by_key(|(event, _)| event.data.clone());
        assert_eq!(texts(&found), ["one", "two"]);
        world.swept_a_day_later().await;
        assert_no_orphans(&world.memory);
    });
}
