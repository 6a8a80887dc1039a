//! Faults at the plug-in's own interface: jobs get the wrapping plug-in, and it counts what it made go wrong.

use super::SetupError;
use super::record::PluginFaultOutcome;
use crate::nbu::Installation;
use crate::shim;
use nbu_trace::orders::{self, FaultOrder};
use std::path::PathBuf;

/// The faults of a run, those that are in force and those that are over.
pub(super) struct PluginFaults {
    /// The media server as it is without faults.
    plain: Installation,
    /// In the order of the scenario; the id of each is its index.
    all: Vec<FaultOrder>,
    /// Those before this one are over.
    healed: usize,
    hits: PathBuf,
}

impl PluginFaults {
    pub(super) fn new(plain: Installation) -> Self {
        let hits = plain.work_dir.join("plugin-faults");
        Self { plain, all: Vec::new(), healed: 0, hits }
    }

    /// One more fault: the media server with all that are in force.
    pub(super) fn arm(&mut self, order: &FaultOrder) -> Result<Installation, SetupError> {
        self.all.push(FaultOrder { id: self.all.len() as u64, ..order.clone() });
        let mut installation = self.plain.clone();
        let environment = &mut installation.plugin_env;
        installation.plugin = shim::wrap(&installation.exe, &installation.plugin, environment)?;
        let orders = serde_json::to_string(&self.all[self.healed..])
            .map_err(|error| SetupError::Impossible(error.to_string()))?;
        environment.insert(orders::FAULTS.to_owned(), orders);
        environment.insert(orders::HITS.to_owned(), self.hits.display().to_string());
        Ok(installation)
    }

    /// No fault is in force any more.
    pub(super) fn heal(&mut self) -> Installation {
        self.healed = self.all.len();
        self.plain.clone()
    }

    /// What became of all of them.
    pub(super) fn outcomes(&self) -> Result<Vec<PluginFaultOutcome>, SetupError> {
        let noted = match std::fs::read_to_string(&self.hits) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(SetupError::io("read", &self.hits)(error)),
        };
        let hits = |id: u64| noted.lines().filter(|line| line.parse() == Ok(id)).count() as u64;
        let all = self.all.iter();
        Ok(all.map(|fault| PluginFaultOutcome { fault: fault.clone(), hits: hits(fault.id) }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbu_trace::orders::FaultEffect;

    #[test]
    fn faults_in_force_are_ordered_and_what_struck_is_counted_for_each() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("libnbu_shim.so"), "").unwrap();
        let exe = dir.path().join("nbu-harness");
        let plain = Installation::new(exe, "/lib/a.so".into(), "/c".into(), dir.path().to_path_buf());
        let mut faults = PluginFaults::new(plain);
        let order = |call: &str| FaultOrder {
            id: 99,
            call: call.into(),
            effect: FaultEffect::Hang,
            skip: 0,
            times: 1,
            process: None,
        };
        let ordered = |installation: &Installation| {
            let orders: Vec<FaultOrder> =
                serde_json::from_str(&installation.plugin_env[orders::FAULTS]).unwrap();
            orders.into_iter().map(|order| (order.id, order.call)).collect::<Vec<_>>()
        };
        let first = faults.arm(&order("claim")).unwrap();
        assert_eq!(ordered(&first), [(0, "claim".to_owned())]);
        assert_eq!(first.plugin_env[orders::PLUGIN], "/lib/a.so");
        assert_eq!(faults.heal().plugin, PathBuf::from("/lib/a.so"));
        assert_eq!(ordered(&faults.arm(&order("init")).unwrap()), [(1, "init".to_owned())]);
        let hits = |faults: &PluginFaults| {
            faults.outcomes().unwrap().iter().map(|outcome| outcome.hits).collect::<Vec<_>>()
        };
        assert_eq!(hits(&faults), [0, 0]);
        std::fs::write(dir.path().join("plugin-faults"), "1\n1\n0\n1\n").unwrap();
        assert_eq!(hits(&faults), [1, 3]);
    }
}
