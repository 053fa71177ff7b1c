//! The clusters that applications are deployed to, found by a destination's `server` or `name`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::connect::{Access, ConnectError, Connection};
use crate::observed::Interests;
use crate::watch::Clock;

/// The address by which a destination names the cluster that the controller runs against.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Its name.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// A cluster's name: `in-cluster`, or that of a context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterName(String);

impl ClusterName {
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The cluster that the controller runs against.
    pub fn in_cluster() -> Self {
        Self::new(IN_CLUSTER_NAME)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ClusterName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Why a destination leads to no cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    #[error("use a destination with both server {server:?} and name {name:?}")]
    Both { server: String, name: String },
    #[error("use a destination with neither server nor name")]
    Neither,
    #[error("find a cluster with the server {0:?}")]
    UnknownServer(String),
    #[error("find a cluster named {0:?}")]
    UnknownName(String),
}

/// What a context is: its name and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCluster {
    pub name: ClusterName,
    /// Without a slash at the end.
    pub server: String,
    pub access: Access,
}

/// Every cluster that can be a destination; connected when first used.
pub struct Clusters {
    known: Vec<KnownCluster>,
    started: BTreeMap<ClusterName, Arc<Cluster>>,
    version: String,
    interests: Interests,
    clock: Clock,
}

impl Clusters {
    /// The cluster of the controller and, with a kubeconfig, one for each of its contexts.
    pub fn new(
        home: Access,
        version: &str,
        interests: Interests,
        clock: Clock,
    ) -> Result<Self, ConnectError> {
        let mut known = vec![KnownCluster {
            name: ClusterName::in_cluster(),
            server: IN_CLUSTER_SERVER.to_owned(),
            access: home.clone(),
        }];
        if let Access::Kubeconfig { file, context: _ } = &home {
            known.extend(contexts(file.clone())?);
        }
        Ok(Self { known, started: BTreeMap::new(), version: version.to_owned(), interests, clock })
    }

    /// The clusters that can be destinations.
    pub fn known(&self) -> &[KnownCluster] {
        &self.known
    }

    /// The cluster that a destination names, by exactly one of server and name.
    pub fn find(&self, server: &str, name: &str) -> Result<&KnownCluster, DestinationError> {
        find(&self.known, server, name)
    }

    /// The started cluster of a destination.
    pub async fn start(&mut self, server: &str, name: &str) -> Result<Arc<Cluster>, StartError> {
        let KnownCluster { name, server: _, access } = find(&self.known, server, name)?;
        if let Some(cluster) = self.started.get(name) {
            return Ok(cluster.clone());
        }
        let connection = Connection::open(access, &self.version).await?;
        // Several contexts may lead to one server, even with other rights: each is watched for itself.
        let cluster = Arc::new(Cluster::start(connection, self.interests.clone(), self.clock.clone()));
        self.started.insert(name.clone(), cluster.clone());
        Ok(cluster)
    }

    /// The clusters started so far.
    pub fn started(&self) -> impl Iterator<Item = (&ClusterName, &Arc<Cluster>)> {
        self.started.iter()
    }
}

/// Why a destination's cluster could not be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Destination(#[from] DestinationError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

fn find<'a>(
    known: &'a [KnownCluster],
    server: &str,
    name: &str,
) -> Result<&'a KnownCluster, DestinationError> {
    match (server.is_empty(), name.is_empty()) {
        (false, false) => Err(DestinationError::Both { server: server.to_owned(), name: name.to_owned() }),
        (true, true) => Err(DestinationError::Neither),
        (false, true) => {
            let server = server.trim_end_matches('/');
            let found = known.iter().find(|cluster| cluster.server == server);
            found.ok_or_else(|| DestinationError::UnknownServer(server.to_owned()))
        }
        (true, false) => {
            let found = known.iter().find(|cluster| cluster.name.as_str() == name);
            found.ok_or_else(|| DestinationError::UnknownName(name.to_owned()))
        }
    }
}

fn contexts(file: Option<PathBuf>) -> Result<Vec<KnownCluster>, ConnectError> {
    let kubeconfig = crate::connect::read_kubeconfig(file.as_deref())?;
    let server_of = |cluster: &str| {
        let named = kubeconfig.clusters.iter().find(|named| named.name == cluster)?;
        named.cluster.as_ref()?.server.clone()
    };
    let known = kubeconfig.contexts.iter().filter_map(|named| {
        let server = server_of(&named.context.as_ref()?.cluster)?;
        Some(KnownCluster {
            name: ClusterName::new(&named.name),
            server: server.trim_end_matches('/').to_owned(),
            access: Access::Kubeconfig { file: file.clone(), context: Some(named.name.clone()) },
        })
    });
    Ok(known.collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const KUBECONFIG: &str = "apiVersion: v1\nkind: Config\ncurrent-context: home\nclusters:\n- {name: h, cluster: {server: 'https://10.0.0.1:6443/'}}\n- {name: e, cluster: {server: 'https://10.0.0.2:6443'}}\ncontexts:\n- {name: home, context: {cluster: h, user: u}}\n- {name: edge, context: {cluster: e, user: u}}\nusers:\n- {name: u, user: {token: t}}\n";

    #[test]
    fn destinations_name_a_cluster_by_one_of_server_and_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), KUBECONFIG).unwrap();
        let home = Access::Kubeconfig { file: Some(file.path().to_owned()), context: None };
        let clock: Clock = Arc::new(|| trueup_object::Timestamp::UNIX_EPOCH);
        let interests: Interests = Arc::new(|_| crate::observed::Interest::None);
        let clusters = Clusters::new(home, "0", interests, clock).unwrap();
        assert_eq!(clusters.find(IN_CLUSTER_SERVER, "").unwrap().name, ClusterName::in_cluster());
        assert_eq!(clusters.find("", "edge").unwrap().server, "https://10.0.0.2:6443");
        assert_eq!(clusters.find("https://10.0.0.1:6443/", "").unwrap().name.as_str(), "home");
        assert!(matches!(clusters.find("a", "b"), Err(DestinationError::Both { .. })));
        assert!(matches!(clusters.find("", ""), Err(DestinationError::Neither)));
        assert!(matches!(clusters.find("", "moon"), Err(DestinationError::UnknownName(_))));
        assert!(matches!(clusters.find("https://moon", ""), Err(DestinationError::UnknownServer(_))));
    }
}
