//! Operations: copies that outlive whoever asked for them, and the events that tell their targets.

mod endings;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use image_store::memory::MemoryStore;
use image_store::object_store::{ObjectStore as _, Payload, Precondition};
use image_store::{
    Close, Environment, EventPosition, ImageError, ImageState, ImageStore, Origin, Outcome, Place,
    ReplicatedImage, ReplicationEvent, Request, Route, Surroundings, SweepOptions,
};

use crate::support::{
    assert_no_orphans, block_on, bytes, environment, identity, killed_after, read_image, small, write_image,
};

const LEASE: u64 = 481;
const DAY: u64 = 24 * 60 * 60;

/// Two clusters: `near` with two LSUs that are replicated, `far` with two that images come to.
struct World {
    environment: Environment,
    near: [Arc<MemoryStore>; 2],
    far: [Arc<MemoryStore>; 2],
}

impl World {
    fn new() -> Self {
        let pair = || {
            let first = MemoryStore::new();
            let second = first.sibling("other");
            [Arc::new(first), Arc::new(second)]
        };
        let world = Self { environment: environment().0, near: pair(), far: pair() };
        world.advance(1_700_000_000);
        world
    }

    fn images(&self, bucket: &Arc<MemoryStore>) -> ImageStore<MemoryStore> {
        ImageStore::new(Arc::clone(bucket), small(), self.environment.clone()).unwrap()
    }

    fn near(&self) -> ImageStore<MemoryStore> {
        self.images(&self.near[0])
    }

    fn far(&self) -> ImageStore<MemoryStore> {
        self.images(&self.far[0])
    }

    fn process(&self) -> Process<'_> {
        Process { world: self, segments: AtomicI64::new(i64::MAX) }
    }

    fn advance(&self, seconds: u64) {
        // The clock is the cluster's.
        for memory in [&self.near[0], &self.far[0]] {
            memory.advance(seconds);
        }
    }

    /// So much later, after a sweep of all buckets.
    async fn swept(&self, seconds: u64) {
        self.advance(seconds);
        for memory in self.near.iter().chain(&self.far) {
            self.images(memory).sweep(SweepOptions::default()).await.unwrap();
        }
    }

    fn assert_no_orphans(&self) {
        for memory in self.near.iter().chain(&self.far) {
            assert_no_orphans(memory);
        }
    }

    /// The events of a bucket, with what they are about.
    async fn events(&self, bucket: &Arc<MemoryStore>) -> Vec<(ReplicationEvent, Vec<ReplicatedImage>)> {
        let log = self.images(bucket).events();
        let (mut events, mut position) = (Vec::new(), EventPosition::START);
        while let Some(event) = log.next_after(position).await.unwrap() {
            position = event.position;
            let images = ReplicatedImage::decode(&log.payload(position).await.unwrap().unwrap()).unwrap();
            let event = ReplicationEvent::decode(&event.data).unwrap();
            assert_eq!(event.images as usize, images.len());
            events.push((event, images));
        }
        events
    }
}

/// What a process has around it, and after how many segments it stops.
struct Process<'a> {
    world: &'a World,
    segments: AtomicI64,
}

impl Surroundings<MemoryStore> for Process<'_> {
    fn open(&self, place: &Place) -> Result<(ImageStore<MemoryStore>, Route), ImageError> {
        let (buckets, route) = match place.server.as_str() {
            "near" => (&self.world.near, Route::SameCluster),
            "far" => (&self.world.far, Route::OtherCluster),
            other => return Err(ImageError::Config { problem: format!("no server {other}") }),
        };
        let bucket = &buckets[place.lsu.parse::<usize>().unwrap()];
        Ok((self.world.images(bucket), route))
    }

    async fn sources(&self) -> Result<Vec<ImageStore<MemoryStore>>, ImageError> {
        Ok(self.world.near.iter().map(|bucket| self.world.images(bucket)).collect())
    }

    fn goes_on(&self) -> bool {
        self.segments.fetch_sub(1, Ordering::Relaxed) > 0
    }
}

fn place(server: &str, lsu: usize) -> Place {
    Place { server: server.to_owned(), lsu: lsu.to_string() }
}

fn origin() -> Origin {
    let (server, lifecycle_policy) = (b"primary1".to_vec(), b"gold".to_vec());
    Origin { copy: 1, image_set: 77, server, lifecycle_policy }
}

/// To the first LSU of the far cluster, without an event.
fn request(name: &str) -> Request {
    Request {
        source: identity(name),
        target: identity(name),
        places: vec![place("far", 0)],
        origin: Some(origin()),
        in_event: false,
        triggers: false,
        name: None,
    }
}

