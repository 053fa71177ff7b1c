//! `trueup blame`: who owns each field of an object, by which tool and since when, as its managedFields say. Of an object of
//! the cluster, or of objects in files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use trueup_cluster::{Discovery, KindScope, ServedKind, discover, path};
use trueup_diff::{OwnedField, Owner, blame};
use trueup_engine::class::class_of;
use trueup_engine::difference::Class;
use trueup_engine::settings::Settings;
use trueup_merge::{SchemaSet, TypeRef};
use trueup_object::{FieldManager, FieldPath, Gvk, Map, Text, Value};

use crate::arguments::Globals;
use crate::diff::schemas;
use crate::failure::{Ending, Failure};
use crate::home::{Home, NAMESPACE};
use crate::output::{self, Structure, Table, patiently};
use crate::scene::RUN_KEY;
use crate::{scripts, settings};

/// A longer value of a field is cut in the table.
const VALUE_CHARS_MAX: usize = 40;

/// Names that people write for kinds, and the plural that is meant.
const SHORT: [(&str, &str); 16] = [
    ("cj", "cronjobs"),
    ("cm", "configmaps"),
    ("crd", "customresourcedefinitions"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("netpol", "networkpolicies"),
    ("ns", "namespaces"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("sa", "serviceaccounts"),
    ("sts", "statefulsets"),
    ("svc", "services"),
];

#[derive(Debug, Args)]
pub struct BlameArguments {
    /// The object, as `deployment/web` or `rollouts.argoproj.io/web`; then paths, to see only what is at or below them: .spec.replicas
    #[arg(value_name = "KIND/NAME|PATH", required_unless_present = "file")]
    words: Vec<String>,
    /// Namespace of the object; that of the context without it
    #[arg(short, long, value_name = "NAME", conflicts_with = "file")]
    namespace: Option<String>,
    /// Objects with their managedFields: a file, a folder, or - for standard input; no cluster is asked
    #[arg(short, long = "filename", value_name = "FILE|DIR")]
    file: Vec<PathBuf>,
    /// OpenAPI documents or definitions of the kinds in the files; without it --kubeconfig names a cluster to ask
    #[arg(long, value_name = "FILE|DIR", requires = "file")]
    schema: Option<PathBuf>,
    /// The settings of an installation, which may name annotations to be masked: argocd-cm
    #[arg(long, value_name = "FILE", requires = "file")]
    settings: Option<PathBuf>,
    /// Form of the result
    #[arg(short, long, default_value = "text", value_parser = ["text", "json", "yaml"])]
    output: String,
}

/// What is asked about.
struct Question {
    /// Kind, as people write it, and name.
    object: Option<(String, String)>,
    paths: Vec<FieldPath>,
}

/// One object with its fields.
struct Blamed {
    object: Value,
    fields: Vec<OwnedField>,
}

pub async fn run(arguments: &BlameArguments, globals: &Globals) -> Result<Ending, Failure> {
    let question = Question::of(&arguments.words)?;
    let (blamed, failure) = if arguments.file.is_empty() {
        (vec![of_cluster(arguments, globals, &question).await?], None)
    } else {
        of_files(arguments, globals, &question).await?
    };
    for of_one in blamed.iter().filter(|of_one| of_one.fields.iter().all(|field| field.owners.is_empty())) {
        output::tell(&format!(
            "note: {} has no managedFields: nobody can be named (kubectl get --show-managed-fields prints them)",
            short(&of_one.object)
        ));
    }
    if blamed.iter().all(|of_one| of_one.fields.is_empty()) && !question.paths.is_empty() {
        return Err(Failure::user("there is nothing at the paths that are asked for")
            .hint("without a path every field is listed, each as it is written"));
    }
    match arguments.output.as_str() {
        "json" => output::document(&document(&blamed), Structure::Json),
        "yaml" => output::document(&document(&blamed), Structure::Yaml),
        _ => show(&blamed),
    }
    failure.map_or(Ok(Ending::Done), Err)
}

impl Question {
    fn of(words: &[String]) -> Result<Self, Failure> {
        let mut question = Self { object: None, paths: Vec::new() };
        for word in words {
            if word.starts_with('.') {
                let path = FieldPath::parse(word).map_err(|error| {
                    Failure::user(format!("failed to read the path {word}: {error}")).hint(
                        "write it as in a difference: .spec.template.spec.containers[name=\"app\"].image",
                    )
                })?;
                question.paths.push(path);
                continue;
            }
            let named = word.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
            let (Some((kind, name)), None) = (named, &question.object) else {
                return Err(Failure::user(format!("{word} is neither an object nor a path")).hint(
                    "name one object as KIND/NAME, and paths with a dot first: deployment/web .spec.replicas",
                ));
            };
            question.object = Some((kind.to_owned(), name.to_owned()));
        }
        Ok(question)
    }

    fn asks_for(&self, field: &OwnedField) -> bool {
        let touches = |path: &FieldPath| field.path.starts_with(path) || path.starts_with(&field.path);
        self.paths.is_empty() || self.paths.iter().any(touches)
    }

    fn blame(&self, object: Value, schemas: &SchemaSet, settings: &Settings) -> Blamed {
        let layered = schemas.over(SchemaSet::builtin());
        // Not `unwrap_or_else`: the untyped schema is static, the known one is borrowed.
        let ty = match Gvk::of(&object).and_then(|gvk| layered.lookup(&gvk)) {
            Some(ty) => ty,
            None => TypeRef::untyped(),
        };
        let mut fields = blame(&object, ty, settings.secrecy(&RUN_KEY));
        fields.retain(|field| self.asks_for(field));
        Blamed { object, fields }
    }
}

async fn of_files(
    arguments: &BlameArguments,
    globals: &Globals,
    question: &Question,
) -> Result<(Vec<Blamed>, Option<Failure>), Failure> {
    let settings = settings::read(arguments.settings.as_deref())?;
    let (manifests, failure) = scripts::objects(&arguments.file)?;
    let kinds: BTreeSet<Gvk> = manifests.iter().filter_map(|manifest| Gvk::of(manifest.object())).collect();
    let objects = manifests.iter().map(|manifest| manifest.object());
    let schemas = schemas::read(arguments.schema.as_deref(), globals, &kinds, objects.clone()).await?;
    let is_meant = |object: &&Value| match (&question.object, Gvk::of(object)) {
        (None, _) => true,
        (Some((kind, name)), Some(gvk)) => {
            let plural = format!("{}s", gvk.kind.to_lowercase());
            is_named(kind, &gvk, &plural) && object.str_at(&["metadata", "name"]) == Some(name)
        }
        (Some(_), None) => false,
    };
    let blamed: Vec<Blamed> =
        objects.filter(is_meant).map(|object| question.blame(object.clone(), &schemas, &settings)).collect();
    if let (true, Some((kind, name))) = (blamed.is_empty(), &question.object) {
        return Err(Failure::user(format!("there is no {kind}/{name} in what -f names"))
            .hint("leave it out to see every object of the files"));
    }
    Ok((blamed, failure))
}

async fn of_cluster(
    arguments: &BlameArguments,
    globals: &Globals,
    question: &Question,
) -> Result<Blamed, Failure> {
    let Some((kind, name)) = &question.object else {
        return Err(Failure::user("no object is named")
            .hint("name it as KIND/NAME: trueup blame deployment/web; or objects in files with -f"));
    };
    let home = Home::open(globals).await?;
    let wire = &home.connection.wire;
    let discovery = patiently("asking which kinds are served", discover::discover(wire)).await;
    let discovery = discovery.map_err(|error| Failure::of_wire("ask which kinds are served", &error))?;
    let served = served(&discovery, kind)?;
    let namespace = match (served.scope, &arguments.namespace) {
        (KindScope::Cluster, _) => "",
        (KindScope::Namespaced, Some(namespace)) => namespace,
        (KindScope::Namespaced, None) => &home.connection.namespace,
    };
    let shown = format!("{}/{name}", served.gvk.kind);
    let answer = wire.get(&path::object(served, namespace, name)).await.map_err(|error| {
        let failure = Failure::of_wire(&format!("read {shown}"), &error);
        if !error.is_not_found() {
            return failure;
        }
        let place =
            if namespace.is_empty() { String::new() } else { format!(" in the namespace {namespace}") };
        Failure::user(format!("there is no {shown}{place}")).hint("-n names another namespace")
    })?;
    let object = Value::from_json(&answer.body)
        .map_err(|error| Failure::world(format!("failed to read the API server's answer: {error}")))?;
    let schemas = schemas::of_connection(&home.connection, &BTreeSet::from([served.gvk.clone()])).await?;
    let settings = home.settings(NAMESPACE).await?;
    Ok(question.blame(object, &schemas, &settings))
}

/// The kind that a person means: its name, its plural or a usual short form, with its group where there are several.
fn served<'d>(discovery: &'d Discovery, wanted: &str) -> Result<&'d ServedKind, Failure> {
    let found = discovery.all().find(|kind| is_named(wanted, &kind.gvk, &kind.plural));
    found.ok_or_else(|| {
        let missing: Vec<String> = discovery.missing().map(|(group, _)| group).collect();
        if missing.is_empty() {
            return Failure::user(format!("the cluster serves no kind {wanted}")).hint(
                "write the kind or its plural, with its group where needed: certificates.cert-manager.io/web",
            );
        }
        Failure::world(format!("no kind {wanted} is known, and {} did not answer", missing.join(", ")))
            .hint("see the API services of the cluster; try again later")
    })
}

