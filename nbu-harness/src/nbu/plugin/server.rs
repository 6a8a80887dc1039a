//! An open storage server: its properties, its LSUs, and the images that are created, opened and deleted there.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use std::ffi::{CString, c_int};
use std::ptr::NonNull;

use ost_abi::{
    STS_CAPABILITIES, STS_EINVAL, STS_ENOENT, STS_LOG_INFO, STS_O_READ, STS_SRV_CAP_WORDS, STS_UNKNOWN,
    bstsp_image_handle_s, bstsp_server_handle_s, sts_cred_v7_t, sts_image_def_t, sts_lsu_info_t, sts_lsu_t,
    sts_server_info_t, sts_session_def_v7_t,
};

use super::{ImageReader, ImageWriter, Plugin, check, failure, log_line, put_text, size_of_u32, text};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

/// Who opens a server, and with what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session<'a> {
    /// NetBackup process, such as `bptm`.
    pub(crate) application: &'a str,
    pub(crate) job_id: u64,
    pub(crate) server: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

/// Space of an LSU in bytes; `None` where the plug-in does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LsuSpace {
    pub(crate) capacity: Option<u64>,
    pub(crate) used: Option<u64>,
}

impl LsuSpace {
    /// Bytes left, where known.
    pub(crate) fn free(&self) -> Option<u64> {
        Some(self.capacity?.saturating_sub(self.used?))
    }
}

/// An open storage server. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Server<'p> {
    pub(super) plugin: &'p Plugin,
    pub(super) handle: NonNull<bstsp_server_handle_s>,
}

impl Plugin {
    /// Asks whether the server is this plug-in's, and opens it.
    pub(crate) fn open_server(&self, session: &Session<'_>) -> Result<Server<'_>, StsFailure> {
        let refused = |call| failure(Place::OpenServer, call, "", STS_EINVAL);
        let name = CString::new(session.server).map_err(|_| refused("stspi_claim"))?;
        // SAFETY: `name` is NUL-terminated and outlives the call.
        let code = unsafe { (self.api.stspi_claim)(name.as_ptr()) };
        check(Place::OpenServer, "stspi_claim", "", code)?;
        // SAFETY: all zeros is a valid value of these structures of integers, pointers and character arrays.
        let (mut definition, mut credentials): (sts_session_def_v7_t, sts_cred_v7_t) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        definition.size = size_of_u32::<sts_session_def_v7_t>();
        definition.log_level = STS_LOG_INFO;
        definition.log = Some(log_line);
        definition.log_context = self.log_context();
        credentials.size = size_of_u32::<sts_cred_v7_t>();
        let fits = put_text(&mut definition.application, session.application)
            && put_text(&mut definition.job_id, &session.job_id.to_string())
            && put_text(&mut credentials.user, session.user)
            && put_text(&mut credentials.password, session.password);
        if !fits {
            return Err(refused("stspi_open_server"));
        }
        let mut handle: *mut bstsp_server_handle_s = std::ptr::null_mut();
        // SAFETY: every pointer is to a local that outlives the call, structures carry their size, the interface name
        // is an empty string; the log context outlives the server, which borrows `self`.
        let code = unsafe {
            let (definition, credentials) = (&raw const definition, &raw const credentials);
            (self.api.stspi_open_server)(
                definition,
                name.as_ptr(),
                credentials,
                c"".as_ptr(),
                &raw mut handle,
            )
        };
        check(Place::OpenServer, "stspi_open_server", "", code)?;
        let handle = NonNull::new(handle).ok_or_else(|| refused("stspi_open_server"))?;
        Ok(Server { plugin: self, handle })
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerProperties {
    /// Name and description, for people.
    pub(crate) description: String,
    capabilities: [u32; STS_SRV_CAP_WORDS],
}

impl ServerProperties {
    /// Whether the server has the capability with this index (`STS_SRVC_*`).
    pub(crate) fn has(&self, index: u32) -> bool {
        self.capabilities.get(index as usize / 32).is_some_and(|word| word >> (index % 32) & 1 == 1)
    }

    /// Takes away what is not recorded of the server; returns the names of those capabilities.
    pub(crate) fn limit(&mut self, recorded: &[u32]) -> Vec<&'static str> {
        let unrecorded =
            STS_CAPABILITIES.iter().filter(|row| self.has(row.index) && !recorded.contains(&row.index));
        let names = unrecorded.map(|row| row.name).collect();
        for (number, word) in (0u32..).zip(&mut self.capabilities) {
            let bits = recorded.iter().filter(|index| **index / 32 == number);
            *word &= bits.fold(0, |bits, index| bits | 1 << (index % 32));
        }
        names
    }
}

impl Server<'_> {
    /// What the server is and can do.
    pub(crate) fn properties(&self) -> Result<ServerProperties, StsFailure> {
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut info: sts_server_info_t = unsafe { std::mem::zeroed() };
        info.size = size_of_u32::<sts_server_info_t>();
        // SAFETY: the handle is open; `info` has the size it says.
        let code = unsafe { (self.plugin.api.stspi_get_server_prop)(self.handle.as_ptr(), &raw mut info) };
        check(Place::OpenServer, "stspi_get_server_prop", "", code)?;
        let description = format!("{}: {}", text(&info.name), text(&info.description));
        Ok(ServerProperties { description, capabilities: info.srv_cap })
    }

    /// Space of an LSU; `STS_ENOENT` when there is none of that name.
    pub(crate) fn lsu_space(&self, lsu: &str) -> Result<LsuSpace, StsFailure> {
        let lsu = self.lsu(lsu)?;
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut info: sts_lsu_info_t = unsafe { std::mem::zeroed() };
        info.size = size_of_u32::<sts_lsu_info_t>();
        // SAFETY: `lsu` holds an open server and a terminated name; `info` has the size it says.
        let code = unsafe { (self.plugin.api.stspi_get_lsu_prop_byname)(&raw const lsu, &raw mut info) };
        check(Place::OpenServer, "stspi_get_lsu_prop_byname", "", code)?;
        let known = |figure: u64| (figure != STS_UNKNOWN).then_some(figure);
        Ok(LsuSpace { capacity: known(info.lsu_capacity), used: known(info.lsu_used) })
    }

    /// Creates an image for writing. `pending` says that more images follow.
    pub(crate) fn create_image(
        &self,
        at: &ImageId<'_>,
        pending: bool,
    ) -> Result<ImageWriter<'_>, StsFailure> {
        let (lsu, definition) = (self.lsu(at.lsu)?, definition(at)?);
        let mut handle: *mut bstsp_image_handle_s = std::ptr::null_mut();
        // SAFETY: all pointers are to locals that outlive the call; names are terminated.
        let code = unsafe {
            let (lsu, definition) = (&raw const lsu, &raw const definition);
            (self.plugin.api.stspi_create_image)(lsu, definition, c_int::from(pending), &raw mut handle)
        };
        check(Place::OpenImage, "stspi_create_image", at.name, code)?;
        let handle = NonNull::new(handle)
            .ok_or_else(|| failure(Place::OpenImage, "stspi_create_image", at.name, STS_EINVAL))?;
        Ok(ImageWriter::new(self, handle, at.name))
    }

