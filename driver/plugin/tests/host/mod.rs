//! A simulated cluster, the real libraries, and the C host that drives them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use vast_sim::{BlockingCluster, Config};

/// The two libraries, by file name.
pub(crate) const LIBRARIES: [&str; 2] = ["libstspiVastData.so", "libstspiVastDataMT.so"];
/// The single-threaded one.
pub(crate) const ST: &str = LIBRARIES[0];
/// The multi-threaded one.
pub(crate) const MT: &str = LIBRARIES[1];
/// The LSU of every test.
pub(crate) const LSU: &str = "lsu1";
/// The storage server, as NetBackup names it.
pub(crate) const SERVER: &str = "VastData:vast1";
/// Who logs in.
pub(crate) const USER: &str = "admin";

/// The folder of this build: where the test itself was built.
pub(crate) fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.parent().unwrap().parent().unwrap().to_owned()
}

/// Cargo's target folder.
pub(crate) fn target_dir() -> PathBuf {
    profile_dir().parent().unwrap().to_owned()
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Builds both libraries into a target folder, in the profile that the test itself was built in.
pub(crate) fn build(target: &Path, more: impl FnOnce(&mut Command)) -> Output {
    let dir = profile_dir();
    let profile = dir.file_name().unwrap().to_str().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--message-format",
        "json",
        "-p",
        "stspi-vast-st",
        "-p",
        "stspi-vast-mt",
    ]);
    cargo.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    // Cargo describes this test to us in these; build scripts that look at them would run anew for each caller.
    for (name, _) in
        std::env::vars().filter(|(n, _)| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(name);
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target);
    more(&mut cargo);
    cargo.output().unwrap_or_else(|e| panic!("{cargo:?}: {e}"))
}

/// A folder with libraries that were built with AddressSanitizer, where `cargo ci test` names one.
fn sanitized_plugins() -> Option<PathBuf> {
    std::env::var_os("OST_ASAN_PLUGINS").map(PathBuf::from)
}

/// Whether libraries and host are built with a sanitizer.
pub(crate) fn is_sanitized() -> bool {
    sanitized_plugins().is_some()
}

