//! A real Prometheus with backfilled history, by path, on a free port, in its own folder.

use std::path::PathBuf;

use super::process::{self, Server, free_port, give_away, open_folder, tool, wait_until};

/// A running Prometheus.
#[derive(Debug)]
pub(crate) struct Prometheus {
    server: Option<Server>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Prometheus {
    /// Starts one that knows the given OpenMetrics history and scrapes the given targets.
    pub(crate) fn start(openmetrics: Option<&str>, targets: &[String]) -> Self {
        let folder = open_folder();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if let Some(text) = openmetrics {
            backfill(&folder, text);
        }
        let config = scrape_config(targets);
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        give_away(folder.path());
        let mut prometheus = Self { server: None, folder, port: free_port() };
        prometheus.resume();
        prometheus
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks it something by path and query; status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(&format!("127.0.0.1:{}", self.port), path).unwrap()
    }

    /// Stops it; the data stay.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop();
        }
    }

    /// Starts it (again) on the same port and data.
    pub(crate) fn resume(&mut self) {
        let folder = self.folder.path();
        let mut command = process::unprivileged(&tool("VERDICTD_TEST_PROMETHEUS"));
        command
            .current_dir(folder)
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--storage.tsdb.retention.time=10y")
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        self.server = Some(Server::start(command, &folder.join("prometheus.log")));
        let url = format!("127.0.0.1:{}", self.port);
        wait_until("Prometheus to be ready", || is_ready(&url).then_some(()));
    }
}

fn scrape_config(targets: &[String]) -> String {
    if targets.is_empty() {
        return "global: {scrape_interval: 1s}\n".to_owned();
    }
    format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: verdictd\n  \
         static_configs: [{{targets: [{}]}}]\n",
        targets.iter().map(|target| format!("\"{target}\"")).collect::<Vec<_>>().join(", ")
    )
}

fn backfill(folder: &tempfile::TempDir, text: &str) {
    let file: PathBuf = folder.path().join("history.om");
    std::fs::write(&file, text).unwrap();
    let output = std::process::Command::new(tool("VERDICTD_TEST_PROMTOOL"))
        .args(["tsdb", "create-blocks-from", "--max-block-duration=744h", "--quiet", "openmetrics"])
        .arg(&file)
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool: {said}");
}

fn is_ready(address: &str) -> bool {
    get(address, "/-/ready").is_some_and(|(status, _)| status == 200)
}

/// One plain HTTP request, without a client library: status and body.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).ok()?;
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
