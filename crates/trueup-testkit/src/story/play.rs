//! Plays a story in a world, step by step.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use hyper::Method;
use trueup_object::{FileOrigin, Severity, Value, read_manifests};

use super::{
    Located, Outcome, StepResult, World, WorldName,
    format::{Action, ClientChange, ClientStep, Edit, Expectation, KubectlStep, Step},
    judge::{Judge, Judgement},
    stage::{APPLICATIONS, Stage, run, until},
};
use crate::http::BodyKind;

/// What all stories of a run share.
#[derive(Debug, Clone)]
pub struct Player {
    /// The program under test.
    pub program: PathBuf,
    /// Leave each story's folder in place, and say where it is.
    pub keep: bool,
    /// How long an expectation may take to come true.
    pub deadline: Duration,
    /// A file with another definition of the Application than ours.
    pub application_definition: Option<PathBuf>,
}

/// Plays a story. A world that cannot be set up is a result too; an error is trouble with this machine.
pub async fn play<'w>(
    player: &Player,
    located: &Located,
    world: impl AsyncFnOnce(&Path) -> Result<World<'w>>,
    name: WorldName,
) -> Result<Vec<StepResult>> {
    let folder = tempfile::Builder::new().prefix("story-").tempdir()?;
    let path = folder.path().to_path_buf();
    let mut results = Results { located, world: name, all: Vec::new() };
    let opened = async {
        let world = world(&path).await?;
        Stage::open(located, world, &path, player).await
    };
    match opened.await {
        Err(error) => results.setup_failed(&error),
        Ok(mut stage) => {
            let mut course = Course::new(located, player.deadline);
            for (index, step) in located.story.steps.iter().enumerate() {
                course.take(&mut stage, index + 1, step, &mut results).await;
            }
            if stage.controller.panicked() || !stage.controller.is_running().await {
                let log = stage.controller.log_end();
                results.setup_failed(&anyhow::anyhow!("the controller panicked or ended:\n{log}"));
            }
            if let Err(error) = stage.close().await {
                results.setup_failed(&error.context("clean up"));
            }
        }
    }
    let all = results.all;
    if player.keep {
        eprintln!("kept: {}", folder.keep().display());
    }
    Ok(all)
}

struct Results<'a> {
    located: &'a Located,
    world: WorldName,
    all: Vec<StepResult>,
}

impl Results<'_> {
    fn add(&mut self, step: usize, text: &str, expected: Value, found: Value, outcome: Outcome) {
        let result = StepResult {
            story: self.located.story.name.clone(),
            world: self.world,
            step,
            text: text.to_owned(),
            expected,
            found,
            outcome,
        };
        self.all.push(result);
    }

    /// What is about no single step.
    fn setup_failed(&mut self, error: &anyhow::Error) {
        let found = Value::from(format!("{error:#}"));
        self.add(0, "the stage", Value::from("in order"), found, Outcome::Failed);
    }
}

/// How far a story has come.
struct Course {
    judge: Judge,
    /// Applications about which nothing can be judged any more, because a step on them was not performed.
    blind: BTreeSet<String>,
    /// A step that concerns all of them was not performed.
    all_blind: bool,
    /// A step failed: what follows makes no sense.
    broken: bool,
    /// The faults in force: they add up until a step ends them all.
    faults: Vec<Value>,
    /// How often faults had ended the controller when it was last known to be ready.
    n_deaths: u64,
    deadline: Duration,
}

impl Course {
    fn new(located: &Located, deadline: Duration) -> Self {
        Self {
            judge: Judge::new(&located.story),
            blind: BTreeSet::new(),
            all_blind: false,
            broken: false,
            faults: Vec::new(),
            n_deaths: 0,
            deadline,
        }
    }

