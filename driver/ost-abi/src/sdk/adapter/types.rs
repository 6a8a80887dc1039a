//! Structures and numbers: the header's on one side, ours on the other.

use core::ffi::{CStr, c_char, c_int, c_void};

use super::super::header as h;
use super::super::pointers::{Inward, Outward, Plain, cut, plain, text, text_at};
#[allow(clippy::wildcard_imports, reason = "nearly all of our structures and numbers are mapped here")]
use crate::*;

plain!(
    stspi_plugin_info_t,
    sts_session_def_v7_t,
    sts_cred_v7_t,
    sts_server_info_t,
    sts_lsu_name_t,
    sts_lsu_def_t,
    sts_lsu_info_t,
    sts_image_def_t,
    sts_image_info_t.def.lock.backup,
    sts_backup_info_t,
    sts_event_t.ev_image,
);

/// The host's log function as the header shapes it.
pub type sts_log_fn = h::ostf_say_fn;

/// Hands a line to the host's log function; none, nothing done.
///
/// # Safety
/// `log` and `context` are what the host passed together in one session definition, and the call is inside one of its.
pub unsafe fn sts_call_log(log: sts_log_fn, context: *mut c_void, severity: i32, line: &CStr) {
    let severity = match severity {
        STS_LOG_CRITICAL => h::OSTF_SAY_FATAL,
        STS_LOG_ERROR => h::OSTF_SAY_ERROR,
        STS_LOG_WARNING => h::OSTF_SAY_WARNING,
        STS_LOG_INFO => h::OSTF_SAY_INFO,
        _ => h::OSTF_SAY_ALL,
    };
    if let Some(log) = log {
        // SAFETY: the caller's promise; the text outlives the call.
        unsafe { log(severity.cast_signed(), line.as_ptr(), context) }
    }
}

/// The header's code for one of ours. What it has no code for is a plug-in error; the log has the reason.
pub(super) fn code(ours: c_int) -> c_int {
    let theirs = match ours {
        STS_EOK => h::OSTF_OK,
        STS_EINVAL => h::OSTF_BAD_ARGUMENT,
        STS_ENOMEM => h::OSTF_NO_MEMORY,
        STS_EBUSY => h::OSTF_BUSY,
        STS_EOFFSET => h::OSTF_BAD_OFFSET,
        STS_EAGAIN => h::OSTF_AGAIN,
        STS_ENOENT | STS_ENOFILE => h::OSTF_NONE,
        STS_EABORT | STS_EFENCED => h::OSTF_ABORTED,
        STS_ESOCKET | STS_ETIMEDOUT => h::OSTF_NETWORK,
        STS_ESOFTWARE | STS_ENOINIT => h::OSTF_SOFTWARE,
        STS_EEXIST => h::OSTF_EXISTS,
        STS_ENOSPC => h::OSTF_FULL,
        STS_EAUTH => h::OSTF_LOGIN,
        STS_EACCESS => h::OSTF_FORBIDDEN,
        STS_ECORRUPT => h::OSTF_DAMAGED,
        STS_ECLAIM => h::OSTF_NOT_MINE,
        STS_ENOTSUP => h::OSTF_NOT_OFFERED,
        STS_EHANDLE | STS_EFORKED => h::OSTF_BAD_HANDLE,
        STS_EEVSEQ => h::OSTF_EVENTS_LOST,
        STS_EWORMMIN => h::OSTF_LOCK_SHORT,
        STS_EWORMMAX => h::OSTF_LOCK_LONG,
        STS_EWORMLOCKED => h::OSTF_LOCKED,
        _ => h::OSTF_PLUGIN,
    };
    theirs.cast_signed()
}

/// Pairs of a flag of the header and one of ours.
const LSU_FLAGS: [(u32, u64); 5] = [
    (h::OSTF_LSU_DISK, STS_LSUF_DISK),
    (h::OSTF_LSU_UP, STS_LSUF_ACTIVE),
    (h::OSTF_LSU_SENDS, STS_LSUF_REP_SOURCE),
    (h::OSTF_LSU_RECEIVES, STS_LSUF_REP_TARGET),
    (h::OSTF_LSU_LOCKS, STS_LSUF_WORM),
];

const SERVER_FLAGS: [(u32, u64); 2] =
    [(h::OSTF_SERVER_LISTS, STS_SRV_IMAGELIST), (h::OSTF_SERVER_LOGIN, STS_SRV_CRED)];

const EVENT_FLAGS: [(u32, u64); 2] =
    [(h::OSTF_TELL_OF_IT, STS_EVF_INCLUDE as u64), (h::OSTF_TELL_NOW, STS_EVF_TRIGGER as u64)];