/// The images of a backup: header, true-image information and catalogue, and two fragments in another LSU.
const SET: [(&str, usize, usize); 5] = [
    ("c_C1_HDR", 0, 30),
    ("c_C1_F1", 1, 700),
    ("c_C1_F2", 1, 333),
    ("c_C1_TIR", 0, 100),
    ("c_C1_IM", 0, 200),
];

async fn write_set(world: &World) {
    for (seed, (name, lsu, size)) in (1..).zip(SET) {
        write_image(&world.images(&world.near[lsu]), &identity(name), &bytes(seed, 0, size)).await;
    }
}

/// Asks for all of them: what is in the event, and which image triggers it.
async fn ask(world: &World, in_event: &[&str], trigger: &str) -> Vec<(usize, u64)> {
    let mut numbers = Vec::new();
    for (name, lsu, _) in SET {
        let (in_event, triggers) = (in_event.contains(&name), name == trigger);
        let asked = Request { in_event, triggers, ..request(name) };
        let operations = world.images(&world.near[lsu]).operations();
        let number = operations.begin(&asked).await.unwrap();
        assert!(operations.may_have(number));
        numbers.push((lsu, number));
    }
    numbers
}

async fn assert_set_is_there(world: &World) {
    for (seed, (name, _, size)) in (1..).zip(SET) {
        assert_eq!(read_image(&world.far(), &identity(name)).await, bytes(seed, 0, size), "{name}");
    }
}

#[test]
fn the_images_of_a_set_come_with_one_event_behind_them() {
    block_on(async {
        let world = World::new();
        write_set(&world).await;
        let numbers = ask(&world, &["c_C1_IM", "c_C1_HDR", "c_C1_F2"], "c_C1_IM").await;
        for (lsu, number) in &numbers {
            assert_eq!(world.events(&world.far[0]).await, []);
            let operations = world.images(&world.near[*lsu]).operations();
            assert_eq!(operations.outcome(*number).await.unwrap(), None);
            assert_eq!(operations.run(*number, &world.process()).await.unwrap(), Outcome::Done);
            assert_eq!(operations.outcome(*number).await.unwrap(), Some(Outcome::Done));
        }
        assert_set_is_there(&world).await;
        let events = world.events(&world.far[0]).await;
        let [(event, images)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.image, identity("c_C1_IM"));
        assert!(event.time > 0);
        let told: Vec<_> = images.iter().map(|image| (image.identity.clone(), image.size)).collect();
        let expected = [("c_C1_F2", 333), ("c_C1_HDR", 30), ("c_C1_IM", 200)];
        assert_eq!(told, expected.map(|(name, size)| (identity(name), size)));
        assert!(images.iter().all(|image| image.origin == origin()), "{images:?}");
        // Running what has ended does nothing.
        for (lsu, number) in &numbers {
            let operations = world.images(&world.near[*lsu]).operations();
            assert_eq!(operations.run(*number, &world.process()).await.unwrap(), Outcome::Done);
        }
        assert_eq!(world.events(&world.far[0]).await.len(), 1);
        world.swept(DAY + 1).await;
        world.assert_no_orphans();
        let (lsu, number) = numbers[0];
        let operations = world.images(&world.near[lsu]).operations();
        let forgotten = operations.outcome(number).await;
        assert!(matches!(forgotten, Err(ImageError::NoOperation { .. })), "{forgotten:?}");
    });
}

/// Whoever waits for the trigger alone is not kept waiting for ever: it brings the others along.
#[test]
fn the_trigger_brings_the_images_of_its_event_along_and_no_others() {
    block_on(async {
        let world = World::new();
        write_set(&world).await;
        let numbers = ask(&world, &["c_C1_IM", "c_C1_F1"], "c_C1_HDR").await;
        let operations = world.near().operations();
        assert_eq!(operations.run(numbers[0].1, &world.process()).await.unwrap(), Outcome::Done);
        for (name, there) in [("c_C1_HDR", true), ("c_C1_F1", true), ("c_C1_IM", true), ("c_C1_F2", false)] {
            assert_eq!(world.far().properties(&identity(name)).await.is_ok(), there, "{name}");
        }
        let events = world.events(&world.far[0]).await;
        assert_eq!((events.len(), events[0].1.len()), (1, 2), "{events:?}");
        assert_eq!(events[0].0.image, identity("c_C1_HDR"));
    });
}

