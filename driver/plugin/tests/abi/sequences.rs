//! Random sequences of calls, several images and handles at once: every code and every byte as the model has it.
//!
//! `ABI_SEED` (a number) and `ABI_CASES` change what is run; both are printed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use ost_abi::{
    STS_CLOSEF_IH_COMPLETE, STS_EACCESS, STS_EBUSY, STS_EEXIST, STS_EFENCED, STS_EFORKED, STS_EHANDLE,
    STS_EINVAL, STS_ENOENT, STS_EOFFSET, STS_EOK, STS_MAX_IMAGE_META, STS_O_READ, STS_O_WRITE,
    sts_image_def_t, sts_image_info_t,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::model::{Model, Open, Properties};
use super::step::{Pick, Place, Step, Wrong, step};
use super::{Handle, Outcome, Server, definition, with_each_library};

/// Images that a sequence plays with.
const IMAGES: [usize; 4] = [0, 1, 2, 3];
/// Handles that it may have open at once.
const SLOTS: usize = 5;
/// Chosen so that the run ends in seconds; [`STEPS_MAX`] calls each.
const CASES: u32 = 100;
const STEPS_MAX: usize = 100;

/// Bytes that no other write has.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(word).collect();
    bytes.truncate(length);
    bytes
}

/// One sequence: the plug-in and the model side by side.
struct Run<'a, 'b> {
    server: &'a Server<'b>,
    seen: &'a Seen,
    case: u32,
    model: Model,
    slots: [Option<(Handle, Open)>; SLOTS],
    closed: Vec<Handle>,
    written: u64,
}