    async fn take(&mut self, stage: &mut Stage<'_>, number: usize, step: &Step, results: &mut Results<'_>) {
        let expected = || Value::from_json(step.text.as_bytes()).unwrap_or_default();
        if self.broken {
            let found = "an earlier step failed".into();
            results.add(number, &step.text, expected(), found, Outcome::NotJudged);
            return;
        }
        if let Action::Expect(expectation) = &step.action {
            let expected = expected().get("expect").cloned().unwrap_or_default();
            if self.is_blind(expectation) {
                let found = "depends on a step that this build cannot perform".into();
                results.add(number, &step.text, expected, found, Outcome::NotJudged);
                return;
            }
            let Judgement { found, outcome } = self.expect(stage, expectation).await;
            results.add(number, &step.text, expected, found, outcome);
            return;
        }
        let before = stage.world.writes().map(|writes| writes.len());
        let (found, outcome) = match self.perform(stage, &step.action).await {
            Ok(None) => (Value::from("this build cannot perform this step"), Outcome::NotJudged),
            Ok(Some(done)) => (Value::from(done), Outcome::Passed),
            Err(error) => {
                // What hangs on a step that was not performed may fail without anybody's fault.
                let excused = self.all_blind || !self.blind.is_empty();
                self.broken = !excused;
                let outcome = if excused { Outcome::NotJudged } else { Outcome::Failed };
                (Value::from(format!("{error:#}")), outcome)
            }
        };
        let after = stage.world.writes().map(|writes| writes.len());
        // A sync is asked to write; what counts as unasked for comes after it.
        let mark = if matches!(step.action, Action::Sync { .. }) { after } else { before };
        self.judge.mark(mark.unwrap_or_default());
        results.add(number, &step.text, expected(), found, outcome);
    }

    /// Judges an expectation; anew where the controller was ended meanwhile, once it is there again.
    async fn expect(&mut self, stage: &mut Stage<'_>, expectation: &Expectation) -> Judgement {
        loop {
            let n_deaths = stage.controller.n_deaths();
            let judgement = self.judge.expect(stage, expectation, self.deadline).await;
            let survived = n_deaths == stage.controller.n_deaths();
            if survived && n_deaths == self.n_deaths {
                return judgement;
            }
            self.n_deaths = n_deaths;
            if let Err(error) = stage.controller.wait_until_ready().await {
                return Judgement { found: Value::from(format!("{error:#}")), outcome: Outcome::Failed };
            }
        }
    }

    fn is_blind(&self, expectation: &Expectation) -> bool {
        let named = expectation.application.as_ref();
        self.all_blind || named.map_or(!self.blind.is_empty(), |name| self.blind.contains(name))
    }

    /// What was done in words; `None` where this build cannot do it.
    async fn perform(&mut self, stage: &mut Stage<'_>, action: &Action) -> Result<Option<String>> {
        match action {
            Action::Apply { path } => apply_file(stage, path).await.map(Some),
            Action::Sync { application, flags } => sync(stage, application, flags).await.map(Some),
            Action::Refresh { application, hard } => {
                refresh(stage, application, *hard, !self.faults.is_empty()).await.map(Some)
            }
            Action::Kubectl(step) => kubectl(stage, step).await.map(Some),
            Action::Client(step) => client(stage, step).await.map(Some),
            Action::Commit { message, edits } => commit(stage, message, edits).map(Some),
            Action::Wait(duration) => {
                stage.world.advance(*duration);
                stage.controller.advance(*duration)?;
                Ok(Some(format!("the clock is set forward by {} s", duration.as_secs())))
            }
            Action::Fault { rules } => {
                match rules.as_slice() {
                    [] => self.faults.clear(),
                    more => self.faults.extend(more.iter().map(|rule| at_a_change(stage, rule))),
                }
                stage.world.set_faults(&self.faults)?;
                let n_deaths = stage.controller.n_deaths();
                Ok(Some(format!(
                    "{} faults in force; faults have ended the controller {n_deaths} times",
                    self.faults.len()
                )))
            }
            Action::RestartController => {
                stage.controller.restart().await?;
                stage.controller.wait_until_ready().await?;
                Ok(Some("killed, started, ready".to_owned()))
            }
            Action::Beyond { application } => {
                match application {
                    Some(name) => {
                        self.blind.insert(name.clone());
                    }
                    None => self.all_blind = true,
                }
                Ok(None)
            }
            Action::Expect(_) => bail!("an expectation is judged, not performed"),
        }
    }
}