    /// Opens a complete image for reading.
    pub(crate) fn open_image(&self, at: &ImageId<'_>) -> Result<ImageReader<'_>, StsFailure> {
        let (lsu, definition) = (self.lsu(at.lsu)?, definition(at)?);
        let mut handle: *mut bstsp_image_handle_s = std::ptr::null_mut();
        // SAFETY: all pointers are to locals that outlive the call; names are terminated.
        let code = unsafe {
            let (lsu, definition) = (&raw const lsu, &raw const definition);
            (self.plugin.api.stspi_open_image)(lsu, definition, STS_O_READ, &raw mut handle)
        };
        check(Place::OpenImage, "stspi_open_image", at.name, code)?;
        let handle = NonNull::new(handle)
            .ok_or_else(|| failure(Place::OpenImage, "stspi_open_image", at.name, STS_EINVAL))?;
        Ok(ImageReader::new(self, handle, at.name))
    }

    /// Deletes an image; true if there was one, a missing image counts as deleted.
    pub(crate) fn delete_image(&self, at: &ImageId<'_>) -> Result<bool, StsFailure> {
        let (lsu, definition) = (self.lsu(at.lsu)?, definition(at)?);
        // SAFETY: all pointers are to locals that outlive the call; names are terminated.
        let code = unsafe { (self.plugin.api.stspi_delete_image)(&raw const lsu, &raw const definition, 0) };
        if code == STS_ENOENT {
            return Ok(false);
        }
        check(Place::Delete, "stspi_delete_image", at.name, code).map(|()| true)
    }

    pub(super) fn lsu(&self, name: &str) -> Result<sts_lsu_t, StsFailure> {
        let mut lsu = sts_lsu_t { sl_server: self.handle.as_ptr(), sl_name: [0; ost_abi::STS_MAX_LSUNAME] };
        if put_text(&mut lsu.sl_name, name) {
            Ok(lsu)
        } else {
            Err(failure(Place::OpenServer, "stspi_get_lsu_prop_byname", "", STS_EINVAL))
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open and used no more; every image borrows `self` and is closed.
        unsafe { (self.plugin.api.stspi_close_server)(self.handle.as_ptr()) };
    }
}

/// Which image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageId<'a> {
    pub(crate) lsu: &'a str,
    pub(crate) name: &'a str,
    /// Backup time in seconds since the epoch.
    pub(crate) date: u64,
    pub(crate) policy: &'a str,
}

pub(super) fn definition(at: &ImageId<'_>) -> Result<sts_image_def_t, StsFailure> {
    // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
    let mut definition: sts_image_def_t = unsafe { std::mem::zeroed() };
    definition.size = size_of_u32::<sts_image_def_t>();
    definition.img_date = at.date;
    if put_text(&mut definition.img_basename, at.name) && put_text(&mut definition.img_policy, at.policy) {
        Ok(definition)
    } else {
        Err(failure(Place::OpenImage, "sts_image_def_t", at.name, STS_EINVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ost_abi::{STS_SRVC_COPY_IMAGE, STS_SRVC_EVENTS, STS_SRVC_INCLUDE_IN_IMAGE};

    #[test]
    fn what_is_not_recorded_is_taken_away_and_named_and_what_is_only_recorded_is_not_given() {
        let mut properties =
            ServerProperties { description: String::new(), capabilities: [0; STS_SRV_CAP_WORDS] };
        properties.capabilities[0] = 1 << STS_SRVC_COPY_IMAGE | 1 << STS_SRVC_INCLUDE_IN_IMAGE;
        let lost = properties.limit(&[STS_SRVC_COPY_IMAGE, STS_SRVC_EVENTS]);
        assert_eq!(lost, ["include"]);
        assert!(properties.has(STS_SRVC_COPY_IMAGE));
        assert!(!properties.has(STS_SRVC_INCLUDE_IN_IMAGE) && !properties.has(STS_SRVC_EVENTS));
    }
}
