//! B1: one thread compares applications from bytes, by the controller's own look.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use trueup_engine::app::FirstSeen;
use trueup_engine::autoscaler::Autoscalers;
use trueup_engine::confirm::Answers;
use trueup_engine::desired::TargetSet;
use trueup_engine::live::{KindCoverage, Live, LiveSet};
use trueup_engine::look::{Comparison, LookInput, look};
use trueup_engine::memory::{Memory, MemoryContext, restore};
use trueup_engine::settings::Settings;
use trueup_engine::status::SyncStatus;
use trueup_health::HealthRules;
use trueup_merge::{Layered, SchemaSet};
use trueup_object::{FieldManager, ResourceKey, Value};

use crate::kinds::schemas;
use crate::pairs::{Application, Edit, now, targets};

/// What a pair is read from before it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The target from the repository's YAML: a commit, or a start.
    Yaml,
    /// The target from the JSON that a worker keeps of it: every other look.
    Json,
    /// That, and the base of the last sync beside it: every look of the controller after a first sync.
    JsonWithBase,
    /// Target, live object and base are parsed already: what comparing itself takes.
    Parsed,
}

impl From {
    pub const ALL: [Self; 4] = [Self::Yaml, Self::Json, Self::JsonWithBase, Self::Parsed];

    pub fn words(self) -> &'static str {
        match self {
            Self::Yaml => "target YAML, live JSON",
            Self::Json => "target JSON, live JSON",
            Self::JsonWithBase => "target, live and base JSON",
            Self::Parsed => "all three parsed",
        }
    }
}

/// Applications that are ready to be compared.
pub struct Fleet {
    schemas: SchemaSet,
    settings: Settings,
    applications: Vec<Prepared>,
}

struct Prepared {
    source: Application,
    /// All documents of the application in one file.
    yaml: Vec<u8>,
    /// What `From::Parsed` starts with, and the identities that the controller keeps unpacked.
    parsed: Read,
    bases: Vec<Vec<u8>>,
    kept: Vec<ResourceKey>,
}

struct Read {
    targets: TargetSet,
    live: LiveSet,
    memory: BTreeMap<ResourceKey, Memory>,
}

impl Fleet {
    pub fn new(seed: u64, applications: usize) -> Result<Self> {
        let schemas = schemas();
        let made = (0..applications).map(|number| {
            Prepared::new(Application::of_number(seed, number, layered(&schemas))?, layered(&schemas))
        });
        let applications = made.collect::<Result<Vec<_>>>()?;
        Ok(Self { schemas, settings: Settings::default(), applications })
    }

    pub fn pairs(&self) -> usize {
        self.applications.iter().map(|application| application.source.pairs.len()).sum()
    }

    /// The mean size of a pair: the target's YAML, its JSON, the live JSON.
    pub fn mean_bytes(&self) -> [usize; 3] {
        let all = || self.applications.iter().flat_map(|application| &application.source.pairs);
        let sums = [
            all().map(|pair| pair.yaml.len()).sum::<usize>(),
            all().map(|pair| pair.target.len()).sum(),
            all().map(|pair| pair.live.len()).sum(),
        ];
        sums.map(|sum| sum / self.pairs().max(1))
    }

    /// How many pairs somebody has edited.
    pub fn edited(&self) -> usize {
        let pairs = self.applications.iter().flat_map(|application| &application.source.pairs);
        pairs.filter(|pair| pair.edit != Edit::Nothing).count()
    }

    /// Compares everything once. Nothing is returned: what was read and found is given back within the time.
    pub fn pass(&self, from: From) -> Result<()> {
        for application in &self.applications {
            black_box(self.look(application, from)?);
        }
        Ok(())
    }

    /// Compares everything again and again for so long, and says how many pairs a second that were.
    pub fn pairs_per_second(&self, from: From, period: Duration) -> Result<f64> {
        let start = Instant::now();
        let mut pairs = 0_u32;
        while start.elapsed() < period {
            self.pass(from)?;
            pairs += u32::try_from(self.pairs())?;
        }
        Ok(f64::from(pairs) / start.elapsed().as_secs_f64())
    }

    /// Fails unless every look says exactly what was done to each object: a bench of wrong answers measures nothing.
    pub fn check(&self) -> Result<()> {
        for from in From::ALL {
            for application in &self.applications {
                let comparison = self.look(application, from)?;
                application.check(&comparison).with_context(|| format!("with {}", from.words()))?;
            }
        }
        Ok(())
    }