#[test]
fn an_event_never_comes_before_its_images_and_never_not_at_all() {
    let mut kills = 0;
    loop {
        let world = World::new();
        let numbers = block_on(async {
            write_set(&world).await;
            ask(&world, &["c_C1_F1", "c_C1_IM"], "c_C1_IM").await
        });
        let all = async {
            for (lsu, number) in &numbers {
                let operations = world.images(&world.near[*lsu]).operations();
                operations.run(*number, &world.process()).await.unwrap();
            }
        };
        let ended = killed_after(kills, all).is_some();
        block_on(async {
            if !world.events(&world.far[0]).await.is_empty() {
                assert_set_is_there(&world).await;
            }
            // Another process, once the lease of the first is over. It is told the numbers.
            world.advance(LEASE);
            for (lsu, number) in &numbers {
                let operations = world.images(&world.near[*lsu]).operations();
                assert_eq!(operations.run(*number, &world.process()).await.unwrap(), Outcome::Done);
            }
            assert_set_is_there(&world).await;
            let events = world.events(&world.far[0]).await;
            assert!(!events.is_empty() && events.len() <= 2, "{kills}: {events:?}");
            assert!(events.iter().all(|(_, images)| images.len() == 2), "{kills}: {events:?}");
            world.swept(DAY + 1).await;
            world.assert_no_orphans();
        });
        if ended {
            break;
        }
        kills += 1;
    }
    assert!(kills > 100, "{kills}");
}

#[test]
fn several_targets_get_the_image_and_each_its_event() {
    block_on(async {
        let world = World::new();
        write_image(&world.near(), &identity("a"), &bytes(1, 0, 900)).await;
        let places = vec![place("far", 0), place("far", 1), place("near", 1)];
        let asked = Request { places, in_event: true, triggers: true, ..request("a") };
        let operations = world.near().operations();
        let number = operations.begin(&asked).await.unwrap();
        assert_eq!(operations.request(number).await.unwrap(), asked);
        assert_eq!(operations.run(number, &world.process()).await.unwrap(), Outcome::Done);
        for bucket in [&world.far[0], &world.far[1], &world.near[1]] {
            assert_eq!(read_image(&world.images(bucket), &identity("a")).await, bytes(1, 0, 900));
            let events = world.events(bucket).await;
            assert_eq!((events.len(), events[0].1.len()), (1, 1));
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_begins_nothing() {
    block_on(async {
        let world = World::new();
        write_image(&world.near(), &identity("a"), &bytes(1, 0, 900)).await;
        let mut writer = world.near().create(&identity("pending")).await.unwrap();
        writer.close(Close::Incomplete).await.unwrap();
        let operations = world.near().operations();
        let before = world.near[0].keys();
        let twice = vec![place("far", 0), place("far", 0)];
        for wrong in [
            Request { places: Vec::new(), ..request("a") },
            Request { places: twice, ..request("a") },
            Request { origin: None, triggers: true, ..request("a") },
            Request { origin: None, in_event: true, ..request("a") },
            Request { name: Some(vec![b'n'; 4097]), ..request("a") },
        ] {
            let refused = operations.begin(&wrong).await;
            assert!(matches!(refused, Err(ImageError::Config { .. })), "{refused:?}");
        }
        let refused = operations.begin(&request("missing")).await;
        assert!(matches!(refused, Err(ImageError::NotFound { .. })), "{refused:?}");
        let refused = operations.begin(&request("pending")).await;
        assert!(matches!(refused, Err(ImageError::NotComplete { .. })), "{refused:?}");
        assert_eq!(world.near[0].keys(), before);
        let unknown = operations.run(12, &world.process()).await;
        assert!(matches!(unknown, Err(ImageError::NoOperation { number: 12 })), "{unknown:?}");
    });
}

#[test]
fn an_operation_is_known_by_its_name() {
    block_on(async {
        let world = World::new();
        write_image(&world.near(), &identity("a"), &bytes(1, 0, 900)).await;
        let operations = world.near().operations();
        let named = |name: &str| Request { name: Some(name.into()), ..request("a") };
        let first = operations.begin(&named("monday")).await.unwrap();
        assert_eq!(operations.begin(&named("monday")).await.unwrap(), first);
        assert_ne!(operations.begin(&named("tuesday")).await.unwrap(), first);
        operations.run(first, &world.process()).await.unwrap();
        // Also when it has ended; and when that was long ago, nothing of the old one counts.
        assert_eq!(operations.begin(&named("monday")).await.unwrap(), first);
        assert_eq!(operations.outcome(first).await.unwrap(), Some(Outcome::Done));
        let stale: Vec<_> = world.near[0].keys().into_iter().filter(|key| key.contains("copied")).collect();
        world.swept(DAY + 1).await;
        world.near[0].put(&stale[0], Payload::default(), Precondition::None, None).await.unwrap();
        assert_eq!(operations.begin(&named("monday")).await.unwrap(), first);
        assert_eq!(operations.outcome(first).await.unwrap(), None);
    });
}
