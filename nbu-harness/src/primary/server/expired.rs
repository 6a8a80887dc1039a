//! Image cleanup looks through the catalogue.

use super::{Server, ServerError};
use crate::nbu::Catalog;
use crate::primary::event::{Input, Pressure};
use crate::primary::expiry;

impl Server {
    /// Lets the core know of copies whose retention is over. A catalogue that cannot be read is looked at again at the next
    /// cleanup.
    pub(super) fn look_for_expired(&mut self, pressure: Option<Pressure>) -> Result<(), ServerError> {
        let Some(core) = &self.core else { return Ok(()) };
        let Some(any) = core.config().media_servers.values().next() else { return Ok(()) };
        let check = core.config().globals.image_expiry_dependency_check;
        let found =
            Catalog::open(&any.work_dir).and_then(|catalog| expiry::expired(&catalog, core.now(), check));
        match found {
            Ok(copies) if copies.is_empty() => Ok(()),
            Ok(copies) => self.apply(Input::Expired { copies, pressure }),
            Err(error) => {
                eprintln!("nbprimary: image cleanup: {error}");
                Ok(())
            }
        }
    }
}
