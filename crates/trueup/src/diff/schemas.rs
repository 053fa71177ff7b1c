//! Where schemas come from when no cluster is asked: OpenAPI documents, definitions among the files, and the compiled-in
//! table below all of them.

use std::collections::BTreeSet;
use std::path::Path;

use trueup_cluster::{Connection, SchemaCache};
use trueup_merge::SchemaSet;
use trueup_object::{Gvk, Value};

use super::files;
use crate::arguments::Globals;
use crate::failure::Failure;
use crate::home;
use crate::output::{self, patiently};
use crate::version::VERSION;

/// Reads the schemas. A kubeconfig that is named on the line is asked where no document is given; one that is only in
/// the environment is not, since files are compared with files without any cluster.
pub async fn read<'a>(
    place: Option<&Path>,
    globals: &Globals,
    kinds: &BTreeSet<Gvk>,
    objects: impl Iterator<Item = &'a Value>,
) -> Result<SchemaSet, Failure> {
    let mut schemas = match place {
        Some(place) => from_files(place)?,
        None if globals.kubeconfig.is_some() => from_cluster(globals, kinds).await?,
        None => SchemaSet::new(),
    };
    for definition in objects.filter(|object| is_definition(object)) {
        for problem in schemas.add_crd(definition) {
            output::tell(&format!("note: {problem}"));
        }
    }
    Ok(schemas)
}

fn is_definition(object: &Value) -> bool {
    object.str_at(&["kind"]) == Some("CustomResourceDefinition")
        && object.str_at(&["apiVersion"]) == Some("apiextensions.k8s.io/v1")
}

fn from_files(place: &Path) -> Result<SchemaSet, Failure> {
    let mut documents = Vec::new();
    let mut definitions = Vec::new();
    for (path, bytes) in files::contents(place)? {
        let unusable = |why: String| {
            Failure::user(format!("failed to read the schema {path}: {why}")).hint(
                "give what `kubectl get --raw /openapi/v3/apis/GROUP/VERSION` prints, a folder of these, or definitions",
            )
        };
        for document in trueup_object::yaml::read_documents(&bytes) {
            let document = document.map_err(|error| unusable(error.to_string()))?.value;
            if document.str_at(&["openapi"]).is_some_and(|version| version.starts_with("3.")) {
                documents.push(document);
            } else if document.str_at(&["swagger"]) == Some("2.0") {
                documents.push(from_version_2(document));
            } else if is_definition(&document) {
                definitions.push(document);
            } else if !document.is_null() {
                return Err(unusable(
                    "it is neither OpenAPI (3.x or 2.0) nor a CustomResourceDefinition".to_owned(),
                ));
            }
        }
    }
    let (mut schemas, mut problems) = SchemaSet::from_openapi_v3(&documents);
    problems.extend(definitions.iter().flat_map(|definition| schemas.add_crd(definition)));
    for problem in problems {
        output::tell(&format!("note: schema: {problem}"));
    }
    Ok(schemas)
}

/// OpenAPI v2 in the words of v3. It says less (no defaults of custom kinds), and of built-in kinds nothing that the
/// compiled-in table does not say better: these are left to the table.
fn from_version_2(mut document: Value) -> Value {
    const KINDS: &str = "x-kubernetes-group-version-kind";
    let mut definitions = document.remove_at(&["definitions"]).unwrap_or_default();
    for (_, definition) in definitions.as_map_mut().into_iter().flat_map(|map| map.iter_mut()) {
        let is_builtin = definition.list_at(&[KINDS]).iter().any(|kind| {
            let part = |name: &str| kind.str_at(&[name]).unwrap_or_default();
            SchemaSet::builtin().lookup(&Gvk::new(part("group"), part("version"), part("kind"))).is_some()
        });
        if is_builtin {
            definition.remove_at(&[KINDS]);
        }
    }
    let mut converted = Value::default();
    converted.set_at(&["components", "schemas"], definitions);
    converted
}

async fn from_cluster(globals: &Globals, kinds: &BTreeSet<Gvk>) -> Result<SchemaSet, Failure> {
    let connection = Connection::open(&home::access(globals), VERSION).await?;
    of_connection(&connection, kinds).await
}

/// Asks a cluster for the schemas of kinds.
pub async fn of_connection(connection: &Connection, kinds: &BTreeSet<Gvk>) -> Result<SchemaSet, Failure> {
    let mut cache = SchemaCache::default();
    let read = patiently("reading the cluster's schemas", cache.refresh(&connection.wire, kinds)).await;
    let read = read.map_err(|error| Failure::of_wire("read the cluster's schemas", &error))?;
    for problem in &read.problems {
        output::tell(&format!("note: schema: {problem}"));
    }
    drop(cache);
    Ok(std::sync::Arc::unwrap_or_clone(read.schemas))
}
