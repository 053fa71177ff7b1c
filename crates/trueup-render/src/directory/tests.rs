//! Tests of rendering plain directories.
#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_engine::source::{ReadId, RepoUrl, SkipReason, SourceFile, SourcePath};

use super::*;

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

/// A tree as the filter of the options would have read it.
fn tree(directory: &Directory, files: &[(&str, &str)]) -> SourceTree {
    let filter = read_filter(directory).unwrap();
    let id = "0123456789abcdef0123456789abcdef01234567";
    let mut read_set = ReadSet::new();
    read_set.insert("apps", ReadId::Tree(id.parse().unwrap()));
    let mut tree = SourceTree {
        repo: RepoUrl::parse("https://bot:token@example.com/acme/shop").unwrap(),
        commit: id.parse().unwrap(),
        path: SourcePath::parse("apps").unwrap(),
        tree: id.parse().unwrap(),
        root_names: Vec::new(),
        files: Vec::new(),
        named: Vec::new(),
        skipped: Vec::new(),
        read_set,
    };
    for (path, content) in files {
        match path.split_once('/') {
            None => tree.root_names.push((*path).into()),
            Some((name, _)) => tree.root_names.push(name.into()),
        }
        if path.contains('/') && !filter.recurse {
            continue;
        }
        match (filter.interest)(path) {
            Interest::Content => {
                tree.files.push(SourceFile { path: (*path).into(), bytes: content.as_bytes().into() });
            }
            Interest::Name => tree.named.push((*path).into()),
            Interest::Nothing => {}
        }
    }
    tree
}

fn rendered(directory: &Directory, files: &[(&str, &str)]) -> Result<Rendering, RenderError> {
    render(&tree(directory, files), directory, "shop")
}

fn names(rendering: &Rendering) -> Vec<&str> {
    rendering.manifests.iter().map(Manifest::name).collect()
}