/// A controller is killed at a change of the objects in its care, where a rule does not say at which: what it writes about itself
/// is no such moment.
fn at_a_change(stage: &Stage<'_>, rule: &Value) -> Value {
    const ABOUT_ITSELF: [&str; 4] = ["Lease", "Event", "Application", "DriftReport"];
    let mut rule = rule.clone();
    if rule.str_at(&["kind"]) == Some("kill-controller-at") && rule.at(&["match", "kind"]).is_none() {
        let kinds = stage.kinds.iter().map(|kind| kind.kind.as_str());
        let others = kinds.filter(|kind| !ABOUT_ITSELF.contains(kind)).map(Value::from);
        rule.set_at(&["match", "kind"], Value::List(others.collect()));
    }
    rule
}

async fn kubectl(stage: &Stage<'_>, step: &KubectlStep) -> Result<String> {
    let once = async || {
        let mut command = stage.kubectl(step.user.as_deref());
        if let Some(editor) = &step.editor {
            command.env("KUBE_EDITOR", editor);
        }
        run(command.args(&step.arguments), &step.stdin).await
    };
    let Some(wanted) = &step.until else {
        return Ok(once().await?.checked("kubectl")?.stdout.trim().to_owned());
    };
    let holds = || async { Ok(once().await?.stdout.contains(wanted)) };
    until(&format!("kubectl says {wanted:?}"), holds).await?;
    Ok(format!("it says {wanted:?}"))
}

/// Creates the objects of a file of the repository as a person does who sets up a cluster.
async fn apply_file(stage: &mut Stage<'_>, path: &str) -> Result<String> {
    let file = stage.repository.work().join(path);
    let mut text = std::fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
    for webhook in &stage.webhooks {
        text = webhook.fill(&text);
    }
    let origin = FileOrigin { repo: "".into(), revision: "".into(), path: path.into() };
    let (manifests, problems) = read_manifests(text.as_bytes(), &origin);
    if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
        bail!("{path}, line {}: {}", problem.line, problem.message);
    }
    for manifest in &manifests {
        let gvk = manifest.gvk();
        if stage.kinds.find(&gvk.kind).is_none() {
            stage.learn_kinds().await?;
        }
        let Some(kind) = stage.kinds.find(&gvk.kind).cloned() else {
            bail!("the server serves no kind {gvk}");
        };
        let namespace = match (kind.namespaced, manifest.namespace()) {
            (false, _) => "",
            (true, "") => "default",
            (true, namespace) => namespace,
        };
        let collection = format!("{}?fieldManager=setup", kind.collection(namespace));
        stage.client.write(Method::POST, &collection, BodyKind::Json, manifest.object()).await?;
        if gvk.kind == "CustomResourceDefinition" {
            // Its effect is that the kind is served, which comes a moment later.
            let path = format!("{}/{}", kind.collection(namespace), manifest.name());
            until("the definition is established", || async {
                let definition = stage.client.find(&path).await?.unwrap_or_default();
                let conditions = definition.list_at(&["status", "conditions"]);
                Ok(conditions.iter().any(|condition| {
                    condition.str_at(&["type"]) == Some("Established")
                        && condition.str_at(&["status"]) == Some("True")
                }))
            })
            .await?;
        }
    }
    Ok(format!("{} objects created", manifests.len()))
}

/// As a person syncs, who lets an operation end that is under way and waits for the end of the next. Codes 0 and 1 both mean
/// that it has ended.
async fn sync(stage: &Stage<'_>, application: &str, flags: &[String]) -> Result<String> {
    loop {
        wait_until_idle(stage, application).await?;
        let mut command = stage.trueup();
        let ran = run(command.args(["app", "sync", application]).args(flags), "").await?;
        match ran.code {
            // The policy was quicker.
            Some(1) if ran.stderr.contains("already in progress") => {}
            Some(0) => return Ok("ended with 0".to_owned()),
            Some(1) => return Ok(ran.complaint()),
            _ => bail!("trueup app sync {application}: {}", ran.complaint()),
        }
    }
}

async fn wait_until_idle(stage: &Stage<'_>, application: &str) -> Result<()> {
    let path = format!("{APPLICATIONS}/{application}");
    until("the operation under way ends", || async {
        let object = stage.client.find(&path).await?.unwrap_or_default();
        let phase = object.str_at(&["status", "operationState", "phase"]);
        Ok(object.get("operation").is_none_or(Value::is_null)
            && !matches!(phase, Some("Running" | "Terminating")))
    })
    .await
}