    fn look(&self, application: &Prepared, from: From) -> Result<Comparison> {
        let read;
        let input = match from {
            From::Parsed => &application.parsed,
            From::Yaml | From::Json | From::JsonWithBase => {
                read = application.read(from)?;
                &read
            }
        };
        Ok(look(&LookInput {
            app: &application.source.app,
            settings: &self.settings,
            targets: &input.targets,
            live: &input.live,
            memory: &input.memory,
            autoscalers: &Autoscalers::default(),
            answers: &Answers::new(),
            last_sync: None,
            schemas: layered(&self.schemas),
            health: HealthRules::BUILTIN,
            our_manager: &FieldManager::new(FieldManager::TRUEUP),
            secret_key: &[7; 32],
            first_seen: &FirstSeen::new(),
            now: now(),
        }))
    }
}

fn layered(schemas: &SchemaSet) -> Layered<'_> {
    schemas.over(SchemaSet::builtin())
}

impl Prepared {
    fn new(source: Application, schemas: Layered<'_>) -> Result<Self> {
        let mut yaml = Vec::new();
        for pair in &source.pairs {
            yaml.extend_from_slice(b"---\n");
            yaml.extend_from_slice(&pair.yaml);
        }
        let targets = targets(&source.app, &yaml)?;
        ensure!(targets.targets.len() == source.pairs.len(), "an object was lost: {:?}", targets.conditions);
        let context = MemoryContext { schemas, secrecy: (&[7; 32]).into(), now: now() };
        // In the order of the pairs, as their names are numbers.
        let mut kept: Vec<ResourceKey> = targets.targets.keys().cloned().collect();
        kept.sort_by(|left, right| left.name.cmp(&right.name));
        let memory: BTreeMap<ResourceKey, Memory> =
            targets.targets.iter().map(|(key, target)| (key.clone(), restore(&context, target))).collect();
        let bases =
            kept.iter().filter_map(|key| Some(memory.get(key)?.base.as_ref()?.to_json().into_bytes()));
        let bases = bases.collect();
        let live = live(&source)?;
        Ok(Self { source, yaml, parsed: Read { targets, live, memory }, bases, kept })
    }

    /// Everything from its bytes, as the controller reads it before a look.
    fn read(&self, from: From) -> Result<Read> {
        let live = live(&self.source)?;
        let targets = match from {
            From::Yaml => targets(&self.source.app, &self.yaml)?,
            From::Json | From::JsonWithBase | From::Parsed => self.unpacked()?,
        };
        let memory = match from {
            From::Yaml | From::Json => BTreeMap::new(),
            From::JsonWithBase | From::Parsed => self.remembered()?,
        };
        Ok(Read { targets, live, memory })
    }

    /// The targets from their JSON; identities and origins are kept beside it.
    fn unpacked(&self) -> Result<TargetSet> {
        let TargetSet { targets, completeness, revisions, conditions, unsupported } = &self.parsed.targets;
        let mut read = BTreeMap::new();
        for (key, pair) in self.kept.iter().zip(&self.source.pairs) {
            let mut target = targets.get(key).context("every pair has a target")?.clone();
            target.object = Arc::new(Value::from_json(&pair.target)?);
            read.insert(key.clone(), target);
        }
        Ok(TargetSet {
            targets: read,
            completeness: completeness.clone(),
            revisions: revisions.clone(),
            conditions: conditions.clone(),
            unsupported: unsupported.clone(),
        })
    }

    fn remembered(&self) -> Result<BTreeMap<ResourceKey, Memory>> {
        let read = self.kept.iter().zip(&self.bases).map(|(key, base)| {
            let base = Some(Value::from_json(base)?);
            Ok((key.clone(), Memory { base, synced_at: Some(now()), ..Memory::default() }))
        });
        read.collect()
    }

    fn check(&self, comparison: &Comparison) -> Result<()> {
        for (key, pair) in self.kept.iter().zip(&self.source.pairs) {
            let object = comparison.object(key).with_context(|| format!("{key} was not compared"))?;
            let found = object.differences.len() + object.notes.len();
            let right = match pair.edit {
                Edit::Nothing => object.status == SyncStatus::Synced && found == 0,
                Edit::Changed | Edit::Removed => object.status == SyncStatus::OutOfSync && found == 1,
                Edit::Annotated | Edit::Injected => found == 1,
            };
            ensure!(
                right && object.problem.is_none(),
                "{key} was {:?}, but the look says {:?} with {:?} {:?} {:?}",
                pair.edit,
                object.status,
                object.problem,
                object.differences,
                object.notes
            );
        }
        Ok(())
    }
}

/// The live objects of an application from the bytes of each.
fn live(source: &Application) -> Result<LiveSet> {
    let mut set = LiveSet::default();
    for pair in &source.pairs {
        let live = Live::of(Value::from_json(&pair.live)?).context("a live object has an identity")?;
        set.coverage.kinds.insert(live.key.group_kind(), KindCoverage::Complete);
        set.objects.insert(live.key.clone(), live);
    }
    Ok(set)
}