#[test]
fn files_and_documents_keep_their_order() {
    let two = format!("{}---\n{}", config_map("b1"), config_map("b2"));
    let files = [
        ("a.yaml", config_map("a")),
        ("b.yml", two),
        ("c.json", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}"#.to_owned()),
        ("README.md", "# text".to_owned()),
        ("sub/d.yaml", config_map("d")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (*path, content.as_str())).collect();
    let flat = rendered(&Directory::default(), &files).unwrap();
    assert_eq!(names(&flat), ["a", "b1", "b2", "c"]);
    assert_eq!((flat.problems.len(), flat.loss()), (0, None));
    assert_eq!(flat.read_set.paths().collect::<Vec<_>>(), ["apps"]);
    let origin = &flat.manifests[2].origin;
    assert_eq!((&*origin.path, origin.document, origin.line), ("apps/b.yml", 2, 6));
    assert_eq!(&*origin.repo, "https://example.com/acme/shop");
    let deep = rendered(&Directory { recurse: true, ..Directory::default() }, &files).unwrap();
    assert_eq!(names(&deep), ["a", "b1", "b2", "c", "d"]);
}

#[test]
fn include_and_exclude_choose_files() {
    let contents: Vec<(&str, String)> = ["a.yaml", "b.yaml", "env/prod/c.yaml", "env/test/d.yaml", "e.txt"]
        .into_iter()
        .map(|path| (path, config_map(&path.replace(['/', '.'], "-"))))
        .collect();
    let files: Vec<(&str, &str)> = contents.iter().map(|(path, content)| (*path, content.as_str())).collect();
    let chosen = |include: Option<&str>, exclude: Option<&str>, any_extension: bool| {
        let directory = Directory {
            recurse: true,
            include: include.map(Into::into),
            exclude: exclude.map(Into::into),
            any_extension,
            explicit: true,
        };
        let rendering = rendered(&directory, &files).unwrap();
        rendering.manifests.iter().map(|manifest| manifest.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(chosen(None, Some("env/*"), false), ["a-yaml", "b-yaml"]);
    assert_eq!(chosen(Some("{a.yaml,env/*}"), None, false), ["a-yaml", "env-prod-c-yaml", "env-test-d-yaml"]);
    assert_eq!(chosen(Some("*"), Some("*test*"), false), ["a-yaml", "b-yaml", "env-prod-c-yaml"]);
    assert_eq!(chosen(Some(""), Some(""), false).len(), 4);
    assert_eq!(chosen(Some("e.txt"), None, true), ["e-txt"]);
    assert!(chosen(Some("e.txt"), None, false).is_empty());
}

#[test]
fn a_broken_pattern_is_told_with_its_option() {
    let directory = Directory { exclude: Some("{a".into()), ..Directory::default() };
    let error = read_filter(&directory).unwrap_err();
    assert!(error.to_string().contains("directory.exclude"), "{error}");
    assert_eq!(error.fault(), Fault::User);
}

#[test]
fn a_bad_document_loses_itself_alone() {
    let broken = format!("{}---\nkind: [\n", config_map("good"));
    let rendering =
        rendered(&Directory::default(), &[("a.yaml", &broken), ("b.yaml", &config_map("b"))]).unwrap();
    assert_eq!(names(&rendering), ["good", "b"]);
    let loss = rendering.loss().unwrap();
    assert!(loss.starts_with("apps/a.yaml:"), "{loss}");
}

#[test]
fn a_marked_file_is_left_out() {
    let marked = format!("# +argocd:skip-file-rendering\n{}", config_map("hidden"));
    let files = [
        ("a.yaml", marked.as_str()),
        ("b.yaml", &config_map("b")),
        ("c.json", "{\"+argocd:skip-file-rendering"),
    ];
    let rendering = rendered(&Directory::default(), &files).unwrap();
    assert_eq!((names(&rendering), rendering.loss()), (vec!["b"], None));
}

#[test]
fn sources_for_other_tools_are_named_and_never_rendered() {
    for (name, what) in [
        ("Chart.yaml", "a Helm chart"),
        ("my-Chart.yaml", "a Helm chart"),
        ("kustomization.yaml", "a kustomization"),
        ("kustomization.yml", "a kustomization"),
        ("Kustomization", "a kustomization"),
        (".argocd-source.yaml", "an override of the source in a file"),
        (".argocd-source-shop.yaml", "an override of the source in a file"),
    ] {
        let error = rendered(&Directory::default(), &[(name, ""), ("a.yaml", &config_map("a"))]).unwrap_err();
        let want = Unsupported { place: format!("apps/{name}"), what: what.to_owned() };
        assert_eq!(error, RenderError::Unsupported(want));
        assert!(error.to_string().contains(name), "{error}");
    }
    // Hidden from the manifests, and still there.
    let directory = Directory { exclude: Some("Chart.yaml".into()), ..Directory::default() };
    assert!(rendered(&directory, &[("Chart.yaml", "")]).is_err());
}

#[test]
fn an_explicit_directory_is_one_whatever_it_holds() {
    let directory = Directory { explicit: true, exclude: Some("Chart.yaml".into()), ..Directory::default() };
    let files = [("Chart.yaml", "name: x"), ("a.yaml", &config_map("a"))];
    assert_eq!(names(&rendered(&directory, &files).unwrap()), ["a"]);
    assert!(rendered(&directory, &[(".argocd-source.yaml", "")]).is_err());
}

#[test]
fn the_override_of_another_application_is_no_manifest() {
    let files = [(".argocd-source-other.yaml", "directory: {}"), ("a.yaml", &config_map("a"))];
    let rendering = rendered(&Directory::default(), &files).unwrap();
    assert_eq!((names(&rendering), rendering.loss()), (vec!["a"], None));
}

#[test]
fn jsonnet_is_named_and_the_rest_rendered() {
    let files = [("a.yaml", config_map("a")), ("b.jsonnet", "{}".to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (*path, content.as_str())).collect();
    let rendering = rendered(&Directory::default(), &files).unwrap();
    assert_eq!(names(&rendering), ["a"]);
    assert_eq!(rendering.unsupported[0].place, "apps/b.jsonnet");
    assert!(rendering.loss().unwrap().contains("Jsonnet"));
    let revision = ResolvedRevision { id: "0".repeat(40).parse().unwrap(), facts: None };
    let (rendered, unsupported) = rendering.into_rendered(revision);
    assert_eq!(rendered.manifests.len(), 1);
    assert!(
        rendered.problems.iter().any(|problem| problem.loses && problem.message.contains("apps/b.jsonnet"))
    );
    assert_eq!(unsupported[0].what, "a Jsonnet file");
}

#[test]
fn a_skipped_entry_makes_the_source_incomplete() {
    let directory = Directory::default();
    let mut tree = tree(&directory, &[("a.yaml", &config_map("a"))]);
    let reason = SkipReason::LinkOutside { target: "/etc/passwd".into() };
    tree.skipped.push(SkippedEntry { path: "b.yaml".into(), reason });
    let rendering = render(&tree, &directory, "shop").unwrap();
    assert_eq!(names(&rendering), ["a"]);
    assert!(rendering.loss().unwrap().contains("apps/b.yaml"));
}

#[test]
fn too_many_bytes_are_refused() {
    let directory = Directory::default();
    let half = " ".repeat(BYTES_MAX as usize / 2);
    let enough = [("a.yaml", half.as_str()), ("b.yaml", half.as_str())];
    assert!(rendered(&directory, &enough).is_ok());
    let error = rendered(&directory, &[enough[0], enough[1], ("c.yaml", "#")]).unwrap_err();
    assert!(matches!(error, RenderError::TooLarge { bytes, .. } if bytes == BYTES_MAX + 1), "{error}");
}

#[test]
fn rendering_twice_gives_the_same() {
    let files = [("a.yaml", config_map("a")), ("b.yaml", "kind: [".to_owned()), ("c.jsonnet", String::new())];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (*path, content.as_str())).collect();
    let directory = Directory::default();
    assert_eq!(rendered(&directory, &files), rendered(&directory, &files));
}
