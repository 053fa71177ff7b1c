//! What the sandbox takes: its start, writes and reads in a second, memory for each object.
//!
//! Requests go through its in-process door, so that what is measured is the API server and not a client, TLS and a socket; the
//! start is that of a server with a socket and credentials.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use trueup_sandbox::{Door, Sandbox, SandboxOptions, Workloads};

use crate::store::status;

/// Threads that serve and ask, as the aim has it.
pub const THREADS: usize = 2;

/// Clients at the same time.
const CLIENTS: usize = 8;

/// Objects in one page of a list, as controllers ask for them.
const PAGE_OBJECTS: usize = 500;

const JSON: &str = "application/json";

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// The first start in this process, which reads what is compiled in, and the median of those after it.
    pub starts: [Duration; 2],
    pub objects: usize,
    /// Resident, in bytes: before the first object, with all of them, and after every request of the bench.
    pub resident: [usize; 3],
    pub rates: Vec<Rate>,
}

/// How often something was done.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub what: &'static str,
    /// In a second of the clock.
    pub by_clock: f64,
    /// In a second of as many processors as there are threads: what the clock would say if nobody else used them.
    pub by_processor: f64,
    /// What is wanted.
    pub aim: Option<f64>,
}

impl Rate {
    fn times(self, factor: f64) -> Self {
        Self { by_clock: self.by_clock * factor, by_processor: self.by_processor * factor, ..self }
    }
}

/// Writes and reads that are wanted in a second.
const WRITES_AIM: f64 = 5_000.0;
const READS_AIM: f64 = 20_000.0;

/// Measures everything with so many objects: a quarter Deployments, a quarter Services, the rest ConfigMaps of 2 KB.
pub async fn measure(seed: u64, objects: usize) -> Result<Figures> {
    let mut figures = Figures { objects, starts: starts(seed).await?, ..Figures::default() };
    let options = SandboxOptions { seed, workloads: Workloads::Untouched, ..SandboxOptions::default() };
    let sandbox = Sandbox::in_process(options).context("start a sandbox")?;
    let door = Arc::new(sandbox.door("admin"));
    let mut rate = |what, aim, rate: Rate| figures.rates.push(Rate { what, aim, ..rate });
    let (writes, reads) = (Some(WRITES_AIM), Some(READS_AIM));
    figures.resident[0] = status("VmRSS")?;
    rate(
        "creates",
        writes,
        timed(objects, |n| ask(&door, Method::POST, &collection(n), JSON, object(n, 0))).await?,
    );
    figures.resident[1] = status("VmRSS")?;
    let n = objects.min(10_000);
    rate(
        "server-side applies",
        writes,
        timed(n, |n| {
            let path = format!("{}?fieldManager=one&force=true", named(n));
            ask(&door, Method::PATCH, &path, "application/apply-patch+yaml", object(n, 1))
        })
        .await?,
    );
    rate(
        "merge patches",
        writes,
        timed(n, |n| {
            let patch = format!(r#"{{"metadata":{{"annotations":{{"touched":"{n}"}}}}}}"#);
            ask(&door, Method::PATCH, &named(n), "application/merge-patch+json", patch)
        })
        .await?,
    );
    rate(
        "updates of status",
        writes,
        timed(n, |n| {
            let patch =
                format!(r#"{{"status":{{"observedGeneration":{n},"replicas":3,"readyReplicas":3}}}}"#);
            let path = format!("/apis/apps/v1/namespaces/default/deployments/{}/status", name(n / 4 * 4));
            ask(&door, Method::PATCH, &path, "application/merge-patch+json", patch)
        })
        .await?,
    );
    rate(
        "gets",
        reads,
        timed(n * 4, |number| ask(&door, Method::GET, &named(number % n), JSON, String::new())).await?,
    );
    let pages = timed(100, |_| {
        let path = format!("/api/v1/configmaps?limit={PAGE_OBJECTS}");
        ask(&door, Method::GET, &path, JSON, String::new())
    });
    let each = objects.div_ceil(2).min(PAGE_OBJECTS) as f64;
    rate("objects in listed pages", None, pages.await?.times(each));
    figures.resident[2] = status("VmRSS")?;
    drop(door);
    sandbox.shutdown().await;
    Ok(figures)
}

async fn starts(seed: u64) -> Result<[Duration; 2]> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        let sandbox = Sandbox::start(SandboxOptions { seed, ..SandboxOptions::default() }).await;
        let sandbox = sandbox.context("start a sandbox")?;
        times.push(began.elapsed());
        sandbox.shutdown().await;
    }
    let first = times.remove(0);
    times.sort();
    Ok([first, times.get(times.len() / 2).copied().unwrap_or_default()])
}