fn is_named(wanted: &str, gvk: &Gvk, plural: &str) -> bool {
    let (name, group) = wanted.split_once('.').map_or((wanted, None), |(name, group)| (name, Some(group)));
    let name = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, plural)| plural);
    let is_kind = gvk.kind.eq_ignore_ascii_case(name) || plural.eq_ignore_ascii_case(name);
    is_kind && group.is_none_or(|group| gvk.group == group)
}

fn short(object: &Value) -> String {
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    format!("{}/{name}", object.str_at(&["kind"]).unwrap_or_default())
}

fn show(blamed: &[Blamed]) {
    let many = blamed.len() > 1;
    for (index, Blamed { object, fields }) in blamed.iter().enumerate() {
        if many {
            let line = if index == 0 { "" } else { "\n" };
            output::line(&format!("{line}{}", short(object)));
        }
        let mut table = Table::new(&["PATH", "VALUE", "TOOL", "HOW", "BY THEN", "CLASS"]);
        for field in fields {
            let head = [field.path.to_string(), value_text(field)];
            if field.owners.is_empty() {
                table.row(head.into_iter().chain(["-", "", "", ""].map(str::to_owned)));
                continue;
            }
            for (place, owner) in field.owners.iter().enumerate() {
                let head = if place == 0 { head.clone() } else { [String::new(), String::new()] };
                table.row(head.into_iter().chain(owner_cells(owner)));
            }
        }
        table.print();
    }
}

