//! The engine under test: a process of its own, seen through its command line, `/proc` and `/metrics`.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use trueup_testkit::port::KeptPort;

/// A page of metrics is answered within this time or counts as not there.
const METRICS_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the log a failure shows.
const LOG_LINES: usize = 15;
/// Linux counts the time of processes in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// How to start an engine.
#[derive(Debug, Clone)]
pub struct Setup {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
    /// Holds its state and its log.
    pub folder: PathBuf,
    /// Of the Applications.
    pub namespace: String,
}

/// A running engine.
pub struct Engine {
    setup: Setup,
    process: Child,
    pid: u32,
    port: KeptPort,
    pub started: Instant,
}

/// Resident memory in KB, as the kernel counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    pub total: u64,
    /// The part that is no file's: heap and stacks.
    pub anonymous: u64,
    pub peak: u64,
}

impl Engine {
    pub fn start(setup: Setup) -> Result<Self> {
        fs::create_dir_all(setup.folder.join("state"))?;
        let started = Instant::now();
        let port = KeptPort::take()?;
        let (process, pid) = spawn(&setup, &port)?;
        Ok(Self { setup, process, pid, port, started })
    }

    /// Ends it without warning (SIGKILL).
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.context("kill the engine")
    }

    /// Starts it again after a kill, with the state that it left.
    pub fn start_again(&mut self) -> Result<()> {
        self.started = Instant::now();
        (self.process, self.pid) = spawn(&self.setup, &self.port)?;
        Ok(())
    }

    /// Fails where it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the engine ended with {status}; its log ends so:\n{}", self.log_end());
        }
        Ok(())
    }

    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(self.setup.folder.join("engine.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }

    pub fn resident(&self) -> Result<Resident> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).context("read its memory")?;
        resident_of(&text).ok_or_else(|| anyhow!("the kernel does not tell the engine's memory"))
    }

    /// Time of the processor that it has used so far.
    pub fn cpu(&self) -> Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid)).context("read its time")?;
        ticks_of(&text)
            .map(|ticks| TICK * ticks)
            .ok_or_else(|| anyhow!("the kernel does not tell the engine's time"))
    }

    /// Its page of metrics; `None` while it does not answer.
    pub async fn metrics(&self) -> Option<String> {
        let port = self.port.number().ok()?;
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = timeout(METRICS_TIMEOUT, ask).await.ok()?.ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn spawn(setup: &Setup, port: &KeptPort) -> Result<(Child, u32)> {
    let port = port.number()?;
    let log = fs::File::options().create(true).append(true).open(setup.folder.join("engine.log"))?;
    let process = Command::new(&setup.program)
        .arg("controller")
        .arg("--kubeconfig")
        .arg(&setup.kubeconfig)
        .arg("--state-dir")
        .arg(setup.folder.join("state"))
        .args(["--listen", &format!("127.0.0.1:{port}"), "--namespace", &setup.namespace])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", setup.program.display()))?;
    let pid = process.id().ok_or_else(|| anyhow!("the engine ended at once"))?;
    Ok((process, pid))
}

/// How many applications a page of metrics has a verdict on.
pub fn judged_apps(metrics: &str) -> usize {
    let samples = metrics.lines().filter(|line| line.starts_with("argocd_app_info{"));
    samples
        .filter(|line| !line.contains("sync_status=\"Unknown\"") && !line.contains("sync_status=\"\""))
        .count()
}

/// Whether a page of metrics says that this process acts.
pub fn is_leading(metrics: &str) -> bool {
    metrics.lines().any(|line| line.trim() == "trueup_leading 1")
}

fn resident_of(status: &str) -> Option<Resident> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    Some(Resident { total: field("VmRSS")?, anonymous: field("RssAnon")?, peak: field("VmHWM")? })
}

/// User and system time; the program's name before them may hold blanks and is closed by the last parenthesis.
fn ticks_of(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u32 = times.next()?.parse().ok()?;
    let system: u32 = times.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_page() {
        let page = "Name:\tx\nVmHWM:\t   300 kB\nVmRSS:\t   200 kB\nRssAnon:\t 150 kB\n";
        assert_eq!(resident_of(page), Some(Resident { total: 200, anonymous: 150, peak: 300 }));
        assert_eq!(resident_of("VmRSS: 1 kB\n"), None);
    }

    #[test]
    fn time_is_read_behind_a_name_with_blanks() {
        let page = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0";
        assert_eq!(ticks_of(page), Some(42));
    }

    #[test]
    fn applications_with_a_verdict_are_counted() {
        let page = "# TYPE argocd_app_info gauge\nargocd_app_info{name=\"a\",sync_status=\"Synced\"} 1\n\
                    argocd_app_info{name=\"b\",sync_status=\"Unknown\"} 1\ntrueup_leading 1\n";
        assert_eq!(judged_apps(page), 1);
        assert!(is_leading(page));
    }
}