/// Pairs of a place in the header's feature list and one of our capabilities.
const FEATURES: [(u32, u32); 9] = [
    (h::OSTF_FEATURE_RESUME, STS_SRVC_CHECKPOINT),
    (h::OSTF_FEATURE_FLUSH, STS_SRVC_FLUSH),
    (h::OSTF_FEATURE_INCLUDE, STS_SRVC_INCLUDE_IN_IMAGE),
    (h::OSTF_FEATURE_COPY, STS_SRVC_COPY_IMAGE),
    (h::OSTF_FEATURE_COPY_PART, STS_SRVC_COPY_EXTENT),
    (h::OSTF_FEATURE_BACKGROUND_COPY, STS_SRVC_ASYNC_COPY),
    (h::OSTF_FEATURE_EVENTS, STS_SRVC_EVENTS),
    (h::OSTF_FEATURE_META, STS_SRVC_IMAGE_META),
    (h::OSTF_FEATURE_LOCK, STS_SRVC_WORM),
];

fn theirs(pairs: &[(u32, u64)], ours: u64) -> u32 {
    pairs.iter().filter(|(_, our)| ours & our == *our).fold(0, |flags, (their, _)| flags | their)
}

/// Our flags; one of the header's that we know nothing of becomes one that nobody has.
fn ours(pairs: &[(u32, u64)], theirs: u32) -> u64 {
    let known = pairs.iter().fold(0, |flags, (their, _)| flags | their);
    let mapped = pairs.iter().filter(|(their, _)| theirs & their != 0).fold(0, |flags, (_, our)| flags | our);
    if theirs & !known == 0 { mapped } else { mapped | 1 << 63 }
}

/// Our flags of LSUs.
pub(super) fn lsu_flags(their: u32) -> u64 {
    ours(&LSU_FLAGS, their)
}

/// Our flags of events.
pub(super) fn event_flags(their: u32) -> u32 {
    u32::try_from(ours(&EVENT_FLAGS, their)).unwrap_or(u32::MAX)
}

impl Inward for h::ostf_session_v7 {
    type Ours = sts_session_def_v7_t;
    unsafe fn ours(&self) -> Self::Ours {
        let log_level = match u32::try_from(self.from_severity) {
            Ok(h::OSTF_SAY_INFO) => STS_LOG_INFO,
            Ok(h::OSTF_SAY_WARNING) => STS_LOG_WARNING,
            Ok(h::OSTF_SAY_ERROR) => STS_LOG_ERROR,
            Ok(h::OSTF_SAY_FATAL) => STS_LOG_CRITICAL,
            _ => STS_LOG_DEBUG,
        };
        // SAFETY: the caller's promise.
        let (application, job_id) = unsafe { (text_at(self.program), text_at(self.job)) };
        sts_session_def_v7_t {
            log_level,
            log: self.say,
            log_context: self.cookie,
            application,
            job_id,
            ..Plain::blank()
        }
    }
}

impl Inward for h::ostf_login_v7 {
    type Ours = sts_cred_v7_t;
    unsafe fn ours(&self) -> Self::Ours {
        // SAFETY: the caller's promise.
        let (user, password) = unsafe { (text_at(self.user), text_at(self.secret)) };
        sts_cred_v7_t { user, password, ..Plain::blank() }
    }
}

impl Inward for h::ostf_lsu {
    type Ours = sts_lsu_t;
    unsafe fn ours(&self) -> Self::Ours {
        sts_lsu_t { sl_server: self.on.cast(), sl_name: text(&self.id) }
    }
}

impl Inward for h::ostf_key_v10 {
    type Ours = sts_image_def_t;
    unsafe fn ours(&self) -> Self::Ours {
        sts_image_def_t {
            img_date: u64::try_from(self.made).unwrap_or(u64::MAX),
            img_basename: text(&self.base),
            img_policy: text(&self.policy),
            ..Plain::blank()
        }
    }
}

impl Inward for h::ostf_origin_v11 {
    type Ours = sts_backup_info_t;
    unsafe fn ours(&self) -> Self::Ours {
        // SAFETY: the caller's promise.
        let (bi_master_server, isi_slpname) = unsafe { (text_at(self.domain), text_at(self.slp)) };
        sts_backup_info_t { bi_copy: 1, isi_id: self.set, bi_master_server, isi_slpname, ..Plain::blank() }
    }
}

impl Inward for h::ostf_event_v11 {
    /// All that is needed to find it again.
    type Ours = u64;
    unsafe fn ours(&self) -> Self::Ours {
        self.number
    }
}

impl Inward for u64 {
    type Ours = Self;
    unsafe fn ours(&self) -> Self {
        *self
    }
}

impl Outward for h::ostf_plugin {
    type Ours = stspi_plugin_info_t;
    fn theirs(ours: &Self::Ours) -> Self {
        Self {
            library: cut(&ours.name),
            type_: cut(&ours.prefix),
            about: cut(&ours.label),
            build: cut(&ours.build_version),
            level: u16::try_from(h::OSTF_LEVEL).unwrap_or(u16::MAX),
            many_threads: u8::from(ours.thread_model == STSPI_THREADS_MULTI),
        }
    }
}

