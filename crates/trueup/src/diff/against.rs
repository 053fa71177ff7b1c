//! A folder of manifests compared with a cluster, as an application whose source it were: what a pull request would change.

use std::path::Path;
use std::sync::Arc;

use trueup_api::Application;
use trueup_cluster::{Access, Connection};
use trueup_engine::app::App;
use trueup_engine::condition::ConditionType;
use trueup_engine::desired::ResolvedRevision;
use trueup_engine::source::{
    CommitId, Interest, ReadFilter, ReadSet, RepoUrl, SkipReason, SkippedEntry, SourceFile, SourcePath,
    SourceTree, TreeId,
};
use trueup_object::Text;

use super::{DiffArguments, Document, of_any_revision, rules};
use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;
use crate::scene::{Scene, Sources, render_failure, understand};
use crate::version::VERSION;

/// What is not looked for where no Application tells what belongs together.
const NO_EXTRANEOUS: &str = "Objects that only the cluster has are not looked for: --app names the Application that they would belong to.";

/// Renders the folder, looks at the cluster of the context and shows what differs.
pub async fn run(
    arguments: &DiffArguments,
    globals: &Globals,
    folder: &Path,
    context: &str,
    persona: Persona,
) -> Result<Ending, Failure> {
    let access = Access::Kubeconfig { file: globals.kubeconfig.clone(), context: Some(context.to_owned()) };
    let connection = Connection::open(&access, VERSION).await?;
    let home = Home { access, connection };
    let (application, app) = subject(arguments, &home).await?;
    let sources = render_folder(folder, &app)?;
    let report = match arguments.app {
        Some(_) => home.report(&app.key).await.map(of_any_revision),
        None => None,
    };
    let mut scene = Scene::with(&home, globals, &application, app, sources).await?;
    scene.is_alone = report.is_none();
    let mut seen = scene.look().await;
    let mut remark = None;
    if arguments.app.is_none() {
        // Whoever tracks the objects now is who the folder is for.
        seen.comparison.conditions.retain(|condition| condition.kind != ConditionType::SharedResourceWarning);
        remark = Some(NO_EXTRANEOUS);
    }
    let view = seen.view(&scene);
    let document = Document::new(&view, report.as_ref(), arguments.form.extent());
    arguments.form.show(&document, &view, &format!("Git ({})", folder.display()), remark, persona)?;
    if arguments.ignore.is_some() {
        rules::tell(view.comparison);
    }
    for gvk in seen.live.unserved(view.targets) {
        output::tell(&format!(
            "note: the cluster does not serve {gvk}: its objects are missing until its definition is installed"
        ));
    }
    arguments.form.tell_of_notes(&document);
    Ok(arguments.form.ending(document.status))
}

/// The Application whose source the folder stands for; without a name one that has nothing but a namespace.
async fn subject(arguments: &DiffArguments, home: &Home) -> Result<(Application, App), Failure> {
    let (application, mut app) = match &arguments.app {
        Some(name) => understand(home.application(&arguments.within.key(name)?).await?)?,
        None => {
            let (application, mut app) = rules::application(arguments)?;
            // Nothing in a cluster carries this mark.
            app.instance = Text::default();
            app.destination.namespace = Text::from(home.connection.namespace.as_str());
            (application, app)
        }
    };
    if let Some(namespace) = &arguments.namespace {
        app.destination.namespace = Text::from(namespace.as_str());
    }
    if arguments.directory_recurse {
        app.sources.iter_mut().for_each(|source| source.directory.recurse = true);
    }
    if let [_, _, ..] = app.sources.as_slice() {
        return Err(Failure::unknown(format!(
            "{} has several sources, and a folder stands for one",
            app.key
        ))
        .hint("compare without --app, or use `trueup app diff --revision BRANCH`"));
    }
    Ok((application, app))
}

/// The folder as the source of an application, whose own options for directories hold.
pub fn render_folder(folder: &Path, app: &App) -> Result<Sources, Failure> {
    if let [_, _, ..] = app.sources.as_slice() {
        return Err(Failure::unknown(format!(
            "{} has several sources, and a folder stands for one",
            app.key
        ))
        .hint("use `trueup app diff --revision BRANCH`"));
    }
    let directory = app.sources.first().map(|source| source.directory.clone()).unwrap_or_default();
    let filter = trueup_render::read_filter(&directory).map_err(render_failure)?;
    let tree = Reader { root: folder, filter: &filter, tree: empty_tree()?, bytes: 0 }.read()?;
    let rendering = trueup_render::render(&tree, &directory, &app.key.name).map_err(render_failure)?;
    let (rendered, unsupported) = rendering.into_rendered(ResolvedRevision { id: tree.commit, facts: None });
    Ok(Sources { sources: vec![rendered], unsupported })
}

/// A folder has no commit and belongs to no repository.
fn empty_tree() -> Result<SourceTree, Failure> {
    Ok(SourceTree {
        repo: RepoUrl::parse("file:///").map_err(|error| Failure::ours(error.to_string()))?,
        commit: CommitId::from_bytes([0; 20]),
        path: SourcePath::default(),
        tree: TreeId::from_bytes([0; 20]),
        root_names: Vec::new(),
        files: Vec::new(),
        named: Vec::new(),
        skipped: Vec::new(),
        read_set: ReadSet::default(),
    })
}

struct Reader<'a> {
    root: &'a Path,
    filter: &'a ReadFilter,
    tree: SourceTree,
    bytes: u64,
}

impl Reader<'_> {
    fn read(mut self) -> Result<SourceTree, Failure> {
        self.folder("")?;
        Ok(self.tree)
    }

    /// Reads what is wanted of a folder, names sorted.
    fn folder(&mut self, below: &str) -> Result<(), Failure> {
        let folder = self.root.join(below);
        let failed = |error: std::io::Error| {
            Failure::user(format!("failed to read {}: {error}", folder.display()))
                .hint("name a folder of manifests")
        };
        let entries: Result<Vec<_>, _> = std::fs::read_dir(&folder).map_err(failed)?.collect();
        let mut entries = entries.map_err(failed)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if below.is_empty() {
                self.tree.root_names.push(Text::from(name.as_str()));
            }
            if entry.file_type().map_err(failed)?.is_dir() {
                if self.filter.recurse && name != ".git" {
                    self.folder(&path)?;
                }
                continue;
            }
            self.file(&path)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<(), Failure> {
        match (self.filter.interest)(path) {
            Interest::Nothing => return Ok(()),
            Interest::Name => {
                self.tree.named.push(Text::from(path));
                return Ok(());
            }
            Interest::Content => {}
        }
        let file = self.root.join(path);
        let skip = |reason| SkippedEntry { path: Text::from(path), reason };
        let bytes = match std::fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => {
                self.tree.skipped.push(skip(SkipReason::LinkNotAFile { target: Text::from(path) }));
                return Ok(());
            }
            Err(_) => {
                self.tree.skipped.push(skip(SkipReason::LinkBroken { target: Text::from(path) }));
                return Ok(());
            }
        };
        self.bytes += bytes;
        if self.bytes > self.filter.bytes_max {
            return Err(Failure::user(format!(
                "the manifests in {} are larger than {} MiB together",
                self.root.display(),
                self.filter.bytes_max >> 20
            ))
            .hint("name a folder further below"));
        }
        let bytes = std::fs::read(&file)
            .map_err(|error| Failure::user(format!("failed to read {}: {error}", file.display())))?;
        self.tree.files.push(SourceFile { path: Text::from(path), bytes: Arc::from(bytes) });
        Ok(())
    }
}
