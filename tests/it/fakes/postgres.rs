//! A real PostgreSQL by path: own data folder, unprivileged user, free port, password login.

use std::process::Command;

use super::process::{self, Server, free_port, give_away, open_folder, tool, wait_until};

/// The password of the test's superuser.
pub(crate) const PASSWORD: &str = "not-a-secret";

/// A running PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Option<Server>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Starts an empty one.
    pub(crate) fn start() -> Self {
        let folder = open_folder();
        std::fs::write(folder.path().join("pw"), PASSWORD).unwrap();
        give_away(folder.path());
        let bin = tool("VERDICTD_TEST_PG_BIN");
        let data = folder.path().join("data");
        let output = process::unprivileged(&bin.join("initdb"))
            .current_dir(folder.path())
            .arg(format!("--pgdata={}", data.display()))
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"])
            .arg(format!("--pwfile={}", folder.path().join("pw").display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {said}");
        let port = free_port();
        let mut postgres = Self { server: None, folder, port };
        postgres.resume();
        postgres
    }

    /// Starts it (again) on the same port and data.
    pub(crate) fn resume(&mut self) {
        let folder = self.folder.path();
        let data = folder.join("data");
        // What a crash left would look ready, or like another server's.
        let stale = std::fs::remove_file(data.join("postmaster.pid"));
        assert!(stale.is_ok() || self.server.is_none(), "{stale:?}");
        let bin = tool("VERDICTD_TEST_PG_BIN");
        let mut command = process::unprivileged(&bin.join("postgres"));
        command.current_dir(folder).arg("-D").arg(&data).args(["-p", &self.port.to_string()]);
        for option in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "timezone=UTC",
        ] {
            command.args(["-c", option]);
        }
        self.server = Some(Server::start(command, &folder.join("postgres.log")));
        self.wait_ready();
    }

    fn wait_ready(&self) {
        let file = self.folder.path().join("data/postmaster.pid");
        wait_until("PostgreSQL to be ready", || {
            let text = std::fs::read_to_string(&file).ok()?;
            (text.lines().nth(7)?.trim() == "ready").then_some(())
        });
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL text through psql.
    pub(crate) fn run(&self, sql: &str) {
        let script = self.folder.path().join("script.sql");
        std::fs::write(&script, sql).unwrap();
        let output = Command::new(tool("VERDICTD_TEST_PG_BIN").join("psql"))
            .env("PGPASSWORD", PASSWORD)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"])
            .args(["-d", "postgres", "-v", "ON_ERROR_STOP=1", "-q", "-f"])
            .arg(&script)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {said}");
    }

    /// Ends it at once, as a crash would; the data stay.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.kill();
        }
    }
}
