//! The error codes: numbers, symbols, texts and where each comes from, in one table.
//!
//! Numbers are 2060000 + n. NetBackup turns them into text; a number outside the range is printed as
//! "Not an OST error code".

use core::ffi::c_int;

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $symbol:ident = $number:literal, $text:literal, $provenance:ident;)+) => {
        $($(#[doc = $doc])+ pub const $symbol: c_int = $number;)+

        /// Every error code that this interface knows, in numeric order.
        ///
        /// Provenance: provisional (the selection; each row carries its own).
        pub const STS_ERRORS: &[StsError] = &[
            $(StsError { code: $number, symbol: stringify!($symbol), text: $text, provenance: Provenance::$provenance }),+
        ];
    };
}

/// Where a fact about the interface comes from.
///
/// Provenance: provisional (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// Public vendor documentation or support article.
    Documented,
    /// Public log excerpt.
    Log,
    /// Public OpenStorage training deck.
    Training,
    /// Our own choice.
    Provisional,
}

/// One row of the error table.
///
/// Provenance: provisional (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StsError {
    /// The number that crosses the boundary.
    pub code: c_int,
    /// Name in `stspi.h`.
    pub symbol: &'static str,
    /// Text as NetBackup prints it, or ours where that is not known.
    pub text: &'static str,
    /// How the pair of number and meaning is known.
    pub provenance: Provenance,
}

