//! What a plug-in with a defect does: the deeds of the table in `nbu_trace::defects`, before and after the wrapped one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, fs, io};

use nbu_trace::defects::{self, Deed, Own};
use nbu_trace::orders;
#[allow(clippy::wildcard_imports, reason = "codes and structures of the interface, nearly all of them")]
use ost_abi::*;

use crate::argument::Arguments;
use crate::left;
use crate::remembered::Remembered;

/// Where the lost block lies in the third buffer of an image: not on a boundary that a file of whole KiB begins at.
const LOST: std::ops::Range<usize> = 100_352..100_864;
/// The largest write that a plug-in takes that takes only small ones.
const SMALL: u64 = 1 << 20;
/// What a plug-in takes that hoards, in bytes.
const HOARD: usize = 1100 << 20;
const PAGE: usize = 4096;

/// Whether this process has forked; only looked at by the deed that is about it.
static FORKED: AtomicBool = AtomicBool::new(false);

/// The defect of this process.
#[derive(Debug)]
pub(crate) struct Defective {
    deed: Deed,
    /// The last LSU that was listed; taken when it was listed again.
    listed: Mutex<Option<sts_lsu_name_t>>,
    hoarded: AtomicBool,
    remembered: Remembered,
    /// The library, locked while memory is hoarded or an image is open: one process at a time.
    library: PathBuf,
    /// Its lock, while an image is open that no other may be beside.
    alone: Mutex<Option<fs::File>>,
}

impl Defective {
    /// The defect that the environment names, and what it does before the wrapped plug-in is loaded. The error is a
    /// sentence.
    pub(crate) fn from_environment() -> Result<Option<Self>, String> {
        let Some(name) = env::var_os(orders::DEFECT) else { return Ok(None) };
        let name = name.to_string_lossy().into_owned();
        let defect =
            defects::named(&name).ok_or_else(|| format!("{}: there is no defect {name}", orders::DEFECT))?;
        if let Deed::Configured(lines) = defect.deed {
            configure(lines)?;
        }
        if defect.deed == Deed::Own(Own::LostByFork) {
            extern "C" fn forked() {
                FORKED.store(true, Ordering::Relaxed);
            }
            // SAFETY: the handler stores a flag and is never unloaded: the library is linked so.
            unsafe { libc::pthread_atfork(None, Some(forked), None) };
        }
        let library = env::var_os(orders::PLUGIN).map(PathBuf::from).unwrap_or_default();
        Ok(Some(Self {
            deed: defect.deed,
            listed: Mutex::default(),
            hoarded: AtomicBool::new(false),
            remembered: Remembered::default(),
            library,
            alone: Mutex::default(),
        }))
    }

    /// The deed, if it is a fault.
    pub(crate) const fn deed(&self) -> Deed {
        self.deed
    }

    /// Before the wrapped plug-in gets the call. An answer means that it does not.
    ///
    /// # Safety
    /// Pointers among the arguments are null or point at what the prototype says.
    pub(crate) unsafe fn before(&self, call: &str, arguments: &mut Arguments<'_, '_>) -> Option<c_int> {
        let Deed::Own(own) = self.deed else { return None };
        match (own, call) {
            (Own::AnyVersion, "stspi_init") => {
                if let Some(version) = arguments.flags("app_version") {
                    *version = STSPI_INTERFACE_VERSION;
                }
                None
            }
            (Own::SmallWritesOnly, "stspi_write_image") => {
                arguments.number("length").filter(|length| **length > SMALL).map(|_| STS_EINVAL)
            }
            (Own::LostByFork, "stspi_create_image" | "stspi_open_image") => {
                FORKED.load(Ordering::Relaxed).then_some(STS_EINVAL)
            }
            (Own::IncludesElsewhere, "stspi_include_in_image") => {
                if let Some(offset) = arguments.number("source_offset") {
                    *offset = offset.saturating_sub(STS_BLOCK_SIZE);
                }
                None
            }
            (Own::LosesABlock, "stspi_write_image") => {
                // SAFETY: the caller's promise.
                unsafe { lose_a_block(arguments) };
                None
            }
            (Own::Mute, "stspi_open_server") => {
                // SAFETY: the caller's promise.
                if let Some(session) = unsafe { arguments.at::<sts_session_def_v7_t>("session") } {
                    // Few servers are opened in a process: the copies may stay.
                    let mute: &mut _ = Box::leak(Box::new(sts_session_def_v7_t { log: None, ..*session }));
                    arguments.redirect("session", std::ptr::from_mut(mute).cast());
                }
                None
            }
            (Own::Hoards, "stspi_create_image") => {
                if !self.hoarded.swap(true, Ordering::Relaxed)
                    && let Err(error) = hoard(&self.library)
                {
                    eprintln!("nbu-shim: hoarding: {error}");
                }
                None
            }
            (Own::OneImageAtATime, "stspi_create_image") => {
                match fs::File::open(&self.library).and_then(|file| file.lock().map(|()| file)) {
                    Ok(locked) => *self.alone() = Some(locked),
                    Err(error) => eprintln!("nbu-shim: being alone: {error}"),
                }
                None
            }
            // SAFETY: the caller's promise.
            _ => unsafe { self.remembered.before(own, call, arguments) },
        }
    }

