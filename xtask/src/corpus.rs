//! `cargo xtask corpus`: manifests in the shape of well-known charts and operators on a real control plane with all its
//! controllers, which must show no drift without any ignore rule; then edits by hand, of which every one must be found, and
//! nothing else.
//!
//! A shape (`corpus/shapes/NAME.yaml`) is a set of manifests with choices in it; `NAME.edits.yaml` lists edits and the
//! differences that they are, none for one that is an action or makes something of its own. Each instance of a shape becomes an Application, and all of them one story, which the story
//! runner plays with the real program. The same seed makes the same corpus.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use trueup_object::{Map, Value, yaml::read_documents};
use trueup_testkit::controlplane;

use crate::story;
use trueup_dice::Dice;

/// In the order in which instances are made, so that a small corpus has operators too.
const SHAPES: [Shape; 8] = [
    Shape {
        name: "web-service",
        manifests: include_str!("corpus/shapes/web-service.yaml"),
        edits: include_str!("corpus/shapes/web-service.edits.yaml"),
        rest: &["rollout status deployment/NAME --timeout=90s"],
        operators: false,
    },
    Shape {
        name: "certificates",
        manifests: include_str!("corpus/shapes/certificates.yaml"),
        edits: include_str!("corpus/shapes/certificates.edits.yaml"),
        rest: &[
            "wait certificate/NAME-ca certificate/NAME certificate/NAME-tls --for=condition=Ready --timeout=90s",
            "wait validatingwebhookconfiguration/NAME mutatingwebhookconfiguration/NAME --for=jsonpath={.webhooks[0].clientConfig.caBundle} --timeout=90s",
            "wait crd/gizmos.NAME.example.org --for=jsonpath={.spec.conversion.webhook.clientConfig.caBundle} --timeout=90s",
            "wait apiservice/v1.gizmos.NAME.example.org --for=jsonpath={.spec.caBundle} --timeout=90s",
        ],
        operators: true,
    },
    Shape {
        name: "database",
        manifests: include_str!("corpus/shapes/database.yaml"),
        edits: include_str!("corpus/shapes/database.edits.yaml"),
        rest: &[],
        operators: false,
    },
    Shape {
        name: "rollout",
        manifests: include_str!("corpus/shapes/rollout.yaml"),
        edits: include_str!("corpus/shapes/rollout.edits.yaml"),
        rest: &[
            "wait rollout/NAME rollout/NAME-bluegreen rollout/NAME-ref --for=jsonpath={.status.phase}=Healthy --timeout=90s",
            "wait service/NAME-stable service/NAME-canary service/NAME-active service/NAME-preview --for=jsonpath={.spec.selector.rollouts-pod-template-hash} --timeout=90s",
        ],
        operators: true,
    },
    Shape {
        name: "agent",
        manifests: include_str!("corpus/shapes/agent.yaml"),
        edits: include_str!("corpus/shapes/agent.edits.yaml"),
        rest: &[],
        operators: false,
    },
    Shape {
        name: "operator",
        manifests: include_str!("corpus/shapes/operator.yaml"),
        edits: include_str!("corpus/shapes/operator.edits.yaml"),
        rest: &["rollout status deployment/NAME --timeout=90s"],
        operators: false,
    },
    Shape {
        name: "autoscaled",
        manifests: include_str!("corpus/shapes/autoscaled.yaml"),
        edits: include_str!("corpus/shapes/autoscaled.edits.yaml"),
        rest: &[
            "rollout status deployment/NAME --timeout=90s",
            "rollout status deployment/NAME-old --timeout=90s",
        ],
        operators: false,
    },
    Shape {
        name: "full",
        manifests: include_str!("corpus/shapes/full.yaml"),
        edits: include_str!("corpus/shapes/full.edits.yaml"),
        rest: &[],
        operators: false,
    },
];

struct Shape {
    name: &'static str,
    manifests: &'static str,
    edits: &'static str,
    /// The kubectl commands that wait until everything has come to rest.
    rest: &'static [&'static str],
    /// Needs operators at work.
    operators: bool,
}

