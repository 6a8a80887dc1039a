//! The code along the model: each request of a process is one step of the model, and after each step
//! the bucket is what the model says.
//!
//! Random walks through the model, from a seed that is printed; `PROTOCOL_SEED` runs one walk of each case alone.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use image_store::memory::{MemoryStore, Operation};
use image_store::object_store::StoreError;
use image_store::{Close, Exclusivity, ImageError, ImageIdentity, ImageStore, Writer};
use stateright::Model;

use super::{Act, At, Case, End, Job, Says, State, Upload, cases};
use crate::environment::{environment, small};
use crate::stage::{Dice, Late, Player, Request, Shown, Staged, carry_out};

const KEY: &str = "image/a/1588173008/Daily";
/// Walks through each case.
const WALKS: u64 = 2000;

type Ended = Result<(), ImageError>;

/// Requests about anything but the state object.
fn passes(request: &Request) -> bool {
    request.key != KEY
}

fn image() -> ImageIdentity {
    ImageIdentity::new("a", 1_588_173_008, "Daily").unwrap()
}

async fn complete(writer: Result<Writer<Staged>, ImageError>) -> Ended {
    writer?.close(Close::Complete).await
}

struct Play {
    memory: MemoryStore,
    players: Vec<Player<Ended>>,
    late: BTreeMap<super::Late, Late>,
    /// The id under which a process writes, once it was seen.
    writers: Vec<Option<String>>,
}

impl Play {
    async fn new(case: &Case) -> Self {
        let memory = MemoryStore::new();
        memory.set_conditional_writes(false);
        let environment = environment();
        let mut players = Vec::new();
        for job in case.jobs.iter().copied() {
            let store = Arc::new(Staged::new(&memory));
            let images = ImageStore::new(Arc::clone(&store), small(), environment.clone()).unwrap();
            assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Uploads);
            let player = match job {
                Job::Own => {
                    let mut writer = images.create(&image()).await.unwrap();
                    Player::new(&store, passes, async move { writer.close(Close::Complete).await })
                }
                Job::Create => {
                    Player::new(&store, passes, async move { complete(images.create(&image()).await).await })
                }
                Job::TakeOver => {
                    Player::new(
                        &store,
                        passes,
                        async move { complete(images.open_write(&image()).await).await },
                    )
                }
                Job::Delete | Job::DeleteInFullBucket => {
                    Player::new(&store, passes, async move { images.delete(&image()).await })
                }
            };
            players.push(player);
        }
        Self { memory, writers: vec![None; players.len()], players, late: BTreeMap::new() }
    }

    fn act(&mut self, case: &Case, before: &State, after: &State, act: Act) {
        // Everybody's lease runs out all the time.
        self.memory.advance(1000);
        match act {
            Act::Step(n) if before.processes[n].at == At::Send && case.jobs[n] == Job::DeleteInFullBucket => {
                self.players[n].refuse(StoreError::NoSpace("staged".to_owned()));
            }
            Act::Step(n) => self.players[n].step(),
            Act::Crash(n) => self.players[n].crash(),
            Act::Unanswered(n) => {
                let request = self.players[n].unanswered();
                if let Some(late) = after.late.difference(&before.late).next() {
                    self.late.insert(*late, request);
                }
            }
            Act::CarryOut(late) => carry_out(self.late.remove(&late).unwrap()),
        }
    }

    fn upload(&self, upload: Upload) -> Option<String> {
        self.players[usize::from(upload.owner)].upload(upload.number)
    }

    /// The bucket and the processes are where the model says.
    fn compare(&mut self, state: &State) {
        match (self.memory.object(KEY), state.object) {
            (None, None) => {}
            (Some(data), Some(object)) => {
                let line = data.split(|byte| *byte == b'\n').next().unwrap();
                let line: serde_json::Value = serde_json::from_slice(line).unwrap();
                let says = match object.says {
                    Says::Pending => "PENDING",
                    Says::Created => "CREATED",
                    Says::Deleting => "DELETING",
                };
                assert_eq!(line["state"], says);
                if object.says != Says::Deleting {
                    let writer = line["writer"].as_str().unwrap().to_owned();
                    let known = self.writers[usize::from(object.writer)].get_or_insert(writer.clone());
                    assert_eq!(*known, writer);
                    let same = self.writers.iter().flatten().filter(|known| **known == writer);
                    assert_eq!(same.count(), 1, "two processes have one id");
                }
            }
            (there, expected) => panic!("{expected:?} expected, there is {there:?}"),
        }
        let uploads: Vec<_> = self.memory.raw().uploads.into_iter().map(|open| Some(open.upload)).collect();
        let expected: Vec<_> = state.uploads.iter().map(|open| self.upload(*open)).collect();
        assert_eq!(uploads, expected);
        for (n, process) in (0..).zip(&state.processes) {
            let own = process.own(n);
            let player = &self.players[usize::from(n)];
            let (operation, upload) = match &process.at {
                At::Load | At::Resolve { .. } | At::ReadOther { .. } | At::LookUnchanged => {
                    (Operation::Get, None)
                }
                At::Begin => (Operation::BeginUpload, None),
                At::List | At::ListAll => (Operation::ListUploads, None),
                At::Abort(left) | At::AbortAll(left) => (Operation::AbortUpload, self.upload(left[0])),
                At::Withdraw(_) => (Operation::AbortUpload, self.upload(own)),
                At::Look | At::Wait | At::LookGone => (Operation::Head, None),
                At::Send => (Operation::UploadPart, self.upload(own)),
                At::Complete => (Operation::CompleteUpload, self.upload(own)),
                At::Remove | At::RemoveUnchanged => (Operation::Delete, None),
                At::End(End::Committed | End::Deleted) => {
                    assert!(
                        matches!(player.ended, Some(Ok(()))),
                        "{:?} {:?}",
                        player.ended,
                        player.request()
                    );
                    continue;
                }
                At::End(End::Failed) => {
                    assert!(
                        matches!(player.ended, Some(Err(_))),
                        "{:?} {:?}",
                        player.ended,
                        player.request()
                    );
                    continue;
                }
                At::End(End::Crashed | End::Left) => continue,
            };
            assert!(player.ended.is_none(), "{:?} expected, it has ended: {:?}", process.at, player.ended);
            assert_eq!(player.request(), Some(Request { operation, key: KEY.to_owned(), upload }));
        }
    }
}