    fn alone(&self) -> MutexGuard<'_, Option<fs::File>> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the wrapped plug-in has answered: what the host gets. `asked` is the length that the host gave.
    ///
    /// # Safety
    /// As for `before`, and with `STS_EOK` the plug-in has filled what it fills.
    pub(crate) unsafe fn after(
        &self,
        call: &str,
        code: c_int,
        asked: Option<u64>,
        arguments: &mut Arguments<'_, '_>,
    ) -> c_int {
        match self.deed {
            Deed::Mistakes { call: only, right, wrong } => {
                let mistaken = code == right && only.is_none_or(|only| only == call);
                if mistaken { wrong } else { code }
            }
            Deed::Own(Own::OneImageAtATime) if call == "stspi_close_image" => {
                *self.alone() = None;
                code
            }
            Deed::Own(Own::ListsTwice) if call == "stspi_list_lsu" => {
                // SAFETY: the caller's promise.
                unsafe { self.list_twice(code, arguments) }
            }
            Deed::Own(own) => {
                self.remembered.after(own, call, code, arguments);
                if code == STS_EOK {
                    // SAFETY: the caller's promise.
                    unsafe { misreport(own, call, asked, arguments) };
                }
                code
            }
            _ => code,
        }
    }

    unsafe fn list_twice(&self, code: c_int, arguments: &mut Arguments<'_, '_>) -> c_int {
        // SAFETY: the caller's promise.
        let Some(name) = (unsafe { arguments.at::<sts_lsu_name_t>("lsu") }) else { return code };
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        match (code, listed.take()) {
            (STS_EOK, _) => *listed = Some(*name),
            (STS_ENOENT, Some(last)) => {
                *name = last;
                return STS_EOK;
            }
            _ => {}
        }
        code
    }
}

