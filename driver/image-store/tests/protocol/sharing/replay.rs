//! The code along the model: each request of a process is one step of the model, after each step the bucket is what the
//! model says, and so is what a sweep leaves two days after the end.
//!
//! Random walks through the model, from a seed that is printed; `PROTOCOL_SEED` runs one walk of each case alone.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use image_store::memory::{MemoryStore, Operation};
use image_store::{Close, ImageError, ImageIdentity, ImageStore, ObjectStore as _, SweepOptions};
use stateright::Model;

use super::{
    Act, Case, Deleting, Image, Including, ORIGIN, Process, Release, SEGMENTS, Store, Sweeping, cases, marker,
};
use crate::environment::{environment, small};
use crate::stage::{Dice, Player, Request, Shown, Staged};

/// Walks through each case.
const WALKS: u64 = 2000;
const DAY: u64 = 24 * 60 * 60;
/// Bytes of a segment.
const SEGMENT: u64 = 32;

type Ended = Result<(), ImageError>;

fn identity(image: usize) -> ImageIdentity {
    ImageIdentity::new(format!("{image}"), 1_588_173_008, "Daily").unwrap()
}

fn state_key(image: usize) -> String {
    format!("image/{image}/1588173008/Daily")
}

/// The state object of an image, read by hand.
fn state_of(memory: &MemoryStore, image: usize) -> Option<serde_json::Value> {
    let data = memory.object(&state_key(image))?;
    let line = data.split(|byte| *byte == b'\n').next().unwrap();
    Some(serde_json::from_slice(line).unwrap())
}

fn writer_of(memory: &MemoryStore, image: usize) -> String {
    state_of(memory, image).unwrap()["writer"].as_str().unwrap().to_owned()
}

struct Play {
    memory: MemoryStore,
    players: Vec<Player<Ended>>,
    /// The ids of the writers of the images.
    writers: Vec<String>,
}

