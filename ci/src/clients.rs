//! `cargo ci clients`: unmodified Python clients, in an environment made for the run, against the built simulator, and
//! what the plug-in left there for a person with such a client.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::install;
use crate::step::{self, Failure, cargo};

/// Oldest Python that the pinned clients run on.
const PYTHON_MIN: &str = "3.10";
/// What makes virtual environments on Debian.
const VENV: [&str; 2] = ["python3", "python3-venv"];

/// Installs the clients, builds the simulator and the plug-in and runs all checks, or those whose name contains `only`.
///
/// Without Python or a package index nothing can be checked: that fails where `CI` is set, and is said and skipped elsewhere.
pub(crate) fn run(root: &Path, only: Option<&str>, python: Option<&Path>) -> Result<(), Failure> {
    let made = match python {
        Some(_) => None,
        None => match Environment::make(root, "requirements.txt") {
            Ok(environment) => Some(environment),
            Err(missing) => return not_checked("clients", missing),
        },
    };
    let program = made.as_ref().map_or_else(|| python.map(Path::to_path_buf), |e| Some(e.python()));
    let program = program.unwrap_or_else(|| "python3".into());
    step::build_as_tested(root, "vast-sim")?;
    // As the plug-in's own tests build it.
    step::run(&mut cargo(root, &["build", "-p", "stspi-vast-st", "-p", "stspi-vast-mt", "--locked"]))?;
    let mut checks = Command::new(program);
    checks.current_dir(root).arg("ci/clients/run.py").arg("--sim").arg(simulator(root)?);
    checks.env("OST_PLUGIN", target(root)?.join("debug").join("libstspiVastData.so"));
    if let Some(text) = only {
        checks.args(["--only", text]);
    }
    step::run(&mut checks)
}

/// What cannot be checked here: a failure where `CI` is set, said and skipped elsewhere.
pub(crate) fn not_checked(what: &str, missing: String) -> Result<(), Failure> {
    if env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false") {
        return Err(Failure::Other(missing));
    }
    println!("{what}: SKIPPED, nothing was checked: {missing}");
    Ok(())
}

/// Runs the checks of modules that are no client's, with packages of their own: `requirements-<packages>.txt`.
pub(crate) fn modules(
    root: &Path,
    packages: &str,
    names: &[&str],
    surroundings: &[(&str, PathBuf)],
) -> Result<(), Failure> {
    let environment = match Environment::make(root, &format!("requirements-{packages}.txt")) {
        Ok(environment) => environment,
        Err(missing) => return not_checked(packages, missing),
    };
    step::build_as_tested(root, "vast-sim")?;
    let mut checks = Command::new(environment.python());
    checks.current_dir(root).envs(surroundings.iter().map(|(name, path)| (name, path)));
    checks
        .arg("ci/clients/run.py")
        .arg("--sim")
        .arg(simulator(root)?)
        .args(names.iter().flat_map(|name| ["--module", name]));
    step::run(&mut checks)
}

/// Where cargo puts what it builds.
pub(crate) fn target(root: &Path) -> Result<PathBuf, Failure> {
    let metadata = step::output(&mut cargo(root, &["metadata", "--format-version", "1", "--no-deps"]))?;
    let parsed: serde_json::Value = serde_json::from_slice(&metadata)
        .map_err(|e| Failure::Other(format!("cargo metadata does not answer in JSON: {e}")))?;
    match parsed["target_directory"].as_str() {
        Some(directory) => Ok(directory.into()),
        None => Err(Failure::Other("cargo metadata does not say where the target directory is".to_owned())),
    }
}

fn simulator(root: &Path) -> Result<PathBuf, Failure> {
    Ok(target(root)?.join("debug").join("vast-sim"))
}

/// A virtual environment that is removed when it is dropped.
struct Environment {
    folder: PathBuf,
}

impl Drop for Environment {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder)
            && self.folder.exists()
        {
            eprintln!("clients: {} stays behind: {error}", self.folder.display());
        }
    }
}

impl Environment {
    /// Makes one and installs the pinned clients into it; the error says what is missing and how to get it.
    fn make(root: &Path, requirements: &str) -> Result<Self, String> {
        let version = format!(
            "import sys; v = tuple(map(int, '{PYTHON_MIN}'.split('.'))); sys.exit(sys.version_info[:2] < v)"
        );
        let right = || quiet(Command::new("python3").args(["-c", &version]));
        right()
            .or_else(|said| install(&VENV).ok_or(said).and_then(|()| right()))
            .map_err(|_| format!("Python {PYTHON_MIN} or later is needed as python3; install it"))?;
        let target = target(root).map_err(|e| e.to_string())?;
        let folder = target.join(format!("clients-{}", std::process::id()));
        let environment = Self { folder };
        let made =
            environment.venv().or_else(|said| install(&VENV).ok_or(said).and_then(|()| environment.venv()));
        made.map_err(|said| {
            format!(
                "python3 cannot make a virtual environment; on Debian: apt-get install {} ({said})",
                VENV.join(" ")
            )
        })?;
        println!("installing ci/clients/{requirements}");
        let mut pip = Command::new(environment.python());
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
        ]);
        quiet(pip.arg(root.join("ci/clients").join(requirements))).map_err(|said| {
            format!("pip cannot install the clients; is a package index within reach? ({said})")
        })?;
        Ok(environment)
    }

    fn venv(&self) -> Result<(), String> {
        quiet(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&self.folder))
    }

    fn python(&self) -> PathBuf {
        self.folder.join("bin").join("python")
    }
}

/// Runs a command whose output matters only when it fails: then its last lines are the error.
fn quiet(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(done) if done.status.success() => Ok(()),
        Ok(done) => {
            let said = [done.stdout, done.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
            Err(lines[lines.len().saturating_sub(3)..].join("; "))
        }
        Err(error) => Err(error.to_string()),
    }
}
