//! Passing for an older version of the wrapped plug-in: it says another version, its capabilities are fewer, and the calls
//! of those that it lacks answer as in a plug-in without them.

use std::env;

use nbu_trace::orders::{self, OlderVersion};
#[allow(clippy::wildcard_imports, reason = "codes and structures of the interface, nearly all of them")]
use ost_abi::*;

use crate::argument::Arguments;

/// The older version of this process.
#[derive(Debug)]
pub(crate) struct Older {
    version: Option<String>,
    without: Vec<&'static CapabilityRow>,
}

impl Older {
    /// The version that the environment names. The error is a sentence.
    pub(crate) fn from_environment() -> Result<Option<Self>, String> {
        match env::var(orders::OLDER) {
            Ok(text) => Self::read(&text).map(Some),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(format!("{}: {error}", orders::OLDER)),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let older: OlderVersion =
            serde_json::from_str(text).map_err(|error| format!("{}: {error}", orders::OLDER))?;
        older.check().map_err(|error| format!("{}: {error}", orders::OLDER))?;
        let lacks = |row: &&CapabilityRow| older.without.iter().any(|name| name == row.name);
        Ok(Self { without: STS_CAPABILITIES.iter().filter(lacks).collect(), version: older.version })
    }

    fn lacks(&self, index: u32) -> bool {
        self.without.iter().any(|row| row.index == index)
    }

    /// Before the wrapped plug-in gets the call. An answer means that it does not: the older one has no such call, or not
    /// in that mode.
    pub(crate) fn before(&self, call: &str, arguments: &mut Arguments<'_, '_>) -> Option<c_int> {
        let mut rows = STS_CAPABILITIES.iter().filter(|row| row.calls.contains(&call)).peekable();
        // A call of several capabilities is there with any of them.
        let gone = rows.peek().is_some() && rows.all(|row| self.lacks(row.index));
        let flags = |arguments: &mut Arguments<'_, '_>, name: &str| arguments.flags(name).map(|flags| *flags);
        let mode = match call {
            "stspi_open_image" => {
                self.lacks(STS_SRVC_CHECKPOINT) && flags(arguments, "mode") == Some(STS_O_WRITE)
            }
            "stspi_async_copy_image" | "stspi_named_async_copy_image" => {
                self.lacks(STS_SRVC_IMAGE_SET) && flags(arguments, "event_flags").is_some_and(|set| set != 0)
            }
            _ => false,
        };
        (gone || mode).then_some(STS_ENOTSUP)
    }

    /// After the wrapped plug-in has answered: what it says of itself and of the server becomes the older one's.
    ///
    /// # Safety
    /// Pointers among the arguments are null or point at what the prototype says.
    pub(crate) unsafe fn after(&self, call: &str, code: c_int, arguments: &mut Arguments<'_, '_>) {
        if code != STS_EOK {
            return;
        }
        // SAFETY: the caller's promise: the structures are those of the prototypes.
        unsafe {
            match call {
                "stspi_init" => {
                    if let (Some(version), Some(info)) =
                        (&self.version, arguments.at::<stspi_plugin_info_t>("info"))
                    {
                        info.build_version.fill(0);
                        // What has been checked fits with its NUL.
                        for (to, from) in info.build_version.iter_mut().zip(version.bytes()) {
                            *to = from.cast_signed();
                        }
                    }
                }
                "stspi_get_server_prop" | "stspi_get_server_prop_byname" => {
                    if let Some(info) = arguments.at::<sts_server_info_t>("info") {
                        self.take_away(info);
                    }
                }
                _ => {}
            }
        }
    }

    fn take_away(&self, info: &mut sts_server_info_t) {
        for row in &self.without {
            if let Some(word) = info.srv_cap.get_mut(row.index as usize / 32) {
                *word &= !(1 << (row.index % 32));
            }
            info.flags &= !row.server_flags;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argument::Argument;

    fn before(older: &Older, call: &str, name: &'static str, mut value: u32) -> Option<c_int> {
        let mut arguments: [(&'static str, &mut dyn Argument); 1] = [(name, &mut value)];
        older.before(call, &mut Arguments(&mut arguments))
    }

    #[test]
    fn calls_and_modes_of_what_it_lacks_are_not_there_and_all_others_are() {
        let older =
            Older::read(r#"{"without": ["checkpoint", "include", "copy_image", "image_set"]}"#).unwrap();
        let no = Some(STS_ENOTSUP);
        assert_eq!(before(&older, "stspi_include_in_image", "x", 0), no);
        assert_eq!(before(&older, "stspi_open_image", "mode", STS_O_WRITE), no);
        assert_eq!(before(&older, "stspi_open_image", "mode", STS_O_READ), None);
        assert_eq!(before(&older, "stspi_async_copy_image", "event_flags", STS_EVF_TRIGGER), no);
        assert_eq!(before(&older, "stspi_async_copy_image", "event_flags", 0), None);
        assert_eq!(before(&older, "stspi_open_target_server", "x", 0), None, "copy_extent has it too");
        assert_eq!(before(&older, "stspi_write_image", "x", 0), None);
    }

    #[test]
    fn it_says_its_own_version_and_claims_only_what_it_has() {
        let older = Older::read(r#"{"version": "0.0.9", "without": ["events"]}"#).unwrap();
        // SAFETY: all zeros is a valid value of these structures of integers and character arrays.
        let (mut plugin, mut server): (stspi_plugin_info_t, sts_server_info_t) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        plugin.build_version.fill(1);
        (server.srv_cap[0], server.flags) = (u32::MAX, u64::MAX);
        let mut of_plugin: *mut stspi_plugin_info_t = &raw mut plugin;
        let mut of_server: *mut sts_server_info_t = &raw mut server;
        // SAFETY: both pointers are to locals.
        unsafe {
            let mut arguments: [(&'static str, &mut dyn Argument); 1] = [("info", &mut of_plugin)];
            older.after("stspi_init", STS_EOK, &mut Arguments(&mut arguments));
            let mut arguments: [(&'static str, &mut dyn Argument); 1] = [("info", &mut of_server)];
            older.after("stspi_get_server_prop", STS_EOK, &mut Arguments(&mut arguments));
        }
        let said: Vec<u8> = plugin.build_version.iter().map(|c| c.cast_unsigned()).take(6).collect();
        assert_eq!(said, b"0.0.9\0");
        assert_eq!(server.srv_cap[0], !(1 << STS_SRVC_EVENTS));
        assert_eq!(server.flags, !(STS_SRV_STORED_EV | STS_SRV_EVSYNC));
    }

    #[test]
    fn an_unknown_capability_is_refused_with_its_name() {
        assert!(Older::read(r#"{"without": ["includes"]}"#).unwrap_err().contains("includes"));
    }
}
