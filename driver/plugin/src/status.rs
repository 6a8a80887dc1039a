//! The one mapping from what went wrong below to the code that NetBackup sees.

use image_store::ImageError;
use image_store::object_store::StoreError;
use ost_abi::{
    STS_EACCESS, STS_EAGAIN, STS_EAUTH, STS_EBUSY, STS_ECONFIG, STS_ECORRUPT, STS_EEXIST, STS_EFENCED,
    STS_EINVAL, STS_ENOENT, STS_ENOMEM, STS_ENOSPC, STS_ENOTSUP, STS_EOFFSET, STS_EPLUGIN, STS_ESOCKET,
    STS_ESOFTWARE, STS_ETIMEDOUT, STS_EWORMLOCKED, STS_EWORMMAX, STS_EWORMMIN,
};
use vast_client::Error;

use crate::fault::Fault;

/// A failure of the VAST client.
pub(crate) fn client_fault(error: &Error) -> Fault {
    let code = match error {
        Error::Config(_) => STS_ECONFIG,
        Error::Auth(_) => STS_EAUTH,
        Error::Denied(_) | Error::Locked(_) => STS_EACCESS,
        Error::NotFound(..) => STS_ENOENT,
        Error::NoSpace(_) => STS_ENOSPC,
        Error::Unsupported(_) => STS_ENOTSUP,
        Error::Timeout(_) => STS_ETIMEDOUT,
        Error::Unreachable(_) | Error::Tls(_) => STS_ESOCKET,
        Error::Precondition(_) | Error::Range(_) | Error::NoUpload(_) => STS_ESOFTWARE,
        Error::Protocol(_) => STS_EPLUGIN,
    };
    Fault::new(code, error)
}

fn store_code(error: &StoreError) -> i32 {
    match error {
        StoreError::NotFound(_) | StoreError::NoBucket(_) => STS_ENOENT,
        StoreError::Precondition(_) | StoreError::Range(_) | StoreError::NoUpload(_) => STS_ESOFTWARE,
        StoreError::NoSpace(_) => STS_ENOSPC,
        StoreError::Denied(_) => STS_EACCESS,
        StoreError::Locked(_) => STS_EWORMLOCKED,
        StoreError::Unsupported(_) => STS_ENOTSUP,
        StoreError::Unreachable(_) => STS_ESOCKET,
        StoreError::Timeout(_) => STS_ETIMEDOUT,
        StoreError::Protocol(_) => STS_EPLUGIN,
    }
}

fn image_code(error: &ImageError) -> i32 {
    match error {
        ImageError::NotFound { .. } | ImageError::NoOperation { .. } => STS_ENOENT,
        ImageError::Exists { .. } => STS_EEXIST,
        ImageError::Busy { .. } | ImageError::Contended { .. } => STS_EBUSY,
        ImageError::NotWritable { .. } | ImageError::NotComplete { .. } => STS_EACCESS,
        ImageError::Locked { .. } => STS_EWORMLOCKED,
        ImageError::LockTooShort { .. } => STS_EWORMMIN,
        ImageError::LockTooLong { .. } => STS_EWORMMAX,
        ImageError::LockShortened { .. } | ImageError::NotLocked { .. } | ImageError::LockMode { .. } => {
            STS_EACCESS
        }
        ImageError::NoObjectLock { .. } => STS_ENOTSUP,
        ImageError::Moved { .. } => STS_EAGAIN,
        ImageError::Fenced { .. } => STS_EFENCED,
        ImageError::InvalidOffset { .. } | ImageError::InvalidRange { .. } => STS_EOFFSET,
        ImageError::InvalidIdentity { .. } | ImageError::LimitReached { .. } => STS_EINVAL,
        ImageError::NoSpace { .. } => STS_ENOSPC,
        ImageError::Corrupt { .. } => STS_ECORRUPT,
        // The failure was reported once; what follows repeats its code.
        ImageError::WriterFailed { first, .. } => image_code(first),
        ImageError::Closed { .. } => STS_ESOFTWARE,
        ImageError::TooManyOpen { .. } => STS_ENOMEM,
        ImageError::Store { source, .. } => store_code(source),
        ImageError::Interrupted { .. } => STS_EPLUGIN,
        ImageError::Config { .. } => STS_ECONFIG,
    }
}

/// A failure of the image store.
pub(crate) fn image_fault(error: &ImageError) -> Fault {
    let code = image_code(error);
    let quiet = matches!(error, ImageError::NotFound { .. });
    Fault { code, message: error.to_string(), quiet }
}
