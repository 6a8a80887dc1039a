//! The two domains of a run: the one that backs up, and the one that backups are replicated to, once it is needed.

use super::SetupError;
use super::domain::{Domain, Installed};
use super::jobs::Jobs;
use super::media_servers::Fleet;
use super::record::JobRecord;
use crate::nbu::{Catalog, Installation};
use crate::primary::Submission;
use crate::primary::config::Policy;
use crate::scenario::Domain as Side;
use std::path::PathBuf;

/// A domain whose media servers have what `fleet` says, and otherwise `installation`.
pub(super) fn installed(installation: &Installation, fleet: &Fleet) -> Result<Installed, SetupError> {
    Ok(Installed {
        exe: installation.exe.clone(),
        home: installation.work_dir.clone(),
        media_servers: fleet.install(installation)?,
    })
}

impl<'a> Jobs<'a> {
    /// Runs jobs in a domain. The target domain has the same media servers, and a primary and a catalogue of its own.
    pub(super) fn run_in(
        &mut self,
        side: Side,
        step_index: usize,
        jobs: Vec<Submission>,
    ) -> Result<Vec<JobRecord>, SetupError> {
        let ran = match (side, &mut self.target) {
            (Side::Source, _) => self.domain.run(step_index, jobs, Vec::new())?,
            (Side::Target, Some(target)) => target.run(step_index, jobs, Vec::new())?,
            (Side::Target, None) => {
                let new = self.start_target()?;
                self.target.insert(new).run(step_index, jobs, Vec::new())?
            }
        };
        Ok(self.taken(ran))
    }

    /// Starts the target domain.
    pub(super) fn start_target(&self) -> Result<Domain<'a>, SetupError> {
        let installed = installed(&at_target(&self.in_force), &self.fleet)?;
        let policy = Policy { schedules: Vec::new(), ..self.policy.clone() };
        let (stand, observer) = (self.stand, self.observer);
        let storage = self.storage.clone();
        let storage = match stand.target_server() {
            Some(server) => storage.of_server(server),
            None => storage,
        };
        Domain::start(self.scenario, installed, policy, Side::Target, storage, stand, observer)
    }

    /// From now on the jobs of both domains find this on every media server.
    pub(super) fn reinstall(&mut self, installation: Installation) -> Result<(), SetupError> {
        self.domain.reinstall(self.fleet.install(&installation)?)?;
        if let Some(target) = &mut self.target {
            target.reinstall(self.fleet.install(&at_target(&installation))?)?;
        }
        self.in_force = installation;
        Ok(())
    }

    /// The catalogue of a domain.
    pub(super) fn catalog(&self, side: Side) -> Result<Catalog, SetupError> {
        Ok(match side {
            Side::Source => Catalog::open(&self.installation.work_dir)?,
            Side::Target => Catalog::open(&target_dir(self.installation))?,
        })
    }
}

/// The same on the target domain's side.
fn at_target(installation: &Installation) -> Installation {
    Installation { work_dir: target_dir(installation), ..installation.clone() }
}

/// Where the target domain's catalogue is.
fn target_dir(installation: &Installation) -> PathBuf {
    let mut work_dir = installation.work_dir.clone().into_os_string();
    work_dir.push("-target");
    work_dir.into()
}
