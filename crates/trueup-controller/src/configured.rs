//! The settings in the ConfigMaps `argocd-cm` and `trueup-settings`, as their own watches last showed them.
//!
//! Each is watched by its name alone, so that no right on other ConfigMaps is needed. Until both were read once nothing is
//! compared: what is to be ignored is not known before. One that may not be read is as good as empty, and said; where it could
//! be read before, what it said last stands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trueup_cluster::path::with_query;
use trueup_cluster::status::ApiStatus;
use trueup_cluster::wire::{Wire, WireError};
use trueup_engine::settings::{ARGOCD, ConfigData, Settings, TRUEUP, data};
use trueup_engine::tracking::Tracking;
use trueup_lua::{Library, LuaRules, Pool};
use trueup_object::Value;

use crate::installation::Installation;
use crate::mailbox::Depth;

/// How long the server keeps a watch open; it is then opened anew where it ended.
const WATCH_SECONDS: u64 = 290;
/// A watch on which nothing comes for longer is dead.
const WATCH_IDLE: Duration = Duration::from_secs(310);
/// The wait after a failure, doubled up to the maximum.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// What the ConfigMaps say now.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    seen: Arc<Mutex<Seen>>,
    /// The scripts that this process was given.
    files: Arc<Library>,
    pool: Arc<Pool>,
}

#[derive(Debug, Default)]
struct Seen {
    argocd: Option<Read>,
    trueup: Option<Read>,
    settings: Option<Arc<Settings>>,
    /// How objects are marked: asked for with every event.
    tracking: Arc<Tracking>,
    /// Made of the settings and of the files.
    scripts: LuaRules,
    failure: Option<String>,
}

/// What a ConfigMap has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    Settings,
    /// The settings, and how objects are marked.
    Tracking,
}

/// One ConfigMap, or why it may not be read.
#[derive(Debug, Clone, PartialEq)]
enum Read {
    Data(ConfigData),
    Forbidden(String),
}

impl Configured {
    /// With the scripts of a folder.
    pub fn new(files: Library) -> Self {
        Self { files: Arc::new(files), ..Self::default() }
    }

    /// The scripts that judge objects, once both ConfigMaps were read.
    pub fn scripts(&self) -> LuaRules {
        self.seen().scripts.clone()
    }

    /// The settings, once both ConfigMaps were read.
    pub fn settings(&self) -> Option<Arc<Settings>> {
        self.seen().settings.clone()
    }

    /// How objects are marked, as far as is known.
    pub fn tracking(&self) -> Arc<Tracking> {
        self.seen().tracking.clone()
    }

    /// Why they are not known yet, where reading them failed.
    pub fn failure(&self) -> Option<String> {
        self.seen().failure.clone()
    }

    fn fail(&self, why: String) {
        self.seen().failure = Some(why);
    }