errors! {
    /// Success.
    ///
    /// Provenance: training (name), provisional (value 0).
    STS_EOK = 0, "success", Training;
    /// One or more invalid arguments.
    ///
    /// Provenance: provisional (number recalled, symbol assumed).
    STS_EINVAL = 2_060_001, "one or more invalid arguments", Provisional;
    /// Memory allocation failed.
    ///
    /// Provenance: provisional (number recalled, symbol assumed).
    STS_ENOMEM = 2_060_002, "memory allocation", Provisional;
    /// Object is busy: another writer holds the image, or handles below this one are still open.
    ///
    /// Provenance: provisional (number recalled, symbol from a training deck).
    STS_EBUSY = 2_060_005, "object is busy, cannot be closed", Provisional;
    /// Offset invalid for the object or context.
    ///
    /// Provenance: provisional (number recalled, symbol ours).
    STS_EOFFSET = 2_060_011, "offset invalid for object or context", Provisional;
    /// The call should be repeated.
    ///
    /// Provenance: provisional (pairing of symbol and number inferred).
    STS_EAGAIN = 2_060_012, "call should be repeated", Provisional;
    /// End of an enumeration, and "no such image" from the by-name calls.
    ///
    /// Provenance: log (number and text), provisional (symbol).
    STS_ENOENT = 2_060_013, "no more entries", Log;
    /// The operation was aborted.
    ///
    /// Provenance: provisional (number recalled, symbol ours).
    STS_EABORT = 2_060_014, "operation aborted", Provisional;
    /// A system call failed.
    ///
    /// Provenance: provisional (number recalled, symbol ours).
    STS_ESYSCALL = 2_060_017, "system call failed", Provisional;
    /// A file was not found. This plug-in says `STS_ENOENT` of images; hosts meet this one from others.
    ///
    /// Provenance: provisional (number and text recalled, symbol ours).
    STS_ENOFILE = 2_060_018, "file not found", Provisional;
    /// The storage cannot be reached, or the connection broke and every retry failed.
    ///
    /// Provenance: provisional (number recalled, symbol ours).
    STS_ESOCKET = 2_060_019, "error occurred on network socket", Provisional;
    /// Software error: the plug-in met a state that should not exist.
    ///
    /// Provenance: log (number), provisional (text and symbol).
    STS_ESOFTWARE = 2_060_022, "software error", Log;
    /// The image exists already.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_EEXIST = 2_060_024, "object already exists", Provisional;
    /// The LSU, its quota or the cluster is full.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ENOSPC = 2_060_025, "no space left on storage", Provisional;
    /// The credentials were refused.
    ///
    /// Provenance: provisional (number recalled, symbol assumed).
    STS_EAUTH = 2_060_029, "authorization failure", Provisional;
    /// Access not allowed.
    ///
    /// Provenance: documented (number and text), provisional (symbol).
    STS_EACCESS = 2_060_037, "access not allowed", Documented;
    /// Stored bytes do not match their checksum on any path; nothing was returned as data.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ECORRUPT = 2_060_043, "stored data is damaged", Provisional;
    /// Plug-in error: everything that has no code of its own, and a panic caught at the boundary.
    ///
    /// Provenance: log (number and symbol).
    STS_EPLUGIN = 2_060_046, "plug-in error", Log;
    /// The storage server name does not belong to this plug-in.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ECLAIM = 2_060_047, "storage server name not claimed", Provisional;
    /// The call or mode is not offered by this plug-in, this storage server or this LSU: the one code for every
    /// capability that is absent.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ENOTSUP = 2_060_048, "operation not supported", Provisional;
    /// The handle was closed, forged, belongs to another thread or kind.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_EHANDLE = 2_060_049, "invalid handle", Provisional;
    /// The handle was inherited across `fork`; the child opens its own.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_EFORKED = 2_060_050, "handle inherited across fork", Provisional;
    /// The deadline of the call passed.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ETIMEDOUT = 2_060_051, "operation timed out", Provisional;
    /// The plug-in was not initialised, or was terminated.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ENOINIT = 2_060_052, "plug-in not initialised", Provisional;
    /// The plug-in's own configuration file is missing something or wrong.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_ECONFIG = 2_060_053, "plug-in configuration error", Provisional;
    /// Another writer took the image over; what this one wrote is discarded.
    ///
    /// Provenance: provisional (number ours, from a gap of the known series).
    STS_EFENCED = 2_060_054, "image was taken over by another writer", Provisional;
    /// The sequence number is not one that this event log has given out: the log was begun anew.
    ///
    /// Provenance: provisional (number and text recalled, symbol ours).
    STS_EEVSEQ = 2_060_057, "events out of sequence", Provisional;
    /// The lock would end earlier than the LSU's minimum allows.
    ///
    /// Provenance: log (number and text), provisional (symbol).
    STS_EWORMMIN = 2_060_064, "WORM invalid min", Log;
    /// The lock would end later than the LSU's maximum allows.
    ///
    /// Provenance: documented (number and text), provisional (symbol).
    STS_EWORMMAX = 2_060_065, "WORM invalid max", Documented;
    /// The image is locked: it cannot be deleted before its lock ends.
    ///
    /// Provenance: log (number; the meaning from its context), provisional (text and symbol).
    STS_EWORMLOCKED = 2_060_069, "WORM-locked image cannot be deleted", Log;
}

/// The row for a code; `None` if the number is "Not an OST error code".
///
/// Provenance: provisional (ours).
pub fn sts_error(code: c_int) -> Option<&'static StsError> {
    STS_ERRORS.iter().find(|e| e.code == code)
}

/// The text NetBackup would print for a code.
///
/// Provenance: log (the text for numbers outside the table).
pub fn sts_error_text(code: c_int) -> &'static str {
    match sts_error(code) {
        Some(e) => e.text,
        None if code == -1 => "plugin error",
        None => "Not an OST error code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_without_repeats() {
        assert!(STS_ERRORS.windows(2).all(|w| w[0].code < w[1].code));
        assert!(STS_ERRORS.iter().skip(1).all(|e| (2_060_000..2_061_000).contains(&e.code)));
    }

    #[test]
    fn texts_are_found_by_number() {
        assert_eq!(sts_error_text(STS_ENOENT), "no more entries");
        assert_eq!(sts_error_text(2_060_046), "plug-in error");
        assert_eq!(sts_error_text(227), "Not an OST error code");
        assert_eq!(sts_error_text(-1), "plugin error");
    }
}
