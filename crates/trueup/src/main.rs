//! The one binary: controller, command line, sandbox and demo. It alone reads flags and the environment, and builds
//! everything from them.

mod actions;
mod app;
mod arguments;
mod blame;
mod controller;
mod crds;
mod demo;
mod diff;
mod drift;
mod elsewhere;
mod failure;
mod health;
mod home;
mod logs;
mod output;
mod remembered;
mod sandbox;
mod scene;
mod scripts;
mod settings;
mod version;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use arguments::{ArgoCdLine, Command, Line, Persona};
use failure::{Ending, Failure};

fn main() -> ExitCode {
    // Everything speaks TLS through one provider, chosen before anything else can choose another.
    trueup_cluster::connect::install_crypto();
    let arguments: Vec<_> = std::env::args_os().collect();
    let persona = Persona::of(arguments.first().map(std::ffi::OsString::as_os_str));
    let parsed = match persona {
        Persona::Trueup => Line::try_parse_from(&arguments).map(|line| (line.command, line.globals)),
        Persona::ArgoCd => {
            ArgoCdLine::try_parse_from(&arguments).map(|line| (line.command.into(), line.globals))
        }
    };
    let (command, globals) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse_line(persona, &arguments, &error),
    };
    globals.name_ignored();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::ours(format!("failed to start: {error}")).report(persona),
    };
    let ended = runtime.block_on(run(command, &globals, persona));
    // A task that still waits for an answer must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(ending) => ExitCode::from(ending.code(persona)),
        Err(failure) => failure.report(persona),
    }
}

async fn run(command: Command, globals: &arguments::Globals, persona: Persona) -> Result<Ending, Failure> {
    match command {
        Command::App(command) => app::run(*command, globals, persona).await,
        Command::Controller(arguments) => controller::run(arguments, globals).await,
        Command::Diff(arguments) => diff::run(&arguments, globals, persona).await,
        Command::Drift(command) => drift::run(&command, globals).await,
        Command::Health(arguments) => health::run(&arguments),
        Command::Actions(command) => actions::run(&command),
        Command::Blame(arguments) => blame::run(&arguments, globals).await,
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Sandbox(options) => sandbox::run(options, globals).await,
        Command::Version(options) => version::run(&options).await,
        Command::Crds => crds::run(),
        Command::Completion { shell } => {
            arguments::print_completion(persona, shell);
            Ok(Ending::Done)
        }
    }
}

/// Help and version are answers; everything else is the user's mistake. Argo CD's program ends with 1 there.
fn refuse_line(persona: Persona, arguments: &[std::ffi::OsString], error: &clap::Error) -> ExitCode {
    if let Some(elsewhere::Elsewhere { word, instead }) = elsewhere::elsewhere(arguments, error) {
        output::tell(&format!("error: {word} is a word of Argo CD's that does not exist here"));
        output::tell(&format!("hint: {instead}"));
    } else {
        // Nobody is left to be told when the terminal is gone.
        let _closed = error.print();
    }
    match (error.kind(), persona) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => ExitCode::SUCCESS,
        (_, Persona::ArgoCd) => ExitCode::from(1),
        (_, Persona::Trueup) => ExitCode::from(2),
    }
}