fn owner_cells(owner: &Owner) -> [String; 4] {
    let how = match owner.subresource.as_str() {
        "" => owner.operation.as_str().to_owned(),
        subresource => format!("{} of {subresource}", owner.operation.as_str()),
    };
    let class = class(owner);
    let time = owner.time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    [owner.manager.as_str().to_owned(), how, time, class.as_str().to_owned()]
}

/// What we wrote was written by a GitOps tool, too: the table of writers has only the others.
fn class(owner: &Owner) -> Class {
    match owner.manager.as_str() {
        FieldManager::TRUEUP => Class::Gitops,
        manager => class_of(manager, owner.operation, &owner.subresource),
    }
}

fn value_text(field: &OwnedField) -> String {
    let Some(value) = &field.value else { return "-".to_owned() };
    let text = value.to_json();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    text.chars().take(VALUE_CHARS_MAX - 3).chain("...".chars()).collect()
}

fn document(blamed: &[Blamed]) -> Value {
    let text = |text: &str| Value::Str(Text::from(text));
    let objects = blamed.iter().map(|Blamed { object, fields }| {
        let gvk = Gvk::of(object);
        let part = |of: fn(&Gvk) -> &Text| gvk.as_ref().map(|gvk| Value::Str(of(gvk).clone()));
        let named = |name: &str| text(object.str_at(&["metadata", name]).unwrap_or_default());
        let fields = fields.iter().map(|field| {
            let owners = field.owners.iter().map(owner_value).collect();
            let pairs = [
                ("path", text(&field.path.to_string())),
                ("pointer", field.pointer.as_deref().map(text).unwrap_or_default()),
                ("value", field.value.as_deref().cloned().unwrap_or_default()),
                ("owners", Value::List(owners)),
            ];
            Value::Map(pairs.into_iter().collect::<Map>())
        });
        let pairs = [
            ("group", part(|gvk| &gvk.group).unwrap_or_default()),
            ("version", part(|gvk| &gvk.version).unwrap_or_default()),
            ("kind", part(|gvk| &gvk.kind).unwrap_or_default()),
            ("namespace", named("namespace")),
            ("name", named("name")),
            ("fields", Value::List(fields.collect())),
        ];
        Value::Map(pairs.into_iter().collect::<Map>())
    });
    Value::List(objects.collect())
}

/// In the words of a difference.
fn owner_value(owner: &Owner) -> Value {
    let text = |text: &str| Value::Str(Text::from(text));
    let class = class(owner);
    let pairs = [
        ("manager", text(owner.manager.as_str())),
        ("operation", text(owner.operation.as_str())),
        ("subresource", if owner.subresource.is_empty() { Value::Null } else { text(&owner.subresource) }),
        ("time", owner.time.map(|time| text(&time.to_string())).unwrap_or_default()),
        ("class", text(class.as_str())),
    ];
    Value::Map(pairs.into_iter().collect::<Map>())
}
