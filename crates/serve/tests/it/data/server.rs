//! A PostgreSQL server that a test starts for itself, on a socket in a folder
//! of its own. `cargo xtask e2e` fetches the binaries and names their folder in
//! `PLUMB_TEST_POSTGRES`; without it the tests that need a server check nothing
//! and say so.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that ends with the test.
pub(super) struct Server {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    process: Child,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the test command says where the binaries are")]
    #[expect(clippy::print_stderr, reason = "a test that checks nothing says so")]
    pub(super) fn start() -> Option<Self> {
        let Ok(binaries) = std::env::var("PLUMB_TEST_POSTGRES") else {
            eprintln!("not checked: `cargo xtask e2e` sets PLUMB_TEST_POSTGRES and runs this");
            return None;
        };
        let binaries = PathBuf::from(binaries);
        let folder = tempfile::tempdir().unwrap();
        give_away(folder.path());
        let mut initdb = unprivileged(&binaries.join("initdb"), folder.path());
        let arguments = ["-U", "plumb", "-A", "trust", "-E", "UTF8", "--no-locale", "-D"];
        let made = initdb.args(arguments).arg(folder.path().join("data")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let process = launch(&binaries, folder.path());
        let server = Self { folder, binaries, process };
        server.wait();
        Some(server)
    }

    /// Makes an empty database and gives its address.
    pub(super) fn new_database(&self, name: &str) -> String {
        // Longer names are cut by the server.
        let name: String = name.chars().take(60).collect();
        let mut client =
            postgres::Client::connect(&self.address("postgres"), postgres::NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        self.address(&name)
    }

    /// Ends the server with a signal that it cannot handle, and starts another
    /// on what it left.
    pub(super) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let start = Instant::now();
        // The killed server's children must notice first.
        while !self.is_up() {
            assert!(start.elapsed() < Duration::from_mins(1), "the server does not come back");
            let pid = self.folder.path().join("data/postmaster.pid");
            if let Ok(Some(_)) = self.process.try_wait() {
                let _ = std::fs::remove_file(pid);
                self.process = launch(&self.binaries, self.folder.path());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn address(&self, database: &str) -> String {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://plumb@{socket}/{database}")
    }

    fn is_up(&self) -> bool {
        postgres::Client::connect(&self.address("postgres"), postgres::NoTls).is_ok()
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.is_up() {
            assert!(start.elapsed() < Duration::from_mins(1), "the server does not start");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(binaries: &Path, folder: &Path) -> Child {
    let mut postgres = unprivileged(&binaries.join("postgres"), folder);
    postgres.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    // No port is opened: the socket's folder is the test's own.
    postgres.args(["-c", "listen_addresses=", "-c", "log_min_messages=fatal"]);
    postgres.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// PostgreSQL refuses to run as root: then it runs as nobody.
fn unprivileged(program: &Path, folder: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    command.current_dir(folder);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // What this process makes belongs to its user.
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

fn give_away(folder: &Path) {
    if is_root() {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}