/// Does something so many times, several at the same time, and says how often in a second.
async fn timed<F>(n: usize, deed: impl Fn(usize) -> F) -> Result<Rate>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (began, used) = (Instant::now(), processor_time()?);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..n {
        if tasks.len() == CLIENTS {
            tasks.join_next().await.context("a client ends")???;
        }
        tasks.spawn(deed(number));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let used = (processor_time()? - used).max(1.0 / TICKS);
    let by_processor = n as f64 / used * THREADS as f64;
    Ok(Rate { what: "", by_clock: n as f64 / began.elapsed().as_secs_f64(), by_processor, aim: None })
}

/// Linux counts processor time in hundredths of a second wherever it tells of it.
const TICKS: f64 = 100.0;

/// Seconds that all threads of this process have computed, for themselves and in the kernel.
fn processor_time() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").context("read /proc/self/stat")?;
    // The second word is the name of the program, in parentheses, and may hold anything.
    let (_, words) = text.rsplit_once(')').context("find the name in /proc/self/stat")?;
    let times = words.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(str::parse::<u64>).sum::<Result<u64, _>>().context("read the times")?;
    Ok(ticks as f64 / TICKS)
}

/// One request, whose answer is read to its end.
fn ask(
    door: &Door,
    method: Method,
    path: &str,
    content_type: &str,
    body: String,
) -> impl Future<Output = Result<()>> + use<> {
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    let (door, path) = (door.clone(), path.to_owned());
    async move {
        let request = request.body(Full::new(Bytes::from(body)))?;
        let answer = door.oneshot(request).await.map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
        let code = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(code.is_success(), "{path}: {code}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("object-{number}")
}

fn collection(number: usize) -> String {
    match number % 4 {
        0 => "/apis/apps/v1/namespaces/default/deployments?fieldManager=one".to_owned(),
        1 => "/api/v1/namespaces/default/services?fieldManager=one".to_owned(),
        _ => "/api/v1/namespaces/default/configmaps?fieldManager=one".to_owned(),
    }
}

fn named(number: usize) -> String {
    let collection = collection(number);
    format!("{}/{}", collection.trim_end_matches("?fieldManager=one"), name(number))
}

fn object(number: usize, round: usize) -> String {
    let name = name(number);
    let metadata = format!(
        r#"{{"name":"{name}","namespace":"default","labels":{{"app.kubernetes.io/name":"{name}","app.kubernetes.io/part-of":"shop","round":"{round}"}}}}"#
    );
    match number % 4 {
        0 => format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{metadata},"spec":{{"replicas":{replicas},
            "selector":{{"matchLabels":{{"app":"{name}"}}}},"template":{{"metadata":{{"labels":{{"app":"{name}"}}}},"spec":{{"containers":[
            {{"name":"main","image":"registry.example.com/shop/{name}:1.{round}","ports":[{{"containerPort":8080,"name":"http"}}],
            "env":[{{"name":"A","value":"1"}},{{"name":"B","value":"2"}},{{"name":"C","valueFrom":{{"configMapKeyRef":{{"name":"settings","key":"c"}}}}}}],
            "resources":{{"requests":{{"cpu":"100m","memory":"128Mi"}},"limits":{{"memory":"256Mi"}}}},
            "readinessProbe":{{"httpGet":{{"path":"/ready","port":"http"}}}},"volumeMounts":[{{"name":"settings","mountPath":"/etc/settings"}}]}}],
            "volumes":[{{"name":"settings","configMap":{{"name":"settings"}}}}]}}}}}}}}"#,
            replicas = 3 + round
        ),
        1 => format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{metadata},"spec":{{"clusterIP":"None","selector":{{"app":"{name}"}},
            "ports":[{{"name":"http","port":80,"targetPort":{port}}},{{"name":"metrics","port":9090}}]}}}}"#,
            port = 8080 + round
        ),
        _ => {
            let lines: String = (0..40)
                .map(|line| format!("setting.{line}=value-{number}-{line}-{round}-of-the-shop\\n"))
                .collect();
            format!(
                r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{metadata},"data":{{"settings.properties":"{lines}","mode":"fast"}}}}"#
            )
        }
    }
}
