//! `trueup demo`: a cluster in memory, a Git repository in a temporary folder and a controller, in one process; then an
//! incident, told as it happens.

mod files;
mod incident;
mod requests;
mod stage;
mod summary;

use std::time::Duration;

use anstyle::AnsiColor;
use clap::Args;

use crate::failure::{Ending, Failure};
use crate::output::{self, paint};
use crate::sandbox::stop_requested;

use stage::Stage;

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Play at full speed, print the summary and end
    #[arg(long)]
    once: bool,
    /// Leave the temporary folder with the repository and the kubeconfig
    #[arg(long)]
    keep: bool,
}

/// Time to read what happened before the next thing happens.
const READING: Duration = Duration::from_millis(2_500);

pub async fn run(arguments: &DemoArguments) -> Result<Ending, Failure> {
    let stage = tokio::select! {
        stage = Stage::set() => stage?,
        () = stop_requested() => return Err(Failure::no("stopped before the incident began")),
    };
    let pace = if arguments.once { Duration::ZERO } else { READING };
    let played = tokio::select! {
        played = play(&stage, pace) => played,
        () = stop_requested() => Err(Failure::no("stopped before the end of the incident")),
    };
    if played.is_ok() && !arguments.once {
        suggest(&stage);
        stop_requested().await;
        output::line("");
    }
    let folder = stage.strike(arguments.keep).await;
    if arguments.keep {
        output::line(&format!("left: {}", folder.display()));
    }
    played.map(|()| Ending::Done)
}

async fn play(stage: &Stage, pace: Duration) -> Result<(), Failure> {
    title("Six applications, each a folder of one Git repository, are synced.");
    stage.sync_all().await?;
    for name in files::APPLICATIONS {
        output::line(&format!("  {:<16} {}", name.0, stage.state_of(name.0).await?));
    }
    tokio::time::sleep(pace).await;
    title("Then things happen, and nobody commits anything.");
    for (index, event) in incident::events().iter().enumerate() {
        incident::play(stage, index + 1, event).await?;
        tokio::time::sleep(pace).await;
    }
    title("What trueup makes of it:");
    let outcome = summary::of(stage).await?;
    output::print(&outcome.table);
    if outcome.surprises.is_empty() {
        output::line("\nThree drifts, each with who made it; three applications quiet, and rightly so.");
        return Ok(());
    }
    Err(Failure::ours(format!(
        "the incident was judged otherwise than expected: {}",
        outcome.surprises.join("; ")
    ))
    .hint("play it again with --keep, and look with `trueup app explain`"))
}

fn title(text: &str) {
    output::line(&format!("\n{}", paint(text, AnsiColor::Cyan)));
}

fn suggest(stage: &Stage) {
    let program = std::env::current_exe().map(|path| path.display().to_string());
    let program = program.unwrap_or_else(|_| "trueup".to_owned());
    title("Now it is yours. In another terminal:");
    let kubeconfig = stage.kubeconfig();
    let kubeconfig = kubeconfig.display();
    output::print(&format!(
        "  export KUBECONFIG={kubeconfig}
  alias trueup={program}

  trueup app list                                    all six
  trueup app diff payment-service                    what differs, and who made it so
  trueup app explain feature-flags                   in words, and what a sync would do
  trueup app sync payment-service                    Git wins
  trueup app sync logging-agent --keep-drift         Git wins but for what the cluster changed
  trueup app sync feature-flags --remove-additions   remove what others have added
  trueup app set user-service --sync-policy automated --self-heal
  kubectl --kubeconfig {kubeconfig} scale deployment/user-service -n users --replicas=9
                                                     and see it healed before you can look

  The repository is {repository}: commit there, then `trueup app get NAME --refresh`.

Ctrl-C ends the demo.
",
        repository = stage.repository().display(),
    ));
}