/// Calls and the codes they answered, of a whole run.
type Seen = RefCell<BTreeSet<(&'static str, i32)>>;

/// What a run must have met to be worth anything.
const MUST_BE_SEEN: &[(&str, &[i32])] = &[
    ("create", &[STS_EOK, STS_EBUSY, STS_EEXIST]),
    ("open", &[STS_EOK, STS_EBUSY, STS_EACCESS, STS_ENOENT]),
    ("write", &[STS_EOK, STS_EOFFSET, STS_EACCESS, STS_EFENCED]),
    ("include", &[STS_EOK, STS_EOFFSET, STS_EACCESS, STS_ENOENT, STS_EINVAL, STS_EFENCED]),
    ("copy", &[STS_EOK, STS_EBUSY, STS_EEXIST, STS_ENOENT, STS_EACCESS]),
    ("copy_extent", &[STS_EOK, STS_EOFFSET, STS_EACCESS, STS_EINVAL, STS_EFENCED]),
    ("read", &[STS_EOK, STS_EACCESS]),
    ("flush", &[STS_EOK, STS_EACCESS, STS_EFENCED]),
    ("close", &[STS_EOK, STS_EFENCED]),
    ("write_meta", &[STS_EOK, STS_EOFFSET, STS_EINVAL, STS_EACCESS, STS_EFENCED]),
    ("read_meta", &[STS_EOK]),
    ("properties", &[STS_EOK]),
    ("properties_by_name", &[STS_EOK, STS_ENOENT]),
    ("delete", &[STS_EOK, STS_ENOENT]),
    ("close_server", &[STS_EBUSY]),
    ("misuse", &[STS_EINVAL, STS_EHANDLE]),
];

fn told(info: &sts_image_info_t) -> Properties {
    Properties { status: info.status, size: info.imo_size, meta: info.meta_length }
}

impl Run<'_, '_> {
    fn name(&self, image: usize) -> sts_image_def_t {
        definition(format!("case{}_image{image}", self.case).as_bytes(), b"policy")
    }

    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        call: &'static str,
        found: &Outcome<T>,
        wanted: &Outcome<T>,
    ) -> Result<(), TestCaseError> {
        self.seen.borrow_mut().insert((call, found.as_ref().err().copied().unwrap_or(STS_EOK)));
        // Long vectors are not shown.
        prop_assert!(
            found == wanted,
            "found {:.300}, not {:.300}",
            format!("{found:?}"),
            format!("{wanted:?}")
        );
        Ok(())
    }

    fn opened(
        &mut self,
        call: &'static str,
        slot: usize,
        found: Outcome<Handle>,
        wanted: Outcome<Open>,
    ) -> Result<(), TestCaseError> {
        match (found, wanted) {
            (Ok(handle), Ok(open)) => {
                self.slots[slot] = Some((handle, open));
                self.same(call, &Ok(()), &Ok(()))
            }
            (found, wanted) => self.same(call, &found.map(drop), &wanted.map(drop)),
        }
    }

    /// The handles that are open, for writing or for reading or both.
    fn open(&self, fits: impl Fn(&Open) -> bool) -> Vec<usize> {
        let fits = |slot: &usize| self.slots[*slot].as_ref().is_some_and(|(_, open)| fits(open));
        (0..SLOTS).filter(fits).collect()
    }

    /// The image that is picked for a call that wants one of `fitting`.
    fn image(pick: Pick, fitting: &[usize]) -> usize {
        pick.of(fitting, &IMAGES).unwrap_or(0)
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let free = self.slots.iter().position(Option::is_none);
        match (step, free) {
            (Step::Create(pick), Some(slot)) => {
                let there = self.model.names();
                let missing: Vec<_> = IMAGES.into_iter().filter(|image| !there.contains(image)).collect();
                let image = Self::image(*pick, &missing);
                let (found, wanted) = (self.server.create(&self.name(image)), self.model.create(image));
                self.opened("create", slot, found, wanted)
            }
            (Step::OpenRead(pick), Some(slot)) => {
                let image = Self::image(*pick, &self.model.names());
                let found = self.server.open(&self.name(image), STS_O_READ);
                let wanted = self.model.open(image, STS_O_READ);
                self.opened("open", slot, found, wanted)
            }
            (Step::OpenWrite(pick), Some(slot)) => {
                let image = Self::image(*pick, &self.model.to_be_continued());
                let found = self.server.open(&self.name(image), STS_O_WRITE);
                let wanted = self.model.open(image, STS_O_WRITE);
                self.opened("open", slot, found, wanted)
            }
            (Step::PropertiesByName(pick), _) => {
                let image = Self::image(*pick, &self.model.names());
                let found = self.server.properties_by_name(&self.name(image)).map(|info| told(&info));
                self.same("properties_by_name", &found, &self.model.properties(image))
            }
            (Step::Copy(source, target), _) => {
                let there = self.model.names();
                let missing: Vec<_> = IMAGES.into_iter().filter(|image| !there.contains(image)).collect();
                let source = Self::image(*source, &self.model.complete());
                let target = Self::image(*target, &missing);
                let found = self.server.copy(&self.name(source), &self.name(target));
                let wanted = self.model.copy(source, target);
                self.same("copy", &found, &wanted)
            }
            (Step::CopyExtent(target, source, from, to, at), _) => {
                let of = |pick: Pick, writes| {
                    pick.of(&self.open(|open| open.writes() == writes), &self.open(|_| true))
                };
                match (of(*target, true), of(*source, false)) {
                    (Some(target), Some(source)) if target != source => {
                        self.copy_extent(target, source, (*from, *to), *at)
                    }
                    _ => Ok(()),
                }
            }
            (Step::Delete(pick), _) => self.delete(Self::image(*pick, &self.model.names())),
            (Step::List, _) => self.list(),
            (Step::CloseServer, _) if self.slots.iter().any(Option::is_some) => {
                self.same("close_server", &self.server.close(), &Err(STS_EBUSY))
            }
            (Step::Misuse(pick, wrong, call), _) => self.misuse(*pick, *wrong, *call),
            (Step::Close(pick, complete), _) => match pick.of(&[], &self.open(|_| true)) {
                Some(slot) => self.close(slot, *complete),
                None => Ok(()),
            },
            _ => self.step_on_image(step),
        }
    }

    fn step_on_image(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let (pick, fitting) = match step {
            Step::Write(pick, ..)
            | Step::Include(pick, ..)
            | Step::Flush(pick)
            | Step::WriteMeta(pick, ..) => (pick, self.open(Open::writes)),
            Step::Read(pick, ..) => (pick, self.open(|open| !open.writes())),
            Step::ReadMeta(pick, ..) | Step::Properties(pick) => (pick, Vec::new()),
            _ => return Ok(()),
        };
        let slot = pick.of(&fitting, &self.open(|_| true));
        let taken = slot.and_then(|slot| Some((slot, self.slots[slot].take()?)));
        let Some((slot, (handle, mut open))) = taken else { return Ok(()) };
        let result = self.on_image(step, handle, &mut open);
        self.slots[slot] = Some((handle, open));
        result
    }

    fn copy_extent(
        &mut self,
        target: usize,
        source: usize,
        (from, to): (Place, Place),
        at: Place,
    ) -> Result<(), TestCaseError> {
        let Some((reads, seen)) = self.slots[source].take() else { return Ok(()) };
        let result = match self.slots[target].as_mut() {
            // What is left of an image that is gone may come or not.
            Some((writes, open)) if self.model.is_there(&seen) => {
                let (from, to) = (from.of(seen.size()), to.of(seen.size()));
                let range = (from.min(to), from.max(to) - from.min(to));
                let offset = at.of(open.size());
                let found = self.server.copy_extent(reads, range, *writes, offset);
                let wanted = match range.1 {
                    0 => Err(STS_EINVAL),
                    _ => Model::copy_extent(open, &seen, range, offset),
                };
                self.same("copy_extent", &found, &wanted)
            }
            _ => Ok(()),
        };
        self.slots[source] = Some((reads, seen));
        result
    }

    fn delete(&mut self, image: usize) -> Result<(), TestCaseError> {
        let wanted = self.model.delete(image);
        self.same("delete", &self.server.delete(&self.name(image)), &wanted)
    }

    fn on_image(&mut self, step: &Step, handle: Handle, open: &mut Open) -> Result<(), TestCaseError> {
        let server = self.server;
        match *step {
            Step::Write(_, blocks, place) => {
                self.written += 1;
                let data = bytes(self.written, usize::try_from(blocks).unwrap_or(1) * 512);
                let offset = place.of(open.size());
                self.same("write", &server.write(handle, &data, offset), &open.write(&data, offset))
            }
            Step::Include(_, source, from, to, at) => {
                let source = Self::image(source, &self.model.complete());
                let size = self.model.size(source);
                let (from, to) = (from.of(size), to.of(size));
                let (from, length) = (from.min(to), from.max(to) - from.min(to));
                let offset = at.of(open.size());
                let found = server.include(handle, &self.name(source), (from, length), offset);
                let wanted = if length == 0 {
                    Err(STS_EINVAL)
                } else {
                    self.model.include(open, source, (from, length), offset)
                };
                self.same("include", &found, &wanted)
            }
            Step::Read(_, place, length) => {
                let offset = place.of(open.size());
                let found = server.read(handle, length, offset);
                if found == Err(STS_ENOENT) && !self.model.is_there(open) {
                    return Ok(());
                }
                self.same("read", &found, &open.read(length, offset))
            }
            Step::Flush(_) => {
                let wanted = self.model.flush(open);
                self.same("flush", &server.flush(handle), &wanted)
            }
            Step::WriteMeta(_, place, length) => {
                self.written += 1;
                let (data, offset) = (bytes(self.written, length), place.of(open.properties().meta));
                let wanted = open.write_meta(&data, offset);
                self.same("write_meta", &server.write_meta(handle, &data, offset), &wanted)
            }
            Step::ReadMeta(_, place, length) => {
                let offset = place.of(open.properties().meta);
                let wanted = Ok(open.read_meta(length, offset));
                self.same("read_meta", &server.read_meta(handle, length, offset), &wanted)
            }
            _ => {
                let found = server.properties(handle).map(|info| told(&info));
                self.same("properties", &found, &Ok(open.properties()))
            }
        }
    }

    fn close(&mut self, slot: usize, complete: bool) -> Result<(), TestCaseError> {
        let Some((handle, open)) = self.slots[slot].take() else { return Ok(()) };
        self.closed.push(handle);
        let flags = if complete { STS_CLOSEF_IH_COMPLETE } else { 0 };
        let wanted = self.model.close(open, complete);
        self.same("close", &self.server.close_image(handle, flags), &wanted)
    }

    fn list(&self) -> Result<(), TestCaseError> {
        let prefix = format!("case{}_image", self.case);
        let found = self.server.list();
        let names: BTreeSet<_> = found.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        prop_assert_eq!(names.len(), found.len(), "an image twice");
        let wanted: Vec<_> = self.model.names().iter().map(|image| format!("{prefix}{image}")).collect();
        prop_assert_eq!(
            names.into_iter().filter(|name| name.starts_with(&prefix)).collect::<Vec<_>>(),
            wanted
        );
        Ok(())
    }

    /// A call on a handle that is not an open image of this thread; what is open does not notice.
    fn misuse(&self, pick: Pick, wrong: Wrong, call: u8) -> Result<(), TestCaseError> {
        let slot = pick.of(&[], &self.open(|_| true));
        let open = slot.and_then(|slot| Some(self.slots[slot].as_ref()?.0));
        let handle = match wrong {
            Wrong::Null => Some(0),
            Wrong::Closed => self.closed.get(usize::from(pick.0) % self.closed.len().max(1)).copied(),
            Wrong::Forged(bit) => open.map(|handle| handle ^ 1 << bit),
            Wrong::Server => Some(self.server.as_image()),
            Wrong::OtherThread => open,
        };
        let Some(handle) = handle else { return Ok(()) };
        let api = *self.server.api;
        let call = move || misuse(&api, handle, call);
        let code = match wrong {
            Wrong::OtherThread => std::thread::spawn(call).join().unwrap(),
            _ => call(),
        };
        match wrong {
            Wrong::Null => self.same::<()>("misuse", &Err(code), &Err(STS_EINVAL)),
            // A bit of the number that counts forks.
            Wrong::Forged(_) if code == STS_EFORKED => Ok(()),
            _ => self.same::<()>("misuse", &Err(code), &Err(STS_EHANDLE)),
        }
    }

    /// Closes and deletes everything; the LSU is as it was before.
    fn end(mut self) -> Result<(), TestCaseError> {
        for slot in 0..SLOTS {
            self.close(slot, slot % 2 == 0)?;
        }
        self.list()?;
        for image in IMAGES {
            self.delete(image)?;
            self.delete(image)?;
        }
        self.list()
    }
}

