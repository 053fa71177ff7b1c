//! Serves a sandbox until interrupted: `cargo run -p trueup-sandbox --example serve -- KUBECONFIG-FILE [PORT]`.

use std::net::{Ipv4Addr, SocketAddr};

use trueup_sandbox::{Sandbox, SandboxOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which file should the kubeconfig go to?")?;
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let sandbox = Sandbox::start(SandboxOptions { listen, ..SandboxOptions::default() }).await?;
    std::fs::write(file, sandbox.kubeconfig("admin"))?;
    println!("{}", sandbox.url());
    sandbox.run_until(async { drop(tokio::signal::ctrl_c().await) }).await;
    Ok(())
}
