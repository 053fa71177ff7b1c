//! The controller under test: a process of its own, as a person starts it.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    sync::Mutex,
    task::JoinSet,
    time::Instant,
};
use trueup_sandbox::faults::Faults;

use crate::port::KeptPort;

/// After a kill the Lease of the dead process has to run out first.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// How much of the log a failure shows.
const LOG_LINES: usize = 15;

/// How to start a controller.
#[derive(Debug, Clone)]
pub struct Setup {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
    /// Holds its state, its clock's offset and its log.
    pub folder: PathBuf,
}

/// A running controller.
#[derive(Debug)]
pub struct Controller {
    life: Arc<Life>,
    offset: Duration,
    /// Ends it when a fault says so.
    ending: JoinSet<()>,
}

/// What is needed to end it and begin it anew, whoever does.
#[derive(Debug)]
struct Life {
    setup: Setup,
    process: Mutex<Child>,
    port: KeptPort,
    /// How often a fault ended it.
    n_deaths: AtomicU64,
}

impl Life {
    async fn begin_anew(&self) -> Result<()> {
        let mut process = self.process.lock().await;
        process.kill().await.context("kill the controller")?;
        *process = spawn(&self.setup, &self.port)?;
        Ok(())
    }
}

impl Controller {
    /// Starts it. It need not be ready yet. It is killed and started again whenever a fault says that its moment has come.
    pub fn start(setup: Setup, faults: &Faults) -> Result<Self> {
        fs::create_dir_all(setup.folder.join("state"))?;
        fs::write(clock_file(&setup), "0\n")?;
        let port = KeptPort::take()?;
        let process = Mutex::new(spawn(&setup, &port)?);
        let life = Arc::new(Life { setup, process, port, n_deaths: AtomicU64::new(0) });
        let mut ending = JoinSet::new();
        let (dying, mut kills) = (life.clone(), faults.kills());
        ending.spawn(async move {
            while kills.changed().await.is_ok() && dying.begin_anew().await.is_ok() {
                dying.n_deaths.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Self { life, offset: Duration::ZERO, ending })
    }

    /// Kills it and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.life.begin_anew().await
    }

    /// How often a fault has ended it so far.
    pub fn n_deaths(&self) -> u64 {
        self.life.n_deaths.load(Ordering::SeqCst)
    }

    /// Waits until it says that it is ready: it holds the Lease and has listed what it needs.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.life.process.lock().await.try_wait()? {
                bail!("the controller ended with {status}; its log ends so:\n{}", self.log_end());
            }
            if is_ready(self.life.port.number()?).await {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!(
            "the controller was not ready after {} s; its log ends so:\n{}",
            READY_TIMEOUT.as_secs(),
            self.log_end()
        )
    }

    /// Sets its clock forward.
    pub fn advance(&mut self, by: Duration) -> Result<()> {
        self.offset += by;
        let file = clock_file(&self.life.setup);
        let new = file.with_extension("new");
        fs::write(&new, format!("{}\n", self.offset.as_secs()))?;
        // Renamed, so that it is never read half-written.
        fs::rename(new, file).context("set the clock forward")
    }

    /// Whether it still runs.
    pub async fn is_running(&self) -> bool {
        matches!(self.life.process.lock().await.try_wait(), Ok(None))
    }

    /// The end of its log.
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(log_file(&self.life.setup)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }

    /// Whether it ever panicked.
    pub fn panicked(&self) -> bool {
        let text = fs::read_to_string(log_file(&self.life.setup)).unwrap_or_default();
        text.contains("panicked")
    }

    /// Ends it.
    pub async fn stop(mut self) -> Result<()> {
        self.ending.shutdown().await;
        self.life.process.lock().await.kill().await.context("end the controller")
    }
}

fn clock_file(setup: &Setup) -> PathBuf {
    setup.folder.join("clock-offset")
}

fn log_file(setup: &Setup) -> PathBuf {
    setup.folder.join("controller.log")
}

fn spawn(setup: &Setup, port: &KeptPort) -> Result<Child> {
    let port = port.number()?;
    let log = fs::File::options().create(true).append(true).open(log_file(setup))?;
    Command::new(&setup.program)
        .arg("controller")
        .arg("--kubeconfig")
        .arg(&setup.kubeconfig)
        .arg("--state-dir")
        .arg(setup.folder.join("state"))
        .args(["--listen", &format!("127.0.0.1:{port}"), "--namespace", "argocd"])
        .arg("--clock-offset-file")
        .arg(clock_file(setup))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", setup.program.display()))
}

async fn is_ready(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    ask.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
