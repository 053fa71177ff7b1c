//! What this user's own syncs without a controller remember: the base of each object, so that later looks tell who moved.
//!
//! Each Application has a ledger of its own, named after its uid: names repeat between clusters. What somebody else has
//! synced since is forgotten: the entry of our field manager then has another time.

use std::collections::BTreeMap;

use trueup_cluster::Cluster;
use trueup_engine::app::App;
use trueup_engine::difference::Channel;
use trueup_engine::live::{Live, LiveSet};
use trueup_engine::look::{ObjectComparison, Presence};
use trueup_engine::memory::{Memory, MemoryContext, remember};
use trueup_ledger::{Circumstances, Ledger, LedgerError, Write};
use trueup_object::{FieldManager, ManagedFields, ManagedOperation, ResourceKey, Text, Timestamp};

use crate::arguments::Globals;
use crate::output;
use crate::scene::{RUN_KEY, Scene, Seen};

/// The file that says that there is a ledger.
const LEDGER_FILE: &str = "ledger.db";

/// What is remembered, and the key of its digests.
pub struct Remembered {
    objects: BTreeMap<ResourceKey, Memory>,
    pub key: [u8; 32],
}

/// Loads what is remembered of an application. Where it cannot be read nothing is, and that is said.
pub async fn load(globals: &Globals, app: &App) -> Remembered {
    let nothing = Remembered { objects: BTreeMap::new(), key: RUN_KEY };
    let folder = globals.ledger_dir(&app.uid);
    if !folder.join(LEDGER_FILE).exists() {
        return nothing;
    }
    match read(&folder, app).await {
        Ok(remembered) => remembered,
        Err(error) => {
            output::tell(&format!(
                "note: what is remembered of earlier syncs is not used: failed to {error}"
            ));
            nothing
        }
    }
}

async fn read(folder: &std::path::Path, app: &App) -> Result<Remembered, LedgerError> {
    let ledger = Ledger::open(folder).await?;
    let objects = ledger.memory(&app.key).await?.objects;
    let key = *ledger.key().as_bytes();
    ledger.close().await;
    Ok(Remembered { objects, key })
}

impl Remembered {
    /// What still stands: nobody has applied as our manager since.
    pub fn fresh(&self, live: &LiveSet) -> BTreeMap<ResourceKey, Memory> {
        let stands = |key: &ResourceKey, memory: &Memory| {
            let applied = live.objects.get(key).and_then(applied_at);
            applied.is_some() && applied == memory.synced_at
        };
        let fresh = self.objects.iter().filter(|(key, memory)| stands(key, memory));
        fresh.map(|(key, memory)| (key.clone(), memory.clone())).collect()
    }
}

/// When our manager last changed an object by applying, on the server's clock.
fn applied_at(live: &Live) -> Option<Timestamp> {
    let entries = ManagedFields::of(&live.object).entries;
    let ours = entries.iter().find(|entry| {
        entry.manager.as_str() == FieldManager::TRUEUP && entry.operation == ManagedOperation::Apply
    });
    ours?.time
}

/// Remembers the objects that are as Git wants them after a sync, and forgets those that are gone.
pub async fn keep(ledger: &Ledger, scene: &Scene, seen: &Seen) -> Result<(), LedgerError> {
    let earlier = ledger.memory(&scene.app.key).await?.objects;
    let app = &scene.app.key;
    let mut writes = Vec::new();
    for object in seen.comparison.objects.iter().filter(|object| is_settled(object)) {
        let target = scene.targets.targets.get(&object.key);
        let (Some(target), Some(live)) = (target, seen.live.objects.get(&object.key)) else { continue };
        let Some(now) = applied_at(live) else { continue };
        let context = MemoryContext {
            schemas: scene.schemas(),
            secrecy: scene.settings.secrecy(ledger.key().as_bytes()),
            now,
        };
        let memory = remember(&context, target, live, object, earlier.get(&object.key));
        writes.push(Write::Memory {
            app: app.clone(),
            object: object.key.clone(),
            memory,
            circumstances: circumstances(scene, &scene.cluster),
        });
    }
    let gone = earlier.keys().filter(|key| seen.comparison.object(key).is_none());
    writes.extend(gone.map(|key| Write::ForgetObject { app: app.clone(), object: key.clone() }));
    ledger.write(writes).await.map(|_| ())
}

fn is_settled(object: &ObjectComparison) -> bool {
    let differs =
        object.differences.iter().any(|it| matches!(it.channel, Channel::Declared | Channel::Existence));
    object.presence == Presence::Matched && object.problem.is_none() && !differs
}

fn circumstances(scene: &Scene, cluster: &Cluster) -> Circumstances {
    let version = cluster.discovery().map(|known| Text::from(known.server_version.as_str()));
    Circumstances {
        revision: Some(Text::from(scene.revision.as_str())),
        context: version.unwrap_or_default(),
    }
}
