//! Repositories over ssh: a real sshd on loopback, with keys made for the test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use trueup_testkit::port::KeptPort;

use crate::world::{Run, World, call_with, program};

/// A server of git repositories over ssh.
struct Server {
    _process: Child,
    _kept: KeptPort,
    port: u16,
    folder: PathBuf,
    user: String,
}

/// Debian keeps it where ordinary users do not look.
fn sshd() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.map(|place| place.join("sshd")).find(|program| program.is_file())
}

async fn key(file: &Path) {
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status().await;
    assert!(made.unwrap().success());
}

impl Server {
    async fn start(program: &Path, world: &World) -> Self {
        let folder = world.folder.path().join("ssh");
        fs::create_dir_all(&folder).unwrap();
        for name in ["host", "known", "stranger"] {
            key(&folder.join(name)).await;
        }
        let user = Command::new("id").arg("-un").output().await.unwrap();
        let user = String::from_utf8(user.stdout).unwrap().trim().to_owned();
        if user == "root" {
            // Where it drops its rights to; made by the service's start, which a test has not.
            fs::create_dir_all("/run/sshd").unwrap();
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::copy(folder.join("known.pub"), folder.join("authorized_keys")).unwrap();
        let kept = KeptPort::take().unwrap();
        let port = kept.number().unwrap();
        let process = Self::listen(program, &folder, port, &user, world).await;
        let public = fs::read_to_string(folder.join("host.pub")).unwrap();
        fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {public}")).unwrap();
        Self { _process: process, _kept: kept, port, folder, user }
    }

    async fn listen(program: &Path, folder: &Path, port: u16, user: &str, world: &World) -> Child {
        let at = folder.display();
        let settings = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nAllowUsers {user}\n"
        );
        fs::write(folder.join("sshd_config"), settings).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut process = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        world
            .until("sshd listens", async || {
                let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
                assert_eq!(process.try_wait().unwrap(), None, "sshd ended: {}", log());
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
            })
            .await;
        process
    }

    /// What a person has set who reaches the server with a key.
    fn ssh_command(&self, key: &str, known_hosts: &str) -> String {
        let at = self.folder.display();
        format!(
            "ssh -F /dev/null -i {at}/{key} -o IdentitiesOnly=yes -o IdentityAgent=none \
             -o UserKnownHostsFile={at}/{known_hosts} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"
        )
    }
}

async fn diff(world: &World, ssh_command: &str) -> Run {
    let kubeconfig = world.folder.path().join("kubeconfig");
    let line = ["--kubeconfig", kubeconfig.to_str().unwrap(), "app", "diff", "web"];
    call_with(Path::new(program()), &line, world.folder.path(), &[("GIT_SSH_COMMAND", ssh_command)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_read_over_ssh() {
    let Some(program) = sshd() else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the tests of ssh need sshd (openssh-server)");
        println!("left out: this machine has no sshd (openssh-server)");
        return;
    };
    let world = World::new().await;
    world.create().await;
    let server = Server::start(&program, &world).await;
    let Server { port, user, .. } = &server;
    let url = format!("ssh://{user}@127.0.0.1:{port}{}", world.repository().display());
    world.ok(&["app", "set", "web", "--repo", &url]).await;

    let stranger = diff(&world, &server.ssh_command("stranger", "known_hosts")).await;
    assert!(stranger.code == 2 && stranger.err.contains("hint: give ssh a key"), "{stranger:?}");
    let unknown = diff(&world, &server.ssh_command("known", "nobody_known")).await;
    assert!(unknown.code == 2 && unknown.err.contains("known_hosts"), "{unknown:?}");
    let log = || fs::read_to_string(server.folder.join("log")).unwrap_or_default();
    let known = diff(&world, &server.ssh_command("known", "known_hosts")).await;
    assert!(known.code == 1 && known.out.contains("+  colour: blue"), "{known:?}\n{}", log());
}
