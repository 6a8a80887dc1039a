//! Where a run took place: what a reader of the report needs to judge its figures.

use schemars::JsonSchema;
use serde::Serialize;

/// The machine and its software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Environment {
    /// Operating system and kernel release.
    pub os: String,
    /// Processor architecture.
    pub architecture: String,
    /// Processors that this process may use.
    pub cpus: usize,
    /// Memory in bytes; 0 when unknown.
    pub memory_bytes: u64,
    /// Whether it ran as root: owners are restored and compared only then.
    pub root: bool,
}

impl Environment {
    /// This machine.
    pub fn here() -> Self {
        let name = rustix::system::uname();
        Self {
            os: format!("{} {}", name.sysname().to_string_lossy(), name.release().to_string_lossy()),
            architecture: name.machine().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes().unwrap_or_default(),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// Name and value of each, for report formats that have properties.
    pub fn properties(&self) -> [(&'static str, String); 5] {
        [
            ("os", self.os.clone()),
            ("architecture", self.architecture.clone()),
            ("cpus", self.cpus.to_string()),
            ("memory_bytes", self.memory_bytes.to_string()),
            ("root", self.root.to_string()),
        ]
    }
}

fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