async fn refresh(stage: &Stage<'_>, application: &str, hard: bool, faulty: bool) -> Result<String> {
    const ANNOTATION: &str = "argocd.argoproj.io/refresh";
    let path = format!("{APPLICATIONS}/{application}");
    let mut patch = Value::default();
    patch.set_at(&["metadata", "annotations", ANNOTATION], if hard { "hard" } else { "normal" }.into());
    let asked = format!("{path}?fieldManager=setup");
    stage.client.write(Method::PATCH, &asked, BodyKind::MergePatch, &patch).await?;
    if faulty {
        return Ok("asked for; a fault may be in its way".to_owned());
    }
    until("the refresh is taken up", || async {
        let object = stage.client.find(&path).await?.unwrap_or_default();
        Ok(object.at(&["metadata", "annotations", ANNOTATION]).is_none())
    })
    .await?;
    Ok("taken up".to_owned())
}

async fn client(stage: &mut Stage<'_>, step: &ClientStep) -> Result<String> {
    if stage.kinds.find(&step.target.kind).is_none() {
        stage.learn_kinds().await?;
    }
    let place = stage.kinds.place(&step.target, stage.only_namespace.as_deref())?;
    let agent = step.agent.as_deref().or(step.manager.as_deref()).unwrap_or("client");
    let client = stage.world.client(step.user.as_deref().unwrap_or("admin"))?.with_agent(agent);
    let mut path = place.path();
    if let Some(subresource) = &step.subresource {
        path = format!("{path}/{subresource}");
    }
    let mut query = String::new();
    if let Some(manager) = &step.manager {
        query = format!("?fieldManager={manager}");
    }
    let written = match &step.change {
        ClientChange::MergePatch(patch) => {
            client.write(Method::PATCH, &format!("{path}{query}"), BodyKind::MergePatch, patch).await?
        }
        ClientChange::Apply(partial) => {
            let mut object = partial.clone();
            object.set_at(&["apiVersion"], place.kind.api_version.as_str().into());
            object.set_at(&["kind"], place.kind.kind.as_str().into());
            object.set_at(&["metadata", "name"], place.name.as_str().into());
            if !place.namespace.is_empty() {
                object.set_at(&["metadata", "namespace"], place.namespace.as_str().into());
            }
            let path = format!("{path}?fieldManager={agent}&force={}", step.force);
            client.write(Method::PATCH, &path, BodyKind::Apply, &object).await?
        }
        ClientChange::ReorderFields => {
            let Some(object) = client.find(&path).await? else { bail!("{path} is not there") };
            let body = Some((BodyKind::Json, backwards(&object).into()));
            let reply = client.send(Method::PUT, &format!("{path}{query}"), body).await?;
            if reply.code >= 400 {
                bail!("PUT {path}: {}", reply.complaint());
            }
            reply.value()?
        }
    };
    let version = written.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
    Ok(format!("written as version {version}"))
}

/// JSON with the keys of every map in reverse order.
fn backwards(value: &Value) -> String {
    match value {
        Value::Map(map) => {
            let entries = map.iter().rev();
            let entries =
                entries.map(|(key, value)| format!("{}:{}", Value::from(key).to_json(), backwards(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::List(items) => {
            format!("[{}]", items.iter().map(backwards).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.to_json(),
    }
}

fn commit(stage: &Stage<'_>, message: &str, edits: &[(String, Edit)]) -> Result<String> {
    for (path, edit) in edits {
        let file = stage.repository.work().join(path);
        match edit {
            Edit::Content(content) => {
                if let Some(parent) = file.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                std::fs::write(&file, content).with_context(|| format!("write {path}"))?;
            }
            Edit::Delete => std::fs::remove_file(&file).with_context(|| format!("delete {path}"))?,
            Edit::Replace { old, new } => {
                let text = std::fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
                let n_found = text.matches(old.as_str()).count();
                if n_found != 1 {
                    bail!("{path}: {old:?} occurs {n_found} times, not once");
                }
                std::fs::write(&file, text.replacen(old.as_str(), new, 1))?;
            }
        }
    }
    stage.repository.commit(message)?;
    Ok("pushed".to_owned())
}