impl Play {
    async fn new(case: &Case, start: &Store) -> Self {
        let memory = MemoryStore::new();
        memory.set_time(1_700_000_000);
        let environment = environment();
        let process = || {
            let store = Arc::new(Staged::new(&memory));
            let images = ImageStore::new(Arc::clone(&store), small(), environment.clone()).unwrap();
            (store, images)
        };
        let (_, images) = process();
        let mut origin = images.create(&identity(ORIGIN)).await.unwrap();
        origin.append(0, &vec![7; usize::from(SEGMENTS) * usize::try_from(SEGMENT).unwrap()]).await.unwrap();
        origin.close(Close::Complete).await.unwrap();
        let mut writers = vec![writer_of(&memory, ORIGIN)];
        let (mut stores, mut open) = (Vec::new(), Vec::new());
        // In the order of their numbers, so that listings have the order of the model.
        for image in 1..start.images.len() {
            let (store, images) = process();
            if case.leftover == Some(image) {
                let mut writer = images.create(&identity(image)).await.unwrap();
                writers.push(writer_of(&memory, image));
                writer.include(&identity(ORIGIN), 0, SEGMENT, 0).await.unwrap();
                memory.delete(&state_key(image)).await.unwrap();
            }
            if image == start.images.len() - case.includes.len() {
                // What is there by now is old from here on.
                memory.advance(DAY + 1);
            }
            if case.leftover != Some(image) {
                open.push(Some(images.create(&identity(image)).await.unwrap()));
                writers.push(writer_of(&memory, image));
                stores.push(store);
            }
        }
        let own = writers[ORIGIN].clone();
        let passes = move |request: &Request| {
            let key = request.key.as_str();
            let of_others = ["holder/", "segment/"].iter().any(|prefix| {
                key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(&own))
            });
            of_others || !["image/", "holder/", "segment/"].iter().any(|prefix| key.starts_with(prefix))
        };
        let mut players = Vec::new();
        for (image, source, segment) in case.includes.iter().copied() {
            let nth = image + case.includes.len() - start.images.len();
            let mut writer = open[nth].take().unwrap();
            // An image that includes has nothing but what it includes.
            let from = if source == ORIGIN { u64::from(segment) * SEGMENT } else { 0 };
            players.push(Player::new(&stores[nth], passes.clone(), async move {
                match writer.include(&identity(source), from, SEGMENT, 0).await {
                    Ok(()) => writer.close(Close::Complete).await,
                    Err(error) => writer.abort().await.and(Err(error)),
                }
            }));
        }
        for image in case.deletes.iter().copied() {
            let (store, images) = process();
            images.exclusivity().await.unwrap();
            let deleting = async move { images.delete(&identity(image)).await };
            players.push(Player::new(&store, passes.clone(), deleting));
        }
        for _ in 0..case.sweeps {
            let (store, images) = process();
            images.exclusivity().await.unwrap();
            let sweeping = async move { images.sweep(SweepOptions::default()).await.map(drop) };
            players.push(Player::new(&store, passes.clone(), sweeping));
        }
        Self { memory, players, writers }
    }

    fn marker_key(&self, image: usize) -> String {
        format!("holder/{}/{}", self.writers[ORIGIN], self.writers[image])
    }

    fn segment_key(&self, segment: u8) -> String {
        format!("segment/{}/{segment:08x}", self.writers[ORIGIN])
    }

    /// An image in the words of the model.
    fn image(&self, image: usize) -> Image {
        let Some(state) = state_of(&self.memory, image) else { return Image::Absent };
        let mut held = 0;
        for extent in state["extents"].as_array().unwrap() {
            let number = |at: usize| extent[at].as_u64().unwrap();
            assert_eq!(state["writers"][usize::try_from(number(0)).unwrap()]["id"], self.writers[ORIGIN]);
            for segment in number(1)..number(1) + number(2) {
                held |= 1 << segment;
            }
        }
        match state["state"].as_str().unwrap() {
            "CREATED" => Image::Created(held),
            "DELETING" => Image::Deleting(held),
            _ => {
                assert!(state["busy"].as_bool().unwrap() && held == 0, "{state}");
                Image::Busy
            }
        }
    }

    /// The bucket is what the model says.
    fn compare(&self, store: &Store) {
        let images: Vec<_> = (0..store.images.len()).map(|image| self.image(image)).collect();
        assert_eq!(images, store.images);
        let keys = self.memory.keys();
        let segments: Vec<_> = (0..SEGMENTS).filter(|n| store.segments & (1 << n) != 0).collect();
        let found: Vec<_> = (0..SEGMENTS).filter(|n| keys.contains(&self.segment_key(*n))).collect();
        assert_eq!(found, segments, "segments");
        let found =
            (0..store.images.len()).filter(|image| keys.contains(&self.marker_key(*image))).map(marker);
        assert_eq!(found.collect::<BTreeSet<_>>(), store.markers, "markers");
        let shared = keys.iter().filter(|key| key.starts_with("segment/") || key.starts_with("holder/"));
        assert_eq!(shared.count(), store.segments.count_ones() as usize + store.markers.len(), "{keys:?}");
    }

    /// The processes are where the model says.
    fn compare_processes(&self, store: &Store, crashed: &[bool]) {
        for (n, (player, process)) in self.players.iter().zip(&store.processes).enumerate() {
            if crashed[n] {
                continue;
            }
            match self.expected(process) {
                Some((operation, key)) => {
                    let request = Request { operation, key, upload: None };
                    assert_eq!(player.request(), Some(request), "{process:?}, ended: {:?}", player.ended);
                }
                // The model does not look at a sweep that begins anew too often.
                None if player.request().is_some() => {
                    let request = player.request().unwrap();
                    let again = request.operation == Operation::List && request.key.starts_with("holder/");
                    assert!(again, "{request:?} after the end");
                }
                None => assert!(player.ended.is_some()),
            }
        }
    }

    /// The next request of a process.
    fn expected(&self, process: &Process) -> Option<(Operation, String)> {
        use Operation::{Delete, Get, List, ListGroups, Put};
        Some(match process {
            Process::Ended => return None,
            Process::Include { image, source, at, .. } => match at {
                Including::Look | Including::Check => (Get, state_key(*source)),
                Including::Mark => (Put, self.marker_key(*image)),
                Including::Commit | Including::MarkDeleting => (Put, state_key(*image)),
                Including::Fenced | Including::FencedAgain | Including::LookAgain | Including::Reload => {
                    (Get, state_key(*image))
                }
                Including::Release { at, .. } => self.release(*image, *at),
                Including::Remove => (Delete, state_key(*image)),
            },
            Process::Delete { image, at } => match at {
                Deleting::Load | Deleting::LookAgain | Deleting::ReadOther => (Get, state_key(*image)),
                Deleting::Mark { .. } => (Put, state_key(*image)),
                Deleting::Release(at) => self.release(*image, *at),
                Deleting::Remove => (Delete, state_key(*image)),
            },
            Process::Sweep { at, .. } => match at {
                Sweeping::ListImages => (List, "image/".to_owned()),
                Sweeping::ReadOld => (Get, state_key(ORIGIN)),
                Sweeping::GroupSegments => (ListGroups, "segment/".to_owned()),
                Sweeping::GroupMarkers { .. } => (ListGroups, "holder/".to_owned()),
                Sweeping::List | Sweeping::ListAgain(..) => self.release(ORIGIN, Release::LookForOthers),
                Sweeping::ReadMarker(found) => {
                    (Get, self.marker_key(usize::from(*found.left.first().unwrap())))
                }
                Sweeping::ReadImage(found) => (Get, state_key(usize::from(*found.left.first().unwrap()))),
                Sweeping::ListSegments(_) => self.release(ORIGIN, Release::List),
                Sweeping::Free(_, unused) => self.release(ORIGIN, Release::Free(*unused)),
                Sweeping::DropStale(stale) => (Delete, self.marker_key(usize::from(*stale.first().unwrap()))),
                Sweeping::Finish { image, at: Some(at), .. } => self.release(*image, *at),
                Sweeping::Finish { image, at: None, .. } => (Delete, state_key(*image)),
            },
        })
    }

    fn release(&self, image: usize, at: Release) -> (Operation, String) {
        match at {
            Release::Unmark => (Operation::Delete, self.marker_key(image)),
            Release::LookForOthers => (Operation::List, format!("holder/{}/", self.writers[ORIGIN])),
            Release::List => (Operation::List, format!("segment/{}/", self.writers[ORIGIN])),
            Release::Free(listed) => {
                let first = u8::try_from(listed.trailing_zeros()).unwrap();
                (Operation::DeleteMany, self.segment_key(first))
            }
        }
    }
}