/// The built library of that name, fresh, or as [`sanitized_plugins`] has it.
pub(crate) fn library(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    if let Some(folder) = sanitized_plugins() {
        return folder.join(name);
    }
    BUILT.get_or_init(|| {
        let output = build(&target_dir(), |_| {});
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    let path = profile_dir().join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// What a library exports.
pub(crate) fn exported(library: &Path) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().unwrap();
    assert!(output.status.success(), "nm comes with the C compiler: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

/// Compiles files of `tests/c` against a folder of headers; the program lives as long as the folder that comes first.
///
/// Where a runtime of AddressSanitizer is named, the host is instrumented for it. That is the one of the Rust toolchain,
/// which knows what the C compiler has put in, and not the compiler's own: the libraries are made for that one.
pub(crate) fn compile(files: &[&str], headers: &Path) -> (tempfile::TempDir, PathBuf) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
    let sanitizer = std::env::var_os("OST_ASAN_RUNTIME");
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("host");
    let cc = || Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    let mut compile = cc();
    compile.current_dir(&folder).args(["-c", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"]);
    if sanitizer.is_some() {
        compile.args(["-g", "-fno-omit-frame-pointer", "-fsanitize=address"]);
    }
    succeed(compile.arg("-I").arg(headers).args(files.iter().map(|file| sources.join(file))));
    let objects = files.iter().map(|file| folder.path().join(file).with_extension("o"));
    let mut link = cc();
    link.arg("-rdynamic").args(objects);
    if let Some(runtime) = sanitizer {
        link.arg("-Wl,--whole-archive").arg(runtime).args(["-Wl,--no-whole-archive", "-lm", "-lrt"]);
    }
    succeed(link.args(["-ldl", "-lpthread"]).arg("-o").arg(&program));
    (folder, program)
}

/// Files of `tests/c` that the C host is made of.
const HOST_SOURCES: [&str; 9] = [
    "host.c",
    "modes.c",
    "hostile.c",
    "forks.c",
    "siblings.c",
    "optional.c",
    "steps.c",
    "replication.c",
    "behaviour.c",
];

/// The C host, compiled against the committed header.
pub(crate) fn host_program() -> &'static Path {
    static HOST: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let headers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ost-abi/include");
    &HOST.get_or_init(|| compile(&HOST_SOURCES, &headers)).1
}

/// How the plug-in shall reach the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// VIPs from VMS, plain HTTP.
    Pool,
    /// Host names for VMS and S3, TLS on both.
    NamesAndTls,
}

/// A cluster with one LSU, and a configuration file for it.
pub(crate) struct World {
    pub(crate) cluster: BlockingCluster,
    folder: tempfile::TempDir,
    pub(crate) password: String,
}

/// What the host printed.
#[derive(Debug)]
pub(crate) struct Said {
    values: BTreeMap<String, Vec<String>>,
    pub(crate) log: String,
}

impl Said {
    /// The number printed under a name.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.all(name)[0].parse().unwrap()
    }

    /// Everything printed under a name.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl World {
    /// A cluster whose LSU holds at most `quota` bytes.
    pub(crate) fn new(how: Route, quota: Option<u64>) -> Self {
        let config = Config { tls_names: vec!["*.cluster.test".to_owned()], ..Config::default() };
        let cluster = BlockingCluster::start(config, 2).unwrap();
        let provisioned = cluster.provision(LSU, quota).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let world = Self { cluster, folder, password: "123456".to_owned() };
        let keys = format!(
            "access_key = {:?}\nsecret_key = {:?}\n",
            provisioned.keys.access_key, provisioned.keys.secret_key
        );
        fs::write(world.key_file(), keys).unwrap();
        world.set_key_mode(0o600);
        let config = world.config(how);
        world.write_config(&config);
        world
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("key.toml")
    }

    pub(crate) fn set_key_mode(&self, mode: u32) {
        fs::set_permissions(self.key_file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("vast-ost.toml")
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).unwrap();
    }

    /// The configuration for this cluster.
    pub(crate) fn config(&self, how: Route) -> String {
        let port = |url: &str| url.rsplit(':').next().unwrap().to_owned();
        let vms = self.cluster.vms_url();
        let common = format!(
            "[server.vast1]\nca_file = {:?}\nkey_file = {:?}\nconnect_timeout = 2\n",
            self.cluster.ca_path().display().to_string(),
            self.key_file().display().to_string()
        );
        match how {
            Route::Pool => {
                let port = port(&self.cluster.s3_urls()[0]);
                format!(
                    "{common}vms = {vms:?}\ns3 = \"http\"\ns3_port = {port}\nvip_pool = {:?}\n",
                    vast_sim::VIP_POOL
                )
            }
            Route::NamesAndTls => {
                let endpoints: Vec<String> =
                    self.cluster.s3_tls_urls().iter().map(|url| name_of(url)).collect();
                let vms = format!("https://localhost:{}", port(&vms));
                format!("{common}vms = {vms:?}\ns3 = \"https\"\ns3_endpoints = {endpoints:?}\n")
            }
        }
    }

    /// Runs the host and returns what it printed; it must succeed.
    pub(crate) fn host(&self, library_name: &str, mode: &str, arguments: &[&str]) -> Said {
        let common = self.common(library_name, mode);
        let common: Vec<_> = common.iter().map(String::as_str).collect();
        self.run(&mut Command::new(host_program()), &[&common, arguments].concat())
    }

    /// Runs the host, which must fail, and returns what it wrote to standard error.
    pub(crate) fn host_that_fails(&self, library_name: &str, mode: &str, arguments: &[&str]) -> String {
        let mut host = Command::new(host_program());
        host.args(self.common(library_name, mode)).args(arguments).env("VAST_OST_CONFIG", self.config_path());
        let output = host.output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}: nothing was wrong\n{log}");
        log
    }

    /// The arguments that every mode of the host has.
    pub(crate) fn common(&self, library_name: &str, mode: &str) -> [String; 6] {
        let library = library(library_name).to_str().unwrap().to_owned();
        [mode, &library, SERVER, USER, &self.password, LSU].map(str::to_owned)
    }

    /// Runs a host that must succeed.
    pub(crate) fn run(&self, host: &mut Command, arguments: &[&str]) -> Said {
        let output = host.args(arguments).env("VAST_OST_CONFIG", self.config_path()).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}\n{log}", output.status);
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some((name, value)) = line.split_once('=') {
                values.entry(name.to_owned()).or_default().push(value.to_owned());
            }
        }
        let said = Said { values, log };
        assert_eq!(said.number("done"), 1);
        said
    }

    /// As [`Self::left`], without what operations and events leave for a day or longer on purpose.
    pub(crate) fn left_of_images(&self) -> Vec<String> {
        let kept = |key: &str| key.starts_with("operation") || key.starts_with("event/");
        self.left().into_iter().filter(|key| !kept(key)).collect()
    }

    /// Keys of every object and upload in the LSU's bucket, as the cluster itself has them.
    pub(crate) fn left(&self) -> Vec<String> {
        self.left_in(LSU)
    }

    /// As [`Self::left`], of another bucket.
    pub(crate) fn left_in(&self, bucket: &str) -> Vec<String> {
        let state = self.cluster.raw_state();
        let bucket = state.bucket(bucket).unwrap();
        let objects = bucket.objects.iter().map(|o| o.key.clone());
        let uploads = bucket.uploads.iter().map(|u| format!("upload of {}", u.key));
        objects.chain(uploads).collect()
    }
}

/// `vipN.cluster.test:port` for `https://127.0.0.N:port`.
fn name_of(url: &str) -> String {
    let (host, port) = url.trim_start_matches("https://").split_once(':').unwrap();
    format!("vip{}.cluster.test:{port}", host.rsplit('.').next().unwrap())
}