impl Drop for Run<'_, '_> {
    /// A sequence that failed leaves handles and images to the next one.
    fn drop(&mut self) {
        for (handle, _) in self.slots.iter().flatten() {
            let _ = self.server.close_image(*handle, 0);
        }
        for image in IMAGES {
            let _ = self.server.delete(&self.name(image));
        }
    }
}

/// One of the calls on an image, all arguments but the handle being right.
fn misuse(api: &ost_abi::Api, handle: Handle, call: u8) -> i32 {
    let image = std::ptr::without_provenance_mut(handle);
    let (mut buffer, mut count) = ([0_u8; 512], 0_u64);
    let into = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer has 512 bytes, the count is one, both live until the call returns; the properties' structure is
    // of integers and character arrays.
    let code = unsafe {
        match call {
            0 => (api.stspi_write_image)(image, std::ptr::null(), into, 512, 0, &raw mut count),
            1 => (api.stspi_read_image)(image, into, 512, 0, &raw mut count),
            2 => (api.stspi_flush_image)(image),
            3 => (api.stspi_close_image)(image, 0),
            4 => {
                let mut info: sts_image_info_t = std::mem::zeroed();
                info.size = u32::try_from(size_of::<sts_image_info_t>()).unwrap_or(0);
                (api.stspi_get_image_prop)(image, &raw mut info)
            }
            5 => (api.stspi_write_image_meta)(image, into, 512, 0, &raw mut count),
            6 => (api.stspi_read_image_meta)(image, into, 512, 0, &raw mut count),
            _ => {
                let null = std::ptr::null();
                (api.stspi_include_in_image)(image, null, std::ptr::null(), 0, 512, 0, &raw mut count)
            }
        }
    };
    assert_eq!((count, buffer), (0, [0; 512]), "a refused call wrote something");
    code
}