/// One walk through a case, with the code beside it.
async fn walk(case: &Case, seed: u64, seen: &mut HashSet<State>) -> usize {
    let mut dice = Dice::new(seed);
    // Some processes are much faster than others.
    let speeds: Vec<usize> = case.jobs.iter().map(|_| [3, 10, 30][dice.below(3)]).collect();
    let mut state = case.init_states().remove(0);
    let mut play = Play::new(case).await;
    let mut acts = Vec::new();
    play.compare(&state);
    loop {
        let mut possible = Vec::new();
        case.actions(&state, &mut possible);
        if possible.is_empty() {
            break;
        }
        let act = dice.among(&possible, |act| match act {
            // There is hardly anything to be seen of those who come before the image.
            Act::Step(n) if state.object.is_none() && state.processes[*n].at == At::Load => 1,
            Act::Step(n) => speeds[*n],
            Act::CarryOut(_) => 2,
            Act::Unanswered(_) | Act::Crash(_) => 1,
        });
        let next = case.next_state(&state, act).unwrap();
        acts.push(act);
        let shown = Shown::new(seed, &case.jobs, (&acts, &next));
        play.act(case, &state, &next, act);
        play.compare(&next);
        shown.passed();
        seen.insert(next.clone());
        state = next;
    }
    acts.len()
}

#[test]
fn the_code_follows_the_model_of_exclusion_by_uploads() {
    let alone: Option<u64> = std::env::var("PROTOCOL_SEED").ok().map(|seed| seed.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (case, _) in cases() {
        let (mut seen, mut steps) = (HashSet::new(), 0);
        let seeds = alone.map_or(0..WALKS, |seed| seed..seed + 1);
        for seed in seeds.clone() {
            steps += runtime.block_on(walk(&case, seed, &mut seen));
        }
        println!("{:?}: seeds {seeds:?}, {steps} steps, {} states", case.jobs, seen.len());
        let ends =
            |end| seen.iter().any(|state| state.processes.iter().any(|process| process.at == At::End(end)));
        assert!(alone.is_some() || [End::Committed, End::Failed, End::Crashed].into_iter().all(ends));
    }
}