#[derive(Args)]
pub struct Options {
    /// At least so many manifests
    #[arg(long, default_value_t = 300)]
    manifests: usize,
    /// So many edits by hand that make something differ, where the manifests have so many
    #[arg(long, default_value_t = 200)]
    edits: usize,
    /// The same seed makes the same corpus
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only shapes of this name
    #[arg(long, value_name = "NAME")]
    shape: Option<String>,
    /// The program under test; built from this workspace where none is given
    #[arg(long, value_name = "PROGRAM")]
    trueup: Option<PathBuf>,
    /// Write the story to this folder and do not play it
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

/// One application of the corpus.
struct Instance {
    name: String,
    manifests: String,
    n_manifests: usize,
    rest: Vec<String>,
    edits: Vec<Value>,
    operators: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let mut instances = instances(options)?;
    if instances.iter().any(|instance| instance.operators) {
        instances.push(definitions()?);
    }
    let n_manifests: usize = instances.iter().map(|instance| instance.n_manifests).sum();
    let n_edits: usize = instances.iter().map(|instance| instance.edits.len()).sum();
    let n_differing: usize = instances.iter().map(Instance::n_differing).sum();
    let told = format!(
        "{} applications, {n_manifests} manifests, {n_differing} edits that make something differ, {} that do not",
        instances.len(),
        n_edits - n_differing
    );
    if let Some(folder) = &options.write {
        write(folder, &instances)?;
        println!("{told} in {}", folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let stories = folder.path().join("corpus");
    write(&stories, &instances)?;
    println!("corpus of seed {}: {told}", options.seed);
    story::run(&story::Options::in_cluster(stories, options.trueup.clone()))
}

fn instances(options: &Options) -> Result<Vec<Instance>> {
    let chosen = |shape: &&Shape| options.shape.as_deref().is_none_or(|name| name == shape.name);
    let shapes: Vec<&Shape> = SHAPES.iter().filter(chosen).collect();
    if shapes.is_empty() {
        bail!("no shape has this name");
    }
    let mut made = Vec::new();
    let mut n_manifests = 0;
    while n_manifests < options.manifests {
        let shape = shapes[made.len() % shapes.len()];
        let mut dice = Dice::of(options.seed, made.len());
        let instance = shape.instance(made.len() / shapes.len(), &mut dice)?;
        n_manifests += instance.n_manifests;
        made.push(instance);
    }
    // Edits are taken in turn, so that a small number still has some of each shape.
    let mut left = options.edits;
    let longest = made.iter().map(|instance| instance.edits.len()).max().unwrap_or_default();
    let mut kept = vec![0; made.len()];
    for round in 1..=longest {
        for (instance, kept) in made.iter().zip(&mut kept) {
            if let Some(edit) = instance.edits.get(round - 1).filter(|_| left > 0) {
                *kept = round;
                left -= usize::from(differs(edit));
            }
        }
    }
    for (instance, kept) in made.iter_mut().zip(kept) {
        instance.edits.truncate(kept);
    }
    Ok(made)
}

/// The operators' own custom resource definitions: what they are served from is under GitOps too.
fn definitions() -> Result<Instance> {
    let built = controlplane::operators(&mut |line| println!("{line}"))?;
    let manifests = fs::read_to_string(&built.definitions)
        .with_context(|| format!("read {}", built.definitions.display()))?;
    let n_manifests = read_documents(manifests.as_bytes()).len();
    let name = "definitions".to_owned();
    Ok(Instance { name, manifests, n_manifests, rest: Vec::new(), edits: Vec::new(), operators: true })
}

/// Whether an edit makes something differ: others are actions, or make something of their own.
fn differs(edit: &Value) -> bool {
    !edit.list_at(&["drifts"]).is_empty()
}

impl Instance {
    fn n_differing(&self) -> usize {
        self.edits.iter().filter(|edit| differs(edit)).count()
    }
}

impl Shape {
    fn instance(&self, number: usize, dice: &mut Dice) -> Result<Instance> {
        let name = format!("{}-{number}", self.name);
        let fill = |text: &str| text.replace("NAME", &name).replace("NS", &namespace(&name));
        let manifests = chosen(&fill(self.manifests), dice);
        let mut n_manifests = 0;
        for document in read_documents(manifests.as_bytes()) {
            document.with_context(|| format!("read the manifests of {name}"))?;
            n_manifests += 1;
        }
        let edits =
            Value::from_yaml(fill(self.edits).as_bytes()).with_context(|| format!("edits of {name}"))?;
        let mut edits = edits.as_list().unwrap_or_default().to_vec();
        shuffle(&mut edits, dice);
        let rest = self.rest.iter().map(|command| fill(command)).collect();
        Ok(Instance { name, manifests, n_manifests, rest, edits, operators: self.operators })
    }
}

fn namespace(name: &str) -> String {
    format!("corpus-{name}")
}

/// Takes one of the words in each `${a|b}`.
fn chosen(text: &str, dice: &mut Dice) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((choice, tail)) = after.split_once('}') else { break };
        let words: Vec<&str> = choice.split('|').collect();
        out += before;
        out += words[dice.below(words.len())];
        rest = tail;
    }
    out + rest
}

fn shuffle(edits: &mut [Value], dice: &mut Dice) {
    for position in (1..edits.len()).rev() {
        edits.swap(position, dice.below(position + 1));
    }
}

/// Writes the story and its repository.
fn write(folder: &Path, instances: &[Instance]) -> Result<()> {
    let mut applications = Map::new();
    let mut steps = Vec::new();
    for instance in instances {
        let home = folder.join("git/apps").join(&instance.name);
        fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
        fs::write(home.join("all.yaml"), &instance.manifests)?;
        let mut application = Value::default();
        application.set_at(&["namespace"], namespace(&instance.name).into());
        application.set_at(&["spec", "syncPolicy", "automated"], Value::Map(Map::new()));
        applications.insert(instance.name.as_str(), application);
    }
    for instance in instances {
        steps.push(expectation(&instance.name, "Synced", Vec::new()));
        let namespace = namespace(&instance.name);
        for command in &instance.rest {
            steps.push(step("kubectl", format!("{command} -n {namespace}").into()));
        }
    }
    // Everything has come to rest: what the controllers write by themselves is there.
    steps.extend(instances.iter().map(|instance| expectation(&instance.name, "Synced", Vec::new())));
    for instance in instances.iter().filter(|instance| !instance.edits.is_empty()) {
        let mut drifts = Vec::new();
        for edit in &instance.edits {
            let commands = edit.get("kubectl").cloned().unwrap_or_default();
            match commands {
                Value::List(commands) => {
                    steps.extend(commands.iter().map(|command| step("kubectl", command.clone())));
                }
                command => steps.push(step("kubectl", command)),
            }
            drifts.extend(edit.list_at(&["drifts"]).iter().cloned());
        }
        steps.push(expectation(&instance.name, "OutOfSync", drifts));
    }
    let mut story = Value::default();
    story.set_at(&["name"], "corpus".into());
    story.set_at(&["about"], "Charts and operators show no drift; every edit by hand is found.".into());
    story.set_at(&["world"], "cluster".into());
    story.set_at(&["operators"], instances.iter().any(|instance| instance.operators).into());
    story.set_at(&["applications"], applications.into());
    story.set_at(&["steps"], steps.into());
    fs::write(folder.join("story.yaml"), story.to_json_pretty())?;
    Ok(())
}

fn step(word: &str, argument: Value) -> Value {
    Value::Map(Map::from_iter([(word, argument)]))
}

fn expectation(application: &str, sync: &str, drifts: Vec<Value>) -> Value {
    let mut expected = Value::default();
    expected.set_at(&["application"], application.into());
    expected.set_at(&["sync"], sync.into());
    expected.set_at(&["drifts"], drifts.into());
    step("expect", expected)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn options(manifests: usize, edits: usize) -> Options {
        Options { manifests, edits, seed: 1, shape: None, trueup: None, write: None }
    }

    #[test]
    fn the_full_corpus_has_what_it_promises() {
        let made = instances(&options(300, 200)).unwrap();
        assert!(made.iter().map(|instance| instance.n_manifests).sum::<usize>() >= 300);
        assert_eq!(made.iter().map(Instance::n_differing).sum::<usize>(), 200);
        for instance in &made {
            assert!(!instance.manifests.contains("${") && !instance.manifests.contains("NAME"));
        }
    }

    #[test]
    fn a_choice_is_made_once_for_each_place() {
        let mut dice = Dice::of(1, 1);
        let text = chosen("a ${x|x} b ${y}", &mut dice);
        assert_eq!(text, "a x b y");
    }
}