fn setting(name: &str, fallback: u32) -> u32 {
    std::env::var(name).map_or(fallback, |text| text.parse().unwrap())
}

#[test]
fn calls_in_any_order_do_what_the_model_says() {
    with_each_library("abi::sequences::calls_in_any_order_do_what_the_model_says", |host| {
        let (seed, cases) = (setting("ABI_SEED", 1), setting("ABI_CASES", CASES));
        println!("ABI_SEED={seed} ABI_CASES={cases}");
        let mut key = [0; 32];
        key[..4].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let server = host.server();
        let (case, seen) = (Cell::new(0), Seen::default());
        let ran = runner.run(&prop::collection::vec(step(), 1..=STEPS_MAX), |steps| {
            case.set(case.get() + 1);
            let (model, slots) = (Model::default(), [const { None }; SLOTS]);
            let mut run = Run {
                server: &server,
                seen: &seen,
                case: case.get(),
                model,
                slots,
                closed: Vec::new(),
                written: u64::from(case.get()) << 32,
            };
            for (at, step) in steps.iter().enumerate() {
                run.step(step).map_err(|e| TestCaseError::fail(format!("step {at}, {step:?}: {e}")))?;
            }
            run.end()
        });
        match ran {
            Ok(()) => {}
            Err(TestError::Fail(why, steps)) => panic!("{why}\n{steps:#?}"),
            Err(why) => panic!("{why}"),
        }
        assert_eq!(server.list(), []);
        let seen = seen.into_inner();
        let wanted = MUST_BE_SEEN.iter().flat_map(|(call, codes)| codes.iter().map(|code| (*call, *code)));
        let missing: Vec<_> = wanted.filter(|wanted| !seen.contains(wanted)).collect();
        assert!(cases < CASES || missing.is_empty(), "never met: {missing:?}");
    });
}

#[test]
fn the_model_knows_the_limit_of_metadata() {
    let mut open = Model::default().create(0).unwrap();
    let most = usize::try_from(STS_MAX_IMAGE_META).unwrap();
    assert_eq!(open.write_meta(&vec![1; most], 0), Ok(STS_MAX_IMAGE_META));
    assert_eq!(open.write_meta(&[1], STS_MAX_IMAGE_META), Err(STS_EINVAL));
}