impl Outward for h::ostf_server_props {
    type Ours = sts_server_info_t;
    fn theirs(ours: &Self::Ours) -> Self {
        let mut features = [0; h::OSTF_FEATURES as usize];
        for (place, capability) in FEATURES {
            let word = ours.srv_cap.get((capability / 32) as usize).copied().unwrap_or(0);
            if let Some(feature) = features.get_mut(place as usize) {
                *feature = u8::from(word >> (capability % 32) & 1 == 1);
            }
        }
        Self {
            about: cut(&ours.description),
            features,
            traits: theirs(&SERVER_FLAGS, ours.flags),
            id: cut(&ours.name),
        }
    }
}

impl Outward for [c_char; h::OSTF_LSU_LEN as usize] {
    type Ours = sts_lsu_name_t;
    fn theirs(ours: &Self::Ours) -> Self {
        cut(&ours.name)
    }
}

impl Outward for h::ostf_lsu_props_v11 {
    type Ours = sts_lsu_info_t;
    fn theirs(ours: &Self::Ours) -> Self {
        let seconds = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
        Self {
            id: cut(&ours.name),
            about: cut(&ours.description),
            taken: ours.lsu_used,
            total: ours.lsu_capacity,
            taken_on_media: ours.lsu_used_phys,
            traits: theirs(&LSU_FLAGS, ours.media),
            unit: u32::try_from(ours.block_size).unwrap_or(0),
            lock_shortest: seconds(ours.worm_min),
            lock_longest: seconds(ours.worm_max),
        }
    }
}

impl Outward for h::ostf_key_v10 {
    type Ours = sts_image_def_t;
    fn theirs(ours: &Self::Ours) -> Self {
        Self {
            policy: cut(&ours.img_policy),
            made: i64::try_from(ours.img_date).unwrap_or(i64::MAX),
            base: cut(&ours.img_basename),
        }
    }
}

impl Outward for h::ostf_image_props_v10 {
    type Ours = sts_image_info_t;
    fn theirs(ours: &Self::Ours) -> Self {
        Self {
            lock_end: ours.lock.lock_until,
            bytes: ours.imo_size,
            key: Outward::theirs(&ours.def),
            made_here: i64::try_from(ours.create_time).unwrap_or(i64::MAX),
            complete: u8::from(ours.status & STS_II_IMAGE_CREATED != 0),
            writing: u8::from(ours.status & STS_II_BUSY_WRITE != 0),
            locked: u8::from(ours.lock.lock_flags & STS_LOCKF_LOCKED != 0),
            domain: cut(&ours.backup.bi_master_server),
            slp: cut(&ours.backup.isi_slpname),
            set: ours.backup.isi_id,
            copy: ours.backup.bi_copy,
        }
    }
}

impl Outward for h::ostf_event_v11 {
    type Ours = sts_event_t;
    fn theirs(ours: &Self::Ours) -> Self {
        Self {
            key: Outward::theirs(&ours.ev_image),
            number: ours.ev_seqno,
            when: ours.ev_time,
            kind: u16::from(ours.ev_type == STS_EVT_IMG_REP),
            parts: u16::try_from(ours.ev_images).unwrap_or(u16::MAX),
        }
    }
}

impl Outward for u32 {
    type Ours = u64;
    /// A count of at most `STS_MAX_IO`.
    fn theirs(ours: &u64) -> Self {
        Self::try_from(*ours).unwrap_or(Self::MAX)
    }
}

impl Outward for u64 {
    type Ours = Self;
    fn theirs(ours: &Self) -> Self {
        *ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_ours_has_one_and_none_passes_for_success() {
        for error in STS_ERRORS {
            assert_eq!(code(error.code) == code(STS_EOK), error.code == STS_EOK, "{}", error.symbol);
        }
        assert_eq!(code(-1), h::OSTF_PLUGIN.cast_signed());
    }

    #[test]
    fn flags_map_both_ways_and_unknown_ones_match_nothing() {
        let all = LSU_FLAGS.iter().fold(0, |flags, (their, _)| flags | their);
        assert_eq!(theirs(&LSU_FLAGS, lsu_flags(all)), all);
        assert_eq!(lsu_flags(h::OSTF_LSU_DISK | 1) & STS_LSUF_DISK, STS_LSUF_DISK);
        assert_ne!(lsu_flags(1), 0);
        assert_eq!(event_flags(h::OSTF_TELL_NOW), STS_EVF_TRIGGER);
        assert_eq!(event_flags(1), u32::MAX);
    }

    #[test]
    fn an_image_key_survives_the_way_in_and_out() {
        let base = |c: u8| text::<300>(&[c.cast_signed(), 0]);
        let key = h::ostf_key_v10 { policy: base(b'p'), made: 7, base: base(b'b') };
        // SAFETY: no pointers in it.
        let definition = unsafe { key.ours() };
        assert_eq!((definition.img_date, definition.img_basename[0], definition.size), (7, 98, 528));
        let back = <h::ostf_key_v10 as Outward>::theirs(&definition);
        assert_eq!((back.made, back.base, back.policy), (key.made, key.base, key.policy));
    }
}
