//! `trueup version`: this build and the tools that it uses.

use clap::Args;
use trueup_merge::SchemaSet;
use trueup_object::Value;
use trueup_repo::{Repositories, RepositoriesOptions};

use crate::failure::{Ending, Failure};
use crate::output::{self, Structure};

#[derive(Debug, Args)]
pub struct VersionArguments {
    /// Form of the output: json or yaml; text without it
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    /// Only the version of this program
    #[arg(long)]
    short: bool,
    /// Accepted for Argo CD's sake: there is no server to ask
    #[arg(long, hide = true)]
    client: bool,
}

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub async fn run(arguments: &VersionArguments) -> Result<Ending, Failure> {
    let git = match Repositories::open(RepositoriesOptions::new(std::env::temp_dir())).await {
        Ok(repositories) => repositories.git_version().unwrap_or_default().to_owned(),
        Err(error) => format!("not usable: {error}; {}", error.hint()),
    };
    let kinds = SchemaSet::builtin().kinds().count();
    match arguments.output.as_deref() {
        None if arguments.short => output::line(&format!("trueup: v{VERSION}")),
        None => output::print(&format!(
            "trueup: v{VERSION}\n  git: {git}\n  schemas: {} ({kinds} kinds compiled in)\n",
            table_version()
        )),
        Some(form) => {
            let mut value = Value::default();
            value.set_at(&["version"], VERSION.into());
            value.set_at(&["git"], git.into());
            value.set_at(&["schemas", "kubernetes"], table_version().into());
            value.set_at(&["schemas", "kinds"], i64::try_from(kinds).unwrap_or_default().into());
            output::document(&value, structure(form)?);
        }
    }
    Ok(Ending::Done)
}

/// `json` or `yaml`, where nothing else is possible.
pub fn structure(form: &str) -> Result<Structure, Failure> {
    match form {
        "json" => Ok(Structure::Json),
        "yaml" => Ok(Structure::Yaml),
        other => Err(Failure::user(format!("unknown output form {other:?}")).hint("use -o json or -o yaml")),
    }
}

/// The version of Kubernetes that the compiled-in table of facts was generated from.
fn table_version() -> String {
    let table = Value::from_json(trueup_merge::schema::BUILTIN_TABLE).unwrap_or_default();
    table.str_at(&["kubernetes"]).unwrap_or("unknown").to_owned()
}