/// Changes what a call that succeeded tells.
unsafe fn misreport(own: Own, call: &str, asked: Option<u64>, arguments: &mut Arguments<'_, '_>) {
    // SAFETY: the caller's promise: the structures are those of the prototypes.
    unsafe {
        match (own, call) {
            (Own::Nameless, "stspi_init") => {
                if let Some(info) = arguments.at::<stspi_plugin_info_t>("info") {
                    info.name.fill(0);
                }
            }
            (Own::NoThreadModel, "stspi_init") => {
                if let Some(info) = arguments.at::<stspi_plugin_info_t>("info") {
                    info.thread_model = 0;
                }
            }
            (Own::FlagsByName, "stspi_get_server_prop_byname") => {
                if let Some(info) = arguments.at::<sts_server_info_t>("info") {
                    info.flags = 0;
                }
            }
            (Own::HalfCapacity, "stspi_get_lsu_prop_byname") => {
                if let Some(info) = arguments.at::<sts_lsu_info_t>("info") {
                    info.lsu_capacity /= 2;
                }
            }
            (Own::OneMoreUsed, "stspi_get_lsu_prop_byname") => {
                if let Some(info) = arguments.at::<sts_lsu_info_t>("info") {
                    info.lsu_used = info.lsu_used.wrapping_add(1);
                }
            }
            (Own::Moody, "stspi_init") => {
                if let Some(info) = arguments.at::<stspi_plugin_info_t>("info") {
                    let digits = std::process::id().to_string();
                    for (to, from) in info.label.iter_mut().zip(digits.bytes()) {
                        *to = from.cast_signed();
                    }
                }
            }
            (
                Own::ClaimsNothing | Own::NoCopyFlag | Own::NoEventFlags,
                "stspi_get_server_prop" | "stspi_get_server_prop_byname",
            ) => {
                if let Some(info) = arguments.at::<sts_server_info_t>("info") {
                    match own {
                        Own::ClaimsNothing => info.srv_cap.fill(0),
                        Own::NoCopyFlag => info.flags &= !STS_SRV_IMAGE_COPY,
                        _ => info.flags &= !(STS_SRV_STORED_EV | STS_SRV_EVSYNC),
                    }
                }
            }
            (Own::NotByName(capability), "stspi_get_server_prop" | "stspi_get_server_prop_byname") => {
                let row = STS_CAPABILITIES.iter().find(|row| row.name == capability);
                if let (Some(row), Some(info)) = (row, arguments.at::<sts_server_info_t>("info"))
                    && let Some(word) = info.srv_cap.get_mut(row.index as usize / 32)
                {
                    let bit = 1 << (row.index % 32);
                    if call == "stspi_get_server_prop" {
                        (*word, info.flags) = (*word | bit, info.flags | row.server_flags);
                    } else {
                        *word &= !bit;
                    }
                }
            }
            (Own::RenamesTir, "stspi_list_image") => {
                if let Some(image) = arguments.at::<sts_image_def_t>("image") {
                    let name = &mut image.img_basename;
                    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                    if let Some(part) = name[..end].last_chunk_mut::<4>()
                        && part.map(i8::cast_unsigned) == *b"_TIR"
                    {
                        part[3] = b'X'.cast_signed();
                    }
                }
            }
            (Own::NothingUsed, "stspi_get_lsu_prop_byname") => {
                if let Some(info) = arguments.at::<sts_lsu_info_t>("info") {
                    info.lsu_used = 0;
                }
            }
            (Own::ClaimsATarget, "stspi_get_lsu_replication_prop") => {
                if let Some(info) = arguments.at::<sts_lsu_replication_t>("info") {
                    info.sld_rep_target_count = info.sld_rep_target_count.max(1);
                }
            }
            (Own::ForgetsThePolicy, "stspi_get_event_payload") => {
                if let Some(info) = arguments.at::<sts_image_info_t>("images") {
                    info.backup.isi_slpname.fill(0);
                }
            }
            (Own::LeavesDescriptors, "stspi_open_server") => {
                // Forgotten on purpose.
                let _ = fs::File::open("/dev/null").map(std::mem::forget);
            }
            (Own::LeavesThreads, "stspi_open_server") => {
                std::thread::spawn(|| {
                    loop {
                        std::thread::park();
                    }
                });
            }
            (Own::LeavesProcesses, "stspi_create_image") => left::process(),
            (Own::LeavesSharedMemory, "stspi_create_image") => left::shared_memory(),
            (Own::SaysAllWritten, "stspi_write_image") => {
                if let (Some(asked), Some(written)) = (asked, arguments.at::<u64>("written")) {
                    *written = asked;
                }
            }
            _ => {}
        }
    }
}

/// Hands on a copy of an image's third buffer with a block of zeros.
pub(crate) unsafe fn lose_a_block(arguments: &mut Arguments<'_, '_>) {
    let (Some(length), Some(offset)) =
        (arguments.number("length").map(|n| *n), arguments.number("offset").map(|n| *n))
    else {
        return;
    };
    let Ok(room) = usize::try_from(length) else { return };
    if room < LOST.end || offset != 2 * length {
        return;
    }
    let Some(buffer) = arguments.address("buffer") else { return };
    // SAFETY: the caller's promise: the buffer is that long.
    let mut copy = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>().as_ptr(), room) }.to_vec();
    copy[LOST].fill(0);
    // One for each image: they may stay.
    arguments.redirect("buffer", Vec::leak(copy).as_mut_ptr().cast());
}

/// Replaces lines of the plug-in's configuration, in a file beside it that the wrapped plug-in gets in its place.
fn configure(lines: &[(&str, &str)]) -> Result<(), String> {
    let path =
        env::var_os("VAST_OST_CONFIG").ok_or("VAST_OST_CONFIG is not set: there is nothing to change")?;
    let path = PathBuf::from(path);
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
    let mut changed = String::new();
    for line in text.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        let replaced = lines.iter().find(|(known, _)| *known == key).map_or(line, |(_, by)| by);
        changed.push_str(replaced);
        changed.push('\n');
    }
    let other = path.with_extension(format!("{}.defect.toml", std::process::id()));
    fs::write(&other, changed).map_err(|error| failed(&other, error))?;
    // SAFETY: done at the process's first call, before the plug-in is loaded and may have started a thread; hosts that
    // use threads of their own are not run with defects.
    unsafe { env::set_var("VAST_OST_CONFIG", &other) };
    Ok(())
}

/// Takes memory and gives it back: the peak stays in the process's figures.
fn hoard(library: &Path) -> io::Result<()> {
    let locked = fs::File::open(library)?;
    locked.lock()?;
    let mut memory = vec![0u8; HOARD];
    for page in memory.chunks_mut(PAGE) {
        page[0] = 1;
    }
    std::hint::black_box(&mut memory);
    Ok(())
}