/// One walk through a case, with the code beside it.
async fn walk(case: &Case, seed: u64, seen: &mut HashSet<Store>) -> usize {
    let mut dice = Dice::new(seed);
    let mut state = case.init_states().remove(0);
    // Some processes are much faster than others.
    let speeds: Vec<usize> = state.processes.iter().map(|_| [3, 10, 30][dice.below(3)]).collect();
    let mut crashed = vec![false; speeds.len()];
    let mut play = Play::new(case, &state).await;
    let mut acts = Vec::new();
    play.compare(&state);
    loop {
        let mut possible = Vec::new();
        case.actions(&state, &mut possible);
        if possible.is_empty() {
            break;
        }
        let act = dice.among(&possible, |act| match act {
            Act::Step(n) => 4 * speeds[*n],
            Act::Crash(_) => 1,
        });
        let next = case.next_state(&state, act).unwrap();
        acts.push(act);
        let shown = Shown::new(seed, case.name, (&acts, &next));
        match act {
            Act::Step(n) => play.players[n].step(),
            Act::Crash(n) => {
                play.players[n].crash();
                crashed[n] = true;
            }
        }
        play.compare(&next);
        play.compare_processes(&next, &crashed);
        shown.passed();
        seen.insert(next.clone());
        state = next;
    }
    // Whoever is not there any more is found out.
    let end = case.settled(state);
    let shown = Shown::new(seed, case.name, (&acts, &end));
    play.memory.advance(2 * DAY);
    let images = ImageStore::new(Arc::new(play.memory.clone()), small(), environment()).unwrap();
    images.sweep(SweepOptions::default()).await.unwrap();
    play.compare(&end);
    shown.passed();
    acts.len()
}

#[test]
fn the_code_follows_the_model_of_shared_segments() {
    let alone: Option<u64> = std::env::var("PROTOCOL_SEED").ok().map(|seed| seed.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (case, _) in cases() {
        let (mut seen, mut steps) = (HashSet::new(), 0);
        let seeds = alone.map_or(0..WALKS, |seed| seed..seed + 1);
        for seed in seeds.clone() {
            steps += runtime.block_on(walk(&case, seed, &mut seen));
        }
        println!("{}: seeds {seeds:?}, {steps} steps, {} states", case.name, seen.len());
        let outlives = |store: &Store| store.images[ORIGIN] == Image::Absent && store.needed() != 0;
        assert!(alone.is_some() || seen.iter().any(outlives));
    }
}