    /// Takes note of a ConfigMap; says what is another now.
    fn note(&self, name: &'static str, read: Read) -> News {
        let mut seen = self.seen();
        let slot = if name == ARGOCD { &mut seen.argocd } else { &mut seen.trueup };
        if let (Some(Read::Data(_)), Read::Forbidden(why)) = (&*slot, &read) {
            // Without its ignore rules, what people keep in the cluster on purpose would be healed away.
            tracing::debug!(config_map = name, %why, "the settings may not be read any more; what they said last stands");
            return News::Nothing;
        }
        *slot = Some(read);
        let (Some(argocd), Some(trueup)) = (&seen.argocd, &seen.trueup) else { return News::Nothing };
        let settings = together(argocd, trueup);
        if seen.settings.as_deref() == Some(&settings) {
            return News::Nothing;
        }
        for problem in &settings.problems {
            tracing::warn!(%problem, "a setting is not honoured");
        }
        let (library, problems) = Library::of_settings(&settings);
        for problem in problems {
            tracing::warn!(%problem, "actions of the settings are left out");
        }
        seen.scripts = LuaRules::new(library.with_files_of(&self.files), self.pool.clone());
        let news = if *seen.tracking == settings.tracking { News::Settings } else { News::Tracking };
        seen.tracking = Arc::new(settings.tracking.clone());
        seen.settings = Some(Arc::new(settings));
        news
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn together(argocd: &Read, trueup: &Read) -> Settings {
    let empty = ConfigData::new();
    let data = |read: &Read| match read {
        Read::Data(data) => Some(data.clone()),
        Read::Forbidden(_) => None,
    };
    let mut settings =
        Settings::read(data(argocd).as_ref().unwrap_or(&empty), data(trueup).as_ref().unwrap_or(&empty));
    for (name, read) in [(ARGOCD, argocd), (TRUEUP, trueup)] {
        if let Read::Forbidden(why) = read {
            settings.note_unreadable(name, why);
        }
    }
    settings
}

/// Follows both ConfigMaps until dropped; every application is looked at anew when they say something else.
pub async fn follow(wire: Wire, namespace: String, installation: Arc<Installation>) {
    let one = |name| follow_one(&wire, &namespace, name, &installation);
    tokio::join!(one(ARGOCD), one(TRUEUP));
}

async fn follow_one(wire: &Wire, namespace: &str, name: &'static str, installation: &Installation) {
    let configured = &installation.configured;
    let note = |read: Read| match configured.note(name, read) {
        News::Nothing => {}
        News::Settings => installation.staff.wake_all(Depth::Live),
        News::Tracking => {
            // What carries no mark was kept without its content, and what had one may have none now.
            installation.sites.list_anew();
            installation.staff.wake_all(Depth::Live);
        }
    };
    let mut wait = RETRY_FIRST;
    loop {
        let begun = Instant::now();
        let Err(error) = watch(wire, namespace, name, &note).await else {
            // A server that ends every watch at once is not asked without a pause.
            if begun.elapsed() < RETRY_MAX {
                sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            } else {
                wait = RETRY_FIRST;
            }
            continue;
        };
        let forbidden = error.status().is_some_and(|status| status.code == 403);
        if forbidden {
            note(Read::Forbidden(error.to_string()));
        } else {
            configured.fail(format!("failed to read the settings in {name}: {error}"));
        }
        tracing::debug!(config_map = name, %error, "watching the settings failed; trying again");
        sleep(error.retry_after().unwrap_or(wait)).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

/// Reads a ConfigMap and follows it to the end of one watch. The watch is opened first, so that nothing is missed; what it
/// shows of before is shown again by the reading.
async fn watch(wire: &Wire, namespace: &str, name: &str, note: &impl Fn(Read)) -> Result<(), WireError> {
    let (field, seconds) = (format!("metadata.name={name}"), WATCH_SECONDS.to_string());
    let query = [("watch", "true"), ("fieldSelector", field.as_str()), ("timeoutSeconds", seconds.as_str())];
    let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
    let lines = wire.watch(&with_query(&collection, &query)).await;
    match wire.get(&format!("{collection}/{name}")).await {
        Ok(answer) => note(Read::Data(data(&parse(&answer.body)?))),
        Err(error) if error.is_not_found() => note(Read::Data(ConfigData::new())),
        Err(error) => return Err(error),
    }
    // A watch that is refused keeps nobody from what the reading said.
    let mut lines = lines?;
    while let Some(line) = lines.next(WATCH_IDLE).await? {
        let event = parse(&line)?;
        let object = event.get("object").cloned().unwrap_or_default();
        match event.str_at(&["type"]) {
            Some("ADDED" | "MODIFIED") => note(Read::Data(data(&object))),
            Some("DELETED") => note(Read::Data(ConfigData::new())),
            _ => return Err(WireError::Refused(Box::new(ApiStatus::of(&object, 410)))),
        }
    }
    Ok(())
}

fn parse(body: &[u8]) -> Result<Value, WireError> {
    Value::from_json(body).map_err(|error| WireError::Unreadable { message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Read {
        Read::Data(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn settings_are_known_once_both_were_read() {
        let configured = Configured::default();
        assert_eq!(configured.note(ARGOCD, read(&[])), News::Nothing);
        assert!(configured.settings().is_none());
        assert_eq!(configured.note(TRUEUP, read(&[("undeclared", "note")])), News::Settings);
        assert!(configured.settings().is_some_and(|settings| settings.undeclared.is_some()));
    }

    #[test]
    fn the_same_again_is_no_news() {
        let configured = Configured::default();
        configured.note(ARGOCD, read(&[]));
        assert_eq!(configured.note(TRUEUP, read(&[])), News::Settings);
        assert_eq!(configured.note(TRUEUP, read(&[])), News::Nothing);
    }

    #[test]
    fn what_may_not_be_read_is_said() {
        let configured = Configured::default();
        configured.note(ARGOCD, Read::Forbidden("no".to_owned()));
        assert_eq!(configured.note(TRUEUP, read(&[])), News::Settings);
        assert!(configured.settings().is_some_and(|settings| settings.problems.len() == 1));
    }

    #[test]
    fn a_right_that_is_withdrawn_takes_no_settings_away() {
        let configured = Configured::default();
        configured.note(ARGOCD, read(&[]));
        configured.note(TRUEUP, read(&[("undeclared", "note")]));
        assert_eq!(configured.note(TRUEUP, Read::Forbidden("no".to_owned())), News::Nothing);
        assert!(
            configured
                .settings()
                .is_some_and(|settings| settings.undeclared.is_some() && settings.problems.is_empty())
        );
    }
}
